"""killer.py - ends something of the soak's cluster every second with kill -9, by chance: the
broker, a worker, a runner, a keeper, a keeper's guard; sometimes two at once. Now and then a server
or the broker stays away for longer than lost_after. Each deed is a line in a file, by which the
judge tells whose death a child may have died.

usage: killer.py --demo FOLDER --seed N --seconds S --deeds FILE --witness FILE --servers s1,s2,s3
Needs what cluster.sh's `keep` left in FOLDER. A keeper is known as the parent of a child in the
witness; one whose guard was killed is spared afterwards, because without the two nothing ends what
the child has started (docs/promises.md, 8); so few guards are killed that there are always keepers
left to kill.
Lines: kill (kind, pid, name), away and back (name), memory (kb, of the broker).
"""
import argparse
import os
import random
import signal
import subprocess
import time

from told import Told

COMM = {"broker": "lbbroker", "worker": "lbworker", "runner": "lbrunner", "keeper": "lbkeeper",
        "guard": "lbkeeper-guard"}
WEIGHTS = {"broker": 2, "worker": 3, "runner": 3, "keeper": 2, "guard": 1}
TWO_AT_ONCE, SERVER_AWAY, BROKER_AWAY = 0.12, 0.05, 0.02
SPARED_MAX = 2
AWAY_S = {"server": (13, 17), "broker": (5, 13)}
CLUSTER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "../../examples/nightly-load/cluster.sh")


def status(pid):
    """comm, state and parent of a process; None: there is none."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            head, _, tail = f.read().rpartition(")")
    except OSError:
        return None
    rest = tail.split()
    return head.split("(", 1)[1], rest[0], int(rest[1])


def first_number(path):
    try:
        with open(path) as f:
            return int("".join(c for c in f.readline() if c.isdigit()) or 0)
    except (OSError, ValueError):
        return 0


class Killer:
    def __init__(self, a):
        self.a, self.rng, self.deeds = a, random.Random(a.seed), Told(a.deeds)
        self.servers = a.servers.split(",")
        self.keepers, self.spared, self.read_to, self.away = set(), set(), 0, {}

    def look(self):
        """Which keepers there are, by the children that named them as their parents."""
        with open(self.a.witness) as f:
            f.seek(self.read_to)
            for line in f:
                if not line.endswith("\n"):
                    break
                self.read_to += len(line)
                if line.startswith("begin "):
                    self.keepers.add(int(line.split(" ppid=")[1].split()[0]))
        self.keepers = {p for p in self.keepers if (status(p) or [""])[0] == "lbkeeper"
                        and p not in self.spared}

    def target(self, kind, name):
        if kind in ("broker", "worker"):
            return first_number(f"{self.a.demo}/{name}.pid")
        if kind == "runner":
            return first_number(f"{self.a.demo}/{name}/run/runner.lock")
        keepers = sorted(self.keepers)
        keeper = self.rng.choice(keepers) if keepers else 0
        if kind == "keeper" or not keeper:
            return keeper
        if sum(1 for p in self.spared if status(p)) >= SPARED_MAX:
            return 0
        self.spared.add(keeper)
        self.keepers.discard(keeper)
        at = status(keeper)
        return at[2] if at else 0

    def kill(self, kind, name):
        pid = self.target(kind, name)
        at = status(pid) if pid else None
        if not at or at[0] != COMM[kind] or at[1] == "Z":
            return
        self.deeds.say("kill", kind=kind, pid=pid, name=name)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.keepers.discard(pid)  # so that its guard is not killed in the same moment

    def send_away(self, kind, name):
        """Ends a kept program and what keeps it, a server's runner too, and has it back later."""
        self.deeds.say("away", kind=kind, name=name)
        self.away[name] = time.monotonic() + self.rng.uniform(*AWAY_S[kind])
        open(f"{self.a.demo}/{name}.stop", "w").close()
        keep = first_number(f"{self.a.demo}/{name}.keeper")
        while (status(keep) or ["", "Z"])[1] != "Z":  # what starts it again may be about to
            self.kill("broker" if kind == "broker" else "worker", name)
            time.sleep(0.05)
        if kind == "server":
            self.kill("runner", name)

    def bring_back(self, name):
        program = ["lbbroker"] if name == "broker" else ["lbworker", "--slots", str(self.a.slots)]
        subprocess.run(["bash", "-c", '. "$0"; demo=$1; keep "$2" "$demo/$2" "${@:3}"', CLUSTER,
                        self.a.demo, name] + program, check=True)
        del self.away[name]
        self.deeds.say("back", name=name)

    def memory(self):
        try:
            with open(f"/proc/{first_number(self.a.demo + '/broker.pid')}/status") as f:
                for line in f:
                    if line.startswith("VmRSS:"):
                        self.deeds.say("memory", kb=line.split()[1])
        except OSError:
            pass

    def second(self):
        count = 2 if self.rng.random() < TWO_AT_ONCE else 1
        for kind in self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count):
            server = self.rng.choice(self.servers)
            if kind == "broker" and self.away:
                # a new broker counts lost_after from zero: nothing would ever be lost
                kind = "worker"
            name = "broker" if kind == "broker" else server
            if name not in self.away:
                self.kill(kind, name)
        if not self.away and self.rng.random() < SERVER_AWAY:
            self.send_away("server", self.rng.choice(self.servers))
        elif not self.away and self.rng.random() < BROKER_AWAY:
            self.send_away("broker", "broker")

    def run(self):
        end = time.monotonic() + self.a.seconds
        while time.monotonic() < end:
            began = time.monotonic()
            self.memory()
            self.look()
            self.second()
            for name in [n for n, until in self.away.items() if time.monotonic() > until]:
                self.bring_back(name)
            time.sleep(max(0.0, began + 1 - time.monotonic()))
        for name in list(self.away):
            self.bring_back(name)


def main():
    p = argparse.ArgumentParser()
    for name in ("demo", "seed", "deeds", "witness", "servers"):
        p.add_argument("--" + name)
    p.add_argument("--seconds", type=float)
    p.add_argument("--slots", type=int)
    Killer(p.parse_args()).run()


main()
