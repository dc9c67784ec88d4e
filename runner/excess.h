/* excess.h - which of its limits a step ran into, and how people are told. Pure. */
#ifndef LB_RUNNER_EXCESS_H
#define LB_RUNNER_EXCESS_H

#include <stdbool.h>

#include "proto/messages.h"
#include "runner/cgroup.h"

enum { EXCESS_TEXT = 200 };

struct excess {
    /* The kernel has killed a process of it because memory ran out: so the counts of its cgroup
     * say. A SIGKILL alone is no sign of that. */
    bool out_of_memory;
    char text[EXCESS_TEXT]; /* "used more than its 64 MiB of memory (memory.max)"; "": none */
};

/* limits: what the step was given. use: what its cgroup has counted; NULL: it had none. status: of
 * wait4. Says what was exceeded also of a step that succeeded all the same. */
struct excess excess_of(const struct d_context *limits, const struct cgroup_use *use, int status);

#endif
