#!/usr/bin/python3
"""Prints the records of a broker's journal or of a server's spool, one a line, by
proto/schema.json.

usage: tools/dump.py FILE [--from N] [--run ID]
  FILE       broker.db, or a *.log below var/spool; it is only read, so a running program goes on
  --from N   the journal from this lsn, the spool from this offset
  --run ID   only the records of one run: its id or the end of it
"""
import argparse
import json
import os
import sqlite3
import struct
import sys

import msgpack

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAGIC = b"LBSPOOL1"
SHOWN = 16  # bytes of a value that is not text


def kinds():
    with open(os.path.join(TOP, "proto", "schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    return {row["kind"]: row for family in ("records", "spool") for row in schema[family]}


def shown(value):
    if isinstance(value, bytes):
        rest = f"...({len(value)} bytes)" if len(value) > SHOWN else ""
        return value[:SHOWN].hex() + rest
    if isinstance(value, (list, dict)):
        return f"({len(value)} entries)"
    return json.dumps(value, ensure_ascii=True)


def line(place, body, known):
    kind, *fields = msgpack.unpackb(body, raw=False, strict_map_key=False)
    row = known.get(kind)
    if not row:
        return f"{place} kind {kind}: {len(body)} bytes", ""
    values = dict(zip((f["name"] for f in row["fields"]), fields))
    run = values["run"].hex() if isinstance(values.get("run"), bytes) else ""
    text = " ".join(f"{name}={run if name == 'run' else shown(v)}" for name, v in values.items())
    return f"{place} {row['name']} {text}", run


def journal(path, start):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for lsn, body in db.execute("SELECT lsn, body FROM journal WHERE lsn >= ? ORDER BY lsn",
                                (start,)):
        yield lsn, body


def spool(path, start):
    with open(path, "rb") as f:
        f.seek(max(start, len(MAGIC)))
        while len(head := f.read(8)) == 8:
            place, size = f.tell() - 8, struct.unpack("<II", head)[0]
            body = f.read(size)
            if len(body) < size:
                print(f"{place} the record is not complete: it is being written, or was cut off")
                return
            yield place, body


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file")
    parser.add_argument("--from", dest="start", type=int, default=0, metavar="N")
    parser.add_argument("--run", default="", metavar="ID")
    args = parser.parse_args()
    wanted, known = args.run.replace("-", "").lower(), kinds()
    try:
        with open(args.file, "rb") as f:
            is_spool = f.read(len(MAGIC)) == MAGIC
        for place, body in (spool if is_spool else journal)(args.file, args.start):
            text, run = line(place, body, known)
            if not wanted or run.endswith(wanted):
                print(text)
    except BrokenPipeError:
        sys.stderr.close()
    except (OSError, sqlite3.Error, ValueError) as why:
        print(f"dump: {args.file}: {why}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
