"""wire.py - what may go wrong on the wire, each as a function that says what it saw and ends with 0
or 1.

usage: wire.py CASE HOMES
HOMES is the folder with a home for each identity (admin, anna, etl1, ...).
"""
import json
import os
import subprocess
import sys
import time
import uuid

import peer
from peer import Identity, Peer, lb, word

WORDS = {"malformed": 1, "too_large": 2, "version": 3, "unknown_principal": 4, "revoked": 5,
         "expired_certificate": 6, "denied": 7, "wrong_role": 8, "not_open": 9, "name_taken": 10,
         "busy": 11, "expired": 12, "conflict": 13, "unknown_address": 15, "bad_signature": 17,
         "replayed": 18, "wrong_job": 19, "not_found": 28}
SPOOL = b"the one of a box"  # etl9's, whenever it comes
problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


def code_of(m):
    """The code of ERROR or REFUSED; 0: something else."""
    return m[2] if m and m[0] == lb.ERROR else m[1] if m and m[0] == lb.REFUSED else 0


def refused_as(m, *words):
    return code_of(m) in [WORDS[w] for w in words]


def still_serves(home):
    """An honest client is served at once."""
    with lb.Client(os.path.join(home, "etc"), timeout=5) as c:
        rows = list(c.query("whoami"))
    expect(rows, "the broker answers no honest client any more")


def broker_pid(demo):
    with open(os.path.join(demo, "broker.pid")) as f:
        return int(f.read())


# ---- Every message, ill-formed

def garbage_of(demo, home, kinds):
    who = Identity(os.path.join(demo, home))
    p = Peer(who)
    pid, count = broker_pid(demo), 0
    for kind, name, _, fields in peer.tables("messages"):
        if name not in kinds or name == "HELLO":
            continue
        for what, data in peer.garbage(kind, fields):
            opened = p.hello(spool=SPOOL)
            expect(opened and opened[0] == lb.WELCOME,
                   f"{name}, {what}: no session afterwards: {word(opened)}")
            p.say(data)
            count += 1
            if name == "BYE":  # whatever else it says, its sender is going: the session is over
                continue
            m = p.hear_of((lb.ERROR, lb.REFUSED, lb.RESET))
            expect(m is not None, f"{name}, {what}: silence")
            expect(m is None or m[0] == lb.RESET
                   or refused_as(m, "malformed", "too_large", "wrong_role", "denied"),
                   f"{name}, {what}: {word(m)}")
            at = {lb.RESET: 1, lb.ERROR: 3}.get(m[0], 2) if m else None
            text = m[at] if m else ""
            expect(len(text) > 10, f"{name}, {what}: no sentence: {word(m)}")
    p.close()
    expect(count > 10, f"only {count} messages were tried")
    expect(broker_pid(demo) == pid, "the broker was started anew")
    still_serves(os.path.join(demo, home if home != "etl9" else "admin"))


def sent_by(*senders):
    return [name for _, name, sender, _ in peer.tables("messages") if sender in senders]


def clients_garbage(demo):
    garbage_of(demo, "anna", sent_by("client"))


def administrators_garbage(demo):
    garbage_of(demo, "admin", sent_by("client"))


def has_number(data):
    """Can the number of this request be read, whatever else is wrong with it?"""
    try:
        values = lb.unpack_all(data)
    except lb.LongboatError:
        return False
    return isinstance(values[0], list) and len(values[0]) > 1 and values[0][1] == 0


def malformed_requests(demo):
    """A request that has a number is answered under it, and the session goes on."""
    p = Peer(Identity(os.path.join(demo, "admin")))
    opened, count = p.hello(), 0
    expect(opened and opened[0] == lb.WELCOME, f"no session: {word(opened)}")
    for kind, name, _, fields in peer.tables("messages"):
        if name not in sent_by("client") or fields[0][0] != "req":
            continue
        for what, data in peer.garbage(kind, fields):
            if not has_number(data) or what.endswith(("with a NUL", "too deep")):
                continue  # nobody can tell where such a message ends
            p.say(data, lb.pack(lb.PING, count))
            m, pong = p.hear(), p.hear()
            expect(m and m[0] == lb.ERROR and m[1] == 0 and refused_as(m, "malformed", "too_large")
                   and len(m[3]) > 10, f"{name}, {what}: {word(m)}")
            expect(pong == [lb.PONG, count], f"{name}, {what}: and then {word(pong)}")
            count += 1
            if pong is None or pong[0] != lb.PONG:
                p.hello()
    p.close()
    expect(count > 100, f"only {count} requests were tried")


def workers_garbage(demo):
    garbage_of(demo, "etl9", sent_by("worker"))


def hello_garbage(demo):
    p = Peer(Identity(os.path.join(demo, "anna")))
    fields = next(f for _, name, _, f in peer.tables("messages") if name == "HELLO")
    for what, data in peer.garbage(lb.HELLO, fields):
        p.new_session()
        p.say(data)
        m = p.hear(1)
        # A frame in which no HELLO can be seen belongs to an unknown session: RESET, at most
        # once a second.
        expect(m is None or m[0] == lb.RESET or refused_as(m, "malformed", "too_large", "version"),
               f"{what}: {word(m)}")
    m = p.hello(major=2)
    expect(refused_as(m, "version"), f"another major version: {word(m)}")
    m = p.hello()
    expect(m and m[0] == lb.WELCOME, f"a good HELLO afterwards: {word(m)}")
    p.close()


# ---- Frames

def oversized(demo):
    """More than 1 MiB: the connection is cut before anybody reads it; the next one is good."""
    p = Peer(Identity(os.path.join(demo, "anna")))
    expect(p.hello()[0] == lb.WELCOME, "no session")
    p.raw(p.session.frame(lb.pack(lb.PING, 1)) + bytes((1 << 20) + 1))
    m = p.hear_of((lb.PONG,), 1)
    expect(m is None, f"a frame above the limit was read: {word(m)}")
    m = p.hello()
    expect(m and m[0] == lb.WELCOME, f"no session after the cut: {word(m)}")
    p.close()
    still_serves(os.path.join(demo, "anna"))


def broken_frames(demo):
    """Truncated, empty, not msgpack, several parts, another session's, a number left out."""
    p = Peer(Identity(os.path.join(demo, "anna")))
    ping = lb.pack(lb.PING, 5)
    for what, make in {
        "empty": lambda: b"",
        "half a head": lambda: lb.pack(lb.FRAME, p.session.id, 2, 1)[:-1],
        "no msgpack": lambda: b"\xc1\xc1\xc1\xc1",
        "a head of another kind": lambda: lb.pack(7, p.session.id, 2, 1) + ping,
        "a message cut off": lambda: lb.pack(lb.FRAME, p.session.id, 2, 1) + ping + ping[:-1],
        "something behind the last message":
            lambda: lb.pack(lb.FRAME, p.session.id, 2, 1) + ping + b"\x00",
        "a number left out": lambda: lb.pack(lb.FRAME, p.session.id, 3, 1) + ping,
        "an acknowledgement of what was never sent":
            lambda: lb.pack(lb.FRAME, p.session.id, 2, 999) + ping,
        "an array of a billion":
            lambda: lb.pack(lb.FRAME, p.session.id, 2, 1) + b"\xdd\x3b\x9a\xca\x00\x05",
    }.items():
        expect(p.hello()[0] == lb.WELCOME, f"{what}: no session before it")
        p.raw(make())
        m = p.hear_of((lb.RESET, lb.REFUSED, lb.PONG))
        expect(m and (m[0] == lb.RESET or refused_as(m, "malformed", "too_large")),
               f"{what}: {word(m)}")
    expect(p.hello()[0] == lb.WELCOME, "no session before several parts")
    p.socket.send_multipart([p.session.frame(ping), b"x"])
    m = p.hear_of((lb.RESET, lb.REFUSED, lb.PONG))
    expect(m and m[0] == lb.RESET, f"several parts: {word(m)}")
    p.new_session()
    time.sleep(1.1)  # strays are told at most once a second
    p.session.sent = 1
    p.say(ping)
    m = p.hear_of((lb.RESET, lb.REFUSED, lb.PONG))
    expect(m and m[0] == lb.RESET, f"a frame of a session that nobody opened: {word(m)}")
    p.close()
    still_serves(os.path.join(demo, "anna"))


def replayed_frames(demo):
    """The same frame twice counts once, also after the session has gone on."""
    who = Identity(os.path.join(demo, "anna"))
    p = Peer(who)
    expect(p.hello()[0] == lb.WELCOME, "no session")
    frame = p.session.frame(lb.pack(lb.PING, 41))
    p.raw(frame)
    p.raw(frame)
    p.say(lb.pack(lb.PING, 42))
    p.raw(frame)
    p.say(lb.pack(lb.PING, 43))
    stamps = [p.hear_of((lb.PONG, lb.RESET)) for _ in range(3)]
    expect([m and m[1] for m in stamps] == [41, 42, 43], f"{[word(m) for m in stamps]}")
    expect(p.hear_of((lb.PONG, lb.RESET), 0.3) is None, "a repeated frame was answered")
    old = p.session.frame(lb.pack(lb.QUERY, 9, "whoami", {}, "", 1))
    expect(p.hello()[0] == lb.WELCOME, "no second session")
    p.raw(old)  # a frame of the older session, recorded and sent again
    m = p.hear_of((lb.ROWS,), 1)
    expect(m is None, f"a frame of an older session was served: {word(m)}")
    p.close()


# ---- Calls

def call_body(who, **changes):
    now = int(time.time() * 1000)
    fields = dict(cluster="test", caller=who.me["name"], key=str(uuid.uuid4()), job="package:say",
                  job_hash=peer.ZERO32, pin_latest=True, address="etl", parameters={"text": "x"},
                  on_lost=0, lost_after_ms=0, start_within_ms=0, timeout_ms=0, priority=4,
                  as_of="2026-11-21T09:13:55.000Z", issued_at=now, expires=now + 60000,
                  parent=peer.ZERO16, task="", index=0, try_no=0, semaphores=[], plan="")
    return lb.pack(lb.D_CALL, *{**fields, **changes}.values())


def runs_of(home, **where):
    with lb.Client(os.path.join(home, "etc"), timeout=5) as c:
        return [r for what in ("runs", "history") for r in c.query(what, **where)]


def replayed_calls(demo):
    """The same signed call again, in the same session and in another: the same run, once."""
    who = Identity(os.path.join(demo, "anna"))
    p = Peer(who)
    signed = who.sign(b"call", call_body(who, key="said-twice"))
    p.hello()
    first = p.ask(lb.CALL, 1, signed, 0)
    again = p.ask(lb.CALL, 2, signed, 0)
    p.hello()
    third = p.ask(lb.CALL, 3, signed, 0)
    expect(first and first[0] == lb.ACCEPTED and not first[3], f"the first: {word(first)}")
    for m in (again, third):
        expect(m and m[0] == lb.ACCEPTED and m[3] and m[2] == first[2], f"again: {word(m)}")
    other = p.ask(lb.CALL, 4,
                  who.sign(b"call", call_body(who, key="said-twice", parameters={"text": "y"})), 0)
    expect(refused_as(other, "conflict"), f"the same key with another body: {word(other)}")
    thief = Peer(Identity(os.path.join(demo, "otto")))
    thief.hello()
    stolen = thief.ask(lb.CALL, 5, signed, 0)
    expect(refused_as(stolen, "denied", "bad_signature"),
           f"another one's call, recorded and said again: {word(stolen)}")
    stolen = thief.ask(lb.CALL, 6, who.sign(b"call", call_body(who)), 0)
    expect(refused_as(stolen, "denied", "bad_signature"),
           f"another one's call, said first: {word(stolen)}")
    thief.close()
    p.close()


def bad_calls(demo):
    """Expired, too long, for another cluster, altered, signed by another key, on behalf of
    another."""
    who = Identity(os.path.join(demo, "anna"))
    p = Peer(who)
    expect(p.hello()[0] == lb.WELCOME, "no session")
    now = int(time.time() * 1000)
    parts = lb.unpack(who.sign(b"call", call_body(who)))
    other = lb.unpack(who.sign(b"call", call_body(who)))
    flipped = bytearray(parts[4])
    flipped[-20] ^= 1
    stranger = who.but(seed=os.urandom(32), certificate=who.certificate)
    table = {
        "expired": (who.sign(b"call", call_body(who, issued_at=now - 20000, expires=now - 10000)),
                    ["expired"]),
        "another cluster's": (who.sign(b"call", call_body(who, cluster="other")),
                              ["denied", "bad_signature", "unknown_principal"]),
        "altered": (lb.pack(*parts[:4], bytes(flipped), *parts[5:]),
                    ["bad_signature", "malformed", "denied", "expired"]),
        "cut signature": (lb.pack(*other[:7], other[7][:-1]), ["bad_signature", "malformed"]),
        "signed by nobody known": (stranger.sign(b"call", call_body(who)), ["bad_signature"]),
        "on behalf of another": (who.sign(b"call", call_body(who, caller="administrator")),
                                 ["denied", "bad_signature"]),
        "no document at all": (b"nonsense", ["malformed"]),
        "an empty one": (b"", ["malformed"]),
    }
    for what, (signed, words) in table.items():
        m = p.ask(lb.CALL, 7, signed, 0)
        accepted = m and m[0] == lb.ACCEPTED
        if accepted:  # the broker goes by the session; then the runner must refuse it
            with lb.Client(os.path.join(demo, "admin/etc"), timeout=5) as c:
                o = c.wait(m[2], 10, lb.unpack(signed)[4])
            expect(o["status"] == "refused" and o["code"] in [WORDS[w] for w in words],
                   f"{what}: taken and {o['status']} {o['message']}")
        else:
            expect(refused_as(m, *words), f"{what}: {word(m)}")
        if m is None or m[0] in (lb.REFUSED, lb.RESET):
            expect(p.hello()[0] == lb.WELCOME, f"{what}: no session afterwards")
    p.close()


# ---- Who may say what

def wrong_roles(demo):
    """Each well-formed message of another role is refused with a sentence, and changes nothing."""
    table = {"anna": sent_by("worker") + ["PUBLISH", "REVOKE", "ENROL"],
             "etl9": ["CALL", "RESOLVE", "QUERY", "OPERATE", "SUBSCRIBE", "LOGS", "DEPLOY", "PUT",
                      "PUBLISH", "REVOKE", "CANCEL"], "admin": sent_by("worker") + ["ENROL"]}
    kinds = {name: (kind, fields) for kind, name, _, fields in peer.tables("messages")}
    for home, names in table.items():
        p = Peer(Identity(os.path.join(demo, home)))
        for name in names:
            kind, fields = kinds[name]
            expect(p.hello(spool=SPOOL)[0] == lb.WELCOME, f"{home}: no session")
            p.say(lb.pack(*peer.plain(kind, fields)))
            m = p.hear_of((lb.ERROR, lb.REFUSED, lb.RESET))
            expect(refused_as(m, "wrong_role", "denied"), f"{name} of {home}: {word(m)}")
            expect(m is not None and name in str(m) or refused_as(m, "denied"),
                   f"{name} of {home}: the answer does not name it: {word(m)}")
        p.close()


def brokers_words(demo):
    """What only a broker says, said to the broker."""
    p = Peer(Identity(os.path.join(demo, "anna")))
    for kind, name, sender, fields in peer.tables("messages"):
        if sender != "broker" or name in ("RESET", "REFUSED"):
            continue
        expect(p.hello()[0] == lb.WELCOME, f"{name}: no session")
        p.say(lb.pack(*peer.plain(kind, fields)))
        m = p.hear_of((lb.ERROR, lb.REFUSED, lb.RESET))
        expect(m is not None and (m[0] == lb.RESET or refused_as(m, "wrong_role", "malformed")),
               f"{name}: {word(m)}")
    for kind in (18, 199, 4711):
        expect(p.hello()[0] == lb.WELCOME, f"kind {kind}: no session")
        p.say(lb.pack(kind, 1, 2))
        m = p.hear_of((lb.ERROR, lb.REFUSED, lb.RESET))
        expect(m is not None and (m[0] == lb.RESET or refused_as(m, "malformed", "wrong_role")),
               f"kind {kind}: {word(m)}")
    p.close()


def unknown_key(demo):
    """A key that no certificate names finishes no handshake; a client without CURVE neither."""
    anna = Identity(os.path.join(demo, "anna"))
    stranger = anna.but(seed=os.urandom(32), certificate=anna.certificate)
    for what, p in {"an unknown key": Peer(stranger),
                    "no CURVE": Peer(anna, curve=False),
                    "the wrong broker's key": Peer(anna.but(broker_key=os.urandom(32)))}.items():
        # What a socket without a finished handshake sends never comes through; ZeroMQ itself may
        # take it for a moment.
        connected = p.connected(1)
        m = p.hello() if connected else None
        expect(m is None, f"{what}: {word(m)}")
        p.close()
    still_serves(os.path.join(demo, "anna"))


def forged_certificates(demo):
    """HELLO with another one's certificate, one that we signed ourselves, one with a grant
    added."""
    anna = Identity(os.path.join(demo, "anna"))
    admin = Identity(os.path.join(demo, "admin"))
    fields = lb.unpack(lb.unpack(anna.certificate)[4])
    signed = lb.unpack(anna.certificate)
    more = lb.pack(*fields[:9], fields[9] + ["admin *@all"], *fields[10:])
    body = peer.certificate_body("test", "anna", "administrator", 99, anna.key)
    table = {
        "another one's": admin.certificate,
        "with a grant added": lb.pack(*signed[:4], more, *signed[5:]),
        "signed by its own holder": Identity(seed=bytes(anna.key)).sign(b"certificate", body),
        "signed as an administrator, by somebody else":
            lb.pack(lb.D_SIGNED, "", 0, bytes(admin.key.verify_key), body, [], 0, bytes(64)),
        "signed for another purpose": admin.but(certificate=b"").sign(b"deployment", body),
        "nonsense": b"nonsense",
    }
    p = Peer(anna)
    for what, certificate in table.items():
        m = p.hello(certificate)
        expect(refused_as(m, "unknown_principal", "bad_signature", "malformed", "denied"),
               f"{what}: {word(m)}")
        expect(m and m[0] == lb.REFUSED and len(m[2]) > 20, f"{what}: no sentence: {word(m)}")
    m = p.hello()
    expect(m and m[0] == lb.WELCOME, f"her own: {word(m)}")
    p.close()


# ---- One-time keys

def one_time_keys(demo):
    """A one-time key may say ENROL and nothing else, for the one name, once."""
    env = {**os.environ, "LONGBOAT_HOME": os.path.join(demo, "admin")}
    text = subprocess.run(["lbctl", "invite", "--principal", "emil", "--grant", "call *@etl"],
                          env=env, check=True, capture_output=True, text=True).stdout
    token = peer.token_of(text)
    key = peer.nacl.signing.SigningKey.generate()
    p = peer.one_time_peer(token)
    kinds = {name: (kind, fields) for kind, name, _, fields in peer.tables("messages")}
    for name in [n for n in sent_by("client", "worker")
                 if n not in ("HELLO", "PING", "BYE", "ENROL")]:
        expect(p.hello(b"")[0] == lb.WELCOME, f"{name}: no session")
        p.say(lb.pack(*peer.plain(*kinds[name])))
        m = p.hear_of((lb.ERROR, lb.REFUSED, lb.RESET))
        expect(refused_as(m, "wrong_role"), f"{name} of a one-time key: {word(m)}")
    for what, data in peer.garbage(*kinds["ENROL"]):
        expect(p.hello(b"")[0] == lb.WELCOME, f"ENROL, {what}: no session")
        p.say(data)
        m = p.hear_of((lb.ERROR, lb.REFUSED, lb.RESET))
        expect(m is not None and (m[0] == lb.RESET or refused_as(m, "malformed", "too_large")),
               f"ENROL, {what}: {word(m)}")
    for what, changes in {"another name": dict(name="administrator"),
                          "more grants": dict(grants=["admin *@all"]),
                          "another role": dict(role="administrator"),
                          "pools": dict(pools=["etl"])}.items():
        expect(p.hello(b"")[0] == lb.WELCOME, f"{what}: no session")
        m = p.ask(*peer.enrol(3, peer.certificate_by_token(token, key, **changes), key))
        expect(refused_as(m, "denied", "bad_signature", "malformed"), f"{what}: {word(m)}")
    p.hello(b"")
    m = p.ask(*peer.enrol(4, peer.certificate_by_token(token, key), key))
    expect(m and m[0] == lb.DONE, f"what it was invited for: {word(m)}")
    p.close()
    p = peer.one_time_peer(token)
    m = p.hello(b"") if p.connected(1) else None
    expect(m is None or refused_as(m, "unknown_principal"), f"used, and welcome again: {word(m)}")
    p.close()


def borrowed_invitations(demo):
    """A certificate of an invitation comes with ENROL or not at all: no HELLO makes a key known,
    before it was used or after."""
    env = {**os.environ, "LONGBOAT_HOME": os.path.join(demo, "admin")}
    anna = Identity(os.path.join(demo, "anna"))
    text = subprocess.run(["lbctl", "invite", "--principal", "fritz", "--grant", "call *@etl"],
                          env=env, check=True, capture_output=True, text=True).stdout
    token = peer.token_of(text)
    one_time, own, early, late = [peer.nacl.signing.SigningKey(token["one_time_seed"])] + [
        peer.nacl.signing.SigningKey.generate() for _ in range(3)]

    def stranger(key, when):
        p = Peer(anna.but(seed=bytes(key), certificate=b""))
        expect(not p.connected(1), f"{when}: its key is let in")
        p.close()

    p = peer.one_time_peer(token)
    for what, key in {"for a key that is not enrolled": early,
                      "for the one-time key": one_time}.items():
        m = p.hello(peer.certificate_by_token(token, key))
        expect(refused_as(m, "unknown_principal", "denied"),
               f"HELLO with a certificate {what}: {word(m)}")
    stranger(early, "before the invitation is used")
    p.hello(b"")
    m = p.ask(*peer.enrol(1, peer.certificate_by_token(token, own), own))
    expect(m and m[0] == lb.DONE, f"what it was invited for: {word(m)}")
    p.close()
    a = Peer(anna)
    m = a.hello(peer.certificate_by_token(token, late))
    expect(refused_as(m, "unknown_principal", "denied"),
           f"another one's used invitation: {word(m)}")
    a.close()
    stranger(late, "after the invitation was used")
    p = Peer(anna.but(seed=bytes(own), certificate=peer.certificate_by_token(token, own)))
    m = p.hello()
    expect(m and m[0] == lb.WELCOME, f"who was enrolled: {word(m)}")
    p.close()


def expired_tokens(demo):
    """An expired invitation enrols nobody: neither in an open session nor in a new one."""
    admin = Identity(os.path.join(demo, "admin"))
    one_time, key = peer.nacl.signing.SigningKey.generate(), peer.nacl.signing.SigningKey.generate()
    end = int(time.time() * 1000) + 1500
    body = lb.pack(peer.D_INVITATION, "test", bytes(one_time.verify_key), "late", "caller", 4711,
                   [], ["call *@etl"], end, end + 86400000)
    invitation = admin.but(certificate=b"").sign(b"invitation", body)
    a = Peer(admin)
    a.hello()
    m = a.ask(peer.OPERATE, 1, "invite", "late", {"invitation": invitation}, "of the test")
    expect(m and m[0] == lb.DONE, f"the invitation was not taken: {word(m)}")
    a.close()
    token = {"cluster": "test", "addresses": [admin.address], "broker_key": admin.broker_key,
             "administrators": [bytes(admin.key.verify_key)], "one_time_seed": bytes(one_time),
             "invitation": invitation}
    p = peer.one_time_peer(token)
    m = p.hello(b"")
    expect(m and m[0] == lb.WELCOME, f"in time, and not welcome: {word(m)}")
    while time.time() * 1000 <= end:
        time.sleep(0.05)
    m = p.ask(*peer.enrol(1, peer.certificate_by_token(token, key), key))
    expect(code_of(m) != 0 and m[0] in (lb.ERROR, lb.REFUSED), f"enrolled after the end: {word(m)}")
    p.close()
    p = peer.one_time_peer(token)
    m = p.hello(b"") if p.connected(1) else None
    expect(m is None or m[0] == lb.REFUSED, f"a session after the end: {word(m)}")
    p.close()
    with open(os.path.join(demo, "token"), "w") as f:
        f.write(peer.token_text(token) + "\n")


def revoked_while_connected(demo):
    """Who is revoked is refused at the next message, and hears no more events."""
    with lb.Client(os.path.join(demo, "bert/etc"), timeout=5) as c:
        expect(list(c.query("whoami")), "bert cannot ask")
        env = {**os.environ, "LONGBOAT_HOME": os.path.join(demo, "admin")}
        subprocess.run(["lbctl", "certificates", "revoke", "bert", "--reason", "of the test"],
                       env=env, check=True, capture_output=True)
        try:
            list(c.query("whoami"))
            expect(False, "a revoked principal was answered")
        except lb.LongboatError as e:
            expect(e.code == WORDS["revoked"] and "revoked" in str(e),
                   f"refused otherwise: {e} ({e.code})")
    m = Peer(Identity(os.path.join(demo, "bert"))).hello()
    expect(refused_as(m, "revoked", "unknown_principal") or m is None, f"a new session: {word(m)}")


# ---- A server's side

def two_spools(demo):
    """A second machine under a living server's name is refused and told where the first one is."""
    who = Identity(os.path.join(demo, "etl9"))
    a, b = Peer(who), Peer(who)
    m = a.hello(spool=SPOOL, slots=2)
    expect(m and m[0] == lb.WELCOME, f"the first: {word(m)}")
    a.say(lb.pack(32, 0), lb.pack(30, 2, [], [], [], {}))  # HAVE_END, ATTEST
    m = b.hello(spool=b"2" * 16, slots=2)
    if m and m[0] == lb.WELCOME:
        m = b.hear_of((lb.REFUSED, lb.RESET))
    expect(refused_as(m, "name_taken") and "127.0.0.1" in m[2], f"the second: {word(m)}")
    b.close()
    a.say(lb.pack(lb.BYE, "done"))
    a.close()


def invented_results(demo):
    """A worker that reports runs it was never given changes nothing."""
    who = Identity(os.path.join(demo, "etl9"))
    p = Peer(who)
    before = runs_of(os.path.join(demo, "admin"))
    m = p.hello(spool=SPOOL, slots=2)
    expect(m and m[0] == lb.WELCOME, f"no session: {word(m)}")
    outcome = lb.pack(lb.D_OUTCOME, 0, 1, 1, 7, 0, "", "etl9", "package:say", peer.ZERO32, 1, 1, 1,
                      [], {}, [])
    for message in (lb.pack(32, 0), lb.pack(30, 2, [], [], [], {}),
                    lb.pack(34, os.urandom(16), 1, "run", 5),
                    lb.pack(35, os.urandom(16), 1, 50, "half"),
                    lb.pack(36, os.urandom(16), 1, outcome),
                    lb.pack(41, os.urandom(16), 1, "run", 1, 1, 0, 5, b"text", 0),
                    lb.pack(40, os.urandom(16), 1, "no room")):
        p.say(message)
    if before:  # a run of another server
        run = uuid.UUID(before[0]["run"]).bytes
        p.say(lb.pack(36, run, 1,
                      lb.pack(lb.D_OUTCOME, 0, 2, 2, 6, 0, "forged", "etl9", "package:say",
                              peer.ZERO32, 1, 1, 1, [], {}, [])))
    p.say(lb.pack(lb.PING, 7))
    m = p.hear_of((lb.PONG, lb.RESET, lb.REFUSED))
    expect(m is not None, "silence after invented results")
    p.close()
    after = runs_of(os.path.join(demo, "admin"))
    key = {r["run"]: (r.get("status"), r.get("server")) for r in before}
    expect({r["run"]: (r.get("status"), r.get("server")) for r in after} == key,
           f"runs changed: {json.dumps(after)[:500]}")


def wrong_hash(demo):
    """Bytes put under a hash that is not theirs, whole or in pieces, stay no package."""
    who = Identity(os.path.join(demo, "admin"))
    p = Peer(who)
    expect(p.hello()[0] == lb.WELCOME, "no session")
    with open(os.path.join(demo, "do.lbp"), "rb") as f:
        data = f.read()
    with open(os.path.join(demo, "do.lbp.minisig"), "rb") as f:
        signature = f.read()
    for what, package, body in (("another hash", b"h" * 32, data),
                                ("altered bytes", None, data[:-1] + b"x")):
        if package is None:
            import hashlib
            package = hashlib.blake2b(data, digest_size=32).digest()[::-1]
        m = p.ask(70, 1, package, 0, len(body), body)
        m = p.ask(71, 2, package, b"{}", signature) if m and m[0] == lb.DONE else m
        expect(m and m[0] == lb.ERROR and len(m[3]) > 10, f"{what}: {word(m)}")
        m = p.ask(72, 3, package, 0, 100)
        expect(m and m[0] == lb.ERROR, f"{what}, and then it is there: {word(m)}")
    m = p.ask(70, 4, b"g" * 32, 500, 1000, b"from the middle")
    expect(m and m[0] in (lb.ERROR, lb.DONE), f"from the middle: {word(m)}")
    p.close()


if __name__ == "__main__":
    case, homes = sys.argv[1:]
    globals()[case](homes)
    for line in problems[:40]:
        print(line)
    if len(problems) > 40:
        print(f"... and {len(problems) - 40} more")
    sys.exit(1 if problems else 0)
