#!/bin/bash
# make soak: a real cluster under steady load while one of its processes is killed every second;
# then it is left alone until all calls have ended, and judge.py judges from plain files. With
# LB_HOSTILE=1 a hostile principal of each role attacks beside the load: when nothing else wants a
# processor, with LB_ORDINARY=1 at ordinary priority.
# usage: tests/soak/run.sh BUILD-FOLDER MINUTES [SEED]
# The cluster's folder is kept, and named, when something is wrong or LB_KEEP is set.
# Exit: 0 all is well; 1 something is wrong; 2 usage error.
set -euo pipefail
[ $# -ge 2 ] && [ $# -le 3 ] && [ -n "$2" ] || {
    echo "soak: MINUTES is missing; usage: tests/soak/run.sh BUILD-FOLDER MINUTES [SEED]," \
        "or make soak MINUTES=30" >&2
    exit 2
}
build=$(cd "$1" && pwd)
[[ $2 =~ ^[0-9]+(\.[0-9]+)?$ && $2 =~ [1-9] ]] || {
    echo "soak: MINUTES is '$2': a number above 0 is needed, as 30 or 0.5" >&2
    exit 2
}
[[ ${3:-1} =~ ^[0-9]+$ ]] || {
    echo "soak: SEED is '$3': a whole number is needed" >&2
    exit 2
}
seconds=$(awk "BEGIN {print $2 * 60}")
seed=${3:-$RANDOM$RANDOM}
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
servers="s1 s2 s3"
slots=4
lost_after=10    # seconds; short, so that it is met
patience=240     # once the killing has stopped: seconds without news of any run, four times in all
demo=$(mktemp -d "${TMPDIR:-/tmp}/lbs-XXXXXX")
files=$demo/files
witness=$files/witness
. "$top/examples/nightly-load/cluster.sh"
mkdir "$files"
: >"$witness"
chmod 755 "$demo"
give_servers "$witness" # the children write into it
PATH=$(within_reach "$build/bin" "$demo/bin"):$PATH
export PATH PYTHONDONTWRITEBYTECODE=1 LONGBOAT_HOME=$demo/admin
hostile=$top/tests/hostile
. "$hostile/principals.sh"

finish() {
    rc=$?
    unset LONGBOAT_HOME
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null || :
    end_all
    # shellcheck disable=SC2046
    kill -9 $(pgrep -f "^$demo/.*/bin/soakchild") 2>/dev/null || :
    if [ $rc -ne 0 ] || [ -n "${LB_KEEP:-}" ]; then
        echo "soak: the cluster's logs and stores, and the files that were judged, are in $demo"
    else
        remove_demo
    fi
}
trap finish EXIT

set_up() {
    lbctl init --no-passphrase --cluster soak --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    printf 'lost_after: %ss\nlease: 4s\n' "$lost_after" >>"$demo/broker/etc/broker.yaml"
    keep broker "$demo/broker" lbbroker
    await "the broker answers" lbctl whoami
    lbpkg keygen
    for s in $servers; do
        lbctl invite --server "$s" --pools etl >"$demo/token"
        server_home "$demo/$s"
        in_home "$demo/$s" lbworker join <"$demo/token"
        cp "$demo/admin/etc/keys/builder.pub" "$demo/$s/etc/trust/signers"
        keep "$s" "$demo/$s" lbworker --slots $slots
    done
    for s in $servers; do
        await "$s is up" sh -c "lbctl servers $s --json | grep -q '\"state\":\"up\"'"
    done
    mkdir -p "$demo/package/bin"
    cp "$build/soak/child" "$demo/package/bin/soakchild"
    cat >"$demo/package/package.yaml" <<MANIFEST
name: child
version: 1.0.0
subsystem: exec
entry: bin/soakchild
parameters:
  witness: {type: string, required: true}
  key: {type: string, required: true}
  ms: {type: int, required: true}
  code: {type: int, default: 0}
  deaf: {type: int, default: 0}
  helper: {type: int, default: 0}
  gate: {type: string, default: ""}
MANIFEST
    lbpkg build "$demo/package" -o "$demo/child.lbp"
    lbpkg sign "$demo/child.lbp"
    lbpkg deploy "$demo/child.lbp" --to etl --wait
    [ -z "${LB_HOSTILE:-}" ] || hostile_join
}

python() { /usr/bin/python3 "$@"; }
# Children and what they have started: the servers of this cluster alone have this path.
children() { pgrep -fc "^$demo/.*/bin/soakchild" || :; }
no_children() { [ "$(children)" -eq 0 ]; }

load() { # in the background; their numbers in $load
    local n
    load=
    for n in 1 2 3; do
        python "$here/caller.py" call --name "caller$n" --seed "$seed-$n" --seconds "$seconds" \
            --patience "$patience" --window 5 --witness "$witness" --told "$files/told-caller$n" &
        load="$load $!"
    done
    for n in 1 2 3; do
        python "$here/submitter.py" --name "submitter$n" --seed "$seed-s$n" --seconds "$seconds" \
            --patience "$patience" --folder "$demo" --witness "$witness" \
            --told "$files/told-submitter$n" &
        load="$load $!"
    done
    python "$here/releaser.py" --seed "$seed" --deeds "$files/deeds-releaser" \
        --quiet "$files/quiet" &
    releaser=$!
}

# Every slot can be filled: as many children as there are slots run at a time. They wait for each
# other.
slots_are_whole() {
    local s n wanted=0 known
    known=$(wc -l <"$witness")
    for s in $servers; do
        for n in $(seq $slots); do
            lbsubmit --quiet --package child --server "$s" -p witness="$witness" \
                -p key="slot/$s/$n" -p ms=0 -p gate="$files/gate" >/dev/null &
            wanted=$((wanted + 1))
        done
    done
    await "all $wanted slots are filled at once" sh -c "[ \$(tail -n +$((known + 1)) '$witness' |
        grep -c '^begin .*key=slot/') -eq $wanted ]" || return 1
    : >"$files/gate"
    await "they have ended" no_children
}

echo "soak: seed $seed, $seconds s of killing; with SEED=$seed chance decides the same again"
set_up >"$demo/setup.log" 2>&1 || {
    cat "$demo/setup.log"
    exit 1
}
load
[ -z "${LB_HOSTILE:-}" ] || hostile_begin "$seconds" "$seed"
python "$here/killer.py" --demo "$demo" --seed "$seed" --seconds "$seconds" \
    --deeds "$files/deeds-killer" --witness "$witness" --servers "${servers// /,}" --slots $slots
wrong=0
[ -z "${LB_HOSTILE:-}" ] || hostile_end || {
    echo "soak: an attack broke"
    wrong=1
}
deaf=0
for p in $load; do wait "$p" || deaf=1; done
[ $deaf -eq 0 ] || {
    wrong=1
    echo "soak: a caller failed, or gave up: no news of any run for $patience s, or runs" \
        "that were open after four times as long"
    python "$here/unheard.py" "$files"/told-*[0-9]
}
: >"$files/quiet"
wait "$releaser"
python "$here/caller.py" again --patience "$patience" --told "$files/told-again" \
    "$files"/told-*[0-9] || {
    echo "soak: a second session heard no news for $patience s, or not every end in four times as" \
        "long"
    python "$here/unheard.py" "$files/told-again" "$files"/told-*[0-9]
    wrong=1
}
rss=$(ps -o rss= -p "$(cat "$demo/broker.pid")" | tr -d ' ')
{
    cat "$files"/deeds-*
    echo "memory at=$(cut -d' ' -f1 /proc/uptime) kb=$rss"
} >"$files/deeds"

aborts=$(hostile_aborts)
echo "aborts of the broker: $aborts"
[ "$aborts" -eq 0 ] || wrong=1
await "no child is left" no_children || { pgrep -fa "^$demo/.*/bin/soakchild"; wrong=1; }
cp "$witness" "$files/witness-judged"
python "$here/judge.py" --lost-after "$lost_after" --deeds "$files/deeds" \
    --witness "$files/witness-judged" "$files"/told-* || wrong=1
echo "processes left: $(children)"
if slots_are_whole; then
    echo "slots left: 0 of $(($(wc -w <<<"$servers") * slots)) taken"
else
    wrong=1
fi
[ $wrong -eq 0 ] && echo "soak: all is well" || echo "soak: something is wrong"
exit $wrong
