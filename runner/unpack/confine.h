/* confine.h - takes from this process what unpacking does not need. */
#ifndef LB_RUNNER_UNPACK_CONFINE_H
#define LB_RUNNER_UNPACK_CONFINE_H

#include "common/error.h"

/* For good: no new privileges, limits of memory, file size, time and descriptors, only standard
 * descriptors open; by Landlock, where the kernel has it, the files in the NULL-ended list can be
 * read and the folder written, nothing else opened; by seccomp no network, no other process, no
 * other program, no mounting, no ownership. What is missing of the files is no error here. */
int confine(const char *const files[], const char *folder, struct error *err);

#endif
