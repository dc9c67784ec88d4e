/* fixture.c - see fixture.h. */
#include "parent/core/fixture.h"

struct graph graph_begin(const char *name)
{
    return (struct graph){.name = mem_strdup(name),
                          .as_of = mem_strdup("2026-11-21T09:13:55.000Z")};
}

uint32_t add_task(struct graph *g, const char *name, uint32_t count)
{
    if ((g->n & (g->n - 1)) == 0) /* doubles: some tests add a hundred thousand */
        g->tasks = mem_realloc(g->tasks, g->n ? 2 * (size_t)g->n : 1, sizeof *g->tasks);
    struct graph_task *t = &g->tasks[g->n];
    *t = (struct graph_task){
        .name = mem_strdup(name), .count = count, .address = mem_strdup("etl"), .priority = 4};
    t->job = mem_printf("job-of-%s", name);
    if (count != 1) {
        struct graph_list *l = t->lists = mem_zalloc(t->n_lists = 1, sizeof *l);
        l->name = mem_strdup("table");
        l->at = mem_zalloc(count + 1, sizeof *l->at);
        for (uint32_t i = 0; i < count; i++) {
            char item[32];
            snprintf(item, sizeof item, "t%u", (unsigned)i);
            value_add_str(&l->values, span_str(item));
            l->at[i + 1] = (uint32_t)l->values.n;
        }
    }
    return g->n++;
}

uint32_t add_each(struct graph *g, const char *name)
{
    uint32_t t = add_task(g, name, 1);
    g->tasks[t].count = 0;
    g->tasks[t].each = true;
    return t;
}

void add_after(struct graph *g, uint32_t task, uint32_t on, unsigned is, unsigned layer)
{
    struct graph_task *t = &g->tasks[task];
    t->after = mem_realloc(t->after, t->n_after + 1, sizeof *t->after);
    t->after[t->n_after++] =
        (struct graph_condition){.task = on, .is = (uint8_t)is, .layer = (uint8_t)layer};
}

struct graph_binding *add_binding(struct graph *g, uint32_t task, const char *name,
                                  enum graph_source from)
{
    struct graph_task *t = &g->tasks[task];
    t->bindings = mem_realloc(t->bindings, t->n_bindings + 1, sizeof *t->bindings);
    t->bindings[t->n_bindings] = (struct graph_binding){.name = mem_strdup(name), .from = from};
    return &t->bindings[t->n_bindings++];
}

static void world_effect(struct parent_world *w, struct pcore_effect e)
{
    const char *name = w->graph.n ? w->graph.tasks[e.task].name : "";
    static const char *const words[] = {[PCORE_FX_CALL] = "call", [PCORE_FX_CANCEL] = "cancel"};
    switch (e.kind) {
    case PCORE_FX_RESOLVE:
        if (!w->silent)
            world_step(w, (struct pcore_event){.kind = PCORE_RESOLVED,
                                               .task = e.task,
                                               .found = true,
                                               .job_hash = {{7}},
                                               .servers = w->servers,
                                               .n_servers = w->n_servers});
        else
            buf_printf(&w->log, "resolve %s; ", name);
        break;
    case PCORE_FX_CALL:
    case PCORE_FX_CANCEL:
        buf_printf(&w->log, "%s %s/%u; ", words[e.kind], name, (unsigned)e.index);
        break;
    case PCORE_FX_CHILD:
        break;
    case PCORE_FX_SKIPPED:
        buf_printf(&w->log, "skip %s; ", name);
        break;
    case PCORE_FX_END:
        buf_printf(&w->log, "end %s; ", status_text(e.verdict));
        break;
    }
}

void world_begin(struct parent_world *w, struct graph g, unsigned in_flight)
{
    *w = (struct parent_world){
        .graph = g, .now = 1763716435000, .servers = {"etl1", "etl2", "etl3"}, .n_servers = 2};
    struct pcore_config config = {.graph = &w->graph, .in_flight = in_flight};
    memset(config.parent.b, 0x11, sizeof config.parent.b);
    w->core = pcore_new(&config);
    buf_clear(&w->log);
    world_step(w, (struct pcore_event){.kind = PCORE_BEGIN});
}

void world_end(struct parent_world *w)
{
    pcore_free(&w->core);
    pcore_out_free(&w->out);
    graph_free(&w->graph);
    buf_free(&w->log);
}

struct id run_of(uint32_t task, uint32_t index)
{
    struct id id = {{0x22}};
    memcpy(id.b + 8, &task, 4);
    memcpy(id.b + 12, &index, 4);
    return id;
}

void run_is(struct parent_world *w, uint32_t task, uint32_t index, enum run_state state,
            const char *server, unsigned percent, const char *text)
{
    buf_clear(&w->log);
    world_step(w,
               (struct pcore_event){.kind = PCORE_RUN,
                                    .task = task,
                                    .index = index,
                                    .run = run_of(task, index),
                                    .attempt = state == RUN_WAITING || state == RUN_PARKED ? 0 : 1,
                                    .state = state,
                                    .server = server,
                                    .percent = percent,
                                    .text = text});
}

void child_is(struct parent_world *w, uint32_t task, uint32_t index, enum delivery d,
              enum job_outcome j, enum package_outcome p, const char *message,
              const struct wire_list *outputs)
{
    struct d_outcome o = {.delivery = d,
                          .job = j,
                          .package = p,
                          .status = outcome_status(d, j, p),
                          .message = span_str(message)};
    if (outputs)
        o.outputs = *outputs;
    buf_clear(&w->log);
    world_step(w, (struct pcore_event){.kind = PCORE_ENDED,
                                       .task = task,
                                       .index = index,
                                       .run = run_of(task, index),
                                       .attempt = d == DELIVERY_CALLED,
                                       .server = d == DELIVERY_CALLED ? "etl1" : NULL,
                                       .outcome = &o});
}

void child_succeeds(struct parent_world *w, uint32_t task, uint32_t index)
{
    child_is(w, task, index, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED, NULL, NULL);
}

void child_fails(struct parent_world *w, uint32_t task, uint32_t index)
{
    child_is(w, task, index, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED, "exit 4: no such table",
             NULL);
}

void world_cancelled(struct parent_world *w, const char *reason)
{
    buf_clear(&w->log);
    world_step(w, (struct pcore_event){.kind = PCORE_CANCEL, .text = reason});
}

const char *world_reason(const struct parent_world *w, uint32_t task)
{
    struct pcore_task t;
    pcore_task(w->core, task, &t);
    return t.reason;
}

void world_step(struct parent_world *w, struct pcore_event ev)
{
    ev.now = w->now;
    pcore_step(w->core, &ev, &w->out);
    uint32_t n = w->out.n_effects;
    /* an answer is a step of its own */
    struct pcore_effect *copy = mem_dup(w->out.effects, n * sizeof *copy);
    for (uint32_t i = 0; i < n; i++)
        world_effect(w, copy[i]);
    mem_free(&copy);
}
