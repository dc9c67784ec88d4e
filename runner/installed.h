/* installed.h - a package on this server: var/packages/<hash hex>/{runnable,files/}, put there by
 * lbunpack.
 *
 * Its content was verified when it was installed, and the folder is named by the hash. Three
 * things are checked again at each step: that only root and the unpacker's user (in user mode: we)
 * could have written there since,
 * that it is the package it claims to be, and who signed it. */
#ifndef LB_RUNNER_INSTALLED_H
#define LB_RUNNER_INSTALLED_H

#include <sys/types.h>

#include "proto/messages.h"
#include "runner/runnerpaths.h"

struct installed {
    struct d_runnable runnable; /* points into bytes */
    struct buf bytes;
};
void installed_free(struct installed *i);

/* -ENOENT: it is not installed; -EPERM: other users can write there; -EBADMSG: it is malformed or
 * another package. */
int installed_load(const struct runner_paths *paths, const struct hash *package,
                   struct installed *ret, struct error *err);

/* The absolute path of the entry, yours to free. It must be a regular file inside files/ (the
 * kernel refuses links that lead out), and executable if `run`. */
int installed_entry(const struct runner_paths *paths, const struct installed *i, bool run,
                    char **ret_path, struct error *err);

/* 0: root or `owner` owns this file or folder, and no one else can write to it. -EPERM; -ENOENT. */
int installed_trust_path(const char *path, mode_t type, uid_t owner, struct error *err);

#endif
