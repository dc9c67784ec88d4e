"""census.py - what there is of a server at this moment: processes, descriptors, cgroups, folders,
files in memory. Two of an idle server are equal, whatever has run between them.

usage: census.py HOME [CHILD_USER]
       census.py --all HOME [CHILD_USER]     and what processes and descriptors these are
CHILD_USER: in separated mode, a user who runs nothing else on this machine. Needs root where the
processes of other users count.
Lines: `WHAT COUNT` or `WHAT NAME...`, sorted.
"""
import glob
import hashlib
import os
import sys

OURS = ("lbworker", "lbrunner", "lbkeeper", "lbkeeper-guard", "lbparse", "lbunpack")


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def is_below(pid, home):
    """Was it started for this home, or does it work in it?"""
    at = home.encode()
    words = read(f"/proc/{pid}/environ").split(b"\0") + read(f"/proc/{pid}/cmdline").split(b"\0")
    if any(at + b"/" in w + b"/" for w in words):
        return True
    try:
        return (os.readlink(f"/proc/{pid}/cwd") + "/").startswith(home + "/")
    except OSError:
        return False


def processes(home, child_user):
    """{pid: name} of all that belong to the server; a child's name is `child`. What keeps or asks
    it, a shell or lbctl, is none of it, and processes of strangers are not looked at."""
    parent, found = {}, {}
    own = os.stat(home + "/var/spool").st_uid
    for folder in glob.glob("/proc/[0-9]*"):
        pid, stat = int(folder[6:]), read(folder + "/stat").decode(errors="replace")
        if not stat or pid == os.getpid():
            continue
        name, rest = stat.split("(", 1)[1].rpartition(")")[::2]
        parent[pid] = int(rest.split()[1])
        try:
            uid = os.stat(folder).st_uid
        except OSError:
            continue
        if name in OURS and is_below(pid, home):
            found[pid] = name
        elif child_user and uid == child_user:
            found[pid] = "child"
        elif not child_user and uid == own:
            if b"LB_WORK=" + home.encode() in read(folder + "/environ"):
                found[pid] = "child"
    for pid, above in parent.items():  # zombies have no environment
        if above in found and pid not in found:
            found[pid] = "child"
    return found


def links(pid):
    """What its descriptors are."""
    for fd in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            yield os.readlink(fd)
        except OSError:
            pass


def memory_of(home):
    run = home + "/run"
    digest = hashlib.blake2b(run.encode(), digest_size=32).hexdigest()[:16]
    return glob.glob(f"/dev/shm/longboat-*-{digest}") + [
        os.fsdecode(read(run + "/memory.at"))] * os.path.exists(run + "/memory.at")


def listed(folder, depth):
    """Its folders and files by name, with a / for a folder, down to this depth."""
    for e in sorted(os.scandir(folder), key=lambda e: e.name) if os.path.isdir(folder) else ():
        is_folder = e.is_dir(follow_symlinks=False)
        yield e.name + "/" * is_folder
        if is_folder and depth > 1:
            for below in listed(e.path, depth - 1):
                yield f"{e.name}/{below}"


def main():
    everything = sys.argv[1] == "--all"
    home, *more = sys.argv[1 + everything:]
    home = os.path.abspath(home)
    found = processes(home, int(more[0]) if more else 0)
    lines = []
    for name in OURS + ("child",):
        pids = [p for p, n in found.items() if n == name]
        lines.append(f"processes {name} {len(pids)}")
        counts = [len(os.listdir(f"/proc/{p}/fd")) if os.path.isdir(f"/proc/{p}/fd") else 0
                  for p in pids]
        if name != "child":
            lines.append(f"descriptors {name} {' '.join(map(str, sorted(counts)))}")
    of_slots = glob.glob("/sys/fs/cgroup/**/slot-*", recursive=True)
    lines.append(f"cgroups {len(of_slots)}")
    for what in ("var/work", "var/incoming", "var/runner", "run", "run/keepers", "run/worker"):
        names = [n for n in listed(f"{home}/{what}", 3 if what == "var/work" else 1)]
        lines.append(f"folder {what} {' '.join(map(repr, names))}")
    for folder in memory_of(home):
        lines.append(f"memory {' '.join(map(repr, listed(folder, 3)))}")
    if everything:
        lines += [f"process {pid} {name} {read(f'/proc/{pid}/cmdline')[:80]!r}"
                  for pid, name in found.items()]
        lines += [f"descriptor {name} {at.split(':')[0]}" for pid, name in found.items()
                  for at in links(pid)]
    print("\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
