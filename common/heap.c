/* heap.c - see heap.h. v[0] is the least; the children of v[i] are v[2i+1] and v[2i+2]. */
#include "common/heap.h"

#include <assert.h>

#include "common/mem.h"

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->v[i] = node;
    node->at = i + 1;
}

static void rise(struct heap *h, size_t i, struct heap_node *node)
{
    while (i > 0 && before(node, h->v[(i - 1) / 2])) {
        put(h, i, h->v[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, node);
}

static void sink(struct heap *h, size_t i, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(h->v[child + 1], h->v[child]))
            child++;
        if (!before(h->v[child], node))
            break;
        put(h, i, h->v[child]);
        i = child;
    }
    put(h, i, node);
}

/* The node at i may belong higher or lower, never both. */
static void settle(struct heap *h, size_t i, struct heap_node *node)
{
    if (i > 0 && before(node, h->v[(i - 1) / 2]))
        rise(h, i, node);
    else
        sink(h, i, node);
}

void heap_free(struct heap *h)
{
    mem_free(&h->v);
    h->n = h->cap = 0;
}

void heap_insert(struct heap *h, struct heap_node *node, int64_t key, uint64_t tie)
{
    assert(node->at == 0);
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->v = mem_realloc(h->v, h->cap, sizeof(struct heap_node *));
    }
    node->key = key;
    node->tie = tie;
    rise(h, h->n++, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (node->at == 0)
        return;
    size_t i = node->at - 1;
    assert(i < h->n && h->v[i] == node);
    node->at = 0;
    struct heap_node *last = h->v[--h->n];
    if (last != node)
        settle(h, i, last);
}

void heap_change(struct heap *h, struct heap_node *node, int64_t key)
{
    if (node->at == 0) {
        heap_insert(h, node, key, node->tie);
        return;
    }
    assert(node->at <= h->n && h->v[node->at - 1] == node);
    node->key = key;
    settle(h, node->at - 1, node);
}

struct heap_node *heap_peek(const struct heap *h)
{
    return h->n ? h->v[0] : NULL;
}

struct heap_node *heap_pop(struct heap *h)
{
    struct heap_node *least = heap_peek(h);
    if (least)
        heap_remove(h, least);
    return least;
}

bool heap_holds(const struct heap_node *node)
{
    return node->at != 0;
}
