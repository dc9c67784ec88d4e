/* events.c - see events.h: the ring, the subscriptions, and how they are brought forward. */
#include "broker/events.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

struct subscription {
    uint64_t peer, req;
    uint64_t position;            /* everything up to here has been looked at */
    uint64_t told;                /* `to` of the last message */
    int64_t since;                /* only until the first page has come */
    uint64_t credit, sent, taken; /* bytes of texts: allowed at a time, sent and taken in all */
    bool live_told;
    uint64_t asked; /* of the store; 0: nothing */
    struct buf where;
    uint32_t n_where;
    struct events *events;
    struct subscription *next;
};

/* The first record of a run, while records of it that need it may still come. */
struct flying {
    struct id run;
    struct buf begin;
    UT_hash_handle hh;
};
enum { FLYING_MOST = 20000 };

struct events {
    struct broker *b;
    struct subscription *all;
    unsigned n;
    uint64_t committed;
    struct event *ring[EVENTS_RING_MOST]; /* by lsn; NULL: made from the store */
    uint64_t first, next;                 /* lsn in the ring: [first, next) */
    size_t bytes;
    struct flying *flying;
};

struct events *events_new(struct broker *b)
{
    struct events *e = mem_zalloc(1, sizeof *e);
    e->b = b;
    return e;
}

unsigned events_subscriptions(const struct events *e)
{
    return e->n;
}

/* ---- The ring */
static void pop_first(struct events *e)
{
    struct event **slot = &e->ring[e->first++ % EVENTS_RING_MOST];
    if (*slot)
        e->bytes -= (*slot)->n;
    event_free(slot);
}

static void flying_drop(struct events *e, struct flying *f)
{
    HASH_DEL(e->flying, f);
    buf_free(&f->begin);
    mem_free(&f);
}

static void empty_ring(struct events *e)
{
    while (e->first < e->next)
        pop_first(e);
    while (e->flying)
        flying_drop(e, e->flying);
}

static struct flying *flying_of(struct events *e, struct id run)
{
    struct flying *f = NULL;
    HASH_FIND(hh, e->flying, &run, sizeof run, f);
    return f;
}

static struct flying *flying_add(struct events *e, struct id run)
{
    struct flying *f = mem_zalloc(1, sizeof *f);
    if (HASH_COUNT(e->flying) >= FLYING_MOST)
        flying_drop(e, e->flying); /* its end will come from the store */
    f->run = run;
    HASH_ADD(hh, e->flying, run, sizeof f->run, f);
    return f;
}

/* What the run began with: remembered, or from the core, which still has it. */
static bool find_begin(struct events *e, struct id run, struct event_about *ret)
{
    struct flying *f = flying_of(e, run);
    struct view_run r;
    struct view_parent p;
    if (!f && view_run(e->b->core, &run, &r)) {
        f = flying_add(e, run);
        r_called_encode(
            &(struct r_called){.at = r.called_at, .run = run, .principal = span_str(r.principal), .call = r.call},
            &f->begin);
    } else if (!f && view_parent(e->b->core, &run, &p)) {
        f = flying_add(e, run);
        r_parent_begun_encode(
            &(struct r_parent_begun){
                .at = p.begun_at, .run = run, .principal = span_str(p.principal), .parent = p.parent},
            &f->begin);
    }
    if (f)
        event_about_of(buf_span(&f->begin), ret);
    return f != NULL;
}

static struct event *make(struct events *e, uint64_t lsn, struct span record)
{
    struct event_about about;
    uint64_t kind;
    bool begins;
    struct id run = event_run(record, &kind, &begins);
    if (id_is_zero(run))
        return event_make(lsn, record, NULL);
    if (begins)
        event_about_of(record, &about);
    else if (!find_begin(e, run, &about))
        return NULL;
    struct event *made = event_make(lsn, record, &about);
    struct flying *f;
    if ((kind == KIND_R_ENDED || kind == KIND_R_PARENT_ENDED) && (f = flying_of(e, run)))
        flying_drop(e, f);
    return made;
}

void events_record(struct events *e, uint64_t lsn, struct span record)
{
    if (!e->all) { /* nobody listens: who comes later reads from the store */
        empty_ring(e);
        e->first = e->next = lsn + 1;
        return;
    }
    if (e->next != lsn) {
        empty_ring(e);
        e->first = e->next = lsn;
    }
    if (e->next - e->first == EVENTS_RING_MOST)
        pop_first(e);
    struct event *made = make(e, lsn, record);
    e->ring[e->next++ % EVENTS_RING_MOST] = made;
    e->bytes += made ? made->n : 0;
    while (e->bytes > EVENTS_RING_BYTES && e->first < e->next - 1)
        pop_first(e);
}

static const struct event *in_ring(const struct events *e, uint64_t lsn)
{
    return lsn >= e->first && lsn < e->next ? e->ring[lsn % EVENTS_RING_MOST] : NULL;
}

/* ---- A message to a subscriber */
struct batch {
    struct subscription *s;
    struct buf texts;
    uint32_t n;
    size_t bytes;
};

static bool may_see(const struct events *e, const struct certificate *who, const struct event *ev)
{
    const char *address = *ev->address ? ev->address : *ev->server ? ev->server : "all";
    return rights_may_see(e->b->core, who, ev->principal, ev->job, address, ev->server);
}

/* False: it does not fit any more; it comes with the next message. */
static bool batch_add(struct batch *t, const struct events *e, const struct peer *p, const struct event *ev)
{
    struct wire_list where = wire_list_from(&t->s->where, t->s->n_where);
    uint64_t open = t->s->sent + t->bytes - t->s->taken; /* not yet taken */
    if (!events_match(&where, ev) || !may_see(e, p->certificate, ev))
        return true;
    if (t->n == LIMIT_EVENTS || (t->n && t->bytes + ev->n > EVENTS_BATCH_BYTES) ||
        (open && open + ev->n > t->s->credit))
        return false;
    wire_add_str(&t->texts, span_of(ev->json, ev->n));
    t->bytes += ev->n;
    t->n++;
    return true;
}

static void batch_send(struct events *e, struct batch *t)
{
    struct subscription *s = t->s;
    bool live = s->position >= e->committed;
    if (t->n || (live && !s->live_told) || s->position - s->told >= EVENTS_SILENT_MOST) {
        struct m_events m = {.req = s->req,
                             .from = s->told,
                             .to = s->position,
                             .events = wire_list_from(&t->texts, t->n),
                             .live = live};
        broker_send(e->b, s->peer, &m_events_schema, &m);
        s->told = s->position;
        s->sent += t->bytes;
        s->live_told = live;
    }
    buf_free(&t->texts);
}

static bool can_send(const struct events *e, const struct subscription *s)
{
    return !s->asked && s->position < e->committed && s->sent - s->taken < s->credit &&
           net_server_window_open(e->b->net, s->peer);
}

static void from_ring(struct events *e, struct subscription *s, const struct peer *p)
{
    struct batch t = {.s = s};
    const struct event *ev;
    for (unsigned i = 0; i < EVENTS_SCAN_MOST && s->position < e->committed && (ev = in_ring(e, s->position + 1));
         i++) {
        if (!batch_add(&t, e, p, ev))
            break;
        s->position++;
    }
    batch_send(e, &t);
}

/* ---- From the store */
static void pump(struct events *e, struct subscription *s);

static struct span begin_of(const struct store_answer *a, struct id run)
{
    uint64_t kind;
    bool begins;
    for (unsigned i = 0; i < a->n_begins; i++)
        if (id_eq(event_run(a->begins[i].body, &kind, &begins), run))
            return a->begins[i].body;
    return SPAN_NONE;
}

static struct event *make_from_store(const struct store_answer *a, const struct store_record *r)
{
    struct event_about about;
    uint64_t kind;
    bool begins;
    struct id run = event_run(r->body, &kind, &begins);
    if (id_is_zero(run))
        return event_make(r->lsn, r->body, NULL);
    event_about_of(begins ? r->body : begin_of(a, run), &about);
    return event_make(r->lsn, r->body, &about);
}

static void hear_events(void *self, const struct store_answer *a)
{
    struct subscription *s = self;
    struct events *e = s->events;
    const struct peer *p = a->rc == -ECANCELED ? NULL : broker_peer(e->b, s->peer);
    struct batch t = {.s = s};
    bool fits = true;
    s->asked = 0;
    if (!p || a->rc < 0) {
        if (p)
            broker_error(e->b, s->peer, s->req, REFUSAL_INTERNAL, "%s", a->err.text);
        return;
    }
    s->since = 0;
    for (unsigned i = 0; i < a->n_records && fits; i++) {
        struct event *ev = make_from_store(a, &a->records[i]);
        fits = batch_add(&t, e, p, ev);
        if (fits)
            s->position = a->records[i].lsn;
        event_free(&ev);
    }
    if (fits && a->next > s->position)
        s->position = a->next;
    batch_send(e, &t);
    pump(e, s);
}

static void ask_store(struct events *e, struct subscription *s)
{
    struct store_question q = {.what = STORE_EVENTS,
                               .after = s->position,
                               .upto = e->committed,
                               .since = s->since,
                               .most = LIMIT_EVENTS,
                               .most_bytes = 2 * EVENTS_BATCH_BYTES};
    s->asked = store_ask(e->b->store, &q, hear_events, s);
}

static void pump(struct events *e, struct subscription *s)
{
    const struct peer *p = broker_peer(e->b, s->peer);
    const char *text;
    if (!p || hello_still_good(e->b, p, &text) != REFUSAL_NONE)
        return;
    while (can_send(e, s)) {
        uint64_t before = s->position;
        if (s->since || !in_ring(e, s->position + 1))
            ask_store(e, s);
        else
            from_ring(e, s, p);
        if (s->position == before)
            break; /* asked, or what comes next waits for credit */
    }
}

void events_committed(struct events *e, uint64_t lsn)
{
    e->committed = lsn;
    for (struct subscription *s = e->all; s; s = s->next)
        pump(e, s);
}

void events_window(struct events *e, uint64_t peer)
{
    for (struct subscription *s = e->all; s; s = s->next)
        if (s->peer == peer)
            pump(e, s);
}

/* ---- Subscriptions */
static void subscription_free(struct events *e, struct subscription **link)
{
    struct subscription *s = *link;
    *link = s->next;
    if (s->asked)
        store_forget(e->b->store, s->asked);
    buf_free(&s->where);
    mem_free(&s);
    e->n--;
}

static void remove_matching(struct events *e, uint64_t peer, bool all, uint64_t req)
{
    for (struct subscription **link = &e->all; *link;) {
        if ((*link)->peer == peer && (all || (*link)->req == req))
            subscription_free(e, link);
        else
            link = &(*link)->next;
    }
}

void events_forget(struct events *e, uint64_t peer)
{
    remove_matching(e, peer, true, 0);
}

void events_free(struct events **events)
{
    struct events *e = *events;
    if (!e)
        return;
    while (e->all)
        subscription_free(e, &e->all);
    empty_ring(e);
    mem_free(events);
}

static struct subscription *find(struct events *e, uint64_t peer, uint64_t req)
{
    for (struct subscription *s = e->all; s; s = s->next)
        if (s->peer == peer && s->req == req)
            return s;
    return NULL;
}

static void subscribe(struct events *e, struct peer *p, const struct m_subscribe *m)
{
    struct error err = {0};
    unsigned own = 0;
    remove_matching(e, p->handle, false, m->req); /* said again */
    for (const struct subscription *s = e->all; s; s = s->next)
        own += s->peer == p->handle;
    if (events_check_filter(&m->where, &err) < 0) {
        broker_error(e->b, p->handle, m->req, REFUSAL_BAD_ARGUMENT, "%s", err.text);
        return;
    }
    if (own >= EVENTS_PER_PEER || e->n >= EVENTS_SUBSCRIPTIONS) {
        broker_error(e->b, p->handle, m->req, REFUSAL_BUSY, "%s has %u subscriptions; no more are kept",
                     own >= EVENTS_PER_PEER ? "this session" : "this broker", own >= EVENTS_PER_PEER ? own : e->n);
        return;
    }
    struct subscription *s = mem_zalloc(1, sizeof *s);
    s->events = e;
    s->peer = p->handle;
    s->req = m->req;
    s->since = m->after ? 0 : m->since;
    s->position = s->told =
        m->after < e->committed ? m->after : e->committed; /* a number from the future: from now on */
    s->credit = m->credit;
    s->where = buf_dup(m->where.items);
    s->n_where = m->where.count;
    s->next = e->all;
    e->all = s;
    e->n++;
    if (s->position == e->committed)
        batch_send(e, &(struct batch){.s = s}); /* nothing is older: it is live */
    pump(e, s);
}

void events_take(struct events *e, struct peer *p, uint64_t kind, struct span message)
{
    struct m_subscribe subscribing;
    struct m_credit credit;
    struct m_unsubscribe leaving;
    struct error err = {0};
    struct subscription *s;
    int rc = 0;
    if (kind == KIND_M_SUBSCRIBE && (rc = m_subscribe_decode(message, &subscribing, &err)) == 0)
        subscribe(e, p, &subscribing);
    else if (kind == KIND_M_CREDIT && (rc = m_credit_decode(message, &credit, &err)) == 0 &&
             (s = find(e, p->handle, credit.req))) {
        if (credit.bytes > s->taken && credit.bytes <= s->sent)
            s->taken = credit.bytes;
        pump(e, s);
    } else if (kind == KIND_M_UNSUBSCRIBE && (rc = m_unsubscribe_decode(message, &leaving, &err)) == 0) {
        remove_matching(e, p->handle, false, leaving.req);
        broker_done(e->b, p->handle, leaving.req, "%s", "");
    }
    if (rc < 0)
        broker_drop(e->b, p, REFUSAL_MALFORMED, err.text);
}
