/* rivals.c - two workers under one server's name: a home that was copied, or another machine with
 * the same key.
 *
 * While the first is live, the second is refused, and people are told of both. `incarnation` tells
 * a copy from a worker that was started again on the same spool (worker/home.h). The second comes
 * in once the first has been silent for a lease. That the first is then dead is not known, so what
 * the second does not list is not taken for returned: only lost_after ends it. After its own start
 * the broker has heard nobody yet; for the length of a lease, the home that has attempts, or of
 * which the last session is on record, is taken for the one that is live. That record is not waited
 * for, so where a crash has taken it, whoever comes first is the first. */
#include "broker/core/inside.h"

bool rival_is_another(const struct server *s, const struct m_hello *m)
{
    return !id_eq(s->spool, m->spool) ||
           (s->process && m->process.n && !id_eq(s->incarnation, m->incarnation));
}

/* By what is on record: another home has attempts, or was the last one that came. */
static bool another_was_here(const struct server *s, const struct m_hello *m)
{
    if (!id_is_zero(s->last_spool) && !id_eq(s->last_spool, m->spool))
        return true;
    for (const struct attempt *a = s->attempts; a; a = a->next)
        if (!id_eq(a->spool, m->spool) ||
            (m->process.n && !id_is_zero(a->incarnation) && !id_eq(a->incarnation, m->incarnation)))
            return true;
    return false;
}

/* How long the second has to wait, in ms; 0: it is none. */
static int64_t wait_of(const struct bcore *c, const struct server *s, const struct m_hello *m)
{
    const int64_t lease = (int64_t)c->config.lease_ms;
    int64_t left = 0;
    if (s->leased && rival_is_another(s, m))
        left = s->heard + lease - c->now;
    else if (!s->leased && c->begun_at + lease > c->now && id_is_zero(s->spool) &&
             another_was_here(s, m))
        left = c->begun_at + lease - c->now;
    else
        return 0;
    return left < 0 ? 1 : left < lease ? left + 1 : lease;
}

static const char *or_unknown(const char *s, const char *unknown)
{
    return s && *s ? s : unknown;
}

static void note(struct bcore *c, struct server *s, const struct m_hello *m)
{
    const char *address = or_unknown(c->ev->who->address, "an unknown address");
    rival_forget(s);
    s->rival = (struct rival){.process = m->process.n ? span_dup_str(m->process)
                                                      : mem_strdup("an unknown process"),
                              .address = mem_strdup(address),
                              .at = c->wall};
}

void rival_forget(struct server *s)
{
    mem_free(&s->rival.process);
    mem_free(&s->rival.address);
}

bool rival_has(const struct attempt *a)
{
    return a->server->process && !id_is_zero(a->incarnation) &&
           !id_eq(a->incarnation, a->server->incarnation);
}

bool rival_refused(struct bcore *c, struct server *s, const struct m_hello *m)
{
    const int64_t wait = wait_of(c, s, m);
    if (!wait)
        return false;
    if (!s->leased) { /* it may well be the only one */
        out_refuse(c, c->ev->peer, REFUSAL_NAME_TAKEN, (uint64_t)wait,
                   "server '%s' was last at another spool than yours, or has runs from before a "
                   "boot: this broker has just started and waits for the worker of that one first",
                   s->name->s);
        return true;
    }
    note(c, s, m);
    out_refuse(c, c->ev->peer, REFUSAL_NAME_TAKEN, (uint64_t)wait,
               "server '%s' is live with another spool, from %s (%s); you come from %s (%s): two "
               "workers under one name",
               s->name->s, or_unknown(s->address, "an unknown address"),
               or_unknown(s->process, "an unknown process"), s->rival.address, s->rival.process);
    return true;
}
