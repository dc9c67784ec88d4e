# Text that others can set reaches no terminal as it is: sequences, line feeds, C1 controls and
# marks of direction are made visible in every listing, whoever put them there. Peers: texts.py.
load helpers

setup_file() {
    new_cluster
    join_server evil other
    join_principal carl 'call *@*'
    python "$BATS_TEST_DIRNAME/texts.py" server "$demo/evil" load >"$demo/evil.said" 3>&- &
    echo $! >"$demo/evil.pid"
    await "the hostile server attests" grep -q ready "$demo/evil.said"
    python "$BATS_TEST_DIRNAME/texts.py" caller "$demo/carl" load evil >"$demo/run"
    await "its run has ended" ended "$(cat "$demo/run")"
    python "$BATS_TEST_DIRNAME/texts.py" caller "$demo/carl" load nowhere >"$demo/parked"
    lbctl cancel "$(cat "$demo/parked")" \
        --reason "$(printf '\033]0;x\007\nFORGED \342\200\256x')" || :
    python "$BATS_TEST_DIRNAME/texts.py" caller "$demo/carl" load nowhere >"$demo/parked"
}
teardown_file() {
    kill "$(cat "$(cat "$BATS_FILE_TMPDIR/demo")/evil.pid")" || :
    end_cluster
}
setup() {
    enter
    run_id=$(cat "$demo/run") parked=$(cat "$demo/parked")
}

# looks COMMAND...: what it prints, on a terminal and in a pipe, deceives nobody
looks() {
    "$@" >"$demo/page" 2>&1 || :
    [ -s "$demo/page" ] || { echo "it printed nothing: $*"; return 1; }
    python "$BATS_TEST_DIRNAME/texts.py" look <"$demo/page" || {
        echo "in a pipe: $*"
        cat -v "$demo/page" | head -n 40
        return 1
    }
    script -qec "$(printf '%q ' "$@")" /dev/null </dev/null >"$demo/page" 2>&1 || :
    # our own colours, cursor moves and the terminal's line ends go; nothing else may be left
    sed -E 's/\x1b\[[0-9;]*m//g; s/\x1b\[[KJ]//g; s/\x1b\[[0-9]*A//g; s/\r//g' "$demo/page" |
        python "$BATS_TEST_DIRNAME/texts.py" look || {
        echo "on a terminal: $*"
        cat -v "$demo/page" | head -n 40
        return 1
    }
}

@test "servers: a hostile server's facts, needs, jobs, packages and troubles" {
    looks lbctl servers
    looks lbctl servers evil
    looks lbctl servers --json
}

@test "runs and history: names, keys, progress, messages, reasons" {
    looks lbctl runs
    looks lbctl runs --json
    looks lbctl history
    looks lbctl history --json
}

@test "one run: parameters, steps, outputs, events" {
    looks lbctl show "$run_id"
    looks lbctl show "$run_id" --json
    looks lbctl show "$parked"
    looks lbctl explain "$parked"
    looks lbctl explain "$parked" --json
}

@test "events: everything from the beginning" {
    looks lbmon --since 0 --until-now --event all
    looks lbmon --since 0 --until-now --event all --json
}

@test "logs on a terminal, and as JSON" {
    looks lbctl logs "$run_id" --json
    script -qec "lbctl logs $run_id" /dev/null </dev/null | sed 's/\r//g' >"$demo/page"
    python "$BATS_TEST_DIRNAME/texts.py" look <"$demo/page" || grep -q '^FORGED' "$demo/page"
    ! grep -q "$(printf '\033')" "$demo/page"
}

@test "packages, certificates, parents, errors that name what was asked" {
    looks lbpkg list
    looks lbctl certificates
    looks lbctl parents
    looks lbctl show "$(printf 'x\033[2J\nFORGED')"
    looks lbctl servers "$(printf 'x\033[2J\nFORGED')"
    looks lbsubmit --job "$(printf 'x\033[2J\nFORGED')" --pool etl
}

@test "the broker's log" {
    python "$BATS_TEST_DIRNAME/texts.py" look <"$demo/broker.log"
}
