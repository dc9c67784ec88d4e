/* runnersocket.c - see runnersocket.h. */
#include "tests/sim/runnersocket.h"

#include <string.h>

#include "common/mem.h"

struct runnersocket_message {
    struct event event;
    struct runnersocket *socket;
    bool to_worker;
    struct runnersocket_message *next;
    size_t n;
    uint8_t bytes[];
};

struct runnersocket {
    struct world *w;
    runnersocket_read *read;
    void *self;
    struct runnersocket_message *first;
    int64_t last[2]; /* by direction: nothing overtakes it */
};

struct runnersocket *runnersocket_new(struct world *w, runnersocket_read *read, void *self)
{
    struct runnersocket *s = mem_zalloc(1, sizeof *s);
    s->w = w;
    s->read = read;
    s->self = self;
    return s;
}

static void take_out(struct runnersocket_message *x)
{
    struct runnersocket_message **at = &x->socket->first;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    world_cancel(x->socket->w, &x->event);
}

void runnersocket_drop(struct runnersocket *s, bool to_worker)
{
    struct runnersocket_message *x, *next;
    for (x = s->first; x; x = next) {
        next = x->next;
        if (x->to_worker == to_worker) {
            take_out(x);
            mem_free(&x);
        }
    }
}

void runnersocket_free(struct runnersocket **s)
{
    if (!*s)
        return;
    runnersocket_drop(*s, true);
    runnersocket_drop(*s, false);
    mem_free(s);
}

static void on_message(struct world *w, void *self)
{
    struct runnersocket_message *x = self;
    (void)w;
    take_out(x); /* the reader may die while reading, and then all messages are dropped */
    x->socket->read(x->socket->self, x->to_worker, span_of(x->bytes, x->n));
    mem_free(&x);
}

void runnersocket_post(struct runnersocket *s, bool to_worker, struct span message)
{
    struct runnersocket_message *x = mem_zalloc(1, sizeof *x + message.n);
    int64_t at = s->w->now + world_skewed(s->w, 50, MS(3));
    x->socket = s;
    x->to_worker = to_worker;
    x->n = message.n;
    memcpy(x->bytes, message.p, message.n);
    x->next = s->first;
    s->first = x;
    if (at <= s->last[to_worker])
        at = s->last[to_worker] + 1;
    s->last[to_worker] = at;
    world_at(s->w, &x->event, at, NULL, on_message, x);
}
