/* readtask.c - one task of a plan. */
#include "parent/plan/inside.h"

#include <stdio.h>

#include "common/name.h"

static const char *const task_keys[] = {
    "job",  "package",  "server",  "pool",     "each",         "for_each", "parameters", "after",
    "join", "may_fail", "on_lost", "priority", "start_within", "timeout",  "lost_after", NULL};
static const char *const condition_keys[] = {"task", "is", "layer", NULL};
static const char *const join_names[] = {"and", "or", NULL};
static const char *const on_lost_names[] = {"fail", "rerun", "hold", NULL};

/* Reads one of the words; `fallback` if it is missing or unknown. */
static unsigned read_word(struct plan_draft *p, const struct yaml_node *node, const char *what,
                          const char *const words[], unsigned fallback)
{
    struct error err;
    const char *text;
    char hint[SUGGEST_TEXT];
    struct buf all = {0};
    if (!node || !plan_fine(p, yaml_str(node, &text, &err), &err))
        return fallback;
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            buf_free(&all);
            return i;
        }
        buf_printf(&all, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    plan_complain(p, node, "'%s' is %s, not '%.40s'%s", what, buf_str(&all), text,
                  suggest_hint(text, words, hint));
    buf_free(&all);
    return fallback;
}

/* Reads a valid name; NULL if it is missing or invalid. */
static const char *read_name(struct plan_draft *p, const struct yaml_node *map, const char *key,
                             const char *what)
{
    struct error err;
    const char *text;
    const struct yaml_node *node = yaml_get(map, key);
    if (!node || !plan_fine(p, yaml_str(node, &text, &err), &err))
        return NULL;
    if (name_check_name(what, span_str(text), &err) < 0) {
        yaml_place(node, &err);
        plan_fine(p, -EINVAL, &err);
        return NULL;
    }
    return text;
}

static void read_flag(struct plan_draft *p, const struct yaml_node *map, const char *key, bool *ret)
{
    struct error err;
    const struct yaml_node *node = yaml_get(map, key);
    if (node)
        plan_fine(p, yaml_bool(node, ret, &err), &err);
}

static void read_time(struct plan_draft *p, const struct yaml_node *map, const char *key,
                      int64_t *ret)
{
    struct error err;
    const struct yaml_node *node = yaml_get(map, key);
    if (node && plan_fine(p, yaml_duration(node, ret, &err), &err) && *ret == 0)
        plan_complain(p, node, "'%s' must be greater than zero", key);
}

static void read_what(struct plan_draft *p, struct plan_task *t)
{
    const struct yaml_node *job = yaml_get(t->node, "job"), *package = yaml_get(t->node, "package");
    const char *name;
    if (job && package)
        plan_complain(p, package, "task '%s' has both 'job' and 'package'; it runs one of them",
                      t->name);
    else if (!job && !package)
        plan_complain(p, t->key, "task '%s' has neither 'job' nor 'package': what does it run?",
                      t->name);
    else if (job && (name = read_name(p, t->node, "job", "the name of a job")))
        t->job = mem_strdup(name);
    else if (package && (name = read_name(p, t->node, "package", "the name of a package")))
        t->job = mem_printf("package:%s", name);
}

static void read_where(struct plan_draft *p, struct plan_task *t)
{
    const struct yaml_node *server = yaml_get(t->node, "server"), *pool = yaml_get(t->node, "pool");
    read_flag(p, t->node, "each", &t->each);
    if (server && pool) {
        plan_complain(p, pool, "task '%s' has both 'server' and 'pool'; it goes to one of them",
                      t->name);
        return;
    }
    if (!server && !pool) {
        plan_complain(p, t->key, "task '%s' has neither 'server' nor 'pool': where does it run?",
                      t->name);
        return;
    }
    t->address = read_name(p, t->node, server ? "server" : "pool",
                           server ? "the name of a server" : "the name of a pool");
    if (server && t->address && strcmp(t->address, "all") == 0)
        plan_complain(p, server, "'all' is every server: write `pool: all`");
    if (server && t->each)
        plan_complain(p, yaml_get(t->node, "each"), "'each' needs a pool, not a server");
}

static void read_condition(struct plan_draft *p, struct plan_task *t, const struct yaml_node *node)
{
    struct error err;
    struct plan_condition c = {.node = node, .task = NOBODY};
    if (!plan_fine(p, yaml_expect_map(node, &err), &err))
        return;
    const struct yaml_node *on = yaml_get(node, "on"), *is = yaml_get(node, "is"),
                           *layer = yaml_get(node, "layer");
    on = on ? on : yaml_get(node, "true"); /* `on` as a YAML 1.1 program writes it */
    if (on && !is)
        plan_complain(
            p, on,
            "a condition is written with 'is', as in {task: NAME, is: success}: YAML 1.1 takes a "
            "bare 'on' "
            "for true");
    else
        plan_check_keys(p, node, condition_keys);
    const struct yaml_node *task = yaml_require(node, "task", &err);
    if (!plan_fine(p, task ? 0 : -EINVAL, &err) ||
        !plan_fine(p, yaml_str(task, &c.name, &err), &err))
        return;
    if (!is && !on)
        plan_complain(p, node,
                      "the condition on '%.64s' lacks 'is': success, failure, completion or called",
                      c.name);
    c.node = task;
    c.is = (uint8_t)read_word(p, is, "is", condition_kind_names, IS_SUCCESS);
    c.layer = (uint8_t)read_word(p, layer, "layer", condition_layer_names, LAYER_PACKAGE);
    if (c.is == IS_CALLED && layer && c.layer != LAYER_DELIVERY)
        plan_complain(p, layer, "`is: called` is about the layer delivery; leave 'layer' out");
    if (c.is == IS_CALLED)
        c.layer = LAYER_DELIVERY;
    t->after[t->n_after++] = c;
}

static void read_after(struct plan_draft *p, struct plan_task *t)
{
    struct error err;
    const struct yaml_node *after = yaml_get(t->node, "after");
    t->join_or = read_word(p, yaml_get(t->node, "join"), "join", join_names, 0) == 1;
    if (!after || !plan_fine(p, yaml_expect_seq(after, &err), &err))
        return;
    t->after = mem_zalloc(yaml_count(after), sizeof *t->after);
    for (size_t i = 0; i < yaml_count(after); i++)
        read_condition(p, t, yaml_item(after, i));
}

/* Complains about the first {{ within a list or map. */
static bool has_templates(struct plan_draft *p, const struct yaml_node *node)
{
    if (yaml_kind(node) == YAML_KIND_SCALAR) {
        if (template_parse(yaml_text(node)).kind == TEMPLATE_NONE)
            return false;
        plan_complain(p, node,
                      "a template must be the whole value of a parameter, not "
                      "part of a list or mapping");
        return true;
    }
    for (size_t i = 0; i < yaml_count(node); i++)
        if (has_templates(p, yaml_is_map(node) ? yaml_value(node, i) : yaml_item(node, i)))
            return true;
    return false;
}

static void read_items(struct plan_draft *p, struct plan_list *l, const struct yaml_node *node)
{
    struct error err;
    l->n = (uint32_t)yaml_count(node);
    l->at = mem_zalloc((size_t)l->n + 1, sizeof *l->at);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct yaml_node *item = yaml_item(node, i);
        if (!has_templates(p, item))
            plan_fine(p, values_guess_from_yaml(item, &l->values, &err), &err);
        l->at[i + 1] = (uint32_t)l->values.n;
    }
}

static void read_list(struct plan_draft *p, struct plan_list *l, const struct yaml_node *node)
{
    struct template from = template_parse(yaml_text(node));
    if (yaml_is_seq(node)) {
        if (yaml_count(node) > LIMIT_TASKS)
            plan_complain(p, node, "'%.64s' has %zu items; the limit is %d", l->name,
                          yaml_count(node), LIMIT_TASKS);
        else
            read_items(p, l, node);
        return;
    }
    l->at = mem_zalloc(1, sizeof *l->at);
    if (yaml_kind(node) != YAML_KIND_SCALAR || from.kind != TEMPLATE_NAME) {
        plan_complain(p, node,
                      "for_each takes a list for '%.64s', or the {{variable}} that holds one",
                      l->name);
        return;
    }
    l->variable = plan_find_variable(p, from.name);
    if (l->variable == NOBODY)
        plan_complain(p, node, "there is no variable '" SPAN_FMT "'", SPAN_ARG(from.name));
    else if (!p->variables[l->variable].broken &&
             p->variables[l->variable].type != PARAMETER_JSON) {
        plan_complain(p, node,
                      "variable '" SPAN_FMT "' is of type %s; for_each needs one of type json",
                      SPAN_ARG(from.name), parameter_type_text(p->variables[l->variable].type));
        l->variable = NOBODY;
    }
}

static void read_for_each(struct plan_draft *p, struct plan_task *t)
{
    struct error err;
    const struct yaml_node *map = yaml_get(t->node, "for_each");
    if (!map || !plan_fine(p, yaml_expect_map(map, &err), &err))
        return;
    if (t->each)
        plan_complain(p, map, "task '%s' has both 'each' and 'for_each'; it can have one of them",
                      t->name);
    if (yaml_count(map) == 0)
        plan_complain(p, map, "for_each is empty: write it as {table: [orders, lines]}");
    t->lists = mem_zalloc(yaml_count(map), sizeof *t->lists);
    for (size_t i = 0; i < yaml_count(map); i++) {
        struct plan_list *l = &t->lists[t->n_lists++];
        l->name = (const char *)yaml_text(yaml_key(map, i)).p;
        l->node = yaml_value(map, i);
        l->variable = NOBODY;
        if (name_check_identifier("a name of for_each", span_str(l->name), &err) < 0) {
            yaml_place(yaml_key(map, i), &err);
            plan_fine(p, -EINVAL, &err);
        }
        if (plan_find_variable(p, span_str(l->name)) != NOBODY)
            plan_complain(p, yaml_key(map, i),
                          "'%s' is also a variable, so {{%s}} would be ambiguous", l->name,
                          l->name);
        read_list(p, l, l->node);
    }
}

static void unknown_name(struct plan_draft *p, const struct plan_task *t,
                         const struct plan_parameter *a)
{
    const char **names = mem_zalloc((size_t)p->n_variables + t->n_lists + 2, sizeof *names);
    char *given = span_dup_str(a->from.name), hint[SUGGEST_TEXT];
    size_t n = 0;
    for (uint32_t i = 0; i < t->n_lists; i++)
        names[n++] = t->lists[i].name;
    for (uint32_t i = 0; i < p->n_variables; i++)
        names[n++] = p->variables[i].name;
    names[n] = "as_of";
    plan_complain(p, a->node,
                  "parameter '%s' takes '{{%s}}': no variable or for_each name is called '%s'%s",
                  a->name, given, given, suggest_hint(given, names, hint));
    mem_free(&given);
    mem_free(&names);
}

static void read_template(struct plan_draft *p, struct plan_task *t, struct plan_parameter *a)
{
    if (a->from.kind == TEMPLATE_BAD)
        plan_complain(p, a->node,
                      "parameter '%s': '%.80s' is not a template: {{variable}}, {{as_of}} and "
                      "{{task.NAME.outputs.NAME}} must be the whole value",
                      a->name, (const char *)yaml_text(a->node).p);
    if (a->from.kind == TEMPLATE_OUTPUT)
        a->task = plan_find_task(p, a->from.name); /* validate.c says what is wrong with it */
    if (a->from.kind != TEMPLATE_NAME)
        return;
    for (uint32_t i = 0; i < t->n_lists && a->list == NOBODY; i++)
        if (span_eq_str(a->from.name, t->lists[i].name))
            a->list = i;
    if (a->list == NOBODY)
        a->variable = plan_find_variable(p, a->from.name);
    if (a->list == NOBODY && a->variable == NOBODY)
        unknown_name(p, t, a);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct plan_parameter *)a)->name,
                  ((const struct plan_parameter *)b)->name);
}

static void read_parameters(struct plan_draft *p, struct plan_task *t)
{
    struct error err;
    const struct yaml_node *map = yaml_get(t->node, "parameters");
    if (!map || !plan_fine(p, yaml_expect_map(map, &err), &err))
        return;
    if (yaml_count(map) > LIMIT_VALUES) {
        plan_complain(p, map, "task '%s' has %zu parameters; the limit is %d", t->name,
                      yaml_count(map), LIMIT_VALUES);
        return;
    }
    t->parameters = mem_zalloc(yaml_count(map), sizeof *t->parameters);
    for (size_t i = 0; i < yaml_count(map); i++) {
        struct plan_parameter *a = &t->parameters[t->n_parameters++];
        *a = (struct plan_parameter){.name = (const char *)yaml_text(yaml_key(map, i)).p,
                                     .node = yaml_value(map, i),
                                     .list = NOBODY,
                                     .variable = NOBODY,
                                     .task = NOBODY};
        if (name_check_identifier("the name of a parameter", span_str(a->name), &err) < 0) {
            yaml_place(yaml_key(map, i), &err);
            plan_fine(p, -EINVAL, &err);
        }
        a->from = yaml_kind(a->node) == YAML_KIND_SCALAR ? template_parse(yaml_text(a->node))
                                                         : (struct template){0};
        if (a->from.kind != TEMPLATE_NONE)
            read_template(p, t, a);
        else if (yaml_kind(a->node) == YAML_KIND_SCALAR || !has_templates(p, a->node))
            plan_fine(p, values_guess_from_yaml(a->node, &a->value, &err), &err);
    }
    if (t->n_parameters)
        qsort(t->parameters, t->n_parameters, sizeof *t->parameters, by_name);
}

void plan_read_task(struct plan_draft *p, struct plan_task *t)
{
    struct error err;
    t->priority = PLAN_PRIORITY;
    if (name_check_identifier("the name of a task", span_str(t->name), &err) < 0) {
        yaml_place(t->key, &err);
        plan_fine(p, -EINVAL, &err);
    }
    if (!plan_check_keys(p, t->node, task_keys))
        return;
    read_what(p, t);
    read_where(p, t);
    read_for_each(p, t);
    read_parameters(p, t);
    read_after(p, t);
    read_flag(p, t->node, "may_fail", &t->may_fail);
    read_time(p, t->node, "start_within", &t->start_within_ms);
    read_time(p, t->node, "timeout", &t->timeout_ms);
    read_time(p, t->node, "lost_after", &t->lost_after_ms);
    const struct yaml_node *lost = yaml_get(t->node, "on_lost"),
                           *priority = yaml_get(t->node, "priority");
    if (lost)
        t->on_lost = (enum on_lost)(ON_LOST_FAIL + read_word(p, lost, "on_lost", on_lost_names, 0));
    if (priority && plan_fine(p, yaml_int(priority, &t->priority, &err), &err) &&
        (t->priority < 0 || t->priority > 9))
        plan_complain(p, priority, "priority %lld is not between 0 and 9", (long long)t->priority);
}
