/* placement.c - which server gets which run: credit, hand-over, recall.
 *
 * The servers of a class are in a heap: free slots first, then credit, then the least recently
 * used. A hand-over changes a server's place in every class where it has a seat. Only one seat is
 * corrected; the others overrate the server until they reach the top. A freed slot may improve
 * places, and these are corrected at once. So a decision costs O(log servers of the class), and a
 * result costs a look at each seat of the server.
 *
 * Invariant after every step: no class with waiting runs has a seat with credit. */
#include "broker/core/inside.h"

/* LIMIT_SLOTS + LIMIT_PREFETCH fits */
enum { CREDIT_BITS = 16, CREDIT_MASK = (1 << CREDIT_BITS) - 1 };

static uint64_t lost_after_of(const struct bcore *c, const struct run *r)
{
    uint64_t ms = r->lost_after_ms ? r->lost_after_ms : c->config.lost_after_ms;
    return ms > LOST_AFTER_MIN_MS ? ms : LOST_AFTER_MIN_MS;
}

/* How many attempts may be sent ahead of free slots: what the slots without long jobs finish in
 * PREFETCH_MS. */
static uint64_t prefetch(const struct server *s, const struct job_version *j)
{
    uint64_t fast = s->slots - (s->n_long < s->slots ? s->n_long : s->slots), n;
    if (!j || !j->mean_us || j->mean_us >= PREFETCH_NONE_MS * 1000)
        return 0;
    n = fast * PREFETCH_MS * 1000 / (uint64_t)j->mean_us;
    return n < LIMIT_PREFETCH ? n : LIMIT_PREFETCH;
}

/* The attempts that take a place there. */
static uint64_t taken(const struct server *s)
{
    uint64_t most = s->slots * LIMIT_WAITS;
    return s->n_live - (s->n_waits < most ? s->n_waits : most);
}

static uint64_t room(const struct server *s, const struct job_version *j, uint64_t places)
{
    uint64_t busy = taken(s), n = places > busy ? places - busy : 0;
    if (j && j->concurrency) {
        uint64_t of_job = j->concurrency > j->live ? j->concurrency - j->live : 0;
        n = of_job < n ? of_job : n;
    }
    return n;
}

uint64_t placement_credit(const struct server *s, const struct job_version *j)
{
    return !s->ready || s->draining || s->resting ? 0 : room(s, j, s->slots + prefetch(s, j));
}

static uint64_t free_slots(const struct server *s, const struct job_version *j)
{
    return !s->ready || s->draining || s->resting ? 0 : room(s, j, s->slots);
}

/* An idle slot is worth more than any credit behind busy ones. */
static int64_t seat_key(const struct seat *s)
{
    return -(int64_t)(free_slots(s->server, s->job) << CREDIT_BITS |
                      placement_credit(s->server, s->job));
}

void seat_place(struct bcore *c, struct seat *s)
{
    (void)c;
    heap_remove(&s->class->seats, &s->node);
    heap_insert(&s->class->seats, &s->node, seat_key(s), s->server->last_used);
}

static struct seat *best_seat(struct bcore *c, struct class *cl)
{
    struct heap_node *n;
    while ((n = heap_peek(&cl->seats))) {
        struct seat *s = heap_entry(n, struct seat, node);
        if (n->key == seat_key(s) && n->tie == s->server->last_used)
            return placement_credit(s->server, s->job) ? s : NULL;
        seat_place(c, s);
    }
    return NULL;
}

/* ---- Hand-over */
static void ahead_add(struct bcore *c, struct attempt *a)
{
    struct class *cl = a->run->lane->class;
    a->ahead = true;
    a->older = cl->ahead_last;
    *(cl->ahead_last ? &cl->ahead_last->newer : &cl->ahead_first) = a;
    cl->ahead_last = a;
    if (!heap_holds(&cl->recall))
        bcore_timer_set(c, &cl->recall, TIMER_RECALL, c->now + RECALL_AFTER_MS);
}

void attempt_settled(struct bcore *c, struct attempt *a)
{
    struct class *cl;
    if (!a->ahead)
        return;
    cl = a->run->lane->class;
    *(a->older ? &a->older->newer : &cl->ahead_first) = a->newer;
    *(a->newer ? &a->newer->older : &cl->ahead_last) = a->older;
    a->older = a->newer = NULL;
    a->ahead = false;
    if (!cl->ahead_first)
        bcore_timer_clear(c, &cl->recall);
}

void attempt_waits(struct bcore *c, struct attempt *a, bool waits)
{
    struct server *s = a->server;
    if (a->waits == waits)
        return;
    a->waits = waits;
    if (waits) {
        s->n_waits++;
        s->n_long -= a->lasting;
        server_pump(c, s);
    } else {
        s->n_waits--;
        s->n_long += a->lasting;
    }
}

static uint64_t on_lost_of(const struct run *r, const struct job_version *j)
{
    if (r->on_lost != ON_LOST_DEFAULT)
        return r->on_lost;
    return j->idempotent ? ON_LOST_RERUN : ON_LOST_FAIL;
}

static void send_execute(struct bcore *c, const struct run *r)
{
    const struct attempt *a = r->at;
    struct m_execute m = {.run = r->id,
                          .attempt = r->attempt,
                          .call = span_of(r->call, r->call_n),
                          .certificate = span_of(r->certificate->s, r->certificate->n),
                          .job_hash = a->job_hash,
                          .on_lost = a->on_lost,
                          .lost_after_ms = a->lost_after_ms};
    if (r->call)
        out_send(c, a->server->peer->handle, r->lsn, &m_execute_schema, &m);
    else
        out_execute(c, r, &m);
}

static void hand_over(struct bcore *c, struct run *r, struct seat *seat)
{
    struct server *s = seat->server;
    struct job_version *job = seat->job;
    struct attempt *a;
    bool ahead = taken(s) >= s->slots;
    queue_serve(c, r);
    bcore_timer_clear(c, &r->timer);
    s->last_used = ++c->counts.decisions;
    r->lane->group->served = r->lane->group->account->served = s->last_used;
    EMIT(c, assigned, .at = c->wall, .run = r->id, .attempt = r->attempt + 1u,
         .server = span_of(s->name->s, s->name->n), .spool = s->spool, .job_hash = job->hash,
         .on_lost = on_lost_of(r, job), .lost_after_ms = lost_after_of(c, r),
         .boot = span_of(s->boot.b, sizeof s->boot.b),
         .incarnation =
             s->process ? span_of(s->incarnation.b, sizeof s->incarnation.b) : SPAN_NONE);
    a = r->at;
    a->job = job;
    a->handed = c->now;
    a->lasting = !job->mean_us || job->mean_us >= PREFETCH_NONE_MS * 1000;
    s->n_long += a->lasting;
    job->live++;
    if (ahead)
        ahead_add(c, a);
    seat_place(c, seat);
    send_execute(c, r);
    follow_state(c, r);
}

void class_pump(struct bcore *c, struct class *cl)
{
    struct run *r;
    struct seat *s;
    while ((r = queue_first(cl)) && (s = best_seat(c, cl)))
        hand_over(c, r, s);
}

/* Which of two runs at the heads of their classes is next? The one of higher priority, then of the
 * principal that was served least recently, then of the parent, then the older one. */
static bool goes_first(const struct run *a, const struct run *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    const struct group *x = a->lane->group, *y = b->lane->group;
    if (x->account->served != y->account->served)
        return x->account->served < y->account->served;
    if (x->served != y->served)
        return x->served < y->served;
    return a->seq < b->seq;
}

/* Each round looks at each seat once: its place may have improved, and its class may have the next
 * run. */
void server_pump(struct bcore *c, struct server *s)
{
    for (;;) {
        struct seat *next = NULL;
        int64_t best = 0;
        for (struct seat *seat = s->seats; seat; seat = seat->next) {
            int64_t key = seat_key(seat);
            struct run *r;
            best = key < best ? key : best;
            if (key < seat->node.key)
                heap_change(&seat->class->seats, &seat->node, key);
            if (key && (r = queue_first(seat->class)) &&
                (!next || goes_first(r, queue_first(next->class))))
                next = seat;
        }
        if (!next)
            return;
        hand_over(c, queue_first(next->class), next);
        if ((-best & CREDIT_MASK) <= 1)
            return; /* it was the only place */
    }
}

/* ---- Recall of attempts that were sent ahead and have waited longer than expected while another
 * server has an idle slot. */
void placement_recall_due(struct bcore *c, struct class *cl)
{
    struct seat *best = best_seat(c, cl);
    uint64_t idle = best ? free_slots(best->server, best->job) : 0;
    unsigned looked = 0;
    if (!cl->ahead_first)
        return;
    for (struct attempt *a = cl->ahead_first; a && idle && looked < LIMIT_PREFETCH;
         a = a->newer, looked++) {
        if (c->now - a->handed < RECALL_AFTER_MS)
            break;
        if (a->server == best->server || !a->server->peer || a->run->state != RUN_HANDED_OVER)
            continue;
        if (!a->recalled)
            SEND(c, a->server->peer->handle, a->run->lsn, recall, .run = a->run->id,
                 .attempt = a->run->attempt);
        a->recalled = true;
        idle--; /* earlier recalls without an answer count as well */
    }
    bcore_timer_set(c, &cl->recall, TIMER_RECALL, c->now + RECALL_AFTER_MS);
}

void placement_rest_due(struct bcore *c, struct server *s)
{
    s->resting = false;
    server_pump(c, s);
}
