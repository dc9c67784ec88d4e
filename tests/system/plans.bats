# Parents: constraints of each kind and layer, what is skipped and why, values that flow, errors in
# a plan with their place, and the ways in which a parent is stopped.
load helpers

setup_file() {
    new_cluster etl1 etl2
    new_package do shell 'eval "$LB_PARAM_text"' 'parameters:
  text: {type: string, default: "exit 0"}
  n: {type: int, default: 0}
outputs: {rows: {type: int}}
exit_codes: {0: succeeded}'
    deploy do all
}
teardown_file() {
    # Left by a test that failed.
    tmux -S "$(cat "$BATS_FILE_TMPDIR/demo")/tmux" kill-server 2>/dev/null || true
    end_cluster
}
setup() { enter; }

# plan TEXT: submits it; its report (the last JSON line) in $report, lbsubmit's exit code in $status
plan() {
    printf '%s\n' "$1" >"$demo/plan.yaml"
    run lbsubmit "$demo/plan.yaml" --json
    report=$(grep '^{' <<<"$output" | tail -n 1)
}

task_is() { # task_is NAME WORD: the state or result of a task in the overview text
    grep -qE "^$1 +.* $2" <<<"$output" || {
        echo "task $1 is not '$2' in:"
        echo "$output"
        return 1
    }
}

# A shell without job control starts what is in the background with SIGINT ignored; a person's
# terminal does not.
interruptible() {
    exec env --default-signal=INT lbsubmit "$@"
}

ends_with() { # the exit code of $submit
    local rc=0
    wait "$submit" || rc=$?
    [ "$rc" -eq "$1" ] || {
        echo "lbsubmit ended with $rc, not $1"
        return 1
    }
}

overview() {
    printf '%s\n' "$1" >"$demo/plan.yaml"
    run lbsubmit "$demo/plan.yaml" --quiet
}

@test "success, failure, completion and called hold when they should; each skip has its reason" {
    overview 'parent: kinds
tasks:
  good: {package: do, pool: etl}
  bad: {package: do, pool: etl, parameters: {text: "echo broken >&2; exit 4"}, may_fail: true}
  after_success: {package: do, pool: etl, after: [{task: good, is: success}]}
  after_failure: {package: do, pool: etl, after: [{task: bad, is: failure}]}
  after_completion: {package: do, pool: etl, after: [{task: bad, is: completion}]}
  after_called: {package: do, pool: etl, after: [{task: bad, is: called}]}
  not_this: {package: do, pool: etl, after: [{task: bad, is: success}]}
  nor_this: {package: do, pool: etl, after: [{task: good, is: failure}]}
  nor_behind: {package: do, pool: etl, after: [{task: not_this, is: success}]}'
    [ "$status" -eq 0 ]
    for t in good after_success after_failure after_completion after_called; do
        task_is $t '1 of 1 succeeded'
    done
    task_is not_this "skipped: waits for success of 'bad', which failed"
    task_is nor_this "skipped: waits for failure of 'good', which succeeded"
    task_is nor_behind "skipped: waits for success of 'not_this', which was skipped"
}

@test "join: or needs one, and needs all" {
    overview 'parent: joins
tasks:
  good: {package: do, pool: etl}
  bad: {package: do, pool: etl, parameters: {text: "exit 4"}, may_fail: true}
  either:
    package: do
    pool: etl
    join: or
    after: [{task: good, is: success}, {task: bad, is: success}]
  both:
    package: do
    pool: etl
    join: and
    after: [{task: good, is: success}, {task: bad, is: success}]'
    [ "$status" -eq 0 ]
    task_is either '1 of 1 succeeded'
    task_is both skipped
}

@test "layers: a job that ends by quit-failure: the package succeeded, the job failed" {
    for s in etl1 etl2; do
        printf '%s\n' 'job: judged' 'steps:' \
            '  - {name: one, package: do, parameters: {text: "exit 4"}, on_failure: next}' \
            '  - {name: two, package: do, on_success: quit-failure}' \
            >"$demo/$s/etc/jobs/judged.yaml"
        await "$s offers the job" sh -c "lbctl servers $s --json | grep -q judged"
    done
    overview 'parent: layers
tasks:
  judged: {job: judged, pool: etl, may_fail: true}
  by_job: {package: do, pool: etl, after: [{task: judged, is: failure, layer: job}]}
  by_package: {package: do, pool: etl, after: [{task: judged, is: success}]}
  by_delivery: {package: do, pool: etl, after: [{task: judged, is: success, layer: delivery}]}
  not_this: {package: do, pool: etl, after: [{task: judged, is: success, layer: job}]}'
    [ "$status" -eq 0 ]
    for t in by_job by_package by_delivery; do task_is $t '1 of 1 succeeded'; done
    task_is not_this skipped
}

@test "outputs flow into parameters; for_each makes a child per item, each one on every server" {
    overview "parent: flows
tasks:
  count: {package: do, server: etl1, parameters: {text: 'echo rows=41 >>\"\$LB_OUTPUTS\"'}}
  use:
    package: do
    pool: etl
    parameters: {n: '{{task.count.outputs.rows}}', text: 'echo \"got \$LB_PARAM_n\" >$demo/got'}
    after: [{task: count, is: success}]
  many:
    package: do
    pool: etl
    for_each: {i: [1, 2, 3, 4]}
    parameters: {n: '{{i}}', text: 'echo \"\$LB_PARAM_n\" >>$demo/many'}
  all:
    package: do
    pool: etl
    each: true
    parameters: {text: 'echo \"\$LB_SERVER\" >>$demo/each'}"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(cat "$demo/got")" = "got 41" ]
    [ "$(sort "$demo/many" | tr '\n' ' ')" = "1 2 3 4 " ]
    [ "$(sort "$demo/each" | tr '\n' ' ')" = "etl1 etl2 " ]
}

@test "a parent with a failed task fails: exit 1, and the report says which and why" {
    plan 'parent: fails
tasks:
  bad:
    package: do
    pool: etl
    parameters:
      text: "echo succeeded no >/dev/null; echo failed no such table >\"$LB_RESULT\"; exit 4"'
    [ "$status" -eq 1 ]
    jq -e . <<<"$report" >/dev/null
    assert_has "no such table"
}

@test "a mistake in a plan says file, line and what to do; nothing is submitted" {
    before=$(lbctl history --parents --json -n 1000 | wc -l)
    cat >"$demo/wrong.yaml" <<'PLAN'
parent: wrong
variables:
  day: {type: dat}
tasks:
  load:
    package: do
    pool: etl
    after: [{task: extarct, is: success}]
  extract:
    package: do
    server: etl1
    pool: etl
  circle: {package: do, pool: etl, after: [{task: round, is: success}]}
  round: {package: do, pool: etl, after: [{task: circle, is: success}]}
PLAN
    run lbsubmit "$demo/wrong.yaml"
    [ "$status" -eq 2 ]
    assert_has "wrong.yaml:8:"
    assert_has "did you mean 'extract'?"
    assert_has "wrong.yaml:3:"
    assert_has "circle"
    [ "$(lbctl history --parents --json -n 1000 | wc -l)" -eq "$before" ]
}

@test "a duplicate key is refused, and both places are shown" {
    printf 'parent: twice\ntasks:\n  a: {package: do, pool: etl}\n  a: {package: do, pool: etl}\n' \
        >"$demo/twice.yaml"
    run lbsubmit "$demo/twice.yaml"
    [ "$status" -eq 2 ]
    assert_has "twice.yaml:4:"
}

@test "an unknown file, an unknown option and a missing required variable are refused" {
    run lbsubmit "$demo/none.yaml"
    [ "$status" -eq 2 ]
    run lbsubmit --nonsense
    [ "$status" -eq 2 ]
    run lbsubmit cancell 0199
    [ "$status" -eq 2 ]
    assert_has "did you mean 'cancel'"
    run lbsubmit attach x
    [ "$status" -eq 2 ]
    assert_has "unknown command 'attach'; the commands are cancel and join"
    lbsubmit help | grep -q 'cancel RUN'
    printf 'parent: a\ntasks: {a: {package: do, pool: etl, parameters: {text: {{day}}}}}\n' \
        >"$demo/unquoted.yaml"
    run lbsubmit "$demo/unquoted.yaml"
    [ "$status" -eq 2 ]
    assert_has 'put a placeholder into quotes'
    run lbsubmit --package do --pool etl --key ''
    [ "$status" -eq 2 ]
    assert_has "--key is empty"
    run lbsubmit "$demo/none.yaml" "$demo/two.yaml"
    [ "$status" -eq 2 ]
    assert_has "one plan at a time"
    printf '%s\n' 'parent: needs' 'variables: {day: {type: date, required: true}}' \
        'tasks: {a: {package: do, pool: etl}}' >"$demo/needs.yaml"
    run lbsubmit "$demo/needs.yaml"
    [ "$status" -eq 2 ]
    assert_has "day"
    run lbsubmit "$demo/needs.yaml" --set day=tomorrow
    [ "$status" -eq 2 ]
    run lbsubmit "$demo/needs.yaml" --set day=2026-11-21 --key "$(printf 'k%.0s' {1..201})"
    [ "$status" -eq 2 ]
    assert_has "--key: it has 201 bytes"
}

@test "a run for a server that does not exist is parked, reported at once and cancelled by Ctrl-C" {
    printf 'parent: nowhere\ntasks: {a: {package: do, server: etl9}}\n' >"$demo/nowhere.yaml"
    interruptible "$demo/nowhere.yaml" >"$demo/nowhere.out" 2>&1 3>&- &
    submit=$!
    await "it is said" grep -q "etl9" "$demo/nowhere.out"
    kill -INT "$submit"
    ends_with 1
}

@test "Ctrl-C cancels the children after saying so, and the parent ends as cancelled" {
    cat >"$demo/long.yaml" <<PLAN
parent: long
tasks:
  a:
    package: do
    pool: etl
    for_each: {i: [1, 2, 3]}
    parameters: {n: "{{i}}", text: "echo \$\$ >>$demo/long; exec sleep 97531"}
PLAN
    interruptible "$demo/long.yaml" >"$demo/long.out" 2>&1 3>&- &
    submit=$!
    await "three run" sh -c "test \"\$(wc -l <$demo/long)\" = 3"
    kill -INT "$submit"
    ends_with 1
    grep -q 'cancelling 3 children' "$demo/long.out"
    [ -z "$(pgrep -f '^sleep 97531$')" ]
}

@test "a run started with nohup goes on when its terminal is gone" {
    cat >"$demo/hup.yaml" <<PLAN
parent: hup
tasks:
  a:
    package: do
    pool: etl
    parameters:
      text: "echo \$\$ >$demo/hup; while [ ! -e $demo/hup-go ]; do sleep 0.05; done"
PLAN
    nohup lbsubmit "$demo/hup.yaml" >"$demo/hup.out" 2>&1 3>&- &
    submit=$!
    await "it runs" test -s "$demo/hup"
    kill -HUP "$submit"
    kill -INT "$submit" # a shell script's `lbsubmit ... &`, and Ctrl-C at the script
    lbctl runs >/dev/null
    : >"$demo/hup-go"
    ends_with 0
    run grep -c cancel "$demo/hup.out"
    [ "$output" = 0 ]
}

@test "a second Ctrl-C exits at once" {
    cat >"$demo/stubborn.yaml" <<PLAN
parent: stubborn
tasks:
  a:
    package: do
    pool: etl
    parameters:
      text: "trap : TERM; echo \$\$ >$demo/stubborn; while :; do sleep 0.1; done"
PLAN
    interruptible "$demo/stubborn.yaml" >"$demo/stubborn.out" 2>&1 3>&- &
    submit=$!
    await "it runs" test -s "$demo/stubborn"
    kill -INT "$submit"
    await "it says what it does" grep -q cancelling "$demo/stubborn.out"
    kill -INT "$submit"
    ends_with 130
    lbctl cancel "$(lbctl runs --json | jq -r .run | head -n 1)" --force --reason 'of the test'
}

# What is on the terminal of 80 by 24 that the test below opened.
screen() {
    tmux -u -S "$demo/tmux" capture-pane -p
}

screen_has() {
    screen | grep -q "$1"
}

@test "on a terminal each running child has a bar, with totals below; Ctrl-C typed there cancels" {
    cat >"$demo/live.yaml" <<PLAN
parent: live
tasks:
  a:
    package: do
    pool: etl
    for_each: {n: [1, 2, 3]}
    parameters:
      n: "{{n}}"
      text: |
        echo 50 half of it >"\$LB_PROGRESS"
        while [ ! -e $demo/enough ]; do sleep 0.05; done
PLAN
    env --default-signal=INT tmux -u -S "$demo/tmux" -f /dev/null new-session -d -x 80 -y 24 \
        "LONGBOAT_HOME=$LONGBOAT_HOME PATH='$PATH' lbsubmit $demo/live.yaml
        echo \"it ended with \$?\"; exec cat" 3>&-
    await "the third has its bar" screen_has '^  a\[3\] .*███.* 50% .*half of it'
    run screen
    [ "$(grep -c '^  a\[[1-3]\] .*███.* 50% .*half of it' <<<"$output")" -eq 3 ]
    grep -q '^live .*0 of 3 ended  3 running' <<<"$output"
    tmux -u -S "$demo/tmux" send-keys C-c
    await "it ends" screen_has 'it ended with 1'
    run screen
    not grep -q '███' <<<"$output"
    assert_has "cancelling 3 children"
    assert_has "parent live"
    tmux -u -S "$demo/tmux" kill-server
}

@test "a picture of more children than the screen has lines never reaches the terminal's history" {
    cat >"$demo/many.yaml" <<PLAN
parent: many
tasks:
  a:
    package: do
    pool: etl
    for_each: {n: [$(seq -s , 40)]}
    after: [{task: bad, is: completion}]
    parameters:
      n: "{{n}}"
      text: |
        while [ ! -e $demo/enough-\$LB_PARAM_n -a ! -e $demo/enough-of-many ]; do sleep 0.05; done
        [ ! -e $demo/enough-\$LB_PARAM_n ]
  bad: {package: do, pool: etl, parameters: {text: "exit 3"}}
PLAN
    env --default-signal=INT tmux -u -S "$demo/tmux" -f /dev/null new-session -d -x 80 -y 24 \
        "LONGBOAT_HOME=$LONGBOAT_HOME PATH='$PATH' lbsubmit $demo/many.yaml
        echo \"it ended with \$?\"; exec cat" 3>&-
    await "all are shown or counted" screen_has '^  ... and 19 more: '
    await "a second one is drawn" screen_has '^many  2'
    run screen
    [ "$(grep -c '^  a\[' <<<"$output")" -eq 21 ]
    touch "$demo/enough-1"
    await "a line goes above the picture" screen_has '^  ... and 18 more: '
    tmux -u -S "$demo/tmux" resize-window -x 60 -y 30
    await "it takes the lines that there are" screen_has '^  ... and 12 more: '
    touch "$demo/enough-of-many"
    await "it ends" screen_has 'it ended with 1'
    run tmux -u -S "$demo/tmux" capture-pane -p -S -
    not grep -qE '^many |and [0-9]+ more: |^  a.* running ' <<<"$output"
    [ "$(grep -cE '  (bad|a\[1\])  failed' <<<"$output")" -eq 2 ]
    tmux -u -S "$demo/tmux" kill-server
}

@test "the same --key never makes a second parent" {
    printf '%s\n' 'parent: once' 'tasks:' \
        "  a: {package: do, pool: etl, parameters: {text: 'echo x >>$demo/once'}}" \
        >"$demo/once.yaml"
    run lbsubmit "$demo/once.yaml" --key night-1
    [ "$status" -eq 0 ]
    run lbsubmit "$demo/once.yaml" --key night-1
    [ "$status" -eq 3 ]
    assert_has "lbctl show "
    [ "$(wc -l <"$demo/once")" -eq 1 ]
}
