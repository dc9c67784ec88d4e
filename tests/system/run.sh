#!/bin/sh
# Runs the system tests (bats, real processes) and counts them. LB_BIN: folder with the programs.
# usage: tests/system/run.sh [FILE.bats...]      all files of this folder by default
cd "$(dirname "$0")" || exit 1
: "${LB_BIN:?the folder with the programs}"
export LB_BIN
if [ $# -eq 0 ]; then
    set -- *.bats
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for file in "$@"; do
    # A test that hangs is a failure of its own; 300 s are ten times what the longest file takes.
    timeout 300 bats --tap "$file" 2>&1 || echo "# $file: bats exited with $?"
done | tee "$log" | grep -v '^1\.\.'
passed=$(grep -c '^ok ' "$log")
failed=$(grep -c '^not ok ' "$log")
grep -q '^# .*: bats exited with 124' "$log" && failed=$((failed + 1))
grep -q '^# bats warning' "$log" && failed=$((failed + 1))
echo "system: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
