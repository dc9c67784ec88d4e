# The audit trail: every privileged act and every denial is in it, it survives what the broker
# survives, and whoever changes it is found, with the place.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo hello'
    deploy say etl
    join_principal anna 'call *@etl' 'watch *@etl'
    join_principal eve 'watch *@*'
}
teardown_file() { end_cluster; }
setup() { enter; }

db() { echo "$demo/broker/var/broker/broker.db"; }

# entries JQ-CONDITION: those that match, newest first
entries() {
    lbctl audit list -n 0 --json | jq -c "select($1)"
}

has() { # has JQ-CONDITION
    [ -n "$(entries "$1")" ] || {
        echo "no entry with: $1; there are:"
        lbctl audit list -n 40
        return 1
    }
}

# tamper NAME SQL: a copy of the broker's store in which somebody has changed the trail, as a file
# that `lbctl audit export` would have made of it
tamper() {
    rm -f "$demo/tampered.db"*
    sqlite3 -readonly "$(db)" "VACUUM INTO '$demo/tampered.db'"
    sqlite3 "$demo/tampered.db" "DROP TRIGGER audit_is_never_changed;
        DROP TRIGGER audit_is_never_deleted; DROP TRIGGER audit_checkpoint_is_never_changed;
        DROP TRIGGER audit_checkpoint_is_never_deleted; $1"
    python "$BATS_TEST_DIRNAME/trail.py" "$demo/tampered.db" >"$demo/tampered.jsonl"
}

# What is newest is signed as soon as somebody reads, at most once a second.
sealed() {
    lbctl audit verify >"$demo/verified" && ! grep -q "nobody has signed" "$demo/verified"
}

found() { # found TEXT: verifying the tampered trail says so
    run lbctl audit verify "$demo/tampered.jsonl" "${@:2}"
    echo "$output"
    [ "$status" -eq 1 ]
    assert_has "$1"
}

@test "acts are in the trail, with who, from where, on what, and what they changed" {
    has '.verb == "start" and .role == "broker"'
    has '.verb == "invite" and .object == "anna" and (.after | contains("call *@etl"))'
    has '.verb == "enrol" and .object == "anna" and .role == "invited"'
    has '.verb == "put-end" and .principal == "administrator"
        and (.object | startswith("blake2b:"))'
    has '.verb == "deploy" and .object == "say@etl" and (.after | startswith("1.0.0"))'
    lbctl drain etl1 --reason 'new disk'
    lbctl undrain etl1 --reason 'it is in'
    has '.verb == "drain" and .object == "etl1" and .reason == "new disk" and .decision == "allowed"
        and (.address | length) > 0 and (.key | length) == 64 and .serial > 0'
    has '.verb == "undrain" and (.before | contains("draining"))'
    lbctl certificates renew anna --grant 'operate *@etl' --reason 'she is on call'
    has '.verb == "publish" and .object == "anna" and (.after | contains("operate *@etl"))
        and (.before | contains("operate") | not)'
    has '.verb == "renew" and .reason == "she is on call"'
    lbctl store backup "$demo/backup.db" --reason nightly
    has '.verb == "backup" and .reason == "nightly"'
    run=$(as anna call --start-within 3600 package:say nowhere || true)
    run=$(call --start-within 3600 package:say nobody)
    await "it waits" in_state "$run" parked
    lbctl cancel "$run" --reason 'my own'
    not has ".verb == \"cancel\" and .object == \"$run\""
}

@test "the cancel of another's run is an act, and one's own is none" {
    as anna call --start-within 3600 package:say etl1 >"$demo/hers" || true
    lbctl drain etl1
    as anna call --start-within 3600 package:say etl >"$demo/hers"
    lbctl cancel "$(cat "$demo/hers")" --reason 'not tonight'
    has ".verb == \"cancel\" and .object == \"$(cat "$demo/hers")\" and .reason == \"not tonight\"
        and (.before | contains(\"anna\"))"
    lbctl undrain etl1
}

@test "denials are in the trail, many of one kind as one entry with their count" {
    for _ in 1 2 3 4 5 6; do
        not as eve call package:say etl
    done
    has '.verb == "resolve" and .principal == "eve" and .decision == "denied" and .count == 1
        and .object == "package:say@etl"'
    await "the others are written as a count" has \
        '.verb == "resolve" and .principal == "eve" and .count == 5'
    not as anna lbctl audit list
    has '.verb == "query" and .principal == "anna" and .object == "audit"'
    as eve lbctl audit list >/dev/null # who may watch everything is an auditor
    not lbctl release "$(cat "$demo/hers")" --rerun
}

@test "who asks for an ended run of another is told that there is none, and is in the trail" {
    join_principal mal 'call *@etl'
    as anna lbsubmit --package say --pool etl --quiet
    python - "$demo/mal" "$(last_run package:say)" <<END
import sys, uuid
sys.path.insert(0, "$BATS_TEST_DIRNAME")
import peer
lb, run = peer.lb, sys.argv[2]
p = peer.Peer(peer.Identity(sys.argv[1]))
assert p.hello()[0] == lb.WELCOME
of = uuid.UUID(run).bytes
for message in ((lb.FOLLOW, 1, of, 1), (57, 2, of, "", 0, False),
                (lb.QUERY, 3, "evidence", {"run": run}, "", 10)):
    answer = p.ask(*message)
    assert answer[0] == lb.ERROR and answer[2] == 16, answer
p.close()
END
    local verb
    for verb in follow logs query; do
        has ".principal == \"mal\" and .verb == \"$verb\" and .decision == \"denied\""
    done
}

@test "a revoked principal is denied its session, and that is in the trail" {
    join_principal rudi 'call *@etl'
    lbctl certificates revoke rudi --reason 'left'
    has '.verb == "revoke" and .role == "administrator" and (.after | contains("list 1"))'
    not as rudi timeout 20 lbctl whoami
    has '.verb == "hello" and .principal == "rudi" and .code == "revoked"'
}

@test "list fits into 80 columns, filters, and its objects follow their schema" {
    COLUMNS=80 lbctl audit list >"$demo/table"
    grep -q drain "$demo/table"
    not grep -nE '.{81}' "$demo/table"
    lbctl audit list --verb drain --json >"$demo/list"
    [ "$(jq -r .verb "$demo/list" | sort -u)" = drain ]
    lbctl audit list --decision denied --principal 'e*' --json >"$demo/list"
    [ "$(jq -r '.principal + " " + .decision' "$demo/list" | sort -u)" = "eve denied" ]
    run lbctl audit list --decision nonsense
    [ "$status" -eq 2 ]
    assert_has "unknown decision 'nonsense' (allowed, refused, denied)"
    lbctl audit list -n 0 --json | python "$BATS_TEST_DIRNAME/schema.py" audit 20
    run lbctl audit show 1
    assert_has start
    run lbctl audit show 99999
    [ "$status" -eq 3 ]
}

@test "a trail is verified online, and offline with the administrators' keys alone" {
    lbctl audit verify
    [ "$(stat -c %a "$demo/admin/etc/trust/audit-checkpoint")" = 600 ]
    lbctl audit export -o "$demo/trail.jsonl"
    run lbctl audit verify "$demo/trail.jsonl"
    [ "$status" -eq 0 ]
    cp "$demo/admin/etc/trust/administrators" "$demo/keys"
    LONGBOAT_HOME=$demo/nobody run lbctl audit verify "$demo/trail.jsonl" \
        --administrators "$demo/keys" --checkpoint "$demo/admin/etc/trust/audit-checkpoint"
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "goes on from checkpoint"
    env -u LONGBOAT_HOME HOME= lbctl audit verify "$demo/trail.jsonl" --administrators "$demo/keys"
    mkdir -p "$demo/auditor/etc/trust" # a home with the keys and nothing else
    cp "$demo/keys" "$demo/auditor/etc/trust/administrators"
    run as auditor lbctl audit verify "$demo/trail.jsonl"
    [ "$status" -eq 0 ]
    assert_has "whole: cluster "
    cp "$demo/admin/etc/trust/certificate" "$demo/auditor/etc/trust/certificate"
    as auditor lbctl audit verify "$demo/trail.jsonl"
    LONGBOAT_HOME=$demo/nobody run lbctl audit verify "$demo/trail.jsonl"
    [ "$status" -ne 0 ]
    assert_has "give them with --administrators FILE"
    assert_has "$demo/nobody/etc/trust/administrators"
    run env -u LONGBOAT_HOME HOME= lbctl audit verify "$demo/trail.jsonl"
    [ "$status" -ne 0 ]
    assert_has "give them with --administrators FILE"
    sed 's/^./0/' "$demo/keys" >"$demo/others"
    LONGBOAT_HOME=$demo/nobody run lbctl audit verify "$demo/trail.jsonl" \
        --administrators "$demo/others"
    [ "$status" -ne 0 ]
    python "$BATS_TEST_DIRNAME/trail.py" "$(db)" >"$demo/again.jsonl" # the store says the same
    run lbctl audit verify "$demo/again.jsonl"
    [ "$status" -eq 0 ]
}

@test "a copy without its last checkpoint is not whole: nobody has signed its end" {
    lbctl drain etl1 --reason 'to be cut off'
    lbctl undrain etl1
    lbctl audit export -o "$demo/ends"
    tail -n 1 "$demo/ends" | grep -q '"checkpoint"'
    sed '$d' "$demo/ends" >"$demo/cut"
    run lbctl audit verify "$demo/cut"
    [ "$status" -eq 1 ]
    assert_has "nobody has signed"
}

@test "the store refuses to change or delete what is in the trail" {
    run sqlite3 "$(db)" "UPDATE audit SET body = x'00' WHERE number = 2"
    [ "$status" -ne 0 ]
    run sqlite3 "$(db)" "DELETE FROM audit WHERE number = 2"
    [ "$status" -ne 0 ]
    assert_has "retention"
}

@test "whoever changes the trail all the same is found, with the place" {
    await "all of it is signed" sealed
    tamper "DELETE FROM audit WHERE number = 5"
    found "entry 5 is missing"
    tamper "UPDATE audit SET body = CAST(substr(body, 1, length(body) - 1) || 'A' AS BLOB)
        WHERE number = 6"
    found "entry 6"
    tamper "UPDATE audit SET number = -1 WHERE number = 7; UPDATE audit SET number = 7
        WHERE number = 8; UPDATE audit SET number = 8 WHERE number = -1"
    found "in the place of entry 7 stands entry 8"
    tamper "DELETE FROM audit WHERE number > (SELECT max(number) - 1 FROM audit)"
    found "missing"
    tamper "DELETE FROM audit WHERE number < 4"
    found "entries"
    tamper "UPDATE audit_checkpoint SET body = (SELECT body FROM audit_checkpoint WHERE seq = 1)
        WHERE seq = 2"
    found "checkpoint"
    # the end of it, or a checkpoint about the end: by the checkpoint that was kept
    tamper "DELETE FROM audit_checkpoint WHERE seq > 1"
    found "was kept" --checkpoint "$demo/admin/etc/trust/audit-checkpoint"
    tamper "DELETE FROM audit_checkpoint WHERE seq > 1; DELETE FROM audit WHERE number > 2"
    found "its end was cut off" --checkpoint "$demo/admin/etc/trust/audit-checkpoint"
}

@test "a trail written anew with the broker's key is found by the checkpoint that was kept" {
    await "all of it is signed" sealed
    rm -f "$demo/tampered.db"*
    sqlite3 -readonly "$(db)" "VACUUM INTO '$demo/tampered.db'"
    python "$BATS_TEST_DIRNAME/trail.py" "$demo/tampered.db" \
        "$(cat "$demo/broker/etc/keys/broker.key")" >"$demo/tampered.jsonl"
    run lbctl audit verify "$demo/tampered.jsonl"
    [ "$status" -eq 0 ] # by itself it is whole
    found "is not the one" --checkpoint "$demo/admin/etc/trust/audit-checkpoint"
}

@test "kill -9 leaves no act without its entry, and no entry without its act" {
    local i k
    for i in 1 2 3 4 5 6; do
        for k in 1 2 3 4 5 6 7 8 9 10; do
            lbctl drain etl1 --reason "night $i $k" >/dev/null 2>&1 || true
            lbctl undrain etl1 >/dev/null 2>&1 || true
        done &
        await "it is at it" has ".reason == \"night $i $i\"" >/dev/null
        kill9 broker
        wait $!
        await "the broker is back" lbctl whoami
    done
    lbctl audit verify
    # what the core had nothing to do for is no record: a server that takes work is undrained again
    lbctl audit list -n 0 --json | jq -r 'select((.verb == "drain" or .verb == "undrain")
        and .decision == "allowed") | .verb + " " + (.reason // "")' |
        tac | uniq | sed 's/ *$//' >"$demo/entries"
    stored "SELECT note FROM journal WHERE kind = 221 ORDER BY lsn" |
        sed 's/^\([a-z]*\) etl1 by administrator: */\1 /; s/ *$//' >"$demo/records"
    diff "$demo/records" "$demo/entries"
}

@test "a restored backup says so in the trail, and whoever knew more sees the fork" {
    lbctl store backup "$demo/night.db"
    lbctl drain etl1 --reason 'after the backup'
    lbctl undrain etl1
    await "all of it is signed" sealed
    kill9_for_good broker
    mkdir "$demo/broken"
    mv "$(db)" "$(db)-wal" "$(db)-shm" "$demo/broken"
    cp "$demo/night.db" "$(db)"
    keep broker "$demo/broker" \
        sh -c 'if [ -e "$1" ]; then exec lbbroker; fi; : >"$1"; exec lbbroker --restored' \
        sh "$demo/restored.once"
    await "the broker answers" lbctl whoami
    has '.verb == "start-restored"'
    run lbctl audit verify
    echo "$output"
    [ "$status" -eq 1 ]
    assert_has "restored from a backup"
    rm "$demo/admin/etc/trust/audit-checkpoint"
    lbctl audit verify
}

@test "a clean stop is sealed, and a tail that was cut off meanwhile is said" {
    : >"$demo/broker.stop"
    kill "$(cat "$demo/broker.pid")"
    await "nobody keeps the broker" gone "$(cat "$demo/broker.keeper")"
    last=$(stored "SELECT max(number) FROM audit")
    [ "$(stored "SELECT max(number) FROM audit_checkpoint")" = "$last" ]
    sqlite3 "$(db)" "DROP TRIGGER audit_is_never_deleted;
        DELETE FROM audit WHERE number >= $last - 1"
    rm "$demo/broker.stop"
    start_broker
    has '.verb == "trail-broken"'
    run lbctl audit verify
    echo "$output"
    [ "$status" -eq 1 ]
}
