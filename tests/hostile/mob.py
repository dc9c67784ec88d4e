#!/usr/bin/python3
"""mob.py - one hostile principal: its attacks, one after the other in random order, for some time.

usage: mob.py --home HOME | --token FILE --seconds S [--seed N] [--each S] [--rival NAME]
              [--ordinary] [ATTACK...]
       mob.py --list | --home HOME --names | --home HOME --role
Runs when nothing else wants the processor (SCHED_IDLE, in a session of its own with the lowest
autogroup, or its session would have a share as a whole): on one machine it costs the broker what it
sends, and not the processor that it takes away. With --ordinary it has the priority of everybody
else, so that it also attacks beside other work; then what others wait for says nothing of the
broker.
A broker that is away or takes no more is no fault: the attack goes on when it can. Any other
exception in an attack is printed and is a fault of the attack.
TERM ends the attack that is on, and all.
Exit: 0 all attacks were made; 1 one of them broke.
"""
import argparse
import collections
import os
import random
import signal
import sys
import time
import traceback

from attacks import GOALS, KEEPS, Mob
from peer import Identity, one_time_peer, token_of


def attacks_of(role):
    names = (name for name, (roles, _) in GOALS.items() if role in roles)
    return sorted(names, key=lambda name: (name in KEEPS, name))


def identity(a):
    if not a.token:
        return Identity(a.home)
    with open(a.token) as f:
        p = one_time_peer(token_of(f.read()))
    p.close()
    p.who.me = {"name": "newcomer", "serial": 0, "cluster": "", "role": "newcomer"}
    return p.who


def run_last():
    """A person's processor is not the broker's: here they share it, and the mob gets the rest."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        os.setsid()
        with open("/proc/self/autogroup", "w") as f:
            f.write("19")
    except OSError:
        pass  # it leads its group, or the kernel has no autogroups


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--home")
    parser.add_argument("--token")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--each", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rival")
    for flag in ("--ordinary", "--list", "--names", "--role"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("attacks", nargs="*")
    a = parser.parse_args()
    if a.list:
        for name, (roles, f) in sorted(GOALS.items()):
            print(f"{name:40} {', '.join(roles)}")
        return 0
    who = identity(a)
    if a.names or a.role:
        print("\n".join(attacks_of(who.me["role"])) if a.names else who.me["role"])
        return 0
    if not a.ordinary:
        run_last()
    names = a.attacks or attacks_of(who.me["role"])
    rng, end, broken, made = random.Random(a.seed), time.monotonic() + a.seconds, 0, {}
    ended = []

    def end_all(signal_, frame):
        ended.append(True)
        mob.end = 0
    mob = Mob(who, 0, 0)
    signal.signal(signal.SIGTERM, end_all)
    while time.monotonic() < end and not ended:
        rng.shuffle(names)
        for name in names:
            left = end - time.monotonic()
            if left <= 0 or ended:
                break
            mob = Mob(who, min(a.each, left), rng.randrange(1 << 60), a.rival)
            try:
                mob.persist(GOALS[name][1])
            except Exception:  # whatever it is, the next attack comes
                broken += 1
                traceback.print_exc()
            made.setdefault(name, collections.Counter()).update(
                sessions=mob.sessions, messages=mob.sent, troubles=mob.troubles)
    for name, n in sorted(made.items()):
        print(f"{who.me['name']} ({who.me['role']}) {name}: {n['sessions']} sessions, "
              f"{n['messages']} messages, {n['troubles']} times turned away", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
