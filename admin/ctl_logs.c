/* ctl_logs.c - lbctl logs: the output of a run's steps, from anywhere, even while it runs.
 *
 * stdout of the child goes to our stdout and stderr to our stderr; our own messages (which try
 * comes now, what was cut or is missing) go to stderr, so that stdout is only the child's. After a
 * reconnect the broker may repeat what it has sent: the position of each stream is remembered, so
 * nothing is printed twice. */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl_logs.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/logtext.h"
#include "common/mem.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"follow", 'f', OPTION_FLAG, NULL, 0, 0, false, NULL, "go on until the run has ended"},
    {"step", 's', OPTION_STR, "", 0, LIMIT_NAME, false, "NAME", "only of this step"},
    {"try", 0, OPTION_INT, "0", 0, LIMIT_TRIES, false, "N", "only of this try of each step"},
    {"grep", 'g', OPTION_STR, "", 0, LIMIT_TEXT, false, "PATTERN",
     "only lines that this extended regular expression matches"},
    {"since", 0, OPTION_STR, NULL, 0, 0, false, "TIME",
     "only what was written since: 2h, 09:14, \"2026-11-20 09:14\""},
    {"times", 't', OPTION_FLAG, NULL, 0, 0, false, NULL, "before each line when it was read"},
    CTL_UTC_ROW,
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "one JSON object a piece: run, step, attempt, try, stream, offset, at, text"},
};

static const char examples[] =
    "  lbctl logs last -f\n"
    "  lbctl logs 4b3c2d10 --step extract 2>/dev/null       its standard output alone\n"
    "  lbctl logs last --grep 'error|warn' --times\n"
    "Exit codes: 0 done; 1 the run has no output, because it has not started or was\n"
    "refused; 2 wrong usage, a parent, or an unknown step; 3 refused, or the broker\n"
    "cannot be reached.\n";

struct log_reading;

/* One stream of one try. */
struct log_place {
    struct log_reading *of;
    uint64_t attempt, try_no, stream, next, cut;
    char step[LIMIT_NAME + 1];
    struct logtext text;
};

struct log_reading {
    char **argv;
    struct longboat *lb;
    struct id run;
    bool as_json, times, greps, done;
    regex_t pattern; /* where `greps` */
    int64_t since;
    uint64_t try_no; /* 0: any */
    int code;
    bool err_is_terminal;
    struct log_place **places;
    unsigned n_places;
    const struct log_place *last; /* whose output was printed last */
    bool any;
};

static struct log_place *place_of(struct log_reading *r, const struct m_log_data *d)
{
    for (unsigned i = 0; i < r->n_places; i++) {
        struct log_place *p = r->places[i];
        if (p->attempt == d->attempt && p->try_no == d->try_no && p->stream == d->stream &&
            span_eq_str(d->step, p->step))
            return p;
    }
    r->places = mem_realloc(r->places, r->n_places + 1, sizeof *r->places);
    struct log_place *p = r->places[r->n_places++] = mem_znew(struct log_place);
    p->of = r;
    p->attempt = d->attempt;
    p->try_no = d->try_no;
    p->stream = d->stream;
    span_copy_str(d->step, p->step, sizeof p->step);
    return p;
}

static const char *stream_of(const struct log_place *p)
{
    return p->stream == 2 ? "stderr" : "stdout";
}

/* ---- JSON */
/* more, n: what is said beside the text; NULL: nothing. */
static void print_json(const struct log_place *p, struct span bytes, uint64_t offset, int64_t when,
                       const char *more, uint64_t n)
{
    char at[CLOCK_TEXT], run[ID_TEXT];
    struct buf text = {0};
    logtext_as_utf8(bytes, &text);
    json_t *o = json_pack("{s:i, s:s, s:s, s:I, s:I, s:s, s:I, s:s}", "v", 1, "run",
                          id_format(p->of->run, run), "step", p->step, "attempt",
                          (json_int_t)p->attempt, "try", (json_int_t)p->try_no, "stream",
                          stream_of(p), "offset", (json_int_t)offset, "at", clock_format(when, at));
    json_object_set_new(o, "text", json_stringn(text.n ? (char *)text.p : "", text.n));
    if (more)
        json_object_set_new(o, more, json_integer((json_int_t)n));
    char *line = json_dumps(o, JSON_COMPACT);
    if (line)
        term_say(stdout, "%s\n", line);
    free(line);
    json_decref(o);
    buf_free(&text);
}

/* ---- Text */
static bool is_same_try(const struct log_place *a, const struct log_place *b)
{
    return a && a->attempt == b->attempt && a->try_no == b->try_no && strcmp(a->step, b->step) == 0;
}

/* Where the output of another step, try or attempt begins. A single try needs no title. */
static void print_title(struct log_reading *r, const struct log_place *p)
{
    bool same = is_same_try(r->last, p);
    bool plain = !r->any && p->attempt <= 1 && p->try_no <= 1;
    r->last = p;
    r->any = true;
    if (same || plain)
        return;
    fflush(stdout);
    term_say(stderr, "[step %s, try %llu", p->step, (unsigned long long)p->try_no);
    if (p->attempt > 1)
        term_say(stderr, ", attempt %llu", (unsigned long long)p->attempt);
    term_say(stderr, "]\n");
}

static void print_time(FILE *to, int64_t at)
{
    char text[TERM_TIME];
    struct buf b = {0};
    buf_printf(&b, "%s.%03d ", term_moment(at, text), (int)(at % 1000));
    term_bytes(to, buf_span(&b));
    buf_free(&b);
}

static bool is_wanted(const struct log_reading *r, struct span line)
{
    regmatch_t at = {.rm_so = 0, .rm_eo = (regoff_t)line.n};
    if (line.n && line.p[line.n - 1] == '\n')
        at.rm_eo--;
    return !r->greps || regexec(&r->pattern, (const char *)line.p, 1, &at, REG_STARTEND) == 0;
}

static void print_piece(void *self, struct span text, uint64_t offset, int64_t at)
{
    struct log_place *p = self;
    FILE *to = p->stream == 2 ? stderr : stdout;
    if (!is_wanted(p->of, text))
        return;
    if (p->of->as_json) {
        print_json(p, text, offset, at, NULL, 0);
        return;
    }
    print_title(p->of, p);
    if (p->of->times)
        print_time(to, at);
    term_bytes(to, text);
    if ((p->of->times || p->of->greps) && text.p[text.n - 1] != '\n')
        term_bytes(to, span_str("\n"));
    fflush(to);
}

/* ---- Pieces as the broker sends them */
/* `cut` comes twice: when the cutting begins, and at the end with all that was cut. */
static void take_cut(struct log_place *p, const struct m_log_data *d)
{
    char size[DURATION_TEXT];
    bool first = !p->cut;
    if (d->cut <= p->cut)
        return;
    p->cut = d->cut;
    logtext_flush(&p->text, print_piece, p);
    if (p->of->as_json)
        print_json(p, SPAN_NONE, d->offset, d->at, "cut", d->cut);
    else if (first)
        term_say(stderr, "\n[%s of step %s is cut from here on: its limit is reached]\n",
                 stream_of(p), p->step);
    else
        term_say(stderr, "[%s of %s of step %s were cut in all]\n",
                 size_format((int64_t)d->cut, size), stream_of(p), p->step);
}

/* Bytes that never came: dropped at a full disk of the server, or beyond the broker's quota. */
static void say_missing(struct log_place *p, const struct m_log_data *d)
{
    char size[DURATION_TEXT];
    uint64_t n = d->offset - p->next;
    if (d->offset <= p->next || p->cut)
        return;
    logtext_flush(&p->text, print_piece, p);
    if (p->of->as_json)
        print_json(p, SPAN_NONE, p->next, d->at, "missing", n);
    else
        term_say(stderr, "[%s of %s of step %s are missing here: they were not kept]\n",
                 size_format((int64_t)n, size), stream_of(p), p->step);
}

static void chunk(struct log_reading *r, struct span bytes)
{
    struct m_log_data d;
    if (longboat_decode(r->lb, &m_log_data_schema, bytes, &d, NULL) < 0 ||
        (r->try_no && d.try_no != r->try_no))
        return;
    struct log_place *p = place_of(r, &d);
    bool wanted = d.at >= r->since;
    if (d.data.n && d.offset >= p->next) {
        if (wanted) {
            say_missing(p, &d);
            logtext_feed(&p->text, d.data, d.offset, d.at, r->times || r->greps, print_piece, p);
        }
        p->next = d.offset + d.data.n;
    }
    if (d.cut && wanted)
        take_cut(p, &d);
}

static void flush_places(struct log_reading *r)
{
    for (unsigned i = 0; i < r->n_places; i++)
        logtext_flush(&r->places[i]->text, print_piece, r->places[i]);
}

static void free_places(struct log_reading *r)
{
    for (unsigned i = 0; i < r->n_places; i++) {
        logtext_free(&r->places[i]->text);
        mem_free(&r->places[i]);
    }
    mem_free(&r->places);
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
    flush_places(r);
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
    r->run = run;
    if (code < 0)
        code = read_logs(r, &run, step, follow);
    if (code == EXIT_DONE && !r->any && !r->as_json && !r->greps && r->err_is_terminal)
        term_say(stderr, "no output\n");
    return code;
}

/* -1 to go on. */
static int take_options(struct log_reading *r, const struct option_values *v)
{
    struct error err = {0};
    char why[200];
    const char *since = opt_str(v, "since"), *pattern = opt_str(v, "grep");
    r->as_json = opt_flag(v, "json");
    r->times = opt_flag(v, "times");
    r->try_no = (uint64_t)opt_int(v, "try");
    if (opt_flag(v, "utc"))
        term_utc();
    if (since && *since && term_time_parse(since, clock_wall_ms(), &r->since, &err) < 0) {
        error_prefix(&err, "--since");
        return ctl_fail(r->argv, EXIT_ASKED_WRONGLY, &err);
    }
    int bad = *pattern ? regcomp(&r->pattern, pattern, REG_EXTENDED) : 0;
    if (bad) {
        regerror(bad, &r->pattern, why, sizeof why);
        error_set(&err, -EINVAL, "--grep: '%s' is not a regular expression: %s", pattern, why);
        return ctl_fail(r->argv, EXIT_ASKED_WRONGLY, &err);
    }
    r->greps = *pattern != '\0';
    return -1;
}

int ctl_logs(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "RUN [options]", examples, 1, 1,
                                &v, &first);
    if (code >= 0)
        return code;
    struct log_reading r = {.argv = argv, .err_is_terminal = isatty(STDERR_FILENO) == 1};
    code = take_options(&r, &v);
    if (code < 0) {
        r.lb = ctl_connect(argv);
        code = r.lb ? logs(&r, argv[first], &v) : EXIT_REFUSED;
    }
    longboat_close(&r.lb);
    free_places(&r);
    if (r.greps)
        regfree(&r.pattern);
    options_free(&v);
    return code;
}
