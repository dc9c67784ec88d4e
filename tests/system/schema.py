#!/usr/bin/python3
"""Holds JSON objects, one a line on standard input, against a schema of docs/schema.

usage: schema.py KIND [LEAST]
exit code 1: an object does not match, or there are fewer than LEAST (1)
"""
import json
import os
import sys

import jsonschema

FOLDER = os.environ.get("LB_SCHEMA") or os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "docs", "schema")


def schemas():
    for name in sorted(os.listdir(FOLDER)):
        if name.endswith(".json"):
            with open(os.path.join(FOLDER, name)) as f:
                yield name[:-len(".json")], json.load(f)


def deepest(error):
    """Where an object matches none of several kinds: what is wrong with it as the likeliest."""
    while error.context:
        error = min(error.context, key=lambda e: (-len(e.absolute_path),
                                                  e.validator in ("const", "enum")))
    return error


def main():
    kind, least = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    every = dict(schemas())
    store = {s["$id"]: s for s in every.values()}
    for s in every.values():
        jsonschema.Draft202012Validator.check_schema(s)
    schema = every[kind]
    # With a `oneOf` by `event`, the member names the one that is meant.
    named = {s["properties"]["event"]["const"]: name for name, s in schema.get("$defs", {}).items()
             if "const" in s.get("properties", {}).get("event", {})}
    resolver = jsonschema.RefResolver(schema["$id"], schema, store)
    seen = wrong = 0
    for line in sys.stdin:
        seen += 1
        value = json.loads(line)
        this = schema
        if named and isinstance(value, dict) and value.get("event") in named:
            this = {"$ref": f"{schema['$id']}#/$defs/{named[value['event']]}"}
        for error in jsonschema.Draft202012Validator(this, resolver=resolver).iter_errors(value):
            error = deepest(error)
            where = "/".join(str(p) for p in error.absolute_path)
            print(f"{kind}: {where or 'the object'}: {error.message[:300]}\n  {line.strip()[:600]}")
            wrong += 1
    if seen < least:
        print(f"{kind}: {seen} objects where {least} were expected")
    return 1 if wrong or seen < least else 0


sys.exit(main())
