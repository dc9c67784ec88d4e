/* oracle.c - see oracle.h. */
#include "parent/core/oracle.h"

static bool oracle_good(const struct oracle_known *k, unsigned layer)
{
    if (layer == LAYER_DELIVERY)
        return k->started || k->fate.d == DELIVERY_CALLED;
    if (layer == LAYER_JOB)
        return k->fate.j == JOB_SUCCEEDED;
    return k->fate.p == PACKAGE_SUCCEEDED ||
           (k->fate.p == PACKAGE_NOT_EXECUTED && k->fate.j == JOB_SUCCEEDED);
}

/* How the instance did in the layer: 1 good, 0 bad, -1 not known yet. */
static int oracle_part(const struct oracle_known *k, unsigned layer)
{
    if (layer == LAYER_DELIVERY && k->started)
        return 1;
    return k->ended ? oracle_good(k, layer) : -1;
}

static enum truth oracle_condition(const struct oracle *o, const struct graph_condition *a)
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

enum truth oracle_may_start(const struct oracle *o, unsigned task)
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

void oracle_start(struct oracle *o)
{
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < o->graph->n; i++)
            if (!o->started[i] && !o->skipped[i] && oracle_may_start(o, i) == YES)
                o->started[i] = more = true;
    }
}

void oracle_settle(struct oracle *o)
{
    for (bool more = true; more;) {
        more = false;
        oracle_start(o);
        for (unsigned i = 0; i < o->graph->n; i++)
            if (!o->started[i] && !o->skipped[i] && oracle_may_start(o, i) == NO)
                o->skipped[i] = more = true;
    }
}

enum status oracle_verdict(const struct oracle *o)
{
    for (unsigned i = 0; i < o->graph->n; i++)
        for (unsigned k = 0; o->started[i] && k < o->graph->tasks[i].count; k++) {
            const struct oracle_fate *f = &o->k[i][k].fate;
            if (!o->graph->tasks[i].may_fail &&
                outcome_status(f->d, f->j, f->p) != STATUS_SUCCEEDED)
                return STATUS_FAILED;
        }
    return STATUS_SUCCEEDED;
}
