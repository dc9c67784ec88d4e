/* peers.c - see peers.h. */
#include "net/peers.h"

struct peer *peers_find(const struct peers *t, uint64_t handle)
{
    struct peer *p;
    HASH_FIND(by_handle, t->handles, &handle, sizeof handle, p);
    return p;
}

struct peer *peers_at(const struct peers *t, struct span route)
{
    struct peer *p;
    HASH_FIND(by_route, t->routes, route.p, route.n, p);
    return p;
}

bool peers_have_room(const struct peers *t, const struct hash *key)
{
    struct peer_count *c;
    HASH_FIND(hh, t->counts, key, sizeof *key, c);
    return HASH_CNT(by_handle, t->handles) < PEERS_MAX && (!c || c->sessions < PEERS_OF_A_KEY_MAX);
}

static void count(struct peers *t, const struct hash *key, int change)
{
    struct peer_count *c;
    HASH_FIND(hh, t->counts, key, sizeof *key, c);
    if (!c) {
        c = mem_zalloc(1, sizeof *c);
        c->key = *key;
        HASH_ADD(hh, t->counts, key, sizeof *key, c);
    }
    c->sessions += (unsigned)change;
    if (c->sessions == 0) {
        HASH_DEL(t->counts, c);
        mem_free(&c);
    }
}

struct peer *peers_add(struct peers *t, const struct net_packet *from, uint64_t session,
                       int64_t now)
{
    struct peer *p = mem_zalloc(1, sizeof *p);
    p->handle = ++t->last_handle;
    p->key = from->key;
    memcpy(p->address, from->address, sizeof p->address);
    p->session = session_new(session);
    p->route_n = from->route.n;
    memcpy(p->route, from->route.p, from->route.n);
    HASH_ADD(by_handle, t->handles, handle, sizeof p->handle, p);
    HASH_ADD_KEYPTR(by_route, t->routes, p->route, p->route_n, p);
    count(t, &p->key, 1);
    heap_insert(&t->timers, &p->timer, now, p->handle);
    peers_mark(t, p);
    return p;
}

void peers_remove(struct peers *t, struct peer *p)
{
    if (p->gone)
        return;
    p->gone = true;
    HASH_DELETE(by_handle, t->handles, p);
    HASH_DELETE(by_route, t->routes, p);
    heap_remove(&t->timers, &p->timer);
    count(t, &p->key, -1);
    if (!p->dirty) { /* one list at a time: a dirty peer comes here when it leaves the other */
        p->next = t->gone;
        t->gone = p;
    }
}

void peers_sweep(struct peers *t)
{
    while (t->gone) {
        struct peer *p = t->gone;
        t->gone = p->next;
        session_free(&p->session);
        mem_free(&p);
    }
}

void peers_free(struct peers *t)
{
    while (peers_next_dirty(t))
        ;
    while (t->handles)
        peers_remove(t, t->handles);
    peers_sweep(t);
    heap_free(&t->timers);
}

void peers_mark(struct peers *t, struct peer *p)
{
    if (p->dirty || p->gone)
        return;
    p->dirty = true;
    p->next = NULL;
    if (t->dirty)
        t->dirty_last->next = p;
    else
        t->dirty = p;
    t->dirty_last = p;
}

struct peer *peers_next_dirty(struct peers *t)
{
    struct peer *p;
    while ((p = t->dirty)) {
        t->dirty = p->next;
        p->dirty = false;
        if (!p->gone)
            return p;
        p->next = t->gone;
        t->gone = p;
    }
    return NULL;
}
