"""replays.py - a captured worker: connects to the runner of etl1 and asks for the step of a job
under a key, as the administrator's call. Prints how the step ended, from the spool.

usage: replays.py DEMO JOB KEY [--attempt N] [--run HEX]
"""
import argparse
import glob
import os
import socket
import struct
import sys
import time
import uuid

import msgpack
from peer import Identity, lb

S_ENDED, S_STEP, S_ATTACH = 308, 320, 325
REPLAYED = 18
PACKAGE = ["succeeded", "failed", "cancelled", "not executed", "unknown"]


def entries(path):
    """The messages of a spool file."""
    with open(path, "rb") as f:
        data = f.read()
    at = 8
    while at + 8 <= len(data):
        size, _ = struct.unpack_from("<II", data, at)
        if at + 8 + size > len(data):
            return
        yield msgpack.unpackb(data[at + 8:at + 8 + size], raw=False, strict_map_key=False)
        at += 8 + size


def end_of(spool, run):
    for path in glob.glob(os.path.join(spool, "*.log")):
        for m in entries(path):
            if m[0] == S_ENDED and m[1] == run:
                return lb.unpack(m[3]) if isinstance(m[3], bytes) else m[3]
    return None


p = argparse.ArgumentParser()
p.add_argument("demo")
p.add_argument("job")
p.add_argument("key")
p.add_argument("--attempt", type=int, default=1)
p.add_argument("--run", default=uuid.uuid4().hex)
a = p.parse_args()
home = os.path.join(a.demo, "etl1")
run = bytes.fromhex(a.run)
who = Identity(os.path.join(a.demo, "admin"))
(path,) = [f for f in glob.glob(os.path.join(home, "var/jobs/*"))
           if a.job.encode() in open(f, "rb").read(40)]
now = int(time.time() * 1000)
call = lb.pack(105, who.me["cluster"], who.me["name"], a.key, a.job,
               bytes.fromhex(os.path.basename(path)), False, "etl1", {}, 1, 0, 0, 0, 4,
               "2026-11-21T09:13:55.000Z", now, now + 600000, bytes(16), "", 0, 0, [], "")
with open(os.path.join(home, "var/spool/id")) as f:
    spool = uuid.UUID(f.read().strip()).bytes
s = socket.socket(socket.AF_UNIX)
s.connect(os.path.join(home, "run/runner.sock"))
for m in (lb.pack(S_ATTACH, 1, spool, 2),
          lb.pack(S_STEP, run, a.attempt, who.sign(b"call", call), who.certificate,
                  open(path, "rb").read(), "only", 1, [], 1, 0, False, 300000)):
    s.sendall(struct.pack("<I", len(m)) + m)
until = time.monotonic() + 30
while time.monotonic() < until:
    end = end_of(os.path.join(home, "var/spool"), run)
    if end:
        break
    time.sleep(0.05)
else:
    sys.exit("the runner has not answered")
package, message, code = end[5], end[9], end[-1]
print(("replayed: " if code == REPLAYED else f"ended: {PACKAGE[package]} ") + message)
