/* aside.c - see aside.h. */
#include "runner/aside.h"

#include <utlist.h>

#include "common/mem.h"

struct aside_item {
    struct id run;
    struct buf message;
    bool ready;
    struct aside_item *prev, *next;
};

struct aside {
    struct aside_item *items; /* oldest first */
    unsigned n;
    size_t bytes;
};

struct aside *aside_new(void)
{
    return mem_zalloc(1, sizeof(struct aside));
}

static void drop(struct aside *a, struct aside_item *i)
{
    DL_DELETE(a->items, i);
    a->n--;
    a->bytes -= i->message.n;
    buf_free(&i->message);
    mem_free(&i);
}

void aside_clear(struct aside *a)
{
    while (a->items)
        drop(a, a->items);
}

void aside_free(struct aside **a)
{
    if (!*a)
        return;
    aside_clear(*a);
    mem_free(a);
}

bool aside_put(struct aside *a, struct id run, struct span message)
{
    if (a->n >= ASIDE_MAX || a->bytes + message.n > ASIDE_BYTES_MAX)
        return false;
    struct aside_item *i = mem_zalloc(1, sizeof *i);
    i->run = run;
    buf_add(&i->message, message.p, message.n);
    DL_APPEND(a->items, i);
    a->n++;
    a->bytes += message.n;
    return true;
}

static bool take(struct aside *a, struct aside_item *i, struct buf *ret)
{
    if (!i)
        return false;
    buf_clear(ret);
    buf_add(ret, i->message.p, i->message.n);
    drop(a, i);
    return true;
}

bool aside_take(struct aside *a, struct id run, struct buf *ret)
{
    struct aside_item *i = a->items;
    while (i && !id_eq(i->run, run))
        i = i->next;
    return take(a, i, ret);
}

void aside_wake(struct aside *a, struct id run)
{
    for (struct aside_item *i = a->items; i; i = i->next)
        i->ready |= id_eq(i->run, run);
}

bool aside_take_ready(struct aside *a, struct buf *ret)
{
    struct aside_item *i = a->items;
    while (i && !i->ready)
        i = i->next;
    return take(a, i, ret);
}
