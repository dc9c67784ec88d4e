#!/usr/bin/python3
"""Holds the house's walls: includes and calls against tests/lint/floors, what a core may call,
sizes of files and functions, libraries that only one room may see, names, lines and words.

usage: tests/lint/lint.py BUILD-FOLDER [RULE]      RULE: all complaints of that rule and of no other
"""
import collections
import os
import re
import sys

import names
import tree
import words

# Rules that the tree does not yet keep: their complaints are counted, some are shown, none fails.
PENDING = set()
SHOWN = 10  # complaints of a pending rule; `lint.py BUILD RULE` shows all

LIBRARY_ROOMS = {  # header: rooms that may include it
    "zmq.h": {"net"},
    "czmq.h": {"net"},
    "msgpack.h": set(),
    "msgpack/pack.h": {"proto"},
    "sodium.h": {"trust", "broker/core", "broker/shell", "broker/depot", "broker", "worker",
                 "package", "net", "client", "runner", "tests/sim", "tests/bench"},
    "sqlite3.h": {"broker/store", "broker/logs", "tests/bench"},
    "yaml.h": {"common"},
    "archive.h": {"package"},
    "jansson.h": {"common", "package", "broker/store", "broker/events", "broker/query", "worker",
                  "parent", "parent/plan", "parent/report", "client", "monitor", "admin"},
}
# What a pure core may call outside of the house: memory and text, nothing that asks the world.
CORE_LIBC = re.compile(
    r"^(mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|rchr|nlen|str)|v?snprintf|qsort|bsearch|"
    r"__assert_fail|__stack_chk_fail|__(mem|str|v?sn)[a-z]*_chk|abort|malloc|calloc|free|realloc|"
    r"ldexp|_GLOBAL_OFFSET_TABLE_|"
    r"crypto_(shorthash|generichash|sign_verify_detached|verify_32)[a-z0-9_]*|"
    r"sodium_(memcmp|memzero|is_zero)|__ctype_b_loc|__isoc99_sscanf|strtol|strtoul|strtoll|"
    r"strtoull|strtod|__asan.*|__ubsan.*|__tsan.*)$")
FILE_LINES, FUNCTION_LINES = 600, 80  # the house aims at 500 and 60; beyond these it is refused
TEST_FILE_LINES = 800  # of the simulator and the like, below tests/
HEADER_LINES = 6       # of a static inline function in a header
# Headers that may hold longer functions, each with the reason.
BODIES = {
    "net/keyhash.h": "uthash wants its hash function where its macros are expanded",
}


# Standard output and error are written to by common/termout.c, so that nothing that others chose
# reaches a terminal as it is.
OUTLETS = {
    "common/termout.c": "is the one way out",
    "common/log.c": "a daemon's log, made visible with the same function",
    "common/mem.c": "memory is out: a literal",
    "admin/verb.c": "stdout's own writer, behind termout.c",
}
OUT = re.compile(
    r"(?<![\w.>])(v?f?printf|v?dprintf|f?puts|f?putc|putchar|fwrite|perror|psignal|json_dumpfd?)"
    r"\s*\(|(?<!\w)(write|writev|file_write_all)\s*\(\s*(1|2|STD(OUT|ERR)_FILENO)\b")



def check_out(path, text, room, say):
    if path in OUTLETS or room.startswith("tests") or path.endswith("_test.c") or \
            is_test_support(path):
        return
    code = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    code = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), code, flags=re.S)
    for number, line in enumerate(code.split("\n"), 1):
        m = OUT.search(line)
        if m:
            say(f"{path}:{number}: {m.group(1) or m.group(2)}() writes past common/termout.h")


def check_rows(table, say):
    seen = set()
    for room, below in table.items():
        for other in sorted(below - seen - {"*"}):
            say(f"tests/lint/floors: {room} uses {other}, which is no row above it")
        seen.add(room)


def check_includes(path, text, room, table, say):
    for number, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if m and not m.group(1).startswith("gen/"):
            target = tree.room_of(m.group(1), table)
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


def check_bodies(path, text, say):
    """Functions in a header: short static inline ones, no others."""
    if path in BODIES:
        return
    text = re.sub(r'extern\s+""\s*\{', "", tree.bare(text))
    depth, begin, head = 0, 0, ""
    for at, c in enumerate(text):
        if c == "{":
            if depth == 0:
                head = text[begin:at].strip()
            depth += 1
        elif c in "};" and depth <= 1:
            depth -= c == "}"
            if c == "}" and head.endswith(")") and depth == 0:
                start = at - len(text[begin:at].lstrip())
                number, lines = text.count("\n", 0, start) + 1, text.count("\n", start, at) + 1
                name = re.search(r"(\w+)\s*\(", head).group(1)
                inline = re.search(r"\binline\b", head)
                if not inline or lines > HEADER_LINES:
                    say(f"{path}:{number}: the body of {name} ({lines} lines) belongs in a .c file")
            if depth <= 0:
                depth, begin, head = 0, at + 1, ""
        elif c == "}":
            depth -= 1


def check_calls(build, table, say):
    """A room's objects may need only what rooms below it define."""
    owners = collections.defaultdict(set)
    for room in table:
        for _, symbol in tree.defined([o for o, _ in tree.objects(build, room)]):
            owners[symbol].add(room)
    for room in table:
        sources = dict(tree.objects(build, room, tests=True))
        for where, symbol in tree.undefined(list(sources)):
            others = owners[symbol]
            mine = table[room] | {room}
            if others and "*" not in mine and not others & mine:
                say(f"{sources[where]}: {room}/ may not call {symbol}() of "
                    f"{'/, '.join(sorted(others))}/ (tests/lint/floors)")


PURE_COMMON = {"error", "mem", "buf", "id", "heap", "name", "utf8", "jsontext", "suggest",
               "duration"}
PURE_TRUST = {"budget", "grants", "call", "batch", "envelope", "names", "secretdocread"}


def check_cores(build, say):
    def of(room, only=None):
        return [o for o, source in tree.objects(build, room)
                if only is None or os.path.basename(source)[:-2] in only]
    pure = of("common", PURE_COMMON) + of("proto") + of("trust", PURE_TRUST)
    known = {symbol for _, symbol in tree.defined(pure)}
    for core in ("broker/core", "worker/core", "parent/core"):
        own = [o for o in of(core) if not is_test_support(o)]
        if not own:
            say(f"{core}: no objects in {build}, so nobody looked at its symbols; "
                "make test-programs first")
            continue
        mine = known | {symbol for _, symbol in tree.defined(own)}
        for where, symbol in tree.undefined(own):
            if symbol not in mine and not CORE_LIBC.match(symbol):
                say(f"{os.path.relpath(where, build)}: a core may not use {symbol}()")


def is_test_support(path):
    return re.match(r"test.*|.*testing|.*fixture", re.sub(r"\..*", "", os.path.basename(path)))


def complaints(build):
    """Rule -> what it complains about."""
    found, table = collections.defaultdict(list), tree.rooms()
    for path in tree.files("*.c", "*.h"):
        room, text = tree.room_of(path, table), tree.read(path)
        if not room:
            found["includes"].append(f"{path}: is in no room of tests/lint/floors")
            continue
        check_includes(path, text, room, table, found["includes"].append)
        check_sizes(path, text, found["sizes"].append)
        if path.endswith(".c"):
            check_out(path, text, room, found["out"].append)
        if path.endswith(".h"):
            check_bodies(path, text, found["bodies"].append)
    check_rows(table, found["includes"].append)
    check_calls(build, table, found["calls"].append)
    check_cores(build, found["cores"].append)
    names.check_prefixes(build, table, found["prefixes"].append)
    names.check_tags(found["tags"].append)
    names.check_bounds(found["bounds"].append)
    words.check_widths(found["widths"].append)
    words.check_words(found["words"].append)
    return found


def main():
    found = complaints(sys.argv[1])
    if sys.argv[2:]:
        if sys.argv[2] not in found:
            print(f"lint: no rule '{sys.argv[2]}'; there are: {' '.join(found)}", file=sys.stderr)
            return 2
        found = {sys.argv[2]: found[sys.argv[2]]}
    failed = 0
    for rule, lines in found.items():
        pending = rule in PENDING
        shown = lines if sys.argv[2:] or not pending else lines[:SHOWN]
        for line in shown:
            print(line)
        if len(shown) < len(lines):
            more = len(lines) - len(shown)
            print(f"... and {more} more: tests/lint/lint.py {sys.argv[1]} {rule}")
        failed += 0 if pending else len(lines)
    for rule, lines in found.items():
        print(f"lint: {rule:9} {len(lines):5}{' pending' if rule in PENDING else ''}")
    print(f"lint: {failed} complaints about the house's walls")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
