/* inout.c - between the loop and the core: events in, effects gathered, then released in the one
 * order that is safe. */
#include "worker/worker.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"

/* ---- Queues */

static void queue_clear(struct worker_queue *q)
{
    buf_clear(&q->bytes);
    q->taken = q->sealed = 0;
}

static void queue_put(struct worker_queue *q, struct span message)
{
    if (q->taken == q->bytes.n)
        queue_clear(q);
    buf_add(&q->bytes, message.p, message.n);
}

void worker_tell_runner(struct worker *w, struct span message)
{
    queue_put(&w->to_runner, message);
}

static bool queue_head(const struct worker_queue *q, struct span *ret)
{
    struct span rest = span_of(q->bytes.p + q->taken, q->bytes.n - q->taken);
    uint64_t kind;
    size_t size;
    if (rest.n == 0 || wire_peek(rest, &kind, &size, NULL) < 0)
        return false;
    *ret = span_of(rest.p, size);
    return true;
}

void worker_forget_messages(struct worker *w)
{
    queue_clear(&w->to_broker);
    w->queued_since = 0;
}

/* ---- Into the core */

static void find_job(struct worker *w, const struct wcore_effect *e, struct span execute)
{
    struct wcore_event ev = {
        .kind = WCORE_JOB, .run = e->run, .attempt = e->attempt, .code = REFUSAL_UNKNOWN_JOB};
    struct error err = {0};
    struct m_execute x;
    struct d_signed s;
    struct d_call call;
    if (m_execute_decode(execute, &x, &err) < 0 || d_signed_decode(x.call, &s, &err) < 0 ||
        d_call_decode(s.body, &call, &err) < 0 ||
        jobs_find(w->jobs, call.job, &x.job_hash, &ev.message, &err) < 0)
        ev.text = err.text;
    worker_feed(w, ev);
}

void worker_feed(struct worker *w, struct wcore_event ev)
{
    struct wcore_effect sought = {.attempt = 0};
    struct buf execute = {0};
    ev.now = loop_now(w->loop);
    ev.wall = loop_now_wall(w->loop);
    wcore_step(w->core, &ev, &w->out);
    for (unsigned i = 0; i < w->out.n_effects; i++) {
        const struct wcore_effect *e = &w->out.effects[i];
        switch (e->kind) {
        case WCORE_FX_SPOOL:
            spool_put(w->spool, e->body);
            break;
        case WCORE_FX_RUNNER:
            queue_put(&w->to_runner, e->body);
            break;
        case WCORE_FX_SEND:
            queue_put(&w->to_broker, e->body);
            if (!w->queued_since)
                w->queued_since = ev.now;
            break;
        case WCORE_FX_FIND_JOB: /* at most one: an event brings at most one EXECUTE */
            sought = *e;
            buf_add(&execute, e->body.p, e->body.n);
            break;
        case WCORE_FX_FORGET:
            break; /* spool_tidy reclaims the space of its entries */
        }
    }
    if (execute.n)
        find_job(w, &sought, buf_span(&execute));
    buf_free(&execute);
}

void worker_feed_message(struct worker *w, enum wcore_event_kind kind, struct span message)
{
    worker_feed(w, (struct wcore_event){.kind = kind, .message = message});
}

/* ---- The spool */

/* A package that its runner found altered counts as missing once the packages are read again. */
static bool was_altered(struct span ended)
{
    struct s_ended e;
    struct d_step_outcome o;
    return s_ended_decode(ended, &e, NULL) == 0 &&
           d_step_outcome_decode(e.outcome, &o, NULL) == 0 && o.code == REFUSAL_BAD_PACKAGE;
}

static int follow_entry(void *self, uint64_t kind, struct span entry, struct error *err)
{
    struct worker *w = self;
    (void)err;
    if (kind == KIND_S_ENDED && !w->reread_at && was_altered(entry))
        w->reread_at = loop_now(w->loop);
    worker_feed_message(self, WCORE_SPOOL, entry);
    return 0;
}

void worker_feed_spool(struct worker *w)
{
    struct error err = {0};
    w->bell_rang = false;
    if (spool_follow(w->spool, follow_entry, w, &err) < 0) {
        log_error("%s", err.text);
        loop_stop(w->loop, 1);
    }
    if (spool_was_damaged(w->spool)) {
        worker_feed(w, (struct wcore_event){.kind = WCORE_SPOOL_DAMAGED});
        attest_soon(w, ATTEST_MS);
    }
}

static int replay_entry(void *self, uint64_t kind, struct span entry, struct error *err)
{
    struct worker *w = self;
    (void)kind;
    return wcore_replay(w->core, entry, err);
}

int worker_replay(struct worker *w, struct error *err)
{
    return spool_replay(w->spool, replay_entry, w, err);
}

/* ---- Out */

/* Sends as much as the runner reads; the rest follows when it reads on. Messages for a runner
 * that is down are requested again once there is one. */
static void tell_runner(struct worker *w)
{
    struct span m;
    do {
        while (queue_head(&w->to_runner, &m) && runnerlink_send(w->runner, m))
            w->to_runner.taken += m.n;
        runnerlink_flush(w->runner);
    } while (queue_head(&w->to_runner, &m) && runnerlink_has_room(w->runner));
    if (!runnerlink_is_up(w->runner))
        queue_clear(&w->to_runner);
}

static void tell_broker(struct worker *w)
{
    struct span m;
    int rc = 0;
    if (!w->dialer)
        return; /* not yet: worker.c, wait_until_alone */
    if (!dialer_is_up(w->dialer))
        worker_forget_messages(w);
    worker_sign_results(w);
    while (rc == 0 && queue_head(&w->to_broker, &m))
        if ((rc = dialer_send(w->dialer, m)) == 0)
            w->to_broker.taken += m.n;
    if (rc == -ENOTCONN)
        queue_clear(&w->to_broker);
    if (w->to_broker.taken == w->to_broker.bytes.n)
        w->queued_since = 0;
}

static int send_log(void *self, struct span message)
{
    struct worker *w = self;
    return dialer_window_open(w->dialer) ? dialer_send(w->dialer, message) : -ENOBUFS;
}

static void tell_logs(struct worker *w)
{
    struct error err = {0};
    if (!w->dialer || !dialer_is_up(w->dialer) || w->queued_since || !dialer_window_open(w->dialer))
        return;
    int rc = logship_pump(w->logs, send_log, w, &err);
    if (rc < 0)
        log_warn("logs: %s", err.text);
    else if (rc > 0)
        loop_set_deadline(w->loop, loop_now(w->loop)); /* more is left, after the others' turn */
}

/* b 0: none. */
static int64_t earlier(int64_t a, int64_t b)
{
    return b ? loop_earlier(a, b) : a;
}

static void set_deadline(struct worker *w, bool batching)
{
    int64_t at = earlier(wcore_deadline(w->core), desired_deadline(w->desired));
    at = earlier(at, secretstore_deadline(w->secrets));
    at = earlier(at, batching ? w->queued_since + BATCH_MS : 0);
    at = earlier(at, w->attest_at);
    at = earlier(at, w->reread_at);
    loop_set_deadline(w->loop, at);
}

void worker_let_go(struct worker *w)
{
    struct error err = {0};
    if (spool_flush(w->spool, &err) < 0) {
        /* Nothing that rests on it may leave. The next process replays what is on disk; the
         * children live on. */
        log_error("%s", err.text);
        queue_clear(&w->to_broker);
        queue_clear(&w->to_runner);
        loop_stop(w->loop, 1);
        return;
    }
    bool batching = w->queued_since && !w->renew && wcore_full(w->core) &&
                    loop_now(w->loop) < w->queued_since + BATCH_MS;
    tell_runner(w);
    if (!batching)
        tell_broker(w);
    set_deadline(w, batching);
    tell_logs(w);
}
