# lbctl drain --wait: it ends when nothing runs on the server any more, shows what still does, and
# whatever ends the waiting, the server goes on draining. Restarts of worker and runner lose no long
# child, also while it drains.
load helpers

setup_file() {
    new_cluster etl1
    new_package child shell 'echo begin >>"$LB_PARAM_dir/witness"
echo "40 holding" >"$LB_PROGRESS"
while [ ! -e "$LB_PARAM_dir/go" ]; do sleep 0.05; done
echo end >>"$LB_PARAM_dir/witness"' 'parameters:
  dir: {type: string, required: true}'
    deploy child etl
}
teardown_file() { end_cluster; }
setup() {
    enter
    dir=$demo/of-$BATS_TEST_NUMBER
    witness_folder "$dir"
    witness_file "$dir/witness"
}
teardown() {
    : >"$dir/go"
    lbctl undrain etl1 >/dev/null
}

one_runs() { # $live
    live=$(call package:child etl1 "dir=$dir")
    await "it runs" grep -q begin "$dir/witness"
}

# drains [OPTIONS...]: waits in the background: $drain
drains() {
    lbctl drain etl1 --wait "$@" >"$dir/out" 2>"$dir/err" 3>&- &
    drain=$!
    await "it says what is there" grep -q "etl1: 1 still there" "$dir/err"
}

@test "drain --wait ends when nothing is there any more" {
    one_runs
    drains --reason "new disk"
    kill -0 "$drain"
    lbctl servers etl1 --json | jq -e '.draining and .draining_reason == "new disk"'
    parked=$(call package:child etl1 "dir=$dir") # it waits for the undraining
    : >"$dir/go"
    wait "$drain"
    grep -qx "etl1 is drained: nothing runs there" "$dir/out"
    [ "$(status_of "$live")" = succeeded ]
    [ "$(grep -c begin "$dir/witness")" -eq 1 ]
    lbctl undrain etl1
    await "what has waited runs now" ended "$parked"
}

@test "drain --wait of an idle server ends at once, and says so in JSON" {
    run lbctl drain etl1 --wait --json
    [ "$status" -eq 0 ]
    lbctl drain etl1 --wait --json 2>/dev/null | python "$BATS_TEST_DIRNAME/schema.py" drain 1
    lbctl drain etl1 --wait --json 2>/dev/null | jq -e '.drained and .draining and .runs == []'
}

@test "after its time drain --wait fails and lists what is still there" {
    one_runs
    run lbctl drain etl1 --wait --timeout 1s
    [ "$status" -eq 1 ]
    assert_has "1 still there; etl1 goes on draining"
    assert_has "package:child"
    assert_has "running"
    lbctl drain etl1 --wait --timeout 1s --json 2>/dev/null >"$dir/json" || [ $? -eq 1 ]
    python "$BATS_TEST_DIRNAME/schema.py" drain 1 <"$dir/json"
    jq -e --arg run "$live" '.drained == false and .live == 1 and .runs[0].run == $run' "$dir/json"
    lbctl drain etl1 --json 2>/dev/null | jq -e '.live == 1' # without waiting
    lbctl servers etl1 --json | jq -e .draining
}

@test "an interrupted drain --wait leaves the server draining, and says so" {
    one_runs
    # a shell that is not interactive lets what runs in the background ignore SIGINT
    python -c 'import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(["lbctl", "drain", "etl1", "--wait"], stderr=subprocess.PIPE, text=True)
assert "1 still there" in "".join(p.stderr.readline() for _ in range(2))
p.send_signal(signal.SIGINT)
out = p.stderr.read()
print(out)
sys.exit(p.wait() != 130 or "interrupted" not in out or "lbctl undrain etl1" not in out)'
    lbctl servers etl1 --json | jq -e .draining
    in_state "$live" running
}

@test "a server that somebody undrains meanwhile is not waited for" {
    one_runs
    drains
    lbctl undrain etl1
    local code=0
    wait "$drain" || code=$?
    [ "$code" -eq 1 ]
    grep -q "undrained meanwhile" "$dir/err"
}

@test "drain --wait goes on while broker, worker and runner are started again, and loses no child" {
    local old
    one_runs
    drains
    kill9 broker
    await "the broker is back" lbctl whoami
    old=$(runner_pid etl1)
    kill -9 "$(cat "$demo/etl1.pid")" "$old"
    await "another runner is there" sh -c "p=\$(head -n 1 '$demo/etl1/run/runner.lock' |
        tr -cd 0-9) && [ \$p != $old ] && kill -0 \$p"
    await "the server is back" sh -c "lbctl servers etl1 --json | grep -q '\"session\":\"up\"'"
    kill -0 "$drain"
    : >"$dir/go"
    wait "$drain"
    grep -qx "etl1 is drained: nothing runs there" "$dir/out"
    [ "$(status_of "$live")" = succeeded ]
    [ "$(grep -c begin "$dir/witness")" -eq 1 ]
    [ "$(grep -c end "$dir/witness")" -eq 1 ]
}

@test "what was asked wrongly is said" {
    run lbctl drain etl1 --timeout 5s
    [ "$status" -eq 2 ]
    assert_has "--timeout is for --wait"
    run lbctl drain nowhere --wait
    [ "$status" -eq 3 ]
    assert_has "no server is named 'nowhere'"
}
