"""told.py - lines in a file of one's own: `what at=SECONDS name=value ...`, each appended with one
write, so that a killed process leaves whole lines. The judge reads them with a reader of its own.
"""
import os
import time


class Told:
    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def say(self, what, **fields):
        words = "".join(f" {k}={v}" for k, v in fields.items())
        os.write(self.fd, f"{what} at={time.monotonic():.6f}{words}\n".encode())


def work(rng):
    """Parameters of a child by chance: mostly a second or two, some long enough to meet a fence, or
    to outlive lost_after."""
    ms = rng.choices((rng.randint(50, 2500), rng.randint(4000, 14000), rng.randint(15000, 30000)),
                     (70, 22, 8))[0]
    return {"ms": ms, "code": 3 if rng.random() < 0.1 else 0, "deaf": int(rng.random() < 0.2),
            "helper": int(rng.random() < 0.3)}
