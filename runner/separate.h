/* separate.h - separated mode's folders: each is made if it is missing, and given to whom it
 * belongs (runnerpaths.h has the table). */
#ifndef LB_RUNNER_SEPARATE_H
#define LB_RUNNER_SEPARATE_H

#include "common/paths.h"
#include "runner/runnerpaths.h"

/* The users of `h` are known, its paths resolved. Only what lies in a folder that is root's by then
 * changes its owner, through an open descriptor, and no link is followed. -EPERM: others can write
 * where all of it lies. */
int separate_folders(const struct runner_paths *h, const struct paths *resolved, struct error *err);

/* 0: root owns this file or folder and nobody else can write to it, so a captured worker did not
 * make it. -EPERM; -ENOENT. In user mode always 0. */
int separate_is_roots(const struct runner_paths *h, const char *path, struct error *err);

#endif
