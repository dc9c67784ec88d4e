#!/bin/sh
# All tests, in the order in which a break is cheapest to find; the last line counts them.
# usage: tests/check.sh MAKE SANITIZERS
make="$1 --no-print-directory"
san=$2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

$make SAN="$san" test-programs || exit 1

# With a sanitizer the simulator runs fewer seeds (it is some ten times slower) and the system tests
# are those that matter.
seeds=1000
[ -z "$san" ] || seeds=100
$make SAN="$san" unit 2>&1 | tee -a "$log"
$make SAN="$san" SEEDS=$seeds sim 2>&1 | tee -a "$log"
$make SAN="$san" system 2>&1 | tee -a "$log"

counts='^\(unit\|sim\|system\): \([0-9]*\) passed, \([0-9]*\) failed$'
sum() { sed -n "s/$counts/\\$1/p" "$log" | awk '{n += $1} END {print n + 0}'; }
passed=$(sum 2)
failed=$(sum 3)
parts=$(grep -c "$counts" "$log")
if [ "$parts" -ne 3 ]; then
    echo "check: only $parts of 3 parts came to their end" >&2
    failed=$((failed + 1))
fi
grep '^flaky: ' "$log"
echo "check: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
