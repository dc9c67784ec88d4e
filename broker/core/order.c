/* order.c - see order.h. */
#include "broker/core/order.h"

/* Splits a tree into what comes before the id and what comes after it. */
static void split(struct order_node *n, struct id id, struct order_node **less,
                  struct order_node **more)
{
    while (n)
        if (id_cmp(n->id, id) < 0) {
            *less = n;
            less = &n->more;
            n = *less;
        } else {
            *more = n;
            more = &n->less;
            n = *more;
        }
    *less = *more = NULL;
}

void order_add(struct order_node **set, struct order_node *n)
{
    while (*set && (*set)->rank >= n->rank)
        set = id_cmp((*set)->id, n->id) < 0 ? &(*set)->more : &(*set)->less;
    split(*set, n->id, &n->less, &n->more);
    *set = n;
}

void order_remove(struct order_node **set, struct order_node *n)
{
    struct order_node *less = n->less, *more = n->more;
    while (*set != n)
        set = id_cmp((*set)->id, n->id) < 0 ? &(*set)->more : &(*set)->less;
    while (less && more)
        if (less->rank >= more->rank) {
            *set = less;
            set = &less->more;
            less = *set;
        } else {
            *set = more;
            set = &more->less;
            more = *set;
        }
    *set = less ? less : more;
    n->less = n->more = NULL;
}

struct order_node *order_after(struct order_node *set, struct id id)
{
    struct order_node *best = NULL;
    while (set)
        if (id_cmp(set->id, id) > 0) {
            best = set;
            set = set->less;
        } else {
            set = set->more;
        }
    return best;
}

struct order_node *order_before(struct order_node *set, struct id id)
{
    struct order_node *best = NULL;
    while (set)
        if (id_cmp(set->id, id) < 0) {
            best = set;
            set = set->more;
        } else {
            set = set->less;
        }
    return best;
}
