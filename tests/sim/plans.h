/* plans.h - small random plans, from which parents are made.
 *
 * The broker stores the plan when a parent begins, so all its drivers have the same one. It
 * fixes what a driver must not decide again when it takes over: the version of each job, and the
 * time written into the calls, so that a child's call is always the same to the byte. */
#ifndef LB_TESTS_SIM_PLANS_H
#define LB_TESTS_SIM_PLANS_H

#include "parent/core/graph.h"
#include "tests/sim/catalog.h"

enum { PLAN_TASKS = 8, PLAN_COUNT = 3 /* instances of a for_each */ };

struct sim_plan {
    unsigned index;
    char key[48];
    struct graph graph;
    struct hash pins[PLAN_TASKS]; /* zero: whatever the server has */
    int64_t issued_at;            /* wall, of its first driver */
    struct buf body, signed_parent;
    const void *driver; /* the process that was last told that it drives */
};

/* What plans may call: jobs that some server always has (bits; job 0 is one of them), and names
 * of servers. */
struct plan_mood {
    unsigned jobs;
    const char *const *servers;
    unsigned n_servers;
    unsigned heavy; /* per mille of tasks of several steps, to be run again or held when lost */
};

struct sim_plan *plan_new(struct world *w, const struct catalog *c, const struct plan_mood *mood,
                          unsigned index, const char *caller, int64_t issued_at);
void plan_free(struct sim_plan **p);

/* The body and the signed call of a child. */
void plan_call(const struct sim_plan *p, const char *caller, struct id parent, uint32_t task,
               uint32_t index, struct span key, struct span address, const struct hash *job,
               const struct wire_list *parameters, struct buf *body, struct buf *signed_call);

#endif
