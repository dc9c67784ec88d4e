#!/usr/bin/python3
"""Writes the test vectors of proto/PROTOCOL.md with the Python client's code; trust/vectors_test.c computes the same in C
and compares, so that the page, the client and the C side cannot part.

usage: tools/protocol_vectors.py [--check]
"""
import hashlib
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "client", "python"))
sys.dont_write_bytecode = True
import longboat  # noqa: E402
import nacl.signing  # noqa: E402


def vectors():
    key = nacl.signing.SigningKey(b"\x01" * 32)
    transport = key.to_curve25519_private_key()
    yield "signing key, public", bytes(key.verify_key)
    yield "transport key, public", bytes(transport.public_key)
    body = longboat.pack(
        longboat.D_CALL, "demo", "anna", "key-1", "package:say", b"\x02" * 32, False, "etl",
        {"text": "hello", "count": 300, "share": 0.5, "list": [True, None, -1]}, 0, 0, 0, 0, 4,
        "2026-11-21T09:13:55.012Z", 1763716435012, 1763802835012, longboat.ZERO16, "", 0, 0, [], "")
    yield "d_call", body
    leaf = hashlib.blake2b(b"\0" + body, digest_size=32).digest()
    yield "its leaf, and root of a batch of one", leaf
    signature = key.sign(b"longboat/call/1\0" + leaf).signature
    yield "signature of the batch of one", signature
    yield "d_signed", longboat.pack(longboat.D_SIGNED, "anna", 7, bytes(key.verify_key), body, [], 0, signature)
    other = hashlib.blake2b(b"\0" + b"other", digest_size=32).digest()
    yield "node over (leaf, leaf of the body `other`)", hashlib.blake2b(b"\1" + leaf + other, digest_size=32).digest()
    yield "node over (leaf, no neighbour)", hashlib.blake2b(b"\1" + leaf + bytes(32), digest_size=32).digest()
    yield "frame 3 of session 77, ack 2, with PING 5", (
        longboat.pack(longboat.FRAME, 77, 3, 2) + longboat.pack(longboat.PING, 5))


def main():
    path = os.path.join(TOP, "proto", "PROTOCOL.md")
    old = open(path).read()
    lines = []
    for name, data in vectors():
        text = data.hex()
        lines += [f"- {name}:", "", "  ```"] + ["  " + text[i:i + 96] for i in range(0, len(text), 96)] + ["  ```"]
    new = re.sub(r"(<!-- begin vectors -->\n).*?(<!-- end vectors -->)",
                 lambda m: m.group(1) + "\n".join(lines) + "\n" + m.group(2), old, flags=re.S)
    if "--check" in sys.argv:
        if old != new:
            print("proto/PROTOCOL.md: its vectors are not what the Python client makes; run tools/protocol_vectors.py")
        return int(old != new)
    open(path, "w").write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
