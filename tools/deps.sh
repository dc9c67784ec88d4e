#!/bin/sh
# Installs packages of the distribution for building, testing and the rest, if any is missing.
# usage: tools/deps.sh [--list] GROUP...
#   groups: build, test, demo, walls, clang, lint, fuzz, bench, vm, and runtime: what a machine
#   needs that only runs Longboat's programs
#   --list   prints the packages instead and installs nothing
# A package that has another name elsewhere is written as a|b: the first that the distribution has.
set -eu
build="gcc libc6-dev make pkg-config libczmq-dev libzmq3-dev libmsgpack-dev libsodium-dev
       libsqlite3-dev libyaml-dev libarchive-dev libzstd-dev libjansson-dev libsystemd-dev
       libseccomp-dev uthash-dev"
test="libcmocka-dev bats sqlite3 jq minisign procps tmux binutils
      python3 python3-zmq python3-msgpack python3-nacl
      python3-jsonschema python3-yaml"
demo="iso-codes jq sqlite3 python3 procps"
walls="python3 git binutils"
clang="clang"
lint="clang clang-format clang-tidy cppcheck"
fuzz="clang libclang-rt-14-dev|libclang-rt-dev"
bench="python3 sqlite3 procps"
vm="qemu-system-x86 busybox-static cpio"
# python3 for packages of the subsystem python; every server is expected to run them.
runtime="libczmq4 libzmq5 libsodium23 libsqlite3-0 libyaml-0-2 libarchive13|libarchive13t64
         libzstd1 libjansson4 libsystemd0 libseccomp2 python3"

list=
if [ "${1:-}" = --list ]; then
    list=1
    shift
fi
wanted=
for group in "$@"; do
    case $group in
    build | test | demo | walls | clang | lint | fuzz | bench | vm | runtime)
        eval "wanted=\"\$wanted \$$group\"" ;;
    *)
        echo "deps: unknown group '$group' (build, test, demo, walls, clang, lint, fuzz," \
            "bench, vm, runtime)" >&2
        exit 2
        ;;
    esac
done

installed() {
    case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in
    *"ok installed") return 0 ;;
    esac
    return 1
}

# The first of a|b that is installed, else the first that the package lists know, else the first.
choose() {
    for choice in $(echo "$1" | tr '|' ' '); do
        ! installed "$choice" || { echo "$choice" && return; }
    done
    for choice in $(echo "$1" | tr '|' ' '); do
        ! apt-cache show "$choice" >/dev/null 2>&1 || { echo "$choice" && return; }
    done
    echo "${1%%|*}"
}

missing=
for p in $wanted; do
    case $p in *"|"*) p=$(choose "$p") ;; esac
    if [ "$list" ]; then
        echo "$p"
    elif ! installed "$p"; then
        missing="$missing $p"
    fi
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
# Some distributions' containers have no package lists yet; a list that is there is refreshed all
# the same, since an old one names files that are gone.
# shellcheck disable=SC2086
if ! { $root apt-get update && $root apt-get install -y --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    cat "$log" >&2
    echo "deps: apt-get could not install:$missing" >&2
    exit 3
fi
