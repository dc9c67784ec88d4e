#!/bin/sh
# Runs unit test programs one after the other; prints the output of those that fail, then what this machine cannot test,
# and last the counts.
# usage: tests/unit.sh BUILD-FOLDER PROGRAM...
build=$1
shift
passed=0
failed=0
mkdir -p "$build/test-logs"
skipped=$build/test-logs/skipped
: >"$skipped"
# names WORD LOG: the tests that cmocka marks so; it says each twice, when it happens and at the end.
names() { sed -n "s/^\[ *$1 *\] \([a-z_0-9]*\)\$/\1/p" "$2" | sort -u; }
for t in "$@"; do
    log=$build/test-logs/$(echo "$t" | tr '/' '_').log
    if ! "$t" >"$log" 2>&1; then
        n=$(names FAILED "$log" | wc -l)
        [ "$n" -gt 0 ] || n=1 # it did not come to its end
        failed=$((failed + n))
        echo "---- $t"
        cat "$log"
    fi
    passed=$((passed + $(names OK "$log" | wc -l)))
    names SKIPPED "$log" | sed "s|^|unit: not run here: $(basename "$t"): |" >>"$skipped"
done
cat "$skipped"
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
