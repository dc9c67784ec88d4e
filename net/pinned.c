/* pinned.c - see pinned.h. */
#include "net/pinned.h"

const struct hash *pinned_key(const struct pinned *p)
{
    return p->on_next ? &p->next : &p->now;
}

void pinned_turn(struct pinned *p)
{
    p->on_next = !p->on_next && !hash_is_zero(&p->next);
}

void pinned_adopt(struct pinned *p)
{
    *p = (struct pinned){.now = p->next};
}
