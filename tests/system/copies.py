"""copies.py PID KEYFILE: where in the memory of a process the seed of a key file lies.

Exits 0 if each copy of the seed is in memory that is locked and left out of dumps, else 1. The
transport key, which libzmq copies, is reported only.
"""
import hashlib
import re
import sys

pid, path = sys.argv[1:]
seed = bytes.fromhex(open(path).read().strip())
digest = bytearray(hashlib.sha512(seed).digest()[:32])
digest[0] &= 248
digest[31] = digest[31] & 127 | 64
wanted = {"seed": seed, "transport key": bytes(digest), "key file": open(path).read().encode()[:64]}
bad = found = 0
area = None
for line in open(f"/proc/{pid}/smaps"):
    start = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
    if start:
        area = [int(start[1], 16), int(start[2], 16), start[3], start[4]]
    elif line.startswith("VmFlags:") and area and area[2].startswith("rw"):
        flags = line.split()[1:]
        try:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                memory.seek(area[0])
                content = memory.read(area[1] - area[0]) or b""
        except OSError:
            continue
        for name, bytes_ in wanted.items():
            n = content.count(bytes_)
            if n:
                safe = "lo" in flags and "dd" in flags
                print(f"{n} x {name} in {area[3] or 'anonymous memory'}: "
                      f"{'locked, not dumped' if safe else 'NOT locked'}")
                found += name == "seed"
                bad += not safe and name != "transport key"
print(f"{found} areas with the seed, {bad} that are not safe")
sys.exit(0 if found and not bad else 1)
