#!/bin/sh
# Longboat from end to end on this machine: a broker and three servers; packages that are built,
# signed and deployed; a nightly load of real data over the servers, its results tailed and its rows
# compared with a count made by other means; and a parent in which one child fails on purpose.
# Leaves the cluster running; stop.sh ends it.
# usage: demo.sh FOLDER-WITH-PROGRAMS      LONGBOAT_DEMO: the folder for the cluster
set -eu

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cluster.sh"
demo=$(demo_folder)

step() {
    printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}
typed() { # the words as one would type them
    typed_line=
    for typed_word; do
        case $typed_word in
        '' | *[!A-Za-z0-9_@%+=:,./-]*)
            typed_word="'$(printf '%s\n' "$typed_word" | sed "s/'/'\\\\''/g")'" ;;
        esac
        typed_line="$typed_line $typed_word"
    done
    printf '%s\n' "${typed_line# }"
}
show() { # a command that the reader may type, and its output
    printf '%s$ %s%s\n' "$faint" "$(typed "$@")" "$plain"
    "$@"
}
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') faint=$(printf '\033[2m') plain=$(printf '\033[0m')
else
    bold='' faint='' plain=''
fi

"$here/stop.sh" >/dev/null
remove_demo
umask 022
mkdir -p "$demo/data/stage"
if [ "$(id -u)" -eq 0 ]; then
    chmod 711 "$demo"
    chown -R "$child_user:$child_user" "$demo/data" # what the children read and write
else
    chmod 700 "$demo"
fi
bin=$(within_reach "$bin" "$demo/bin")
PATH=$bin:$PATH
stage=$demo/data/stage warehouse=$demo/data/warehouse.db page=$demo/data/page.html

token() { # a secret, in $demo/token
    (umask 077 && lbctl invite "$@" >"$demo/token")
}

step "1. A cluster: an administrator and a broker (all below $demo)"
port=$(free_port)
LONGBOAT_HOME=$demo/admin
export LONGBOAT_HOME
show lbctl init --no-passphrase --cluster demo --listen "127.0.0.1:$port" \
    --broker-home "$demo/broker"
keep broker "$demo/broker" lbbroker
await "the broker answers" lbctl whoami

step "2. Three servers join, each with one command"
for server in etl1:etl etl2:etl wh1:warehouse; do
    name=${server%%:*} pool=${server##*:}
    printf '%s$ lbctl invite --server %s --pools %s | lbworker join      (on %s)%s\n' \
        "$faint" "$name" "$pool" "$name" "$plain"
    token --server "$name" --pools "$pool"
    server_home "$demo/$name"
    in_home "$demo/$name" lbworker join <"$demo/token"
    rm "$demo/token"
done

step "3. An operator joins, who may call, watch, operate and deploy everything"
printf '%s$ lbctl invite --principal anna --grant ... | lbsubmit join%s\n' "$faint" "$plain"
token --principal anna --grant 'call *@all' --grant 'watch *@all' --grant 'operate *@all' \
    --grant 'deploy *@all'
LONGBOAT_HOME=$demo/anna lbsubmit join <"$demo/token"
rm "$demo/token"
LONGBOAT_HOME=$demo/anna

step "4. Packages are built and signed; every server trusts this builder"
show lbpkg keygen
for server in etl1 etl2 wh1; do
    cp "$demo/anna/etc/keys/builder.pub" "$demo/$server/etc/trust/signers"
    mkdir -p "$demo/$server/etc/jobs"
done
for package in extract transform load check report say; do
    lbpkg build "$here/packages/$package" -o "$demo/$package.lbp"
    lbpkg sign "$demo/$package.lbp"
done
show lbpkg show "$demo/extract.lbp"

step "5. The servers start; packages are deployed to pools, jobs put beside them"
for server in etl1 etl2; do
    cp "$here/jobs/prepare-table.yaml" "$demo/$server/etc/jobs/"
done
if [ "$(id -u)" -eq 0 ]; then
    echo "As root in separated mode: lbrunner is root, lbworker user $server_user, packages"
    echo "belong to user $unpack_user, and children are user $child_user."
fi
for server in etl1 etl2 wh1; do
    [ "$(id -u)" -ne 0 ] || separate "$server" "$demo/$server"
    keep "$server" "$demo/$server" lbworker
done
for package in extract transform say; do
    show lbpkg deploy "$demo/$package.lbp" --to all --wait
done
for package in load check report; do
    show lbpkg deploy "$demo/$package.lbp" --to wh1 --wait
done
for server in etl1 etl2; do
    await "$server offers the job prepare-table" \
        sh -c "lbctl servers $server --json | grep -q prepare-table"
done
show lbctl servers

step "6. A monitor tails results in the background, into $demo/results"
lbmon >"$demo/results" 2>"$demo/monitor.log" &
echo $! >"$demo/monitor.pid"

step "7. The night: 8 tables, 18 children, three servers"
show lbsubmit "$here/nightly.yaml" --set stage="$stage" --set warehouse="$warehouse" \
    --set page="$page"

step "8. The rows loaded, beside a count of the sources made with jq"
wrong=0
while read -r kind number; do
    loaded=$(sqlite3 "$warehouse" "SELECT count(*) FROM codes WHERE kind = '$kind'")
    counted=$(jq ".[\"$number\"] | length" "/usr/share/iso-codes/json/iso_$number.json")
    printf '%-24s %6s loaded %6s counted\n' "$kind" "$loaded" "$counted"
    [ "$loaded" = "$counted" ] || wrong=1
done <<END
languages 639-3
subdivisions 3166-2
bibliographic_languages 639-2
countries 3166-1
scripts 15924
currencies 4217
language_families 639-5
former_countries 3166-3
END
if [ "$wrong" -ne 0 ]; then
    echo "demo: the warehouse does not hold what the sources hold" >&2
    exit 1
fi

step "9. One child fails on purpose: its failure branch runs, the task that needed it is skipped"
show lbsubmit "$here/with-a-failure.yaml" --set stage="$stage"

step "10. The same job by hand: on its server, on the same path, without the broker"
(
    export LONGBOAT_HOME="$demo/etl1"
    # Where root has started the runner, a proxy says who may; nobody may by hand unless it does.
    [ "$(id -u)" -ne 0 ] || show lbctl proxy grant default --principal local:root \
        --reason "the demo tries a job by hand"
    show lbworker run-job prepare-table -p table=scripts -p stage="$stage" 2>&1
)

step "11. What the monitor has seen"
await "the monitor has the last result" \
    grep -q 'planets could not be prepared\|repair' "$demo/results"
tail -n 12 "$demo/results"

stop="make demo-stop"
[ -z "${LONGBOAT_DEMO:-}" ] || stop="LONGBOAT_DEMO=$(typed "$demo") $stop"
step "The cluster is yours to play with"
cat <<END
  export LONGBOAT_HOME=$(typed "$demo/anna") PATH=$(typed "$bin"):"\$PATH"

  lbctl servers                       who is there, with what
  lbctl runs; lbctl history           what runs now; what has run
  lbctl show RUN; lbctl logs RUN      one run with all its layers; its output
  lbctl drain etl2 --reason 'a look'  and run the night again; everything goes to etl1:
  $(typed lbsubmit "$here/nightly.yaml" --set "stage=$stage" \
        --set "warehouse=$warehouse" --set "page=$page")
  lbsubmit --package say --server wh1 -p text=hello
  lbmon --since 1h                    all results again, from the store
  kill -9 \$(cat $(typed "$demo/broker.pid"))   while something runs: it comes back, nothing is lost

  the page that the report child wrote: $page
  $stop                      ends it all
END
