"""Lines and words: no line is wider than a screen, and pages begin with what they are about."""
import re

import tree

COLUMNS = 100
TEXTS = ["*.c", "*.h", "*.py", "*.sh", "*.bats", "*.bash", "*.md", "*Makefile", "*.sql",
         "*.service", ".ci/run", "tests/sim/run"]
# Files whose lines may be longer, each with the reason.
LONG = {
}


def width(line):
    return len(line.expandtabs(8))


def check_widths(say):
    for path in tree.files(*TEXTS):
        if path in LONG:
            continue
        for number, line in enumerate(tree.read(path).split("\n"), 1):
            if width(line) > COLUMNS:
                say(f"{path}:{number}: {width(line)} columns; {COLUMNS} are the limit")


def check_words(say):
    for path in tree.files("*.md"):
        for number, line in enumerate(tree.read(path).split("\n"), 1):
            if re.search(r"\bFor whoever\b", line):
                say(f"{path}:{number}: \"For whoever\": say what the page is about")
