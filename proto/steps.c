/* steps.c - see steps.h. */
#include "proto/steps.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"

/* ---- Jobs */

int steps_find(const struct steps_job *j, struct span name)
{
    for (unsigned i = 0; i < j->n; i++)
        if (span_eq(j->steps[i].name, name))
            return (int)i;
    return STEPS_NONE;
}

static bool names_step(const struct steps_job *j, struct span action, int *ret_step)
{
    static const char word[] = "goto ";
    if (action.n < sizeof word || memcmp(action.p, word, sizeof word - 1) != 0)
        return false;
    *ret_step = steps_find(j, span_of(action.p + sizeof word - 1, action.n - (sizeof word - 1)));
    return *ret_step >= 0 && !j->steps[*ret_step].always;
}

static int check_action(const struct steps_job *j, unsigned at, struct span action,
                        struct error *err)
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

static int read_steps(struct steps_job *j, struct error *err)
{
    struct wire_iter it = wire_iter(&j->head.steps);
    struct span item;
    bool some = false;
    int rc;
    j->steps = mem_zalloc(j->head.steps.count, sizeof *j->steps);
    while (wire_next(&it, &item)) {
        struct d_step s;
        if ((rc = d_step_decode(item, &s, err)) < 0)
            return rc;
        if (steps_find(j, s.name) >= 0)
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

int steps_job_read(struct span bytes, struct steps_job *ret, struct error *err)
{
    *ret = (struct steps_job){.n = 0};
    int rc = d_job_decode(bytes, &ret->head, err);
    if (rc == 0)
        rc = read_steps(ret, err);
    if (rc < 0)
        steps_job_free(ret);
    return rc;
}

void steps_job_free(struct steps_job *j)
{
    mem_free(&j->steps);
    *j = (struct steps_job){.n = 0};
}

bool steps_is_single(const struct steps_job *j)
{
    int step;
    return j->n == 1 && j->steps[0].attempts <= 1 &&
           !names_step(j, j->steps[0].on_success, &step) &&
           !names_step(j, j->steps[0].on_failure, &step);
}

/* ---- Tries */

void steps_take_end(struct steps_try *t, const struct d_step_outcome *o)
{
    t->ended = true;
    t->cancelled = o->cancelled;
    t->timed_out = o->timed_out;
    t->package = o->package;
    t->code = o->code;
    t->signal = o->signal;
    t->exit_code = o->exit_code;
    t->ended_at = o->ended_at;
}

/* ---- The machine */

static int step_after(const struct steps_job *j, int at, bool always)
{
    for (unsigned i = (unsigned)(at + 1); i < j->n; i++)
        if (j->steps[i].always == always)
            return (int)i;
    return STEPS_NONE;
}

static void decide(struct steps *s, enum job_outcome verdict, const struct steps_try *by)
{
    if (s->last && s->last->action == ACTION_RETRY)
        s->last->action = ACTION_QUIT_FAILURE; /* the next try will not come */
    s->decided = true;
    s->next.verdict = verdict;
    s->next.by = by ? (int)s->n - 1 : STEPS_NONE;
    s->at = step_after(s->job, STEPS_NONE, true);
    s->visit = 0;
}

static void decide_stopped(struct steps *s, const struct steps_try *by)
{
    decide(s, s->scope.stopped_as, by);
    s->next.by_stop = true;
}

/* True if this failure is retried. A refusal is not: it would be refused again. */
static bool is_tried_again(const struct steps *s, const struct d_step *d, const struct steps_try *t)
{
    if (s->visit >= d->attempts || t->cancelled || t->package == PACKAGE_UNKNOWN)
        return false;
    if (t->code != REFUSAL_NONE && t->code != REFUSAL_START_FAILED)
        return false;
    if (d->retry_codes.n == 0)
        return true;
    return !t->signal && !t->timed_out && t->exit_code >= 0 && t->exit_code <= 255 &&
           memchr(d->retry_codes.p, (int)t->exit_code, d->retry_codes.n) != NULL;
}

static void move_on(struct steps *s, struct steps_try *t, enum step_action action, int target)
{
    t->action = action;
    t->target = target < 0 ? 0 : (unsigned)target;
    if (action == ACTION_RETRY) {
        s->retry = true;
        s->next.failed_at = t->ended_at;
        return;
    }
    s->visit = 0;
    s->at = target;
}

/* An `always` step has ended: its failure changes nothing. */
static void take_always(struct steps *s, struct steps_try *t)
{
    const struct d_step *d = &s->job->steps[t->step];
    bool again = t->package != PACKAGE_SUCCEEDED && is_tried_again(s, d, t);
    move_on(s, t, again ? ACTION_RETRY : ACTION_NEXT, step_after(s->job, (int)t->step, true));
}

static void take_failure(struct steps *s, struct steps_try *t, enum step_action action, int target,
                         bool stopped)
{
    /* What our own stop has ended is no failure that the job can handle. */
    bool cut = stopped && t->timed_out && s->scope.stopped_as == JOB_TIMED_OUT;
    if (!cut && (action == ACTION_GOTO || action == ACTION_NEXT)) {
        t->handled = true;
        move_on(s, t, action, target);
        if (s->at < 0)
            decide(s, JOB_SUCCEEDED, t);
        return;
    }
    if (!cut && action == ACTION_QUIT_SUCCESS) {
        t->handled = true;
        t->action = action;
        decide(s, JOB_SUCCEEDED, t);
    } else if (stopped) {
        decide_stopped(s, t);
    } else {
        decide(s, t->timed_out ? JOB_TIMED_OUT : JOB_FAILED, t);
    }
}

static void take_success(struct steps *s, struct steps_try *t, enum step_action action, int target)
{
    t->action = action;
    if (action == ACTION_QUIT_SUCCESS || (action == ACTION_NEXT && target < 0))
        decide(s, JOB_SUCCEEDED, t);
    else if (action == ACTION_QUIT_FAILURE) {
        decide(s, JOB_FAILED, t);
        s->next.text = "a step succeeded, and its on_success is quit-failure";
    } else
        move_on(s, t, action, target);
}

static void take_step(struct steps *s, struct steps_try *t, bool stopped)
{
    const struct d_step *d = &s->job->steps[t->step];
    bool ok = t->package == PACKAGE_SUCCEEDED;
    struct span what = ok ? d->on_success : d->on_failure;
    int target = STEPS_NONE;
    enum step_action action = names_step(s->job, what, &target) ? ACTION_GOTO
                              : what.n ? (enum step_action)step_action_parse(what)
                              : ok     ? ACTION_NEXT
                                       : ACTION_QUIT_FAILURE;
    if (action == ACTION_NEXT)
        target = step_after(s->job, (int)t->step, false);
    t->action = ACTION_QUIT_FAILURE;
    if (t->code != REFUSAL_NONE && t->code != REFUSAL_START_FAILED && !s->launched) {
        decide(s, JOB_NOT_CALLED, t);
        s->next.refused = (enum refusal)t->code;
        s->at = STEPS_NONE;
    } else if (t->package == PACKAGE_UNKNOWN) {
        decide(s, JOB_UNKNOWN, t);
    } else if (t->cancelled) {
        /* Ended by the fence, not by us, so that the broker may run it elsewhere. */
        decide(s, s->scope.rerun ? JOB_LOST : JOB_CANCELLED, t);
        if (stopped)
            decide_stopped(s, t);
    } else if (ok) {
        take_success(s, t, action, target);
    } else if (is_tried_again(s, d, t)) {
        move_on(s, t, ACTION_RETRY, STEPS_NONE);
    } else {
        take_failure(s, t, action, target, stopped);
    }
}

void steps_begin(struct steps *s, const struct steps_job *job, const struct steps_scope *scope)
{
    *s = (struct steps){.job = job,
                        .scope = *scope,
                        .next = {.verdict = JOB_UNKNOWN, .by = STEPS_NONE},
                        .at = step_after(job, STEPS_NONE, false)};
}

/* What the end of the last try leads to. `newest`: no step of the main part has come after it, so a
 * stop acts on it. */
static void take_last(struct steps *s, bool newest)
{
    struct steps_try *t = s->last;
    if (!t || !t->ended || s->taken)
        return;
    s->taken = true;
    if (s->decided)
        take_always(s, t);
    else
        take_step(s, t, newest && s->scope.stopped);
}

void steps_add(struct steps *s, struct steps_try *t)
{
    take_last(s, s->job->steps[t->step].always);
    if (s->job->steps[t->step].always && !s->decided)
        /* a stop has cut off what the earlier steps would have led to */
        decide_stopped(s, NULL);
    s->retry = false;
    s->at = (int)t->step;
    s->visit++;
    s->n++;
    s->starts[t->step] += s->starts[t->step] < UINT8_MAX;
    s->launched |= t->launched;
    s->last = t;
    t->action = ACTION_NEXT;
    t->handled = false;
    s->taken = false;
}

/* The time to wait before the next try: interval * backoff^(tries - 1). */
static uint64_t wait_before(const struct d_step *d, unsigned tries)
{
    uint64_t ms = d->interval_ms;
    for (unsigned i = 1; i < tries && d->backoff > 1 && ms < STEPS_WAIT_MAX_MS; i++)
        ms *= d->backoff;
    return ms < STEPS_WAIT_MAX_MS ? ms : STEPS_WAIT_MAX_MS;
}

/* After the end of the last try: a stop, the guard against loops, and what comes next. */
static void conclude(struct steps *s)
{
    struct steps_next *n = &s->next;
    if (!s->decided && s->scope.stopped) {
        s->retry = false;
        decide_stopped(s, NULL);
    }
    if (!s->decided && (s->n >= STEPS_STARTS_MAX || s->starts[s->at] >= LIMIT_TRIES)) {
        s->retry = false;
        decide(s, JOB_FAILED, NULL);
        n->text = "its steps were started too often: a goto loops without end";
    }
    n->always = s->decided;
    bool no_always = s->decided && (s->scope.force || !s->launched);
    if (s->at < 0 || no_always || (s->decided && s->starts[s->at] >= LIMIT_TRIES)) {
        n->what = STEPS_OVER;
        return;
    }
    n->what = STEPS_RUN;
    n->step = (unsigned)s->at;
    n->try_no = s->starts[s->at] + 1U;
    n->wait_ms = s->retry ? wait_before(&s->job->steps[s->at], s->visit) : 0;
}

void steps_stop(struct steps *s, enum job_outcome as)
{
    s->scope.stopped = true;
    s->scope.stopped_as = as;
}

void steps_next(struct steps *s, struct steps_next *ret)
{
    if (s->last && !s->last->ended) {
        s->next.what = STEPS_BUSY;
        s->next.always = s->decided;
        s->next.step = s->last->step;
        s->next.try_no = s->last->try_no;
    } else {
        take_last(s, true);
        conclude(s);
    }
    *ret = s->next;
}

/* ---- The package layer */

bool steps_counts(const struct steps_job *j, const struct steps_try *t)
{
    return t->ended && t->action != ACTION_RETRY && !j->steps[t->step].always;
}

void steps_layer_add(struct steps_layer *l, const struct steps_job *j, const struct steps_try *t)
{
    if (!steps_counts(j, t) || t->package >= PACKAGE_COUNT)
        return;
    if (t->handled)
        l->handled |= t->package != PACKAGE_NOT_EXECUTED;
    else
        l->all = package_outcome_fold(l->all, (enum package_outcome)t->package);
}

enum package_outcome steps_layer_end(const struct steps_layer *l, enum job_outcome verdict)
{
    if (l->all == PACKAGE_NOT_EXECUTED && l->handled)
        return verdict == JOB_SUCCEEDED ? PACKAGE_SUCCEEDED : PACKAGE_FAILED;
    return l->all;
}
