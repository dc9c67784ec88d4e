/* table.h - a set of items found by hash: open addressing, one word per place. Pure.
 *
 * uthash costs 56 bytes per item and key, and a million waiting runs have two keys each. Here the
 * table computes an item's hash when it needs it, so a place holds nothing but the word. Hashes of
 * what peers choose must be keyed (bcore_hash_keyed of inside.h). */
#ifndef LB_BROKER_CORE_TABLE_H
#define LB_BROKER_CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t table_hash(const void *self, uintptr_t item);
typedef bool table_same(const void *self, uintptr_t item, const void *key);

struct table {
    uintptr_t *v;  /* 0: free */
    size_t n, cap; /* cap: a power of two, or 0 */
    table_hash *hash;
    table_same *same;
    const void *self; /* the first argument of both functions */
};

void table_free(struct table *t); /* leaves the items alone */
/* The item with this key; 0: there is none. */
uintptr_t table_find(const struct table *t, uint64_t hash, const void *key);
/* `item` must not be 0, nor in the table. */
void table_add(struct table *t, uintptr_t item);
/* Removes exactly this item, which must be in the table. */
void table_remove(struct table *t, uintptr_t item);
/* Walks over all items; *place is 0 at first. 0: no more. Nothing may be added or removed during
 * the walk. */
uintptr_t table_next(const struct table *t, size_t *place);

#endif
