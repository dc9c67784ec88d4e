#!/usr/bin/python3
"""Writes the drawing and the tables of docs/states.md from proto/state.h and proto/outcome.h, and
the lists of limits and times in docs/files.md from proto/limits.h, and the budgets in
docs/operations.md from trust/budget.h, and what docs/manifest.md says of package.yaml from
package/manifest_keys.h, between their markers; and docs/schema/manifest.json from the latter.

usage: tools/docs_tables.py [--check]     --check: change nothing, exit 1 if a page is stale
"""
import os
import re
import sys
import textwrap

import manifest_tables

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE, LIMITS_PAGE, BUDGETS_PAGE = "docs/states.md", "docs/files.md", "docs/operations.md"
MANIFEST_PAGE, MANIFEST_SCHEMA = "docs/manifest.md", "docs/schema/manifest.json"


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
    body = re.search(r"enum run_event \{(.*?)\}", text, re.S).group(1)
    return [e for e in re.findall(r"\bRUN_EV_(\w+)", body) if e != "COUNT"]


def words(text, name):
    """The words of a table of outcome.h; formatting may have cut a string in two."""
    return re.findall(r'X\(\w+, "(\w+)"\)', re.sub(r'"\s*"', "", macro(text, name)))


def state_table(rows):
    return "| state | meaning |\n|---|---|\n" + "".join(
        f"| `{word}` | {why} |\n" for _, word, why in rows)


def drawing(rows, ways):
    word = {name: w for name, w, _ in rows}
    arrows = {}
    for source, event, target in ways:
        arrows.setdefault((source, target), []).append(event.lower())
    out = ["```mermaid", "stateDiagram-v2", "    [*] --> waiting: the call is on disk"]
    out += [f"    {word[a]} --> {word[b]}: {', '.join(names)}" for (a, b), names in arrows.items()]
    return "\n".join(out + ["    ended --> [*]", "```"]) + "\n"


def move_table(rows, ways, names):
    """A row for each event, a column for each state that some event moves."""
    word = {name: w for name, w, _ in rows}
    to = {(source, event): word[target] for source, event, target in ways}
    live = [name for name, _, _ in rows if any(source == name for source, _ in to)]
    out = "| in | " + " | ".join(word[n] for n in live) + " |\n|---|" + "---|" * len(live)
    out += "\n"
    for event in names:
        cells = " | ".join(to.get((name, event), "") for name in live)
        out += f"| {event.lower()} | {cells} |\n"
    return out


def layer_table(text):
    rows = (("delivery", "was the job called?", "DELIVERY_STATES"),
            ("job", "how did it end?", "JOB_STATES"),
            ("package", "what became of it?", "PACKAGE_STATES"),
            ("status", "the first that holds", "STATUSES"))
    out = ""
    for layer, what, name in rows:
        values = ", ".join("`%s`" % w for w in words(text, name))
        item = textwrap.wrap(f"- **{layer}** ({what}): {values}", 100, subsequent_indent="  ")
        out += "\n".join(item) + "\n"
    return out


def size(n):
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if n >= unit and n % unit == 0:
            return f"{n // unit} {name}"
    return f"{n:,}"


def duration(ms):
    for unit, name in ((3600000, "h"), (60000, "min"), (1000, "s")):
        if ms >= unit and ms % unit == 0:
            return f"{ms // unit} {name}"
    return f"{ms} ms"


def numbers(text):
    """[(NAME, expression, why)] of limits.h; a number's comment stands behind it or above it."""
    found = re.findall(r"(?:^    /\*((?:[^*]|\*(?!/))*)\*/\n)?"
                       r"^    (\w+) =\s+([^,/]+?),?[ \t]*(?:/\*(.*?)\*/)?$", text, re.S | re.M)
    return [(name, value, " ".join((behind or above).split()))
            for above, name, value, behind in found]


def entry(name, value, why):
    """A line of a list, wrapped as the pages are."""
    return textwrap.fill(f"- `{name}`, {value}: {why}", 100, subsequent_indent="  ",
                         break_long_words=False, break_on_hyphens=False) + "\n"


def limit_list(rows):
    out = ""
    for name, value, why in rows:
        if name.startswith("LIMIT_"):
            n = eval(value, {})  # numbers and shifts of our own header
            out += entry(name, size(n) if "<<" in value else f"{n:,}", why)
    return out


def time_list(rows):
    out = ""
    for name, value, why in rows:
        if name.endswith("_MS"):
            out += entry(name[:-3], duration(eval(value, {})), why)
        elif name.endswith("_PERCENT"):
            out += entry(name[:-8], f"{value} %", why)
    return out


def budget_list(text):
    """An entry for each row of BUDGETS; formatting may have cut a string in two."""
    rows = re.findall(r'X\(\w+, "(\w+)", (\w+), ([^,]+), "(\w+)", "([^"]*)", "([^"]*)"\)',
                      re.sub(r'"\s*"', "", macro(text, "BUDGETS")))
    out = ""
    for word, kind, limit, unit, what, why in rows:
        n = eval(limit, {})
        most = f"{n} %" if kind == "SHARE" else size(n) if unit == "bytes" else f"{n}"
        out += entry(word, most, f"{what}; {why}")
    return out


def fill(page, parts):
    """(old, new) text of a page; a marker that is not there is a complaint."""
    old = new = read(page)
    for name, text in parts.items():
        new, found = re.subn(r"(<!-- begin %s -->\n).*?(<!-- end %s -->)" % (name, name),
                             lambda m: m.group(1) + text + m.group(2), new, flags=re.S)
        if not found:
            print(f"{page}: the marker '{name}' is missing")
            sys.exit(1)
    return old, new


def main():
    table = read("proto/state.h")
    rows, ways, names = states(table), moves(table), events(table)
    limits = numbers(read("proto/limits.h"))
    keys = read("package/manifest_keys.h")
    types = words(read("package/values.h"), "PARAMETER_TYPES")
    pages = {
        PAGE: {"states": state_table(rows), "drawing": drawing(rows, ways),
               "moves": move_table(rows, ways, names),
               "layers": layer_table(read("proto/outcome.h"))},
        LIMITS_PAGE: {"limits": limit_list(limits), "times": time_list(limits)},
        BUDGETS_PAGE: {"budgets": budget_list(read("trust/budget.h"))},
        MANIFEST_PAGE: manifest_tables.parts(keys, types),
    }
    made = {page: fill(page, parts) for page, parts in pages.items()}
    made[MANIFEST_SCHEMA] = (read(MANIFEST_SCHEMA), manifest_tables.schema(keys, types, limits))
    code = 0
    for page, (old, new) in made.items():
        if old == new:
            continue
        if "--check" in sys.argv:
            print(f"{page}: stale; run tools/docs_tables.py")
            code = 1
            continue
        with open(os.path.join(TOP, page), "w") as f:
            f.write(new)
    for event in names:
        if f"| `{event.lower()}` |" not in read(PAGE):
            print(f"{PAGE}: the event '{event.lower()}' is not explained")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
