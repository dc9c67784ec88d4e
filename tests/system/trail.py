#!/usr/bin/python3
"""Prints the audit trail of a store as `lbctl audit export` writes it. With the broker's seed, the
trail is first written anew, as one who holds the broker's key could: every entry of another hand,
with right hashes and right checkpoints.

usage: trail.py STORE [SEED]
"""
import base64
import json
import os
import sqlite3
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "client", "python"))
import longboat_wire as lb  # noqa: E402
import nacl.signing  # noqa: E402


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def rewritten(entries, checkpoints, seed):
    """The same trail, in which `administrator` is called `mallory`."""
    key = nacl.signing.SigningKey(bytes.fromhex(seed))
    head, heads, new = lb.ZERO32, {0: lb.ZERO32}, []
    for number, body, _ in entries:
        fields = ["mallory" if v == "administrator" else v for v in lb.unpack(body)]
        body = lb.pack(*fields)
        head = heads[number] = lb.blake(b"longboat/audit/1\0" + head + body)
        new.append((number, body, head))
    previous, seals = lb.ZERO32, []
    for seq, number, signed, certificate in checkpoints:
        envelope = lb.unpack(signed)
        c = lb.unpack(envelope[4])
        c[6], c[8] = heads[number], previous
        signed = lb.sign("checkpoint", key, envelope[1], envelope[2], lb.pack(*c))
        previous = lb.blake(signed)
        seals.append((seq, number, signed, certificate))
    return new, seals


def main():
    db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
    entries = db.execute("SELECT number, body, hash FROM audit ORDER BY number").fetchall()
    checkpoints = db.execute("SELECT seq, number, body, certificate FROM audit_checkpoint "
                             "ORDER BY seq").fetchall()
    if len(sys.argv) > 2:
        entries, checkpoints = rewritten(entries, checkpoints, sys.argv[2].strip())
    while entries or checkpoints:
        if checkpoints and (not entries or checkpoints[0][1] < entries[0][0]):
            seq, _, body, certificate = checkpoints.pop(0)
            row = {"v": 1, "seq": seq, "checkpoint": b64(body), "certificate": b64(certificate)}
        else:
            number, body, head = entries.pop(0)
            row = {"v": 1, "number": number, "hash": head.hex(), "entry": b64(body)}
        print(json.dumps(row))


main()
