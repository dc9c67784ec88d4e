# Monitoring: monitors get every event once and in order, whatever happens to the broker.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell \
        'printf "%s\n" "$LB_PARAM_text"; printf "succeeded %s" "$LB_PARAM_text" >"$LB_RESULT"' \
        'parameters: {text: {type: string, required: true}}'
    new_package fail shell 'echo going wrong >&2; exit 4'
    deploy say etl
    deploy fail etl
    join_principal watcher 'watch package:say@etl'
    lbsubmit --package say --pool etl -p text=first --quiet
    lbsubmit --package fail --pool etl --quiet || true
}
teardown_file() { end_cluster; }
setup() { enter; }

@test "lbmon shows results, and each filter selects what it names" {
    run lbmon --since 0 --until-now
    assert_has "package:say"
    assert_has "text=first"
    assert_has "succeeded"
    assert_has "exit"
    run lbmon --since 0 --until-now --status failed --json
    [ "$(jq -r .status <<<"$output" | sort -u)" = failed ]
    run lbmon --since 0 --until-now --job package:say --json
    [ "$(jq -r .job <<<"$output" | sort -u)" = package:say ]
    run lbmon --since 0 --until-now --server nowhere --json
    [ -z "$output" ]
    run lbmon --since 1h --until-now --event operated --json
    [ "$status" -eq 0 ]
}

@test "a result in JSON has the three layers, the steps and who called" {
    run lbmon --since 0 --until-now --job package:fail --json
    field .event result
    field .delivery.state called
    field .job_outcome.state failed
    field .package.state failed
    field '.job_outcome.steps[0].exit_code' 4
    field .by administrator
    field .v 1
}

@test "a principal that may watch one job sees the events of no other" {
    run as watcher lbmon --since 0 --until-now --event all --json
    [ "$status" -eq 0 ]
    [ "$(jq -r 'select(.job != null) | .job' <<<"$output" | sort -u)" = package:say ]
}

@test "an invalid --since is refused with what it takes" {
    run lbmon --since yesterday
    [ "$status" -eq 2 ]
    assert_has "'yesterday' is not a time: give a duration (2h), a day (2026-11-20)"
}

@test "a number that no event has yet is refused" {
    run lbmon --since 999999999999 --until-now
    [ "$status" -eq 2 ]
    assert_has "no event has the number 999999999999 yet: the newest is"
}

@test "output lost to a full disk is reported as a failure; a reader that has gone is fine" {
    local c
    printf 'parent: full\ntasks: {a: {package: say, pool: etl, parameters: {text: x}}}\n' \
        >"$demo/full.yaml"
    for c in "lbmon --since 0 --until-now" "lbmon --since 0 --until-now --json" \
        "lbsubmit $demo/full.yaml --json" "lbsubmit --package say --pool etl -p text=x --json"; do
        run sh -c "$c >/dev/full"
        [ "$status" -eq 1 ] || {
            echo "$c: exit $status: $output"
            return 1
        }
        assert_has "standard output does not have all of it: No space left on device"
        run sh -c "{ $c; echo \$? >$demo/code; } 2>/dev/null | head -n 0"
        [ "$(cat "$demo/code")" = 0 ]
    done
}

@test "a filter that can match nothing is refused, with a suggestion" {
    run lbmon --event resutl --until-now
    [ "$status" -eq 2 ]
    assert_has "did you mean 'result'"
    run lbmon --status fialed --until-now
    [ "$status" -eq 2 ]
    assert_has "unknown status 'fialed' (did you mean 'failed'?)"
    run lbmon --run 123 --until-now
    [ "$status" -eq 2 ]
    assert_has "'123' is not a run"
    run lbctl history --status fialed
    [ "$status" -eq 2 ]
    assert_has "unknown status 'fialed' (did you mean 'failed'?)"
    run lbctl runs --state runing
    [ "$status" -eq 2 ]
    assert_has "unknown state 'runing' (did you mean 'running'?)"
    run lbctl runs --state nonsense
    [ "$status" -eq 2 ]
    assert_has "(waiting, parked, handed_over, running, out_of_contact, cancelling, held, ended)"
    run lbctl servers --pool elt
    [ "$status" -eq 3 ]
    assert_has "no server of pool 'elt'"
}

@test "a monitor sees every result once and in order while the broker is killed again and again" {
    start=$(lbmon --since 0 --until-now --event all --json | tail -n 1 | jq .seq)
    lbmon --since "$start" --json >"$demo/seen" 2>"$demo/seen.err" 3>&- &
    monitor=$!
    for i in 1 2 3; do
        for j in 1 2 3 4 5; do
            lbsubmit --package say --pool etl -p "text=$i-$j" --quiet
        done
        kill9 broker
    done
    await "the broker is back" lbctl whoami
    lbsubmit --package say --pool etl -p text=last --quiet
    await "the monitor has the last" grep -q '"last"' "$demo/seen"
    kill "$monitor"
    jq -r .parameters.text "$demo/seen" >"$demo/texts"
    { for i in 1 2 3; do for j in 1 2 3 4 5; do echo "$i-$j"; done; done; echo last; } |
        diff - "$demo/texts"
    jq .seq "$demo/seen" | sort -nuc
}

@test "lbmon says when the broker stops answering, and when it answers again" {
    kill9_for_good broker
    lbmon --since 0 >"$demo/quiet.out" 2>"$demo/quiet.err" 3>&- &
    local monitor=$!
    await "it says so" grep -q 'lbmon: broker .* does not answer' "$demo/quiet.err"
    start_broker
    await "it answers again" grep -q 'answers again' "$demo/quiet.err"
    await "and goes on" test -s "$demo/quiet.out"
    kill "$monitor"
    [ "$(grep -c 'does not answer' "$demo/quiet.err")" = 1 ]
}

@test "while the broker is down, lbsubmit names the addresses that it tries and what is wrong" {
    mkdir "$demo/elsewhere"
    cp -r "$demo/admin/etc" "$demo/elsewhere/"
    printf 'brokers: ["nobody.invalid:7411", "127.0.0.1:1"]\n' >"$demo/elsewhere/etc/client.yaml"
    as elsewhere lbsubmit --package say --pool etl 2>"$demo/down.err" 3>&- &
    local submit=$!
    await "it says so" grep -q 'does not answer' "$demo/down.err"
    kill "$submit"
    grep -q 'nobody.invalid:7411: the name does not resolve; 127.0.0.1:1: connection refused' \
        "$demo/down.err"
}

@test "logs are followed while the child runs, over a restart of the broker" {
    new_package slow shell 'i=0
while [ $i -lt 12 ]; do
    i=$((i + 1)); echo line $i; [ $i -ne 3 ] || : >"$LB_PARAM_mark"; sleep 0.2
done' 'parameters: {mark: {type: string, required: true}}'
    deploy slow etl
    lbsubmit --package slow --pool etl -p mark="$demo/mark" \
        --json >"$demo/slow.json" 2>/dev/null 3>&- &
    await "it runs" test -e "$demo/mark"
    run_id=$(lbctl runs --job package:slow --json | jq -r .run)
    lbctl logs "$run_id" -f >"$demo/slow.log" 2>&1 3>&- &
    logs=$!
    await "its first lines are here" grep -q 'line 3' "$demo/slow.log"
    kill9 broker
    await "its last line is here" grep -q 'line 12' "$demo/slow.log"
    wait "$logs"
    [ "$(grep -c '^line ' "$demo/slow.log")" -eq 12 ]
}

@test "history, show and servers answer in JSON that programs can read" {
    lbctl history --json | jq -e .run >/dev/null
    lbctl show "$(last_run package:say)" --json | jq -e .status >/dev/null
    lbctl servers --json | jq -e .server >/dev/null
    lbctl servers etl1 --json | jq -e '.packages | length > 0' >/dev/null
    lbctl certificates list --json | jq -e .serial >/dev/null
    lbctl whoami --json | jq -e .name >/dev/null
}

@test "output that cannot be written is a failure, but a reader that has gone is not" {
    local verb
    for verb in "servers" "history --json" "whoami" "--help" "servers --help" "--version"; do
        run sh -c "lbctl $verb 2>&1 >/dev/full"
        echo "lbctl $verb: $status $output"
        [ "$status" -eq 1 ]
        assert_has "cannot write to standard output: No space left on device"
    done
    run sh -c '{ lbctl history --json 2>&1 >&3; echo "$?" >&2; } 3>&1 2>"$1" | true; cat "$1"' \
        sh "$demo/code"
    [ "$output" = 0 ]
}

@test "what is too long for one answer is left out and named" {
    local r
    new_package long shell 'true' \
        'parameters: {text: {type: string, required: true, from_file: true}}'
    deploy long etl
    # As JSON each of these characters takes six bytes.
    r=$(PYTHONPATH=$BATS_TEST_DIRNAME python -c '
import uuid
from peer import lb
with lb.Client() as c:
    run = c.call("package:long", "etl", {"text": "\x01" * 200000}, expires_in=3600)
    print(uuid.UUID(bytes=run))')
    await "it has ended" ended "$r"
    run lbctl show "$r"
    assert_has "succeeded"
    assert_has "left out      parameters (too long to be shown)"
    lbctl history --job package:long --json | jq -e '.status == "succeeded"'
    lbctl show "$r" --json | jq -e '.left_out == ["parameters"]'
    lbmon --event result --run "$r" --since 0 --until-now --json |
        jq -e '.status == "succeeded" and .left_out == ["parameters"]'
}
