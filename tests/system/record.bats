# What is on record of a run, and its output: whole, in order, without secrets.
load helpers

setup_file() {
    new_cluster etl1
    new_package talk shell "$(cat <<'END'
printf 'one\n'; sleep 0.1; printf 'two\n' >&2; printf 'three\n'; sleep 0.1
printf 'caf\303'; sleep 0.2; printf '\251 \033[3'; sleep 0.2; printf '1mred\033[0m \377\n'
END
)"
    new_package leak shell "$(cat <<'END'
password=$(sed 's/.*"password": *"\([^"]*\)".*/\1/' "$LB_PARAMETERS")
printf 'pw=%s;' "$password"; printf '%s' "$password" | cut -c 1-4 | tr -d '\n' >&2; sleep 0.2
printf '%s' "$password" | cut -c 5- >&2
echo "failed could not log in with $password" >"$LB_RESULT"; exit 3
END
)" 'parameters: {password: {type: string, required: true, sensitive: true}}'
    new_package bar shell 'printf "\033[32m10%%\r50%%\rerror: no such table\033[0m\n\n" >&2; exit 4'
    new_package left shell 'setsid sleep 300 & one=$!; sleep 300 & two=$!
for p in $one $two; do until [ "$(cat /proc/$p/comm)" = sleep ]; do :; done; done; echo begun' \
        'parameters: {day: {type: string, default: monday}}'
    new_package tries shell 'echo "try $LB_TRY"; echo "warn $LB_TRY" >&2; [ "$LB_TRY" = 2 ]'
    for p in talk leak bar left tries; do deploy "$p" etl; done
}
teardown_file() { end_cluster; }
setup() { enter; }

run_package() { # run_package NAME [OPTIONS...]: $ran
    local name=$1
    shift
    lbsubmit --package "$name" --pool etl "$@" --quiet >/dev/null 2>&1 || true
    ran=$(last_run "package:$name")
}
step() { # step PATH: of the first step
    lbctl show "$ran" --json | jq -r ".job_outcome.steps[0]$1"
}

@test "characters and escape sequences are whole in every object, and only bad bytes are replaced" {
    run_package talk
    lbctl logs "$ran" --json >"$demo/pieces"
    python "$BATS_TEST_DIRNAME/schema.py" log 4 <"$demo/pieces"
    [ "$(jq -rj 'select(.stream == "stdout") | .text' "$demo/pieces")" = \
        "$(printf 'one\nthree\ncaf\303\251 \033[31mred\033[0m \357\277\275\n')" ]
    not grep -q '\\u001b\[3"' "$demo/pieces"
    [ "$(lbctl logs "$ran" 2>/dev/null | od -c)" = \
        "$(printf 'one\nthree\ncaf\303\251 \033[31mred\033[0m \377\n' | od -c)" ]
}

@test "standard output and standard error come in the order in which they were written" {
    run_package talk
    [ "$(lbctl logs "$ran" 2>&1 | sed -n '1,3p' | tr '\n' ' ')" = "one two three " ]
}

@test "a sensitive value is masked in output, message and store, wherever it is cut" {
    run_package leak -p password=hunter22-s3cr3t
    lbctl logs "$ran" >"$demo/leak" 2>&1
    grep -q 'pw=\*\*\*\*\*\*\*\*\*\*\*\*\*\*\*;' "$demo/leak"
    not grep -q 'hunt\|s3cr3t' "$demo/leak"
    [ "$(step .package.message)" = "could not log in with ***************" ]
    grep -raq 'pw=\*\*\*' "$demo/broker/var" # of this folder the next line says something
    not grep -raq 's3cr3t' "$demo/broker/var/logs"
    grep -raq 'could not log in with \*\*\*' "$demo/broker/var/broker"
    not grep -raq 'in with hunter22' "$demo/broker/var/broker"
}

@test "the message of a failure is the error behind the progress bar, without colours" {
    run_package bar
    [ "$(step .package.message)" = "exit 4: error: no such table" ]
}

@test "how a step was run is on record, also what it left over" {
    run_package left
    lbctl show "$ran" --json | python "$BATS_TEST_DIRNAME/schema.py" run 1
    [ "$(step .execution.host)" = "$(uname -n)" ]
    [ "$(step .execution.subsystem)" = shell ]
    [ "$(step .execution.left_over)" = 2 ]
    [ "$(step '.execution.left_over_names | unique | join(" ")')" = sleep ]
    [ "$(step .execution.limits.output_bytes)" = 16777216 ]
    step '.execution.environment[]' | grep -qx LB_PARAM_day
    step .execution.folder | grep -q /
    [ "$(step '.execution.groups | type')" = array ]
    run lbctl show "$ran"
    assert_has "2 processes, ended: sleep, sleep"
    assert_has "LB_PARAM_day"
    assert_has "subsystem shell, on host $(uname -n)"
    wide=$(LC_ALL=POSIX COLUMNS=80 lbctl show "$ran" | awk 'length > 80')
    [ -z "$wide" ]
}

@test "what is on record outlives a restart of the broker" {
    run_package left
    kill9 broker
    await "the broker is back" lbctl whoami
    [ "$(step .execution.left_over)" = 2 ]
}

@test "two runs are compared: only what differs is printed" {
    run_package left
    local first=$ran
    run_package left -p day=tuesday
    run lbctl show "$first" --diff "$ran"
    [ "$status" -eq 0 ]
    assert_has "parameters.day"
    assert_has "tuesday"
    not grep -q 'environment\|subsystem\|job_hash\|uid' <<<"$output"
    lbctl show "$first" --diff "$ran" --json >"$demo/differences"
    python "$BATS_TEST_DIRNAME/schema.py" difference 1 <"$demo/differences"
    jq -es 'any(.[]; .what == "parameters.day" and .second == "tuesday")' "$demo/differences"
    run_package talk
    lbctl show "$first" --diff "$ran" --json | jq -es \
        'any(.[]; .what == "step run.environment" and .first == ["LB_PARAM_day"] and .second == [])'
    run lbctl show "$first" --diff "$first"
    [ "$output" = "nothing that is on record differs" ]
}

@test "output is searched, limited to a time or a try, and shown with its times" {
    run_package talk
    [ "$(lbctl logs "$ran" --grep '^t(wo|hree)$' 2>/dev/null)" = three ]
    [ "$(lbctl logs "$ran" --grep '^two$' 2>&1)" = two ]
    lbctl logs "$ran" --times 2>/dev/null | head -n 1 | grep -Eq \
        '^[0-9]{4}-[0-9-]{5} [0-9:]{8}\.[0-9]{3} one$'
    lbctl logs "$ran" --grep 'no such text' --json | jq -es 'length == 0'
    [ -z "$(lbctl logs "$ran" --since 2999-01-01 2>/dev/null)" ]
    [ "$(lbctl logs "$ran" --since 1h 2>/dev/null | head -n 1)" = one ]
    run lbctl logs "$ran" --grep '('
    [ "$status" -eq 2 ]
    assert_has "--grep: '(' is not a regular expression"
    run lbctl logs "$ran" --since yesterday
    [ "$status" -eq 2 ]
}

@test "output that the limit cuts is said on standard error, not in the child's" {
    new_package flood shell 'head -c 5000 /dev/zero | tr "\0" x; echo; echo end >&2' \
        'limits: {output: 1000}'
    deploy flood etl
    run_package flood
    [ "$(lbctl logs "$ran" 2>/dev/null | wc -c)" -le 1000 ]
    not grep -q cut <<<"$(lbctl logs "$ran" 2>/dev/null)"
    lbctl logs "$ran" 2>&1 >/dev/null | grep -q "is cut from here on"
    lbctl logs "$ran" --json | jq -es 'map(select(.cut and .text == "")) | length > 0'
}

@test "how the step of a failed run was run fits on a screen of 80 by 24, below its events" {
    run_package bar
    COLUMNS=80 lbctl show "$ran" | tail -n 23 >"$demo/screen"
    for word in 'step run, try 1: failed, exit code 4' package command user under folder limits \
        protected environment; do
        grep -q "^ *$word" "$demo/screen" || {
            echo "no '$word' in:"
            cat "$demo/screen"
            return 1
        }
    done
    grep -q '^  command  *[^ ]*sh .*\$LB_PACKAGE/main$' "$demo/screen"
    [ "$(grep -c 'no such table' "$demo/screen")" = 0 ] # that is the run's message
}

@test "of a second try only what differs from the first is shown" {
    cat >"$demo/etl1/etc/jobs/again.yaml" <<'END'
job: again
steps:
  - name: first
    package: tries
    retry: {attempts: 2, interval: 50ms}
END
    await "the job is there" sh -c "lbctl servers etl1 --json | grep -q again"
    lbsubmit --job again --pool etl --quiet >/dev/null
    run lbctl show "$(last_run again)"
    [ "$(grep -c '^step first, try ' <<<"$output")" = 2 ]
    [ "$(grep -c '^  command ' <<<"$output")" = 1 ]
    [ "$(grep -c '^  otherwise  *as the step above$' <<<"$output")" = 1 ]
}

@test "runs of two servers are compared by how they were run, not by what always differs" {
    local first
    join_server etl2 other
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl2/etc/trust/signers"
    start_server etl2
    deploy talk other
    run_package talk
    first=$ran
    lbsubmit --package talk --pool other --quiet >/dev/null 2>&1
    ran=$(last_run package:talk)
    lbctl show "$first" --diff "$ran" >"$demo/differences"
    cat "$demo/differences"
    [ "$(awk -F '  +' '{print $1}' "$demo/differences" | tr '\n' ';')" = \
        "what;address;server;step run.folder;" ]
    lbctl show "$first" --diff "$ran" --json | jq -es 'any(.[]; .what == "step run.argv")'
}
