# Overload: more calls than can be run, and a monitor and a caller that read nothing. The broker
# runs in a memory cgroup of 128 MiB where this machine allows one.
load helpers

ceiling=$((128 << 20))

# The memory cgroup of this file, version 1 or 2; fails where none can be made.
make_cgroup() {
    local at
    if [ -d /sys/fs/cgroup/memory ] && at=/sys/fs/cgroup/memory/lbt-$$ &&
        mkdir "$at" 2>/dev/null; then
        echo $ceiling >"$at/memory.limit_in_bytes"
    elif grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null &&
        at=/sys/fs/cgroup/lbt-$$ && mkdir "$at" 2>/dev/null; then
        echo $ceiling >"$at/memory.max"
    else
        return 1
    fi
    echo "$at"
}

setup_file() {
    new_demo
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    make_cgroup >"$demo/cgroup" ||
        echo "# no memory cgroup can be made here: only the broker's own peak is looked at" >&3
    keep broker "$demo/broker" \
        sh -c '[ -z "$1" ] || echo $$ >"$1/cgroup.procs"; exec lbbroker --memory-budget 2M' \
        sh "$(cat "$demo/cgroup")"
    await "the broker answers" lbctl whoami
    lbpkg keygen
    join_server etl1 etl
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl1/etc/trust/signers"
    start_server etl1 --slots 8
    new_package quick shell ':' 'parameters: {text: {type: string}}'
    deploy quick etl
    # Eight at a time of 50 ms each: at most 160 a second, whatever machine this is; far more than
    # ten times that is offered.
    new_package slow shell 'sleep 0.05' 'parameters: {text: {type: string}}'
    deploy slow etl
    call --wait package:slow etl text=first
}
teardown_file() {
    local at
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    at=$(cat "$demo/cgroup")
    end_cluster
    [ -z "$at" ] || await "the cgroup is empty" rmdir "$at"
}
setup() { enter; }
teardown() { # a process that a failed test left stopped would never end
    [ ! -e "$demo/stopped" ] || kill -CONT $(cat "$demo/stopped") 2>/dev/null || :
    rm -f "$demo/stopped"
}

# Runs in a shell of its own each time; exec: that shell's number is then the caller's, and to stop
# it stops the caller.
flood() {
    export PYTHONDONTWRITEBYTECODE=1
    exec /usr/bin/python3 "$BATS_TEST_DIRNAME/flood.py" "$@"
}

stat_of() { # stat_of NAME: a number of the broker's own counts
    python -c 'import sys
sys.path.insert(0, sys.argv[1])
from peer import lb
with lb.Client() as c:
    print(next(iter(c.query("stats")))[sys.argv[2]])' "$BATS_TEST_DIRNAME" "$1"
}

peak() { # in KiB
    sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(cat "$demo/broker.pid")/status"
}

@test "promise 6: for 20 s ten times more calls than can be run: busy, and nothing is lost" {
    local pid
    pid=$(cat "$demo/broker.pid")
    [ ! -s "$demo/cgroup" ] || grep -qx "$pid" "$(cat "$demo/cgroup")/cgroup.procs"
    run flood --seconds 20 --outstanding 20000 package:slow etl
    echo "# $output; the broker had $(peak) KiB at most" >&3
    [ "$status" -eq 0 ]
    field '.offered > 10 * .ended_in_flood' true
    field '.accepted + .busy == .offered' true
    field .other 0
    field '.busy > 0 and .retry_ms >= 1000 and .retry_ms <= 10000' true
    # Every accepted call has ended, and the store itself says so.
    field '.ended == .accepted and .succeeded == .accepted' true
    await "the store has all of them" stored_is $(($(jq .accepted <<<"$output") + 1)) \
        "select count(*) from job_history"
    [ "$(cat "$demo/broker.pid")" = "$pid" ]
    [ "$(peak)" -lt $((ceiling >> 10)) ]
}

@test "promise 7: a monitor and a caller that are stopped cost others nothing and miss nothing" {
    local mon quick caller begun
    begun=$(stat_of lsn)
    lbmon --event all --json --since "$begun" >"$demo/stopped.out" 2>"$demo/stopped.err" 3>&- &
    mon=$!
    lbmon --event all --json --since "$begun" >"$demo/quick.out" 2>&1 3>&- &
    quick=$!
    flood --count 300 --outstanding 300 package:slow etl >"$demo/caller.out" 2>&1 3>&- &
    caller=$!
    await "the monitor has a first result" grep -q '"event":"result"' "$demo/stopped.out"
    echo $mon $caller >"$demo/stopped"
    kill -STOP $mon $caller
    [ ! -s "$demo/caller.out" ] # it has not heard the last of its ends
    run flood --count 1200 --outstanding 400 package:quick etl
    [ "$status" -eq 0 ]
    field .succeeded 1200
    await "the other monitor has all results" \
        sh -c "[ \$(grep -c '\"event\":\"result\"' '$demo/quick.out') -ge 1500 ]"
    echo "# owed to one session at most: $(stat_of owed_bytes_max) bytes;" \
        "to all now: $(stat_of owed_bytes); $(stat -c %s "$demo/quick.out") bytes of events" >&3
    [ "$(stat -c %s "$demo/quick.out")" -gt $((1 << 20)) ] # more than its credit
    [ "$(stat_of owed_bytes_max)" -le $((1 << 20)) ]
    kill -CONT $mon $caller
    wait $caller
    run cat "$demo/caller.out"
    field .succeeded 300
    await "the stopped one has all results" \
        sh -c "[ \$(grep -c '\"event\":\"result\"' '$demo/stopped.out') -ge 1500 ]"
    kill $mon $quick
    cmp <(jq -r .seq "$demo/stopped.out") <(jq -r .seq "$demo/quick.out")
    [ "$(jq -r .seq "$demo/stopped.out" | sort -n | uniq -d | wc -l)" -eq 0 ]
    jq -r .seq "$demo/stopped.out" | sort -nc
    [ ! -s "$demo/stopped.err" ] || cat "$demo/stopped.err"
}
