#!/usr/bin/python3
"""The commands of a page, as its test runs them.

usage: blocks.py PAGE.md FOLDER      writes FOLDER/NN.HOST.WORD, a block of commands each, and
                                     FOLDER/NN.prints, what the page says that it prints
       blocks.py --compare SAID GOT  exit 1 unless GOT has the lines of SAID, in order

In a page a comment before a fence says what it is: `<!-- run: HOST -->`; `run: HOST until`, which
is repeated until it prints what the page says; `run: HOST root`, which is left out where the tests
are not root's; `run: HOST background`, which goes on until a comment `<!-- end: HOST -->`;
`<!-- prints -->`, what the block before it prints. There `...` stands for anything, on a line of
its own for any lines, and blanks are as many as there happen to be.
"""
import os
import re
import sys

MARK = re.compile(r"<!-- (run|end|prints)(?:: (\w+)(?: (\w+))?)? -->\n")


def blocks(text):
    """Yields (line, kind, host, word, body) in the order of the page."""
    for found in MARK.finditer(text):
        kind, host, word = found.groups()
        body = ""
        if kind != "end":
            fence = re.match(r"```\w*\n(.*?)^```$", text[found.end():], re.S | re.M)
            if not fence:
                raise SystemExit(f"blocks: no fence follows: {found.group(0).strip()}")
            body = fence.group(1)
        yield text.count("\n", 0, found.start()) + 1, kind, host, word, body


def write(page, folder):
    with open(page) as f:
        text = f.read()
    number = 0
    for line, kind, host, word, body in blocks(text):
        if kind == "prints":
            name = f"{number:02}.prints"
        else:
            number += 1
            name = f"{number:02}.{host}.{'end' if kind == 'end' else word or 'once'}.{line}"
        with open(os.path.join(folder, name), "w") as f:
            f.write(body)


def as_pattern(line):
    parts = [r"\s+".join(re.escape(word) for word in part.split()) for part in line.split("...")]
    return r"\s*" + r"\s*.*\s*".join(parts) + r"\s*"


def compare(said, got):
    with open(said) as f:
        wanted = f.read().splitlines()
    with open(got) as f:
        lines = f.read().splitlines()
    at = 0
    for want in wanted:
        if want.strip() == "...":
            continue
        pattern = re.compile(as_pattern(want))
        while at < len(lines) and not pattern.fullmatch(lines[at]):
            at += 1
        if at == len(lines):
            print(f"the page says that it prints: {want}")
            return 1
        at += 1
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--compare":
        sys.exit(compare(*sys.argv[2:]))
    write(*sys.argv[1:])
