/* words.c - see words.h. */
#include "parent/report/words.h"

#include <time.h>

enum term_mood words_mood(enum status s)
{
    if (s == STATUS_SUCCEEDED)
        return TERM_GOOD;
    return s == STATUS_CANCELLED || s == STATUS_UNKNOWN || s == STATUS_UNREACHABLE ? TERM_WARN
                                                                                   : TERM_BAD;
}

void words_clock(int64_t wall_ms, struct buf *out)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    localtime_r(&t, &tm);
    buf_printf(out, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void words_child(const struct pcore *c, uint32_t task, uint32_t index, int width, struct buf *out)
{
    struct buf text = {0}, safe = {0};
    pcore_child_name(c, task, index, &text);
    term_safe(&safe, buf_span(&text));
    term_cut(out, buf_span(&safe), width);
    buf_free(&safe);
    buf_free(&text);
}

void words_said(const struct pcore_child *k, const char *before, struct buf *out)
{
    struct buf text = {0};
    struct wire_iter it = wire_iter(&k->outputs);
    struct span name;
    struct value v;
    buf_add_str(&text, k->text);
    while (!*k->text && wire_next_pair(&it, &name, &v)) {
        buf_printf(&text, "%s" SPAN_FMT "=", text.n ? " " : "", SPAN_ARG(name));
        value_to_text(&v, &text);
    }
    if (text.n)
        buf_add_str(out, before);
    term_safe(out, buf_span(&text));
    buf_free(&text);
}

const char *words_status(enum status s)
{
    return s == STATUS_TIMED_OUT ? "timed out" : status_text(s);
}

const char *words_short(struct id id, char out[ID_TEXT])
{
    return id_format(id, out) + ID_TEXT - 1 - 8;
}

int64_t words_elapsed(const struct pcore_child *k, int64_t now)
{
    int64_t end = k->state == CHILD_ENDED ? k->ended_at : now;
    if (!k->started_at)
        return -1;
    return end > k->started_at ? end - k->started_at : 0;
}

void words_state(const struct pcore_child *k, struct buf *out)
{
    const char *word = k->state == CHILD_ASKED ? "asked" : run_state_text(k->run_state);
    for (; *word; word++)
        buf_add(out, *word == '_' ? " " : word, 1);
}
