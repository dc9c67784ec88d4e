/* values.c - the values of a run: variables from --set and defaults, as_of, the sizes of
   for_each. */
#include "parent/plan/inside.h"

/* A problem with the command line, not the file; the place is where the variable is declared. */
static void set_problem(struct plan_draft *p, const struct plan_variable *v, const char *set,
                        struct error *err)
{
    error_prefix(err, "--set %.80s", set);
    if (v) {
        char *text = mem_printf("%s", err->text);
        struct error place = {.text = ""};
        yaml_error(v->node, &place, "here");
        char *end = strstr(place.text, ": here");
        if (end)
            *end = 0;
        error_set(err, -EINVAL, "%s (declared at %s)", text, place.text);
        mem_free(&text);
    }
    plan_fine(p, -EINVAL, err);
}

static void take_set(struct plan_draft *p, const char *set)
{
    struct error err;
    char hint[SUGGEST_TEXT];
    const char *equals = strchr(set, '=');
    if (!equals) {
        error_set(&err, -EINVAL, "expected name=value");
        set_problem(p, NULL, set, &err);
        return;
    }
    char *name = span_dup_str(span_of(set, (size_t)(equals - set)));
    uint32_t at = plan_find_variable(p, span_str(name));
    if (at == NOBODY) {
        const char **names = mem_zalloc((size_t)p->n_variables + 1, sizeof *names);
        for (uint32_t i = 0; i < p->n_variables; i++)
            names[i] = p->variables[i].name;
        error_set(&err, -EINVAL, "the plan has no variable '%.64s'%s", name,
                  suggest_hint(name, names, hint));
        set_problem(p, NULL, set, &err);
        mem_free(&names);
    } else if (p->variables[at].set) {
        error_set(&err, -EINVAL, "variable '%s' is set twice", name);
        set_problem(p, &p->variables[at], set, &err);
    } else if (!p->variables[at].broken) {
        struct plan_variable *v = &p->variables[at];
        v->set = equals + 1;
        buf_clear(&v->value);
        if (values_from_text(v->type, span_str(v->set), &v->value, &err) < 0)
            set_problem(p, v, set, &err);
    }
    mem_free(&name);
}

static void take_variables(struct plan_draft *p, const struct plan_order *order)
{
    for (size_t i = 0; i < order->n_sets; i++)
        take_set(p, order->sets[i]);
    for (uint32_t i = 0; i < p->n_variables; i++) {
        struct plan_variable *v = &p->variables[i];
        if (v->set || v->broken || v->value.n)
            continue;
        if (v->as_of)
            value_add_str(&v->value,
                          v->type == PARAMETER_DATE ? span_of(p->as_of, 10) : span_str(p->as_of));
        else
            plan_complain(p, v->node, "variable '%s' is required: give it with --set %s=VALUE",
                          v->name, v->name);
    }
}

/* Takes a list from a variable as if its items were written in the plan. */
static void spread(struct plan_draft *p, struct plan_list *l)
{
    struct plan_variable *v = &p->variables[l->variable];
    struct span in = buf_span(&v->value), items;
    struct value list, item;
    if (v->broken || !in.n)
        return;
    if (!value_read(&in, &list) || list.type != VALUE_LIST) {
        plan_complain(p, l->node, "for_each needs a list; variable '%s' holds something else",
                      v->name);
        return;
    }
    if (list.items.count > LIMIT_TASKS) {
        plan_complain(p, l->node, "variable '%s' holds %u items; the limit is %d", v->name,
                      list.items.count, LIMIT_TASKS);
        return;
    }
    l->n = list.items.count;
    l->at = mem_realloc(l->at, (size_t)l->n + 1, sizeof *l->at);
    l->at[0] = 0;
    items = list.items.items;
    for (uint32_t i = 0; i < l->n && value_read(&items, &item); i++) {
        buf_add(&l->values, item.raw.p, item.raw.n);
        l->at[i + 1] = (uint32_t)l->values.n;
    }
}

static void size_task(struct plan_draft *p, struct plan_task *t, uint64_t *total)
{
    uint64_t was = *total;
    for (uint32_t i = 0; i < t->n_lists; i++) {
        if (t->lists[i].variable != NOBODY)
            spread(p, &t->lists[i]);
        if (i > 0 && t->lists[i].n != t->lists[0].n)
            plan_complain(
                p, t->lists[i].node,
                "for_each takes the items of its lists together, but '%s' has %u and '%s' %u",
                t->lists[0].name, t->lists[0].n, t->lists[i].name, t->lists[i].n);
    }
    t->count = t->n_lists ? t->lists[0].n : 1;
    *total += t->count;
    if (was <= LIMIT_TASKS && *total > LIMIT_TASKS)
        plan_complain(p, t->key, "with task '%s' the plan comes to %llu calls; the limit is %d",
                      t->name, (unsigned long long)*total, LIMIT_TASKS);
}

void plan_take_values(struct plan_draft *p, const struct plan_order *order)
{
    uint64_t total = 0;
    size_t bytes = 0;
    p->as_of = zone_format(p->timezone, order->now);
    take_variables(p, order);
    for (uint32_t i = 0; i < p->n_variables; i++)
        bytes += p->variables[i].value.n + strlen(p->variables[i].name) + 3;
    if (p->n_variables > LIMIT_VALUES || bytes > LIMIT_PARAMETERS)
        plan_complain(p, yaml_get(yaml_root(p->tree), "variables"),
                      "%u variables of %zu bytes are too many; the limits are %d and %d",
                      p->n_variables, bytes, LIMIT_VALUES, LIMIT_PARAMETERS);
    for (uint32_t i = 0; i < p->n; i++)
        size_task(p, &p->tasks[i], &total);
}
