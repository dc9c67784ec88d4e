"""Names: every external symbol says where it is from; a tag means one thing in the whole tree."""
import collections
import os
import re

import tree


def declared_tags(text):
    return set(re.findall(r"\b(?:struct|union|enum)\s+(\w+)\s*[{;]", text))


def stems_of(source, stems):
    """The stem of a file, its singular, and what it is a part of: yaml for yamlread, yaml_read."""
    stem = os.path.basename(source)[:-2]
    beside = stems[os.path.dirname(source)]
    parts = {s for s in beside if stem.startswith(s)}
    return {stem, re.sub(r"s$", "", stem), stem.split("_")[0]} | parts


class Prefixes:
    def __init__(self):
        self.of_room, self.of_tag = collections.defaultdict(set), collections.defaultdict(set)
        for words in tree.rows("tests/lint/prefixes"):
            if words[0] == "struct":
                self.of_tag[words[1]].update(words[2:])
            else:
                self.of_room[words[0]].update(words[1:])
        self.stems = collections.defaultdict(set)
        self.headers = {}
        for path in tree.files("*.c", "*.h"):
            stem = re.sub(r"(_test)?\.[ch]$", "", os.path.basename(path))
            self.stems[os.path.dirname(path)].add(stem)
            if path.endswith(".h"):
                self.headers[path] = tree.bare(tree.read(path))
        self.declares = collections.defaultdict(list)
        for path, text in self.headers.items():
            for word in set(re.findall(r"\b(\w+)\s*[(\[;=]", text)):
                self.declares[word].append(path)

    def tags_near(self, header):
        """Of a header and those of its room that it includes: data may lie in one of them."""
        room = os.path.dirname(header)
        found = declared_tags(self.headers[header])
        for other in re.findall(r'#include "([^"]+)"', tree.read(header)):
            if os.path.dirname(other) == room and other in self.headers:
                found |= declared_tags(self.headers[other])
        return found

    def allowed(self, symbol, source):
        found = stems_of(source, self.stems)
        found |= {os.path.basename(os.path.dirname(source))} - {"core"}
        found |= self.of_room[os.path.dirname(source)] | self.of_room[source[:-2]]
        for header in self.declares[symbol]:
            found |= stems_of(header, self.stems)
            for tag in self.tags_near(header):
                found |= {tag} | self.of_tag[tag]
        return found


def check_prefixes(build, table, say):
    prefixes = Prefixes()
    for room in table:
        sources = dict(tree.objects(build, room))
        for where, symbol in sorted(set(tree.defined(list(sources)))):
            if symbol == "main" or symbol.startswith(("_", ".")) or "." in symbol:
                continue
            good = prefixes.allowed(symbol, sources[where])
            if not any(symbol == p or symbol.startswith(p + "_") for p in good):
                say(f"{sources[where]}: {symbol} has no prefix of its file, room or struct "
                    "(tests/lint/prefixes)")


def check_tags(say):
    places = collections.defaultdict(list)
    for path in tree.files("*.c", "*.h"):
        text = tree.bare(tree.read(path))
        for m in re.finditer(r"\b(struct|union|enum)\s+(\w+)\s*\{", text):
            places[m.group(2)].append((m.group(1), path, text.count("\n", 0, m.start()) + 1))
    for tag, found in sorted(places.items()):
        if len(found) > 1:
            where = ", ".join(f"{path}:{number}" for _, path, number in found)
            say(f"{found[0][0]} {tag} is defined {len(found)} times: {where}")


def check_bounds(say):
    """One word for a bound: _MAX and _MIN."""
    for path in tree.files("*.c", "*.h", "*.py", "*.sh"):
        for number, line in enumerate(tree.read(path).split("\n"), 1):
            for name in re.findall(r"\b[A-Z]\w*_(?:MOST|LEAST)\b", line):
                say(f"{path}:{number}: {name}: bounds are called _MAX and _MIN")
