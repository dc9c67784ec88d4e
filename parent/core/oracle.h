/* oracle.h - for tests: what the definitions in graph.h say of a plan, computed naively from what
 * is known of its children. It knows nothing of the core and is held against it: by oracle_test.c
 * over random graphs, by the simulator over what a whole cluster has recorded. `each` is not in
 * it. */
#ifndef LB_PARENT_CORE_ORACLE_H
#define LB_PARENT_CORE_ORACLE_H

#include <string.h>

#include "parent/core/graph.h"

enum { ORACLE_TASKS = 12, ORACLE_COUNT = 4 };

struct fate {
    enum delivery d;
    enum job_outcome j;
    enum package_outcome p;
};

struct known {        /* of an instance */
    struct fate fate; /* counts when it has ended */
    bool asked, started, ended;
};

struct oracle {
    const struct graph *graph; /* of at most ORACLE_TASKS tasks of ORACLE_COUNT instances */
    struct known k[ORACLE_TASKS][ORACLE_COUNT];
    bool started[ORACLE_TASKS], skipped[ORACLE_TASKS];
};

enum truth { NO, YES, OPEN };

static inline bool oracle_good(const struct known *k, unsigned layer)
{
    if (layer == LAYER_DELIVERY)
        return k->started || k->fate.d == DELIVERY_CALLED;
    if (layer == LAYER_JOB)
        return k->fate.j == JOB_SUCCEEDED;
    return k->fate.p == PACKAGE_SUCCEEDED ||
           (k->fate.p == PACKAGE_NOT_EXECUTED && k->fate.j == JOB_SUCCEEDED);
}

/* Is the instance's part of the layer known, and is it good? 1 good, 0 bad, -1 open. */
static inline int oracle_part(const struct known *k, unsigned layer)
{
    if (layer == LAYER_DELIVERY && k->started)
        return 1;
    return k->ended ? oracle_good(k, layer) : -1;
}

static inline enum truth oracle_condition(const struct oracle *o, const struct graph_condition *a)
{
    unsigned is = a->is, layer = a->layer, n = o->graph->tasks[a->task].count, yes = 0, no = 0,
             open = 0;
    if (o->skipped[a->task])
        return NO;
    if (is == IS_CALLED) {
        is = IS_SUCCESS;
        layer = LAYER_DELIVERY;
    }
    for (unsigned i = 0; i < n; i++) {
        int p = oracle_part(&o->k[a->task][i], layer);
        p == 1 ? yes++ : p == 0 ? no++ : open++;
    }
    if (!o->started[a->task])
        return OPEN;
    switch (is) {
    case IS_SUCCESS:
        return no ? NO : open ? OPEN : YES;
    case IS_FAILURE:
        return no ? YES : open ? OPEN : NO;
    default:
        return open ? OPEN : YES;
    }
}

static inline enum truth oracle_may_start(const struct oracle *o, unsigned task)
{
    const struct graph_task *g = &o->graph->tasks[task];
    unsigned count[3] = {0};
    for (unsigned i = 0; i < g->n_after; i++)
        count[oracle_condition(o, &g->after[i])]++;
    if (g->n_after == 0)
        return YES;
    if (g->join_or)
        return count[YES] ? YES : count[OPEN] ? OPEN : NO;
    return count[NO] ? NO : count[OPEN] ? OPEN : YES;
}

/* What follows from what is known: which tasks have started. */
static inline void oracle_start(struct oracle *o)
{
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < o->graph->n; i++)
            if (!o->started[i] && !o->skipped[i] && oracle_may_start(o, i) == YES)
                o->started[i] = more = true;
    }
}

/* The same, and which never will. For who does not see the core skip. */
static inline void oracle_settle(struct oracle *o)
{
    for (bool more = true; more;) {
        more = false;
        oracle_start(o);
        for (unsigned i = 0; i < o->graph->n; i++)
            if (!o->started[i] && !o->skipped[i] && oracle_may_start(o, i) == NO)
                o->skipped[i] = more = true;
    }
}

/* Of a parent that nobody has cancelled. */
static inline enum status oracle_verdict(const struct oracle *o)
{
    for (unsigned i = 0; i < o->graph->n; i++)
        for (unsigned k = 0; o->started[i] && k < o->graph->tasks[i].count; k++) {
            const struct fate *f = &o->k[i][k].fate;
            if (!o->graph->tasks[i].may_fail &&
                outcome_status(f->d, f->j, f->p) != STATUS_SUCCEEDED)
                return STATUS_FAILED;
        }
    return STATUS_SUCCEEDED;
}

#endif
