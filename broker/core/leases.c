/* leases.c - liveness by two timeouts (docs/design.md). When the session lease expires, the server
 * gets nothing new, and that is all; when lost_after expires, on_lost acts. Both count from when
 * the worker was last heard; in a new broker from its start, and after a pause of the broker from
 * the end of the pause, because silence proves nothing while no one listens. */
#include "broker/core/inside.h"

enum { LOOKS_A_LEASE = 4 };

void lease_renew(struct bcore *c, struct server *s)
{
    s->heard = c->now;
    s->heard_wall = c->wall;
}

/* The timer is not moved with each message; when it is due, it looks. */
void lease_due(struct bcore *c, struct server *s)
{
    int64_t end = s->heard + (int64_t)c->config.lease_ms;
    if (end > c->now) {
        bcore_timer_set(c, &s->lease, TIMER_LEASE, end);
        return;
    }
    s->leased = false;
    EMIT(c, server, .at = c->wall, .server = span_of(s->name->s, s->name->n), .spool = s->spool,
         .boot = s->boot,
         .software = s->software ? span_of(s->software->s, s->software->n) : SPAN_NONE,
         .state = span_str("unreachable"));
    if (s->peer) { /* open but silent: the worker will return with a new session */
        struct peer_state *p = s->peer;
        out_close(c, p->handle, &m_reset_schema,
                  &(struct m_reset){
                      .reason = span_str("nothing was received for the length of the lease")});
        bcore_peer_forget(c, p);
    }
    for (struct attempt *a = s->attempts; a; a = a->next)
        attempt_silent(c, a->run, s->heard);
}

static void count_from(struct bcore *c, struct run *r, int64_t since)
{
    uint64_t ms = r->at->lost_after_ms;
    if (ms > (uint64_t)INT64_MAX / 8)
        ms = (uint64_t)INT64_MAX / 8;
    ms += ms / 100 * LOST_MARGIN_PERCENT + ms % 100 * LOST_MARGIN_PERCENT / 100;
    bcore_timer_set(c, &r->timer, TIMER_RUN, since + (int64_t)ms);
}

void attempt_silent(struct bcore *c, struct run *r, int64_t since)
{
    struct error err = {0};
    if (heap_holds(&r->timer))
        return; /* handed to an older spool, and out of contact since */
    if (r->state != RUN_OUT_OF_CONTACT)
        run_move(r, RUN_EV_SILENCE, &err);
    count_from(c, r, since);
    follow_state(c, r);
}

static void count_anew(struct bcore *c)
{
    for (unsigned i = 0; i < c->n_servers; i++)
        if (c->servers[i]->leased)
            c->servers[i]->heard = c->now;
    for (struct run *r = c->oldest; r; r = r->newer)
        if (r->at && heap_holds(&r->timer))
            count_from(c, r, c->now);
}

/* The shell steps the core at its deadline: if that is long past, the process was stopped or the
 * machine asleep. This timer keeps the deadline near, so any pause of half a lease or more is
 * noticed. */
void leases_look(struct bcore *c)
{
    int64_t every = (int64_t)c->config.lease_ms / LOOKS_A_LEASE;
    if (heap_holds(&c->look) && c->now - c->look.key > every)
        count_anew(c);
    if (c->n_servers == 0)
        bcore_timer_clear(c, &c->look);
    else if (!heap_holds(&c->look) || c->look.key <= c->now)
        bcore_timer_set(c, &c->look, TIMER_LOOK, c->now + every);
}

static void end_lost(struct bcore *c, struct run *r, const char *why)
{
    const struct bcore_verdict lost = {DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN, 0};
    if (why)
        run_end_by_broker(c, r, lost, "%s", why);
    else
        run_end_by_broker(
            c, r, lost,
            "nothing was heard from server %s for %llu s%s; whether the job went on there is "
            "unknown",
            r->at->server_name->s, (unsigned long long)(r->at->lost_after_ms / 1000),
            r->cancel ? ", since before it could confirm the cancel" : "");
}

void attempt_lost(struct bcore *c, struct run *r, const char *why)
{
    struct server *s = r->at->server;
    /* a cancelled run is not run again */
    uint64_t then = r->cancel ? ON_LOST_FAIL : r->at->on_lost;
    if (then != ON_LOST_RERUN && then != ON_LOST_HOLD)
        then = ON_LOST_FAIL;
    c->counts.lost++;
    r->lsn = EMIT(c, lost, .at = c->wall, .run = r->id, .attempt = r->attempt, .then = then);
    if (then == ON_LOST_FAIL) {
        end_lost(c, r, why);
        return;
    }
    if (then == ON_LOST_RERUN)
        queue_add(c, r);
    follow_state(c, r);
    server_pump(c, s);
}
