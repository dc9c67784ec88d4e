#!/usr/bin/env bats
# limits.bats - what a step may use, what it is refused, and how its end says so.

load helpers

setup_file() {
    new_cluster etl1
    # its script is a file that each test writes
    new_package free shell ". $demo/script"
    deploy free etl1
}

teardown_file() {
    end_cluster
}

setup() {
    enter
}

proxy() { # proxy LINE...: the proxy of the steps, of the server's own user
    local folder=$demo/etl1/etc/proxies.d
    as etl1 mkdir -p "$folder"
    { printf 'proxy: default\nuser: %s\nsubsystems: "*"\nprincipals: ["*"]\n' \
        "$(stat -c %u "$folder")"; printf '%s\n' "$@"; } >"$demo/default.yaml"
    chmod 644 "$demo/default.yaml"
    as etl1 cp "$demo/default.yaml" "$folder/default.yaml"
}

step() { # step SCRIPT: runs it; $shown is what is known of its end
    echo "$1" >"$demo/script"
    chmod 644 "$demo/script"
    run lbsubmit --package free --server etl1
    shown=$(lbctl show "$(last_run package:free)" --json)
    echo "$shown"
}

says() { # says TEXT
    grep -qF "$1" <<<"$shown"
}

@test "a step that takes too long is warned and then ended" {
    proxy 'limits: {timeout: 4s, warn: 3s, warn_signal: USR1}'
    step "trap 'echo warned >$demo/warned' USR1; while :; do sleep 0.1; done"
    says "timed out and was ended, after the signal USR1"
    jq -e '.job_outcome.steps[0].timed_out' <<<"$shown"
    [ "$(cat "$demo/warned")" = warned ]
}

@test "a file that grows too large ends its writer, and is named" {
    proxy 'limits: {file_size: 1M, files: 40}'
    step 'exec head -c 2000000 /dev/zero >large'
    says "wrote a file of more than its 1.0 MiB (file_size)"
    step '[ $(ulimit -n) = 40 ]'
    [ "$status" -eq 0 ]
}

@test "what is written beyond the cap is cut, and the step goes on" {
    proxy 'limits: {output: 64K}'
    step 'head -c 1000000 /dev/zero | tr "\0" x; echo went on >&2'
    [ "$status" -eq 0 ]
    [ "$(lbctl logs "$(last_run package:free)" 2>/dev/null | wc -c)" -le 65536 ]
}

@test "refused system calls fail, and nothing is killed" {
    proxy 'sandbox: {seccomp: required}'
    step 'python3 -c "
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for call in (libc.ptrace, libc.unshare):
    assert call(0x10000000, 0, 0, 0) == -1 and ctypes.get_errno() == 1, call
"; exit $?'
    [ "$status" -eq 0 ]
    jq -e '.job_outcome.steps[0].execution.on | index("seccomp")' <<<"$shown"
}

@test "what a proxy requires and the server lacks refuses the step, and check says why" {
    proxy 'sandbox: {private_tmp: required}'
    step "touch $demo/ran"
    [ "$status" -ne 0 ]
    says "requires private_tmp (a /tmp of its own)"
    [ ! -e "$demo/ran" ]
    run as etl1 lbworker check
    grep -q "protection .*seccomp: possible" <<<"$output"
    grep -q "protection .*private_tmp: off: the server's own folder .* is below it" <<<"$output"
}

@test "whether a step can have a /tmp of its own is tried as an ordinary user" {
    local lbtmp
    lbtmp=$(command -v lbtmp)
    [ "$(id -u)" -eq 0 ] || skip "only root gives up capabilities"
    setpriv --reuid=65534 --regid=65534 --clear-groups "$lbtmp" --probe ||
        skip "this system gives its users no namespaces"
    setpriv --bounding-set=-all,+setuid,+setgid "$lbtmp" --probe
}
