#!/bin/sh
# Runs unit test programs one after the other; prints a failing one's output and, last, the counts.
# usage: tests/unit.sh BUILD-FOLDER PROGRAM...
build=$1
shift
passed=0
failed=0
mkdir -p "$build/test-logs"
for t in "$@"; do
    log=$build/test-logs/$(echo "$t" | tr '/' '_').log
    if "$t" >"$log" 2>&1; then
        passed=$((passed + $(grep -c '^\[       OK \]' "$log")))
    else
        n=$(grep -c '^\[  FAILED  \] [a-z_0-9]*$' "$log")
        [ "$n" -gt 0 ] || n=1
        failed=$((failed + n))
        passed=$((passed + $(grep -c '^\[       OK \]' "$log")))
        echo "---- $t"
        cat "$log"
    fi
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
