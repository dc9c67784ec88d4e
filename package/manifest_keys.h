/* manifest_keys.h - every key that package.yaml may have, once. The reader takes its lists of known
 * keys from here; tools/docs_tables.py makes the tables of docs/manifest.md and the schema
 * docs/schema/manifest.json of it.
 *
 * X(key, shape, otherwise, meaning). `shape`: what the value is, in the words of docs_tables.py.
 * `otherwise`: what holds without the key; "required": it must be there. */
#ifndef LB_PACKAGE_MANIFEST_KEYS_H
#define LB_PACKAGE_MANIFEST_KEYS_H

#define MANIFEST_TOP_KEYS(X) \
    X("name", NAME, "required", "what calls, job files and plans call the package") \
    X("version", VERSION, "required", \
      "1.10 comes after 1.9, and 1.2.0-rc1 before 1.2.0; what follows `+` does not count") \
    X("description", TEXT, "none", "a sentence for people") \
    X("subsystem", SUBSYSTEM, "required", \
      "how the entry is run, one of [these](subsystems.md) or one that the servers' " \
      "administrators have added") \
    X("entry", PATH, "required", \
      "the file of the package that is run; for `exec` it must be executable") \
    X("parameters", PARAMETERS, "none", \
      "what a caller may give, by name; see [below](#parameters)") \
    X("outputs", OUTPUTS, "any", \
      "what the package hands back, by name; see [below](#outputs); if any are declared, one " \
      "that is not declared turns a success into a failure") \
    X("needs", NEEDS, "none", \
      "what a server must have to be given the package's work; see [below](#needs)") \
    X("limits", LIMITS, "none", "see [below](#limits)") \
    X("exit_codes", EXITS, "`{0: succeeded}`", \
      "what each code means: `succeeded`, `failed` or `cancelled`; all others are failures") \
    X("idempotent", FLAG, "`false`", \
      "it may run again when its server is lost, unless the call says otherwise") \
    X("entry_point", FLAG, "`false`, for `parent` `true`", \
      "the package holds a plan; it has no effect today")

#define MANIFEST_PARAMETER_KEYS(X) \
    X("type", TYPE, "required", "see [types](#types)") \
    X("required", FLAG, "`false`", "the caller must give it") \
    X("default", VALUE, "none", \
      "a value of the type, or a word that stands for one; not with `required` or `sensitive`") \
    X("allowed", VALUES, "any", "the only values that it may have") \
    X("pattern", PATTERN, "any", "for a string: a regular expression for the whole value") \
    X("min", BOUND, "none", "for numbers, dates and datetimes: the least value") \
    X("max", BOUND, "none", "for numbers, dates and datetimes: the greatest value") \
    X("sensitive", FLAG, "`false`", \
      "keep the value out of environment and messages; takes a [secret](secrets.md)") \
    X("from_file", FLAG, "`false`", \
      "the package reads it from `$LB_PARAMETERS`: it may be longer than 32 KiB")

#define MANIFEST_OUTPUT_KEYS(X) X("type", TYPE, "required", "see [types](#types)")

#define MANIFEST_NEED_KEYS(X) \
    X("path", ABSOLUTE, "none", "a file or folder that is there and can be read") \
    X("command", COMMAND, "none", \
      "a program: an absolute path, or a name in the `PATH` that children have") \
    X("tcp", ENDPOINT, "none", "`HOST:PORT` accepts connections") \
    X("env", VARIABLE, "none", \
      "the environment of children has this variable, as where the step's proxy sets it") \
    X("disk_free", DISK, "none", "space that is free: `{path: /srv/work, at_least: 2G}`")

#define MANIFEST_DISK_KEYS(X) \
    X("path", ABSOLUTE, "required", "where") \
    X("at_least", SPACE, "required", "how much must be free")

#define MANIFEST_LIMIT_KEYS(X) \
    X("timeout", DURATION, "none", \
      "then the whole process tree gets TERM, and KILL 10 seconds later") \
    X("memory", SIZE, "none", "of the whole step; one that needs more is ended") \
    X("processes", COUNT, "none", "of the whole step, at a time") \
    X("output", SIZE, "16M", "bytes kept of a step's output, both streams together")

/* For a NULL-ended list: {MANIFEST_DISK_KEYS(MANIFEST_KEY_TEXT) NULL}. */
#define MANIFEST_KEY_TEXT(key, shape, otherwise, meaning) key,

#endif
