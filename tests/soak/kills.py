"""kills.py - many small jobs, one after the other through a window, while workers, runners and
keepers are killed with kill -9 by chance. Each waits for its end; how they have ended is counted.

usage: kills.py --demo FOLDER --seed N --jobs N --servers s1,s2 --users U1,U2
users: of the servers' children where they have one of their own, else 0. What is chosen depends on
the seed alone: a deed follows a number of jobs, not a time.
Exit: 0; 1 a run did not end.
"""
import argparse
import collections
import os
import random
import signal
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
for folder in ("../../client/python", "../system"):
    sys.path.insert(0, os.path.join(here, folder))

import census  # noqa: E402
import longboat as lb  # noqa: E402

WINDOW, BETWEEN, PATIENCE_S = 24, 40, 300
KINDS, WEIGHTS = ("lbworker", "lbrunner", "lbkeeper"), (2, 2, 4)
WORK = {"quick": 50, "fails": 5, "files": 15, "daemon": 10, "deaf": 5, "slow": 10, "outputs": 5}


class Kills:
    def __init__(self, a):
        self.a, self.rng = a, random.Random(a.seed)
        self.servers = a.servers.split(",")
        self.users = dict(zip(self.servers, map(int, a.users.split(","))))
        self.killed, self.open = collections.Counter(), []
        self.next_deed = self.rng.randint(1, 2 * BETWEEN)

    def kill(self):
        """One of a kind; sometimes two things at once."""
        for _ in range(2 if self.rng.random() < 0.15 else 1):
            kind, server = self.rng.choices(KINDS, WEIGHTS)[0], self.rng.choice(self.servers)
            lucky = self.rng.random()
            home = f"{self.a.demo}/{server}"
            pids = sorted(p for p, name in census.processes(home, self.users[server]).items()
                          if name == kind)
            if pids:
                try:
                    os.kill(pids[int(lucky * len(pids))], signal.SIGKILL)
                    self.killed[kind] += 1
                except ProcessLookupError:
                    pass

    def turn(self, client, most):
        """Waits until at most so many are open; False: not in time."""
        end = time.monotonic() + PATIENCE_S
        while len(self.open) > most and time.monotonic() < end:
            client._turn(0.05)
            self.open = [r for r in self.open if client.runs[r]["outcome"] is None]
        return len(self.open) <= most

    def run(self):
        with lb.Client(timeout=PATIENCE_S) as client:
            runs = []
            for n in range(1, self.a.jobs + 1):
                work = self.rng.choices(list(WORK), list(WORK.values()))[0]
                runs.append(client.call("package:work", self.rng.choice(self.servers),
                                        {"what": work}, on_lost=self.rng.choice(("fail", "rerun"))))
                self.open.append(runs[-1])
                if n == self.next_deed:
                    self.kill()
                    self.next_deed += self.rng.randint(1, 2 * BETWEEN)
                if n % 1000 == 0:
                    print(f"{n} jobs, {sum(self.killed.values())} kills", flush=True)
                if not self.turn(client, WINDOW):
                    break
            whole = len(runs) == self.a.jobs and self.turn(client, 0)
            ends = collections.Counter(client.runs[r]["outcome"]["status"] for r in runs
                                       if client.runs[r]["outcome"])
        print("killed:", ", ".join(f"{n} {kind}" for kind, n in sorted(self.killed.items())))
        print(f"{len(runs)} jobs:", ", ".join(f"{n} {end}" for end, n in sorted(ends.items())))
        if not whole:
            print(f"{len(self.open)} runs have not ended")
        return 0 if whole else 1


def main():
    p = argparse.ArgumentParser()
    for name in ("demo", "seed", "servers", "users"):
        p.add_argument("--" + name)
    p.add_argument("--jobs", type=int)
    sys.exit(Kills(p.parse_args()).run())


main()
