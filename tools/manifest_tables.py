"""For docs_tables.py: the tables of docs/manifest.md and the schema docs/schema/manifest.json, from
package/manifest_keys.h, package/values.h and proto/limits.h."""
import json
import re
import textwrap

NAME = "^[a-z][a-z0-9_-]{0,63}$"
IDENTIFIER = "^[a-z][a-z0-9_]{0,63}$"
DURATION = (r"^(?=.)([0-9]+(\.[0-9]{1,3})?d ?)?([0-9]+(\.[0-9]{1,3})?h ?)?"
            r"([0-9]+(\.[0-9]{1,3})?m ?)?([0-9]+(\.[0-9]{1,3})?s ?)?([0-9]+ms)?$")
SIZE = "^[0-9]+( ?[KMGTkmgt](iB)?)?$"
SPACE = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE}]}
# Words for the kinds of value, as the page says them.
WORDS = {
    "NAME": "`[a-z][a-z0-9_-]*`, at most 64 bytes",
    "VERSION": "a digit, then digits and letters in parts divided by `.`, then perhaps `-` or `+` "
               "and more",
    "TEXT": "text of at most 4096 bytes", "SUBSYSTEM": "a name", "PATH": "a path in the package",
    "PARAMETERS": "a map", "OUTPUTS": "a map", "NEEDS": "a list", "LIMITS": "a map",
    "EXITS": "a map of 0 to 255", "FLAG": "`true` or `false`", "TYPE": "a word",
    "VALUE": "a value", "VALUES": "a list of values",
    "PATTERN": "a POSIX extended regular expression", "BOUND": "a value",
    "ABSOLUTE": "an absolute path", "COMMAND": "a name, or an absolute path",
    "ENDPOINT": "`HOST:PORT`", "VARIABLE": "a name", "DISK": "a map",
    "SPACE": "a size such as `2G`",
    "DURATION": "a duration such as `2h` or `1m 30s`", "SIZE": "a size such as `16M`",
    "COUNT": "a whole number from 1",
}
# What a value of each type is in JSON, and what else may be its default.
TYPES = {
    "string": ("any text", {"type": ["string", "number", "boolean"]}),
    "int": ("a whole number of 64 bits", {"type": "integer"}),
    "float": ("a number", {"type": "number"}),
    "bool": ("`true` or `false`", {"type": "boolean"}),
    "date": ("a day, `2026-11-21`", {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
    "datetime": ("a moment of RFC 3339 with its offset, `2026-11-21T06:00:00+01:00`",
                 {"type": "string", "pattern":
                  r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"}),
    "json": ("anything that JSON can say", {}),
}
STANDS_FOR = {"date": ["{{as_of}}"], "datetime": ["{{as_of}}"],
              "string": ["{{as_of}}", "{{server}}"]}
ORDERED = ("int", "float", "date", "datetime")
# These may also be written as text, in quotes.
QUOTED = {"int": r"^-?[0-9]+$", "float": r"^-?[0-9.]+([eE][-+]?[0-9]+)?$",
          "bool": "^(true|false)$"}
# Text that begins no template, for strings, whose text may be anything else.
NO_TEMPLATE = r"^(\{\{(as_of|server)\}\}|(?![\s\S]*\{\{)[\s\S]*)$"


def keys(text, name):
    """[(key, shape, otherwise, meaning)]; formatting may have cut a string in two."""
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    body = re.search(r"^#define MANIFEST_%s_KEYS\(X\)(.*)$" % name, joined, re.M).group(1)
    found = re.findall(r'X\("(\w+)", (\w+), "([^"]*)", "([^"]*)"\)', re.sub(r'"\s+"', "", body))
    if len(found) != body.count("X("):
        raise SystemExit(f"manifest_keys.h: a row of MANIFEST_{name}_KEYS cannot be read")
    return found


def entry(text):
    return textwrap.fill(f"- {text}", 100, subsequent_indent="  ", break_long_words=False,
                         break_on_hyphens=False) + "\n"


def table(rows):
    """A list, since the meanings are too long for the columns of a table."""
    out = ""
    for key, shape, otherwise, meaning in rows:
        known = "required" if otherwise == "required" else f"default: {otherwise}"
        known = "" if otherwise == "none" else f" ({known})"
        out += entry(f"`{key}`{known}, {WORDS[shape]}: {meaning}")
    return out


def type_table(words):
    out = ""
    for word in words:
        stands = " or ".join(f'`"{s}"`' for s in STANDS_FOR.get(word, []))
        out += entry(f"`{word}`: {TYPES[word][0]}" + (f"; as a default also {stands}" if stands
                                                      else ""))
    return out


def shapes(words, limits):
    n = {name: eval(value, {}) for name, value, _ in limits}  # of our own header
    text = {"type": ["string", "number", "boolean"]}
    nothing = {"pattern": "^0+( |$|[^0-9])"}
    positive = {"anyOf": [{"type": "integer", "minimum": 1},
                          {"type": "string", "pattern": SIZE, "not": nothing}]}
    return {
        "NAME": {"type": "string", "pattern": NAME},
        "VERSION": {"type": ["string", "number"], "pattern": r"^[0-9][0-9A-Za-z.+-]{0,99}$",
                    "minimum": 0},
        "TEXT": dict(text, maxLength=n["LIMIT_TEXT"]),
        "SUBSYSTEM": {"type": "string", "pattern": NAME},
        "PATH": {"type": ["string", "number"], "minLength": 1, "maxLength": n["LIMIT_PATH"] - 6,
                 "pattern": r"^(?!/)(?!(.*/)?\.{0,2}(/|$))[^\x00-\x1f\x7f]+$"},
        "PARAMETERS": {"type": "object", "maxProperties": n["LIMIT_VALUES"],
                       "propertyNames": {"pattern": IDENTIFIER},
                       "additionalProperties": {"$ref": "#/$defs/parameter"}},
        "OUTPUTS": {"type": "object", "maxProperties": n["LIMIT_VALUES"],
                    "propertyNames": {"pattern": IDENTIFIER},
                    "additionalProperties": {"$ref": "#/$defs/output"}},
        "NEEDS": {"type": "array", "maxItems": n["LIMIT_NEEDS"],
                  "items": {"$ref": "#/$defs/need"}},
        "LIMITS": {"$ref": "#/$defs/limits"},
        "EXITS": {"type": "object",
                  "propertyNames": {"pattern": "^(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])$"},
                  "additionalProperties": {"enum": ["succeeded", "failed", "cancelled"]}},
        "FLAG": {"type": "boolean"}, "TYPE": {"enum": words},
        "VALUE": {}, "BOUND": {},
        "VALUES": {"type": "array", "minItems": 1, "maxItems": n["LIMIT_VALUES"]},
        "PATTERN": dict(text, maxLength=n["LIMIT_TEXT"]),
        "ABSOLUTE": {"type": "string", "pattern": "^/"},
        "COMMAND": {"type": "string", "pattern": r"^(/|[^/ \t]+$)"},
        "ENDPOINT": {"type": "string", "pattern": "^.+:0*[1-9][0-9]{0,4}$"},
        "VARIABLE": {"type": "string", "pattern": r"^[^= \t]+$"},
        "DISK": {"$ref": "#/$defs/disk"}, "SPACE": SPACE, "SIZE": positive,
        "DURATION": {"type": "string", "pattern": DURATION, "not": {"pattern": r"^[^1-9]*$"}},
        "COUNT": {"type": "integer", "minimum": 1},
    }


def of_map(rows, shape, **more):
    properties = {key: dict(shape[kind], description=re.sub(r"[`\[\]]|\(\S+\)", "", meaning))
                  for key, kind, _, meaning in rows}
    required = [key for key, _, otherwise, _ in rows if otherwise == "required"]
    out = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**out, **({"required": required} if required else {}), **more}


def of_type(word):
    """What the other keys of a parameter of this type may be."""
    value = TYPES[word][1]
    default = {"anyOf": [value, {"enum": STANDS_FOR[word]}]} if word in STANDS_FOR else value
    if word == "string":
        default = dict(value, pattern=NO_TEMPLATE)
    if word in QUOTED:
        default = {"anyOf": [value, {"type": "string", "pattern": QUOTED[word]}]}
    then = {"default": default, "allowed": {"items": value}}
    then.update({bound: value if word in ORDERED else False for bound in ("min", "max")})
    if word != "string":
        then["pattern"] = {"maxLength": 0}
    return {"if": {"properties": {"type": {"const": word}}}, "then": {"properties": then}}


def schema(text, words, limits):
    shape = shapes(words, limits)
    rows = {name: keys(text, name.upper()) for name in
            ("top", "parameter", "output", "need", "disk", "limit")}
    no_default = [{"not": {"required": ["default", word],
                           "properties": {word: {"const": True}}}} for word in
                  ("required", "sensitive")]
    parameter = of_map(rows["parameter"], shape,
                       allOf=no_default + [of_type(word) for word in words])
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:longboat:schema:manifest",
        "title": "package.yaml",
        "description": "The manifest of a package, for editors and programs that write one. "
                       "lbpkg lint also checks what a schema cannot: that files are there, that "
                       "bounds and defaults fit, that days and patterns are real.",
        **of_map(rows["top"], shape),
        "$defs": {"parameter": parameter, "output": of_map(rows["output"], shape),
                  "need": of_map(rows["need"], shape, minProperties=1, maxProperties=1),
                  "disk": of_map(rows["disk"], shape), "limits": of_map(rows["limit"], shape)},
    }
    return json.dumps(whole, indent=2) + "\n"


def parts(text, words):
    """What stands between the markers of docs/manifest.md."""
    out = {name: table(keys(text, name.upper())) for name in
           ("top", "parameter", "output", "need", "disk", "limit")}
    out["types"] = type_table(words)
    return out
