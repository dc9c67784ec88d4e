/* installed.h - a package as it lies on this server: var/packages/<hash hex>/{runnable,files/}, put
 * there by lbunpack.
 *
 * Its content was verified when it was installed, and its folder has the hash as its name. What is
 * judged again at each step is that nobody but root or we could have written there since, that it
 * is the package it says it is, and who signed it. */
#ifndef LB_RUNNER_INSTALLED_H
#define LB_RUNNER_INSTALLED_H

#include <sys/types.h>

#include "proto/messages.h"

struct installed {
    struct d_runnable runnable; /* points into bytes */
    struct buf bytes;
};
void installed_free(struct installed *i);

/* -ENOENT: it is not installed; -EPERM: somebody else can write there; -EBADMSG: it is another
 * package, or malformed. */
int installed_load(const char *packages, const struct hash *package, struct installed *ret,
                   struct error *err);

/* The entry must be a regular file inside files/ (links that lead out are refused by the kernel),
 * executable if `run`. *ret_path, yours to free, is its absolute path. */
int installed_entry(const char *packages, const struct installed *i, bool run, char **ret_path,
                    struct error *err);

/* May this file or folder be believed? Owned by root or us, and nobody else can write it. -EPERM;
   -ENOENT */
int installed_trust_path(const char *path, mode_t type, struct error *err);

#endif
