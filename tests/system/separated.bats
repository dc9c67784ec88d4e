#!/usr/bin/env bats
# separated.bats - a server whose runner was started as root: worker, unpacker and children are users
# of their own. A captured worker and a hostile child are played here, and gain nothing.
# Users are numbers, which need no accounts.

load helpers

worker_user=7101 unpack_user=7102 child_user=7103 other_user=7104

# run_as USER COMMAND...: as a user without any right beyond its own
run_as() {
    local user=$1
    shift
    setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
}

start_runner() { # start_runner NAME [OPTIONS...]
    local name=$1
    shift
    keep "$name-runner" "$demo/$name" lbrunner --home "$demo/$name" --worker-user $worker_user \
        --unpack-user $unpack_user --child-user $child_user "$@"
    await "the runner of $name listens" test -S "$demo/$name/run/runner.sock"
}

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    new_demo
    chown root:root "$demo"
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker
    lbpkg keygen
    mkdir -m 755 "$demo/sep"
    install -d -m 700 -o $worker_user -g $worker_user "$demo"/sep/{etc,var,run}
    lbctl invite --server sep --pools etl >"$demo/token"
    LONGBOAT_HOME=$demo/sep run_as $worker_user lbworker join <"$demo/token"
    install -m 644 "$demo/admin/etc/keys/builder.pub" "$demo/sep/etc/trust/signers"
    start_runner sep
    keep sep "$demo/sep" setpriv --reuid=$worker_user --regid=$worker_user --clear-groups lbworker
    await "sep is up" sh -c "lbctl servers sep --json | grep -q '\"state\":\"up\"'"
}

teardown_file() {
    end_cluster
}

setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    enter
}

@test "a step runs as the user that was named, without capabilities, and the outcome says so" {
    new_package whoami shell 'id -u; id -g; id -G; grep -E "^(Cap|NoNewPrivs)" /proc/self/status
        echo "$USER $HOME"; stat -c "%u %a" "$LB_WORK"; stat -c %u "$LB_PARAMETERS"
        echo user=$(id -u) >"$LB_OUTPUTS"' 'outputs: {user: {type: int}}'
    deploy whoami sep
    run lbsubmit --package whoami --server sep
    echo "$output"
    [ "$status" -eq 0 ]
    id=$(last_run package:whoami)
    run lbctl logs "$id"
    echo "$output"
    assert_has "$child_user
$child_user
$child_user
CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	0000000000000000
CapAmb:	0000000000000000
NoNewPrivs:	1"
    assert_has "$child_user 700
$child_user"
    run lbctl show "$id" --json
    field '.job_outcome.steps[0].user' $child_user
    field '.job_outcome.steps[0].off | index("user")' null
    field '.job_outcome.steps[0].off | index("package_files")' null
}
