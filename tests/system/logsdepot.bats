# What holders of keys try with the logs and packages of others: nothing of it is believed, and
# nothing of it costs others theirs.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo "$LB_PARAM_text"' \
        'parameters: {text: {type: string, required: true}}'
    deploy say etl
    join_principal anna 'call *@*' 'watch *@*' 'deploy *@*'
    join_principal dora 'call *@*' 'watch *@*' 'deploy other@etl1'
    join_server evil elsewhere
}
teardown_file() { end_cluster; }
setup() { enter; }

attempt() {
    python "$BATS_TEST_DIRNAME/logsdepot.py" "$1" "$demo" "${@:2}"
}

@test "output is taken only from the server that had the attempt, live, waiting or ended" {
    local ended waiting
    as anna call --wait package:say etl text=genuine
    ended=$(as anna lbctl history --json | jq -r .run)
    waiting=$(as anna call package:say elsewhere text=waits)
    attempt forged "$ended" "$waiting" 00000000-0000-4000-8000-000000000000
    run as anna lbctl logs "$ended"
    [[ "$output" == *genuine* && "$output" != *forged* ]]
    [ "$(grep -c "dropped output that 'evil' sent" "$demo/broker.log")" = 1 ]
}

@test "pieces of output without bytes take no room" { attempt empty; }

@test "a worker that sends more output than its credit is refused, one within it is not" {
    attempt credit
}

@test "one principal's readers of logs are few, and others are served" {
    attempt readers "$(as anna call package:say elsewhere text=followed)"
}

@test "manifest and signature of a package are written once" { attempt once; }

@test "one principal's uploads are few; they evict and spoil nobody's" { attempt uploads; }
