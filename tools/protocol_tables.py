#!/usr/bin/python3
"""Writes the field tables of proto/PROTOCOL.md from proto/schema.h and proto/messages.h, between its markers.

usage: tools/protocol_tables.py [--check]     --check: change nothing, exit 1 if the tables are not what they should be
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def unwrap(text):
    """Continuation lines of macros joined, white space folded."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\\\n", " ", text)).replace("( ", "(")


def rows(text):
    """Every `#define P_NAME(X) X(type, field, most) ...` with the comment above it, which says why."""
    joined = unwrap(text)
    for m in re.finditer(r"^(?:/\*((?:[^*]|\*(?!/))*)\*/\n)?#define ([MDRSH])_([A-Z_]+)\(X\)(.*)$", joined, re.M):
        why, family, name, body = m.groups()
        fields = re.findall(r"X\((\w+), (\w+), ([^()]*(?:\([^()]*\))?[^()]*)\)", body)
        yield family, name, " ".join((why or "").split()), fields


def kinds(text):
    found = {}
    joined = unwrap(text)
    for family, macro in (("M", "MESSAGES"), ("D", "DOCUMENTS"), ("R", "RECORDS"), ("S", "SPOOLS")):
        body = re.search(r"#define %s\(M\)(.*)" % macro, joined).group(1)
        for m in re.finditer(r"M\((\w+), (\w+), (\d+)(?:, (\w))?\)", body):
            found[family, m.group(1)] = (m.group(2), int(m.group(3)), m.group(4) or "")
    return found


def limits(text):
    values = {}
    for name, expression in re.findall(r"\b(LIMIT_[A-Z_]+) = ([^,/\n]+)", text):
        values[name] = eval(expression.strip(), {}, values)  # numbers and shifts of our own header
    return values


def most(text, values):
    text = text.strip()
    if text in ("ANY", "0"):
        return ""
    return str(eval(text, {}, values))


def table(family, schema, known, values):
    out = []
    senders = {"C": "client", "W": "worker", "B": "broker", "O": "one-time key"}
    for fam, name, why, fields in rows(schema):
        if fam != family:
            continue
        low, number, sender = known[fam, name]
        title = name if family == "M" else low
        head = f"**{title}** `{number}`" + (f" ({senders[sender]})" if sender else "")
        out.append(head + (f": {why}" if why else ""))
        out.append("")
        out.append(" · ".join(f"`{field}` {kind.removeprefix('added_')}"
                              + (f" ≤ {m}" if (m := most(limit, values)) else "")
                              + (" (may be missing)" if kind.startswith("added_") else "")
                              for kind, field, limit in fields) + "\n")
    return "\n".join(out)


def refusals(text):
    found = re.findall(r'X\(([A-Z_]+), (\d+), "(\w+)",\s*"([^"]+)"\)', unwrap(text))
    return "| code | word | meaning |\n|---|---|---|\n" + "\n".join(f"| {n} | {w} | {t} |" for _, n, w, t in found) + "\n"


def main():
    read = lambda name: open(os.path.join(TOP, "proto", name)).read()
    schema, known, values = read("schema.h"), kinds(read("schema.h")), limits(read("limits.h"))
    parts = {"messages": table("M", schema, known, values), "documents": table("D", schema, known, values),
             "refusals": refusals(read("messages.h"))}
    path = os.path.join(TOP, "proto", "PROTOCOL.md")
    old = new = open(path).read()
    for name, text in parts.items():
        new = re.sub(r"(<!-- begin %s -->\n).*?(<!-- end %s -->)" % (name, name),
                     lambda m: m.group(1) + text + m.group(2), new, flags=re.S)
    if "--check" in sys.argv:
        if old != new:
            print("proto/PROTOCOL.md: its tables are not those of schema.h; run tools/protocol_tables.py")
        return int(old != new)
    open(path, "w").write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
