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

/* As run_cost; a driver needs its plan, which is in the depot. */
uint64_t parent_cost(size_t body_n)
{
    return sizeof(struct parent) + 2 * 2 * sizeof(uintptr_t) + 2 * 16 + body_n;
}

static void undrive(struct parent *p)
{
    if (!p->driver)
        return;
    *(p->drives_prev ? &p->drives_prev->drives_next : &p->driver->drives) = p->drives_next;
    if (p->drives_next)
        p->drives_next->drives_prev = p->drives_prev;
    p->drives_prev = p->drives_next = NULL;
    p->driver = NULL;
}

static void set_driver(struct parent *p, struct peer_state *peer)
{
    p->driver = peer;
    p->drives_next = peer->drives;
    if (p->drives_next)
        p->drives_next->drives_prev = p;
    peer->drives = p;
}

void parent_free(struct bcore *c, struct parent **p)
{
    undrive(*p);
    (*p)->account->parents--;
    account_release(c, (*p)->account, parent_cost((*p)->body.n));
    account_put(c, &(*p)->account);
    text_put(c, &(*p)->driven_by);
    text_put(c, &(*p)->principal);
    buf_free(&(*p)->body);
    mem_free(p);
}

void parents_peer_down(struct peer_state *peer)
{
    while (peer->drives)
        undrive(peer->drives);
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
    if (!p->driver && !account_rate(c, &p->drives, 1, RATE_DRIVES, 60000)) {
        out_fail_busy(c, req, "parent %s has had %d drivers within a minute", id_format(p->id, id),
                      RATE_DRIVES);
        return;
    }
    if (!p->driver) {
        set_driver(p, peer);
        EMIT(c, parent_driven, .at = c->wall, .run = p->id, .epoch = p->epoch + 1,
             .principal = span_str(peer->name->s));
    }
    SEND(c, peer->handle, p->lsn, driving, .req = req, .parent = p->id, .epoch = p->epoch,
         .resumed = resumed);
}

/* Between two sessions of a driver nobody drives, and what it had not heard an answer to may come
 * before its PARENT_DRIVE. So then its principal counts. */
static bool is_driver(const struct parent *p, const struct peer_state *peer)
{
    return p->driver ? p->driver == peer
                     : peer->name == (p->driven_by ? p->driven_by : p->principal);
}

/* Its own principal may try again: perhaps the other session ends before the parent. */
static void other_drives(struct bcore *c, const struct parent *p, const struct peer_state *peer,
                         uint64_t req)
{
    char id[ID_TEXT], text[ERROR_TEXT_MAX];
    bool own = peer->name == p->principal;
    snprintf(text, sizeof text,
             "parent %s is driven by %s'%s': only its driver starts what is below it",
             id_format(p->id, id), p->driver ? "another session, of " : "",
             p->driver      ? p->driver->name->s
             : p->driven_by ? p->driven_by->s
                            : p->principal->s);
    c->counts.refused++;
    SEND(c, peer->handle, p->lsn, error, .req = req,
         .code = own ? REFUSAL_HELD_BY_OTHER : REFUSAL_DENIED, .text = span_str(text),
         .retry_ms = own ? c->config.lease_ms : 0);
}

bool parents_admit(struct bcore *c, const struct peer_state *peer, uint64_t req, struct id parent,
                   uint64_t index)
{
    const struct parent *p = parent_find(c, parent);
    const struct kept *k = p ? NULL : kept_by_id(c, parent);
    char id[ID_TEXT];
    if (!p)
        out_fail_after(c, k ? k->lsn : c->kept.forgot_lsn, req, REFUSAL_DENIED, "parent %s %s",
                       id_format(parent, id), k ? "has ended" : "is not known");
    else if (!is_driver(p, peer))
        other_drives(c, p, peer, req);
    else if (index >= p->tasks + LIMIT_SERVERS)
        out_fail_after(c, p->lsn, req, REFUSAL_DENIED,
                       "parent %s has %llu tasks, and no child %llu", id_format(parent, id),
                       (unsigned long long)p->tasks, (unsigned long long)index);
    else
        return true;
    return false;
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

static bool refuse_new(struct bcore *c, struct peer_state *peer, const struct m_parent_begin *m)
{
    struct account *a = peer->account;
    if (!c->store_full)
        return !account_allows_live(c, a, m->req, "parents", a->parents, c->parents.n) ||
               !account_allows_memory(c, a, m->req, parent_cost(m->parent.n));
    out_fail_busy(c, m->req, "the broker's disk is full: only results and cancels are taken");
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
    if (kept_must_ask(c, key)) {
        out_lookup_key(c, peer->handle, m.req, d.key, true);
        return;
    }
    if (!id_is_zero(d.parent) && !parents_admit(c, peer, m.req, d.parent, 0))
        return;
    if (refuse_new(c, peer, &m))
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
