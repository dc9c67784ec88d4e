"""capturedworker.py - a worker that has been taken over: speaks with its runner itself, and asks
for all that no caller wants. Each case says what it saw and ends with 0 or 1.

usage: capturedworker.py CASE HOMES SERVER USER
HOMES has the homes of admin (whose call was captured) and SERVER, which runs in separated mode with
USER as the worker's; its worker must have been halted. Started as root, this becomes USER before it
says a word.
"""
import hashlib
import os
import socket
import stat
import struct
import sys
import time
import uuid

import nacl.signing

from peer import Identity, lb

S_LAUNCHED, S_ENDED, S_STEP, S_INSTALL, S_INSTALLED, S_ATTACH = 305, 308, 320, 323, 324, 325
S_SHIPPED, D_JOB, D_STEP, D_RUNNABLE, D_DEPLOYMENT = 335, 113, 114, 118, 111
CODES = {"denied": 7, "wrong_role": 8, "unknown_principal": 4, "expired": 12,
         "unknown_address": 15, "bad_signature": 17, "replayed": 18, "wrong_job": 19,
         "malformed": 1, "bad_package": 20}
case, homes, server, user = sys.argv[1:5]
home = os.path.join(homes, server)
admin = Identity(os.path.join(homes, "admin"))
problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


def job_of(package):
    """The job that the runner makes of an installed package without parameters."""
    for name in os.listdir(home + "/var/packages"):
        with open(f"{home}/var/packages/{name}/runnable", "rb") as f:
            r = lb.unpack(f.read())
        if r[1] == package:
            step = lb.pack(D_STEP, "run", False, r[4], r[1], r[3], b"", "default", [], 1, 0, 0,
                           b"", b"\0", 0, "next", "quit-failure", 0)
            return lb.pack(D_JOB, "package:" + package, r[2], 0, [step])
    raise SystemExit("no package " + package)


def call(job, who=admin, key=None, address=None, expires=600, name=None):
    now = int(time.time() * 1000)
    body = lb.pack(lb.D_CALL, "test", name or who.me["name"], key or str(uuid.uuid4()),
                   "package:whoami", hashlib.blake2b(job, digest_size=32).digest(), False,
                   address or server, {}, 1, 0, 0, 0, 4, "2026-11-21T09:13:55.000Z", now,
                   now + expires * 1000, bytes(16), "", 0, 0, [], "")
    return who.sign(b"call", body)


class Runner:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(10)
        self.s.connect(home + "/run/runner.sock")
        self.say(lb.pack(S_ATTACH, 1, bytes(16), 4))

    def say(self, message):
        self.s.sendall(struct.pack("<I", len(message)) + message)

    def hear(self, kind):
        while True:
            n = struct.unpack("<I", self.take(4))[0]
            m = lb.unpack(self.take(n))
            if m[0] == kind:
                return m

    def take(self, n):
        b = b""
        while len(b) < n:
            piece = self.s.recv(n - len(b))
            if not piece:
                raise SystemExit("the runner has closed the connection")
            b += piece
        return b

    def step(self, signed, job, certificate=None, step="run", run=None, attempt=1, try_no=1,
             local=False, outputs=()):
        run = run or os.urandom(16)
        self.say(lb.pack(S_STEP, run, attempt, signed, certificate or admin.certificate, job, step,
                         try_no, list(outputs), 1, 0, local, 300000))
        return run


def entries():
    """All that keepers and runner have reported."""
    for name in sorted(os.listdir(home + "/var/keepers")):
        with open(f"{home}/var/keepers/{name}", "rb") as f:
            data = f.read()[8:]
        while len(data) >= 8:
            n = struct.unpack("<I", data[:4])[0]
            yield lb.unpack(data[8:8 + n])
            data = data[8 + n:]


def end_of(run):
    """(package outcome, code) of the run's step, once it has ended."""
    for _ in range(600):
        for e in entries():
            if e[0] == S_ENDED and e[1] == run:
                o = lb.unpack(e[3])
                return o[5], o[-1], o[9]
        time.sleep(0.05)
    raise SystemExit("nothing was reported of the step")


def refuses(what, run, *words):
    package, code, text = end_of(run)
    expect(package == 0 and code in [CODES[w] for w in words],
           f"{what}: outcome {package}, code {code}: {text}")


# ---- Cases

def forged():
    """Principals, certificates, jobs, steps, addresses, times, repetitions."""
    r, job = Runner(), job_of("whoami")
    own = Identity(seed=os.urandom(32), certificate=admin.certificate, broker_key=admin.broker_key,
                   address=admin.address)
    good = call(job)
    refuses("another's key", r.step(call(job, who=own), job), "bad_signature")
    me = lb.unpack(lb.unpack(admin.certificate)[4])
    me[5] = bytes(own.key.verify_key)
    mine = own.sign(b"certificate", lb.pack(*me))
    refuses("a certificate of its own making", r.step(call(job, who=own), job, certificate=mine),
            "bad_signature", "unknown_principal")
    with open(home + "/etc/trust/certificate", "rb") as f:
        refuses("its own certificate", r.step(good, job, certificate=f.read()), "wrong_role")
    refuses("a step that nobody signed", r.step(good, job, local=True), "denied")
    other = job.replace(b"quit-failure", b"quit-success")
    refuses("another job", r.step(good, other), "wrong_job")
    refuses("another step", r.step(good, job, step="act"), "wrong_job")
    refuses("a try beyond the last", r.step(good, job, try_no=2), "replayed")
    refuses("another server's call", r.step(call(job, address="etl9"), job), "unknown_address")
    refuses("a call that has expired", r.step(call(job, expires=-1), job), "expired")
    altered = good.replace(b"package:whoami", b"package:whoamj")
    refuses("an altered call", r.step(altered, job), "bad_signature")
    run = r.step(good, job)
    expect(end_of(run)[0] == 1, "the caller's own step does not run")
    refuses("a replay as another run", r.step(good, job), "replayed")
    r.step(good, job, run=run, attempt=2)
    time.sleep(0.5)
    starts = sum(e[0] == S_LAUNCHED and e[1] == run for e in entries())
    expect(starts == 1, f"a call with on_lost: fail began {starts} times")


def install():
    """Packages that nobody has deployed, and files that are none of its business."""
    r = Runner()
    me = nacl.signing.SigningKey.generate()
    own = Identity(seed=bytes(me), certificate=admin.certificate, broker_key=admin.broker_key,
                   address=admin.address)
    package = os.urandom(32)
    deployment = lb.pack(D_DEPLOYMENT, "test", package, "evil", "1.0.0", server, False, 1)
    for what, word, by, archive in [
            ("no deployment", "denied", b"", "/etc/shadow"),
            ("a deployment of its own", "bad_signature", own.sign(b"deployment", deployment),
             home + "/var/incoming/evil")]:
        r.say(lb.pack(S_INSTALL, package, archive, b"x", by, admin.certificate))
        m = r.hear(S_INSTALLED)
        expect(m[2] == CODES[word], f"{what}: code {m[2]}: {m[3]}")
    for name in ["runner.log", "../../etc/trust/signers", "keeper-1.log", "keeper-1.0.log"]:
        r.say(lb.pack(S_SHIPPED, name))
    job = job_of("whoami")
    expect(end_of(r.step(call(job), job))[0] == 1, "the runner has stopped working")
    for name in ["etc/trust/signers", "var/keepers/runner.log", "var/keepers/keeper-1.log"]:
        expect(os.path.exists(f"{home}/{name}"), f"{name} is gone")


def files():
    """All that it can do with its own folders, and with those that it must not have."""
    def gains(what, act):
        try:
            act()
        except OSError:
            return
        problems.append("gained: " + what)

    def write(path):
        with open(path, "ab") as f:
            f.write(b"evil")

    for path in ["etc/trust/administrators", "etc/trust/signers", "etc/proxies.d/default.yaml",
                 "etc/keys/seal.key", "var/keepers/keeper-1.log", "var/keepers/evil.log",
                 "var/packages/evil", "var/jobs/evil", "var/runner/evil", "var/work/evil",
                 "run/keepers/evil", "run/evil"]:
        gains("wrote " + path, lambda: write(f"{home}/{path}"))
        gains("removed " + path, lambda: os.unlink(f"{home}/{path}"))
        gains("replaced " + path, lambda: os.rename(home + "/etc/trust/certificate",
                                                    f"{home}/{path}"))
    gains("read the seal key", lambda: open(home + "/etc/keys/seal.key").close())
    gains("opened up the keepers' folder", lambda: os.chmod(home + "/var/keepers", 0o777))
    for n in range(1, 5):
        gains(f"listed slot {n}", lambda: os.listdir(f"{home}/var/work/{n}"))
        s = socket.socket(socket.AF_UNIX)
        gains(f"reached keeper {n}", lambda: s.connect(f"{home}/run/keepers/keeper-{n}.sock"))
    for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
        try:
            with open(f"/proc/{pid}/comm") as f:
                name = f.read().strip()
        except OSError:
            continue
        if name in ("lbrunner", "lbkeeper", "lbkeeper-guard"):
            gains("signalled " + name, lambda: os.kill(int(pid), 0))
            gains("read the memory of " + name, lambda: open(f"/proc/{pid}/mem").close())


def traps():
    """Its bell, its fence and its certificate as traps: the runner and its keepers go on."""
    fence, bell = home + "/run/worker/fence", home + "/run/worker/worker.bell"
    for path in (fence, bell):
        if os.path.lexists(path):
            os.unlink(path)
    os.mkfifo(fence)
    os.symlink("/dev/log", bell)
    r, job = Runner(), job_of("whoami")
    expect(end_of(r.step(call(job), job))[0] == 1, "a FIFO for a fence stops the runner")
    os.unlink(fence)
    os.symlink("/etc/shadow", fence)
    expect(end_of(r.step(call(job), job))[0] == 1, "a link for a fence stops the runner")
    os.unlink(fence)
    os.unlink(bell)
    with open(os.path.join(homes, "other.certificate"), "rb") as f:
        other = f.read()
    certificate = home + "/etc/trust/certificate"
    with open(certificate, "rb") as f:
        own = f.read()
    os.unlink(certificate)
    with open(certificate, "wb") as f:
        f.write(other)
    refuses("another server's certificate", r.step(call(job, address="other"), job),
            "unknown_principal")
    os.unlink(certificate)
    with open(certificate, "wb") as f:
        f.write(own)
    expect(end_of(r.step(call(job), job))[0] == 1, "its own certificate no longer counts")
    r.say(b"\xc1garbage")
    r = Runner()
    expect(end_of(r.step(call(job), job))[0] == 1, "garbage stops the runner")
    mode = os.stat(home + "/run/runner.sock").st_mode
    expect(stat.S_IMODE(mode) == 0o660, "others can connect to the runner")


os.setgroups([])
os.setresgid(int(user), int(user), int(user))
os.setresuid(int(user), int(user), int(user))
os.umask(0o022)
{"forged": forged, "install": install, "files": files, "traps": traps}[case]()
for p in problems:
    print(p)
sys.exit(bool(problems))
