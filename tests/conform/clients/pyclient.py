#!/usr/bin/python3
"""pyclient.py - the Python client as a command for conform.py: calls package:say at the pool etl
and waits.

usage: pyclient.py      Exit: 0 succeeded, 1 ran and failed, 3 refused.
"""
import os
import sys

sys.path.insert(0,
                os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../client/python"))
sys.dont_write_bytecode = True
import longboat  # noqa: E402


def main():
    try:
        with longboat.Client(timeout=60) as lb:
            outcome = lb.wait(lb.call("package:say", "etl", {"text": "hello"}), 60)
    except longboat.LongboatError as e:
        print(f"pyclient.py: {e} (code {e.code})", file=sys.stderr)
        return 3
    return int(outcome["status"] != "succeeded")


if __name__ == "__main__":
    sys.exit(main())
