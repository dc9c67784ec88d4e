# Upgrades, with work in flight: the programs of the release before this one beside today's, in both
# directions. docs/upgrading.md is the contract that they prove. In each test children run, wait
# and are parked while a program is exchanged; a child begins once, and ends when the file `go`
# exists.
load helpers

setup_file() {
    ! sanitized || skip "the earlier release is built without a sanitizer"
    previous=$("$top/tests/upgrade/build.sh" "$(dirname "$LB_BIN")/previous") || {
        [ $? -ne 3 ] || skip "this clone's history does not reach the earlier release"
        return 1
    }
    export previous
}
teardown() { end_cluster; }

# Everything of the earlier release: a cluster with etl1 and a package that waits.
old_cluster() {
    new_demo
    enter
    PATH=$previous:$PATH
    lbctl init --cluster test --listen "127.0.0.1:$(free_port)" --broker-home "$demo/broker"
    start_broker
    lbpkg keygen
    join_server etl1 etl
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl1/etc/trust/signers"
    start_server etl1 --slots 3
    new_package child shell 'echo "begin $LB_ATTEMPT" >>"$LB_PARAM_dir/witness"
while [ ! -e "$LB_PARAM_dir/go" ]; do sleep 0.05; done
echo "rows=$LB_PARAM_n" >>"$LB_OUTPUTS"' 'parameters:
  n: {type: int, default: 0}
  dir: {type: string, required: true}
outputs: {rows: {type: int}}'
    deploy child etl
    witness_file "$demo/witness"
}

# Of five children three run and two wait, each followed by an lbsubmit of its own; one is parked at
# a server that nobody knows: $runs, $followers, $parked.
work_in_flight() {
    local n
    runs= followers=
    parked=$(call package:child etl9 "dir=$demo" n=9)
    for n in 1 2 3 4 5; do
        lbsubmit --package child --pool etl --key "${keys:-key}$n" -p "dir=$demo" -p "n=$n" \
            >"$demo/follower$n" 2>&1 3>&- &
        followers="$followers $!"
        await "call $n is accepted" has_key "${keys:-key}$n"
        runs="$runs $(run_of "${keys:-key}$n")"
    done
    await "three children run" sh -c "[ \$(grep -c begin '$demo/witness') = 3 ]"
}

# The same once more, under other keys.
work_in_flight_again() {
    local keys=again
    work_in_flight
}

run_of() { # run_of KEY: of a run that has not ended
    lbctl runs --json | jq -r --arg key "$1" 'select(.key == $key) | .run'
}
has_key() { [ -n "$(run_of "$1")" ]; }

# Each of the five began once, has ended well and has its output, and the lbsubmit that followed it
# has heard so; the parked one is parked.
all_well() {
    local r p n=0
    : >"$demo/go"
    for r in $runs; do
        n=$((n + 1))
        await "run $n has ended" ended "$r"
        [ "$(lbctl show "$r" --json | jq -r .status)" = succeeded ]
        [ "$(lbctl show "$r" --json | jq -r .outputs.rows)" = "$n" ]
        [ "$(lbctl show "$r" --json | jq -r '.events[].event' | grep -c assigned)" = 1 ]
    done
    n=0
    for p in $followers; do
        n=$((n + 1))
        wait "$p"
        grep -q "rows=$n" "$demo/follower$n"
    done
    [ "$(grep -c begin "$demo/witness")" -eq 5 ]
    [ "$(state_of "$parked")" = parked ]
}

today() { PATH=$LB_BIN:$PATH; }
before() { PATH=$previous:$PATH; }

is_version() { # is_version SERVER VERSION
    lbctl servers "$1" --json | grep -q "longboat $2"
}

# exchange_server NAME: its worker stops, and the one that the PATH names starts.
exchange_server() {
    halt "$1"
    start_server "$1" --slots 3
}

@test "the order of an upgrade: broker, then server, then client, with children that go on" {
    old_cluster
    work_in_flight
    today
    halt broker
    start_broker # today's, on the earlier one's store
    before
    await "the earlier worker is back" is_version etl1 0.1.0
    lbctl runs >/dev/null # earlier programs, today's broker
    lbmon --since 0 --until-now >/dev/null
    today
    exchange_server etl1
    await "today's worker is there" is_version etl1 "$(lbctl --version | sed 's/.* //')"
    all_well
}

@test "earlier servers and clients work with today's broker" {
    old_cluster
    today
    halt broker
    start_broker
    before
    await "the earlier worker is back" is_version etl1 0.1.0
    work_in_flight
    all_well
    printf 'parent: small\ntasks:\n  one: {package: child, pool: etl, parameters: {dir: %s}}\n' \
        "$demo" >"$demo/plan.yaml"
    lbsubmit "$demo/plan.yaml"
    new_package other exec '#!/bin/sh
true'
    deploy other etl
    lbctl invite --server etl2 --pools etl >"$demo/token"
    run as etl2 lbworker join <"$demo/token" # it does not prove that the key is its own
    [ "$status" -ne 0 ]
    assert_has "update the program that joins"
    today
    as etl2 lbworker join <"$demo/token"
}

@test "today's servers and clients work with the earlier broker, without what is new" {
    old_cluster
    work_in_flight
    today
    exchange_server etl1
    lbctl runs >/dev/null
    lbctl servers etl1
    lbmon --since 0 --until-now >/dev/null
    all_well
    # an earlier broker keeps no signature
    run lbsubmit --package child --pool etl -p "dir=$demo" -p n=7
    [ "$status" -eq 3 ]
    [[ "$output" == *"not signed"* ]]
    echo 'unsigned_results: accept' >>"$demo/admin/etc/client.yaml"
    lbsubmit --package child --pool etl -p "dir=$demo" -p n=8
}

exchange_runner() { # the worker that runs starts the one of its own release
    local was
    was=$(runner_pid etl1)
    kill -9 "$was"
    await "another runner is there" sh -c "
        [ \"\$(head -n 1 '$demo/etl1/run/runner.lock' | tr -cd 0-9)\" != '$was' ]"
}

@test "worker, runner and keepers of two releases work together, and no child is lost" {
    old_cluster
    work_in_flight
    today
    exchange_server etl1 # today's worker, the earlier runner and its keepers
    await "it is up" is_version etl1 "$(lbctl --version | sed 's/.* //')"
    lbctl servers etl1 --json | jq -e '.facts.runner == "up"'
    exchange_runner # today's runner, the earlier keepers
    all_well
}

# todays_runner: instead of the one that the worker has started; it must be down.
todays_runner() {
    local was
    was=$(runner_pid etl1)
    kill "$was"
    await "the earlier runner has ended" gone "$was"
    keep etl1-runner "$demo/etl1" "$LB_BIN/lbrunner"
    await "today's is there" sh -c "
        p=\$(head -n 1 '$demo/etl1/run/runner.lock' | tr -cd 0-9) && [ \$p != $was ] && kill -0 \$p"
}

@test "today's runner and keepers serve a worker of the release before, and then its successor" {
    old_cluster
    halt etl1
    todays_runner
    start_server etl1 --slots 3 --external-runner
    work_in_flight
    all_well # it reads how today's keepers say that they have ended
    rm "$demo/go"
    : >"$demo/witness"
    lbctl cancel "$parked" --reason "that was it"
    work_in_flight_again
    halt etl1
    today
    start_server etl1 --slots 3 --external-runner
    await "today's worker is there" is_version etl1 "$(lbctl --version | sed 's/.* //')"
    all_well
}

@test "the way back of a server: it is drained, and its spool is set aside" {
    local run keepers p
    old_cluster
    today
    exchange_server etl1
    exchange_runner
    run=$(call package:child etl "dir=$demo" n=1)
    await "it runs" grep -q begin "$demo/witness"
    : >"$demo/go"
    lbctl drain etl1 --wait --timeout 30s --reason "back to 0.1"
    [ "$(lbctl show "$run" --json | jq -r .status)" = succeeded ]
    halt etl1
    keepers=$(descendants "$(runner_pid etl1)" | cut -d ' ' -f 1)
    kill "$(runner_pid etl1)"
    await "its runner has ended" gone "$(runner_pid etl1)"
    for p in $keepers; do # they would end by themselves in a minute
        kill -9 "$p" || :
        await "keeper $p has ended" gone "$p"
    done
    mv "$demo/etl1/var/spool" "$demo/spool-of-today"
    before
    lbctl undrain etl1
    start_server etl1 --slots 3
    lbsubmit --package child --pool etl -p "dir=$demo" -p n=2
}

@test "the way back: an earlier broker refuses today's store, and takes the backup of before" {
    old_cluster
    work_in_flight
    lbctl store backup "$demo/before.db"
    today
    halt broker
    start_broker
    halt broker
    run timeout 20 env LONGBOAT_HOME="$demo/broker" "$previous/lbbroker"
    [ "$status" -eq 74 ] || [ "$status" -eq 1 ]
    [[ "$output" == *"newer"* ]]
    mkdir "$demo/set-aside"
    mv "$demo"/broker/var/broker/broker.db* "$demo/set-aside/"
    mv "$demo/before.db" "$demo/broker/var/broker/broker.db"
    before
    start_broker --restored
    await "the earlier worker is back" is_version etl1 0.1.0
    for r in $runs; do
        in_state "$r" held
    done
}
