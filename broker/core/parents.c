/* parents.c - parent runs: started durably under a key, driven by one session at a time, ended by
 * the driver of the current epoch.
 *
 * A driver's lease is its session. While that is open, no one else may drive; afterwards anyone
 * with the right may, and gets the next epoch. An older driver that reports the end is refused by
 * its epoch. */
#include <stdio.h>
#include <string.h>

#include "broker/core/inside.h"
#include "trust/call.h"
#include "trust/names.h"

void parent_free(struct bcore *c, struct parent **p)
{
    text_put(c, &(*p)->principal);
    buf_free(&(*p)->body);
    mem_free(p);
}

void parents_peer_down(struct bcore *c, struct peer_state *peer)
{
    size_t place = 0;
    uintptr_t item;
    while ((item = table_next(&c->parents, &place)))
        if (((struct parent *)item)->driver == peer)
            ((struct parent *)item)->driver = NULL;
}

static void drive(struct bcore *c, struct peer_state *peer, struct parent *p, uint64_t req)
{
    char id[ID_TEXT];
    bool resumed = p->epoch != 0;
    if (p->driver && p->driver != peer) {
        c->counts.refused++;
        char text[ERROR_TEXT_MAX];
        snprintf(text, sizeof text, "parent %s is driven by a session of '%s'",
                 id_format(p->id, id), p->driver->name->s);
        SEND(c, peer->handle, 0, error, .req = req, .code = REFUSAL_HELD_BY_OTHER,
             .text = span_str(text), .retry_ms = c->config.lease_ms);
        return;
    }
    if (!p->driver) {
        p->driver = peer;
        EMIT(c, parent_driven, .at = c->wall, .run = p->id, .epoch = p->epoch + 1,
             .principal = span_str(peer->name->s));
    }
    SEND(c, peer->handle, p->lsn, driving, .req = req, .parent = p->id, .epoch = p->epoch,
         .resumed = resumed);
}

static bool decode(struct bcore *c, struct peer_state *peer, const struct m_parent_begin *m,
                   struct d_parent *d, struct hash *digest)
{
    struct d_signed s;
    struct error err = {0};
    if (d_signed_decode(m->parent, &s, &err) < 0 || d_parent_decode(s.body, d, &err) < 0) {
        out_fail(c, m->req, REFUSAL_MALFORMED, "%s", err.text);
        return false;
    }
    if (!span_eq_str(d->cluster, c->config.cluster) || !span_eq_str(d->caller, peer->name->s)) {
        out_fail(c, m->req, REFUSAL_DENIED,
                 "the parent is of '" SPAN_FMT "' in cluster '" SPAN_FMT "'; this is '%s' in '%s'",
                 SPAN_ARG(d->caller), SPAN_ARG(d->cluster), peer->name->s, c->config.cluster);
        return false;
    }
    if (!d->key.n || !names_as_of_is_good(d->as_of)) {
        out_fail(c, m->req, REFUSAL_MALFORMED, "parent: %s",
                 d->key.n ? "its as_of is neither a day nor a time with its offset"
                          : "its key is empty");
        return false;
    }
    call_digest(s.body, digest);
    return true;
}

/* Answers a parent whose key is known. False: it is new. */
static bool answer_duplicate(struct bcore *c, struct peer_state *peer,
                             const struct m_parent_begin *m, const struct d_parent *d,
                             struct key128 key, const struct hash *digest)
{
    struct parent *p = (struct parent *)table_find(&c->parents_by_key, key.a, &key);
    const struct kept *k = p ? NULL : kept_by_key(c, key);
    const struct bcore_known *known = !p && !k && c->ev->looked_up ? c->ev->known : NULL;
    struct id run = p ? p->id : k ? k->id : known ? known->run : ID_ZERO;
    char id[ID_TEXT];
    if (!p && !k && !known)
        return false;
    if (memcmp(p   ? p->digest.b
               : k ? k->digest
                   : known->digest.b,
               digest->b, sizeof k->digest) != 0) {
        out_fail_after(
            c,
            p   ? p->lsn
            : k ? k->lsn
                : 0,
            m->req, REFUSAL_CONFLICT,
            "the key '" SPAN_FMT
            "' belongs to parent %s, whose plan or values were different: see `lbctl show`, "
            "or use a new key",
            SPAN_ARG(d->key), id_format(run, id));
        return true;
    }
    SEND(c, peer->handle,
         p   ? p->lsn
         : k ? k->lsn
             : 0,
         accepted, .req = m->req, .run = run, .duplicate = true);
    if (p && m->drive)
        drive(c, peer, p, m->req);
    return true;
}

static bool refuse_new(struct bcore *c, const struct m_parent_begin *m)
{
    if (c->store_full)
        out_fail_busy(c, m->req, "the broker's disk is full: only results and cancels are taken");
    else if (c->parents.n >= c->config.max_runs)
        out_fail_busy(c, m->req, "%zu parents are live, which is this broker's limit",
                      c->parents.n);
    else if (c->memory + m->parent.n + sizeof(struct parent) > c->config.memory_budget)
        out_fail_busy(c, m->req, "waiting calls fill the broker's memory budget");
    else
        return false;
    return true;
}

void bcore_on_parent_begin(struct bcore *c, struct peer_state *peer)
{
    struct m_parent_begin m;
    struct d_parent d;
    struct hash digest;
    struct key128 key;
    struct id id;
    if (!TAKE(c, peer, parent_begin, &m) || !decode(c, peer, &m, &d, &digest))
        return;
    key = key128_of(c, d.caller, d.key, true);
    if (answer_duplicate(c, peer, &m, &d, key, &digest))
        return;
    if (kept_must_ask(c, d.issued_at)) {
        out_lookup_key(c, peer->handle, m.req, d.key, true);
        return;
    }
    if (refuse_new(c, &m))
        return;
    id = id_make(c->wall, c->ev->random);
    while (run_find(c, id) || parent_find(c, id) || kept_by_id(c, id))
        id.b[15]++;
    EMIT(c, parent_begun, .at = c->wall, .run = id, .principal = d.caller, .parent = m.parent,
         .digest = digest);
    SEND(c, peer->handle, c->lsn, accepted, .req = m.req, .run = id, .duplicate = false);
    if (m.drive)
        drive(c, peer, parent_find(c, id), m.req);
}

void bcore_on_parent_drive(struct bcore *c, struct peer_state *peer)
{
    struct m_parent_drive m;
    struct parent *p;
    const struct kept *k;
    char id[ID_TEXT];
    if (!TAKE(c, peer, parent_drive, &m))
        return;
    p = parent_find(c, m.parent);
    if (p)
        drive(c, peer, p, m.req);
    else if ((k = kept_by_id(c, m.parent)))
        out_fail_after(c, k->lsn, m.req, REFUSAL_STATE, "parent %s has ended",
                       id_format(m.parent, id));
    else
        out_fail_after(c, c->kept.forgot_lsn, m.req, REFUSAL_UNKNOWN_RUN,
                       "no live parent has the id %s", id_format(m.parent, id));
}

void bcore_on_parent_end(struct bcore *c, struct peer_state *peer)
{
    struct m_parent_end m;
    struct parent *p;
    const struct kept *k;
    char id[ID_TEXT];
    if (!TAKE(c, peer, parent_end, &m))
        return;
    p = parent_find(c, m.parent);
    if (!p && (k = kept_by_id(c, m.parent)) && (k->flags & KEPT_PARENT)) {
        out_done(c, m.req, k->lsn, "it had already ended");
    } else if (!p) {
        out_fail_after(c, c->kept.forgot_lsn, m.req, REFUSAL_UNKNOWN_RUN,
                       "no live parent has the id %s", id_format(m.parent, id));
    } else if (m.epoch != p->epoch || p->driver != peer) {
        out_fail(
            c, m.req, REFUSAL_HELD_BY_OTHER,
            "parent %s: this session does not drive it in epoch %llu (it is in epoch %llu now)",
            id_format(m.parent, id), (unsigned long long)m.epoch, (unsigned long long)p->epoch);
    } else if (m.status >= STATUS_COUNT) {
        out_fail(c, m.req, REFUSAL_MALFORMED, "a parent's status has an unknown value");
    } else {
        EMIT(c, parent_ended, .at = c->wall, .run = m.parent, .status = m.status,
             .report = m.report);
        out_done(c, m.req, c->lsn, "");
    }
}
