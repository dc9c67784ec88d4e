#!/usr/bin/python3
"""Writes proto/schema.json: every message, document, journal record and spool entry, with its kind,
fields, types and limits, and the enumerations and codes that they use. All of it comes from the C
tables; what those do not say (which answers a request has, what the bytes in a field are) stands
below, and names that the tables lack are refused.

usage: tools/protocol_schema.py [--check]     --check: change nothing, exit 1 if the file is stale
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import protocol_tables as tables  # noqa: E402

TOP = tables.TOP
PATH = os.path.join(TOP, "proto", "schema.json")

TYPES = {
    "u64": ("integer of 0 or more", "greatest value"),
    "i64": ("integer", "greatest absolute value; none: 64 bits"),
    "flag": ("boolean", None),
    "str": ("UTF-8 text without NUL", "bytes"),
    "bin": ("bytes", "bytes"),
    "id": ("16 bytes", None),
    "hash": ("32 bytes", None),
    "strs": ("array of str, each of at most 1024 bytes", "entries"),
    "bins": ("array of bin", "entries"),
    "map": ("map of names to values", "bytes of all entries, without the header"),
}

# Requests and the messages that answer them. ERROR answers every request that has a `req`.
ANSWERS = {
    "HELLO": ["WELCOME", "REFUSED"], "PING": ["PONG"], "RESOLVE": ["RESOLVED"],
    "CALL": ["ACCEPTED", "RUN_STATE", "RUN_ENDED"], "FOLLOW": ["RUN_STATE", "RUN_ENDED", "DONE"],
    "CANCEL": ["DONE"], "PARENT_BEGIN": ["ACCEPTED", "DRIVING"], "PARENT_PLAN": ["DONE"],
    "PARENT_END": ["DONE"], "PARENT_DRIVE": ["DRIVING"], "RESULT": ["RECORDED"],
    "LOG_DATA": ["LOG_ACK"], "QUERY": ["ROWS"], "OPERATE": ["DONE"], "SUBSCRIBE": ["EVENTS"],
    "UNSUBSCRIBE": ["DONE"], "LOGS": ["LOG"], "PUT": ["DONE"], "PUT_END": ["DONE"],
    "GET": ["CHUNK"], "DEPLOY": ["DONE"], "ENROL": ["DONE"], "CERTIFICATE": ["CERTIFICATES"],
    "PUBLISH": ["DONE"], "REVOKE": ["DONE"],
}

# The broker's messages that go to workers; those marked True go to other clients, too.
TO_WORKERS = {
    "WELCOME": True, "REFUSED": True, "RESET": True, "PONG": True, "REVOKED": True, "ERROR": True,
    "CHUNK": True, "CERTIFICATES": True, "EXECUTE": False, "RECORDED": False, "STOP": False,
    "RECALL": False, "LOG_ACK": False, "DESIRED": False,
}

# What the bytes in a bin, or in each entry of a bins or strs, are. "signed X": a d_signed whose
# body is a d_X.
HOLDS = {
    "HELLO.certificate": "signed certificate", "WELCOME.certificate": "signed certificate",
    "WELCOME.yours": "signed certificate", "RESOLVED.versions": "version",
    "CALL.call": "signed call", "RUN_ENDED.outcome": "outcome",
    "RUN_ENDED.signature": "signed result without its body",
    "PARENT_BEGIN.parent": "signed parent", "PARENT_END.report": "JSON",
    "ATTEST.jobs": "attested_job", "ATTEST.packages": "attested_package", "ATTEST.needs": "need",
    "EXECUTE.call": "signed call", "EXECUTE.certificate": "signed certificate",
    "RESULT.outcome": "outcome", "RESULT.executions": "executions", "executions.tries": "execution",
    "DESIRED.packages": "deployed",
    "REVOKED.list": "signed revocations", "ROWS.rows": "JSON", "EVENTS.events": "JSON",
    "LOG.chunks": "LOG_DATA", "PUT_END.manifest": "JSON",
    "PUT_END.signature": "minisign signature file", "CHUNK.signature": "minisign signature file",
    "DEPLOY.deployment": "signed deployment", "ENROL.certificate": "signed certificate",
    "ENROL.possession": "signature",
    "CERTIFICATES.certificates": "signed certificate", "PUBLISH.certificate": "signed certificate",
    "REVOKE.list": "signed revocations", "certificate.invitation": "signed invitation",
    "token.administrators": "key", "token.invitation": "signed invitation",
    "revocations.serials": "serials of 8 bytes, big endian, ascending",
    "version.parameters": "parameter, as bin one after the other", "attested_job.packages": "hash",
    "attested_job.parameters": "parameter, as bin one after the other",
    "deployed.deployment": "signed deployment", "job.steps": "step", "step.bindings": "binding",
    "binding.value": "value", "outcome.steps": "step_outcome", "runnable.parameters": "parameter",
    "runnable.outputs": "parameter", "runnable.exit_codes": "exit_code",
    "parameter.fallback": "value", "parameter.allowed": "value", "parameter.minimum": "value",
    "parameter.maximum": "value", "signed.body": "the document that was signed",
    "signed.proof": "hash",
}

# The enumeration that a number belongs to.
ENUMS_OF = {
    "RUN_STATE.state": "run_state", "HAVE.state": "run_state", "PARENT_END.status": "status",
    "EXECUTE.on_lost": "on_lost", "call.on_lost": "on_lost", "outcome.delivery": "delivery",
    "outcome.job": "job_outcome", "outcome.package": "package", "outcome.status": "status",
    "outcome.code": "code", "step_outcome.action": "step_action", "step_outcome.package": "package",
    "step_outcome.code": "code", "exit_code.package": "package", "REFUSED.code": "code",
    "ERROR.code": "code", "audit.code": "code", "audit.decision": "audit_decision",
}

# Messages that came after 1.0, by name; fields that may be missing came with 1.1, except these.
SINCE = {"RESULT.executions": "1.2"}

ENUMS = {  # name: header, macro
    "run_state": ("proto/state.h", "RUN_STATES"),
         "delivery": ("proto/outcome.h", "DELIVERY_STATES"),
    "job_outcome": ("proto/outcome.h", "JOB_STATES"),
         "package": ("proto/outcome.h", "PACKAGE_STATES"),
    "status": ("proto/outcome.h", "STATUSES"), "step_action": ("proto/outcome.h", "STEP_ACTIONS"),
    "on_lost": ("proto/outcome.h", "ON_LOST"),
    "audit_decision": ("trust/audit.h", "AUDIT_DECISIONS"),
}
ROLES = {"ADM": "administrator", "SRV": "server", "CLL": "caller", "MON": "monitor",
         "ONE": "one-time key"}
# What a right is judged on: how the table of rights calls it, and for readers. No word: the role is
# enough.
ON = {"RESOLVE": "job@address",
      "CALL": "job@address of the signed call, whose caller is the sender",
      "BEGIN": "anything; the parent's caller is the sender",
      "RUN": "job@address of the run, unless it is one's own",
      "PARENT": "all, unless the parent is one's own", "OPERATE": "depends on the verb",
      "CERTIFICATE": "depends on whose it is",
      "DEPLOY": "package@address", "SECRET": "secret@address",
      "SOMEWHERE": "anything", "EVERYTHING": "all"}
GROUPS = {"CALLERS": ["ADM", "CLL"], "PEOPLE": ["ADM", "CLL", "MON"],
          "PEERS": ["ADM", "CLL", "MON", "SRV"],
          "ALL": ["ADM", "CLL", "MON", "SRV", "ONE"]}


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as f:
        return f.read()


def enums():
    found = {}
    for name, (header, macro) in ENUMS.items():
        body = re.search(r"#define %s\(X\)(.*)" % macro, tables.unwrap(read(header))).group(1)
        found[name] = re.findall(r'X\(\w+, "([\w-]+)"\)', body)
    return found


def rights():
    """{message: [{roles, grant, on, taker}]} of the broker's table of messages."""
    rows = {}
    table = re.findall(r"^    ROW\((\w+), +(\w+), +(\w+), +(\w+), +to_(\w+), +\w+\)",
                       read("broker/dispatch.c"), re.M)
    for kind, roles, verb, target, taker in table:
        row = {"roles": [ROLES[w] for w in GROUPS.get(roles, [roles])]}
        if target != "NOTHING":
            row |= {"grant": verb.lower(), "on": ON[target]}
        rows.setdefault(kind, []).append(row | {"taker": taker})
    if len(rows) < 30:
        raise SystemExit("tools/protocol_schema.py: broker/dispatch.c has no such table any more")
    return rows


def with_since(entry, name):
    return entry | {"since": SINCE.get(name, "1.0")}


def field(owner, kind, name, most):
    full = f"{owner}.{name}"
    entry = {"name": name, "type": kind.removeprefix("added_")}
    if kind.startswith("added_"):
        entry |= {"optional": True, "since": SINCE.get(full, "1.1")}
    if most:
        entry["max"] = int(most)
    if full in HOLDS:
        entry["holds"] = HOLDS[full]
    if full in ENUMS_OF:
        entry["enum"] = ENUMS_OF[full]
    return entry


def family(letter, schema, known, values):
    for fam, name, why, fields in tables.rows(schema):
        if fam != letter:
            continue
        low, number, sender = known.get((fam, name), ("frame", 0, ""))
        title = name if letter == "M" else low
        entry = with_since({"name": title, "kind": number}, title)
        if why:
            entry["about"] = why
        entry["fields"] = [field(title, k, n, tables.most(m, values)) for k, n, m in fields]
        yield entry, sender


def messages(schema, known, values):
    allowed = rights()
    senders = {"C": "client", "W": "worker", "B": "broker", "O": "one-time key"}
    for entry, sender in family("M", schema, known, values):
        name = entry["name"]
        entry["from"] = senders[sender]
        if sender != "B":
            entry["to"] = ["broker"]
            entry["rights"] = allowed[name]
            entry["answers"] = ANSWERS.get(name,
                                           []) + (["ERROR"] if entry["fields"][0]["name"] == "req"
                                                  else [])
        else:
            entry["to"] = (["worker"] if name in TO_WORKERS else []) + (
                ["client"] if TO_WORKERS.get(name, True) else [])
        yield entry


def check_names(out):
    """What stands by hand above must be of the tables."""
    names = {f"{e['name']}.{f['name']}" for part in ("messages", "documents") for e in out[part]
             for f in e["fields"]}
    kinds = {e["name"] for e in out["messages"]}
    wrong = (set(HOLDS) | set(ENUMS_OF)) - names
    wrong |= {n for n in SINCE if n not in names and n not in kinds}
    wrong |= (set(ANSWERS) | set(TO_WORKERS) | {a for v in ANSWERS.values() for a in v}) - kinds
    if wrong:
        raise SystemExit(
            f"tools/protocol_schema.py: not in proto/schema.h: {', '.join(sorted(wrong))}")


def build():
    schema = read("proto/schema.h") + read("proto/schemaspool.h")
    known, values = tables.kinds(schema), tables.limits(read("proto/limits.h"))
    version = {n: int(v) for n,
               v in re.findall(r"PROTO_(MAJOR|MINOR) = (\d+)", read("proto/messages.h"))}
    out = {
        "v": 1, "protocol": "longboat", "major": version["MAJOR"], "minor": version["MINOR"],
        "types": {n: {"is": what} | ({"max": most} if most else {}) for n,
                  (what, most) in TYPES.items()},
        "limits": {n.removeprefix("LIMIT_").lower(): v for n,
                   v in values.items() if n.startswith("LIMIT_")}
        | {name: tables.constant(macro) for name, macro in tables.ELSEWHERE.items()},
        "times_ms": {n.removesuffix("_MS").lower(): v for n,
                     v in values.items() if n.endswith("_MS")},
        "enums": enums(),
        "codes": tables.codes(read("proto/messages.h")),
        "frame": next(e for e, _ in family("H", schema, known, values)),
        "messages": list(messages(schema, known, values)),
        "documents": [e for e, _ in family("D", schema, known, values)],
        "records": [e for e, _ in family("R", schema, known, values)],
        "spool": [e for e, _ in family("S", schema, known, values)],
    }
    check_names(out)
    return out


def text_of(value, depth=0):
    """JSON that reads and diffs well: a field, a code, a short list a line."""
    flat = json.dumps(value, ensure_ascii=False)
    pad = "  " * depth
    if len(flat) + len(pad) <= 100 or not isinstance(value, (dict, list)) or not value:
        return flat
    if isinstance(value, dict):
        inside = [f"{pad}  {json.dumps(k)}: {text_of(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inside) + f"\n{pad}}}"
    return "[\n" + ",\n".join(f"{pad}  {text_of(v, depth + 1)}" for v in value) + f"\n{pad}]"


def main():
    new = text_of(build()) + "\n"
    old = read(PATH) if os.path.exists(PATH) else ""
    if "--check" in sys.argv:
        if old != new:
            print("proto/schema.json is not what the C tables say; run tools/protocol_schema.py")
        return int(old != new)
    with open(PATH, "w", encoding="utf-8") as f:
        f.write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
