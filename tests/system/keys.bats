#!/usr/bin/env bats
# Keys at rest: where the administrator's key lies, what protects it, and what a program that holds
# one leaves behind.
load helpers

setup_file() {
    new_demo
    enter
    printf 'four words are long\n' >"$demo/passphrase"
    chmod 600 "$demo/passphrase"
    lbctl init --passphrase-file "$demo/passphrase" --cluster test \
        --listen "127.0.0.1:$(free_port)" --broker-home "$demo/broker"
    export LONGBOAT_PASSPHRASE_FILE=$demo/passphrase
    start_broker
}

teardown_file() {
    end_cluster
}

setup() {
    enter
    export LONGBOAT_PASSPHRASE_FILE=$demo/passphrase
}

# Runs a command on a terminal of its own and types each line after the prompt that asks for it:
# on_terminal 'PROMPT=LINE' ... -- COMMAND...
on_terminal() {
    python "$BATS_TEST_DIRNAME/terminal.py" "$@"
}

@test "init writes the administrator's key encrypted, and apart from the broker's" {
    run head -n 1 "$demo/admin/etc/keys/sign.key"
    [ "$output" = "longboat-locked-key 1" ]
    [ "$(stat -c %a "$demo/admin/etc/keys/sign.key")" = 400 ]
    [ ! -e "$demo/broker/etc/keys/sign.key" ]
    [ -e "$demo/broker/etc/keys/broker.key" ]
}

@test "without --broker-home the broker's home is a folder of its own" {
    mkdir "$demo/desk"
    cd "$demo/desk"
    LONGBOAT_HOME=$demo/desk/me run lbctl init --no-passphrase --cluster other
    [ "$status" -eq 0 ]
    assert_has "$demo/desk/other-broker"
    assert_has "NOT encrypted"
    [ -e me/etc/keys/sign.key ]
    [ -e other-broker/etc/keys/broker.key ]
    [ ! -e me/etc/keys/broker.key ]
    [ ! -e other-broker/etc/keys/sign.key ]
}

@test "init refuses to put the broker's key beside the administrator's" {
    LONGBOAT_HOME=$demo/both run lbctl init --no-passphrase --cluster other \
        --broker-home "$demo/both"
    [ "$status" -eq 2 ]
    assert_has "must not lie beside"
    [ ! -e "$demo/both" ]
}

@test "without a terminal init makes no key until it is told how to protect it" {
    unset LONGBOAT_PASSPHRASE_FILE
    LONGBOAT_HOME=$demo/none run setsid lbctl init --cluster other --broker-home "$demo/none-broker"
    [ "$status" -eq 2 ]
    assert_has "--no-passphrase"
    [ ! -e "$demo/none" ]
}

@test "init asks twice at a terminal, and refuses two that differ or are short" {
    unset LONGBOAT_PASSPHRASE_FILE
    cd "$demo"
    LONGBOAT_HOME=$demo/typed run on_terminal \
        'New passphrase=four words are long' 'once more=four words are lost' -- \
        lbctl init --cluster typed
    [ "$status" -eq 2 ]
    assert_has "differ"
    not grep -q "four words" <<<"$output"
    LONGBOAT_HOME=$demo/typed run on_terminal 'New passphrase=short' 'once more=short' -- \
        lbctl init --cluster typed
    [ "$status" -eq 2 ]
    assert_has "fewer than 12"
    [ ! -e "$demo/typed" ]
    LONGBOAT_HOME=$demo/typed run on_terminal \
        'New passphrase=four words are long' 'once more=four words are long' -- \
        lbctl init --cluster typed
    [ "$status" -eq 0 ]
    grep -q "longboat-locked-key" "$demo/typed/etc/keys/sign.key"
}

@test "every program asks for the passphrase, once, at the terminal or in the file" {
    run lbctl whoami
    [ "$status" -eq 0 ]
    unset LONGBOAT_PASSPHRASE_FILE
    run lbctl --passphrase-file "$demo/passphrase" whoami
    [ "$status" -eq 0 ]
    run on_terminal 'Passphrase of=four words are long' -- lbctl whoami
    [ "$status" -eq 0 ]
    assert_has "administrator of cluster test"
    run on_terminal 'Passphrase of=four words are long' -- lbctl invite --server etl1
    [ "$status" -eq 0 ]
    [ "$(grep -c "Passphrase of" <<<"$output")" = 1 ]
    run on_terminal 'Passphrase of=four words are long' -- lbmon --until-now
    [ "$status" -eq 0 ]
    run on_terminal 'Passphrase of=something else here' -- lbctl whoami
    [ "$status" -eq 3 ]
    assert_has "the passphrase is wrong"
}

@test "ctrl-c at the passphrase ends the program, and the terminal shows again what is typed" {
    unset LONGBOAT_PASSPHRASE_FILE
    timeout 20 python - lbctl whoami <<'END'
import fcntl, os, pty, signal, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
number = struct.unpack("i", fcntl.ioctl(fd, 0x80045430, bytes(4)))[0]
terminal = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)
shown = b""
while b"Passphrase of" not in shown:
    shown += os.read(fd, 4096)
assert not termios.tcgetattr(terminal)[3] & termios.ECHO
os.write(fd, b"half a pass\x03")
status = os.waitpid(pid, 0)[1]
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT, status
assert termios.tcgetattr(terminal)[3] & termios.ECHO
END
}

@test "without a terminal the sentence names the file of the passphrase" {
    unset LONGBOAT_PASSPHRASE_FILE
    run setsid lbctl whoami
    [ "$status" -eq 3 ]
    assert_has LONGBOAT_PASSPHRASE_FILE
}

@test "a passphrase file that others can read is refused" {
    cp "$demo/passphrase" "$demo/open"
    chmod 644 "$demo/open"
    LONGBOAT_PASSPHRASE_FILE=$demo/open run lbctl whoami
    [ "$status" -eq 3 ]
    assert_has "$demo/open"
}

@test "a passphrase can be changed, removed and set again; the key stays" {
    printf 'another four words\n' >"$demo/new"
    chmod 600 "$demo/new"
    run lbctl key passphrase
    [ "$status" -ne 0 ]
    assert_has --new-passphrase-file
    lbctl key passphrase --new-passphrase-file "$demo/new"
    run lbctl whoami
    [ "$status" -eq 3 ]
    assert_has "the passphrase is wrong"
    LONGBOAT_PASSPHRASE_FILE=$demo/new run lbctl key passphrase --remove
    [ "$status" -eq 0 ]
    unset LONGBOAT_PASSPHRASE_FILE
    lbctl whoami
    [ "$(stat -c %a "$demo/admin/etc/keys/sign.key")" = 400 ]
    lbctl key passphrase --new-passphrase-file "$demo/passphrase"
    LONGBOAT_PASSPHRASE_FILE=$demo/passphrase lbctl whoami
}

@test "a caller's key is encrypted only if asked for" {
    join_principal plain 'call *@etl'
    [ "$(wc -c <"$demo/plain/etc/keys/sign.key")" = 65 ]
    lbctl invite --principal locked --grant 'call *@etl' >"$demo/token"
    as locked lbsubmit join --passphrase <"$demo/token"
    grep -q longboat-locked-key "$demo/locked/etc/keys/sign.key"
    as locked lbctl whoami
}

@test "a program that holds a key leaves no core, cannot be traced, and makes private files" {
    lbmon >/dev/null &
    local pid=$! limits
    await "lbmon is past its start" grep -q "Max core file size *0 *0" "/proc/$pid/limits"
    # what is not dumpable belongs to root, and so does what is below /proc
    await "lbmon is not dumpable" sh -c "[ \$(stat -c %u /proc/$pid/environ) = 0 ]"
    kill "$pid"
    for p in broker; do
        pid=$(cat "$demo/$p.pid")
        grep -q "Max core file size *0 *0" "/proc/$pid/limits"
        [ "$(awk '/^Umask/ {print $2}' "/proc/$pid/status")" = 0077 ]
        [ "$(awk '/^VmLck/ {print $2}' "/proc/$pid/status")" -gt 0 ]
    done
}

@test "files that a person asks for have the modes that they expect" {
    cd "$demo"
    umask 022
    lbpkg new shown
    [ "$(stat -c %a shown)" = 755 ]
    [ "$(stat -c %a shown/package.yaml)" = 644 ]
    lbpkg build shown
    [ "$(stat -c %a shown-0.1.0.lbp)" = 644 ]
}

# The X25519 key that is derived from the seed has copies in libzmq, which the page says; the seed
# and the Ed25519 key lie in locked memory alone.
@test "a dump of a running broker has its seed only in memory that is locked" {
    [ "$(id -u)" = 0 ] || skip "only root can read the memory of what is not dumpable"
    run python "$BATS_TEST_DIRNAME/copies.py" "$(cat "$demo/broker.pid")" \
        "$demo/broker/etc/keys/broker.key"
    echo "$output"
    [ "$status" -eq 0 ]
}
