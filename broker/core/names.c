/* names.c - names and certificates, each held once, and keyed hashes of everything that peers
 * choose. */
#include <sodium.h>
#include <string.h>

#include "broker/core/inside.h"

uint64_t bcore_hash_keyed(const struct bcore *c, const void *p, size_t n)
{
    uint64_t h;
    _Static_assert(sizeof h == crypto_shorthash_BYTES, "SipHash-2-4 gives 64 bits");
    crypto_shorthash((unsigned char *)&h, p, n, c->config.hash_key);
    return h;
}

struct key128 key128_of(const struct bcore *c, struct span principal, struct span key, bool parent)
{
    uint8_t in[2 + LIMIT_NAME + LIMIT_KEY];
    struct key128 k;
    size_t n = 0;
    _Static_assert(sizeof k == crypto_shorthash_siphashx24_BYTES,
                   "SipHash with a result of 128 bits");
    in[n++] = parent;
    /* a length byte separates the principal from the key */
    in[n++] = (uint8_t)principal.n;
    memcpy(in + n, principal.p, principal.n);
    n += principal.n;
    if (key.n)
        memcpy(in + n, key.p, key.n);
    n += key.n;
    crypto_shorthash_siphashx24((unsigned char *)&k, in, n, c->config.hash_key);
    return k;
}

static uint64_t text_hash(const void *self, uintptr_t item)
{
    (void)self;
    return ((const struct text *)item)->hash;
}

static bool text_same(const void *self, uintptr_t item, const void *key)
{
    const struct text *t = (const struct text *)item;
    const struct span *s = key;
    (void)self;
    return t->n == s->n && (!s->n || !memcmp(t->s, s->p, s->n));
}

struct text *text_find(const struct bcore *c, struct span s)
{
    return (struct text *)table_find(&c->texts, bcore_hash_keyed(c, s.p, s.n), &s);
}

struct text *text_get(struct bcore *c, struct span s)
{
    struct text *t = text_find(c, s);
    if (t)
        return text_ref(t);
    t = mem_alloc(sizeof *t + s.n + 1);
    t->hash = bcore_hash_keyed(c, s.p, s.n);
    t->refs = 1;
    t->n = (uint32_t)s.n;
    if (s.n)
        memcpy(t->s, s.p, s.n);
    t->s[s.n] = 0;
    table_add(&c->texts, (uintptr_t)t);
    return t;
}

struct text *text_ref(struct text *t)
{
    t->refs++;
    return t;
}

void text_put(struct bcore *c, struct text **t)
{
    if (*t && --(*t)->refs == 0) {
        table_remove(&c->texts, (uintptr_t)*t);
        mem_free(t);
    }
    *t = NULL;
}

/* ---- The tables of the core, each with its hash. The ids in them are made by the broker; ids from
 * peers are only looked up. */
uint64_t bcore_hash_id(const struct id *id)
{
    uint64_t a, b;
    memcpy(&a, id->b, sizeof a);
    memcpy(&b, id->b + 8, sizeof b);
    return bcore_hash_mix(a, b);
}

uint64_t bcore_hash_mix(uint64_t a, uint64_t b)
{
    a = (a ^ b * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
    a = (a ^ a >> 32) * 0xD6E8FEB86659FD93u;
    return a ^ a >> 32;
}

static uint64_t run_id_hash(const void *self, uintptr_t item)
{
    (void)self;
    return bcore_hash_id(&((const struct run *)item)->id);
}
static bool run_id_same(const void *self, uintptr_t item, const void *key)
{
    (void)self;
    return id_eq(((const struct run *)item)->id, *(const struct id *)key);
}
static uint64_t run_key_hash(const void *self, uintptr_t item)
{
    (void)self;
    return ((const struct run *)item)->key.a;
}
static bool run_key_same(const void *self, uintptr_t item, const void *key)
{
    const struct key128 *a = &((const struct run *)item)->key, *b = key;
    (void)self;
    return a->a == b->a && a->b == b->b;
}
static uint64_t parent_id_hash(const void *self, uintptr_t item)
{
    (void)self;
    return bcore_hash_id(&((const struct parent *)item)->id);
}
static bool parent_id_same(const void *self, uintptr_t item, const void *key)
{
    (void)self;
    return id_eq(((const struct parent *)item)->id, *(const struct id *)key);
}
static uint64_t parent_key_hash(const void *self, uintptr_t item)
{
    (void)self;
    return ((const struct parent *)item)->key.a;
}
static bool parent_key_same(const void *self, uintptr_t item, const void *key)
{
    const struct key128 *a = &((const struct parent *)item)->key, *b = key;
    (void)self;
    return a->a == b->a && a->b == b->b;
}
static uint64_t peer_hash(const void *self, uintptr_t item)
{
    (void)self;
    /* the shell chooses handles, not the peer */
    return bcore_hash_mix(((const struct peer_state *)item)->handle, 0);
}
static bool peer_same(const void *self, uintptr_t item, const void *key)
{
    (void)self;
    return ((const struct peer_state *)item)->handle == *(const uint64_t *)key;
}

void bcore_tables_init(struct bcore *c)
{
    c->texts = (struct table){.hash = text_hash, .same = text_same};
    c->runs = (struct table){.hash = run_id_hash, .same = run_id_same};
    c->runs_by_key = (struct table){.hash = run_key_hash, .same = run_key_same};
    c->parents = (struct table){.hash = parent_id_hash, .same = parent_id_same};
    c->parents_by_key = (struct table){.hash = parent_key_hash, .same = parent_key_same};
    c->peers = (struct table){.hash = peer_hash, .same = peer_same};
}

struct run *run_find(const struct bcore *c, struct id id)
{
    return (struct run *)table_find(&c->runs, bcore_hash_id(&id), &id);
}

struct run *run_by_key(const struct bcore *c, struct key128 key)
{
    return (struct run *)table_find(&c->runs_by_key, key.a, &key);
}

struct parent *parent_find(const struct bcore *c, struct id id)
{
    return (struct parent *)table_find(&c->parents, bcore_hash_id(&id), &id);
}

struct peer_state *bcore_peer_find(const struct bcore *c, uint64_t handle)
{
    return (struct peer_state *)table_find(&c->peers, bcore_hash_mix(handle, 0), &handle);
}
