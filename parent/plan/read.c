/* read.c - the head of a plan: name, zone, variables; and the list of its tasks. */
#include "parent/plan/inside.h"

#include <stdio.h>

#include "common/name.h"

static const char *const plan_keys[] = {"parent", "timezone", "variables", "tasks", NULL};
static const char *const variable_keys[] = {"type", "default", "required", NULL};

void plan_complain(struct plan_draft *p, const struct yaml_node *node, const char *fmt, ...)
{
    struct error err;
    va_list ap;
    va_start(ap, fmt);
    error_vset(&err, -EINVAL, fmt, ap);
    va_end(ap);
    yaml_place(node, &err);
    plan_fine(p, -EINVAL, &err);
}

bool plan_fine(struct plan_draft *p, int rc, const struct error *err)
{
    if (rc >= 0)
        return true;
    if (p->problems->errors < PLAN_PROBLEMS_MAX)
        problems_add_error(p->problems, err);
    else if (p->problems->errors == PLAN_PROBLEMS_MAX)
        problems_add(p->problems, false, "more than %d problems; the rest are not shown",
                     PLAN_PROBLEMS_MAX);
    return false;
}

bool plan_check_keys(struct plan_draft *p, const struct yaml_node *map, const char *const allowed[])
{
    struct error err;
    if (!plan_fine(p, yaml_expect_map(map, &err), &err))
        return false;
    for (size_t i = 0; i < yaml_count(map); i++) {
        const char *key = (const char *)yaml_text(yaml_key(map, i)).p;
        char hint[SUGGEST_TEXT];
        size_t k = 0;
        while (allowed[k] && strcmp(allowed[k], key) != 0)
            k++;
        if (!allowed[k])
            plan_complain(p, yaml_key(map, i), "unknown key '%.80s'%s", key,
                          suggest_hint(key, allowed, hint));
    }
    return true;
}

uint32_t plan_find_task(const struct plan_draft *p, struct span name)
{
    struct plan_task *t;
    HASH_FIND(hh, p->by_name, name.p, name.n, t);
    return t ? (uint32_t)(t - p->tasks) : NOBODY;
}

uint32_t plan_find_variable(const struct plan_draft *p, struct span name)
{
    for (uint32_t i = 0; i < p->n_variables; i++)
        if (span_eq_str(name, p->variables[i].name))
            return i;
    return NOBODY;
}

static void read_default(struct plan_draft *p, struct plan_variable *v,
                         const struct yaml_node *node)
{
    struct error err;
    struct template t = template_parse(yaml_text(node));
    if (t.kind == TEMPLATE_AS_OF && yaml_kind(node) == YAML_KIND_SCALAR) {
        v->as_of = v->type == PARAMETER_DATE || v->type == PARAMETER_DATETIME;
        if (!v->as_of && !v->broken)
            plan_complain(p, node, "variable '%s' is of type %s; {{as_of}} is a date or datetime",
                          v->name, parameter_type_text(v->type));
        v->broken |= !v->as_of;
    } else if (t.kind != TEMPLATE_NONE) {
        plan_complain(p, node, "the default of a variable is a value or {{as_of}}, not '%.80s'",
                      (const char *)yaml_text(node).p);
        v->broken = true;
    } else if (!v->broken && values_from_yaml(v->type, node, &v->value, &err) < 0) {
        plan_fine(p, -EINVAL, &err);
        v->broken = true;
    }
}

static void read_variable(struct plan_draft *p, struct plan_variable *v)
{
    struct error err;
    const char *text;
    bool required = false;
    const struct yaml_node *type, *fallback, *must;
    if (!plan_fine(p, name_check_identifier("the name of a variable", span_str(v->name), &err),
                   &err) ||
        !plan_check_keys(p, v->node, variable_keys)) {
        v->broken = true;
        return;
    }
    if (strcmp(v->name, "as_of") == 0) {
        plan_complain(p, v->node,
                      "a variable cannot be called as_of: {{as_of}} is the moment at which the "
                      "parent began; choose another name");
        v->broken = true;
        return;
    }
    type = yaml_get(v->node, "type");
    fallback = yaml_get(v->node, "default");
    must = yaml_get(v->node, "required");
    if (type && !plan_fine(p, yaml_str(type, &text, &err), &err)) {
        v->broken = true;
    } else if (type) {
        int found = parameter_type_parse(span_str(text));
        char hint[SUGGEST_TEXT];
        v->broken = found < 0;
        if (v->broken)
            plan_complain(p, type, "variable '%s' has the unknown type '%.40s'%s", v->name, text,
                          suggest_hint(text, parameter_type_names, hint));
        else
            v->type = (enum parameter_type)found;
    }
    if (fallback)
        read_default(p, v, fallback);
    if (must && plan_fine(p, yaml_bool(must, &required, &err), &err) && required && fallback)
        plan_complain(p, must, "variable '%s' has a default, so it cannot be required", v->name);
    else if (must && !required && !fallback && !v->broken) {
        plan_complain(p, must, "variable '%s' has no default, so it is required", v->name);
        v->broken = true;
    }
}

static void read_variables(struct plan_draft *p, const struct yaml_node *map)
{
    struct error err;
    if (!map || !plan_fine(p, yaml_expect_map(map, &err), &err))
        return;
    p->variables = mem_zalloc(yaml_count(map), sizeof *p->variables);
    p->n_variables = (uint32_t)yaml_count(map);
    for (uint32_t i = 0; i < p->n_variables; i++) {
        p->variables[i].name = (const char *)yaml_text(yaml_key(map, i)).p;
        p->variables[i].node = yaml_value(map, i);
        read_variable(p, &p->variables[i]);
    }
}

static void read_head(struct plan_draft *p, const struct yaml_node *root)
{
    struct error err;
    const struct yaml_node *name = yaml_require(root, "parent", &err),
                           *zone = yaml_get(root, "timezone");
    p->name = "";
    p->timezone = "UTC";
    if (plan_fine(p, name ? 0 : -EINVAL, &err) &&
        plan_fine(p, yaml_str(name, &p->name, &err), &err) &&
        name_check_name("the name of a parent", span_str(p->name), &err) < 0) {
        yaml_place(name, &err);
        plan_fine(p, -EINVAL, &err);
    }
    if (zone && plan_fine(p, yaml_str(zone, &p->timezone, &err), &err) &&
        !zone_exists(p->timezone)) {
        plan_complain(p, zone, "unknown time zone '%.60s': write it as Europe/Berlin or UTC",
                      p->timezone);
        p->timezone = "UTC";
    }
}

static void read_tasks(struct plan_draft *p, const struct yaml_node *root)
{
    struct error err;
    const struct yaml_node *map = yaml_require(root, "tasks", &err);
    if (!plan_fine(p, map ? 0 : -EINVAL, &err) || !plan_fine(p, yaml_expect_map(map, &err), &err))
        return;
    if (yaml_count(map) == 0)
        plan_complain(p, map, "a plan needs at least one task");
    if (yaml_count(map) > LIMIT_TASKS) {
        plan_complain(p, map, "the plan has %zu tasks; the limit is %d", yaml_count(map),
                      LIMIT_TASKS);
        return;
    }
    p->n = (uint32_t)yaml_count(map);
    p->tasks = mem_zalloc(p->n, sizeof *p->tasks);
    for (uint32_t i = 0; i < p->n; i++) {
        struct plan_task *t = &p->tasks[i];
        t->key = yaml_key(map, i);
        t->node = yaml_value(map, i);
        t->name = (const char *)yaml_text(t->key).p;
        HASH_ADD_KEYPTR(hh, p->by_name, t->name, strlen(t->name), t);
    }
    for (uint32_t i = 0; i < p->n; i++)
        plan_read_task(p, &p->tasks[i]);
}

void plan_read(struct plan_draft *p)
{
    const struct yaml_node *root = yaml_root(p->tree);
    if (!plan_check_keys(p, root, plan_keys))
        return;
    read_head(p, root);
    read_variables(p, yaml_get(root, "variables"));
    read_tasks(p, root);
}

static void task_free(struct plan_task *t)
{
    for (uint32_t i = 0; i < t->n_lists; i++) {
        buf_free(&t->lists[i].values);
        mem_free(&t->lists[i].at);
    }
    for (uint32_t i = 0; i < t->n_parameters; i++)
        buf_free(&t->parameters[i].value);
    mem_free(&t->lists);
    mem_free(&t->parameters);
    mem_free(&t->after);
    mem_free(&t->job);
}

void plan_free(struct plan_draft *p)
{
    HASH_CLEAR(hh, p->by_name);
    for (uint32_t i = 0; i < p->n; i++)
        task_free(&p->tasks[i]);
    for (uint32_t i = 0; i < p->n_variables; i++)
        buf_free(&p->variables[i].value);
    mem_free(&p->tasks);
    mem_free(&p->variables);
    mem_free(&p->as_of);
    yaml_free(&p->tree);
}
