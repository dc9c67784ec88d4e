#!/bin/sh
# clang-tidy over all sources; prints findings only.
cd "$(dirname "$0")/../.." || exit 1
flags="-I. -D_GNU_SOURCE -DLB_VERSION=\"0\" -std=gnu11 $(pkg-config --cflags libczmq libzmq libsodium sqlite3 yaml-0.1 libarchive libzstd jansson libsystemd libseccomp)"
# shellcheck disable=SC2086
git ls-files '*.c' | grep -v '_test\.c$' | xargs -P "$(nproc)" -n 8 sh -c 'flags=$0; clang-tidy --quiet "$@" -- $flags 2>/dev/null' "$flags"
