/* look.c - the views of core.h. */
#include "parent/core/inside.h"

void pcore_task(const struct pcore *c, uint32_t task, struct pcore_task *ret)
{
    const struct task *t = &c->tasks[task];
    uint32_t planned =
        t->known || t->state == TASK_SKIPPED ? t->count : c->graph->tasks[task].count;
    *ret = (struct pcore_task){.state = (enum task_state)t->state,
                               .count = t->state == TASK_SKIPPED ? 0 : planned,
                               .called = t->called,
                               .ended = t->ended,
                               .succeeded = t->succeeded,
                               .not_started = t->not_started,
                               .reason = t->reason ? t->reason : "",
                               .cause = t->cause ? t->cause : ""};
}

static void look(const struct child_record *k, struct pcore_child *ret)
{
    *ret = (struct pcore_child){.task = k->task,
                                .index = k->index,
                                .state = (enum child_state)k->state,
                                .run_state = (enum run_state)k->run_state,
                                .run = k->run,
                                .attempt = k->attempt,
                                .percent = k->percent,
                                .server = k->server ? k->server : "",
                                .text = k->text ? k->text : "",
                                .cancel_asked = k->cancel_asked,
                                .delivery = (enum delivery)k->delivery,
                                .job = (enum job_outcome)k->job,
                                .package = (enum package_outcome)k->package,
                                .status = (enum status)k->status,
                                .outputs = {span_of(k->outputs, k->outputs_size), k->n_outputs},
                                .called_at = k->called_at,
                                .started_at = k->started_at,
                                .ended_at = k->ended_at};
}

void pcore_child(const struct pcore *c, uint32_t task, uint32_t index, struct pcore_child *ret)
{
    const struct task *t = &c->tasks[task];
    if (t->children && index < t->count + t->not_started)
        look(&t->children[index], ret);
    else
        *ret = (struct pcore_child){.task = task, .index = index, .server = "", .text = ""};
}

void pcore_child_item(const struct pcore *c, uint32_t task, uint32_t index, struct buf *out)
{
    const struct graph_task *g = &c->graph->tasks[task];
    const struct task *t = &c->tasks[task];
    const size_t was = out->n;
    if (g->each) {
        if (t->children && index < t->count + t->not_started && t->children[index].server)
            buf_add_str(out, t->children[index].server);
        return;
    }
    graph_item_text(g, index, out);
    if (out->n - was <= PCORE_ITEM_MAX)
        return;
    out->n = was + PCORE_ITEM_MAX;
    while (out->n > was && (out->p[out->n] & 0xc0) == 0x80) /* not in the middle of a character */
        out->n--;
}

void pcore_child_name(const struct pcore *c, uint32_t task, uint32_t index, struct buf *out)
{
    const struct graph_task *g = &c->graph->tasks[task];
    buf_add_str(out, g->name);
    if (!g->n_lists && !g->each)
        return;
    buf_add_str(out, "[");
    pcore_child_item(c, task, index, out);
    buf_add_str(out, "]");
}

bool pcore_next_live(const struct pcore *c, const void **cursor, struct pcore_child *ret)
{
    const struct child_record *k = *cursor;
    k = k ? k->next : c->first;
    if (!k)
        return false;
    *cursor = k;
    look(k, ret);
    return true;
}

void pcore_totals(const struct pcore *c, struct pcore_totals *ret)
{
    *ret = c->totals;
}

uint32_t pcore_in_flight(const struct pcore *c)
{
    return c->in_flight;
}

struct id pcore_parent(const struct pcore *c)
{
    return c->parent;
}

const struct graph *pcore_graph(const struct pcore *c)
{
    return c->graph;
}
