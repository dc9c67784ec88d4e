"""script.py - a broker that follows a script: sockets, sessions and the plain answers.

A case (cases.py) overrides single answers. Whatever a client does against PROTOCOL.md is noted
in `faults`, with the section that it breaks; nothing is forgiven.
"""
import json
import os
import sys
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
sys.path.insert(0, os.path.join(TOP, "client", "python"))
sys.dont_write_bytecode = True

import longboat_wire as lb  # noqa: E402
import nacl.signing  # noqa: E402
import zmq  # noqa: E402
import zmq.utils.z85  # noqa: E402

CLUSTER, POOL, SERVER, JOB = "conform", "etl", "etl1", "package:say"
JOB_HASH, RUN, DAY = b"\x11" * 32, b"\x05" * 16, 86400000
D_PARAMETER, JOB_SUCCEEDED, JOB_FAILED, PACKAGE_SUCCEEDED, PACKAGE_FAILED = 119, 1, 2, 1, 2
RUNNING = 3
TAKEN_LATE = 1.2  # seconds that a busy machine may need beyond what the page allows


def wall():
    return int(time.time() * 1000)


class Schema:
    """schema.json as a judge of what a client sends."""

    def __init__(self):
        with open(os.path.join(TOP, "proto/schema.json"), encoding="utf-8") as f:
            self.all = json.load(f)
        self.messages = {m["kind"]: m for m in self.all["messages"]}
        self.documents = {d["kind"]: d for d in self.all["documents"]}

    def check(self, array, client=True):
        """None, or what is wrong with a decoded message or document."""
        form = self.messages.get(array[0]) or self.documents.get(array[0])
        if form is None:
            return f"kind {array[0]} does not exist"
        if client and form.get("from") == "broker":
            return f"{form['name']} is the broker's to say"
        fields, values = form["fields"], array[1:]
        least = len([f for f in fields if not f.get("optional")])
        if not least <= len(values) <= len(fields):
            return f"{form['name']} has {len(values)} fields for {len(fields)}"
        for f, v in zip(fields, values):
            if not lb.is_of(f["type"], v):
                return f"{form['name']}: {f['name']} is no {f['type']}"
            if "max" in f and self.size(f["type"], v) > f["max"]:
                return f"{form['name']}: {f['name']} is beyond {f['max']}"
        return None

    @staticmethod
    def size(kind, v):
        """What a field's `max` is about."""
        if kind == "u64":
            return v
        if kind == "str":
            return len(v.encode())
        if kind == "map":
            return len(lb.msgpack.packb(v, use_bin_type=True))
        return len(v) if kind in ("bin", "strs", "bins") else 0


SCHEMA = Schema()


class Identities:
    """An administrator, a broker and a caller of this run; the caller's as files below a home."""

    def __init__(self):
        self.administrator, self.broker, self.caller, self.stranger, self.server = (
            nacl.signing.SigningKey.generate() for _ in range(5))
        self.broker_certificate = self.certificate(self.broker, "wh0", "broker", 1)
        self.own = self.certificate(self.caller, "anna", "caller", 7)
        self.servers = self.certificate(self.server, SERVER, "server", 9, pools=[POOL],
                                        grants=[], seal_key=b"\x21" * 32)

    def write(self, home, address):
        files = {"keys/sign.key": bytes(self.caller).hex().encode() + b"\n",
                 "trust/certificate": self.own, "trust/broker": self.broker_certificate,
                 "trust/administrators": bytes(self.administrator.verify_key).hex().encode()
                 + b"\n",
                 "client.yaml": f"brokers:\n  - \"{address}\"\n".encode()}
        for name, content in files.items():
            path = os.path.join(home, "etc", name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(path, "wb") as f:
                f.write(content)
            os.chmod(path, 0o400 if name.startswith("keys/") else 0o600)

    def certificate(self, key, name, role, serial, signer=None, **changes):
        fields = dict(cluster=CLUSTER, name=name, role=role, serial=serial,
                      sign_key=bytes(key.verify_key),
                      transport_key=bytes(key.verify_key.to_curve25519_public_key()),
                      seal_key=lb.ZERO32, pools=[],
                      grants=[] if role == "broker" else ["call *@all", "watch *@all"],
                      not_before=wall() - DAY, not_after=wall() + DAY, invitation=b"")
        body = lb.pack(lb.D_CERTIFICATE, *{**fields, **changes}.values())
        return lb.sign("certificate", signer or self.administrator, "", 0, body)


def outcome(job=JOB_SUCCEEDED, delivery=0, code=0, message="", extra=()):
    package = {JOB_SUCCEEDED: PACKAGE_SUCCEEDED, JOB_FAILED: PACKAGE_FAILED}.get(job, 0)
    status = {JOB_SUCCEEDED: 7, JOB_FAILED: 6}.get(job, 0)
    now = wall()
    return lb.pack(lb.D_OUTCOME, delivery, job, package, status, code, message, SERVER, JOB,
                   JOB_HASH,
                   now - 20, now - 10, now, [], {}, [], *extra)


class Session:
    """The broker's end of a session of the client under test."""

    def __init__(self, broker, route, number):
        self.broker, self.route, self.id = broker, route, number
        self.sent = self.received = self.acked = 0
        self.begun = self.heard = time.monotonic()
        self.sent_at = {}  # frame: when
        self.over = self.welcomed = False
        self.calls = []  # signed calls, as they came
        self.follows = []

    def frame(self, *messages, number=None):
        if messages and number is None:
            self.sent += 1
            self.sent_at[self.sent] = time.monotonic()
        head = lb.pack(lb.FRAME, self.id, self.sent if number is None else number, self.received)
        self.broker.socket.send_multipart([self.route, head + b"".join(messages)])

    def say(self, *message):
        self.frame(lb.pack(*message))

    def last_word(self, *message):
        self.frame(lb.pack(*message), number=0)
        self.over = True

    def accept(self, req, duplicate=False, extra=()):
        self.say(lb.ACCEPTED, req, RUN, duplicate, *extra)

    def end(self, job=JOB_SUCCEEDED, **more):
        self.frame(self.broker.result(outcome(job, **more)))


class Case:
    """The plain script, and the judge of what a client does in it. A case overrides what
    differs."""
    title = ""
    seconds = 20
    exit = 0  # what the client must end with; None: anything but 0
    resets_strays = False  # frames of a session that is over are answered, as a broker does

    def __init__(self, home):
        self.context = zmq.Context()
        self.who = Identities()
        self.endpoint = "tcp://127.0.0.1:*"
        self.bind()
        self.who.write(home, self.endpoint.removeprefix("tcp://"))
        self.faults, self.sessions, self.hellos = [], [], []
        self.calls = []  # (when, signed bytes, fields of the call) of all sessions
        self.later = []  # (when, what to do)

    def bind(self):
        s = self.socket = self.context.socket(zmq.ROUTER)
        s.setsockopt(zmq.LINGER, 200)
        private = self.who.broker.to_curve25519_private_key()
        s.curve_server = True
        s.curve_secretkey = zmq.utils.z85.encode(bytes(private))
        s.curve_publickey = zmq.utils.z85.encode(bytes(private.public_key))
        for left in range(100, -1, -1):
            try:
                s.bind(self.endpoint)
                break
            except zmq.ZMQError:  # the socket before it is still being closed
                if not left:
                    raise
                time.sleep(0.02)
        self.endpoint = s.getsockopt_string(zmq.LAST_ENDPOINT)

    def close(self):
        self.socket.close()
        self.context.term()

    # ---- What happened

    def fault(self, section, text):
        line = f"{section}: {text}"
        if line not in self.faults:
            self.faults.append(line)

    @property
    def session(self):
        return self.sessions[-1] if self.sessions else None

    def after(self, seconds, what):
        self.later.append((time.monotonic() + seconds, what))

    # ---- In

    def turn(self, seconds):
        now = time.monotonic()
        for due in [d for d in self.later if d[0] <= now]:
            self.later.remove(due)
            due[1]()
        if self.session:
            self.check_times(self.session, time.monotonic())
        if self.socket.poll(int(seconds * 1000)):
            parts = self.socket.recv_multipart()
            self.take(parts[0], parts[1:])

    def check_times(self, s, now):
        if s.over or not s.welcomed:
            return
        late = [n for n, at in s.sent_at.items() if n > s.acked and now - at > 0.05 + TAKEN_LATE]
        if late:
            self.fault("3.4", f"frame {late[0]} is not acknowledged within 50 ms")
        if now - s.heard > 2 + TAKEN_LATE:
            self.fault("3.5", "silence of more than 2 s")

    def take(self, route, parts):
        if len(parts) != 1:
            self.fault("1", "a ZeroMQ message of several parts")
            return
        try:
            values = lb.unpack_all(parts[0])
            head, messages = lb.check_form(values[0]), values[1:]
            for m in messages:
                lb.check_form(m)
        except (lb.LongboatError, IndexError) as e:
            self.fault("2", f"a frame is malformed: {e}")
            return
        _, number, count, ack = head
        s = self.session
        if messages and messages[0][0] == lb.HELLO:
            s = self.open(route, number, count)
        elif s is None or number != s.id or s.over:
            if self.resets_strays:
                head = lb.pack(lb.FRAME, number, 0, 0)
                self.socket.send_multipart([route, head + lb.pack(lb.RESET, "not known here")])
            return
        if self.in_order(s, count, ack, messages):
            s.heard = time.monotonic()
            for m in messages:
                self.message(s, m)
            if messages and not s.over:
                s.frame()

    def in_order(self, s, count, ack, messages):
        if ack > s.sent:
            self.fault("3.3", f"acknowledges frame {ack} of {s.sent}")
        s.acked = max(s.acked, ack)
        if count == 0 and messages:
            if [m[0] for m in messages] != [lb.BYE]:
                self.fault("3.6", "a client's last word is BYE, alone")
            s.over = True
            return False
        if count != s.received + bool(messages):
            self.fault("3.2", f"frame {count} follows frame {s.received}")
        s.received = count
        return True

    def open(self, route, number, count):
        now = time.monotonic()
        if number == 0 or number in [s.id for s in self.sessions]:
            self.fault("3.1", "a session id that is zero or was used before")
        if count != 1:
            self.fault("3.1", f"HELLO in frame {count}")
        s = Session(self, route, number)
        self.sessions.append(s)
        self.hellos.append(now)
        return s

    def message(self, s, m):
        if s.over:
            return
        wrong = SCHEMA.check(m)
        if wrong:
            self.fault("10", wrong)
            return
        if not s.welcomed and m[0] != lb.HELLO and not self.session.calls and not self.hellos:
            self.fault("3.1", "something before HELLO")
        handler = {lb.HELLO: self.on_hello, lb.RESOLVE: self.on_resolve, lb.CALL: self.check_call,
                   lb.FOLLOW: self.check_follow, lb.PING: self.on_ping,
                   lb.CERTIFICATE: self.on_certificate}.get(m[0], self.on_other)
        handler(s, m)

    def check_call(self, s, m):
        """A call is judged before the case answers it."""
        _, _, signed, follow = m
        me = lb.open_certificate(self.certificate_in_force())
        try:
            envelope = lb.open_signed("call", signed, me["sign_key"])
            if wrong := SCHEMA.check(lb.unpack(envelope[3]), client=False):
                self.fault("5", wrong)
                return
            names = [f["name"] for f in SCHEMA.documents[lb.D_CALL]["fields"]]
            call = dict(zip(names, lb.unpack(envelope[3])[1:]))
        except lb.LongboatError as e:
            self.fault("9", f"a call that does not verify: {e}")
            return
        for name, want in {"cluster": CLUSTER, "caller": "anna", "job": JOB,
                           "address": POOL}.items():
            if call[name] != want:
                self.fault("5", f"the call's {name} is {call[name]!r}")
        if call["parameters"] != {"text": "hello"}:
            self.fault("5", f"the call's parameters are {call['parameters']!r}")
        if call["pin_latest"] or call["job_hash"] != JOB_HASH:
            self.fault("5", "the call does not carry the hash that RESOLVED named")
        if not call["key"] or call["expires"] <= wall() or call["semaphores"]:
            self.fault("5", "a call needs a key and an end that is to come, and no semaphores")
        if abs(call["issued_at"] - wall()) > 60000:
            self.fault("5", "issued_at is not now")
        if (envelope[0], envelope[1]) != ("anna", me["serial"]):
            self.fault("4", f"signed as {envelope[0]!r}, serial {envelope[1]}; the certificate in "
                            f"force has {me['serial']}")
        s.calls.append(signed)
        self.calls.append((time.monotonic(), signed, call))
        self.on_call(s, m)

    def certificate_in_force(self):
        return self.who.own

    def check_follow(self, s, m):
        if m[2] != RUN:
            self.fault("5", "FOLLOW of a run that there is not")
        s.follows.append(m)
        self.on_follow(s, m)

    def result(self, data, *extra, **changes):
        """RUN_ENDED of the last call with this outcome, signed by the server. A case changes
        what it must not be: the key that signs, or a field of the result."""
        key = changes.pop("key", self.who.server)
        body = lb.unpack(self.calls[-1][1])[4]
        fields = dict(cluster=CLUSTER, server=SERVER, run=RUN, attempt=1, call=lb.blake(body),
                      outcome=data)
        signature = lb.sign_results(key, SERVER, 9, [
            lb.pack(lb.D_RESULT, *{**fields, **changes}.values())])[0]
        return lb.pack(lb.RUN_ENDED, RUN, 1, SERVER, data, signature, *extra)

    # ---- The plain script

    def welcome(self, s, minor=lb.MINOR, yours=b"", extra=()):
        s.welcomed = True
        s.say(lb.WELCOME, minor, CLUSTER, "wh0", self.who.broker_certificate, 1, 15000, 300000,
              wall(), 0,
              yours, *extra)

    def on_hello(self, s, m):
        if m[1] != 1:
            self.fault("2", f"HELLO of version {m[1]}.{m[2]}")
        if m[4] not in (b"", self.who.own, self.certificate_in_force()):
            self.fault("3.1", "HELLO brings somebody else's certificate")
        self.welcome(s)

    def on_resolve(self, s, m, extra=()):
        parameter = lb.pack(D_PARAMETER, "text", "string", True, False, b"", [], "", b"", b"")
        declared = lb.msgpack.packb(parameter, use_bin_type=True)
        version = lb.pack(lb.D_VERSION, JOB_HASH, "1.0.0", 1, SERVER, False, declared, *extra)
        s.say(lb.RESOLVED, m[1], [version], [SERVER], *extra)

    def on_call(self, s, m):
        s.accept(m[1], duplicate=len(self.calls) > 1)
        s.say(lb.RUN_STATE, RUN, RUNNING, 1, SERVER, 0, "", wall())
        s.end()

    def on_follow(self, s, m):
        s.end()

    def on_certificate(self, s, m):
        """Of the server, whose results the client verifies."""
        s.say(lb.CERTIFICATES, m[1], [self.who.servers] if m[2] == SERVER else [])

    def on_ping(self, s, m):
        s.say(lb.PONG, m[1])

    def on_other(self, s, m):
        pass

    # ---- The judgement when the client has ended

    def judge(self, code):
        if code is None:
            self.fault("exit", f"the client did not end within {self.seconds} s")
        elif self.exit is None and code == 0:
            self.fault("exit", "the client says that it succeeded")
        elif self.exit is not None and code != self.exit:
            self.fault("exit", f"the client ends with {code}, not with {self.exit}")
        if not self.sessions:
            self.fault("1", "no HELLO came")
        self.verify()

    def verify(self):
        """What a case wants besides."""

    def one_body(self):
        """Whatever was repeated, it was the same call."""
        bodies = {lb.unpack(signed)[4] for _, signed, _ in self.calls}
        if len(bodies) > 1:
            keys = {call["key"] for _, _, call in self.calls}
            self.fault("3.8", "the call was said again with another body"
                       + (" and another key" if len(keys) > 1 else ""))

    def not_before(self, section, what, times, least):
        """Each of these times is at least so many seconds after the one before."""
        for a, b in zip(times, times[1:]):
            if b - a < least:
                self.fault(section, f"{what} after {b - a:.2f} s; {least:.2f} s were asked for")
