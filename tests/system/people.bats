# What people see and type: short ids, pages that fit, local times, errors that name the remedy.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo "$LB_PARAM_text"; echo "succeeded $LB_PARAM_text" >"$LB_RESULT"' \
        'parameters: {text: {type: string, required: true}}'
    new_package fail shell 'echo going wrong >&2; exit 4'
    deploy say etl
    deploy fail etl
    join_principal bob 'call *@etl'
    cat >"$demo/plan.yaml" <<END
parent: nightly
tasks:
  load:
    package: say
    pool: etl
    for_each: {text: [orders, lines]}
    parameters: {text: "{{text}}"}
  break: {package: fail, pool: etl, may_fail: true}
  never: {package: say, pool: etl, parameters: {text: x}, after: [{task: break, is: success}]}
END
    lbsubmit --package say --pool etl -p text="$(printf 'a long message %.0s' {1..20})" --quiet
    lbsubmit "$demo/plan.yaml" --quiet >/dev/null 2>&1 || true
    lbsubmit --package say --server nowhere -p text=parked --quiet >/dev/null 2>&1 3>&- &
    await "one is parked" sh -c "lbctl runs --state parked --json | grep -q nowhere"
}
teardown_file() { end_cluster; }
setup() { enter; }

parent_run() {
    lbctl history --parents -n 1 --json | jq -r .run
}

@test "a run is named by the end of its id, and by last and last-failed" {
    local whole
    whole=$(last_run package:fail)
    lbctl show "${whole: -8}" --json | jq -e --arg r "$whole" '.run == $r'
    lbctl show "${whole: -6}" --json | jq -e --arg r "$whole" '.run == $r'
    lbctl show last-failed --json | jq -e --arg r "$whole" '.run == $r'
    lbctl history --parent "$(parent_run | tail -c 9)" --json | jq -es 'length == 3'
    lbmon --parent "$(parent_run | tail -c 9)" --since 0 --until-now --json | jq -es 'length == 3'
    lbctl history | grep -q "^${whole: -8}  failed"
    run lbctl show 00000000
    [ "$status" -eq 3 ]
    assert_has "no run whose id ends in '00000000'"
    run lbctl show nightly
    [ "$status" -eq 2 ]
    assert_has "'nightly' is not a run: give an id, the last 6 or more digits"
}

@test "no line of a listing is wider than the page" {
    local c width wide verb
    export LC_ALL=POSIX # a byte is a column
    for width in 60 80 132; do
        for c in runs history "history --parents" servers "servers etl1" "certificates list" \
            "show last-failed" "show $(parent_run)" "explain $(lbctl runs --json | jq -r .run)"; do
            wide=$(COLUMNS=$width lbctl $c 2>/dev/null | awk -v w=$width 'length > w')
            [ -z "$wide" ] || {
                echo "lbctl $c at $width columns: $wide"
                return 1
            }
        done
        [ -z "$(COLUMNS=$width lbpkg list | awk -v w=$width 'length > w')" ]
        wide=$(COLUMNS=$width lbmon --since 0 --until-now --event all |
            awk -v w=$width 'length > w')
        [ -z "$wide" ]
    done
    for c in lbctl lbpkg; do
        for verb in $($c --help | sed -n '/^Commands:/,/^Examples:/s/^  \([a-z]*\) .*/\1/p'); do
            wide=$($c help "$verb" | awk 'length > 80')
            [ -z "$wide" ] || {
                echo "$c $verb --help: $wide"
                return 1
            }
        done
    done
    for c in lbbroker "lbbroker rotate" lbworker "lbworker join" "lbworker check" \
        "lbworker rotate" "lbworker run-job" lbrunner lbunpack lbparse lbtmp lbsubmit lbmon; do
        wide=$($c --help | awk 'length > 80')
        [ -z "$wide" ] || {
            echo "$c --help: $wide"
            return 1
        }
    done
}

@test "show of a parent has its tasks, its children and why a task was skipped" {
    run lbctl show "$(parent_run)"
    [ "$status" -eq 0 ]
    assert_has "load[orders]"
    assert_has "2 of 2 succeeded"
    assert_has "0 of 1 succeeded (may fail)"
    assert_has "skipped: "
    assert_has "2 of 3 children succeeded"
}

@test "a page names its time zone once, and --utc changes it" {
    local r
    r=$(last_run package:fail)
    [ "$(TZ=CET-1 lbctl show "$r" | grep -c CET)" = 1 ]
    [ "$(TZ=CET-1 lbctl show "$r" --utc | grep -c UTC)" = 1 ]
    TZ=CET-1 lbctl history | head -n 1 | grep -q 'ended (CET)'
    TZ=CET-1 lbmon --since 0 --until-now 2>&1 >/dev/null | grep -q 'times in CET'
}

@test "history takes durations, days and times, from and until" {
    local now
    lbctl history --since 1h --json | jq -es 'length > 0'
    lbctl history --since "$(date +%F)" --json | jq -es 'length >= 0'
    now=$(date '+%F %T')
    [ -z "$(lbctl history --until '2020-01-01' --json)" ]
    lbctl history --since '2020-01-01 09:14' --until "${now% *} 23:59:59" --json |
        jq -es 'length > 0'
    run lbctl history --since tomorrow
    [ "$status" -eq 2 ]
    assert_has "--since: 'tomorrow' is not a time"
}

@test "a truncated listing says so, and how to go on" {
    local i
    for i in $(seq 52); do call package:say etl text=n >/dev/null; done
    await "they have ended" sh -c "[ \$(lbctl history -n 100 --json | wc -l) -gt 52 ]"
    run lbctl history
    assert_has "stopped after 50 rows; -n COUNT shows more; --until '"
    local until
    until=$(sed -n "s/.*--until '\(.*\)'.*/\1/p" <<<"$output")
    [ "$(lbctl history --until "$until" -n 1 --json | jq -r .ended_at)" = \
        "$(lbctl history -n 50 --json | jq -sr '.[-1].ended_at')" ]
    [ "$(lbctl history -n 100 2>&1 >/dev/null)" = "" ]
}

@test "logs of a run without output say why" {
    run lbctl logs "$(lbctl runs --state parked --json | jq -r .run)"
    [ "$status" -eq 1 ]
    assert_has "has not started: it is parked; lbctl explain"
    run lbctl logs last-failed --step nosuch
    [ "$status" -eq 2 ]
    assert_has "package:fail has no step 'nosuch' (steps: run)"
    [ "$(lbctl logs last-failed 2>&1 >/dev/null)" = "going wrong" ]
}

@test "an error names what is missing, whose home this is, and the grant that is needed" {
    run lbctl show
    [ "$status" -eq 2 ]
    assert_has "RUN is missing; usage: lbctl show RUN"
    run lbctl runs x
    [ "$status" -eq 2 ]
    assert_has "unexpected argument 'x'"
    run lbctl histroy
    [ "$status" -eq 2 ]
    assert_has "unknown command 'histroy' (did you mean 'history'?)"
    run as etl1 lbctl servers
    [ "$status" -eq 3 ]
    assert_has "$demo/etl1 belongs to server 'etl1'"
    run as etl1 lbmon --until-now
    [ "$status" -eq 3 ]
    assert_has "belongs to server 'etl1'"
    run as etl1 lbsubmit --package say --pool etl -p text=x
    [ "$status" -eq 3 ]
    assert_has "$demo/etl1 belongs to server 'etl1'"
    run as etl1 lbsubmit "$demo/plan.yaml"
    [ "$status" -eq 3 ]
    assert_has "$demo/etl1 belongs to server 'etl1'"
    run as etl1 lbsubmit cancel 4b3c2d10
    assert_has "$demo/etl1 belongs to server 'etl1'"
    run as bob lbctl servers
    [ "$status" -eq 3 ]
    assert_has "lbctl certificates renew bob --grant 'watch *@all'"
    run as bob lbpkg deploy "$demo/say.lbp" --to etl
    [ "$status" -eq 3 ]
    assert_has "lbctl certificates renew bob --grant 'deploy say@etl'"
}

@test "lbmon takes parent for all events of parents, and lists the valid names on an error" {
    lbmon --event parent --since 0 --until-now --json | jq -rs 'map(.event) | unique | join(" ")' |
        grep -qx 'parent_begun parent_driven parent_ended'
    run lbmon --event parents --until-now
    [ "$status" -eq 2 ]
    assert_has "parent_begun, parent_driven, parent_ended"
}

@test "without a locale of UTF-8 a page is ASCII" {
    not sh -c "COLUMNS=80 LC_ALL=POSIX lbctl history -n 200 | grep -qP '[^\x00-\x7f]'"
    COLUMNS=80 LC_ALL=C.UTF-8 lbctl history -n 200 | grep -q '…'
}

@test "show of a parent counts what was skipped for each cause, and has what failed first" {
    local i task
    task='{package: say, pool: etl, parameters: {text: x}, after: [{task: %s, is: success}]}'
    {
        printf 'parent: wide\ntasks:\n  good: {package: say, pool: etl, parameters: {text: x}}\n'
        printf '  root: {package: fail, pool: etl}\n'
        printf "  t1: $task\n" root
        for i in $(seq 2 40); do
            printf "  t%d: $task\n" "$i" "t$((i - 1))"
        done
    } >"$demo/wide.yaml"
    lbsubmit "$demo/wide.yaml" --quiet >/dev/null 2>&1 || true
    COLUMNS=80 lbctl show last >"$demo/wide"
    [ "$(grep -c 'skipped because root failed' "$demo/wide")" -eq 1 ]
    grep -qx '40 tasks skipped because root failed (t1, t2, t3, ...)' "$demo/wide"
    sed -n '/^tasks/,$p' "$demo/wide" | sed -n 3p | grep -q '^root '
    [ -z "$(awk 'length > 80' "$demo/wide")" ]
    lbctl show last --json | jq -e '[.report.tasks[] | select(.state == "skipped")] | length == 40'
}

@test "an empty listing says whether there is nothing, or whether the asker may see nothing" {
    local c
    for c in "lbctl runs" "lbctl history" "lbctl history --parents" \
        "lbmon --since 0 --until-now"; do
        run as bob $c
        [ "$status" -eq 0 ]
        assert_has "'bob' sees only the runs that they started (grants: call *@etl)"
        assert_has "lbctl certificates renew bob --grant 'watch *@all'"
    done
    for c in runs history; do
        run lbctl $c --server nope
        [ "$status" -eq 3 ]
        assert_has "no server 'nope' is known"
    done
    run lbmon --server nope --since 0 --until-now
    assert_has "no server 'nope' is known"
    run lbctl runs --state ended
    [ "$status" -eq 0 ]
    assert_has "lbctl history lists those that have"
    run lbctl history --since 2026-02-01 --until 2026-01-01
    [ "$status" -eq 2 ]
    assert_has "--since is not before --until"
    run lbctl servers etl
    [ "$status" -eq 2 ]
    assert_has "'etl' is a pool; lbctl servers --pool etl"
    run lbctl show ''
    [ "$status" -eq 2 ]
    assert_has "an argument is empty"
}

@test "cancel and explain say what a parent is, and what has ended is named with its end" {
    local parent r
    cat >"$demo/waits.yaml" <<END
parent: waits
tasks:
  one: {package: say, server: nowhere, parameters: {text: x}}
END
    lbsubmit "$demo/waits.yaml" --quiet >"$demo/waits" 2>&1 3>&- &
    await "its child is parked" sh -c "lbctl runs --state parked --json | grep -q waits"
    parent=$(lbctl history --parents -n 1 --json | jq -r .run)
    run lbctl cancel "$parent"
    [ "$status" -eq 3 ]
    assert_has "$parent is a parent: it is cancelled by Ctrl-C at the lbsubmit that drives it"
    assert_has "lbctl runs --parent $parent"
    run lbctl explain "$parent"
    [ "$status" -eq 2 ]
    assert_has "this is a parent; lbctl runs --parent"
    kill -9 $!
    await "nobody drives it" sh -c "lbctl show $parent | grep -q 'driven by *nobody'"
    run lbctl cancel "$parent"
    assert_has "a parent that nobody drives"
    r=$(lbctl runs --parent "$parent" --json | jq -r .run)
    lbctl show "$parent" | grep -q '0 of them succeeded; 1 under way'
    lbctl show "$r" | grep -q "lbctl explain ${r: -8} says for what it waits"
    lbctl cancel "$r"
    await "it has ended" ended "$r"
    run lbctl cancel "$r"
    [ "$status" -eq 0 ]
    assert_has "run $r had already ended: cancelled"
}

@test "what many children of a task are refused for is said once, and counted" {
    cat >"$demo/denied.yaml" <<END
parent: denied
tasks:
  a: {package: say, pool: dwh, for_each: {text: [a, b, c, d, e]}, parameters: {text: "{{text}}"}}
END
    run as bob lbsubmit "$demo/denied.yaml"
    [ "$status" -ne 0 ]
    assert_has "... and 4 more of a refused for the same reason"
    [ "$(grep -c '^[0-9:]\{8\} .*refused' <<<"$output")" -eq 1 ]
}
