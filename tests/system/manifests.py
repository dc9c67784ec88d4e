#!/usr/bin/python3
"""Holds package.yaml files against the published schema and against lbpkg, which must agree.

usage: manifests.py FOLDER FILE...     FOLDER: to work in; FILE: manifests that both must take
exit code 1: they do not agree

Each manifest of the table is JSON, which is YAML, so that both read the same bytes.
"""
import copy
import json
import os
import subprocess
import sys

import jsonschema
import yaml

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEAD = {"name": "x", "version": "1.0", "subsystem": "shell", "entry": "main"}
LONG = "a" * 65

GOOD = [
    {}, {"version": 2}, {"version": "2026.11-rc1+b"}, {"description": "ä"}, {"entry": "a/b c.sh"},
    {"entry": "..a/.b"}, {"subsystem": "of-ours"}, {"idempotent": True}, {"entry_point": False},
    {"needs": []}, {"needs": [{"path": "/x"}, {"command": "psql"}, {"command": "/bin/ls"},
                              {"tcp": "db1:5432"}, {"tcp": "[::1]:80"}, {"env": "PGHOST"}]},
    {"needs": [{"disk_free": {"path": "/x", "at_least": "2G"}}]},
    {"needs": [{"disk_free": {"path": "/x", "at_least": 4096}}]},
    {"limits": {}}, {"limits": {"timeout": "1m 30s", "memory": "2G", "processes": 64,
                                "output": "16MiB"}},
    {"limits": {"timeout": "1.5s"}}, {"limits": {"timeout": "500ms", "memory": 4096}},
    {"limits": {"memory": "05 k"}},
    {"exit_codes": {}}, {"exit_codes": {"0": "succeeded", "3": "cancelled", "255": "failed"}},
    {"outputs": {"rows": {"type": "int"}, "a_1": {"type": "json"}}},
]
GOOD += [{"parameters": {"a": p}} for p in (
    {"type": "string", "default": ""}, {"type": "string", "default": 5},
    {"type": "string", "default": "{{as_of}}"}, {"type": "string", "default": "{{server}}"},
    {"type": "string", "pattern": "[a-z]+", "default": "b", "required": False},
    {"type": "string", "allowed": ["a", 1, True]}, {"type": "string", "required": True},
    {"type": "int", "default": "1"}, {"type": "bool", "default": "true"},
    {"type": "int", "default": 3, "min": 1, "max": 5, "allowed": [3, 4]},
    {"type": "float", "default": 1, "min": 0.5}, {"type": "bool", "default": False},
    {"type": "date", "default": "{{as_of}}", "min": "2020-01-01"},
    {"type": "date", "default": "2026-11-21"},
    {"type": "datetime", "default": "2026-11-21T06:00:00+01:00"},
    {"type": "datetime", "default": "{{as_of}}"}, {"type": "json", "default": None},
    {"type": "json", "default": {"a": [1, "{{x}}"]}}, {"type": "string", "sensitive": True},
    {"type": "string", "from_file": True, "sensitive": False, "default": "x"})]

BAD = [
    {"name": "X"}, {"name": ""}, {"name": LONG}, {"name": None}, {"name": ["x"]},
    {"version": "v1"}, {"version": ""}, {"version": "1 2"}, {"version": -1}, {"version": "1" * 101},
    {"description": None}, {"description": "a" * 4097}, {"description": []},
    {"subsystem": "Shell"}, {"subsystem": None}, {"subsystem": LONG},
    {"entry": ""}, {"entry": "/a"}, {"entry": "../a"}, {"entry": "a/./b"}, {"entry": "a//b"},
    {"entry": "a/.."}, {"entry": "a/"}, {"entry": "a\tb"}, {"entry": "a" * 1025}, {"entry": {}},
    {"idempotent": "yes"}, {"idempotent": 1}, {"entry_point": None}, {"entry_point": "true"},
    {"nmae": "x"}, {"needs": {}}, {"needs": [{"paht": "/x"}]}, {"needs": ["x"]}, {"needs": [{}]},
    {"needs": [{"path": "/x", "env": "Y"}]}, {"needs": [{"path": "x"}]},
    {"needs": [{"command": "bin/x"}]}, {"needs": [{"command": ""}]}, {"needs": [{"tcp": "db1"}]},
    {"needs": [{"tcp": "db1:x"}]}, {"needs": [{"tcp": ":80"}]}, {"needs": [{"tcp": "db1:0"}]},
    {"needs": [{"env": "A=B"}]}, {"needs": [{"env": ""}]}, {"needs": [{"disk_free": "/x"}]},
    {"needs": [{"disk_free": {"path": "/x"}}]}, {"needs": [{"disk_free": {"at_least": 1}}]},
    {"needs": [{"disk_free": {"path": "x", "at_least": 1}}]},
    {"needs": [{"disk_free": {"path": "/x", "at_least": "2GB"}}]},
    {"needs": [{"disk_free": {"path": "/x", "at_least": "1", "more": 1}}]},
    {"needs": [{"path": f"/{i}"} for i in range(201)]},
    {"limits": []}, {"limits": {"timout": "1m"}}, {"limits": {"timeout": 2}},
    {"limits": {"timeout": "0s"}}, {"limits": {"timeout": "2"}}, {"limits": {"timeout": ""}},
    {"limits": {"timeout": "1s 1m"}}, {"limits": {"memory": 0}}, {"limits": {"memory": -1}},
    {"limits": {"memory": "0G"}}, {"limits": {"memory": "2GB"}}, {"limits": {"processes": 0}},
    {"limits": {"processes": "64"}}, {"limits": {"processes": 1.5}}, {"limits": {"output": True}},
    {"exit_codes": []}, {"exit_codes": {"256": "failed"}}, {"exit_codes": {"03": "failed"}},
    {"exit_codes": {"a": "failed"}}, {"exit_codes": {"3": "canceled"}}, {"exit_codes": {"3": None}},
    {"outputs": []}, {"outputs": {"Rows": {"type": "int"}}}, {"outputs": {"rows": {}}},
    {"outputs": {"rows": {"type": "int", "required": True}}}, {"outputs": {"rows": "int"}},
    {"parameters": []}, {"parameters": {"A": {"type": "int"}}}, {"parameters": {"a": "int"}},
    {"parameters": {"a-b": {"type": "int"}}}, {"parameters": {"a": {}}},
    {"parameters": {f"a{i}": {"type": "int"} for i in range(1001)}},
]
BAD += [{"parameters": {"a": p}} for p in (
    {"type": "integer"}, {"type": "int", "requird": True}, {"type": "int", "required": "maybe"},
    {"type": "int", "default": "x"}, {"type": "int", "min": "1"}, {"type": "int", "min": 1.5},
    {"type": "int", "default": 1.5}, {"type": "float", "max": "1"}, {"type": "bool", "default": 1},
    {"type": "string", "min": "a"}, {"type": "bool", "max": True}, {"type": "json", "min": 1},
    {"type": "int", "pattern": "a"}, {"type": "int", "allowed": []}, {"type": "int", "allowed": 1},
    {"type": "int", "allowed": [1, "x"]}, {"type": "int", "sensitive": 1},
    {"type": "int", "from_file": "no"}, {"type": "int", "sensitive": True, "default": 2},
    {"type": "int", "required": True, "default": 2}, {"type": "date", "default": "{{now}}"},
    {"type": "int", "default": "{{as_of}}"}, {"type": "string", "default": "x{{as_of}}"},
    {"type": "string", "default": "{{now}}"}, {"type": "date", "default": "{{server}}"},
    {"type": "date", "default": "today"}, {"type": "datetime", "default": "2026-11-21"},
    {"type": "string", "default": None}, {"type": "string", "pattern": None},
    {"type": "string", "pattern": "a" * 4097}, {"type": "string", "description": "x"})]
# What a schema cannot say: it takes these, and lbpkg does not.
BEYOND = [{"parameters": {"a": p}} for p in (
    {"type": "int", "default": 1, "min": 2}, {"type": "int", "min": 3, "max": 2},
    {"type": "int", "default": 2, "allowed": [1]}, {"type": "date", "default": "2026-02-30"},
    {"type": "string", "pattern": "["}, {"type": "string", "pattern": "a+", "default": "b"})]
BEYOND += [{"needs": [{"tcp": "db1:99999"}]}]


class Plain(yaml.SafeLoader):
    """Longboat's YAML: only true and false, null, and the numbers of JSON are no text."""


Plain.yaml_implicit_resolvers = {}
for tag, pattern, first in (("bool", r"^(true|false)$", "tf"), ("null", r"^(null|~|)$", "n~\0"),
                            ("int", r"^-?(0|[1-9][0-9]*)$", "-0123456789"),
                            ("float", r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$",
                             "-0123456789")):
    Plain.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", yaml.resolver.re.compile(pattern),
                                [c if c != "\0" else "" for c in first])


def texts(value):
    """JSON's keys are texts."""
    if isinstance(value, dict):
        return {str(k): texts(v) for k, v in value.items()}
    return [texts(v) for v in value] if isinstance(value, list) else value


def lbpkg(folder, manifest):
    """Its errors, but for files that are not there."""
    with open(os.path.join(folder, "package.yaml"), "w") as f:
        f.write(manifest if isinstance(manifest, str) else json.dumps(manifest))
    out = subprocess.run(["lbpkg", "lint", folder, "--json"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, timeout=60).stdout
    said = [json.loads(line) for line in out.splitlines()]
    return [p["text"] for p in said if p["severity"] == "error" and "has no file" not in p["text"]]


def every_key(schema):
    """A manifest for each key of the schema that gives it a value of no kind that it may have."""
    defs = schema["$defs"]
    wrap = {"parameter": lambda v: {"parameters": {"a": v}},
            "output": lambda v: {"outputs": {"a": v}}, "need": lambda v: {"needs": [v]},
            "disk": lambda v: {"needs": [{"disk_free": v}]}, "limits": lambda v: {"limits": v}}
    for key in schema["properties"]:
        yield f"{key}", {key: {"no": ["such", {"value": 1}]}}
    for name, where in wrap.items():
        for key in defs[name]["properties"]:
            more = {"type": "int"} if name == "parameter" and key != "type" else {}
            yield f"{name}.{key}", where({**more, key: {"no": ["such", {"value": 1}]}})


def main():
    folder, files = sys.argv[1], sys.argv[2:]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(TOP, "docs", "schema", "manifest.json")) as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    wrong = 0

    def hold(what, manifest, by_schema, by_lbpkg, read=None):
        nonlocal wrong
        found = [e.message[:200] for e in judge.iter_errors(read or manifest)]
        said = lbpkg(folder, manifest)
        if bool(found) == by_schema or bool(said) == by_lbpkg:
            print(f"{what}: {json.dumps(read or manifest)[:400]}\n  schema: {found or 'takes it'}\n"
                  f"  lbpkg: {said or 'takes it'}")
            wrong += 1

    for rows, by_schema, by_lbpkg in ((GOOD, True, True), (BAD, False, False),
                                      (BEYOND, True, False)):
        for row in rows:
            hold("table", {**copy.deepcopy(HEAD), **row}, by_schema, by_lbpkg)
    for key in HEAD:
        hold(f"without {key}", {k: v for k, v in HEAD.items() if k != key}, False, False)
    for key, row in every_key(schema):
        hold(key, {**HEAD, **row}, False, False)
    for path in files:
        with open(path) as f:
            text = f.read()
        hold(path, text, True, True, texts(yaml.load(text, Plain)))
    return 1 if wrong else 0


sys.exit(main())
