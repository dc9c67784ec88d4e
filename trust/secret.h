/* secret.h - a process that holds secrets, and memory for them: locked, so that it is never written
 * to swap; left out of core dumps; between pages that nobody may touch; wiped when it is given
 * back.
 *
 * A page holds several secrets, because what a process may lock (ulimit -l) is little. If a page
 * cannot be locked, its secrets are kept all the same: secret_is_locked says so. */
#ifndef LB_TRUST_SECRET_H
#define LB_TRUST_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SECRET_MAX = 128 /* bytes of one secret */ };

/* For the beginning of each program that may hold a key: new files are private (umask 077), no core
 * is dumped, and no other process of this user may trace this one or read its memory. */
void secret_begin(void);
/* The umask from before, for files that a person asked for and others may read. */
mode_t secret_umask(void);

/* SECRET_MAX bytes, all zero. Never NULL: without memory the program ends. */
void *secret_alloc(void);
/* Wipes and gives back. NULL is fine. */
void secret_free(void *secret);
/* Has every page been locked so far? If not, `ulimit -l` (LimitMEMLOCK=) is too low. */
bool secret_is_locked(void);
/* Says so, for a service that has loaded its key; nothing if every page is locked. */
void secret_warn_unlocked(void (*warn)(const char *fmt, ...));

#endif
