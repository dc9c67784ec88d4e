# Calls: parameters in, outputs and verdicts out, times, cancel, output, and what becomes of calls
# that no server can take.
# One package, `do`, runs the text that it is given.
load helpers

setup_file() {
    new_cluster etl1
    new_package do shell 'eval "$LB_PARAM_text"' 'parameters:
  text: {type: string, required: true}
  count: {type: int, default: 7}
  day: {type: date, default: "{{as_of}}"}
  secret: {type: string, sensitive: true}
  tags: {type: json, default: {a: [1, 2]}}
outputs:
  rows: {type: int}
  note: {type: string}
exit_codes: {0: succeeded, 3: cancelled}'
    new_package quick shell 'echo $$ >"$LB_PARAM_file"; exec sleep 1000' \
        'parameters: {file: {type: string, required: true}}
limits: {timeout: 1s}'
    deploy do etl
    deploy quick etl
    # A child that ignores TERM takes its whole grace of 10 s: it starts now for the last test.
    call package:do etl "text=trap '' TERM; echo \$\$ >$demo/stubborn; while :; do sleep 1; done" \
        >"$demo/stubborn-run"
    await "the stubborn one runs" test -s "$demo/stubborn"
    lbctl cancel "$(cat "$demo/stubborn-run")" --reason 'to see whether it goes'
}
teardown_file() { end_cluster; }
setup() { enter; }

# do_now TEXT [NAME=VALUE...]: the outcome as JSON in $output
do_now() {
    local text=$1
    shift
    run call --wait package:do etl "text=$text" "$@"
}

@test "a call runs, and its three layers report success" {
    do_now 'echo hello'
    [ "$status" -eq 0 ]
    field .delivery called
    field .job succeeded
    field .package succeeded
    field .status succeeded
    field .server etl1
}

@test "parameters arrive in the environment and as typed JSON, with defaults" {
    do_now "cp \"\$LB_PARAMETERS\" $demo/parameters
        echo \"\$LB_PARAM_count/\$LB_PARAM_day/\$LB_RUN/\$LB_ATTEMPT/\$LB_AS_OF\" \
            >$demo/environment" count=12
    [ "$status" -eq 0 ]
    [ "$(jq -c '[.count, .tags.a, (.day | test("^20..-..-..$"))]' "$demo/parameters")" = \
        '[12,[1,2],true]' ]
    grep -qE "^12/20..-..-../[0-9a-f-]{36}/1/20..-..-..T" "$demo/environment"
}

@test "a child finds its user and a home, also when that user has no account" {
    local of user logname home work
    of=$(stat -c %u "$demo/etl1")
    do_now "echo \"\$USER|\$LOGNAME|\$HOME|\$LB_WORK\" >$demo/user"
    [ "$status" -eq 0 ]
    IFS='|' read -r user logname home work <"$demo/user"
    [ "$user" = "$(id -un "$of" 2>/dev/null || echo "$of")" ]
    [ "$logname" = "$user" ]
    if getent passwd "$of"; then
        [ "$home" = "$(getent passwd "$of" | cut -d: -f6)" ]
    else
        [ "$home" = "$work" ]
    fi
}

@test "a sensitive parameter is in the JSON file alone, which only the child's user reads" {
    do_now "cd $demo; "'env >env; tr "\0" " " </proc/$$/cmdline >cmd
        stat -c "%a %T" "$LB_PARAMETERS" >mode; stat -fc %T "$LB_PARAMETERS" >>mode
        jq -r .secret "$LB_PARAMETERS" >secret' secret=canary-4711
    [ "$status" -eq 0 ]
    [ "$(cat "$demo/secret")" = canary-4711 ]
    not grep -q canary-4711 "$demo/env" "$demo/cmd"
    grep -q '^400' "$demo/mode"
    grep -q tmpfs "$demo/mode"
    not grep -q canary-4711 "$demo/etl1.log" "$demo/broker.log"
}

@test "parameters with quotes, newlines, dollars and Unicode arrive as they were sent" {
    local odd=$'a "b" \'c\' $HOME `id` \\ \n zweite Zeile äöü €  end '
    python - "$demo" "$odd" "$BATS_TEST_DIRNAME" <<'END'
import sys
demo, odd, here = sys.argv[1:]
sys.path.insert(0, here)
from peer import lb
with lb.Client() as c:
    text = f"""printf %s "$LB_PARAM_secret$LB_PARAM_tags" >/dev/null
        jq -j .tags.v "$LB_PARAMETERS" >{demo}/odd; printf %s "$LB_PARAM_tags" >{demo}/odd-env"""
    run = c.call("package:do", "etl", {"text": text, "tags": {"v": odd}})
    o = c.wait(run, 20)
assert o["status"] == "succeeded", o
END
    [ "$(cat "$demo/odd"; echo x)" = "${odd}x" ]
    [ "$(jq -j .v "$demo/odd-env"; echo x)" = "${odd}x" ]
}

@test "missing, unknown and mistyped parameters are refused by name" {
    run call --wait package:do etl
    field .status refused
    field .code 21
    assert_has "'text'"
    run call --wait package:do etl text=true nonsense=1
    field .status refused
    assert_has nonsense
    run call --wait package:do etl text=true count=many
    field .status refused
    assert_has count
    run lbsubmit --package do --pool etl -p text=true -p count=many
    [ "$status" -eq 2 ]
    assert_has count
}

@test "outputs come back typed, from name=value or JSON lines" {
    do_now 'echo rows=48211 >>"$LB_OUTPUTS"; echo "{\"note\": \"two words\"}" >>"$LB_OUTPUTS"'
    [ "$status" -eq 0 ]
    field '.outputs.rows + 1' 48212
    field .outputs.note "two words"
}

@test "an output with a wrong type or an undeclared name fails the step, with the reason" {
    do_now 'echo rows=many >>"$LB_OUTPUTS"'
    field .package failed
    assert_has rows
    do_now 'echo other=1 >>"$LB_OUTPUTS"'
    field .package failed
    assert_has other
}

@test "an exit code means what the package says" {
    do_now 'exit 0'
    field .package succeeded
    do_now 'exit 3'
    field .package cancelled
    do_now 'echo "no such table" >&2; exit 4'
    [ "$status" -eq 1 ]
    field .package failed
    field .job failed
    field '.steps[0].exit_code' 4
    assert_has "no such table"
}

@test "a package's own verdict can make it worse, with its message" {
    do_now 'echo "failed the source was empty" >"$LB_RESULT"'
    field .package failed
    assert_has "the source was empty"
    do_now 'echo "succeeded all is well" >"$LB_RESULT"; exit 4'
    field .package failed
}

@test "a killed child has failed, and the signal is named" {
    do_now 'kill -SEGV $$'
    field .status failed
    field '.steps[0].signal' 11
}

@test "progress is visible while the child runs" {
    local r
    r=$(call package:do etl 'text=echo "42 loading orders" >"$LB_PROGRESS"
        while [ ! -e '"$demo"'/go ]; do sleep 0.05; done')
    await "progress shows" \
        sh -c "lbctl show $r --json | jq -e '.percent == 42 and .text == \"loading orders\"'"
    : >"$demo/go"
    await "it ends" ended "$r"
    rm "$demo/go"
}

@test "with --quiet a single call still says what went wrong" {
    run lbsubmit --package do --pool etl --quiet -p text='echo no such table >&2; exit 9'
    [ "$status" -eq 1 ]
    assert_has "failed on etl"
    assert_has "no such table"
    run lbsubmit --package do --server nowhere --quiet -p text=true --start-within 1s
    [ "$status" -eq 3 ]
    assert_has "parked: no server or pool is named 'nowhere'"
}

@test "with --follow and --json each state of a single call is an object, as is a refusal" {
    lbsubmit --package do --pool etl --follow --json -p text='exit 9' >"$demo/states" || true
    jq -es '.[0] == {v: 1, event: "state", run: .[0].run, at: .[0].at, state: "waiting"}' \
        "$demo/states"
    jq -es '.[-1] | .event == "result" and .job_outcome.steps[0].exit_code == 9' "$demo/states"
    lbsubmit --package do --pool etl --key taken -p text=true
    run lbsubmit --package do --pool etl --key taken -p text=true --json
    [ "$status" -eq 3 ]
    assert_has "a key makes one run only; see what it made with: lbctl show "
    jq -e '.event == "refused" and .refusal == "conflict"' <<<"$(grep '^{' <<<"$output")"
}

@test "a job that no server has waits, and a similar name is suggested" {
    run lbsubmit --package doo --pool etl --start-within 1s
    [ "$status" -eq 3 ]
    assert_has "no server in 'etl' has 'package:doo'; did you mean 'package:do'?"
}

@test "lbsubmit makes a single call and ends with its verdict" {
    run lbsubmit --package do --pool etl -p text='echo rows=5 >>"$LB_OUTPUTS"'
    [ "$status" -eq 0 ]
    assert_has rows=5
    run lbsubmit --package do --pool etl -p text='exit 9'
    [ "$status" -eq 1 ]
    run lbsubmit --package do --pool etl --json -p text='exit 9'
    [ "$status" -eq 1 ]
    jq -es '.[-1].status == "failed"' \
        <<<"$(lbsubmit --package do --pool etl --json -p text='exit 9' 2>/dev/null)"
}

@test "logs are the child's output, its two streams apart, even while it runs" {
    local r out
    r=$(call package:do etl \
        'text=echo one; echo two >&2; while [ ! -e '"$demo"'/go ]; do sleep 0.05; done; echo three')
    await "the first lines are there" sh -c "lbctl logs $r 2>/dev/null | grep -q one"
    lbctl logs "$r" -f >"$demo/followed" 2>"$demo/followed2" &
    : >"$demo/go"
    wait $!
    rm "$demo/go"
    [ "$(cat "$demo/followed")" = $'one\nthree' ]
    [ "$(cat "$demo/followed2")" = two ]
    lbctl logs "$r" --json | jq -e . >/dev/null
}

@test "one gigabyte printed is capped, the cut is marked with its size, and memory stays small" {
    local p peak r
    do_now 'head -c 1000000000 /dev/zero | tr "\0" x'
    [ "$status" -eq 0 ]
    r=$(jq -r .run <<<"$output")
    run lbctl show "$r" --json
    field '.job_outcome.steps[0].out_bytes' 1000000000
    field '.job_outcome.steps[0].cut_bytes > 900000000' true
    lbctl logs "$r" >"$demo/big" 2>&1
    [ "$(stat -c %s "$demo/big")" -lt 20000000 ]
    [ "$(stat -c %s "$demo/big")" -gt 10000000 ]
    grep -aq "stdout of step run is cut from here on" "$demo/big"
    grep -aqE "[0-9.]+ [MG]iB of stdout of step run were cut in all" "$demo/big"
    for p in "$(cat "$demo/broker.pid")" "$(cat "$demo/etl1.pid")" "$(runner_pid etl1)"; do
        peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$p/status")
        echo "$(tr '\0' ' ' <"/proc/$p/cmdline"): $peak KiB at most"
        [ "$peak" -lt 100000 ] || sanitized
    done
}

@test "a child that exceeds its timeout is ended as timed out" {
    run call --wait package:quick etl "file=$demo/quick"
    field .status timed_out
    field .job timed_out
    field '.steps[0].timed_out' true
    gone "$(cat "$demo/quick")"
    run call --wait --timeout 0.5 package:do etl "text=echo \$\$ >$demo/quick2; exec sleep 1000"
    field .status timed_out
    gone "$(cat "$demo/quick2")"
}

@test "cancel lets a run clean up, ends it and keeps the reason" {
    local r
    r=$(call package:do etl "text=trap 'echo clean >$demo/cleaned; exit 9' TERM
        echo \$\$ >$demo/polite; while :; do sleep 0.05; done")
    await "it runs" test -s "$demo/polite"
    lbctl cancel "$r" --reason 'wrong day'
    await "it has ended" ended "$r"
    [ "$(status_of "$r")" = cancelled ]
    [ "$(cat "$demo/cleaned")" = clean ]
    gone "$(cat "$demo/polite")"
    lbctl show "$r" | grep -q 'wrong day'
}

@test "cancel --force ends the whole tree: sessions of their own, orphans, deaf to TERM" {
    local r p
    r=$(call package:do etl "text=trap '' TERM HUP
        setsid sh -c 'trap \"\" TERM HUP; echo \$\$ >>$demo/tree
            setsid sleep 1000 & echo \$! >>$demo/tree; wait' &
        (setsid sh -c 'trap \"\" TERM HUP; echo \$\$ >>$demo/tree; sleep 1000; :' &)
        echo \$\$ >>$demo/tree; : >$demo/tree-ready; sleep 1000")
    await "the tree stands" sh -c "[ \$(wc -l <$demo/tree) = 4 ]"
    lbctl cancel "$r" --force --reason test
    await "it has ended" ended "$r"
    [ "$(status_of "$r")" = cancelled ]
    while read -r p; do
        gone "$p" || {
            echo "process $p lives: $(tr '\0' ' ' <"/proc/$p/cmdline")"
            return 1
        }
    done <"$demo/tree"
}

@test "what a child leaves behind ends with its step" {
    do_now "setsid sleep 1000 & echo \$! >$demo/left
        (setsid sh -c 'trap \"\" TERM; echo \$\$ >>$demo/left; sleep 1000; :' >/dev/null 2>&1 &)
        while [ \$(wc -l <$demo/left) -lt 2 ]; do sleep 0.02; done"
    [ "$status" -eq 0 ]
    while read -r p; do gone "$p"; done <"$demo/left"
}

@test "a run that is cancelled while it waits for a slot never starts" {
    local i r busy=()
    for i in 1 2 3 4; do
        busy+=("$(call package:do etl 'text=while [ ! -e '"$demo"'/go ]; do sleep 0.05; done')")
    done
    await "all slots are taken" sh -c "[ \"\$(lbctl servers etl1 --json | jq .running)\" -ge 3 ]"
    r=$(call package:do etl "text=: >$demo/never")
    lbctl cancel "$r" --reason test
    await "it has ended" ended "$r"
    [ "$(status_of "$r")" = cancelled ]
    : >"$demo/go"
    for i in "${busy[@]}"; do await "the others end" ended "$i"; done
    rm "$demo/go"
    [ ! -e "$demo/never" ]
}

@test "a server that does not exist is reported at once: in the state, by explain and on stderr" {
    local r
    r=$(call package:do nowhere text=true)
    [ "$(state_of "$r")" = parked ]
    run lbctl explain "$r"
    assert_has nowhere
    lbctl explain "$r" --json | jq -e . >/dev/null
    lbctl cancel "$r" --reason test
    run lbsubmit --package do --server nowhere -p text=true --start-within 1s
    [ "$status" -eq 3 ]
    assert_has nowhere
    run call --wait --start-within 0.5 package:do nowhere text=true
    field .status unreachable
    field .delivery unreachable
    field .job not_called
}

@test "a job that no server has is parked, explained server by server, and starts when it appears" {
    local r
    r=$(call job-to-come etl)
    [ "$(state_of "$r")" = parked ]
    run lbctl explain "$r"
    assert_has etl1
    assert_has job-to-come
    run lbctl runs --state parked --json
    assert_has "$r"
    printf 'job: job-to-come\nsteps:\n  - {name: only, subsystem: shell, run: "true"}\n' \
        >"$demo/etl1/etc/jobs/job-to-come.yaml"
    await "it runs when the job is there" ended "$r"
    [ "$(status_of "$r")" = succeeded ]
    lbctl show "$r" --json | jq -e '.called_at == (.events[] | select(.event == "called") | .at)'
}

@test "an expired call is refused, and one that expires while it waits never starts" {
    local r
    lbctl drain etl1 --reason test
    r=$(call --expires 1 package:do etl "text=: >$demo/expired")
    await "it has ended" ended "$r"
    lbctl undrain etl1 --reason test
    [ "$(status_of "$r")" = refused ]
    lbctl show "$r" | grep -qi expire
    [ ! -e "$demo/expired" ]
}

@test "the same key twice is one run; with another body it is a conflict" {
    local a b
    a=$(call --key only-once package:do etl "text=echo x >>$demo/once")
    await "it ends" ended "$a"
    run call --key only-once package:do etl "text=echo y >>$demo/once"
    [ "$status" -eq 3 ]
    assert_has only-once
    b=$(lbsubmit --key by-lbsubmit --package do --pool etl -p "text=echo z >>$demo/once" 2>&1 |
        grep -o '[0-9a-f-]\{36\}' | head -1)
    [ "$(cat "$demo/once")" = $'x\nz' ]
    [ -n "$b" ]
}

@test "a drained server ends what it has and gets nothing new; explain says why; undrain ends it" {
    local a b
    a=$(call package:do etl 'text=while [ ! -e '"$demo"'/go ]; do sleep 0.05; done')
    await "it runs" in_state "$a" running
    lbctl drain etl1 --reason 'new disk'
    b=$(call package:do etl text=true)
    run lbctl explain "$b"
    assert_has drain
    [ "$(lbctl servers etl1 --json | jq .draining)" = true ]
    : >"$demo/go"
    await "the first ends" ended "$a"
    [ "$(state_of "$b")" != ended ]
    lbctl undrain etl1
    await "the second runs" ended "$b"
    rm "$demo/go"
    lbmon --since 0 --until-now --event operated --json | grep -q 'new disk'
}

@test "history and runs take filters, and print only JSON with --json" {
    do_now 'exit 4'
    lbctl history --status failed --json | jq -es 'length > 0 and all(.[]; .status == "failed")'
    lbctl history --job package:quick --json |
        jq -es 'length > 0 and all(.[]; .job == "package:quick")'
    [ "$(lbctl history -n 2 --json | jq -s length)" = 2 ]
    [ -z "$(lbctl history --job no-such-job --json)" ]
    lbctl history | head -1 | grep -q '^run .*status .*job'
}

@test "every listing with --json is JSON, one object a line" {
    local r c
    r=$(call package:do nowhere text=true)
    do_now 'echo x'
    for c in "whoami" "servers" "servers etl1" "runs" "history" \
        "history --parents" "certificates list" "show $r" "explain $r" \
        "show $(last_run package:do)" "logs $(last_run package:do)"; do
        lbctl $c --json >"$demo/listing" || {
            echo "lbctl $c failed"
            return 1
        }
        jq -e 'type == "object"' <"$demo/listing" >/dev/null || [ ! -s "$demo/listing" ] || {
            echo "lbctl $c: $(cat "$demo/listing")"
            return 1
        }
    done
    lbmon --since 0 --until-now --event all --json | jq -es 'all(.[]; .v == 1)' >/dev/null
    lbpkg list --json | jq -e . >/dev/null
    lbpkg show "$demo/do.lbp" --json | jq -e . >/dev/null
    lbctl cancel "$r" --reason test
}

@test "usage errors end with exit code 2 and a sentence" {
    local c
    for c in "show" "show nonsense" "logs 0198" "cancel" "history --status nonsense" \
        "history -n 0" "servers --nonsense" "explain x y" "nonsense" "drain"; do
        run lbctl $c
        [ "$status" -eq 2 ] || {
            echo "lbctl $c: exit $status: $output"
            return 1
        }
        [ -n "$output" ]
    done
    local long odd=$'odd \xff'
    long=$(printf 'a%.0s' {1..5000})
    refused_at_once() {
        run timeout 20 "$@"
        [ "$status" -eq 2 ] || {
            echo "${*:0:80}: exit $status: ${output:0:400}"
            return 1
        }
    }
    for c in "$long" "$odd"; do
        refused_at_once lbctl cancel 0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10 --reason "$c"
        refused_at_once lbsubmit cancel 0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10 --reason "$c"
        refused_at_once lbctl drain "$c" --reason test
        refused_at_once lbctl certificates revoke "$c" --reason test
        refused_at_once lbctl store backup "$c"
        refused_at_once lbsubmit --job "$c" --pool etl
        refused_at_once lbsubmit --package "$c" --pool etl
        refused_at_once lbsubmit --package do --pool "$c"
        refused_at_once lbsubmit --package do --server "$c"
    done
    refused_at_once lbmon --until-now --since 1 --server "$odd"
    refused_at_once lbctl history --job "$odd"
    refused_at_once lbctl logs 0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10 --step "$long"
    refused_at_once lbpkg deploy "$demo/do.lbp" --to "$long"
    refused_at_once lbctl certificates renew "$(printf 'a%.0s' {1..70})"
    refused_at_once lbsubmit --package do --pool etl -p text=true --key "$long"
    run lbctl show 0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10
    [ "$status" -eq 3 ]
    run lbctl cancel 0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10
    [ "$status" -eq 3 ]
    run lbctl drain nowhere --reason test
    [ "$status" -eq 3 ]
    assert_has nowhere
}

@test "a child that ignores TERM is killed after its grace of 10 s" {
    local r
    r=$(cat "$demo/stubborn-run")
    await "it has ended" ended "$r"
    [ "$(status_of "$r")" = cancelled ]
    gone "$(cat "$demo/stubborn")"
    [ "$(lbctl show "$r" --json | jq '.job_outcome.steps[0].signal')" = 9 ]
}

@test "no slot has leaked and no process of a child is left" {
    [ "$(lbctl servers etl1 --json | jq -c '[.live, .running]')" = '[0,0]' ]
    run descendants "$(runner_pid etl1)"
    echo "$output"
    [ -z "$(grep -vE ' lb(runner|keeper|keeper-guard)$' <<<"$output")" ]
}
