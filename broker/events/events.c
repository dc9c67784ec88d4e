/* events.c - see events.h. What is sent to whom, and when, is decided by broker/core/feed.c. */
#include "broker/events/events.h"

#include <errno.h>

#include "broker/core/feed.h"
#include "broker/events/eventjson.h"
#include "broker/shell/about.h"
#include "broker/shell/ask.h"
#include "broker/shell/hello.h"
#include "broker/shell/rights.h"

struct events {
    struct shell *shell;
    struct feed *feed;
};

/* ---- What the feed needs */
static struct feed_event *make(void *self, uint64_t lsn, struct span record, struct span begin)
{
    struct about about;
    uint64_t kind;
    bool begins;
    (void)self;
    if (id_is_zero(feed_run_of(record, &kind, &begins)))
        return eventjson_make(lsn, record, NULL);
    about_of(begin, &about);
    return eventjson_make(lsn, record, &about);
}

static void drop(void *self, struct feed_event **e)
{
    (void)self;
    eventjson_free(e);
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
    return net_server_window_open(e->shell->net, peer);
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
    const struct events *e = self;
    shell_send(e->shell, peer, &m_events_schema, m);
}

static struct bcore_record *records_of(const struct store_record *from, unsigned n)
{
    struct bcore_record *to = mem_zalloc(n, sizeof *to);
    for (unsigned i = 0; i < n; i++)
        to[i] = (struct bcore_record){from[i].lsn, from[i].body};
    return to;
}

static void hear(void *self, const struct store_answer *a)
{
    struct feed_reader *r = self;
    if (a->rc == -ECANCELED)
        return;
    if (a->rc < 0) {
        const struct events *e = feed_reader_shell(r);
        shell_error(e->shell, feed_reader_peer(r), feed_reader_req(r), REFUSAL_INTERNAL, "%s",
                    a->err.text);
        feed_failed(r);
        return;
    }
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
                                        .drop = drop,
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
    feed_committed(((struct events *)self)->feed, lsn);
}

static void on_window(void *self, uint64_t peer)
{
    feed_window(((struct events *)self)->feed, peer);
}

static void on_peer_gone(void *self, uint64_t peer)
{
    feed_forget(((struct events *)self)->feed, peer);
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
                                              .peer_gone = on_peer_gone});
    return e;
}

void events_free(struct events **e)
{
    if (!*e)
        return;
    feed_free(&(*e)->feed);
    mem_free(e);
}

unsigned events_subscriptions(const struct events *e)
{
    return feed_readers(e->feed);
}

void events_take(struct events *e, struct shell_peer *p, uint64_t kind, struct span message)
{
    struct m_subscribe subscribing;
    struct m_credit credit;
    struct m_unsubscribe leaving;
    struct error err = {0};
    enum refusal code;
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
