"""cases.py - what may happen to a client, each as a small change of the plain script."""
import time

from script import JOB_FAILED, POOL, RUN, RUNNING, SERVER, Case, lb, outcome, wall

BUSY, DENIED, EXPIRED, REVOKED = 11, 7, 12, 5


class plain(Case):
    title = "a call is resolved, signed, sent and followed to its end"

    def verify(self):
        if len(self.calls) != 1 or len(self.hellos) != 1:
            self.fault("5", f"{len(self.hellos)} sessions and {len(self.calls)} calls for one run")


class failed(Case):
    title = "a run that failed is not called a success"
    exit = None

    def on_call(self, s, m):
        s.accept(m[1])
        s.end(JOB_FAILED)


class refused_outcome(Case):
    title = "a run that its server refused is not called a success"
    exit = None

    def on_call(self, s, m):
        s.accept(m[1])
        s.end(0, delivery=1, code=21, message="parameter 'text' is of the wrong type")


class unsigned_result(Case):
    title = "a success that no server has signed is not believed"
    exit = None

    def on_call(self, s, m):
        s.accept(m[1])
        s.say(lb.RUN_ENDED, RUN, 1, SERVER, outcome())


class invented_result(Case):
    title = "a success that another key has signed in its server's name is not believed"
    exit = None

    def on_call(self, s, m):
        s.accept(m[1])
        s.frame(self.result(outcome(), key=self.who.stranger))


class older_result(Case):
    title = "the result of an older attempt, told for a newer, is not believed"
    exit = None

    def on_call(self, s, m):
        s.accept(m[1])
        s.frame(self.result(outcome(), attempt=2))


class ends_the_session(Case):
    """Something after which the client must open a new session soon, and say its call again."""
    section = "3.3"
    ended = None

    def over(self, s):
        s.over, self.ended = True, time.monotonic()

    def verify(self):
        if len(self.hellos) < 2 or self.hellos[1] - self.ended > 5:
            self.fault(self.section, "no new session within 5 s")
        self.one_body()


class gap(ends_the_session):
    title = "a gap in the numbers ends the session; nothing behind it counts"

    def on_call(self, s, m):
        if len(self.calls) > 1:
            return super().on_call(s, m)
        s.accept(m[1])
        s.sent += 1  # this frame is lost
        s.end(JOB_FAILED)
        self.over(s)


class lost_tail(ends_the_session):
    title = "a heartbeat beyond the last frame received shows that one was lost"

    def on_call(self, s, m):
        if len(self.calls) > 1:
            return super().on_call(s, m)
        s.accept(m[1])
        s.sent += 1
        s.frame()  # no messages, and a number that the client has not seen
        self.over(s)


class reset(ends_the_session):
    title = "RESET in place of an answer: a new session, and the call again, as it was"

    def on_call(self, s, m):
        if len(self.calls) > 1:
            return super().on_call(s, m)
        s.last_word(lb.RESET, "a frame was lost")
        self.over(s)

    def verify(self):
        super().verify()
        if len(self.calls) < 2:
            self.fault("3.8", "a call without an answer was not said again")


class resets(Case):
    title = "a broker that resets again and again is not asked in a hot loop"

    def on_hello(self, s, m):
        if len(self.hellos) <= 4:
            s.last_word(lb.RESET, "not yet")
        else:
            super().on_hello(s, m)

    def verify(self):
        self.not_before("4", "HELLO again", self.hellos[:5], 0.2)
        rests = [b - a for a, b in zip(self.hellos, self.hellos[1:])][:4]
        if len(rests) == 4 and rests[3] < 1.5:
            self.fault("4", f"the fourth rest is {rests[3]:.2f} s: it does not double")


class connection_lost(Case):
    title = "the connection is lost before the answer: the call again, as it was"
    resets_strays = True

    def on_call(self, s, m):
        if len(self.calls) > 1:
            return super().on_call(s, m)
        s.over = True
        self.socket.close(linger=0)
        self.bind()

    def verify(self):
        if len(self.calls) < 2:
            self.fault("3.8", "a call without an answer was not said again")
        self.one_body()


class followed_again(Case):
    title = "a run whose end was not heard is asked for again in the next session"

    def on_call(self, s, m):
        s.accept(m[1])
        s.last_word(lb.RESET, "the broker was restarted")

    def verify(self):
        if not any(s.follows for s in self.sessions[1:]):
            self.fault("3.8", "no FOLLOW in the next session")


class duplicate_frame(Case):
    title = "a frame whose number came before is ignored, whatever it holds"

    def on_call(self, s, m):
        s.accept(m[1])
        s.frame(lb.pack(lb.RUN_STATE, RUN, RUNNING, 1, SERVER, 5, "", wall()))
        false = self.result(outcome(JOB_FAILED))
        s.frame(false, number=s.sent)
        s.frame(false, number=1)
        self.after(0.5, s.end)

    def verify(self):
        if len(self.hellos) != 1:
            self.fault("3.3", "a duplicate ended the session")


class duplicate_answer(Case):
    title = "an answer and an end that come twice do no harm"

    def on_call(self, s, m):
        s.accept(m[1])
        s.accept(m[1], duplicate=True)
        s.end()
        s.end()


class older_session(Case):
    title = "a frame of an older session is ignored"

    def on_call(self, s, m):
        if len(self.calls) == 1:
            s.last_word(lb.RESET, "a frame was lost")
            return
        old = self.sessions[0]
        old.route = s.route
        old.frame(self.result(outcome(JOB_FAILED)))
        old.last_word(lb.REFUSED, REVOKED, "of an older session", 0)
        self.after(0.3, lambda: (s.accept(m[1]), s.end()))


class many_frames(Case):
    title = "forty frames at once are acknowledged and taken in order"

    def on_call(self, s, m):
        s.accept(m[1])
        for i in range(40):
            s.say(lb.RUN_STATE, RUN, RUNNING, 1, SERVER, i, f"step {i}", wall())
        self.after(1.6, s.end)


class idle(Case):
    title = "a quiet session is kept alive from both sides"
    seconds = 30

    def on_call(self, s, m):
        s.accept(m[1])
        self.after(7, s.end)

    def verify(self):
        if len(self.hellos) != 1:
            self.fault("3.5", "the session did not last for 7 s")


class silence(Case):
    title = "15 s without a word end the session"
    seconds = 60

    def on_call(self, s, m):
        if len(self.calls) > 1:
            return super().on_call(s, m)
        s.over, self.silent_from = True, time.monotonic()

    def verify(self):
        waited = self.hellos[1] - self.silent_from if len(self.hellos) > 1 else 0
        if not 12 < waited < 25:
            self.fault("3.5", f"the next HELLO came after {waited:.0f} s")
        self.one_body()


class busy(Case):
    title = "busy: the same call again, not before its time"

    def on_call(self, s, m):
        if len(self.calls) > 2:
            return super().on_call(s, m)
        s.say(lb.ERROR, m[1], BUSY, "too much waits", 1500)

    def verify(self):
        self.not_before("6", "the call again", [at for at, _, _ in self.calls], 1.45)
        if len(self.calls) < 3:
            self.fault("6", "a busy call was not said again")
        self.one_body()


class busy_over_a_session(Case):
    title = "busy: a new session does not make its time shorter"

    def on_call(self, s, m):
        if len(self.calls) > 1:
            return super().on_call(s, m)
        s.say(lb.ERROR, m[1], BUSY, "too much waits", 3000)
        self.after(0.3, lambda: s.last_word(lb.RESET, "the broker was restarted"))

    def verify(self):
        self.not_before("4", "the call again", [at for at, _, _ in self.calls], 2.9)
        self.one_body()


class busy_resolve(Case):
    title = "busy, in answer to RESOLVE"
    asked = 0

    def on_resolve(self, s, m, extra=()):
        self.asked += 1
        if self.asked == 1:
            s.say(lb.ERROR, m[1], BUSY, "too much waits", 1000)
        else:
            super().on_resolve(s, m)


class busy_session(Case):
    title = "REFUSED busy: HELLO again, not before its time"

    def on_hello(self, s, m):
        if len(self.hellos) == 1:
            s.last_word(lb.REFUSED, BUSY, "too many sessions are open", 2000)
        else:
            super().on_hello(s, m)

    def verify(self):
        self.not_before("4", "HELLO again", self.hellos, 1.95)


class final(Case):
    title = "a final code is never answered by the same request"
    exit, code = None, DENIED

    def on_call(self, s, m):
        s.say(lb.ERROR, m[1], self.code, "principal 'anna' may not call package:say@etl", 0)

    def verify(self):
        if len(self.calls) > 1:
            self.fault("6", "the call was said again after a final code")


class unknown_code(final):
    title = "a code that is not in the list is final"
    code = 4711


class final_malformed(final):
    title = "malformed is final, and the session goes on: nothing is opened anew"
    code = 1

    def verify(self):
        super().verify()
        if len(self.hellos) > 1:
            self.fault("3.9", "a malformed request cost the client its session")


class final_too_large(final_malformed):
    title = "so is too_large"
    code = 2


class final_session(Case):
    title = "REFUSED with a final code ends the client, or at least its haste"
    exit = None

    def on_hello(self, s, m):
        s.last_word(lb.REFUSED, REVOKED, "the certificate of 'anna' has been revoked", 5000)

    def verify(self):
        self.not_before("6", "HELLO again", self.hellos, 4.9)
        if self.calls:
            self.fault("3.1", "a call in a session that was refused")


class malformed_session(final_session):
    title = "REFUSED malformed: what has no answer was wrong, and is not said in haste again"

    def on_hello(self, s, m):
        s.last_word(lb.REFUSED, 1, "PING: field 'stamp' is not a whole number", 5000)


class sign_again(Case):
    title = "expired: the same bytes are never sent again; a new call has a new key"
    exit = None

    def on_call(self, s, m):
        s.say(lb.ERROR, m[1], EXPIRED, "the call has expired", 0)

    def verify(self):
        keys = [call["key"] for _, _, call in self.calls]
        if len(set(keys)) != len(keys):
            self.fault("6", "a call that has expired was said again under its key")


class newer_certificate(Case):
    title = "a newer certificate of one's own is used from WELCOME on"

    def on_hello(self, s, m):
        self.newer = self.newer if hasattr(self, "newer") else self.who.certificate(
            self.who.caller, "anna", "caller", 8)
        self.welcome(s, yours=self.newer)

    def certificate_in_force(self):
        return getattr(self, "newer", self.who.own)


class others_certificate(Case):
    """`make` is a certificate that must not be adopted; the call is signed with the old one."""
    exit = 0

    def on_hello(self, s, m):
        self.welcome(s, yours=self.make())


class strangers_certificate(others_certificate):
    title = "a newer certificate that no administrator signed is not used"

    def make(self):
        return self.who.certificate(self.who.caller, "anna", "caller", 8, signer=self.who.stranger)


class redirected_certificate(others_certificate):
    title = "a certificate of another name or key is not used"

    def make(self):
        return self.who.certificate(self.who.stranger, "anna", "caller", 8)


class older_certificate(others_certificate):
    title = "a certificate that is older than one's own is not used"

    def make(self):
        return self.who.certificate(self.who.caller, "anna", "caller", 6)


class newer_broker(Case):
    title = "fields and messages of a newer broker are skipped"

    def on_hello(self, s, m):
        self.welcome(s, minor=9, extra=(b"", "later", 1))

    def on_resolve(self, s, m, extra=()):
        super().on_resolve(s, m, extra=("later",))

    def on_call(self, s, m):
        s.accept(m[1], extra=(7,))
        s.say(99, "a message of later versions")
        s.frame(self.result(outcome(), "later"))


class malformed(ends_the_session):
    """`make` is a frame that no strict reader takes; what it says must not be believed."""
    section = "2"

    def on_call(self, s, m):
        if len(self.calls) > 1:
            return super().on_call(s, m)
        s.accept(m[1])
        s.sent += 1
        head = lb.pack(lb.FRAME, s.id, s.sent, s.received)
        self.socket.send_multipart([s.route, self.make(head)])
        self.over(s)


class trailing(malformed):
    title = "something behind the last message of a frame ends the session"

    def make(self, head):
        return head + self.result(outcome(JOB_FAILED)) + b"\x00"


class not_shortest(malformed):
    title = "an integer in too long a form ends the session"

    def make(self, head):
        ended = self.result(outcome(JOB_FAILED))
        return head + ended.replace(RUN + b"\x01", RUN + b"\xcc\x01", 1)


class cut_off(malformed):
    title = "a message that is cut off ends the session"

    def make(self, head):
        ended = self.result(outcome(JOB_FAILED))
        return head + ended + ended[:-1]


class parked(Case):
    title = "a run that is parked is waited for"

    def on_call(self, s, m):
        s.accept(m[1])
        s.say(lb.RUN_STATE, RUN, 1, 0, "", 0, f"no server of '{POOL}' is up", wall())
        self.after(1.5, s.end)


CASES = [plain, failed, refused_outcome, unsigned_result, invented_result, older_result, parked,
         gap, lost_tail, reset, resets, connection_lost,
         followed_again, duplicate_frame, duplicate_answer, older_session, many_frames, idle,
         silence,
         busy, busy_over_a_session, busy_resolve, busy_session, final, unknown_code,
         final_malformed, final_too_large, final_session, malformed_session,
         sign_again, newer_certificate, strangers_certificate, redirected_certificate,
         older_certificate, newer_broker, trailing, not_shortest, cut_off]
