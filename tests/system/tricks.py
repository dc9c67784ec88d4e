"""tricks.py - a child that does its worst to be left over, or to leave something: $LB_PARAM_trick
says what. Prints `played TRICK` when the deed is done.

$LB_PARAM_outside is a folder that it may write to, and that nobody may clear away after it. Where
root must help (`owned`, `immutable`, `mounted`), it makes the file `ready-TRICK` in its work
folder and waits for the file `go` beside it.
"""
import ctypes
import os
import signal
import socket
import sys
import time

trick, outside = os.environ["LB_PARAM_trick"], os.environ["LB_PARAM_outside"]
work, outputs = os.environ["LB_WORK"], os.environ["LB_OUTPUTS"]
memory = os.path.dirname(outputs)
DEEP, MANY, HOPPERS = 3000, 2000, 20


def played():
    print("played", trick, flush=True)


def for_ever():
    while True:
        time.sleep(1)


def deaf():
    for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(n, signal.SIG_IGN)


def apart(act):
    """Does it in a process that has gone through two forks and a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            act()
        os._exit(0)
    os.wait()


def attempt(act, *a):
    try:
        act(*a)
    except OSError as e:
        print("could not:", e, flush=True)


# ---- Processes

def forks():
    for _ in range(5):
        apart(for_ever)


def daemon():
    def live():
        deaf()
        os.chdir("/")
        os.closerange(0, 100)
        for_ever()
    apart(live)


def ignores():
    deaf()
    played()
    for_ever()


def stopped():
    """It and what it has started stand still; only its timeout ends it."""
    for _ in range(3):
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            for_ever()
    apart(lambda: (deaf(), os.kill(os.getpid(), signal.SIGSTOP), for_ever()))
    played()
    os.kill(os.getpid(), signal.SIGSTOP)
    for_ever()


def hop():
    """Never the same process for long: who lists processes comes too late."""
    while True:
        if os.fork():
            os._exit(0)


def bomb():
    for _ in range(HOPPERS):
        apart(hop)


def reaper():
    """Takes in what its descendants leave behind, so that it does not fall to the keeper."""
    def live():
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        for _ in range(3):
            apart(for_ever)
        for_ever()
    apart(live)


def killer():
    """Ends its keeper and goes on without one."""
    apart(lambda: (deaf(), for_ever()))
    played()
    time.sleep(0.5)  # or it would not be heard
    attempt(os.kill, os.getppid(), signal.SIGKILL)
    time.sleep(0.5)


# ---- Files

def special():
    for folder in (work, memory):
        os.mkfifo(folder + "/fifo")
        s = socket.socket(socket.AF_UNIX)
        os.chdir(folder)
        s.bind("socket")
        s.listen()
    for name in os.listdir(memory):
        path = memory + "/" + name
        if os.path.isfile(path) and os.access(path, os.W_OK):
            os.unlink(path)
            os.mkfifo(path)
    apart(lambda: (s.accept(), for_ever()))


def links():
    for n, to in enumerate((outside, outside + "/folder", "/", "..", "/dev/zero", outputs)):
        os.symlink(to, f"{work}/link{n}")
        os.symlink(to, f"{memory}/link{n}")
    if os.path.exists(outputs):
        os.unlink(outputs)
    os.symlink(outside + "/file", outputs)


def deep():
    for folder in (work, memory):
        os.chdir(folder)
        for _ in range(DEEP):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)


def many():
    for i in range(MANY):
        open(f"{work}/{i}", "w").close()


def names():
    for name in (b"a\nb", b"\x1b[31m", b"\xff\xfe", b"..x", b" ", b"-rf", b"*", b"n" * 255, b"\n"):
        os.mkdir(work.encode() + b"/" + name)
        open(work.encode() + b"/" + name + b"/" + name, "w").close()


def closed():
    for folder in (work, memory):
        os.makedirs(folder + "/a/b/c")
        for at in ("a/b/c", "a/b", "a"):
            open(f"{folder}/{at}/file", "w").close()
            os.chmod(f"{folder}/{at}", 0)
    os.chmod(memory, 0)
    os.chmod(work, 0)


def moved():
    """Puts a link in the place of its work folder."""
    os.chdir("/")
    attempt(os.rmdir, work)
    attempt(os.symlink, outside, work)


def helped():
    os.mkdir(work + "/place")
    open(work + "/place/file", "w").close()
    open(work + "/ready-" + trick, "w").close()
    while not os.path.exists(work + "/go"):
        time.sleep(0.05)


owned = immutable = mounted = helped
globals()[trick]()
played()
