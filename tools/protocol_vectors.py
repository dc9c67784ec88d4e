#!/usr/bin/python3
"""Writes proto/vectors.json and the test vectors of proto/PROTOCOL.md, which are a part of it, with
the Python client's code. trust/vectors_test.c and net/vectors_test.c hold the C side against them,
client/python/vectors_test.py the Python client, so that the page, the client and the C side cannot
part.

usage: tools/protocol_vectors.py [--check]
"""
import base64
import os
import re
import struct
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "client", "python"), os.path.join(TOP, "tools")]
sys.dont_write_bytecode = True
import longboat_wire as lb  # noqa: E402
import msgpack  # noqa: E402
import nacl.signing  # noqa: E402
from protocol_schema import text_of  # noqa: E402

PATH = os.path.join(TOP, "proto", "vectors.json")
NOW, DAY = 1763716435012, 86400000
CLUSTER, SESSION = "demo", 77
KEYS = {name: nacl.signing.SigningKey(bytes([n]) * 32) for n, name in enumerate(
    ("anna", "administrator", "one_time", "broker", "etl1", "stranger"), 1)}
PARAMETERS = {"text": "hello", "count": 300, "share": 0.5, "list": [True, None, -1]}
ON_THE_PAGE = ("d_call", "d_signed", "signature of the batch of one",
               "d_audit, the first entry of an audit trail", "checkpoint at that entry",
               "d_call, the second of a batch of three",
               "d_call, the third of a batch of three", "root of the batch of three",
               "d_signed of the third of the batch of three",
               "frame 1 of session 77, HELLO", "frame 1 of the broker, ack 1, WELCOME",
               "frame 3 of session 77, ack 2, with PING 5", "certificate of anna", "token",
               "possession of anna's key", "ENROL of anna", "d_outcome", "d_result",
               "signature of the result", "RUN_ENDED with the signature of the result")


def public(name):
    return bytes(KEYS[name].verify_key)


def transport(name):
    return bytes(KEYS[name].to_curve25519_private_key().public_key)


def call_body(key, **changes):
    fields = dict(cluster=CLUSTER, caller="anna", key=key, job="package:say", job_hash=b"\x02" * 32,
                  pin_latest=False,
                  address="etl", parameters=PARAMETERS, on_lost=0, lost_after_ms=0,
                  start_within_ms=0, timeout_ms=0,
                  priority=4, as_of="2026-11-21T09:13:55.012Z", issued_at=NOW, expires=NOW + DAY,
                  parent=lb.ZERO16,
                  task="", index=0, try_no=0, semaphores=[], plan="")
    return lb.pack(lb.D_CALL, *{**fields, **changes}.values())


def certificate_body(name, role, serial, key=None, **changes):
    fields = dict(cluster=CLUSTER, name=name, role=role, serial=serial,
                  sign_key=public(key or name),
                  transport_key=transport(key or name), seal_key=lb.ZERO32, pools=[], grants=[],
                  not_before=NOW - DAY,
                  not_after=NOW + 365 * DAY, invitation=b"")
    return lb.pack(lb.D_CERTIFICATE, *{**fields, **changes}.values())


def by_administrator(body, kind="certificate"):
    return lb.sign(kind, KEYS["administrator"], "", 0, body)


def invitation_body(**changes):
    fields = dict(cluster=CLUSTER, one_time_key=public("one_time"), name="anna", role="caller",
                  serial=7, pools=[],
                  grants=["call *@etl", "watch *@etl"], expires=NOW + DAY,
                  certificate_not_after=NOW + 365 * DAY)
    return lb.pack(lb.D_INVITATION, *{**fields, **changes}.values())


INVITATION = by_administrator(invitation_body(), "invitation")
OF_ANNA = certificate_body("anna", "caller", 7, grants=["call *@etl", "watch *@etl"],
                           not_before=NOW,
                           invitation=INVITATION)
CERTIFICATE = lb.sign("certificate", KEYS["one_time"], "", 0, OF_ANNA)
BROKER = by_administrator(certificate_body("wh0", "broker", 1, key="broker"))
OF_ETL1 = by_administrator(certificate_body("etl1", "server", 9, seal_key=b"\x21" * 32,
                                           pools=["etl"]))
CALLS = [call_body("key-1"), call_body("key-2"), call_body("key-3", parameters={})]


RUN = b"\x05" * 16


def outcome(job=1, package=1, status=7, message="done", outputs=None):
    """A d_outcome of the first call."""
    return lb.pack(lb.D_OUTCOME, 0, job, package, status, 0, message, "etl1", "package:say",
                   b"\x02" * 32, NOW + 1, NOW + 2, NOW + 5, [], outputs or {}, [])


def result_body(**changes):
    fields = dict(cluster=CLUSTER, server="etl1", run=RUN, attempt=1, call=lb.blake(CALLS[0]),
                  outcome=outcome())
    return lb.pack(lb.D_RESULT, *{**fields, **changes}.values())


def results():
    """Results as a caller of the first call judges them: what RUN_ENDED says, the certificate of
    whom the signature names, and whether it is to be believed."""
    etl1 = KEYS["etl1"]

    def one(name, verdict, signature, certificate=OF_ETL1, **told):
        fields = dict(server="etl1", run=RUN, attempt=1, outcome=outcome())
        said = {**fields, **told}
        return {"name": name, "verdict": verdict, "server": said["server"],
                "run": said["run"].hex(), "attempt": said["attempt"],
                "outcome": said["outcome"].hex(), "signature": signature.hex(),
                "certificate": certificate.hex()}

    def by_etl1(*bodies):
        return lb.sign_results(etl1, "etl1", 9, bodies)

    single = by_etl1(result_body())[0]
    runs = [RUN, b"\x06" * 16, b"\x07" * 16]
    three = by_etl1(*[result_body(run=r) for r in runs])
    other = certificate_body("etl2", "server", 10, key="stranger", seal_key=b"\x22" * 32,
                             pools=["etl"])
    elsewhere = certificate_body("etl1", "server", 9, seal_key=b"\x21" * 32, pools=["web"])
    as_caller = by_administrator(certificate_body("etl1", "caller", 9))
    yield one("alone", "good", single)
    for word, run, signature in zip(("first", "second", "third"), runs, three):
        yield one(f"the {word} of a batch of three", "good", signature, run=run)
    yield one("another outcome", "bad", single, outcome=outcome(message="all is well"))
    yield one("a failure told as success", "bad",
              by_etl1(result_body(outcome=outcome(2, 2, 6)))[0])
    yield one("outputs added", "bad", single, outcome=outcome(outputs={"rows": 7}))
    yield one("another run", "bad", single, run=runs[1])
    yield one("the result of the second run told for the first", "bad", three[1])
    yield one("an older attempt", "bad", single, attempt=2)
    yield one("of another call", "bad", by_etl1(result_body(call=lb.blake(CALLS[1])))[0])
    yield one("another cluster's", "bad", by_etl1(result_body(cluster="other"))[0])
    yield one("another server's, in etl1's name", "bad",
              lb.sign_results(KEYS["stranger"], "etl1", 9, [result_body()])[0])
    yield one("another server's", "bad",
              lb.sign_results(KEYS["stranger"], "etl2", 10, [result_body()])[0],
              by_administrator(other))
    yield one("a server that is not in the address", "bad", single, by_administrator(elsewhere))
    yield one("a caller's certificate", "bad", single, as_caller)
    yield one("a status that its layers do not have", "bad",
              by_etl1(result_body(outcome=outcome(5, 4, 7)))[0], outcome=outcome(5, 4, 7))
    yield one("signed as a call", "bad", lb.pack(
        *lb.unpack(single)[:7],
        etl1.sign(b"longboat/call/1\0" + lb.leaf(result_body())).signature))
    yield one("with a body of its own", "bad",
              lb.sign("result", etl1, "etl1", 9, result_body()))
    yield one("no signature", "bad", b"")


def frame(number, ack, *messages, session=SESSION):
    return lb.pack(lb.FRAME, session, number, ack) + b"".join(messages)


def good():
    """(name, what it is, bytes)"""
    batch = lb.sign_calls(KEYS["anna"], "anna", 7, CALLS)
    yield "d_call", "document", CALLS[0]
    yield "its leaf, and root of a batch of one", "hash", lb.leaf(CALLS[0])
    signed = lb.sign("call", KEYS["anna"], "anna", 7, CALLS[0])
    yield "signature of the batch of one", "signature", lb.unpack(signed)[7]
    yield "d_signed", "signed call", signed
    yield "node over (leaf, leaf of the body `other`)", "hash", lb.node(lb.leaf(CALLS[0]),
                                                                        lb.leaf(b"other"))
    yield "node over (leaf, no neighbour)", "hash", lb.node(lb.leaf(CALLS[0]), lb.ZERO32)
    yield "d_call, the second of a batch of three", "document", CALLS[1]
    yield "d_call, the third of a batch of three", "document", CALLS[2]
    yield "root of the batch of three", "hash", lb.batch(CALLS)[0]
    for word, data in zip(("first", "second", "third"), batch):
        yield f"d_signed of the {word} of the batch of three", "signed call", data
    yield "certificate of the broker", "signed certificate", BROKER
    entry = lb.pack(130, 1, NOW, "wh0", "broker", transport("broker"), 1, "", "start", CLUSTER, 0,
                    0, 1, "", "", "")
    head = lb.blake(b"longboat/audit/1\0" + lb.ZERO32 + entry)
    yield "d_audit, the first entry of an audit trail", "document", entry
    yield "its hash, and that of the trail up to it", "hash", head
    yield "checkpoint at that entry", "signed checkpoint", lb.sign(
        "checkpoint", KEYS["broker"], "wh0", 1, lb.pack(
            131, CLUSTER, "wh0", 3, 1, 1, head, NOW, lb.ZERO32))
    yield "invitation of anna", "signed invitation", INVITATION
    yield "certificate of anna", "signed certificate", CERTIFICATE
    yield "certificate of the server etl1", "signed certificate", OF_ETL1
    token = lb.pack(103, CLUSTER, ["127.0.0.1:7411"], transport("broker"),
                    [public("administrator")],
                    bytes(KEYS["one_time"]), INVITATION)
    yield "token", "document", token
    yield "token, as lbctl invite prints it", "text", (
        b"longboat-join:" + base64.urlsafe_b64encode(token).rstrip(b"="))
    yield "possession of anna's key", "signature", lb.possession(KEYS["anna"], CERTIFICATE)
    yield "ENROL of anna", "message", lb.pack(80, 1, CERTIFICATE,
                                              lb.possession(KEYS["anna"], CERTIFICATE))
    yield "frame 1 of session 77, HELLO", "frame", frame(1, 0, lb.pack(
        lb.HELLO, 1, 1, "client 1.1", CERTIFICATE, lb.ZERO16, lb.ZERO16, lb.ZERO16, 0, 0))
    yield "frame 1 of the broker, ack 1, WELCOME", "frame", frame(1, 1, lb.pack(
        lb.WELCOME, 1, CLUSTER, "wh0", BROKER, 3, 15000, 300000, NOW, 0, b""))
    yield "frame 2 of session 77, ack 1, CALL", "frame", frame(2, 1, lb.pack(lb.CALL, 1, signed, 2))
    yield "frame 2 of the broker, ack 2, ACCEPTED", "frame", frame(2, 2,
                                                                   lb.pack(lb.ACCEPTED, 1,
                                                                           b"\x05" * 16, False))
    yield "d_outcome", "document", outcome()
    yield "d_result", "document", result_body()
    signature = lb.sign_results(KEYS["etl1"], "etl1", 9, [result_body()])[0]
    yield "signature of the result", "document", signature
    yield "RUN_ENDED with the signature of the result", "message", lb.pack(
        lb.RUN_ENDED, RUN, 1, "etl1", outcome(), signature)
    yield "frame 3 of session 77, ack 2, with PING 5", "frame", frame(3, 2, lb.pack(lb.PING, 5))
    yield "heartbeat after frame 3 of session 77, ack 4", "frame", frame(3, 4)
    yield "last word of session 77, RESET", "frame", frame(0, 0,
                                                           lb.pack(lb.RESET, "a frame was lost"))
    yield "the greatest numbers", "message", lb.pack(lb.FOLLOW, 2**64 - 1, b"\xff" * 16, 2)
    yield "one of each form of an integer, a float and a text in a map", "message", lb.pack(
        lb.SUBSCRIBE, 128, 65536, -32769,
        {"a": -1, "b": -33, "c": -129, "d": -2**31 - 1, "e": 2**63 - 1, "f": -0.0,
                                          "g": "grün"}, 2**32)


def with_raw(array, at, raw):
    """The array with these bytes in the place of its part `at`."""
    parts = [msgpack.packb(v, use_bin_type=True) for v in array]
    parts[at] = raw
    return msgpack.Packer().pack_array_header(len(array)) + b"".join(parts)


def ill_formed():
    """(name, bytes) of messages and documents that a strict reader refuses."""
    accepted = lb.pack(lb.ACCEPTED, 1, b"\x05" * 16, False)
    subscribe = [lb.SUBSCRIBE, 1, 0, 0, {}, 1]
    yield "cut in the middle", accepted[:-1]
    yield "trailing bytes", accepted + b"\x00"
    yield "a field too few", lb.pack(lb.ACCEPTED, 1, b"\x05" * 16)
    yield "a field too many", lb.pack(lb.ACCEPTED, 1, b"\x05" * 16, False, 0)
    yield "a length beyond the end", with_raw([lb.CALL, 1, b"", 2], 2, b"\xc4\xff")
    yield "a count beyond the end", b"\xdd\x3b\x9a\xca\x00\x0c"
    yield "an integer in too long a form", with_raw([lb.ACCEPTED, 1, b"\x05" * 16, False], 1,
                                                    b"\xcc\x01")
    yield "a positive integer in a signed form", with_raw([lb.ACCEPTED, 1, b"\x05" * 16, False], 1,
                                                          b"\xd0\x01")
    yield "a length in too long a form", with_raw([lb.CALL, 1, b"call", 2], 2, b"\xc5\x00\x04call")
    yield "an array header in too long a form", b"\xdc\x00\x04" + accepted[1:]
    yield "nil in a field", lb.pack(lb.ACCEPTED, 1, b"\x05" * 16, None)
    yield "a number for a flag", lb.pack(lb.ACCEPTED, 1, b"\x05" * 16, 0)
    yield "a negative number for a u64", lb.pack(lb.ACCEPTED, -1, b"\x05" * 16, False)
    yield "an id of 15 bytes", lb.pack(lb.ACCEPTED, 1, b"\x05" * 15, False)
    yield "a text for bytes", with_raw([lb.ACCEPTED, 1, b"", False], 2, b"\xb0" + b"a" * 16)
    yield "a text that is not UTF-8", with_raw([lb.RESET, ""], 1, b"\xa2\xc3\x28")
    yield "a text with NUL", with_raw([lb.RESET, ""], 1, b"\xa1\x00")
    yield "an extension type", with_raw([lb.RESET, ""], 1, b"\xd4\x01\x00")
    yield "a map in place of an array", msgpack.packb({"kind": 13}, use_bin_type=True)
    yield "a name twice in a map", with_raw(subscribe, 4, b"\x82\xa1a\x00\xa1a\x01")
    yield "a name in a map that is no text", with_raw(subscribe, 4, b"\x81\x01\x01")
    yield "an empty name in a map", with_raw(subscribe, 4, b"\x81\xa0\x01")
    yield "a name of 65 bytes in a map", with_raw(subscribe, 4,
                                                  b"\x81\xd9\x41" + b"a" * 65 + b"\x01")
    yield "a number beyond 63 bits in a map", with_raw(subscribe, 4, b"\x81\xa1a\xcf" + b"\xff" * 8)
    yield "a 32 bit float", with_raw(subscribe, 4, b"\x81\xa1a\xca" + struct.pack(">f", 0.5))
    yield "a NaN", with_raw(subscribe, 4, b"\x81\xa1a\xcb" + struct.pack(">d", float("nan")))
    yield "an infinity", with_raw(subscribe, 4, b"\x81\xa1a\xcb" + struct.pack(">d", float("inf")))
    yield "seventeen levels", with_raw(subscribe, 4, b"\x81\xa1a" * 16 + b"\x90")
    yield "nothing", b""
    yield "an empty array", b"\x90"
    yield "accepted twice", accepted + accepted


def wrongly_signed():
    """(name, kind, bytes) of signed documents whose form is good and whose signature is not anna's
    over this."""
    anna = KEYS["anna"]
    single = lb.unpack(lb.sign("call", anna, "anna", 7, CALLS[0]))
    three = [lb.unpack(b) for b in lb.sign_calls(anna, "anna", 7, CALLS)]
    flipped = bytearray(CALLS[0])
    flipped[-20] ^= 1
    yield "a byte of the body altered", "call", lb.pack(*single[:4], bytes(flipped), *single[5:])
    yield "a signature of 63 bytes", "call", lb.pack(*single[:7], single[7][:-1])
    yield "signed by a stranger in anna's name", "call", lb.sign("call", KEYS["stranger"], "anna",
                                                                 7, CALLS[0])
    body = CALLS[0]
    plain = anna.sign(b"longboat/call/1\0" + body).signature
    yield "signed over the body in place of its leaf", "call", lb.pack(*single[:7], plain)
    other = anna.sign(b"longboat/parent/1\0" + lb.leaf(body)).signature
    yield "signed as another kind", "call", lb.pack(*single[:7], other)
    without = anna.sign(b"longboat/call/1" + lb.leaf(body)).signature
    yield "signed without the NUL", "call", lb.pack(*single[:7], without)
    yield "the siblings in the wrong order", "call", lb.pack(*three[0][:5], three[0][5][::-1],
                                                             *three[0][6:])
    yield "the place of another one of the batch", "call", lb.pack(*three[0][:6], 1, three[0][7])
    yield "a place beyond its proof", "call", lb.pack(*three[0][:6], 4, three[0][7])
    yield "the zero sibling left out", "call", lb.pack(*three[2][:5], three[2][5][1:],
                                                       *three[2][6:])
    yield "a sibling of 31 bytes", "call", lb.pack(*three[0][:5], [three[0][5][0][:31],
                                                                   three[0][5][1]], *three[0][6:])
    yield "a proof on what is no call", "certificate", lb.pack(
        *lb.unpack(lb.sign("certificate", anna, "", 0, OF_ANNA))[:5], [lb.ZERO32], 0,
        anna.sign(b"longboat/certificate/1\0" + OF_ANNA).signature)


def bad_certificates():
    """(name, bytes) of certificates that are well-formed and signed, and still not to be believed
    at NOW."""
    def invited(**changes):
        fields = dict(grants=["call *@etl"], not_before=NOW, invitation=INVITATION)
        return lb.sign("certificate", KEYS["one_time"], "", 0,
                       certificate_body("anna", "caller", 7, **fields | changes))
    yield "signed by a stranger", lb.sign("certificate", KEYS["stranger"], "", 0,
                                          certificate_body("anna", "caller", 7))
    yield "with a signer's name", lb.sign("certificate", KEYS["administrator"], "anna", 7,
                                          certificate_body("anna", "caller", 7))
    yield "with the transport key of another", by_administrator(certificate_body(
        "anna", "caller", 7, transport_key=transport("stranger")))
    yield "past its end", by_administrator(certificate_body("anna", "caller", 7, not_after=NOW))
    yield "not begun", by_administrator(certificate_body("anna", "caller", 7,
                                                         not_before=NOW + 300001))
    yield "with serial 0", by_administrator(certificate_body("anna", "caller", 0))
    yield "of another cluster", by_administrator(certificate_body("anna", "caller", 7,
                                                                  cluster="other"))
    yield "a caller with a seal key", by_administrator(certificate_body("anna", "caller", 7,
                                                                        seal_key=b"\x21" * 32))
    yield "a server without a seal key", by_administrator(certificate_body("etl1", "server", 9))
    yield "a caller with pools", by_administrator(certificate_body("anna", "caller", 7,
                                                                   pools=["etl"]))
    yield "with a grant that its invitation lacks", invited(grants=["call *@all"])
    yield "with another serial than its invitation's", lb.sign(
        "certificate", KEYS["one_time"], "", 0,
        certificate_body("anna", "caller", 8, invitation=INVITATION))
    yield "longer than its invitation allows", invited(not_after=NOW + 366 * DAY)
    yield "made after its invitation had ended", invited(not_before=NOW + DAY + 1)
    yield "on an invitation that a stranger signed", lb.sign("certificate", KEYS["one_time"], "", 0,
                                                             certificate_body(
        "anna", "caller", 7, not_before=NOW, invitation=lb.sign("invitation", KEYS["stranger"], "",
                                                                0, invitation_body())))


def bad_possessions():
    """(name, signature) that do not show that whoever asks for CERTIFICATE has its key."""
    anna, body = KEYS["anna"], lb.unpack(CERTIFICATE)[4]
    yield "none", b""
    yield "by the one-time key", lb.possession(KEYS["one_time"], CERTIFICATE)
    yield "by a stranger", lb.possession(KEYS["stranger"], CERTIFICATE)
    yield "over another certificate", lb.possession(anna, BROKER)
    yield "over the body alone", lb.possession(anna, body)
    yield "as another kind", anna.sign(b"longboat/certificate/1\0" + CERTIFICATE).signature
    yield "without the NUL", anna.sign(b"longboat/possession/1" + CERTIFICATE).signature
    yield "of 63 bytes", lb.possession(anna, CERTIFICATE)[:-1]


def sequences():
    """(name, [(bytes, verdict)]): frames that a client hears in session 77 after it sent frame 1,
    HELLO. Verdicts: taken, nothing (a duplicate, a heartbeat, an acknowledgement), last_word,
    foreign, gap, malformed."""
    state = lb.pack(lb.RUN_STATE, b"\x05" * 16, 3, 1, "etl1", 0, "", NOW)
    welcome = frame(1, 1,
                    lb.pack(lb.WELCOME, 0, CLUSTER, "wh0", BROKER, 3, 15000, 300000, NOW, 0, b""))
    yield "in order", [(welcome, "taken"), (frame(1, 1), "nothing"),
                       (frame(2, 1, state, state), "taken"),
                       (frame(3, 1, lb.pack(lb.PONG, 5)), "taken"), (frame(3, 1), "nothing")]
    yield "twice", [(welcome, "taken"), (frame(2, 1, state), "taken"),
                    (frame(2, 1, state), "nothing"),
                    (welcome, "nothing"), (frame(3, 1, state), "taken")]
    yield "wrong order", [(welcome, "taken"), (frame(3, 1, state), "gap")]
    yield "the end lost", [(welcome, "taken"), (frame(2, 1), "gap")]
    yield "of an older session", [(welcome, "taken"), (frame(2, 1, state, session=76), "foreign"),
                                  (frame(2, 1, state), "taken")]
    yield "a last word", [(welcome, "taken"),
                          (frame(0, 0, lb.pack(lb.RESET, "a frame was lost")), "last_word")]
    yield "a last word before WELCOME", [(frame(0, 0, lb.pack(lb.REFUSED, 5, "revoked", 5000)),
                                          "last_word")]
    for name, data in {
        "an acknowledgement of what was never sent": frame(2, 2, state),
        "a frame with messages and without a number": frame(0, 1, state),
        "a message cut off": frame(2, 1, state)[:-1],
        "something behind the last message": frame(2, 1, state) + b"\x00",
        "a second head": frame(2, 1, lb.pack(lb.FRAME, SESSION, 3, 1)),
        "no head": state, "nothing": b"", "half a head": frame(2, 1)[:-1],
        "no msgpack": b"\xc1\xc1",
    }.items():
        yield name, [(welcome, "taken"), (data, "malformed")]


def build():
    return {
        "v": 1, "protocol": "longboat", "now": NOW, "cluster": CLUSTER, "session": SESSION,
        "keys": {name: {"seed": bytes(key).hex(), "sign": public(name).hex(),
                        "transport": transport(name).hex()}
                 for name, key in KEYS.items()},
        "good": [{"name": n, "is": k, "hex": d.hex()} for n, k, d in good()],
        "ill_formed": [{"name": n, "hex": d.hex()} for n, d in ill_formed()],
        "wrongly_signed": [{"name": n, "kind": k, "hex": d.hex()} for n, k, d in wrongly_signed()],
        "bad_certificates": [{"name": n, "hex": d.hex()} for n, d in bad_certificates()],
        "results": list(results()),
        "bad_possessions": [{"name": n, "hex": d.hex()} for n, d in bad_possessions()],
        "sequences": [{"name": n, "frames": [{"hex": d.hex(), "verdict": v} for d, v in frames]}
                      for n, frames in sequences()],
    }


def page_part():
    """The page's vectors: keys, and those that ON_THE_PAGE names, and all hashes."""
    shown = [("signing key, public", public("anna")), ("transport key, public", transport("anna"))]
    shown += [(n, d) for n, k, d in good() if k == "hash" or n in ON_THE_PAGE]
    lines = []
    for name, data in shown:
        text = data.hex()
        lines += [f"- {name}:", "",
                  "  ```"] + ["  " + text[i:i + 96] for i in range(0, len(text), 96)] + ["  ```"]
    return "\n".join(lines) + "\n"


def main():
    page = os.path.join(TOP, "proto", "PROTOCOL.md")
    stale = False
    with open(page, encoding="utf-8") as f:
        old = f.read()
    new = re.sub(r"(<!-- begin vectors -->\n).*?(<!-- end vectors -->)",
                 lambda m: m.group(1) + page_part() + m.group(2), old, flags=re.S)
    for path, text in ((page, new), (PATH, text_of(build()) + "\n")):
        was = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
        if was != text and "--check" in sys.argv:
            print(
                f"{os.path.relpath(path, TOP)}: its vectors are not what the Python client makes; "
                  "run tools/protocol_vectors.py")
            stale = True
        elif was != text:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
