/* queue.c - waiting runs: classes (runs that the same servers can take), the order within them, and
 * the servers that can take them.
 *
 * The order within a class is priority, then principals in turn, then each one's parents in turn,
 * then acceptance. Turns are made by tags, one apart, starting at the tag being served. So
 * principals alternate, however many runs or parents one of them has: a run that arrives late waits
 * for at most one run of each other principal, and within its own for at most one of each other
 * parent. A run that comes back goes to the front of its principal's.
 *
 * A class lives as long as it has runs; the last CLASSES_IDLE empty ones are kept. */
#include <string.h>

#include "broker/core/declined.h"

/* ---- Tables */
struct group_key {
    struct id parent;
    const struct account *account;
};
struct turns_key {
    const struct account *account;
    uint64_t priority;
};
struct lane_key {
    const struct group *group;
    uint64_t priority;
};
struct class_key {
    const struct text *address, *job, *declined;
    struct hash job_hash;
};

/* Callers choose the ids of parents, so their hash is keyed; the others are hashes of pointers. */
static uint64_t group_key_hash(const struct bcore *c, const struct group_key *k)
{
    return bcore_hash_mix(bcore_hash_keyed(c, k->parent.b, sizeof k->parent.b),
                          k->account->name->hash);
}
static uint64_t group_hash(const void *self, uintptr_t item)
{
    const struct group *g = (const struct group *)item;
    struct group_key k = {g->parent, g->account};
    return group_key_hash(self, &k);
}
static bool group_same(const void *self, uintptr_t item, const void *key)
{
    const struct group *g = (const struct group *)item;
    const struct group_key *k = key;
    (void)self;
    return g->account == k->account && id_eq(g->parent, k->parent);
}
static uint64_t turns_key_hash(const struct turns_key *k)
{
    return bcore_hash_mix(k->account->name->hash, k->priority);
}
static uint64_t turns_hash(const void *self, uintptr_t item)
{
    const struct turns *t = (const struct turns *)item;
    struct turns_key k = {t->account, t->priority};
    (void)self;
    return turns_key_hash(&k);
}
static bool turns_same(const void *self, uintptr_t item, const void *key)
{
    const struct turns *t = (const struct turns *)item;
    const struct turns_key *k = key;
    (void)self;
    return t->account == k->account && t->priority == k->priority;
}
static uint64_t lane_key_hash(const struct lane_key *k)
{
    return bcore_hash_mix((uint64_t)(uintptr_t)k->group >> 4, k->priority);
}
static uint64_t lane_hash(const void *self, uintptr_t item)
{
    const struct lane *l = (const struct lane *)item;
    struct lane_key k = {l->group, l->priority};
    (void)self;
    return lane_key_hash(&k);
}
static bool lane_same(const void *self, uintptr_t item, const void *key)
{
    const struct lane *l = (const struct lane *)item;
    const struct lane_key *k = key;
    (void)self;
    return l->group == k->group && l->priority == k->priority;
}
static uint64_t class_key_hash(const struct bcore *c, const struct class_key *k)
{
    return bcore_hash_mix(bcore_hash_mix(k->address->hash, k->job->hash),
                          bcore_hash_keyed(c, k->job_hash.b, sizeof k->job_hash.b)) ^
           (k->declined ? k->declined->hash : 0);
}
static uint64_t class_hash(const void *self, uintptr_t item)
{
    const struct class *cl = (const struct class *)item;
    struct class_key k = {cl->address, cl->job, cl->declined, cl->job_hash};
    return class_key_hash(self, &k);
}
static bool class_same(const void *self, uintptr_t item, const void *key)
{
    const struct class *cl = (const struct class *)item;
    const struct class_key *k = key;
    (void)self;
    return cl->address == k->address && cl->job == k->job && cl->declined == k->declined &&
           hash_eq(&cl->job_hash, &k->job_hash);
}

/* ---- Groups, classes, turns, lanes */
static struct group *group_get(struct bcore *c, struct id parent, struct text *principal)
{
    struct account *a = account_get(c, principal);
    struct group_key k = {parent, a};
    struct group *g;
    if (!c->groups.hash)
        c->groups = (struct table){.hash = group_hash, .same = group_same, .self = c};
    g = (struct group *)table_find(&c->groups, group_key_hash(c, &k), &k);
    if (g) {
        account_put(c, &a);
    } else {
        g = mem_zalloc(1, sizeof *g);
        g->parent = parent;
        g->account = a;
        table_add(&c->groups, (uintptr_t)g);
    }
    g->refs++;
    return g;
}

static void group_put(struct bcore *c, struct group *g)
{
    if (--g->refs)
        return;
    table_remove(&c->groups, (uintptr_t)g);
    account_put(c, &g->account);
    mem_free(&g);
}

static void idle_unlink(struct bcore *c, struct class *cl)
{
    *(cl->idle_prev ? &cl->idle_prev->idle_next : &c->idle_first) = cl->idle_next;
    *(cl->idle_next ? &cl->idle_next->idle_prev : &c->idle_last) = cl->idle_prev;
    cl->idle_prev = cl->idle_next = NULL;
    cl->idle = false;
    c->n_idle--;
}

static struct class *class_find(const struct bcore *c, const struct class_key *k)
{
    if (!k->address || !k->job || !c->classes.hash)
        return NULL;
    return (struct class *)table_find(&c->classes, class_key_hash(c, k), k);
}

static struct class_key key_of_call(const struct d_call *d, const struct text *address,
                                    const struct text *job)
{
    struct class_key k = {.address = address, .job = job};
    if (!d->pin_latest)
        k.job_hash = d->job_hash;
    return k;
}

static struct class *class_get(struct bcore *c, const struct class_key *k)
{
    struct class *cl = class_find(c, k);
    if (!c->classes.hash)
        c->classes = (struct table){.hash = class_hash, .same = class_same, .self = c};
    if (cl) {
        if (cl->idle)
            idle_unlink(c, cl);
        return cl;
    }
    cl = mem_zalloc(1, sizeof *cl);
    cl->address = text_ref((struct text *)k->address);
    cl->job = text_ref((struct text *)k->job);
    cl->declined = k->declined ? text_ref((struct text *)k->declined) : NULL;
    cl->job_hash = k->job_hash;
    cl->lanes = (struct table){.hash = lane_hash, .same = lane_same};
    cl->turns = (struct table){.hash = turns_hash, .same = turns_same};
    table_add(&c->classes, (uintptr_t)cl);
    return cl;
}

static void seat_remove(struct seat *s)
{
    heap_remove(&s->class->seats, &s->node);
    *(s->prev ? &s->prev->next : &s->server->seats) = s->next;
    if (s->next)
        s->next->prev = s->prev;
    mem_free(&s);
}

static void class_free(struct bcore *c, struct class *cl)
{
    struct heap_node *node;
    while ((node = heap_peek(&cl->seats)))
        seat_remove(heap_entry(node, struct seat, node));
    bcore_timer_clear(c, &cl->recall);
    table_remove(&c->classes, (uintptr_t)cl);
    heap_free(&cl->seats);
    heap_free(&cl->ready);
    table_free(&cl->lanes);
    table_free(&cl->turns);
    text_put(c, &cl->address);
    text_put(c, &cl->job);
    text_put(c, &cl->declined);
    mem_free(&cl->why);
    mem_free(&cl);
}

void class_free_all(struct bcore *c)
{
    while (c->idle_first) {
        struct class *cl = c->idle_first;
        idle_unlink(c, cl);
        class_free(c, cl);
    }
    table_free(&c->classes);
    table_free(&c->groups);
}

/* With what it grows by in tables and heaps, and the entries of its names. */
static uint64_t class_cost(size_t address_n, size_t job_n)
{
    return sizeof(struct class) + 2 * (sizeof(struct text) + 16) + address_n + job_n + 128;
}

static void class_own(struct bcore *c, struct class *cl, struct account *a)
{
    cl->owner = a;
    a->refs++;
    a->classes++;
    account_charge(c, a, class_cost(cl->address->n, cl->job->n));
}

static void class_put(struct bcore *c, struct class *cl)
{
    if (--cl->refs)
        return;
    cl->owner->classes--;
    account_release(c, cl->owner, class_cost(cl->address->n, cl->job->n));
    account_put(c, &cl->owner);
    cl->idle = true;
    cl->idle_prev = c->idle_last;
    *(c->idle_last ? &c->idle_last->idle_next : &c->idle_first) = cl;
    c->idle_last = cl;
    if (++c->n_idle > CLASSES_IDLE) {
        struct class *first = c->idle_first;
        idle_unlink(c, first);
        class_free(c, first);
    }
}

static struct turns *turns_get(struct class *cl, struct account *a, uint8_t priority)
{
    struct turns_key k = {a, priority};
    struct turns *t = (struct turns *)table_find(&cl->turns, turns_key_hash(&k), &k);
    if (!t) {
        t = mem_zalloc(1, sizeof *t);
        t->class = cl;
        t->account = a; /* held by the groups of its lanes */
        t->priority = priority;
        table_add(&cl->turns, (uintptr_t)t);
    }
    t->refs++;
    return t;
}

static void turns_put(struct turns *t)
{
    if (--t->refs)
        return;
    table_remove(&t->class->turns, (uintptr_t)t);
    heap_free(&t->ready);
    mem_free(&t);
}

/* With its group and turns, which other lanes may share. */
static uint64_t lane_bytes(void)
{
    return sizeof(struct lane) + sizeof(struct group) + sizeof(struct turns) + 128;
}

uint64_t lane_cost(const struct bcore *c, const struct d_call *d, struct account *a, bool *ret_new)
{
    const struct class_key ck = key_of_call(d, text_find(c, d->address), text_find(c, d->job));
    const struct class *cl = class_find(c, &ck);
    const struct group_key gk = {d->parent, a};
    const struct group *g =
        c->groups.hash ? (struct group *)table_find(&c->groups, group_key_hash(c, &gk), &gk) : NULL;
    const struct lane_key k = {g, d->priority};
    *ret_new = !cl || cl->idle;
    if (*ret_new)
        return class_cost(d->address.n, d->job.n) + lane_bytes();
    return g && table_find(&cl->lanes, lane_key_hash(&k), &k) ? 0 : lane_bytes();
}

/* Takes the reference to the group. */
static struct lane *lane_in(struct bcore *c, struct class *cl, struct group *g, uint8_t priority)
{
    struct lane_key k = {g, priority};
    struct lane *l = (struct lane *)table_find(&cl->lanes, lane_key_hash(&k), &k);
    if (l) {
        group_put(c, g);
    } else {
        l = mem_zalloc(1, sizeof *l);
        l->class = cl;
        l->group = g;
        l->priority = priority;
        l->turns = turns_get(cl, g->account, l->priority);
        table_add(&cl->lanes, (uintptr_t)l);
        account_charge(c, g->account, lane_bytes());
        if (!cl->refs++)
            class_own(c, cl, g->account);
    }
    l->refs++;
    return l;
}

struct lane *lane_get(struct bcore *c, const struct d_call *d, struct text *principal)
{
    struct text *address = text_get(c, d->address), *job = text_get(c, d->job);
    struct class_key k = key_of_call(d, address, job);
    struct class *cl = class_get(c, &k);
    text_put(c, &address);
    text_put(c, &job);
    return lane_in(c, cl, group_get(c, d->parent, principal), (uint8_t)d->priority);
}

void lane_move(struct bcore *c, struct run *r, struct text *declined)
{
    struct lane *old = r->lane;
    const struct class *from = old->class;
    struct class_key k = {from->address, from->job, declined, from->job_hash};
    old->group->refs++;
    r->lane = lane_in(c, class_get(c, &k), old->group, old->priority);
    lane_put(c, &old);
}

void lane_put(struct bcore *c, struct lane **lane)
{
    struct lane *l = *lane;
    *lane = NULL;
    if (!l || --l->refs)
        return;
    table_remove(&l->class->lanes, (uintptr_t)l);
    account_release(c, l->group->account, lane_bytes());
    turns_put(l->turns);
    group_put(c, l->group);
    class_put(c, l->class);
    mem_free(&l);
}

/* ---- Seats */
unsigned seat_judge(const struct server *s, const struct class *cl, struct job_version **ret_job)
{
    unsigned unmet = 0;
    struct job_version *job = NULL;
    bool other = false;
    if (!server_in(s, cl->address))
        unmet |= 1u << EXPLAIN_ADDRESS;
    if (!s->peer)
        unmet |= 1u << EXPLAIN_CONTACT;
    else if (!s->ready)
        unmet |= 1u << EXPLAIN_ATTACHING;
    if (s->draining)
        unmet |= 1u << EXPLAIN_DRAINING;
    unsigned n_named;
    struct job_version *jobs = attest_named(s->jobs, s->n_jobs, cl->job, &n_named);
    for (unsigned i = 0; i < n_named && !job; i++)
        if (hash_is_zero(&cl->job_hash) || hash_eq(&cl->job_hash, &jobs[i].hash))
            job = &jobs[i];
        else
            other = true;
    if (!job)
        unmet |= 1u << (other ? EXPLAIN_VERSION : EXPLAIN_JOB);
    else if (job->unmet)
        unmet |= 1u << EXPLAIN_NEED;
    if ((job && job->refused_until) || declined_has(cl->declined, s->name))
        unmet |= 1u << EXPLAIN_REFUSED;
    *ret_job = job;
    return unmet;
}

static void seat_add(struct class *cl, struct server *s, struct job_version *job)
{
    struct seat *seat = mem_zalloc(1, sizeof *seat);
    seat->class = cl;
    seat->server = s;
    seat->job = job;
    seat->next = s->seats;
    if (seat->next)
        seat->next->prev = seat;
    s->seats = seat;
}

bool class_parked(const struct class *cl)
{
    return cl->seated && cl->seats.n == 0;
}

static void class_seat(struct bcore *c, struct class *cl)
{
    struct server *const *members;
    struct job_version *job;
    unsigned n;
    cl->seated = true;
    cl->parked_since = c->now;
    members = servers_members(c, cl->address, &n);
    for (unsigned i = 0; i < n; i++)
        if (seat_judge(members[i], cl, &job) == 0) {
            seat_add(cl, members[i], job);
            seat_place(c, members[i]->seats);
        }
}

/* The waiting runs of the class become parked, or stop being parked. */
static void class_turned(struct bcore *c, struct class *cl)
{
    cl->parked_since = c->now;
    for (size_t k = 0; k < cl->ready.n; k++) {
        const struct turns *t = heap_entry(cl->ready.v[k], struct turns, node);
        for (size_t i = 0; i < t->ready.n; i++) {
            struct run *r = heap_entry(t->ready.v[i], struct run, ready);
            if (r->followers)
                follow_state(c, r);
        }
    }
}

void queue_refresh_seats(struct bcore *c, struct server *s)
{
    size_t place = 0;
    uintptr_t item;
    c->eligibility++;
    for (struct seat *seat = s->seats; seat; seat = seat->next)
        seat->class->mark = seat;
    while ((item = table_next(&c->classes, &place))) {
        struct class *cl = (struct class *)item;
        struct job_version *job;
        bool parked = class_parked(cl), can;
        if (!cl->seated)
            continue;
        can = server_in(s, cl->address) && seat_judge(s, cl, &job) == 0;
        if (cl->mark && !can) {
            seat_remove(cl->mark);
        } else if (can) {
            if (!cl->mark) {
                seat_add(cl, s, job);
                cl->mark = s->seats;
            }
            cl->mark->job = job;
            seat_place(c, cl->mark);
        }
        cl->mark = NULL;
        if (class_parked(cl) != parked)
            class_turned(c, cl);
    }
    server_pump(c, s);
}

/* ---- Waiting */
/* Puts what a principal has waiting where its turn and its first run say. */
static void turns_place(struct turns *t)
{
    struct class *cl = t->class;
    const struct heap_node *first = heap_peek(&t->ready);
    uint64_t now = cl->tag[t->priority], tag = t->tag + 1 > now ? t->tag + 1 : now;
    heap_remove(&cl->ready, &t->node);
    if (first)
        heap_insert(&cl->ready, &t->node, (int64_t)((9 - (uint64_t)t->priority) << 56 | tag),
                    heap_entry(first, struct run, ready)->seq);
}

void queue_add(struct bcore *c, struct run *r)
{
    struct lane *l = r->lane;
    struct class *cl = l->class;
    struct turns *t = l->turns;
    uint64_t now = t->lane_tag, tag = now;
    if (r->attempt >= LIMIT_ATTEMPTS) {
        run_end_used_up(c, r);
        return;
    }
    if (!r->attempt) { /* otherwise it was handed over before and goes to the front */
        tag = l->last_tag + 1 > now ? l->last_tag + 1 : now;
        l->last_tag = tag;
    }
    if (!cl->seated)
        class_seat(c, cl);
    heap_insert(&t->ready, &r->ready, (int64_t)tag, r->seq);
    cl->waiting++;
    if (heap_peek(&t->ready) == &r->ready)
        turns_place(t);
    run_watch(c, r);
    class_pump(c, cl);
}

void queue_remove(struct bcore *c, struct run *r)
{
    struct turns *t = r->lane->turns;
    bool first = heap_peek(&t->ready) == &r->ready;
    (void)c;
    if (!heap_holds(&r->ready))
        return;
    heap_remove(&t->ready, &r->ready);
    t->class->waiting--;
    if (first)
        turns_place(t);
}

void queue_serve(struct bcore *c, struct run *r)
{
    struct turns *t = r->lane->turns;
    uint64_t tag = (uint64_t)t->node.key & ((UINT64_C(1) << 56) - 1);
    t->tag = t->class->tag[t->priority] = tag;
    if (t->lane_tag < (uint64_t)r->ready.key)
        t->lane_tag = (uint64_t)r->ready.key;
    queue_remove(c, r);
}

struct run *queue_first(const struct class *cl)
{
    const struct heap_node *n = heap_peek(&cl->ready);
    return n ? heap_entry(heap_peek(&heap_entry(n, struct turns, node)->ready), struct run, ready)
             : NULL;
}
