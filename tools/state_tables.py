#!/usr/bin/python3
"""Writes the drawing and the tables of docs/states.md from proto/state.h and proto/outcome.h, between its markers.

usage: tools/state_tables.py [--check]     --check: change nothing, exit 1 if the page is not what it should be
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = "docs/states.md"


def read(name):
    with open(os.path.join(TOP, name)) as f:
        return f.read()


def macro(text, name):
    """The body of `#define NAME(X) ...` with its continuation lines, on one line."""
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return re.search(r"^#define %s\(X\)(.*)$" % name, joined, re.M).group(1)


def states(text):
    """[(NAME, word, meaning)]"""
    return re.findall(r'X\((\w+), "(\w+)"\)\s*/\*\s*(.*?)\s*\*/', macro(text, "RUN_STATES"))


def moves(text):
    """[(FROM, EVENT, TO)]"""
    return re.findall(r"X\((\w+), (\w+), (\w+)\)", macro(text, "RUN_MOVES"))


def events(text):
    return [e for e in re.findall(r"\bRUN_EV_(\w+)", re.search(r"enum run_event \{(.*?)\}", text, re.S).group(1))
            if e != "COUNT"]


def words(text, name):
    """The words of a table of outcome.h; formatting may have cut a string in two."""
    return re.findall(r'X\(\w+, "(\w+)"\)', re.sub(r'"\s*"', "", macro(text, name)))


def state_table(rows):
    return "| state | meaning |\n|---|---|\n" + "".join(f"| `{word}` | {why} |\n" for _, word, why in rows)


def drawing(rows, ways):
    word = {name: w for name, w, _ in rows}
    arrows = {}
    for source, event, target in ways:
        arrows.setdefault((source, target), []).append(event.lower())
    out = ["```mermaid", "stateDiagram-v2", "    [*] --> waiting: the call is on disk"]
    out += [f"    {word[a]} --> {word[b]}: {', '.join(names)}" for (a, b), names in arrows.items()]
    return "\n".join(out + ["    ended --> [*]", "```"]) + "\n"


def move_table(rows, ways, names):
    """A row for each state, a column for each event that some state knows."""
    word = {name: w for name, w, _ in rows}
    to = {(source, event): word[target] for source, event, target in ways}
    out = "| in | " + " | ".join(n.lower() for n in names) + " |\n|---|" + "---|" * len(names) + "\n"
    for name, w, _ in rows:
        out += f"| **{w}** | " + " | ".join(to.get((name, e), "") for e in names) + " |\n"
    return out


def layer_table(text):
    rows = (("delivery: was the job called?", "DELIVERY_STATES"), ("job: how did it end?", "JOB_STATES"),
            ("package: what became of it?", "PACKAGE_STATES"), ("status: the first that holds", "STATUSES"))
    return "| layer | values |\n|---|---|\n" + "".join(
        f"| {what} | {', '.join('`%s`' % w for w in words(text, name))} |\n" for what, name in rows)


def main():
    table = read("proto/state.h")
    rows, ways, names = states(table), moves(table), events(table)
    parts = {"states": state_table(rows), "drawing": drawing(rows, ways), "moves": move_table(rows, ways, names),
             "layers": layer_table(read("proto/outcome.h"))}
    old = new = read(PAGE)
    for name, text in parts.items():
        new = re.sub(r"(<!-- begin %s -->\n).*?(<!-- end %s -->)" % (name, name),
                     lambda m: m.group(1) + text + m.group(2), new, flags=re.S)
    missing = [e for e in names if f"| `{e.lower()}` |" not in new]
    missing += [name for name in parts if f"<!-- begin {name} -->" not in new]
    for name in missing:
        print(f"{PAGE}: '{name.lower()}' is missing")
    if "--check" in sys.argv:
        if old != new:
            print(f"{PAGE}: it does not say what proto/state.h and proto/outcome.h say; run tools/state_tables.py")
        return int(old != new or bool(missing))
    with open(os.path.join(TOP, PAGE), "w") as f:
        f.write(new)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
