/* order.h - a set of items in the order of their ids. Pure.
 *
 * Each item embeds a node. The nodes form a tree in which a node stands above all that have a lower
 * rank (R. Seidel and C. R. Aragon, "Randomized search trees", Algorithmica 16, 1996). While nobody
 * can foresee the ranks, nobody can choose ids that make it deep: it is about as deep as twice the
 * logarithm of its size, in whatever order items come and go. */
#ifndef LB_BROKER_CORE_ORDER_H
#define LB_BROKER_CORE_ORDER_H

#include "common/id.h"

struct order_node {
    struct id id;
    uint64_t rank; /* a keyed hash of the id */
    struct order_node *less, *more;
};

/* No other node of the set has this id. `id` and `rank` are set. */
void order_add(struct order_node **set, struct order_node *n);
/* It must be in the set. */
void order_remove(struct order_node **set, struct order_node *n);
/* The first one behind this id, which need not be in the set; NULL: there is none. */
struct order_node *order_after(struct order_node *set, struct id id);
/* The last one before it. */
struct order_node *order_before(struct order_node *set, struct id id);

#endif
