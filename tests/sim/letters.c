/* letters.c - see letters.h. */
#include "tests/sim/letters.h"

#include <string.h>

#include "common/mem.h"

struct letter {
    struct event event;
    struct letters *all;
    bool to_worker;
    struct letter *next;
    size_t n;
    uint8_t bytes[];
};

struct letters {
    struct world *w;
    letters_read *read;
    void *self;
    struct letter *first;
    int64_t last[2]; /* by direction: nothing overtakes it */
};

struct letters *letters_new(struct world *w, letters_read *read, void *self)
{
    struct letters *l = mem_zalloc(1, sizeof *l);
    l->w = w;
    l->read = read;
    l->self = self;
    return l;
}

static void take_out(struct letter *x)
{
    struct letter **at = &x->all->first;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    world_cancel(x->all->w, &x->event);
}

void letters_drop(struct letters *l, bool to_worker)
{
    struct letter *x, *next;
    for (x = l->first; x; x = next) {
        next = x->next;
        if (x->to_worker == to_worker) {
            take_out(x);
            mem_free(&x);
        }
    }
}

void letters_free(struct letters **l)
{
    if (!*l)
        return;
    letters_drop(*l, true);
    letters_drop(*l, false);
    mem_free(l);
}

static void on_letter(struct world *w, void *self)
{
    struct letter *x = self;
    (void)w;
    take_out(x); /* who reads it may die of it, and then all letters are dropped */
    x->all->read(x->all->self, x->to_worker, span_of(x->bytes, x->n));
    mem_free(&x);
}

void letters_post(struct letters *l, bool to_worker, struct span message)
{
    struct letter *x = mem_zalloc(1, sizeof *x + message.n);
    int64_t at = l->w->now + world_skewed(l->w, 50, MS(3));
    x->all = l;
    x->to_worker = to_worker;
    x->n = message.n;
    memcpy(x->bytes, message.p, message.n);
    x->next = l->first;
    l->first = x;
    if (at <= l->last[to_worker])
        at = l->last[to_worker] + 1;
    l->last[to_worker] = at;
    world_at(l->w, &x->event, at, NULL, on_letter, x);
}
