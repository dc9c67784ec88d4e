/* heap.h - timers ordered by time: a binary min-heap whose nodes are embedded in the things that
 * wait. Pure.
 *
 * Insert, remove and change cost O(log n), peek O(1). Nodes are ordered by `key`, then by `tie`.
 * If both are equal the order is undefined: for determinism, give each node a different tie. */
#ifndef LB_COMMON_HEAP_H
#define LB_COMMON_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embed it. All zero is a node in no heap. Read the fields, but change them only with
 * heap_change. */
struct heap_node {
    int64_t key;
    uint64_t tie;
    size_t at; /* place in the heap counted from 1; 0: in none */
};

/* All zero is the empty heap. */
struct heap {
    struct heap_node **v;
    size_t n, cap;
};

/* Frees the array. The nodes are not touched, so they may already be freed. */
void heap_free(struct heap *h);

/* Inserts a node that is in no heap. It must stay at its address until it is removed or popped. */
void heap_insert(struct heap *h, struct heap_node *node, int64_t key, uint64_t tie);
/* Removes the node; one that is in no heap is ignored. */
void heap_remove(struct heap *h, struct heap_node *node);
/* Changes the key and keeps the tie. A node that is in no heap is inserted with the tie it
 * holds. */
void heap_change(struct heap *h, struct heap_node *node, int64_t key);

struct heap_node *heap_peek(const struct heap *h); /* the least, still in; NULL: empty */
struct heap_node *heap_pop(struct heap *h);        /* the least, taken out; NULL: empty */
bool heap_holds(const struct heap_node *node);     /* is it in a heap? */

/* The thing that embeds the node: heap_entry(node, struct lease, timer). */
#define heap_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
