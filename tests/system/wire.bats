# Messages that should never come over the wire: the broker answers with a sentence, changes nothing
# and goes on serving. Each case is a function of wire.py, which prints what went wrong.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo "$LB_PARAM_text"' \
        'parameters: {text: {type: string, required: true}}'
    deploy say etl
    join_principal anna 'call *@all' 'watch *@all'
    join_principal otto 'call *@all'
    join_principal paul 'call other@all'
    join_server etl9 none
}
teardown_file() { end_cluster; }
setup() { enter; }

wire() {
    python "$BATS_TEST_DIRNAME/wire.py" "$1" "$demo"
}

@test "every message of a client, ill-formed in every way, is answered with a sentence" {
    wire clients_garbage
}
@test "an administrator's ill-formed messages are, too" {
    wire administrators_garbage
}
@test "a malformed request is answered under its number, and its session goes on" {
    wire malformed_requests
}

@test "every message of a worker, ill-formed in every way, is answered with a sentence" {
    wire workers_garbage
}
@test "an ill-formed HELLO opens nothing, and the next good one does" {
    wire hello_garbage
}
@test "a frame above 1 MiB is cut off unread" {
    wire oversized
}
@test "truncated, empty, alien and misnumbered frames end the session and nothing else" {
    wire broken_frames
}
@test "a duplicate frame counts once, and a frame of an older session not at all" {
    wire replayed_frames
}
@test "a call that comes twice is one run; with another body it is refused; another's is refused" {
    wire replayed_calls
}
@test "expired, altered, wrongly signed, misaddressed calls are refused by broker or runner" {
    wire bad_calls
}
@test "messages of another role are refused by name, and change nothing" {
    wire wrong_roles
}
@test "messages of a broker and messages of no kind are refused" {
    wire brokers_words
}
@test "a peer with an unknown key, without CURVE or with a wrong broker key is shut out" {
    wire unknown_key
}
@test "forged, borrowed and altered certificates open no session" {
    wire forged_certificates
}
@test "a one-time key may say ENROL for its own name, once, and nothing else" {
    wire one_time_keys
}
@test "HELLO never makes an unenrolled key known" {
    wire borrowed_invitations
}
@test "a second machine under a living server's name is refused and told where the first is" {
    wire two_spools
}
@test "results that a worker invents change nothing" {
    wire invented_results
}
@test "forged, altered, alien, expired or replayed documents are refused" {
    python "$BATS_TEST_DIRNAME/documents.py" "$demo"
}
@test "a broker that has been broken into cannot make a server run what no caller signed for it" {
    local broker
    join_principal rita 'call *@all'
    lbctl certificates revoke rita --reason 'of the test'
    lbctl servers etl1 --json | jq -r '.jobs[0].job_hash' | sed 's/blake2b://' >"$demo/job_hash"
    await "the server knows the revocation" grep -q revocations "$demo/etl1.log"
    broker=$(cat "$demo/broker.pid")
    halt broker
    await "the broker is gone" sh -c "! kill -0 $broker"
    python "$BATS_TEST_DIRNAME/falsebroker.py" "$demo" etl1
}
