/* landlock.h - a list of the files that a child may reach (Landlock).
 *
 * The list is made by the keeper, and entered by the child. Later versions of the kernel's
 * interface can refuse more; what this kernel has is used. */
#ifndef LB_RUNNER_LANDLOCK_H
#define LB_RUNNER_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* The kernel's three calls, for which libc has no functions; tests have others. Each returns what
 * the system call does, with errno. */
struct landlock_calls {
    long (*create)(const void *attributes, size_t size, uint32_t flags);
    long (*add)(int ruleset, int type, const void *rule, uint32_t flags);
};
extern const struct landlock_calls landlock_kernel;

/* The version of the interface; 0: this kernel has none, or it is not in use. */
int landlock_version(const struct landlock_calls *k);

/* What may be done below a path: with READ also execute; with DEVICE no more than to read and write
 * the file itself. */
enum landlock_access { LANDLOCK_READ, LANDLOCK_WRITE, LANDLOCK_DEVICE };

struct landlock_list {
    const struct landlock_calls *kernel;
    int version;
    int fd; /* yours to close; -1: there is no list */
};
/* A list that allows nothing yet. -ENOTSUP: this kernel has no Landlock. */
int landlock_begin(const struct landlock_calls *k, struct landlock_list *ret, struct error *err);
/* A path that is not there, or that we cannot reach, is none to allow: no error. */
int landlock_allow(const struct landlock_list *l, const char *path, enum landlock_access access,
                   struct error *err);

/* In a child; no_new_privs is set. For good, and for all that it starts. 0, or -1 with errno. */
int landlock_enter(int fd);

#endif
