#!/usr/bin/python3
"""Does what the pages point to exist? Every relative link of every Markdown file of the repository:
the file, and the heading behind a #. And every test, law and system test that docs/promises.md
names as a proof.

usage: tests/lint/links.py [FILE.md...]     all Markdown files that git knows by default
"""
import os
import re
import sys

import tree


def without_code(text):
    """Code is no link: fenced blocks and spans become blanks, and lines keep their numbers."""
    text = re.sub(r"^```.*?^```", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text):
    """The names of the headings, as web pages of repositories make them."""
    found = set()
    fenced = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for title in re.findall(r"^#+ +(.*)$", fenced, re.M):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        number = 0
        while (name if not number else f"{name}-{number}") in found:
            number += 1
        found.add(name if not number else f"{name}-{number}")
    return found


def complaints(page):
    text = tree.read(page)
    for number, line in enumerate(without_code(text).split("\n"), 1):
        for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, heading = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(os.path.join(tree.TOP, full)):
                yield f"{page}:{number}: there is no {full}"
            elif heading and full.endswith(".md"):
                if heading not in anchors(tree.read(full)):
                    yield f"{page}:{number}: {full} has no heading #{heading}"


def contents(*patterns):
    return "\n".join(tree.read(path) for path in tree.files(*patterns))


def proofs(page):
    """`a_unit_test`, `A_LAW`, "words of a system test", of which … may stand for a part."""
    units, laws = contents("*_test.c"), contents("tests/sim/laws.h")
    system = contents("tests/system/*.bats")
    # An item of a list may go on in further lines; a proof may be cut there.
    items = re.sub(r"\n +", "\0", tree.read(page)).split("\n")
    number = 1
    for item in items:
        line = item.replace("\0", " ")
        for name in re.findall(r"`(\w{12,})`", line):
            where = laws if name.isupper() else units
            if not re.search(r"\b%s\b" % name, where):
                kind = "law" if name.isupper() else "unit test"
                yield f"{page}:{number}: there is no {kind} {name}"
        for title in re.findall(r'"([^"]+)"', line) if line.startswith("- system:") else []:
            if not all(part.strip() in system for part in title.split("…")):
                yield f"{page}:{number}: there is no system test \"{title}\""
        number += 1 + item.count("\0")


def main():
    pages = sys.argv[1:] or tree.files("*.md")
    found = [c for page in pages for c in complaints(page)]
    if "docs/promises.md" in pages:
        found += proofs("docs/promises.md")
    for line in found:
        print(line)
    print(f"lint: {len(found)} links and proofs of {len(pages)} pages lead nowhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
