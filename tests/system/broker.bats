# The broker by itself: what it checks before it starts, what it says when it is full, and what
# survives a crash.
load helpers

setup_file() {
    local s
    new_demo
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker --max-runs 7
    lbpkg keygen
    join_server etl1 etl
    cp "$demo/admin/etc/keys/builder.pub" "$demo/etl1/etc/trust/signers"
    start_server etl1
    new_package say shell 'echo "$LB_PARAM_text"' \
        'parameters: {text: {type: string, required: true}}'
    deploy say etl
}
teardown_file() { end_cluster; }
setup() { enter; }

@test "check passes beside a running broker, and finds what is wrong" {
    as broker run lbbroker check
    echo "$output"
    [ "$status" -eq 0 ]
    cp -r "$demo/broker/etc" "$demo/broken-etc"
    mkdir -p "$demo/broken"
    mv "$demo/broken-etc" "$demo/broken/etc"
    printf 'nonsense: 1\n' >>"$demo/broken/etc/broker.yaml"
    as broken run lbbroker check
    [ "$status" -ne 0 ]
    assert_has nonsense
    assert_has broker.yaml:
    as broken run lbbroker
    [ "$status" -eq 2 ]
    sed -i '$d' "$demo/broken/etc/broker.yaml"
    rm "$demo/broken/etc/keys/broker.key"
    as broken run lbbroker check
    [ "$status" -ne 0 ]
    assert_has broker.key
}

@test "a second broker over the same files is refused" {
    as broker run timeout 20 lbbroker
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    assert_has broker.db
}

@test "a key that others can read is refused, and its mode is named" {
    mkdir -p "$demo/open"
    cp -r "$demo/broker/etc" "$demo/open/etc"
    chmod 644 "$demo/open/etc/keys/broker.key"
    as open run timeout 20 lbbroker
    [ "$status" -ne 0 ]
    assert_has broker.key
    assert_has 644
}

@test "a file that is not a store is refused and left unchanged" {
    mkdir -p "$demo/garbage/var/broker"
    cp -r "$demo/broker/etc" "$demo/garbage/etc"
    head -c 20000 /dev/urandom >"$demo/garbage/var/broker/broker.db"
    sha256sum "$demo/garbage/var/broker/broker.db" >"$demo/sum"
    as garbage run timeout 20 lbbroker
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    sha256sum -c "$demo/sum"
}

@test "at the limit of live runs new calls are told to retry, and are accepted when there is room" {
    local i runs=() late
    for i in 1 2 3 4 5; do runs+=("$(call package:other etl)"); done
    run python - "$BATS_TEST_DIRNAME" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
from peer import Identity, Peer, lb
import os, wire
p = Peer(Identity(os.environ["LONGBOAT_HOME"]))
p.hello()
m = p.ask(lb.CALL, 1, p.who.sign(b"call", wire.call_body(p.who)), 0)
print(m[0] == lb.ERROR, m[2] == lb.BUSY, m[4] >= 1000, m[3])
END
    assert_has "True True True"
    call package:say etl text=late >"$demo/late" &
    late=$!
    lbctl cancel "${runs[0]}" --reason test
    wait "$late"
    await "the late one runs" ended "$(cat "$demo/late")"
    for i in "${runs[@]:1}"; do lbctl cancel "$i" --reason test; done
}

@test "a crash loses nothing that was accepted: live runs, history, drains, certificates" {
    local parked done
    parked=$(call --start-within 600 package:other etl)
    done=$(call --wait package:say etl text=kept | jq -r .run)
    lbctl drain etl1 --reason 'over the crash'
    join_principal anna 'call *@etl'
    lbctl runs --json | jq -r .run | sort >"$demo/before"
    lbctl history --json | jq -c '[.run, .status]' >"$demo/history"
    kill9 broker
    await "the broker is back" lbctl whoami
    lbctl runs --json | jq -r .run | sort | diff "$demo/before" -
    lbctl history --json | jq -c '[.run, .status]' | diff "$demo/history" -
    [ "$(lbctl logs "$done")" = kept ]
    as anna lbctl whoami | grep -q anna
    await "etl1 is back" sh -c "lbctl servers etl1 --json | grep -q '\"draining\":true'"
    lbctl undrain etl1
    [ "$(state_of "$parked")" = parked ]
    lbctl cancel "$parked" --reason test
}

@test "promise 1: what an operator says while the broker is away is done once, when it is back" {
    local parked cancel drain
    parked=$(call --start-within 600 package:other etl)
    kill9_for_good broker
    lbctl cancel "$parked" --reason 'said to nobody' >"$demo/cancel" 2>&1 3>&- &
    cancel=$!
    lbctl drain etl1 --reason 'said to nobody' >"$demo/drain" 2>&1 3>&- &
    drain=$!
    lbctl explain "$parked" >"$demo/explain" 2>&1 3>&- &
    await "all three wait" sh -c "[ \$(pgrep -f 'lbctl (cancel|drain|explain)' | wc -l) -ge 3 ]"
    start_broker
    wait "$cancel"
    wait "$drain"
    [ "$(status_of "$parked")" = cancelled ]
    [ "$(lbmon --event cancel --run "$parked" --since 0 --until-now --json | wc -l)" -eq 1 ]
    lbctl servers etl1 --json | jq -e .draining
    lbctl undrain etl1
}

@test "the store is the journal replayed: lbbroker check agrees after a crash" {
    local i
    for i in 1 2 3; do call package:say etl text=x >/dev/null; done
    kill9_for_good broker
    as broker run lbbroker check
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has store
    start_broker
    await "all of them ended" sh -c "[ -z \"\$(lbctl runs --json)\" ]"
}

@test "promise 3: a key of long ago makes no second run, also signed anew after a restart" {
    local first
    first=$(call --key of-long-ago package:say etl text=once)
    await "it ends" ended "$first"
    : >"$demo/broker.stop"
    kill "$(cat "$demo/broker.pid")"
    await "nobody keeps the broker" gone "$(cat "$demo/broker.keeper")"
    # eight days ago: beyond what a start takes into memory
    sqlite3 "$demo/broker/var/broker/broker.db" 'UPDATE journal SET at = at - 8 * 86400000'
    rm "$demo/broker.stop"
    start_broker
    run lbsubmit --package say --pool etl --key of-long-ago -p text=once
    [ "$status" -eq 3 ]
    assert_has "the key was used before"
    assert_has "${first:0:8}"
    call --wait --key of-today package:say etl text=once
    run lbsubmit --package say --pool etl --key of-long-ago -p text=once
    [ "$status" -eq 3 ]
    [ "$(lbctl history --json -n 100 | jq -r .key | grep -c '^of-long-ago$')" = 1 ]
}

@test "TERM shuts the broker down cleanly and quickly" {
    local pid
    pid=$(cat "$demo/broker.pid")
    halt broker
    await "it has gone" sh -c "! kill -0 $pid"
    not grep -qiE 'assert|segmentation|sanitizer' "$demo/broker.log"
}
