#!/bin/bash
# make bench: jobs of /bin/true through the whole path (durable, encrypted, signed, output captured) beside the bare spawn
# rate of the same run; and the time from call to result on an idle system.
# usage: tests/bench/run.sh BUILD-FOLDER [true_jobs|latency]
set -euo pipefail
build=$(cd "$1" && pwd)
only=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
rounds=${ROUNDS:-5}
count=${COUNT:-4000}
demo=$(mktemp -d "${TMPDIR:-/tmp}/lbb-XXXXXX")
. "$top/examples/nightly-load/cluster.sh"
PATH=$build/bin:$PATH
trap 'unset LONGBOAT_HOME; end_all; rm -rf "$demo"' EXIT

set_up() {
    export LONGBOAT_HOME=$demo/admin
    lbctl init --cluster bench --listen "127.0.0.1:$(free_port)" --broker-home "$demo/broker" >/dev/null
    keep broker "$demo/broker" lbbroker
    await "the broker answers" lbctl whoami
    lbctl invite --server s1 >"$demo/token"
    LONGBOAT_HOME=$demo/s1 lbworker join <"$demo/token" >/dev/null
    lbpkg keygen >/dev/null 2>&1
    cp "$demo/admin/etc/keys/builder.pub" "$demo/s1/etc/trust/signers"
    keep s1 "$demo/s1" lbworker
    mkdir -p "$demo/package/bin"
    cp /bin/true "$demo/package/bin/true"
    printf 'name: bench-true\nversion: 1.0.0\nsubsystem: exec\nentry: bin/true\n' >"$demo/package/package.yaml"
    lbpkg build "$demo/package" -o "$demo/true.lbp" >/dev/null 2>&1
    lbpkg sign "$demo/true.lbp" >/dev/null 2>&1
    lbpkg deploy "$demo/true.lbp" --to s1 --wait >/dev/null 2>&1
}

# median [min-max] of the numbers on standard input
spread() { sort -g | awk '{v[NR] = $1} END {printf "%s [%s-%s]", v[int((NR + 1) / 2)], v[1], v[NR]}'; }
column() { cut -d' ' -f"$1" "$2" | spread; }
field() { sed "s/.*\"$1\": \([0-9.]*\).*/\1/"; }

set_up
"$build/bench/calls" package:bench-true s1 500 100 >/dev/null # warm: files, caches, measured run time

if [ -z "$only" ] || [ "$only" = true_jobs ]; then
    for _ in $(seq "$rounds"); do
        before=$("$build/bench/spawn" 2000 2)
        jobs=$("$build/bench/calls" package:bench-true s1 "$count" 1000 | field per_s)
        after=$("$build/bench/spawn" 2000 2)
        echo "$jobs $before $after" | awk '{printf "%.1f %.1f %.3f\n", $1, ($2 + $3) / 2, $1 * 2 / ($2 + $3)}' >>"$demo/true_jobs"
    done
    echo "true jobs per second      $(column 1 "$demo/true_jobs")   ($count calls, $rounds rounds)"
    echo "bare posix_spawn, 2 loops $(column 2 "$demo/true_jobs")"
    echo "true jobs of bare spawn   $(column 3 "$demo/true_jobs")"
fi
if [ -z "$only" ] || [ "$only" = latency ]; then
    for _ in $(seq "$rounds"); do
        out=$("$build/bench/calls" package:bench-true s1 200 1)
        spawn=$("$build/bench/spawn" 500 1)
        echo "$(echo "$out" | field p50_ms) $(echo "$out" | field p99_ms) $(awk "BEGIN {print 1000 / $spawn}")" >>"$demo/latency"
    done
    echo "call to result, idle, ms: p50 $(column 1 "$demo/latency"), p99 $(column 2 "$demo/latency"); one bare spawn $(column 3 "$demo/latency")"
fi
