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
