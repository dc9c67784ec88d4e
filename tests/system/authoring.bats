#!/usr/bin/env bats
# authoring.bats - what the author of a package meets: manifest, skeleton, cases, lint, build.
load helpers

setup_file() {
    new_demo
    enter
    # Packages do not run as root: then somebody else is their author.
    witness_folder "$demo/author"
}
teardown_file() { end_cluster; }
setup() { enter; }

@test "schema and reader of package.yaml have the same verdict, and the examples hold" {
    local -a manifests
    mapfile -d '' manifests < <(find "$top/examples" -name package.yaml -print0)
    [ "${#manifests[@]}" -gt 0 ]
    run python "$BATS_TEST_DIRNAME/manifests.py" "$demo/table" "${manifests[@]}"
    echo "$output"
    [ "$status" -eq 0 ]
}

# author COMMAND...: in $demo/author, as somebody who is not root
author() {
    (cd "$demo/author" && TMPDIR=$demo/author as author "$@")
}

@test "a new package of each kind passes its own cases, and one without its program is skipped" {
    local kind
    for kind in exec shell python sql ssis; do
        author lbpkg new "p$kind" --kind "$kind"
        run author lbpkg lint "p$kind"
        [ "$status" -eq 0 ]
        assert_has "0 errors, 0 warnings"
        run author lbpkg test "p$kind"
        echo "$output"
        [ "$status" -eq 0 ]
        assert_has " 0 failed"
    done
    PATH=/usr/bin:/bin command -v dtexec || assert_has "there is no program 'dtexec' here"
    run author lbpkg new pparent --kind parent
    [ "$status" -eq 2 ]
}

@test "a case that differs fails with each difference, in text, JSON and JUnit's XML" {
    mkdir "$demo/author/wrong"
    printf '%s\n' 'name: wrong' 'version: 1.0.0' 'subsystem: shell' 'entry: main' \
        'parameters: {n: {type: int, max: 9}}' 'outputs: {rows: {type: int}}' \
        'limits: {timeout: 1m}' >"$demo/author/wrong/package.yaml"
    printf '%s\n' 'echo "<rows> & more"; echo "rows=$LB_PARAM_n" >>"$LB_OUTPUTS"' \
        '[ "$LB_PARAM_n" -ne 8 ] || exec sleep 600' \
        'echo "failed too many" >"$LB_RESULT"; exit 4' >"$demo/author/wrong/main"
    cat >"$demo/author/wrong/tests.yaml" <<'END'
cases:
  - {name: as it is, parameters: {n: 3}, expect: {outcome: failed, exit_code: 4,
     message: too many, message_matches: "to+ many", outputs: {rows: 3}, output_has: "<rows>"}}
  - {name: otherwise, parameters: {n: 3}, expect: {exit_code: 0, message: x, outputs: {rows: 4},
     output_has: nothing}}
  - {name: it hangs, parameters: {n: 8}, timeout: 1s}
  - {name: out of range, parameters: {n: 10}, expect: {outcome: refused}}
  - {name: nowhere, needs_command: no-such-program}
END
    run author lbpkg test wrong --junit "$demo/author/results.xml"
    echo "$output"
    [ "$status" -eq 1 ]
    assert_has "it has failed, not succeeded: too many"
    assert_has "the exit code is 4, not 0"
    assert_has "the message is 'too many', not 'x'"
    assert_has "the output rows is 3, not 4"
    assert_has "the output does not have 'nothing'"
    assert_has "it was stopped after 1.0s, the timeout of the case"
    assert_has "2 passed, 2 failed, 1 skipped"
    python - "$demo/author/results.xml" <<'END'
import sys
import xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
assert [suite.get(k) for k in ("tests", "failures", "skipped")] == ["5", "2", "1"], suite.attrib
cases = {c.get("name"): c for c in suite}
assert "<rows> & more" in cases["otherwise"].find("system-out").text
assert "the exit code is 4" in cases["otherwise"].find("failure").get("message")
assert cases["nowhere"].find("skipped") is not None and cases["as it is"].find("failure") is None
END
    author lbpkg test wrong --json >"$demo/cases" || [ $? -eq 1 ]
    python "$BATS_TEST_DIRNAME/schema.py" case 5 <"$demo/cases"
    run author lbpkg test wrong -k 'as it'
    [ "$status" -eq 0 ]
    assert_has "1 passed, 0 failed, 0 skipped"
    run author lbpkg test wrong -k none-such
    [ "$status" -eq 2 ]
    rm "$demo/author/wrong/tests.yaml"
    run author lbpkg test wrong
    [ "$status" -eq 2 ]
    assert_has "tests.yaml' is not there"
    printf 'cases: [{name: a, parameters: {m: 1}, expect: {exit: 1}}]\n' \
        >"$demo/author/wrong/tests.yaml"
    run author lbpkg test wrong
    [ "$status" -eq 3 ]
    assert_has "wrong/tests.yaml:1:32: the package has no parameter 'm'"
    assert_has "unknown key 'exit'"
    run ls "$demo/author"
    case $output in *lbpkg-run-*) return 1 ;; esac
}

@test "lint warns of what fails elsewhere, with path, line and column" {
    mkdir -p "$demo/author/loose/bin"
    printf '%s\n' 'name: loose' 'version: 1.0.0' 'subsystem: shell' 'entry: main.sh' \
        >"$demo/author/loose/package.yaml"
    printf 'set -eu\nrm -rf $LB_PARAM_dir/x\npsql -c "$LB_PARAM_dir"\n' \
        >"$demo/author/loose/main.sh"
    printf '#!/bin/sh\r\n:\r\n' >"$demo/author/loose/bin/tool"
    : >"$demo/author/loose/a b"
    run author lbpkg lint loose
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "loose/package.yaml:1:1: no limits.timeout"
    assert_has 'loose/main.sh:2:8: $LB_PARAM_dir is outside of quotes'
    assert_has "loose/main.sh:3: uses 'psql', and no need names it"
    assert_has "loose/bin/tool:1: the #! line ends with CR LF"
    assert_has "loose/bin/tool:1: it has a #! line and is not executable"
    assert_has "loose/a b: the name 'a b' is not portable"
    assert_has "0 errors, 6 warnings"
}
