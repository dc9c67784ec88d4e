# Servers that refuse by their own fault: the work of their pool goes to the others, and they say
# why they get none.
load helpers

setup_file() {
    new_cluster etl1 etl2
    new_package say shell 'echo hello'
    deploy say etl
}
teardown_file() { end_cluster; }
setup() { enter; }

@test "what a server's runner would refuse is not handed to it, and it says why" {
    cp "$demo/etl1/etc/trust/signers" "$demo/signers"
    : >"$demo/etl1/etc/trust/signers"
    await "etl1 says so" sh -c 'lbctl servers etl1 | grep -q "signature of a signer"'
    for _ in 1 2 3 4; do
        run call --wait package:say etl
        [ "$status" -eq 0 ]
        field .server etl2
    done
    cp "$demo/signers" "$demo/etl1/etc/trust/signers"
    await "etl1 is well again" sh -c '! lbctl servers etl1 | grep -q "signature of a signer"'
    run call --wait package:say etl1
    [ "$status" -eq 0 ]
}

@test "what a child leaves immutable is not found by the next child" {
    local kept=$demo/kept
    [ "$(id -u)" -eq 0 ] || skip "only root can make a file immutable"
    new_package hide shell "mkdir k && echo secret >k/f && touch $kept/ready && sleep 4"
    new_package look shell '[ -z "$(ls -A .)" ]'
    witness_folder "$kept"
    deploy hide etl2
    deploy look etl2
    call package:hide etl2 >"$demo/hide-run"
    await "it runs" test -e "$kept/ready"
    find "$demo/etl2/var/work" -name f -exec chattr +i {} + 2>/dev/null ||
        skip "this file system has no immutable files"
    await "it has ended" sh -c "lbctl show $(cat "$demo/hide-run") --json | grep -q succeeded"
    for _ in 1 2 3 4; do
        run call --wait package:look etl2
        [ "$status" -eq 0 ]
    done
    find "$demo/etl2/var/work" -name f -exec chattr -i {} +
}

@test "a need is probed with the environment of the step's proxy" {
    local r
    new_package load shell 'loader && echo "$SID"' "needs: [{command: loader}, {env: SID}]"
    deploy load etl1
    as etl1 lbctl proxy new tools --user "$(stat -c %u "$demo/etl1")" --principal '*'
    as etl1 sh -c "printf 'environment: {PATH: \"%s\", SID: dwh}\n' '$demo/etl1/tools:/bin' \
        >>'$demo/etl1/etc/proxies.d/tools.yaml'"
    printf '%s\n' 'job: load' 'steps:' '  - {name: one, package: load, proxy: tools}' \
        >"$demo/etl1/etc/jobs/load.yaml"
    await "etl1 offers load" \
        sh -c 'lbctl servers etl1 --json | jq -e ".jobs[] | select(.job == \"load\")"'
    r=$(call load etl1)
    await "explain names the need" \
        sh -c "lbctl explain $r | grep -q 'command:loader for proxy tools'"
    # the package's own job is of the proxy default, which has no such variable
    lbctl servers etl1 --json | jq -e '.needs[] | select(.need == "env:SID").holds | not'
    lbctl servers etl1 --json | jq -e '.needs[] | select(.need == "env:SID for proxy tools").holds'
    as etl1 mkdir "$demo/etl1/tools"
    printf '#!/bin/sh\necho loaded\n' >"$demo/loader"
    as etl1 install -m 755 "$demo/loader" "$demo/etl1/tools/loader"
    kill -HUP "$(cat "$demo/etl1.pid")"
    await "it runs where the program is" ended "$r"
    run lbctl logs "$r"
    assert_has "loaded"
    assert_has "dwh"
}

@test "children have the zone by its name, and python tells before it is killed" {
    local zone
    new_package zone shell 'echo "TZ=$TZ"'
    new_package talk python 'import time
print("I have begun")
time.sleep(600)' "limits: {timeout: 1s}"
    deploy zone etl2
    deploy talk etl2
    run call --wait package:zone etl2
    [ "$status" -eq 0 ]
    zone=$(readlink /etc/localtime)
    [ "$zone" = "${zone#*/zoneinfo/}" ] ||
        [ "$(lbctl logs "$(last_run package:zone)" | tr -d ' ')" = "TZ=${zone#*/zoneinfo/}" ]
    run call --wait package:talk etl2
    field .status timed_out
    run lbctl logs "$(last_run package:talk)"
    assert_has "I have begun"
}

@test "an output that ends with a newline is printed as one line" {
    new_package note shell \
        'printf "%s\n" "{\"note\": \"two\\nrows=0\\n\", \"rows\": 7}" >>"$LB_OUTPUTS"' \
        "outputs: {note: {type: string}, rows: {type: int}}"
    deploy note etl2
    run lbsubmit --package note --server etl2
    [ "$status" -eq 0 ]
    assert_has 'note="two\nrows=0\n"'
    [ "$(grep -c '^rows=' <<<"$output")" = 1 ]
}
