#!/bin/sh
# clang-tidy over the sources of all rooms, or of the rooms and files that are named; prints
# findings only.
# usage: tests/lint/tidy.sh [ROOM|FILE.c...]     B: the build folder, for what is generated
cd "$(dirname "$0")/../.." || exit 1
libraries="libczmq libzmq libsodium sqlite3 yaml-0.1 libarchive libzstd jansson libsystemd
           libseccomp"
# shellcheck disable=SC2086
flags="-I. -I${B:-build} -D_GNU_SOURCE -DLB_VERSION=\"0\" -std=gnu11
       $(pkg-config --cflags $libraries)"
[ $# -gt 0 ] || set -- .
sources=$(git ls-files --error-unmatch -- "$@") || exit 2
# One file a call: with several, clang-tidy 14 takes every va_list but the first file's for
# uninitialized. On stderr it only counts what it does not show; what keeps it from reading a file
# is a finding on stdout.
printf '%s\n' "$sources" | grep '\.c$' | grep -v '_test\.c$' |
    xargs -P "$(nproc)" -n 1 sh -c '
    model="-include tests/lint/analyzer.h"
    grep -qE "^int (error_v?set|yaml_error|yaml_place|wire_decode)\(" "$1" && model=
    # shellcheck disable=SC2086
    clang-tidy --quiet "$1" -- $0 $model 2>/dev/null' "$flags"
