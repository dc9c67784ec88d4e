# What has run on a server never runs there again, whatever its worker asks the runner for: the
# table of calls is the runner's own, and nothing that tidies the spool touches it.
load helpers

setup_file() {
    new_demo
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker
    join_server etl1 etl
    # prints more than one file of a keeper holds, and leaves a line for each time that it ran
    cat >"$demo/etl1/etc/jobs/loud.yaml" <<END
job: loud
steps:
  - {name: only, subsystem: shell, run: 'echo ran >>$demo/ran; yes | head -c 9000000'}
END
    start_server etl1 --slots 2
    await "etl1 offers loud" sh -c "lbctl servers etl1 --json | grep -q '\"job\":\"loud\"'"
}
teardown_file() { end_cluster; }
setup() { enter; }

# As a captured worker: asks the runner for a call's only step, under a run of its own.
ask_runner() { # ask_runner KEY [--attempt N] [--run HEX]
    python "$BATS_TEST_DIRNAME/replays.py" "$demo" loud "$@"
}

files_of_keepers() { ls "$demo"/etl1/var/spool/keeper-*.log 2>/dev/null; }
tidied() { ! files_of_keepers | grep -q 'keeper-[0-9]*\.log$'; }

@test "a key that has run is refused after the spool is tidied and the runner restarted" {
    call --wait --key first loud etl1 >/dev/null
    # through each keeper, until the first file of each of them has gone
    await "the files of the keepers are tidied" sh -c "
        PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 '$BATS_TEST_DIRNAME/call.py' --wait loud etl1 &
        PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 '$BATS_TEST_DIRNAME/call.py' --wait loud etl1
        wait
        ! ls $demo/etl1/var/spool/ | grep -q '^keeper-[12]\.log\$'" >/dev/null
    tidied
    before=$(wc -l <"$demo/ran")
    was=$(runner_pid etl1)
    kill -9 "$was"
    await "another runner is there" sh -c "[ -S '$demo/etl1/run/runner.sock' ] &&
        [ \"\$(head -n 1 '$demo/etl1/run/runner.lock' | tr -cd 0-9)\" != '$was' ]"
    run ask_runner first
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"replayed: this call has already run here"* ]]
    [ "$(wc -l <"$demo/ran")" -eq "$before" ]
    # the same question about a new call starts a child (the worker does not know it and ends it)
    run ask_runner another
    echo "$output"
    [[ "$output" == "ended: "* ]]
    [ "$(wc -l <"$demo/ran")" -eq $((before + 1)) ]
}
