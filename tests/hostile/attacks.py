"""attacks.py - what a malicious holder of a valid key may try, each as a function. All of them have
worked once, against Longboat or a program like it.

An attack gets a Mob (an identity and how long it may last) and does its worst until then. It
expects nothing: refusals, closed sessions and silence are what should happen, and it goes on. So it
opens and uses connections through the Mob alone, for which a broker that is away is no error.
"""
import hashlib
import json
import os
import random
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))

import zmq  # noqa: E402
from peer import Peer, ENROL, CERTIFICATE, OPERATE, PUBLISH, ZERO16, ZERO32, lb  # noqa
from rawpeer import Raw  # noqa: E402
from randomwords import Words  # noqa: E402
from trouble import NoSession, Rest, is_trouble  # noqa: E402

FRAME = (1 << 20) - 4096  # bytes of messages in one frame
GOALS = {}                # name: (roles, function)
# What these leave behind lives on, up to their principal's share; so they are the last to be tried
# where memory is measured.
KEEPS = {"calls-for-a-server-that-never-comes", "calls-that-outrun-the-workers"}


def attack(*roles):
    def take(f):
        GOALS[f.__name__.replace("_", "-")] = (roles, f)
        return f
    return take


class Mob:
    """One principal, who opens sessions as it likes. Its sessions acknowledge nothing unless they
    say so."""

    def __init__(self, who, seconds, seed, rival=None):
        self.who, self.rng = who, random.Random(seed)
        self.rival = rival  # the name of somebody else
        self.end = time.monotonic() + seconds
        self.sessions, self.sent, self.troubles, self.open = 0, 0, 0, []
        self.rest, self.trouble = Rest(), None
        self.spool = hashlib.blake2b(bytes(who.key), digest_size=16).digest()
        self.words = Words(self.who, self.rng)

    @property
    def on(self):
        return time.monotonic() < self.end

    def left(self, most):
        """Seconds that are left, but at most so many."""
        return min(most, max(0.0, self.end - time.monotonic()))

    def talk(self, f, *words):
        """f(*words), or None: the connection is gone, or there is none. All that an attack says
        and hears goes through here."""
        self.trouble = None
        try:
            return f(*words)
        except Exception as e:
            if not is_trouble(e):
                raise
            self.trouble = e
            self.troubles += 1
            return None

    def opened(self, f, *words):
        """The same for a new connection. A broker that is away is asked again after a rest."""
        self.sessions += 1
        p = self.talk(f, *words)
        time.sleep(self.left(self.rest.after(self.trouble)))
        return p

    def peer(self, hello=True, slots=0):
        """Another session, or None: it was not opened."""
        return self.opened(self._peer, hello, slots)

    def _peer(self, hello, slots):
        p = Peer(self.who)
        self.open.append(p)
        p.socket.setsockopt(zmq.LINGER, 0)
        try:
            if hello:
                self._hello(p, slots)
        except Exception:
            self.leave(p)
            raise
        return p

    def _hello(self, p, slots):
        server = self.who.me["role"] == "server"
        if not p.connected(self.left(10)):
            raise TimeoutError
        m = p.hello(spool=self.spool if server else ZERO16, slots=slots)
        if not m or m[0] != lb.WELCOME:
            raise NoSession
        if server:
            p.say(lb.pack(32, 0), lb.pack(30, slots, [], [], [], {}))

    def persist(self, f):
        """The whole attack f, and again if trouble ends it, until the time is over. Its own
        mistakes come out."""
        try:
            while not self.did(f, self) and self.on:
                self.leave_all()
                time.sleep(self.left(self.rest.after(self.trouble)))
        finally:
            self.leave_all()

    def raw_peer(self, hello):
        """A connection byte by byte, with or without a session; None: it was not made."""
        return self.opened(self._raw_peer, hello)

    def _raw_peer(self, hello):
        r = Raw(self.who)
        try:
            if not r.handshake():
                raise NoSession
            if hello:
                r.hello()
        except Exception:
            r.socket.close()
            raise
        return r

    def leave(self, p):
        if p in self.open:
            self.open.remove(p)
        p.close()

    def leave_all(self):
        for p in list(self.open):
            self.leave(p)

    def did(self, f, *words):
        """False: there was trouble."""
        return self.talk(lambda: (f(*words), True)) is not None

    def say(self, p, *messages):
        """False: the connection takes no more, or is gone."""
        if not self.did(p.say, *messages):
            return False
        self.sent += len(messages)
        return True

    def ask(self, p, *message):
        """The answer, a last word, or None."""
        return self.talk(p.ask, *message)

    def drain(self, p, seconds=0.0):
        """Reads what there is; False: the session is over."""
        return bool(self.talk(self._drain, p, seconds))

    def _drain(self, p, seconds):
        m = p.hear(seconds)
        while m:
            self.words.note(m)
            if m[0] in (0, lb.REFUSED, lb.RESET):
                return False
            m = p.hear(0)
        p.raw(p.session.frame())
        return True

    def frames(self, make, many=1 << 30):
        """Frames as full as they may be of make(n), n = 1, 2, ..."""
        n = 0
        while n < many:
            messages, size = [], 0
            while size < FRAME and n < many:
                n += 1
                m = make(n)
                if size + len(m) > FRAME and messages:
                    n -= 1
                    break
                messages.append(m)
                size += len(m)
            yield messages

    def call(self, address, **changes):
        """A signed call of `package:child` at an address."""
        now = int(time.time() * 1000)
        have = dict(caller=self.who.me["name"], key=str(uuid.uuid4()), job="package:child",
                    parent=ZERO16, task="", index=0, text="x" * 200)
        have.update(changes)
        body = lb.pack(lb.D_CALL, self.who.me["cluster"], have["caller"], have["key"], have["job"],
                       ZERO32, True, address, {"text": have["text"]}, 0, 0, 0, 0, 4, "", now,
                       now + 86400000, have["parent"], have["task"], have["index"], 0, [], "")
        return self.who.sign(b"call", body)

    def flood(self, make, sessions=1, stay=False):
        """Says make(n) on so many sessions as fast as they take it."""
        while self.on:
            peers = [p for p in (self.peer() for _ in range(sessions)) if p]
            streams = [(p, self.frames(make)) for p in peers]
            while self.on and streams:
                for p, stream in list(streams):
                    if not self.say(p, *next(stream)) or not self.drain(p):
                        streams.remove((p, stream))
            if not stay:
                self.leave_all()


# An administrator may do everything, so its key is tried only in what no key may do: to cost others
# their time, memory or records.
PEOPLE = ("caller", "monitor", "administrator")


@attack(*PEOPLE)
def questions_that_nobody_waits_for(mob):
    """50,000 questions in a few frames, then gone; again and again."""
    what = mob.rng.choice(["history", "runs", "parents", "servers", "packages", "certificates"])
    while mob.on:
        p = mob.peer()
        if p:
            for messages in mob.frames(lambda n: lb.pack(50, n, what, {}, "", 0), 50000):
                if not mob.say(p, *messages):
                    break
            mob.leave(p)


@attack(*PEOPLE)
def one_full_frame_of_questions(mob):
    mob.flood(lambda n: lb.pack(50, n, "packages", {}, "", 0))


@attack(*PEOPLE)
def questions_over_many_sessions(mob):
    mob.flood(lambda n: lb.pack(50, n, "history", {"job": "*no-such*"}, "", 500), sessions=40)


@attack(*PEOPLE)
def subscriptions_that_match_nothing(mob):
    """From the first event on, with a filter for what never happens; then it vanishes unread."""
    while mob.on:
        for _ in range(8):
            p = mob.peer()
            if p:
                mob.say(p, *[lb.pack(53, n, 0, 0, {"job": f"none-{n}"}, 1 << 30)
                             for n in range(1, 33)])
        time.sleep(mob.left(1.0))
        mob.leave_all()


@attack(*PEOPLE)
def followers_that_read_nothing(mob):
    for _ in range(60):
        p = mob.peer()
        if p:
            mob.say(p, *[lb.pack(53, n, 0, 0, {}, 1 << 30) for n in range(1, 33)])
        if not mob.on:
            break
    while mob.on:
        time.sleep(0.1)
        for p in mob.open:
            mob.say(p, lb.pack(5, 1))
    mob.leave_all()


@attack(*PEOPLE, "server")
def sessions_that_read_nothing(mob):
    """255 sessions, each with answers that it never takes; it says that it lives, and no more."""
    for _ in range(255):
        p = mob.peer()
        if p:
            mob.say(p, *[lb.pack(50, n, "certificates", {}, "", 500) for n in range(1, 15)])
        if not mob.on:
            break
    while mob.on:
        for p in mob.open:
            mob.talk(p.socket.send, lb.pack(0, p.session.id, p.session.sent, 1), zmq.DONTWAIT)
        time.sleep(0.5)
    mob.leave_all()


@attack(*PEOPLE, "server", "newcomer")
def connections_that_never_say_hello(mob):
    while mob.on:
        for _ in range(100):
            p = mob.peer(hello=False)
            if p:
                mob.talk(p.connected, 0.5)
            if not mob.on:
                break
        time.sleep(0.5)
        mob.leave_all()


@attack(*PEOPLE, "server")
def messages_without_their_last_byte(mob):
    """On 255 connections, every second one with a session: as long as may be, and never whole."""
    open_ = []
    while mob.on:
        for n in range(255):
            if not mob.on:
                break
            r = mob.raw_peer(hello=n % 2)
            if r:
                open_.append(r)
                r.socket.settimeout(0.05)
                mob.talk(r.socket.sendall, r.wrapped(bytes(FRAME))[:-1])
        time.sleep(mob.left(0.5))
        while open_:
            open_.pop().socket.close()


@attack(*PEOPLE, "server", "newcomer")
def sessions_that_come_and_go(mob):
    while mob.on:
        p = mob.peer()
        if p:
            mob.leave(p)


@attack("caller", "monitor", "server", "newcomer")
def random_words(mob):
    """Well-typed messages of every kind, some with a wrong byte, in sessions that last a while."""
    p = None
    while mob.on:
        p = p or mob.peer(slots=4)
        if not p:
            continue
        alive = mob.say(p, *[mob.words.message() for _ in range(mob.rng.randrange(1, 12))])
        if not alive or not mob.drain(p, 0.01):
            mob.leave(p)
            p = None
    mob.leave_all()


@attack(*PEOPLE, "server", "newcomer")
def malformed_frames(mob):
    while mob.on:
        p = mob.peer()
        if not p:
            continue
        for _ in range(200):
            data = p.session.frame(mob.words.message())
            cut = mob.rng.randrange(1, len(data))
            if not mob.did(p.raw, mob.rng.choice([data[:cut], data + b"\xc1",
                                                  mob.rng.randbytes(cut), b""])):
                break
        mob.drain(p)
        mob.leave(p)


@attack("caller", "administrator")
def calls_for_a_server_that_never_comes(mob):
    """As many parked calls as the broker takes."""
    mob.flood(lambda n: lb.pack(12, n, mob.call("nowhere"), 0), stay=True)


@attack("caller", "administrator")
def calls_that_outrun_the_workers(mob):
    mob.flood(lambda n: lb.pack(12, n, mob.call("s1"), 2), stay=True)


@attack("caller", "administrator")
def followers_of_a_log_that_never_grows(mob):
    p = mob.peer()
    if not p:
        return
    answer = mob.ask(p, 12, 1, mob.call("nowhere"), 0)
    run = answer[2] if answer and answer[0] == lb.ACCEPTED else os.urandom(16)
    mob.flood(lambda n: lb.pack(57, n, run, "", 0, True), sessions=8)


@attack("caller")
def calls_of_somebody_elses_parent(mob):
    mob.flood(lambda n: lb.pack(12, n, mob.call("s1", parent=mob.rng.choice(mob.words.ids),
                                                task="load", index=n), 2))


@attack("caller")
def plans_of_parents_that_never_begin(mob):
    while mob.on:
        p = mob.peer()
        if not p:
            continue
        plan, size, at = mob.rng.randbytes(256 << 10), 16 << 20, 0
        digest = hashlib.blake2b(plan * (size // len(plan)), digest_size=32).digest()
        while mob.on and at < size:
            m = mob.ask(p, 21, 1, digest, at, size, plan)
            if not m or m[0] != lb.DONE:
                break
            at = int(m[2])
        mob.leave(p)


@attack("caller", "administrator")
def uploads_that_are_never_finished(mob):
    while mob.on:
        p = mob.peer()
        if not p:
            continue
        for _ in range(40):
            m = mob.ask(p, 70, 1, mob.rng.randbytes(32), 0, 1 << 30, bytes(256 << 10))
            if not m or m[0] not in (lb.DONE, lb.ERROR):
                break
        mob.leave(p)


@attack("caller", "administrator")
def signatures_of_others_packages(mob):
    """PUT_END with garbage for a package that is there: its signature and manifest must stay."""
    def make(n):
        digest = mob.rng.choice(mob.words.hashes)
        return lb.pack(71, n, digest, json.dumps({"name": "evil", "version": "9"}).encode(), b"no")
    mob.flood(make)


@attack("caller", "monitor")
def denials(mob):
    """What it may not do, as often as it can: each is refused, and must cost no history."""
    def make(n):
        target = mob.rng.choice(["s1", "s2", mob.rival or "anna", str(uuid.uuid4())])
        return mob.rng.choice([
            lb.pack(OPERATE, n, mob.rng.choice(["drain", "forget", "release"]), target, {}, "x"),
            lb.pack(17, n, mob.rng.choice(mob.words.ids), True, "x" * 4000),
            lb.pack(CERTIFICATE, n, target, 0), lb.pack(PUBLISH, n, mob.who.certificate)])
    mob.flood(make)


@attack(*PEOPLE, "newcomer")
def keys_of_others(mob):
    """Certificates of others' keys, enrolled with a key that has no invitation."""
    def make(n):
        return lb.pack(ENROL, n, mob.who.certificate, mob.rng.randbytes(64))
    mob.flood(make)


@attack("server")
def results_of_runs_that_never_were(mob):
    step = lb.pack(117, "s", 1, 0, "", 1, "p", "1", ZERO32, "x" * 4000, {}, 0, 0, False, False,
                   False, 1, 1, 0, 0, 0, 0, 0, 0, "u", [], [], 0)
    outcome = lb.pack(lb.D_OUTCOME, 0, 1, 1, 7, 0, "", mob.who.me["name"], "package:say", ZERO32,
                      1, 1, 1, [step] * 100, {}, [])

    def make(n):
        run = mob.rng.choice(mob.words.ids) if n % 2 else mob.rng.randbytes(16)
        return lb.pack(36, run, mob.rng.randrange(1, 4), outcome)
    mob.flood(make)


@attack("server")
def pieces_of_logs_without_bytes(mob):
    now = int(time.time() * 1000)
    mob.flood(lambda n: lb.pack(41, mob.rng.choice(mob.words.ids), 1, "s" * 60, 1, 1, n, now, b"",
                                n % 2))


@attack("server")
def logs_of_others_runs(mob):
    now = int(time.time() * 1000)
    mob.flood(lambda n: lb.pack(41, mob.rng.choice(mob.words.ids), n % 3, "main", 1, 1, n << 16,
                                now, b"forged\n" * 9000, 0))


@attack("server")
def attestations_of_everything(mob):
    """Versions of others' jobs, texts that act on terminals, lists as long as they may be."""
    esc = "\x1b]0;stolen\x07\x1b[31m\u202e\n" + "x" * 200

    def make(n):
        jobs = [lb.pack(108, mob.rng.choice(["package:child", "load", f"job-{k}"]),
                        mob.rng.randbytes(32), esc, 1, True, [], [], b"", 0) for k in range(300)]
        packages = [lb.pack(109, f"pkg-{k}", esc, mob.rng.randbytes(32), esc, 1, esc)
                    for k in range(300)]
        needs = [lb.pack(110, f"{k}{esc}", False, esc, 1) for k in range(100)]
        return lb.pack(30, 4, jobs, packages, needs, {"fact": esc})
    mob.flood(make)


@attack("server")
def reports_of_runs_that_it_was_not_given(mob):
    def make(n):
        run = mob.rng.choice(mob.words.ids)
        return mob.rng.choice([lb.pack(34, run, 1, f"s{n}", 1), lb.pack(35, run, 1, n % 100, "x"),
                               lb.pack(40, run, 1, "no"), lb.pack(31, run, 1, 3)])
    mob.flood(make)
