/* table.h - a set of things found by a hash: open addressing, one word a place.
 *
 * uthash costs 56 bytes in each thing for each key; a million waiting runs have two keys. The
 * things tell their hash themselves (a function of the table), so nothing is stored beside the
 * word. Hashes of what peers choose must be keyed (bcore_hash_keyed of inside.h). Pure. */
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
    const void *self; /* given to both */
};

void table_free(struct table *t); /* the things are not touched */
/* The thing with this key, 0: none. */
uintptr_t table_find(const struct table *t, uint64_t hash, const void *key);
/* `item` is not 0 and not in. */
void table_add(struct table *t, uintptr_t item);
/* Takes this very item out; it must be in. */
void table_remove(struct table *t, uintptr_t item);
/* Walks: *place from 0 on; 0: no more. Nothing may be added or removed meanwhile. */
uintptr_t table_next(const struct table *t, size_t *place);

#endif
