#!/usr/bin/python3
"""Writes the field tables of proto/PROTOCOL.md from proto/schema.h and proto/messages.h, between
its markers.

usage: tools/protocol_tables.py [--check]     --check: change nothing, exit 1 if they are stale
"""
import glob
import os
import re
import sys
import textwrap

# Limits that a client meets and that stand where they are enforced, not in limits.h.
ELSEWHERE = {"sessions": "PEERS", "silent": "ZAP_SILENT", "silent_ms": "ZAP_SILENT_MS",
             "subscriptions": "FEED_READERS",
             "log_readers": "LOGS_READERS", "query_page": "QUERY_PAGE_BYTES",
             "log_page": "LOGS_PAGE", "uploads": "DEPOT_UPLOADS",
             "upload_idle": "DEPOT_IDLE_MS", "batch": "BATCH_MAX"}
# What a client keeps to, and what becomes of one that does not: names of limits.h or ELSEWHERE.
# A number in braces is given in full, {KIB} in KiB or MiB, {S} in seconds.
KEPT = [
    ("frame, head included", "{LIMIT_FRAME:KIB}", "the connection is cut"),
    ("messages packed into one frame; a longer message travels alone", "{LIMIT_PACK:KIB}", "none"),
    ("sent and not acknowledged", "{LIMIT_WINDOW:KIB} in {LIMIT_WINDOW_FRAMES} frames",
     "the session is over"),
    ("answers that wait for an acknowledgement", "{LIMIT_SESSION_QUEUE:KIB}",
     "the session is dropped without a word"),
    ("answers that wait, of one principal", "{BYTES_OUT:KIB}", "REFUSED `busy`"),
    ("requests that wait, of one principal", "{BYTES_IN:KIB}", "REFUSED `busy`"),
    ("sessions of one principal", "{SESSIONS}", "REFUSED `busy`"),
    ("connections without a session yet, of one principal", "{silent}",
     "the handshake is cut off"),
    ("from connecting, or from the end of a session, to HELLO", "{silent_ms:S}",
     "the connection is cut"),
    ("sessions of all", "{sessions}", "REFUSED `busy`"),
    ("silence", "{LEASE_MS:S}", "the session is over"),
    ("from connecting to the end of the handshake", "{HANDSHAKE_MS:S}", "the connection is cut"),
    ("subscriptions of one principal", "{SUBSCRIPTIONS}", "ERROR `busy`"),
    ("subscriptions of all", "{subscriptions}", "ERROR `busy`"),
    ("LOGS being served, of one principal", "{LOG_READERS}", "ERROR `busy`"),
    ("LOGS being served, of all", "{log_readers}", "ERROR `busy`"),
    ("LOG_DATA sent and not acknowledged", "{LIMIT_LOG_CREDIT:KIB}, and the rest of one piece",
     "REFUSED `malformed`"),
    ("uploads (PUT, PARENT_PLAN) at a time, of one principal", "{UPLOADS}", "ERROR `busy`"),
    ("uploads at a time, of all", "{uploads}", "ERROR `busy`"),
    ("an upload without a byte", "{upload_idle:S}", "it begins again at offset 0"),
    ("rows of a page", "{LIMIT_ROWS} and {query_page:KIB}", "the page ends; go on with `next`"),
    ("events of an EVENTS, LOG_DATA of a LOG", "{LIMIT_EVENTS}, {log_page:KIB} of output",
     "the next message goes on"),
    ("a signed call", "{LIMIT_CALL:KIB}", "REFUSED `too_large`"),
    ("parameters of a call", "{LIMIT_VALUES} and {LIMIT_PARAMETERS:KIB}", "ERROR `too_large`"),
    ("a call's key", "{LIMIT_KEY} bytes", "ERROR `too_large`"),
    ("calls of a batch with one signature", "{batch}",
     "none; a proof has at most {LIMIT_PROOF} hashes"),
    ("a signed certificate", "{LIMIT_CERTIFICATE:KIB}", "ERROR or REFUSED"),
    ("a piece of a package or plan", "{LIMIT_CHUNK:KIB}", "REFUSED `malformed`"),
    ("a plan", "{LIMIT_PLAN:KIB}, {LIMIT_TASKS} tasks", "REFUSED `malformed`"),
]
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def unwrap(text):
    """Continuation lines of macros joined, white space folded."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\\\n", " ", text)).replace("( ", "(")


def rows(text):
    """Every `#define P_NAME(X) X(type, field, most) ...` with the comment above it."""
    joined = unwrap(text)
    form = r"^(?:/\*((?:[^*]|\*(?!/))*)\*/\n)?#define ([MDRSH])_([A-Z_]+)\(X\)(.*)$"
    for m in re.finditer(form, joined, re.M):
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


def budgets():
    """The limits of trust/budget.h by their names."""
    with open(os.path.join(TOP, "trust/budget.h"), encoding="utf-8") as f:
        rows_of = re.findall(r'X\(([A-Z_]+), "\w+", \w+, ([\d <]+),', unwrap(f.read()))
    return {name: eval(limit) for name, limit in rows_of}


def most(text, values):
    text = text.strip()
    if text in ("ANY", "0"):
        return ""
    return str(eval(text, {}, values))


def fill(parts):
    """Lines of at most 100 columns; a line is broken between parts only."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 5 > 100:
            lines[-1] += " ·"
            lines.append(part)
        else:
            lines[-1] += " · " + part
    return lines


def table(family, schema, known, values):
    out = []
    senders = {"C": "client", "W": "worker", "B": "broker", "O": "one-time key"}
    for fam, name, why, fields in rows(schema):
        if fam != family:
            continue
        low, number, sender = known[fam, name]
        title = name if family == "M" else low
        head = f"**{title}** `{number}`" + (f" ({senders[sender]})" if sender else "")
        out += textwrap.wrap(head + (f": {why}" if why else ""), 100, break_long_words=False,
                             break_on_hyphens=False) + [""]
        parts = [f"`{field}` {kind.removeprefix('added_')}"
                 + (f" ≤ {m}" if (m := most(limit, values)) else "")
                 + (" (may be missing)" if kind.startswith("added_") else "")
                 for kind, field, limit in fields]
        out += fill(parts) + [""]
    return "\n".join(out)


def codes(text):
    """[{code, word, remedy, about}] of REFUSALS in messages.h."""
    found = re.findall(r'X\([A-Z_]+, (\d+), ([A-Z_]+), "(\w+)",\s*"([^"]+)"\)', unwrap(text))
    return [{"code": int(n), "word": w, "remedy": r.lower(), "about": t} for n, r, w, t in found]


def refusals(text):
    rows = [f"| {c['code']} | {c['word']} | {c['about']} | {c['remedy'].replace('_', ' ')} |"
            for c in codes(text)]
    head = "| code | word | meaning | what to do |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def kept(values):
    """The table of KEPT, its numbers from the C sources."""
    values = {**values, **budgets()}

    def number(m):
        name, unit = m.group(1), m.group(3)
        v = values[name] if name in values else constant(ELSEWHERE[name])
        if unit == "S":
            return f"{v // 1000} s"
        if unit == "KIB":
            return f"{v >> 20} MiB" if v % (1 << 20) == 0 else f"{v >> 10} KiB"
        return f"{v:,}"
    rows = ["| what | at most | beyond it |", "|---|---|---|"]
    for row in KEPT:
        rows.append("| " + " | ".join(re.sub(r"\{(\w+)(:(\w+))?\}", number, c) for c in row) + " |")
    return "\n".join(rows) + "\n"


def main():
    read = lambda name: open(os.path.join(TOP, "proto", name)).read()
    schema = read("schema.h") + read("schemaspool.h")
    known, values = kinds(schema), limits(read("limits.h"))
    parts = {"messages": table("M", schema, known, values),
             "documents": table("D", schema, known, values),
             "limits": kept(values), "refusals": refusals(read("messages.h"))}
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
