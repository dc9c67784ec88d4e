/* callernode.h - a caller's process: it calls under keys, follows and cancels, and in each new
 * session repeats everything that has no answer yet.
 *
 * It remembers its wishes through crashes, as a parent's driver does, but may forget what it has
 * heard. An operator is a caller that also drains, undrains and releases. */
#ifndef LB_TESTS_SIM_CALLERNODE_H
#define LB_TESTS_SIM_CALLERNODE_H

#include "tests/sim/catalog.h"
#include "tests/sim/laws.h"
#include "tests/sim/network.h"

struct callernode;

struct caller_mood {
    /* Per mille of calls that are cancelled, repeated, repeated with another body, of several steps
     * and to be run again or held when lost, followed with all states. */
    unsigned cancels, repeats, others, heavy, follows;
    const char *const *servers; /* names that may be called */
    unsigned n_servers;
};

struct callernode *callernode_new(struct world *w, struct network *n, struct laws *l,
                                  const struct catalog *c, const char *name,
                                  const struct caller_mood *mood);
void callernode_free(struct callernode **c);
void callernode_start(struct callernode *c);
/* One more call, now or when a session is open. quick: of a short job that all servers have. */
void callernode_call(struct callernode *c, bool quick);
/* An operator's request, repeated until it is answered. `how`: of a release. */
void callernode_operate(struct callernode *c, const char *verb, const char *target,
                        const char *how);

void callernode_crash(struct callernode *c, int64_t for_us);
void callernode_pause(struct callernode *c, int64_t for_us);

struct cable *callernode_cable(struct callernode *c);
/* Is it still waiting for something? A run need not end if `excused` says so, and a call for which
 * there is no room may go on being tried. *ret_why: a static
 * text. */
typedef bool callernode_excused(void *self, struct id run);
bool callernode_is_owed(const struct callernode *c, callernode_excused *excused, void *self,
                        const char **ret_why, struct id *ret_run);

#endif
