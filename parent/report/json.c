/* json.c - events and report for programs. */
#include "parent/report/report.h"

#include "common/clock.h"
#include "common/jsontext.h"

/* ,"name":"text" */
static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_escape(out, span_str(text));
}

static void add_time(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[CLOCK_TEXT];
    if (wall_ms)
        add_text(out, name, clock_format(wall_ms, text));
}

static void add_id(struct buf *out, const char *name, struct id id)
{
    char text[ID_TEXT];
    if (!id_is_zero(id))
        add_text(out, name, id_format(id, text));
}

/* The items of for_each: "items":{"table":"orders"} */
static void add_items(struct buf *out, const struct graph_task *g, uint32_t index)
{
    if (!g->n_lists)
        return;
    buf_add_str(out, ",\"items\":{");
    for (uint32_t i = 0; i < g->n_lists; i++) {
        struct span in = graph_item(&g->lists[i], index);
        struct value v;
        buf_add_str(out, i ? "," : "");
        json_escape(out, span_str(g->lists[i].name));
        buf_add_str(out, ":");
        if (value_read(&in, &v))
            value_to_json(&v, out);
    }
    buf_add_str(out, "}");
}

/* "task":...,"index":... without braces */
static void add_identity(const struct pcore *c, const struct pcore_child *k, struct buf *out)
{
    const struct graph_task *g = &pcore_graph(c)->tasks[k->task];
    buf_add_str(out, "\"task\":");
    json_escape(out, span_str(g->name));
    buf_printf(out, ",\"index\":%u", k->index);
    struct buf text = {0};
    pcore_child_item(c, k->task, k->index, &text);
    if (text.n)
        add_text(out, "item", buf_str(&text));
    buf_clear(&text);
    pcore_child_name(c, k->task, k->index, &text);
    add_text(out, "child", buf_str(&text));
    buf_free(&text);
    add_items(out, g, k->index);
    add_text(out, "job", g->job);
    add_id(out, "run", k->run);
    if (k->attempt)
        buf_printf(out, ",\"attempt\":%llu", (unsigned long long)k->attempt);
    if (*k->server)
        add_text(out, "server", k->server);
}

static void add_outcome(const struct pcore_child *k, struct buf *out)
{
    buf_printf(out,
               ",\"delivery\":{\"state\":\"%s\"},\"job_outcome\":{\"state\":\"%s\"},"
               "\"package\":{\"state\":\"%s\"}",
               delivery_text(k->delivery), job_outcome_text(k->job),
               package_outcome_text(k->package));
    add_text(out, "status", status_text(k->status));
    if (*k->text)
        add_text(out, "message", k->text);
    if (k->outputs.count) {
        buf_add_str(out, ",\"outputs\":");
        wire_map_to_json(&k->outputs, out);
    }
    add_time(out, "called_at", k->called_at);
    add_time(out, "started_at", k->started_at);
    add_time(out, "ended_at", k->ended_at);
}

static void add_child(const struct pcore *c, const struct pcore_child *k, struct buf *out)
{
    buf_add_str(out, "{");
    add_identity(c, k, out);
    if (k->state == CHILD_ENDED)
        add_outcome(k, out);
    buf_add_str(out, "}");
}

void report_events_add(const struct pcore *c, const struct pcore_effect *e, int64_t now,
                       struct buf *out)
{
    struct pcore_child k;
    struct pcore_task task;
    if (e->kind == PCORE_FX_SKIPPED) {
        pcore_task(c, e->task, &task);
        buf_add_str(out, "{\"v\":1,\"event\":\"skipped\"");
        add_time(out, "at", now);
        add_text(out, "task", pcore_graph(c)->tasks[e->task].name);
        add_text(out, "reason", task.reason);
        add_text(out, "cause", task.cause);
        buf_add_str(out, "}\n");
    }
    if (e->kind != PCORE_FX_CHILD)
        return;
    pcore_child(c, e->task, e->index, &k);
    buf_printf(out, "{\"v\":1,\"event\":\"%s\"", e->news == NEWS_ENDED ? "ended" : "child");
    add_time(out, "at", now);
    buf_add_str(out, ",");
    add_identity(c, &k, out);
    if (e->news == NEWS_ENDED) {
        add_outcome(&k, out);
    } else {
        add_text(out, "state", run_state_text(k.run_state));
        if (k.percent)
            buf_printf(out, ",\"percent\":%u", k.percent);
        if (*k.text)
            add_text(out, "text", k.text);
    }
    buf_add_str(out, "}\n");
}

/* ---- Report */
static void add_task(const struct pcore *c, uint32_t i, struct buf *out)
{
    static const char *const states[] = {"waiting", "active", "ended", "skipped"};
    const struct graph_task *g = &pcore_graph(c)->tasks[i];
    struct pcore_task t;
    pcore_task(c, i, &t);
    buf_add_str(out, "{\"task\":");
    json_escape(out, span_str(g->name));
    add_text(out, "job", g->job);
    add_text(out, "address", g->address);
    add_text(out, "state", states[t.state]);
    buf_printf(out, ",\"children\":%u,\"succeeded\":%u", t.count, t.succeeded);
    if (t.not_started)
        buf_printf(out, ",\"not_started\":%u", t.not_started);
    if (g->may_fail)
        buf_add_str(out, ",\"may_fail\":true");
    if (*t.reason) {
        add_text(out, "reason", t.reason);
        add_text(out, "cause", t.cause);
    }
    buf_add_str(out, "}");
}

/* A list of bounded size: items that do not fit are counted. */
struct list {
    struct buf *out;
    size_t end; /* out->n must not exceed it */
    uint64_t n, left_out;
};

static void list_add(struct list *l, const struct buf *item)
{
    if (l->out->n + item->n + 1 > l->end) {
        l->left_out++;
        return;
    }
    buf_add_str(l->out, l->n++ ? "," : "");
    buf_add(l->out, item->p, item->n);
}

static void add_tasks(const struct pcore *c, struct list *l, int pass)
{
    struct buf one = {0};
    for (uint32_t i = 0; i < pcore_graph(c)->n; i++) {
        struct pcore_task t;
        pcore_task(c, i, &t);
        bool good = t.state == TASK_ENDED && t.succeeded == t.count && !t.not_started;
        if (pass == good)
            continue;
        buf_clear(&one);
        add_task(c, i, &one);
        list_add(l, &one);
    }
    buf_free(&one);
}

static void add_children(const struct pcore *c, struct list *l, int pass)
{
    struct buf one = {0};
    for (uint32_t i = 0; i < pcore_graph(c)->n; i++) {
        struct pcore_task t;
        pcore_task(c, i, &t);
        for (uint32_t k = 0; k < t.count; k++) {
            struct pcore_child child;
            pcore_child(c, i, k, &child);
            if (child.state == CHILD_UNCALLED || pass == (child.status == STATUS_SUCCEEDED))
                continue;
            buf_clear(&one);
            add_child(c, &child, &one);
            list_add(l, &one);
        }
    }
    buf_free(&one);
}

/* In the plan's order if all fit; otherwise failures first. The adders' `pass`: 2 is all, 1 those
 * without success, 0 those with it. */
static uint64_t add_bounded(const struct pcore *c, const char *name, size_t end, struct buf *out,
                            void (*add)(const struct pcore *, struct list *, int))
{
    buf_printf(out, ",\"%s\":[", name);
    size_t was = out->n;
    struct list l = {.out = out, .end = end};
    add(c, &l, 2);
    if (l.left_out) {
        out->n = was;
        l = (struct list){.out = out, .end = end};
        add(c, &l, 1);
        add(c, &l, 0);
    }
    buf_printf(out, "],\"%s_left_out\":%llu", name, (unsigned long long)l.left_out);
    return l.left_out;
}

enum { TAIL = 256 /* bytes reserved for what follows the lists */ };

void report_json(const struct pcore *c, size_t most, struct buf *out)
{
    const struct graph *g = pcore_graph(c);
    struct pcore_totals all;
    size_t end = out->n + most - TAIL;
    pcore_totals(c, &all);
    buf_add_str(out, "{\"v\":1,\"parent\":");
    json_escape(out, span_str(g->name));
    add_id(out, "run", pcore_parent(c));
    add_text(out, "status", status_text(all.verdict));
    add_text(out, "as_of", g->as_of);
    add_time(out, "begun_at", all.begun_at);
    add_time(out, "ended_at", all.ended_at);
    buf_printf(out,
               ",\"totals\":{\"tasks\":%u,\"tasks_skipped\":%u,\"children\":%llu,\"ended\":%llu,"
               "\"succeeded\":%llu,"
               "\"not_started\":%llu}",
               all.tasks, all.tasks_skipped, (unsigned long long)all.children,
               (unsigned long long)all.ended, (unsigned long long)all.succeeded,
               (unsigned long long)all.not_started);
    uint64_t left_out = add_bounded(c, "tasks", out->n + (end - out->n) / 2, out, add_tasks);
    left_out += add_bounded(c, "children", end, out, add_children);
    if (left_out) {
        char id[ID_TEXT];
        buf_printf(out, ",\"left_out_at\":\"lbctl history --parent %s\"",
                   id_format(pcore_parent(c), id));
    }
    buf_add_str(out, "}");
}
