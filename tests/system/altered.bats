#!/usr/bin/env bats
# altered.bats - a child that shares its user with packages, runner and worker: what it can do is
# what docs/security.md says, and an altered package does not run.

load helpers

setup_file() { new_cluster etl1; }
teardown_file() { end_cluster; }
setup() { enter; }

@test "a package that another's child has altered is refused, and installed anew" {
    new_package say shell 'echo as built'
    new_package evil shell 'for f in '"$demo"'/etl1/var/packages/*/files/main; do
        if grep -q "as built" "$f" && ! grep -q evil "$f"; then
            chmod 755 "$f"; echo "echo altered" >"$f"; fi; done'
    deploy say etl1
    deploy evil etl1
    lbsubmit --package say --server etl1
    lbsubmit --package evil --server etl1
    run lbsubmit --package say --server etl1
    assert_has "'files/main' of the package was altered after it was installed"
    run lbctl logs "$(last_run package:say)"
    not grep -q altered <<<"$output"
    await "the package is installed anew" lbsubmit --package say --server etl1
    run lbctl logs "$(last_run package:say)"
    [ "$output" = "as built" ]
}

@test "in user mode a child gains what the page says and no more" {
    new_package hostile python "$(cat "$BATS_TEST_DIRNAME/hostilechild.py")"
    sed -i "s|^home, memory = .*|home, memory = '$demo/etl1', '/dev/shm/none'|" \
        "$demo/src-hostile/main"
    lbpkg build "$demo/src-hostile" -o "$demo/hostile.lbp" && lbpkg sign "$demo/hostile.lbp"
    deploy hostile etl1
    lbsubmit --package hostile --server etl1 || :
    run lbctl logs "$(last_run package:hostile)"
    assert_has tried
    grep "^gained" <<<"$output" | cut -d ' ' -f 2 | sort -u >"$demo/gained"
    cat "$demo/gained"
    for what in wrote opened made listed read reached; do
        grep -qx "$what" "$demo/gained"
    done
    not grep -Ev '^(wrote|opened|replaced|made|listed|read|reached|took)$' "$demo/gained"
    not grep -E "read the (memory|environment)|looked into|became|mounted" <<<"$output"
    run lbctl show "$(last_run package:hostile)" --json
    field '.job_outcome.steps[0].off | index("user")' 0
}
