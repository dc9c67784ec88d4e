#!/usr/bin/env bats
# authoring.bats - what the author of a package meets: manifest, skeleton, cases, lint, build.
load helpers

setup_file() {
    new_demo
    enter
    # Packages do not run as root; then somebody else is their author.
    [ "$(id -u)" -ne 0 ] || chown -R "$server_user" "$demo"
}
teardown_file() { end_cluster; }
setup() { enter; }

@test "schema and reader of package.yaml have the same verdict, and the examples hold" {
    run python "$BATS_TEST_DIRNAME/manifests.py" "$demo/table" \
        $(find "$top/examples" -name package.yaml)
    echo "$output"
    [ "$status" -eq 0 ]
}
