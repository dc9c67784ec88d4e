"""caller.py - one of the soak's callers: calls by chance, a few at a time, and every word that it
hears of them in a file.

usage: caller.py call --name NAME --seed N --seconds S --patience S --window N
                      --witness FILE --told FILE
       caller.py again --patience S --told FILE TOLD...
again: another session asks for the end of every run that those files call accepted, and writes down
what it is told.
Lines: asks (key, on_lost) before a call, accepted (key, run), ended (run, status, ...) each time it
is said, failed.
patience: after the last call, so many seconds may pass in which nothing is heard of any run, and
four times as many in all. So long, after that call, the broker may take to accept one, too.
Exit: 0; 1 not everything that was accepted was heard of by then.
"""
import argparse
import os
import random
import sys
import time
import uuid

from told import Told, work

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../client/python"))

import longboat as lb  # noqa: E402

ALL_PATIENCES = 4


class Listener(lb.Client):
    """A client that writes down each answer as it comes in, also those that come twice."""

    def __init__(self, told, **more):
        self.told, self.asking, self.key_of, self.news = told, None, {}, 0
        super().__init__(**more)

    def _ask(self, make, timeout=None):
        def noted(req):
            self.key_of[req] = self.asking
            return make(req)
        return super()._ask(noted, timeout)

    def _message(self, m):
        super()._message(m)
        if m[0] in (lb.ACCEPTED, lb.RUN_STATE, lb.RUN_ENDED):
            self.news = time.monotonic()
        if m[0] == lb.ACCEPTED:
            self.told.say("accepted", key=self.key_of.get(m[1]), run=uuid.UUID(bytes=m[2]))
        elif m[0] == lb.RUN_ENDED:
            o = lb.outcome(m[4])
            self.told.say("ended", run=uuid.UUID(bytes=m[1]), attempt=m[2], status=o["status"],
                          delivery=o["delivery"], job=o["job"], package=o["package"])

    def wait_from_now(self, patience):
        self.patience, self.news = patience, time.monotonic()
        self.last = self.news + ALL_PATIENCES * patience

    def left(self):
        """Seconds until patience is at its end."""
        return min(self.last, self.news + self.patience) - time.monotonic()

    def turn(self):
        try:
            self._turn(0.2)
        except lb.LongboatError as e:  # a session refused: the client waits and tries again
            self.told.say("failed", code=e.code)

    def open_runs(self):
        return sum(1 for known in self.runs.values() if known["outcome"] is None)


def call(a):
    rng, told = random.Random(a.seed), Told(a.told)
    end, count = time.monotonic() + a.seconds, 0
    with Listener(told) as client:
        while time.monotonic() < end:
            if client.open_runs() >= a.window:
                client.turn()
                continue
            client.asking = f"{a.name}-{count}"
            count += 1
            on_lost, address = rng.choice(lb.ON_LOST), rng.choice(("etl", "etl", "s1", "s2", "s3"))
            parameters = dict(work(rng), key=client.asking, witness=a.witness)
            told.say("asks", key=client.asking, on_lost=on_lost)
            client.timeout = end - time.monotonic() + a.patience
            try:
                client.call("package:child", address, parameters, key=client.asking,
                            on_lost=on_lost, priority=rng.randint(0, 9))
            except lb.LongboatError as e:
                told.say("failed", key=client.asking, code=e.code)
        client.wait_from_now(a.patience)
        while client.open_runs() and client.left() > 0:
            client.turn()
        return 1 if client.open_runs() else 0


def again(a):
    runs = set()
    for path in a.files:
        with open(path) as f:
            runs |= {w[4:] for line in f if line.startswith("accepted ") for w in line.split()
                     if w.startswith("run=")}
    told = Told(a.told)
    with Listener(told) as client:
        # a session that opens follows each
        client.runs = {uuid.UUID(run).bytes: {"outcome": None} for run in runs}
        client.wait_from_now(a.patience)
        for run in list(client.runs):
            try:  # what others have called is learned from the broker
                client.wait(run, max(1, client.left()))
            except lb.LongboatError as e:
                told.say("failed", code=e.code)
        return 1 if client.open_runs() else 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=("call", "again"))
    p.add_argument("--name")
    p.add_argument("--seed")
    p.add_argument("--seconds", type=float)
    p.add_argument("--patience", type=float)
    p.add_argument("--window", type=int)
    p.add_argument("--witness")
    p.add_argument("--told")
    p.add_argument("files", nargs="*")
    a = p.parse_intermixed_args()
    sys.exit(call(a) if a.what == "call" else again(a))


main()
