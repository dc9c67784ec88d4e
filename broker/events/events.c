/* events.c - see events.h. What is sent to whom is decided by broker/core/feed.c; how much time it
 * may take, by pace.c. */
#include "broker/events/events.h"

#include <errno.h>

#include "broker/core/feed.h"
#include "broker/events/eventjson.h"
#include "broker/events/pace.h"
#include "broker/shell/about.h"
#include "broker/shell/ask.h"
#include "broker/shell/hello.h"
#include "broker/shell/rights.h"
#include "common/clock.h"
#include "trust/envelope.h"

struct events {
    struct shell *shell;
    struct feed *feed;
    struct pace pace;
    struct loop_timer later; /* the pace allows more only then */
    bool pending;            /* there may be something to do */
    uint64_t sent;           /* bytes, since the last charge */
};

enum { EVENTS_BYTES_A_US = 500 }; /* encrypted and sent by another thread, for the pace */

/* ---- What the feed needs */
static const struct about *about_record(struct span record, struct span begin, struct about *about)
{
    uint64_t kind;
    bool begins;
    if (id_is_zero(feed_run_of(record, &kind, &begins)))
        return NULL;
    about_of(begin, about);
    return about;
}

static struct feed_event *make(void *self, uint64_t lsn, struct span record, struct span begin)
{
    struct about about;
    (void)self;
    return eventjson_facts(lsn, record, about_record(record, begin, &about));
}

static void tell(void *self, struct feed_event *e, struct span record, struct span begin)
{
    struct about about;
    (void)self;
    eventjson_tell(e, record, about_record(record, begin, &about));
}

static void drop(void *self, struct feed_event **e)
{
    (void)self;
    eventjson_free(e);
}

/* Equal for certificates that may see the same (rights_may_see): administrators see everything,
 * others what is their own and what their grants cover. */
static void rights_of(const struct certificate *c, struct hash *ret)
{
    struct buf text = {0};
    char grant[GRANT_TEXT];
    buf_add_str(&text, role_word(c->role));
    if (c->role != ROLE_ADMINISTRATOR)
        buf_printf(&text, "\n%s", c->name);
    for (size_t i = 0; c->role != ROLE_ADMINISTRATOR && i < c->n_grants; i++)
        buf_printf(&text, "\n%s", grant_format(&c->grants[i], grant));
    envelope_hash(buf_span(&text), ret);
    buf_free(&text);
}

static void who(void *self, uint64_t peer, struct feed_who *ret)
{
    const struct events *e = self;
    const struct shell_peer *p = shell_find_peer(e->shell, peer);
    *ret = (struct feed_who){0};
    if (!p || !p->certificate)
        return;
    ret->principal = p->key;
    rights_of(p->certificate, &ret->rights);
}

static int take(void *self, const struct hash *principal, struct error *err)
{
    const struct events *e = self;
    return budgets_take(e->shell->budgets, principal, BUDGET_SUBSCRIPTIONS, 1, err);
}

static void give(void *self, const struct hash *principal)
{
    const struct events *e = self;
    budgets_give(e->shell->budgets, principal, BUDGET_SUBSCRIPTIONS, 1);
}

static bool may_hear(void *self, uint64_t peer)
{
    const struct events *e = self;
    const struct shell_peer *p = shell_find_peer(e->shell, peer);
    const char *text;
    return p && hello_still_good(e->shell, p, &text) == REFUSAL_NONE;
}

static bool window_open(void *self, uint64_t peer)
{
    const struct events *e = self;
    return net_server_has_room(e->shell->net, peer);
}

static bool may_see(void *self, uint64_t peer, const struct feed_event *ev)
{
    const struct events *e = self;
    const struct shell_peer *p = shell_find_peer(e->shell, peer);
    const char *address = *ev->address ? ev->address : *ev->server ? ev->server : "all";
    return p && rights_may_see(e->shell->core, p->certificate, ev->principal, ev->job, address,
                               ev->server);
}

static void send(void *self, uint64_t peer, const struct m_events *m)
{
    struct events *e = self;
    e->sent += m->events.items.n;
    shell_send(e->shell, peer, &m_events_schema, m);
}

static struct bcore_record *records_of(const struct store_record *from, unsigned n)
{
    struct bcore_record *to = mem_zalloc(n, sizeof *to);
    for (unsigned i = 0; i < n; i++)
        to[i] = (struct bcore_record){from[i].lsn, from[i].body};
    return to;
}

/* Charges what was done since `begun`, a reading of clock_thread_us, and what the store took. */
static void charge(struct events *e, int64_t begun, int64_t store_us)
{
    pace_spend(&e->pace, clock_thread_us() - begun,
               (int64_t)(e->sent / EVENTS_BYTES_A_US) + store_us);
    e->sent = 0;
}

static void take_page(struct feed_reader *r, const struct store_answer *a)
{
    struct bcore_record *records = records_of(a->records, a->n_records),
                        *begins = records_of(a->begins, a->n_begins);
    feed_page(r, &(struct feed_page){.records = records,
                                     .n_records = a->n_records,
                                     .begins = begins,
                                     .n_begins = a->n_begins,
                                     .next = a->next});
    mem_free(&records);
    mem_free(&begins);
}

static void hear(void *self, const struct store_answer *a)
{
    struct feed_reader *r = self;
    struct events *e = feed_reader_shell(r);
    if (a->rc == -ECANCELED)
        return;
    if (a->rc < 0) {
        shell_error(e->shell, feed_reader_peer(r), feed_reader_req(r), REFUSAL_INTERNAL, "%s",
                    a->err.text);
        feed_failed(r);
        return;
    }
    int64_t begun = clock_thread_us();
    take_page(r, a);
    charge(e, begun, a->us);
    e->pending = true;
}

static uint64_t ask(void *self, struct feed_reader *r, const struct feed_question *q)
{
    const struct events *e = self;
    const struct shell_peer *p = shell_find_peer(e->shell, feed_reader_peer(r));
    struct store_question asked = {.what = STORE_EVENTS,
                                   .after = q->after,
                                   .upto = q->upto,
                                   .since = q->since,
                                   .most = q->most,
                                   .most_bytes = q->most_bytes};
    if (p)
        ask_owner(p, &asked);
    return store_ask(e->shell->store, &asked, hear, r);
}

static void forget(void *self, uint64_t asked)
{
    const struct events *e = self;
    store_forget(e->shell->store, asked);
}

static const struct feed_calls CALLS = {.make = make,
                                        .tell = tell,
                                        .drop = drop,
                                        .who = who,
                                        .take = take,
                                        .give = give,
                                        .may_hear = may_hear,
                                        .window_open = window_open,
                                        .may_see = may_see,
                                        .send = send,
                                        .ask = ask,
                                        .forget = forget};

/* ---- What it is told */
static void on_record(void *self, uint64_t lsn, struct span record)
{
    feed_record(((struct events *)self)->feed, lsn, record);
}

static void on_committed(void *self, uint64_t lsn)
{
    struct events *e = self;
    feed_committed(e->feed, lsn);
    e->pending = true;
}

static void on_window(void *self, uint64_t peer)
{
    (void)peer;
    ((struct events *)self)->pending = true;
}

static void on_later(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l, (void)t, (void)arg; /* the end of this turn goes on */
}

static void tell_pace(struct events *e, unsigned readers)
{
    struct pace_clocks now = {.wall = clock_boot_us()};
    if (pace_measures(&e->pace, now.wall)) {
        now.used = clock_thread_us();
        now.waited = clock_waited_us();
    }
    pace_now(&e->pace, &now, readers);
}

/* Steps, for as long as the pace allows; what is left waits for it. */
static void on_turn_end(void *self)
{
    struct events *e = self;
    const unsigned readers = feed_readers(e->feed);
    if (!e->pending || !readers || loop_timer_is_set(&e->later))
        return;
    int64_t wait = 0;
    tell_pace(e, readers);
    while (e->pending && (wait = pace_wait_ms(&e->pace, readers)) == 0) {
        int64_t begun = clock_thread_us();
        e->pending = feed_step(e->feed);
        charge(e, begun, 0);
    }
    if (e->pending)
        loop_timer_set(e->shell->loop, &e->later, "events", loop_now(e->shell->loop) + wait,
                       on_later, e);
}

static void on_peer_gone(void *self, uint64_t peer)
{
    struct events *e = self;
    feed_forget(e->feed, peer);
    e->pending = true; /* what it had not read is room for its principal's others */
}

struct events *events_new(struct shell *sh)
{
    struct events *e = mem_zalloc(1, sizeof *e);
    e->shell = sh;
    e->feed = feed_new(&(struct feed_config){0}, sh->core, &CALLS, e);
    shell_listen(sh, &(struct shell_listener){.self = e,
                                              .record = on_record,
                                              .committed = on_committed,
                                              .window = on_window,
                                              .turn_end = on_turn_end,
                                              .peer_gone = on_peer_gone});
    return e;
}

void events_free(struct events **e)
{
    if (!*e)
        return;
    loop_timer_stop((*e)->shell->loop, &(*e)->later);
    feed_free(&(*e)->feed);
    mem_free(e);
}

unsigned events_subscriptions(const struct events *e)
{
    return feed_readers(e->feed);
}

void events_end(struct events *e, const struct shell_peer *p, uint64_t req)
{
    feed_unsubscribe(e->feed, p->handle, req);
}

void events_take(struct events *e, struct shell_peer *p, uint64_t kind, struct span message)
{
    struct m_subscribe subscribing;
    struct m_credit credit;
    struct m_unsubscribe leaving;
    struct error err = {0};
    enum refusal code;
    e->pending = true;
    switch (kind) {
    case KIND_M_SUBSCRIBE:
        shell_read(&m_subscribe_schema, message, &subscribing);
        if ((code = feed_subscribe(e->feed, p->handle, &subscribing, &err)) != REFUSAL_NONE)
            shell_error(e->shell, p->handle, subscribing.req, code, "%s", err.text);
        break;
    case KIND_M_CREDIT:
        shell_read(&m_credit_schema, message, &credit);
        feed_credit(e->feed, p->handle, &credit);
        break;
    case KIND_M_UNSUBSCRIBE:
        shell_read(&m_unsubscribe_schema, message, &leaving);
        feed_unsubscribe(e->feed, p->handle, leaving.req);
        shell_done(e->shell, p->handle, leaving.req, "%s", "");
        break;
    }
}
