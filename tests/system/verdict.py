#!/usr/bin/python3
"""Judges the logs of tests/system/run.sh: TAP of bats and, as the last line, `exit N`.

usage: verdict.py failed LOG                  exit 0: something in it has failed
       verdict.py count FILES FIRST AGAIN     the verdict over two folders of logs
"""
import os
import re
import sys

FLAKY_MAX = 3
TIMED_OUT = 124
RESULT = re.compile(r"^(not )?ok \d+ (.*?)(?: in \d+ ?(?:ms|sec))?(?: # skip.*| # timeout.*)?$")
WHOLE = "the file as a whole"  # what has failed is no test of its own
SETUP = "setup_file failed"    # bats lists it as a test and runs none


class Log:
    """passed: names; failed: name -> what was said about it."""

    def __init__(self, path):
        self.passed, self.failed, said, ended = [], {}, None, None
        with open(path, encoding="utf-8", errors="replace") as f:
            lines = f.read().split("\n")
        for line in lines:
            result, ended = RESULT.match(line), ended or re.match(r"exit (\d+)$", line)
            if result:
                said = []
                if result.group(1):
                    self.failed[result.group(2)] = said
                else:
                    self.passed.append(result.group(2))
            elif said is not None and re.match("#(?! bats warning)", line):
                said.append(line[1:].strip())
        rest = [line.strip("# ") for line in lines if line and not RESULT.match(line)]
        code = int(ended.group(1)) if ended else 1
        if code == TIMED_OUT:
            self.failed[WHOLE] = ["it did not end in time"]
        elif SETUP not in self.failed and (code and not self.failed or
                                           any(line.startswith("bats warning") for line in rest)):
            self.failed[WHOLE] = rest[:-1]


def logs_of(folder):
    return {name[:-len(".log")]: Log(os.path.join(folder, name)) for name in os.listdir(folder)}


def count(files, first, again):
    first, again = logs_of(first), logs_of(again)
    passed, failed, flaky = 0, int(files != len(first)), []
    for file, log in sorted(first.items()):
        once_more = again.get(file)
        if not once_more:
            passed, failed = passed + len(log.passed), failed + len(log.failed)
            continue
        # Who wavers has failed in one of the two and passed in the other, or was not there at all.
        both = log.failed.keys() & once_more.failed.keys()
        if WHOLE in once_more.failed:
            both = both | {WHOLE}
        wavers = {**once_more.failed, **log.failed}
        flaky += [(file, name, wavers[name]) for name in wavers if name not in both]
        named = {n for n in [*log.passed, *once_more.passed] if n not in wavers}
        passed, failed = passed + len(named), failed + len(both)
    for file, name, said in flaky:
        print(f"flaky: {file}: {name} ({' | '.join(said[-3:])[:300]})")
    if len(flaky) > FLAKY_MAX:
        print(f"system: {len(flaky)} tests are flaky; more than {FLAKY_MAX} fail the run")
        failed += len(flaky)
    else:
        passed += sum(name not in (WHOLE, SETUP) for _, name, _ in flaky)
    print(f"system: {passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    if sys.argv[1:2] == ["failed"] and len(sys.argv) == 3:
        return 0 if Log(sys.argv[2]).failed else 1
    if sys.argv[1:2] == ["count"] and len(sys.argv) == 5:
        return count(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    print(__doc__.strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
