# Adoption: worker and runner are killed with kill -9 while children run. The children live on, the
# next worker and runner find them, and each outcome is reported once. A child appends a line to a
# file of its own when it starts and when it ends; it ends when the file `go` exists.
load helpers

setup_file() {
    new_cluster
    join_server etl1 etl
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl1/etc/trust/signers"
    start_server etl1 --slots 220 # one test has 200 children at a time
    new_package child shell 'echo "begin $LB_ATTEMPT $$" >>"$LB_PARAM_dir/witness"
while [ ! -e "$LB_PARAM_dir/go" ]; do sleep 0.05; done
echo "end $LB_ATTEMPT $$" >>"$LB_PARAM_dir/witness"
echo "rows=$LB_PARAM_n" >>"$LB_OUTPUTS"' 'parameters:
  n: {type: int, default: 0}
  dir: {type: string, required: true}
outputs: {rows: {type: int}}'
    deploy child etl
    # Waits in the kernel for a process that opens the other end of the pipe.
    new_package quiet shell 'exec 3<"$LB_PARAM_dir/pipe"; read -r x <&3
echo "end $LB_PARAM_n" >>"$LB_PARAM_dir/ends"' 'parameters:
  n: {type: int, required: true}
  dir: {type: string, required: true}'
    deploy quiet etl
}
teardown_file() { end_cluster; }
setup() {
    enter
    dir=$demo/of-$BATS_TEST_NUMBER
    witness_folder "$dir"
    witness_file "$dir/witness"
}

# Three children run: $runs, and $dir/begun with their processes.
three_run() {
    local n
    runs=
    for n in 1 2 3; do
        runs="$runs $(call package:child etl "dir=$dir" "n=$n")"
    done
    await "three children run" sh -c "[ \$(grep -c begin '$dir/witness') = 3 ]"
    sed -n 's/^begin 1 //p' "$dir/witness" >"$dir/begun"
}

all_live() {
    local p
    for p in $(cat "$dir/begun"); do
        kill -0 "$p"
    done
}

# Whatever was killed: each child started once, ended once, succeeded as attempt 1, and one result
# of it was recorded.
each_once() {
    local r n=0
    : >"$dir/go"
    for r in $runs; do
        n=$((n + 1))
        await "run $n has ended" ended "$r"
        run lbctl show "$r" --json
        field .status succeeded
        field '[.events[] | select(.event == "assigned")] | length' 1
        field .outputs.rows "$n"
        [ "$(lbmon --event all --run "$r" --since 0 --until-now --json | jq -r .event | sort |
            uniq -c | awk '$2 == "result" || $2 == "evidence" {n += $1} END {print n}')" = 1 ]
    done
    [ "$(grep -c begin "$dir/witness")" -eq 3 ]
    [ "$(sed -n 's/^end 1 //p' "$dir/witness" | sort)" = "$(sort "$dir/begun")" ]
}

@test "promise 8: kill -9 of the worker: its children live on, and each outcome is reported once" {
    local old
    three_run
    old=$(cat "$demo/etl1.pid")
    kill9 etl1
    await "another worker is up" sh -c "[ \$(cat '$demo/etl1.pid') != $old ] &&
        lbctl servers etl1 --json | grep -q '\"state\":\"up\"'"
    all_live
    each_once
}

@test "promise 8: kill -9 of the runner: its children live on, and each outcome is reported once" {
    local old
    three_run
    old=$(runner_pid etl1)
    kill -9 "$old"
    await "another runner is there" sh -c "p=\$(head -n 1 '$demo/etl1/run/runner.lock' |
        tr -cd 0-9) && [ \$p != $old ] && kill -0 \$p"
    all_live
    each_once
}

@test "promise 8: kill -9 of worker and runner at once: children live on, each outcome comes once" {
    local old
    three_run
    old=$(runner_pid etl1)
    kill -9 "$(cat "$demo/etl1.pid")" "$old"
    await "another runner is there" sh -c "p=\$(head -n 1 '$demo/etl1/run/runner.lock' |
        tr -cd 0-9) && [ \$p != $old ] && kill -0 \$p"
    all_live
    each_once
}

@test "children that end while neither worker nor runner lives are each reported once, later" {
    three_run
    : >"$demo/etl1.stop" # the worker stays down until the test starts it
    kill -9 "$(cat "$demo/etl1.pid")" "$(runner_pid etl1)"
    await "nobody keeps it" gone "$(cat "$demo/etl1.keeper")"
    : >"$dir/go"
    await "all three have ended" sh -c "[ \$(grep -c end '$dir/witness') = 3 ]"
    for r in $runs; do # no process was there to report it
        [ "$(state_of "$r")" != ended ]
    done
    start_server etl1 --slots 220
    each_once
}

@test "a second worker under a live name is refused with the address of the first" {
    three_run
    server_home "$demo/twin"
    cp -rp "$demo/etl1/etc" "$demo/twin/etc"
    keep twin "$demo/twin" lbworker
    await "it is refused" grep -q "two workers under one name" "$demo/twin.log"
    grep "two workers under one name" "$demo/twin.log" |
        grep -q "server 'etl1' is live with another spool, from [^ ]*127\.0\.0\.1"
    halt twin
    lbctl servers etl1 --json | jq -e '.state == "up"'
    all_live
    each_once
}

@test "promise 1: 200 results that end while the broker is away, then a kill: each recorded once" {
    local gone_at
    mkfifo "$dir/pipe"
    python "$BATS_TEST_DIRNAME/many.py" start 200 package:quiet etl "dir=$dir" >"$dir/runs"
    await "200 children run" \
        sh -c "[ \$(lbctl runs --json -n 1000 | grep -c '\"state\":\"running\"') = 200 ]"
    kill9_for_good broker
    gone_at=$(date +%s)
    : >"$dir/pipe" # all readers find its end
    await "200 children have ended" sh -c "[ \$(wc -l <'$dir/ends') = 200 ]"
    kill9 etl1 # what keeps it starts another one
    # Long enough for every pause between two tries to have grown to its maximum: 0.5 s doubles up
    # to 30 s, and chance makes each half as long again at most (net/backoff.h).
    while [ $(($(date +%s) - gone_at)) -lt 48 ]; do sleep 1; done
    start_broker
    # The worker looks for it every 30 s by now.
    await_most=90 await "nothing is live any more" sh -c "[ -z \"\$(lbctl runs --json)\" ]"
    await "each is recorded once, as succeeded" stored_is "200|200|succeeded|succeeded" \
        "select count(*), count(distinct key), min(status), max(status) from job_history
         where job = 'package:quiet'"
    [ "$(lbmon --event all --job package:quiet --since 0 --until-now --json |
        jq -r 'select(.event == "result" or .event == "evidence") | .run' | sort | uniq -c |
        awk '$1 == 1' | wc -l)" -eq 200 ]
    [ "$(sort -u "$dir/ends" | wc -l)" -eq 200 ]
}
