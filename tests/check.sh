#!/bin/sh
# All tests, in the order in which a break is cheapest to find; the last line counts them.
# usage: tests/check.sh MAKE BUILD-FOLDER SANITIZERS
make=$1
build=$2
san=$3
log=$(mktemp)
trap 'rm -f "$log"' EXIT
jobs=$(nproc)

$make --no-print-directory -j"$jobs" SAN="$san" test-programs || exit 1

# With a sanitizer the simulator runs fewer seeds (it is some ten times slower) and the system tests those that matter.
seeds=1000
[ -z "$san" ] || seeds=100
$make --no-print-directory SAN="$san" unit 2>&1 | tee -a "$log"
$make --no-print-directory SAN="$san" SEEDS=$seeds sim 2>&1 | tee -a "$log"
$make --no-print-directory SAN="$san" system 2>&1 | tee -a "$log"

passed=$(sed -n 's/^\(unit\|sim\|system\): \([0-9]*\) passed, \([0-9]*\) failed$/\2/p' "$log" | awk "{n += \$1} END {print n + 0}")
failed=$(sed -n 's/^\(unit\|sim\|system\): \([0-9]*\) passed, \([0-9]*\) failed$/\3/p' "$log" | awk "{n += \$1} END {print n + 0}")
parts=$(grep -cE '^(unit|sim|system): [0-9]+ passed, [0-9]+ failed$' "$log")
if [ "$parts" -ne 3 ]; then
    echo "check: only $parts of 3 parts came to their end" >&2
    failed=$((${failed:-0} + 1))
fi
echo "check: ${passed:-0} passed, ${failed:-0} failed"
[ "${failed:-1}" -eq 0 ]
