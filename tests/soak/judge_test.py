"""judge_test.py - the judge of the soak is fed made-up histories: one where all is well, and one
for each fault."""
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest

from judge import FAULTS, Judge

JUDGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "judge.py")
SUCCEEDED = "status=succeeded delivery=called job=succeeded package=succeeded"
FAILED = "status=failed delivery=called job=failed package=failed"
UNKNOWN = "status=unknown delivery=called job=unknown package=unknown"
LOST = "status=lost delivery=called job=lost package=unknown"


class History:
    """What was told, witnessed and done, with times in seconds; a call of its own for each run."""

    def __init__(self):
        self.told, self.witness, self.deeds = [], [], []

    def called(self, run, on_lost="fail", at=1, key=None):
        key = key or f"key-{run}"
        self.told += [f"asks at={at} key={key} on_lost={on_lost}",
                      f"accepted at={at} key={key} run={run}"]
        return self

    def child(self, run, what, at, attempt=1, pid=100, ppid=10, key=None, more=""):
        self.witness.append(f"{what} at={at} run={run} attempt={attempt} pid={pid} ppid={ppid} "
                            f"server=s1 key={key or 'key-' + run}{more}")
        return self

    def lived(self, run, begin, end, code=0, **more):
        self.child(run, "begin", begin, **more)
        return self.child(run, "end", end, more=f" code={code}", **more)

    def ended(self, run, how=SUCCEEDED, at=20, attempt=1):
        self.told.append(f"ended at={at} run={run} attempt={attempt} {how}")
        return self

    def did(self, what, at, **more):
        self.deeds.append(f"{what} at={at}" + "".join(f" {k}={v}" for k, v in more.items()))
        return self

    def well(self, run="a", on_lost="fail"):
        return self.called(run, on_lost).lived(run, 2, 3).ended(run)

    def write(self, folder):
        for name in ("told", "witness", "deeds"):
            with open(os.path.join(folder, name), "w") as f:
                f.write("".join(line + "\n" for line in getattr(self, name)))
        return [os.path.join(folder, name) for name in ("deeds", "witness", "told")]

    def judged(self):
        """How often each fault was found, of those that were."""
        with tempfile.TemporaryDirectory() as folder:
            deeds, witness, told = self.write(folder)
            judge = Judge(lost_after=10)
            judge.take(deeds, witness, [told])
            judge.judge()
            with contextlib.redirect_stdout(io.StringIO()):
                judge.report()
        return {name: len(found) for name, found in judge.faults.items() if found}


class TheJudge(unittest.TestCase):
    def finds(self, history, *faults):
        self.assertEqual(sorted(history.judged()), sorted(faults))

    # ---- What is well

    def test_a_call_that_ended_as_its_child_says(self):
        self.finds(History().well())
        self.finds(History().called("a").lived("a", 2, 3, code=3).ended("a", FAILED))

    def test_the_same_end_heard_twice(self):
        self.finds(History().well().ended("a", at=30))

    def test_a_child_that_died_with_its_keeper_and_is_unknown(self):
        self.finds(History().called("a").child("a", "begin", 2)
                   .did("kill", 3, kind="keeper", pid=10).ended("a", UNKNOWN))

    def test_a_keeper_that_was_killed_before_its_child_could_say_that_it_began(self):
        self.finds(History().called("a").did("kill", 3, kind="keeper", pid=10).ended("a", UNKNOWN))

    def test_a_fenced_child_and_its_next_attempt(self):
        h = (History().called("a", "rerun").child("a", "begin", 2)
             .did("away", 3, kind="server", name="s1"))
        h.child("a", "term", 8).lived("a", 15, 16, attempt=2, pid=101).ended("a", attempt=2)
        self.finds(h)

    def test_a_held_run_that_a_person_released(self):
        for how, end in (("succeed", SUCCEEDED), ("fail", LOST)):
            h = (History().called("a", "hold").child("a", "begin", 2)
                 .did("away", 3, kind="server", name="s1"))
            self.finds(h.did("release", 15, run="a", attempt=1, how=how).child("a", "term", 50)
                       .did("back", 49, name="s1").ended("a", end))
            h = (History().called("a", "hold").child("a", "begin", 2)
                 .did("away", 3, kind="server", name="s1"))
            # it was there, and not away any more
            h.child("a", "beat", 99).did("release", 100, run="a", attempt=1, how=how)
            self.finds(h.child("a", "term", 101).ended("a", end))
        h = (History().called("a", "hold").lived("a", 2, 5)
             .did("release", 13, run="a", attempt=1, how="rerun"))
        self.finds(h.lived("a", 15, 16, attempt=2).ended("a", attempt=2))

    def replaced(self, released=13, back=66, server="s1", attempt=1, last=66.1, how="rerun"):
        """A held run's second attempt, and its first, which lived until its server was back."""
        h = (History().called("a", "hold").child("a", "begin", 2)
             .did("away", 3, kind="server", name="s1"))
        h.child("a", "beat", last).did("release", released, run="a", attempt=attempt, how=how)
        return (h.did("back", back, name=server).lived("a", 77, 78, attempt=2, pid=101)
                .ended("a", attempt=2))

    def test_an_older_attempt_killed_when_its_server_came_back_after_a_person_reran_it(self):
        self.finds(self.replaced())

    def test_an_older_attempt_that_died_of_something_else_than_its_servers_return(self):
        self.finds(self.replaced(back=69), "died of a death not its own")
        self.finds(self.replaced(back=30), "died of a death not its own")
        self.finds(self.replaced(server="s2"), "died of a death not its own")
        self.finds(self.replaced(released=69), "died of a death not its own")
        self.finds(self.replaced(attempt=0), "died of a death not its own")
        self.assertIn("died of a death not its own", self.replaced(how="fail").judged())

    def test_an_older_attempt_killed_when_a_person_reran_it_while_its_server_was_there(self):
        self.finds(self.replaced(released=66, back=4))

    def test_a_held_runs_child_that_was_ended_before_a_person_had_decided(self):
        for how, end in (("succeed", SUCCEEDED), ("fail", LOST)):
            h = (History().called("a", "hold").child("a", "begin", 2)
                 .did("away", 3, kind="server", name="s1"))
            h.did("back", 13, name="s1").child("a", "term", 14)
            h.did("release", 15, run="a", attempt=1, how=how)
            self.finds(h.ended("a", end), "died of a death not its own")

    def test_a_lost_run_whose_server_was_away(self):
        h = History().called("a").lived("a", 2, 40).did("away", 3, kind="server", name="s1")
        self.finds(h.ended("a", LOST, at=14))
        h = History().called("a").child("a", "begin", 2).did("away", 3, kind="server", name="s1")
        # asked to end when its server was back
        self.finds(h.child("a", "term", 16).ended("a", LOST))

    # ---- Each fault

    def test_a_lost_call(self):
        self.finds(History().well().called("b"), "lost")

    def test_a_run_whose_child_began_twice_in_one_attempt(self):
        self.finds(History().called("a", "rerun").lived("a", 2, 3).lived("a", 4, 5, pid=101)
                   .ended("a"), "run twice unasked")

    def test_a_run_begun_again_though_its_on_lost_is_not_rerun(self):
        for on_lost in ("fail", "hold", "default"):
            h = History().called("a", on_lost).lived("a", 2, 3).lived("a", 4, 5, attempt=2, pid=101)
            self.finds(h.ended("a", attempt=2), "run twice unasked")

    def test_a_run_begun_a_third_time_though_released_once(self):
        h = (History().called("a", "hold").lived("a", 2, 3)
             .did("release", 13, run="a", attempt=1, how="rerun"))
        h.lived("a", 15, 16, attempt=2).lived("a", 17, 18, attempt=3).ended("a", attempt=3)
        self.finds(h, "run twice unasked")

    def test_a_run_begun_again_before_it_was_released(self):
        h = History().called("a", "hold").lived("a", 2, 3).lived("a", 5, 6, attempt=2)
        self.finds(h.did("release", 13, run="a", attempt=1, how="rerun").ended("a", attempt=2),
                   "run twice unasked")

    def test_a_key_with_two_runs_told_of_which_one_never_began(self):
        self.finds(History().well("a").called("b", key="key-a").ended("b"), "one key, two runs",
                   "end contradicts the child")

    def test_a_key_with_two_runs_told(self):
        self.finds(History().well("a").called("b", key="key-a").lived("b", 4, 5, key="key-a")
                   .ended("b"), "one key, two runs")

    def test_a_key_with_two_runs_begun_of_which_one_was_never_told(self):
        self.finds(History().well("a").lived("b", 4, 5, key="key-a"), "one key, two runs")

    def test_overlapping_attempts_of_a_rerun(self):
        h = (History().called("a", "rerun").lived("a", 2, 9).lived("a", 8, 12, attempt=2, pid=101)
             .ended("a", attempt=2))
        self.finds(h, "two attempts at once")

    def test_what_a_fenced_child_had_started_lives_when_the_next_attempt_begins(self):
        h = (History().called("a", "rerun").child("a", "begin", 2)
             .did("away", 3, kind="server", name="s1"))
        h.child("a", "term", 8).child("a", "beat", 11, pid=102)
        h.lived("a", 10, 12, attempt=2, pid=101)
        self.finds(h.ended("a", attempt=2), "two attempts at once")

    def test_an_older_attempt_that_begins_after_a_newer_one(self):
        h = (History().called("a", "rerun").lived("a", 2, 3, attempt=2).lived("a", 5, 6, attempt=1)
             .ended("a", attempt=2))
        self.finds(h, "two attempts at once")

    def test_a_child_that_nobody_called(self):
        self.finds(History().well().lived("b", 2, 3), "nobody called it")

    def test_an_end_of_a_run_that_was_never_accepted(self):
        self.finds(History().well().ended("b"), "ended nobody knows")

    def test_two_ends_that_differ(self):
        self.finds(History().well().ended("a", FAILED), "recorded twice")
        self.finds(History().well("a", "rerun").ended("a", attempt=2), "recorded twice")

    def test_an_end_that_contradicts_the_child(self):
        contradiction = "end contradicts the child"
        # it never began
        self.finds(History().called("a").ended("a"), contradiction)
        # it failed
        self.finds(History().called("a").lived("a", 2, 3, code=3).ended("a"), contradiction)
        # it succeeded
        self.finds(History().called("a").lived("a", 2, 3).ended("a", FAILED), contradiction)
        self.finds(History().called("a").ended("a", FAILED), contradiction)
        # nobody killed its keeper
        self.finds(History().called("a").lived("a", 2, 3).ended("a", UNKNOWN), contradiction)
        self.finds(History().called("a").ended("a", UNKNOWN), contradiction)
        self.finds(History().called("a", "rerun").lived("a", 2, 3).ended("a", attempt=2),
                   contradiction)

    def test_an_end_that_says_it_was_not_called_though_it_began(self):
        h = History().called("a").lived("a", 2, 3, code=3)
        self.finds(h.ended("a", "status=failed delivery=called job=not_called package=failed"),
                   "end contradicts the child")

    def test_unknown_though_a_keeper_was_killed_only_after_the_end_or_before_the_call(self):
        for at in (30, -2):
            self.finds(History().called("a").did("kill", at, kind="keeper", pid=10)
                       .ended("a", UNKNOWN), "end contradicts the child")

    def test_a_held_run_that_ended_otherwise_than_it_was_released(self):
        for how, end in (("succeed", LOST), ("fail", SUCCEEDED)):
            h = (History().called("a", "hold").lived("a", 2, 3)
                 .did("release", 13, run="a", attempt=1, how=how))
            self.finds(h.did("away", 3, kind="server", name="s1").ended("a", end),
                       "end contradicts the child")

    def test_an_end_that_nobody_asked_for(self):
        for status in ("refused", "unreachable", "cancelled", "timed_out"):
            h = (History().called("a")
                 .ended("a", f"status={status} delivery=called job={status} package=not_executed"))
            self.finds(h, "end contradicts the child")

    def test_lost_without_a_reason_or_too_soon_or_though_it_should_run_again(self):
        self.finds(History().called("a").lived("a", 2, 3).ended("a", LOST),
                   "end contradicts the child")
        h = History().called("a").lived("a", 2, 3).did("away", 2, kind="server", name="s1")
        self.finds(h.ended("a", LOST, at=8), "end contradicts the child")
        h = History().called("a", "rerun").lived("a", 2, 3).did("away", 2, kind="server", name="s1")
        self.finds(h.ended("a", LOST), "end contradicts the child")

    def test_a_child_that_died_when_its_worker_was_killed(self):
        for kind, pid in (("worker", 10), ("runner", 10), ("broker", 10), ("keeper", 11),
                          ("guard", 10)):
            h = (History().called("a").child("a", "begin", 2).child("a", "beat", 3)
                 .did("kill", 3.1, kind=kind, pid=pid))
            self.finds(h.ended("a", UNKNOWN), "died of a death not its own",
                       "end contradicts the child")

    def test_a_child_that_died_before_its_keeper_was_killed(self):
        h = (History().called("a").child("a", "begin", 2).child("a", "beat", 3)
             .did("kill", 9, kind="keeper", pid=10))
        self.finds(h.ended("a", UNKNOWN), "died of a death not its own",
                   "end contradicts the child")

    def test_a_child_that_was_asked_to_end_though_no_fence_applied(self):
        h = (History().called("a").child("a", "begin", 2).child("a", "term", 3)
             .did("away", 2, kind="server", name="s1"))
        self.finds(h.ended("a", LOST, at=14), "died of a death not its own")
        for how in ("rerun", "fail"):  # nobody was away
            h = History().called("a", how).child("a", "begin", 2).child("a", "term", 14)
            self.assertIn("died of a death not its own", h.ended("a", LOST).judged())
        h = (History().called("a").child("a", "begin", 2).did("away", 2, kind="server", name="s1")
             .child("a", "term", 14))
        self.assertIn("died of a death not its own", h.ended("a", UNKNOWN).judged())

    def test_a_child_that_lives_on_after_its_keeper(self):
        h = History().called("a").lived("a", 2, 9).did("kill", 3, kind="keeper", pid=10)
        self.finds(h.ended("a", UNKNOWN), "outlived its end")

    def test_what_a_child_had_started_lives_on_after_it(self):
        self.finds(History().well().child("a", "beat", 30, pid=101), "outlived its end")

    def test_lines_that_cannot_be_read(self):
        h = History().well()
        h.told.append("ended run=a")
        h.witness.append("begin at=soon")
        self.finds(h, "unreadable lines")

    # ---- As a program

    def run_it(self, history):
        with tempfile.TemporaryDirectory() as folder:
            deeds, witness, told = history.write(folder)
            return subprocess.run([sys.executable, JUDGE, "--lost-after", "10", "--deeds", deeds,
                                   "--witness", witness, told], capture_output=True, text=True)

    def test_it_exits_with_1_and_prints_the_offending_line(self):
        got = self.run_it(History().well().called("b").did("kill", 2, kind="broker", pid=1))
        self.assertEqual(got.returncode, 1)
        self.assertIn("lost: 1\n", got.stdout)
        self.assertIn("told:5: accepted at=1 key=key-b run=b", got.stdout)

    def test_it_exits_with_0_when_all_is_well_and_names_every_count(self):
        got = self.run_it(History().well().did("kill", 2, kind="broker", pid=1)
                          .did("memory", 3, kb=2048))
        self.assertEqual(got.returncode, 0)
        self.assertIn("kills: 1 (1 broker)", got.stdout)
        self.assertIn("2.0 MiB", got.stdout)
        self.assertIn("never accepted, as far as their callers heard: 0;", got.stdout)
        for name in FAULTS:
            self.assertIn(f"\n{name}: 0\n", got.stdout)

    def test_a_call_that_was_never_accepted_is_not_lost(self):
        h = History().well().did("kill", 2, kind="broker", pid=1)
        h.told.append("asks at=5 key=late on_lost=fail")
        got = self.run_it(h)
        self.assertEqual(got.returncode, 0)
        self.assertIn("\nlost: 0\n", got.stdout)
        self.assertIn("never accepted, as far as their callers heard: 1;", got.stdout)

    def test_it_exits_with_1_when_nothing_happened(self):
        self.assertEqual(self.run_it(History()).returncode, 1)
        self.assertEqual(self.run_it(History().well()).returncode, 1)  # nobody was killed


if __name__ == "__main__":
    unittest.main()
