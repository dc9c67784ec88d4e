/* validate.c - problems between tasks: unknown names, circles, outputs of tasks that are not waited
 * for. */
#include "parent/plan/inside.h"

/* tasks of a circle that the message names; beyond, it counts them */
enum { CIRCLE_SHOWN = 8 };

static const char *hint_task(const struct plan_draft *p, const char *given, char out[SUGGEST_TEXT])
{
    const char **names = mem_zalloc((size_t)p->n + 1, sizeof *names);
    for (uint32_t i = 0; i < p->n; i++)
        names[i] = p->tasks[i].name;
    suggest_hint(given, names, out);
    mem_free(&names);
    return out;
}

static void find_names(struct plan_draft *p)
{
    char hint[SUGGEST_TEXT];
    for (uint32_t i = 0; i < p->n; i++) {
        struct plan_task *t = &p->tasks[i];
        for (uint32_t k = 0; k < t->n_after; k++) {
            struct plan_condition *c = &t->after[k];
            c->task = plan_find_task(p, span_str(c->name));
            if (c->task == i) {
                plan_complain(p, c->node, "task '%s' waits for itself", t->name);
                c->task = NOBODY;
            } else if (c->task == NOBODY && p->problems->errors <= PLAN_PROBLEMS_MAX) {
                plan_complain(p, c->node,
                              "task '%s' waits for '%.64s', which is not in this plan%s", t->name,
                              c->name, hint_task(p, c->name, hint));
            }
        }
    }
}

/* ---- Circles: a depth-first walk; a condition on a task of the current path closes one. */
struct walk {
    uint32_t *path, *at; /* the current path, and for each task the next condition to look at */
    uint8_t *seen;       /* 0 not visited, 1 on the path, 2 done */
    uint32_t n;
};

static void say_circle(struct plan_draft *p, const struct walk *w,
                       const struct plan_condition *closing)
{
    uint32_t from = w->n;
    while (w->path[from - 1] != closing->task)
        from--;
    uint32_t length = w->n - (from - 1);
    struct buf text = {0};
    for (uint32_t i = 0; i < length && i < CIRCLE_SHOWN; i++)
        buf_printf(&text, "%s'%s'",
                   i == 0   ? ""
                   : i == 1 ? " waits for "
                            : ", which waits for ",
                   p->tasks[w->path[from - 1 + i]].name);
    if (length > CIRCLE_SHOWN)
        buf_printf(&text, ", and so on over %u tasks, back to", (unsigned)length);
    else
        buf_add_str(&text, length == 1 ? " waits for" : ", which waits for");
    plan_complain(p, closing->node, "tasks wait for each other in a circle: %s '%s'",
                  buf_str(&text), closing->name);
    buf_free(&text);
}

static void walk_from(struct plan_draft *p, struct walk *w, uint32_t start)
{
    w->path[0] = start;
    w->n = 1;
    w->seen[start] = 1;
    while (w->n) {
        uint32_t here = w->path[w->n - 1];
        const struct plan_task *t = &p->tasks[here];
        if (w->at[here] == t->n_after) {
            w->seen[here] = 2;
            w->n--;
            continue;
        }
        const struct plan_condition *c = &t->after[w->at[here]++];
        if (c->task == NOBODY || w->seen[c->task] == 2)
            continue;
        if (w->seen[c->task] == 1) {
            say_circle(p, w, c);
            continue;
        }
        w->seen[c->task] = 1;
        w->path[w->n++] = c->task;
    }
}

static void find_circles(struct plan_draft *p)
{
    struct walk w = {.path = mem_zalloc(p->n, sizeof *w.path),
                     .at = mem_zalloc(p->n, sizeof *w.at),
                     .seen = mem_zalloc(p->n, sizeof *w.seen)};
    for (uint32_t i = 0; i < p->n; i++)
        if (!w.seen[i])
            walk_from(p, &w, i);
    mem_free(&w.path);
    mem_free(&w.at);
    mem_free(&w.seen);
}

/* ---- Outputs */
struct circle_search {
    uint32_t *stack, *stamp; /* stamp: number of the last search that visited the task */
    uint32_t number;
};

/* Does `from` wait for `what`, directly or through others? */
static bool waits_for(const struct plan_draft *p, struct circle_search *s, uint32_t from,
                      uint32_t what)
{
    uint32_t n = 0;
    s->number++;
    s->stack[n++] = from;
    s->stamp[from] = s->number;
    while (n) {
        const struct plan_task *t = &p->tasks[s->stack[--n]];
        for (uint32_t k = 0; k < t->n_after; k++) {
            uint32_t next = t->after[k].task;
            if (next == what)
                return true;
            if (next != NOBODY && s->stamp[next] != s->number) {
                s->stamp[next] = s->number;
                s->stack[n++] = next;
            }
        }
    }
    return false;
}

static void check_output(struct plan_draft *p, struct circle_search *s, uint32_t task,
                         const struct plan_parameter *a)
{
    char *from = span_dup_str(a->from.name), hint[SUGGEST_TEXT];
    const char *me = p->tasks[task].name;
    if (a->task == NOBODY)
        plan_complain(p, a->node,
                      "parameter '%s' takes an output of '%s', which is not in this plan%s",
                      a->name, from, hint_task(p, from, hint));
    else if (a->task == task)
        plan_complain(p, a->node, "parameter '%s' takes an output of '%s' itself", a->name, me);
    else if (p->tasks[a->task].n_lists || p->tasks[a->task].each)
        plan_complain(
            p, a->node,
            "parameter '%s' takes an output of '%s', which runs many times (%s), so it has no "
            "single output",
            a->name, from, p->tasks[a->task].each ? "each" : "for_each");
    else if (!waits_for(p, s, task, a->task))
        plan_complain(
            p, a->node,
            "parameter '%s' takes an output of '%s', but '%s' does not wait for it: add {task: "
            "%s, is: success} "
            "to its 'after'",
            a->name, from, me, from);
    mem_free(&from);
}

static void check_outputs(struct plan_draft *p)
{
    struct circle_search s = {.stack = mem_zalloc(p->n, sizeof *s.stack),
                              .stamp = mem_zalloc(p->n, sizeof *s.stamp)};
    for (uint32_t i = 0; i < p->n; i++)
        for (uint32_t k = 0; k < p->tasks[i].n_parameters; k++)
            if (p->tasks[i].parameters[k].from.kind == TEMPLATE_OUTPUT)
                check_output(p, &s, i, &p->tasks[i].parameters[k]);
    mem_free(&s.stack);
    mem_free(&s.stamp);
}

void plan_validate(struct plan_draft *p)
{
    find_names(p);
    find_circles(p);
    check_outputs(p);
}
