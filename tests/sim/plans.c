/* plans.c - see plans.h. */
#include "tests/sim/plans.h"

#include <string.h>

#include "common/mem.h"

#define AS_OF "2026-11-21T09:13:55.000Z"

#define EXPIRES_MS (30 * INT64_C(86400000)) /* longer than the steps of all walls together */

static void for_each(struct graph_task *t)
{
    struct graph_list *l = t->lists = mem_zalloc(t->n_lists = 1, sizeof *l);
    l->name = mem_strdup("table");
    l->at = mem_zalloc(t->count + 1, sizeof *l->at);
    for (uint32_t i = 0; i < t->count; i++) {
        value_add_int(&l->values, (int64_t)i * 7);
        l->at[i + 1] = (uint32_t)l->values.n;
    }
    t->bindings = mem_zalloc(t->n_bindings = 1, sizeof *t->bindings);
    t->bindings[0] = (struct graph_binding){.name = mem_strdup("table"), .from = FROM_ITEM};
}

/* No task waits for ever: one that may have no server has a time limit for its start, and
 * `on_lost: fail`, so that its end alone tells whether it was called. */
static void fill_job(struct world *w, const struct catalog *c, const struct plan_mood *mood,
                     struct graph_task *t, struct hash *pin)
{
    bool heavy = world_chance(w, mood->heavy);
    unsigned job = heavy ? (world_chance(w, 500) ? 3 : 5)
                         : (unsigned)rng_below(&w->rng, world_chance(w, 600) ? 3 : CATALOG_JOBS);
    bool everywhere = mood->jobs & 1u << job && world_chance(w, 700);
    t->job = mem_strdup(c->jobs[job].name);
    t->address =
        mem_strdup(everywhere             ? "all"
                   : world_chance(w, 500) ? sim_pools[rng_below(&w->rng, CATALOG_POOLS)]
                                          : mood->servers[rng_below(&w->rng, mood->n_servers)]);
    if (!world_chance(w, 200) || !everywhere)
        *pin = c->jobs[job].hash;
    if (everywhere) {
        t->on_lost = heavy ? (world_chance(w, 650) ? ON_LOST_RERUN : ON_LOST_HOLD)
                           : (enum on_lost)rng_below(&w->rng, ON_LOST_COUNT);
    } else {
        t->on_lost = ON_LOST_FAIL;
        t->start_within_ms = (uint64_t)world_between(w, 10000, 90000);
    }
    if (world_chance(w, 200))
        t->lost_after_ms = (uint64_t)world_between(w, 20000, 60000);
    if (world_chance(w, 100))
        t->timeout_ms = (uint64_t)world_between(w, 200, 20000);
}

static void add_after(struct world *w, struct graph_task *t, uint32_t on)
{
    unsigned is = (unsigned)rng_below(&w->rng, IS_COUNT);
    t->after = mem_realloc(t->after, t->n_after + 1, sizeof *t->after);
    t->after[t->n_after++] = (struct graph_condition){
        .task = on,
        .is = (uint8_t)is,
        .layer = (uint8_t)(is == IS_CALLED ? LAYER_DELIVERY : rng_below(&w->rng, LAYER_COUNT))};
}

static void make_graph(struct world *w, const struct catalog *c, const struct plan_mood *mood,
                       struct sim_plan *p)
{
    static const uint32_t counts[] = {1, 1, 1, 1, 2, PLAN_COUNT};
    struct graph *g = &p->graph;
    uint32_t order[PLAN_TASKS];
    g->name = mem_printf("plan%u", p->index);
    g->as_of = mem_strdup(AS_OF);
    g->n = (uint32_t)world_between(w, 2, PLAN_TASKS);
    g->tasks = mem_zalloc(g->n, sizeof *g->tasks);
    for (uint32_t i = 0; i < g->n; i++) {
        struct graph_task *t = &g->tasks[i];
        t->name = mem_printf("t%u", (unsigned)i);
        t->count = counts[rng_below(&w->rng, 6)];
        t->join_or = world_chance(w, 400);
        t->may_fail = world_chance(w, 250);
        t->priority = (unsigned)rng_below(&w->rng, 10);
        if (t->count > 1)
            for_each(t);
        fill_job(w, c, mood, t, &p->pins[i]);
        order[i] = i;
    }
    for (uint32_t i = g->n; i > 1; i--) {
        /* so that a task may stand before those it depends on */
        uint32_t k = (uint32_t)rng_below(&w->rng, i), was = order[i - 1];
        order[i - 1] = order[k];
        order[k] = was;
    }
    for (uint32_t i = 1; i < g->n; i++)
        for (uint64_t k = rng_below(&w->rng, 4); k > 0; k--)
            add_after(w, &g->tasks[order[i]], order[rng_below(&w->rng, i)]);
}

struct sim_plan *plan_new(struct world *w, const struct catalog *c, const struct plan_mood *mood,
                          unsigned index, const char *caller, int64_t issued_at)
{
    struct sim_plan *p = mem_zalloc(1, sizeof *p);
    p->index = index;
    p->issued_at = issued_at;
    snprintf(p->key, sizeof p->key, "%s/plan%u", caller, index);
    make_graph(w, c, mood, p);
    d_parent_encode(&(struct d_parent){.cluster = span_str(SIM_CLUSTER),
                                       .caller = span_str(caller),
                                       .key = span_str(p->key),
                                       .name = span_str(p->graph.name),
                                       .as_of = span_str(AS_OF),
                                       .tasks = p->graph.n,
                                       .issued_at = issued_at},
                    &p->body);
    d_signed_encode(&(struct d_signed){.signer = span_str(caller), .body = buf_span(&p->body)},
                    &p->signed_parent);
    return p;
}

void plan_free(struct sim_plan **p)
{
    if (!*p)
        return;
    graph_free(&(*p)->graph);
    buf_free(&(*p)->body);
    buf_free(&(*p)->signed_parent);
    mem_free(p);
}

void plan_call(const struct sim_plan *p, const char *caller, struct id parent, uint32_t task,
               uint32_t index, struct span key, struct span address, const struct hash *job,
               const struct wire_list *parameters, struct buf *body, struct buf *signed_call)
{
    const struct graph_task *t = &p->graph.tasks[task];
    struct d_call d = {.cluster = span_str(SIM_CLUSTER),
                       .caller = span_str(caller),
                       .key = key,
                       .job = span_str(t->job),
                       .job_hash = *job,
                       .pin_latest = hash_is_zero(job),
                       .address = address,
                       .parameters = *parameters,
                       .on_lost = t->on_lost,
                       .lost_after_ms = t->lost_after_ms,
                       .start_within_ms = t->start_within_ms,
                       .timeout_ms = t->timeout_ms,
                       .priority = t->priority,
                       .as_of = span_str(AS_OF),
                       .issued_at = p->issued_at,
                       .expires = p->issued_at + EXPIRES_MS,
                       .parent = parent,
                       .task = span_str(t->name),
                       .index = index,
                       .try_no = 1,
                       .plan = span_str(p->graph.name)};
    catalog_write_call(&d, body, signed_call);
}
