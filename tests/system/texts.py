"""texts.py - a server and a caller that put hostile text into every field that they can set.

usage: texts.py server HOME JOB   attests JOB and more, takes one call, reports on it, and waits
       texts.py caller HOME JOB ADDRESS   calls JOB; prints the run
       texts.py look                      reads a page on standard input
`look`: exit 1 if the page could act on a terminal or has a line that a hostile text has begun.
"""
import os
import re
import sys
import time
import uuid

from peer import Identity, Peer, ZERO16, ZERO32, lb

# Sequences, a line of its own, direction marks, C1 controls; then as long as a field may be.
HOSTILE = ("\x1b]0;stolen\x07\x1b[31mred\x1b[2J\nFORGED line\r\tFORGED again\x08 "
           "\u202egnp.exe\u202c \u2066x\u2069 \x9b2J \u2028 \ufeff\x7f ")
SPOOL = b"the one of texts"


def text(most, tail=""):
    """As long as it may be, at a character."""
    return (HOSTILE + "y" * 10000).encode()[:most - len(tail)].decode(errors="ignore") + tail


def send(p, *message):
    p.say(lb.pack(*message))


def outcome(name, job, digest):
    step = lb.pack(117, text(64), 1, 0, text(64), 2, text(64), text(255), ZERO32, text(4096),
                   {"rows": text(1000), text(64): text(1000)}, 3, 0, False, False, False, 1, 2, 0,
                   0, 0, 5, 5, 0, text(255), [text(200)] * 3, [text(200)], 0)
    return lb.pack(lb.D_OUTCOME, 0, 2, 2, 6, 0, text(4096), name, job, digest, 1, 1, 2, [step],
                   {"rows": text(1000), text(64): text(1000)}, [text(200)])


def server(home, job):
    who = Identity(home)
    name, digest = who.me["name"], os.urandom(32)
    p = Peer(who)
    welcome = p.hello(spool=SPOOL, slots=2)
    if not welcome or welcome[0] != lb.WELCOME:
        sys.exit(f"no session: {welcome}")
    send(p, 32, 0)
    send(p, 30, 2, [lb.pack(108, job, digest, text(255), 1, False, [], [], b"", 0),
                    lb.pack(108, text(80), digest, text(255), 1, False, [], [], b"", 0)],
         [lb.pack(109, text(64), text(255), ZERO32, text(255), 1, text(4096))],
         [lb.pack(110, text(255), False, text(4096), 1)], {"fact": text(1000), text(64): 1})
    print("ready", flush=True)
    while True:
        m = p.hear(0.5)
        p.raw(p.session.frame())
        if m and m[0] in (0, lb.ERROR, lb.REFUSED, lb.RESET):
            print("refused:", m, flush=True)
        if m and m[0] == 33:  # EXECUTE
            run, attempt = m[1], m[2]
            send(p, 34, run, attempt, text(64), 1)
            send(p, 35, run, attempt, 50, text(4096))
            send(p, 41, run, attempt, "main", 1, 1, 0, 1, text(5000).encode(), 0)
            time.sleep(0.2)
            send(p, 36, run, attempt, outcome(name, job, m[5]))


def caller(home, job, address):
    who = Identity(home)
    p = Peer(who)
    p.hello()
    now = int(time.time() * 1000)
    body = lb.pack(lb.D_CALL, who.me["cluster"], who.me["name"], text(200, uuid.uuid4().hex), job,
                   ZERO32, True, address, {"table": text(5000), text(64): text(5000)}, 0, 0, 0, 0,
                   4, "", now, now + 600000, ZERO16, text(64), 1, 0, [], text(64),
                   text(255))
    m = p.ask(lb.CALL, 1, who.sign(b"call", body), 0)
    if not m or m[0] != lb.ACCEPTED:
        sys.exit(f"not accepted: {m}")
    print(uuid.UUID(bytes=m[2]))


def look():
    page = sys.stdin.buffer.read()
    wrong = [b for b in page if b < 32 and b not in b"\n\t" or b == 127]
    try:
        shown = page.decode()
    except UnicodeDecodeError as e:
        sys.exit(f"not UTF-8: {e}")
    wrong += re.findall("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]", shown)
    wrong += re.findall(r"^\s*FORGED.*", shown, re.M)
    if wrong:
        sys.exit(f"it could deceive: {wrong[:10]}")


if __name__ == "__main__":
    sys.exit({"server": server, "caller": caller, "look": look}[sys.argv[1]](*sys.argv[2:]))
