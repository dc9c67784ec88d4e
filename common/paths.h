/* paths.h - where the programs keep their files: LONGBOAT_HOME and the folders in it. */
#ifndef LB_COMMON_PATHS_H
#define LB_COMMON_PATHS_H

#include <stddef.h>

#include "common/error.h"

enum { PATHS_MAX = 4096 };

/* Absolute paths without a slash at the end. They need not exist: the program that writes there
 * creates them. */
struct paths {
    char config[PATHS_MAX]; /* files people write: *.yaml, keys/, trust/, jobs/ */
    char state[PATHS_MAX];  /* what must survive a restart */
    char run[PATHS_MAX];    /* sockets and locks; gone after a boot */
};

/* LONGBOAT_HOME: $LONGBOAT_HOME/{etc,var,run}. Else root: /etc/longboat, /var/lib/longboat,
 * /run/longboat. Else the XDG folders: ~/.config/longboat, ~/.local/state/longboat,
 * $XDG_RUNTIME_DIR/longboat (without one: <state>/run). -EINVAL: LONGBOAT_HOME is not absolute, or
 * there is no home; -ENAMETOOLONG. A program with elevated rights ignores the environment. */
int paths_resolve(struct paths *ret, struct error *err);

/* "a/b/c" of a NULL-ended list into out[size]; empty parts are left out, one slash stands between.
 * -ENAMETOOLONG: it does not fit; out is then "". `out` may be the first part. */
int path_join(char *out, size_t size, struct error *err, const char *a, ...)
    __attribute__((sentinel));

/* Does it fit into a socket address (107 bytes)? -ENAMETOOLONG with a sentence that says to shorten
   LONGBOAT_HOME. */
int paths_check_socket(const char *path, struct error *err);

#endif
