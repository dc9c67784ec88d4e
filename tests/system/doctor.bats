#!/usr/bin/env bats
# lbctl doctor: each finding is provoked once, and says what to do.
load helpers

setup_file() {
    new_cluster etl1 etl2
    join_principal anna 'call *@etl' 'watch *@all'
}

teardown_file() {
    end_cluster
}

setup() {
    enter
}

# finding SEVERITY FINDING [WHERE]: in the JSON lines of $output
finding() {
    jq -se --arg s "$1" --arg f "$2" --arg w "${3:-}" \
        'map(select(.severity == $s and .finding == $f and
            ($w == "" or ((.where // "") | contains($w))))) | length > 0' <<<"$output" >/dev/null ||
        {
            echo "no $1 $2 ${3:-} in: $output"
            return 1
        }
}

no_finding() {
    jq -se --arg s "$1" --arg f "$2" \
        'map(select(.severity == $s and .finding == $f)) | length == 0' <<<"$output" >/dev/null || {
        echo "there is $1 $2 in: $output"
        return 1
    }
}

@test "a healthy cluster has nothing bad, and its lines match their schema" {
    run lbctl doctor --json --broker-home "$demo/broker"
    [ "$status" -eq 0 ]
    finding ok identity
    finding ok certificate administrator
    finding ok broker
    finding ok clock
    finding ok store
    finding ok server etl1
    finding ok key_mode broker.key
    finding note audit_copy broker.yaml
    no_finding bad key_mode
    python "$BATS_TEST_DIRNAME/schema.py" finding 10 <<<"$output"
}

@test "for people a page is 80 columns wide and ends with the counts" {
    COLUMNS=80 run lbctl doctor
    [ "$status" -eq 0 ]
    [ "$(wc -L <<<"$output")" -le 80 ]
    [[ ${lines[-1]} =~ ^[0-9]+\ bad, ]]
    COLUMNS=80 run lbctl doctor --quiet
    not grep -q '^ok ' <<<"$output"
}

@test "an administrator's key without a passphrase is a warning, a caller's is not" {
    run lbctl doctor --local --json
    finding warn passphrase sign.key
    run as anna lbctl doctor --local --json
    finding ok passphrase sign.key
}

@test "a copy of the audit trail elsewhere is no finding" {
    cp "$demo/broker/etc/broker.yaml" "$demo/yaml"
    echo 'audit_copy: journald' >>"$demo/broker/etc/broker.yaml"
    run lbctl doctor --local --json --broker-home "$demo/broker"
    cp "$demo/yaml" "$demo/broker/etc/broker.yaml"
    no_finding note audit_copy
}

@test "a caller that believes unsigned results is a warning" {
    echo 'unsigned_results: accept' >>"$demo/anna/etc/client.yaml"
    run as anna lbctl doctor --local --json
    sed -i '/unsigned_results/d' "$demo/anna/etc/client.yaml"
    finding warn unsigned_results client.yaml
}

@test "who was refused what is beyond a budget is a note" {
    python - "$demo/anna" <<END
import sys
sys.path.insert(0, "$BATS_TEST_DIRNAME")
import peer
p = peer.Peer(peer.Identity(sys.argv[1]))
assert p.hello()[0] == peer.lb.WELCOME
p.say(*[peer.lb.pack(peer.lb.SUBSCRIBE, n, 0, 0, {}, 0) for n in range(1, 70)])
assert p.hear_of((peer.lb.ERROR,))
p.close()
END
    run lbctl doctor --json
    finding note budget anna
}

@test "a key that others can read is bad, with the command that mends it" {
    chmod 644 "$demo/anna/etc/keys/sign.key"
    run as anna lbctl doctor --json
    [ "$status" -eq 1 ]
    finding bad key_mode
    [ "$(jq -r 'select(.finding == "key_mode") | .remedy' <<<"$output")" = \
        "chmod 400 $demo/anna/etc/keys/sign.key" ]
    chmod 400 "$demo/anna/etc/keys/sign.key"
}

@test "a list of administrators that others can write is bad" {
    chmod 666 "$demo/anna/etc/trust/administrators"
    run as anna lbctl doctor --local --json
    [ "$status" -eq 1 ]
    finding bad file_mode trust/administrators
    chmod 644 "$demo/anna/etc/trust/administrators"
}

@test "a home without an identity is bad, and the sentence says how to join" {
    run as nobody lbctl doctor --json
    [ "$status" -eq 1 ]
    finding bad identity
    assert_has "lbsubmit join"
}

@test "two keys in one home are bad on both sides" {
    cp "$demo/broker/etc/keys/broker.key" "$demo/anna/etc/keys/broker.key"
    run as anna lbctl doctor --local --json
    [ "$status" -eq 1 ]
    finding bad broker_key
    rm -f "$demo/anna/etc/keys/broker.key"
    cp "$demo/anna/etc/keys/sign.key" "$demo/broker/etc/keys/sign.key"
    run lbctl doctor --local --json --broker-home "$demo/broker"
    [ "$status" -eq 1 ]
    finding bad broker_key
    rm -f "$demo/broker/etc/keys/sign.key"
}

@test "a broker's home with a certificate for another key is bad" {
    cp -r "$demo/broker/etc" "$demo/wrong-etc"
    mkdir -p "$demo/wrong"
    mv "$demo/wrong-etc" "$demo/wrong/etc"
    cp -f "$demo/anna/etc/keys/sign.key" "$demo/wrong/etc/keys/broker.key"
    run lbctl doctor --local --json --broker-home "$demo/wrong"
    [ "$status" -eq 1 ]
    finding bad broker_certificate
    run lbctl doctor --local --json --broker-home "$demo/none"
    [ "$status" -eq 1 ]
    finding bad broker_home
}

@test "a rotation that waits is a note" {
    as anna lbctl certificates rotate >/dev/null
    run as anna lbctl doctor --local --json
    finding note rotation
    rm -f "$demo/anna/etc/keys/sign.key.next"
}

@test "certificates that end soon are a warning, then bad, and an old key is a warning" {
    join_principal bert 'call *@etl'
    lbctl certificates renew bert --valid 20d
    run lbctl doctor --json
    [ "$status" -eq 0 ]
    finding warn certificate bert
    lbctl certificates renew bert --valid 2d
    run lbctl doctor --json
    [ "$status" -eq 1 ]
    finding bad certificate bert
    lbctl certificates renew bert
    as bert lbctl whoami
    as bert lbctl certificates rotate | lbctl certificates sign | as bert lbctl certificates take
    run lbctl doctor --json
    finding warn old_key bert
    lbctl certificates revoke bert --old
    run lbctl doctor --json
    no_finding warn old_key
}

@test "a server that drains is a note, one that is gone a warning, one that is revoked, too" {
    lbctl drain etl2 --reason 'new disk'
    run lbctl doctor --json
    finding note draining etl2
    kill9_for_good etl2
    await "etl2 is away" sh -c "lbctl servers etl2 --json | grep -q unreachable"
    run lbctl doctor --json
    finding warn server etl2
    lbctl certificates revoke etl2 --reason 'left'
    run lbctl doctor --json
    finding warn revoked etl2
}

@test "a clock that is off is a warning, and beyond five minutes bad" {
    ${CC:-gcc} -shared -fPIC -O2 -o "$demo/wallclock.so" "$BATS_TEST_DIRNAME/wallclock.c"
    local off wanted
    for off in +100:warn +1000:bad; do
        echo "${off%:*}" >"$demo/clock"
        LD_PRELOAD=$demo/wallclock.so LB_WALLCLOCK=$demo/clock run lbctl doctor --json
        wanted=${off#*:}
        finding "$wanted" clock
    done
}

@test "a server's clock that was off when its session began is found from afar" {
    local off
    run lbctl doctor --json
    finding ok clock etl1
    for off in -100:warn +1000:bad; do
        echo "${off%:*}" >"$demo/clock"
        halt etl1
        keep etl1 "$demo/etl1" env LD_PRELOAD="$demo/wallclock.so" \
            LB_WALLCLOCK="$demo/clock" lbworker
        await "etl1 says what its clock is" sh -c "lbctl servers --json |
            jq -se 'any(.[]; .server == \"etl1\" and .session == \"up\" and
                (.broker_ahead_ms / 1000 | round) == $((0 - ${off%:*})))'"
        run lbctl doctor --json
        finding "${off#*:}" clock etl1
    done
    lbctl servers --json | python "$BATS_TEST_DIRNAME/schema.py" server 1
    halt etl1
    start_server etl1
}

@test "a caller's doctor finds what a caller may see, and says that there is more" {
    run as anna lbctl doctor --json
    [ "$status" -eq 0 ]
    finding ok broker
}

@test "on a server the findings of lbworker check are there" {
    run as etl1 lbctl doctor --json
    finding ok server signers
    rm -f "$demo/etl1/etc/trust/signers"
    run as etl1 lbctl doctor --json
    [ "$status" -eq 1 ]
    finding bad server signers
}

@test "root's doctor on a server says that it cannot judge it" {
    [ "$(id -u)" -eq 0 ] || skip "only root can try"
    mkdir "$demo/of-root"
    cp -r "$demo/etl2/etc" "$demo/of-root/etc"
    as of-root run lbctl doctor --json
    [ "$status" -eq 1 ]
    finding bad server "lbworker check"
}

@test "a broker that does not answer is bad" {
    sed 's/127.0.0.1:[0-9]*/127.0.0.1:1/' "$demo/anna/etc/client.yaml" >"$demo/yaml"
    cp -f "$demo/yaml" "$demo/anna/etc/client.yaml"
    LONGBOAT_HOME=$demo/anna run sh -c 'lbctl doctor --json 2>/dev/null'
    [ "$status" -eq 1 ]
    finding bad broker
}
