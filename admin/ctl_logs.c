/* ctl_logs.c - lbctl logs: the output of a run's steps, from anywhere, even while it runs.
 *
 * stdout of the child goes to our stdout and stderr to our stderr; our own messages (which try
 * comes now, what was cut) go to stderr, so that stdout is only the child's. After a reconnect the
 * broker may repeat what it has sent: the position of each stream is remembered, so nothing is
 * printed twice. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl_logs.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/mem.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"follow", 'f', OPTION_FLAG, NULL, 0, 0, false, NULL, "go on until the run has ended"},
    {"step", 's', OPTION_STR, "", 0, LIMIT_NAME, false, "NAME", "only of this step"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "one JSON object a chunk: step, attempt, try, stream, offset, at, text"},
};

static const char examples[] =
    "  lbctl logs last -f\n"
    "  lbctl logs 4b3c2d10 --step extract 2>/dev/null       its standard output alone\n"
    "Exit codes: 0 done; 1 the run has no output, because it has not started or was\n"
    "refused; 2 wrong usage, a parent, or an unknown step; 3 refused, or the broker\n"
    "cannot be reached.\n";

struct log_place {
    uint64_t attempt, try_no, stream, next;
    bool cut; /* the cut has been reported */
    char step[LIMIT_NAME + 1];
};

struct log_reading {
    char **argv;
    struct longboat *lb;
    bool as_json, done;
    int code;
    bool err_is_terminal;
    struct log_place *places;
    unsigned n_places;
    struct log_place last; /* whose output was printed last */
    bool any;
};

static struct log_place *place_of(struct log_reading *r, const struct m_log_data *d)
{
    for (unsigned i = 0; i < r->n_places; i++) {
        struct log_place *p = &r->places[i];
        if (p->attempt == d->attempt && p->try_no == d->try_no && p->stream == d->stream &&
            span_eq_str(d->step, p->step))
            return p;
    }
    r->places = mem_realloc(r->places, r->n_places + 1, sizeof *r->places);
    struct log_place *p = &r->places[r->n_places++];
    *p = (struct log_place){.attempt = d->attempt, .try_no = d->try_no, .stream = d->stream};
    span_copy_str(d->step, p->step, sizeof p->step);
    return p;
}

static void print_json(const struct m_log_data *d)
{
    char at[CLOCK_TEXT];
    json_t *o =
        json_pack("{s:i, s:s#, s:I, s:I, s:s, s:I, s:s}", "v", 1, "step", (const char *)d->step.p,
                  (int)d->step.n, "attempt", (json_int_t)d->attempt, "try", (json_int_t)d->try_no,
                  "stream", d->stream == 2 ? "stderr" : "stdout", "offset", (json_int_t)d->offset,
                  "at", clock_format(d->at, at));
    struct buf text = {0};
    json_t *value = json_stringn((const char *)d->data.p, d->data.n);
    if (!value) { /* not UTF-8: each foreign byte becomes visible */
        term_safe_lines(&text, d->data);
        value = json_stringn((const char *)text.p, text.n);
    }
    json_object_set_new(o, "text", value);
    if (d->cut)
        json_object_set_new(o, "cut", json_integer((json_int_t)d->cut));
    char *line = json_dumps(o, JSON_COMPACT);
    term_say(stdout, "%s\n", line);
    free(line);
    json_decref(o);
    buf_free(&text);
}

/* Where the output of another step, try or attempt begins. A single try needs no title. */
static void print_title(struct log_reading *r, const struct log_place *p)
{
    const struct log_place *l = &r->last;
    bool same = r->any && l->attempt == p->attempt && l->try_no == p->try_no &&
                strcmp(l->step, p->step) == 0;
    bool plain = !r->any && p->attempt <= 1 && p->try_no <= 1;
    r->last = *p;
    r->any = true;
    if (same || plain)
        return;
    fflush(stdout);
    term_say(stderr, "[step %s, try %llu", p->step, (unsigned long long)p->try_no);
    if (p->attempt > 1)
        term_say(stderr, ", attempt %llu", (unsigned long long)p->attempt);
    term_say(stderr, "]\n");
}

/* `cut` comes twice: when the cutting begins, and at the end with all that was cut. */
static void print_text(struct log_reading *r, const struct m_log_data *d, struct log_place *p)
{
    FILE *to = d->stream == 2 ? stderr : stdout;
    char size[DURATION_TEXT];
    print_title(r, p);
    term_bytes(to, d->data);
    fflush(to);
    if (d->cut && !p->cut)
        term_say(stderr, "\n[%s of step %s is cut from here on: its limit is reached]\n",
                 d->stream == 2 ? "stderr" : "stdout", p->step);
    else if (d->cut)
        term_say(stderr, "[%s were cut in all]\n", size_format((int64_t)d->cut, size));
    p->cut |= d->cut > 0;
}

static void chunk(struct log_reading *r, struct span bytes)
{
    struct m_log_data d;
    if (longboat_decode(r->lb, &m_log_data_schema, bytes, &d, NULL) < 0)
        return;
    struct log_place *p = place_of(r, &d);
    if (d.offset < p->next || (d.offset == p->next && d.data.n == 0 && d.cut == 0))
        return;
    p->next = d.offset + d.data.n + d.cut;
    r->as_json ? print_json(&d) : print_text(r, &d, p);
}

static bool answered(void *self, uint64_t kind, struct span message)
{
    struct log_reading *r = self;
    struct error err = {0};
    struct m_log log;
    struct m_error refused;
    struct span item;
    if (kind == KIND_M_ERROR &&
        longboat_decode(r->lb, &m_error_schema, message, &refused, &err) == 0) {
        term_say(stderr, "%s: " SPAN_FMT "\n", r->argv[0], SPAN_ARG(refused.text));
        r->code = ctl_code(-EREMOTEIO, (enum refusal)refused.code);
        r->done = true;
        return false;
    }
    if (longboat_decode(r->lb, &m_log_schema, message, &log, &err) < 0) {
        r->code = ctl_fail(r->argv, EXIT_REFUSED, &err);
        r->done = true;
        return false;
    }
    for (struct wire_iter it = wire_iter(&log.chunks); wire_next(&it, &item);)
        chunk(r, item);
    r->done = log.end;
    return !log.end;
}

static bool is_done(void *self)
{
    return ((struct log_reading *)self)->done;
}

static int read_logs(struct log_reading *r, const struct id *run, const char *step, bool follow)
{
    struct buf message = {0};
    struct error err = {0};
    struct m_logs m = {
        .req = longboat_req(r->lb), .run = *run, .step = span_str(step), .follow = follow};
    m_logs_encode(&m, &message);
    int rc = longboat_request(r->lb, m.req, buf_span(&message), answered, r, &err);
    if (rc == 0)
        rc = longboat_wait(r->lb, is_done, r, follow ? 0 : CTL_TIMEOUT_MS, &err);
    buf_free(&message);
    return rc < 0 ? ctl_fail(r->argv, EXIT_REFUSED, &err) : r->code;
}

static int logs(struct log_reading *r, const char *text, const struct option_values *v)
{
    const char *step = opt_str(v, "step");
    bool follow = opt_flag(v, "follow");
    struct id run;
    int code = ctl_find(r->argv, r->lb, text, &run);
    if (code < 0)
        code = ctl_logs_look(r->argv, r->lb, &run, step, follow);
    if (code < 0)
        code = read_logs(r, &run, step, follow);
    if (code == EXIT_DONE && !r->any && !r->as_json && r->err_is_terminal)
        term_say(stderr, "no output\n");
    return code;
}

int ctl_logs(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "RUN [options]", examples, 1, 1,
                                &v, &first);
    if (code >= 0)
        return code;
    struct log_reading r = {.argv = argv,
                            .as_json = opt_flag(&v, "json"),
                            .err_is_terminal = isatty(STDERR_FILENO) == 1};
    r.lb = ctl_connect(argv);
    code = r.lb ? logs(&r, argv[first], &v) : EXIT_REFUSED;
    longboat_close(&r.lb);
    mem_free(&r.places);
    options_free(&v);
    return code;
}
