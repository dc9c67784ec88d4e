/* bodies.c - the bytes of calls: in memory up to a budget, beyond it only in the store.
 *
 * A run keeps only the fields that scheduling needs. The call's bytes, most of a waiting call's
 * memory, are needed again when the run is handed over. So if a call still waits when its record
 * reaches the disk, and the bytes in memory exceed the budget, its bytes are dropped. A run that is
 * handed over before that, as on a cluster with a free server, never needs the store. Dropped bytes
 * never return to memory: the shell puts them into the EXECUTE that leaves, while the commit on
 * which it rests is in progress (BCORE_FX_EXECUTE).
 *
 * The newest are dropped first: the oldest are handed over next, so the calls near the head of a
 * queue stay in memory. */
#include "broker/core/inside.h"

/* The run's record is on disk. */
static void settle(struct bcore *c, struct run *r)
{
    struct account *a = r->lane->group->account;
    if (!r->at && !budget_share_fits(a->bodies, r->call_n, c->bodies, c->config.bodies_budget,
                                     c->config.memory_percent)) {
        account_release(c, a, run_cost(r->call_n) - run_cost(0));
        bodies_free(c, r);
    } else {
        r->settled = true;
        a->bodies += r->call_n;
        c->bodies += r->call_n;
    }
}

void bodies_take(struct bcore *c, struct run *r, struct span call)
{
    r->call = mem_dup(call.p, call.n);
    r->call_n = (uint32_t)call.n;
    account_charge(c, r->lane->group->account, run_cost(r->call_n));
    if (!c->live)
        settle(c, r); /* a replay */
    else if (!c->unsettled)
        c->unsettled = r;
}

void bodies_free(struct bcore *c, struct run *r)
{
    if (r->settled) {
        r->lane->group->account->bodies -= r->call_n;
        c->bodies -= r->call_n;
    }
    r->call_n = 0;
    mem_free(&r->call);
}

void bodies_settle(struct bcore *c)
{
    struct run *r;
    while ((r = c->unsettled) && r->called_lsn <= c->committed) {
        c->unsettled = r->newer;
        settle(c, r);
    }
}

void bodies_forget(struct bcore *c, const struct run *r)
{
    if (c->unsettled == r)
        c->unsettled = r->newer;
}

int bcore_execute_fill(struct span execute, struct span called, struct buf *out, struct error *err)
{
    struct m_execute m;
    struct r_called r;
    int rc = m_execute_decode(execute, &m, err);
    if (rc == 0)
        rc = r_called_decode(called, &r, err);
    if (rc < 0)
        return rc;
    m.call = r.call;
    m_execute_encode(&m, out);
    return 0;
}
