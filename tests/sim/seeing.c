/* seeing.c - see seeing.h. */
#include "tests/sim/seeing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/feed.h"
#include "common/mem.h"

struct question { /* on its way to the journal */
    struct event event;
    struct seeing *seeing;
    struct feed_reader *reader;
    struct feed_question q;
    uint64_t number;
    struct question *next;
};

struct seeing {
    struct world *w;
    struct seeing_mood mood;
    struct process *broker;
    struct laws *laws;
    const struct journal *journal;
    struct listener *listener;
    struct feed *feed;
    struct question *questions;
    uint64_t asked;
    void (*turn_end)(void *self);
    void *shell;
};

/* ---- Events */
static void server_is(struct feed_event *e, struct span server)
{
    span_copy_str(server, e->server, sizeof e->server);
}

static void fill(struct feed_event *e, uint64_t kind, struct span record)
{
    union {
        struct r_assigned assigned;
        struct r_ended ended;
        struct r_parent_ended parent_ended;
        struct r_server server;
    } r;
    struct d_outcome o;
    if (kind == KIND_R_ASSIGNED && r_assigned_decode(record, &r.assigned, NULL) == 0) {
        server_is(e, r.assigned.server);
    } else if (kind == KIND_R_SERVER && r_server_decode(record, &r.server, NULL) == 0) {
        server_is(e, r.server.server);
    } else if (kind == KIND_R_PARENT_ENDED &&
               r_parent_ended_decode(record, &r.parent_ended, NULL) == 0) {
        e->status = (int)r.parent_ended.status;
    } else if (kind == KIND_R_ENDED && r_ended_decode(record, &r.ended, NULL) == 0) {
        server_is(e, r.ended.server);
        e->status = d_outcome_decode(r.ended.outcome, &o, NULL) == 0 ? (int)o.status : -1;
    }
}

static const char *word_of(uint64_t kind)
{
    static const struct {
        uint64_t kind;
        const char *word;
    } words[] = {{KIND_R_CALLED, "called"},   {KIND_R_ASSIGNED, "assigned"},
                 {KIND_R_STARTED, "started"}, {KIND_R_ENDED, "result"},
                 {KIND_R_SERVER, "server"},   {KIND_R_PARENT_ENDED, "parent_ended"}};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].kind == kind)
            return words[i].word;
    return "other";
}

static struct feed_event *make(void *self, uint64_t lsn, struct span record, struct span begin)
{
    struct feed_event *e = mem_zalloc(1, sizeof *e);
    struct r_called called;
    struct d_signed s;
    struct d_call d;
    uint64_t kind;
    bool begins;
    (void)self;
    e->run = feed_run_of(record, &kind, &begins);
    e->seq = lsn;
    e->word = word_of(kind);
    e->status = -1;
    if (begin.n && r_called_decode(begin, &called, NULL) == 0 &&
        d_signed_decode(called.call, &s, NULL) == 0 && d_call_decode(s.body, &d, NULL) == 0) {
        e->parent = d.parent;
        span_copy_str(d.job, e->job, sizeof e->job);
    }
    fill(e, kind, record);
    return e;
}

static void tell(void *self, struct feed_event *e, struct span record, struct span begin)
{
    const uint64_t lsn = e->seq;
    (void)self, (void)record, (void)begin;
    e->text = mem_printf(
        "%" PRIu64 " %s %.*s", lsn, e->word, (int)(lsn % 7 * 20),
        "................................................................................"
        "................................................................................");
    e->n = strlen(e->text);
}

static void drop(void *self, struct feed_event **e)
{
    (void)self;
    if (!*e)
        return;
    mem_free(&(*e)->text);
    mem_free(e);
}

/* ---- Sessions: every session may see everything, and is a principal of its own */
static void who(void *self, uint64_t peer, struct feed_who *ret)
{
    (void)self;
    *ret = (struct feed_who){0};
    memcpy(ret->principal.b, &peer, sizeof peer);
}
static int take(void *self, const struct hash *principal, struct error *err)
{
    (void)self, (void)principal, (void)err;
    return 0;
}
static void give(void *self, const struct hash *principal)
{
    (void)self, (void)principal;
}
static bool may_hear(void *self, uint64_t peer)
{
    (void)self, (void)peer;
    return true;
}
static bool window_open(void *self, uint64_t peer)
{
    return listener_window_open(((struct seeing *)self)->listener, peer);
}
static bool may_see(void *self, uint64_t peer, const struct feed_event *e)
{
    (void)self, (void)peer, (void)e;
    return true;
}

static void send(void *self, uint64_t peer, const struct m_events *m)
{
    struct seeing *s = self;
    struct buf message = {0};
    m_events_encode(m, &message);
    laws_broker_says(s->laws, peer, buf_span(&message));
    listener_send(s->listener, peer, buf_span(&message));
    buf_free(&message);
}

static void go_on(struct seeing *s)
{
    while (feed_step(s->feed))
        ;
}

/* ---- The store */
static void question_free(struct seeing *s, struct question *x)
{
    struct question **at = &s->questions;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    world_cancel(s->w, &x->event);
    mem_free(&x);
}

static void on_answer(struct world *w, void *self)
{
    struct question *x = self;
    struct seeing *s = x->seeing;
    const struct journal_record *found[LIMIT_EVENTS], *begin;
    struct bcore_record records[LIMIT_EVENTS], begins[LIMIT_EVENTS];
    unsigned most = x->q.most < s->mood.page_most ? x->q.most : s->mood.page_most, n_begins = 0;
    unsigned n = journal_events(s->journal, x->q.after, x->q.upto, most, found);
    struct feed_reader *reader = x->reader;
    for (unsigned i = 0; i < n; i++) {
        records[i] = (struct bcore_record){found[i]->lsn, found[i]->body};
        if (!id_is_zero(found[i]->run) && (begin = journal_begin_of(s->journal, found[i]->run)))
            begins[n_begins++] = (struct bcore_record){begin->lsn, begin->body};
    }
    world_met(w, FAULT_MONITOR_STORE);
    struct feed_page page = {.records = records,
                             .begins = begins,
                             .n_records = n,
                             .n_begins = n_begins,
                             .next = n == most ? found[n - 1]->lsn : x->q.upto};
    question_free(s, x);
    feed_page(reader, &page);
    go_on(s);
    s->turn_end(s->shell);
}

static uint64_t ask(void *self, struct feed_reader *r, const struct feed_question *q)
{
    struct seeing *s = self;
    struct question *x = mem_zalloc(1, sizeof *x);
    *x = (struct question){
        .seeing = s, .reader = r, .q = *q, .number = ++s->asked, .next = s->questions};
    s->questions = x;
    laws_asked(s->laws, feed_reader_peer(r), q->after);
    world_at(s->w, &x->event, s->w->now + world_skewed(s->w, 200, MS(50)), s->broker, on_answer, x);
    return x->number;
}

static void forget(void *self, uint64_t asked)
{
    struct seeing *s = self;
    struct question *x = s->questions;
    while (x && x->number != asked)
        x = x->next;
    if (x)
        question_free(s, x);
}

static const struct feed_calls calls = {.make = make,
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

/* ---- What the broker tells it */
struct seeing *seeing_new(struct world *w, const struct seeing_mood *mood, struct process *broker,
                          struct laws *l, const struct journal *j, struct listener *listener,
                          const struct bcore *core)
{
    struct seeing *s = mem_zalloc(1, sizeof *s);
    struct feed_config config = {.ring_most = mood->ring_most,
                                 .ring_bytes = mood->ring_most * 60,
                                 .batch_bytes = 1000,
                                 .scan_most = mood->scan_most,
                                 .silent_most = mood->silent_most};
    s->w = w;
    s->mood = *mood;
    s->broker = broker;
    s->laws = l;
    s->journal = j;
    s->listener = listener;
    s->feed = feed_new(&config, core, &calls, s);
    return s;
}

void seeing_free(struct seeing **s)
{
    if (!*s)
        return;
    feed_free(&(*s)->feed); /* forgets its questions */
    mem_free(s);
}

void seeing_on_turn_end(struct seeing *s, void (*turn_end)(void *self), void *self)
{
    s->turn_end = turn_end;
    s->shell = self;
}

void seeing_record(struct seeing *s, uint64_t lsn, struct span record)
{
    feed_record(s->feed, lsn, record);
}

void seeing_committed(struct seeing *s, uint64_t lsn)
{
    feed_committed(s->feed, lsn);
    go_on(s);
}

static void subscribe(struct seeing *s, uint64_t peer, const struct m_subscribe *m)
{
    struct error err = {0};
    struct buf message = {0};
    enum refusal code = feed_subscribe(s->feed, peer, m, &err);
    if (code == REFUSAL_NONE)
        return;
    m_error_encode(&(struct m_error){.req = m->req, .code = code, .text = span_str(err.text)},
                   &message);
    listener_send(s->listener, peer, buf_span(&message));
    buf_free(&message);
}

bool seeing_take(struct seeing *s, uint64_t peer, struct span message)
{
    struct m_subscribe subscribing;
    struct m_credit credit;
    uint64_t kind;
    size_t size;
    if (wire_peek(message, &kind, &size, NULL) < 0 ||
        (kind != KIND_M_SUBSCRIBE && kind != KIND_M_CREDIT))
        return false;
    laws_broker_hears(s->laws, peer, message);
    if (kind == KIND_M_SUBSCRIBE && m_subscribe_decode(message, &subscribing, NULL) == 0)
        subscribe(s, peer, &subscribing);
    else if (kind == KIND_M_CREDIT && m_credit_decode(message, &credit, NULL) == 0)
        feed_credit(s->feed, peer, &credit);
    go_on(s);
    return true;
}

void seeing_window(struct seeing *s, uint64_t peer)
{
    (void)peer;
    go_on(s);
}

void seeing_forget(struct seeing *s, uint64_t peer)
{
    feed_forget(s->feed, peer);
}
