/* gate.c - see gate.h. A peer has an entry only while an effect of it waits. */
#include "broker/shell/gate.h"

#include "common/hashtable.h"
#include "common/mem.h"

struct gate_item {
    struct gate_item *next;
    struct bcore_effect effect;
    uint64_t number;   /* its name for gate_filled; 0: it is complete */
    bool dropped;      /* takes effect in its turn */
    struct buf filled; /* the body, once gate_filled has supplied it */
    uint8_t bytes[];   /* body, then key */
};

struct gate_peer {
    uint64_t peer;
    struct gate_item *first, **last;
    UT_hash_handle hh;
};

struct gate {
    gate_leave *leave;
    gate_fetch *fetch;
    void *self;
    uint64_t committed, count, numbers;
    struct gate_peer *peers;
};

struct gate *gate_new(gate_leave *leave, gate_fetch *fetch, void *self)
{
    struct gate *g = mem_zalloc(1, sizeof *g);
    g->leave = leave;
    g->fetch = fetch;
    g->self = self;
    return g;
}

static struct gate_peer *find(struct gate *g, uint64_t peer)
{
    struct gate_peer *p = NULL;
    HASH_FIND(hh, g->peers, &peer, sizeof peer, p);
    return p;
}

static struct gate_item *pop(struct gate *g, struct gate_peer *p)
{
    struct gate_item *w = p->first;
    if (!(p->first = w->next))
        p->last = &p->first;
    g->count--;
    return w;
}

static void waiting_free(struct gate_item *w)
{
    buf_free(&w->filled);
    mem_free(&w);
}

static void drop(struct gate *g, struct gate_peer *p)
{
    while (p->first)
        waiting_free(pop(g, p));
    HASH_DEL(g->peers, p);
    mem_free(&p);
}

void gate_free(struct gate **gate)
{
    struct gate *g = *gate;
    if (!g)
        return;
    struct gate_peer *p, *next;
    HASH_ITER (hh, g->peers, p, next) {
        drop(g, p);
    }
    mem_free(gate);
}

static struct gate_item *copy_of(const struct bcore_effect *e)
{
    struct gate_item *w = mem_alloc(sizeof *w + e->body.n + e->key.n);
    *w = (struct gate_item){.effect = *e};
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
    bool whole = e->kind != BCORE_FX_EXECUTE;
    if (!p && whole && e->rests_on <= g->committed) {
        g->leave(g->self, e);
        return;
    }
    if (!p) {
        p = mem_zalloc(1, sizeof *p);
        p->peer = e->peer;
        p->last = &p->first;
        HASH_ADD(hh, g->peers, peer, sizeof p->peer, p);
    }
    struct gate_item *w = *p->last = copy_of(e);
    p->last = &w->next;
    g->count++;
    if (!whole) {
        w->number = ++g->numbers;
        g->fetch(g->self, &w->effect, w->number);
    }
}

static bool may_leave(const struct gate *g, const struct gate_item *w)
{
    return w && !w->number && w->effect.rests_on <= g->committed;
}

/* `leave` may forget any peer, so it goes by number and not by pointer. */
static void let_leave(struct gate *g, uint64_t peer)
{
    struct gate_peer *p;
    while ((p = find(g, peer)) && may_leave(g, p->first)) {
        struct gate_item *w = pop(g, p);
        if (!w->dropped)
            g->leave(g->self, &w->effect);
        waiting_free(w);
    }
    if (p && !p->first)
        drop(g, p);
}

void gate_filled(struct gate *g, uint64_t peer, uint64_t number, struct span message)
{
    struct gate_peer *p = find(g, peer);
    struct gate_item *w = p ? p->first : NULL;
    while (w && w->number != number)
        w = w->next;
    if (!w)
        return;
    w->number = 0;
    w->dropped = !message.n;
    w->filled = buf_dup(message);
    w->effect.kind = BCORE_FX_SEND;
    w->effect.body = buf_span(&w->filled);
    let_leave(g, peer);
}

void gate_committed(struct gate *g, uint64_t lsn)
{
    unsigned n = HASH_COUNT(g->peers), i = 0;
    uint64_t *ready = mem_alloc((n + 1) * sizeof *ready);
    g->committed = lsn > g->committed ? lsn : g->committed;
    for (struct gate_peer *p = g->peers; p; p = p->hh.next)
        if (may_leave(g, p->first))
            ready[i++] = p->peer;
    for (unsigned k = 0; k < i; k++)
        let_leave(g, ready[k]);
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
