/* plans.h - small random plans, and the parent runs that are to be made of them.
 *
 * A plan is what lies at the broker when a parent begins: all its drivers have the same one. It
 * fixes what a driver must not decide anew when it takes over: which version of a job is called,
 * and the moment that is written into the calls (so that the same child's call is the same to the
 * byte). */
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
    const void *driver; /* the process that was told last that it drives */
};

/* What plans call: jobs that some server has for ever (bits; job 0 is among them), names of
   servers. */
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
