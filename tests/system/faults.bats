# Faults in the middle of the night: whatever is killed, nothing accepted is lost, nothing runs
# twice, no child dies with another process, and the parent ends correctly. Each child writes a line
# to a file of its own when it starts and when it ends; that file is the witness.
load helpers

setup_file() {
    new_cluster etl1 etl2
    new_package child shell 'echo "$LB_TASK $LB_PARAM_n begins" >>"$LB_PARAM_witness"
sleep "$LB_PARAM_seconds"
echo "$LB_TASK $LB_PARAM_n ends" >>"$LB_PARAM_witness"
echo "rows=$LB_PARAM_n" >>"$LB_OUTPUTS"' 'parameters:
  n: {type: int, default: 0}
  seconds: {type: string, default: "1"}
  witness: {type: string, required: true}
outputs: {rows: {type: int}}'
    deploy child all
    cat >"$demo/night.yaml" <<PLAN
parent: night
variables:
  witness: {type: string, required: true}
tasks:
  first:
    package: child
    pool: etl
    for_each: {n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}
    parameters: {n: "{{n}}", witness: "{{witness}}"}
  second:
    package: child
    pool: etl
    parameters: {n: 99, witness: "{{witness}}"}
    after: [{task: first, is: success}]
PLAN
}
teardown_file() { end_cluster; }
setup() {
    enter
    witness=$demo/witness-$BATS_TEST_NUMBER
    witness_file "$witness"
}

night() { # in the background; its output in $demo/night.out, its exit code in $demo/night.rc
    rm -f "$demo/night.rc"
    (
        lbsubmit "$demo/night.yaml" --set witness="$witness" >"$demo/night.out" 2>&1
        echo $? >"$demo/night.rc"
    ) 3>&- &
    await "children run" grep -q begins "$witness"
}

night_is_right() {
    await "the parent has ended" test -e "$demo/night.rc"
    cat "$demo/night.out"
    [ "$(cat "$demo/night.rc")" -eq 0 ]
    grep -q '13 of 13 children succeeded' "$demo/night.out"
    # Each child began once and ended once.
    [ "$(grep -c begins "$witness")" -eq 13 ]
    [ "$(grep -c ends "$witness")" -eq 13 ]
    [ "$(sort "$witness" | uniq -d | wc -l)" -eq 0 ]
    # second began when all of first had ended.
    [ "$(grep -n 'second 99 begins' "$witness" | cut -d: -f1)" -eq 25 ]
}

@test "kill -9 of the broker in the middle of a parent" {
    night
    kill9 broker
    night_is_right
}

@test "kill -9 of a worker in the middle of a parent" {
    night
    kill9 etl1
    night_is_right
}

@test "kill -9 of a runner in the middle of a parent" {
    night
    kill -9 "$(runner_pid etl2)"
    night_is_right
}

@test "kill -9 of broker, both workers and both runners at once" {
    night
    kill -9 "$(cat "$demo/broker.pid")" "$(cat "$demo/etl1.pid")" "$(cat "$demo/etl2.pid")" \
        "$(runner_pid etl1)" "$(runner_pid etl2)"
    night_is_right
}

@test "results of children that end while the broker is away are recorded once, when it is back" {
    night
    kill9_for_good broker
    await "children have ended without a broker" grep -q ends "$witness"
    start_broker
    night_is_right
    parent=$(lbctl history --parents -n 1 --json | jq -r .run)
    [ "$(lbctl history --parent "$parent" --json -n 100 | jq -r .key | sort | uniq -c |
        awk '$1 != 1' | wc -l)" -eq 0 ]
}

@test "a worker that is down while its children end reports each of them once when it is back" {
    night
    kill9_for_good etl1
    running=$(lbctl runs --server etl1 --json | jq -r .run)
    [ -n "$running" ]
    await "children of etl1 have ended without it" sh -c "[ \$(grep -c ends $witness) -ge 8 ]"
    start_server etl1
    night_is_right
    for run_id in $running; do
        [ "$(lbmon --since 0 --until-now --run "$run_id" --json | wc -l)" -eq 1 ]
        [ "$(status_of "$run_id")" = succeeded ]
    done
}

@test "a killed keeper: its child's tree is gone and the outcome is unknown, not invented" {
    lbsubmit --package child --server etl1 -p n=7 -p seconds=98765 -p witness="$witness" \
        --json >"$demo/keeper.out" 2>&1 3>&- &
    submit=$!
    await "the child runs" grep -q begins "$witness"
    await "it sleeps" pgrep -f '^sleep 98765$'
    sleeper=$(pgrep -f '^sleep 98765$')
    shell=$(ps -o ppid= -p "$sleeper" | tr -d ' ')
    keeper=$(ps -o ppid= -p "$shell" | tr -d ' ')
    kill -9 "$keeper"
    wait "$submit" || true
    await "the tree is gone" gone "$sleeper"
    [ "$(status_of "$(last_run package:child)")" = unknown ]
    [ "$(grep -c begins "$witness")" -eq 1 ]
}

@test "a slot is filled again after its keeper was killed" {
    run lbsubmit --package child --server etl1 -p seconds=0 -p witness="$witness" --quiet
    [ "$status" -eq 0 ]
}
