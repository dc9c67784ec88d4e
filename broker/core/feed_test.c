/* feed_test.c - readers of the feed, with a stub for session and store. */
#include "broker/core/feed.h"

#include <errno.h>

#include "common/testing.h"

enum {
    RECORDS = 400,
    TEXT = 100, /* bytes of each event's text */
    SAME = 10,  /* the first peer of the principal with many sessions */
    PEERS_MAX = 64
};

/* Peer 1 is watched closely; the messages of others, 2 to PEERS_MAX, are only counted. Peers are
 * principals of their own, except those from SAME on, who are one. Rights: see `who`.
 * The journal of a test has a record for each lsn: a note of operator "o<lsn % 3>" on server "s<lsn
   % 2>". */
struct feed_rig {
    struct bcore *core;
    struct feed *feed;
    struct buf records[RECORDS + 1]; /* by lsn */
    uint64_t n;
    bool shut, gone, blind;
    unsigned room; /* subscriptions that the budget still has */
    uint64_t asked, pages, forgotten, messages, made, dropped, told, judged;
    struct feed_reader *asker;
    struct feed_question question;
    uint64_t from, to, first, last, events, bytes; /* of the last message; first and last: seq */
    bool live;
    uint8_t rights[PEERS_MAX + 1]; /* by peer; equal: of the same class */
    uint64_t events_of[PEERS_MAX + 1], to_of[PEERS_MAX + 1];
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
    span_copy_str(o.target, e->server, sizeof e->server);
    r->made++;
    return e;
}

static void tell(void *self, struct feed_event *e, struct span record, struct span begin)
{
    struct feed_rig *r = self;
    (void)record, (void)begin;
    assert_null(e->text);
    e->n = TEXT;
    e->text = mem_zalloc(1, TEXT + 1);
    snprintf(e->text, TEXT + 1, "%-*llu", TEXT, (unsigned long long)e->seq);
    r->told++;
}

static void who(void *self, uint64_t peer, struct feed_who *ret)
{
    struct feed_rig *r = self;
    *ret = (struct feed_who){0};
    ret->principal.b[0] = (uint8_t)(peer < SAME ? peer : SAME);
    ret->rights.b[0] = r->rights[peer];
}

static int take(void *self, const struct hash *principal, struct error *err)
{
    struct feed_rig *r = self;
    (void)principal;
    if (!r->room)
        return error_set(err, -EDQUOT, "the limit of subscriptions has been reached");
    r->room--;
    return 0;
}

static void give(void *self, const struct hash *principal)
{
    (void)principal;
    ((struct feed_rig *)self)->room++;
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
    return peer != 1 || !((struct feed_rig *)self)->gone;
}
static bool window_open(void *self, uint64_t peer)
{
    return peer != 1 || !((struct feed_rig *)self)->shut;
}
static bool may_see(void *self, uint64_t peer, const struct feed_event *e)
{
    struct feed_rig *r = self;
    r->judged++;
    return peer != 1 || !r->blind || e->seq % 10 == 0;
}

static void send(void *self, uint64_t peer, const struct m_events *m)
{
    struct feed_rig *r = self;
    struct wire_iter it = wire_iter(&m->events);
    struct span text;
    r->events_of[peer] += m->events.count;
    r->to_of[peer] = m->to;
    if (peer != 1)
        return;
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

static void go_on(struct feed_rig *r)
{
    while (feed_step(r->feed))
        ;
}

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
    go_on(r);
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
    go_on(r);
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
    go_on(r);
    buf_free(&where);
}

static void taken(struct feed_rig *r)
{
    feed_credit(r->feed, 1, &(struct m_credit){.req = 1, .bytes = r->bytes});
    go_on(r);
}

static int setup(void **state)
{
    struct feed_rig *r = mem_zalloc(1, sizeof *r);
    struct feed_config config = {
        .ring_most = 16, .batch_bytes = 10 * TEXT, .scan_most = 8, .silent_most = 20};
    r->room = 1000;
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
    assert_int_equal(r->room, 1000); /* all was given back */
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
    go_on(r);
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
    go_on(r);
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
    assert_null(r->asker); /* it comes from the page that is still there */
    assert_int_equal(r->events, 4);
    assert_int_equal(r->asked, 1);
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
    go_on(r);
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

/* A subscription of another peer, of all events or of those of a server. */
static enum refusal follow(struct feed_rig *r, uint64_t peer, uint64_t req, uint64_t after,
                           const char *server)
{
    struct buf where = {0};
    struct error err = {0};
    if (server) {
        value_add_str(&where, span_str("server"));
        value_add_str(&where, span_str(server));
    }
    enum refusal code =
        feed_subscribe(r->feed, peer,
                       &(struct m_subscribe){.req = req,
                                             .after = after,
                                             .credit = 1000000,
                                             .where = wire_list_from(&where, server != NULL)},
                       &err);
    buf_free(&where);
    return code;
}

static void the_budget_of_subscriptions_holds_and_is_given_back(void **state)
{
    struct feed_rig *r = *state;
    r->room = 2;
    assert_int_equal(follow(r, 2, 1, 0, NULL), REFUSAL_NONE);
    assert_int_equal(follow(r, 2, 2, 0, NULL), REFUSAL_NONE);
    assert_int_equal(follow(r, 2, 3, 0, NULL), REFUSAL_BUSY);
    assert_int_equal(follow(r, 2, 2, 0, NULL), REFUSAL_NONE); /* it replaces the second */
    feed_unsubscribe(r->feed, 2, 1);
    assert_int_equal(follow(r, 2, 3, 0, NULL), REFUSAL_NONE);
    assert_int_equal(r->room, 0);
    feed_forget(r->feed, 2);
    assert_int_equal(r->room, 2);
    r->room = 1000;
}

static void an_event_is_made_once_and_judged_once_for_fifty_readers(void **state)
{
    struct feed_rig *r = *state;
    for (unsigned peer = 2; peer <= 51; peer++)
        assert_int_equal(follow(r, peer, 1, 0, NULL), REFUSAL_NONE);
    records(r, 5);
    assert_int_equal(r->made, 5);
    assert_int_equal(r->told, 5);
    assert_int_equal(r->judged, 5);
    for (unsigned peer = 2; peer <= 51; peer++)
        assert_int_equal(r->events_of[peer], 5);
}

static void fifty_readers_at_the_same_old_position_share_each_page_of_the_store(void **state)
{
    struct feed_rig *r = *state;
    records(r, 60);
    for (unsigned peer = 2; peer <= 51; peer++)
        assert_int_equal(follow(r, peer, 1, 0, NULL), REFUSAL_NONE);
    go_on(r);
    while (r->asker)
        answer(r, 20);
    assert_int_equal(r->asked, 3);
    assert_int_equal(r->told, 60);
    assert_int_equal(r->judged, 60);
    for (unsigned peer = 2; peer <= 51; peer++)
        assert_int_equal(r->events_of[peer], 60);
}

static void readers_with_other_rights_are_judged_by_themselves(void **state)
{
    struct feed_rig *r = *state;
    r->blind = true; /* peer 1 sees every tenth event only */
    r->rights[1] = 1;
    subscribe(r, 0, 1000000, NULL);
    assert_int_equal(follow(r, 2, 1, 0, NULL), REFUSAL_NONE);
    assert_int_equal(follow(r, 3, 1, 0, NULL), REFUSAL_NONE);
    records(r, 10);
    assert_int_equal(r->events_of[1], 1);
    assert_int_equal(r->events_of[2], 10);
    assert_int_equal(r->events_of[3], 10);
    assert_int_equal(r->judged, 20); /* two classes */
    assert_int_equal(r->told, 10);
}

static void a_revoked_reader_stops_at_once_while_its_class_goes_on(void **state)
{
    struct feed_rig *r = *state;
    subscribe(r, 0, 1000000, NULL);
    assert_int_equal(follow(r, 2, 1, 0, NULL), REFUSAL_NONE);
    records(r, 3);
    assert_int_equal(r->events_of[1], 3);
    r->gone = true;
    records(r, 3);
    assert_int_equal(r->events_of[1], 3);
    assert_int_equal(r->events_of[2], 6);
}

static void a_filter_without_a_match_has_no_text_made(void **state)
{
    struct feed_rig *r = *state;
    records(r, 50);
    assert_int_equal(follow(r, 2, 1, 0, "nowhere"), REFUSAL_NONE);
    go_on(r);
    while (r->asker)
        answer(r, 20);
    assert_int_equal(r->to_of[2], 50);
    assert_int_equal(r->told, 0);
    assert_int_equal(r->judged, 0); /* the filter comes first: it is cheaper */
}

/* Whatever number of scans a principal has going, each other principal gets every second step. */
static void scans_of_one_principal_do_not_delay_another(void **state)
{
    struct feed_rig *r = *state;
    char server[] = "a";
    for (unsigned i = 0; i < 20; i++) { /* 20 classes */
        server[0] = (char)('a' + i);
        assert_int_equal(follow(r, SAME + i, 1, 0, server), REFUSAL_NONE);
    }
    assert_int_equal(follow(r, 2, 1, 0, NULL), REFUSAL_NONE);
    for (unsigned i = 0; i < 16; i++) {
        char by[] = "o", target[] = "s";
        r->n++;
        r_operated_encode(&(struct r_operated){.at = (int64_t)r->n,
                                               .by = span_str(by),
                                               .target = span_str(target)},
                          &r->records[r->n]);
        feed_record(r->feed, r->n, buf_span(&r->records[r->n]));
    }
    feed_committed(r->feed, r->n);
    unsigned steps = 0;
    while (r->to_of[2] < 16) {
        assert_true(feed_step(r->feed));
        steps++;
    }
    assert_in_range(steps, 1, 6); /* 16 records, at most 8 a step, 10 events a message */
    go_on(r);
}

static void one_question_to_the_store_is_open_at_a_time(void **state)
{
    struct feed_rig *r = *state;
    records(r, 100);
    for (unsigned i = 0; i < 20; i++) /* 20 positions */
        assert_int_equal(follow(r, SAME + i, 1, i, NULL), REFUSAL_NONE);
    assert_int_equal(follow(r, 2, 1, 50, NULL), REFUSAL_NONE);
    go_on(r);
    assert_int_equal(r->asked, 1);
    answer(r, 1);
    assert_int_equal(r->asked, 2);
    answer(r, 1); /* the turn of the other principal has come by now */
    assert_true(r->to_of[2] > 50 || r->question.after == 50);
    while (r->asker)
        answer(r, 100);
    assert_int_equal(r->events_of[2], 50);
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
        in_rig(the_budget_of_subscriptions_holds_and_is_given_back),
        in_rig(an_event_is_made_once_and_judged_once_for_fifty_readers),
        in_rig(fifty_readers_at_the_same_old_position_share_each_page_of_the_store),
        in_rig(readers_with_other_rights_are_judged_by_themselves),
        in_rig(a_revoked_reader_stops_at_once_while_its_class_goes_on),
        in_rig(a_filter_without_a_match_has_no_text_made),
        in_rig(scans_of_one_principal_do_not_delay_another),
        in_rig(one_question_to_the_store_is_open_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
