#!/usr/bin/env bats
# A new key for every role, while a child runs.
load helpers

setup_file() {
    new_cluster etl1
    new_package hold shell "while [ ! -e $demo/go ]; do sleep 0.05; done" "$(printf '%s\n' \
        'limits:' '  timeout: 10m')"
    deploy hold all
    join_principal anna 'call *@etl' 'watch *@all'
    join_principal bert 'call *@etl'
}

teardown_file() {
    end_cluster
}

setup() {
    enter
    rm -f "$demo/go"
}

restart() { # restart NAME: its keeper starts it again
    local pid
    pid=$(cat "$demo/$1.pid")
    kill "$pid"
    await "$1 has ended" gone "$pid"
}

is_up() {
    [ "$(lbctl servers "$1" --json | jq -r .state)" = up ]
}

key_of() { # the public key in somebody's certificate, from their key file
    python - "$demo/$1/etc/keys/$2.key" <<'END'
import sys, nacl.signing
seed = bytes.fromhex(open(sys.argv[1]).read().strip())
print(nacl.signing.SigningKey(seed).verify_key.encode().hex())
END
}

start_child() { # a run that lasts until $demo/go exists; its id is in $run_id
    run as anna call package:hold etl
    [ "$status" -eq 0 ]
    run_id=$(lbctl runs --json | jq -r 'select(.job == "package:hold") | .run' | tail -n 1)
    await "the child runs" in_state "$run_id" running
    child=$(pgrep -f "while .* -e $demo/go" | head -n 1)
}

end_child() {
    : >"$demo/go"
    await "the run has ended" ended "$run_id"
    [ "$(status_of "$run_id")" = succeeded ]
}

@test "a server's key is rotated while its child runs, and the old one is withdrawn" {
    local before
    start_child
    before=$(key_of etl1 sign)
    as etl1 lbworker rotate >"$demo/request"
    lbctl certificates sign --reason 'each year' <"$demo/request" >"$demo/answer"
    as etl1 lbworker rotate --take <"$demo/answer"
    [ "$(key_of etl1 sign)" != "$before" ]
    [ ! -e "$demo/etl1/etc/keys/sign.key.next" ]
    restart etl1
    await "etl1 is up with its new key" is_up etl1
    lbctl certificates revoke etl1 --old --reason 'rotated'
    [ "$(state_of "$run_id")" = running ]
    [ -z "$child" ] || kill -0 "$child"
    end_child
    lbctl servers etl1 --json | jq -e '.state == "up"'
}

@test "a caller's key is rotated by three commands in a pipe" {
    local before
    before=$(key_of anna sign)
    as anna lbctl certificates rotate | lbctl certificates sign | as anna lbctl certificates take
    [ "$(key_of anna sign)" != "$before" ]
    as anna lbctl whoami
    lbctl certificates revoke anna --old
    run as anna lbctl whoami
    [ "$status" -eq 0 ]
    assert_has "call *@etl"
    assert_has "watch *@all"
}

@test "an old key whose certificate is withdrawn is refused" {
    cp -r "$demo/bert" "$demo/bert-before"
    as bert lbctl certificates rotate | lbctl certificates sign | as bert lbctl certificates take
    run as bert-before lbctl whoami
    [ "$status" -eq 0 ]
    lbctl certificates revoke bert --old
    run as bert-before lbctl whoami
    [ "$status" -eq 3 ]
    as bert lbctl whoami
}

@test "nobody gets another's name by a request of their own" {
    as bert lbctl certificates rotate >"$demo/request"
    # the same request, altered
    awk '{c = substr($0, 60, 1) == "A" ? "B" : "A"
        print substr($0, 1, 59) c substr($0, 61)}' "$demo/request" >"$demo/altered"
    run lbctl certificates sign <"$demo/altered"
    [ "$status" -ne 0 ]
    # one that bert has asked for before his key was rotated
    LONGBOAT_HOME=$demo/bert-before lbctl certificates rotate >"$demo/stale"
    run lbctl certificates sign <"$demo/stale"
    [ "$status" -eq 3 ]
    assert_has "somebody else asks"
    # and only an administrator signs
    run as anna lbctl certificates sign <"$demo/request"
    [ "$status" -eq 3 ]
    assert_has "only an administrator"
}

@test "a certificate for another key is not taken" {
    as anna lbctl certificates rotate | lbctl certificates sign >"$demo/answer"
    run as bert lbctl certificates take <"$demo/answer"
    [ "$status" -eq 3 ]
    assert_has "is not for the new key"
    as bert lbctl whoami
    as anna lbctl certificates take <"$demo/answer"
}

@test "a rotation that a crash cuts off is finished by the next start" {
    local key=$demo/anna/etc/keys/sign.key
    as anna lbctl certificates rotate | lbctl certificates sign >"$demo/answer"
    cp "$key" "$demo/old.key"
    cp "$key.next" "$demo/new.key"
    as anna lbctl certificates take <"$demo/answer"
    # as after the certificate was replaced and before the key was
    mv -f "$demo/old.key" "$key"
    mv -f "$demo/new.key" "$key.next"
    as anna lbctl whoami
    [ ! -e "$key.next" ]
}

@test "an administrator's key is rotated when its line is at the broker" {
    local line
    start_child
    run lbctl certificates rotate
    [ "$status" -eq 0 ]
    line=$(grep -E '^[0-9a-f]{64} ' <<<"$output")
    run lbctl certificates rotate
    [ "$status" -eq 3 ]
    assert_has "trust/administrators"
    lbctl whoami # the old key goes on
    for home in broker etl1 anna; do
        echo "$line" >>"$demo/$home/etc/trust/administrators"
    done
    restart broker
    restart etl1
    await "the broker answers" lbctl whoami
    lbctl certificates rotate
    [ "$(key_of admin sign)" = "${line%% *}" ]
    lbctl whoami
    join_principal clara 'call *@etl'
    as clara lbctl whoami
    end_child
}

@test "the broker's key is rotated: whoever has heard of it goes on, and no child stops" {
    local before
    start_child
    before=$(key_of broker broker)
    LONGBOAT_HOME=$demo/broker lbbroker rotate | lbctl certificates sign >"$demo/word"
    LONGBOAT_HOME=$demo/broker lbbroker rotate --take <"$demo/word"
    cp -r "$demo/clara" "$demo/away"
    restart broker
    await "the broker answers" lbctl whoami
    as anna lbctl whoami
    [ -e "$demo/anna/etc/trust/broker.next" ]
    await "the server has heard of it" test -e "$demo/etl1/etc/trust/broker.next"
    [ "$(key_of broker broker)" = "$before" ]
    LONGBOAT_HOME=$demo/broker lbbroker rotate --now
    [ "$(key_of broker broker)" != "$before" ]
    restart broker
    await "the broker answers with its new key" lbctl whoami
    as anna lbctl whoami
    [ ! -e "$demo/anna/etc/trust/broker.next" ]
    await "the server is back" is_up etl1
    [ "$(state_of "$run_id")" = running ]
    end_child
}

@test "who was away learns the broker's new key from a file, and only from an administrator's" {
    LONGBOAT_HOME=$demo/away run timeout 8 lbctl whoami
    [ "$status" -ne 0 ]
    as anna lbctl certificates rotate | lbctl certificates sign >"$demo/answer"
    LONGBOAT_HOME=$demo/away run lbctl certificates trust <"$demo/answer"
    [ "$status" -eq 3 ]
    assert_has "not one for a new key of broker"
    LONGBOAT_HOME=$demo/away lbctl certificates trust <"$demo/word"
    LONGBOAT_HOME=$demo/away lbctl whoami
}

@test "a rotation of the broker that a crash cuts off is finished by its next start" {
    local etc=$demo/broker/etc
    LONGBOAT_HOME=$demo/broker lbbroker rotate | lbctl certificates sign >"$demo/word"
    LONGBOAT_HOME=$demo/broker lbbroker rotate --take <"$demo/word"
    restart broker
    await "the broker answers" lbctl whoami
    mv -f "$etc/trust/broker.next" "$etc/trust/broker"
    restart broker
    await "the broker answers with its new key" lbctl whoami
    [ ! -e "$etc/keys/broker.key.next" ]
}
