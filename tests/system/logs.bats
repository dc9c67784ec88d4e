# Logs of many children at once, and what is said of output that is no longer kept.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo "begin $LB_PARAM_text"; echo "warn $LB_PARAM_text" >&2
printf "end %s" "$LB_PARAM_text"' 'parameters: {text: {type: string, required: true}}'
    new_package fail shell 'echo going wrong >&2; exit 4'
    new_package slow shell 'echo "begin $LB_PARAM_text"
while [ ! -e "$LB_PARAM_until" ]; do sleep 0.05; done; echo "end $LB_PARAM_text"' \
        'parameters: {text: {type: string, required: true}, until: {type: string, required: true}}'
    for p in say fail slow; do deploy "$p" etl; done
    cat >"$demo/plan.yaml" <<END
parent: nightly
tasks:
  first: {package: say, pool: etl, parameters: {text: one}}
  load:
    package: say
    pool: etl
    for_each: {text: [orders]}
    parameters: {text: "{{text}}"}
    after: [{task: first, is: success}]
  more:
    package: say
    pool: etl
    for_each: {text: [lines]}
    parameters: {text: "{{text}}"}
    after: [{task: load, is: success}]
  break: {package: fail, pool: etl, may_fail: true, after: [{task: more, is: success}]}
  never: {package: say, pool: etl, parameters: {text: x}, after: [{task: break, is: success}]}
END
    lbsubmit "$demo/plan.yaml" --quiet >"$demo/submitted" 2>&1 || true
    cat "$demo/submitted"
    lbctl history --parents -n 1 --json | jq -r .run >"$demo/parent"
}
teardown_file() { end_cluster; }
setup() {
    enter
    parent=$(cat "$demo/parent")
}

@test "logs of a parent are those of its children, in the order in which they began, with names" {
    lbctl logs "$parent" >"$demo/out" 2>"$demo/err"
    diff - "$demo/out" <<'END'
first        | begin one
first        | end one
load[orders] | begin orders
load[orders] | end orders
more[lines]  | begin lines
more[lines]  | end lines
END
    diff - "$demo/err" <<'END'
first        | warn one
load[orders] | warn orders
more[lines]  | warn lines
break        | going wrong
END
}

@test "logs of a parent are searched, limited, timed, and read by programs as those of a run are" {
    [ "$(lbctl logs "$parent" --grep '^(end o|warn l)' 2>&1 | tr -s ' ' | tr '\n' ';')" = \
        "first | end one;load[orders] | end orders;more[lines] | warn lines;" ]
    [ -z "$(lbctl logs "$parent" --since 2999-01-01 2>&1)" ]
    [ "$(lbctl logs "$parent" --since 1h 2>/dev/null | wc -l)" -eq 6 ]
    lbctl logs "$parent" --times 2>/dev/null | head -n 1 | grep -Eq \
        '^[0-9]{4}-[0-9-]{5} [0-9:]{8}\.[0-9]{3} first        \| begin one$'
    lbctl logs "$parent" --json >"$demo/pieces"
    python "$BATS_TEST_DIRNAME/schema.py" log 10 <"$demo/pieces"
    [ "$(jq -r .child "$demo/pieces" | uniq | tr '\n' ' ')" = \
        "first load[orders] more[lines] break " ]
    [ "$(lbctl logs "$parent" --step run 2>/dev/null | wc -l)" -eq 6 ]
    [ -z "$(lbctl logs "$parent" --step nosuch 2>&1)" ]
}

@test "of many children the first ones are shown, and how to see more is said" {
    run lbctl logs "$parent" --children 2
    [ "$status" -eq 0 ]
    assert_has "load[orders] | end orders"
    not grep -q lines <<<"$output"
    assert_has "these are 2 of its children; --children N shows more"
}

@test "logs of a parent are followed until it has ended, also of children that begin meanwhile" {
    cat >"$demo/slow.yaml" <<END
parent: slowly
tasks:
  a: {package: slow, pool: etl, parameters: {text: a, until: $demo/go-a}}
  b: {package: slow, pool: etl, parameters: {text: b, until: $demo/go-b}}
  c: {package: say, pool: etl, parameters: {text: c}, after: [{task: a, is: success}]}
END
    lbsubmit "$demo/slow.yaml" --quiet >/dev/null 2>&1 3>&- &
    await "they are running" sh -c \
        "lbctl runs --json | jq -es 'map(.state) == [\"running\", \"running\"]'"
    lbctl logs last -f >"$demo/followed" 2>&1 3>&- &
    local logs=$!
    await "the one is followed" grep -q '^a | begin a' "$demo/followed"
    await "and the other" grep -q '^b | begin b' "$demo/followed"
    : >"$demo/go-a"
    await "so is the next" grep -q '^c | end c' "$demo/followed"
    not grep -q 'end b' "$demo/followed"
    : >"$demo/go-b"
    wait "$logs"
    [ "$(sort "$demo/followed" | tr '\n' ';')" = \
        "a | begin a;a | end a;b | begin b;b | end b;c | begin c;c | end c;c | warn c;" ]
}

@test "a parent whose children have not started has no output, and says where to look" {
    printf 'parent: waits\ntasks: {a: {package: say, server: etl9, parameters: {text: x}}}\n' \
        >"$demo/waits.yaml"
    lbsubmit "$demo/waits.yaml" --quiet >/dev/null 2>&1 3>&- &
    await "its child is parked" sh -c "lbctl runs --state parked --json | grep -q etl9"
    run lbctl logs last
    [ "$status" -eq 1 ]
    assert_has "this is a parent, and none of its children has started; lbctl show"
    lbctl cancel "$(lbctl runs --state parked --json | jq -r .run)"
}

@test "output older than logs_retention is dropped, which logs, stats and events say" {
    local run_id
    run_id=$(last_run package:fail)
    [ "$(lbctl logs "$run_id" 2>&1)" = "going wrong" ]
    kill9_for_good broker
    start_broker --logs-retention 1s
    await "it is dropped" sh -c "lbctl stats --json | jq -e '.logs_dropped_age_bytes > 0'"
    run lbctl logs "$run_id"
    [ "$status" -eq 1 ]
    [ "${lines[0]}" = "[12 B of stderr of step run are missing here: they were not kept]" ]
    [[ ${lines[1]} == "[output of etl1 up to "*" was dropped: older than logs_retention]" ]]
    [ "${#lines[@]}" -eq 2 ]
    run lbctl logs "$run_id" --json
    [ "$status" -eq 1 ]
    python "$BATS_TEST_DIRNAME/schema.py" log 1 <<<"$output"
    jq -e '.missing == 12 and (.why | endswith("older than logs_retention"))' <<<"$output"
    run lbctl logs "$parent"
    assert_has "break        | [12 B of stderr of step run are missing here"
    await "an event says so" stored_is 1 \
        "SELECT count(*) FROM events WHERE event = 'dropped' AND note LIKE 'logs of etl1%retention'"
}
