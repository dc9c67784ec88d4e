#!/usr/bin/python3
"""victim.py - somebody who only wants their work done: asks who they are, asks for one row of
history, and has one `true` job run, in turn, and measures how long each answer takes.

usage: victim.py --home HOME --address A --phases FILE --out FILE
FILE of phases: its last word is the name of the phase that is on; `end` ends the victim.
Out: JSON {"PHASE": {"whoami": {"n", "p50_ms", "p99_ms", "max_ms"}, "history": ..., "job": ...,
"missed": N}}. An answer that does not come within 60 s is missed. Phases quiet/1, quiet/2 and so on
are together also the phase `quiet`, and so for `busy`. The number of answers of the phase that is
on stands, now and then, in the file OUT.n.
Exit: 0; 1 something was missed, or a job did not succeed.
"""
import argparse
import json
import os
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))

from peer import Identity, Peer, ZERO16, lb  # noqa: E402

PATIENCE_S = 60


class Victim:
    def __init__(self, a):
        self.a, self.who, self.peer, self.req = a, Identity(a.home), None, 0
        self.times, self.phase = {}, None

    def connect(self):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.peer = Peer(self.who)
            m = self.peer.hello()
            if m and m[0] == lb.WELCOME:
                answer = self.until(lambda m: m[0] == lb.RESOLVED,
                                    lb.pack(lb.RESOLVE, 0, "package:true", self.a.address))
                if answer and answer[2]:
                    self.hash = lb.unpack(answer[2][0])[1]
                    return
            self.peer.close()
            time.sleep(0.2)
        sys.exit("victim: no session")

    def until(self, good, message):
        """Says the message; the first one that is good, or None: the session ended, or nothing
        came."""
        self.peer.say(message)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            m = self.peer.hear(0.5)
            self.peer.raw(self.peer.session.frame())
            if m and (m[0] in (0, lb.REFUSED, lb.RESET)):
                return None
            if m and good(m):
                return m
        return None

    def call(self):
        now = int(time.time() * 1000)
        body = lb.pack(lb.D_CALL, self.who.me["cluster"], self.who.me["name"], str(uuid.uuid4()),
                       "package:true", self.hash, False, self.a.address, {}, 0, 0, 0, 0, 4, "",
                       now, now + 600000, ZERO16, "", 0, 0, [], "")
        run = []

        def ended(m):
            if m[0] == lb.ACCEPTED and m[1] == self.req:
                run.append(m[2])
            return m[0] == lb.RUN_ENDED and run and m[1] == run[0]
        m = self.until(ended, lb.pack(lb.CALL, self.req, self.who.sign(b"call", body), 1))
        return m and lb.unpack(m[4])[4] == 7  # succeeded

    def question(self, what):
        m = self.until(lambda m: len(m) > 1 and m[1] == self.req,
                       lb.pack(50, self.req, what, {}, "", 1))
        return m and m[0] == 51

    def once(self, what):
        self.req += 1
        begun = time.monotonic()
        good = self.call() if what == "job" else self.question(what)
        took = time.monotonic() - begun
        phase = self.times.setdefault(self.phase, {"whoami": [], "history": [], "job": [],
                                                   "missed": 0})
        if good:
            phase[what].append(took)
        else:
            phase["missed"] += 1
            self.peer.close()
            self.connect()

    def run(self):
        self.connect()
        while True:
            with open(self.a.phases) as f:
                self.phase = (f.read().split() or [self.phase])[-1]  # empty while it is rewritten
            if self.phase == "end":
                return
            for what in ("whoami", "history", "job"):
                self.once(what)
            self.count()
            time.sleep(0.002)

    def count(self):
        n = len(self.times[self.phase]["job"])
        if n % 20 == 0:
            with open(self.a.out + ".new", "w") as f:
                print(self.phase, n, file=f)
            os.replace(self.a.out + ".new", self.a.out + ".n")

    def pool(self, name):
        """All phases NAME/1, NAME/2, ... as one, beside themselves."""
        parts = [t for phase, t in self.times.items() if phase.startswith(name + "/")]
        if parts:
            self.times[name] = {"missed": 0} | {
                what: [v for t in parts for v in t[what]] for what in ("whoami", "history", "job")}

    def report(self):
        said = {}
        self.pool("quiet")
        self.pool("busy")
        for phase, times in self.times.items():
            said[phase] = {"missed": times.pop("missed")}
            for what, values in times.items():
                values.sort()
                said[phase][what] = {"n": len(values)} | {
                    name: round(values[min(len(values) - 1, int(len(values) * q))] * 1000, 2)
                    for name, q in (("p50_ms", .5), ("p99_ms", .99), ("max_ms", 1)) if values}
        return said


def main():
    parser = argparse.ArgumentParser()
    for name in ("home", "address", "phases", "out"):
        parser.add_argument("--" + name, required=True)
    a = parser.parse_args()
    victim = Victim(a)
    victim.run()
    said = victim.report()
    with open(a.out, "w") as f:
        json.dump(said, f)
    return 1 if any(p["missed"] for p in said.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
