/* bind.c - parameters of a call: fixed values, items of for_each, outputs of earlier tasks. */
#include "parent/core/inside.h"

#include <errno.h>

/* Finds the encoded value of an output. False: there is none. */
static bool find_output(const struct task *t, const char *name, struct value *ret)
{
    if (t->state != TASK_ENDED || t->count != 1)
        return false;
    const struct child_record *k = &t->children[0];
    struct wire_list map = {span_of(k->outputs, k->outputs_size), k->n_outputs};
    return wire_map_get(&map, name, ret);
}

char *bind_missing(const struct pcore *c, uint32_t task, const char **ret_cause)
{
    const struct graph_task *g = &c->graph->tasks[task];
    *ret_cause = NULL;
    for (uint32_t i = 0; i < g->n_bindings; i++) {
        const struct graph_binding *b = &g->bindings[i];
        struct value v;
        if (b->from != FROM_OUTPUT || find_output(&c->tasks[b->task], b->output, &v))
            continue;
        const struct task *t = &c->tasks[b->task];
        const char *from = c->graph->tasks[b->task].name;
        if (t->state == TASK_SKIPPED) {
            *ret_cause = t->cause;
            return mem_printf("needs output '%s' of '%s', which was skipped because %s", b->output,
                              from, t->cause);
        }
        return mem_printf("parameter '%s' takes output '%s' of '%s', which %s", b->name, b->output,
                          from, t->state == TASK_ENDED ? "did not produce it" : "has not ended");
    }
    return NULL;
}

int bind_parameters(const struct pcore *c, uint32_t task, uint32_t index, struct buf *arena,
                    uint32_t *ret_count)
{
    const struct graph_task *g = &c->graph->tasks[task];
    size_t was = arena->n;
    for (uint32_t i = 0; i < g->n_bindings; i++) {
        const struct graph_binding *b = &g->bindings[i];
        struct value v;
        struct span bytes = buf_span(&b->value);
        if (b->from == FROM_ITEM)
            bytes = graph_item(&g->lists[b->list], index);
        else if (b->from == FROM_OUTPUT && find_output(&c->tasks[b->task], b->output, &v))
            bytes = v.raw;
        value_add_str(arena, span_str(b->name));
        buf_add(arena, bytes.p, bytes.n);
    }
    *ret_count = g->n_bindings;
    if (arena->n - was <= LIMIT_PARAMETERS)
        return 0;
    arena->n = was;
    return -EMSGSIZE;
}
