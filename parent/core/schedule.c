/* schedule.c - from "may start" to calls: RESOLVE, round robin among tasks, the bound on calls in
   flight, cancelling. */
#include "parent/core/inside.h"

#include <stdlib.h>
#include <string.h>

static void make_children(struct pcore *c, uint32_t task, uint32_t count)
{
    struct task *t = &c->tasks[task];
    t->known = true;
    t->count = count;
    t->children = mem_zalloc(count, sizeof *t->children);
    for (uint32_t i = 0; i < count; i++) {
        t->children[i].task = task;
        t->children[i].index = i;
    }
    if (count == 0)
        t->state = TASK_ENDED;
    constraint_touch(c, task);
}

static void make_ready(struct pcore *c, uint32_t task)
{
    heap_insert(&c->ready, &c->tasks[task].ready, -(int64_t)c->graph->tasks[task].priority,
                ++c->turn);
}

static void refuse_all(struct pcore *c, uint32_t task, enum delivery delivery, const char *text)
{
    struct task *t = &c->tasks[task];
    t->called = t->count;
    for (uint32_t i = 0; i < t->count; i++)
        child_refused(c, &t->children[i], delivery, text);
}

void task_start(struct pcore *c, uint32_t task)
{
    const struct graph_task *g = &c->graph->tasks[task];
    const char *cause;
    char *missing = bind_missing(c, task, &cause);
    if (cause) {
        task_skip(c, task, missing, cause);
        return;
    }
    c->tasks[task].state = TASK_ACTIVE;
    c->n_waiting--;
    if (missing) {
        c->totals.children += g->each;
        make_children(c, task, g->each ? 1 : g->count);
        refuse_all(c, task, DELIVERY_REFUSED, missing);
        mem_free(&missing);
        return;
    }
    if (!g->each)
        make_children(c, task, g->count);
    if (c->tasks[task].state == TASK_ACTIVE)
        make_ready(c, task);
}

void task_skip(struct pcore *c, uint32_t task, char *reason, const char *cause)
{
    struct task *t = &c->tasks[task];
    if (t->state == TASK_WAITING)
        c->n_waiting--;
    c->totals.children -= t->state == TASK_WAITING ? c->graph->tasks[task].count : t->count;
    c->totals.tasks_skipped++;
    t->state = TASK_SKIPPED;
    t->reason = reason;
    t->cause = pcore_name_keep(c, cause);
    constraint_touch(c, task);
    pcore_fx(c, PCORE_FX_SKIPPED, task, 0);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One child for each server, in the order of their names. */
static void make_each(struct pcore *c, uint32_t task, const struct pcore_event *ev)
{
    const char *address = c->graph->tasks[task].address;
    if (!ev->found || ev->n_servers == 0) {
        char *text = ev->text && *ev->text ? mem_strdup(ev->text)
                                           : mem_printf("no server is in '%s'", address);
        c->totals.children++;
        make_children(c, task, 1);
        refuse_all(c, task, ev->found ? DELIVERY_UNREACHABLE : DELIVERY_REFUSED, text);
        mem_free(&text);
        return;
    }
    const char **names = mem_dup(ev->servers, ev->n_servers * sizeof *names);
    qsort(names, ev->n_servers, sizeof *names, by_text);
    c->totals.children += ev->n_servers;
    make_children(c, task, ev->n_servers);
    for (uint32_t i = 0; i < ev->n_servers; i++)
        c->tasks[task].children[i].server = pcore_name_keep(c, names[i]);
    mem_free(&names);
}

void task_resolved(struct pcore *c, uint32_t task, const struct pcore_event *ev)
{
    struct task *t = &c->tasks[task];
    if (!t->resolving)
        return;
    t->resolving = false;
    t->resolved = true;
    c->resolving--;
    if (t->state != TASK_ACTIVE) /* cancelled meanwhile */
        return;
    if (ev->found)
        t->job_hash = ev->job_hash;
    if (c->graph->tasks[task].each)
        make_each(c, task, ev);
    if (t->state == TASK_ACTIVE && t->called < t->count)
        make_ready(c, task);
}

static void call_next(struct pcore *c, uint32_t task)
{
    const struct graph_task *g = &c->graph->tasks[task];
    struct task *t = &c->tasks[task];
    struct child_record *k = &t->children[t->called++];
    struct buf *arena = &c->out->arena;
    char id[ID_TEXT];
    size_t at = arena->n, parameters;
    uint32_t n;
    buf_printf(arena, "%s/%s/", id_format(c->parent, id), g->name);
    if (g->each)
        buf_add_str(arena, k->server);
    else
        buf_printf(arena, "%u", (unsigned)k->index);
    buf_add_str(arena, "/1");
    parameters = arena->n;
    if (bind_parameters(c, task, k->index, arena, &n) < 0) {
        child_refused(c, k, DELIVERY_REFUSED, "the parameters are too large for a call");
        return;
    }
    struct pcore_effect *e = pcore_fx(c, PCORE_FX_CALL, task, k->index);
    /* offsets for now, since the arena moves as it grows; core.c makes them pointers */
    e->key = (struct span){(const uint8_t *)(uintptr_t)at, parameters - at};
    e->parameters.items =
        (struct span){(const uint8_t *)(uintptr_t)parameters, arena->n - parameters};
    e->parameters.count = n;
    e->address = span_str(g->each ? k->server : g->address);
    e->job_hash = t->job_hash;
    child_call(c, k);
}

void schedule_pump(struct pcore *c)
{
    while (c->ready.n && c->in_flight + c->resolving < c->max_in_flight) {
        struct task *t = heap_entry(heap_pop(&c->ready), struct task, ready);
        uint32_t task = (uint32_t)(t - c->tasks);
        if (!t->resolved) {
            t->resolving = true;
            c->resolving++;
            pcore_fx(c, PCORE_FX_RESOLVE, task, 0);
            continue;
        }
        call_next(c, task);
        if (t->called < t->count)
            make_ready(c, task);
    }
}

void schedule_cancel(struct pcore *c, const char *reason)
{
    if (c->totals.cancelled || c->totals.over)
        return;
    c->totals.cancelled = true;
    c->cancel_reason = reason && *reason ? mem_printf("the parent was cancelled: %s", reason)
                                         : mem_strdup("the parent was cancelled");
    for (uint32_t i = 0; i < c->graph->n; i++) {
        struct task *t = &c->tasks[i];
        heap_remove(&c->ready, &t->ready);
        if (t->state == TASK_WAITING || (t->state == TASK_ACTIVE && t->called == 0)) {
            task_skip(c, i, mem_strdup(c->cancel_reason), c->cancel_reason);
        } else if (t->state == TASK_ACTIVE) {
            t->not_started = t->count - t->called;
            c->totals.not_started += t->not_started;
            t->count = t->called;
            if (t->ended == t->count)
                t->state = TASK_ENDED;
        }
    }
    for (struct child_record *k = c->first; k; k = k->next)
        child_cancel(c, k);
}
