#!/bin/bash
# make kills: many small jobs while workers, runners and keepers are killed with kill -9, on a
# server in user mode and, for root, on one in separated mode. Before and after, all slots are used
# at once and everything of the servers is counted (census.py): the counts must be equal.
# usage: tests/soak/kills.sh BUILD-FOLDER JOBS [SEED]
# The cluster's folder is kept, and named, when something is wrong or LB_KEEP is set.
# Exit: 0 all is well; 1 something is wrong; 2 usage error.
set -euo pipefail
build=$(cd "$1" && pwd)
[[ $2 =~ ^[0-9]+$ && $2 -gt 0 ]] || {
    echo "kills: JOBS is '$2': a whole number above 0 is needed" >&2
    exit 2
}
[[ ${3:-1} =~ ^[0-9]+$ ]] || {
    echo "kills: SEED is '$3': a whole number is needed" >&2
    exit 2
}
jobs=$2 seed=${3:-$RANDOM$RANDOM} slots=6
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
demo=$(mktemp -d "${TMPDIR:-/tmp}/lbk-XXXXXX")
. "$top/examples/nightly-load/cluster.sh"
chmod 755 "$demo"
PATH=$(within_reach "$build/bin" "$demo/bin"):$PATH
export PATH PYTHONDONTWRITEBYTECODE=1 LONGBOAT_HOME=$demo/admin
servers=usr users=0
child_user=$((20000 + $$ % 4900 * 8 + 7)) # runs nothing else on this machine; see own_users
[ "$(id -u)" -ne 0 ] || servers=usr,sep users=0,$child_user

finish() {
    rc=$?
    unset LONGBOAT_HOME
    end_all
    if [ $rc -ne 0 ] || [ -n "${LB_KEEP:-}" ]; then
        echo "kills: the cluster's logs and stores, and the counts, are in $demo"
    else
        remove_demo
    fi
}
trap finish EXIT

package() { # package NAME TEXT MANIFEST-LINES
    mkdir -p "$demo/$1"
    printf '%s\n' "$2" >"$demo/$1/main"
    chmod 755 "$demo/$1/main"
    printf 'name: %s\nversion: 1.0.0\nsubsystem: shell\nentry: main\n%s\n' "$1" "$3" \
        >"$demo/$1/package.yaml"
    lbpkg build "$demo/$1" -o "$demo/$1.lbp"
    lbpkg sign "$demo/$1.lbp"
    lbpkg deploy "$demo/$1.lbp" --to all --wait
}

is_up() { lbctl servers "$1" --json | grep -q '"state":"up"'; }

set_up() {
    local s
    lbctl init --no-passphrase --cluster kills --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    printf 'lost_after: 10s\nlease: 4s\n' >>"$demo/broker/etc/broker.yaml"
    keep broker "$demo/broker" lbbroker
    await "the broker answers" lbctl whoami
    lbpkg keygen
    for s in ${servers//,/ }; do
        lbctl invite --server "$s" --pools etl >"$demo/token"
        server_home "$demo/$s"
        in_home "$demo/$s" lbworker join <"$demo/token"
        install -m 644 "$demo/admin/etc/keys/builder.pub" "$demo/$s/etc/trust/signers"
        [ "$s" != sep ] || separate sep "$demo/sep"
        keep "$s" "$demo/$s" lbworker --slots $slots
        await "$s is up" is_up "$s"
    done
    package work 'case $LB_PARAM_what in
fails) exit 3 ;;
files) mkdir -p "$LB_WORK/a/b"; echo x >"$LB_WORK/a/b/c"; mkfifo "$LB_WORK/a/d" ;;
daemon) setsid sh -c "sleep 1000 & sleep 1000" >/dev/null 2>&1 & ;;
deaf) setsid sh -c "trap \"\" TERM; sleep 1000; sleep 1000" & ;;
slow) sleep 0.3 ;;
outputs) echo "1 begun" >"$LB_PROGRESS"; echo "rows=1" >>"$LB_OUTPUTS"; head -c 5000 /dev/zero ;;
esac' 'parameters: {what: {type: string, required: true}}
outputs: {rows: {type: int}}'
    # it says something, so that each file of a keeper has a reader that ships output
    package gate 'echo inside; touch "$LB_WORK/inside"
while [ ! -e "$LB_PARAM_gate" ]; do sleep 0.05; done' \
        'parameters: {gate: {type: string, required: true}}'
}

inside() { # inside SERVER: so many children are at the gate
    find "$demo/$1/var/work" -name inside | wc -l
}
all_inside() { [ "$(inside "$1")" -eq $slots ]; }

# Every slot can be filled, all at once.
fill() {
    local s n pids=
    rm -f "$demo/gate.open"
    for s in ${servers//,/ }; do
        for n in $(seq $slots); do
            lbsubmit --quiet --package gate --server "$s" -p gate="$demo/gate.open" >/dev/null &
            pids="$pids $!"
        done
    done
    for s in ${servers//,/ }; do
        await "all $slots slots of $s are filled at once" all_inside "$s" || return 1
    done
    : >"$demo/gate.open"
    # shellcheck disable=SC2086
    wait $pids
}

count() { # count SERVER [--all]
    local only=
    [ "$1" != sep ] || only=$child_user
    # shellcheck disable=SC2086
    /usr/bin/python3 "$top/tests/system/census.py" "${@:2}" "$demo/$1" $only
}

settled() { # settled SERVER FILE: writes it, once nothing has changed for a second
    count "$1" >"$2"
    sleep 1
    count "$1" | cmp -s - "$2"
}

same() { # same SERVER
    count "$1" | cmp -s - "$demo/before-$1"
}

echo "kills: $jobs jobs, seed $seed; with SEED=$seed chance decides the same again"
{ set_up && fill; } >"$demo/setup.log" 2>&1 || {
    cat "$demo/setup.log"
    exit 1
}
for s in ${servers//,/ }; do
    await "$s is at rest" settled "$s" "$demo/before-$s"
    count "$s" --all >"$demo/before-$s.all"
done
wrong=0
/usr/bin/python3 "$here/kills.py" --demo "$demo" --seed "$seed" --jobs "$jobs" \
    --servers "$servers" --users "$users" || wrong=1
for s in ${servers//,/ }; do
    await_most=60 await "$s is up" is_up "$s" || wrong=1
done
fill || wrong=1
for s in ${servers//,/ }; do
    await_most=60 await "the counts of $s are as before" same "$s" || wrong=1
    count "$s" >"$demo/after-$s"
    count "$s" --all >"$demo/after-$s.all"
    diff "$demo/before-$s" "$demo/after-$s" || wrong=1
done
[ $wrong -eq 0 ] || echo "kills: something is wrong"
[ $wrong -ne 0 ] ||
    echo "kills: slots, processes, descriptors, cgroups, folders, files in memory: as before"
exit $wrong
