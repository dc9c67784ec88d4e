"""What the lints ask of the tree: files, rooms, C without comments, the symbols of objects."""
import os
import re
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def files(*patterns):
    """The files that git knows or would know, as paths from the top; no deleted ones."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=TOP, capture_output=True, text=True, check=True)
    names = sorted(set(listed.stdout.split("\0")) - {""})
    return [n for n in names if os.path.isfile(os.path.join(TOP, n))]


def rows(path):
    """The rows of a table: words, without comments. The first word is the row's name."""
    for line in read(path).split("\n"):
        words = line.split("#")[0].split()
        if words:
            yield words


def rooms():
    """Room -> the rooms that it may use, in the order of tests/lint/floors: the lowest first."""
    return {words[0]: set(words[1:]) for words in rows("tests/lint/floors")}


def room_of(path, table):
    folder = os.path.dirname(path)
    while folder and folder not in table:
        folder = os.path.dirname(folder)
    return folder


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def bare(text):
    """C with comments, texts and preprocessor lines blanked; every line keeps its number."""
    def blank(m):
        inside = "\n" * m.group(0).count("\n")
        return ('""' if m.group(0)[0] == '"' else "0" if m.group(0)[0] == "'" else " ") + inside
    lines, continued = [], False
    for line in TOKEN.sub(blank, text).split("\n"):
        directive = continued or line.lstrip().startswith("#")
        continued = directive and line.endswith("\\")
        lines.append("" if directive else line)
    return "\n".join(lines)


def objects(build, folder, tests=False):
    """The objects of a room whose sources are still there: (object, path of its source)."""
    path = os.path.join(build, "obj", folder)
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    for name in names:
        source = f"{folder}/{name[:-2]}.c"
        if name.endswith(".o") and os.path.exists(os.path.join(TOP, source)):
            if tests or not source.endswith("_test.c"):
                yield os.path.join(path, name), source


def symbols(paths, *options):
    """(object, symbol) for what nm lists of these objects."""
    if not paths:
        return
    listed = subprocess.run(["nm", "-P", "-A", *options, *paths],
                            capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        where, _, rest = line.partition(": ")
        yield where, rest.split()[0]


def defined(paths):
    return symbols(paths, "--defined-only", "-g")


def undefined(paths):
    return symbols(paths, "-u")
