#!/bin/sh
# Builds the fuzz targets with libFuzzer and runs each for some seconds from its corpus; a crash
# fails and leaves its input.
# usage: tests/fuzz/run.sh BUILD-FOLDER SECONDS
set -eu
build=$1
seconds=$2
here=$(dirname "$0")
top=$(cd "$here/../.." && pwd)
cd "$top"
mkdir -p "$build"
flags="-g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all"
flags="$flags -std=gnu11 -I. -D_GNU_SOURCE -DLB_VERSION=\"fuzz\""
libs=$(pkg-config --cflags --libs libsodium yaml-0.1 jansson)
rooms=$(ls common/*.c proto/*.c trust/*.c net/session.c | grep -vE '(_test|testing|fixture)\.c')
failed=0
for target in tests/fuzz/*_fuzz.c; do
    name=$(basename "$target" .c)
    # shellcheck disable=SC2046,SC2086
    clang $flags -o "$build/$name" "$target" $rooms \
        $(sed -n 's,^/\* needs: \(.*\) \*/$,\1,p' "$target") $libs
    mkdir -p "$build/corpus-$name"
    echo "== $name for $seconds s"
    if ! "$build/$name" -max_total_time="$seconds" -max_len=65536 -print_final_stats=0 \
        -verbosity=0 -artifact_prefix="$build/$name-" "$build/corpus-$name" \
        "tests/fuzz/corpus/$name" 2>"$build/$name.log"; then
        tail -n 30 "$build/$name.log"
        failed=$((failed + 1))
    fi
done
echo "fuzz: $(ls tests/fuzz/*_fuzz.c | wc -l) targets, $failed failed"
[ "$failed" -eq 0 ]
