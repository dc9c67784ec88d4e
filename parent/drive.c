/* drive.c - carries out the core's decisions, feeds it the broker's answers, and shows progress. */
#include "parent/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/hashtable.h"
#include "common/mem.h"
#include "parent/report/report.h"

enum {
    /* a call may wait for a day, and longer if its start_within is longer */
    EXPIRES_MIN_MS = 86400000,
    REPORT_MAX = LIMIT_CALL - 1024,
    PICTURE_MS = 1000 /* how often the picture is redrawn for its clock when nothing changes */
};

/* A call that could not be made. */
struct failed {
    uint32_t task, index;
    char *text;
};

/* A line already printed in this session: a thousand children parked for one reason need only
   one. */
struct told {
    UT_hash_handle hh;
    char what[]; /* task, state, server, reason */
};

struct driver {
    struct submit_shell *shell;
    const struct graph *graph;
    struct parent_run *run;
    struct pcore *core;
    struct pcore_out out;
    struct drive_asked *asked; /* one for each task */
    struct drive_flight *flights;
    struct told *told;
    struct failed *failed;
    uint32_t n_failed, cap_failed;
    struct buf lines; /* for stderr, or with --json for stdout */
    struct lines told_lines;
    struct live live;
    struct loop_timer redraw;
    bool draws, changed, was_up, over;
    bool unproven; /* a child's result was not signed by its server */
    int64_t drawn_at;
    int height; /* of the screen it was drawn on */
    enum status verdict;
};

/* A task whose job is being resolved. */
struct drive_asked {
    struct driver *drive;
    uint32_t task;
};

/* One call in flight. */
struct drive_flight {
    struct driver *drive;
    struct drive_flight *prev, *next;
    uint32_t task, index;
};

static void feed(struct driver *d, struct pcore_event ev);

/* ---- Effects */

static struct drive_flight *flight_new(struct driver *d, const struct pcore_effect *e)
{
    struct drive_flight *f = mem_alloc(sizeof *f);
    *f = (struct drive_flight){.drive = d, .next = d->flights, .task = e->task, .index = e->index};
    if (f->next)
        f->next->prev = f;
    d->flights = f;
    return f;
}

static void flight_free(struct drive_flight *f)
{
    *(f->prev ? &f->prev->next : &f->drive->flights) = f->next;
    if (f->next)
        f->next->prev = f->prev;
    mem_free(&f);
}

static void on_follow(void *self, const struct longboat_run *r)
{
    struct drive_flight *f = self;
    struct pcore_event ev = {.kind = PCORE_RUN,
                             .task = f->task,
                             .index = f->index,
                             .run = r->run,
                             .attempt = r->attempt,
                             .state = r->state,
                             .percent = r->percent,
                             .server = r->server,
                             .text = r->text,
                             .outcome = r->outcome,
                             .code = r->refused};
    struct driver *d = f->drive;
    d->unproven |= r->outcome && longboat_is_unproven(r->outcome);
    if (r->refused != REFUSAL_NONE)
        ev.kind = PCORE_REFUSED;
    else if (r->outcome)
        ev.kind = PCORE_ENDED;
    if (ev.kind != PCORE_RUN)
        flight_free(f);
    feed(d, ev);
}

static void call_failed(struct driver *d, const struct pcore_effect *e, const char *text)
{
    if (d->n_failed == d->cap_failed) {
        d->cap_failed = d->cap_failed ? 2 * d->cap_failed : 8;
        d->failed = mem_realloc(d->failed, d->cap_failed, sizeof *d->failed);
    }
    d->failed[d->n_failed++] = (struct failed){e->task, e->index, mem_strdup(text)};
}

static void call(struct driver *d, const struct pcore_effect *e)
{
    const struct graph_task *g = &d->graph->tasks[e->task];
    char key[LIMIT_KEY + 1], address[LIMIT_ADDRESS + 1];
    struct error err = {0};
    struct buf item = {0};
    pcore_child_item(d->core, e->task, e->index, &item);
    span_copy_str(e->key, key, sizeof key);
    span_copy_str(e->address, address, sizeof address);
    struct longboat_call c = {.job = g->job,
                              .address = address,
                              .key = key,
                              .parameters = e->parameters,
                              .on_lost = g->on_lost,
                              .pin_latest = hash_is_zero(&e->job_hash),
                              .job_hash = e->job_hash,
                              .priority = g->priority,
                              .lost_after_ms = g->lost_after_ms,
                              .start_within_ms = g->start_within_ms,
                              .timeout_ms = g->timeout_ms,
                              .as_of = d->graph->as_of,
                              .expires = loop_now_wall(d->shell->loop) + EXPIRES_MIN_MS +
                                         (int64_t)g->start_within_ms,
                              .parent = d->run->id,
                              .plan = d->graph->name,
                              .task = g->name,
                              .index = e->index,
                              .try_no = 1,
                              .item = buf_str(&item)};
    struct drive_flight *f = flight_new(d, e);
    if (longboat_call_start(d->shell->lb, &c, on_follow, f, &err) < 0) {
        call_failed(d, e, err.text);
        flight_free(f);
    }
    buf_free(&item);
}

static bool take_cancelled(void *self, uint64_t kind, struct span message)
{
    struct driver *d = self;
    struct m_error error;
    if (kind == KIND_M_ERROR &&
        longboat_decode(d->shell->lb, &m_error_schema, message, &error, NULL) == 0 &&
        error.code != REFUSAL_UNKNOWN_RUN && error.code != REFUSAL_STATE)
        shell_fail(d->shell, 0, "a child could not be cancelled: " SPAN_FMT, SPAN_ARG(error.text));
    return false;
}

static void cancel(struct driver *d, const struct pcore_effect *e)
{
    struct m_cancel m = {.req = longboat_req(d->shell->lb),
                         .run = e->run,
                         .reason = span_str("its parent was interrupted")};
    struct buf message = {0};
    m_cancel_encode(&m, &message);
    longboat_request(d->shell->lb, m.req, buf_span(&message), take_cancelled, d, NULL);
    buf_free(&message);
}

static void on_offer(void *self, const struct longboat_offer *o)
{
    const struct drive_asked *a = self;
    const struct graph_task *g = &a->drive->graph->tasks[a->task];
    if (o->refused == REFUSAL_NONE && !o->found && o->n_servers && !a->drive->shell->quiet)
        hint_job(a->drive->shell, g->job, g->address, o->servers[0]);
    feed(a->drive, (struct pcore_event){.kind = PCORE_RESOLVED,
                                        .task = a->task,
                                        .found = o->refused == REFUSAL_NONE,
                                        .job_hash = o->job_hash,
                                        .text = o->text,
                                        .servers = o->servers,
                                        .n_servers = o->n_servers});
}

static void resolve(struct driver *d, const struct pcore_effect *e)
{
    const struct graph_task *g = &d->graph->tasks[e->task];
    d->asked[e->task] = (struct drive_asked){d, e->task};
    longboat_offer(d->shell->lb, g->job, g->address, true, on_offer, &d->asked[e->task]);
}

static void forget_told(struct driver *d)
{
    struct told *t, *next;
    HASH_ITER (hh, d->told, t, next) {
        HASH_DEL(d->told, t);
        mem_free(&t);
    }
}

/* Has a sibling's line said the same? For states and refusals. */
static bool is_told(struct driver *d, const struct pcore_effect *e)
{
    struct pcore_child k;
    struct told *t;
    if (e->kind != PCORE_FX_CHILD)
        return false;
    pcore_child(d->core, e->task, e->index, &k);
    const bool refused = e->news == NEWS_ENDED && k.status == STATUS_REFUSED;
    if (e->news != NEWS_STATE && !refused)
        return false;
    char *what = mem_printf("%u %d %s %s", (unsigned)e->task, refused ? -1 : (int)k.run_state,
                            k.server, k.text);
    HASH_FIND_STR(d->told, what, t);
    if (!t) {
        struct told *add = mem_alloc(sizeof *add + strlen(what) + 1);
        memcpy(add->what, what, strlen(what) + 1);
        HASH_ADD_STR(d->told, what, add);
    }
    mem_free(&what);
    return t != NULL;
}

static void show(struct driver *d, const struct pcore_effect *e)
{
    const int64_t now = loop_now_wall(d->shell->loop);
    d->changed = true;
    if (d->shell->json)
        report_events_add(d->core, e, now, &d->lines);
    else if (!d->shell->quiet && !is_told(d, e))
        lines_add(&d->told_lines, d->core, e, now, d->draws, &d->shell->err, &d->lines);
}

static void act(struct driver *d, const struct pcore_effect *e)
{
    switch (e->kind) {
    case PCORE_FX_RESOLVE:
        resolve(d, e);
        break;
    case PCORE_FX_CALL:
        call(d, e);
        break;
    case PCORE_FX_CANCEL:
        cancel(d, e);
        break;
    case PCORE_FX_END:
        d->over = true;
        d->verdict = e->verdict;
        break;
    case PCORE_FX_CHILD:
    case PCORE_FX_SKIPPED:
        show(d, e);
        break;
    }
}

static void step(struct driver *d, struct pcore_event *ev)
{
    ev->now = loop_now_wall(d->shell->loop);
    pcore_step(d->core, ev, &d->out);
    for (uint32_t i = 0; i < d->out.n_effects; i++)
        act(d, &d->out.effects[i]);
    lines_flush(&d->told_lines, d->core, &d->shell->err, &d->lines);
}

/* Effects point into memory that the next step reuses, so calls that could not be made are fed
   back after all effects of the step. */
static void feed(struct driver *d, struct pcore_event ev)
{
    step(d, &ev);
    while (d->n_failed) {
        struct failed f = d->failed[--d->n_failed];
        struct pcore_event refused = {.kind = PCORE_REFUSED,
                                      .task = f.task,
                                      .index = f.index,
                                      .code = REFUSAL_BAD_ARGUMENT,
                                      .text = f.text};
        step(d, &refused);
        mem_free(&f.text);
    }
}

/* ---- The picture */

static int height_of_screen(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : LIVE_HEIGHT;
}

/* Lines first, the picture below them, in one write. */
static void draw(struct driver *d, bool last)
{
    struct buf out = {0};
    d->shell->err = term_of(STDERR_FILENO);
    d->height = height_of_screen();
    if (last || d->lines.n)
        live_clear(&d->live, &d->shell->err, d->height, &out);
    buf_add(&out, d->lines.p, d->lines.n);
    buf_clear(&d->lines);
    if (!last)
        live_draw(&d->live, d->core, loop_now_wall(d->shell->loop), &d->shell->err, d->height,
                  &out);
    shell_print_err(buf_span(&out));
    buf_free(&out);
    d->changed = false;
    d->drawn_at = loop_now(d->shell->loop);
}

static void on_redraw(struct loop *l, struct loop_timer *t, void *arg)
{
    struct driver *d = arg;
    bool resized =
        term_of(STDERR_FILENO).width != d->shell->err.width || height_of_screen() != d->height;
    if (d->changed || resized || d->lines.n || loop_now(l) - d->drawn_at >= PICTURE_MS)
        draw(d, false);
    loop_timer_set(l, t, "drive.redraw", loop_now(l) + LIVE_REDRAW_MS, on_redraw, d);
}

static void flush(struct driver *d)
{
    if (!d->lines.n)
        return;
    d->shell->json ? shell_print(buf_span(&d->lines)) : shell_print_err(buf_span(&d->lines));
    buf_clear(&d->lines);
}

static void on_turn_end(struct loop *l, void *arg)
{
    struct driver *d = arg;
    (void)l;
    if (!d->draws)
        flush(d);
    bool up = longboat_is_up(d->shell->lb);
    if (up && !d->was_up) {
        forget_told(d);
        parent_hold(d->shell, d->run);
    }
    d->was_up = up;
}

/* ---- Ctrl-C */

static _Noreturn void leave(struct driver *d)
{
    if (d->draws)
        draw(d, true);
    d->shell->screen = NULL;
    char id[ID_TEXT];
    shell_fail(d->shell, 0, "left; children of parent %s that run go on (lbctl runs)",
               id_format(d->run->id, id));
    _exit(EXIT_LEFT);
}

static void on_interrupt(void *self, int times)
{
    struct driver *d = self;
    uint32_t n = pcore_in_flight(d->core);
    char id[ID_TEXT];
    if (d->over) {
        /* the outcome is known, if perhaps not to the broker, so the report is printed */
        shell_fail(d->shell, 0, "left before the end of parent %s was recorded",
                   id_format(d->run->id, id));
        loop_stop(d->shell->loop, EXIT_LEFT);
        return;
    }
    if (times > 1)
        leave(d);
    shell_fail(d->shell, 0, "cancelling %u %s; press again to leave at once", (unsigned)n,
               n == 1 ? "child" : "children");
    feed(d, (struct pcore_event){.kind = PCORE_CANCEL, .text = "lbsubmit was interrupted"});
    longboat_withdraw(d->shell->lb); /* calls that a busy broker has not accepted are dropped */
}

/* ---- From BEGIN to END */

static bool is_over(void *self)
{
    return ((struct driver *)self)->over;
}

/* The report on stdout is complete; the broker stores what fits in a message. */
static void print_report(struct driver *d)
{
    struct buf out = {0};
    if (d->shell->json) {
        buf_add_str(&out, "{\"v\":1,\"event\":\"report\",\"report\":");
        report_json(d->core, SIZE_MAX / 2, &out);
        buf_add_str(&out, "}\n");
    } else {
        report_text(d->core, &d->shell->out, &out);
    }
    shell_print(buf_span(&out));
    buf_free(&out);
}

static int finish(struct driver *d)
{
    struct buf json = {0};
    struct error err = {0};
    int code = d->verdict == STATUS_SUCCEEDED ? EXIT_SUCCEEDED
               : d->unproven                  ? EXIT_REFUSED
                                              : EXIT_RAN_AND_FAILED;
    report_json(d->core, REPORT_MAX, &json);
    int rc = parent_end(d->shell, d->run, d->verdict, buf_span(&json), &err);
    print_report(d);
    if (rc < 0) {
        error_prefix(&err, "the parent's end could not be recorded");
        code = shell_refused(d->shell, rc, &err);
    }
    buf_free(&json);
    return code;
}

static void open_drive(struct driver *d)
{
    struct loop *l = d->shell->loop;
    const char *kind = getenv("TERM");
    struct pcore_config config = {.parent = d->run->id, .graph = d->graph};
    d->core = pcore_new(&config);
    d->asked = mem_zalloc(d->graph->n, sizeof *d->asked);
    d->was_up = true;
    d->draws = d->shell->err.is_terminal && !d->shell->json && !d->shell->quiet && kind &&
               strcmp(kind, "dumb") != 0;
    d->shell->interrupted = on_interrupt;
    d->shell->self = d;
    loop_on_turn_end(l, on_turn_end, d);
    if (d->draws) {
        d->shell->screen = &d->lines;
        loop_timer_set(l, &d->redraw, "drive.redraw", loop_now(l), on_redraw, d);
    }
}

static void close_picture(struct driver *d)
{
    loop_timer_stop(d->shell->loop, &d->redraw);
    if (d->draws)
        draw(d, true);
    else
        flush(d);
    d->draws = false;
    d->shell->screen = NULL;
}

int drive(struct submit_shell *s, const struct plan_made *made, struct parent_run *run)
{
    struct driver d = {.shell = s, .graph = &made->graph, .run = run};
    struct error err = {0};
    int code;
    open_drive(&d);
    feed(&d, (struct pcore_event){.kind = PCORE_BEGIN});
    int rc = longboat_wait(s->lb, is_over, &d, 0, &err);
    close_picture(&d);
    code = rc < 0 ? shell_refused(s, rc, &err) : finish(&d);
    loop_off(s->loop, &d);
    s->interrupted = NULL;
    longboat_close(&s->lb); /* no callback comes after this */
    hint_free_all(s);
    while (d.flights)
        flight_free(d.flights);
    pcore_free(&d.core);
    pcore_out_free(&d.out);
    forget_told(&d);
    mem_free(&d.failed);
    mem_free(&d.asked);
    buf_free(&d.lines);
    return code;
}
