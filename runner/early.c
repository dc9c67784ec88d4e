/* early.c - see early.h. */
#include "runner/early.h"

#include <utlist.h>

#include "common/mem.h"

struct early_item {
    struct id run;
    struct buf message;
    bool ready;
    struct early_item *prev, *next;
};

struct early {
    struct early_item *items; /* oldest first */
    unsigned n;
    size_t bytes;
};

struct early *early_new(void)
{
    return mem_zalloc(1, sizeof(struct early));
}

static void drop(struct early *a, struct early_item *i)
{
    DL_DELETE(a->items, i);
    a->n--;
    a->bytes -= i->message.n;
    buf_free(&i->message);
    mem_free(&i);
}

void early_clear(struct early *a)
{
    while (a->items)
        drop(a, a->items);
}

void early_free(struct early **a)
{
    if (!*a)
        return;
    early_clear(*a);
    mem_free(a);
}

bool early_put(struct early *a, struct id run, struct span message)
{
    if (a->n >= EARLY_MAX || a->bytes + message.n > EARLY_BYTES_MAX)
        return false;
    struct early_item *i = mem_zalloc(1, sizeof *i);
    i->run = run;
    buf_add(&i->message, message.p, message.n);
    DL_APPEND(a->items, i);
    a->n++;
    a->bytes += message.n;
    return true;
}

static bool take(struct early *a, struct early_item *i, struct buf *ret)
{
    if (!i)
        return false;
    buf_clear(ret);
    buf_add(ret, i->message.p, i->message.n);
    drop(a, i);
    return true;
}

bool early_take(struct early *a, struct id run, struct buf *ret)
{
    struct early_item *i = a->items;
    while (i && !id_eq(i->run, run))
        i = i->next;
    return take(a, i, ret);
}

void early_wake(struct early *a, struct id run)
{
    for (struct early_item *i = a->items; i; i = i->next)
        i->ready |= id_eq(i->run, run);
}

bool early_take_ready(struct early *a, struct buf *ret)
{
    struct early_item *i = a->items;
    while (i && !i->ready)
        i = i->next;
    return take(a, i, ret);
}
