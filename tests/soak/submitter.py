"""submitter.py - a caller of the soak that knows lbsubmit alone: single calls and small parents in
turn, and what lbsubmit says of each run in a file of its own, in the lines of caller.py. A parent's
report says each end a second time.

usage: submitter.py --name NAME --seed N --seconds S --patience S --witness FILE --told FILE
                    --folder FOLDER
An lbsubmit that has not ended `patience` seconds after SECONDS are over, nor said anything for as
long, is ended (four times as many in all).
Exit: 0; 1 one was ended.
"""
import argparse
import json
import random
import re
import subprocess
import sys
import threading
import time

from told import Told, work

ON_LOST = ("fail", "rerun", "hold")
PLAN = """parent: soak
variables:
  witness: {{type: string, required: true}}
tasks:
{tasks}"""
TASK = """  {name}:
    package: child
    pool: etl
    on_lost: {on_lost}
    for_each: {{key: {keys}}}
    parameters:
      {{key: "{{{{key}}}}", witness: "{{{{witness}}}}", ms: {ms}, code: {code}, deaf: {deaf},
       helper: {helper}}}
{after}"""


class Submitter:
    def __init__(self, a):
        self.a, self.rng, self.told = a, random.Random(a.seed), Told(a.told)
        self.end = time.monotonic() + a.seconds
        self.news, self.gave_up = 0, False

    def single(self, key):
        on_lost = self.rng.choice(ON_LOST)
        words = [w for k, v in work(self.rng).items() for w in ("-p", f"{k}={v}")]
        self.told.say("asks", key=key, on_lost=on_lost)
        self.submit(["--package", "child", "--pool", "etl", "--on-lost", on_lost, "--key", key,
                     "-p", f"key={key}", "-p", f"witness={self.a.witness}"] + words, key)

    def parent(self, key):
        tasks = ""
        for name, after in (("first", ""),
                            ("second", "    after: [{task: first, is: completion}]\n")):
            keys, on_lost = [f"{key}/{name}/{n}" for n in range(3)], self.rng.choice(ON_LOST)
            for k in keys:
                self.told.say("asks", key=k, on_lost=on_lost)
            tasks += TASK.format(name=name, on_lost=on_lost, keys=json.dumps(keys), after=after,
                                 **work(self.rng))
        path = f"{self.a.folder}/{key}.yaml"
        with open(path, "w") as f:
            f.write(PLAN.format(tasks=tasks))
        self.told.say("asks", key=key, on_lost="parent")
        self.submit([path, "--set", f"witness={self.a.witness}"], key)

    def submit(self, words, key):
        child = subprocess.Popen(["lbsubmit", "--json"] + words, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        errors = threading.Thread(target=self.hear_errors, args=(child.stderr, key))
        errors.start()
        threading.Thread(target=self.watch, args=(child,), daemon=True).start()
        for line in child.stdout:
            self.news = time.monotonic()
            self.hear(json.loads(line))
        errors.join()
        self.told.say("left", key=key, code=child.wait())

    def watch(self, child):
        """Ends an lbsubmit that would wait for ever."""
        while child.poll() is None:
            now, quiet = time.monotonic(), max(self.news, self.end)
            if now > min(quiet, self.end + 3 * self.a.patience) + self.a.patience:
                self.gave_up = True
                child.kill()
            time.sleep(1)

    def hear_errors(self, stream, key):
        for line in stream:
            m = re.match(r"lbsubmit: (?:parent \S+ is )?run (\S+)$", line.strip())
            if m:
                self.told.say("accepted", key=key, run=m[1])

    def hear(self, said):
        event = said.get("event")
        if event == "child":
            self.told.say("accepted", key=said["items"]["key"], run=said["run"])
        elif event == "report":
            report = said["report"]
            for child in report["children"]:
                self.ended(child)
            self.told.say("ended", run=report["run"], attempt=0, status=report["status"])
        elif event == "ended" or "job_outcome" in said:
            self.ended(said)

    def ended(self, e):
        self.told.say("ended", run=e["run"], attempt=e["attempt"], status=e["status"],
                      delivery=e["delivery"]["state"], job=e["job_outcome"]["state"],
                      package=e["package"]["state"])


def main():
    p = argparse.ArgumentParser()
    for name in ("name", "seed", "witness", "told", "folder"):
        p.add_argument("--" + name)
    p.add_argument("--seconds", type=float)
    p.add_argument("--patience", type=float)
    a = p.parse_args()
    s, count = Submitter(a), 0
    while time.monotonic() < s.end:
        (s.parent if count % 3 == 2 else s.single)(f"{a.name}-{count}")
        count += 1
    sys.exit(1 if s.gave_up else 0)


main()
