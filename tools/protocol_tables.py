#!/usr/bin/python3
"""Writes the field tables of proto/PROTOCOL.md from proto/schema.h and proto/messages.h, between
its markers.

usage: tools/protocol_tables.py [--check]     --check: change nothing, exit 1 if they are stale
"""
import glob
import os
import re
import sys

# Limits that a client meets and that stand where they are enforced, not in limits.h.
ELSEWHERE = {"sessions": "PEERS", "sessions_of_a_key": "PEERS_OF_A_KEY",
             "subscriptions": "FEED_READERS", "subscriptions_of_a_session": "FEED_PER_PEER",
             "log_readers": "LOGS_READERS", "query_page": "QUERY_PAGE_BYTES",
             "log_page": "LOGS_PAGE", "uploads": "UPLOADS", "batch": "BATCH_MAX"}
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def unwrap(text):
    """Continuation lines of macros joined, white space folded."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\\\n", " ", text)).replace("( ", "(")


def rows(text):
    """Every `#define P_NAME(X) /* why */ X(type, field, most) ...` with its continuation lines."""
    joined = unwrap(text)
    for m in re.finditer(r"^#define ([MDRSH])_([A-Z_]+)\(X\)(.*)$", joined, re.M):
        why = re.search(r"/\*(.*?)\*/", m.group(3))
        body = re.sub(r"/\*.*?\*/", "", m.group(3))
        fields = re.findall(r"X\((\w+), (\w+), ([^()]*(?:\([^()]*\))?[^()]*)\)", body)
        yield m.group(1), m.group(2), " ".join(why.group(1).split()) if why else "", fields


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
    plain = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for name, expression in re.findall(r"\b((?:LIMIT_)?[A-Z_]+) =\s*([^,}]+)", plain):
        values[name] = eval(expression.strip(), {}, values)  # numbers and shifts of our own header
    return values


def constant(name):
    """The value of an enumerator of net/, trust/ or broker/, whether or not its name ends with what
    bounds are called."""
    for path in sorted(glob.glob(os.path.join(TOP, "net", "*.[ch]"))
                       + glob.glob(os.path.join(TOP, "trust", "*.h"))
                       + glob.glob(os.path.join(TOP, "broker", "**", "*.[ch]"), recursive=True)):
        with open(path, encoding="utf-8") as f:
            m = re.search(r"\b%s(?:_MOST|_MAX)?\s*=\s*([\d <*+]+)[,\s/}]" % name, f.read())
        if m:
            return eval(m.group(1))
    raise SystemExit(
        f"tools/protocol_tables.py: nothing below net/, trust/ or broker/ is called {name}")


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
        out.append(" · ".join(f"`{field}` {kind}"
                              + (f" ≤ {m}" if (m := most(limit, values)) else "")
                              for kind, field, limit in fields) + "\n")
    return "\n".join(out)


def codes(text):
    """[{code, word, about}] of REFUSALS in messages.h."""
    found = re.findall(r'X\(([A-Z_]+), (\d+), "(\w+)",\s*"([^"]+)"\)', unwrap(text))
    return [{"code": int(n), "word": w, "about": t} for _, n, w, t in found]


def refusals(text):
    rows = [f"| {c['code']} | {c['word']} | {c['about']} |" for c in codes(text)]
    return "| code | word | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def main():
    read = lambda name: open(os.path.join(TOP, "proto", name)).read()
    schema, known, values = read("schema.h"), kinds(read("schema.h")), limits(read("limits.h"))
    parts = {"messages": table("M", schema, known, values),
             "documents": table("D", schema, known, values),
             "refusals": refusals(read("messages.h"))}
    path = os.path.join(TOP, "proto", "PROTOCOL.md")
    old = new = open(path).read()
    for name, text in parts.items():
        new = re.sub(r"(<!-- begin %s -->\n).*?(<!-- end %s -->)" % (name, name),
                     lambda m: m.group(1) + text + m.group(2), new, flags=re.S)
    if "--check" in sys.argv:
        if old != new:
            print("proto/PROTOCOL.md: stale tables; run tools/protocol_tables.py")
        return int(old != new)
    open(path, "w").write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
