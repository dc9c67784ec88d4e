/* lawstime.c - the laws about time: which attempts may be lost, and how long a child may outlive
 * the order to stop it. Times here are true; the cores' clocks are up to 1 % off, and their margins
 * allow for that. */
#include "tests/sim/lawsinside.h"

#include <inttypes.h>
#include <string.h>

enum {
    /* a stop of up to half a lease goes unnoticed: broker/core/leases.c */
    UNNOTICED_US = SECS(8),
    STOP_MAX_US = MS(KILL_GRACE_MS) + SECS(3), /* from STOP heard to the end of the tree */
};

struct server_fact *lawstime_server(struct laws *l, struct span name, struct id spool)
{
    for (unsigned i = 0; i < l->n_servers; i++)
        if (span_eq_str(name, l->servers[i].name) && id_eq(l->servers[i].spool, spool))
            return &l->servers[i];
    l->servers = mem_realloc(l->servers, l->n_servers + 1, sizeof *l->servers);
    struct server_fact *s = &l->servers[l->n_servers++];
    *s = (struct server_fact){.spool = spool, .reached = INT64_MAX, .steady = INT64_MAX};
    span_copy_str(name, s->name, sizeof s->name);
    return s;
}

/* ---- Lost */
void laws_listens(struct laws *l, int64_t since)
{
    if (since - l->w->now > UNNOTICED_US || since <= l->w->now)
        l->listens = since;
}

void laws_heard(struct laws *l, const char *server, struct id incarnation)
{
    lawstime_server(l, span_str(server), incarnation)->heard = l->w->now;
}

void laws_rebooted(struct laws *l, const char *server, struct id spool)
{
    lawstime_server(l, span_str(server), spool)->rebooted = true;
}

bool lawstime_was_rebooted(struct laws *l, const struct tried *a)
{
    return lawstime_server(l, span_str(a->server), a->spool)->rebooted;
}

void laws_let_in(struct laws *l, const char *server, int64_t heard_us)
{
    if (l->w->now - l->listens < (int64_t)LEASE_MS * 1000)
        return; /* it has started, and who was there is perhaps not on record (rivals.c) */
    /* clocks may differ by a hundredth */
    if (heard_us < (int64_t)LEASE_MS * 1000 / 100 * 98)
        law_break(l, LAW_FIRST_STAYS,
                  "a second worker of %s is let in %" PRId64 " ms after the first was heard",
                  server, heard_us / 1000);
}

void laws_power_cut(struct laws *l, const char *server, struct id spool, struct id boot)
{
    laws_rebooted(l, server, spool);
    lawstime_server(l, span_str(server), spool)->boot = boot;
}

bool lawstime_was_cut(struct laws *l, const struct tried *a)
{
    const struct id boot = lawstime_server(l, span_str(a->server), a->spool)->boot;
    return !id_is_zero(boot) && !id_eq(boot, a->boot);
}

/* Its own keeper ended it at the fence, and its worker reports that. */
static bool says_fenced(const struct tried *a)
{
    struct d_outcome o;
    return a->is_finished && d_outcome_decode(buf_span(&a->finished), &o, NULL) == 0 &&
           o.job == JOB_LOST;
}

void laws_decides(struct laws *l, struct span record)
{
    struct r_lost r;
    uint64_t kind;
    size_t size;
    if (wire_peek(record, &kind, &size, NULL) < 0 || kind != KIND_R_LOST ||
        r_lost_decode(record, &r, NULL) < 0)
        return;
    const struct tried *a = tried_find(l, r.run, r.attempt);
    if (!a || !a->assigned || says_fenced(a) || lawstime_was_cut(l, a))
        return;
    const struct server_fact *s = lawstime_server(l, span_str(a->server), a->incarnation);
    int64_t since = s->heard > l->listens ? s->heard : l->listens;
    if (l->w->now - since < MS((int64_t)a->lost_after_ms))
        law_break(l, LAW_LOST_AS_ASKED,
                  "run %s: attempt %" PRIu64 " is lost, but %s was silent for %" PRId64
                  " ms, less than %" PRIu64,
                  world_short_id(r.run), r.attempt, a->server, (l->w->now - since) / 1000,
                  a->lost_after_ms);
}

/* ---- Stopped */
void laws_reached(struct laws *l, const char *server, int64_t since)
{
    lawstime_server(l, span_str(server), ID_ZERO)->reached = since;
}

void laws_steady(struct laws *l, const char *server, int64_t since)
{
    lawstime_server(l, span_str(server), ID_ZERO)->steady = since;
}

int64_t lawstime_undisturbed(struct laws *l, const struct tried *a)
{
    const struct server_fact *s = lawstime_server(l, span_str(a->server), ID_ZERO);
    return s->reached > s->steady ? s->reached : s->steady;
}

void laws_stop_heard(struct laws *l, struct id run, uint64_t attempt)
{
    struct tried *a = tried_find(l, run, attempt);
    if (a && !a->stop_heard)
        a->stop_heard = l->w->now;
}

void lawstime_judge_stopped(struct laws *l, const struct tried *a, const struct child_fact *c)
{
    int64_t reached = lawstime_server(l, span_str(a->server), ID_ZERO)->reached;
    int64_t since = a->stop_heard > reached ? a->stop_heard : reached;
    if (a->stop_heard && !c->always && since < l->w->now - STOP_MAX_US)
        law_break(l, LAW_STOPPED_IN_TIME,
                  "run %s: step %s of attempt %" PRIu64 " has gone on for %" PRId64
                  " ms since %s was told to stop it",
                  world_short_id(a->key.run), c->step, a->key.attempt, (l->w->now - since) / 1000,
                  a->server);
}
