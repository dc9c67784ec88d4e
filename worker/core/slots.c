/* slots.c - which step runs next: at most `slots` at a time (and `ahead` more that wait at the
 * runner). Attempts that have started go first, each group in the order of arrival. An attempt that
 * waits for a retry holds no slot. */
#include "proto/kept.h"
#include "worker/core/inside.h"

static bool is_blocked(const struct wattempt *a)
{
    struct wattempt *other;
    DL_FOREACH2 (a->run->attempts, other, a_next)
        if (other->attempt < a->attempt && other->state == ATTEMPT_LIVE)
            return true; /* never two at a time: the older one is being stopped here */
    return false;
}

static void enqueue(struct wcore *c, struct wattempt *a)
{
    if (a->n_tries)
        DL_APPEND(c->going, a);
    else
        DL_APPEND(c->fresh, a);
    a->queued = a->n_tries ? QUEUED_GOING : QUEUED_FRESH;
}

static void dequeue(struct wcore *c, struct wattempt *a)
{
    if (a->queued == QUEUED_GOING)
        DL_DELETE(c->going, a);
    else if (a->queued == QUEUED_FRESH)
        DL_DELETE(c->fresh, a);
    a->queued = NOT_QUEUED;
}

void slots_leave(struct wcore *c, struct wattempt *a)
{
    dequeue(c, a);
    heap_remove(&c->retries, &a->retry);
    heap_remove(&c->timers, &a->timer);
    heap_remove(&c->says, &a->say);
    c->n_waits -= a->waits;
    a->waits = false;
}

void slots_arm(struct wcore *c, struct heap *h, struct heap_node *node, int64_t at)
{
    if (!heap_holds(node))
        heap_insert(h, node, at, c->tie++);
}

void slots_say_wait(struct wcore *c, struct wattempt *a)
{
    a->say_progress = true;
    if (!c->up)
        return;
    heap_remove(&c->says, &a->say); /* sooner than what else there is to say */
    slots_arm(c, &c->says, &a->say, c->ev->now);
}

static void set_wait(struct wcore *c, struct wattempt *a, bool waits)
{
    if (a->waits == waits)
        return;
    a->waits = waits;
    if (waits)
        c->n_waits++;
    else
        c->n_waits--;
    slots_say_wait(c, a);
}

/* What is left of `ms` from wall time `since` on; a wall clock that has jumped makes it neither
 * longer nor negative. */
static int64_t left_of(const struct wcore *c, int64_t since, uint64_t ms)
{
    int64_t most = ms < INT64_MAX / 4 ? (int64_t)ms : INT64_MAX / 4;
    int64_t left = since + most - c->ev->wall;
    return left < 0 ? 0 : left > most ? most : left;
}

static void finish(struct wcore *c, struct wattempt *a, const struct steps_next *n)
{
    struct buf outcome = {0};
    outcome_of_attempt(c, a, n, &outcome);
    outbox_finish(c, a, buf_span(&outcome));
    buf_free(&outcome);
}

void slots_go(struct wcore *c, struct wattempt *a)
{
    struct steps_next n;
    if (a->state != ATTEMPT_LIVE)
        return;
    attempt_next(a, &n);
    if (n.always)
        heap_remove(&c->timers, &a->timer);
    else if (a->n_tries && a->call.timeout_ms && !heap_holds(&a->timer))
        slots_arm(c, &c->timers, &a->timer,
                  c->ev->now + left_of(c, a->tries[0].asked_at, a->call.timeout_ms));
    if (n.what == STEPS_OVER) {
        finish(c, a, &n);
    } else if (n.what == STEPS_RUN && a->queued == NOT_QUEUED && !is_blocked(a)) {
        if (n.wait_ms && !a->retry_due) {
            a->retry_due = c->ev->now + left_of(c, n.failed_at, n.wait_ms);
            slots_arm(c, &c->retries, &a->retry, a->retry_due);
            set_wait(c, a, a->retry_due - c->ev->now >= WAIT_SAID_MS);
        } else if (!heap_holds(&a->retry)) {
            enqueue(c, a);
        }
    }
}

/* ---- Asking the runner */

static void collect_outputs(const struct wattempt *a, struct buf *items, uint32_t *count)
{
    struct buf one = {0};
    for (unsigned s = 0; s < a->job->def.n; s++)
        for (unsigned i = a->n_tries; i-- > 0;) {
            const struct wtry *t = &a->tries[i];
            if (t->t.step != s || !t->t.ended || t->o.outputs.count == 0)
                continue;
            struct s_outputs o = {.step = a->job->def.steps[s].name, .outputs = t->o.outputs};
            buf_clear(&one);
            s_outputs_encode(&o, &one);
            wire_add_bin(items, buf_span(&one));
            ++*count;
            break; /* the newest try of a step counts */
        }
    buf_free(&one);
}

static void send_step(struct wcore *c, struct wattempt *a, struct wtry *t)
{
    const struct d_step *step = &a->job->def.steps[t->t.step];
    struct buf items = {0};
    uint32_t count = 0;
    if (a->n_tries > 1)
        collect_outputs(a, &items, &count);
    EMIT(c, RUNNER, a, s_step, .run = a->run->id, .attempt = a->attempt, .call = a->x.call,
         .certificate = a->x.certificate, .job = buf_span(&a->job->bytes), .step = step->name,
         .try_no = t->t.try_no, .outputs = wire_list_from(&items, count), .on_lost = a->x.on_lost,
         .deadline = !step->always && heap_holds(&a->timer) ? a->timer.key : 0,
         .lost_after_ms = a->x.lost_after_ms ? a->x.lost_after_ms : c->lost_after_ms);
    buf_free(&items);
}

static void ask(struct wcore *c, struct wattempt *a)
{
    struct steps_next n;
    attempt_next(a, &n);
    SPOOL(c, a, s_stepped, .run = a->run->id, .attempt = a->attempt,
          .step = a->job->def.steps[n.step].name, .try_no = n.try_no, .at = c->ev->wall);
    a->retry_due = 0;
    set_wait(c, a, false);
    if (!n.always && a->call.timeout_ms)
        slots_arm(c, &c->timers, &a->timer,
                  c->ev->now + left_of(c, a->tries[0].asked_at, a->call.timeout_ms));
    send_step(c, a, &a->tries[a->n_tries - 1]);
}

void slots_fill(struct wcore *c)
{
    while (c->runner && c->open < c->config.slots + c->config.ahead && (c->going || c->fresh)) {
        struct wattempt *a = c->going ? c->going : c->fresh;
        dequeue(c, a);
        if (!a->n_tries && a->call.expires && c->ev->wall > a->call.expires)
            outbox_refuse(c, a, REFUSAL_EXPIRED,
                          "the call expired while it was waiting for a slot");
        else
            ask(c, a);
    }
}

/* ---- Stopping */

static void halt(struct wcore *c, struct wattempt *a, struct wtry *t, bool force)
{
    if (!t)
        return;
    EMIT(c, RUNNER, a, s_halt, .run = a->run->id, .attempt = a->attempt, .force = force,
         .grace_ms = force ? 0 : STOP_GRACE_MS,
         .timed_out = a->stopped && a->stopped_as == JOB_TIMED_OUT);
}

void slots_stop(struct wcore *c, struct wattempt *a, enum job_outcome as, bool force,
                struct span why)
{
    struct steps_next n;
    if (a->state != ATTEMPT_LIVE || (a->stopped && (!force || a->force)))
        return;
    attempt_next(a, &n);
    if (n.always && !force)
        return; /* the outcome is decided; `always` steps have their own time */
    SPOOL(c, a, s_stopped, .run = a->run->id, .attempt = a->attempt, .at = c->ev->wall,
          .job = n.always ? n.verdict : as, .force = force, .reason = why);
    dequeue(c, a);
    heap_remove(&c->retries, &a->retry);
    a->retry_due = 0;
    halt(c, a, attempt_open_try(a), force);
    slots_go(c, a);
}

/* ---- What the runner and its keepers hold */

void slots_runner_up(struct wcore *c)
{
    c->runner = false;
    c->n_strangers = 0;
    for (struct wrun *r = c->runs; r; r = r->hh.next) {
        struct wattempt *a;
        DL_FOREACH2 (r->attempts, a, a_next)
            for (unsigned i = 0; i < a->n_tries; i++)
                a->tries[i].kept = false;
    }
}

/* No keeper will ever report this step, so we write its outcome. */
static void write_end(struct wcore *c, struct wattempt *a, struct wtry *t,
                      enum package_outcome package, const char *why)
{
    const struct d_step *step = &a->job->def.steps[t->t.step];
    struct buf bytes = {0};
    struct d_step_outcome o = {.name = step->name,
                               .try_no = t->t.try_no,
                               .package = package,
                               .package_name = step->package_name,
                               .package_hash = step->package,
                               .message = span_str(why),
                               .cancelled = a->stopped && package != PACKAGE_UNKNOWN,
                               .timed_out = a->stopped && a->stopped_as == JOB_TIMED_OUT,
                               .started_at = t->launched_at,
                               .ended_at = c->ev->wall};
    d_step_outcome_encode(&o, &bytes);
    SPOOL(c, a, s_ended, .run = a->run->id, .attempt = a->attempt, .outcome = buf_span(&bytes));
    buf_free(&bytes);
}

static void end_step(struct wcore *c, struct wattempt *a, struct wtry *t,
                     enum package_outcome package, const char *why)
{
    write_end(c, a, t, package, why);
    slots_go(c, a);
}

static void not_kept(struct wcore *c, struct wattempt *a, struct wtry *t)
{
    if (t->t.launched)
        end_step(c, a, t, PACKAGE_UNKNOWN,
                 "the keeper of this step died without saying how the step ended");
    else if (t->doubtful)
        end_step(c, a, t, PACKAGE_UNKNOWN,
                 "the server's spool has lost entries; whether this step began is unknown");
    else if (attempt_stops(a, t))
        end_step(c, a, t, PACKAGE_NOT_EXECUTED, "stopped before it started");
    else
        send_step(c, a, t);
}

static void add_stranger(struct wcore *c, const struct s_kept *k)
{
    c->strangers = mem_realloc(c->strangers, c->n_strangers + 1, sizeof *c->strangers);
    c->strangers[c->n_strangers++] =
        (struct wstranger){.run = k->run, .attempt = k->attempt, .try_no = k->try_no};
}

static void drop_stranger(struct wcore *c, struct id run, uint64_t attempt, uint64_t try_no)
{
    for (unsigned i = c->n_strangers; i-- > 0;)
        if (id_eq(c->strangers[i].run, run) && c->strangers[i].attempt == attempt &&
            c->strangers[i].try_no == try_no)
            c->strangers[i] = c->strangers[--c->n_strangers];
}

void slots_stranger_ended(struct wcore *c, const struct s_ended *e)
{
    struct d_step_outcome o;
    if (c->n_strangers && d_step_outcome_decode(e->outcome, &o, NULL) == 0)
        drop_stranger(c, e->run, e->attempt, o.try_no);
}

/* The runner has no slot for it. Another server may have one, unless an earlier step ran here. */
static void nowhere(struct wcore *c, struct wattempt *a, struct wtry *t)
{
    static const char why[] = "no slot of this server can be used";
    if (attempt_stops(a, t))
        end_step(c, a, t, PACKAGE_NOT_EXECUTED, "stopped before it started");
    else if (a->n_tries > 1)
        end_step(c, a, t, PACKAGE_NOT_EXECUTED, why);
    else
        wcore_give_back(c, a, why);
}

void slots_kept(struct wcore *c, const struct s_kept *k)
{
    if (k->state < KEPT_WAITS || k->state > KEPT_NOWHERE || id_is_zero(k->run))
        return;
    struct wattempt *a = attempt_find(c, k->run, k->attempt);
    struct wtry *t = a && a->state == ATTEMPT_LIVE ? attempt_try(a, k->step, k->try_no) : NULL;
    const bool held = k->state == KEPT_WAITS || k->state == KEPT_RUNS;
    if (t && !t->t.ended && !held) {
        t->kept = false;
        if (c->runner && k->state == KEPT_NOWHERE && !t->t.launched && !t->doubtful)
            nowhere(c, a, t);
        else if (c->runner)
            not_kept(c, a, t);
    } else if (t) {
        t->kept = held;
    } else if (held) {
        add_stranger(c, k);
        EMIT(c, RUNNER, a, s_halt, .run = k->run, .attempt = k->attempt, .grace_ms = STOP_GRACE_MS);
    } else {
        drop_stranger(c, k->run, k->attempt, k->try_no);
    }
}

void slots_kept_end(struct wcore *c)
{
    struct wrun *r, *next;
    c->runner = true;
    HASH_ITER (hh, c->runs, r, next) {
        struct wattempt *a, *a_next = NULL;
        for (a = r->attempts; a; a = a_next) {
            a_next = a->a_next;
            struct wtry *t = a->state == ATTEMPT_LIVE ? attempt_open_try(a) : NULL;
            if (t && !t->kept)
                not_kept(c, a, t);
            else if (t && attempt_stops(a, t))
                halt(c, a, t, a->force);
        }
    }
}

/* ---- After a gap in what we know */

void slots_doubt(struct wcore *c)
{
    for (struct wrun *r = c->runs; r; r = r->hh.next) {
        struct wattempt *a;
        DL_FOREACH2 (r->attempts, a, a_next) {
            struct wtry *t = a->state == ATTEMPT_LIVE ? attempt_open_try(a) : NULL;
            if (t)
                t->doubtful = true;
        }
    }
}

static bool may_be_decided(const struct wattempt *a)
{
    return a->x.on_lost == ON_LOST_RERUN || a->x.on_lost == ON_LOST_HOLD;
}

/* Ends the attempt with what is known of it. What has decided its outcome still counts. */
static void give_up(struct wcore *c, struct wattempt *a, struct steps_next *m)
{
    static const char why[] =
        "the server was restarted, or its spool was damaged, while this attempt was there; whether "
        "more of it was executed is unknown";
    struct wtry *open = attempt_open_try(a);
    bool decided = m->always && !a->patched;
    if (open)
        write_end(c, a, open, PACKAGE_UNKNOWN, why);
    attempt_next(a, m);
    if (!decided) {
        m->verdict = may_be_decided(a) ? JOB_LOST : JOB_UNKNOWN;
        m->refused = REFUSAL_NONE;
        m->torn = true;
        m->text = why;
    }
    finish(c, a, m);
}

/* Where nothing is missing, an open step of before the boot is as one whose keeper died:
 * unknown, and `always` steps clean up. In the same boot its keeper may still have it. */
void slots_resume(struct wcore *c, struct wattempt *a)
{
    struct steps_next m;
    if (a->state != ATTEMPT_LIVE)
        return;
    struct wtry *open = attempt_open_try(a);
    const bool gap = c->config.gap, rebooted = c->config.rebooted;
    attempt_next(a, &m);
    if (open)
        open->doubtful = gap || rebooted;
    const bool lost = open ? rebooted && (gap || may_be_decided(a)) : gap;
    /* the end of a job counts if all that led to it is known */
    if ((lost && m.what != STEPS_OVER) || (gap && a->patched))
        give_up(c, a, &m);
    else
        slots_go(c, a);
}
