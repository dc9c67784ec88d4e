"""call.py - one call through the Python client: prints the run's id, or with --wait its outcome as
JSON.

usage: call.py [--wait] [--key K] [--on-lost X] [--expires S] [--start-within S]
               [--timeout S] [--lost-after S] [--priority N] JOB ADDRESS [NAME=VALUE...]
Exit: 0; with --wait 1 when it has not succeeded; 3: refused, with the broker's sentence on stderr.
"""
import argparse
import json
import sys
import uuid

from peer import lb


def value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


p = argparse.ArgumentParser()
p.add_argument("--wait", action="store_true")
p.add_argument("--key")
p.add_argument("--on-lost", default="default")
p.add_argument("--expires", type=float, default=86400)
p.add_argument("--start-within", type=float, default=0)
p.add_argument("--timeout", type=float, default=0)
p.add_argument("--lost-after", type=float, default=0)
p.add_argument("--priority", type=int, default=4)
p.add_argument("job")
p.add_argument("address")
p.add_argument("parameter", nargs="*")
a = p.parse_args()
try:
    with lb.Client() as c:
        run = c.call(a.job, a.address,
                     {k: value(v) for k, v in (x.split("=", 1) for x in a.parameter)}, key=a.key,
                     on_lost=a.on_lost, priority=a.priority, expires_in=int(a.expires),
                     run_timeout=a.timeout, start_within=a.start_within, lost_after=a.lost_after)
        if not a.wait:
            print(uuid.UUID(bytes=run))
            sys.exit(0)
        outcome = c.wait(run, 60)
        outcome["run"] = str(uuid.UUID(bytes=run))
        print(json.dumps(outcome))
        sys.exit(0 if outcome["status"] == "succeeded" else 1)
except lb.LongboatError as e:
    print(f"call.py: {e} (code {e.code})", file=sys.stderr)
    sys.exit(3)
