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
