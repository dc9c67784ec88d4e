#!/bin/bash
# make hostile: a broker with two servers, somebody who wants their work done, and a hostile
# principal of each role. First it is quiet; then they attack, all at once, until the time is over.
# What is counted must be 0; the victim's times are stated.
# usage: tests/hostile/run.sh BUILD-FOLDER MINUTES [SEED]
#   LB_EACH=5   instead, each attack alone, for so many seconds and until the victim has 300 answers
#               of each kind (but at most six times as long), and a table of what it cost: ratios of
#               the victim's p99 to quiet, MiB of the broker beyond the pages of SQLite (calls that
#               it may keep included), the longest turn so far in processor time
#   LB_ONLY=RE  only the attacks whose ROLE/NAME matches
#   LB_ORDINARY=1   the attackers have ordinary priority, so that they also attack beside other
#               work; then the victim's times say nothing of the broker, and no ratios are printed
# Missed answers, aborts, lost or repeated jobs and the broker's memory are judged in both ways.
# Before each attack it is quiet again, for 100 answers. The p99 of quiet is that of all of these
# together; its lowest and its highest among them say how much the machine itself varies.
# Then nobody attacks either, but each processor is kept busy with nothing, at the lowest priority,
# as the attackers keep them. With some kernels (PREEMPT_NONE, 250 ticks a second) whoever wakes up
# may wait 4 ms until such a program gives way, whatever its priority. What an attack costs beyond
# that is the broker's doing: hence a second table.
# By default the attackers run only when nothing else wants a processor (mob.py): their processors
# are not the broker's, except here. What the broker does for them runs as always, beside the
# victim, the servers and the jobs; so a row says what the broker and one machine for all of them
# cost.
# The cluster's folder is kept, and named, when something is wrong or LB_KEEP is set.
# Exit: 0 all is well; 1 something is wrong; 2 usage error.
set -euo pipefail
[ $# -ge 2 ] && [ $# -le 3 ] && [ -n "$2" ] || {
    echo "hostile: MINUTES is missing; usage: tests/hostile/run.sh BUILD-FOLDER MINUTES [SEED]," \
        "or make hostile MINUTES=30" >&2
    exit 2
}
build=$(cd "$1" && pwd)
[[ $2 =~ ^[0-9]+(\.[0-9]+)?$ && $2 =~ [1-9] ]] || {
    echo "hostile: MINUTES is '$2': a number above 0 is needed, as 30 or 0.5" >&2
    exit 2
}
seconds=$(awk "BEGIN {print $2 * 60}")
quiet=$(awk "BEGIN {q = $seconds / 5; print q < 60 ? q : 60}")
seed=${3:-$RANDOM$RANDOM}
hostile=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$hostile/../.." && pwd)
demo=$(mktemp -d "${TMPDIR:-/tmp}/lbh-XXXXXX")
. "$top/examples/nightly-load/cluster.sh"
chmod 755 "$demo"
PATH=$(within_reach "$build/bin" "$demo/bin"):$PATH
export PATH PYTHONDONTWRITEBYTECODE=1 LONGBOAT_HOME=$demo/admin
. "$hostile/principals.sh"

# MiB that the broker may take beyond what it has when it is quiet and SQLite's pages: for each of
# five attackers 16, and the calls that they may keep, with half of it for what the allocator adds.
memory_budget=64
memory_more=$((5 * 16 + memory_budget * 3 / 2))
sanitized() { [ "$(nm -D "$build/bin/lbbroker" 2>/dev/null | grep -c '__[a-z]*san_')" -gt 0 ]; }

finish() {
    rc=$?
    unset LONGBOAT_HOME
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null || :
    end_all
    if [ $rc -ne 0 ] || [ -n "${LB_KEEP:-}" ]; then
        echo "hostile: the cluster's logs and stores are in $demo"
    else
        remove_demo
    fi
}
trap finish EXIT

set_up() {
    lbctl init --no-passphrase --cluster hostile --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    printf 'history_size: 64M\nlogs_size: 64M\ndepot_size: 256M\nmemory_budget: %sM\n' \
        "$memory_budget" \
        >>"$demo/broker/etc/broker.yaml"
    keep broker "$demo/broker" lbbroker
    await "the broker answers" lbctl whoami
    lbpkg keygen
    for s in s1 s2; do
        lbctl invite --server "$s" --pools etl >"$demo/token"
        server_home "$demo/$s"
        in_home "$demo/$s" lbworker join <"$demo/token"
        cp "$demo/admin/etc/keys/builder.pub" "$demo/$s/etc/trust/signers"
        keep "$s" "$demo/$s" lbworker --slots 4
    done
    for name in true child; do
        mkdir -p "$demo/src-$name"
        printf '#!/bin/sh\nexit 0\n' >"$demo/src-$name/main"
        chmod 755 "$demo/src-$name/main"
        printf 'name: %s\nversion: 1.0.0\nsubsystem: exec\nentry: main\n' $name \
            >"$demo/src-$name/package.yaml"
        lbpkg build "$demo/src-$name" -o "$demo/$name.lbp"
        lbpkg sign "$demo/$name.lbp"
        lbpkg deploy "$demo/$name.lbp" --to etl --wait
    done
    lbctl invite --principal anna --grant 'call *@*' --grant 'watch *@*' >"$demo/token"
    LONGBOAT_HOME=$demo/anna lbsubmit join <"$demo/token"
    hostile_join
}

rss() { awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$(cat "$demo/broker.pid")/status"; }
# What SQLite has in memory, in MiB: pages up to a fixed bound, whoever asks for them.
pages() { lbctl stats --json | jq '.store.sqlite_bytes / 1048576 | floor'; }
peak() { awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$(cat "$demo/broker.pid")/status"; }

# The most processor time that one turn of the broker has used so far, in microseconds.
turn() { lbctl stats --json | jq .turn_cpu_us_max; }

# A first job of anna's: it and its key must be there after the attacks.
first_job() {
    LONGBOAT_HOME=$demo/anna lbsubmit --quiet --package true --pool etl --key first 2>&1
}
# Her runs in history, and those that went because she had the most of it when it was full.
history_of_anna() {
    LONGBOAT_HOME=$demo/anna lbctl history --json -n 1000000 |
        jq -s '[.[] | select(.by == "anna")] | length'
}
dropped_of_anna() {
    /usr/bin/python3 -c 'import re, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
rows = db.execute("SELECT note FROM events WHERE event = ?", ("dropped",))
found = [re.match(r"history by broker: (\d+) of anna,", note) for note, in rows]
print(sum(int(m.group(1)) for m in found if m))' "$demo/broker/var/broker/broker.db"
}
missing() { echo $((jobs - $(history_of_anna) - $(dropped_of_anna))); }

check() { # check WHAT FOUND WANTED
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "hostile: $1 is $2 and should be $3"; wrong=1; }
}

# phase NAME ANSWERS SECONDS MOST: the victim's next phase, for so many answers of it and seconds,
# but at most MOST of these.
phase() {
    echo "$1" >"$demo/phases"
    begun=$SECONDS
    while :; do
        sleep 0.2
        read -r is n <"$demo/victim.json.n" || :
        [ $((SECONDS - begun)) -lt "$4" ] || break
        [ "${is:-}" != "$1" ] || [ "${n:-0}" -lt "$2" ] || [ $((SECONDS - begun)) -lt "$3" ] ||
            break
    done
    echo between >"$demo/phases"
}

# Nobody attacks, but no processor is idle.
busy_phase() {
    burners=()
    for ((i = $(nproc); i > 0; i--)); do
        chrt -i 0 /usr/bin/python3 -c 'while True: pass' &
        burners+=($!)
    done
    phase "$1" 100 1 20
    kill "${burners[@]}"
    wait "${burners[@]}" || : # they have been killed
}

# Each attack alone; between two of them all sessions are gone, and it is quiet. The victim's phases
# have the names of the attacks.
attacks_one_by_one() {
    quiets=0
    for m in mona evil carl; do
        role=$(/usr/bin/python3 "$hostile/mob.py" --home "$demo/$m" --role)
        for attack in $(/usr/bin/python3 "$hostile/mob.py" --home "$demo/$m" --names); do
            [[ $role/$attack =~ ${LB_ONLY:-} ]] || continue
            sleep 0.5
            quiets=$((quiets + 1))
            phase quiet/$quiets 100 1 20
            busy_phase busy/$quiets
            echo 5 >"/proc/$(cat "$demo/broker.pid")/clear_refs"
            before=$(($(rss) - $(pages)))
            # shellcheck disable=SC2046
            /usr/bin/python3 "$hostile/mob.py" --home "$demo/$m" --seconds 600 --each 600 \
                --seed "$seed" --rival anna $(hostile_how) "$attack" >"$demo/mob-$m.log" 2>&1 &
            mob=$!
            sleep 0.5
            phase "$role/$attack" 300 "$LB_EACH" $((LB_EACH * 6))
            kill $mob
            wait $mob || { cat "$demo/mob-$m.log"; wrong=1; }
            echo "$role/$attack $(($(peak) - $(pages) - before)) $(turn)" >>"$demo/memory"
            tail -n 1 "$demo/mob-$m.log" >>"$demo/mobs"
        done
    done
}
# The lowest and the highest p99 of a phase in which nobody attacks, and that of all of them:
# spread quiet|busy
spread() {
    jq -r --arg name "$1" '. as $all | ["whoami", "history", "job"][] | . as $what |
        [$all | to_entries[] | select(.key | startswith($name + "/")) | .value[$what].p99_ms] |
        "p99 of \($name), \($what): \($all[$name][$what].p99_ms) ms of " +
        "\($all[$name][$what].n) answers, of single phases \(min) to \(max) ms"' "$demo/victim.json"
}
table_of_attacks() { # table_of_attacks quiet|busy: its ratios are to these phases
    printf '%-38s %-7s %6s %7s %7s %7s %8s %7s\n' attack role n whoami history job 'MiB more' \
        'turn us'
    while read -r name more turn; do
        jq -r --arg to "$1" --arg name "$name" --arg more "$more" --arg turn "$turn" '
            .[$to] as $q | .[$name] as $a |
            [$name, $a.job.n, (["whoami", "history", "job"][] | . as $what |
            if $a[$what].p99_ms and $q[$what].p99_ms
            then ($a[$what].p99_ms / $q[$what].p99_ms * 100 | round / 100 | tostring)
            else "none" end), $more, $turn] | @tsv' "$demo/victim.json"
    done <"$demo/memory" | awk -F'\t' '{split($1, n, "/")
        printf "%-38s %-7s %6s %7s %7s %7s %8s %7s\n", n[2], n[1], $2, $3, $4, $5, $6, $7}'
}

echo "hostile: seed $seed, $quiet s of quiet, then $seconds s of attacks"
set_up >"$demo/setup.log" 2>&1 || {
    cat "$demo/setup.log"
    exit 1
}
[ -z "${LB_ORDINARY:-}" ] ||
    echo "hostile: attackers of ordinary priority: times are stated, not compared"
wrong=0
broker=$(cat "$demo/broker.pid")
first_said=$(first_job) || { echo "hostile: the first job: $first_said"; wrong=1; }
if [ -n "${LB_EACH:-}" ]; then echo quiet/0; else echo quiet; fi >"$demo/phases"
/usr/bin/python3 "$hostile/victim.py" --home "$demo/anna" --address etl --phases "$demo/phases" \
    --out "$demo/victim.json" >"$demo/victim.log" 2>&1 &
victim=$!
sleep "$quiet"
before=$(rss)
before_pages=$(pages)
if [ -n "${LB_EACH:-}" ]; then
    attacks_one_by_one
else
    echo attacked >"$demo/phases"
    hostile_begin "$seconds" "$seed"
    hostile_end || { echo "hostile: an attack broke"; wrong=1; }
fi
echo end >"$demo/phases"
wait $victim || { cat "$demo/victim.log"; echo "hostile: the victim missed something"; wrong=1; }

jq -r 'to_entries[] | select(.key | test("^(quiet|busy)/") | not) | .key as $phase |
    .value | del(.missed) | to_entries[] |
    "\($phase) \(.key): \(.value.n) answers, p50 \(.value.p50_ms) ms, p99 \(.value.p99_ms) ms, " +
    "at most \(.value.max_ms) ms"' "$demo/victim.json"
[ -z "${LB_EACH:-}" ] || { 
    cat "$demo/mobs"
    for to in quiet busy; do
        spread $to
        [ -n "${LB_ORDINARY:-}" ] || table_of_attacks $to
    done
}
[ -n "${LB_EACH:-}${LB_ORDINARY:-}" ] ||
    jq -r '.quiet as $q | .attacked as $a | ["whoami", "history", "job"][] |
    "p99 of quiet, \(.): \(if $q[.].p99_ms > 0 then $a[.].p99_ms / $q[.].p99_ms * 100 | round / 100
    else 0 end)"' "$demo/victim.json"
echo "memory of the broker: $before MiB quiet, $(peak) MiB at most"
more=$(($(peak) - before - $(pages) + before_pages))
[ -n "${LB_EACH:-}" ] || sanitized || [ $more -le $memory_more ] || {
    echo "hostile: the broker took $more MiB more beside SQLite's pages; at most $memory_more are" \
        "to be explained by its budgets"
    wrong=1
}
jobs=$(jq 'if has("quiet/0") then del(.quiet, .busy) else . end | [.[].job.n] | add + 1' \
    "$demo/victim.json")
check "missed answers" "$(jq '[.[].missed] | add' "$demo/victim.json")" 0
check "aborts" "$(hostile_aborts)" 0
check "broker started again" "$([ "$(cat "$demo/broker.pid")" = "$broker" ] && echo 0 || echo 1)" 0
check "jobs missing in history" "$(missing)" 0
again_rc=0
again=$(first_job) || again_rc=$?
[[ $again == *"key was used before"* ]] || {
    echo "hostile: the first job's key is no longer known; its lbsubmit ended with $again_rc and" \
        "said: ${again:-nothing}"
    wrong=1
}
check "runs made again by a known key" "$(missing)" 0
[ $wrong -eq 0 ] && echo "hostile: all is well" || echo "hostile: something is wrong"
exit $wrong
