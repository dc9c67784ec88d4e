# What every client must do: the clients of this project against a broker that follows a script,
# and the protocol's test vectors. See tests/conform/clients/README.md.
load helpers

conform() {
    PYTHONDONTWRITEBYTECODE=1 "$top/tests/conform/clients/conform.py" "$@"
}

@test "the Python client passes every case of the conformance kit" {
    run conform -- "$top/tests/conform/clients/pyclient.py"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "lbsubmit, and with it the C library, passes every case of the conformance kit" {
    run conform -- lbsubmit --pool etl --package say -p text=hello
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "for every case, a client that breaks its rule fails it" {
    run conform --seconds 6 -- "$top/tests/conform/clients/badclient.py"
    echo "$output"
    [ "$status" -eq 1 ]
    assert_has "0 of $(conform --list | wc -l) cases passed"
}

@test "the Python client reads the good vectors and refuses the bad ones" {
    python "$top/client/python/vectors_test.py"
}
