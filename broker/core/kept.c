/* kept.c - keys and ids of runs and parents that have ended: a ring in the order of their ends,
 * with tables by id and by key.
 *
 * An entry is forgotten when a newer end is more than kept_ms later, or when there are more than
 * kept_max. Both depend only on records, so a replay forgets the same entries. One time bounds the
 * forgotten runs: they had ended by then, so their calls were signed before it (apart from
 * differences between clocks). So only messages signed before that time need the store; newer ones
 * are decided here. */
#include <string.h>

#include "broker/core/inside.h"

enum { KEPT_MIN = 64 };

static struct kept *at(const struct kept_ring *k, uint64_t number)
{
    return &k->v[number & (k->cap - 1)];
}

static uint64_t kept_id_hash(const void *self, uintptr_t item)
{
    return bcore_hash_id(&at(self, item)->id);
}
static bool kept_id_same(const void *self, uintptr_t item, const void *key)
{
    return id_eq(at(self, item)->id, *(const struct id *)key);
}
static uint64_t kept_key_hash(const void *self, uintptr_t item)
{
    return at(self, item)->key.a;
}
static bool kept_key_same(const void *self, uintptr_t item, const void *key)
{
    const struct key128 *a = &at(self, item)->key, *b = key;
    return a->a == b->a && a->b == b->b;
}

void kept_init(struct bcore *c)
{
    struct kept_ring *k = &c->kept;
    k->first = k->next = 1;
    k->forgot_until = INT64_MIN;
    k->by_id = (struct table){.hash = kept_id_hash, .same = kept_id_same, .self = k};
    k->by_key = (struct table){.hash = kept_key_hash, .same = kept_key_same, .self = k};
}

void kept_free(struct bcore *c)
{
    table_free(&c->kept.by_id);
    table_free(&c->kept.by_key);
    mem_free(&c->kept.v);
}

static void forget_first(struct kept_ring *k)
{
    struct kept *e = at(k, k->first);
    if (e->at > k->forgot_until)
        k->forgot_until = e->at;
    if (e->lsn > k->forgot_lsn)
        k->forgot_lsn = e->lsn;
    table_remove(&k->by_id, (uintptr_t)k->first);
    table_remove(&k->by_key, (uintptr_t)k->first);
    k->first++;
}

static void grow(struct kept_ring *k)
{
    size_t cap = k->cap ? k->cap * 2 : KEPT_MIN;
    struct kept *v = mem_alloc(cap * sizeof *v);
    for (uint64_t i = k->first; i < k->next; i++)
        v[i & (cap - 1)] = *at(k, i);
    mem_free(&k->v);
    k->v = v;
    k->cap = cap;
}

void kept_add(struct bcore *c, const struct kept *e)
{
    struct kept_ring *k = &c->kept;
    uintptr_t same = table_find(&k->by_key, e->key.a, &e->key);
    if (same) {
        /* a run of this key had ended, but the store's answer no longer had it: the newer one
           counts */
        table_remove(&k->by_key, same);
        at(k, same)->key = (struct key128){same, UINT64_MAX};
        table_add(&k->by_key, same);
    }
    while (k->first < k->next && (k->next - k->first >= c->config.kept_max ||
                                  at(k, k->first)->at < e->at - (int64_t)c->config.kept_ms))
        forget_first(k);
    if (k->next - k->first == k->cap)
        grow(k);
    *at(k, k->next) = *e;
    table_add(&k->by_id, (uintptr_t)k->next);
    table_add(&k->by_key, (uintptr_t)k->next);
    k->next++;
}

/* A replay has no ends older than kept_ms, so only the store knows whether there were any. */
void kept_begin(struct bcore *c)
{
    int64_t told = c->wall - (int64_t)c->config.kept_ms;
    if (told > c->kept.forgot_until)
        c->kept.forgot_until = told;
}

const struct kept *kept_by_id(const struct bcore *c, struct id id)
{
    uintptr_t n = table_find(&c->kept.by_id, bcore_hash_id(&id), &id);
    return n ? at(&c->kept, n) : NULL;
}

const struct kept *kept_by_key(const struct bcore *c, struct key128 key)
{
    uintptr_t n = table_find(&c->kept.by_key, key.a, &key);
    return n ? at(&c->kept, n) : NULL;
}

bool kept_must_ask(const struct bcore *c, int64_t issued_at)
{
    if (c->ev->looked_up && c->ev->lsn >= c->kept.forgot_lsn)
        return false;
    return c->kept.forgot_until != INT64_MIN && issued_at <= c->kept.forgot_until + CLOCK_SKEW_MS;
}

/* ---- Results that did not count. Only a hint, so that a repeat makes no second record; it is in
 * no digest. */
void evidence_add(struct bcore *c, struct id run, uint64_t attempt, uint64_t lsn)
{
    if (!c->evidence)
        c->evidence = mem_zalloc(EVIDENCE_MAX, sizeof *c->evidence);
    c->evidence[c->next_evidence] = (struct evidence){run, attempt, lsn};
    c->next_evidence = (c->next_evidence + 1) % EVIDENCE_MAX;
    if (c->n_evidence < EVIDENCE_MAX)
        c->n_evidence++;
}

const struct evidence *evidence_find(const struct bcore *c, struct id run, uint64_t attempt)
{
    for (unsigned i = 0; i < c->n_evidence; i++) /* rare: only for a result that does not count */
        if (c->evidence[i].attempt == attempt && id_eq(c->evidence[i].run, run))
            return &c->evidence[i];
    return NULL;
}
