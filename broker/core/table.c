/* table.c - see table.h. Linear probing; a removal shifts back what follows, so there are no
 * tombstones. */
#include "broker/core/table.h"

#include <assert.h>

#include "common/mem.h"

enum { TABLE_MIN = 16 };

static size_t home_of(const struct table *t, uintptr_t item)
{
    return (size_t)t->hash(t->self, item) & (t->cap - 1);
}

static void put(struct table *t, uintptr_t item)
{
    size_t i = home_of(t, item);
    while (t->v[i])
        i = (i + 1) & (t->cap - 1);
    t->v[i] = item;
}

static void resize(struct table *t, size_t cap)
{
    uintptr_t *old = t->v;
    size_t n = t->cap;
    t->v = mem_zalloc(cap, sizeof *t->v);
    t->cap = cap;
    for (size_t i = 0; i < n; i++)
        if (old[i])
            put(t, old[i]);
    mem_free(&old);
}

void table_free(struct table *t)
{
    mem_free(&t->v);
    t->n = t->cap = 0;
}

uintptr_t table_find(const struct table *t, uint64_t hash, const void *key)
{
    if (!t->cap)
        return 0;
    for (size_t i = (size_t)hash & (t->cap - 1); t->v[i]; i = (i + 1) & (t->cap - 1))
        if (t->same(t->self, t->v[i], key))
            return t->v[i];
    return 0;
}

void table_add(struct table *t, uintptr_t item)
{
    assert(item);
    if (t->n + t->n / 2 >= t->cap) /* at most two thirds full */
        resize(t, t->cap ? t->cap * 2 : TABLE_MIN);
    put(t, item);
    t->n++;
}

void table_remove(struct table *t, uintptr_t item)
{
    size_t mask = t->cap - 1, hole = home_of(t, item);
    while (t->v[hole] != item) {
        assert(t->v[hole]);
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; t->v[i]; i = (i + 1) & mask) {
        size_t home = home_of(t, t->v[i]);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            /* it may move to the hole, which is not before its home */
            t->v[hole] = t->v[i];
            hole = i;
        }
    }
    t->v[hole] = 0;
    if (--t->n < t->cap / 8 && t->cap > TABLE_MIN)
        resize(t, t->cap / 2);
}

uintptr_t table_next(const struct table *t, size_t *place)
{
    while (*place < t->cap) {
        uintptr_t item = t->v[(*place)++];
        if (item)
            return item;
    }
    return 0;
}
