#!/bin/sh
# Runs the system tests (bats, real processes) and counts them. LB_BIN: folder with the programs. Each file has a cluster
# of its own, so as many run at a time as there are processors; what a file prints appears when it has ended.
# usage: tests/system/run.sh [FILE.bats...]      all files of this folder by default
cd "$(dirname "$0")" || exit 1
: "${LB_BIN:?the folder with the programs}"
export LB_BIN
if [ $# -eq 0 ]; then
    # The longest first, so that the last one does not run alone.
    set -- $(ls -S -- *.bats)
fi
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# A test that hangs is a failure of its own; 300 s are ten times what the longest file takes.
printf '%s\n' "$@" | xargs -P "$(nproc)" -I FILE sh -c '
    begun=$(date +%s)
    timeout 300 bats --tap --timing "$1" >"$2/$(basename "$1").log" 2>&1 </dev/null || echo "# $1: bats exited with $?" >>"$2/$(basename "$1").log"
    sed "s/^1\.\..*/# $1/" "$2/$(basename "$1").log"
    echo "# $1: $(($(date +%s) - begun)) s"' sh FILE "$logs"

passed=$(cat "$logs"/* | grep -c '^ok ')
failed=$(cat "$logs"/* | grep -c '^not ok ')
failed=$((failed + $(cat "$logs"/* | grep -c '^# .*: bats exited with 124')))
failed=$((failed + $(cat "$logs"/* | grep -c '^# bats warning')))
[ "$(ls "$logs" | wc -l)" -eq $# ] || failed=$((failed + 1))
echo "system: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
