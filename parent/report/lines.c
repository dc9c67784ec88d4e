/* lines.c - one line for each start and end. */
#include "parent/report/words.h"

#include "common/duration.h"

enum { NAME_WIDTH = 48 };

/* "09:14:07  etl2  prepare[orders]" */
static void line_begin(const struct pcore *c, const struct pcore_child *k, int64_t now,
                       struct buf *line)
{
    words_clock(now, line);
    buf_printf(line, "  %s  ", *k->server ? k->server : "-");
    words_child(c, k->task, k->index, NAME_WIDTH, line);
    buf_add_str(line, "  ");
}

/* The mood's control sequences take no columns. */
static void line_end(struct buf *line, struct buf *rest, const struct term *t, enum term_mood mood,
                     const char *word, struct buf *out)
{
    int left = t->width - term_width(buf_span(line)) - term_width(span_str(word));
    buf_add(out, line->p, line->n);
    term_paint(out, t, mood, word);
    if (t->is_terminal)
        term_cut(out, buf_span(rest), left > 0 ? left : 0);
    else
        buf_add(out, rest->p, rest->n);
    buf_add_str(out, "\n");
    buf_free(line);
    buf_free(rest);
}

static void line_ended(const struct pcore *c, const struct pcore_child *k, const struct term *t,
                       struct buf *out)
{
    struct buf line = {0}, rest = {0};
    char d[DURATION_TEXT];
    line_begin(c, k, k->ended_at, &line);
    if (words_elapsed(k, 0) >= 0)
        buf_printf(&rest, "  %s", duration_format(words_elapsed(k, 0), d));
    if (k->attempt > 1)
        buf_printf(&rest, "  attempt %llu", (unsigned long long)k->attempt);
    words_said(k, "  ", &rest);
    line_end(&line, &rest, t, words_mood(k->status), status_text(k->status), out);
}

static void line_started(const struct pcore *c, const struct pcore_child *k, int64_t now,
                         const struct term *t, struct buf *out)
{
    struct buf line = {0}, rest = {0};
    line_begin(c, k, now, &line);
    if (k->attempt > 1)
        buf_printf(&rest, "  attempt %llu", (unsigned long long)k->attempt);
    line_end(&line, &rest, t, TERM_PLAIN, "started", out);
}

/* A state that needs attention, with the broker's reason. */
static void line_state(const struct pcore *c, const struct pcore_child *k, int64_t now,
                       const struct term *t, struct buf *out)
{
    struct buf line = {0}, rest = {0}, state = {0};
    line_begin(c, k, now, &line);
    words_state(k, &state);
    if (*k->text)
        buf_add_str(&rest, ": ");
    term_safe(&rest, span_str(k->text));
    line_end(&line, &rest, t, TERM_WARN, buf_str(&state), out);
    buf_free(&state);
}

static bool add_child(const struct pcore *c, const struct pcore_effect *e, int64_t now, bool loud,
                      const struct term *t, struct buf *out)
{
    struct pcore_child k;
    pcore_child(c, e->task, e->index, &k);
    if (e->news == NEWS_ENDED && !(loud && k.status == STATUS_SUCCEEDED))
        line_ended(c, &k, t, out);
    else if (e->news == NEWS_STARTED && (!loud || k.attempt > 1))
        line_started(c, &k, now, t, out);
    else if (e->news == NEWS_STATE &&
             (k.run_state == RUN_PARKED || k.run_state == RUN_OUT_OF_CONTACT ||
              k.run_state == RUN_HELD))
        line_state(c, &k, now, t, out);
    else
        return false;
    return true;
}

/* ---- Skips */

void lines_flush(struct lines *l, const struct pcore *c, const struct term *t, struct buf *out)
{
    struct pcore_task task;
    struct buf line = {0}, rest = {0};
    if (l->n == 0)
        return;
    pcore_task(c, l->task, &task);
    words_clock(l->at, &line);
    buf_add_str(&line, "  -  ");
    if (l->n == 1) {
        buf_printf(&line, "%s  ", pcore_graph(c)->tasks[l->task].name);
        buf_add_str(&rest, ": ");
        term_safe(&rest, span_str(task.reason));
    } else {
        buf_printf(&line, "%u tasks  ", (unsigned)l->n);
        buf_add_str(&rest, " because ");
        term_safe(&rest, span_str(task.cause));
    }
    line_end(&line, &rest, t, TERM_WARN, "skipped", out);
    *l = (struct lines){0};
}

bool lines_add(struct lines *l, const struct pcore *c, const struct pcore_effect *e, int64_t now,
               bool loud, const struct term *t, struct buf *out)
{
    struct pcore_task task;
    if (e->kind == PCORE_FX_CHILD) {
        lines_flush(l, c, t, out);
        return add_child(c, e, now, loud, t, out);
    }
    if (e->kind != PCORE_FX_SKIPPED)
        return false;
    pcore_task(c, e->task, &task);
    if (l->n && l->cause != task.cause)
        lines_flush(l, c, t, out);
    if (l->n++ == 0)
        *l = (struct lines){.cause = task.cause, .task = e->task, .n = 1, .at = now};
    return true;
}
