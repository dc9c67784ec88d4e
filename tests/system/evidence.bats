# Results that their server signed: who believes what, and the proof that needs no broker.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo "n=3" >>"$LB_OUTPUTS"
        echo "succeeded said $LB_PARAM_text" >"$LB_RESULT"' \
        'parameters: {text: {type: string, required: true}}
outputs: {n: {type: int}}'
    new_package fail shell 'echo going wrong >&2; exit 4'
    deploy say etl
    deploy fail etl
    join_principal watcher 'watch *@all'
    join_principal stranger 'call package:fail@etl'
    lbsubmit --package say --pool etl -p text=hello --quiet
    lbsubmit --package fail --pool etl --quiet || true
    lbctl evidence "$(last_run package:say)" -o "$demo/say.evidence"
    lbctl evidence "$(last_run package:fail)" -o "$demo/fail.evidence"
}
teardown_file() { end_cluster; }
setup() { enter; }
teardown() { end_false_broker; }

holds() { # holds KIND: each line of stdin is such an object
    python "$BATS_TEST_DIRNAME/schema.py" "$1"
}

# alter KEY: the evidence with one character of this member changed
alter() {
    python - "$demo/say.evidence" "$1" <<'END'
import json, sys
o = json.load(open(sys.argv[1]))
v = o[sys.argv[2]]
if isinstance(v, int):
    v += 1
elif sys.argv[2] == "run":
    v = v[:-1] + ("0" if v[-1] != "0" else "1")
elif sys.argv[2] in ("server", "cluster"):
    v += "x"
else:
    at = len(v) * 3 // 4
    v = v[:at] + ("A" if v[at] != "A" else "B") + v[at + 1:]
json.dump({**o, sys.argv[2]: v}, sys.stdout)
END
}

told() { # told STORY WORDS: the call is not believed, and why
    false_broker "$1"
    run lbsubmit --package say --pool etl -p text=again --quiet
    end_false_broker
    echo "$output"
    [ "$status" -eq 3 ]
    assert_has "$2"
}

false_broker() {
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$BATS_TEST_DIRNAME/falseends.py" \
        "$demo" etl1 "$1" "$demo/say.evidence" >"$demo/false.log" 2>&1 3>&- &
    false_pid=$!
}
end_false_broker() {
    [ -n "${false_pid:-}" ] || return 0
    kill "$false_pid"
    wait "$false_pid" || true
    false_pid=
}

@test "lbctl show says by whom a result is signed, and that it is good" {
    run lbctl show "$(last_run package:say)"
    assert_has "signed by etl1 (serial "
    assert_has "): good"
    run lbctl show "$(last_run package:fail)"
    assert_has "): good"
    run as watcher lbctl show "$(last_run package:fail)"
    assert_has "): good"
}

@test "lbctl show says in JSON, too, what the proof is worth" {
    lbctl show "$(last_run package:say)" --json >"$demo/shown"
    holds run <"$demo/shown"
    jq -e '.proof.state == "good" and (.proof.text | test("^signed by etl1 .*: good$"))' \
        "$demo/shown"
    lbsubmit --package say --server nowhere -p text=never --start-within 1s --quiet || true
    lbctl show last --json | jq -e '.status == "unreachable" and .proof.state == "broker"'
    lbctl history -n 1 --json | jq -e 'has("proof") | not'
}

@test "evidence follows its schema, and whoever may not see the run gets none" {
    jq -c . "$demo/say.evidence" | holds evidence
    lbctl evidence verify "$demo/say.evidence" --json | holds evidence-check
    run as stranger lbctl evidence "$(last_run package:say)"
    [ "$status" -eq 3 ]
    assert_has "no run with this id"
}

@test "evidence verifies without a broker and a home, with the administrators' keys" {
    env -u LONGBOAT_HOME HOME=/nonexistent lbctl evidence verify "$demo/say.evidence" \
        --administrators "$demo/admin/etc/trust/administrators" >"$demo/checks"
    cat "$demo/checks"
    grep -q "^good  signature .*'etl1' signed this outcome" "$demo/checks"
    grep -q "^good  call .*job package:say at etl" "$demo/checks"
    grep -q "^good  checkpoint .*at entry [1-9][0-9]* of the audit trail" "$demo/checks"
    not grep -q BAD "$demo/checks"
    lbctl evidence verify "$demo/fail.evidence"
}

@test "each altered member of the evidence is found" {
    local key
    for key in $(jq -r 'keys[]' "$demo/say.evidence"); do
        alter "$key" >"$demo/altered"
        run lbctl evidence verify "$demo/altered"
        echo "$key: $status $output"
        [ "$status" -eq 1 ]
    done
    for key in call caller_certificate outcome signature signer_certificate; do
        jq "del(.$key)" "$demo/say.evidence" >"$demo/altered"
        run lbctl evidence verify "$demo/altered"
        [ "$status" -eq 1 ]
        assert_has "BAD   $key"
    done
    jq '.extra = 1' "$demo/say.evidence" >"$demo/altered"
    run lbctl evidence verify "$demo/altered"
    [ "$status" -eq 1 ]
    assert_has "extra"
}

@test "evidence without a list of revoked certificates says so" {
    jq 'del(.revocations)' "$demo/say.evidence" >"$demo/listless"
    run lbctl evidence verify "$demo/listless"
    [ "$status" -eq 0 ]
    assert_has "listless has no list of revoked certificates, nor has this home: so it is not known"
    run lbctl evidence verify "$demo/listless" \
        --administrators "$demo/admin/etc/trust/administrators"
    [ "$status" -eq 0 ]
    assert_has "certificates, and none was given: so it is not known whether"
    LONGBOAT_HOME=$demo/nobody run lbctl evidence verify "$demo/listless"
    [ "$status" -eq 2 ]
    assert_has "give them with --administrators FILE"
}

@test "evidence is judged by the newest list, not by the one that the broker has chosen" {
    local keys=$demo/admin/etc/trust/administrators list=$demo/admin/etc/trust/revocations
    join_principal gone 'call package:fail@etl' 'watch *@all'
    as gone lbsubmit --package fail --pool etl --quiet || true
    lbctl evidence "$(last_run package:fail)" -o "$demo/gone.evidence"
    lbctl evidence verify "$demo/gone.evidence"
    lbctl certificates revoke gone --reason 'left'
    lbctl show "$(last_run package:fail)" --json |
        jq -e '.proof.state == "bad" and (.proof.text | contains("is revoked"))'
    run lbctl evidence verify "$demo/gone.evidence"
    [ "$status" -eq 1 ]
    assert_has "good  revocations         list 1, from $list"
    assert_has "BAD   revocations"
    assert_has "'gone'"
    run as watcher lbctl evidence verify "$demo/gone.evidence" --administrators "$keys"
    [ "$status" -eq 0 ]
    run as watcher lbctl evidence verify "$demo/gone.evidence" --administrators "$keys" \
        --revocations "$list"
    [ "$status" -eq 1 ]
    assert_has "'gone'"
    run lbctl evidence verify "$demo/gone.evidence" --revocations "$demo/none"
    [ "$status" -eq 2 ]
    assert_has "$demo/none"
}

@test "the checkpoint in the evidence is one of the audit trail's" {
    lbctl audit export -o "$demo/trail"
    jq -r .checkpoint "$demo/say.evidence" >"$demo/checkpoint"
    grep -qF "\"$(cat "$demo/checkpoint")\"" "$demo/trail"
}

@test "other administrators' keys vouch for nothing" {
    python -c 'import nacl.signing
print(bytes(nacl.signing.SigningKey.generate().verify_key).hex())' >"$demo/keys"
    run lbctl evidence verify "$demo/say.evidence" --administrators "$demo/keys"
    [ "$status" -eq 1 ]
    assert_has "belongs to no administrator"
}

@test "the Python client believes what the server signed, of runs of others too" {
    run call --wait package:say etl text=python
    field .status succeeded
    run call_of "$(last_run package:say)"
    field .status succeeded
}
call_of() { # call_of RUN: its outcome, by a client that has not made the call
    PYTHONPATH="$top/client/python" python -c '
import json, sys, uuid, longboat
with longboat.Client() as c:
    print(json.dumps(c.wait(uuid.UUID(sys.argv[1]).bytes, 20)))' "$1"
}

@test "a broker that has been broken into can neither invent a result nor alter one" {
    local broker
    broker=$(cat "$demo/broker.pid")
    halt broker
    await "the broker is gone" sh -c "! kill -0 $broker"
    told invented "it has no signature"
    told forged "is signed by key"
    told stolen "does not match"
    told altered "does not match"
    told refused "refused"
    false_broker invented
    cat >"$demo/plan.yaml" <<END
parent: nightly
tasks:
  first: {package: say, pool: etl, parameters: {text: a}}
  second: {package: say, pool: etl, parameters: {text: b}, after: [{task: first, is: success}]}
END
    run sh -c 'lbsubmit "$1" --json 2>"$2"' - "$demo/plan.yaml" "$demo/plan.err"
    cat "$demo/plan.err"
    [ "$status" -eq 3 ]
    echo "$output" | jq -e 'select(.event == "ended") | .status == "unknown"'
    echo "$output" | jq -e 'select(.event == "skipped") | .task == "second"'
    run call --wait package:say etl text=python
    end_false_broker
    field .status unknown
    assert_has "it has no signature"
}
