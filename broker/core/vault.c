/* vault.c - secrets by name and address, and which of them each server gets.
 *
 * A secret that is put replaces the older one of the same name at the same address; one that is
 * dropped stays as a mark, so that servers learn of it and a repeat of an older document does not
 * bring it back. Of all that cover a server, the one issued last counts. Versions count up by name,
 * whatever the address, so that people can speak of them. */
#include "broker/core/vault.h"

#include <string.h>

#include "broker/core/inside.h"
#include "trust/envelope.h"
#include "trust/secretdoc.h"

static int compare_text(const struct text *t, struct span s)
{
    size_t n = t->n < s.n ? t->n : s.n;
    int cmp = n ? memcmp(t->s, s.p, n) : 0;
    return cmp ? cmp : t->n < s.n ? -1 : t->n > s.n;
}

static unsigned place_of(const struct vault *v, struct span name, struct span address,
                         bool *ret_there)
{
    unsigned low = 0, high = v->n;
    *ret_there = false;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        int cmp = compare_text(v->v[mid].name, name);
        if (cmp == 0)
            cmp = compare_text(v->v[mid].address, address);
        if (cmp == 0)
            *ret_there = true;
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void entry_free(struct bcore *c, struct vault_entry *e)
{
    c->vault.bytes -= e->bytes.n;
    text_put(c, &e->name);
    text_put(c, &e->address);
    text_put(c, &e->by);
    text_put(c, &e->certificate);
    buf_free(&e->bytes);
}

void vault_free(struct bcore *c)
{
    for (unsigned i = 0; i < c->vault.n; i++)
        entry_free(c, &c->vault.v[i]);
    mem_free(&c->vault.v);
}

/* ---- What is there */

const struct vault_entry *vault_after(const struct bcore *c, struct span name, struct span address)
{
    bool there;
    unsigned i = place_of(&c->vault, name, address, &there);
    for (i += there; i < c->vault.n; i++)
        if (!c->vault.v[i].removed)
            return &c->vault.v[i];
    return NULL;
}

static void drop_old_marks(struct bcore *c, int64_t now)
{
    struct vault *v = &c->vault;
    unsigned n = 0;
    for (unsigned i = 0; i < v->n; i++)
        if (v->v[i].removed && now - v->v[i].at > VAULT_MARK_MS)
            entry_free(c, &v->v[i]);
        else
            v->v[n++] = v->v[i];
    v->n = n;
}

static struct vault_entry *make_room(struct vault *v, unsigned i)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 16;
        v->v = mem_realloc(v->v, v->cap, sizeof *v->v);
    }
    memmove(v->v + i + 1, v->v + i, (v->n - i) * sizeof *v->v);
    v->n++;
    return &v->v[i];
}

int vault_apply(struct bcore *c, const struct r_secret *r, struct error *err)
{
    struct d_signed s;
    struct d_secret d;
    bool there;
    int rc = secretdoc_read(r->secret, &s, &d, err);
    if (rc < 0)
        return rc;
    drop_old_marks(c, r->at);
    unsigned i = place_of(&c->vault, d.name, d.address, &there);
    struct vault_entry *e = there ? &c->vault.v[i] : make_room(&c->vault, i);
    if (there)
        entry_free(c, e);
    *e = (struct vault_entry){.name = text_get(c, d.name),
                              .address = text_get(c, d.address),
                              .by = text_get(c, r->by),
                              .certificate = text_get(c, r->certificate),
                              .version = d.version,
                              .at = r->at,
                              .issued_at = d.issued_at,
                              .removed = d.remove,
                              .bytes = buf_dup(r->secret)};
    envelope_hash(r->secret, &e->document);
    c->vault.bytes += e->bytes.n;
    return 0;
}

/* ---- Which server gets what */

static uint32_t list_for(const struct bcore *c, const struct server *s, struct buf *items)
{
    const struct vault *v = &c->vault;
    struct buf one = {0};
    uint32_t n = 0;
    for (unsigned i = 0, next; i < v->n; i = next) {
        const struct vault_entry *newest = NULL;
        for (next = i; next < v->n && v->v[next].name == v->v[i].name; next++)
            if (server_in(s, v->v[next].address) &&
                (!newest || v->v[next].issued_at > newest->issued_at))
                newest = &v->v[next];
        if (!newest || n == LIMIT_SECRETS)
            continue;
        buf_clear(&one);
        d_secret_listed_encode(
            &(struct d_secret_listed){.name = span_of(newest->name->s, newest->name->n),
                                      .document = newest->document},
            &one);
        wire_add_bin(items, buf_span(&one));
        n++;
    }
    buf_free(&one);
    return n;
}

void vault_send(struct bcore *c, const struct server *s, uint64_t rests_on)
{
    struct buf items = {0};
    uint32_t n = list_for(c, s, &items);
    SEND(c, s->peer->handle, rests_on, secrets, .secrets = wire_list_from(&items, n));
    buf_free(&items);
}

void bcore_on_secret_get(struct bcore *c, struct peer_state *p)
{
    struct m_secret_get m;
    if (!TAKE(c, p, secret_get, &m))
        return;
    for (unsigned i = 0; i < c->vault.n; i++) {
        const struct vault_entry *e = &c->vault.v[i];
        if (!hash_eq(&e->document, &m.document) || !server_in(p->server, e->address))
            continue;
        SEND(c, p->handle, c->lsn, secret, .req = m.req, .secret = buf_span(&e->bytes),
             .certificate = span_of(e->certificate->s, e->certificate->n));
        return;
    }
    out_fail(c, m.req, REFUSAL_NOT_FOUND, "no secret of this server has this hash");
}

/* ---- Putting and dropping */

static uint64_t next_version(const struct vault *v, struct span name, int64_t *ret_issued_at)
{
    uint64_t newest = 0;
    bool there;
    *ret_issued_at = INT64_MIN;
    for (unsigned i = place_of(v, name, SPAN_NONE, &there);
         i < v->n && compare_text(v->v[i].name, name) == 0; i++) {
        newest = v->v[i].version > newest ? v->v[i].version : newest;
        if (v->v[i].issued_at > *ret_issued_at)
            *ret_issued_at = v->v[i].issued_at;
    }
    return newest + 1;
}

/* Not of `but`, which is to be replaced. */
static bool has_room(struct bcore *c, const struct peer_state *p, uint64_t req,
                     const struct vault_entry *but, size_t bytes)
{
    const struct vault *v = &c->vault;
    uint64_t own = bytes, all = v->bytes + bytes - (but ? but->bytes.n : 0);
    unsigned n = 1;
    for (unsigned i = 0; i < v->n; i++)
        if (v->v[i].by == p->name && &v->v[i] != but) {
            own += v->v[i].bytes.n;
            n++;
        }
    if (n > VAULT_EACH || own > VAULT_EACH_BYTES) {
        out_fail(c, req, REFUSAL_NO_SPACE,
                 "you have put %u secrets (dropped ones count for 90 days), and the limit for each "
                 "principal is %d secrets and %d MiB; drop what is not used",
                 n - 1, (int)VAULT_EACH, (int)VAULT_EACH_BYTES >> 20);
        return false;
    }
    if ((!but && v->n >= LIMIT_SECRETS) || all > VAULT_BYTES) {
        out_fail(
            c, req, REFUSAL_NO_SPACE,
            "this cluster has %u secrets, and the limit is %d and %d MiB; drop what is not used",
            v->n, LIMIT_SECRETS, (int)VAULT_BYTES >> 20);
        return false;
    }
    return true;
}

static bool is_in_time(struct bcore *c, uint64_t req, const struct d_secret *d, int64_t newest)
{
    const int64_t off = d->issued_at - c->wall;
    if (off > CLOCK_SKEW_MS || off < -CLOCK_SKEW_MS) {
        out_fail(c, req, REFUSAL_STATE, "your clock is %lld s %s the broker's; set it right",
                 (long long)((off < 0 ? -off : off) / 1000), off < 0 ? "behind" : "ahead of");
        return false;
    }
    if (d->issued_at <= newest) {
        out_fail(c, req, REFUSAL_STATE,
                 "a newer secret '" SPAN_FMT "' is in force; try again, or set your clock right",
                 SPAN_ARG(d->name));
        return false;
    }
    return true;
}

/* Answers what cannot be taken. */
static bool may_put(struct bcore *c, const struct peer_state *p, const struct m_secret_put *m,
                    const struct d_secret *d)
{
    bool there;
    int64_t newest;
    const uint64_t version = next_version(&c->vault, d->name, &newest);
    const unsigned i = place_of(&c->vault, d->name, d->address, &there);
    const struct vault_entry *e = there ? &c->vault.v[i] : NULL;
    if (d->remove && (!there || e->removed))
        out_fail(c, m->req, REFUSAL_NOT_FOUND,
                 "no secret '" SPAN_FMT "' is put to '" SPAN_FMT "' (lbctl secret list)",
                 SPAN_ARG(d->name), SPAN_ARG(d->address));
    else if (!d->remove && !servers_know_address(c, d->address))
        out_fail(c, m->req, REFUSAL_UNKNOWN_ADDRESS,
                 "no server or pool is named '" SPAN_FMT "' (lbctl servers lists them)",
                 SPAN_ARG(d->address));
    else if (d->version != version)
        out_fail(c, m->req, REFUSAL_STATE,
                 "somebody else has put secret '" SPAN_FMT "' meanwhile; the next version is %llu",
                 SPAN_ARG(d->name), (unsigned long long)version);
    else if (is_in_time(c, m->req, d, newest))
        return d->remove || has_room(c, p, m->req, e, m->secret.n);
    return false;
}

void bcore_on_secret_put(struct bcore *c, struct peer_state *p)
{
    struct m_secret_put m;
    struct d_signed s;
    struct d_secret d;
    struct error err = {0};
    bool there;
    if (!TAKE(c, p, secret_put, &m))
        return;
    if (secretdoc_read(m.secret, &s, &d, &err) < 0) {
        out_fail(c, m.req, REFUSAL_MALFORMED, "%s", err.text);
        return;
    }
    unsigned i = place_of(&c->vault, d.name, d.address, &there);
    if (there && span_eq(buf_span(&c->vault.v[i].bytes), m.secret)) {
        out_done(c, m.req, c->lsn, "");
        return;
    }
    if (!may_put(c, p, &m, &d))
        return;
    uint64_t lsn = EMIT(c, secret, .at = c->wall, .by = span_str(p->name->s), .secret = m.secret,
                        .certificate = c->ev->who->certificate);
    out_done(c, m.req, lsn, "");
    const struct text *address = text_find(c, d.address);
    for (unsigned k = 0; address && k < c->n_servers; k++)
        if (c->servers[k]->peer && server_in(c->servers[k], address))
            vault_send(c, c->servers[k], lsn);
}

/* ---- For whom it is to be sealed */

void bcore_on_secret_for(struct bcore *c, struct peer_state *p)
{
    enum { PAGE = LIMIT_FRAME / 2 };
    struct m_secret_for m;
    struct buf items = {0};
    uint32_t n = 0;
    unsigned members;
    int64_t newest;
    const char *last = "";
    bool more = false;
    if (!TAKE(c, p, secret_for, &m))
        return;
    struct text *address = text_get(c, m.address);
    struct server *const *v = servers_members(c, address, &members);
    for (unsigned i = 0; i < members && !more; i++) {
        const struct server *s = v[i];
        const struct span name = span_of(s->name->s, s->name->n);
        const struct enrolled *e = server_in(s, address) && compare_text(s->name, m.after) > 0
                                       ? enrolled_find(c, name, 0)
                                       : NULL;
        if (!e || registry_is_revoked(c, e->serial))
            continue;
        more = n == LIMIT_ROWS || items.n + e->bytes.n > PAGE;
        if (!more) {
            wire_add_bin(&items, buf_span(&e->bytes));
            last = s->name->s;
            n++;
        }
    }
    SEND(c, p->handle, 0, secret_to, .req = m.req,
         .version = next_version(&c->vault, m.name, &newest),
         .certificates = wire_list_from(&items, n), .next = span_str(more ? last : ""));
    text_put(c, &address);
    buf_free(&items);
}
