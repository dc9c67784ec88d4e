/* protect.h - the protections of a child, each a bit: asked for by a proxy (d_context.on and
 * required), applied by the keeper, and named in outcomes where they are on or off. Pure. */
#ifndef LB_PROTO_PROTECT_H
#define LB_PROTO_PROTECT_H

/* X(name, word, what a child that has it off is without) */
#define PROTECTIONS(X) \
    X(USER, "user", "a user of its own") \
    X(CGROUP, "cgroup", "limits of memory, processors and processes, and a wall around the tree") \
    X(LANDLOCK, "landlock", "a list of the files that it may reach") \
    X(SECCOMP, "seccomp", "a list of the system calls that it may make") \
    X(PRIVATE_TMP, "private_tmp", "a /tmp of its own") \
    X(MEMORY_FILES, "memory_files", "parameters and results in memory") \
    X(PACKAGE_FILES, "package_files", "a package that is certainly as it was installed")

#define X(n, w, t) PROTECT_AT_##n,
enum protect_at { PROTECTIONS(X) PROTECT_COUNT };
#undef X
#define X(n, w, t) PROTECT_##n = 1 << PROTECT_AT_##n,
enum protect { PROTECTIONS(X) };
#undef X

/* "landlock", and what a child is without it; "?" beyond the last. */
const char *protect_word(unsigned at);
const char *protect_text(unsigned at);

#endif
