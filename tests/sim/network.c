/* network.c - see network.h. A connection lives as long as its peer holds it, one of its frames
 * is in flight, or the broker uses its slot. */
#include "tests/sim/network.h"

#include <string.h>

#include "common/mem.h"

struct packet {
    struct event event;
    struct conn *conn;
    int direction;
    struct packet *next; /* held back */
    size_t n;
    uint8_t bytes[];
};

struct conn {
    struct network *net;
    struct cable *cable;
    struct process *peer;
    const struct net_calls *calls;
    void *self;
    uint64_t id;
    unsigned refs; /* peer, packets, broker's slot */
    bool broken, closed;
    bool of_broker;       /* the broker's process that it began with still lives */
    int64_t last[2];      /* nothing arrives before what was sent before it */
    int64_t lost_from[2]; /* once broken: what would arrive after this does not */
    struct packet *held[2], **held_end[2];
    struct event news;
    void *slot;
    struct conn *prev, *next;
};

struct network {
    struct world *w;
    struct network_mood mood;
    struct process *broker;
    const struct net_calls *calls;
    void *self;
    struct conn *conns;
    uint64_t ids;
    unsigned frames;
};

struct network *network_new(struct world *w, const struct network_mood *mood)
{
    struct network *n = mem_zalloc(1, sizeof *n);
    n->w = w;
    n->mood = *mood;
    return n;
}

void network_calm(struct network *n)
{
    n->mood = (struct network_mood){.latency = n->mood.latency};
}

void network_listen(struct network *n, struct process *broker, const struct net_calls *calls,
                    void *self)
{
    n->broker = broker;
    n->calls = calls;
    n->self = self;
}

static void conn_unref(struct conn *c)
{
    if (--c->refs)
        return;
    world_cancel(c->net->w, &c->news);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->net->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    mem_free(&c);
}

static void packet_free(struct packet *p)
{
    struct conn *c = p->conn;
    world_cancel(c->net->w, &p->event);
    mem_free(&p);
    conn_unref(c);
}

static void drop_held(struct conn *c, int direction)
{
    struct packet *p, *next;
    for (p = c->held[direction]; p; p = next) {
        next = p->next;
        packet_free(p);
    }
    c->held[direction] = NULL;
    c->held_end[direction] = &c->held[direction];
}

static void deliver(struct world *w, void *self);

void network_free(struct network **pn)
{
    struct network *n = *pn;
    struct heap_node *node;
    if (!n)
        return;
    while ((node = heap_pop(&n->w->queue))) {
        /* packets in flight are reached through the queue only */
        struct event *e = heap_entry(node, struct event, node);
        if (e->fn == deliver)
            packet_free(e->self);
    }
    for (struct conn *c = n->conns, *next; c; c = next) {
        next = c->next;
        c->refs += 2;
        drop_held(c, TO_BROKER);
        drop_held(c, TO_PEER);
        c->refs = 1;
        conn_unref(c);
    }
    mem_free(pn);
}

struct conn *network_connect(struct network *n, struct cable *cable, struct process *peer,
                             const struct net_calls *calls, void *self)
{
    if (!n->broker || !n->broker->up || cable->cut[TO_BROKER] || cable->cut[TO_PEER])
        return NULL;
    struct conn *c = mem_zalloc(1, sizeof *c);
    c->net = n;
    c->cable = cable;
    c->peer = peer;
    c->calls = calls;
    c->self = self;
    c->id = ++n->ids;
    c->refs = 1;
    c->of_broker = true;
    c->held_end[0] = &c->held[0];
    c->held_end[1] = &c->held[1];
    c->next = n->conns;
    if (c->next)
        c->next->prev = c;
    n->conns = c;
    return c;
}

/* ---- Frames */
/* A stopped process takes it when it resumes. */
static void put_under_way(struct packet *p, int64_t at)
{
    struct conn *c = p->conn;
    p->next = NULL;
    world_at(c->net->w, &p->event, at, p->direction == TO_BROKER ? c->net->broker : c->peer,
             deliver, p);
}

static struct packet *packet_of(struct conn *c, int direction, struct span frame)
{
    struct packet *p = mem_alloc(sizeof *p + frame.n);
    memset(p, 0, sizeof *p);
    p->conn = c;
    p->direction = direction;
    p->n = frame.n;
    memcpy(p->bytes, frame.p, frame.n);
    c->refs++;
    return p;
}

static bool per_million(struct network *n, unsigned rate)
{
    return rate && rng_below(&n->w->rng, 1000000) < rate;
}

bool conn_send(struct conn *c, int direction, struct span frame)
{
    struct network *n = c->net;
    if (c->broken || c->closed)
        return false;
    int64_t at = n->w->now + world_skewed(n->w, n->mood.latency / 2, n->mood.latency * 3);
    bool overtaken = per_million(n, n->mood.reorder);
    if (per_million(n, n->mood.drop)) {
        world_met(n->w, FAULT_DROP);
        TRACE(n->w, c->cable->name, "(a frame is dropped on the way %s)",
              direction == TO_BROKER ? "out" : "in");
        return true;
    }
    if (per_million(n, n->mood.spike)) {
        world_met(n->w, FAULT_SPIKE);
        at += world_between(n->w, MS(50), SECS(3));
    }
    if (at <= c->last[direction])
        at = c->last[direction] + 1;
    if (overtaken) {
        world_met(n->w, FAULT_REORDER);
        at += world_between(n->w, MS(1), MS(200));
    } else {
        c->last[direction] = at;
    }
    put_under_way(packet_of(c, direction, frame), at);
    if (per_million(n, n->mood.duplicate)) {
        world_met(n->w, FAULT_DUPLICATE);
        put_under_way(packet_of(c, direction, frame), at + world_between(n->w, 1, MS(500)));
    }
    return true;
}

static bool arrives(struct conn *c, int direction)
{
    struct world *w = c->net->w;
    if (c->broken && w->now >= c->lost_from[direction]) {
        world_met(w, FAULT_LOST_TAIL);
        return false;
    }
    if (direction == TO_PEER)
        return !c->closed && c->peer->up;
    return c->of_broker && c->net->broker->up;
}

static void deliver(struct world *w, void *self)
{
    struct packet *p = self;
    struct conn *c = p->conn;
    struct network *n = c->net;
    if (!arrives(c, p->direction)) {
        packet_free(p);
        return;
    }
    if (c->cable->cut[p->direction] || c->held[p->direction]) {
        p->next = NULL;
        *c->held_end[p->direction] = p;
        c->held_end[p->direction] = &p->next;
        return;
    }
    if (c->broken)
        world_met(w, FAULT_OLD_FRAME);
    n->frames++;
    world_hash(w, c->id << 1 | (unsigned)p->direction);
    world_hash_bytes(w, span_of(p->bytes, p->n));
    if (p->direction == TO_BROKER)
        n->calls->frame(n->self, c, span_of(p->bytes, p->n));
    else
        c->calls->frame(c->self, c, span_of(p->bytes, p->n));
    packet_free(p);
}

/* ---- The ends */
uint64_t conn_id(const struct conn *c)
{
    return c->id;
}

const char *conn_peer(const struct conn *c)
{
    return c->cable->name;
}

void conn_set_slot(struct conn *c, void *slot)
{
    bool had = c->slot != NULL;
    c->slot = slot;
    if (slot && !had)
        c->refs++;
    else if (!slot && had)
        conn_unref(c);
}

void *conn_slot(const struct conn *c)
{
    return c->slot;
}

/* What is in flight still arrives, or its last part gets lost. */
static void break_off(struct conn *c, int64_t late)
{
    struct world *w = c->net->w;
    if (c->broken)
        return;
    c->broken = true;
    c->lost_from[TO_BROKER] = w->now + world_between(w, 0, late);
    c->lost_from[TO_PEER] = w->now + world_between(w, 0, late);
    drop_held(c, TO_PEER);
    if (!world_chance(w, 300))
        drop_held(c, TO_BROKER);
}

void conn_close(struct conn **pc)
{
    struct conn *c = *pc;
    *pc = NULL;
    if (!c)
        return;
    world_cancel(c->net->w, &c->news);
    break_off(c, MS(300));
    c->closed = true;
    drop_held(c, TO_PEER);
    conn_unref(c);
}

static void on_news(struct world *w, void *self)
{
    struct conn *c = self;
    (void)w;
    c->calls->lost(c->self, c);
}

static void tell_peer(struct conn *c, int64_t most)
{
    if (!c->closed)
        world_at(c->net->w, &c->news, c->net->w->now + world_skewed(c->net->w, 100, most), c->peer,
                 on_news, c);
}

void network_broker_down(struct network *n)
{
    for (struct conn *c = n->conns, *next; c; c = next) {
        c->refs++; /* dropping what is held back may drop the last other reference */
        if (c->of_broker) {
            c->of_broker = false;
            drop_held(c, TO_BROKER);
            if (!c->broken) {
                break_off(c, MS(100));
                tell_peer(c, SECS(2));
            }
        }
        next = c->next;
        conn_unref(c);
    }
}

/* ---- Faults */
bool network_break_some(struct network *n)
{
    unsigned count = 0;
    struct conn *c, *chosen = NULL;
    for (c = n->conns; c; c = c->next)
        if (!c->broken && !c->closed && rng_below(&n->w->rng, ++count) == 0)
            chosen = c;
    if (!chosen)
        return false;
    TRACE(n->w, chosen->cable->name, "(connection %llu breaks)", (unsigned long long)chosen->id);
    world_met(n->w, FAULT_BREAK);
    break_off(chosen, world_chance(n->w, 300) ? SECS(5) : MS(20));
    tell_peer(chosen, SECS(4));
    return true;
}

void network_cut(struct network *n, struct cable *c, bool to_broker, bool to_peer)
{
    c->cut[TO_BROKER] = to_broker;
    c->cut[TO_PEER] = to_peer;
    world_met(n->w, to_broker && to_peer ? FAULT_PARTITION : FAULT_ONE_WAY);
}

static void let_go(struct conn *c, int direction)
{
    struct network *n = c->net;
    struct packet *p, *next;
    int64_t at = n->w->now;
    for (p = c->held[direction]; p; p = next) {
        next = p->next;
        at += world_between(n->w, 1, MS(2));
        put_under_way(p, at);
    }
    c->held[direction] = NULL;
    c->held_end[direction] = &c->held[direction];
    if (at > c->last[direction])
        c->last[direction] = at;
}

void network_mend(struct network *n, struct cable *cable)
{
    bool was = cable->cut[TO_BROKER] || cable->cut[TO_PEER];
    cable->cut[TO_BROKER] = cable->cut[TO_PEER] = false;
    if (!was)
        return;
    TRACE(n->w, cable->name, "(the partition ends)");
    for (struct conn *c = n->conns, *next; c; c = next) {
        c->refs++;
        if (c->cable == cable) {
            if (!c->broken && world_chance(n->w, 500)) {
                break_off(c, MS(20));
                tell_peer(c, SECS(1));
            }
            let_go(c, TO_BROKER);
            let_go(c, TO_PEER);
        }
        next = c->next;
        conn_unref(c);
    }
}

unsigned network_frames(const struct network *n)
{
    return n->frames;
}
