/* gate.c - see gate.h. A peer has an entry only while something of it waits. */
#include "broker/gate.h"

#include <uthash.h>

#include "common/mem.h"

struct waiting {
    struct waiting *next;
    struct bcore_effect effect;
    uint8_t bytes[]; /* body, then key */
};

struct gate_peer {
    uint64_t peer;
    struct waiting *first, **last;
    UT_hash_handle hh;
};

struct gate {
    gate_leave *leave;
    void *self;
    uint64_t committed, count;
    struct gate_peer *peers;
};

struct gate *gate_new(gate_leave *leave, void *self)
{
    struct gate *g = mem_zalloc(1, sizeof *g);
    g->leave = leave;
    g->self = self;
    return g;
}

static struct gate_peer *find(struct gate *g, uint64_t peer)
{
    struct gate_peer *p = NULL;
    HASH_FIND(hh, g->peers, &peer, sizeof peer, p);
    return p;
}

static void pop(struct gate *g, struct gate_peer *p)
{
    struct waiting *w = p->first;
    if (!(p->first = w->next))
        p->last = &p->first;
    g->count--;
    mem_free(&w);
}

static void drop(struct gate *g, struct gate_peer *p)
{
    while (p->first)
        pop(g, p);
    HASH_DEL(g->peers, p);
    mem_free(&p);
}

void gate_free(struct gate **gate)
{
    struct gate *g = *gate;
    if (!g)
        return;
    struct gate_peer *p, *next;
    HASH_ITER(hh, g->peers, p, next)
    {
        drop(g, p);
    }
    mem_free(gate);
}

static struct waiting *copy_of(const struct bcore_effect *e)
{
    struct waiting *w = mem_alloc(sizeof *w + e->body.n + e->key.n);
    w->next = NULL;
    w->effect = *e;
    if (e->body.n)
        memcpy(w->bytes, e->body.p, e->body.n);
    if (e->key.n)
        memcpy(w->bytes + e->body.n, e->key.p, e->key.n);
    w->effect.body = span_of(w->bytes, e->body.n);
    w->effect.key = span_of(w->bytes + e->body.n, e->key.n);
    return w;
}

void gate_put(struct gate *g, const struct bcore_effect *e)
{
    struct gate_peer *p = find(g, e->peer);
    if (!p && e->rests_on <= g->committed) {
        g->leave(g->self, e);
        return;
    }
    if (!p) {
        p = mem_zalloc(1, sizeof *p);
        p->peer = e->peer;
        p->last = &p->first;
        HASH_ADD(hh, g->peers, peer, sizeof p->peer, p);
    }
    *p->last = copy_of(e);
    p->last = &(*p->last)->next;
    g->count++;
}

void gate_committed(struct gate *g, uint64_t lsn)
{
    /* `leave` may forget any peer, so the walk goes by number and not by pointer. */
    unsigned n = HASH_COUNT(g->peers), i = 0;
    uint64_t *ready = mem_alloc((n + 1) * sizeof *ready);
    g->committed = lsn > g->committed ? lsn : g->committed;
    for (struct gate_peer *p = g->peers; p; p = p->hh.next)
        if (p->first->effect.rests_on <= g->committed)
            ready[i++] = p->peer;
    for (unsigned k = 0; k < i; k++) {
        for (struct gate_peer *p; (p = find(g, ready[k])) && p->first && p->first->effect.rests_on <= g->committed;) {
            struct waiting *w = p->first;
            if (!(p->first = w->next))
                p->last = &p->first;
            g->count--;
            g->leave(g->self, &w->effect);
            mem_free(&w);
        }
        struct gate_peer *p = find(g, ready[k]);
        if (p && !p->first)
            drop(g, p);
    }
    mem_free(&ready);
}

void gate_forget(struct gate *g, uint64_t peer)
{
    struct gate_peer *p = find(g, peer);
    if (p)
        drop(g, p);
}

uint64_t gate_waiting(const struct gate *g)
{
    return g->count;
}
