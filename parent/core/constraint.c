/* constraint.c - when conditions hold, when they can no longer hold, and the reasons in words.
 *
 * Conditions on one task fall into SLOTS classes by kind and layer. Each class has one verdict,
 * made from counters, and a list of the tasks that have such a condition. A verdict leaves
 * VERDICT_OPEN once and for good, so each list is walked once. */
#include "parent/core/inside.h"

static unsigned slot_of(const struct graph_condition *a)
{
    return a->is == IS_CALLED ? IS_SUCCESS * LAYER_COUNT + LAYER_DELIVERY
                              : a->is * LAYER_COUNT + a->layer;
}

void constraint_watch(struct pcore *c)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < c->graph->n; i++)
        n += c->graph->tasks[i].n_after;
    c->watchers = mem_zalloc(n, sizeof *c->watchers);
    for (uint32_t i = c->graph->n; i-- > 0;) {
        /* backwards, so that the lists keep the plan's order */
        const struct graph_task *t = &c->graph->tasks[i];
        for (uint32_t k = t->n_after; k-- > 0;) {
            uint32_t *first = &c->tasks[t->after[k].task].watchers[slot_of(&t->after[k])];
            c->watchers[--n] = (struct constraint_watcher){.waiter = i, .next = *first};
            *first = n;
        }
        for (uint32_t k = 0; k < t->n_bindings; k++)
            if (t->bindings[k].from == FROM_OUTPUT)
                c->tasks[t->bindings[k].task].outputs_wanted = true;
    }
}

void constraint_touch(struct pcore *c, uint32_t task)
{
    if (!c->tasks[task].dirty) {
        c->tasks[task].dirty = true;
        c->dirty[c->n_dirty++] = task;
    }
}

static enum constraint_verdict verdict_of(const struct task *t, unsigned kind, unsigned layer)
{
    if (t->state == TASK_SKIPPED)
        return VERDICT_IMPOSSIBLE;
    if (!t->known || t->state == TASK_WAITING)
        return VERDICT_OPEN;
    if (kind == IS_SUCCESS && t->bad[layer])
        return VERDICT_IMPOSSIBLE;
    if (kind == IS_FAILURE && t->bad[layer])
        return VERDICT_HOLDS;
    if (kind == IS_COMPLETION && layer != LAYER_DELIVERY)
        return t->ended == t->count ? VERDICT_HOLDS : VERDICT_OPEN;
    if (t->ok[layer] + t->bad[layer] < t->count)
        return VERDICT_OPEN;
    return kind == IS_FAILURE ? VERDICT_IMPOSSIBLE : VERDICT_HOLDS;
}

static void judge_slots(struct pcore *c, struct task *t)
{
    for (unsigned s = 0; s < SLOTS; s++) {
        if (t->slot[s] != VERDICT_OPEN || !t->watchers[s])
            continue;
        t->slot[s] = (uint8_t)verdict_of(t, s / LAYER_COUNT, s % LAYER_COUNT);
        if (t->slot[s] == VERDICT_OPEN)
            continue;
        for (uint32_t w = t->watchers[s]; w; w = c->watchers[w].next) {
            struct task *waiter = &c->tasks[c->watchers[w].waiter];
            t->slot[s] == VERDICT_HOLDS ? waiter->holds++ : waiter->impossible++;
            constraint_judge(c, c->watchers[w].waiter);
        }
    }
}

/* Tasks start after all skips caused by the same event, so they see all of its effects. */
void constraint_settle(struct pcore *c)
{
    for (uint32_t started = 0; c->n_dirty || started < c->n_starts;) {
        while (c->n_dirty) {
            struct task *t = &c->tasks[c->dirty[--c->n_dirty]];
            t->dirty = false;
            judge_slots(c, t);
        }
        if (started < c->n_starts)
            task_start(c, c->starts[started++]);
        if (started == c->n_starts)
            started = c->n_starts = 0;
    }
}

/* ---- Words */

static const char *ended_how(unsigned status)
{
    static const char *const words[STATUS_COUNT] = {
        [STATUS_REFUSED] = "was refused",     [STATUS_UNREACHABLE] = "was unreachable",
        [STATUS_CANCELLED] = "was cancelled", [STATUS_TIMED_OUT] = "timed out",
        [STATUS_LOST] = "was lost",           [STATUS_UNKNOWN] = "ended in an unknown way",
        [STATUS_FAILED] = "failed",           [STATUS_SUCCEEDED] = "succeeded",
    };
    return words[status];
}

/* "of which load[orders] failed" */
static void why_no_success(const struct pcore *c, uint32_t task, unsigned layer, struct buf *out,
                           struct buf *cause)
{
    const struct task *t = &c->tasks[task];
    const struct graph_task *g = &c->graph->tasks[task];
    const struct child_record *k = &t->children[t->first_bad[layer]];
    pcore_child_name(c, task, k->index, cause);
    if (g->n_lists || g->each)
        buf_printf(out, ", of which %s ", buf_str(cause));
    else
        buf_add_str(out, ", which ");
    buf_add_str(out, ended_how(k->status));
    buf_printf(cause, " %s", ended_how(k->status));
}

/* Appends why the condition can no longer hold, and the root cause to `cause`, which is empty. */
static void why_impossible(const struct pcore *c, const struct graph_condition *a, struct buf *out,
                           struct buf *cause)
{
    const struct task *t = &c->tasks[a->task];
    const char *name = c->graph->tasks[a->task].name;
    unsigned layer = a->is == IS_CALLED ? LAYER_DELIVERY : a->layer;
    const char *how = t->count == 0              ? "had nothing to do"
                      : layer == LAYER_DELIVERY  ? "was called"
                      : t->succeeded == t->count ? "succeeded"
                                                 : NULL;
    if (a->is == IS_CALLED)
        buf_printf(out, "the call of '%s'", name);
    else
        buf_printf(out, "%s%s%s of '%s'", condition_kind_text(a->is),
                   layer == LAYER_PACKAGE ? "" : " in the layer ",
                   layer == LAYER_PACKAGE ? "" : condition_layer_text(layer), name);
    if (t->state == TASK_SKIPPED) {
        buf_printf(out, ", which was skipped because %s", t->cause);
        buf_add_str(cause, t->cause);
    } else if (a->is == IS_SUCCESS || a->is == IS_CALLED) {
        why_no_success(c, a->task, layer, out, cause);
    } else if (how) {
        buf_printf(out, ", which %s", how);
        buf_printf(cause, "%s %s", name, how);
    } else {
        buf_printf(out, ", whose %s succeeded", condition_layer_text(layer));
        buf_printf(cause, "the %s of %s succeeded", condition_layer_text(layer), name);
    }
}

/* "waits for success of 'bad', which failed". The cause is that of the first condition. */
static char *reason_of(const struct pcore *c, uint32_t task, struct buf *cause)
{
    const struct graph_task *g = &c->graph->tasks[task];
    struct buf out = {0}, other = {0};
    uint32_t named = 0, more = 0;
    for (uint32_t i = 0; i < g->n_after; i++) {
        const struct graph_condition *a = &g->after[i];
        if (c->tasks[a->task].slot[slot_of(a)] != VERDICT_IMPOSSIBLE)
            continue;
        if (named == REASONS_NAMED || (named == 1 && !g->join_or)) {
            /* where all are needed, one reason is enough */
            more++;
            continue;
        }
        buf_add_str(&out, named ? "; or " : "waits for ");
        buf_clear(&other);
        why_impossible(c, a, &out, named++ ? &other : cause);
    }
    if (more && g->join_or)
        buf_printf(&out, "; or %u more that can no longer hold", (unsigned)more);
    char *text = mem_strdup(buf_str(&out));
    buf_free(&out);
    buf_free(&other);
    return text;
}

static void skip(struct pcore *c, uint32_t task)
{
    struct buf cause = {0};
    char *reason = reason_of(c, task, &cause);
    task_skip(c, task, reason, buf_str(&cause));
    buf_free(&cause);
}

void constraint_judge(struct pcore *c, uint32_t task)
{
    const struct graph_task *g = &c->graph->tasks[task];
    struct task *t = &c->tasks[task];
    if (t->state != TASK_WAITING || t->starting)
        return;
    bool one = g->n_after && g->join_or;
    if (one ? t->holds > 0 : t->holds == g->n_after)
        t->starting = true, c->starts[c->n_starts++] = task;
    else if (one ? t->impossible == g->n_after : t->impossible > 0)
        skip(c, task);
}
