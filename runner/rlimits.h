/* rlimits.h - the resource limits of a child: those of its proxy that mean the same for a process
 * as for a step. Memory, processors and processes of a whole step are cgroup.h's. */
#ifndef LB_RUNNER_RLIMITS_H
#define LB_RUNNER_RLIMITS_H

#include <stdint.h>

#include "proto/messages.h"

/* 0: the system's own. */
struct rlimits {
    uint64_t files;     /* open descriptors of each process */
    uint64_t file_size; /* bytes */
    uint64_t processes; /* of the user, wherever they come from */
};

/* own_user: the child becomes a user of its own; grouped: a cgroup counts its processes. Only with
 * the first and without the second are processes counted here: the count is the user's. */
struct rlimits rlimits_of(const struct d_context *c, bool own_user, bool grouped);

/* In a child between clone and execve, which shares our memory: sets them, and no core files. A
 * lower limit of ours stays. 0, or -1 with errno. */
int rlimits_set(const struct rlimits *l);

#endif
