"""door.py - whoever is invited tries to take somebody's name or key; each function says what it saw
and ends with 0 or 1.

usage: door.py CASE HOMES [ARGUMENT]
HOMES is the folder with a home for each identity: admin, broker, anna (a caller), mona (a monitor),
etl1 (a server).
"""
import os
import subprocess
import sys
import time

import peer
from peer import Identity, Peer, lb, word
from wire import WORDS, code_of, expect, problems

WORDS |= {"state": 24, "key_taken": 31}
VICTIMS = ("admin", "broker", "etl1", "anna", "mona")
ROLES = {"caller": ["--grant", "call *@etl"],
         "monitor": ["--role", "monitor", "--grant", "watch *@etl"], "server": None}


def refused_as(m, *words):
    return m is not None and m[0] == lb.ERROR and code_of(m) in [WORDS[w] for w in words]


def lbctl(homes, *arguments):
    env = {**os.environ, "LONGBOAT_HOME": os.path.join(homes, "admin")}
    done = subprocess.run(["lbctl", *arguments], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"lbctl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def invite(homes, name, role="caller"):
    who = ["--server", name] if role == "server" else ["--principal", name, *ROLES[role]]
    return peer.token_of(lbctl(homes, "invite", *who, "--reason", "of the test"))


def certificate_of(homes, victim):
    path = "broker/etc/trust/broker" if victim == "broker" else f"{victim}/etc/trust/certificate"
    with open(os.path.join(homes, path), "rb") as f:
        return lb.open_certificate(f.read())


def new_key():
    return peer.nacl.signing.SigningKey.generate()


def certified(token, keys, **changes):
    """A certificate by this token over public keys of the thief's choice."""
    i = peer.invitation_of(token)
    own_seal = os.urandom(32) if i["role"] == "server" else lb.ZERO32
    want = {k: i[k] for k in ("cluster", "name", "role", "serial")}
    want |= {"sign_key": keys["sign_key"], "transport_key": keys["transport_key"],
             "seal_key": keys.get("seal_key", own_seal), "pools": i["pools"],
             "grants": i["grants"], "not_before": int(time.time() * 1000),
             "not_after": i["certificate_not_after"], "invitation": token["invitation"]}
    body = lb.pack(lb.D_CERTIFICATE, *{**want, **changes}.values())
    return Identity(seed=token["one_time_seed"]).sign(b"certificate", body)


def public(key):
    return {"sign_key": bytes(key.verify_key), "transport_key": peer.transport_of(key)}


def vouched(certificate, key):
    return [peer.ENROL, 1, certificate, lb.possession(key, certificate)]


# ---- Thefts

def keys(homes):
    """Every role's invitation, over every victim's key, under the thief's name and the victim's."""
    for role in ROLES:
        for victim in VICTIMS:
            theirs = certificate_of(homes, victim)
            for name in (f"thief-{role}-{victim}", theirs["name"]):
                token, own = invite(homes, name, role), new_key()
                one_time = peer.nacl.signing.SigningKey(token["one_time_seed"])
                p = peer.one_time_peer(token)
                m = p.hello(b"")
                expect(m and m[0] == lb.WELCOME, f"{role} {name}: no session: {word(m)}")
                stolen = certified(token, {**theirs, "seal_key": lb.ZERO32} if role != "server"
                                   else {**theirs, "seal_key": os.urandom(32)})
                mine = certified(token, public(own))
                for what, asked, words in (
                        ("no word of the key", [peer.ENROL, 1, stolen], ["version"]),
                        ("an empty word", [peer.ENROL, 1, stolen, b""], ["version"]),
                        ("one's own word", vouched(stolen, own), ["bad_signature"]),
                        ("the one-time key's word", vouched(stolen, one_time), ["bad_signature"]),
                        ("the word for another certificate",
                         [peer.ENROL, 1, stolen, lb.possession(own, mine)], ["bad_signature"])):
                    m = p.ask(*asked)
                    expect(refused_as(m, *words),
                           f"{victim}'s key for the {role} {name}, {what}: {word(m)}")
                if name == theirs["name"]:
                    m = p.ask(*vouched(mine, own))
                    expect(refused_as(m, "name_taken"),
                           f"{victim}'s name for the {role}'s own key: {word(m)}")
                p.close()


def keys_held(homes):
    """Whoever holds a key cannot have it certified under a second name: theirs, and that of an
    invitation."""
    for victim in VICTIMS:
        own = (peer.nacl.signing.SigningKey(broker_seed(homes)) if victim == "broker"
               else Identity(os.path.join(homes, victim)).key)
        for role in ROLES:
            token = invite(homes, f"second-{role}-{victim}", role)
            p = peer.one_time_peer(token)
            p.hello(b"")
            m = p.ask(*vouched(certified(token, public(own)), own))
            expect(refused_as(m, "key_taken"), f"{victim} as a second {role}: {word(m)}")
            p.close()
    token, other = invite(homes, "twice"), invite(homes, "other")
    p = peer.one_time_peer(token)
    p.hello(b"")
    for what, t in {"its own": token, "another": other}.items():
        one_time = peer.nacl.signing.SigningKey(t["one_time_seed"])
        m = p.ask(*vouched(certified(token, public(one_time)), one_time))
        expect(refused_as(m, "key_taken"), f"{what} invitation's one-time key: {word(m)}")
    m = p.ask(*vouched(certified(other, public(key := new_key())), key))
    expect(refused_as(m, "denied", "bad_signature"), f"another invitation's name: {word(m)}")
    p.close()
    token = invite(homes, "sealed", "server")
    p = peer.one_time_peer(token)
    p.hello(b"")
    for what, seal in {"seal": certificate_of(homes, "etl1")["seal_key"],
                       "transport": certificate_of(homes, "anna")["transport_key"],
                       "signing": certificate_of(homes, "admin")["sign_key"]}.items():
        key = new_key()
        m = p.ask(*vouched(certified(token, public(key), seal_key=seal), key))
        expect(refused_as(m, "key_taken"), f"another's {what} key as a seal key: {word(m)}")
    p.close()


def broker_seed(homes):
    with open(os.path.join(homes, "broker/etc/keys/broker.key")) as f:
        return bytes.fromhex(f.read().strip())


def roles(homes):
    """An administrator's own slip: an invitation for a role that nobody gets by invitation."""
    admin = Identity(os.path.join(homes, "admin"))
    a = Peer(admin)
    a.hello()
    for role in ("administrator", "broker"):
        one_time, end = new_key(), int(time.time() * 1000) + 60000
        body = lb.pack(peer.D_INVITATION, "test", bytes(one_time.verify_key), "boss", role, 4712,
                       [], [], end, end + 86400000)
        signed = admin.but(certificate=b"").sign(b"invitation", body)
        m = a.ask(peer.OPERATE, 1, "invite", "boss", {"invitation": signed}, "of the test")
        expect(m and m[0] == lb.ERROR and "nobody gets by invitation" in m[3], f"{role}: {word(m)}")
    own = Identity(os.path.join(homes, "anna")).key
    end = int(time.time() * 1000) + 60000
    body = lb.pack(peer.D_INVITATION, "test", bytes(own.verify_key), "boss", "caller", 4713, [], [],
                   end, end + 86400000)
    m = a.ask(peer.OPERATE, 1, "invite", "boss",
              {"invitation": admin.but(certificate=b"").sign(b"invitation", body)}, "of the test")
    expect(refused_as(m, "key_taken"), f"anna's key as a one-time key: {word(m)}")
    a.close()


def published(homes):
    """An administrator's mistake does not bind anybody's key to another name either."""
    admin = Identity(os.path.join(homes, "admin"))
    a = Peer(admin)
    a.hello()
    serial = int(time.time() * 1000) * 1000

    def publish(name, role, theirs, **changes):
        fields = dict(cluster="test", name=name, role=role, serial=serial,
                      sign_key=theirs["sign_key"], transport_key=theirs["transport_key"],
                      seal_key=theirs.get("seal_key", lb.ZERO32), pools=[], grants=[],
                      not_before=int(time.time() * 1000) - 1000,
                      not_after=int(time.time() * 1000) + 86400000, invitation=b"")
        body = lb.pack(lb.D_CERTIFICATE, *{**fields, **changes}.values())
        return a.ask(peer.PUBLISH, 1, admin.but(certificate=b"").sign(b"certificate", body))

    for victim in VICTIMS:
        theirs = certificate_of(homes, victim)
        for role in ("caller", "monitor", "server", "administrator"):
            if victim == "admin" and role == "administrator":
                continue
            seal = {"seal_key": os.urandom(32) if role == "server" else lb.ZERO32}
            m = publish(f"other-{victim}", role, {**theirs, **seal})
            expect(refused_as(m, "key_taken"), f"{victim}'s key as the {role} other: {word(m)}")
            if role != theirs["role"]:
                m = publish(theirs["name"], role, {**public(new_key()), **seal})
                expect(refused_as(m, "name_taken"), f"{victim}'s name as a {role}: {word(m)}")
    m = publish("broker2", "broker", public(new_key()))
    expect(refused_as(m, "denied"), f"a second broker: {word(m)}")
    token, key = invite(homes, "smuggled"), new_key()
    m = a.ask(peer.PUBLISH, 1, certified(token, public(key)))
    expect(refused_as(m, "denied"), f"a certificate by invitation, published: {word(m)}")
    theirs = certificate_of(homes, "anna")
    renewed = dict(grants=["call *@etl", "watch *@etl"])
    m = publish("anna", "caller", theirs, **renewed)
    expect(m and m[0] == lb.DONE, f"a renewal: {word(m)}")
    m = publish("anna", "caller", theirs, serial=serial - 1, **renewed)
    expect(refused_as(m, "state"), f"an older one after it: {word(m)}")
    a.close()


EVES = peer.nacl.signing.SigningKey(b"e" * 32)


def revoked(homes):
    """Somebody joins and is revoked: neither their key nor another invitation for the name that was
    made before brings them back."""
    token, spare = invite(homes, "eve"), invite(homes, "eve")
    p = peer.one_time_peer(token)
    p.hello(b"")
    m = p.ask(*vouched(certified(token, public(EVES)), EVES))
    expect(m and m[0] == lb.DONE, f"what it was invited for: {word(m)}")
    p.close()
    s = peer.one_time_peer(spare)
    s.hello(b"")
    lbctl(homes, "certificates", "revoke", "eve", "--reason", "of the test")
    m = s.ask(*vouched(certified(spare, public(own := new_key())), own))
    expect(refused_as(m, "denied"), f"a second invitation, after the name was revoked: {word(m)}")
    s.close()
    never_again(homes)


def never_again(homes):
    """The revoked key comes back by no way, whoever helps it."""
    for name in ("eve", "mallory"):
        token = invite(homes, name)
        p = peer.one_time_peer(token)
        p.hello(b"")
        m = p.ask(*vouched(certified(token, public(EVES)), EVES))
        expect(refused_as(m, "revoked"), f"eve's revoked key as {name}: {word(m)}")
        p.close()
    admin = Identity(os.path.join(homes, "admin"))
    body = peer.certificate_body("test", "eve", "caller", int(time.time() * 1000) * 1000 + 999,
                                 EVES)
    again = admin.but(certificate=b"").sign(b"certificate", body)
    a = Peer(admin)
    a.hello()
    m = a.ask(peer.PUBLISH, 1, again)
    expect(refused_as(m, "revoked") and "lbctl invite" in m[3], f"published again: {word(m)}")
    a.close()
    p = Peer(admin.but(seed=bytes(EVES), certificate=again))
    m = p.hello() if p.connected(1) else None
    expect(m is None or m[0] == lb.REFUSED, f"HELLO with a newer certificate: {word(m)}")
    p.close()


def lost_answer(homes, when):
    """The connection is cut after ENROL: the same again is DONE, and the new key says HELLO."""
    token, key = invite(homes, f"late-{when}"), new_key()
    certificate = certified(token, public(key))
    p = peer.one_time_peer(token)
    p.hello(b"")
    p.say(lb.pack(*vouched(certificate, key)))
    if when == "same":  # DONE was not heard, in a session that goes on
        m = p.ask(*vouched(certificate, key))
        expect(m and m[0] == lb.DONE, f"the same again: {word(m)}")
    p.close()  # LINGER: it is sent
    me = Identity(seed=bytes(key), certificate=certificate, broker_key=token["broker_key"],
                  address="tcp://" + token["addresses"][0])
    end = time.monotonic() + 10
    m = None
    while time.monotonic() < end and not (m and m[0] == lb.WELCOME):
        p = peer.one_time_peer(token)  # as long as it is welcome, the same again is DONE
        if p.connected(0.3) and p.hello(b"")[0] == lb.WELCOME:
            m = p.ask(*vouched(certificate, key))
            expect(m and m[0] == lb.DONE, f"in a new session: {word(m)}")
        p.close()
        p = Peer(me)
        m = p.hello() if p.connected(1) else None
        p.close()
    expect(m and m[0] == lb.WELCOME, f"the new key: {word(m)}")


def reading(homes):
    """Whose certificate may be read by whom; a denial says the same whether there is one."""
    table = {
        "admin": dict(admin=1, etl1=1, anna=1, mona=1, nobody=1),
        "anna": dict(admin=1, etl1=1, anna=1, mona=0, nobody=0),  # call *@etl, watch *@etl
        "mona": dict(admin=1, etl1=1, anna=1, mona=1, nobody=1),  # watch *@all
        "bert": dict(admin=1, etl1=0, anna=0, mona=0, nobody=0),  # call *@elsewhere
        "etl1": dict(admin=1, etl1=1, anna=0, mona=0, nobody=0),
    }
    for who, may in table.items():
        p = Peer(Identity(os.path.join(homes, who)))
        m = p.hello()
        expect(m and m[0] == lb.WELCOME, f"{who}: no session: {word(m)}")
        for whose, allowed in may.items():
            name = "administrator" if whose == "admin" else whose
            m = p.ask(peer.CERTIFICATE, 1, name, 0)
            expect(m and (m[0] == 82 and len(m[2]) == (whose != "nobody") if allowed
                          else refused_as(m, "denied")),
                   f"{who} reads the certificate of {whose}: {word(m)}")
        p.close()


if __name__ == "__main__":
    case, *arguments = sys.argv[1:]
    globals()[case](*arguments)
    print("\n".join(problems[:40]))
    sys.exit(1 if problems else 0)
