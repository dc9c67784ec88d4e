"""many.py - many calls of one job through one connection.

usage: many.py start COUNT JOB ADDRESS [NAME=VALUE...]
       many.py cancel COUNT SEED JOB ADDRESS [NAME=VALUE...]
start: prints the runs, one a line; n=0, 1, ... is added to the parameters.
cancel: COUNT calls, at most 8 live, each cancelled at a moment drawn from SEED between its
acceptance and 300 ms later; waits for all ends and prints a line for each: RUN N STATUS.
"""
import random
import sys
import time
import uuid

from peer import lb


def arguments(words):
    return dict(w.split("=", 1) for w in words)


def start(c, count, job, address, *words):
    for n in range(int(count)):
        print(uuid.UUID(bytes=c.call(job, address, {**arguments(words), "n": n}, expires_in=3600)))


def cancel(c, count, seed, job, address, *words):
    chance, live, n = random.Random(int(seed)), [], 0
    while n < int(count) or live:
        while n < int(count) and len(live) < 8:
            run = c.call(job, address, {**arguments(words), "n": n})
            live.append((time.monotonic() + chance.uniform(0, 0.3), run, n, False))
            n += 1
        now, still = time.monotonic(), []
        for at, run, k, asked in live:
            if not asked and now >= at:
                try:
                    c.cancel(run, "a race")
                except lb.LongboatError as e:
                    if e.code == 0:
                        raise  # anything but the broker's "it has ended"
                asked = True
            if c.runs[run]["outcome"] is None:
                still.append((at, run, k, asked))
            else:
                print(uuid.UUID(bytes=run), k, c.runs[run]["outcome"]["status"])
        live = still
        c._turn(0.01)


with lb.Client() as client:
    {"start": start, "cancel": cancel}[sys.argv[1]](client, *sys.argv[2:])
