/* kept.c - keys and ids of runs and parents that have ended: a ring in the order of their ends,
 * with tables by id and by key.
 *
 * An entry is forgotten when a newer end is more than kept_ms later, or when there are more than
 * kept_max. Both depend only on records, so a replay forgets the same entries. The store still has
 * their keys, and a filter says which keys may be among them: without a hit a key is new. When a
 * message was signed says nothing, since anyone may sign an old key again. The filter has what was
 * forgotten since the start; of what was forgotten before it, the shell reads the keys out of the
 * store (BCORE_ENDED_KEYS), and until it has them all, every key that is not here may be one. */
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
    k->by_id = (struct table){.hash = kept_id_hash, .same = kept_id_same, .self = k};
    k->by_key = (struct table){.hash = kept_key_hash, .same = kept_key_same, .self = k};
}

void kept_free(struct bcore *c)
{
    table_free(&c->kept.by_id);
    table_free(&c->kept.by_key);
    mem_free(&c->kept.v);
    keyfilter_free(&c->kept.forgotten);
}

static void forget_first(struct kept_ring *k)
{
    const struct kept *e = at(k, k->first);
    if (e->lsn > k->forgot_lsn)
        k->forgot_lsn = e->lsn;
    keyfilter_add(&k->forgotten, e->key.b);
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

void kept_begin(struct bcore *c)
{
    struct kept_ring *k = &c->kept;
    k->unlisted = c->ev->left_out != 0;
    if (c->ev->left_out > k->forgot_lsn)
        k->forgot_lsn = c->ev->left_out;
}

void kept_list(struct bcore *c)
{
    for (unsigned i = 0; i < c->ev->n_keys; i++) {
        const struct bcore_ended_key *e = &c->ev->keys[i];
        keyfilter_add(&c->kept.forgotten, key128_of(c, e->principal, e->key, e->parent).b);
    }
    if (c->ev->last)
        c->kept.unlisted = false;
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

bool kept_must_ask(const struct bcore *c, struct key128 key)
{
    if (c->ev->looked_up && c->ev->lsn >= c->kept.forgot_lsn)
        return false;
    return c->kept.unlisted || keyfilter_may_have(&c->kept.forgotten, key.b);
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
