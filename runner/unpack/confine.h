/* confine.h - drops every right that unpacking or parsing does not need. */
#ifndef LB_RUNNER_UNPACK_CONFINE_H
#define LB_RUNNER_UNPACK_CONFINE_H

#include "common/error.h"

/* Irrevocably: no new privileges; limits of memory, file size, time and descriptors; only standard
 * descriptors stay open. Landlock, where the kernel has it: the files of the NULL-ended list can be
 * read, the folder (NULL: none) written, and nothing else opened. seccomp: no network, no other
 * process or program, no mounts, no changes of owner. A file of the list that is missing is no
 * error here. */
int confine(const char *const files[], const char *folder, struct error *err);

#endif
