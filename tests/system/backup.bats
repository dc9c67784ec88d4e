# A backup of the store, and the night it is restored: runs that were live in it are held until a
# person decides, whatever has become of them since; children that run go on; and no broker starts
# from a backup by accident.
load helpers

setup_file() {
    new_cluster etl1
    # One line when it starts, one when it ends; it ends when the file `go` exists.
    new_package child shell 'echo "begin $LB_PARAM_name $LB_ATTEMPT" >>"$LB_PARAM_dir/witness"
while [ ! -e "$LB_PARAM_dir/go" ]; do sleep 0.05; done
echo "end $LB_PARAM_name $LB_ATTEMPT" >>"$LB_PARAM_dir/witness"' 'parameters:
  name: {type: string, required: true}
  dir: {type: string, required: true}'
    deploy child etl
}
teardown_file() { end_cluster; }
setup() { enter; }

db() { echo "$demo/broker/var/broker/broker.db"; }
begun() { grep -qx "begin $1 1" "$demo/witness"; }
finished() { grep -q "^end $1 " "$demo/witness"; }

@test "store check and store backup work beside a running broker" {
    witness_file "$demo/witness"
    call --on-lost hold package:child etl name=runs "dir=$demo" >"$demo/runs"
    call package:child etl name=ends "dir=$demo" >"$demo/ends"
    call --start-within 3600 package:child nobody name=waits "dir=$demo" >"$demo/waits"
    await "two run" sh -c "[ \$(grep -c begin '$demo/witness') = 2 ]"
    run lbctl store check
    [ "$status" -eq 0 ]
    assert_has "whole"
    lbctl store backup "$demo/broker/var/backup.db" --reason 'before the night'
    sqlite3 -readonly "$demo/broker/var/backup.db" 'pragma integrity_check' | grep -qx ok
    run lbctl store backup "$demo/broker/var/backup.db"
    [ "$status" -ne 0 ]
    assert_has "not overwritten"
    run lbctl store backup backup.db
    [ "$status" -ne 0 ]
    assert_has "absolute path"
    run lbctl store backup /nowhere/at/all.db
    [ "$status" -ne 0 ]
    [ "$(sqlite3 -readonly "$(db)" "select count(*) from events where event = 'backup'")" -ge 1 ]
}

@test "a broker refuses a restored backup without --restored, and lbbroker check says so too" {
    call package:child etl name=later "dir=$demo" >"$demo/later" # the backup does not know of it
    await "it runs" begun later
    kill9_for_good broker
    mkdir "$demo/broken"
    mv "$(db)" "$demo/broken"
    cp "$demo/broker/var/backup.db" "$(db)"
    as broker run timeout 20 lbbroker # the -wal file of the broken store is still there
    [ "$status" -eq 1 ]
    assert_has "broker.db-wal"
    mv "$(db)-wal" "$(db)-shm" "$demo/broken"
    as broker run timeout 20 lbbroker
    echo "$output"
    [ "$status" -eq 1 ]
    assert_has "--restored"
    as broker run lbbroker check
    [ "$status" -eq 0 ]
    assert_has "--restored"
}

@test "promise 4: with --restored what was live is held; results that still come are evidence" {
    local name
    keep broker "$demo/broker" \
        sh -c 'if [ -e "$1" ]; then exec lbbroker; fi; : >"$1"; exec lbbroker --restored' \
        sh "$demo/restored.once"
    await "the broker answers" lbctl whoami
    for name in runs ends waits; do
        in_state "$(cat "$demo/$name")" held
        lbctl explain "$(cat "$demo/$name")" | grep -q backup
    done
    await "etl1 is back" sh -c "lbctl servers etl1 --json | grep -q '\"state\":\"up\"'"
    : >"$demo/go"
    await "the children have ended by themselves" finished runs
    await "both" finished ends
    for name in runs ends; do
        await "the result of $name is kept" \
            sh -c "lbctl show $(cat "$demo/$name") --json | grep -q '\"event\":\"evidence\"'"
        in_state "$(cat "$demo/$name")" held
    done
    not lbctl show "$(cat "$demo/later")"
    [ "$(grep -c '^begin' "$demo/witness")" -eq 3 ] # nothing started again
}

@test "each held run is released in its own way, and the next start needs no --restored" {
    lbctl release "$(cat "$demo/ends")" --succeed --reason 'its result is among the evidence'
    lbctl release "$(cat "$demo/runs")" --rerun --reason 'once more does no harm'
    lbctl cancel "$(cat "$demo/waits")" --reason 'not needed any more'
    await "the one has run again" ended "$(cat "$demo/runs")"
    [ "$(status_of "$(cat "$demo/ends")")" = succeeded ]
    lbctl show "$(cat "$demo/runs")"
    [ "$(status_of "$(cat "$demo/runs")")" = succeeded ]
    [ "$(status_of "$(cat "$demo/waits")")" = cancelled ]
    [ "$(grep -c '^begin runs' "$demo/witness")" -eq 2 ]
    [ "$(grep -c '^begin ends' "$demo/witness")" -eq 1 ]
    call --start-within 3600 package:child nobody name=new "dir=$demo" >"$demo/new"
    kill9 broker
    await "the broker is back" lbctl whoami
    in_state "$(cat "$demo/new")" parked
    run lbctl store check
    [ "$status" -eq 0 ]
    not grep -q -- --restored <<<"$output"
}
