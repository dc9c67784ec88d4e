#!/usr/bin/env bats
# hostilechildren.bats - children that do their worst to be left over (tricks.py), on a server in
# separated mode and on one in user mode. After each: both slots run something, or the server says
# that one is out of service; nothing outside of the child's folders is gone; and no process,
# descriptor, cgroup, folder or file in memory is left over (census.py).

load helpers

own_users child

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    local s
    new_demo
    chown root:root "$demo"
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker
    lbpkg keygen
    for s in usr sep; do
        join_server $s etl
        install -m 644 "$demo/admin/etc/keys/builder.pub" "$demo/$s/etc/trust/signers"
    done
    child_user=$child separate sep "$demo/sep"
    start_server usr --slots 2
    keep sep "$demo/sep" lbworker --slots 2
    await "sep is up" sh -c "lbctl servers sep --json | grep -q '\"state\":\"up\"'"
    new_package tricks python "$(cat "$BATS_TEST_DIRNAME/tricks.py")" 'limits: {timeout: 8s}
parameters:
  trick: {type: string, required: true}
  outside: {type: string, required: true}'
    # It is there until somebody is in the other slot, too.
    new_package here shell 'echo "in ${LB_WORK##*/}"; : >"$LB_PARAM_meet/${LB_WORK##*/}"
while [ "$(ls "$LB_PARAM_meet" | wc -l)" -lt 2 ]; do sleep 0.05; done
ls -A "$LB_WORK"' 'limits: {timeout: 15s}
parameters: {meet: {type: string, required: true}}'
    deploy tricks all
    deploy here all
    for s in usr sep; do
        await "both slots of $s are used" both_slots $s
        idle $s >"$demo/census-$s"
    done
}
teardown_file() { end_cluster; }

setup() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    enter
    outside=$demo/outside
    rm -rf "$outside"
    mkdir -m 777 "$outside" "$outside/folder"
    echo precious >"$outside/file"
    echo precious >"$outside/folder/file"
    chmod 666 "$outside/file" "$outside/folder/file"
    inventory >"$demo/inventory"
}
teardown() { unspoil; }

# What root has put into work folders, out again.
unspoil() {
    local at
    for at in $(awk -v at="$demo/" 'index($5, at) == 1 {print $5}' /proc/self/mountinfo); do
        umount "$at"
    done
    chattr -R -i "$demo"/usr/var/work "$demo"/sep/var/work 2>/dev/null || :
}

inventory() {
    find "$outside" -printf '%P %y %m %s\n' | sort
}

census() {
    local only=
    [ "$1" = usr ] || only=$child
    python "$BATS_TEST_DIRNAME/census.py" "$demo/$1" $only
}

# The census, once nothing has changed for half a second: what was started for a moment has ended.
idle() {
    local now before=
    for _ in $(seq 100); do
        now=$(census "$1")
        [ "$now" != "$before" ] || break
        before=$now
        sleep 0.5
    done
    echo "$now"
}

# Two children at a time are in two slots, and each finds its folder empty.
both_slots() {
    local n pids= meet=$demo/meet-$1
    rm -rf "$meet"
    mkdir -m 777 "$meet"
    for n in 1 2; do
        lbsubmit --package here --server "$1" -p meet="$meet" >"$demo/here-$1-$n" 2>&1 3>&- &
        pids="$pids $!"
    done
    wait $pids || return 1
    for n in 1 2; do
        lbctl logs "$(lbctl history --job package:here --server "$1" -n 2 --json |
            jq -r .run | sed -n ${n}p)"
    done >"$demo/here-$1"
    [ "$(grep -c '^in ' "$demo/here-$1")" -eq "$(wc -l <"$demo/here-$1")" ] &&
        [ "$(sed 's/\..*//' "$demo/here-$1" | sort -u | wc -l)" -eq 2 ]
}

out_of_service() {
    lbctl servers "$1" --json | grep -q "out of service"
}

# as_before SERVER [WHAT]: both slots work, or one is said not to; the census is that of the
# beginning, but for lines that begin with WHAT.
as_before() {
    local s=$1 without=${2:-nothing}
    await "both slots of $s run something, or one is said to be out of service" \
        both_slots_or_said "$s"
    await "nothing is left on $s" same_census "$s" "$without" || {
        diff <(grep -v "^$without" "$demo/census-$s") <(census "$s" | grep -v "^$without")
        python "$BATS_TEST_DIRNAME/census.py" --all "$demo/$s" | grep "^process "
        return 1
    }
}
both_slots_or_said() { out_of_service "$1" || both_slots "$1"; }
same_census() {
    diff <(grep -v "^$2" "$demo/census-$1") <(census "$1" | grep -v "^$2")
}

submit() { # submit TRICK SERVER: in the background
    lbsubmit --package tricks --server "$2" -p trick="$1" -p outside="$outside" \
        >"$demo/trick-$2" 2>&1 3>&- &
}

was_played() { # was_played TRICK SERVER
    lbctl logs "$(lbctl history --job package:tricks --server "$2" -n 1 --json | jq -r .run)" |
        grep "^played $1\$"
}

# On both servers at a time.
play() {
    local s pids=
    for s in usr sep; do
        submit "$1" $s
        pids="$pids $!"
    done
    wait $pids || :
    for s in usr sep; do
        was_played "$1" $s || {
            echo "$1 was not played on $s:"
            cat "$demo/trick-$s"
            return 1
        }
    done
    for s in usr sep; do
        as_before $s "${2:-}"
    done
    inventory | diff "$demo/inventory" -
}

@test "double forks in sessions of their own" { play forks; }
@test "a daemon that is deaf to TERM and has closed all" { play daemon; }
@test "a child that ignores TERM until its timeout" { play ignores; }
@test "processes that have stopped themselves" { play stopped; }
@test "processes that fork faster than anybody lists them" { play bomb; }
@test "a subreaper among the descendants" { play reaper; }
@test "a child that kills its keeper" { play killer; }
@test "FIFOs and sockets in the work folder and in the place of outputs" { play special; }
@test "links to what lies outside, and outputs that are a link" { play links; }
@test "a path of 3,000 folders" { play deep; }
@test "2,000 files" { play many; }
@test "names with newlines, escapes and bytes that are no text" { play names; }
@test "folders that are closed even to their owner" { play closed; }
@test "a link in the place of the work folder" { play moved; }

# helped_by TRICK COMMAND...: root does the command in the folder `place` of each child
helped_by() {
    local s at trick=$1 pids=
    shift
    for s in usr sep; do
        submit "$trick" $s
        pids="$pids $!"
    done
    for s in usr sep; do
        await "the child of $s is ready" sh -c "ls $demo/$s/var/work/*/ready-$trick"
        at=$(dirname "$(ls "$demo/$s"/var/work/*/ready-"$trick")")
        (cd "$at/place" && "$@") || return 1
        touch "$at/go"
    done
    wait $pids || :
    for s in usr sep; do
        was_played "$trick" $s
        as_before $s "folder var/work"
    done
    inventory | diff "$demo/inventory" -
}

@test "immutable files" {
    chattr +i "$outside/file" || skip "this file system has no immutable files"
    chattr -i "$outside/file"
    helped_by immutable chattr +i file
}

@test "folders of other users" {
    helped_by owned sh -c 'mkdir root && touch root/file && chmod 700 root && chown 0:0 root .'
}

@test "bind mounts" {
    unshare -m true || skip "nothing can be mounted here"
    helped_by mounted sh -c "mkdir m && mount --bind '$outside' m"
}
