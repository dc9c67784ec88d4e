#!/bin/sh
# Runs the system tests (bats, real processes) and counts them. Each file has a cluster of its own,
# so as many run at a time as there are processors; what a file prints appears when it has ended.
# usage: tests/system/run.sh [FILE.bats...]      all files of this folder by default
#   LB_BIN          the folder with the programs
#   LB_ONCE=1       nothing is repeated
#   LB_SECONDS=300  what a file may take: a test that hangs is a failure of its own
#
# A file in which something has failed is run once more, alone, after all others have ended. What
# passes then is flaky: it is listed (`flaky: FILE: NAME (last lines of its failure)`) and fails
# nothing, unless there are more than three. What fails again has failed.
cd "$(dirname "$0")" || exit 1
: "${LB_BIN:?the folder with the programs}"
export LB_BIN LB_SECONDS="${LB_SECONDS:-300}"
if [ $# -eq 0 ]; then
    # The longest first, so that the last one does not run alone: those that take a minute or more,
    # as the line at the end of each says, and the others by their size.
    slow="hostilechildren adoption byhand upgrade overload conform soak"
    # shellcheck disable=SC2046,SC2086
    set -- $({ printf '%s.bats\n' $slow && ls -S -- *.bats; } | awk '!seen[$0]++')
fi
case " $* " in
*upgrade.bats*)
    # Takes longer than a file's tests may; if it fails, the file's own setup says why.
    ../upgrade/build.sh "$(dirname "$LB_BIN")/previous" >/dev/null 2>&1 || :
    ;;
esac
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
mkdir "$logs/first" "$logs/again"

# run JOBS FOLDER: the files on standard input, one a line; FOLDER/FILE.log ends with "exit N".
run() {
    xargs -P "$1" -d '\n' -I FILE sh -c '
        begun=$(date +%s)
        name=$(basename "$1")
        log=$2/$name.log
        timeout "$LB_SECONDS" bats --tap --timing "$1" >"$log" 2>&1 </dev/null
        echo "exit $?" >>"$log"
        sed "s/^1\.\..*/# $name/; /^exit [0-9]*$/d" "$log"
        echo "# $name: $(($(date +%s) - begun)) s"' sh FILE "$2"
}

printf '%s\n' "$@" | run "$(nproc)" "$logs/first"
if [ "${LB_ONCE:-0}" != 1 ]; then
    for file in "$@"; do
        ! ./verdict.py failed "$logs/first/$(basename "$file").log" || echo "$file"
    done >"$logs/failed"
    if [ -s "$logs/failed" ]; then
        echo "# once more, each alone: $(tr '\n' ' ' <"$logs/failed")"
        run 1 "$logs/again" <"$logs/failed"
    fi
fi
./verdict.py count $# "$logs/first" "$logs/again"
