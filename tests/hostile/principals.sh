# principals.sh - hostile principals, one of each role, beside a cluster of cluster.sh; sourced.
# Needs $demo, the administrator's home in LONGBOAT_HOME, and $hostile: this folder.

# hostile_join: carl (caller), mona (monitor), evil (server, in a pool of its own) and a newcomer
# with a token. The administrator's own key is tried as well.
hostile_join() {
    lbctl invite --principal carl --grant 'call *@*' >"$demo/token"
    LONGBOAT_HOME=$demo/carl lbsubmit join <"$demo/token"
    lbctl invite --principal mona --role monitor --grant 'watch *@*' >"$demo/token"
    LONGBOAT_HOME=$demo/mona lbsubmit join <"$demo/token"
    lbctl invite --server evil --pools other >"$demo/token"
    server_home "$demo/evil"
    in_home "$demo/evil" lbworker join <"$demo/token"
    lbctl invite --server newcomer --pools other >"$demo/newcomer.token"
}

# The words of mob.py's command line that say how it attacks: LB_ORDINARY=1.
hostile_how() { [ -z "${LB_ORDINARY:-}" ] || echo --ordinary; }

# hostile_begin SECONDS SEED: their attacks, in the background; numbers in $mobs
hostile_begin() {
    mobs=
    for m in carl mona evil admin; do
        # shellcheck disable=SC2046
        /usr/bin/python3 "$hostile/mob.py" --home "$demo/$m" --seconds "$1" --seed "$2" \
            --rival anna $(hostile_how) >"$demo/mob-$m.log" 2>&1 &
        mobs="$mobs $!"
    done
    # shellcheck disable=SC2046
    /usr/bin/python3 "$hostile/mob.py" --token "$demo/newcomer.token" --seconds "$1" --seed "$2" \
        $(hostile_how) >"$demo/mob-newcomer.log" 2>&1 &
    mobs="$mobs $!"
}

# hostile_end: waits for them; false if an attack of theirs broke
hostile_end() {
    hostile_broken=0
    for m in $mobs; do wait "$m" || hostile_broken=1; done
    cat "$demo"/mob-*.log | grep -v '^$' || :
    return $hostile_broken
}

# A broker's last words that no kill from outside leaves.
hostile_aborts() {
    grep -cE 'Assertion|AddressSanitizer|UndefinedBehavior|runtime error|Aborted|Segmentation' \
        "$demo/broker.log" || :
}
