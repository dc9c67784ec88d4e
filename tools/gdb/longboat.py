"""Pretty printers of gdb for what stands in nearly every frame: struct span, buf, id and hash.

usage: gdb -ex 'source tools/gdb/longboat.py' build/bin/lbbroker
       (gdb) print call->key
       $1 = "nightly/2026-11-30" (18 bytes)

`print/r` shows a struct as it is.
"""
import uuid

import gdb
import gdb.printing

SHOWN = 200  # bytes of a span or buf; `x/1000xb s.p` shows the rest


def read(pointer, n):
    return gdb.selected_inferior().read_memory(int(pointer), n).tobytes()


def as_text(data):
    """Printable UTF-8 in quotes, anything else in hexadecimal; half a character at the end is left
    out."""
    for cut in range(4 if len(data) == SHOWN else 1):
        try:
            text = data[:len(data) - cut].decode()
        except UnicodeDecodeError:
            continue
        if all(c.isprintable() or c in "\n\t" for c in text):
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") \
                .replace("\t", "\\t") + '"'
    return "0x" + data.hex()


class Bytes:
    """span and buf: n bytes at p."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        n, p = int(self.value["n"]), self.value["p"]
        if n == 0:
            return "empty"
        try:
            text = as_text(read(p, min(n, SHOWN)))
        except gdb.MemoryError:
            return f"{n} bytes at {int(p):#x}, which cannot be read"
        return f"{text}{'...' if n > SHOWN else ''} ({n} bytes)"


class Id:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        data = bytes(int(self.value["b"][i]) for i in range(16))
        return str(uuid.UUID(bytes=data)) if any(data) else "no id"


class Hash:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        data = bytes(int(self.value["b"][i]) for i in range(32))
        return data.hex() if any(data) else "no hash"


def printers():
    found = gdb.printing.RegexpCollectionPrettyPrinter("longboat")
    for tag, printer in (("span", Bytes), ("buf", Bytes), ("id", Id), ("hash", Hash)):
        found.add_printer(tag, f"^{tag}$", printer)
    return found


gdb.printing.register_pretty_printer(gdb.current_objfile(), printers(), replace=True)
