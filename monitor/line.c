/* line.c - see line.h. */
#include "monitor/line.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/mem.h"

static const char *text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static enum term_mood mood_of(const char *status)
{
    if (strcmp(status, "succeeded") == 0)
        return TERM_GOOD;
    if (strcmp(status, "cancelled") == 0 || strcmp(status, "unknown") == 0 ||
        strcmp(status, "unreachable") == 0)
        return TERM_WARN;
    return TERM_BAD;
}

static void time_of_day(const char *rfc3339, struct buf *out)
{
    int64_t ms;
    struct tm tm;
    time_t t;
    if (clock_parse(rfc3339, &ms, NULL) < 0) {
        buf_add_str(out, "--:--:--");
        return;
    }
    t = (time_t)(ms / 1000);
    localtime_r(&t, &tm);
    buf_printf(out, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
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
    char *dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    safe(out, dump ? dump : "");
    free(dump);
}

/* One "name=value"; shorter values say more in a line: table=orders before stage=/a/long/path. */
struct pair {
    struct buf text;
    size_t value; /* its bytes */
    unsigned at;  /* as it came */
};

static int shorter_first(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* "table=orders day=2026-11-21", at most three and 40 columns: who wants all asks lbctl show. */
static void pairs(struct buf *out, json_t *object)
{
    const char *key;
    json_t *v;
    struct buf all = {0};
    struct pair *p = mem_zalloc(json_object_size(object), sizeof *p);
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
        if (i < 3) {
            buf_add_str(&all, i ? " " : "");
            buf_add(&all, p[i].text.p, p[i].text.n);
        }
        buf_free(&p[i].text);
    }
    term_cut(out, buf_span(&all), 40);
    buf_free(&all);
    mem_free(&p);
}

static void elapsed(struct buf *out, const json_t *event)
{
    int64_t from, to;
    char d[DURATION_TEXT];
    if (clock_parse(text(event, "started_at"), &from, NULL) == 0 &&
        clock_parse(text(event, "ended_at"), &to, NULL) == 0 && to >= from)
        buf_printf(out, "  %s", duration_format(to - from, d));
}

/* The message of the package that did not succeed, else the run's own. */
static const char *why(const json_t *event)
{
    const json_t *steps = json_object_get(json_object_get(event, "job_outcome"), "steps");
    for (size_t i = json_array_size(steps); i-- > 0;) {
        const json_t *package = json_object_get(json_array_get(steps, i), "package");
        if (strcmp(text(package, "state"), "succeeded") != 0 && *text(package, "message"))
            return text(package, "message");
    }
    return text(event, "message");
}

static void outputs_of(struct buf *out, const json_t *event)
{
    json_t *outputs = json_object_get(event, "outputs");
    if (json_object_size(outputs)) {
        buf_add_str(out, "  ");
        pairs(out, outputs);
    }
}

static void place(struct buf *out, const json_t *event)
{
    if (!*text(event, "task"))
        return;
    buf_add_str(out, "  ");
    if (*text(event, "parent_name")) {
        safe(out, text(event, "parent_name"));
        buf_add_str(out, "/");
    }
    safe(out, text(event, "task"));
    buf_printf(out, "/%lld", (long long)json_integer_value(json_object_get(event, "index")));
}

static void result(const json_t *event, const struct term *term, struct buf *out)
{
    const char *status = text(event, "status");
    struct buf said = {0};
    safe(out, *text(event, "server") ? text(event, "server") : "-");
    buf_add_str(out, "  ");
    safe(out, text(event, "job"));
    if (json_object_size(json_object_get(event, "parameters"))) {
        buf_add_str(out, "  ");
        pairs(out, json_object_get(event, "parameters"));
    }
    buf_add_str(out, "  ");
    term_paint(out, term, mood_of(status), status);
    elapsed(out, event);
    buf_printf(out, "  attempt %lld",
               (long long)json_integer_value(json_object_get(event, "attempt")));
    if (strcmp(status, "succeeded") == 0) {
        outputs_of(out, event);
    } else if (*why(event)) {
        safe(&said, why(event));
        buf_add_str(out, "  ");
        term_cut(out, buf_span(&said), 60);
    }
    place(out, event);
    buf_free(&said);
}

static void other(const json_t *event, struct buf *out)
{
    static const char *const keys[] = {"epoch",   "server",  "job",       "plan", "name",
                                       "version", "address", "principal", "role", "state",
                                       "status",  "verb",    "target",    "step", "text",
                                       "why",     "by",      "operator",  "how",  "reason"};
    safe(out, text(event, "event"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *v = json_object_get(event, keys[i]);
        if (!*text(event, keys[i]) && !json_is_integer(v))
            continue;
        buf_printf(out, "  %s=", keys[i]);
        value(out, v);
    }
    if (*text(event, "run"))
        buf_printf(out, "  %.8s", text(event, "run"));
}

void line_of_event(const json_t *event, const struct term *term, struct buf *out)
{
    time_of_day(text(event, "at"), out);
    buf_add_str(out, "  ");
    if (strcmp(text(event, "event"), "result") == 0)
        result(event, term, out);
    else
        other(event, out);
    buf_add_str(out, "\n");
}
