/* drivernode.h - the process of a parents' driver: the real core of parents (parent/core) in a
 * shell that follows parent/begin.c, offers.c and drive.c: it begins the parent durably under its
 * key, takes its lease, resolves, calls and follows children as the core says, and ends the parent
 * with the epoch of the lease.
 *
 * A crash leaves it only the list of plans that it drives; it finds its children by their keys.
 * Two processes of one principal may have the same plan: one drives, the other waits for the
 * lease. */
#ifndef LB_TESTS_SIM_DRIVERNODE_H
#define LB_TESTS_SIM_DRIVERNODE_H

#include "tests/sim/laws.h"
#include "tests/sim/network.h"
#include "tests/sim/plans.h"

struct drivernode;
/* `process`: for the trace; both processes of a principal have its name in their sessions. */
struct drivernode *drivernode_new(struct world *w, struct network *n, struct laws *l,
                                  const char *principal, const char *process);
void drivernode_free(struct drivernode **d);
void drivernode_start(struct drivernode *d);
void drivernode_take(struct drivernode *d, struct sim_plan *p); /* one more plan to drive */
/* Ctrl-C: one of its active parents is cancelled. */
void drivernode_cancel(struct drivernode *d);
/* A plan that it drives now; NULL: none. */
struct sim_plan *drivernode_plan(struct drivernode *d);
int64_t drivernode_wall(const struct drivernode *d);

void drivernode_crash(struct drivernode *d, int64_t for_us);
void drivernode_pause(struct drivernode *d, int64_t for_us);
struct cable *drivernode_cable(struct drivernode *d);
/* Is it still waiting to hear that one of its parents has ended? */
bool drivernode_is_owed(const struct drivernode *d, struct id *ret_parent);

#endif
