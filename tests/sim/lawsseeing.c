/* lawsseeing.c - the laws about monitors, and about what is queued for a peer that does not listen.
 * The witness has its own list of events and its own filters. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/lawsinside.h"

enum {
    /* A stopped peer may be owed more than its credit: one longer event, the heads of messages
     * and of frames (at most LIMIT_WINDOW_FRAMES), and messages without events that say where it
     * is. */
    OWED_BESIDE_CREDIT = LIMIT_WINDOW_FRAMES * 64 + 1024
};

/* ---- What happened */
static void fill(struct event_fact *e, const struct journal_record *j)
{
    union {
        struct r_assigned assigned;
        struct r_ended ended;
        struct r_parent_ended parent_ended;
        struct r_server server;
        struct r_called called;
    } r;
    struct d_outcome o;
    struct d_signed s;
    struct d_call d;
    switch (j->kind) {
    case KIND_R_CALLED:
        if (r_called_decode(j->body, &r.called, NULL) == 0 &&
            d_signed_decode(r.called.call, &s, NULL) == 0 && d_call_decode(s.body, &d, NULL) == 0)
            e->parent = d.parent;
        break;
    case KIND_R_ASSIGNED:
        if (r_assigned_decode(j->body, &r.assigned, NULL) == 0)
            span_copy_str(r.assigned.server, e->server, sizeof e->server);
        break;
    case KIND_R_SERVER:
        if (r_server_decode(j->body, &r.server, NULL) == 0)
            span_copy_str(r.server.server, e->server, sizeof e->server);
        break;
    case KIND_R_PARENT_ENDED:
        if (r_parent_ended_decode(j->body, &r.parent_ended, NULL) == 0)
            e->status = (int)r.parent_ended.status;
        break;
    case KIND_R_ENDED:
        if (r_ended_decode(j->body, &r.ended, NULL) == 0) {
            span_copy_str(r.ended.server, e->server, sizeof e->server);
            if (d_outcome_decode(r.ended.outcome, &o, NULL) == 0)
                e->status = (int)o.status;
        }
        break;
    }
}

void lawsseeing_durable(struct laws *l, const struct journal_record *j)
{
    if (l->n_events == l->cap_events) {
        l->cap_events = l->cap_events ? l->cap_events * 2 : 256;
        l->events = mem_realloc(l->events, l->cap_events, sizeof *l->events);
    }
    struct event_fact *e = &l->events[l->n_events++];
    const struct fact *f = fact_find(l, j->run);
    *e = (struct event_fact){.kind = j->kind, .parent = f ? f->parent : ID_ZERO, .status = -1};
    fill(e, j);
}

static bool wants(const struct sim_filter *f, const struct event_fact *e)
{
    if (!f->key)
        return true;
    switch (f->key[0]) {
    case 'e':
        return e->kind == f->kind;
    case 'p':
        return id_eq(e->parent, f->parent);
    default:
        return strcmp(f->key, "server") != 0 ? e->status == (int)f->status
                                             : !strcmp(e->server, f->value);
    }
}

/* The first matching event after `after`; 0: none up to `upto`. */
static uint64_t next_event(const struct laws *l, const struct sim_filter *f, uint64_t after,
                           uint64_t upto)
{
    for (uint64_t lsn = after + 1; lsn <= upto && lsn <= l->n_events; lsn++)
        if (wants(f, &l->events[lsn - 1]))
            return lsn;
    return 0;
}

uint64_t laws_last_event(const struct laws *l, const struct sim_filter *f)
{
    uint64_t lsn = l->n_events;
    while (lsn && !wants(f, &l->events[lsn - 1]))
        lsn--;
    return lsn;
}

/* ---- Monitors */
static struct monitor_fact *monitor_get(struct laws *l, const char *name)
{
    for (unsigned i = 0; i < l->n_monitors; i++)
        if (!strcmp(l->monitors[i].name, name))
            return &l->monitors[i];
    struct monitor_fact *m = &l->monitors[l->n_monitors++];
    snprintf(m->name, sizeof m->name, "%s", name);
    return m;
}

void laws_monitor_subscribes(struct laws *l, const char *name, uint64_t req, uint64_t after,
                             const struct sim_filter *filter)
{
    struct monitor_fact *m = monitor_get(l, name);
    m->req = req;
    m->position = after;
    m->filter = *filter;
}

void laws_monitor_hears(struct laws *l, const char *name, const struct m_events *e)
{
    struct monitor_fact *m = monitor_get(l, name);
    struct wire_iter it = wire_iter(&e->events);
    struct span text;
    uint64_t at = e->from, next;
    if (e->from != m->position || e->to < e->from)
        law_break(l, LAW_MONITOR_IN_ORDER,
                  "%s is at %" PRIu64 " but gets events from %" PRIu64 " to %" PRIu64, name,
                  m->position, e->from, e->to);
    while (wire_next(&it, &text)) {
        uint64_t seq = strtoull((const char *)text.p, NULL, 10);
        next = next_event(l, &m->filter, at, e->to);
        if (seq != next)
            law_break(l, LAW_MONITOR_IN_ORDER,
                      "%s gets event %" PRIu64 " behind %" PRIu64 "; the next for it is %" PRIu64,
                      name, seq, at, next);
        at = seq;
        l->w->counts.told++;
    }
    if ((next = next_event(l, &m->filter, at, e->to)))
        law_break(l, LAW_MONITOR_IN_ORDER,
                  "%s hears that it is at %" PRIu64 " but never got event %" PRIu64, name, e->to,
                  next);
    m->position = e->to;
}

/* ---- Credit and queues, at the broker */
static struct credit_fact *credit_of(const struct laws *l, uint64_t peer)
{
    for (unsigned i = l->n_credits; i > 0; i--)
        if (l->credits[i - 1].peer == peer)
            return &l->credits[i - 1];
    return NULL;
}

void laws_broker_hears(struct laws *l, uint64_t peer, struct span message)
{
    struct m_subscribe subscribe;
    struct m_credit credit;
    struct credit_fact *f = credit_of(l, peer);
    uint64_t kind;
    size_t size;
    if (wire_peek(message, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_M_SUBSCRIBE && m_subscribe_decode(message, &subscribe, NULL) == 0) {
        if (!f) {
            l->credits = mem_realloc(l->credits, l->n_credits + 1, sizeof *l->credits);
            f = &l->credits[l->n_credits++];
        }
        *f = (struct credit_fact){.peer = peer, .req = subscribe.req, .credit = subscribe.credit};
    } else if (kind == KIND_M_CREDIT && m_credit_decode(message, &credit, NULL) == 0 && f &&
               f->req == credit.req) {
        f->taken = credit.bytes;
        f->asked = 0;
    }
}

void lawsseeing_say(struct laws *l, uint64_t peer, const struct m_events *m)
{
    struct credit_fact *f = credit_of(l, peer);
    struct wire_iter it = wire_iter(&m->events);
    struct span text;
    if (m->to > l->n_events)
        law_break(l, LAW_SAID_IS_DURABLE,
                  "EVENTS up to %" PRIu64 " leave, but only %zu are on disk", m->to, l->n_events);
    if (!f || f->req != m->req) {
        law_break(l, LAW_CREDIT_HOLDS, "EVENTS for an unknown subscription");
        return;
    }
    while (wire_next(&it, &text)) {
        f->sent += text.n;
        if (f->sent - f->taken > f->credit && f->sent - f->taken > text.n)
            law_break(l, LAW_CREDIT_HOLDS,
                      "session %" PRIu64 " has a credit of %" PRIu64
                      " bytes and has not taken %" PRIu64,
                      peer, f->credit, f->sent - f->taken);
        f->longest = text.n > f->longest ? text.n : f->longest;
    }
}

void laws_asked(struct laws *l, uint64_t peer, uint64_t after)
{
    struct credit_fact *f = credit_of(l, peer);
    if (f && f->asked == after + 1)
        law_break(l, LAW_STOPPED_COSTS_NOTHING,
                  "the store is asked again for events after %" PRIu64 " for session %" PRIu64
                  ", which has taken nothing since",
                  after, peer);
    if (f)
        f->asked = after + 1;
}

void laws_queued(struct laws *l, uint64_t peer, const char *name, size_t owed)
{
    const struct credit_fact *f = credit_of(l, peer);
    if (f && owed > f->credit + f->longest + OWED_BESIDE_CREDIT)
        law_break(l, LAW_QUEUE_HOLDS, "%zu bytes are queued for %s, whose credit is %" PRIu64, owed,
                  name, f->credit);
}

void laws_news(struct laws *l, const char *name, bool window_open, struct span message)
{
    uint64_t kind;
    size_t size;
    if (!window_open && wire_peek(message, &kind, &size, NULL) == 0 &&
        (kind == KIND_M_RUN_STATE || kind == KIND_M_RUN_ENDED))
        law_break(l, LAW_QUEUE_HOLDS, "news of a run is made for %s, whose window is closed", name);
}

void lawsseeing_begin(struct laws *l)
{
    l->n_credits = 0; /* the sessions of the old process are gone */
}

void lawsseeing_end(struct laws *l)
{
    mem_free(&l->events);
    mem_free(&l->credits);
}
