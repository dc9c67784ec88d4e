"""logsdepot.py - what holders of keys try with the logs and packages of others; each function says
what it saw and ends with 0 or 1.

usage: logsdepot.py CASE HOMES [ARGUMENT...]
HOMES is the folder with a home for each identity: admin, anna and dora (callers), etl1 (a server
that works), evil (a server without a worker).
"""
import hashlib
import json
import os
import subprocess
import sys
import time

from peer import ZERO16, Identity, Peer, lb, word
from wire import WORDS, code_of, expect, problems

INVENTORY, ATTEST, LOG_DATA, LOG_ACK, LOGS, LOG = 32, 30, 41, 42, 57, 58
PUT, PUT_END, GET, CHUNK = 70, 71, 72, 73
PARENT_BEGIN, PARENT_PLAN, PARENT_END, PARENT_DRIVE, DRIVING = 20, 21, 22, 23, 24
SPOOL = b"evil-spool-16byt"
CREDIT = 256 << 10
WORDS |= {"conflict": 13, "no_space": 26, "state": 24}


def of(homes, name):
    return Peer(Identity(os.path.join(homes, name)))


def refused_as(m, name):
    return m is not None and m[0] == lb.ERROR and code_of(m) == WORDS[name]


def server(homes, name="evil"):
    p = of(homes, name)
    m = p.hello(spool=SPOOL)
    expect(m and m[0] == lb.WELCOME, f"no session: {word(m)}")
    p.say(lb.pack(INVENTORY, 0), lb.pack(ATTEST, 0, [], [], [], {}))
    return p


def piece(run, attempt, offset, data, cut=0, step="main"):
    return lb.pack(LOG_DATA, run, attempt, step, 1, 1, offset, int(time.time() * 1000), data, cut)


def acked(p, n, seconds=10):
    """Waits until LOG_ACK counts n bytes."""
    while True:
        m = p.hear_of((LOG_ACK, lb.REFUSED, lb.RESET), seconds)
        expect(m and m[0] == LOG_ACK, f"waiting for LOG_ACK of {n}: {word(m)}")
        if not m or m[0] != LOG_ACK or m[1] >= n:
            return


def stats(homes):
    env = {**os.environ, "LONGBOAT_HOME": os.path.join(homes, "admin")}
    done = subprocess.run(["lbctl", "stats", "--json"], env=env, capture_output=True, text=True)
    return json.loads(done.stdout)


# ---- Logs

def forged(homes, *runs):
    """Output for runs of others: live, waiting and ended, each attempt that there may be. All of it
    is acknowledged, counted, and nowhere."""
    p, before, n = server(homes), stats(homes), 0
    for run in runs:
        for attempt in (0, 1, 2, 1000000):
            p.say(piece(bytes.fromhex(run.replace("-", "")), attempt, 1 << 30, b"forged\n"))
            n += 7
    acked(p, n)
    after = stats(homes)
    expect(after["logs_refused"] - before["logs_refused"] == 4 * len(runs),
           f"refused: {before['logs_refused']}, then {after['logs_refused']}")
    expect(after["logs_bytes"] == before["logs_bytes"], "the forged output takes room")
    p.close()


def empty(homes):
    """Pieces without bytes take no room, whatever run they name."""
    p, before = server(homes), stats(homes)
    for _ in range(20):
        p.say(*(piece(os.urandom(16), 1, k, b"", 0) for k in range(500)))
    m = p.ask(lb.PING, 7)
    expect(m and m[0] == lb.PONG, f"after pieces without bytes: {word(m)}")
    expect(stats(homes)["logs_bytes"] == before["logs_bytes"], "pieces without bytes take room")
    p.close()


def credit(homes):
    """A worker that keeps to its credit goes on; one that does not is refused."""
    p, run = server(homes), os.urandom(16)
    sent = 0
    for _ in range(8):
        for _ in range(CREDIT // (64 << 10)):
            p.say(piece(run, 1, sent, bytes(64 << 10)))
            sent += 64 << 10
        acked(p, sent)
    run = os.urandom(16)  # whose it is takes a while, and nothing is acknowledged before
    p.say(*(piece(run, 1, k << 16, bytes(60 << 10)) for k in range(7)))
    m = p.hear_of((lb.REFUSED, lb.RESET), 10)
    expect(m and m[0] == lb.REFUSED and "LOG_ACK" in str(m), f"beyond the credit: {word(m)}")
    p.close()


def readers(homes, run):
    """One principal's readers reach its budget, and another's are served."""
    run = bytes.fromhex(run.replace("-", ""))
    p = of(homes, "dora")
    p.hello()
    p.say(*(lb.pack(LOGS, n, run, "", 0, True) for n in range(1, 41)))
    refused = [m for m in iter(lambda: p.hear_of((lb.ERROR,), 2), None)]
    expect(len(refused) == 8 and all(refused_as(m, "busy") for m in refused),
           f"of 40 readers, 32 allowed: {len(refused)} refused")
    p.say(*(lb.pack(LOGS, n, run, "", 0, True) for n in range(1, 33)))  # repeated
    m = p.hear_of((lb.ERROR,), 1)
    expect(m is None, f"a repeated LOGS counts twice: {word(m)}")
    q = of(homes, "anna")
    q.hello()
    m = q.ask(LOGS, 1, run, "", 0, False)
    expect(m and (m[0] == LOG or refused_as(m, "state")), f"another's reader: {word(m)}")
    p.close()
    q.close()


# ---- Depot

def digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def upload(p, data, manifest, signature):
    m = p.ask(PUT, 1, digest(data), 0, len(data), data)
    expect(m and m[0] == lb.DONE, f"PUT: {word(m)}")
    return p.ask(PUT_END, 2, digest(data), manifest, signature)


def once(homes):
    """Manifest and signature of a package are written once."""
    data, manifest, signature = os.urandom(1000), b'{"name":"one","version":"1"}', b"signed"
    sessions = {}
    for name in ("anna", "dora", "admin"):
        sessions[name] = of(homes, name)
        sessions[name].hello()
    anna, dora, admin = sessions.values()
    m = upload(anna, data, manifest, signature)
    expect(m and m[0] == lb.DONE, f"PUT_END: {word(m)}")
    for who, what, args, want in (
            (dora, "the same again", (manifest, signature), None),
            (dora, "another's signature", (manifest, b"garbage"), "conflict"),
            (dora, "another's manifest", (b'{"name":"evil"}', signature), "conflict"),
            (anna, "one's own manifest", (b'{"name":"evil"}', signature), "conflict"),
            (anna, "one's own signature", (manifest, b"signed anew"), None),
            (admin, "an administrator", (manifest, b"mended"), None)):
        m = who.ask(PUT_END, 3, digest(data), *args)
        good = refused_as(m, want) if want else m and m[0] == lb.DONE
        expect(good, f"{what}: {word(m)}")
        if want:
            expect("administrator" in str(m), f"{what}: says nothing of what to do: {word(m)}")
    m = anna.ask(GET, 4, digest(data), 0, 1000)
    expect(m and m[0] == CHUNK and m[6] == b"mended", f"the signature at last: {word(m)}")
    for p in sessions.values():
        p.close()


def uploads(homes):
    """One principal has few uploads at a time, evicts nobody's, and spoils nobody's."""
    anna, dora = of(homes, "anna"), of(homes, "dora")
    anna.hello()
    dora.hello()
    data = os.urandom(1000)
    m = anna.ask(PUT, 1, digest(data), 0, 1000, data[:500])
    expect(m and m[0] == lb.DONE and m[2] == "500", f"anna's first piece: {word(m)}")
    m = dora.ask(PUT, 1, digest(data), 500, 1000, bytes(500))
    expect(m and m[0] == lb.DONE and m[2] == "0", f"dora's for the same hash: {word(m)}")
    answers = [dora.ask(PUT, n, os.urandom(32), 0, 1000, b"x") for n in range(2, 30)]
    expect(sum(refused_as(m, "busy") for m in answers) == 25, "dora's uploads beyond four")
    m = anna.ask(PUT, 2, digest(data), 500, 1000, data[500:])
    expect(m and m[0] == lb.DONE and m[2] == "1000", f"anna's second piece: {word(m)}")
    m = dora.ask(PUT, 40, os.urandom(32), 0, 1 << 62, b"x")
    expect(refused_as(m, "busy") or refused_as(m, "no_space"), f"a huge one: {word(m)}")
    anna.close()
    dora.close()


def plans(homes):
    """Hands in two plans and begins a parent with the second. Prints their hashes and the run."""
    anna = of(homes, "anna")
    anna.hello()
    texts = [b"parent: idle\ntasks: {}\n", b"parent: live\ntasks: {}\n"]
    for text in texts:
        m = anna.ask(PARENT_PLAN, 1, digest(text), 0, len(text), text)
        expect(m and m[0] == lb.DONE, f"PARENT_PLAN: {word(m)}")
    body = lb.pack(106, "test", "anna", "p1", "live", digest(texts[1]), len(texts[1]), {}, "", 0,
                   int(time.time() * 1000), ZERO16)
    anna.ask(PARENT_BEGIN, 2, anna.who.sign(b"parent", body), True)
    m = anna.hear_of((DRIVING,))
    print(*(digest(text).hex() for text in texts), m[2].hex())
    anna.close()


def plans_end(homes, run):
    """Ends the parent of `plans`."""
    anna = of(homes, "anna")
    anna.hello()
    end = time.monotonic() + 30
    while True:  # until the session that drove it has ended
        m = anna.ask(PARENT_DRIVE, 1, bytes.fromhex(run))
        if m[0] == DRIVING or time.monotonic() > end:
            break
        time.sleep(0.1)
    m = anna.ask(PARENT_END, 2, bytes.fromhex(run), m[3], 7, "{}")
    expect(m and m[0] == lb.DONE, f"PARENT_END: {word(m)}")
    anna.close()


if __name__ == "__main__":
    cases = {f.__name__: f for f in (forged, empty, credit, readers, once, uploads, plans,
                                     plans_end)}
    cases[sys.argv[1]](*sys.argv[2:])
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
