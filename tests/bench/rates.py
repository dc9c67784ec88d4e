"""What seeing costs, from what `followers` and `calls` have printed.

usage: rates.py PHASES PROGRESS ROUNDS

Each phase in which some follow is set against the two beside it in which nobody does, so that what
grows meanwhile (the store, the time that the disk needs) says nothing. Prints the median and the
range of ROUNDS rounds; a round's figure is that of all its phases together.
"""

import bisect
import statistics
import sys

SETTLE_US = 40000  # of each phase: those who followed before it still read what was on its way
EVENTS_A_JOB = 4  # called, assigned, started, result


def numbers(path):
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.endswith("\n") and line[0].isdigit():
                yield [int(word) for word in line.split()]


def spread(values, form="{:.3f}"):
    figures = (statistics.median(values), min(values), max(values))
    return "{} [{}-{}]".format(*(form.format(v) for v in figures))


class Progress:
    def __init__(self, path):
        self.times, self.ended = zip(*numbers(path))

    def at(self, us):
        """Jobs that had ended by then."""
        k = min(max(bisect.bisect_left(self.times, us), 1), len(self.times) - 1)
        t0, t1 = self.times[k - 1], self.times[k]
        return self.ended[k - 1] + (self.ended[k] - self.ended[k - 1]) * (us - t0) / (t1 - t0)

    def per_s(self, phase):
        begun = phase[0] + SETTLE_US
        return (self.at(phase[1]) - self.at(begun)) * 1e6 / (phase[1] - begun)


def figures(phases, progress, n):
    """Of one round: jobs per second beside N followers and beside none, and the part of events."""
    beside, none, seen, made = 0.0, 0.0, 0, 0.0
    at = [i for i in range(1, len(phases) - 1) if phases[i][2] == n]
    for i in at:
        beside += progress.per_s(phases[i]) / len(at)
        none += (progress.per_s(phases[i - 1]) + progress.per_s(phases[i + 1])) / 2 / len(at)
        seen += phases[i][3]
        made += (progress.at(phases[i][1]) - progress.at(phases[i][0])) * EVENTS_A_JOB
    return beside, none, beside / none, seen / made


def main(phases, progress, rounds):
    phases, progress, rounds = list(numbers(phases)), Progress(progress), int(rounds)
    counts = sorted({phase[2] for phase in phases} - {0})
    size = (len(phases) - 1) // rounds
    parts = [phases[i * size : (i + 1) * size + 1] for i in range(rounds)]
    by_count = {n: list(zip(*(figures(part, progress, n) for part in parts))) for n in counts}
    none = [v for n in counts for v in by_count[n][1]]
    print(f"jobs per second, none follows   {spread(none, '{:.0f}')} ({rounds} rounds, no child)")
    for n, (beside, _, ratio, part) in by_count.items():
        print(f"    {n:2} follow                   {spread(beside, '{:.0f}')}, and each gets")
        print(f"        {spread([100 * v for v in part], '{:.1f}')} % of the events meanwhile")
        print(f"followers_{f'{n}_of_0':22}{spread(ratio)}")


main(*sys.argv[1:])
