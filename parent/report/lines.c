/* lines.c - one line for each start and end. */
#include "parent/report/words.h"

#include "common/duration.h"

enum { LABEL_WIDTH = 40, SAID_WIDTH = 60 };

/* "09:14:07  etl2  prepare-table  table=orders" */
static void line_head(const struct pcore *c, uint32_t task, uint32_t index, const char *server,
                      int64_t now, struct buf *out)
{
    const struct graph_task *g = &pcore_graph(c)->tasks[task];
    struct buf label = {0};
    words_clock(now, out);
    buf_printf(out, "  %s  %s", *server ? server : "-", g->job);
    words_label(c, task, index, LABEL_WIDTH, &label);
    if (label.n)
        buf_printf(out, "  %s", buf_str(&label));
    buf_free(&label);
}

static void line_tail(const struct pcore *c, uint32_t task, uint32_t index, struct buf *out)
{
    buf_printf(out, "  %s/%s/%u\n", pcore_graph(c)->name, pcore_graph(c)->tasks[task].name,
               (unsigned)index);
}

static void add_said(const struct pcore_child *k, struct buf *out)
{
    struct buf said = {0};
    words_said(k, SAID_WIDTH, &said);
    if (said.n)
        buf_printf(out, "  %s", buf_str(&said));
    buf_free(&said);
}

static void line_ended(const struct pcore *c, const struct pcore_child *k, const struct term *t,
                       struct buf *out)
{
    char d[DURATION_TEXT];
    line_head(c, k->task, k->index, k->server, k->ended_at, out);
    buf_add_str(out, "  ");
    term_paint(out, t, words_mood(k->status), status_text(k->status));
    if (words_elapsed(k, 0) >= 0)
        buf_printf(out, "  %s", duration_format(words_elapsed(k, 0), d));
    if (k->attempt)
        buf_printf(out, "  attempt %llu", (unsigned long long)k->attempt);
    add_said(k, out);
    line_tail(c, k->task, k->index, out);
}

/* A state that somebody should know of; the text is the broker's reason. */
static void line_state(const struct pcore *c, const struct pcore_child *k, int64_t now,
                       const struct term *t, struct buf *out)
{
    struct buf reason = {0}, state = {0};
    line_head(c, k->task, k->index, k->server, now, out);
    buf_add_str(out, "  ");
    words_state(k, &state);
    term_paint(out, t, TERM_WARN, buf_str(&state));
    buf_free(&state);
    term_safe(&reason, span_str(k->text));
    if (reason.n)
        buf_printf(out, ": %s", buf_str(&reason));
    buf_free(&reason);
    line_tail(c, k->task, k->index, out);
}

static bool add_child(const struct pcore *c, const struct pcore_effect *e, int64_t now, bool loud,
                      const struct term *t, struct buf *out)
{
    struct pcore_child k;
    pcore_child(c, e->task, e->index, &k);
    if (e->news == NEWS_ENDED && !(loud && k.status == STATUS_SUCCEEDED)) {
        line_ended(c, &k, t, out);
    } else if (e->news == NEWS_STARTED && (!loud || k.attempt > 1)) {
        line_head(c, k.task, k.index, k.server, now, out);
        buf_add_str(out, "  started");
        if (k.attempt > 1)
            buf_printf(out, "  attempt %llu", (unsigned long long)k.attempt);
        line_tail(c, k.task, k.index, out);
    } else if (e->news == NEWS_STATE &&
               (k.run_state == RUN_PARKED || k.run_state == RUN_OUT_OF_CONTACT ||
                k.run_state == RUN_HELD)) {
        line_state(c, &k, now, t, out);
    } else {
        return false;
    }
    return true;
}

bool lines_add(const struct pcore *c, const struct pcore_effect *e, int64_t now, bool loud,
               const struct term *t, struct buf *out)
{
    struct pcore_task task;
    if (e->kind == PCORE_FX_CHILD)
        return add_child(c, e, now, loud, t, out);
    if (e->kind != PCORE_FX_SKIPPED)
        return false;
    pcore_task(c, e->task, &task);
    words_clock(now, out);
    buf_printf(out, "  -  %s  ", pcore_graph(c)->tasks[e->task].job);
    term_paint(out, t, TERM_WARN, "skipped");
    buf_printf(out, ": %s  %s/%s\n", task.reason, pcore_graph(c)->name,
               pcore_graph(c)->tasks[e->task].name);
    return true;
}
