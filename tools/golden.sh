#!/bin/sh
# Writes what today's code writes into tests/golden/VERSION, which must not exist: done once for
# each release, before its tag; the next versions must read it (broker/store/golden_test.c).
# usage: tools/golden.sh VERSION [BUILD-FOLDER]      e.g. tools/golden.sh v1
set -eu
cd "$(dirname "$0")/.."
version=${1:?usage: tools/golden.sh VERSION [BUILD-FOLDER]}
build=${2:-build}
case $version in
v[0-9]*) ;;
*)
    echo "golden: a version is called v1, v2, ..." >&2
    exit 2
    ;;
esac
make --no-print-directory B="$build" "$build/test/broker/store/golden_test"
mkdir "tests/golden/$version"
"$build/test/broker/store/golden_test" --write "tests/golden/$version"
ls -l "tests/golden/$version"
