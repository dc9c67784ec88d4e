#!/bin/bash
# make bench: jobs of /bin/true through the whole path (durable, encrypted, signed, output captured)
# beside the bare spawn rate of the same run; and the time from call to result on an idle system.
# ONLY=waiting, and only then, as it takes minutes: calls of 200 bytes that no server can take wait
# at one broker, 100,000 of them and then 1,000,000 (WAITING="1000 2000" for other numbers): what
# each costs in memory and in the store, and how long a broker that was killed needs until it
# answers again.
# ONLY=followers, and only then: durable jobs whose simulated workers run no child, called while 0,
# 1, 10 and 50 sessions follow all events, by turns: what seeing costs those who work, and how much
# is seen meanwhile.
# usage: tests/bench/run.sh BUILD-FOLDER [true_jobs|latency|waiting|followers]
set -euo pipefail
build=$(cd "$1" && pwd)
only=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
rounds=${ROUNDS:-5}
count=${COUNT:-4000}
demo=$(mktemp -d "${TMPDIR:-/tmp}/lbb-XXXXXX")
. "$top/examples/nightly-load/cluster.sh"
chmod 755 "$demo"
PATH=$(within_reach "$build/bin" "$demo/bin"):$PATH
helpers=() # processes of tests/bench in the background
trap 'unset LONGBOAT_HOME; kill "${helpers[@]}" 2>/dev/null || :; clean_up' EXIT

clean_up() {
    end_all
    await "the broker has ended" gone "$(cat "$demo/broker.pid")"
    remove_demo
}

set_up_broker() {
    export LONGBOAT_HOME=$demo/admin
    port=$(free_port)
    lbctl init --no-passphrase --cluster bench --listen "127.0.0.1:$port" \
        --broker-home "$demo/broker" >/dev/null
    keep broker "$demo/broker" lbbroker
    await "the broker answers" lbctl whoami
}

set_up() {
    set_up_broker
    lbctl invite --server s1 >"$demo/token"
    server_home "$demo/s1"
    in_home "$demo/s1" lbworker join <"$demo/token" >/dev/null
    lbpkg keygen >/dev/null 2>&1
    cp "$demo/admin/etc/keys/builder.pub" "$demo/s1/etc/trust/signers"
    keep s1 "$demo/s1" lbworker
    mkdir -p "$demo/package/bin"
    cp /bin/true "$demo/package/bin/true"
    printf 'name: bench-true\nversion: 1.0.0\nsubsystem: exec\nentry: bin/true\n' \
        >"$demo/package/package.yaml"
    lbpkg build "$demo/package" -o "$demo/true.lbp" >/dev/null 2>&1
    lbpkg sign "$demo/true.lbp" >/dev/null 2>&1
    lbpkg deploy "$demo/true.lbp" --to s1 --wait >/dev/null 2>&1
}

# median [min-max] of the numbers on standard input
spread() {
    sort -g | awk '{v[NR] = $1} END {printf "%s [%s-%s]", v[int((NR + 1) / 2)], v[1], v[NR]}'
}
column() { cut -d' ' -f"$1" "$2" | spread; }
field() { sed "s/.*\"$1\": \([0-9.]*\).*/\1/"; }

rss() { ps -o rss= -p "$(cat "$demo/broker.pid")" | tr -d ' '; }
stored() { cat "$demo"/broker/var/broker/broker.db* | wc -c; }

# A killed process may be seen as dead while its last thread still holds the lock.
store_is_free() {
    /usr/bin/python3 -c 'import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX)' \
        "$demo/broker/var/broker/broker.db.lock"
}

# Starts the broker, which was killed, and prints the seconds until it has answered a question.
restart() {
    local begun
    begun=$(date +%s.%N)
    (
        LONGBOAT_HOME=$demo/broker lbbroker "${broker_options[@]}" \
            >>"$demo/broker.log" 2>&1 </dev/null &
        echo $! >"$demo/broker.pid"
    )
    # A refused client comes back only a second later: nothing connects before the broker listens.
    until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.01; done
    until lbctl whoami >/dev/null 2>&1; do :; done
    echo "$begun $(date +%s.%N)" | awk '{printf "%.2f\n", $2 - $1}'
}

waiting() { # waiting COUNT: so many more calls, then what all of them cost
    local count memory_before store_before rate after n
    count=$(($1 - have))
    memory_before=$(rss) store_before=$(stored)
    rate=$("$build/bench/waiting" package:bench-true s1 "$count" 2000 200 | field per_s)
    after=$(rss)
    for n in 1 2 3; do
        kill -9 "$(cat "$demo/broker.pid")"
        store_is_free
        restart
    done >"$demo/restarts"
    have=$1
    echo "$1 waiting calls: accepted $rate per second; broker $after KiB, restarted $(rss) KiB"
    echo "    bytes a call: memory $((($(rss) - empty) * 1024 / have)) restarted," \
        "$(((after - memory_before) * 1024 / count)) as they came;" \
        "store $((($(stored) - store_before) / count))"
    echo "    seconds from the start to the first answer: $(spread <"$demo/restarts")"
}

has_word() { grep -qs "$1" "$2"; }

# Calls are made without a pause while none, 1, 10 and 50 follow, in short phases by turns. The
# process of those who follow has the priority of all others, and shares their processors: what it
# takes, as much again as sending takes the broker, counts against the followers as well. With
# TMPDIR on a file system in memory the disk does not hide what processors do.
followers() {
    local phase_ms=200 cycles=15
    # simulated workers sign nothing; who follows says nothing of that
    echo 'unsigned_results: accept' >>"$LONGBOAT_HOME/etc/client.yaml"
    "$build/bench/fleet" 8 64 >"$demo/fleet.out" 2>&1 &
    helpers+=($!)
    await "the simulated workers are there" has_word up "$demo/fleet.out" >&2
    "$build/bench/followers" "$phase_ms" $((rounds * cycles)) 1 10 50 \
        >"$demo/followers.out" &
    following=$!
    helpers+=("$following")
    await "the followers are there" has_word live "$demo/followers.out" >&2
    "$build/bench/calls" noop fleet 10000000 2000 "$demo/progress" >/dev/null &
    helpers+=($!)
    wait "$following"
    /usr/bin/python3 "$here/rates.py" "$demo/followers.out" "$demo/progress" "$rounds"
}

if [ "$only" = followers ]; then
    set_up_broker
    followers
    exit 0
fi
set_up
if [ "$only" = waiting ]; then
    broker_options=(--memory-budget 512M --max-runs 10000000 --budgets memory=100)
    halt s1
    # The worker's runner, which lives on by design.
    kill -9 "$(head -n 1 "$demo/s1/run/runner.lock" | tr -cd 0-9)"
    halt broker
    restart >/dev/null
    empty=$(rss) have=0
    for n in ${WAITING:-100000 1000000}; do waiting "$n"; done
    exit 0
fi
# Warm: files, caches, measured run time.
"$build/bench/calls" package:bench-true s1 500 100 >/dev/null

if [ -z "$only" ] || [ "$only" = true_jobs ]; then
    for _ in $(seq "$rounds"); do
        before=$("$build/bench/spawn" 2000 2)
        jobs=$("$build/bench/calls" package:bench-true s1 "$count" 1000 | field per_s)
        after=$("$build/bench/spawn" 2000 2)
        echo "$jobs $before $after" |
            awk '{printf "%.1f %.1f %.3f\n", $1, ($2 + $3) / 2, $1 * 2 / ($2 + $3)}' \
            >>"$demo/true_jobs"
    done
    echo "true jobs per second      $(column 1 "$demo/true_jobs")   ($count calls, $rounds rounds)"
    echo "bare posix_spawn, 2 loops $(column 2 "$demo/true_jobs")"
    echo "true jobs of bare spawn   $(column 3 "$demo/true_jobs")"
fi
if [ -z "$only" ] || [ "$only" = latency ]; then
    for _ in $(seq "$rounds"); do
        out=$("$build/bench/calls" package:bench-true s1 200 1)
        spawn=$("$build/bench/spawn" 500 1)
        echo "$(field p50_ms <<<"$out") $(field p99_ms <<<"$out")" \
            "$(awk "BEGIN {print 1000 / $spawn}")" >>"$demo/latency"
    done
    echo "call to result, idle, ms: p50 $(column 1 "$demo/latency")," \
        "p99 $(column 2 "$demo/latency"); one bare spawn $(column 3 "$demo/latency")"
fi
