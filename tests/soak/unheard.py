"""unheard.py - of each run that is accepted, as a caller was told, and of whose end nobody was
told: what the broker says of it now, so that a reader can tell a cluster with too much work (it
waits or runs) from a loss (the broker says that it has ended, or that there is no such run).

usage: unheard.py TOLD...
Prints a line for each, the first 20 at length. Exit: 0.
"""
import collections
import json
import subprocess
import sys

SHOWN = 20


def ask(*words):
    try:
        return subprocess.run(["lbctl", *words], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None


def said(answer):
    if answer is None:
        return "no answer within 60 s"
    return (answer.stdout + answer.stderr).strip() or f"nothing, and ended with {answer.returncode}"


def state_of(run):
    answer = ask("show", run, "--json")
    if answer is None or answer.returncode:
        return "not told by the broker", said(answer)
    row = json.loads(answer.stdout)
    state = row.get("state") or row.get("status") or "of no state"
    return state, f"attempt {row.get('attempt')} on {row.get('server') or 'no server'}"


def main():
    accepted, ended = {}, set()
    for path in sys.argv[1:]:
        with open(path) as f:
            for line in f:
                what, *words = line.split()
                fields = dict(w.split("=", 1) for w in words)
                if what == "accepted":
                    accepted.setdefault(fields["run"], (path.rpartition("/")[2], fields["key"]))
                elif what == "ended":
                    ended.add(fields["run"])
    states = collections.Counter()
    open_ = [run for run in accepted if run not in ended]
    for n, run in enumerate(open_):
        state, more = state_of(run)
        states[state] += 1
        if n < SHOWN:
            told, key = accepted[run]
            print(f"unheard: run {run}, key {key} of {told}: {state}, {more}")
            if state not in ("ended", "not told by the broker"):
                print("    " + said(ask("explain", run)).replace("\n", "\n    "))
    have = ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "nothing to say"
    print(f"unheard: {len(open_)} of {len(accepted)} accepted runs; the broker has {have}")


main()
