#!/usr/bin/python3
"""conform.py - tries a client of Longboat against a broker that follows a script; see README.md.

usage: conform.py [--only CASE,CASE...] [--skip CASE,CASE...] [--seconds N] [--jobs N] [--list]
                  [--verbose] -- COMMAND...
Exit: 0 all cases passed, 1 some failed, 2 asked wrongly.
"""
import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from cases import CASES  # noqa: E402


def run(case_class, a):
    """The faults of a client in one case."""
    home = tempfile.mkdtemp(prefix="lbc-")
    case = case_class(home)
    environment = {**os.environ, "LONGBOAT_HOME": home, "LONGBOAT_CASE": case_class.__name__}
    case.seconds = a.seconds or case.seconds
    output = None if a.verbose else subprocess.DEVNULL
    client = subprocess.Popen(a.command, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                              stderr=output)
    end = time.monotonic() + case.seconds
    try:
        while client.poll() is None and time.monotonic() < end:
            case.turn(0.02)
        for _ in range(5):  # its last word may still be on its way
            case.turn(0.02)
        case.judge(client.poll())
    finally:
        if client.poll() is None:
            client.kill()
            client.wait()
        case.close()
        shutil.rmtree(home)
    return case.faults


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\nExit")[0])
    p.add_argument("--only", default="")
    p.add_argument("--skip", default="")
    p.add_argument("--seconds", type=float, help="for each case, in place of its own time")
    p.add_argument("--jobs", type=int, default=4, help="cases at a time; most of them wait")
    p.add_argument("--list", action="store_true")
    p.add_argument("--verbose", action="store_true", help="show what the client prints")
    p.add_argument("command", nargs="*")
    a = p.parse_args()
    names = [c.__name__ for c in CASES]
    wanted = a.only.split(",") if a.only else names
    skipped = a.skip.split(",") if a.skip else []
    unknown = [n for n in wanted + skipped if n not in names]
    if a.list:
        print("\n".join(f"{c.__name__:24}{c.title}" for c in CASES))
        return 0
    if unknown or not a.command:
        print(f"conform.py: no case '{unknown[0]}'; see --list" if unknown
              else "conform.py: no command is given; see README.md", file=sys.stderr)
        return 2
    cases = [c for c in CASES if c.__name__ in wanted and c.__name__ not in skipped]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for case, faults in zip(cases, pool.map(lambda c: run(c, a), cases)):
            print(f"{'FAIL' if faults else 'pass'}  {case.__name__:24}{case.title}", flush=True)
            for fault in faults:
                print(f"        {fault}", flush=True)
            failed += bool(faults)
    print(f"{len(cases) - failed} of {len(cases)} cases passed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
