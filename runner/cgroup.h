/* cgroup.h - limits of memory, processors and processes for a step and all that it starts, by
 * cgroup v2, where a part of its tree has been handed to us (delegated).
 *
 * Below the delegated cgroup lie `longboat`, in which our own processes were started, and for each
 * slot `slot-N-HOME`, with its child. A slot's is kept from step to step: a step costs no folder.
 * Nothing is moved into `longboat` here: whoever starts us in a cgroup of that name says with it
 * that the one above is ours.
 *
 * In user mode the child is the user who owns these files, so there they are limits for honest
 * jobs, and no wall. */
#ifndef LB_RUNNER_CGROUP_H
#define LB_RUNNER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define CGROUP_OWN "longboat"

/* Where the kernel says it; tests have other files. */
struct cgroup_place {
    const char *mounts; /* /proc/self/mountinfo */
    const char *self;   /* /proc/self/cgroup */
    bool root;          /* that we may write is no sign of delegation */
};
struct cgroup_place cgroup_here(void);

/* Finds the delegated cgroup and hands its controllers on to the slots. *ret_path is yours.
 * -ENOTSUP: there is none; *err says why, and what to do. */
int cgroup_claim(const struct cgroup_place *at, char **ret_path, struct error *err);

/* ---- A slot's */

struct cgroup;
/* Below the claimed `path`. home: what tells this server from others there. Ends what a killed
 * keeper has left in it. Yours: cgroup_close. */
int cgroup_open(const char *path, const char *home, unsigned slot, struct cgroup **ret,
                struct error *err);
void cgroup_close(struct cgroup **c);

struct cgroup_limits {
    uint64_t memory;    /* bytes; 0 here and below: no limit */
    uint64_t cpu;       /* thousandths of a processor */
    uint64_t processes; /* and threads */
};
/* Before a step. Writes nothing where the last step had the same limits. */
int cgroup_begin(struct cgroup *c, const struct cgroup_limits *l, struct error *err);
/* In the child, before it becomes another user: goes into it. 0, or -1 with errno. */
int cgroup_enter(const struct cgroup *c);
/* Kills all that is in it, also what forks faster than it is found. */
void cgroup_kill(const struct cgroup *c);

/* Since cgroup_begin, of all that was in it. */
struct cgroup_use {
    uint64_t out_of_memory; /* processes that the kernel has killed for their memory */
    uint64_t refused;       /* processes that it did not let start */
    uint64_t user_us, system_us;
};
void cgroup_end(struct cgroup *c, struct cgroup_use *ret);

#endif
