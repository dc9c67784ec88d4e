# A short soak, always with the same seed, and the judge that decides what a soak is worth. `make
# soak MINUTES=30` is the long one.
load helpers

@test "the judge of a soak finds each kind of fault in made-up histories" {
    run python "$top/tests/soak/judge_test.py"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "of runs whose end nobody was told, a soak prints what the broker says of each" {
    local folder=$BATS_TEST_TMPDIR
    cat >"$folder/lbctl" <<'LBCTL'
#!/bin/sh
case "$1 $2" in
"show a") echo '{"state":"waiting","attempt":1}' ;;
"explain a") echo "s1: no slot is free" ;;
"show b") echo '{"state":"ended","attempt":2,"server":"s2"}' ;;
*) echo "lbctl: there is no run $2" >&2; exit 1 ;;
esac
LBCTL
    chmod 755 "$folder/lbctl"
    printf 'asks at=1 key=k on_lost=fail\naccepted at=2 key=k run=%s\n' a b c d >"$folder/told-x"
    echo "ended at=3 run=d attempt=1 status=failed" >>"$folder/told-x"
    PATH=$folder:$PATH run python "$top/tests/soak/unheard.py" "$folder/told-x"
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "run a, key k of told-x: waiting, attempt 1 on no server"
    assert_has "s1: no slot is free"
    assert_has "run b, key k of told-x: ended, attempt 2 on s2"
    assert_has "run c, key k of told-x: not told by the broker, lbctl: there is no run c"
    assert_has "3 of 4 accepted runs; the broker has 1 ended, 1 not told by the broker, 1 waiting"
}

@test "20 s of kill -9 every second, seed 7: nothing is lost or runs twice, every end is true" {
    run "$top/tests/soak/run.sh" "$(dirname "$LB_BIN")" 0.33 7
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "seed 7"
    assert_has "all is well"
}

@test "300 jobs while workers, runners and keepers are killed, seed 7: nothing is left over" {
    run "$top/tests/soak/kills.sh" "$(dirname "$LB_BIN")" 300 7
    echo "$output"
    [ "$status" -eq 0 ]
    assert_has "as before"
}

@test "make soak, hostile, kills and mutants say what is wrong with their arguments" {
    local what many=("$LB_BIN/.." 1 2 3) n
    for what in soak hostile; do
        for n in 0 1 4; do
            run "$top/tests/$what/run.sh" "${many[@]:0:n}"
            echo "$what ${many[*]:0:n}: $status $output"
            [ "$status" -eq 2 ]
            assert_has "$what: MINUTES is missing; usage: tests/$what/run.sh BUILD-FOLDER MINUTES"
        done
        run "$top/tests/$what/run.sh" "$LB_BIN/.." ""
        [ "$status" -eq 2 ]
        assert_has "make $what MINUTES=30"
    done
    run "$top/tests/hostile/run.sh" "$LB_BIN/.." abc
    [ "$status" -eq 2 ]
    assert_has "MINUTES is 'abc'"
    run "$top/tests/soak/run.sh" "$LB_BIN/.." abc
    [ "$status" -eq 2 ]
    assert_has "MINUTES is 'abc'"
    run "$top/tests/soak/run.sh" "$LB_BIN/.." 1 x
    [ "$status" -eq 2 ]
    assert_has "SEED is 'x'"
    run "$top/tests/soak/kills.sh" "$LB_BIN/.." 1.5
    [ "$status" -eq 2 ]
    assert_has "JOBS is '1.5'"
    run "$top/tests/mutants/run.sh" nosuch
    [ "$status" -eq 2 ]
    assert_has "has 'nosuch' in its name"
}
