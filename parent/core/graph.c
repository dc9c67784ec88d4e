/* graph.c - see graph.h. */
#include "parent/core/graph.h"

#include "common/mem.h"

#define X(n, t) t,
const char *const condition_kind_names[] = {CONDITION_KINDS(X) NULL};
const char *const condition_layer_names[] = {CONDITION_LAYERS(X) NULL};
#undef X

const char *condition_kind_text(unsigned kind)
{
    return kind < IS_COUNT ? condition_kind_names[kind] : "?";
}

const char *condition_layer_text(unsigned layer)
{
    return layer < LAYER_COUNT ? condition_layer_names[layer] : "?";
}

static void task_free(struct graph_task *t)
{
    for (uint32_t i = 0; i < t->n_bindings; i++) {
        mem_free(&t->bindings[i].name);
        mem_free(&t->bindings[i].output);
        buf_free(&t->bindings[i].value);
    }
    for (uint32_t i = 0; i < t->n_lists; i++) {
        mem_free(&t->lists[i].name);
        mem_free(&t->lists[i].at);
        buf_free(&t->lists[i].values);
    }
    mem_free(&t->bindings);
    mem_free(&t->lists);
    mem_free(&t->after);
    mem_free(&t->name);
    mem_free(&t->job);
    mem_free(&t->address);
}

void graph_free(struct graph *g)
{
    for (uint32_t i = 0; i < g->n; i++)
        task_free(&g->tasks[i]);
    mem_free(&g->tasks);
    mem_free(&g->name);
    mem_free(&g->as_of);
    *g = (struct graph){0};
}

struct span graph_item(const struct graph_list *l, uint32_t index)
{
    return span_of(l->values.p + l->at[index], l->at[index + 1] - l->at[index]);
}

void graph_item_text(const struct graph_task *t, uint32_t index, struct buf *out)
{
    for (uint32_t i = 0; i < t->n_lists; i++) {
        struct span in = graph_item(&t->lists[i], index);
        struct value v;
        buf_add_str(out, i ? "," : "");
        if (value_read(&in, &v))
            value_to_text(&v, out);
    }
}

void graph_label(const struct graph_task *t, uint32_t index, struct buf *out)
{
    for (uint32_t i = 0; i < t->n_lists; i++) {
        struct span in = graph_item(&t->lists[i], index);
        struct value v;
        buf_printf(out, "%s%s=", i ? " " : "", t->lists[i].name);
        if (value_read(&in, &v))
            value_to_text(&v, out);
    }
}
