/* manifest.h - a package's description of itself.
 *
 * People write package.yaml. `lbpkg build` checks it, adds the list of files with their hashes and
 * puts it into the archive as manifest.json: canonical JSON (sorted keys, no white space), so that
 * a manifest has exactly one encoding. The unpacker and the broker read only this file, and refuse
 * any other encoding of the same content. For the runner, which reads neither JSON nor YAML, the
 * unpacker turns it into a d_runnable.
 *
 * What package.yaml may have: manifest_keys.h. Values: values.h. */
#ifndef LB_PACKAGE_MANIFEST_H
#define LB_PACKAGE_MANIFEST_H

#include "package/values.h"
#include "proto/messages.h"
#include "proto/outcome.h"

enum {
    PACKAGE_FILES_MAX = 20000,   /* files in one package; LIMIT_MANIFEST is usually reached first */
    PACKAGE_DEPTH_MAX = 32,      /* folders above a file */
    PACKAGE_COMPONENT_MAX = 255, /* bytes of one name in a path, as on most file systems */
    PACKAGE_SIZE_MAX_GIB = 8     /* all files together, unpacked */
};
#define PACKAGE_MANIFEST    "manifest.json" /* first in the archive, and in an installed package */
#define PACKAGE_FILES       "files"         /* folder of the package's own files, in both */
#define PACKAGE_YAML        "package.yaml"
#define PACKAGE_HASH_PREFIX "blake2b:"

struct manifest_parameter { /* of an output only name and type */
    char *name;
    enum parameter_type type;
    bool required, sensitive, from_file;
    /* encoded value, or VALUES_AS_OF or VALUES_SERVER as a string; empty: none */
    struct buf fallback;
    struct buf allowed; /* items of a wire list of encoded values */
    uint32_t n_allowed;
    char *pattern;               /* "": none */
    char *description;           /* of a job's parameter; NULL: none */
    struct buf minimum, maximum; /* encoded values; empty: none */
};
struct manifest_exit {
    uint64_t code;
    enum package_outcome outcome;
};
struct manifest_file {
    char *path; /* below files/ */
    char *link; /* a symbolic link's target, relative and inside; NULL: a regular file */
    bool executable;
    uint64_t size;
    struct hash hash; /* BLAKE2b-256 of the content */
};

/* Owns all it points to; release with manifest_free. All zero is empty. Lists are sorted by name,
 * code or bytes of the path. */
struct manifest {
    char *name, *version, *description, *subsystem, *entry;
    unsigned entry_line, entry_column; /* where package.yaml names it; 0: read from JSON */
    bool idempotent, entry_point;
    uint64_t timeout_ms, memory, processes, output_cap; /* 0: not given */
    struct manifest_parameter *parameters, *outputs;
    size_t n_parameters, n_outputs;
    /* "path:/srv/source", "command:psql", "tcp:db1:5432", "env:NAME",
       "disk_free:BYTES:/srv/work" */
    char **needs;
    size_t n_needs;
    struct manifest_exit *exits; /* never empty; other codes: failed */
    size_t n_exits;
    struct manifest_file *files; /* empty until archive_scan or manifest_from_json fills it */
    size_t n_files;
};
void manifest_free(struct manifest *m);

/* ---- package.yaml. All problems are found at once: each text begins "path:line:column: ". */
struct problem {
    char *text;
    bool warning; /* it works, but is likely to cause trouble later */
};
struct problems {
    struct problem *v;
    size_t n, errors;
};
void problems_add(struct problems *p, bool warning, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void problems_add_error(struct problems *p, const struct error *err);
/* Keeps the first `most` and says how many there are beyond. All of them must be errors. */
void problems_cut(struct problems *p, size_t most);
void problems_free(struct problems *p);
/* 0: no errors, perhaps warnings; release *ret with manifest_free. -EINVAL: `problems` has at least
 * one error, and *ret is untouched. */
int manifest_read_yaml(const char *path, struct manifest *ret, struct problems *problems);
int manifest_parse_yaml(const char *name, struct span text, struct manifest *ret,
                        struct problems *problems);

/* ---- manifest.json */
void manifest_to_json(const struct manifest *m, struct buf *out);
/* Reads exactly the bytes that manifest_to_json writes. -EINVAL: any other bytes, or a rule of
 * package.yaml or manifest_check_files is broken. */
int manifest_from_json(struct span json, struct manifest *ret, struct error *err);

/* ---- For the runner. Appends a d_runnable. */
void manifest_to_runnable(const struct manifest *m, const struct hash *package,
                          const struct hash *signer_key, struct buf *out);

/* A d_parameter each; the list points into *items. */
struct wire_list manifest_encode_parameters(const struct manifest_parameter *list, size_t n,
                                            struct buf *items);

/* ---- Rules that YAML, JSON, builder and unpacker share */
/* A version begins with a digit: digits and letters in parts separated by `.`, then optionally `-`
 * or `+` and more. -EINVAL: this is not one. */
int manifest_version_check(struct span version, struct error *err);
/* <0, 0 or >0. Numbers compare as numbers: 1.10 comes after 1.9. 1.2.0-rc1 comes before 1.2.0. What
 * follows + is ignored. */
int manifest_version_compare(const char *a, const char *b);
/* A path inside a package is relative, has no empty, `.` or `..` part, is UTF-8 without control
 * characters, and stays within the limits. -EINVAL: this is not one. */
int manifest_path_check(struct span path, struct error *err);
/* The target of a symbolic link at `path` is relative and stays inside the package: it may begin
 * with `..` parts and has none later. -EINVAL: this one does not. */
int manifest_link_check(const char *path, const char *target, struct error *err);
/* Checks the list as a whole: it is sorted, no path occurs twice (not even with different case), no
 * file is the folder of another. -EINVAL: it is not so; -EFBIG: too many files or bytes. */
int manifest_check_files(const struct manifest *m, struct error *err);
/* -EINVAL: the entry is not one of the files or, for subsystem exec, is not executable. */
int manifest_check_entry(const struct manifest *m, struct error *err);
/* NULL: there is none. */
const struct manifest_file *manifest_find_file(const struct manifest *m, const char *path);
int manifest_need_check(const char *need, struct error *err);

/* "blake2b:<64 digits>" and back. */
enum { PACKAGE_HASH_TEXT = 8 + 64 + 1 };
char *package_hash_format(const struct hash *h, char out[PACKAGE_HASH_TEXT]);
/* Takes the text with or without the prefix. -EINVAL: it is not a hash. */
int package_hash_parse(const char *text, struct hash *ret, struct error *err);

#endif
