"""randomwords.py - messages of every kind with well-typed, mostly senseless values, as the tables
of PROTOCOL.md have them; what was heard before comes up again in them."""
import os
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))

from peer import PLAIN, ZERO32, lb, tables  # noqa: E402

NAMES = ["s1", "s2", "wh1", "evil", "all", "etl", "package:child", "load", "anna", "", "*",
         "x" * 64, "a\0b", "\u202e", "\x1b[2J", "runs", "history", "run", "find", "servers",
         "explain", "packages", "certificates", "parents", "whoami", "stats", "store",
         "principals", "audit"]
FILTERS = ["server", "pool", "job", "address", "principal", "run", "parent", "status", "since",
           "until", "event", "name"]
NUMBERS = [0, 1, 2, 3, 5, 7, 9, 64, 255, 1000, 65536, 262144, 1 << 20, 1 << 32, 1 << 63,
           (1 << 64) - 1]
IDS_MAX = 200


class Words:
    def __init__(self, who, rng):
        self.who, self.rng = who, rng
        self.ids = [rng.randbytes(16) for _ in range(6)]
        self.hashes = [rng.randbytes(32) for _ in range(3)] + [ZERO32]
        self.messages = {k: f for k, _, _, f in tables("messages") if k not in (1, 2, 3)}
        self.documents = {k: f for k, _, _, f in tables("documents") if k >= 101}

    def note(self, m):
        """What was heard is said again later."""
        for v in m:
            if isinstance(v, bytes) and len(v) == 16 and len(self.ids) < IDS_MAX:
                self.ids.append(v)
            if isinstance(v, bytes) and len(v) == 32 and len(self.hashes) < IDS_MAX:
                self.hashes.append(v)

    def message(self):
        kind = self.rng.choice(list(self.messages))
        try:
            data = bytearray(lb.pack(kind, *[self.field(*f, 0) for f in self.messages[kind]]))
        except (ValueError, OverflowError, UnicodeEncodeError):
            return lb.pack(5, 1)
        if self.rng.random() < .05 and len(data) > 3:
            data[self.rng.randrange(len(data))] = self.rng.randrange(256)
        return bytes(data)

    def document(self, depth):
        kind = self.rng.choice(list(self.documents))
        body = lb.pack(kind, *[self.field(*f, depth + 1) for f in self.documents[kind]])
        signed = {105: b"call", 106: b"parent", 111: b"deployment", 101: b"certificate",
                  104: b"revocations"}.get(kind)
        return self.who.sign(signed, body) if signed and self.rng.random() < .9 else body

    def value(self, depth=0):
        pick = self.rng.randrange(7)
        if pick == 0:
            return self.rng.choice([0, 1, -1, (1 << 63) - 1, -(1 << 63)])
        if pick == 1:
            return self.rng.choice(NAMES)
        if pick == 2:
            return self.rng.random() < .5
        if pick == 3:
            return self.rng.choice([0.0, -1.5, float("inf"), float("nan")])
        if pick == 4 and depth < 5:
            return [self.value(depth + 1) for _ in range(self.rng.randrange(4))]
        if pick == 5 and depth < 5:
            return {self.rng.choice(NAMES): self.value(depth + 1)
                    for _ in range(self.rng.randrange(4))}
        return self.rng.randbytes(self.rng.randrange(20))

    def field(self, name, kind, most, depth):
        value = self.named(name, kind) if self.rng.random() < .8 else None
        if value is None:
            value = self.typed(name, kind, depth)
        if most and self.rng.random() < .95:  # mostly within its limit
            if isinstance(value, int) and value > most:
                value = self.rng.choice([most, 0, min(1, most)])
            if isinstance(value, (str, bytes)):
                value = value[:most]
        return value

    def named(self, name, kind):
        r, now = self.rng, int(time.time() * 1000)
        if name == "cluster":
            return self.who.me["cluster"]
        if name in ("caller", "signer"):
            return self.who.me["name"]
        if name == "where":
            return {r.choice(FILTERS): r.choice([r.choice(NAMES), now, str(uuid.UUID(
                bytes=r.choice(self.ids))), ["result", "called"]]) for _ in range(r.randrange(3))}
        if kind == "i64":
            return r.choice([now, now + 600000, 0, -1, 1 << 62])
        return None

    def typed(self, name, kind, depth):
        r = self.rng
        if kind == "u64":
            return r.choice(NUMBERS + [r.randrange(10)])
        if kind == "i64":
            return r.choice([0, -1, 1, 1 << 62, -(1 << 63), (1 << 63) - 1])
        if kind == "str":
            return r.choice(NAMES) if r.random() < .8 else str(uuid.UUID(bytes=r.choice(self.ids)))
        if kind == "flag":
            return r.random() < .5
        if kind == "id":
            return r.choice(self.ids)
        if kind == "hash":
            return r.choice(self.hashes)
        if kind == "bin":
            if depth < 3 and r.random() < .7:
                return self.document(depth)
            return r.randbytes(r.choice([0, 1, 8, 64, 1000]))
        if kind == "bins":
            return [self.typed(name, "bin", depth + 1) for _ in range(r.randrange(3))]
        if kind == "strs":
            return [r.choice(NAMES) for _ in range(r.randrange(3))]
        if kind == "map":
            return {r.choice(NAMES): self.value() for _ in range(r.randrange(4))}
        return PLAIN[kind]
