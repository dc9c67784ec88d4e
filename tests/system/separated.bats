#!/usr/bin/env bats
# separated.bats - a server whose runner was started as root: worker, unpacker and children are
# users of their own. A captured worker and a hostile child are played here, and gain nothing.
# Users are numbers, which need no accounts.

load helpers

own_users worker_user unpack_user child_user other_user

# run_as USER COMMAND...: as a user without any right beyond its own
run_as() {
    local user=$1
    shift
    setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
}

start_runner() { # start_runner NAME [OPTIONS...]
    local name=$1
    shift
    keep "$name-runner" "$demo/$name" lbrunner --home "$demo/$name" --worker-user $worker_user \
        --unpack-user $unpack_user "$@"
    await "the runner of $name listens" test -S "$demo/$name/run/runner.sock"
}

start_worker() { # start_worker NAME: as the user to whom its spool belongs
    keep "$1" "$demo/$1" lbworker
    await "$1 is up" sh -c "lbctl servers $1 --json | grep -q '\"state\":\"up\"'"
}

halt_worker() {
    : >"$demo/$1.stop"
    kill "$(cat "$demo/$1.pid")" 2>/dev/null || :
    await "the worker of $1 has ended" gone "$(cat "$demo/$1.keeper")"
}

proxy() { # proxy NAME USER
    install -D -m 644 /dev/stdin "$demo/sep/etc/proxies.d/$1.yaml" <<END
proxy: $1
user: $2
subsystems: "*"
principals: ["*"]
END
}

# runs PACKAGE: submits it to sep and waits; its log is in $output
runs() {
    lbsubmit --package "$1" --server sep || return 1
    run lbctl logs "$(last_run "package:$1")"
}

captured() { # captured CASE [MORE]: its worker is in the wrong hands for a while
    halt_worker sep
    run python "$BATS_TEST_DIRNAME/capturedworker.py" "$1" "$demo" sep $worker_user "${@:2}"
    start_worker sep
    echo "$output"
    [ "$status" -eq 0 ]
}

another_runner() { # kill -9, and the next one listens
    local pid
    pid=$(runner_pid sep)
    kill9 sep-runner
    await "another runner runs" sh -c "[ \"\$(head -n 1 $demo/sep/run/runner.lock)\" != $pid ]"
    await "it listens" run_as $worker_user /usr/bin/python3 -c "
import socket
socket.socket(socket.AF_UNIX).connect('$demo/sep/run/runner.sock')"
}

offers() { # offers JOB...: the server's worker says so
    local job
    for job; do
        lbctl servers sep --json | jq -e ".jobs[] | select(.job == \"$job\")" >/dev/null || return 1
    done
}

memory_of() { # the folder in memory of a server
    echo "/dev/shm/longboat-0-$(printf %s "$demo/$1/run" | b2sum -l 256 | cut -c 1-16)"
}

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    new_demo
    chown root:root "$demo"
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker
    lbpkg keygen
    mkdir -m 755 "$demo/sep"
    install -d -m 700 -o $worker_user -g $worker_user "$demo"/sep/{etc,var,run}
    lbctl invite --server sep --pools etl >"$demo/token"
    LONGBOAT_HOME=$demo/sep run_as $worker_user lbworker join <"$demo/token"
    install -m 644 "$demo/admin/etc/keys/builder.pub" "$demo/sep/etc/trust/signers"
    start_runner sep
    proxy default $child_user
    start_worker sep
    new_package whoami shell 'id -u; id -g; id -G; grep -E "^(Cap|NoNewPrivs)" /proc/self/status
        echo "$USER"; stat -c "%u %a" "$LB_WORK"; stat -c %u "$LB_PARAMETERS"'
    deploy whoami sep
    new_package gives shell 'echo rows=5 >>"$LB_OUTPUTS"' 'outputs: {rows: {type: int}}'
    new_package takes shell 'echo "got=$LB_PARAM_n" >>"$LB_OUTPUTS"' \
        'parameters: {n: {type: int, required: true}}
outputs: {got: {type: int}}'
    deploy gives sep
    deploy takes sep
}

teardown_file() {
    end_cluster
}

setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    enter
}

@test "a step runs as its proxy's user, without capabilities, and the outcome says so" {
    runs whoami
    assert_has "$child_user
$child_user
$child_user
CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	0000000000000000
CapAmb:	0000000000000000
NoNewPrivs:	1
$child_user
$child_user 700
$child_user"
    run lbctl show "$(last_run package:whoami)" --json
    field '.job_outcome.steps[0].user' $child_user
    field '.job_outcome.steps[0].off | index("user")' null
    field '.job_outcome.steps[0].off | index("package_files")' null
}

@test "runner, keepers and guards have only the capabilities that they need" {
    local pid name
    runs whoami
    for pid in $(runner_pid sep) $(descendants "$(runner_pid sep)" | cut -d ' ' -f 1); do
        name=$(cat "/proc/$pid/comm")
        echo "$name $(grep -E '^Cap(Prm|Bnd)' "/proc/$pid/status" | cut -f 2 | sort -u)"
    done | sort -u | sed 's/^lbrunner 0000000001/lbrunner 0000000000/' >"$demo/capabilities"
    cat "$demo/capabilities"
    # CHOWN 0, KILL 5, SETGID 6, SETUID 7, SETPCAP 8; SYS_RESOURCE 24, which a container may lack
    diff - "$demo/capabilities" <<END
lbkeeper 00000000000001e1
lbkeeper-guard 0000000000000020
lbrunner 00000000000001e1
END
}

@test "a need is probed as the child's user, whom the worker is not" {
    local r
    install -d -m 700 -o $child_user -g $child_user "$demo/theirs"
    install -m 400 -o $child_user -g $child_user /dev/null "$demo/theirs/input"
    install -d -m 700 -o $worker_user -g $worker_user "$demo/workers"
    new_package mine shell 'cat "'"$demo"'/theirs/input"' "needs: [{path: $demo/theirs/input}]"
    new_package other shell 'true' "needs: [{path: $demo/workers}]"
    deploy mine sep
    deploy other sep
    runs mine
    r=$(call package:other sep)
    await "explain says that the child's user cannot read it" \
        sh -c "lbctl explain $r | grep -q 'path:$demo/workers.*Permission denied'"
    chmod 755 "$demo/workers"
    kill -HUP "$(cat "$demo/sep.pid")"
    await "it runs once they can" ended "$r"
}

@test "a job file of root's runs, one that others can write does not" {
    install -m 644 /dev/stdin "$demo/sep/etc/jobs/twice.yaml" <<END
job: twice
steps:
  - {name: one, package: whoami}
  - {name: two, subsystem: shell, run: 'test -e "\$LB_WORK" && id -u'}
END
    install -m 666 "$demo/sep/etc/jobs/twice.yaml" "$demo/sep/etc/jobs/open.yaml"
    await "the job is accepted" lbsubmit --job twice --server sep
    run lbctl logs "$(last_run twice)"
    assert_has "$child_user"
    [ "$(find "$demo/sep/var/jobs" -type f -user root -perm 444 | wc -l)" -eq 1 ]
    grep -q "open.yaml" "$demo/sep-runner.log"
    printf 'job: twice\nsteps:\n  - {name: one, nonsense: 1}\n' >"$demo/sep/etc/jobs/twice.yaml"
    await "the fault is named" grep -q "jobs/twice.yaml:3" "$demo/sep-runner.log"
    rm "$demo"/sep/etc/jobs/*.yaml
}

@test "a slot goes from one proxy's user to another's, and nothing goes with it" {
    new_package leaves shell 'echo secret >"$LB_WORK/left"; mkdir -m 0 "$LB_WORK/closed"
        echo secret >"$LB_OUTPUTS"; rm "$LB_OUTPUTS"; ln -s /etc/passwd "$LB_OUTPUTS"
        chmod 0 "$LB_WORK" "$(dirname "$LB_OUTPUTS")"; echo ended'
    new_package finds shell 'id -u; ls -A "$LB_WORK" "$(dirname "$LB_OUTPUTS")"; echo found'
    deploy leaves sep
    deploy finds sep
    lbsubmit --package leaves --server sep || :
    proxy default $other_user
    runs finds
    proxy default $child_user
    assert_has "$other_user"
    assert_has "outputs
parameters
progress
result

$demo/sep/var/work/1:
found"
    not grep -q left <<<"$output"
    runs whoami
    assert_has "$child_user 700"
}

@test "a hostile child gains nothing" {
    new_package hostile python "$(cat "$BATS_TEST_DIRNAME/hostilechild.py")"
    sed -i "s|^home, memory = .*|home, memory = '$demo/sep', '$(memory_of sep)'|" \
        "$demo/src-hostile/main"
    lbpkg build "$demo/src-hostile" -o "$demo/hostile.lbp" && lbpkg sign "$demo/hostile.lbp"
    deploy hostile sep
    runs hostile
    assert_has "tried"
    not grep gained <<<"$output"
    runs whoami
}

@test "the child of one proxy reaches nothing of another's" {
    new_package victim shell 'echo "$$" >"$LB_PROGRESS"; echo secret >"$LB_WORK/secret"
        while ! test -e '"$demo/go"'; do sleep 0.1; done'
    deploy victim sep
    call package:victim sep >"$demo/victim"
    await "the victim runs" in_state "$(cat "$demo/victim")" running
    test -d "$(memory_of sep)/1"
    run run_as $other_user /usr/bin/python3 "$BATS_TEST_DIRNAME/hostilechild.py" "$demo/sep" \
        "$(memory_of sep)"
    assert_has "tried"
    not grep gained <<<"$output"
    touch "$demo/go"
    await "the victim has ended" ended "$(cat "$demo/victim")"
}

@test "a step that a child has forked away from ends with all its processes" {
    new_package forks python 'import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for i in range(3):
    if os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(1)
time.sleep(1000)' 'limits: {timeout: 2s}'
    deploy forks sep
    run lbsubmit --package forks --server sep
    assert_has "timed out"
    not pgrep -u $child_user
}

@test "children outlive runner and worker, and the next ones find them" {
    local pid
    rm -f "$demo/go"
    call package:victim sep >"$demo/victim"
    await "the victim runs" in_state "$(cat "$demo/victim")" running
    pid=$(runner_pid sep)
    kill9 sep-runner
    kill9 sep
    await "another runner runs" sh -c "[ \"\$(head -n 1 $demo/sep/run/runner.lock)\" != $pid ]"
    await "sep is up" sh -c "lbctl servers sep --json | grep -q '\"state\":\"up\"'"
    touch "$demo/go"
    await "the victim has ended" ended "$(cat "$demo/victim")"
    run lbctl show "$(cat "$demo/victim")" --json
    field .status succeeded
    field .attempt 1
}

@test "a captured worker gains nothing: forged principals, jobs, steps, addresses, replays" {
    captured forged
}

@test "a captured worker chooses neither version nor job: nothing that the caller did not sign" {
    install -m 644 /dev/stdin "$demo/sep/etc/jobs/chain.yaml" <<END
job: chain
steps:
  - {name: one, package: gives}
  - {name: two, package: takes, parameters: {n: "{{step.one.outputs.rows}}"}}
  - {name: three, package: takes, parameters: {n: 1}}
END
    install -m 644 /dev/stdin "$demo/sep/etc/jobs/failing.yaml" <<END
job: failing
steps:
  - {name: one, subsystem: shell, run: exit 3}
  - {name: two, subsystem: shell, run: id -u}
END
    await "the jobs are accepted" offers chain failing
    sed -i 's/^version: .*/version: 2.0.0/' "$demo/src-whoami/package.yaml"
    lbpkg build "$demo/src-whoami" -o "$demo/whoami-2.lbp" && lbpkg sign "$demo/whoami-2.lbp"
    lbpkg deploy "$demo/whoami-2.lbp" --to sep --wait
    captured versions
}

@test "a captured worker changes neither the order of steps nor the outputs that they take" {
    captured order
}

@test "what has run before the runner was killed, a captured worker cannot have run again" {
    captured replay before
    another_runner
    captured replay after
}

@test "a captured worker cannot bring back whom an administrator has revoked" {
    local list=$demo/sep/var/revocations
    join_principal rita 'call *@*'
    join_principal paul 'call *@*'
    lbctl certificates revoke paul --reason 'a test'
    await "the server has the list" test -s "$list"
    install -m 644 "$list" "$demo/older"
    lbctl certificates revoke rita --reason 'a test'
    await "the server has the next list" not cmp -s "$list" "$demo/older"
    runs whoami # so the runner has read it
    halt_worker sep
    run_as $worker_user rm "$list"
    another_runner
    captured revoked none
    await "the server has the list again" test -s "$list"
    halt_worker sep
    run_as $worker_user sh -c "rm '$list'; cat '$demo/older' >'$list'"
    another_runner
    captured revoked older
    await "the server has the newest again" not cmp -s "$list" "$demo/older"
    runs whoami
}

@test "a captured worker installs nothing that nobody deployed, and removes nothing" {
    captured install
}

@test "a captured worker writes nothing but its own, and reaches no keeper and no child" {
    captured files
}

@test "a captured worker cannot trap its runner, nor pass it another server's certificate" {
    lbctl invite --server other --pools etl >"$demo/token"
    as other lbworker join <"$demo/token"
    install -m 644 "$demo/other/etc/trust/certificate" "$demo/other.certificate"
    captured traps
    runs whoami
}

@test "an older certificate of the same server no longer counts" {
    local at=$demo/sep/etc/trust/certificate
    cp "$at" "$demo/older"
    lbctl certificates renew sep
    kill "$(cat "$demo/sep.pid")" # the next session brings it
    await "the renewed certificate is here" not cmp -s "$at" "$demo/older"
    await "sep is up" sh -c "lbctl servers sep --json | grep -q '\"state\":\"up\"'"
    runs whoami
    cp "$at" "$demo/newer"
    chmod 644 "$demo/older" "$demo/newer"
    run_as $worker_user sh -c "cat '$demo/older' >'$at'"
    run lbsubmit --package whoami --server sep
    assert_has "so far this one was"
    run_as $worker_user sh -c "cat '$demo/newer' >'$at'"
    runs whoami
}

@test "what the worker has shipped, the runner removes" {
    new_package prints shell 'head -c 9000000 /dev/zero | tr "\\0" x' 'limits: {output: 16M}'
    deploy prints sep
    lbsubmit --package prints --server sep >/dev/null
    lbsubmit --package prints --server sep >/dev/null
    runs whoami
    test -e "$demo/sep/var/keepers/keeper-1.1.log"
    await_most=60 await "the first file is gone" not test -e "$demo/sep/var/keepers/keeper-1.log"
    runs whoami
}

@test "somebody else in the worker's group is not heard" {
    run setpriv --reuid=$other_user --regid=$worker_user --clear-groups \
        /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect('$demo/sep/run/runner.sock')
try:
    print('heard' if s.recv(1) else 'closed')
except ConnectionResetError:
    print('closed')"
    [ "$output" = closed ]
    grep -q "belongs to user $other_user" "$demo/sep-runner.log"
}

@test "without a home of root's own, the runner refuses to start and says why" {
    install -d -m 755 -o $other_user "$demo/theirs"
    run lbrunner --home "$demo/theirs" --worker-user $worker_user --unpack-user $unpack_user
    [ "$status" -eq 1 ]
    assert_has "'$demo/theirs' is not root's"
    run lbrunner --home "$demo/sep2" --worker-user root --unpack-user $unpack_user
    assert_has "neither root"
}

why_not() { # why_not TEXT: in the last outcome, or among what the server refuses
    { echo "$output" && lbctl servers sep --json; } | grep -F "$1"
}

@test "root, the system's users and Longboat's own are refused unless allowed by name" {
    local u said
    for u in root daemon $worker_user $unpack_user; do
        proxy default "$u"
        said="allow it by name (allow_system_user: $u, proxies.d/default.yaml:2)"
        LONGBOAT_HOME=$demo/sep lbctl proxy test default --json | jq -r .text | grep -F "$said"
        run call --wait --start-within 2 package:whoami sep
        # the runner has refused it, or the server has said before that it would
        [ "$(jq -r .status <<<"$output")" = refused ] || field .status unreachable
        await "it is said why" why_not "$said"
        proxy default $child_user
    done
    proxy default daemon
    echo 'allow_system_user: daemon' >>"$demo/sep/etc/proxies.d/default.yaml"
    runs whoami
    proxy default $child_user
    [ "${lines[0]##* }" = "$(id -u daemon)" ]
}

@test "without its file there is no proxy, not even default" {
    mv "$demo/sep/etc/proxies.d/default.yaml" "$demo/kept"
    run lbsubmit --package whoami --server sep
    mv "$demo/kept" "$demo/sep/etc/proxies.d/default.yaml"
    assert_has "this server has no proxy 'default' (proxies.d/default.yaml)"
    assert_has "lbctl proxy new default --user USER"
    chown $worker_user "$demo/sep/etc/proxies.d/default.yaml"
    run lbsubmit --package whoami --server sep
    chown root "$demo/sep/etc/proxies.d/default.yaml"
    assert_has "belongs to user $worker_user"
}

@test "a credential of root's reaches the child of its proxy, and nobody else" {
    local at
    install -m 400 /dev/stdin "$demo/sep/etc/wh" <<<"s3cret"
    proxy default $child_user
    echo "credentials: {wh: $demo/sep/etc/wh}" >>"$demo/sep/etc/proxies.d/default.yaml"
    new_package reads shell 'grep -qx s3cret "$LB_CREDENTIALS/wh" && echo "it is the right one"
        cat "$LB_CREDENTIALS/wh"; stat -c "%u %a" "$LB_CREDENTIALS/wh"
        touch "$LB_CREDENTIALS/x" || echo "not mine"; rm -f "$LB_CREDENTIALS/wh" || echo "stays"
        echo "1 $LB_CREDENTIALS" >"$LB_PROGRESS"
        while ! test -e '"$demo/read"'; do sleep 0.1; done'
    deploy reads sep
    call package:reads sep >"$demo/reads"
    await "it says where" sh -c "lbctl show $(cat "$demo/reads") --json | grep -q credentials-"
    at=$(echo "$(memory_of sep)"/credentials-*)
    not run_as $other_user cat "$at/wh"
    not run_as $worker_user cat "$at/wh"
    touch "$demo/read"
    await "it has ended" ended "$(cat "$demo/reads")"
    proxy default $child_user
    run lbctl logs "$(cat "$demo/reads")"
    assert_has "it is the right one"
    assert_has "$child_user 400"
    not grep s3cret <<<"$output" # what a credential says is masked
    assert_has "not mine"
    assert_has "stays"
    [ ! -e "$at" ]
}

@test "a secret is opened by a keeper alone: its key is root's, and the child finds the value" {
    new_package login shell 'sed "s/.*\"password\": *\"\([^\"]*\)\".*/\1/" "$LB_PARAMETERS" |
        tr -d "\n" | sha256sum; stat -c "%u %a" "$LB_PARAMETERS"' \
        'parameters: {password: {type: string, required: true, sensitive: true}}'
    deploy login sep
    printf 'hunter22-s3cr3t-canary\n' | lbctl secret put db --to sep
    await "the secret has come" test -s "$demo/sep/var/secrets/db"
    lbsubmit --package login --server sep -p 'password={secret: db}'
    run lbctl logs "$(last_run package:login)"
    assert_has "$(printf hunter22-s3cr3t-canary | sha256sum | cut -c 1-64)"
    assert_has "$child_user 400"
    [ "$(stat -c '%u %a' "$demo/sep/etc/keys/seal.key")" = "0 400" ]
    not run_as $worker_user cat "$demo/sep/etc/keys/seal.key"
    [ "$(stat -c '%u %a' "$demo/sep/var/secrets/db")" = "$worker_user 600" ]
    not grep -raqF hunter22-s3cr3t-canary "$demo/sep/etc" "$demo/sep/var" "$demo/broker"
}
