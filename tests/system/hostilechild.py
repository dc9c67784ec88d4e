"""hostilechild.py - what a child can try against its server, each attempt in its own words. Prints
`gained: WHAT` for each that succeeds, and `tried N` at the end.

usage: hostilechild.py HOME MEMORY
HOME is the server's home, MEMORY the folder with what children and keepers exchange.
"""
import glob
import os
import socket
import sys

home, memory = sys.argv[1], sys.argv[2]
own_slot = os.path.dirname(os.environ.get("LB_PARAMETERS", "/nowhere/x"))
own_work = os.environ.get("LB_WORK", "/nowhere")
tried = 0


def attempt(what, act):
    global tried
    tried += 1
    try:
        act()
    except (OSError, ValueError):
        return
    print("gained:", what, flush=True)


def read(path):
    with open(path, "rb") as f:
        f.read(1)


def write(path):
    with open(path, "ab") as f:
        f.write(b"evil")


def connect(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(2)
    s.connect(path)
    s.send(b"\x04\0\0\0evil")


def processes():
    """Longboat's own, by what anybody may see."""
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(folder + "/comm") as f:
                name = f.read().strip()
            if name.startswith("lb") and os.stat(folder).st_uid != os.getuid():
                yield int(folder[6:]), name
        except OSError:
            pass


for path in glob.glob(home + "/var/packages/*/files/*") + glob.glob(home + "/var/packages/*/*"):
    if os.path.isfile(path):
        attempt("wrote the package's " + path, lambda: write(path))
        attempt("opened up " + path, lambda: os.chmod(path, 0o777))
        attempt("replaced " + path, lambda: os.rename(path, path + ".old"))
for folder in ["etc", "etc/trust", "etc/keys", "etc/jobs", "var", "var/packages", "var/jobs",
               "var/spool", "var/keepers", "var/runner", "var/incoming", "var/work", "run",
               "run/worker", "run/keepers"]:
    attempt(f"made a file in {folder}", lambda: write(f"{home}/{folder}/evil"))
for folder in ["etc/keys", "var/spool", "var/keepers", "var/runner", "var/incoming", "run/worker",
               "run/keepers"]:
    attempt(f"listed {folder}", lambda: os.listdir(f"{home}/{folder}"))
for path in ["etc/keys/sign.key", "etc/keys/seal.key", "var/keepers/runner.log",
             "var/spool/worker.log", "run/worker/fence"]:
    attempt(f"read {path}", lambda: read(f"{home}/{path}"))
for path in ["etc/trust/administrators", "etc/trust/signers", "etc/trust/certificate",
             "run/worker/fence", "var/keepers/keeper-1.log", "run/runner.lock"]:
    attempt(f"wrote {path}", lambda: write(f"{home}/{path}"))
attempt("reached the runner", lambda: connect(home + "/run/runner.sock"))
attempt("rang the bell", lambda: connect(home + "/run/worker/worker.bell", socket.SOCK_DGRAM))
for n in range(1, 9):
    attempt(f"reached keeper {n}", lambda: connect(f"{home}/run/keepers/keeper-{n}.sock"))
for n in range(1, 9):
    for folder in [f"{memory}/{n}", f"{home}/var/work/{n}", f"{memory}/credentials-{n}"]:
        if folder not in (own_slot, own_work):
            attempt(f"listed {folder}", lambda: os.listdir(folder))
            attempt(f"read {folder}/parameters", lambda: read(folder + "/parameters"))
attempt("took a slot's place in memory", lambda: os.mkdir(memory + "/9"))
for pid, name in processes():
    attempt(f"signalled {name}", lambda: os.kill(pid, 0))
    attempt(f"read the memory of {name}", lambda: read(f"/proc/{pid}/mem"))
    attempt(f"read the environment of {name}", lambda: read(f"/proc/{pid}/environ"))
    attempt(f"looked into the files of {name}", lambda: os.listdir(f"/proc/{pid}/fd"))
for become in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    attempt("became root", become)
attempt("mounted", lambda: os.chroot("/"))
print("tried", tried)
