/* ctl_logread.c - one run's output, as lbctl logs prints it.
 *
 * stdout of the child goes to our stdout and stderr to our stderr; our own messages (which try
 * comes now, what was cut or is missing) go to stderr, so that stdout is only the child's. After a
 * reconnect the broker may repeat what it has sent: the position of each stream is remembered, so
 * nothing is printed twice. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/ctl_logs.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/logtext.h"
#include "common/mem.h"
#include "common/size.h"
#include "common/termout.h"

/* One stream of one try. */
struct log_place {
    struct logs_reading *of;
    uint64_t attempt, try_no, stream;
    uint64_t next, cut; /* next: the place of the next byte; cut: bytes that were cut off */
    char step[LIMIT_NAME + 1];
    struct logtext text;
};

struct logs_reading {
    const struct logs_wanted *w;
    struct id run;
    json_t *row;
    const char *prefix, *child;
    uint64_t req, heard;
    bool done, any, came; /* any: something was printed; came: something has come */
    bool lacks;           /* something is missing */
    int code;
    char *dropped; /* what the broker says of output that it has dropped; NULL: nothing yet */
    struct log_place **places;
    unsigned n_places;
    const struct log_place *last; /* whose output was printed last */
};

static struct log_place *find_place(const struct logs_reading *r, uint64_t attempt, uint64_t try_no,
                                    uint64_t stream, struct span step)
{
    for (unsigned i = 0; i < r->n_places; i++) {
        struct log_place *p = r->places[i];
        if (p->attempt == attempt && p->try_no == try_no && p->stream == stream &&
            span_eq_str(step, p->step))
            return p;
    }
    return NULL;
}

static struct log_place *place_of(struct logs_reading *r, uint64_t attempt, uint64_t try_no,
                                  uint64_t stream, struct span step)
{
    struct log_place *p = find_place(r, attempt, try_no, stream, step);
    if (p)
        return p;
    r->places = mem_realloc(r->places, r->n_places + 1, sizeof *r->places);
    p = r->places[r->n_places++] = mem_znew(struct log_place);
    p->of = r;
    p->attempt = attempt;
    p->try_no = try_no;
    p->stream = stream;
    span_copy_str(step, p->step, sizeof p->step);
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
    if (p->of->child)
        json_object_set_new(o, "child", json_string(p->of->child));
    if (more)
        json_object_set_new(o, more, json_integer((json_int_t)n));
    if (more && strcmp(more, "missing") == 0 && p->of->dropped)
        json_object_set_new(o, "why", json_string(p->of->dropped));
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
static void print_title(struct logs_reading *r, const struct log_place *p)
{
    bool same = is_same_try(r->last, p);
    bool plain = !r->any && p->attempt <= 1 && p->try_no <= 1;
    r->last = p;
    r->any = true;
    if (same || plain)
        return;
    fflush(stdout);
    term_say(stderr, "%s[step %s, try %llu", r->prefix, p->step, (unsigned long long)p->try_no);
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

static bool is_wanted(const struct logs_wanted *w, struct span line)
{
    regmatch_t at = {.rm_so = 0, .rm_eo = (regoff_t)line.n};
    if (line.n && line.p[line.n - 1] == '\n')
        at.rm_eo--;
    return !w->greps || regexec(&w->pattern, (const char *)line.p, 1, &at, REG_STARTEND) == 0;
}

static bool is_by_line(const struct logs_reading *r)
{
    return r->w->times || r->w->greps || *r->prefix;
}

static void print_piece(void *self, struct span text, uint64_t offset, int64_t at)
{
    struct log_place *p = self;
    struct logs_reading *r = p->of;
    FILE *to = p->stream == 2 ? stderr : stdout;
    if (!is_wanted(r->w, text))
        return;
    if (r->w->as_json) {
        r->any = true;
        print_json(p, text, offset, at, NULL, 0);
        return;
    }
    print_title(r, p);
    if (r->w->times)
        print_time(to, at);
    term_say(to, "%s", r->prefix);
    term_bytes(to, text);
    if (is_by_line(r) && text.p[text.n - 1] != '\n')
        term_bytes(to, span_str("\n"));
    fflush(to);
}

/* ---- Pieces as the broker sends them */
/* `cut` comes twice: when the cutting begins, and at the end with all that was cut. */
static void take_cut(struct log_place *p, const struct m_log_data *d)
{
    char size[SIZE_TEXT];
    const struct logs_reading *r = p->of;
    bool first = !p->cut;
    if (d->cut <= p->cut)
        return;
    p->cut = d->cut;
    logtext_flush(&p->text, print_piece, p);
    if (r->w->as_json)
        print_json(p, SPAN_NONE, d->offset, d->at, "cut", d->cut);
    else if (first)
        term_say(stderr, "%s%s[%s of step %s is cut from here on: its limit is reached]\n",
                 *r->prefix ? "" : "\n", r->prefix, stream_of(p), p->step);
    else
        term_say(stderr, "%s[%s of %s of step %s were cut in all]\n", r->prefix,
                 size_format((int64_t)d->cut, size), stream_of(p), p->step);
}

/* Bytes that did not come: dropped at a full disk of the server, or by the broker's retention. */
static void say_missing(struct log_place *p, uint64_t to, int64_t at)
{
    char size[SIZE_TEXT];
    uint64_t n = to - p->next;
    if (to <= p->next || p->cut)
        return;
    p->of->lacks = true;
    logtext_flush(&p->text, print_piece, p);
    fflush(stdout);
    if (p->of->w->as_json)
        print_json(p, SPAN_NONE, p->next, at, "missing", n);
    else
        term_say(stderr, "%s[%s of %s of step %s are missing here: they were not kept]\n",
                 p->of->prefix, size_format((int64_t)n, size), stream_of(p), p->step);
}

static void chunk(struct logs_reading *r, struct span bytes)
{
    struct m_log_data d;
    const struct logs_wanted *w = r->w;
    if (longboat_decode(w->lb, &m_log_data_schema, bytes, &d, NULL) < 0 ||
        (w->try_no && d.try_no != w->try_no))
        return;
    struct log_place *p = place_of(r, d.attempt, d.try_no, d.stream, d.step);
    bool wanted = d.at >= w->since;
    r->came = true;
    if (d.data.n && d.offset >= p->next) {
        if (wanted) {
            say_missing(p, d.offset, d.at);
            logtext_feed(&p->text, d.data, d.offset, d.at, is_by_line(r), print_piece, p);
        }
        p->next = d.offset + d.data.n;
    }
    if (d.cut && wanted)
        take_cut(p, &d);
}

static bool answered(void *self, uint64_t kind, struct span message)
{
    struct logs_reading *r = self;
    struct longboat *lb = r->w->lb;
    struct error err = {0};
    struct m_log log;
    struct m_error refused;
    struct span item;
    r->heard++;
    if (kind == KIND_M_ERROR &&
        longboat_decode(lb, &m_error_schema, message, &refused, &err) == 0) {
        term_say(stderr, "%s%s: " SPAN_FMT "\n", r->prefix, r->w->argv[0], SPAN_ARG(refused.text));
        r->code = ctl_code(-EREMOTEIO, (enum refusal)refused.code);
        r->done = true;
        return false;
    }
    if (longboat_decode(lb, &m_log_schema, message, &log, &err) < 0) {
        r->code = ctl_fail(r->w->argv, EXIT_REFUSED, &err);
        r->done = true;
        return false;
    }
    if (!r->dropped && log.dropped.n)
        r->dropped = mem_printf(SPAN_FMT, SPAN_ARG(log.dropped));
    for (struct wire_iter it = wire_iter(&log.chunks); wire_next(&it, &item);)
        chunk(r, item);
    r->done = log.end;
    return !log.end;
}

/* ---- From outside */
/* A run that has just ended may have output on its way, which the broker waits for if we follow. */
struct logs_reading *logs_reading_begin(const struct logs_wanted *w, const struct id *run,
                                        json_t *row, const char *prefix, const char *child,
                                        struct error *err)
{
    struct buf message = {0};
    struct logs_reading *r = mem_znew(struct logs_reading);
    *r = (struct logs_reading){.w = w,
                               .run = *run,
                               .row = row,
                               .prefix = prefix,
                               .child = child,
                               .req = longboat_req(w->lb)};
    struct m_logs m = {.req = r->req,
                       .run = *run,
                       .step = span_str(w->step),
                       .follow = w->follow || ctl_has_ended(row)};
    m_logs_encode(&m, &message);
    int rc = longboat_request(w->lb, m.req, buf_span(&message), answered, r, err);
    buf_free(&message);
    if (rc < 0)
        mem_free(&r);
    return r;
}

bool logs_reading_is_done(const struct logs_reading *r)
{
    return r->done;
}

uint64_t logs_reading_heard(const struct logs_reading *r)
{
    return r->heard;
}

/* What a step's try has printed is on record: is there an end that did not come? */
static void check_end(struct logs_reading *r, json_t *step)
{
    static const char *const bytes[] = {"out_bytes", "err_bytes"};
    const char *name = ctl_text(step, "name");
    uint64_t attempt = (uint64_t)ctl_int(r->row, "attempt"),
             try_no = (uint64_t)ctl_int(step, "tries");
    int64_t at = ctl_time(step, "ended_at");
    if ((*r->w->step && strcmp(r->w->step, name) != 0) ||
        (r->w->try_no && r->w->try_no != try_no) || at < r->w->since)
        return;
    for (unsigned i = 0; i < COUNT_OF(bytes); i++) {
        uint64_t n = (uint64_t)ctl_int(step, bytes[i]);
        if (n)
            say_missing(place_of(r, attempt, try_no, i + 1, span_str(name)), n, at);
    }
}

static void say_end(struct logs_reading *r)
{
    size_t i;
    json_t *step;
    for (unsigned k = 0; k < r->n_places; k++)
        logtext_flush(&r->places[k]->text, print_piece, r->places[k]);
    if (r->done && r->code == EXIT_DONE)
        json_array_foreach (json_object_get(json_object_get(r->row, "job_outcome"), "steps"), i,
                            step)
            check_end(r, step);
    if (r->lacks && r->dropped && !r->w->as_json)
        term_say(stderr, "%s[%s]\n", r->prefix, r->dropped);
    if (r->code == EXIT_DONE && r->lacks && !r->came)
        r->code = EXIT_RAN_AND_FAILED;
}

int logs_reading_end(struct logs_reading **reading, bool *ret_any)
{
    struct logs_reading *r = *reading;
    if (!r->done)
        longboat_forget(r->w->lb, r->req);
    say_end(r);
    int code = r->code;
    *ret_any = r->any || r->lacks;
    for (unsigned i = 0; i < r->n_places; i++) {
        logtext_free(&r->places[i]->text);
        mem_free(&r->places[i]);
    }
    mem_free(&r->places);
    mem_free(&r->dropped);
    mem_free(reading);
    return code;
}
