/* feed.c - see feed.h: steps, and what a step sends. feedreaders.c has the subscriptions,
 * feedring.c and feedpage.c the records in memory, feedfilter.c the filters. */
#include "broker/core/feed.h"

#include "broker/core/feedinside.h"

/* ---- A message to the readers of one class at one position */
struct feed_batch {
    struct feed_reader *lead;
    struct buf texts;
    uint32_t n;
    size_t bytes;
    uint64_t to;
};

/* Is there credit for `n` more bytes besides the `bytes` about to be sent? An event longer than the
 * credit is sent alone. */
static bool fits(const struct feed_reader *r, size_t bytes, size_t n)
{
    uint64_t open = r->sent + bytes - r->taken; /* sent and not yet taken */
    return !open || open + n <= r->credit;
}

static const struct feed_event *event_of(const struct feed *f, struct feed_slot *slot)
{
    if (!slot->event)
        slot->event = f->calls->make(f->self, slot->lsn, slot->record, slot->begin);
    return slot->event;
}

/* The first reader that gets it has its text made. */
static void make_text(struct feed *f, struct feed_slot *slot)
{
    if (slot->event->text)
        return;
    f->calls->tell(f->self, slot->event, slot->record, slot->begin);
    if (slot->run || feedring_at(f, slot->lsn) == slot)
        f->bytes += slot->event->n;
}

/* False: it does not fit, and comes with the next message. */
static bool batch_add(struct feed_batch *t, struct feed_slot *slot)
{
    struct feed_reader *r = t->lead;
    struct feed *f = r->feed;
    const struct feed_event *ev = event_of(f, slot);
    r->pending = 0;
    if (!feed_filter_matches(&r->class->filter, ev) || !f->calls->may_see(f->self, r->peer, ev))
        return true;
    make_text(f, slot);
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

static void send_to(struct feed_reader *r, const struct feed_batch *t)
{
    struct feed *f = r->feed;
    r->position = t->to;
    feedring_near(f, r->position);
    bool live = r->position >= f->committed;
    if (!t->n && (!live || r->live_told) && r->position - r->told < f->config.silent_most)
        return;
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

void feed_say_live(struct feed_reader *r)
{
    send_to(r, &(struct feed_batch){.lead = r, .to = r->position});
}

static bool can_send(const struct feed_reader *r)
{
    const struct feed *f = r->feed;
    return r != f->asker && r->position < f->committed && r->sent - r->taken < r->credit &&
           fits(r, 0, r->pending) && f->calls->window_open(f->self, r->peer) &&
           f->calls->may_hear(f->self, r->peer);
}

/* Can it get the same message as the lead, who is at `from`? */
static bool goes_along(const struct feed_reader *r, const struct feed_batch *t, uint64_t from)
{
    return r != t->lead && r->class == t->lead->class && r->position == from && !r->since &&
           can_send(r) &&
           (t->n <= 1 ? fits(r, 0, t->bytes) : r->sent - r->taken + t->bytes <= r->credit);
}

static void batch_send(struct feed_batch *t)
{
    const struct feed *f = t->lead->feed;
    const uint64_t from = t->lead->position;
    for (unsigned i = 0; t->to != from && i < f->n_principals; i++)
        for (unsigned k = 0; k < f->principals[i]->n; k++)
            if (goes_along(f->principals[i]->readers[k], t, from))
                send_to(f->principals[i]->readers[k], t);
    send_to(t->lead, t);
    buf_free(&t->texts);
}

/* How many records may be judged for it in one step. */
static unsigned scan_of(const struct feed_reader *r)
{
    enum { WORDS_A_RECORD = 8 }; /* as many cost about as much as the rest of judging a record */
    unsigned scan = r->feed->config.scan_most / (1 + r->class->filter.words / WORDS_A_RECORD);
    return scan ? scan : 1;
}

static void from_ring(struct feed_reader *r)
{
    const struct feed *f = r->feed;
    struct feed_batch t = {.lead = r, .to = r->position};
    struct feed_slot *slot;
    for (unsigned scan = scan_of(r);
         scan && t.to < f->committed && (slot = feedring_at(f, t.to + 1)); scan--) {
        if (!batch_add(&t, slot))
            break;
        t.to++;
    }
    batch_send(&t);
}

static void from_page(struct feed_reader *r)
{
    const struct feed *f = r->feed;
    struct feed_batch t = {.lead = r, .to = r->position};
    unsigned k = feedpage_behind(f, r->position);
    bool all = true;
    for (unsigned scan = scan_of(r); all && k < f->page.n; scan--) {
        all = scan && batch_add(&t, &f->page.slots[k]);
        if (all)
            t.to = f->page.slots[k++].lsn;
    }
    if (all && f->page.next > t.to)
        t.to = f->page.next;
    batch_send(&t);
}

/* ---- Steps */
static void ask_store(struct feed_reader *r)
{
    struct feed *f = r->feed;
    struct feed_question q = {.after = r->position,
                              .upto = f->committed,
                              .since = r->since,
                              .most = LIMIT_EVENTS,
                              .most_bytes = 2 * f->config.batch_bytes};
    f->asker = r;
    f->asked = f->calls->ask(f->self, r, &q);
}

static bool advance(struct feed_reader *r)
{
    struct feed *f = r->feed;
    if (!can_send(r))
        return false;
    if (!r->since && feedring_has(f, r->position + 1))
        from_ring(r);
    else if (!r->since && feedpage_covers(f, r->position))
        from_page(r);
    else if (!f->asker)
        ask_store(r);
    else
        return false;
    return true;
}

static bool advance_one_of(struct feed_principal *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        unsigned at = (p->turn + i) % p->n;
        if (advance(p->readers[at])) {
            p->turn = at + 1;
            return true;
        }
    }
    return false;
}

bool feed_step(struct feed *f)
{
    for (unsigned i = 0; i < f->n_principals; i++) {
        unsigned at = (f->turn + i) % f->n_principals;
        if (advance_one_of(f->principals[at])) {
            f->turn = at + 1;
            return true;
        }
    }
    return false;
}

void feed_committed(struct feed *f, uint64_t lsn)
{
    f->committed = lsn;
}

/* ---- The store's answer */
void feed_page(struct feed_reader *r, const struct feed_page *page)
{
    struct feed *f = r->feed;
    const bool whole = !r->since; /* else it begins somewhere behind the position */
    f->asker = NULL;
    if (!f->calls->may_hear(f->self, r->peer))
        return; /* it left while the store was reading */
    feedpage_keep(f, r->position, page);
    r->since = 0;
    from_page(r);
    if (!whole)
        feedpage_empty(f);
}

void feed_failed(struct feed_reader *r)
{
    r->feed->asker = NULL;
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
    f->ring = mem_zalloc(c->ring_most, sizeof *f->ring);
    return f;
}

void feed_free(struct feed **pf)
{
    struct feed *f = *pf;
    if (!f)
        return;
    while (f->n_principals)
        feedreaders_drop(f, f->principals[0]->readers[0]->peer, true, 0);
    feedring_empty(f);
    feedpage_empty(f);
    mem_free(&f->principals);
    mem_free(&f->ring);
    mem_free(pf);
}
