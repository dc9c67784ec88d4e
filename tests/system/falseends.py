"""falseends.py - a broker that has been broken into: it takes callers' calls and tells them ends of
its own making.

usage: falseends.py HOMES SERVER STORY EVIDENCE
Takes the place of the broker (which must be halted) for callers, until it is killed. Each call is
accepted and ends at once as STORY says:
  invented    success, without a signature
  forged      success, signed by the broker's own key in the server's name
  stolen      the result of another run, which the server signed
  altered     the same for the run that it belongs to, with other outputs
  refused     the broker's own word, which needs no signature
EVIDENCE is what `lbctl evidence` wrote of a run of the server: its certificate and its signature
are there.
"""
import base64
import json
import os
import sys

from falsebroker import FalseBroker
from peer import Identity, lb

RESOLVE, PARENT_BEGIN, PARENT_PLAN, PARENT_END, DRIVING = 10, 20, 21, 22, 24
CERTIFICATE, CERTIFICATES, D_VERSION = 81, 82, 107


def document(evidence, name):
    text = evidence[name]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class FalseEnds(FalseBroker):
    def __init__(self, homes, server, story, evidence):
        anna = Identity(os.path.join(homes, "admin"))
        super().__init__(os.path.join(homes, "broker"), anna.address)
        with open(evidence) as f:
            self.evidence = json.load(f)
        self.server, self.story, self.calls = server, story, 0
        with open(os.path.join(homes, "broker/etc/keys/broker.key")) as f:
            self.key = lb.nacl.signing.SigningKey(bytes.fromhex(f.read().strip()))

    def take(self, m):
        if m[0] == RESOLVE:
            version = lb.pack(D_VERSION, b"v" * 32, "1.0.0", 1, self.server, False, b"")
            self.say(lb.pack(lb.RESOLVED, m[1], [version], [self.server]))
        elif m[0] == CERTIFICATE:
            self.say(lb.pack(CERTIFICATES, m[1], [document(self.evidence, "signer_certificate")]))
        elif m[0] == lb.CALL:
            self.end(m[1], lb.unpack(m[2])[4])
        elif m[0] == PARENT_PLAN:
            self.say(lb.pack(lb.DONE, m[1], str(m[3] + len(m[5]))))
        elif m[0] == PARENT_BEGIN:
            parent = os.urandom(16)
            self.say(lb.pack(lb.ACCEPTED, m[1], parent, False),
                     lb.pack(DRIVING, m[1], parent, 1, False))
        elif m[0] == PARENT_END:
            self.say(lb.pack(lb.DONE, m[1], ""))
        elif m[0] == lb.PING:
            self.say(lb.pack(lb.PONG, m[1]))
        elif m[0] in (lb.BYE, lb.FOLLOW):
            pass
        else:
            self.say(lb.pack(lb.ERROR, m[1] if len(m) > 1 else 0, 6, "not today", 0))

    def end(self, req, body):
        self.calls += 1
        run = os.urandom(16)
        layers = (1, 0, 0, 0) if self.story == "refused" else (0, 1, 1, 7)
        outcome = lb.pack(lb.D_OUTCOME, *layers, 0, "all is well", self.server, "package:say",
                          b"v" * 32, 1, 1, 1, [], {}, [])
        signature = b""
        if self.story == "forged":
            serial = lb.open_certificate(document(self.evidence, "signer_certificate"))["serial"]
            result = lb.pack(lb.D_RESULT, "test", self.server, run, 1, lb.blake(body), outcome)
            signature = lb.sign_results(self.key, self.server, serial, [result])[0]
        elif self.story in ("stolen", "altered"):
            signature = document(self.evidence, "signature")
            outcome = document(self.evidence, "outcome")
        if self.story == "altered":
            fields = lb.unpack(outcome)
            outcome = lb.pack(*fields[:14], {"n": 4}, *fields[15:])
        self.say(lb.pack(lb.ACCEPTED, req, run, False))
        self.say(lb.pack(lb.RUN_ENDED, run, 1, "" if self.story == "refused" else self.server,
                         outcome, signature))


def main(homes, server, story, evidence):
    false = FalseEnds(homes, server, story, evidence)
    while True:
        false.turn()


if __name__ == "__main__":
    main(*sys.argv[1:])
