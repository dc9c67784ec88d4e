# Thefts of names and keys, for every role; and after each the victims are who they were, and work.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo "$LB_PARAM_text"' \
        'parameters: {text: {type: string, required: true}}'
    deploy say etl
    join_principal anna 'call *@etl' 'watch *@etl'
    join_principal bert 'call *@elsewhere'
    lbctl invite --principal mona --role monitor --grant 'watch *@all' >"$demo/token"
    as mona lbsubmit join <"$demo/token"
}
teardown_file() { end_cluster; }
setup() { enter; }

door() {
    python "$BATS_TEST_DIRNAME/door.py" "$1" "$demo" "${@:2}"
}

# Everybody is who they were, and does what they did.
victims_work() {
    local who
    for who in anna mona; do
        [ "$(as $who lbctl whoami --json | jq -r .name)" = $who ]
    done
    [ "$(lbctl whoami --json | jq -r .name)" = administrator ]
    [ "$(as anna call --wait package:say etl text=hello | jq -r .status)" = succeeded ]
    as mona lbctl servers etl1 --json | jq -e '.state == "up"'
    lbctl drain etl1 --reason test
    lbctl undrain etl1 --reason test
}

@test "one-time keys cannot have the keys or the names of others certified, whatever the role" {
    door keys
    victims_work
}

@test "the holder of a key cannot have it certified under a second name" {
    door keys_held
    victims_work
}

@test "nobody becomes administrator or broker by invitation" {
    door roles
    victims_work
}

@test "publishing binds nobody's key to another name, and renews one's own" {
    door published
    victims_work
}

@test "a key that was revoked never comes back" {
    door revoked
    victims_work
}

@test "a lost answer to ENROL does no harm" {
    door lost_answer same
    door lost_answer cut
}

@test "certificates are read for a reason only" {
    door reading
}

@test "after a restart of the broker all thefts fail as before" {
    kill9 broker
    await "the broker is back" lbctl whoami
    await "etl1 is back" sh -c "lbctl servers etl1 --json | grep -q '\"state\":\"up\"'"
    door keys
    door keys_held
    door never_again
    victims_work
}

@test "a newcomer whose broker is killed after ENROL joins all the same" {
    local i
    for i in 1 2 3 4 5; do
        lbctl invite --principal "n$i" --grant 'call *@etl' >"$demo/token"
        as "n$i" lbsubmit join --timeout 30s <"$demo/token" &
        kill9 broker
        wait $!
        await "the broker is back" lbctl whoami
        [ "$(as "n$i" lbctl whoami --json | jq -r .name)" = "n$i" ]
    done
}

@test "renewing what was revoked is refused with what to do, and a new invitation does it" {
    join_principal rita 'call *@etl'
    lbctl certificates revoke rita --reason 'lost her laptop'
    run lbctl certificates renew rita
    [ "$status" -eq 3 ]
    assert_has "is revoked, and its key stays so"
    assert_has "lbctl invite --principal rita"
    run as rita lbctl whoami
    [ "$status" -eq 3 ]
    lbctl invite --principal rita --grant 'call *@etl' >"$demo/token"
    as rita lbsubmit join --force <"$demo/token"
    [ "$(as rita lbctl whoami --json | jq -r .name)" = rita ]
}

@test "what comes and goes at the door is noted: who, what, whom" {
    local verb
    for verb in 'enrol anna by anna' 'publish anna by administrator' \
        'invite anna by administrator' 'revocations list 1 by administrator'; do
        await "$verb" sh -c "sqlite3 -readonly $demo/broker/var/broker/broker.db \
            \"SELECT event || ' ' || note FROM events\" | grep -q '$verb'"
    done
}
