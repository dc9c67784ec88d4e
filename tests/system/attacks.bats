# What a malicious holder of a valid key may try, each attack alone (tests/hostile/attacks.py has
# them): the broker lives, takes at most 16 MiB more for one attacking key, and somebody else's
# questions and jobs are all answered meanwhile, and after. How long they take is stated by
# `make hostile EACH=5`, not here.
load helpers

setup_file() {
    new_cluster s1
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

# attack_of NAME ATTACK: for two seconds, while anna works
attack_of() {
    local before after pid victim
    pid=$(cat "$demo/broker.pid")
    before=$(memory VmRSS)
    echo 5 >"/proc/$pid/clear_refs"
    echo attacked >"$demo/phases"
    python "$hostile/victim.py" --home "$demo/anna" --address etl --phases "$demo/phases" \
        --out "$demo/victim.json" 3>&- &
    victim=$!
    python "$hostile/mob.py" --home "$demo/$1" --seconds 2 --each 2 "$2"
    echo end >"$demo/phases"
    wait $victim
    jq -e '.attacked | .missed == 0 and .job.n > 0' "$demo/victim.json"
    [ "$(cat "$demo/broker.pid")" = "$pid" ]
    after=$(memory VmHWM)
    echo "$2: $((after - before)) KiB more"
    sanitized || [ $((after - before)) -le $((16 * 1024)) ]
}

attacks_of() { # attacks_of NAME: each of its role, all that fail named
    local attack failed=
    for attack in $(python "$hostile/mob.py" --home "$demo/$1" --names); do
        attack_of "$1" "$attack" || failed="$failed $attack"
    done
    [ -z "$failed" ] || { echo "failed:$failed"; false; }
}

@test "promise 6: each attack of a caller costs others nothing" { attacks_of carl; }

@test "promise 6: each attack of a monitor costs others nothing" { attacks_of mona; }

@test "promise 6: each attack of a server costs others nothing" { attacks_of evil; }

@test "after all attacks, history is whole and the first key still makes no second run" {
    [ "$(as anna lbctl history --json -n 100000 | jq -r .key | grep -c '^first$')" = 1 ]
    run as anna lbsubmit --quiet --package true --pool etl --key first
    [[ "$output" == *"key was used before"* ]]
    [ "$(hostile_aborts)" = 0 ]
}
