/* feed_test.c - readers of the feed, with a stub for session and store. */
#include "broker/core/feed.h"

#include "common/testing.h"

enum { RECORDS = 400, TEXT = 100 /* bytes of each event's text */ };

/* The journal of a test has a record for each lsn: a note of operator "o<lsn % 3>" on server "s<lsn
   % 2>". */
struct feed_rig {
    struct bcore *core;
    struct feed *feed;
    struct buf records[RECORDS + 1]; /* by lsn */
    uint64_t n;
    bool shut, gone, blind;
    uint64_t asked, pages, forgotten, messages, made, dropped;
    struct feed_reader *asker;
    struct feed_question question;
    uint64_t from, to, first, last, events, bytes; /* of the last message; first and last: seq */
    bool live;
};

static struct feed_event *make(void *self, uint64_t lsn, struct span record, struct span begin)
{
    struct feed_rig *r = self;
    struct r_operated o;
    assert_int_equal(r_operated_decode(record, &o, NULL), 0);
    assert_int_equal(begin.n, 0);
    struct feed_event *e = mem_zalloc(1, sizeof *e);
    e->seq = lsn;
    e->word = "operated";
    e->status = -1;
    e->n = TEXT;
    e->text = mem_zalloc(1, TEXT + 1);
    snprintf(e->text, TEXT + 1, "%-*llu", TEXT, (unsigned long long)lsn);
    span_copy_str(o.target, e->server, sizeof e->server);
    r->made++;
    return e;
}

static void drop(void *self, struct feed_event **e)
{
    struct feed_rig *r = self;
    if (!*e)
        return;
    r->dropped++;
    mem_free(&(*e)->text);
    mem_free(e);
}

static bool may_hear(void *self, uint64_t peer)
{
    return peer == 1 && !((struct feed_rig *)self)->gone;
}
static bool window_open(void *self, uint64_t peer)
{
    return peer == 1 && !((struct feed_rig *)self)->shut;
}
static bool may_see(void *self, uint64_t peer, const struct feed_event *e)
{
    return peer == 1 && (!((struct feed_rig *)self)->blind || e->seq % 10 == 0);
}

static void send(void *self, uint64_t peer, const struct m_events *m)
{
    struct feed_rig *r = self;
    struct wire_iter it = wire_iter(&m->events);
    struct span text;
    assert_int_equal(peer, 1);
    assert_int_equal(m->from, r->to); /* without a gap */
    r->messages++;
    r->from = m->from;
    r->to = m->to;
    r->live = m->live;
    r->first = 0;
    while (wire_next(&it, &text)) {
        uint64_t seq = strtoull((const char *)text.p, NULL, 10);
        assert_true(seq > r->last && seq > m->from && seq <= m->to); /* exactly once, in order */
        r->first = r->first ? r->first : seq;
        r->last = seq;
        r->events++;
        r->bytes += text.n;
    }
}

static uint64_t ask(void *self, struct feed_reader *reader, const struct feed_question *q)
{
    struct feed_rig *r = self;
    r->asker = reader;
    r->question = *q;
    return ++r->asked;
}

static void forget(void *self, uint64_t asked)
{
    struct feed_rig *r = self;
    assert_int_equal(asked, r->asked);
    r->forgotten++;
    r->asker = NULL;
}

static const struct feed_calls calls = {.make = make,
                                        .drop = drop,
                                        .may_hear = may_hear,
                                        .window_open = window_open,
                                        .may_see = may_see,
                                        .send = send,
                                        .ask = ask,
                                        .forget = forget};

/* The store answers, with at most `most` records. */
static void answer(struct feed_rig *r, unsigned most)
{
    struct bcore_record page[RECORDS];
    struct feed_reader *reader = r->asker;
    unsigned n = 0;
    uint64_t lsn = r->question.after;
    assert_non_null(reader);
    for (; lsn < r->question.upto && n < most; n++) {
        lsn++;
        page[n] = (struct bcore_record){lsn, buf_span(&r->records[lsn])};
    }
    r->asker = NULL;
    r->pages++;
    feed_page(reader, &(struct feed_page){.records = page, .n_records = n, .next = lsn});
}

static void record(struct feed_rig *r, bool committed)
{
    uint64_t lsn = ++r->n;
    char by[8], target[8];
    snprintf(by, sizeof by, "o%u", (unsigned)(lsn % 3));
    snprintf(target, sizeof target, "s%u", (unsigned)(lsn % 2));
    r_operated_encode(
        &(struct r_operated){.at = (int64_t)lsn, .by = span_str(by), .target = span_str(target)},
        &r->records[lsn]);
    feed_record(r->feed, lsn, buf_span(&r->records[lsn]));
    if (committed)
        feed_committed(r->feed, lsn);
}

static void records(struct feed_rig *r, unsigned n)
{
    while (n--)
        record(r, true);
}

static void subscribe(struct feed_rig *r, uint64_t after, uint64_t credit, const char *server)
{
    struct buf where = {0};
    struct error err = {0};
    if (server) {
        value_add_str(&where, span_str("server"));
        value_add_str(&where, span_str(server));
    }
    r->to = r->last = after;
    r->events = r->bytes = 0;
    struct m_subscribe m = {.req = 1,
                            .after = after,
                            .credit = credit,
                            .where = wire_list_from(&where, server != NULL)};
    assert_int_equal(feed_subscribe(r->feed, 1, &m, &err), REFUSAL_NONE);
    buf_free(&where);
}

static void taken(struct feed_rig *r)
{
    feed_credit(r->feed, 1, &(struct m_credit){.req = 1, .bytes = r->bytes});
}

static int setup(void **state)
{
    struct feed_rig *r = mem_zalloc(1, sizeof *r);
    struct feed_config config = {
        .ring_most = 16, .batch_bytes = 10 * TEXT, .scan_most = 8, .silent_most = 20};
    r->core = bcore_new(&(struct bcore_config){.cluster = "test", .broker = "b0"});
    r->feed = feed_new(&config, r->core, &calls, r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct feed_rig *r = *state;
    feed_free(&r->feed);
    assert_int_equal(r->made, r->dropped);
    bcore_free(&r->core);
    for (unsigned i = 0; i <= RECORDS; i++)
        buf_free(&r->records[i]);
    mem_free(state);
    return 0;
}

/* ---- Tests */
static void a_live_reader_gets_each_event_only_once_it_is_committed(void **state)
{
    struct feed_rig *r = *state;
    records(r, 3);
    subscribe(r, 3, 10000, NULL);
    assert_int_equal(r->messages, 1); /* it is live */
    assert_true(r->live);
    record(r, false);
    assert_int_equal(r->events, 0);
    feed_committed(r->feed, 4);
    assert_int_equal(r->last, 4);
    assert_int_equal(r->asked, 0);
}

static void without_readers_no_event_is_prepared(void **state)
{
    struct feed_rig *r = *state;
    records(r, 50);
    assert_int_equal(r->made, 0);
}

static void
what_is_older_than_the_ring_comes_from_the_store_and_the_rest_from_the_ring(void **state)
{
    struct feed_rig *r = *state;
    records(r, 30);
    subscribe(r, 0, 1000000, NULL);
    assert_int_equal(r->question.after, 0);
    assert_int_equal(r->question.upto, 30);
    records(r, 5); /* while a question is open, nothing is sent */
    assert_int_equal(r->events, 0);
    answer(r, 7);
    assert_int_equal(r->last, 7);
    while (r->asker)
        answer(r, 9);
    assert_int_equal(r->last, 35);
    assert_int_equal(r->events, 35);
    records(r, 4);
    assert_int_equal(r->events, 39);
    assert_null(r->asker); /* it has caught up */
}

static void bytes_in_flight_stay_below_the_credit(void **state)
{
    struct feed_rig *r = *state;
    subscribe(r, 0, 3 * TEXT, NULL);
    records(r, 10);
    assert_int_equal(r->events, 3);
    taken(r);
    assert_int_equal(r->events, 6);
    /* more than was sent */
    feed_credit(r->feed, 1, &(struct m_credit){.req = 1, .bytes = r->bytes + 1});
    assert_int_equal(r->events, 6);
    taken(r);
    taken(r);
    assert_int_equal(r->events, 10);
}

static void an_event_longer_than_the_credit_comes_alone(void **state)
{
    struct feed_rig *r = *state;
    subscribe(r, 0, TEXT / 2, NULL);
    records(r, 3);
    assert_int_equal(r->events, 1);
    taken(r);
    assert_int_equal(r->events, 2);
}

static void an_event_that_waits_for_credit_is_not_fetched_again(void **state)
{
    struct feed_rig *r = *state;
    records(r, 30);
    subscribe(r, 0, 2 * TEXT + TEXT / 2, NULL);
    answer(r, 10);
    assert_int_equal(r->events, 2); /* half of the next would fit */
    assert_null(r->asker);
    records(r, 5);
    assert_null(r->asker);
    taken(r);
    assert_non_null(r->asker);
    answer(r, 10);
    assert_int_equal(r->events, 4);
    assert_int_equal(r->asked, 2);
}

static void a_stalled_reader_costs_nothing_and_misses_nothing(void **state)
{
    struct feed_rig *r = *state;
    subscribe(r, 0, 1000000, NULL);
    records(r, 2);
    r->shut = true;
    records(r, 100);
    assert_int_equal(r->messages, 3);
    assert_int_equal(r->asked, 0);
    r->shut = false;
    feed_window(r->feed, 1);
    while (r->asker)
        answer(r, 50);
    assert_int_equal(r->last, 102);
    assert_int_equal(r->events, 102);
}

static void filters_and_rights_hide_events_but_not_the_position(void **state)
{
    struct feed_rig *r = *state;
    subscribe(r, 0, 1000000, "s0");
    r->blind = true;
    records(r, 9);
    assert_int_equal(r->events, 0);
    records(r, 1);
    assert_int_equal(r->last, 10);
    feed_forget(r->feed, 1);
    subscribe(r, 10, 1000000, "s1");
    records(r, 19);
    assert_int_equal(r->to, 10);
    records(r, 1); /* the twentieth record without a match */
    assert_int_equal(r->to, 30);
    assert_int_equal(r->events, 0);
}

static void a_position_in_the_future_is_refused_with_the_newest_number(void **state)
{
    struct feed_rig *r = *state;
    struct error err = {0};
    records(r, 5);
    r->to = r->last = 5;
    assert_int_equal(feed_subscribe(r->feed, 1,
                                    &(struct m_subscribe){.req = 1, .after = 6, .credit = 1000},
                                    &err),
                     REFUSAL_BAD_ARGUMENT);
    assert_contains(err.text, "the newest is 5");
    assert_int_equal(feed_readers(r->feed), 0);
    subscribe(r, 5, 1000, NULL);
    records(r, 1);
    assert_int_equal(r->last, 6);
}

static void a_new_broker_continues_after_the_position_of_a_monitor(void **state)
{
    struct feed_rig *r = *state;
    records(r, 30);
    feed_free(&r->feed);
    r->feed = feed_new(&(struct feed_config){.ring_most = 16}, r->core, &calls, r);
    feed_committed(r->feed, 30);
    subscribe(r, 12, 1000000, NULL);
    assert_int_equal(r->messages, 0);
    assert_int_equal(r->question.after, 12);
    answer(r, 100);
    assert_int_equal(r->first, 13);
    assert_int_equal(r->last, 30);
}

static void a_question_for_a_reader_that_left_is_withdrawn(void **state)
{
    struct feed_rig *r = *state;
    records(r, 5);
    subscribe(r, 0, 1000, NULL);
    assert_non_null(r->asker);
    feed_forget(r->feed, 1);
    assert_int_equal(r->forgotten, 1);
    assert_int_equal(feed_readers(r->feed), 0);
    subscribe(r, 0, 1000, NULL);
    feed_unsubscribe(r->feed, 1, 1);
    assert_int_equal(r->forgotten, 2);
}

static void a_store_that_fails_is_asked_again_at_the_next_commit(void **state)
{
    struct feed_rig *r = *state;
    records(r, 5);
    subscribe(r, 0, 100000, NULL);
    struct feed_reader *reader = r->asker;
    r->asker = NULL;
    assert_int_equal(feed_reader_peer(reader), 1);
    assert_int_equal(feed_reader_req(reader), 1);
    feed_failed(reader);
    records(r, 1);
    answer(r, 100);
    assert_int_equal(r->last, 6);
}

static void a_session_with_a_revoked_certificate_gets_no_events(void **state)
{
    struct feed_rig *r = *state;
    subscribe(r, 0, 100000, NULL);
    r->gone = true;
    records(r, 5);
    assert_int_equal(r->events, 0);
}

static void the_subscriptions_of_a_peer_are_limited(void **state)
{
    struct feed_rig *r = *state;
    struct error err = {0};
    for (unsigned i = 1; i <= FEED_PER_PEER; i++) {
        r->to = 0;
        assert_int_equal(feed_subscribe(r->feed, 1, &(struct m_subscribe){.req = i}, &err),
                         REFUSAL_NONE);
    }
    assert_int_equal(feed_subscribe(r->feed, 1, &(struct m_subscribe){.req = 99}, &err),
                     REFUSAL_BUSY);
    assert_contains(err.text, "this session has 32 subscriptions");
    r->to = 0;
    /* again */
    assert_int_equal(feed_subscribe(r->feed, 1, &(struct m_subscribe){.req = 5}, &err),
                     REFUSAL_NONE);
}

static void a_page_that_arrives_after_the_right_has_ended_is_not_sent(void **state)
{
    struct feed_rig *r = *state;
    records(r, 40);
    subscribe(r, 0, 100000, NULL);
    assert_non_null(r->asker);
    r->gone = true; /* revoked or expired while the store was asked */
    answer(r, 10);
    assert_int_equal(r->messages, 0);
}

#define in_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        in_rig(a_page_that_arrives_after_the_right_has_ended_is_not_sent),
        in_rig(a_live_reader_gets_each_event_only_once_it_is_committed),
        in_rig(without_readers_no_event_is_prepared),
        in_rig(what_is_older_than_the_ring_comes_from_the_store_and_the_rest_from_the_ring),
        in_rig(bytes_in_flight_stay_below_the_credit),
        in_rig(an_event_longer_than_the_credit_comes_alone),
        in_rig(an_event_that_waits_for_credit_is_not_fetched_again),
        in_rig(a_stalled_reader_costs_nothing_and_misses_nothing),
        in_rig(filters_and_rights_hide_events_but_not_the_position),
        in_rig(a_position_in_the_future_is_refused_with_the_newest_number),
        in_rig(a_new_broker_continues_after_the_position_of_a_monitor),
        in_rig(a_question_for_a_reader_that_left_is_withdrawn),
        in_rig(a_store_that_fails_is_asked_again_at_the_next_commit),
        in_rig(a_session_with_a_revoked_certificate_gets_no_events),
        in_rig(the_subscriptions_of_a_peer_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
