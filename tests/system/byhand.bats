#!/usr/bin/env bats
# byhand.bats - a job run by hand, without a broker, and a package from its folder: the same path as
# in earnest, its output as it comes, an exit code that says the result, and nothing left behind.
# First in user mode; then in separated mode, with users that are numbers.

load helpers

own_users worker_user unpack_user step_user person_user person_group

# by_hand ARGUMENTS...: run-job on etl1, as its user
by_hand() {
    as etl1 lbworker run-job "$@"
}

# person GROUPS ARGUMENTS...: run-job on the separated server, as somebody else
person() {
    local groups=$1
    shift
    LONGBOAT_HOME=$demo/sep setpriv --reuid=$person_user --regid=$person_user --groups "$groups" \
        lbworker run-job "$@"
}

write_job() { # write_job NAME: from standard input
    as etl1 tee "$demo/etl1/etc/jobs/$1.yaml" >/dev/null
}

# The folders, sockets and memory of runs by hand of a home: none.
nothing_left() { # nothing_left HOME
    local run=$1/run at
    at=$(find "$run" "$1/var/work" -name 'hand-*' 2>/dev/null)
    [ -z "$at" ] || {
        echo "left behind: $at"
        return 1
    }
    ! pgrep -f "lbrunner --by-hand .*--home $1( |$)" || return 1
}

setup_file() {
    new_demo
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker
    lbpkg keygen
    join_server etl1 etl
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl1/etc/trust/signers"
    start_server etl1 --slots 1
    new_package extract shell 'echo "table $LB_PARAM_table"; echo trouble >&2
echo "rows=5" >>"$LB_OUTPUTS"; echo "50 half" >"$LB_PROGRESS"; exit "$LB_PARAM_code"' \
        'parameters:
  table: {type: string, required: true}
  code: {type: int, default: 0}
outputs:
  rows: {type: int}'
    deploy extract etl1
    write_job nightly <<'END'
job: nightly
steps:
  - name: extract
    package: extract
    parameters: {table: "{{table}}", code: "{{code}}"}
  - name: publish
    subsystem: shell
    parameters: {rows: "{{step.extract.outputs.rows}}"}
    run: echo "rows $LB_PARAM_rows in $LB_WORK as $LB_JOB"
  - name: clean
    always: true
    subsystem: shell
    run: echo cleaned
END
    separate_server
}

# A server in separated mode that never meets its broker: only its runner counts here.
separate_server() {
    [ "$(id -u)" -eq 0 ] || return 0
    chown root:root "$demo"
    mkdir -m 755 "$demo/sep"
    install -d -m 700 -o $worker_user -g $worker_user "$demo"/sep/{etc,var,run}
    lbctl invite --server sep --pools other >"$demo/token"
    LONGBOAT_HOME=$demo/sep setpriv --reuid=$worker_user --regid=$worker_user --clear-groups \
        lbworker join <"$demo/token"
    install -m 644 "$demo/admin/etc/keys/builder.pub" "$demo/sep/etc/trust/signers"
    install -D -m 644 /dev/stdin "$demo/sep/etc/proxies.d/etl.yaml" <<END
proxy: etl
user: $step_user
subsystems: [shell]
principals: ["local:$person_user"]
END
    install -D -m 644 /dev/stdin "$demo/sep/etc/jobs/who.yaml" <<'END'
job: who
steps:
  - name: say
    proxy: etl
    subsystem: shell
    run: id -u; id -G; grep NoNewPrivs /proc/self/status; echo "$LB_WORK"
END
}

start_sep() { # start_sep [OPTIONS...]
    keep_as=
    keep_it sep-runner "$demo/sep" lbrunner --home "$demo/sep" --worker-user $worker_user \
        --unpack-user $unpack_user "$@"
    await "the runner of sep listens" test -S "$demo/sep/run/byhand.sock"
}

teardown_file() {
    end_cluster
}

setup() {
    enter
}

@test "a job runs by hand: output as it is, headings on stderr, outputs go from step to step" {
    by_hand nightly -p table=orders -p code=0 >"$demo/out" 2>"$demo/err"
    cat "$demo/out" "$demo/err"
    [ "$(sed -n 1p "$demo/out")" = "table orders" ]
    grep -q "^rows 5 in $demo/etl1/var/work/hand-.* as nightly$" "$demo/out"
    [ "$(tail -n 1 "$demo/out")" = cleaned ]
    grep -qx "trouble" "$demo/err"
    grep -qx "==> extract" "$demo/err"
    grep -q "^<== extract: succeeded, exit code 0" "$demo/err"
    grep -q "output *rows=5" "$demo/err"
    grep -q "^lbworker run-job: job nightly succeeded" "$demo/err"
    nothing_left "$demo/etl1"
}

@test "the exit code says how it ended" {
    run by_hand nightly -p table=orders -p code=4
    [ "$status" -eq 1 ]
    assert_has "<== extract: failed, exit code 4"
    assert_has "cleaned"
    run by_hand nightly -p code=0
    [ "$status" -eq 3 ]
    assert_has "parameter 'table' (string) is required and has no value"
    run by_hand nightly -p table=x -p code=0 -p tabel=y
    [ "$status" -eq 3 ]
    assert_has "has no parameter 'tabel'"
    run by_hand nightl -p table=x
    [ "$status" -eq 3 ]
    assert_has "this server has no job 'nightl'"
    assert_has "did you mean 'nightly'?"
    run by_hand
    [ "$status" -eq 2 ]
    run by_hand nightly --dryrun
    [ "$status" -eq 2 ]
    nothing_left "$demo/etl1"
}

@test "--json is the outcome as lbctl show has it, and the children's output goes to stderr" {
    by_hand nightly -p table=orders -p code=0 --json >"$demo/out" 2>"$demo/err"
    output=$(cat "$demo/out")
    python "$BATS_TEST_DIRNAME/schema.py" by-hand 1 <"$demo/out"
    field .status succeeded
    field '.job_outcome.steps | length' 3
    field '.job_outcome.steps[0].package.outputs.rows' 5
    field '.job_outcome.steps[0].execution.proxy' default
    field '.package.state' succeeded
    grep -qx "table orders" "$demo/err"
}

@test "the package's own job runs by hand, and a value can come from a file" {
    printf 'lines\n' >"$demo/table"
    chmod 644 "$demo/table"
    run by_hand package:extract -p "table=@$demo/table"
    [ "$status" -eq 0 ]
    assert_has "table lines"
}

@test "a server that is busy is not disturbed: the run has a slot and folders of its own" {
    witness_file "$demo/go-on"
    rm "$demo/go-on"
    write_job long <<END
job: long
steps:
  - name: wait
    subsystem: shell
    run: while [ ! -e $demo/go-on ]; do sleep 0.1; done
END
    await "the job is attested" sh -c "lbctl servers etl1 --json | grep -q long"
    lbsubmit --job long --server etl1 --quiet >/dev/null 2>&1 3>&- &
    await "it runs" sh -c "lbctl runs --json | grep -q '\"state\":\"running\"'"
    run by_hand nightly -p table=orders -p code=0
    [ "$status" -eq 0 ]
    run lbctl runs --json
    assert_has '"state":"running"'
    : >"$demo/go-on"
    await "it has ended well" sh -c "lbctl history --job long -n 1 --json | grep -q succeeded"
    nothing_left "$demo/etl1"
}

@test "--dry-run says what each step would run, and runs nothing" {
    witness_file "$demo/ran"
    write_job touchy <<END
job: touchy
steps:
  - {name: extract, package: extract, parameters: {table: "{{table}}"}}
  - {name: touch, subsystem: shell, parameters: {rows: "{{step.extract.outputs.rows}}"},
     run: 'echo ran >>$demo/ran'}
END
    run by_hand touchy -p table=orders --dry-run
    [ "$status" -eq 0 ]
    assert_has "step extract"
    assert_has "command      /bin/sh $demo/etl1/var/packages/"
    assert_has "table=orders"
    assert_has "under        proxy default, subsystem shell"
    assert_has "LB_PARAM_table=orders"
    assert_has "off          user"
    [ ! -s "$demo/ran" ]
    by_hand touchy -p table=orders --dry-run --json >"$demo/out"
    python "$BATS_TEST_DIRNAME/schema.py" by-hand 2 <"$demo/out"
    output=$(sed -n 2p "$demo/out")
    field .step touch
    field '.argv[0]' /bin/sh
    field '.variables.LB_STEP' touch
    run by_hand touchy --dry-run
    [ "$status" -eq 3 ]
    assert_has "bad_parameters: parameter 'table' (string) is required and has no value"
    assert_has "1 of 2 steps would be refused"
    nothing_left "$demo/etl1"
}

@test "a proxy that does not list local:USER refuses, and says what it serves" {
    as etl1 mkdir -p "$demo/etl1/etc/proxies.d"
    printf 'proxy: default\nuser: %s\nsubsystems: "*"\nprincipals: [nightly-*]\n' \
        "$(as etl1 id -u)" | as etl1 tee "$demo/etl1/etc/proxies.d/default.yaml" >/dev/null
    run by_hand nightly -p table=orders -p code=0
    [ "$status" -eq 3 ]
    assert_has "no_proxy"
    assert_has "does not serve principal 'local:"
    assert_has "proxies.d/default.yaml:4"
    rm -r "$demo/etl1/etc/proxies.d"
}

@test "a need that this server lacks is named before anything runs" {
    new_package needy shell 'echo never' 'needs:
  - command: no-such-program'
    deploy needy etl1
    printf 'job: needy\nsteps:\n  - {name: one, package: needy}\n' | write_job needy
    run by_hand needy
    [ "$status" -eq 3 ]
    assert_has "this server lacks what the job needs: command:no-such-program"
    run by_hand needy --dry-run
    [ "$status" -eq 3 ]
    assert_has "step one"
    assert_has "this server lacks what the job needs"
    rm "$demo/etl1/etc/jobs/needy.yaml"
}

@test "Ctrl-C ends the whole tree of the child, and always steps run" {
    write_job deep <<END
job: deep
steps:
  - name: wait
    subsystem: shell
    run: setsid sh -c 'echo \$\$ >$demo/etl1/deep; exec sleep 600' & sleep 600
  - {name: clean, always: true, subsystem: shell, run: echo cleaned}
END
    rm -f "$demo/etl1/deep"
    by_hand deep >"$demo/out" 2>&1 3>&- &
    local job=$!
    await "the grandchild runs" test -s "$demo/etl1/deep"
    kill -TERM $(pgrep -f "lbworker run-job deep")
    local code=0
    wait $job || code=$?
    cat "$demo/out"
    [ "$code" -eq 130 ]
    grep -qx cleaned "$demo/out"
    await "the grandchild has ended" gone "$(cat "$demo/etl1/deep")"
    nothing_left "$demo/etl1"
}

@test "a person who is killed takes the run along; a runner that is killed leaves no child" {
    rm -f "$demo/etl1/deep"
    by_hand deep >"$demo/out" 2>&1 3>&- &
    await "the grandchild runs" test -s "$demo/etl1/deep"
    kill -KILL $(pgrep -f "lbworker run-job deep")
    await "the grandchild has ended" gone "$(cat "$demo/etl1/deep")"
    await "nothing is left" nothing_left "$demo/etl1"
    rm -f "$demo/etl1/deep"
    by_hand deep >"$demo/out" 2>&1 3>&- &
    await "the grandchild runs" test -s "$demo/etl1/deep"
    kill -KILL $(pgrep -P "$(pgrep -f "lbworker run-job deep")") # not guard and keeper
    await "the grandchild has ended" gone "$(cat "$demo/etl1/deep")"
    await "the person is told" grep -q "the runner has gone" "$demo/out"
}

@test "lbpkg run runs a folder that nobody has deployed or signed" {
    local home=$demo/author
    server_home "$home"
    mkdir "$demo/src-new"
    cat >"$demo/src-new/package.yaml" <<'END'
name: fresh
version: 0.1.0
description: new
subsystem: shell
entry: main.sh
parameters:
  n: {type: int, required: true}
outputs:
  twice: {type: int}
END
    printf 'echo "n is $LB_PARAM_n"\necho "twice=$((LB_PARAM_n * 2))" >"$LB_OUTPUTS"\n' \
        >"$demo/src-new/main.sh"
    chmod -R go+rX "$demo/src-new"
    run in_home "$home" lbpkg run "$demo/src-new" -p n=4
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "n is 4"
    assert_has "twice=8"
    run in_home "$home" lbpkg run "$demo/src-new" -p n=four
    [ "$status" -eq 3 ]
    assert_has "'n'"
    run in_home "$home" lbpkg run "$demo/src-new" -p n=4 --dry-run
    [ "$status" -eq 0 ]
    assert_has "LB_PARAM_n=4"
    [ -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'lbpkg-run-*' \
        -newer "$demo/src-new/package.yaml")" ]
    if [ "$(id -u)" -eq 0 ]; then
        run lbpkg run "$demo/src-new"
        [ "$status" -eq 3 ]
        assert_has "does not run as root"
    fi
}

@test "separated mode: root runs by hand where no runner runs, if the proxy lists local:root" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    start_sep
    halt sep-runner
    rm -f "$demo/sep/run/byhand.sock"
    LONGBOAT_HOME=$demo/sep run lbworker run-job who
    [ "$status" -eq 3 ]
    assert_has "does not serve principal 'local:root'"
    sed -i "s/principals: .*/principals: [local:root, 'local:$person_user']/" \
        "$demo/sep/etc/proxies.d/etl.yaml"
    LONGBOAT_HOME=$demo/sep run lbworker run-job who
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "$step_user
$step_user
NoNewPrivs:	1
$demo/sep/var/work/hand-"
    nothing_left "$demo/sep"
}

@test "separated mode: a person in the group uses the runner's door; nobody else gets in" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    start_sep --by-hand-group $person_group
    [ "$(stat -c '%u %g %a' "$demo/sep/run/byhand.sock")" = "0 $person_group 660" ]
    run person $person_group who
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "$step_user"
    run person $person_group who --dry-run --json
    [ "$status" -eq 0 ]
    field '.user' $step_user
    field '.execution.uid' $step_user
    run person $person_user who
    [ "$status" -eq 3 ]
    assert_has "you may not run by hand on this server"
    nothing_left "$demo/sep"
}

@test "separated mode: a child, the worker and the unpacker are turned away at the door" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    local user
    LONGBOAT_HOME=$demo/sep run setpriv --no-new-privs --reuid=$person_user --regid=$person_user \
        --groups $person_group lbworker run-job who
    [ "$status" -eq 3 ]
    assert_has "no_new_privs"
    for user in $worker_user $unpack_user; do
        LONGBOAT_HOME=$demo/sep run setpriv --reuid=$user --regid=$user --groups $person_group \
            lbworker run-job who
        [ "$status" -eq 3 ]
        assert_has "of the server itself"
    done
    nothing_left "$demo/sep"
}

@test "separated mode: Ctrl-C of a person ends the tree of another user's child" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    install -m 644 /dev/stdin "$demo/sep/etc/jobs/deep.yaml" <<'END'
job: deep
steps:
  - {name: wait, proxy: etl, subsystem: shell, run: 'echo begun; setsid sleep 601 & sleep 601'}
END
    person $person_group deep >"$demo/out" 2>&1 3>&- &
    local job=$! code=0
    await "it runs" grep -qx begun "$demo/out"
    kill -TERM $(pgrep -f "lbworker run-job deep")
    wait $job || code=$?
    [ "$code" -eq 130 ]
    not pgrep -l -u $step_user
    nothing_left "$demo/sep"
}

@test "lbworker check judges one job: its file, proxies, packages and needs" {
    run as etl1 lbworker check nightly
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "ok    job           nightly blake2b:"
    assert_has "ok    proxy"
    assert_has "ok    package"
    run as etl1 lbworker check nightli
    [ "$status" -eq 1 ]
    assert_has "FAIL  job           'nightli' cannot run here"
    write_job broken <<'END'
job: broken
steps:
  - {name: one, package: extract, proxy: none, parameters: {table: x}}
END
    run as etl1 lbworker check broken --json
    [ "$status" -eq 1 ]
    assert_has '"check":"proxy","ok":false'
    chmod 666 "$demo/etl1/etc/jobs/broken.yaml"
    run as etl1 lbworker check broken
    assert_has "FAIL  job"
    assert_has "can be written by others"
    rm "$demo/etl1/etc/jobs/broken.yaml"
}
