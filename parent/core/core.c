/* core.c - events in, effects out; see core.h. */
#include "parent/core/inside.h"

struct pcore *pcore_new(const struct pcore_config *config)
{
    struct pcore *c = mem_zalloc(1, sizeof *c);
    c->parent = config->parent;
    c->graph = config->graph;
    c->max_in_flight = config->in_flight ? config->in_flight : PCORE_IN_FLIGHT;
    c->tasks = mem_zalloc(c->graph->n, sizeof *c->tasks);
    c->dirty = mem_zalloc(c->graph->n, sizeof *c->dirty);
    c->starts = mem_zalloc(c->graph->n, sizeof *c->starts);
    c->n_waiting = c->graph->n;
    c->totals.tasks = c->graph->n;
    c->totals.verdict = STATUS_SUCCEEDED;
    for (uint32_t i = 0; i < c->graph->n; i++)
        c->totals.children += c->graph->tasks[i].count;
    constraint_watch(c);
    return c;
}

void pcore_free(struct pcore **c)
{
    if (!*c)
        return;
    struct name *name, *next;
    for (uint32_t i = 0; i < (*c)->graph->n; i++) {
        struct task *t = &(*c)->tasks[i];
        for (uint32_t k = 0; t->children && k < t->count + t->not_started; k++)
            child_free(&t->children[k]);
        mem_free(&t->children);
        mem_free(&t->reason);
    }
    HASH_ITER (hh, (*c)->names, name, next) {
        HASH_DEL((*c)->names, name);
        mem_free(&name);
    }
    heap_free(&(*c)->ready);
    mem_free(&(*c)->tasks);
    mem_free(&(*c)->dirty);
    mem_free(&(*c)->starts);
    mem_free(&(*c)->watchers);
    mem_free(&(*c)->cancel_reason);
    mem_free(c);
}

void pcore_out_free(struct pcore_out *out)
{
    mem_free(&out->effects);
    buf_free(&out->arena);
    *out = (struct pcore_out){0};
}

struct pcore_effect *pcore_fx(struct pcore *c, enum pcore_effect_kind kind, uint32_t task,
                              uint32_t index)
{
    struct pcore_out *out = c->out;
    if (out->n_effects == out->cap_effects) {
        out->cap_effects = out->cap_effects ? out->cap_effects * 2 : 64;
        out->effects = mem_realloc(out->effects, out->cap_effects, sizeof *out->effects);
    }
    struct pcore_effect *e = &out->effects[out->n_effects++];
    *e = (struct pcore_effect){.kind = kind, .task = task, .index = index};
    return e;
}

const char *pcore_name_keep(struct pcore *c, const char *name)
{
    struct name *found;
    HASH_FIND_STR(c->names, name, found);
    if (!found) {
        size_t n = strlen(name);
        found = mem_alloc(sizeof *found + n + 1);
        memcpy(found->s, name, n + 1);
        HASH_ADD_STR(c->names, s, found);
    }
    return found->s;
}

static struct child_record *child_of(const struct pcore *c, const struct pcore_event *ev)
{
    if (ev->task >= c->graph->n)
        return NULL;
    const struct task *t = &c->tasks[ev->task];
    return t->children && ev->index < t->count ? &t->children[ev->index] : NULL;
}

static void take(struct pcore *c, const struct pcore_event *ev)
{
    struct child_record *k = child_of(c, ev);
    switch (ev->kind) {
    case PCORE_BEGIN:
        if (c->begun)
            break;
        c->begun = true;
        c->totals.begun_at = ev->now;
        for (uint32_t i = 0; i < c->graph->n; i++)
            constraint_judge(c, i);
        break;
    case PCORE_RESOLVED:
        if (ev->task < c->graph->n)
            task_resolved(c, ev->task, ev);
        break;
    case PCORE_RUN:
        if (k)
            child_run(c, k, ev);
        break;
    case PCORE_ENDED:
        if (k)
            child_ended(c, k, ev);
        break;
    case PCORE_REFUSED:
        if (k && (k->state == CHILD_ASKED || k->state == CHILD_LIVE))
            child_refused(c, k, DELIVERY_REFUSED, ev->text);
        break;
    case PCORE_CANCEL:
        schedule_cancel(c, ev->text);
        break;
    }
}

static void check_over(struct pcore *c)
{
    if (!c->begun || c->totals.over || c->in_flight || (c->resolving && !c->totals.cancelled) ||
        c->ready.n)
        return;
    /* a graph with a circle, which no plan has */
    for (uint32_t i = 0; c->n_waiting && i < c->graph->n; i++)
        if (c->tasks[i].state == TASK_WAITING)
            task_skip(c, i, mem_strdup("waits for itself"), "tasks wait for each other");
    c->totals.over = true;
    c->totals.ended_at = c->now;
    if (c->totals.cancelled)
        c->totals.verdict = STATUS_CANCELLED;
    pcore_fx(c, PCORE_FX_END, 0, 0)->verdict = c->totals.verdict;
}

void pcore_step(struct pcore *c, const struct pcore_event *ev, struct pcore_out *out)
{
    out->n_effects = 0;
    buf_clear(&out->arena);
    c->out = out;
    c->now = ev->now;
    if (c->totals.over)
        return;
    take(c, ev);
    do {
        constraint_settle(c);
        if (c->begun && !c->totals.cancelled)
            schedule_pump(c);
    } while (c->n_dirty);
    check_over(c);
    for (uint32_t i = 0; i < out->n_effects; i++) {
        struct pcore_effect *e = &out->effects[i];
        if (e->kind == PCORE_FX_CALL) {
            e->key.p = out->arena.p + (uintptr_t)e->key.p;
            e->parameters.items.p = out->arena.p + (uintptr_t)e->parameters.items.p;
        }
    }
}
