#!/usr/bin/python3
"""Holds the house's walls: includes against tests/lint/floors, core objects' symbols against an allow-list, sizes of
files and functions, and libraries that only one room may see.

usage: tests/lint/lint.py BUILD-FOLDER
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY_ROOMS = {  # header: rooms that may include it
    "zmq.h": {"net"}, "czmq.h": {"net"}, "msgpack.h": set(), "msgpack/pack.h": {"proto"},
    "sodium.h": {"trust", "broker/core", "broker/shell", "broker/depot", "broker", "worker", "package", "net", "client",
                 "runner", "tests/sim", "tests/bench"},
    "sqlite3.h": {"broker/store", "broker/logs", "tests/bench"}, "yaml.h": {"common"},
    "archive.h": {"package"}, "jansson.h": {"common", "package", "broker/events", "broker/query", "broker/store",
                                            "worker", "parent", "parent/plan", "parent/report", "client", "monitor",
                                            "admin"},
}
# What a pure core may call outside of the house: memory and text, nothing that asks the world.
CORE_LIBC = re.compile(
    r"^(mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|rchr|nlen|str)|v?snprintf|qsort|bsearch|__assert_fail|"
    r"__stack_chk_fail|__(mem|str|v?sn)[a-z]*_chk|abort|malloc|calloc|free|realloc|ldexp|_GLOBAL_OFFSET_TABLE_|"
    r"crypto_(shorthash|generichash|sign_verify_detached|verify_32)[a-z0-9_]*|sodium_(memcmp|memzero|is_zero)|"
    r"__ctype_b_loc|__isoc99_sscanf|strtol|strtoul|strtoll|strtoull|strtod|__asan.*|__ubsan.*|__tsan.*)$")
FILE_LINES, FUNCTION_LINES = 600, 80  # the house aims at 500 and 60; beyond these it is refused
TEST_FILE_LINES = 800  # of the simulator and the like, below tests/


def rooms():
    table = {}
    for line in open(os.path.join(TOP, "tests/lint/floors")):
        words = line.split("#")[0].split()
        if words:
            table[words[0]] = set(words[1:])
    return table


def room_of(path, table):
    folder = os.path.dirname(path)
    while folder and folder not in table:
        folder = os.path.dirname(folder)
    return folder


def check_includes(path, text, room, table, say):
    for number, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if m:
            target = room_of(m.group(1), table)
            if not target:
                say(f"{path}:{number}: include \"{m.group(1)}\" is not from the top of the tree")
            elif target != room and "*" not in table[room] and target not in table[room]:
                say(f"{path}:{number}: {room}/ may not include {target}/ (tests/lint/floors)")
        m = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
        if m and m.group(1) in LIBRARY_ROOMS and not path.endswith("_test.c"):
            if room not in LIBRARY_ROOMS[m.group(1)] and "*" not in table[room]:
                say(f"{path}:{number}: {room}/ may not include <{m.group(1)}>")
        if m and m.group(1) == "uthash.h" and path != "common/hashtable.h":
            say(f"{path}:{number}: include \"common/hashtable.h\" instead of <uthash.h>")


def check_sizes(path, text, say):
    lines = text.split("\n")
    most = TEST_FILE_LINES if path.startswith("tests/") else FILE_LINES
    if len(lines) - 1 > most and not path.endswith("_test.c"):
        say(f"{path}: {len(lines) - 1} lines; look for the second job in it")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start > FUNCTION_LINES and not path.endswith("_test.c"):
                say(f"{path}:{start}: a function of {number - start} lines")
            start = None


def undefined(objects):
    out = subprocess.run(["nm", "-u", "-A"] + objects, capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        where, symbol = line.split(" U ") if " U " in line else line.split(" w ")
        yield where.split(":")[0], symbol.strip()


def defined(objects):
    out = subprocess.run(["nm", "--defined-only", "-g"] + objects, capture_output=True, text=True, check=True).stdout
    return {line.split()[2] for line in out.splitlines() if len(line.split()) == 3}


def objects_of(build, folder, only=None):
    path = os.path.join(build, "obj", folder)
    if not os.path.isdir(path):
        return []
    names = [n for n in sorted(os.listdir(path)) if n.endswith(".o") and not n.endswith("_test.o")]
    return [os.path.join(path, n) for n in names if only is None or n[:-2] in only]


def check_cores(build, say):
    pure = objects_of(build, "common", {"error", "mem", "buf", "id", "heap", "name", "utf8", "jsontext", "suggest",
                                        "duration"})
    pure += objects_of(build, "proto") + objects_of(build, "trust", {"grants", "call", "batch", "envelope", "names"})
    known = defined(pure) if pure else set()
    for core in ("broker/core", "worker/core", "parent/core"):
        own = objects_of(build, core)
        if not own:
            say(f"{core}: no objects in {build}, so nobody looked at its symbols; make test-programs first")
            continue
        mine = known | defined(own)
        for where, symbol in undefined(own):
            if symbol not in mine and not CORE_LIBC.match(symbol):
                say(f"{os.path.relpath(where, build)}: a core may not use {symbol}()")


def main():
    build, complaints, table = sys.argv[1], [], rooms()
    say = complaints.append
    names = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=TOP, capture_output=True, text=True, check=True)
    for path in names.stdout.split():
        room = room_of(path, table)
        text = open(os.path.join(TOP, path)).read()
        if not room:
            say(f"{path}: is in no room of tests/lint/floors")
            continue
        check_includes(path, text, room, table, say)
        check_sizes(path, text, say)
    check_cores(build, say)
    for line in complaints:
        print(line)
    print(f"lint: {len(complaints)} complaints about the house's walls")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
