"""falsebroker.py - a broker that has been broken into: it has the broker's key and sends a server
what it likes.

usage: falsebroker.py HOMES SERVER
Takes the place of the broker (which must be halted), waits for the server's worker, sends it
EXECUTEs and says which outcome each came to. Only what a caller signed, for this server, may run:
the runner judges that by itself.
"""
import os
import sys
import time

import peer
import zmq
from peer import Identity, lb
from wire import WORDS, call_body, expect, problems

EXECUTE, RESULT, RECORDED, HAVE_END = 33, 36, 37, 32


class FalseBroker:
    def __init__(self, home, address):
        with open(os.path.join(home, "etc/keys/broker.key")) as f:
            key = peer.nacl.signing.SigningKey(bytes.fromhex(f.read().strip()))
        with open(os.path.join(home, "etc/trust/broker"), "rb") as f:
            self.certificate = f.read()
        self.context = zmq.Context()
        s = self.socket = self.context.socket(zmq.ROUTER)
        s.curve_server = True
        s.curve_secretkey = zmq.utils.z85.encode(bytes(key.to_curve25519_private_key()))
        s.curve_publickey = zmq.utils.z85.encode(bytes(key.to_curve25519_private_key().public_key))
        s.bind(address)
        self.route = self.session = None
        self.results, self.ready = {}, False

    def close(self):
        self.socket.close(linger=300)
        self.context.term()

    def say(self, *messages):
        self.socket.send_multipart([self.route, self.session.frame(b"".join(messages))])

    def take(self, m):
        if m[0] == HAVE_END:
            self.ready = True
        elif m[0] == RESULT:
            self.results[m[1]] = lb.outcome(m[3])
            self.say(lb.pack(RECORDED, m[1], m[2]))
        elif m[0] == lb.PING:
            self.say(lb.pack(lb.PONG, m[1]))

    def turn(self):
        if not self.socket.poll(200):
            return
        route, data = self.socket.recv_multipart()
        unpacker = peer.msgpack.Unpacker(raw=False)
        unpacker.feed(data)
        head, *messages = list(unpacker)
        if messages and messages[0][0] == lb.HELLO:
            self.route, self.session, self.ready = route, lb.Session(), False
            self.session.id, self.session.received = head[1], 1
            now = int(time.time() * 1000)
            self.say(lb.pack(lb.WELCOME, lb.MINOR, "test", "broker", self.certificate, 1, 15000,
                             300000, now, 0, b""))
            messages = messages[1:]
        elif self.session:
            messages = self.session.take(data) or []
        for m in messages:
            self.take(m)
        if messages:
            self.socket.send_multipart([self.route, self.session.frame()])

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self.turn()
        return condition()


def altered(signed, i, change):
    parts = lb.unpack(signed)
    body = lb.unpack(parts[4])
    body[i] = change(body[i])
    return lb.pack(*parts[:4], lb.pack(*body), *parts[5:])


def main(homes, server):
    anna = Identity(os.path.join(homes, "anna"))
    paul = Identity(os.path.join(homes, "paul"))  # may call nothing here
    rita = Identity(os.path.join(homes, "rita"))  # is revoked
    false = FalseBroker(os.path.join(homes, "broker"), anna.address)
    stranger = peer.nacl.signing.SigningKey.generate()
    me = Identity(seed=bytes(stranger)).sign(
        b"certificate", peer.certificate_body("test", "anna", "administrator", 1, stranger))
    as_anna = anna.but(seed=bytes(stranger))
    now = int(time.time() * 1000)

    def good(who, **changes):
        return who.sign(b"call", call_body(who, **{"address": server, **changes}))

    twice = good(anna)
    table = [  # what, call, certificate, the words it may be refused with; none: it must run
        ("what anna signed", twice, anna.certificate, []),
        ("the same under another run's number", twice, anna.certificate, ["replayed"]),
        ("altered parameters", altered(good(anna), 8, lambda _: {"text": "evil"}), anna.certificate,
         ["bad_signature"]),
        ("another job", altered(good(anna), 4, lambda _: "package:other"), anna.certificate,
         ["bad_signature"]),
        ("signed by another key", good(as_anna), anna.certificate, ["bad_signature"]),
        ("a certificate that nobody signed", good(as_anna), me,
         ["bad_signature", "unknown_principal"]),
        ("a grant added to a certificate", good(paul),
         altered(paul.certificate, 9, lambda g: g + ["call *@all"]), ["bad_signature"]),
        ("a caller without the grant", good(paul), paul.certificate, ["denied"]),
        ("a revoked caller", good(rita), rita.certificate, ["revoked"]),
        ("an expired call", good(anna, issued_at=now - 9000, expires=now - 5000), anna.certificate,
         ["expired"]),
        ("a call to another server", good(anna, address="elsewhere"), anna.certificate,
         ["unknown_address"]),
        ("another cluster's call", good(anna, cluster="other"), anna.certificate,
         ["denied", "bad_signature", "unknown_principal"]),
        ("another version of the job", good(anna, job_hash=b"v" * 32, pin_latest=False),
         anna.certificate, ["wrong_job"]),
        ("no call at all", b"nonsense", anna.certificate, ["malformed"]),
        ("no certificate at all", good(anna), b"",
         ["malformed", "unknown_principal", "bad_signature"]),
    ]
    expect(false.until(lambda: false.ready), "the worker did not come")
    with open(os.path.join(homes, "job_hash")) as f:
        job = bytes.fromhex(f.read().strip())
    runs = {}
    for what, call, certificate, words in table:
        run = os.urandom(16)
        runs[run] = (what, words)
        false.say(lb.pack(EXECUTE, run, 1, call, certificate, job, 0, 300000))
        false.until(lambda: run in false.results, 5)
    for run, (what, words) in runs.items():
        o = false.results.get(run)
        if o is None:
            problems.append(f"{what}: no result")
        elif words:
            expect(o["delivery"] == "refused" and o["code"] in [WORDS[w] for w in words],
                   f"{what}: {o['status']} {o['code']} {o['message']}")
            expect(not any(s["exit_code"] == 0 and s["package"] == "succeeded" for s in o["steps"]),
                   f"{what}: it ran")
        else:
            expect(o["status"] == "succeeded", f"{what}: {o['status']} {o['code']} {o['message']}")
    false.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
