/* line.c - see line.h. */
#include "monitor/line.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/find.h"
#include "client/rowface.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/mem.h"

enum {
    GAP = 2,
    CLOCK = 8,   /* "09:14:07" */
    PAIRS = 3,   /* parameters and outputs in a line at most */
    ROOMY = 100, /* a page this wide has room for the parent's name */
    WIDE = 110,  /* and for the job beside it */
    SAID_INDENT = CLOCK + GAP,
    NUMBERS = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) /* 3.48, as written */
};

static const char *text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static bool is_result(const json_t *event)
{
    return strcmp(text(event, "event"), "result") == 0;
}

static enum term_mood mood_of(const char *status)
{
    if (!*status)
        return TERM_PLAIN;
    if (strcmp(status, "succeeded") == 0)
        return TERM_GOOD;
    if (strcmp(status, "cancelled") == 0 || strcmp(status, "unknown") == 0)
        return TERM_WARN;
    return TERM_BAD;
}

static void safe(struct buf *out, const char *s)
{
    term_safe(out, span_str(s));
}

static void value(struct buf *out, const json_t *v)
{
    if (json_is_string(v)) {
        safe(out, json_string_value(v));
        return;
    }
    char *dump = json_dumps(v, NUMBERS);
    safe(out, dump ? dump : "");
    free(dump);
}

/* ---- name=value */

/* Shorter values say more in a line: table=orders before stage=/a/long/path. */
struct line_pair {
    struct buf text;
    size_t value; /* its bytes */
    unsigned at;  /* as it came */
};

static int shorter_first(const void *a, const void *b)
{
    const struct line_pair *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* "table=orders day=2026-11-21": lbctl show has them all. */
static void pairs(struct buf *out, json_t *object)
{
    const char *key;
    json_t *v;
    struct line_pair *p = mem_zalloc(json_object_size(object) + 1, sizeof *p);
    unsigned n = 0;
    json_object_foreach (object, key, v) {
        p[n].at = n;
        safe(&p[n].text, key);
        buf_add_str(&p[n].text, "=");
        size_t name = p[n].text.n;
        value(&p[n].text, v);
        p[n].value = p[n].text.n - name;
        n++;
    }
    qsort(p, n, sizeof *p, shorter_first);
    for (unsigned i = 0; i < n; i++) {
        if (i < PAIRS) {
            buf_add_str(out, i ? " " : "");
            buf_add(out, p[i].text.p, p[i].text.n);
        }
        buf_free(&p[i].text);
    }
    mem_free(&p);
}

/* ---- What the columns hold */
struct line_parts {
    char time[TERM_TIME], run[ID_TEXT], took[DURATION_TEXT];
    struct buf server, name, job, word, parameters, said;
    bool message; /* `said` is why it did not succeed */
};

static void parts_free(struct line_parts *p)
{
    struct buf *bufs[] = {&p->server, &p->name, &p->job, &p->word, &p->parameters, &p->said};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_free(bufs[i]);
}

/* The run's own message is that of the step that decided; without one, that of the newest package
 * that did not succeed. */
static const char *why(const json_t *event)
{
    if (*text(event, "message"))
        return text(event, "message");
    const json_t *steps = json_object_get(json_object_get(event, "job_outcome"), "steps");
    for (size_t i = json_array_size(steps); i-- > 0;) {
        const json_t *package = json_object_get(json_array_get(steps, i), "package");
        if (strcmp(text(package, "state"), "succeeded") != 0 && *text(package, "message"))
            return text(package, "message");
    }
    return "";
}

/* Tries and attempts after the first are mentioned. */
static void add_again(struct buf *out, const json_t *event)
{
    static const char *const keys[] = {"try", "attempt"};
    for (size_t i = 0; i < 2; i++) {
        json_int_t n = json_integer_value(json_object_get(event, keys[i]));
        if (n > 1)
            buf_printf(out, "%s%s %lld", out->n ? " " : "", keys[i], (long long)n);
    }
}

static void say_result(struct line_parts *p, const json_t *event)
{
    int64_t from, to;
    const char *status = text(event, "status");
    safe(&p->word, status);
    if (clock_parse(text(event, "started_at"), &from, NULL) == 0 &&
        clock_parse(text(event, "ended_at"), &to, NULL) == 0 && to >= from)
        duration_format(to - from, p->took);
    pairs(&p->parameters, json_object_get(event, "parameters"));
    add_again(&p->said, event);
    if (p->said.n && (*why(event) || json_object_size(json_object_get(event, "outputs"))))
        buf_add_str(&p->said, "  ");
    if (strcmp(status, "succeeded") == 0) {
        pairs(&p->said, json_object_get(event, "outputs"));
        return;
    }
    p->message = *why(event);
    safe(&p->said, why(event));
}

static void say_other(struct line_parts *p, const json_t *event)
{
    static const char *const keys[] = {"epoch", "version", "address", "principal", "role",
                                       "state", "status",  "verb",    "target",    "attempt",
                                       "step",  "text",    "why",     "driver",    "operator",
                                       "how",   "on_lost", "reason"};
    safe(&p->word, text(event, "event"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *v = json_object_get(event, keys[i]);
        if (!*text(event, keys[i]) && !json_is_integer(v))
            continue;
        buf_printf(&p->said, "%s%s=", p->said.n ? " " : "", keys[i]);
        value(&p->said, v);
    }
}

static void parts_of(const json_t *event, bool with_parent, struct line_parts *p)
{
    struct buf child = {0};
    struct id run;
    int64_t at;
    const char *parent = *text(event, "plan") ? text(event, "plan") : text(event, "name");
    strcpy(p->time, "--:--:--");
    if (clock_parse(text(event, "at"), &at, NULL) == 0)
        term_clock(at, p->time);
    if (id_parse(text(event, "run"), &run, NULL) == 0)
        find_tail(run, FIND_TAIL, p->run);
    rowface_child(event, with_parent, &child);
    safe(&p->server, text(event, "server"));
    safe(&p->name, child.n ? buf_str(&child) : *text(event, "job") ? text(event, "job") : parent);
    if (child.n)
        safe(&p->job, text(event, "job"));
    if (is_result(event))
        say_result(p, event);
    else
        say_other(p, event);
    buf_free(&child);
}

/* ---- Columns */
static int width_of(const struct buf *b)
{
    return b->n ? term_width(span_of(b->p, b->n)) : 0;
}

/* A column is as wide as the widest cell it has shown, up to `max`. */
static int grow(int *column, int wanted, int max)
{
    if (wanted > *column)
        *column = wanted;
    return *column < max ? *column : max;
}

/* Appends a cell, padded, and the gap before it; a column that has never shown anything takes no
 * room. */
static void cell(struct buf *out, const struct term *t, enum term_mood mood, struct span s,
                 int width)
{
    struct buf cut = {0};
    if (width == 0)
        return;
    int used = term_cut(&cut, s, width);
    buf_printf(out, "%*s", GAP, "");
    if (cut.n)
        term_paint(out, t, mood, buf_str(&cut));
    if (used < width)
        buf_printf(out, "%*s", width - used, "");
    buf_free(&cut);
}

static struct span span_of_buf(const struct buf *b)
{
    return b->n ? span_of(b->p, b->n) : SPAN_NONE;
}

static void add_said(const struct event_line *l, const struct line_parts *p, int left,
                     struct buf *out)
{
    int page = term_page(&l->term), wanted = width_of(&p->said);
    if (!wanted)
        return;
    if (p->message && wanted > left) {
        buf_printf(out, "\n%*s", SAID_INDENT, "");
        term_wrap(out, span_of_buf(&p->said), SAID_INDENT, page);
        return;
    }
    if (left <= 0)
        return;
    buf_printf(out, "%*s", GAP, "");
    term_cut(out, span_of_buf(&p->said), left);
}

static void trim(struct buf *out)
{
    while (out->n && out->p[out->n - 1] == ' ')
        out->n--;
}

void line_of_event(struct event_line *l, const json_t *event, struct buf *out)
{
    struct line_parts p = {0};
    const int page = term_page(&l->term), most = page / 3;
    const char *status = text(event, "status");
    parts_of(event, page >= ROOMY, &p);
    int server = grow(&l->server, width_of(&p.server), page / 8),
        name = grow(&l->name, width_of(&p.name), most),
        word = grow(&l->word, width_of(&p.word), page),
        took = grow(&l->took, (int)strlen(p.took), 8),
        job = grow(&l->job, width_of(&p.job), page / 6), parameters = width_of(&p.parameters);
    int left = page - (CLOCK + GAP + FIND_TAIL + GAP + name + GAP + word + GAP) -
               (server ? server + GAP : 0) - (took ? took + GAP : 0);
    bool with_job = job && page >= WIDE;
    left -= with_job ? job + GAP : 0;
    bool with_parameters = parameters && left >= parameters + GAP + width_of(&p.said);
    left -= with_parameters ? parameters + GAP : 0;
    buf_printf(out, "%s  %-*s", p.time, FIND_TAIL, p.run);
    cell(out, &l->term, TERM_PLAIN, span_of_buf(&p.server), server);
    cell(out, &l->term, TERM_PLAIN, span_of_buf(&p.name), name);
    cell(out, &l->term, TERM_FAINT, span_of_buf(&p.job), with_job ? job : 0);
    cell(out, &l->term, mood_of(status), span_of_buf(&p.word), word);
    cell(out, &l->term, TERM_PLAIN, span_str(p.took), took);
    cell(out, &l->term, TERM_PLAIN, span_of_buf(&p.parameters), with_parameters ? parameters : 0);
    if (!p.said.n)
        trim(out);
    add_said(l, &p, left, out);
    buf_add_str(out, "\n");
    parts_free(&p);
}

bool line_new_day(struct event_line *l, const json_t *event, struct buf *out)
{
    int64_t at;
    struct tm tm;
    char moment[TERM_TIME], zone[TERM_TIME];
    if (clock_parse(text(event, "at"), &at, NULL) < 0)
        return false;
    time_t t = (time_t)(at / 1000);
    localtime_r(&t, &tm);
    int day = (tm.tm_year + 1900) * 1000 + tm.tm_yday;
    if (day == l->day)
        return false;
    l->day = day;
    buf_printf(out, "%.10s, times in %s", term_moment(at, moment), term_zone(at, zone));
    return true;
}
