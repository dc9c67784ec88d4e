# What a malicious holder of a valid key may try, each attack alone (tests/hostile/attacks.py has
# them): the broker lives, and somebody else's questions and jobs are all answered meanwhile, and
# after. For one attacking key it takes at most 16 MiB more, beside the calls that the key may keep
# (its share of memory_budget) and the pages of SQLite, which have a bound of their own. No turn of
# it uses more than 20 ms of processor time. How long answers take is stated by `make hostile
# EACH=5`, not here.
load helpers

setup_file() {
    budget_mib=8
    new_cluster s1
    halt broker
    start_broker --memory-budget ${budget_mib}M
    new_package true exec '#!/bin/sh
exit 0'
    deploy true etl
    new_package child exec '#!/bin/sh
exit 0'
    deploy child etl
    join_principal anna 'call *@*' 'watch *@*'
    hostile=$top/tests/hostile
    . "$hostile/principals.sh"
    hostile_join
    as anna lbsubmit --quiet --package true --pool etl --key first
}
teardown_file() { end_cluster; }
setup() {
    enter
    hostile=$top/tests/hostile
    . "$hostile/principals.sh"
}

memory() { # memory VmRSS|VmHWM: of the broker, in KiB
    awk -v what="$1:" '$1 == what {print $2}' "/proc/$(cat "$demo/broker.pid")/status"
}

stat_of() { lbctl stats --json | jq "$1"; }

# allowed ATTACK: KiB more; calls that are kept may take their share, and half of it again for what
# the allocator adds
allowed() {
    case $1 in
    calls-for-a-server-that-never-comes | calls-that-outrun-the-workers)
        echo $(((16 + budget_mib * 3 / 4 * 3 / 2) * 1024)) ;;
    *) echo $((16 * 1024)) ;;
    esac
}

# attack_of NAME ATTACK: for a second, while anna works
attack_of() {
    local before after pages pid victim
    pid=$(cat "$demo/broker.pid")
    pages=$(stat_of .store.sqlite_bytes)
    echo 5 >"/proc/$pid/clear_refs"
    before=$(memory VmRSS)
    echo attacked >"$demo/phases"
    python "$hostile/victim.py" --home "$demo/anna" --address etl --phases "$demo/phases" \
        --out "$demo/victim.json" 3>&- &
    victim=$!
    python "$hostile/mob.py" --home "$demo/$1" --seconds 1 --each 1 "$2"
    echo end >"$demo/phases"
    wait $victim
    jq -e '.attacked | .missed == 0 and .job.n > 0' "$demo/victim.json"
    [ "$(cat "$demo/broker.pid")" = "$pid" ]
    after=$(memory VmHWM)
    pages=$((($(stat_of .store.sqlite_bytes) - pages) / 1024))
    echo "# $2: $((after - before - pages)) KiB more, $pages KiB of pages," \
        "turn of at most $(stat_of .turn_cpu_us_max) us" >&3
    sanitized || [ $((after - before - pages)) -le "$(allowed "$2")" ]
    sanitized || [ "$(stat_of .turn_cpu_us_max)" -le 20000 ]
}

attacks_of() { # attacks_of NAME: each of its role, all that fail named
    local attack failed=
    for attack in $(python "$hostile/mob.py" --home "$demo/$1" --names); do
        attack_of "$1" "$attack" || failed="$failed $attack"
    done
    [ -z "$failed" ] || { echo "failed:$failed"; false; }
}

@test "promise 6: each attack of a monitor costs others nothing" { attacks_of mona; }

@test "promise 6: each attack of a server costs others nothing" { attacks_of evil; }

@test "promise 6: each attack of a caller costs others nothing" { attacks_of carl; }

@test "after all attacks, history is whole and the first key still makes no second run" {
    [ "$(as anna lbctl history --json -n 100000 | jq -r .key | grep -c '^first$')" = 1 ]
    run as anna lbsubmit --quiet --package true --pool etl --key first
    [[ "$output" == *"key was used before"* ]]
    [ "$(hostile_aborts)" = 0 ]
}

# The attackers of a soak, too, meet a broker that is killed and started again.
@test "a broker that is killed under each attack breaks none of them" {
    local mobs= m n=0
    for m in carl mona evil admin; do
        python "$hostile/mob.py" --home "$demo/$m" --seconds 10 --each 0.5 --rival anna \
            >"$demo/mob-$m.log" 2>&1 3>&- &
        mobs="$mobs $!"
    done
    while jobs -r | grep -q mob.py; do
        kill -9 "$(cat "$demo/broker.pid")" 2>/dev/null && n=$((n + 1)) || : # it may be between two
        await "the broker answers again" lbctl whoami
    done
    for m in $mobs; do
        wait "$m" || { cat "$demo"/mob-*.log; false; }
    done
    echo "# the broker was killed $n times" >&3
    [ "$n" -gt 1 ]
    [ "$(hostile_aborts)" = 0 ]
}

@test "what counts as an attack's own mistake, and what does not" {
    run python "$hostile/mob_test.py"
    echo "$output"
    [ "$status" -eq 0 ]
}
