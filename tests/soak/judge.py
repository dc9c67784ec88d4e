"""judge.py - judges a soak from plain files alone: what callers were told, what children wrote of
themselves, and who was killed, sent away or released. It knows nothing of Longboat's code, programs
or stores, and believes nobody else.

usage: judge.py --lost-after SECONDS --deeds FILE --witness FILE TOLD...
A line is `what name=value ...`, at= in seconds of one monotonic clock.
    told      asks (key, on_lost), accepted (key, run),
              ended (run, attempt, status, delivery, job, package), failed, left
    witness   begin, beat, term, end (run, attempt, pid, ppid, key; end: code)
    deeds     kill (kind, pid, name), away (kind, name), back (name), release (run, how),
              memory (kb)
Prints the counts, then every fault with the lines it rests on. Exit: 0 no fault; 1 some, or nothing
was there to judge.
"""
import argparse
import collections
import os
import sys

FAULTS = (
    "unreadable lines", "lost", "run twice unasked", "two attempts at once", "one key, two runs",
    "nobody called it", "recorded twice", "end contradicts the child",
    "died of a death not its own", "outlived its end", "ended nobody knows",
)
TREE_S = 15.0   # TERM, ten seconds, KILL: so long may what a child has started live after it
CAUSE_S = 30.0  # a fence has a cause at most so long before it
SOON_S = 2.0    # a killed keeper's child is dead by then


class Line:
    def __init__(self, where, text):
        self.where, self.text = where, text
        words = text.split()
        self.what = words[0]
        self.f = dict(w.split("=", 1) for w in words[1:])
        self.at = float(self.f["at"])

    def __getattr__(self, name):
        try:
            return self.f[name]
        except KeyError:
            raise AttributeError(name) from None

    def __str__(self):
        return f"{self.where}: {self.text}"


class Judge:
    def __init__(self, lost_after):
        self.lost_after = lost_after
        self.faults = {name: [] for name in FAULTS}
        self.told, self.deeds = [], []
        self.attempts = {}  # run: number of the attempt: lines of the witness

    # ---- Reading

    def read(self, path):
        found = []
        with open(path) as f:
            for number, text in enumerate(f, 1):
                where = f"{os.path.basename(path)}:{number}"
                try:
                    if not text.endswith("\n"):
                        raise ValueError
                    found.append(Line(where, text.strip()))
                except (ValueError, KeyError, IndexError):
                    self.fault("unreadable lines", f"{where}: {text.strip()}")
        return found

    def fault(self, name, *lines):
        self.faults[name].append([str(line) for line in lines])

    def take(self, deeds, witness, told):
        self.deeds = self.read(deeds)
        self.told = [line for path in told for line in self.read(path)]
        for line in self.read(witness):
            self.attempts.setdefault(line.run, {}).setdefault(int(line.attempt), []).append(line)
        for numbers in self.attempts.values():
            for lines in numbers.values():
                lines.sort(key=lambda line: line.at)
        self.asked = {line.key: line for line in self.told if line.what == "asks"}
        self.accepted = {}
        for line in self.told:
            if line.what == "accepted":
                self.accepted.setdefault(line.run, line)
        self.ends = {}
        for line in self.told:
            if line.what == "ended":
                self.ends.setdefault(line.run, []).append(line)
        self.kills = [d for d in self.deeds if d.what == "kill"]
        self.released = {d.run: d for d in self.deeds if d.what == "release"}  # the last of a run

    # ---- What is asked of them

    def of(self, lines, what):
        return [line for line in lines if line.what == what]

    def begins(self, run):
        return sorted((b for lines in self.attempts[run].values() for b in self.of(lines, "begin")),
                      key=lambda b: b.at)

    def on_lost(self, key):
        return self.asked[key].on_lost if key in self.asked else "unknown"

    def own_keeper(self, begin):
        """The deed that killed this child's keeper, while anything of the child lived or its keeper
        wrote down its end."""
        last = self.attempts[begin.run][int(begin.attempt)][-1]
        return next((k for k in self.kills if k.kind == "keeper" and k.pid == begin.ppid and
                     begin.at - SOON_S < k.at < last.at + SOON_S), None)

    def cause(self, begun, ended, kinds=("broker", "worker", "server")):
        """Did a process that carries renewals die or leave in this time?"""
        return any(d.what in ("kill", "away", "back") and d.f.get("kind", kinds[0]) in kinds
                   and begun <= d.at <= ended for d in self.deeds)

    # ---- The laws

    def judge(self):
        self.callers()
        for run in self.attempts:
            self.runs_once(run)
            for lines in self.attempts[run].values():
                self.lives(run, lines)
        for run, ends in self.ends.items():
            self.ends_agree(run, ends)
            if run in self.accepted and self.on_lost(self.accepted[run].key) != "parent":
                self.end_is_true(run, ends[0])

    def callers(self):
        runs = collections.defaultdict(dict)
        for line in self.told:
            if line.what == "accepted":
                runs[line.key].setdefault(line.run, line)
        for known in runs.values():
            if len(known) > 1:
                self.fault("one key, two runs", *known.values())
        for run, line in self.accepted.items():
            if run not in self.ends:
                self.fault("lost", line)
        for run in self.ends:
            if run not in self.accepted:
                self.fault("ended nobody knows", self.ends[run][0])
        of_key = collections.defaultdict(dict)
        for run in self.attempts:
            for begin in self.begins(run):
                of_key[begin.key].setdefault(run, begin)
        for key, known in of_key.items():
            if len(known) > 1:
                self.fault("one key, two runs", *known.values())
            if key not in self.asked:
                self.fault("nobody called it", *known.values())

    def runs_once(self, run):
        begins = self.begins(run)
        for number, lines in self.attempts[run].items():
            if len(self.of(lines, "begin")) != 1:
                self.fault("run twice unasked", *(self.of(lines, "begin") or lines[:1]))
        if len(begins) < 2:
            return
        if self.on_lost(begins[0].key) != "rerun":
            asked = [d.at for d in self.deeds if d.what == "release" and d.run == run
                     and d.how == "rerun"]
            if len(asked) < len(begins) - 1 or any(b.at < at for b, at in zip(begins[1:], asked)):
                self.fault("run twice unasked", *begins)
            return  # a person who releases a run with --rerun answers for what may still live
        for earlier, later in zip(begins, begins[1:]):
            last = self.attempts[run][int(earlier.attempt)][-1]
            if (int(earlier.attempt) > int(later.attempt)
                    or (earlier.attempt != later.attempt and last.at >= later.at)):
                self.fault("two attempts at once", earlier, last, later)

    def lives(self, run, lines):
        begin = next(iter(self.of(lines, "begin")), None)
        if not begin:
            return  # runs_once has said it
        own = [line for line in lines if line.pid == begin.pid]
        ends, killed, last = self.of(own, "end"), self.own_keeper(begin), own[-1]
        if (not ends and not killed and not self.was_fenced(run, own)
                and not self.was_replaced(run, begin, last)):
            near = [k for k in self.kills if begin.at <= k.at <= last.at + SOON_S]
            self.fault("died of a death not its own", begin, last, *near)
        if killed and killed.at > begin.at and lines[-1].at > killed.at + SOON_S:
            self.fault("outlived its end", begin, killed, lines[-1])
        if lines[-1].at > last.at + TREE_S:
            self.fault("outlived its end", begin, last, lines[-1])

    def was_fenced(self, run, own):
        """It was asked to end, as an attempt that may run again elsewhere must, or as one that had
        been lost: when its server came back, but of a run that was held not before a person had
        decided."""
        term = next(iter(self.of(own, "term")), None)
        if not term:
            return False
        cause = self.cause(term.at - CAUSE_S, term.at)
        if self.on_lost(term.key) == "rerun":
            return cause
        if run in self.released:
            decided = self.released[run].at
            return decided <= term.at and (cause or term.at < decided + CAUSE_S)
        lost = any(e.status == "lost" for e in self.ends.get(run, []))
        return cause and lost and term.at >= self.asked[term.key].at + self.lost_after

    def was_replaced(self, run, begin, last):
        """A person reran the run, so the older attempt was killed, unasked: then, or when its
        server came back."""
        for release in self.deeds:
            if (release.what == "release" and release.run == run and release.how == "rerun" and
                    int(begin.attempt) <= int(release.attempt)):
                if release.at - SOON_S < last.at < release.at + CAUSE_S:
                    return True
                if release.at < last.at and any(d.what == "back" and d.name == begin.server
                                                and d.at - SOON_S < last.at < d.at + CAUSE_S
                                                for d in self.deeds):
                    return True
        return False

    def ends_agree(self, run, ends):
        """Not every telling names all of it; what two of them name has to be the same."""
        first = {}
        for e in ends:
            for name in ("status", "attempt", "delivery", "job", "package"):
                if name in e.f and first.setdefault(name, e).f[name] != e.f[name]:
                    return self.fault("recorded twice", first[name], e)

    def end_is_true(self, run, end):
        accepted, lines = self.accepted[run], self.attempts.get(run, {}).get(int(end.attempt), [])
        begin = next(iter(self.of(lines, "begin")), None)
        code = next((e.code for e in self.of(lines, "end")), None)
        release = self.released.get(run)
        if ((begin is not None and end.job == "not_called")
                or not self.status_holds(end, accepted, begin, code, release)):
            self.fault("end contradicts the child", accepted, end,
                       *([begin, lines[-1]] if begin else []), *([release] if release else []))

    def status_holds(self, end, accepted, begin, code, release):
        if release and release.how != "rerun" and self.on_lost(accepted.key) == "hold":
            return end.status == ("succeeded" if release.how == "succeed" else "lost")
        if end.status == "succeeded":
            return code == "0"
        if end.status == "failed":
            return code not in (None, "0")
        if end.status == "unknown":
            if begin:
                return self.own_keeper(begin) is not None
            return any(k.kind in ("keeper", "guard") and accepted.at - SOON_S <= k.at <= end.at
                       for k in self.kills)
        if end.status == "lost":
            return (self.on_lost(accepted.key) in ("fail", "default")
                    and end.at - accepted.at >= self.lost_after and self.cause(accepted.at, end.at))
        return False  # refused, unreachable, cancelled, timed_out: nobody asked for any of it

    # ---- The report

    def report(self):
        count = collections.Counter
        kinds = count(k.kind for k in self.kills)
        status = count(e[0].status for e in self.ends.values())
        begins = [b for run in self.attempts for b in self.begins(run)]
        again = sum(1 for run in self.attempts if len(self.begins(run)) > 1)
        memory = [int(d.kb) for d in self.deeds if d.what == "memory"]
        away = count(d.kind for d in self.deeds if d.what == "away")

        def words(c):
            return ", ".join(f"{n} {name}" for name, n in sorted(c.items())) or "none"

        print(f"kills: {len(self.kills)} ({words(kinds)}); away for longer: {words(away)}")
        known = {a.key for a in self.accepted.values()}
        print(f"calls: {len(self.asked)} asked, {len(self.accepted)} accepted; by on_lost: "
              f"{words(count(self.on_lost(a.key) for a in self.accepted.values()))}")
        print(f"never accepted, as far as their callers heard: {len(self.asked.keys() - known)}; "
              f"nothing was promised for these")
        heard = sum(map(len, self.ends.values())) / max(1, len(self.ends))
        asked = sum(1 for attempts in self.attempts.values() for lines in attempts.values()
                    if self.of(lines, "term"))
        print(f"ends:  {words(status)}; each heard {heard:.1f} times")
        print(f"children: {len(begins)} begun; {again} runs begun again; "
              f"{sum(1 for b in begins if self.own_keeper(b))} whose keeper was killed; "
              f"{asked} asked to end; {len(self.released)} runs released by a person")
        if memory:
            print(f"memory of the broker: {memory[0] / 1024:.1f} MiB at the begin, "
                  f"{memory[-1] / 1024:.1f} MiB at the end, {max(memory) / 1024:.1f} MiB at most")
        for name, found in self.faults.items():
            print(f"{name}: {len(found)}")
        for name, found in self.faults.items():
            for lines in found:
                print(f"\n{name}:\n    " + "\n    ".join(lines))
        return not any(self.faults.values())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lost-after", type=float, required=True)
    p.add_argument("--deeds", required=True)
    p.add_argument("--witness", required=True)
    p.add_argument("told", nargs="+")
    a = p.parse_args()
    j = Judge(a.lost_after)
    j.take(a.deeds, a.witness, a.told)
    j.judge()
    good = j.report()
    if not (j.accepted and j.attempts and j.kills):
        print("\nnothing was accepted, begun or killed: this proves nothing")
        good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
