#!/bin/sh
# Builds the programs of the release before this one, as `previous` names it, from this
# repository's own history. Prints the folder with its programs; builds nothing if they are there.
# usage: tests/upgrade/build.sh FOLDER     exit codes: 0 built; 3 the history does not reach it
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=$1
commit=$(sed -n 's/^[0-9][^ ]* //p' "$here/previous")
done=$to/$commit
if [ ! -e "$done" ]; then
    if ! git -C "$here" cat-file -e "$commit^{commit}" 2>/dev/null; then
        echo "upgrade: this clone has no commit $commit (a shallow one?); git fetch --unshallow" >&2
        exit 3
    fi
    rm -rf "$to"
    mkdir -p "$to/src"
    git -C "$here/../.." archive "$commit" | tar -x -C "$to/src"
    env -u MAKEFLAGS -u MAKELEVEL -u WERROR -u SAN \
        make -s -C "$to/src" -j"$(nproc)" CFLAGS=-O0 >"$to/log" 2>&1 || {
        tail -n 20 "$to/log" >&2
        exit 1
    }
    : >"$done"
fi
echo "$to/src/build/bin"
