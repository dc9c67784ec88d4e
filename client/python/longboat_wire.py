"""longboat_wire.py - the bytes of Longboat's protocol: packing, strict reading, sessions,
signatures.

Written from proto/PROTOCOL.md alone. No sockets and no files: longboat.py has those.
"""
import hashlib
import math
import re
import secrets
import time

import msgpack
import nacl.bindings
import nacl.exceptions
import nacl.signing

MAJOR, MINOR = 1, 1
LEASE, HEARTBEAT, ACK_DELAY = 15.0, 2.0, 0.05  # seconds
WINDOW_BYTES, WINDOW_FRAMES, PACK, FRAME_MAX = 512 << 10, 64, 64 << 10, 1 << 20
ACK_FRAMES, ACK_BYTES = WINDOW_FRAMES // 4, WINDOW_BYTES // 4
FRAME, HELLO, WELCOME, REFUSED, RESET, PING, PONG, BYE, DONE, ERROR = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
RESOLVE, RESOLVED, CALL, ACCEPTED, FOLLOW, RUN_STATE, RUN_ENDED, CANCEL = range(10, 18)
REVOKED, QUERY, ROWS, SUBSCRIBE, EVENTS, CREDIT, UNSUBSCRIBE = 44, 50, 51, 53, 54, 55, 56
CERTIFICATE, CERTIFICATES = 81, 82
D_SIGNED, D_CERTIFICATE, D_INVITATION, D_CALL = 100, 101, 102, 105
D_REVOCATIONS, D_VERSION, D_OUTCOME, D_STEP_OUTCOME, D_RESULT = 104, 107, 116, 117, 121
ZERO16, ZERO32 = bytes(16), bytes(32)

MALFORMED, BUSY, EXPIRED, UNKNOWN_ADDRESS, BAD_SIGNATURE = 1, 11, 12, 15, 17
DELIVERY = ("called", "refused", "unreachable")
JOB = ("not_called", "succeeded", "failed", "cancelled", "timed_out", "lost", "unknown")
PACKAGE = ("not_executed", "succeeded", "failed", "cancelled", "unknown")
STATUS = ("refused", "unreachable", "cancelled", "timed_out", "lost", "unknown", "failed",
          "succeeded")
ON_LOST = ("default", "fail", "rerun", "hold")

# The fields of what a broker sends to a caller or monitor, and of the documents inside. One with a
# ? may be missing, and is then read as empty.
FORMS = {
    FRAME: "u64 u64 u64",
    WELCOME: "u64 str str bin u64 u64 u64 i64 u64 bin",
    REFUSED: "u64 str u64",
    RESET: "str",
    PONG: "u64",
    DONE: "u64 str",
    ERROR: "u64 u64 str u64",
    RESOLVED: "u64 bins strs",
    ACCEPTED: "u64 id flag",
    RUN_STATE: "id u64 u64 str u64 str i64",
    RUN_ENDED: "id u64 str bin bin?",
    REVOKED: "bin",
    ROWS: "u64 strs str",
    EVENTS: "u64 u64 u64 strs flag",
    CERTIFICATES: "u64 bins",
    D_SIGNED: "str u64 hash bin bins u64 bin",
    D_CERTIFICATE: "str str str u64 hash hash hash strs strs i64 i64 bin",
    D_REVOCATIONS: "str u64 i64 bin",
    D_INVITATION: "str hash str str u64 strs strs i64 i64",
    D_VERSION: "hash str u64 str flag bin",
    D_OUTCOME: "u64 u64 u64 u64 u64 str str str hash i64 i64 i64 bins map strs",
    D_STEP_OUTCOME: "str u64 u64 str u64 str str hash str map i64 u64 flag flag flag i64 i64 "
                    "u64 u64 u64 u64 u64 u64 str strs strs u64",
}
CERTIFICATE_FIELDS = ("cluster", "name", "role", "serial", "sign_key", "transport_key", "seal_key",
                      "pools", "grants", "not_before", "not_after", "invitation")
INVITATION_FIELDS = ("cluster", "one_time_key", "name", "role", "serial", "pools", "grants",
                     "expires", "certificate_not_after")
CLOCK_SKEW = 300000  # ms by which a certificate may begin in our future


class LongboatError(Exception):
    """A refusal by the broker, or an error of this client; `code` is the protocol's number, 0 for
    the client's own errors."""

    def __init__(self, text, code=0):
        super().__init__(text)
        self.code = code


def malformed(text):
    return LongboatError(text, MALFORMED)


# ---- Values

def pack(*fields):
    return msgpack.packb(fields, use_bin_type=True)


def _no_extension(code, _):
    raise malformed(f"extension type {code}")


def _check_text(text):
    if "\0" in text:
        raise malformed("a text with NUL")


def _check_value(v, depth):
    """A value inside of a map; `depth`: how many lists and maps may still be around what is inside
    of this one."""
    if isinstance(v, (list, dict)) and depth == 0:
        raise malformed("nested too deep")
    if isinstance(v, str):
        _check_text(v)
    elif isinstance(v, float):
        if not math.isfinite(v):
            raise malformed("not a finite number")
    elif isinstance(v, int) and not isinstance(v, bool):
        if not -2**63 <= v < 2**63:
            raise malformed("a number beyond 63 bits")
    elif isinstance(v, list):
        for item in v:
            _check_value(item, depth - 1)
    elif isinstance(v, dict):
        if len(v) > 1000:
            raise malformed("a map with too many entries")
        for name, item in v.items():
            if not isinstance(name, str) or not 0 < len(name.encode()) <= 64:
                raise malformed("a map with a name that is empty, too long, or no text")
            _check_text(name)
            _check_value(item, depth - 1)


def is_of(kind, v):
    if kind in ("u64", "i64"):
        return isinstance(v, int) and not isinstance(v, bool) and (kind == "i64" and v < 2**63
                                                                   or kind == "u64" and v >= 0)
    if kind == "flag":
        return isinstance(v, bool)
    if kind == "str":
        return isinstance(v, str)
    if kind in ("bin", "id", "hash"):
        return isinstance(v, bytes) and len(v) == {"id": 16, "hash": 32}.get(kind, len(v))
    if kind in ("strs", "bins"):
        return isinstance(v,
                          list) and all(isinstance(x, str if kind == "strs" else bytes) for x in v)
    return isinstance(v, dict)


def check_form(array, newer=False):
    """Is this decoded array [kind, field, ...] of a form we know? Other kinds are checked as values
    only."""
    if not isinstance(array, list) or not array or not is_of("u64", array[0]):
        raise malformed("not an array that begins with its kind")
    fields = array[1:]
    form = FORMS[array[0]].split() if array[0] in FORMS else []
    required = sum(not kind.endswith("?") for kind in form)
    if array[0] in FORMS and (len(fields) < required or (len(fields) > len(form) and not newer)):
        raise malformed(f"kind {array[0]}: {len(fields)} fields for {len(form)}")
    for kind in form[len(fields):]:
        fields.append("" if kind == "str?" else b"")
        array.append(fields[-1])
    form = [kind.rstrip("?") for kind in form]
    for kind, v in zip(form, fields):
        if not is_of(kind, v):
            raise malformed(f"kind {array[0]}: a field that is no {kind}")
    for v in fields:
        if v is None:
            raise malformed(f"kind {array[0]}: nil in a field")
        for item in v if isinstance(v, list) else [v]:
            if isinstance(item, (str, float, dict)):
                _check_value(item, 16)
    return array


def unpack_all(data):
    """The values of these bytes. What is not in its shortest form, cut off or a name twice does not
    pack to itself."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_buffer_size=2 << 20,
                                ext_hook=_no_extension,
                                timestamp=0)
    try:
        unpacker.feed(data)
        values = list(unpacker)
        again = b"".join(msgpack.packb(v, use_bin_type=True) for v in values)
    except LongboatError:
        raise
    except Exception as e:  # msgpack has a dozen of its own and of Python's
        raise malformed(f"not msgpack: {e}") from None
    if again != data:
        raise malformed("msgpack that is cut off, not in its shortest form, or has a name twice")
    return values


def unpack(data, newer=False):
    """One array [kind, field, ...], strictly."""
    values = unpack_all(data)
    if len(values) != 1:
        raise malformed("not one value")
    return check_form(values[0], newer)


# ---- Sessions

class Session:
    """Numbers and acknowledgements of one session; see "Sessions" in PROTOCOL.md."""

    def __init__(self, number=None):
        self.id = number or secrets.randbits(64) | 1
        self.sent = self.acked = self.received = self.told = self.untold_bytes = 0
        self.unacked = []  # sizes of frames in flight
        # The broker has a newer minor version: it may send fields that we do not know.
        self.newer = False
        self.heard = self.spoken = time.monotonic()
        self.ack_at = None

    def frame(self, messages=b""):
        if messages:
            self.sent += 1
        data = pack(FRAME, self.id, self.sent, self.received) + messages
        if messages:
            self.unacked.append(len(data))
        self.spoken, self.told, self.untold_bytes, self.ack_at = time.monotonic(
            ), self.received, 0, None
        return data

    def may_send(self, size=PACK):
        if not self.unacked:
            return True  # a frame that is longer than the window travels alone
        return len(self.unacked) < WINDOW_FRAMES and sum(self.unacked) + size <= WINDOW_BYTES

    def ack_due(self):
        return self.ack_at is not None and time.monotonic() >= self.ack_at

    def take(self, data):
        """The messages of a frame; None: a gap, the session is over; []: nothing new, or of another
        session."""
        if len(data) > FRAME_MAX:
            raise malformed("a frame beyond its limit")
        values = unpack_all(data)
        if not values or check_form(values[0])[0] != FRAME:
            raise malformed("a frame without its head")
        (_, session, number, ack), messages = values[0], values[1:]
        if session != self.id:
            return []
        if any(not isinstance(m, list) or not m or m[0] == FRAME for m in messages):
            raise malformed("something in a frame that is no message")
        for m in messages:
            check_form(m, self.newer or m[0] == WELCOME)
        # The session's last word, RESET or REFUSED, is outside the numbering.
        if number == 0 and messages:
            if len(messages) != 1 or messages[0][0] not in (RESET, REFUSED, BYE):
                raise malformed("messages in a frame without a number")
            return messages
        if ack > self.sent:
            raise malformed("an acknowledgement of what was never sent")
        self.heard = time.monotonic()
        if ack > self.acked:
            del self.unacked[:ack - self.acked]
            self.acked = ack
        if number > self.received + bool(messages):
            return None
        if not messages or number <= self.received:
            return []
        self.received = number
        self.untold_bytes += len(data)
        now = time.monotonic()
        if self.received - self.told >= ACK_FRAMES or self.untold_bytes >= ACK_BYTES:
            self.ack_at = now
        elif self.ack_at is None:
            self.ack_at = now + ACK_DELAY
        return messages


# ---- Signatures

def blake(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def leaf(body):
    return blake(b"\0" + body)


def node(left, right):
    return blake(b"\1" + left + right)


def batch(bodies):
    """(root, a proof for each body): a node without a right neighbour is joined with 32 zero
    bytes."""
    level = [leaf(b) for b in bodies]
    proofs, places = [[] for _ in bodies], list(range(len(bodies)))
    while len(level) > 1:
        level += [ZERO32] * (len(level) % 2)
        for proof, place in zip(proofs, places):
            proof.append(level[place ^ 1])
        level = [node(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        places = [place >> 1 for place in places]
    return level[0], proofs


def root_of(body, proof, index):
    at = leaf(body)
    for height, sibling in enumerate(proof):
        at = node(sibling, at) if index >> height & 1 else node(at, sibling)
    return at


BATCHED = ("call", "result")  # kinds of which many share a signature


def sign(kind, key, signer, serial, body):
    """A d_signed of one document; a call or result is a batch of one."""
    content = leaf(body) if kind in BATCHED else body
    signature = key.sign(f"longboat/{kind}/1".encode() + b"\0" + content).signature
    return pack(D_SIGNED, signer, serial, bytes(key.verify_key), body, [], 0, signature)


def sign_calls(key, signer, serial, bodies):
    """A d_signed of each, with one signature for all."""
    root, proofs = batch(bodies)
    signature = key.sign(b"longboat/call/1\0" + root).signature
    return [pack(D_SIGNED, signer, serial, bytes(key.verify_key), body, proof, i, signature)
            for i, (body, proof) in enumerate(zip(bodies, proofs))]


def sign_results(key, signer, serial, bodies):
    """The signature of each d_result, one for all of them: a d_signed without its body."""
    root, proofs = batch(bodies)
    signature = key.sign(b"longboat/result/1\0" + root).signature
    return [pack(D_SIGNED, signer, serial, bytes(key.verify_key), b"", proof, i, signature)
            for i, proof in enumerate(proofs)]


def possession(key, certificate):
    """The word of a new certificate's own key, which goes with it into ENROL."""
    return key.sign(b"longboat/possession/1\0" + certificate).signature


def check_possession(signature, certificate):
    """Was the certificate asked for by its own key?"""
    try:
        nacl.signing.VerifyKey(open_certificate(certificate)["sign_key"]).verify(
            b"longboat/possession/1\0" + certificate, signature)
    except (nacl.exceptions.BadSignatureError, ValueError):
        raise LongboatError("the key of this certificate has not signed it",
                            BAD_SIGNATURE) from None


def open_signed(kind, data, key=None, detached=None):
    """The fields of a d_signed whose signature holds: [signer, serial, key, body, proof, index,
    signature]. `key`: 32 bytes that it must be signed by. `detached`: the body of one that has
    none."""
    array = unpack(data)
    if array[0] != D_SIGNED:
        raise malformed("not a signed document")
    _, _, _, by, body, proof, index, signature = array
    if detached is not None:
        if body:
            raise LongboatError("a signature that comes with a body of its own", BAD_SIGNATURE)
        body = detached
    if kind not in BATCHED and (proof or index):
        raise LongboatError("only calls and results may have the proof of a batch", BAD_SIGNATURE)
    if len(proof) > 32 or any(len(p) != 32 for p in proof) or index >> len(proof):
        raise LongboatError("a proof that is none", BAD_SIGNATURE)
    content = root_of(body, proof, index) if kind in BATCHED else body
    try:
        nacl.signing.VerifyKey(by).verify(f"longboat/{kind}/1".encode() + b"\0" + content,
                                          signature)
    except (nacl.exceptions.BadSignatureError, ValueError):
        raise LongboatError(f"the signature of this {kind} does not match", BAD_SIGNATURE) from None
    if key is not None and by != key:
        raise LongboatError(f"this {kind} is signed by another key", BAD_SIGNATURE)
    return array[1:]


def open_certificate(signed):
    """The body of a certificate whose signature is already verified (our own and the broker's are
    in our files)."""
    body = unpack(unpack(signed)[4])
    if body[0] != D_CERTIFICATE:
        raise LongboatError("not a certificate")
    return dict(zip(CERTIFICATE_FIELDS, body[1:]))


def verify_certificate(signed, administrators, cluster, now):
    """The body of a certificate that an administrator, or a principal they invited, has signed.
    `administrators`: keys of 32 bytes; `now`: milliseconds since 1970."""
    c = open_certificate(signed)
    invitation = None
    if c["invitation"]:
        envelope = open_signed("invitation", c["invitation"])
        invitation = dict(zip(INVITATION_FIELDS, unpack(envelope[3])[1:]))
        open_signed("certificate", signed, invitation["one_time_key"])
    else:
        envelope = open_signed("certificate", signed)
    if envelope[2] not in administrators or (envelope[0],
                                             envelope[1]) != ("", 0) or c["cluster"] != cluster:
        raise LongboatError("a certificate that no administrator of this cluster stands for",
                            BAD_SIGNATURE)
    if nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(c["sign_key"]) != c["transport_key"]:
        raise malformed("a certificate whose transport key is not its signing key's")
    if (c["role"] == "server") == (c["seal_key"] == ZERO32) or (c["pools"]
                                                                and c["role"] != "server"):
        raise malformed("a seal key and pools belong to servers, and to servers alone")
    if c["serial"] == 0 or not c["not_before"] - CLOCK_SKEW <= now < c["not_after"]:
        raise LongboatError("a certificate that has ended, or has not begun", EXPIRED)
    if invitation and (any(c[f] != invitation[f] for f in ("cluster", "name", "role", "serial"))
                       or set(c["pools"]) - set(invitation["pools"])
                       or set(c["grants"]) - set(invitation["grants"])
                       or c["not_after"] > invitation["certificate_not_after"]
                       or c["not_before"] > invitation["expires"]):
        raise LongboatError("a certificate that goes beyond its invitation", BAD_SIGNATURE)
    return c


# ---- Results

def outcome_status(delivery, job, package):
    """The status that follows from the three layers: the first rule that holds."""
    if delivery:
        return ("", "refused", "unreachable")[delivery]
    word = JOB[job]
    if word in ("cancelled", "timed_out", "lost"):
        return word
    if PACKAGE[package] == "cancelled":
        return "cancelled"
    if "unknown" in (word, PACKAGE[package]):
        return "unknown"
    if "failed" in (word, PACKAGE[package]):
        return "failed"
    return "unknown" if word == "not_called" else "succeeded"


def needs_signature(o):
    """Whether only a server's signature makes this outcome true: a child may have begun. `o`: the
    array of a d_outcome."""
    return bool(o[13] or o[14] or JOB[o[2]] in ("succeeded", "failed", "timed_out")
                or PACKAGE[o[3]] in ("succeeded", "failed"))


def check_outcome(o):
    """Refuses an outcome whose layers or status contradict each other."""
    if o[1] >= len(DELIVERY) or o[2] >= len(JOB) or o[3] >= len(PACKAGE) or o[4] >= len(STATUS):
        raise malformed("the outcome has a layer of an unknown value")
    if STATUS[o[4]] != outcome_status(*o[1:4]):
        raise malformed(f"the outcome's status '{STATUS[o[4]]}' does not follow from its layers")


def covers(grants, verb, job, address):
    """Does a grant `VERB PATTERN@ADDRESS` cover this verb on the job at the address?"""
    for grant in grants:
        has, _, rest = grant.partition(" ")
        pattern, _, where = rest.rpartition("@")
        form = ".*".join(re.escape(part) for part in pattern.split("*"))
        if has == verb and where in (address, "all", "*") and re.fullmatch(form, job):
            return True
    return False


def verify_result(signature, certificate, cluster, server, run, attempt, call, outcome, job,
                  address):
    """Raises an error unless the signature of a result is that of its server, or of an operator who
    has released the run. `certificate`: of the signer, verified and not revoked; `call`: the hash
    of the signed call's body; `outcome`: the bytes as sent; `job`, `address`: of the call."""
    c = certificate
    if server:
        if c["role"] != "server" or c["name"] != server:
            raise LongboatError(f"it is signed with the certificate of {c['role']} '{c['name']}'",
                                BAD_SIGNATURE)
        if address not in ("all", c["name"], *c["pools"]):
            raise LongboatError(f"server '{server}' is not in '{address}', to which the call was "
                                "addressed", BAD_SIGNATURE)
    else:
        o = unpack(outcome)
        if o[13] or o[14]:
            raise LongboatError("it names no server, and yet it has steps or outputs",
                                BAD_SIGNATURE)
        if c["role"] != "administrator" and not covers(c["grants"], "operate", job, address):
            raise LongboatError(f"'{c['name']}' may not operate {job}@{address}", BAD_SIGNATURE)
    body = pack(D_RESULT, cluster, server, run, attempt, call, outcome)
    opened = open_signed("result", signature, c["sign_key"], body)
    if (opened[0], opened[1]) != (c["name"], c["serial"]):
        raise LongboatError("it names another certificate than that of its key", BAD_SIGNATURE)


def verify_revocations(signed, administrators, cluster):
    """(number, serials) of a list that an administrator has signed."""
    envelope = open_signed("revocations", signed)
    _, of, number, _, serials = unpack(envelope[3])
    if envelope[2] not in administrators or of != cluster:
        raise LongboatError("a list that no administrator of this cluster has signed",
                            BAD_SIGNATURE)
    return number, {int.from_bytes(serials[i:i + 8], "big") for i in range(0, len(serials), 8)}
