# Faults of libzmq, and of its use, that a peer with a valid key could reach: docs/transport.md has
# the list. After each attack the broker must be the same process and answer another key.
load helpers

setup_file() {
    new_demo
    enter
    lbctl init --cluster test --listen "127.0.0.1:$(free_port)" --broker-home "$demo/broker" --no-passphrase
    keep broker "$demo/broker" lbbroker
    await "the broker answers" lbctl whoami
    lbctl invite --principal mallory --grant 'call nothing@etl' >"$demo/token"
    LONGBOAT_HOME=$demo/mallory lbsubmit join <"$demo/token"
    cp "$demo/broker.pid" "$demo/first.pid"
}
teardown_file() {
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    end_cluster
}
setup() { enter; }

attack() {
    LONGBOAT_HOME=$demo/mallory PYTHONDONTWRITEBYTECODE=1 \
        python "$BATS_TEST_DIRNAME/rawpeer.py" "$@"
}
peak_kib() { awk '/VmHWM/ {print $2}' "/proc/$(cat "$demo/broker.pid")/status"; }
unharmed() {
    lbctl whoami
    cmp "$demo/first.pid" "$demo/broker.pid"
}

@test "peers that leave a ZMTP PING behind unread frames and die do not abort the broker" {
    attack ping_and_die 100
    unharmed
}

@test "a message of endless parts is cut off before it fills the memory" {
    before=$(peak_kib)
    taken=$(attack parts 1000)
    echo "# $taken parts of 1 MiB were taken; the peak rose by $(($(peak_kib) - before)) KiB" >&3
    [ "$taken" -lt 500 ]
    unharmed
}

@test "ZMTP commands that are short, empty, too long or out of place harm nobody" {
    attack commands 1
    unharmed
}

@test "half greetings, half handshakes and half frames harm nobody" {
    attack half 60
    unharmed
}

@test "frames of one byte and frames that come byte by byte harm nobody" {
    attack tiny 200
    unharmed
}
