/* attempts.c - the durable state of the worker: attempts, as the entries of the spool make and
 * change them.
 *
 * Events and replay change the state through one function, attempts_apply, so that replay gives
 * the same state. The files of the spool are replayed one after the other, not in the order in
 * which they were written. Therefore an entry about an attempt that we no longer know (recorded
 * or finished) is skipped, and of two entries that say the same the first counts. */
#include "worker/core/inside.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "trust/call.h"
#include "trust/envelope.h"

struct wrun *wrun_find(const struct wcore *c, struct id run)
{
    struct wrun *r;
    HASH_FIND(hh, c->runs, &run, sizeof run, r);
    return r;
}

struct wattempt *attempt_find(const struct wcore *c, struct id run, uint64_t attempt)
{
    struct wrun *r = wrun_find(c, run);
    struct wattempt *a = NULL;
    if (r)
        DL_FOREACH2 (r->attempts, a, a_next)
            if (a->attempt == attempt)
                return a;
    return NULL;
}

struct wattempt *attempt_add(struct wcore *c, struct id run, uint64_t attempt)
{
    struct wrun *r = wrun_find(c, run);
    if (!r) {
        r = mem_zalloc(1, sizeof *r);
        r->id = run;
        HASH_ADD(hh, c->runs, id, sizeof r->id, r);
    }
    struct wattempt *a = mem_zalloc(1, sizeof *a);
    a->run = r;
    a->attempt = attempt;
    DL_APPEND2(r->attempts, a, a_prev, a_next);
    c->n_attempts++;
    c->n_unfinished++;
    return a;
}

static void drop_work(struct wcore *c, struct wattempt *a)
{
    for (unsigned i = 0; i < a->n_tries; i++) {
        c->open -= !a->tries[i].t.ended;
        buf_free(&a->tries[i].outcome);
        buf_free(&a->tries[i].execution);
    }
    mem_free(&a->tries);
    a->n_tries = a->cap_tries = 0;
    buf_free(&a->execute);
    buf_free(&a->stopped_why);
    a->stopped = a->force = false;
    a->taken_at = 0;
    a->x = (struct m_execute){.call = SPAN_NONE};
    a->call = (struct d_call){.job = SPAN_NONE};
    wjob_drop(c, &a->job);
}

size_t attempt_result_bytes(const struct wattempt *a)
{
    return a->outcome.n + a->executions.n;
}

void attempt_drop(struct wcore *c, struct wattempt *a)
{
    slots_leave(c, a);
    drop_work(c, a);
    if (a->state == ATTEMPT_FINISHED) {
        if (c->unsent == a)
            c->unsent = a->next;
        DL_DELETE(c->outbox, a);
        c->in_flight -= a->sent ? attempt_result_bytes(a) : 0;
        c->finished_bytes -= attempt_result_bytes(a);
    } else {
        c->n_unfinished--;
    }
    c->n_attempts--;
    struct wrun *r = a->run;
    DL_DELETE2(r->attempts, a, a_prev, a_next);
    if (!r->attempts) {
        HASH_DEL(c->runs, r);
        mem_free(&r);
    }
    buf_free(&a->outcome);
    buf_free(&a->executions);
    buf_free(&a->text);
    mem_free(&a);
}

void attempts_free(struct wcore *c)
{
    struct wrun *r, *next;
    HASH_ITER (hh, c->runs, r, next) {
        struct wattempt *a, *a_next;
        bool last = false;
        for (a = r->attempts; !last; a = a_next) {
            a_next = a->a_next;
            last = !a_next;
            attempt_drop(c, a);
        }
    }
}

enum refusal attempt_fill(struct wattempt *a, struct span execute, struct error *err)
{
    buf_clear(&a->execute);
    buf_add(&a->execute, execute.p, execute.n);
    struct d_signed s;
    int rc = m_execute_decode(buf_span(&a->execute), &a->x, err);
    if (rc == 0)
        rc = d_signed_decode(a->x.call, &s, err);
    if (rc == 0)
        rc = d_call_decode(s.body, &a->call, err);
    if (rc == 0)
        call_digest(s.body, &a->call_hash);
    return rc == 0 ? REFUSAL_NONE : rc == -EMSGSIZE ? REFUSAL_TOO_LARGE : REFUSAL_MALFORMED;
}

struct wtry *attempt_try(struct wattempt *a, struct span step, uint64_t try_no)
{
    int at = a->job ? steps_find(&a->job->def, step) : STEPS_NONE;
    for (unsigned i = a->n_tries; at >= 0 && i-- > 0;)
        if (a->tries[i].t.step == (unsigned)at && a->tries[i].t.try_no == try_no)
            return &a->tries[i];
    return NULL;
}

struct wtry *attempt_open_try(struct wattempt *a)
{
    struct wtry *last = a->n_tries ? &a->tries[a->n_tries - 1] : NULL;
    return last && !last->t.ended ? last : NULL;
}

bool attempt_launched(const struct wattempt *a)
{
    for (unsigned i = 0; i < a->n_tries; i++)
        if (a->tries[i].t.launched)
            return true;
    return false;
}

bool attempt_stops(const struct wattempt *a, const struct wtry *t)
{
    return a->stopped && (a->force || !a->job->def.steps[t->t.step].always);
}

void attempt_next(struct wattempt *a, struct steps_next *ret)
{
    const struct steps_scope scope = {.rerun = a->x.on_lost == ON_LOST_RERUN,
                                      .stopped = a->stopped,
                                      .force = a->force,
                                      .stopped_as = a->stopped_as};
    struct steps s;
    steps_begin(&s, &a->job->def, &scope);
    /* One that is open ends the list for the machine, even if a damaged spool says how a later one
     * has ended. */
    bool open = false;
    for (unsigned i = 0; i < a->n_tries && !open; i++) {
        steps_add(&s, &a->tries[i].t);
        open = !a->tries[i].t.ended;
    }
    steps_next(&s, ret);
}

/* ---- What each entry does */

static int apply_taken(struct wcore *c, const struct s_taken *s, struct error *err)
{
    struct m_execute x;
    int rc = m_execute_decode(s->execute, &x, err);
    if (rc < 0)
        return rc;
    struct wattempt *a = attempt_find(c, x.run, x.attempt);
    if (a && a->state != ATTEMPT_SEEKING)
        return 0;
    struct wjob *job = wjob_hold(c, &x.job_hash, s->job, err);
    if (!job)
        return err && err->code ? err->code : -EPROTO;
    if (!a)
        a = attempt_add(c, x.run, x.attempt);
    if (attempt_fill(a, s->execute, err) != REFUSAL_NONE) {
        wjob_drop(c, &job);
        attempt_drop(c, a);
        return -EPROTO;
    }
    a->job = job;
    a->taken_at = s->at;
    a->state = ATTEMPT_LIVE;
    return 0;
}

/* The try, added if it is missing; NULL: this attempt cannot have it. */
static struct wtry *add_try(struct wcore *c, struct wattempt *a, struct span step, uint64_t try_no,
                            int64_t at)
{
    int i = a && a->state == ATTEMPT_LIVE ? steps_find(&a->job->def, step) : STEPS_NONE;
    struct wtry *t = i < 0 ? NULL : attempt_try(a, step, try_no);
    if (i < 0 || t)
        return t;
    if (a->n_tries == a->cap_tries) {
        a->cap_tries = a->cap_tries ? a->cap_tries * 2 : 2;
        a->tries = mem_realloc(a->tries, a->cap_tries, sizeof *a->tries);
    }
    t = &a->tries[a->n_tries++];
    *t = (struct wtry){.t = {.step = (unsigned)i, .try_no = try_no}, .asked_at = at};
    c->open++;
    return t;
}

/* What was launched or has ended was asked for: where that entry is lost, this one stands for
 * it. */
static struct wtry *patch_try(struct wcore *c, struct wattempt *a, struct span step,
                              uint64_t try_no, int64_t at)
{
    const unsigned had = a ? a->n_tries : 0;
    struct wtry *t = add_try(c, a, step, try_no, at);
    if (t && a->n_tries > had)
        a->patched = true;
    return t;
}

static int apply_stepped(struct wcore *c, const struct s_stepped *s)
{
    add_try(c, attempt_find(c, s->run, s->attempt), s->step, s->try_no, s->at);
    return 0;
}

static int apply_ended(struct wcore *c, const struct s_ended *s, struct error *err)
{
    struct d_step_outcome o;
    int rc = d_step_outcome_decode(s->outcome, &o, err);
    if (rc < 0)
        return rc;
    struct wattempt *a = attempt_find(c, s->run, s->attempt);
    struct wtry *t = patch_try(c, a, o.name, o.try_no, o.started_at);
    if (!t || t->t.ended)
        return 0;
    buf_add(&t->outcome, s->outcome.p, s->outcome.n);
    buf_add(&t->execution, s->execution.p, s->execution.n);
    c->open--;
    rc = d_step_outcome_decode(buf_span(&t->outcome), &t->o, err);
    steps_take_end(&t->t, &t->o);
    return rc;
}

static int apply_launched(struct wcore *c, const struct s_launched *s)
{
    struct wattempt *a = attempt_find(c, s->run, s->attempt);
    struct wtry *t = patch_try(c, a, s->step, s->try_no, s->at);
    if (t && !t->t.launched) {
        t->t.launched = true;
        t->launched_at = s->at;
    }
    return 0;
}

static int apply_stopped(struct wcore *c, const struct s_stopped *s)
{
    struct wattempt *a = attempt_find(c, s->run, s->attempt);
    if (!a || a->state != ATTEMPT_LIVE)
        return 0;
    if (!a->stopped) {
        a->stopped_as = s->job < JOB_COUNT ? (enum job_outcome)s->job : JOB_UNKNOWN;
        buf_add(&a->stopped_why, s->reason.p, s->reason.n);
    }
    a->stopped = true;
    a->force |= s->force;
    return 0;
}

static int apply_finished(struct wcore *c, const struct s_finished *s, struct error *err)
{
    struct d_outcome o;
    int rc = d_outcome_decode(s->outcome, &o, err);
    if (rc < 0)
        return rc;
    struct wattempt *a = attempt_find(c, s->run, s->attempt);
    if (a && a->state == ATTEMPT_FINISHED)
        return 0;
    if (!a)
        a = attempt_add(c, s->run, s->attempt);
    slots_leave(c, a);
    drop_work(c, a);
    a->state = ATTEMPT_FINISHED;
    buf_add(&a->outcome, s->outcome.p, s->outcome.n);
    buf_add(&a->executions, s->executions.p, s->executions.n);
    c->finished_bytes += attempt_result_bytes(a);
    c->n_unfinished--;
    DL_APPEND(c->outbox, a);
    if (!c->unsent)
        c->unsent = a;
    return 0;
}

static int apply_gone(struct wcore *c, struct id run, uint64_t attempt)
{
    struct wattempt *a = attempt_find(c, run, attempt);
    if (a)
        attempt_drop(c, a);
    return 0;
}

int attempts_apply(struct wcore *c, struct span entry, struct error *err)
{
    uint64_t kind;
    size_t size;
    int rc = wire_peek(entry, &kind, &size, err);
    if (rc < 0)
        return rc;
#define APPLY(UP, name, call) \
    case KIND_S_##UP: { \
        struct s_##name s; \
        return (rc = s_##name##_decode(entry, &s, err)) < 0 ? rc : call; \
    }
    switch (kind) {
        APPLY(TAKEN, taken, apply_taken(c, &s, err))
        APPLY(STEPPED, stepped, apply_stepped(c, &s))
        APPLY(STOPPED, stopped, apply_stopped(c, &s))
        APPLY(LAUNCHED, launched, apply_launched(c, &s))
        APPLY(ENDED, ended, apply_ended(c, &s, err))
        APPLY(FINISHED, finished, apply_finished(c, &s, err))
        APPLY(RECORDED, recorded, apply_gone(c, s.run, s.attempt))
        APPLY(GIVEN_BACK, given_back, apply_gone(c, s.run, s.attempt))
    case KIND_S_OUTPUT:
    case KIND_S_PROGRESS:
        return 0;
    default:
        return error_set(err, -EPROTO, "an entry of kind %" PRIu64 " does not belong in a spool",
                         kind);
    }
#undef APPLY
}

/* ---- The digest: every durable field, in an order that no table decides */

static int by_id(const struct wrun *a, const struct wrun *b)
{
    return id_cmp(a->id, b->id);
}

static int by_number(const struct wattempt *a, const struct wattempt *b)
{
    return a->attempt < b->attempt ? -1 : a->attempt > b->attempt;
}

static void digest_attempt(const struct wattempt *a, struct buf *b)
{
    char id[ID_TEXT];
    buf_printf(b, "%s/%" PRIu64 " %d %" PRId64 " %d %d %d\n", id_format(a->run->id, id), a->attempt,
               (int)a->state, a->taken_at, a->stopped, a->force,
               a->stopped ? (int)a->stopped_as : 0);
    const struct buf *parts[] = {&a->execute, &a->stopped_why, &a->outcome, &a->executions,
                                 a->job ? &a->job->bytes : &a->outcome};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        buf_printf(b, "%zu:", parts[i]->n);
        buf_add(b, parts[i]->p, parts[i]->n);
    }
    for (unsigned i = 0; i < a->n_tries; i++) {
        const struct wtry *t = &a->tries[i];
        buf_printf(b, "%u.%" PRIu64 " %" PRId64 " %" PRId64 " %d %d %zu:", t->t.step, t->t.try_no,
                   t->asked_at, t->launched_at, t->t.launched, t->t.ended, t->outcome.n);
        buf_add(b, t->outcome.p, t->outcome.n);
        buf_add(b, t->execution.p, t->execution.n);
    }
}

void wcore_digest(const struct wcore *c, struct hash *ret)
{
    struct wcore *sorting = (struct wcore *)c; /* sorting a table changes no state */
    struct buf b = {0};
    HASH_SORT(sorting->runs, by_id);
    for (struct wrun *r = sorting->runs; r; r = r->hh.next) {
        struct wattempt *a;
        DL_SORT2(r->attempts, by_number, a_prev, a_next);
        DL_FOREACH2 (r->attempts, a, a_next)
            if (a->state != ATTEMPT_SEEKING)
                digest_attempt(a, &b);
    }
    envelope_hash(buf_span(&b), ret);
    buf_free(&b);
}
