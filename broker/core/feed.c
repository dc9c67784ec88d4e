/* feed.c - see feed.h: the readers, and how they advance. feedring.c has the ring, feedfilter.c the
 * filters. */
#include "broker/core/feed.h"

#include <errno.h>

#include "broker/core/feedinside.h"

/* ---- A message to a reader */
struct feed_batch {
    struct feed_reader *r;
    struct buf texts;
    uint32_t n;
    size_t bytes;
};

/* Is there credit for `n` more bytes besides the `bytes` about to be sent? An event longer than the
 * credit is sent alone. */
static bool fits(const struct feed_reader *r, size_t bytes, size_t n)
{
    uint64_t open = r->sent + bytes - r->taken; /* sent and not yet taken */
    return !open || open + n <= r->credit;
}

/* False: it does not fit, and comes with the next message. */
static bool batch_add(struct feed_batch *t, const struct feed_event *ev)
{
    struct feed_reader *r = t->r;
    const struct feed *f = r->feed;
    struct wire_list where = wire_list_from(&r->where, r->n_where);
    r->pending = 0;
    if (!feed_matches(&where, ev) || !f->calls->may_see(f->self, r->peer, ev))
        return true;
    if (t->n == LIMIT_EVENTS || (t->n && t->bytes + ev->n > f->config.batch_bytes))
        return false;
    if (!fits(r, t->bytes, ev->n)) {
        r->pending = ev->n;
        return false;
    }
    wire_add_str(&t->texts, span_of(ev->text, ev->n));
    t->bytes += ev->n;
    t->n++;
    return true;
}

static void batch_send(struct feed_batch *t)
{
    struct feed_reader *r = t->r;
    const struct feed *f = r->feed;
    bool live = r->position >= f->committed;
    if (t->n || (live && !r->live_told) || r->position - r->told >= f->config.silent_most) {
        struct m_events m = {.req = r->req,
                             .from = r->told,
                             .to = r->position,
                             .events = wire_list_from(&t->texts, t->n),
                             .live = live};
        r->told = r->position;
        r->sent += t->bytes;
        r->live_told = live;
        f->calls->send(f->self, r->peer, &m);
    }
    buf_free(&t->texts);
}

static bool can_send(const struct feed_reader *r)
{
    const struct feed *f = r->feed;
    return !r->asked && r->position < f->committed && r->sent - r->taken < r->credit &&
           fits(r, 0, r->pending) && f->calls->window_open(f->self, r->peer);
}

static void from_ring(struct feed_reader *r)
{
    const struct feed *f = r->feed;
    struct feed_batch t = {.r = r};
    const struct feed_event *ev;
    for (unsigned i = 0; i < f->config.scan_most && r->position < f->committed &&
                         (ev = feedring_at(f, r->position + 1));
         i++) {
        if (!batch_add(&t, ev))
            break;
        r->position++;
    }
    batch_send(&t);
}

/* ---- From the store */
static void ask_store(struct feed_reader *r)
{
    struct feed *f = r->feed;
    struct feed_question q = {.after = r->position,
                              .upto = f->committed,
                              .since = r->since,
                              .most = LIMIT_EVENTS,
                              .most_bytes = 2 * f->config.batch_bytes};
    r->asked = f->calls->ask(f->self, r, &q);
}

static void pump(struct feed_reader *r)
{
    const struct feed *f = r->feed;
    if (!f->calls->may_hear(f->self, r->peer))
        return;
    while (can_send(r)) {
        uint64_t before = r->position;
        if (r->since || !feedring_at(f, r->position + 1))
            ask_store(r);
        else
            from_ring(r);
        if (r->position == before)
            break; /* the store has been asked, or the next event waits for credit */
    }
}

static struct span begin_of(const struct feed_page *page, struct id run)
{
    uint64_t kind;
    bool begins;
    for (unsigned i = 0; i < page->n_begins; i++)
        if (id_eq(feed_run_of(page->begins[i].body, &kind, &begins), run))
            return page->begins[i].body;
    return SPAN_NONE;
}

static struct feed_event *make_from_store(const struct feed *f, const struct feed_page *page,
                                          const struct bcore_record *record)
{
    uint64_t kind;
    bool begins;
    struct id run = feed_run_of(record->body, &kind, &begins);
    struct span begin = id_is_zero(run) ? SPAN_NONE : begins ? record->body : begin_of(page, run);
    return f->calls->make(f->self, record->lsn, record->body, begin);
}

void feed_page(struct feed_reader *r, const struct feed_page *page)
{
    const struct feed *f = r->feed;
    struct feed_batch t = {.r = r};
    bool fits = true;
    r->asked = 0;
    if (!f->calls->may_hear(f->self, r->peer))
        return; /* it left while the store was reading */
    r->since = 0;
    for (unsigned i = 0; i < page->n_records && fits; i++) {
        struct feed_event *ev = make_from_store(f, page, &page->records[i]);
        fits = batch_add(&t, ev);
        if (fits)
            r->position = page->records[i].lsn;
        f->calls->drop(f->self, &ev);
    }
    if (fits && page->next > r->position)
        r->position = page->next;
    batch_send(&t);
    pump(r);
}

void feed_failed(struct feed_reader *r)
{
    r->asked = 0;
}

uint64_t feed_reader_peer(const struct feed_reader *r)
{
    return r->peer;
}

uint64_t feed_reader_req(const struct feed_reader *r)
{
    return r->req;
}

void *feed_reader_shell(const struct feed_reader *r)
{
    return r->feed->self;
}

void feed_committed(struct feed *f, uint64_t lsn)
{
    f->committed = lsn;
    for (struct feed_reader *r = f->all; r; r = r->next)
        pump(r);
}

void feed_window(struct feed *f, uint64_t peer)
{
    for (struct feed_reader *r = f->all; r; r = r->next)
        if (r->peer == peer)
            pump(r);
}

/* ---- Subscriptions */
static void reader_free(struct feed *f, struct feed_reader **link)
{
    struct feed_reader *r = *link;
    *link = r->next;
    if (r->asked)
        f->calls->forget(f->self, r->asked);
    buf_free(&r->where);
    mem_free(&r);
    f->n--;
}

static void remove_matching(struct feed *f, uint64_t peer, bool all, uint64_t req)
{
    for (struct feed_reader **link = &f->all; *link;) {
        if ((*link)->peer == peer && (all || (*link)->req == req))
            reader_free(f, link);
        else
            link = &(*link)->next;
    }
}

void feed_forget(struct feed *f, uint64_t peer)
{
    remove_matching(f, peer, true, 0);
}

void feed_unsubscribe(struct feed *f, uint64_t peer, uint64_t req)
{
    remove_matching(f, peer, false, req);
}

static void subscribe(struct feed *f, uint64_t peer, const struct m_subscribe *m)
{
    struct feed_reader *r = mem_zalloc(1, sizeof *r);
    r->feed = f;
    r->peer = peer;
    r->req = m->req;
    r->since = m->after ? 0 : m->since;
    r->position = r->told = m->after;
    r->credit = m->credit;
    r->where = buf_dup(m->where.items);
    r->n_where = m->where.count;
    r->next = f->all;
    f->all = r;
    f->n++;
    if (r->position == f->committed)
        batch_send(&(struct feed_batch){.r = r}); /* nothing older is left to send: it is live */
    pump(r);
}

enum refusal feed_subscribe(struct feed *f, uint64_t peer, const struct m_subscribe *m,
                            struct error *err)
{
    unsigned own = 0;
    remove_matching(f, peer, false, m->req); /* repeated: replaced */
    for (const struct feed_reader *r = f->all; r; r = r->next)
        own += r->peer == peer;
    if (feed_check_filter(&m->where, err) < 0)
        return REFUSAL_BAD_ARGUMENT;
    if (own >= FEED_PER_PEER || f->n >= FEED_READERS) {
        error_set(err, -EBUSY, "%s has %u subscriptions, which is the limit",
                  own >= FEED_PER_PEER ? "this session" : "this broker",
                  own >= FEED_PER_PEER ? own : f->n);
        return REFUSAL_BUSY;
    }
    if (m->after > f->committed) {
        error_set(err, -EINVAL,
                  "no event has the number %llu yet: the newest is %llu; subscribe after that one",
                  (unsigned long long)m->after, (unsigned long long)f->committed);
        return REFUSAL_BAD_ARGUMENT;
    }
    subscribe(f, peer, m);
    return REFUSAL_NONE;
}

void feed_credit(struct feed *f, uint64_t peer, const struct m_credit *m)
{
    struct feed_reader *r = f->all;
    while (r && (r->peer != peer || r->req != m->req))
        r = r->next;
    if (!r)
        return;
    if (m->bytes > r->taken && m->bytes <= r->sent)
        r->taken = m->bytes;
    pump(r);
}

unsigned feed_readers(const struct feed *f)
{
    return f->n;
}

/* ---- Life */
struct feed *feed_new(const struct feed_config *config, const struct bcore *core,
                      const struct feed_calls *calls, void *self)
{
    struct feed *f = mem_zalloc(1, sizeof *f);
    struct feed_config *c = &f->config;
    *c = *config;
    c->ring_bytes = c->ring_bytes ? c->ring_bytes : FEED_RING_BYTES;
    c->batch_bytes = c->batch_bytes ? c->batch_bytes : FEED_BATCH_BYTES;
    c->ring_most = c->ring_most ? c->ring_most : FEED_RING_MAX;
    c->scan_most = c->scan_most ? c->scan_most : FEED_SCAN_MAX;
    c->silent_most = c->silent_most ? c->silent_most : FEED_SILENT_MAX;
    f->core = core;
    f->calls = calls;
    f->self = self;
    f->ring = mem_zalloc(c->ring_most, sizeof(struct feed_event *));
    return f;
}

void feed_free(struct feed **pf)
{
    struct feed *f = *pf;
    if (!f)
        return;
    while (f->all)
        reader_free(f, &f->all);
    feedring_empty(f);
    mem_free(&f->ring);
    mem_free(pf);
}
