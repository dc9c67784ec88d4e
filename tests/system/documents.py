"""documents.py - signed documents that are not what they should be: deployments, parents,
certificates, revocations.

usage: documents.py HOMES      (calls are wire.py's)
Each comes from a sender that may send the message; what is wrong is the document in it.
"""
import json
import os
import subprocess
import sys
import time
import uuid

import peer
from peer import Identity, Peer, lb, word
from wire import WORDS, expect, problems, refused_as

PARENT_BEGIN, DEPLOY, PUBLISH, REVOKE = 20, 74, 83, 84
D_REVOCATIONS, D_PARENT, D_DEPLOYMENT = 104, 106, 111
WORDS.update(bad_package=20, state=24, exists=25)


def now():
    return int(time.time() * 1000)


def deployment(package, **changes):
    fields = dict(cluster="test", package=package, name="say", version="1.0.0", address="etl1",
                  remove=False, issued_at=now())
    return lb.pack(D_DEPLOYMENT, *{**fields, **changes}.values())


def parent(who, **changes):
    fields = dict(cluster="test", caller=who.me["name"], key=str(uuid.uuid4()), name="night",
                  plan=peer.ZERO32, plan_size=0, values={}, as_of="2026-11-21T09:13:55.000Z",
                  tasks=1, issued_at=now(), parent=peer.ZERO16)
    return lb.pack(D_PARENT, *{**fields, **changes}.values())


def revocations(number, cluster="test", serials=b""):
    return lb.pack(D_REVOCATIONS, cluster, number, now(), serials)


def ended(certificate, serial=5):
    """The same body with a life that is over, without an invitation."""
    fields = lb.unpack(certificate)
    return lb.pack(*fields[:4], serial, *fields[5:10], now() - 9000, now() - 1, b"")


def flipped(signed):
    parts = lb.unpack(signed)
    body = bytearray(parts[4])
    body[-1] ^= 1
    return lb.pack(*parts[:4], bytes(body), *parts[5:])


def judge(p, message, table):
    """table: what, document, the words of its refusal; none: it is taken."""
    for what, document, words in table:
        more = (False,) if message == PARENT_BEGIN else ()
        m = p.ask(message, 7, document, *more)
        what = f"message {message}, {what}"
        if words:
            expect(refused_as(m, *words), f"{what}: {word(m)}")
            expect(m and m[0] == lb.ERROR and len(m[3]) > 10, f"{what}: no sentence: {word(m)}")
        else:
            expect(m and m[0] in (lb.DONE, lb.ACCEPTED), f"{what}: {word(m)}")
        if m is None or m[0] in (0, lb.REFUSED, lb.RESET):
            expect(p.hello()[0] == lb.WELCOME, f"{what}: no session afterwards")


def main(homes):
    admin = Identity(os.path.join(homes, "admin"))
    anna = Identity(os.path.join(homes, "anna"))
    # signs as an administrator's key, not as a holder of a certificate
    root = admin.but(certificate=b"")
    stranger = admin.but(seed=os.urandom(32), certificate=admin.certificate)
    env = {**os.environ, "LONGBOAT_HOME": os.path.join(homes, "admin")}
    listed = subprocess.run(["lbpkg", "list", "--json"], env=env, check=True, capture_output=True,
                            text=True).stdout
    say = bytes.fromhex(next(r["hash"] for r in map(json.loads, listed.splitlines())
                             if r["name"] == "say").split(":")[1])
    p = Peer(admin)
    expect(p.hello()[0] == lb.WELCOME, "no session")

    def nonsense():
        return [("no document at all", b"nonsense", ["malformed"]),
                ("an empty one", b"", ["malformed"])]

    first = admin.sign(b"deployment", deployment(say, issued_at=now() - 60000))
    judge(p, DEPLOY, nonsense() + [
        ("signed by nobody known", stranger.sign(b"deployment", deployment(say)),
         ["bad_signature"]),
        ("altered", flipped(admin.sign(b"deployment", deployment(say))), ["bad_signature"]),
        ("signed for another purpose", admin.sign(b"parent", deployment(say)), ["bad_signature"]),
        ("signed by another", anna.sign(b"deployment", deployment(say)), ["bad_signature"]),
        ("another cluster's", admin.sign(b"deployment", deployment(say, cluster="other")),
         ["denied"]),
        ("of a package that is not here", admin.sign(b"deployment", deployment(b"h" * 32)),
         ["bad_package"]),
        ("as it should be", first, []),
        ("a newer one", admin.sign(b"deployment", deployment(say)), []),
        ("the older one, recorded and said again", first, ["state"]),
    ])
    begun = admin.sign(b"parent", parent(admin, key="begun-twice"))
    judge(p, PARENT_BEGIN, nonsense() + [
        ("another cluster's", admin.sign(b"parent", parent(admin, cluster="other")), ["denied"]),
        ("on behalf of another", admin.sign(b"parent", parent(admin, caller="anna")), ["denied"]),
        ("without its plan", admin.sign(b"parent", parent(admin, plan=b"h" * 32, plan_size=5)),
         ["not_found"]),
        ("as it should be", begun, []),
        ("the same again", begun, []),
        ("the same key with another body",
         admin.sign(b"parent", parent(admin, key="begun-twice", tasks=2)), ["conflict"]),
    ])
    key = peer.nacl.signing.SigningKey.generate()
    body = peer.certificate_body("test", "mallory", "caller", now(), key, grants=["call *@all"])
    judge(p, PUBLISH, nonsense() + [
        ("signed by nobody known", stranger.but(certificate=b"").sign(b"certificate", body),
         ["bad_signature", "unknown_principal"]),
        ("signed by its holder", Identity(seed=bytes(key)).sign(b"certificate", body),
         ["bad_signature", "unknown_principal"]),
        ("signed by a caller", anna.sign(b"certificate", body),
         ["bad_signature", "unknown_principal"]),
        ("altered", flipped(root.sign(b"certificate", body)), ["bad_signature", "malformed"]),
        ("another cluster's",
         root.sign(b"certificate", peer.certificate_body("other", "mallory", "caller", 5, key)),
         ["unknown_principal", "denied"]),
        ("one that has ended", root.sign(b"certificate", ended(body)), ["expired_certificate"]),
    ])
    number = 100
    judge(p, REVOKE, nonsense() + [
        ("signed by nobody known", stranger.but(certificate=b"")
         .sign(b"revocations", revocations(number)), ["bad_signature", "unknown_principal"]),
        ("signed by a caller", anna.sign(b"revocations", revocations(number)),
         ["bad_signature", "unknown_principal"]),
        ("altered",
         flipped(root.sign(b"revocations", revocations(number, serials=bytes(7) + b"\x08"))),
         ["bad_signature"]),
        ("signed for another purpose", root.sign(b"deployment", revocations(number)),
         ["bad_signature"]),
        ("another cluster's", root.sign(b"revocations", revocations(number, "other")),
         ["unknown_principal", "denied"]),
        ("serials out of order",
         root.sign(b"revocations",
                   revocations(number, serials=bytes(7) + b"\x09" + bytes(7) + b"\x08")),
         ["malformed"]),
        ("as it should be", root.sign(b"revocations", revocations(number)), []),
        ("an older one", root.sign(b"revocations", revocations(number - 1)), ["replayed", "state"]),
    ])
    q = Peer(anna)  # whose key is known by a good certificate
    mine = lb.unpack(anna.certificate)[4]
    m = q.hello(root.sign(b"certificate", ended(mine, serial=2**60)))
    expect(refused_as(m, "expired_certificate"),
           f"HELLO with a certificate that has ended: {word(m)}")
    m = q.hello(root.sign(b"certificate", ended(mine, serial=3)))
    expect(m and m[0] == lb.WELCOME and m[10] == anna.certificate,
           f"HELLO with one that ended before hers was made: {word(m)}")
    q.close()
    p.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
