#!/bin/sh
# Runs unit test programs, as many at a time as there are processors; prints the output of those
# that fail, then what this machine cannot test, and last the counts.
# usage: tests/unit.sh [-v] BUILD-FOLDER PROGRAM...
#   -v   also what the others say of how much they tried
said=
[ "$1" != -v ] || {
    said=1
    shift
}
build=$1
shift
logs=$build/test-logs
passed=0
failed=0
mkdir -p "$logs"
rm -f "$logs"/*.failed
# names WORD LOG: the tests that cmocka marks so; it says each twice, at once and at the end.
names() { sed -n "s/^\[ *$1 *\] \([a-z_0-9]*\)\$/\1/p" "$2" | sort -u; }
log_of() { echo "$logs/$(echo "$1" | tr '/' '_').log"; }

for t in "$@"; do
    printf '%s\n%s\n' "$t" "$(log_of "$t")"
done | xargs -P "$(nproc)" -n 2 sh -c '"$0" >"$1" 2>&1 || : >"$1.failed"'

skipped=$logs/skipped
: >"$skipped"
for t in "$@"; do
    log=$(log_of "$t")
    if [ -e "$log.failed" ]; then
        n=$(names FAILED "$log" | wc -l)
        [ "$n" -gt 0 ] || n=1 # it did not come to its end
        failed=$((failed + n))
        echo "---- $t"
        cat "$log"
    elif [ "$said" ]; then
        grep -v '^\[' "$log" | sed "s|^|$(basename "$t"): |"
    fi
    passed=$((passed + $(names OK "$log" | wc -l)))
    names SKIPPED "$log" | sed "s|^|unit: not run here: $(basename "$t"): |" >>"$skipped"
done
cat "$skipped"
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
