"""peer.py - a peer of the broker that may say anything: frames and messages as the tests want
them.

Built on pieces of client/python/longboat.py, but without its manners: nothing is repeated, numbered
or acknowledged unless asked for. Also here: joining from a token, and the tables of
proto/PROTOCOL.md as data.
"""
import base64
import os
import re
import sys
import time

top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(top, "client/python"))

import msgpack  # noqa: E402
import nacl.signing  # noqa: E402
import zmq  # noqa: E402
import zmq.utils.z85  # noqa: E402
import longboat as lb  # noqa: E402

ENROL, CERTIFICATE, OPERATE, PUBLISH = 80, 81, 52, 83
D_INVITATION, D_TOKEN = 102, 103
ZERO16, ZERO32 = bytes(16), bytes(32)


class Identity:
    """Whose keys and certificate: those of a home, or those of the caller's choice."""

    def __init__(self, home=None, seed=None, certificate=b"", broker_key=None, address=None):
        if home:
            etc = os.path.join(home, "etc")
            with open(os.path.join(etc, "keys/sign.key")) as f:
                seed = bytes.fromhex(f.read().strip())
            with open(os.path.join(etc, "trust/certificate"), "rb") as f:
                certificate = f.read()
            with open(os.path.join(etc, "trust/broker"), "rb") as f:
                broker_key = lb.open_certificate(f.read())["transport_key"]
            address = lb.read_addresses(os.path.join(etc, "client.yaml"))[0]
        self.key = nacl.signing.SigningKey(seed)
        self.certificate, self.broker_key, self.address = certificate, broker_key, address
        self.me = (lb.open_certificate(certificate) if certificate
                   else {"name": "", "serial": 0, "cluster": "test"})

    def but(self, **changes):
        """The same with other parts: seed, certificate, broker_key, address."""
        have = dict(seed=bytes(self.key), certificate=self.certificate, broker_key=self.broker_key,
                    address=self.address)
        return Identity(**{**have, **changes})

    def sign(self, kind, body):
        """A d_signed. A call's signature covers its leaf."""
        import hashlib
        what = hashlib.blake2b(b"\0" + body, digest_size=32).digest() if kind == b"call" else body
        signature = self.key.sign(b"longboat/" + kind + b"/1\0" + what).signature
        return lb.pack(lb.D_SIGNED, self.me["name"], self.me["serial"], bytes(self.key.verify_key),
                       body, [], 0, signature)


class Peer:
    def __init__(self, who, curve=True):
        self.who = who
        self.context = zmq.Context()
        s = self.socket = self.context.socket(zmq.DEALER)
        if curve:
            private = who.key.to_curve25519_private_key()
            s.curve_serverkey = zmq.utils.z85.encode(who.broker_key)
            s.curve_secretkey = zmq.utils.z85.encode(bytes(private))
            s.curve_publickey = zmq.utils.z85.encode(bytes(private.public_key))
        s.setsockopt(zmq.LINGER, 500)
        s.setsockopt(zmq.IMMEDIATE, 1)
        s.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        s.setsockopt(zmq.RECONNECT_IVL, 100)
        s.connect(who.address)
        self.heard = []
        self.new_session()

    def close(self):
        self.socket.close()
        self.context.term()

    def connected(self, seconds):
        """Has the handshake been done, so that the broker takes frames from us?"""
        return bool(self.socket.poll(int(seconds * 1000), zmq.POLLOUT))

    def new_session(self):
        self.session = lb.Session()
        self.heard = []

    def raw(self, data):
        self.connected(10)
        self.socket.send(data, zmq.DONTWAIT)

    def say(self, *messages):
        """One frame, rightly numbered, with these messages."""
        self.raw(self.session.frame(b"".join(messages)))

    def hear(self, seconds=5):
        """The next message, [0, "gap"] for a lost frame, None: silence. Last words count whatever
        session they are of."""
        end = time.monotonic() + seconds
        while not self.heard:
            left = end - time.monotonic()
            if left <= 0 or not self.socket.poll(int(left * 1000)):
                return None
            data = self.socket.recv()
            messages = self.session.take(data)
            if messages is None:
                return [0, "gap"]
            if not messages:  # last words of no session (0) or of an older one
                unpacker = msgpack.Unpacker(raw=False)
                unpacker.feed(data)
                head, *rest = list(unpacker)
                messages = rest if head[2] == 0 and head[1] in (0, self.session.id) else []
            self.heard += messages
        return self.heard.pop(0)

    def hear_of(self, kinds, seconds=5):
        """The next message of one of these kinds; others are passed over."""
        end = time.monotonic() + seconds
        while True:
            m = self.hear(max(0.01, end - time.monotonic()))
            if m is None or m[0] in kinds:
                return m

    def hello(self, certificate=None, major=lb.MAJOR, spool=ZERO16, slots=0):
        """Opens a new session: WELCOME, or what came in its place."""
        self.new_session()
        own = self.who.certificate if certificate is None else certificate
        self.say(lb.pack(lb.HELLO, major, lb.MINOR, "peer.py", own, spool, spool, spool, slots, 0))
        return self.hear_of((lb.WELCOME, lb.REFUSED, lb.RESET))

    def ask(self, *message):
        """Says one message and returns the answer to its req (message[1]) or a last word."""
        self.say(lb.pack(*message))
        end = time.monotonic() + 5
        while True:
            m = self.hear(max(0.01, end - time.monotonic()))
            if (m is None or m[0] in (0, lb.REFUSED, lb.RESET)
                    or (len(m) > 1 and m[1] == message[1])):
                return m


def word(m):
    """An answer for people."""
    names = {0: "gap", lb.WELCOME: "WELCOME", lb.REFUSED: "REFUSED", lb.RESET: "RESET",
             lb.ERROR: "ERROR", lb.DONE: "DONE", lb.PONG: "PONG", lb.ACCEPTED: "ACCEPTED",
             lb.ROWS: "ROWS"}
    return "silence" if m is None else f"{names.get(m[0], m[0])} {m[1:]}"


# ---- Joining

def token_of(text):
    names = ("cluster", "addresses", "broker_key", "administrators", "one_time_seed", "invitation")
    raw = text.strip().removeprefix("longboat-join:")
    return dict(zip(names, lb.unpack(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))[1:]))


def token_text(token):
    packed = lb.pack(D_TOKEN, *token.values())
    return "longboat-join:" + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def invitation_of(token):
    names = ("cluster", "one_time_key", "name", "role", "serial", "pools", "grants", "expires",
             "certificate_not_after")
    return dict(zip(names, lb.unpack(lb.unpack(token["invitation"])[4])[1:]))


def transport_of(key):
    return bytes(key.verify_key.to_curve25519_public_key())


def certificate_body(cluster, name, role, serial, key, pools=(), grants=(), invitation=b"",
                     not_after=None, seal=ZERO32):
    now = int(time.time() * 1000)
    return lb.pack(lb.D_CERTIFICATE, cluster, name, role, serial, bytes(key.verify_key),
                   transport_of(key), seal, list(pools), list(grants), now,
                   not_after or now + 86400000, invitation)


def certificate_by_token(token, key, **changes):
    """The certificate that `key` makes for itself with a token; changes: name=, role=, pools=,
    grants=, serial=."""
    i = invitation_of(token)
    want = {k: i[k] for k in ("cluster", "name", "role", "serial", "pools", "grants")}
    seal = os.urandom(32) if i["role"] == "server" else ZERO32
    body = certificate_body(**{**want, **changes}, key=key, invitation=token["invitation"],
                            not_after=i["certificate_not_after"], seal=seal)
    one_time = Identity(seed=token["one_time_seed"])
    return one_time.sign(b"certificate", body)


def enrol(req, certificate, key):
    """The fields of an ENROL in which `key` vouches for its certificate."""
    return [ENROL, req, certificate, lb.possession(key, certificate)]


def one_time_peer(token):
    address = token["addresses"][0]
    return Peer(Identity(seed=token["one_time_seed"], broker_key=token["broker_key"],
                         address=address if "://" in address else "tcp://" + address))


def join(token, home):
    """Joins with a token and writes the files of an identity below `home`."""
    key = nacl.signing.SigningKey.generate()
    certificate = certificate_by_token(token, key)
    peer = one_time_peer(token)
    welcome = peer.hello(b"")
    if welcome is None or welcome[0] != lb.WELCOME:
        raise lb.LongboatError(word(welcome))
    answer = peer.ask(*enrol(1, certificate, key))
    peer.close()
    if answer is None or answer[0] != lb.DONE:
        raise lb.LongboatError(word(answer))
    files = {"keys/sign.key": bytes(key).hex() + "\n", "trust/certificate": certificate,
             "trust/broker": welcome[4],
             "trust/administrators": "".join(a.hex() + "\n" for a in token["administrators"]),
             "client.yaml": "brokers:\n" + "".join(f"  - \"{a}\"\n" for a in token["addresses"])}
    for name, content in files.items():
        path = os.path.join(home, "etc", name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, 0o400)
    return Identity(home)


# ---- PROTOCOL.md as data

ADDED = {}  # by kind of message: how many of its last fields may be missing


def tables(section):
    """[(kind, name, sender, [(field, type, most or None)])] of the messages or documents of
    PROTOCOL.md."""
    with open(os.path.join(top, "proto/PROTOCOL.md"), encoding="utf-8") as f:
        text = f.read().split(f"<!-- begin {section} -->")[1].split(f"<!-- end {section} -->")[0]
    found = []
    for head, kind, sender, body in re.findall(r"\*\*(\w+)\*\* `(\d+)`(?: \(([^)]*)\))?([^*]*)",
                                               text):
        fields = re.findall(r"`(\w+)` (u64|i64|flag|str|bin|id|hash|strs|bins|map)(?: ≤ (\d+))?"
                            r"(\s+\(may be\s+missing\))?", body)
        found.append((int(kind), head, sender,
                      [(n, t, int(m) if m else None) for n, t, m, _ in fields]))
        ADDED[int(kind)] = sum(1 for *_, added in fields if added)
    return found


PLAIN = {"u64": 0, "i64": 0, "flag": False, "str": "", "bin": b"", "id": ZERO16, "hash": ZERO32,
         "strs": [], "bins": [], "map": {}}


def plain(kind, fields):
    """The smallest message of this form."""
    return [kind] + [PLAIN[t] for _, t, _ in fields]


def garbage(kind, fields):
    """(what is wrong with it, bytes) for each way in which a message of this kind can be
    ill-formed."""
    good = plain(kind, fields)
    wrong = {"u64": "seven", "i64": b"", "flag": 2, "str": b"", "bin": "", "id": bytes(15),
             "hash": bytes(33), "strs": {}, "bins": [0], "map": []}
    yield "one field too many", lb.pack(*good, 0)
    yield "a field missing", lb.pack(*good[:-1 - ADDED.get(kind, 0)])
    yield "cut in the middle", lb.pack(*good)[:-1]
    yield "a map in place of an array", msgpack.packb({"kind": kind}, use_bin_type=True)
    yield "its kind in too long a form", _with_raw(good, 0, b"\xcc" + bytes([kind]))
    yield "nothing but its kind", lb.pack(kind)
    for i, (name, type_, most) in enumerate(fields, 1):
        for what, value in (("of another type", wrong[type_]), ("nil", None)):
            yield f"{name} {what}", lb.pack(*good[:i], value, *good[i + 1:])
        if most is not None and type_ == "u64" and most < 2**63:
            yield f"{name} too large", lb.pack(*good[:i], most + 1, *good[i + 1:])
        if most is not None and type_ in ("str", "bin") and most < 1 << 20:
            long = "x" * (most + 1) if type_ == "str" else b"x" * (most + 1)
            yield f"{name} too long", lb.pack(*good[:i], long, *good[i + 1:])
        if most is not None and type_ in ("strs", "bins"):
            entries = ["" if type_ == "strs" else b""] * (most + 1)
            yield f"{name} with too many entries", lb.pack(*good[:i], entries, *good[i + 1:])
        if type_ == "str":
            yield f"{name} with a NUL", lb.pack(*good[:i], "a\0b", *good[i + 1:])
            yield f"{name} not UTF-8", _with_raw(good, i, b"\xa2\xc3\x28")
        if type_ == "map":
            yield f"{name} with a name twice", _with_raw(good, i, b"\x82\xa1a\x00\xa1a\x00")
            deep = {}
            for _ in range(20):
                deep = {"a": deep}
            yield f"{name} too deep", lb.pack(*good[:i], deep, *good[i + 1:])


def _with_raw(good, i, raw):
    """The message with these bytes in the place of its part i."""
    parts = [msgpack.packb(v, use_bin_type=True) for v in good]
    parts[i] = raw
    return msgpack.Packer().pack_array_header(len(good)) + b"".join(parts)
