# How the system tests themselves are run: what fails once is run once more and reported; what
# always fails, fails the run.

setup() {
    top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    files=$BATS_TEST_TMPDIR/"some files"
    mkdir "$files"
}

# file NAME [BODY...]: a bats file with one test for each body, called "test 1" and so on.
file() {
    local name=$1 body number=0
    shift
    for body in "$@"; do
        number=$((number + 1))
        printf '@test "test %s" {\n%s\n}\n' "$number" "$body"
    done >"$files/$name.bats"
}

# What passes from the second time on; NAME is its own.
once() {
    local f=$files/$1
    printf '[ -e "%s" ] || { : >"%s"; echo "the disk hiccups"; false; }' "$f" "$f"
}

run_files() { # run_files [VARIABLE=VALUE...]: all files; $status and $output are run.sh's
    # Nothing of the bats that runs this: neither its variables nor its folder of inner programs.
    run env -i PATH="$(tr ':' '\n' <<<"$PATH" | grep -v libexec | paste -sd:)" \
        TMPDIR="$BATS_TEST_TMPDIR" LB_BIN=/nowhere "$@" \
        "$top/tests/system/run.sh" "$files"/*.bats
    echo "$output"
}

@test "passing tests are counted, and nothing runs twice" {
    file good "echo . >>'$files/ran'" true
    file skips "skip 'not on this machine'"
    run_files
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "system: 3 passed, 0 failed" ]
    [ "$(wc -l <"$files/ran")" -eq 1 ]
    ! grep -q "flaky\|once more" <<<"$output"
}

@test "a test that fails once is flaky: the run stays green and says so with the failure" {
    file wavers true "$(once a)" true
    file good true
    run_files
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "system: 4 passed, 0 failed" ]
    grep -q '^flaky: wavers.bats: test 2 (.*the disk hiccups)$' <<<"$output"
}

@test "a test that fails twice has failed" {
    file bad true 'echo "no luck"; false'
    file good true
    run_files
    [ "$status" -eq 1 ]
    [ "${lines[-1]}" = "system: 2 passed, 1 failed" ]
    ! grep -q '^flaky:' <<<"$output"
}

@test "a test that fails only the second time is flaky, too" {
    file both "$(once a)" "[ ! -e '$files/b' ] || false; : >'$files/b'"
    run_files
    [ "$status" -eq 0 ]
    [ "$(grep -c '^flaky: both.bats: test' <<<"$output")" -eq 2 ]
    [ "${lines[-1]}" = "system: 2 passed, 0 failed" ]
}

@test "three flaky tests pass, four fail the run" {
    file three "$(once a)" "$(once b)" "$(once c)"
    run_files
    [ "$status" -eq 0 ]
    rm "$files"/?
    file one "$(once d)"
    run_files
    [ "$status" -eq 1 ]
    [ "$(grep -c '^flaky:' <<<"$output")" -eq 4 ]
    [ "${lines[-1]}" = "system: 0 passed, 4 failed" ]
}

@test "nothing is repeated with LB_ONCE" {
    file wavers "$(once a)" true
    run_files LB_ONCE=1
    [ "$status" -eq 1 ]
    [ "${lines[-1]}" = "system: 1 passed, 1 failed" ]
}

@test "a file that hangs once is flaky, one that always hangs has failed" {
    file slow true "[ -e '$files/a' ] || { : >'$files/a'; sleep 60; }"
    run_files LB_SECONDS=3
    [ "$status" -eq 0 ]
    grep -q '^flaky: slow.bats: the file as a whole (it did not end in time)$' <<<"$output"
    [ "${lines[-1]}" = "system: 2 passed, 0 failed" ]
    file slow true 'sleep 60'
    run_files LB_SECONDS=1
    [ "$status" -eq 1 ]
    [ "${lines[-1]}" = "system: 1 passed, 1 failed" ]
}

@test "a file's setup that fails once is flaky, one that always fails has failed" {
    file sets true true
    printf 'setup_file() {\n%s\n}\n' "$(once a)" >>"$files/sets.bats"
    run_files
    [ "$status" -eq 0 ]
    grep -q '^flaky: sets.bats: setup_file failed' <<<"$output"
    [ "${lines[-1]}" = "system: 2 passed, 0 failed" ]
    printf 'setup_file() { false; }\n' >>"$files/sets.bats"
    run_files
    [ "$status" -eq 1 ]
    [ "${lines[-1]}" = "system: 0 passed, 1 failed" ]
}

@test "a file that is not a valid test has failed" {
    echo '@test "half a test" {' >"$files/half.bats"
    run_files
    [ "$status" -eq 1 ]
    grep -q '^system: [0-9]* passed, 1 failed$' <<<"$output"
}
