/* operate.c - the operators' verbs: drain, undrain, forget (a server), release (a held run). */
#include <stdio.h>

#include "broker/core/inside.h"

/* False: no more for now, and the operator has been told so. */
static bool may_act(struct bcore *c, struct peer_state *p, uint64_t req)
{
    if (account_rate(c, &p->account->acts, 1, RATE_ACTS, 60000))
        return true;
    out_fail_busy(c, req, "'%s' has changed servers %d times within a minute", p->name->s,
                  RATE_ACTS);
    return false;
}

static uint64_t operated(struct bcore *c, struct peer_state *p, const struct m_operate *m)
{
    return EMIT(c, operated, .at = c->wall, .by = span_str(p->name->s), .verb = m->verb,
                .target = m->target, .reason = m->reason);
}

static void drain(struct bcore *c, struct peer_state *p, struct server *s,
                  const struct m_operate *m, bool on)
{
    uint64_t lsn = c->lsn;
    char text[LIMIT_NAME + 64];
    /* A repeat changes nothing, unless its reason differs. */
    if (s->draining != on || (on && m->reason.n && !span_eq_str(m->reason, s->draining_reason))) {
        if (!may_act(c, p, m->req))
            return;
        lsn = operated(c, p, m);
        queue_refresh_seats(c, s);
    }
    if (on)
        snprintf(text, sizeof text, "%s is draining; attempts there: %llu", s->name->s,
                 (unsigned long long)s->n_live);
    else
        snprintf(text, sizeof text, "%s takes work", s->name->s);
    out_done(c, m->req, lsn, text);
}

static void forget(struct bcore *c, struct peer_state *p, struct server *s,
                   const struct m_operate *m)
{
    if (s->peer || s->leased)
        out_fail(c, m->req, REFUSAL_STATE, "server '%s' is connected: stop its worker first",
                 s->name->s);
    else if (s->attempts)
        out_fail(c, m->req, REFUSAL_STATE,
                 "server '%s' has %llu attempts: cancel them, or wait until they are lost",
                 s->name->s, (unsigned long long)s->n_live);
    else
        out_done(c, m->req, operated(c, p, m), "");
}

void bcore_on_operate(struct bcore *c, struct peer_state *p)
{
    struct m_operate m;
    struct server *s;
    bool on, off, away;
    if (!TAKE(c, p, operate, &m))
        return;
    if (span_eq_str(m.verb, "release")) {
        cancel_release(c, p, &m);
        return;
    }
    on = span_eq_str(m.verb, "drain");
    off = span_eq_str(m.verb, "undrain");
    away = span_eq_str(m.verb, "forget");
    if (!on && !off && !away) {
        out_fail(c, m.req, REFUSAL_BAD_ARGUMENT,
                 "unknown verb '" SPAN_FMT "': there are drain, undrain, forget and release",
                 SPAN_ARG(m.verb));
        return;
    }
    s = server_find(c, m.target);
    if (!s || !s->enrolled)
        out_fail(c, m.req, REFUSAL_NOT_FOUND,
                 "no server is named '" SPAN_FMT "' (lbctl servers lists them)",
                 SPAN_ARG(m.target));
    else if (away)
        forget(c, p, s, &m);
    else
        drain(c, p, s, &m, on);
}
