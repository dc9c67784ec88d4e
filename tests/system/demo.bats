# The demo as a newcomer gets it: it says what it does, its numbers are right, and stopping it leaves nothing behind.
load helpers

setup() {
    LONGBOAT_DEMO=$(mktemp -d "${TMPDIR:-/tmp}/lbt-XXXXXX")
    export LONGBOAT_DEMO
    demo=$LONGBOAT_DEMO
    unset LONGBOAT_HOME
}
teardown() {
    "$top/examples/nightly-load/stop.sh" >/dev/null || true
    rm -rf "$LONGBOAT_DEMO"
}

processes_of_demo() {
    local p
    for p in /proc/[0-9]*; do
        if { tr '\0' '\n' <"$p/environ"; } 2>/dev/null | grep -q "^LONGBOAT_HOME=$demo/"; then
            echo "${p#/proc/}"
        fi
    done
}

@test "the demo loads what the sources hold, its failure branch runs, and demo-stop leaves no process" {
    run "$top/examples/nightly-load/demo.sh" "$LB_BIN"
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "18 of 18 children succeeded"
    assert_has "languages                  7910 loaded   7910 counted"
    assert_has "skipped: waits for success of 'bad', which failed"
    assert_has "planets could not be prepared"
    # The page's rows, against the sources, by other means.
    want=$(jq -s 'map(to_entries[0].value | length) | add' /usr/share/iso-codes/json/iso_{639-2,639-3,639-5,3166-1,3166-2,3166-3,4217,15924}.json)
    grep -q "<p>$want rows" "$demo/page.html"
    # Both etl servers had their share of the eight tables.
    [ "$(LONGBOAT_HOME=$demo/anna lbctl history --job prepare-table --json -n 100 | jq -r .server | sort -u | wc -l)" -eq 2 ]
    [ -n "$(processes_of_demo)" ]
    run "$top/examples/nightly-load/stop.sh"
    [ "$status" -eq 0 ]
    [ -z "$(processes_of_demo)" ]
}
