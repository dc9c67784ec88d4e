"""capturedworker.py - a worker that has been taken over: speaks with its runner itself, and asks
for all that no caller wants. Each case says what it saw and ends with 0 or 1.

usage: capturedworker.py CASE HOMES SERVER USER [MORE]
HOMES has the homes of admin (whose call was captured) and SERVER, which runs in separated mode with
USER as the worker's; its worker must have been halted. Started as root, this becomes USER before it
says a word. MORE: of `replay` and `revoked`, what the test has done in between. Also there: the
home of rita, for `revoked`.
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
S_OUTPUTS, S_HALT, S_SHIPPED = 321, 322, 335
D_JOB, D_STEP, D_RUNNABLE, D_DEPLOYMENT = 113, 114, 118, 111
CODES = {"denied": 7, "wrong_role": 8, "unknown_principal": 4, "expired": 12,
         "unknown_address": 15, "bad_signature": 17, "replayed": 18, "wrong_job": 19,
         "malformed": 1, "bad_package": 20, "revoked": 5, "no_proxy": 22, "internal": 27}
case, homes, server, user = sys.argv[1:5]
more = sys.argv[5] if len(sys.argv) > 5 else ""
home = os.path.join(homes, server)
admin = Identity(os.path.join(homes, "admin"))
rita = Identity(os.path.join(homes, "rita")) if case == "revoked" else None
problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


def job_of(package, version="1.0.0"):
    """The job that the runner makes of an installed package without parameters."""
    for name in os.listdir(home + "/var/packages"):
        with open(f"{home}/var/packages/{name}/runnable", "rb") as f:
            r = lb.unpack(f.read())
        if (r[1], r[2]) == (package, version):
            step = lb.pack(D_STEP, "run", False, r[4], r[1], r[3], b"", "default", [], 1, 0, 0,
                           b"", b"\0", 0, "next", "quit-failure", 0)
            return lb.pack(D_JOB, "package:" + package, r[2], 0, [step])
    raise SystemExit("no package " + package)


def job_in_file(name):
    """The compiled job of this name, of those that this server has put into var/jobs."""
    for at in os.listdir(home + "/var/jobs"):
        with open(f"{home}/var/jobs/{at}", "rb") as f:
            job = f.read()
        if lb.unpack(job)[1] == name:
            return job
    raise SystemExit("no job " + name)


def call(job, who=admin, key=None, address=None, expires=600, name=None, latest=False):
    """Signed by `who`. latest: for whatever version of the job the server has."""
    now = int(time.time() * 1000)
    digest = bytes(32) if latest else hashlib.blake2b(job, digest_size=32).digest()
    body = lb.pack(lb.D_CALL, "test", name or who.me["name"], key or str(uuid.uuid4()),
                   lb.unpack(job)[1], digest, latest, address or server, {}, 1, 0, 0, 0, 4,
                   "2026-11-21T09:13:55.000Z", now, now + expires * 1000, bytes(16), "", 0, 0, [],
                   "")
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


def starts(run):
    return sum(e[0] == S_LAUNCHED and e[1] == run for e in entries())


def outcome(run, step="run", try_no=1, attempt=1, nth=1):
    """The d_step_outcome of this try, the nth that is reported of it, once it is there."""
    for _ in range(600):
        found = [lb.unpack(e[3]) for e in entries()
                 if e[0] == S_ENDED and e[1:3] == [run, attempt]]
        found = [o for o in found if o[1:3] == [step, try_no]]
        if len(found) >= nth:
            return found[nth - 1]
        time.sleep(0.05)
    raise SystemExit(f"nothing was reported of step {step}, try {try_no}, attempt {attempt}")


def end_of(run, *which, **more):
    """(package outcome, code, text) of it."""
    o = outcome(run, *which, **more)
    return o[5], o[-1], o[9]


def refuses(what, run, *words, **which):
    package, code, text = end_of(run, **which)
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
    refuses("another step", r.step(good, job, step="act"), "wrong_job", step="act")
    refuses("a try beyond the last", r.step(good, job, try_no=2), "replayed", try_no=2)
    refuses("another server's call", r.step(call(job, address="etl9"), job), "unknown_address")
    refuses("a call that has expired", r.step(call(job, expires=-1), job), "expired")
    altered = good.replace(b"package:whoami", b"package:whoamj")
    refuses("an altered call", r.step(altered, job), "bad_signature")
    run = r.step(good, job)
    expect(end_of(run)[0] == 1, "the caller's own step does not run")
    refuses("a replay as another run", r.step(good, job), "replayed")
    r.step(good, job, run=run, attempt=2)
    end_of(run, attempt=2)
    expect(starts(run) == 1, f"a call with on_lost: fail began {starts(run)} times")


def versions():
    """Versions and jobs that the caller did not sign: whoami 1.0.0 and 2.0.0 are installed."""
    r = Runner()
    old, new = job_of("whoami"), job_of("whoami", "2.0.0")
    refuses("an old version", r.step(call(new), old), "wrong_job")
    refuses("a version that is not the caller's", r.step(call(old), new), "wrong_job")
    for change in ((b"default", b"defaulu"), (b"shell", b"shelk")):
        refuses("a package's job that the package does not make",
                r.step(call(new, latest=True), new.replace(*change, 1)), "wrong_job", "no_proxy",
                "bad_package")
    package = lb.unpack(lb.unpack(new)[4][0])[5]
    refuses("a package that is not installed",
            r.step(call(new, latest=True), new.replace(package, os.urandom(32))), "bad_package")
    chain = job_in_file("chain")
    refuses("a job of its own making under a known name",
            r.step(call(chain, latest=True), chain.replace(b"three", b"threx"), step="one"),
            "wrong_job", step="one")
    text = lb.pack(D_STEP, "run", False, "shell", "", bytes(32), b"id >&2", "default", [], 1, 0, 0,
                   b"", b"\0", 0, "next", "quit-failure", 0)
    own = lb.pack(D_JOB, "chain", "", 0, [text])
    refuses("a job with text of its own", r.step(call(own, latest=True), own), "wrong_job")
    refuses("the same, with a hash that somebody signed", r.step(call(own), own), "wrong_job")


def order():
    """The steps of a job in another order, twice, and with outputs that no step has given."""
    r, job = Runner(), job_in_file("chain")
    for step in ("two", "three"):
        run = r.step(call(job), job, step=step)
        refuses(f"step {step} before the first", run, "replayed", step=step)
        expect(starts(run) == 0, f"step {step} began before the first")
    signed = call(job)
    invented = [lb.pack(S_OUTPUTS, "one", {"rows": 999}), lb.pack(S_OUTPUTS, "two", {"got": 999})]
    run = r.step(signed, job, step="one", outputs=invented)
    expect(end_of(run, "one")[0] == 1, "the first step does not run")
    r.step(signed, job, step="three", run=run)
    refuses("the third step after the first", run, "replayed", step="three")
    r.step(signed, job, step="one", run=run, try_no=2)
    refuses("a second try of what has succeeded", run, "replayed", step="one", try_no=2)
    r.step(signed, job, step="two", run=run, outputs=invented)
    o = outcome(run, "two")
    expect(o[5] == 1 and o[10] == {"got": 5}, f"the second step was given invented outputs: {o}")
    for step in ("one", "two"):
        r.step(signed, job, step=step, run=run)
        expect(end_of(run, step, nth=2)[0] != 1, f"step {step} ran twice")
    r.step(signed, job, step="three", run=run, attempt=2)
    refuses("a step of an attempt that was never begun", run, "replayed", step="three", attempt=2)
    expect(starts(run) == 2, f"two steps of a run began {starts(run)} times")
    failing = job_in_file("failing")
    signed = call(failing)
    run = r.step(signed, failing, step="one")
    expect(end_of(run, "one")[0] == 2, "the step that fails does not fail")
    r.step(signed, failing, step="two", run=run)
    refuses("a step after one that has failed", run, "replayed", step="two")
    r.say(lb.pack(S_HALT, run, 1, False, 0, False))
    r.step(signed, failing, step="one", run=run, try_no=2)
    refuses("a retry that the job does not allow", run, "replayed", step="one", try_no=2)
    expect(starts(run) == 1, f"one step of a run began {starts(run)} times")


def replay():
    """What has run, again: captured before the runner was killed, handed over after it. MORE:
    `before` or `after`; captured.calls has what was captured."""
    r, job, at = Runner(), job_of("whoami"), home + "/var/spool/captured.calls"
    if more == "before":
        signed = call(job)
        run = r.step(signed, job)
        expect(end_of(run)[0] == 1, "the caller's own step does not run")
        expect(starts(run) == 1, "it has not begun once")
        with open(at, "wb") as f:
            f.write(run + signed)
        return
    with open(at, "rb") as f:
        run, signed = f.read(16), f.read()
    refuses("a replay as another run, later", r.step(signed, job), "replayed")
    r.step(signed, job, run=run)
    expect(end_of(run, nth=2)[0] != 1, "what had run succeeded again")
    for attempt in (2, 99):
        r.step(signed, job, run=run, attempt=attempt)
        refuses(f"attempt {attempt}", run, "replayed", attempt=attempt)
    refuses("another run's last word", r.step(signed, job, attempt=7), "replayed", attempt=7)
    expect(starts(run) == 1, f"what had run once began {starts(run)} times")


def revoked():
    """The call of somebody whose certificate has been revoked. The test has taken away the list of
    revocations (MORE is `none`), or put an older one in its place, and killed the runner."""
    r, job = Runner(), job_of("whoami")
    refuses("a revoked caller's call", r.step(call(job, who=rita), job,
                                              certificate=rita.certificate), "revoked")
    if more == "none":
        expect(end_of(r.step(call(job), job))[0] == 1, "nobody else's call runs any more")


def deployments(package, archive):
    """(what, (deployment, package), archive, codes) of those that an administrator has signed, and
    that are not for this, or whose package this is not."""
    old = lb.unpack(lb.unpack(job_of("whoami"))[4][0])[5]
    with open(archive, "wb") as f:
        f.write(b"no package")
    os.chmod(archive, 0o644)
    now = int(time.time() * 1000)

    def deployment(package=package, address=server, cluster="test", at=now, remove=False,
                   version="1.0.0"):
        return lb.pack(D_DEPLOYMENT, cluster, package, "whoami", version, address, remove,
                       at), package

    yield "another cluster's", deployment(cluster="prod"), archive, ["denied"]
    yield "another server's", deployment(address="etl9"), archive, ["denied"]
    yield "one that takes away", deployment(remove=True), archive, ["denied"]
    yield "one of another package", (deployment()[0], os.urandom(32)), archive, ["denied"]
    yield "an old version, again", deployment(old, at=1), archive, ["replayed"]
    yield "an archive that is something else", deployment(version="2.0.0"), archive, [
        "bad_package"]
    yield "an archive that is a folder", deployment(version="2.0.0"), home, [
        "bad_package", "internal"]
    yield "an archive of root's", deployment(version="2.0.0"), "/etc/shadow", [
        "bad_package", "internal"]


def install():
    """Packages that nobody has deployed, and files that are none of its business."""
    r = Runner()
    me = nacl.signing.SigningKey.generate()
    own = Identity(seed=bytes(me), certificate=admin.certificate, broker_key=admin.broker_key,
                   address=admin.address)
    package = os.urandom(32)
    archive = home + "/var/incoming/evil"
    deployment = lb.pack(D_DEPLOYMENT, "test", package, "evil", "1.0.0", server, False, 1)
    for what, word, by, archive in [
            ("no deployment", "denied", b"", "/etc/shadow"),
            ("a deployment of its own", "bad_signature", own.sign(b"deployment", deployment),
             archive)]:
        r.say(lb.pack(S_INSTALL, package, archive, b"x", by, admin.certificate))
        m = r.hear(S_INSTALLED)
        expect(m[2] == CODES[word], f"{what}: code {m[2]}: {m[3]}")
    for what, body, archive, word in deployments(package, archive):
        r.say(lb.pack(S_INSTALL, body[1], archive, b"x", admin.sign(b"deployment", body[0]),
                      admin.certificate))
        m = r.hear(S_INSTALLED)
        expect(m[2] in [CODES[w] for w in word], f"{what}: code {m[2]}: {m[3]}")
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
{"forged": forged, "install": install, "files": files, "traps": traps, "versions": versions,
 "order": order, "replay": replay, "revoked": revoked}[case]()
for p in problems:
    print(p)
sys.exit(bool(problems))
