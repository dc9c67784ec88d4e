#!/usr/bin/python3
"""badclient.py - the Python client with one of its manners broken: what conform.py must find.

usage: badclient.py      $LONGBOAT_CASE: whose rule it breaks
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import pyclient  # noqa: E402
from pyclient import longboat as lb  # noqa: E402

import longboat_wire as wire  # noqa: E402

Client, Session = lb.Client, lb.Session
strict, take = wire.unpack_all, Session.take


def put(owner, **names):
    for name, value in names.items():
        setattr(owner, name, value)


def read(data):
    """As msgpack is read by whoever has not read the page: what is whole counts."""
    unpacker = wire.msgpack.Unpacker(raw=False, strict_map_key=False)
    unpacker.feed(data)
    return [v for v in unpacker if isinstance(v, list)]


def careless(gaps=False, duplicates=False, sessions=False, tails=False):
    """Session.take, blind for some of what it should see."""
    def taken(self, data):
        (_, session, number, _), *messages = read(data)
        if session != self.id and not sessions:
            return []
        if not messages and tails:
            return []
        if sessions or (number > self.received and gaps) or (0 < number <= self.received
                                                             and duplicates):
            self.received = max(self.received, number)
            return messages
        return take(self, data)
    put(Session, take=taken)


def impatient():
    """Calls anew when the session ends."""
    opened = Client._opened

    def again(self, minor):
        opened(self, minor)
        if getattr(self, "was_up", False):
            self.open_requests.clear()
            raise lb.LongboatError("the session is over")
        self.was_up = True
    put(Client, _opened=again)
    call = Client.call

    def calls(self, *a, **k):
        try:
            return call(self, *a, **k)
        except lb.LongboatError:
            return call(self, *a, **k)
    put(Client, call=calls)


def raises_on(kind, when=lambda self, m: True):
    message = Client._message

    def hears(self, m):
        if m[0] == kind and when(self, m):
            raise lb.LongboatError("this is too much")
        message(self, m)
    put(Client, _message=hears)


def says_again_at_once(self, req, retry_ms, end):
    self.queue.append(self.open_requests[req][0])


def forgets_in_a_new_session(self, req, retry_ms, end):
    again = time.monotonic() + retry_ms / 1000
    while time.monotonic() < again and self.open_requests[req][1] == []:
        self._turn(0.1)


def comes_back_at_once(self, m):
    self._dial()
    self.hello_after = 0


def believes_anything(self, signed):
    self.certificate, self.me = signed, lb.open_certificate(signed)


def lenient():
    put(wire, unpack_all=read, check_form=lambda array, newer=False: array)


BREAKS = {
    "plain": lambda: put(Client, resolve=lambda *_: []),
    "failed": lambda: put(pyclient, main=lambda main=pyclient.main: main() * 0),
    "parked": lambda: raises_on(lb.RUN_STATE, lambda self, m: m[2] == 1),
    "gap": lambda: careless(gaps=True),
    "lost_tail": lambda: careless(tails=True),
    "reset": impatient,
    "resets": lambda: put(Client, _again=Client._hello),
    "connection_lost": impatient,
    "followed_again": lambda: put(Client, _follow=lambda *_: None),
    "duplicate_frame": lambda: careless(duplicates=True),
    "duplicate_answer": lambda: raises_on(lb.ACCEPTED, lambda self,
                                          m: m[1] not in self.open_requests
                                          or bool(self.open_requests[m[1]][1])),
    "older_session": lambda: careless(sessions=True),
    "many_frames": lambda: put(Session, ack_due=lambda _: False),
    "idle": lambda: put(lb, HEARTBEAT=100),
    "silence": lambda: put(lb, LEASE=3),
    "busy": lambda: put(Client, _hold=says_again_at_once),
    "busy_over_a_session": lambda: put(Client, _hold=forgets_in_a_new_session),
    "busy_resolve": lambda: put(lb, BUSY=-1),
    "busy_session": lambda: put(Client, _refused=comes_back_at_once),
    "final": lambda: put(lb, BUSY=7),
    "unknown_code": lambda: put(lb, BUSY=4711),
    "final_malformed": lambda: put(lb, BUSY=1),
    "final_too_large": lambda: put(lb, BUSY=2),
    "final_session": lambda: put(Client, _refused=comes_back_at_once),
    "sign_again": lambda: put(lb, BUSY=12),
    "newer_certificate": lambda: put(Client, _adopt=lambda *_: None),
    "strangers_certificate": lambda: put(Client, _adopt=believes_anything),
    "newer_broker": lambda: put(wire, check_form=lambda array, newer=False, form=wire.check_form:
                                form(array, False)),
    "trailing": lenient,
    "unsigned_result": lambda: put(lb, needs_signature=lambda o: False),
    "invented_result": lambda: put(lb, verify_result=lambda *_: None),
}
for same, as_that in {"refused_outcome": "failed", "older_result": "invented_result",
                      "redirected_certificate": "strangers_certificate",
                      "older_certificate": "strangers_certificate",
                      "malformed_session": "final_session", "not_shortest": "trailing",
                      "cut_off": "trailing"}.items():
    BREAKS[same] = BREAKS[as_that]

if __name__ == "__main__":
    BREAKS[os.environ["LONGBOAT_CASE"]]()
    sys.exit(pyclient.main())
