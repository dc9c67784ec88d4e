/* steps.c - the step machine, as a fold.
 *
 * How far an attempt is follows from its job, from the steps that were asked for, in order, and
 * from how they ended. steps_fold computes it anew each time and stores only what each end led
 * to. A stop (cancel, or timeout of the call) acts on the last try alone: the earlier ones have
 * had their effect. */
#include "worker/core/inside.h"

#include <errno.h>
#include <string.h>

/* ---- Jobs */

static bool names_step(const struct wjob *j, struct span action, int *ret_step)
{
    static const char word[] = "goto ";
    if (action.n < sizeof word || memcmp(action.p, word, sizeof word - 1) != 0)
        return false;
    *ret_step = wjob_step(j, span_of(action.p + sizeof word - 1, action.n - (sizeof word - 1)));
    return *ret_step >= 0 && !j->steps[*ret_step].always;
}

static int check_action(const struct wjob *j, unsigned at, struct span action, struct error *err)
{
    int step;
    if (action.n == 0 || names_step(j, action, &step))
        return 0;
    int word = step_action_parse(action);
    if (word >= 0 && word != ACTION_GOTO && word != ACTION_RETRY)
        return 0;
    return error_set(
        err, -EPROTO,
        "job '" SPAN_FMT "': step '" SPAN_FMT "' leads to '" SPAN_FMT
        "'; expected next, quit-success, quit-failure, or goto STEP (not an `always` step)",
        SPAN_ARG(j->head.name), SPAN_ARG(j->steps[at].name), SPAN_ARG(action));
}

int wjob_read(struct wjob *j, struct error *err)
{
    int rc = d_job_decode(buf_span(&j->bytes), &j->head, err);
    if (rc < 0)
        return rc;
    struct wire_iter it = wire_iter(&j->head.steps);
    struct span item;
    bool some = false;
    j->steps = mem_zalloc(j->head.steps.count, sizeof *j->steps);
    while (wire_next(&it, &item)) {
        struct d_step s;
        if ((rc = d_step_decode(item, &s, err)) < 0)
            return rc;
        if (wjob_step(j, s.name) >= 0)
            return error_set(err, -EPROTO, "job '" SPAN_FMT "' has two steps named '" SPAN_FMT "'",
                             SPAN_ARG(j->head.name), SPAN_ARG(s.name));
        some |= !s.always;
        j->steps[j->n++] = s;
    }
    if (!some)
        return error_set(err, -EPROTO, "job '" SPAN_FMT "' has only `always` steps",
                         SPAN_ARG(j->head.name));
    for (unsigned i = 0; i < j->n; i++)
        if ((rc = check_action(j, i, j->steps[i].on_success, err)) < 0 ||
            (rc = check_action(j, i, j->steps[i].on_failure, err)) < 0)
            return rc;
    return 0;
}

int wjob_step(const struct wjob *j, struct span name)
{
    for (unsigned i = 0; i < j->n; i++)
        if (span_eq(j->steps[i].name, name))
            return (int)i;
    return -1;
}

struct wjob *wjob_hold(struct wcore *c, const struct hash *hash, struct span bytes,
                       struct error *err)
{
    struct wjob *j;
    HASH_FIND(hh, c->jobs, hash, sizeof *hash, j);
    if (j) {
        j->refs++;
        return j;
    }
    j = mem_zalloc(1, sizeof *j);
    j->hash = *hash;
    j->refs = 1;
    buf_add(&j->bytes, bytes.p, bytes.n);
    if (wjob_read(j, err) < 0) {
        buf_free(&j->bytes);
        mem_free(&j->steps);
        mem_free(&j);
        return NULL;
    }
    HASH_ADD(hh, c->jobs, hash, sizeof j->hash, j);
    return j;
}

void wjob_drop(struct wcore *c, struct wjob **pj)
{
    struct wjob *j = *pj;
    *pj = NULL;
    if (!j || --j->refs)
        return;
    HASH_DEL(c->jobs, j);
    buf_free(&j->bytes);
    mem_free(&j->steps);
    mem_free(&j);
}

/* ---- The fold */

struct fold {
    struct wattempt *a;
    struct machine *m;
    int at;         /* the next step; -1: none is left in this part of the job */
    unsigned visit; /* tries of it since the job came to it */
    bool decided;   /* the outcome of the job is decided */
    bool retry;
    bool launched; /* any try so far was launched */
    struct wtry *last;
};

static int step_after(const struct wjob *j, int at, bool always)
{
    for (unsigned i = (unsigned)(at + 1); i < j->n; i++)
        if (j->steps[i].always == always)
            return (int)i;
    return -1;
}

static void decide(struct fold *f, enum job_outcome verdict, const struct wtry *by)
{
    if (f->last && f->last->action == ACTION_RETRY)
        f->last->action = ACTION_QUIT_FAILURE; /* the next try will not come */
    f->decided = true;
    f->m->verdict = verdict;
    f->m->message = by ? by->o.message : SPAN_NONE;
    f->at = step_after(f->a->job, -1, true);
    f->visit = 0;
}

static void decide_stopped(struct fold *f, const struct wtry *by)
{
    bool ours = f->a->stopped_as == JOB_CANCELLED || f->a->stopped_as == JOB_TIMED_OUT;
    decide(f, f->a->stopped_as, by);
    if (!by || (ours && f->a->stopped_why.n))
        f->m->message = buf_span(&f->a->stopped_why);
}

/* True if this failure is retried. A refusal is not: it would be refused again. */
static bool is_tried_again(const struct fold *f, const struct d_step *s, const struct wtry *t)
{
    if (f->visit >= s->attempts || t->o.cancelled || t->o.package == PACKAGE_UNKNOWN)
        return false;
    if (t->o.code != REFUSAL_NONE && t->o.code != REFUSAL_START_FAILED)
        return false;
    if (s->retry_codes.n == 0)
        return true;
    return !t->o.signal && !t->o.timed_out && t->o.exit_code >= 0 && t->o.exit_code <= 255 &&
           memchr(s->retry_codes.p, (int)t->o.exit_code, s->retry_codes.n) != NULL;
}

static void move_on(struct fold *f, struct wtry *t, enum step_action action, int target)
{
    t->action = action;
    t->target = target < 0 ? 0 : (unsigned)target;
    if (action == ACTION_RETRY) {
        f->retry = true;
        f->m->failed_at = t->o.ended_at;
        return;
    }
    f->visit = 0;
    f->at = target;
}

/* An `always` step has ended: its failure changes nothing. */
static void fold_always(struct fold *f, struct wtry *t)
{
    const struct d_step *s = &f->a->job->steps[t->step];
    bool again = t->o.package != PACKAGE_SUCCEEDED && is_tried_again(f, s, t);
    move_on(f, t, again ? ACTION_RETRY : ACTION_NEXT, step_after(f->a->job, (int)t->step, true));
}

static void fold_failure(struct fold *f, struct wtry *t, enum step_action action, int target)
{
    if (action == ACTION_GOTO || action == ACTION_NEXT) {
        t->handled = action == ACTION_GOTO;
        move_on(f, t, action, target);
        if (f->at < 0)
            decide(f, JOB_SUCCEEDED, t);
        return;
    }
    t->action = action;
    if (action == ACTION_QUIT_SUCCESS)
        decide(f, JOB_SUCCEEDED, t);
    else if (f->a->stopped)
        decide_stopped(f, t);
    else
        decide(f, t->o.timed_out ? JOB_TIMED_OUT : JOB_FAILED, t);
}

static void fold_step(struct fold *f, struct wtry *t)
{
    const struct wjob *j = f->a->job;
    const struct d_step *s = &j->steps[t->step];
    bool ok = t->o.package == PACKAGE_SUCCEEDED;
    struct span what = ok ? s->on_success : s->on_failure;
    int target = -1;
    enum step_action action = names_step(j, what, &target) ? ACTION_GOTO
                              : what.n ? (enum step_action)step_action_parse(what)
                              : ok     ? ACTION_NEXT
                                       : ACTION_QUIT_FAILURE;
    if (action == ACTION_NEXT)
        target = step_after(j, (int)t->step, false);
    t->handled = false;
    t->action = ACTION_QUIT_FAILURE;
    if (t->o.code != REFUSAL_NONE && t->o.code != REFUSAL_START_FAILED && !f->launched) {
        decide(f, JOB_NOT_CALLED, t);
        f->m->refused = (enum refusal)t->o.code;
        f->at = -1;
    } else if (t->o.package == PACKAGE_UNKNOWN) {
        decide(f, JOB_UNKNOWN, t);
    } else if (t->o.cancelled) {
        /* Ended by the fence, not by us, so that the broker may run it elsewhere. */
        decide(f, f->a->x.on_lost == ON_LOST_RERUN ? JOB_LOST : JOB_CANCELLED, t);
        if (f->a->stopped)
            decide_stopped(f, t);
    } else if (ok) {
        t->action = action;
        if (action == ACTION_QUIT_SUCCESS || (action == ACTION_NEXT && target < 0))
            decide(f, JOB_SUCCEEDED, t);
        else if (action == ACTION_QUIT_FAILURE)
            decide(f, JOB_FAILED, t);
        else
            move_on(f, t, action, target);
    } else if (is_tried_again(f, s, t)) {
        move_on(f, t, ACTION_RETRY, -1);
    } else {
        fold_failure(f, t, action, target);
    }
}

/* The time to wait before the next try: interval * backoff^(tries - 1). */
static uint64_t wait_before(const struct d_step *s, unsigned tries)
{
    uint64_t ms = s->interval_ms;
    for (unsigned i = 1; i < tries && s->backoff > 1 && ms < RETRY_WAIT_MAX; i++)
        ms *= s->backoff;
    return ms < RETRY_WAIT_MAX ? ms : RETRY_WAIT_MAX;
}

static uint64_t starts_of(const struct wattempt *a, unsigned step)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < a->n_tries; i++)
        n += a->tries[i].step == step;
    return n;
}

/* After the end of the last try: a stop, the guard against loops, and what comes next. */
static void conclude(struct fold *f)
{
    struct wattempt *a = f->a;
    struct machine *m = f->m;
    if (!f->decided && a->stopped) {
        f->retry = false;
        decide_stopped(f, NULL);
    }
    if (!f->decided &&
        (a->n_tries >= STEP_STARTS_MAX || starts_of(a, (unsigned)f->at) >= LIMIT_TRIES)) {
        f->retry = false;
        decide(f, JOB_FAILED, NULL);
        m->text = "its steps were started too often: a goto loops without end";
    }
    m->always = f->decided;
    bool no_always = f->decided && (a->force || !f->launched);
    if (f->at < 0 || no_always || (f->decided && starts_of(a, (unsigned)f->at) >= LIMIT_TRIES)) {
        m->next = MACHINE_OVER;
        return;
    }
    m->next = MACHINE_RUN;
    m->step = (unsigned)f->at;
    m->try_no = starts_of(a, m->step) + 1;
    m->wait_ms = f->retry ? wait_before(&a->job->steps[m->step], f->visit) : 0;
}

void steps_fold(struct wattempt *a, struct machine *m)
{
    *m = (struct machine){.verdict = JOB_UNKNOWN};
    struct fold f = {.a = a, .m = m, .at = step_after(a->job, -1, false)};
    for (unsigned i = 0; i < a->n_tries; i++) {
        struct wtry *t = &a->tries[i];
        if (a->job->steps[t->step].always && !f.decided)
            /* a stop has cut off what the earlier steps would have led to */
            decide_stopped(&f, NULL);
        f.retry = false;
        f.at = (int)t->step;
        f.visit++;
        f.launched |= t->launched;
        f.last = t;
        t->action = ACTION_NEXT;
        if (!t->ended) {
            m->next = MACHINE_BUSY;
            m->always = f.decided;
            m->step = t->step;
            m->try_no = t->try_no;
            return;
        }
        if (f.decided)
            fold_always(&f, t);
        else
            fold_step(&f, t);
    }
    conclude(&f);
}
