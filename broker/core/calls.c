/* calls.c - CALL: starts a run, once for each principal and key.
 *
 * A call is judged in this order: its form, cluster and caller; then its key, so that a repeated
 * call gets its answer whatever else has changed; then the reasons to refuse a new one: a parent
 * that another drives, expiry, lack of room. */
#include <string.h>

#include "broker/core/inside.h"
#include "trust/call.h"
#include "trust/names.h"

/* NULL: nothing is missing. trust/call.c checks the same at the server; a refusal here costs no
 * run. */
static const char *missing_of(const struct d_call *d)
{
    return !d->key.n                              ? "its key is empty"
           : !names_job_is_good(d->job)           ? "invalid job name"
           : !names_address_is_good(d->address)   ? "invalid address"
           : d->on_lost >= ON_LOST_COUNT          ? "on_lost has an unknown value"
           : !id_is_zero(d->parent) && !d->task.n ? "it names a parent and no task"
           : !d->pin_latest && hash_is_zero(&d->job_hash)
               ? "it has neither a job hash nor pin_latest"
           : !names_as_of_is_good(d->as_of)
               ? "its as_of is neither a day nor a time with its offset"
           : d->expires <= 0 ? "it never expires: set `expires`"
                             : NULL;
}

static bool decode(struct bcore *c, struct peer_state *p, const struct m_call *m, struct d_call *d,
                   struct hash *digest)
{
    struct d_signed s;
    struct error err = {0};
    if (d_signed_decode(m->call, &s, &err) < 0 || d_call_decode(s.body, d, &err) < 0) {
        out_fail(c, m->req, REFUSAL_MALFORMED, "%s", err.text);
        return false;
    }
    if (!span_eq_str(d->cluster, c->config.cluster)) {
        out_fail(c, m->req, REFUSAL_UNKNOWN_PRINCIPAL,
                 "the call is for cluster '" SPAN_FMT "'; this is '%s'", SPAN_ARG(d->cluster),
                 c->config.cluster);
        return false;
    }
    if (!span_eq_str(d->caller, p->name->s)) {
        out_fail(c, m->req, REFUSAL_DENIED, "the call is signed by '" SPAN_FMT "' and sent by '%s'",
                 SPAN_ARG(d->caller), p->name->s);
        return false;
    }
    const char *missing = missing_of(d);
    if (missing) {
        out_fail(c, m->req, REFUSAL_MALFORMED, "call: %s", missing);
        return false;
    }
    if (d->semaphores.count) {
        out_fail(c, m->req, REFUSAL_BAD_ARGUMENT, "call: this broker has no semaphores");
        return false;
    }
    call_digest(s.body, digest);
    return true;
}

static void conflict(struct bcore *c, uint64_t rests_on, const struct m_call *m,
                     const struct d_call *d, struct id run)
{
    char id[ID_TEXT];
    out_fail_after(
        c, rests_on, m->req, REFUSAL_CONFLICT,
        "the key '" SPAN_FMT
        "' belongs to run %s, whose call was different: see `lbctl show`, or use a new key",
        SPAN_ARG(d->key), id_format(run, id));
}

/* Answers a call whose key is known. False: it is new. */
static bool answer_duplicate(struct bcore *c, struct peer_state *p, const struct m_call *m,
                             const struct d_call *d, struct key128 key, const struct hash *digest)
{
    struct run *r = run_by_key(c, key);
    const struct kept *k = r ? NULL : kept_by_key(c, key);
    const struct bcore_known *known = !r && !k && c->ev->looked_up ? c->ev->known : NULL;
    struct id run = r ? r->id : k ? k->id : known ? known->run : ID_ZERO;
    if (!r && !k && !known)
        return false;
    if (r ? !hash_eq(&r->digest, digest)
          : memcmp(k ? k->digest : known->digest.b, digest->b, sizeof k->digest) != 0) {
        conflict(c, r ? r->lsn : k ? k->lsn : 0, m, d, run);
        return true;
    }
    SEND(c, p->handle,
         r   ? r->lsn
         : k ? k->lsn
             : 0,
         accepted, .req = m->req, .run = run, .duplicate = true);
    if (m->follow && r) {
        follow_add(c, p, r, m->follow);
        follow_send_state(c, p, r);
    } else if (m->follow) {
        out_lookup(c, p->handle, m->req, run, m->follow, k ? k->lsn : 0);
    }
    return true;
}

static struct id new_id(const struct bcore *c)
{
    struct id id = id_make(c->wall, c->ev->random);
    while (run_find(c, id) || parent_find(c, id) || kept_by_id(c, id))
        id.b[15]++; /* the same 74 random bits within a millisecond */
    return id;
}

static bool refuse_new(struct bcore *c, struct peer_state *p, const struct m_call *m,
                       const struct d_call *d)
{
    struct account *a = p->account;
    bool new_class;
    uint64_t cost =
        run_cost(m->call.n) + lane_cost(c, d, a, &new_class) + (m->follow ? follow_cost() : 0);
    if (c->wall >= d->expires)
        out_fail(c, m->req, REFUSAL_EXPIRED,
                 "the call expired %lld s ago; sign it again under a new key",
                 (long long)((c->wall - d->expires) / 1000));
    else if (c->store_full)
        out_fail_busy(c, m->req, "the broker's disk is full: only results and cancels are taken");
    else
        return !account_allows_live(c, a, m->req, "runs", a->runs, c->n_runs) ||
               !account_allows_memory(c, a, m->req, cost) ||
               (new_class && !account_allows_class(c, a, m->req));
    return true;
}

/* The certificate with which the call was signed: the caller's may have been renewed since. */
static struct span signers_certificate(const struct bcore *c, const struct peer_state *p,
                                       const struct m_call *m)
{
    struct d_signed s;
    const struct enrolled *e = NULL;
    if (d_signed_decode(m->call, &s, NULL) == 0 && s.serial && s.serial != p->serial)
        e = enrolled_find(c, s.signer, s.serial);
    return e && span_eq_str(s.signer, p->name->s) ? buf_span(&e->bytes) : c->ev->who->certificate;
}

void bcore_on_call(struct bcore *c, struct peer_state *p)
{
    struct m_call m;
    struct d_call d;
    struct hash digest;
    struct key128 key;
    struct run *r;
    struct id id;
    if (!TAKE(c, p, call, &m) || !decode(c, p, &m, &d, &digest))
        return;
    key = key128_of(c, d.caller, d.key, false);
    if (answer_duplicate(c, p, &m, &d, key, &digest))
        return;
    if (kept_must_ask(c, key)) {
        out_lookup_key(c, p->handle, m.req, d.key, false);
        return;
    }
    if (!id_is_zero(d.parent) && !parents_admit(c, p, m.req, d.parent, d.index))
        return;
    if (refuse_new(c, p, &m, &d))
        return;
    id = new_id(c);
    EMIT(c, called, .at = c->wall, .run = id, .principal = d.caller, .call = m.call,
         .certificate = signers_certificate(c, p, &m), .digest = digest);
    r = run_find(c, id);
    r->accepted = c->now;
    c->counts.accepted++;
    SEND(c, p->handle, r->lsn, accepted, .req = m.req, .run = id, .duplicate = false);
    if (m.follow)
        follow_add(c, p, r, m.follow);
    queue_add(c, r);
    if (m.follow && run_state_of(r) == RUN_PARKED)
        follow_send_state(c, p, r); /* at once, even if only the end was requested */
}
