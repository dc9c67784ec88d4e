"""releaser.py - the soak's operator: decides, by chance, what becomes of each run that is held,
until the file QUIET is there.
Lines: release (run, how), before it is said, since an answer may be lost.

usage: releaser.py --seed N --deeds FILE --quiet FILE
"""
import argparse
import json
import os
import random
import subprocess
import time

from told import Told


def lbctl(*words):
    return subprocess.run(["lbctl", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def main():
    p = argparse.ArgumentParser()
    for name in ("seed", "deeds", "quiet"):
        p.add_argument("--" + name)
    a = p.parse_args()
    rng, deeds, chosen = random.Random(a.seed), Told(a.deeds), {}
    while not os.path.exists(a.quiet):
        listed = lbctl("runs", "--state", "held", "--json")
        for line in listed.stdout.splitlines():
            run, attempt = (json.loads(line)[k] for k in ("run", "attempt"))
            if (run, attempt) not in chosen:
                chosen[run, attempt] = rng.choice(("rerun", "fail", "succeed"))
                deeds.say("release", run=run, attempt=attempt, how=chosen[run, attempt])
            lbctl("release", run, "--" + chosen[run, attempt], "--reason", "of the soak")
        time.sleep(1)


main()
