/* compile.c - turns a plan without problems into a graph. */
#include "parent/plan/inside.h"

void plan_made_free(struct plan_made *m)
{
    graph_free(&m->graph);
    buf_free(&m->values);
    *m = (struct plan_made){0};
}

static void compile_binding(const struct plan_draft *p, const struct plan_parameter *a,
                            struct graph_binding *b)
{
    *b = (struct graph_binding){.name = mem_strdup(a->name), .from = FROM_VALUE};
    switch (a->from.kind) {
    case TEMPLATE_OUTPUT:
        b->from = FROM_OUTPUT;
        b->task = a->task;
        b->output = span_dup_str(a->from.output);
        break;
    case TEMPLATE_AS_OF:
        value_add_str(&b->value, span_str(p->as_of));
        break;
    case TEMPLATE_NAME:
        if (a->list != NOBODY) {
            b->from = FROM_ITEM;
            b->list = a->list;
        } else {
            b->value = buf_dup(buf_span(&p->variables[a->variable].value));
        }
        break;
    default:
        b->value = buf_dup(buf_span(&a->value));
        break;
    }
}

static void compile_task(const struct plan_draft *p, const struct plan_task *t,
                         struct graph_task *g)
{
    *g = (struct graph_task){.name = mem_strdup(t->name),
                             .job = mem_strdup(t->job),
                             .address = mem_strdup(t->address),
                             .each = t->each,
                             .join_or = t->join_or,
                             .may_fail = t->may_fail,
                             .count = t->each ? 0 : t->count,
                             .on_lost = t->on_lost,
                             .priority = (unsigned)t->priority,
                             .lost_after_ms = (uint64_t)t->lost_after_ms,
                             .start_within_ms = (uint64_t)t->start_within_ms,
                             .timeout_ms = (uint64_t)t->timeout_ms,
                             .n_after = t->n_after,
                             .n_bindings = t->n_parameters,
                             .n_lists = t->n_lists};
    g->after = mem_zalloc(t->n_after, sizeof *g->after);
    for (uint32_t i = 0; i < t->n_after; i++)
        g->after[i] = (struct graph_condition){t->after[i].task, t->after[i].is, t->after[i].layer};
    g->bindings = mem_zalloc(t->n_parameters, sizeof *g->bindings);
    for (uint32_t i = 0; i < t->n_parameters; i++)
        compile_binding(p, &t->parameters[i], &g->bindings[i]);
    g->lists = mem_zalloc(t->n_lists, sizeof *g->lists);
    for (uint32_t i = 0; i < t->n_lists; i++)
        g->lists[i] = (struct graph_list){
            .name = mem_strdup(t->lists[i].name),
            .values = buf_dup(buf_span(&t->lists[i].values)),
            .at = mem_dup(t->lists[i].at, (t->count + 1) * sizeof *t->lists[i].at)};
}

static int by_name(const void *a, const void *b)
{
    const struct plan_variable *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void compile_values(const struct plan_draft *p, struct plan_made *ret)
{
    const struct plan_variable **sorted = mem_zalloc(p->n_variables, sizeof *sorted);
    for (uint32_t i = 0; i < p->n_variables; i++)
        sorted[i] = &p->variables[i];
    if (p->n_variables)
        qsort(sorted, p->n_variables, sizeof *sorted, by_name);
    for (uint32_t i = 0; i < p->n_variables; i++) {
        value_add_str(&ret->values, span_str(sorted[i]->name));
        buf_add(&ret->values, sorted[i]->value.p, sorted[i]->value.n);
    }
    ret->n_values = p->n_variables;
    mem_free(&sorted);
}

void plan_compile(const struct plan_draft *p, struct plan_made *ret)
{
    *ret = (struct plan_made){0};
    ret->graph =
        (struct graph){.name = mem_strdup(p->name), .as_of = mem_strdup(p->as_of), .n = p->n};
    ret->graph.tasks = mem_zalloc(p->n, sizeof *ret->graph.tasks);
    for (uint32_t i = 0; i < p->n; i++) {
        compile_task(p, &p->tasks[i], &ret->graph.tasks[i]);
        ret->children += p->tasks[i].count;
    }
    compile_values(p, ret);
}

int plan_make(const char *name, struct span text, const struct plan_order *order,
              struct plan_made *ret, struct problems *problems)
{
    struct plan_draft p = {.problems = problems};
    struct error err;
    size_t before = problems->errors;
    if (!plan_fine(&p, yaml_read_bytes(name, text, &p.tree, &err), &err))
        return -EINVAL;
    plan_read(&p);
    if (p.timezone) { /* else not even the head could be read */
        plan_validate(&p);
        plan_take_values(&p, order);
    }
    bool good = problems->errors == before;
    if (good)
        plan_compile(&p, ret);
    plan_free(&p);
    return good ? 0 : -EINVAL;
}
