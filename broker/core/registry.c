/* registry.c - administrators' decisions: certificates (and so the servers) and revocations.
 *
 * The shell has already verified signatures. The core adds what only it can know: no two principals
 * have one name, and no server has the name of a pool. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/inside.h"

int registry_decode_certificate(struct span bytes, struct d_certificate *ret, struct error *err)
{
    struct d_signed s;
    int rc = d_signed_decode(bytes, &s, err);
    return rc < 0 ? rc : d_certificate_decode(s.body, ret, err);
}

static int compare(const struct enrolled *e, struct span name, uint64_t serial)
{
    size_t n = e->name->n < name.n ? e->name->n : name.n;
    int cmp = n ? memcmp(e->name->s, name.p, n) : 0;
    if (cmp == 0 && e->name->n != name.n)
        cmp = e->name->n < name.n ? -1 : 1;
    if (cmp == 0 && e->serial != serial)
        cmp = e->serial < serial ? -1 : 1;
    return cmp;
}

static unsigned place_of(const struct bcore *c, struct span name, uint64_t serial)
{
    unsigned low = 0, high = c->n_enrolled;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (compare(&c->enrolled[mid], name, serial) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct enrolled *enrolled_find(const struct bcore *c, struct span name, uint64_t serial)
{
    unsigned i = place_of(c, name, serial);
    const struct enrolled *best = NULL;
    if (serial)
        return i < c->n_enrolled && compare(&c->enrolled[i], name, serial) == 0 ? &c->enrolled[i]
                                                                                : NULL;
    for (; i < c->n_enrolled &&
           span_eq(span_of(c->enrolled[i].name->s, c->enrolled[i].name->n), name);
         i++)
        if (!best || c->enrolled[i].order > best->order)
            best = &c->enrolled[i];
    return best;
}

const struct enrolled *enrolled_after(const struct bcore *c, struct span name, uint64_t serial)
{
    unsigned i = place_of(c, name, serial);
    if (i < c->n_enrolled && compare(&c->enrolled[i], name, serial) == 0)
        i++;
    return i < c->n_enrolled ? &c->enrolled[i] : NULL;
}

int registry_apply_enrolled(struct bcore *c, uint64_t lsn, const struct r_enrolled *r,
                            struct error *err)
{
    struct d_certificate d;
    unsigned i;
    int rc = registry_decode_certificate(r->certificate, &d, err);
    if (rc < 0)
        return rc;
    i = place_of(c, d.name, d.serial);
    if (i == c->n_enrolled || compare(&c->enrolled[i], d.name, d.serial) != 0) {
        if (c->n_enrolled == c->cap_enrolled) {
            c->cap_enrolled = c->cap_enrolled ? c->cap_enrolled * 2 : 16;
            c->enrolled = mem_realloc(c->enrolled, c->cap_enrolled, sizeof *c->enrolled);
        }
        memmove(c->enrolled + i + 1, c->enrolled + i, (c->n_enrolled - i) * sizeof *c->enrolled);
        c->n_enrolled++;
        memset(&c->enrolled[i], 0, sizeof *c->enrolled);
        c->enrolled[i].name = text_get(c, d.name);
    }
    struct enrolled *e = &c->enrolled[i];
    text_put(c, &e->role);
    e->role = text_get(c, d.role);
    e->serial = d.serial;
    e->order = lsn;
    e->at = r->at;
    buf_free(&e->bytes);
    e->bytes = buf_dup(r->certificate);
    if (span_eq_str(d.role, "server"))
        server_set_pools(c, server_get(c, d.name), &d.pools);
    return 0;
}

static void enrolled_free(struct bcore *c, struct enrolled *e)
{
    text_put(c, &e->name);
    text_put(c, &e->role);
    buf_free(&e->bytes);
}

void registry_free(struct bcore *c)
{
    for (unsigned i = 0; i < c->n_enrolled; i++)
        enrolled_free(c, &c->enrolled[i]);
    mem_free(&c->enrolled);
    for (unsigned i = 0; i < c->n_deployments; i++) {
        text_put(c, &c->deployments[i].address);
        text_put(c, &c->deployments[i].name);
        text_put(c, &c->deployments[i].by);
        buf_free(&c->deployments[i].bytes);
    }
    mem_free(&c->deployments);
    vault_free(c);
    buf_free(&c->revocations);
    mem_free(&c->revoked);
}

/* ---- Taking a certificate */
static int judge_names(const struct bcore *c, const struct d_certificate *d, struct error *err)
{
    const struct enrolled *now = enrolled_find(c, d->name, 0);
    bool server = span_eq_str(d->role, "server");
    if (now && !span_eq(d->role, span_of(now->role->s, now->role->n)))
        return error_set(err, -EEXIST, "'" SPAN_FMT "' is already a %s; choose another name",
                         SPAN_ARG(d->name), now->role->s);
    const struct server *member = server ? servers_pool_member(c, d->name) : NULL;
    if (member)
        return error_set(err, -EEXIST,
                         "'" SPAN_FMT "' is the name of a pool (of server %s); choose another name",
                         SPAN_ARG(d->name), member->name->s);
    struct span pool;
    for (struct wire_iter it = wire_iter(&d->pools); wire_next(&it, &pool);) {
        const struct server *s = server_find(c, pool);
        if (span_eq(pool, d->name) || (s && s->enrolled))
            return error_set(err, -EEXIST, "pool '" SPAN_FMT "' has the name of a server",
                             SPAN_ARG(pool));
    }
    return 0;
}

/* A server that an operator has forgotten becomes known again by its certificate. */
static bool forgotten(const struct bcore *c, const struct d_certificate *d)
{
    const struct server *s = span_eq_str(d->role, "server") ? server_find(c, d->name) : NULL;
    return span_eq_str(d->role, "server") && (!s || !s->enrolled);
}

/* 1: known; 0: new and acceptable; negative: refused. */
static int judge(const struct bcore *c, struct span bytes, const struct d_certificate *d,
                 struct error *err)
{
    const struct enrolled *same = enrolled_find(c, d->name, d->serial);
    if (!d->serial)
        return error_set(err, -EINVAL, "the certificate of '" SPAN_FMT "' has no serial",
                         SPAN_ARG(d->name));
    if (same && span_eq(buf_span(&same->bytes), bytes))
        return !forgotten(c, d);
    if (same)
        return error_set(
            err, -EEXIST,
            "'" SPAN_FMT
            "' already has a certificate with serial %llu: its invitation has been used",
            SPAN_ARG(d->name), (unsigned long long)d->serial);
    return judge_names(c, d, err);
}

static uint64_t take_up(struct bcore *c, struct span bytes, const struct d_certificate *d,
                        struct span by)
{
    uint64_t lsn = EMIT(c, enrolled, .at = c->wall, .by = by, .certificate = bytes);
    struct server *s = span_eq_str(d->role, "server") ? server_find(c, d->name) : NULL;
    if (s)
        queue_refresh_seats(c, s);
    return lsn;
}

bool registry_meet(struct bcore *c, struct span bytes, struct error *err)
{
    struct d_certificate d;
    int rc = registry_decode_certificate(bytes, &d, err);
    if (rc == 0)
        rc = judge(c, bytes, &d, err);
    if (rc == 0)
        take_up(c, bytes, &d, d.name);
    return rc >= 0;
}

void bcore_on_enrol(struct bcore *c, struct peer_state *p, bool published)
{
    struct d_certificate d;
    struct error err = {0};
    struct span bytes;
    uint64_t req;
    int rc;
    if (published) {
        struct m_publish m;
        if (!TAKE(c, p, publish, &m))
            return;
        req = m.req;
        bytes = m.certificate;
    } else {
        struct m_enrol m;
        if (!TAKE(c, p, enrol, &m))
            return;
        req = m.req;
        bytes = m.certificate;
    }
    if (registry_decode_certificate(bytes, &d, &err) < 0) {
        out_fail(c, req, REFUSAL_MALFORMED, "%s", err.text);
        return;
    }
    rc = judge(c, bytes, &d, &err);
    if (rc < 0)
        out_fail(c, req, rc == -EEXIST ? REFUSAL_EXISTS : REFUSAL_MALFORMED, "%s", err.text);
    else
        out_done(c, req,
                 rc ? enrolled_find(c, d.name, d.serial)->order
                    : take_up(c, bytes, &d, span_str(p->name->s)),
                 "");
}

/* ---- Revocations: one list, replaced by the next */
int registry_apply_revoked(struct bcore *c, const struct r_revoked *r, struct error *err)
{
    struct d_signed s;
    struct d_revocations d;
    int rc = d_signed_decode(r->list, &s, err);
    if (rc == 0)
        rc = d_revocations_decode(s.body, &d, err);
    if (rc < 0)
        return rc;
    if (d.serials.n % 8)
        return error_set(err, -EPROTO, "revocations: list truncated");
    buf_free(&c->revocations);
    c->revocations = buf_dup(r->list);
    c->revocations_number = d.number;
    c->n_revoked = d.serials.n / 8;
    c->revoked = mem_realloc(c->revoked, c->n_revoked + 1, sizeof *c->revoked);
    for (size_t i = 0; i < c->n_revoked; i++) {
        uint64_t v = 0;
        for (unsigned k = 0; k < 8; k++)
            v = v << 8 | d.serials.p[8 * i + k];
        c->revoked[i] = v;
    }
    return 0;
}

bool registry_is_revoked(const struct bcore *c, uint64_t serial)
{
    size_t low = 0, high = c->n_revoked;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c->revoked[mid] < serial)
            low = mid + 1;
        else
            high = mid;
    }
    return low < c->n_revoked && c->revoked[low] == serial;
}

void registry_send_revoked(struct bcore *c, uint64_t peer, uint64_t rests_on)
{
    if (c->revocations.n)
        SEND(c, peer, rests_on, revoked, .list = buf_span(&c->revocations));
}

static int by_handle(const void *a, const void *b)
{
    const struct peer_state *x = *(struct peer_state *const *)a,
                            *y = *(struct peer_state *const *)b;
    return x->handle < y->handle ? -1 : x->handle > y->handle;
}

static void tell_all(struct bcore *c, uint64_t lsn)
{
    struct peer_state **all = mem_zalloc(c->peers.n, sizeof(struct peer_state *));
    size_t n = 0, place = 0;
    uintptr_t item;
    while ((item = table_next(&c->peers, &place)))
        all[n++] = (struct peer_state *)item;
    qsort(all, n, sizeof(struct peer_state *), by_handle);
    for (size_t i = 0; i < n; i++) {
        if (registry_is_revoked(c, all[i]->serial)) {
            out_refuse(c, all[i]->handle, REFUSAL_REVOKED, 0,
                       "the certificate of '%s' (serial %llu) has been revoked", all[i]->name->s,
                       (unsigned long long)all[i]->serial);
            bcore_peer_forget(c, all[i]);
        } else {
            registry_send_revoked(c, all[i]->handle, lsn);
        }
    }
    mem_free(&all);
}

void bcore_on_revoke(struct bcore *c, struct peer_state *p)
{
    struct m_revoke m;
    struct d_signed s;
    struct d_revocations d;
    struct error err = {0};
    uint64_t lsn;
    if (!TAKE(c, p, revoke, &m))
        return;
    if (d_signed_decode(m.list, &s, &err) < 0 || d_revocations_decode(s.body, &d, &err) < 0 ||
        d.serials.n % 8) {
        out_fail(c, m.req, REFUSAL_MALFORMED, "%s", err.code ? err.text : "list truncated");
    } else if (span_eq(m.list, buf_span(&c->revocations))) {
        out_done(c, m.req, c->lsn, "");
    } else if (d.number <= c->revocations_number) {
        out_fail(c, m.req, REFUSAL_STATE,
                 "the list has number %llu; number %llu is in force: start from that one",
                 (unsigned long long)d.number, (unsigned long long)c->revocations_number);
    } else {
        lsn = EMIT(c, revoked, .at = c->wall, .by = span_str(p->name->s), .list = m.list);
        out_done(c, m.req, lsn, "");
        tell_all(c, lsn);
    }
}
