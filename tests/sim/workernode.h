/* workernode.h - a server: the real worker core in a shell, its spool, and the runner and keepers
 * that live on without it.
 *
 * The shell keeps the order that the core relies on (worker/inout.c): entries into the spool,
 * then the runner, then the broker; and before KEPT or KEPT_END all entries of the keepers'
 * files. A start replays the spool; at each death the state is compared with what a replay
 * gives. */
#ifndef LB_TESTS_SIM_WORKERNODE_H
#define LB_TESTS_SIM_WORKERNODE_H

#include "tests/sim/keepers.h"
#include "tests/sim/network.h"

struct workernode;

struct workernode_options {
    const char *name;
    unsigned slots, ahead, jobs; /* jobs: bits of the catalog */
};

struct workernode *workernode_new(struct world *w, struct network *n, struct laws *l,
                                  const struct catalog *c, const struct workernode_options *o);
void workernode_free(struct workernode **s);
void workernode_power_on(struct workernode *s); /* runner and worker */

/* ---- Faults; the server recovers from each of them by itself, later */
void workernode_crash(struct workernode *s, bool in_step, int64_t for_us);
void workernode_pause(struct workernode *s, int64_t for_us);
void workernode_runner_crash(struct workernode *s, int64_t for_us);
bool workernode_kill_keeper(struct workernode *s);
void workernode_reboot(struct workernode *s, bool new_spool, int64_t for_us);
/* a worker with another spool dials under its name for a while */
void workernode_rival(struct workernode *s, int64_t for_us);
void workernode_attest(struct workernode *s, unsigned jobs, bool need_holds);
void workernode_wall_step(struct workernode *s, int64_t ms);

struct cable *workernode_cable(struct workernode *s);
const char *workernode_name(const struct workernode *s);
unsigned workernode_jobs(const struct workernode *s);
/* Attempts that its core still has (0 while it is down); steps that run. */
unsigned workernode_live(const struct workernode *s);
unsigned workernode_children(const struct workernode *s);
bool workernode_is_up(const struct workernode *s);

#endif
