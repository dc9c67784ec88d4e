# Identity: a server's home is copied with `cp -a`, and a worker starts in the copy. While the first
# one answers, the second is refused and both are named; when the first is gone, the second comes
# in, and nothing that had been handed to the first runs a second time unless on_lost says so.
load helpers

setup_file() {
    new_cluster etl1
    new_package child shell 'echo "begin $LB_ATTEMPT" >>"$LB_PARAM_dir/witness"
while [ ! -e "$LB_PARAM_dir/go" ]; do sleep 0.05; done
echo "end $LB_ATTEMPT" >>"$LB_PARAM_dir/witness"' 'parameters:
  dir: {type: string, required: true}'
    deploy child etl
}
teardown_file() { end_cluster; }
setup() {
    enter
    dir=$demo/of-$BATS_TEST_NUMBER
    witness_folder "$dir"
    witness_file "$dir/witness"
}

copy_of() { # copy_of NAME COPY
    cp -a "$demo/$1" "$demo/$2"
}

# in_the_copy COPY: a worker runs there until it ends by itself; its exit code.
in_the_copy() {
    local code=0
    as "$1" timeout 60 lbworker >"$demo/$1.log" 2>&1 3>&- || code=$?
    return $code
}

one_runs() { # $live
    live=$(call package:child etl "dir=$dir")
    await "it runs" grep -q begin "$dir/witness"
}

@test "a copy of a home is refused while the first worker answers, and both are named" {
    local first
    one_runs
    copy_of etl1 copy
    first=$(cat "$demo/etl1.pid")
    run in_the_copy copy
    [ "$status" -eq 3 ]
    grep -q "two workers under one name" "$demo/copy.log"
    grep -q "$(hostname) (process $first)" "$demo/copy.log"
    grep -q "lbworker join" "$demo/copy.log" # what to do
    run lbctl servers etl1 --json
    field .state up
    field .process "$(hostname) (process $first)"
    [[ $(jq -r .trouble <<<"$output") == *"$(hostname) (process "*"$(hostname) (process $first)"* ]]
    run lbctl servers etl1
    assert_has "a second worker under this name was refused"
    [ "$(cat "$demo/etl1.pid")" = "$first" ]
    : >"$dir/go"
    await "the run has ended" ended "$live"
    [ "$(grep -c begin "$dir/witness")" -eq 1 ]
}

@test "a worker that is started again in its home is let in at once" {
    local old
    old=$(cat "$demo/etl1.pid")
    kill9 etl1
    await "another worker is up" sh -c "[ \$(cat '$demo/etl1.pid') != $old ] &&
        lbctl servers etl1 --json | grep -q '\"process\":\"[^\"]*(process '\$(cat '$demo/etl1.pid')"
    not grep -q "two workers under one name" "$demo/etl1.log"
}

@test "after the first is gone its copy comes in, and nothing starts a second time" {
    one_runs
    copy_of etl1 heir
    kill9_for_good etl1 # its runner, its keeper and the child go on
    keep heir "$demo/heir" lbworker
    await "it is refused as long as the first may be back" \
        grep -q "two workers under one name" "$demo/heir.log"
    await "the copy is up" sh -c "lbctl servers etl1 --json |
        grep -q '\"process\":\"[^\"]*(process '\$(cat '$demo/heir.pid')"
    grep -q "is a copy of another" "$demo/heir.log"
    # the copy's spool tells of the run, but that was the first one's
    in_state "$live" out_of_contact
    run lbsubmit --package child --server etl1 -p "dir=$demo/of-1" # where `go` is
    [ "$status" -eq 0 ]
    : >"$dir/go"
    await "the child has ended" grep -q end "$dir/witness"
    halt heir
    keep etl1 "$demo/etl1" lbworker
    await "its own server reports it" ended "$live"
    [ "$(status_of "$live")" = succeeded ]
    [ "$(grep -c begin "$dir/witness")" -eq 1 ]
}
