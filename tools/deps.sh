#!/bin/sh
# Installs what building, testing and the demo need, from the distribution, if anything is missing.
# usage: tools/deps.sh GROUP...   groups: build, test, demo, lint, fuzz, bench
set -eu
build="gcc libc6-dev make pkg-config libczmq-dev libzmq3-dev libmsgpack-dev libsodium-dev libsqlite3-dev libyaml-dev
       libarchive-dev libzstd-dev libjansson-dev libsystemd-dev libseccomp-dev uthash-dev"
test="libcmocka-dev bats sqlite3 jq minisign procps tmux python3 python3-zmq python3-msgpack python3-nacl"
demo="iso-codes jq sqlite3 python3 procps"
lint="clang clang-format clang-tidy cppcheck python3 binutils"
fuzz="clang libclang-rt-14-dev"
bench="python3 sqlite3 procps"

wanted=
for group in "$@"; do
    case $group in
    build | test | demo | lint | fuzz | bench) eval "wanted=\"\$wanted \$$group\"" ;;
    *)
        echo "deps: unknown group '$group' (build, test, demo, lint, fuzz, bench)" >&2
        exit 2
        ;;
    esac
done

missing=
for p in $wanted; do
    case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
    *"ok installed") ;;
    *) missing="$missing $p" ;;
    esac
done
[ -n "$missing" ] || exit 0

echo "deps: installing$missing" >&2
root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "deps: not root and no sudo; as root run: apt-get install$missing" >&2
        exit 3
    }
    root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Some distributions' containers have no package lists yet; a list that is there is refreshed all the same, since an old
# one names files that are gone.
# shellcheck disable=SC2086
if ! { $root apt-get update && $root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "deps: apt-get could not install:$missing" >&2
    exit 3
fi
