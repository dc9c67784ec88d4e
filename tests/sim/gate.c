/* gate.c - see gate.h. */
#include "tests/sim/gate.h"

#include <string.h>

#include "common/mem.h"

struct gate_waiting {
    struct gate_waiting *next;
    struct bcore_effect effect;
    uint64_t number;   /* of the question for its call; 0: it is whole */
    struct buf filled; /* the effect's body, with its call */
    uint8_t bytes[];
};

struct gate_queue { /* of a session */
    uint64_t peer;
    struct gate_waiting *first, **last;
    struct gate_queue *next;
};

struct sim_gate {
    gate_leave *leave;
    gate_fetch *fetch;
    void *self;
    uint64_t committed, numbers;
    struct gate_queue *queues;
};

struct sim_gate *gate_new(uint64_t committed, gate_leave *leave, gate_fetch *fetch, void *self)
{
    struct sim_gate *g = mem_zalloc(1, sizeof *g);
    g->leave = leave;
    g->fetch = fetch;
    g->self = self;
    g->committed = committed;
    return g;
}

void gate_free(struct sim_gate **pg)
{
    struct sim_gate *g = *pg;
    if (!g)
        return;
    while (g->queues)
        gate_forget(g, g->queues->peer);
    mem_free(pg);
}

/* ---- Sessions */
static struct gate_queue *queue_of(const struct sim_gate *g, uint64_t peer)
{
    struct gate_queue *q = g->queues;
    while (q && q->peer != peer)
        q = q->next;
    return q;
}

static void waiting_free(struct gate_waiting *x)
{
    buf_free(&x->filled);
    mem_free(&x);
}

void gate_welcome(struct sim_gate *g, uint64_t peer)
{
    struct gate_queue *q = mem_zalloc(1, sizeof *q);
    q->peer = peer;
    q->last = &q->first;
    q->next = g->queues;
    g->queues = q;
}

void gate_forget(struct sim_gate *g, uint64_t peer)
{
    struct gate_queue **at = &g->queues, *q;
    while ((q = *at) && q->peer != peer)
        at = &q->next;
    if (!q)
        return;
    *at = q->next;
    for (struct gate_waiting *x = q->first, *next; x; x = next) {
        next = x->next;
        waiting_free(x);
    }
    mem_free(&q);
}

bool gate_knows(const struct sim_gate *g, uint64_t peer)
{
    return queue_of(g, peer) != NULL;
}

/* ---- In */
struct bcore_effect gate_copy_effect(const struct bcore_effect *e, uint8_t *bytes)
{
    struct bcore_effect copy = *e;
    if (e->body.n)
        memcpy(bytes, e->body.p, e->body.n);
    if (e->key.n)
        memcpy(bytes + e->body.n, e->key.p, e->key.n);
    copy.body = span_of(bytes, e->body.n);
    copy.key = span_of(bytes + e->body.n, e->key.n);
    return copy;
}

void gate_put(struct sim_gate *g, const struct bcore_effect *e)
{
    struct gate_queue *q = queue_of(g, e->peer);
    if (!q)
        return;
    bool whole = e->kind != BCORE_FX_EXECUTE;
    if (!q->first && whole && e->rests_on <= g->committed) {
        g->leave(g->self, e);
        return;
    }
    struct gate_waiting *x = mem_zalloc(1, sizeof *x + e->body.n + e->key.n);
    x->effect = gate_copy_effect(e, x->bytes);
    x->number = whole ? 0 : ++g->numbers;
    *q->last = x;
    q->last = &x->next;
    if (!whole)
        g->fetch(g->self, e, x->number);
}

/* ---- Out */
static void open_gate(struct sim_gate *g)
{
    struct gate_queue *q, *next;
    for (q = g->queues; q; q = next) {
        uint64_t peer = q->peer;
        while (q && q->first && !q->first->number && q->first->effect.rests_on <= g->committed) {
            struct gate_waiting *x = q->first;
            if (!(q->first = x->next))
                q->last = &q->first;
            g->leave(g->self, &x->effect);
            waiting_free(x);
            q = queue_of(g, peer); /* a CLOSE has forgotten it */
        }
        next = q ? q->next : g->queues;
    }
}

void gate_committed(struct sim_gate *g, uint64_t lsn)
{
    g->committed = lsn;
    open_gate(g);
}

static struct gate_waiting *find(const struct sim_gate *g, uint64_t peer, uint64_t number)
{
    const struct gate_queue *q = queue_of(g, peer);
    struct gate_waiting *x = q ? q->first : NULL;
    while (x && x->number != number)
        x = x->next;
    return x;
}

bool gate_awaits(const struct sim_gate *g, uint64_t peer, uint64_t number)
{
    return find(g, peer, number) != NULL;
}

void gate_filled(struct sim_gate *g, uint64_t peer, uint64_t number, struct span message)
{
    struct gate_waiting *x = find(g, peer, number);
    if (!x)
        return;
    x->number = 0;
    x->filled = buf_dup(message);
    x->effect.kind = BCORE_FX_SEND;
    x->effect.body = buf_span(&x->filled);
    open_gate(g);
}
