/* runs.c - runs that have not ended: creation, moves between states, timers, end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/inside.h"
#include "common/utf8.h"

/* Besides the struct and the call: two entries of tables that are about half full, one entry of
 * each heap, and malloc's overhead. */
uint64_t run_cost(size_t call_n)
{
    return sizeof(struct run) + 2 * 2 * sizeof(uintptr_t) + 2 * sizeof(void *) + 16 +
           (call_n ? call_n + 16 : 0);
}

struct run *run_new(struct bcore *c, struct id id, struct span call, const struct d_call *d)
{
    struct run *r = mem_zalloc(1, sizeof *r);
    r->id = id;
    r->principal = text_get(c, d->caller);
    r->priority = (uint8_t)d->priority;
    r->on_lost = (uint8_t)d->on_lost;
    r->expires = d->expires;
    r->start_within_ms = d->start_within_ms;
    r->lost_after_ms = d->lost_after_ms;
    r->lane = lane_get(c, d, r->principal);
    r->state = RUN_WAITING;
    r->seq = ++c->seq;
    r->key = key128_of(c, d->caller, d->key, false);
    table_add(&c->runs, (uintptr_t)r);
    table_add(&c->runs_by_key, (uintptr_t)r);
    r->older = c->newest;
    if (c->newest)
        c->newest->newer = r;
    else
        c->oldest = r;
    c->newest = r;
    r->node.id = id;
    r->node.rank = bcore_hash_keyed(c, id.b, sizeof id.b);
    order_add(&c->runs_in_order, &r->node);
    c->n_runs++;
    struct account *a = r->lane->group->account;
    if (++a->runs > a->most_runs)
        a->most_runs = a->runs;
    bodies_take(c, r, call);
    return r;
}

void run_unlink(struct bcore *c, struct run *r)
{
    table_remove(&c->runs, (uintptr_t)r);
    table_remove(&c->runs_by_key, (uintptr_t)r);
    bodies_forget(c, r);
    order_remove(&c->runs_in_order, &r->node);
    if (r->older)
        r->older->newer = r->newer;
    else
        c->oldest = r->newer;
    if (r->newer)
        r->newer->older = r->older;
    else
        c->newest = r->older;
    c->n_runs--;
    r->lane->group->account->runs--;
    account_release(c, r->lane->group->account, run_cost(r->call_n));
    r->older = NULL;
    r->newer = c->graveyard;
    c->graveyard = r;
}

void run_cancel_free(struct bcore *c, struct run *r)
{
    if (r->cancel) {
        text_put(c, &r->cancel->by);
        mem_free(&r->cancel->reason);
        mem_free(&r->cancel);
    }
}

void run_free(struct bcore *c, struct run *r)
{
    attempt_free(c, r);
    run_cancel_free(c, r);
    strays_forget(c, r);
    bodies_free(c, r);
    lane_put(c, &r->lane);
    text_put(c, &r->principal);
    text_put(c, &r->declined);
    text_put(c, &r->certificate);
    mem_free(&r);
}

void runs_empty_graveyard(struct bcore *c)
{
    while (c->graveyard) {
        struct run *r = c->graveyard;
        c->graveyard = r->newer;
        run_free(c, r);
    }
}

enum run_state run_state_of(const struct run *r)
{
    return r->state == RUN_WAITING && class_parked(r->lane->class) ? RUN_PARKED
                                                                   : (enum run_state)r->state;
}

int run_move(struct run *r, enum run_event ev, struct error *err)
{
    enum run_state to;
    char id[ID_TEXT];
    if (run_state_next(r->state, ev, &to) < 0)
        return error_set(err, -EPROTO, "run %s is %s: the table has no move '%s'",
                         id_format(r->id, id), run_state_text(r->state), run_event_text(ev));
    r->state = (uint8_t)to;
    return 0;
}

/* ---- Attempts */
struct attempt *attempt_new(struct bcore *c, struct run *r, struct span name)
{
    struct attempt *a = mem_zalloc(1, sizeof *a);
    struct server *s = server_get(c, name);
    a->run = r;
    a->server = s;
    a->server_name = text_ref(s->name);
    a->next = s->attempts;
    if (a->next)
        a->next->prev = a;
    s->attempts = a;
    s->n_live++;
    r->at = a;
    return a;
}

void attempt_free(struct bcore *c, struct run *r)
{
    struct attempt *a = r->at;
    struct server *s;
    if (!a)
        return;
    s = a->server;
    attempt_settled(c, a);
    if (a->prev)
        a->prev->next = a->next;
    else
        s->attempts = a->next;
    if (a->next)
        a->next->prev = a->prev;
    s->n_live--;
    s->n_waits -= a->waits;
    s->n_long -= a->lasting && !a->waits;
    s->n_started -= a->started_at != 0;
    if (a->job)
        a->job->live--;
    text_put(c, &a->server_name);
    text_put(c, &a->step);
    mem_free(&a->progress);
    mem_free(&r->at);
}

/* ---- The end */
void run_end(struct bcore *c, struct run *r, struct span outcome, struct span signature,
             struct span executions, bool reported)
{
    struct server *s = r->at ? r->at->server : NULL;
    struct text *server = r->at ? text_ref(r->at->server_name) : NULL;
    struct span name = server ? span_of(server->s, server->n) : SPAN_NONE;
    queue_remove(c, r);
    bcore_timer_clear(c, &r->timer);
    r->lsn = EMIT(c, ended, .at = c->wall, .run = r->id, .attempt = r->attempt, .server = name,
                  .outcome = outcome, .reported = reported, .signature = signature,
                  .executions = executions);
    c->counts.ended++;
    follow_end(c, r, outcome, signature, name);
    text_put(c, &server);
    if (s)
        server_pump(c, s);
}

void run_end_by_broker(struct bcore *c, struct run *r, struct bcore_verdict v, const char *fmt, ...)
{
    char text[LIMIT_TEXT + 1];
    const struct class *cl = r->lane->class;
    struct d_outcome o = {.delivery = v.delivery,
                          .job = v.job,
                          .package = v.package,
                          .code = v.code,
                          .ended_at = c->wall};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    o.status = outcome_status(v.delivery, v.job, v.package);
    o.message = span_str(utf8_trim(text));
    o.job_name = span_of(cl->job->s, cl->job->n);
    o.job_hash = r->at ? r->at->job_hash : cl->job_hash;
    if (r->at) {
        o.server = span_of(r->at->server_name->s, r->at->server_name->n);
        o.called_at = r->at->assigned_at;
        o.started_at = r->at->started_at;
    }
    buf_clear(&c->scratch);
    d_outcome_encode(&o, &c->scratch);
    run_end(c, r, buf_span(&c->scratch), SPAN_NONE, SPAN_NONE, false);
}

void run_end_cancelled(struct bcore *c, struct run *r)
{
    run_end_by_broker(c, r,
                      (struct bcore_verdict){DELIVERY_CALLED, JOB_CANCELLED,
                                             r->lost_once ? PACKAGE_UNKNOWN : PACKAGE_NOT_EXECUTED,
                                             0},
                      "cancelled by %s before it started%s: %s", r->cancel->by->s,
                      r->lost_once ? " again; the outcome of an earlier attempt is unknown" : "",
                      r->cancel->reason);
}

void run_end_used_up(struct bcore *c, struct run *r)
{
    run_end_by_broker(
        c, r,
        r->lost_once
            ? (struct bcore_verdict){DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN, 0}
            : (struct bcore_verdict){DELIVERY_UNREACHABLE, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED, 0},
        "it was handed over %u times and %s; its servers' logs say why", (unsigned)r->attempt,
        r->lost_once ? "lost or returned each time" : "returned each time");
}

/* ---- Timers of a waiting run: the call's `expires`; the call's start_within, from acceptance, if
 * the run has never started; the cluster's start_within, for the time during which no server could
 * take it. Wall time is read only once, at acceptance. */
static int64_t after(int64_t start, uint64_t ms)
{
    return ms < (uint64_t)(INT64_MAX / 4) ? start + (int64_t)ms : INT64_MAX / 2;
}

static int64_t expiry(const struct run *r)
{
    return r->expires ? after(r->accepted,
                              r->expires > r->called_at ? (uint64_t)(r->expires - r->called_at) : 0)
                      : INT64_MAX / 2;
}

void run_watch(struct bcore *c, struct run *r)
{
    int64_t due = expiry(r);
    if (r->start_within_ms && !r->started_once) {
        int64_t start = after(r->accepted, r->start_within_ms);
        due = start < due ? start : due;
    } else {
        const struct class *cl = r->lane->class;
        int64_t parked =
            after(class_parked(cl) && cl->parked_since + START_WITHIN_MS > c->now ? cl->parked_since
                                                                                  : c->now,
                  START_WITHIN_MS);
        due = parked < due ? parked : due;
    }
    bcore_timer_set(c, &r->timer, TIMER_RUN, due);
}

static void run_unreachable(struct bcore *c, struct run *r, uint64_t waited_ms)
{
    char why[1024];
    explain_reason(c, r, why, sizeof why);
    if (r->lost_once)
        run_end_by_broker(
            c, r, (struct bcore_verdict){DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN, 0},
            "the outcome of an earlier attempt is unknown, and for %llu s no server could run it "
            "again: %s",
            (unsigned long long)(waited_ms / 1000), why);
    else
        run_end_by_broker(
            c, r,
            (struct bcore_verdict){DELIVERY_UNREACHABLE, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED, 0},
            "no server took it within %llu s: %s", (unsigned long long)(waited_ms / 1000), why);
}

void run_timer_due(struct bcore *c, struct run *r)
{
    const struct class *cl = r->lane->class;
    bool own = r->start_within_ms && !r->started_once;
    if (r->at) {
        attempt_lost(c, r, NULL);
        return;
    }
    if (c->now >= expiry(r)) {
        if (r->lost_once)
            run_end_by_broker(
                c, r, (struct bcore_verdict){DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN, 0},
                "the outcome of an earlier attempt is unknown, and the call expired before it "
                "could be run again");
        else
            run_end_by_broker(
                c, r,
                (struct bcore_verdict){DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED,
                                       REFUSAL_EXPIRED},
                "the call expired while it waited; a later `expires` or more servers would help");
    } else if (own && c->now >= after(r->accepted, r->start_within_ms)) {
        run_unreachable(c, r, r->start_within_ms);
    } else if (!own && class_parked(cl) && c->now >= cl->parked_since + START_WITHIN_MS) {
        run_unreachable(c, r, START_WITHIN_MS);
    } else {
        run_watch(c, r);
    }
}
