"""page.py - statements of PROTOCOL.md about sessions, requests and limits, tried on a broker.

usage: page.py HOMES      HOMES: with the homes of admin (its token in fresh.token) and anna
"""
import os
import re
import sys
import time
import uuid

import peer
from peer import Identity, Peer, lb, word
from wire import call_body, code_of, expect, problems

TOO_LARGE, BUSY, UNKNOWN_ADDRESS, STATE, NOT_FOUND, BAD_ARGUMENT = 2, 11, 15, 24, 28, 30
MALFORMED, UNKNOWN_RUN = 1, 16
LOGS, LOG, PUT, PARENT_BEGIN, PARENT_PLAN, PARENT_END = 57, 58, 70, 20, 21, 22
PARENT_DRIVE, DRIVING = 23, 24
RUN_PARKED = 1


def sessions(anna):
    p = Peer(anna)
    m = p.hello(b"")
    expect(m and m[0] == lb.WELCOME and m[10] == anna.certificate,
           f"HELLO without a certificate: WELCOME.yours is not it: {word(m)}")
    m = p.hello()
    expect(m and m[0] == lb.WELCOME and m[10] == b"", f"HELLO with the newest: yours: {word(m)}")
    p.new_session()
    hello = lb.pack(lb.HELLO, 1, 0, "page.py", anna.certificate, peer.ZERO16, peer.ZERO16,
                    peer.ZERO16, 0, 0)
    p.say(hello, lb.pack(lb.QUERY, 7, "whoami", {}, "", 0))
    p.say(lb.pack(lb.QUERY, 8, "whoami", {}, "", 0))
    kinds = [p.hear() for _ in range(3)]
    expect([m and m[0] for m in kinds] == [lb.WELCOME, lb.ROWS, lb.ROWS],
           f"requests behind HELLO: {[word(m) for m in kinds]}")
    p.session.id += 1
    p.session.sent = p.session.received = 0
    p.heard = []
    p.say(hello)
    m = p.hear()
    expect(m and m[0] == lb.WELCOME, f"HELLO of another id on the same connection: {word(m)}")
    m = p.hello()
    p.say(lb.pack(lb.PING, 5), lb.pack(lb.HELLO, 1, 0, "", b"", *[peer.ZERO16] * 3, 0, 0, 0))
    m = p.hear_of((lb.RESET, lb.REFUSED))
    expect(m is not None, "a message with a field too many does not end the session")
    p.close()


def calls(anna):
    p = Peer(anna)
    p.hello()
    m = p.ask(lb.RESOLVE, 1, "no-such-job", "etl")
    expect(m[0] == lb.RESOLVED and m[2] == [], f"RESOLVE of an unknown job: {word(m)}")
    m = p.ask(lb.RESOLVE, 2, "package:say", "nowhere")
    expect(code_of(m) == UNKNOWN_ADDRESS, f"RESOLVE at an unknown address: {word(m)}")
    m = p.ask(lb.CALL, 3, anna.sign(b"call", call_body(anna, address="nowhere")), 1)
    expect(m[0] == lb.ACCEPTED, f"CALL to an unknown address: {word(m)}")
    run, m = m[2], p.hear_of((lb.RUN_STATE,))
    expect(m and m[2] == RUN_PARKED and len(m[6]) > 10, f"it is not said to be parked: {word(m)}")
    m = p.ask(lb.FOLLOW, 4, run, 0)
    expect(m and m[0] == lb.DONE, f"FOLLOW 0: {word(m)}")
    p.say(lb.pack(lb.FOLLOW, 5, run, 1))
    m = p.hear_of((lb.RUN_STATE, lb.ERROR))
    expect(m and m[0] == lb.RUN_STATE, f"FOLLOW: {word(m)}")
    m = p.ask(lb.CANCEL, 6, run, False, "of the test")
    m = m if m[0] == lb.DONE else p.hear_of((lb.DONE,))
    expect(m and m[0] == lb.DONE, f"CANCEL: {word(m)}")
    m = p.ask(lb.CANCEL, 7, run, False, "of the test")
    expect(m and m[0] == lb.DONE, f"CANCEL of what has ended: {word(m)}")
    m = p.ask(lb.FOLLOW, 8, uuid.uuid4().bytes, 1)
    expect(code_of(m) == UNKNOWN_RUN, f"FOLLOW of no run: {word(m)}")
    for what, changes in {"expires": dict(expires=0), "as_of": dict(as_of="yesterday"),
                          "key": dict(key=""), "job": dict(job="A Job")}.items():
        m = p.ask(lb.CALL, 9, anna.sign(b"call", call_body(anna, **changes)), 0)
        expect(code_of(m) == MALFORMED and m[0] == lb.ERROR, f"a call with a bad {what}: {word(m)}")
    for what, changes in {"1001 parameters": dict(parameters={f"p{i}": 1 for i in range(1001)}),
                          "a key of 201 bytes": dict(key="k" * 201)}.items():
        m = p.ask(lb.CALL, 9, anna.sign(b"call", call_body(anna, **changes)), 0)
        expect(code_of(m) == TOO_LARGE and m[0] == lb.ERROR, f"a call with {what}: {word(m)}")
    m = p.ask(lb.CALL, 10, anna.sign(b"call", call_body(anna, semaphores=["x"])), 0)
    expect(code_of(m) == BAD_ARGUMENT, f"a call with a semaphore: {word(m)}")
    p.say(lb.pack(lb.CALL, 11, bytes(327681), 0))
    m = p.hear_of((lb.REFUSED, lb.RESET, lb.ERROR))
    expect(m and m[:3] == [lb.ERROR, 11, TOO_LARGE], f"a call beyond the limit: {word(m)}")
    p.close()


def parents(anna):
    p = Peer(anna)
    p.hello()
    plan = b"parent: x\ntasks: {}\n"
    digest = lb.blake(plan)

    def body(key, digest=digest):
        return lb.pack(106, "test", "anna", key, "x", digest, len(plan), {}, "", 0,
                       int(time.time() * 1000), peer.ZERO16)
    m = p.ask(PARENT_BEGIN, 1, anna.sign(b"parent", body("p1", b"\x09" * 32)), True)
    expect(code_of(m) == NOT_FOUND, f"PARENT_BEGIN before its plan: {word(m)}")
    m = p.ask(PARENT_PLAN, 2, digest, 5, len(plan), plan[5:])
    expect(m[0] == lb.DONE and m[2] == "0", f"a piece at a wrong offset: {word(m)}")
    m = p.ask(PARENT_PLAN, 3, digest, 0, len(plan), plan)
    expect(m[0] == lb.DONE and m[2] == str(len(plan)), f"the whole plan: {word(m)}")
    m = p.ask(PARENT_BEGIN, 4, anna.sign(b"parent", body("p1")), True)
    driving = p.hear_of((DRIVING,))
    expect(m[0] == lb.ACCEPTED and driving and driving[3] == 1, f"{word(m)} {word(driving)}")
    m = p.ask(lb.FOLLOW, 5, driving[2], 1)
    expect(code_of(m) == STATE, f"FOLLOW of a live parent: {word(m)}")
    p.hello()
    m = p.ask(PARENT_DRIVE, 6, driving[2])
    expect(m and m[0] == DRIVING and m[3] == 2, f"PARENT_DRIVE in the next session: {word(m)}")
    m = p.ask(PARENT_END, 7, driving[2], 1, 7, "{}")
    expect(m and m[0] == lb.ERROR, f"PARENT_END with an older epoch: {word(m)}")
    for req in (8, 9):
        m = p.ask(PARENT_END, req, driving[2], 2, 7, "{}")
        expect(m and m[0] == lb.DONE, f"PARENT_END: {word(m)}")
    p.say(lb.pack(lb.FOLLOW, 10, driving[2], 1))
    m = p.hear_of((lb.RUN_ENDED, lb.ERROR))
    expect(m and m[0] == lb.RUN_ENDED, f"FOLLOW of a parent that has ended: {word(m)}")
    p.close()


def asking(anna):
    p = Peer(anna)
    p.hello()
    for what in ("runs", "history", "parents"):
        m = p.ask(lb.QUERY, 1, what, {}, "nonsense", 0)
        expect(code_of(m) == BAD_ARGUMENT, f"{what} from a nonsense cursor: {word(m)}")
        m = p.ask(lb.QUERY, 2, what, {"parent": str(uuid.UUID(int=0))} if what != "parents" else {},
                  "", 0)
        expect(m[0] == lb.ROWS, f"{what}, an all-zero parent and no limit: {word(m)}")
    m = p.ask(lb.QUERY, 3, "run", {"run": str(uuid.UUID(int=0))}, "", 1)
    expect(code_of(m) == BAD_ARGUMENT, f"an all-zero run: {word(m)}")
    m = p.ask(lb.QUERY, 3, "run", {"colour": "red"}, "", 1)
    expect(code_of(m) == BAD_ARGUMENT, f"an unknown filter: {word(m)}")
    p.close()


def events(anna):
    p = Peer(anna)
    p.hello()
    m = p.ask(lb.SUBSCRIBE, 1, 2**62, 0, {}, 1000)
    expect(code_of(m) == BAD_ARGUMENT, f"beyond the newest: {word(m)}")
    newest = int(re.search(r"the newest is (\d+)", m[3])[1])
    m = p.ask(lb.SUBSCRIBE, 2, 0, 0, {"event": "broker"}, 1 << 20)
    expect(m[0] == lb.EVENTS and m[2] == 0 and m[4], f"from the oldest: {word(m)}")
    m = p.ask(lb.SUBSCRIBE, 3, newest, 1, {}, 1000)
    expect(m[2] == newest, f"`since` beside `after` counts: {word(m)}")
    m = p.ask(lb.SUBSCRIBE, 4, 0, 1, {}, 0)
    expect(m is None, f"a credit of 0: {word(m)}")
    for req in (3, 4711):
        m = p.ask(lb.UNSUBSCRIBE, req)
        expect(m and m[:2] == [lb.DONE, req], f"UNSUBSCRIBE {req}: {word(m)}")
    answers = [p.ask(lb.SUBSCRIBE, 100 + i, newest, 0, {"event": "broker"}, 1000)
               for i in range(63)]
    expect([code_of(m) for m in answers] == [0] * 62 + [BUSY], f"{[word(m) for m in answers]}")
    m = p.ask(lb.SUBSCRIBE, 100, newest, 0, {"event": "broker"}, 1000)
    expect(m[0] == lb.EVENTS, f"SUBSCRIBE under the req of an open one: {word(m)}")
    p.close()


def output(anna):
    p = Peer(anna)
    p.hello()
    m = p.ask(lb.CALL, 1, anna.sign(b"call", call_body(anna, parameters={"text": "y" * 700})), 1)
    run = m[2]
    expect(p.hear_of((lb.RUN_ENDED,), 20), "the run does not end")
    p.say(lb.pack(LOGS, 2, run, "", 0, True))
    pieces, end = b"", False
    while not end:
        m = p.hear_of((LOG, lb.ERROR), 10)
        if m is None or m[0] == lb.ERROR:
            expect(False, f"LOGS: {word(m)}")
            break
        pieces += b"".join(lb.unpack(c)[8] for c in m[2])
        end = m[4]
    expect(b"y" * 700 in pieces, f"LOGS: {pieces[:50]!r}")
    m = p.ask(LOGS, 3, run, "", m[3], False)
    expect(m[0] == LOG and not m[2] and m[4], f"LOGS from the end: {word(m)}")
    p.close()


def enrolling(homes):
    """The answer to ENROL is lost: the one-time key is welcome no more, the new key is."""
    with open(os.path.join(homes, "fresh.token")) as f:
        token = peer.token_of(f.read())
    key = peer.nacl.signing.SigningKey.generate()
    certificate = peer.certificate_by_token(token, key)
    p = peer.one_time_peer(token)
    p.hello(b"")
    other = peer.certificate_by_token(token, key, serial=4711)
    expect(p.ask(*peer.enrol(1, other, key))[0] == lb.ERROR, "another serial is enrolled")
    p.say(lb.pack(*peer.enrol(2, certificate, key)))
    time.sleep(0.5)  # its answer is not read
    p.close()
    p = peer.one_time_peer(token)
    expect(not p.connected(1), "a one-time key that has been used is still welcome")
    p.close()
    p = Peer(peer.one_time_peer(token).who.but(seed=bytes(key), certificate=certificate))
    m = p.hello()
    expect(m and m[0] == lb.WELCOME, f"the new key: {word(m)}")
    p.close()


def main(homes):
    anna = Identity(os.path.join(homes, "anna"))
    sessions(anna)
    calls(anna)
    parents(anna)
    asking(anna)
    events(anna)
    output(anna)
    enrolling(homes)


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
