# Every --json of every program against the published schemas (docs/schema), which allow only the
# members that they name.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'printf "%s\n" "$LB_PARAM_text"
        echo also >&2
        echo "40 saying" >"$LB_PROGRESS"
        echo "n=3" >>"$LB_OUTPUTS"
        echo "succeeded said $LB_PARAM_text" >"$LB_RESULT"' \
        'parameters: {text: {type: string, required: true}}
outputs: {n: {type: int}}'
    new_package fail shell 'echo going wrong >&2; exit 4'
    new_package hold shell 'echo "40 holding" >"$LB_PROGRESS"; touch "$LB_PARAM_mark"; sleep 600' \
        'parameters: {mark: {type: string, required: true}}'
    for p in say fail hold; do deploy "$p" etl; done
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
    lbsubmit "$demo/plan.yaml" --json >"$demo/plan.jsonl" 2>"$demo/plan.err" || true
    lbsubmit --package say --pool etl -p text=single -f --json >"$demo/single.jsonl" 2>/dev/null
    lbsubmit --package fail --pool etl -f --json >"$demo/failed.jsonl" 2>/dev/null || true
    lbsubmit --package hold --server etl1 -p mark="$demo/mark" --quiet >/dev/null 2>&1 3>&- &
    lbsubmit --package say --server nowhere -p text=parked --quiet >/dev/null 2>&1 3>&- &
    await "one runs" test -e "$demo/mark"
    await "one is parked" sh -c "lbctl runs --state parked --json | grep -q nowhere"
}
teardown_file() { end_cluster; }
setup() { enter; }

# holds KIND LEAST COMMAND...: each line that it prints is such an object, of which there are LEAST
holds() {
    local kind=$1 least=$2
    shift 2
    "$@" 2>"$demo/stderr" >"$demo/listing" || {
        echo "$*: exit $?: $(cat "$demo/stderr")"
        return 1
    }
    python "$BATS_TEST_DIRNAME/schema.py" "$kind" "$least" <"$demo/listing" || {
        echo "of: $*"
        return 1
    }
}

run_of() { # run_of STATE
    lbctl runs --state "$1" --json | head -n 1 | jq -r .run
}

@test "waiting, running and ended runs are the same kind of object in each listing" {
    holds run 2 lbctl runs --json
    holds run 5 lbctl history --json
    holds run 1 lbctl show "$(last_run package:say)" --json
    holds run 1 lbctl show "$(last_run package:fail)" --json
    holds run 1 lbctl show "$(run_of running)" --json
    holds run 1 lbctl show "$(run_of parked)" --json
}

@test "parents are the same kind of object everywhere, with their report" {
    holds parent 1 lbctl history --parents --json
    holds parent 1 lbctl show "$(lbctl history --parents -n 1 --json | jq -r .run)" --json
}

@test "each event follows its schema" {
    lbctl drain etl1 --reason test
    lbctl undrain etl1 --reason test
    lbctl cancel "$(run_of parked)" --reason test
    holds event 20 lbmon --event all --since 0 --until-now --json
    for e in called assigned started result cancel parent_begun parent_driven parent_ended server \
        operated deployed enrolled; do
        holds event 1 lbmon --event "$e" --since 0 --until-now --json
    done
}

@test "what lbsubmit prints for a plan and a call follows its schema" {
    holds submission 6 cat "$demo/plan.jsonl"
    holds submission 2 cat "$demo/single.jsonl"
    holds submission 2 cat "$demo/failed.jsonl"
    grep -q '"event":"report"' "$demo/plan.jsonl"
    grep -q '"event":"state"' "$demo/single.jsonl"
}

@test "servers, packages, certificates and whoami follow their schemas" {
    holds server 1 lbctl servers --json
    holds server 1 lbctl servers etl1 --json
    holds package 3 lbpkg list --json
    holds held-package 3 lbpkg list --servers --json
    holds package-file 1 lbpkg show "$demo/say.lbp" --json
    holds deployment 1 lbpkg deploy "$demo/say.lbp" --to etl --wait --json
    holds certificate 2 lbctl certificates list --json
    holds whoami 1 lbctl whoami --json
}

@test "the broker's counts follow their schema" {
    holds stats 1 lbctl stats --json
    holds principal 2 lbctl stats --principals --json
    lbctl stats | grep -q '^servers_up *1$'
    lbctl stats --principals | grep -q '^etl1 *1 '
}

@test "a draining server is draining in JSON as in text" {
    lbctl drain etl1 --reason 'new disk'
    holds server 1 lbctl servers --json
    lbctl servers etl1 --json | jq -e '.state == "draining"'
    lbctl servers | grep -q '^etl1 *draining'
    lbctl undrain etl1 --reason test
}

@test "explanations, output and problems of a package's folder follow their schemas" {
    local r
    lbsubmit --package say --server nowhere -p text=again --quiet >/dev/null 2>&1 3>&- &
    await "it is parked" sh -c "lbctl runs --state parked --json | grep -q nowhere"
    holds explanation 2 lbctl explain "$(run_of parked)" --json
    r=$(lbctl history --job package:say --status succeeded -n 1 --json | jq -r .run)
    holds log 2 lbctl logs "$r" --json
    mkdir -p "$demo/wrong"
    printf 'name: wrong\nversion: x1\nsubsystem: shell\nentry: main\n' >"$demo/wrong/package.yaml"
    lbpkg lint "$demo/wrong" --json >"$demo/problems" 2>/dev/null || true
    holds problem 1 cat "$demo/problems"
    lbctl cancel "$(run_of parked)" --reason test
    r=$(run_of running)
    lbctl cancel "$r" --force --reason test
    await "it has ended" ended "$r"
    holds run 1 lbctl show "$r" --json
}

@test "a schema rejects unknown members" {
    local check="$BATS_TEST_DIRNAME/schema.py"
    run sh -c 'lbctl whoami --json | jq -c ". + {extra: 1}" | /usr/bin/python3 "$0" whoami' "$check"
    [ "$status" -eq 1 ]
    assert_has "'extra' was unexpected"
    run sh -c 'lbctl whoami --json | jq -c "del(.role)" | /usr/bin/python3 "$0" whoami' "$check"
    [ "$status" -eq 1 ]
    assert_has "'role' is a required property"
}
