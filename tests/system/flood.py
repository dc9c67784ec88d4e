"""flood.py - a caller without manners: it sends calls of 200 bytes of parameters as fast as its
window lets it, each under a new key, and never waits when it is told `busy`. Then it waits until
every call that was accepted has ended.

usage: flood.py [--seconds S] [--count N] [--outstanding N] JOB ADDRESS
--count: so many calls instead of some seconds; --outstanding: at most so many calls without their
end (or refusal).
Prints JSON: offered, accepted, busy, other (answers that are neither), ended and succeeded of the
accepted, ended_in_flood, retry_ms (the least that a busy answer asked for), refusal_p50_ms,
refusal_p99_ms, seconds.
Exit: 0 all accepted calls have ended; 1 not within 60 s after the last call; 3 no session.
"""
import argparse
import json
import os
import sys
import time
import uuid

from peer import Identity, Peer, ZERO16, lb

PACK = 20  # calls in a frame


class Flood:
    def __init__(self, job, address):
        self.who = Identity(os.environ["LONGBOAT_HOME"])
        self.job, self.address = job, address
        self.peer = Peer(self.who)
        welcome = self.peer.hello()
        if not welcome or welcome[0] != lb.WELCOME:
            sys.exit(3)
        answer = self.peer.ask(lb.RESOLVE, 1, job, address)
        self.hash = lb.unpack(answer[2][0])[1]
        self.req, self.sent_at, self.took = 1, {}, []
        self.accepted, self.ended, self.succeeded = set(), set(), 0
        self.offered = self.busy = self.other = 0
        self.retry_ms = None

    def call(self):
        now = int(time.time() * 1000)
        self.req += 1
        self.offered += 1
        body = lb.pack(lb.D_CALL, self.who.me["cluster"], self.who.me["name"], str(uuid.uuid4()),
                       self.job, self.hash, False, self.address, {"text": "x" * 200}, 0, 0, 0, 0, 4,
                       "2026-01-01T00:00:00.000Z", now, now + 86400000, ZERO16, "", 0, 0, [], "")
        self.sent_at[self.req] = time.monotonic()
        return lb.pack(lb.CALL, self.req, self.who.sign(b"call", body), 1)

    def send(self, outstanding, count):
        session = self.peer.session
        while session.may_send():
            room = outstanding - len(self.sent_at) - len(self.accepted) + len(self.ended)
            n = min(PACK, count - self.offered)
            if n <= 0 or room < n:
                break
            self.peer.socket.send(session.frame(b"".join(self.call() for _ in range(n))))

    def take(self, m):
        if m[0] == lb.ACCEPTED:
            del self.sent_at[m[1]]
            self.accepted.add(m[2])
        elif m[0] == lb.RUN_ENDED:
            self.ended.add(m[1])
            self.succeeded += lb.outcome(m[4])["status"] == "succeeded"
        elif m[0] == lb.ERROR and m[2] == lb.BUSY:
            self.took.append(time.monotonic() - self.sent_at.pop(m[1]))
            self.busy += 1
            self.retry_ms = m[4] if self.retry_ms is None else min(self.retry_ms, m[4])
        elif m[0] in (lb.RESET, lb.REFUSED):
            sys.exit(f"flood.py: the session ended: {m}")
        elif m[0] == lb.ERROR:
            self.sent_at.pop(m[1])
            self.other += 1

    def hear(self, ms):
        session = self.peer.session
        if not self.peer.socket.poll(ms):
            if time.monotonic() - session.spoken > 1:
                self.peer.socket.send(session.frame(lb.pack(lb.PING, 0)))
            return
        for _ in range(64):
            if not self.peer.socket.poll(0):
                break
            messages = session.take(self.peer.socket.recv())
            if messages is None:
                sys.exit("flood.py: a frame was lost")
            for m in messages:
                self.take(m)
            if messages and session.received % 16 == 0:
                self.peer.socket.send(session.frame())

    def report(self, began, in_flood):
        self.took.sort()
        ms = [round(self.took[int(len(self.took) * q)] * 1000, 1) if self.took else None
              for q in (0.5, 0.99)]
        print(json.dumps({"offered": self.offered, "accepted": len(self.accepted),
                          "busy": self.busy, "other": self.other, "ended": len(self.ended),
                          "succeeded": self.succeeded, "ended_in_flood": in_flood,
                          "retry_ms": self.retry_ms, "refusal_p50_ms": ms[0],
                          "refusal_p99_ms": ms[1], "seconds": round(time.monotonic() - began, 1)}))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=float, default=1e9)
    p.add_argument("--count", type=int, default=1 << 60)
    p.add_argument("--outstanding", type=int, default=1 << 60)
    p.add_argument("job")
    p.add_argument("address")
    a = p.parse_args()
    f = Flood(a.job, a.address)
    began = time.monotonic()
    while time.monotonic() < began + a.seconds and f.offered < a.count:
        f.send(a.outstanding, a.count)
        f.hear(20)
    in_flood, end = len(f.ended), time.monotonic() + 60
    while (f.sent_at or f.accepted - f.ended) and time.monotonic() < end:
        f.hear(200)
    f.report(began, in_flood)
    sys.exit(1 if f.sent_at or f.accepted - f.ended else 0)


main()
