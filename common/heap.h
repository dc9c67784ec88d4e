/* heap.h - timers in the order of their time: a binary min-heap whose nodes lie inside the things
 * that wait. Pure.
 *
 * Insert, remove and change cost O(log n), peek O(1). The order is by `key`, then by `tie`; equal
 * in both come out in no promised order, so whoever needs determinism gives each node a tie of its
 * own. */
#ifndef LB_COMMON_HEAP_H
#define LB_COMMON_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embed it. All zero is a node in no heap. The fields are the heap's: read them, change them by
   heap_change only. */
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

/* Forgets all nodes and frees the array; the nodes are not touched, they may be gone already. */
void heap_free(struct heap *h);

/* The node must be in no heap, must stay where it is, and is lent until it is removed or popped. */
void heap_insert(struct heap *h, struct heap_node *node, int64_t key, uint64_t tie);
/* Takes the node out; one that is in no heap is left alone. */
void heap_remove(struct heap *h, struct heap_node *node);
/* A new key, same tie. A node that is in no heap is inserted with the tie that it holds. */
void heap_change(struct heap *h, struct heap_node *node, int64_t key);

struct heap_node *heap_peek(const struct heap *h); /* the least, still in; NULL: empty */
struct heap_node *heap_pop(struct heap *h);        /* the least, taken out; NULL: empty */
bool heap_holds(const struct heap_node *node);     /* is it in a heap? */

/* The thing that embeds the node: heap_entry(node, struct lease, timer). */
#define heap_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
