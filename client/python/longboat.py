"""longboat.py - a client of Longboat in Python, written from proto/PROTOCOL.md alone.

It calls jobs, waits for their outcome and follows events. Needs python3-zmq, python3-msgpack and
python3-nacl of the distribution. An identity is made with `lbsubmit join`; this module reads its
files.

    from longboat import Client
    with Client() as lb:
        run = lb.call("package:say", "etl", {"text": "hello"})
        print(lb.wait(run)["status"])
        for event in lb.events(since=0):
            print(event["seq"], event["event"])

One thread, one connection. Unanswered requests are said again after a reconnect, so a broker that
restarts costs time, not work; a call has a key, so saying it twice never makes a second run.
"""
import base64
import datetime
import json
import os
import random
import time
import uuid

import nacl.signing
import zmq
import zmq.utils.z85

from longboat_wire import *  # noqa: F401,F403
from longboat_wire import (ACCEPTED, BAD_SIGNATURE, BUSY, BYE, CALL, CANCEL, CERTIFICATE,
                           CERTIFICATES, CREDIT, D_CALL, DELIVERY, DONE, ERROR,
                           EVENTS, FOLLOW,
                           FRAME, HEARTBEAT, HELLO, JOB, LEASE, MAJOR, MINOR, ON_LOST, PACK,
                           PACKAGE, PING,
                           QUERY, REFUSED, RESET, REVOKED, RESOLVE, RESOLVED, ROWS, RUN_ENDED,
                           RUN_STATE, STATUS, SUBSCRIBE,
                           UNKNOWN_ADDRESS, UNSUBSCRIBE, WELCOME, ZERO16, ZERO32, LongboatError,
                           Session, blake, check_outcome, needs_signature,
                           open_certificate, open_signed, pack, sign, unpack,
                           verify_certificate, verify_result, verify_revocations)

# seconds before the next session: doubled each time, half to one and a half of it by chance
REST, REST_MAX = 0.5, 30.0


def config_folder():
    """The folder of the identity, found as all programs of Longboat find it."""
    if os.environ.get("LONGBOAT_HOME"):
        return os.path.join(os.environ["LONGBOAT_HOME"], "etc")
    if os.geteuid() == 0:
        return "/etc/longboat"
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "longboat")


def read_addresses(path):
    """client.yaml as `lbsubmit join` writes it: a list under `brokers:`, inline or a line each."""
    found, inside = [], False
    with open(path) as f:
        for line in f:
            line = line.split("#")[0].rstrip()
            if line.startswith("brokers:"):
                inside = True
                found += [w.strip(" '\"") for w in line[8:].strip(" []").split(",") if w.strip()]
            elif inside and line.lstrip().startswith("- "):
                found.append(line.lstrip()[2:].strip(" '\""))
            elif line and not line.startswith(" "):
                inside = False
    return [a if "://" in a else "tcp://" + a for a in found]


def accepts_unsigned(path):
    """client.yaml: `unsigned_results: accept`, for the time in which servers are upgraded."""
    with open(path) as f:
        words = [line.split("#")[0].split(":") for line in f]
    return ["unsigned_results", "accept"] in [[w.strip(" '\"\n") for w in p] for p in words]


def read_administrators(path):
    with open(path) as f:
        return [bytes.fromhex(line.split()[0]) for line in f
                if line.strip() and not line.startswith("#")]


def unproven(run, server, job, why):
    """What is known of how a run ended whose result is not its server's: nothing."""
    name = str(uuid.UUID(bytes=run))
    text = (f"the result of run {name} claims to come from {server} and is not signed by it: {why}"
            if server else
            f"the result of run {name} names no server and nobody has signed it: {why}")
    return {"delivery": "called", "job": "unknown", "package": "unknown", "status": "unknown",
            "code": BAD_SIGNATURE, "message": text, "server": server, "job_name": job,
            "started_at": 0, "ended_at": 0, "steps": [], "outputs": {}}


def outcome(data, newer=False):
    """A d_outcome as a dictionary with the three layers in words."""
    v = unpack(data, newer)
    steps = []
    for item in v[13]:
        s = unpack(item, newer)
        steps.append({"name": s[1], "try": s[2], "package": PACKAGE[s[5]], "package_name": s[6],
                      "message": s[9],
                      "outputs": s[10], "exit_code": s[11], "signal": s[12], "timed_out": s[13],
                      "cancelled": s[14],
                      "started_at": s[16], "ended_at": s[17]})
    return {"delivery": DELIVERY[v[1]], "job": JOB[v[2]], "package": PACKAGE[v[3]],
            "status": STATUS[v[4]],
            "code": v[5], "message": v[6], "server": v[7], "job_name": v[8], "started_at": v[11],
            "ended_at": v[12],
            "steps": steps, "outputs": v[14]}


class Client:
    def __init__(self, folder=None, timeout=30.0):
        self.folder = folder = folder or config_folder()
        self.timeout = timeout
        text = open(os.path.join(folder, "keys/sign.key")).read()
        if text.startswith("longboat-locked-key"):
            raise PermissionError(f"{folder}/keys/sign.key is encrypted, which this client cannot "
                                  "open: programs call with a key of their own (lbctl invite)")
        seed = bytes.fromhex(text.strip())
        self.key = nacl.signing.SigningKey(seed)
        self.certificate = open(os.path.join(folder, "trust/certificate"), "rb").read()
        self.me = open_certificate(self.certificate)
        broker = open_certificate(open(os.path.join(folder, "trust/broker"), "rb").read())
        self.addresses = read_addresses(os.path.join(folder, "client.yaml"))
        self.broker_key = broker["transport_key"]
        self.administrators = read_administrators(os.path.join(folder, "trust/administrators"))
        self.accept_unsigned = accepts_unsigned(os.path.join(folder, "client.yaml"))
        # What results are held against: signed calls by run, certificates by (name, serial), the
        # requests for those that are on their way, and RUN_ENDEDs that wait for one.
        self.calls, self.certificates, self.wanted, self.ended = {}, {}, {}, {}
        self.revoked, self.later = (0, set()), []
        self.context = zmq.Context()
        self.socket = None
        self.open_requests, self.runs, self.follows, self.next_req = {}, {}, {}, 1
        self.queue, self.up, self.rest, self.hello_after = [], False, REST, 0.0
        self._dial()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.up:  # a last word stands outside of the numbering: number 0
            self.socket.send(pack(FRAME, self.session.id, 0, self.session.received)
                             + pack(BYE, "the client is done"))
            self.up = False
        self.socket.close(linger=200)
        self.context.term()

    # ---- The connection

    def _dial(self):
        if self.socket:
            self.socket.close(linger=0)
        s = self.context.socket(zmq.DEALER)
        s.curve_serverkey = zmq.utils.z85.encode(self.broker_key)
        private = self.key.to_curve25519_private_key()
        s.curve_secretkey = zmq.utils.z85.encode(bytes(private))
        s.curve_publickey = zmq.utils.z85.encode(bytes(private.public_key))
        s.setsockopt(zmq.LINGER, 0)
        s.setsockopt(zmq.IMMEDIATE, 1)
        s.setsockopt(zmq.MAXMSGSIZE, 1 << 20)
        s.setsockopt(zmq.RECONNECT_IVL, random.randint(500, 1500))
        s.setsockopt(zmq.RECONNECT_IVL_MAX, 30000)
        s.connect(self.addresses[0])
        self.addresses.append(self.addresses.pop(0))  # the next dial tries the next one
        self.socket = s
        self._hello()

    def _hello(self):
        """Prepares a new session, whose HELLO leaves when its time has come."""
        self.session, self.up, self.queue = Session(), False, []
        hello = pack(HELLO, MAJOR, MINOR, "longboat.py", self.certificate, ZERO16, ZERO16, ZERO16,
                     0, 0)
        self.pending_hello = self.session.frame(hello)

    def _again(self):
        """The session is over, the connection is good: the next session begins after a rest."""
        self.hello_after = time.monotonic() + self.rest * random.uniform(0.5, 1.5)
        self.rest = min(2 * self.rest, REST_MAX)
        self._hello()

    def _adopt(self, signed):
        """A newer certificate of our own key is used from now on, and kept. Anything else leaves us
        with what we have."""
        try:
            newer = verify_certificate(signed, self.administrators, self.me["cluster"],
                                       int(time.time() * 1000))
        except LongboatError:
            return
        if (newer["sign_key"] != bytes(self.key.verify_key) or newer["name"] != self.me["name"]
                or newer["serial"] <= self.me["serial"]):
            return
        self.certificate, self.me = signed, newer
        path = os.path.join(self.folder, "trust/certificate")
        with open(path + ".new", "wb") as f:
            f.write(signed)
        os.replace(path + ".new", path)

    def _opened(self, minor):
        """A new session: unanswered requests are repeated, and live runs are followed again."""
        self.up, self.rest, self.session.newer = True, REST, minor > MINOR
        self.follows.clear()
        for message, _ in self.open_requests.values():
            self.queue.append(message)
        self.queue += [message for message, _, _ in self.wanted.values()]
        for run, known in self.runs.items():
            if known["outcome"] is None:
                self._follow(run)

    def _follow(self, run):
        req = self._req()
        self.follows[req] = run  # FOLLOW has no answer but an ERROR
        self.queue.append(pack(FOLLOW, req, run, 1))

    def _req(self):
        self.next_req += 1
        return self.next_req

    def _send_waiting(self, now):
        if self.pending_hello and now >= self.hello_after:
            self.socket.send(self.pending_hello, zmq.DONTWAIT)
            self.pending_hello, self.session.heard = None, now
        for item in [w for w in self.later if now >= w[0]]:  # certificates, after a `busy` answer
            self.later.remove(item)
            self._want(*item[1:])
        while self.up and self.queue and self.session.may_send(len(self.queue[0])):
            messages = self.queue.pop(0)
            while self.queue and len(messages) + len(self.queue[0]) < PACK:
                messages += self.queue.pop(0)
            self.socket.send(self.session.frame(messages), zmq.DONTWAIT)
        if self.up and now - self.session.spoken >= HEARTBEAT:
            self.socket.send(self.session.frame(pack(PING, int(now * 1000))), zmq.DONTWAIT)
        if self.up and self.session.ack_due():
            self.socket.send(self.session.frame(), zmq.DONTWAIT)

    def _flush(self):
        now = time.monotonic()
        try:
            self._send_waiting(now)
        except zmq.Again:
            pass  # not connected: the session's silence will end it
        if now - max(self.session.heard, self.hello_after) > LEASE:
            self._dial()

    def _turn(self, seconds):
        """Sends what is due, waits at most `seconds` for a frame, takes what is there."""
        self._flush()
        now = time.monotonic()
        if self.session.ack_at is not None:
            seconds = min(seconds, max(0.0, self.session.ack_at - now))
        if self.up:
            seconds = min(seconds, max(0.0, self.session.spoken + HEARTBEAT - now))
        # HELLO leaves as soon as there is a connection, but not before its time.
        wanted = zmq.POLLIN
        if self.pending_hello and now >= self.hello_after:
            wanted |= zmq.POLLOUT
        elif self.pending_hello:
            seconds = min(seconds, self.hello_after - now)
        if not self.socket.poll(int(seconds * 1000) + (seconds > 0), wanted) & zmq.POLLIN:
            return
        for _ in range(64):
            try:
                data = self.socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            if not self._take(data):
                return
            if self.session.ack_due():
                self._flush()

    def _take(self, data):
        """One frame. False: the session is over, and so is this turn."""
        try:
            messages = self.session.take(data)
        except LongboatError:
            messages = None
        if messages is None:
            self._again()
            return False
        for m in messages:
            out_of_turn = m[0] != REFUSED and (m[0] == WELCOME) == self.up
            if m[0] == RESET or out_of_turn:
                self._again()
                return False
            self._message(m)
        return True

    def _refused(self, m):
        self._dial()
        self.hello_after = time.monotonic() + m[3] / 1000
        if m[1] != BUSY:
            raise LongboatError(f"the broker refuses the session: {m[2]}", m[1])

    def _message(self, m):
        kind = m[0]
        if kind == WELCOME:
            if m[10]:
                self._adopt(m[10])
            self._opened(m[1])
        elif kind == REFUSED:
            self._refused(m)
        elif kind == RUN_ENDED:
            self.ended[m[1]] = m
            self._judge(m[1])
        elif kind in (CERTIFICATES, ERROR) and m[1] in self.wanted:
            self._certificate(*self.wanted.pop(m[1])[1:], m)
        elif kind == REVOKED:
            try:
                self.revoked = max(self.revoked, verify_revocations(
                    m[1], self.administrators, self.me["cluster"]), key=lambda r: r[0])
            except LongboatError:
                pass  # one that does not verify revokes nothing
        elif kind == RUN_STATE:
            call = self.calls.get(m[1])
            if call:
                call["attempt"] = max(call["attempt"], m[3])
            self.runs.setdefault(m[1], {"outcome": None}).update(state=m[2], server=m[4],
                                                                 percent=m[5], text=m[6])
        elif kind == ERROR and m[1] in self.follows:
            self.runs[self.follows.pop(m[1])]["refused"] = LongboatError(m[3], m[2])
        elif kind == EVENTS and m[1] in self.open_requests:
            self.open_requests[m[1]][1].append(m + [self.session])
        elif kind in (DONE, ERROR, RESOLVED, ACCEPTED, ROWS) and m[1] in self.open_requests:
            self.open_requests[m[1]][1].append(m)

    # ---- Results

    def _want(self, name, serial):
        """Asks for a certificate; serial 0: the newest."""
        if not any(w[1:] == (name, serial) for w in self.wanted.values()):
            req = self._req()
            message = pack(CERTIFICATE, req, name, serial)
            self.wanted[req] = (message, name, serial)
            if self.up:
                self.queue.append(message)

    def _certificate(self, name, serial, m):
        if m[0] == ERROR and m[2] == BUSY:
            self.later.append((time.monotonic() + max(m[4], 1000) / 1000, name, serial))
            return
        why = m[3] if m[0] == ERROR else f"the broker has no certificate of '{name}' ({serial})"
        try:
            if m[0] == ERROR or not m[2]:
                raise LongboatError(why)
            c = verify_certificate(m[2][0], self.administrators, self.me["cluster"],
                                   int(time.time() * 1000))
            if c["name"] != name or serial not in (0, c["serial"]):
                raise LongboatError(f"instead of the certificate of '{name}' the broker gave "
                                    f"another: {c['name']} ({c['serial']})")
            self.certificates[name, c["serial"]] = c
        except LongboatError as e:
            if serial:
                self.certificates[name, serial] = e
        for run in list(self.ended):
            self._judge(run)
        if isinstance(self.certificates.get((name, serial)), LongboatError):
            del self.certificates[name, serial]  # another result may ask again

    def _verify(self, m, call):
        """Raises an error if this RUN_ENDED is not the end of the call. None: a certificate has
        been asked for."""
        _, run, attempt, server, data, signature = m[:6]
        o = unpack(data, self.session.newer)
        check_outcome(o)
        if not signature:
            if needs_signature(o) and not self.accept_unsigned:
                raise LongboatError(
                    "it has no signature. If the server is of a version that cannot sign yet, "
                    "upgrade it, or take its word with `unsigned_results: accept` in client.yaml "
                    "until then")
            return o
        name, serial = unpack(signature)[1:3]
        if server and name != server:
            raise LongboatError(f"it is signed by '{name}'")
        if attempt < call["attempt"]:
            raise LongboatError(f"it is of attempt {attempt}, and attempt {call['attempt']} came "
                                "after it")
        by = self.certificates.get((name, serial))
        if by is None:
            self._want(name, serial)
            return None
        if isinstance(by, LongboatError):
            raise by
        if serial in self.revoked[1]:
            raise LongboatError(f"the certificate of '{name}' (serial {serial}) has been revoked")
        verify_result(signature, by, self.me["cluster"], server, run, attempt, call["digest"], data,
                      call["job"], call["address"])
        return o

    def _judge(self, run):
        """What the broker tells of a run's end counts if its server has signed it."""
        m, call = self.ended[run], self.calls.get(run)
        if call is None:
            return  # `wait` has to learn first what was called
        try:
            if self._verify(m, call) is None:
                return
            told = outcome(m[4], self.session.newer)
            # The server as the broker knows it; the outcome has what the worker says of itself.
            told["server"] = m[3]
        except LongboatError as e:
            told = unproven(run, m[3], call["job"], e)
        self.runs.setdefault(run, {})["outcome"] = told
        del self.ended[run]

    def _judge_alone(self, run, why):
        """The end of a run whose call is not known, for this reason."""
        m = self.ended.pop(run)
        o = unpack(m[4], self.session.newer)
        promises = needs_signature(o) and not (self.accept_unsigned and not m[5])
        told = unproven(run, m[3], "", why) if promises else outcome(m[4], self.session.newer)
        self.runs[run]["outcome"] = {**told, "server": m[3]}

    def _call_made(self, run, body):
        d = unpack(body)
        self.calls[run] = {"digest": blake(body), "job": d[4], "address": d[7], "attempt": 0}
        if run in self.ended:
            self._judge(run)

    def evidence(self, run):
        """The documents that prove how a run ended, by name: call, caller_certificate, outcome,
        signature, signer_certificate. What the broker hands out is not verified here."""
        parts = {}
        for row in self.query("evidence", run=str(uuid.UUID(bytes=run))):
            if "part" in row:
                data = row["data"] + "=" * (-len(row["data"]) % 4)
                parts[row["part"]] = parts.get(row["part"], b"") + base64.urlsafe_b64decode(data)
        return parts

    def _learn_call(self, run):
        """The call of a run that this client has not made itself: whoever made it signed it."""
        parts = self.evidence(run)
        if not {"call", "caller_certificate"} <= set(parts):
            raise LongboatError("the broker does not have the call of this run any more")
        issued_at = unpack(unpack(parts["call"])[4])[15]
        caller = verify_certificate(parts["caller_certificate"], self.administrators,
                                    self.me["cluster"], issued_at)
        self._call_made(run, open_signed("call", parts["call"], caller["sign_key"])[3])

    def _hold(self, req, retry_ms, end):
        """Busy: the request is repeated, but not before its time, whatever sessions come and go."""
        again = time.monotonic() + max(retry_ms, 1000) / 1000 * random.uniform(1, 1.5)
        waits = self.open_requests.pop(req)
        while (now := time.monotonic()) < min(again, end):
            self._turn(min(again, end) - now)
        self.open_requests[req] = waits
        if self.up:
            self.queue.append(waits[0])

    def _ask(self, make, timeout=None):
        """Sends make(req) until it is answered; after a `busy` answer it waits and repeats it."""
        end = time.monotonic() + (timeout or self.timeout)
        req = self._req()
        message, answers = make(req), []
        self.open_requests[req] = (message, answers)
        if self.up:
            self.queue.append(message)
        try:
            while time.monotonic() < end:
                self._turn(0.5 if not answers else 0)
                while answers:
                    m = answers.pop(0)
                    if m[0] == ERROR and m[2] == BUSY:
                        self._hold(req, m[4], end)
                    elif m[0] == ERROR:
                        raise LongboatError(m[3], m[2])
                    else:
                        return m
            raise LongboatError(f"no answer from the broker within {timeout or self.timeout:.0f} s")
        finally:
            self.open_requests.pop(req, None)

    # ---- Calls, queries and events

    def resolve(self, job, address):
        """Versions of the job in the address: [{hash, version, servers, example}], newest
        deployment first. None for a name that no server has yet: a call to it is parked."""
        try:
            m = self._ask(lambda req: pack(RESOLVE, req, job, address))
        except LongboatError as e:
            if e.code == UNKNOWN_ADDRESS:
                return []
            raise
        if len(m[3]) <= 8:  # with the call, so that its result need not wait for them
            for server in m[3]:
                if not any(name == server for name, _ in self.certificates):
                    self._want(server, 0)
        names = ("hash", "version", "servers", "example", "idempotent")
        return [dict(zip(names, unpack(v, self.session.newer)[1:])) for v in m[2]]

    def sign(self, body):
        """A d_signed of one call."""
        return sign("call", self.key, self.me["name"], self.me["serial"], body)

    def call(self, job, address, parameters=None, key=None, on_lost="default", priority=4,
             expires_in=86400,
             timeout=None, run_timeout=0, start_within=0, lost_after=0):
        """Submits a call and returns its run's id (16 bytes) once the broker has it on disk. Times
        in seconds: `timeout` is for the broker's answer, `run_timeout` for the job; 0 leaves what
        job and cluster say."""
        now = int(time.time() * 1000)
        versions = self.resolve(job, address)
        as_of = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        body = pack(D_CALL, self.me["cluster"], self.me["name"], key or str(uuid.uuid4()), job,
                    versions[0]["hash"] if versions else ZERO32, not versions, address,
                    parameters or {},
                    ON_LOST.index(on_lost), int(lost_after * 1000), int(start_within * 1000),
                    int(run_timeout * 1000),
                    priority, as_of, now, now + expires_in * 1000, ZERO16, "", 0, 0, [], "")
        signed = self.sign(body)
        m = self._ask(lambda req: pack(CALL, req, signed, 2), timeout)
        self.runs.setdefault(m[2], {"outcome": None})
        self._call_made(m[2], body)
        return m[2]

    def wait(self, run, timeout=None, call=None):
        """The outcome of a run, as a dictionary. If its server has not signed it, the status is
        `unknown`, and the message says what is wrong. `call`: the body of the signed call, where
        this client has not made it; without it the broker is asked, and the signature must hold."""
        if call is not None:
            self._call_made(run, call)
        end = time.monotonic() + timeout if timeout else None
        if run not in self.runs:
            self.runs[run] = {"outcome": None}
            if self.up:  # else the next session asks for it
                self._follow(run)
        while self.runs[run]["outcome"] is None:
            if run in self.ended and run not in self.calls:
                try:
                    self._learn_call(run)
                except LongboatError as e:
                    self._judge_alone(run, e)
                continue
            if "refused" in self.runs[run]:
                raise self.runs.pop(run)["refused"]
            if end and time.monotonic() > end:
                raise LongboatError(f"run {uuid.UUID(bytes=run)} has not ended within {timeout} s")
            self._turn(0.5)
        return self.runs[run]["outcome"]

    def cancel(self, run, reason, force=False):
        self._ask(lambda req: pack(CANCEL, req, run, force, reason))

    def query(self, what, **where):
        """All rows of a query as dictionaries."""
        after = ""
        while True:
            m = self._ask(lambda req: pack(QUERY, req, what, where, after, 500))
            yield from (json.loads(row) for row in m[2])
            after = m[3]
            if not after:
                return

    def events(self, after=0, since=0, stay=False, **where):
        """Events in order, each once, over reconnects. With stay=False it ends at the newest."""
        answers, taken, req, session = [], 0, self._req(), None

        def subscribe():  # what a new session says again begins behind what was seen
            return pack(SUBSCRIBE, req, after, since if not after else 0, where, 1 << 20)

        self.open_requests[req] = (subscribe(), answers)
        if self.up:
            self.queue.append(subscribe())
        try:
            while True:
                self._turn(0.5 if not answers else 0)
                while answers:
                    m = answers.pop(0)
                    if m[0] == ERROR and m[2] == BUSY:
                        self._hold(req, m[4], float("inf"))
                        continue
                    if m[0] == ERROR:
                        raise LongboatError(m[3], m[2])
                    # Credit is counted per subscription, and so per session.
                    if m[-1] is not session:
                        session, taken = m[-1], 0
                    for text in m[4]:
                        taken += len(text.encode())
                        event = json.loads(text)
                        if event["seq"] > after:
                            after = event["seq"]
                            yield event
                    after = max(after, m[3])
                    self.open_requests[req] = (subscribe(), answers)
                    if session is self.session:
                        self.queue.append(pack(CREDIT, req, taken))
                    if m[5] and not stay:
                        return
        finally:
            del self.open_requests[req]
            if self.up:
                self.queue.append(pack(UNSUBSCRIBE, req))
                self._flush()
