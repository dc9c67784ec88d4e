# The demo as a newcomer meets it: it says what it does, its numbers are right, and stopping it
# leaves nothing behind.
load helpers

setup_file() {
    # A folder's name may have blanks and quotes.
    mktemp -d "${TMPDIR:-/tmp}/lbt it's XXXXXX" >"$BATS_FILE_TMPDIR/demo"
    unset LONGBOAT_HOME
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    rc=0
    LONGBOAT_DEMO=$demo "$top/examples/nightly-load/demo.sh" "$LB_BIN" \
        >"$BATS_FILE_TMPDIR/out" 2>&1 3>&- || rc=$?
    echo "$rc" >"$BATS_FILE_TMPDIR/rc"
}
teardown_file() {
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    LONGBOAT_DEMO=$demo "$top/examples/nightly-load/stop.sh" >/dev/null || true
    remove_demo
}
setup() {
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    export LONGBOAT_DEMO=$demo
    unset LONGBOAT_HOME
}

# The night again, into a warehouse of its own. The arguments name the processes that are killed
# meanwhile.
night_with() {
    local w=$demo/data/warehouse-$BATS_TEST_NUMBER.db witness=$demo/night-$BATS_TEST_NUMBER
    local what night killed=0
    export LONGBOAT_HOME=$demo/anna
    lbsubmit "$top/examples/nightly-load/nightly.yaml" --set stage="$demo/data/stage" \
        --set warehouse="$w" --set page="$demo/data/page-$BATS_TEST_NUMBER.html" \
        >"$witness" 2>&1 3>&- &
    night=$!
    for what in "$@"; do
        await "a child of the night runs" \
            sh -c "lbctl runs --json | grep -q '\"state\":\"running\"'" || break
        case $what in
        runner-*) kill -9 "$(runner_pid "${what#runner-}")" ;;
        *) kill9 "$what" ;;
        esac
        killed=$((killed + 1))
    done
    wait "$night" || {
        cat "$witness"
        return 1
    }
    cat "$witness"
    [ "$killed" -ge 1 ]
    grep -q "18 of 18 children succeeded" "$witness"
    # Each child was called once, ran once, and its end counted once.
    parent=$(lbctl history --parents -n 1 --json | jq -r .run)
    [ "$(lbctl history --parent "$parent" -n 100 --json | jq -r '[.task, .index] | join("/")' |
        sort | uniq -c | awk '$1 == 1' | wc -l)" -eq 18 ]
    # (An attempt that was on its way to a worker that died is handed over again: a second attempt
    # that ran once.)
    [ "$(lbmon --parent "$parent" --since 0 --until-now --json | wc -l)" -eq 18 ]
    cmp <(sqlite3 "$demo/data/warehouse.db" 'SELECT kind, count(*) FROM codes GROUP BY kind') \
        <(sqlite3 "$w" 'SELECT kind, count(*) FROM codes GROUP BY kind')
}

@test "the demo loads what the sources hold, and its failure branch runs" {
    output=$(cat "$BATS_FILE_TMPDIR/out")
    echo "$output"
    [ "$(cat "$BATS_FILE_TMPDIR/rc")" -eq 0 ]
    assert_has "18 of 18 children succeeded"
    assert_has "languages                  7910 loaded   7910 counted"
    assert_has "skipped: waits for success of 'bad', which failed"
    assert_has "planets could not be prepared"
    # The page's rows, against the sources, by other means.
    want=$(jq -s 'map(to_entries[0].value | length) | add' \
        /usr/share/iso-codes/json/iso_{639-2,639-3,639-5,3166-1,3166-2,3166-3,4217,15924}.json)
    grep -q "<p>$want rows" "$demo/data/page.html"
    # Both etl servers had their share of the eight tables.
    [ "$(LONGBOAT_HOME=$demo/anna lbctl history --job prepare-table --json -n 100 |
        jq -r .server | sort -u | wc -l)" -eq 2 ]
}

@test "what the demo prints at its end can be pasted into a shell" {
    eval "$(grep '^  export LONGBOAT_HOME=' "$BATS_FILE_TMPDIR/out")"
    [ "$LONGBOAT_HOME" = "$demo/anna" ]
    [ "$(command -v lbctl)" = "$LB_BIN/lbctl" ]
    lbctl whoami
    eval "$(grep '^  lbsubmit .*nightly.yaml' "$BATS_FILE_TMPDIR/out")"
}

@test "the demo's night with the broker killed halfway: the same rows, nothing twice" {
    night_with broker
}

@test "the demo's night with workers killed halfway" {
    night_with etl1 wh1
}

@test "the demo's night with runners killed halfway" {
    night_with runner-etl2 runner-wh1
}

@test "loading a table waits for its turn, even while the warehouse is being created" {
    local rc=0 load=$top/examples/nightly-load/packages/load/bin/load.py
    export LB_PARAM_table=colours LB_PARAM_stage=$demo LB_PARAM_warehouse=$demo/shared.db \
        LB_OUTPUTS=$demo/loaded
    echo red,Red,, >"$demo/colours.csv"
    mkfifo "$demo/go"
    python -c 'if True:
        import sqlite3, sys
        other = sqlite3.connect(sys.argv[1], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        open(sys.argv[2], "w").close()
        open(sys.argv[3]).read()
        other.execute("COMMIT")' "$LB_PARAM_warehouse" "$demo/held" "$demo/go" 3>&- &
    await "somebody else writes into the warehouse" test -e "$demo/held"
    timeout 2 /usr/bin/python3 "$load" || rc=$?
    echo go >"$demo/go"
    [ "$rc" -eq 124 ] # it waited: it neither loaded nor failed
    wait $!
    /usr/bin/python3 "$load"
    grep -q '^rows=1$' "$demo/loaded"
}

in_memory() { # in_memory SERVER: the folders of its runner on a tmpfs
    find /dev/shm -maxdepth 1 \
        -name "*-$(printf %s "$demo/$1/run" | b2sum -l 256 | cut -c 1-16)"
}

@test "demo-stop leaves no process" {
    [ -n "$(of_cluster)" ]
    [ -n "$(in_memory wh1)" ] # of which the next test says something
    run "$top/examples/nightly-load/stop.sh"
    [ "$status" -eq 0 ]
    [ -z "$(of_cluster)" ]
}

@test "demo-stop leaves nothing in memory of what the children were given" {
    [ -z "$(in_memory etl1)$(in_memory etl2)$(in_memory wh1)" ]
}

@test "demo-stop ends an ordinary user's cluster, too, whose processes cannot be inspected" {
    local user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    [ "$(id -u)" -eq 0 ] &&
        "${user[@]}" test -x "$LB_BIN/lbbroker" -a -r "$top/examples/nightly-load/cluster.sh" ||
        skip "the tests are no root's, or nobody else can reach the programs"
    demo=$(mktemp -d "${TMPDIR:-/tmp}/lbt-XXXXXX")
    echo "$demo" >"$BATS_FILE_TMPDIR/demo-of-nobody"
    chown nobody "$demo"
    cat >"$demo/begin.sh" <<'SH'
set -eu
demo=$1 PATH=$2:$PATH
. "$3"
export LONGBOAT_HOME=$demo/admin
lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
    --broker-home "$demo/broker"
keep broker "$demo/broker" lbbroker
await "the broker answers" lbctl whoami
lbctl invite --server s1 >"$demo/token"
LONGBOAT_HOME=$demo/s1 lbworker join <"$demo/token"
keep s1 "$demo/s1" lbworker
await "s1 is up" sh -c "lbctl servers s1 --json | grep -q '\"state\":\"up\"'"
SH
    "${user[@]}" sh "$demo/begin.sh" "$demo" "$LB_BIN" "$top/examples/nightly-load/cluster.sh" 3>&-
    [ "$(of_cluster | wc -l)" -ge 3 ] # broker, worker, runner
    "${user[@]}" sh -c 'demo=$1; . "$2"; end_all' sh "$demo" "$top/examples/nightly-load/cluster.sh"
    [ -z "$(of_cluster)" ]
    remove_demo
}

@test "root's servers reach programs that root alone can, and say that a home is out of reach" {
    [ "$(id -u)" -eq 0 ] || skip "the tests are no root's"
    local private=$BATS_TEST_TMPDIR/private
    mkdir -m 700 "$private"
    cp "$LB_BIN/lbworker" "$private"
    demo=$(mktemp -d "${TMPDIR:-/tmp}/lbt-XXXXXX")
    chmod 711 "$demo"
    [ "$(within_reach "$private" "$demo/bin")" = "$demo/bin" ]
    server_home "$demo/s1"
    in_home "$demo/s1" "$demo/bin/lbworker" --version
    run server_home "$private/s1"
    [ "$status" -ne 0 ]
    assert_has "cannot reach '$private/s1': choose another folder"
    rm -r "$demo"
}
