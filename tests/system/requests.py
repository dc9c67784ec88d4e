"""requests.py - what PROTOCOL.md says of QUERY, OPERATE and SUBSCRIBE, asked of a broker: each name
there is one that it knows, and it knows no other.

usage: requests.py HOME      HOME: an administrator's
"""
import json
import os
import re
import sys

import peer
from peer import Identity, Peer, lb, word
from wire import WORDS, code_of, expect, problems

BAD_ARGUMENT = 30
ID = "0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10"
VALUES = {"run": ID, "parent": ID, "since": 5, "until": 5, "status": "failed", "state": "running",
          "decision": "denied"}


def section():
    with open(os.path.join(peer.top, "proto/PROTOCOL.md"), encoding="utf-8") as f:
        section = f.read().split("\n## 5. Requests")[1].split("\n## 6.")[0]
    return section.replace(".\nEach", ". Each")


def queries(text):
    """[(names of `what`, filters, fields)] of the list of QUERY."""
    for item in re.findall(r"^- (`.*(?:\n  .*)*)", text, re.M):
        parts = dict(re.findall(r"^  - (\w+): (.*(?:\n    .*)*)", item, re.M))
        if "fields" in parts:
            filters, fields = (" ".join(parts.get(p, "").split()) for p in ("filters", "fields"))
            yield item.split(":")[0], filters, fields


def table(text, head):
    """The rows of the table whose first column is called so."""
    rows = text.split(f"| `{head}` |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]


def named_by(m):
    """What the broker's own refusal names: the words between the brackets."""
    return set(re.findall(r"[a-z_]+", m[3].split("(")[-1])) if code_of(m) else set()


def main(home):
    text = section()
    p = Peer(Identity(home))
    expect(p.hello()[0] == lb.WELCOME, "no session")
    for names, filters, fields in queries(text):
        for what in re.findall(r"`(\w+)`", names):
            for key in re.findall(r"\b[a-z]+\b", re.sub(r"\(.*?\)|:.*", "", filters)) + [None]:
                value = "last" if what == "find" else VALUES.get(key, "x")
                if what == "audit" and key == "number":
                    value = "1"
                where = {} if key is None else {key: value}
                m = p.ask(lb.QUERY, 1, what, where, "", 500)
                needed = what in ("run", "find", "evidence") and key is None
                expect(code_of(m) != BAD_ARGUMENT or needed, f"{what} by {key}: {word(m)}")
                known = set(re.findall(r"\w+", fields)) | {"v"}
                for row in m[2] if m and m[0] == lb.ROWS else []:
                    unknown = set(json.loads(row)) - known
                    expect(not unknown or what in ("run", "stats", "store"),
                           f"{what} has {unknown}, of which nothing is said")
    verbs = {v for row in table(text, "verb") for v in re.findall(r"`(\w+)`", row[0])}
    refusal = p.ask(52, 1, "nonsense", "x", {}, "")
    expect(code_of(refusal) == BAD_ARGUMENT and named_by(refusal) == verbs,
           f"verbs {verbs}: {word(refusal)}")
    events = re.findall(r"\w+", text.split("`event` is one of: ")[1].split(". Each event")[0])
    for req, event in enumerate(events + ["nonsense"], 10):
        m = p.ask(lb.SUBSCRIBE, req, 1, 0, {"event": event}, 1000)
        expect((code_of(m) == BAD_ARGUMENT) == (event == "nonsense"),
               f"events '{event}': {word(m)}")
        p.say(lb.pack(lb.UNSUBSCRIBE, req))
    seen = set()
    m = p.ask(lb.SUBSCRIBE, 2, 0, 1, {}, 1 << 20)
    for event in m[4]:
        seen.add(json.loads(event)["event"])
    expect(seen and seen <= set(events), f"events {seen - set(events)} are not named")
    with open(os.path.join(peer.top, "proto/PROTOCOL.md"), encoding="utf-8") as f:
        codes = {w: int(n) for n, w in re.findall(r"^\| (\d+) \| (\w+) \|", f.read(), re.M)}
    expect(WORDS.items() <= codes.items(), f"codes: {WORDS}, {codes}")
    p.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
