/* broker_test.c - the promises of the shell's parts, tested on the whole broker. */
#include "broker/testing.h"

#include "trust/invitation.h"
#include "trust/possession.h"
#include "trust/revocation.h"

/* ---- Tests */
static void a_call_goes_to_a_worker_and_its_result_comes_back(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    btest_caller_and_worker(w, &anna, &etl1);
    btest_run_one(&anna, &etl1, "k1");
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void a_restart_keeps_keys_ends_and_history(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct buf text = {0};
    struct m_accepted accepted;
    struct m_run_ended ended;
    char id[ID_TEXT];
    btest_caller_and_worker(w, &anna, &etl1);
    struct id run = btest_run_one(&anna, &etl1, "k1");
    btest_bye(&etl1);
    broker_close(&w->broker);
    btest_start(w);
    wait_until(w, anna.sessions >= 2 && anna.up);
    btest_call(&anna, "anna", "k1", 2); /* its expiry differs: another body under the same key */
    struct m_error error;
    hear(&anna, error, &error);
    assert_int_equal(error.code, REFUSAL_CONFLICT);
    say(&anna, follow, .req = 3, .run = run, .level = 1);
    hear(&anna, run_ended, &ended);
    assert_true(id_eq(ended.run, run));
    btest_ask(&anna, "history", NULL, NULL, &text);
    assert_contains(buf_str(&text), "\"status\":\"succeeded\"");
    btest_ask(&anna, "run", "run", id_format(run, id), &text);
    assert_contains(buf_str(&text), "\"event\":\"assigned\"");
    assert_contains(buf_str(&text), "\"state\":\"ended\"");
    btest_call(&anna, "anna", "k2", 4);
    hear(&anna, accepted, &accepted);
    btest_ask(&anna, "explain", "run", id_format(accepted.run, id), &text);
    assert_contains(buf_str(&text), "etl1");
    buf_free(&text);
    btest_bye(&anna);
}

/* The last record, a worker's arrival, is folded away and is in no replay. */
static void a_restart_reuses_no_lsn(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    btest_caller_and_worker(w, &anna, &etl1);
    btest_bye(&etl1);
    btest_connect(&etl1);
    btest_bye(&anna);
    btest_bye(&etl1);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t lsn = turn_last_lsn(&w->broker->shell);
        broker_close(&w->broker);
        btest_start(w);
        assert_int_equal(turn_last_lsn(&w->broker->shell), lsn + 1); /* its epoch */
    }
}

static void every_event_is_seen_once_from_memory_and_from_the_store(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, mon;
    uint64_t to;
    const char *const watch[] = {"watch *@*"};
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 9, watch, 1);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&mon);
    btest_run_one(&anna, &etl1, "k1"); /* no reader: it comes from the store */
    uint64_t lsn = turn_last_lsn(&w->broker->shell);
    say(&mon, subscribe, .req = 1, .credit = 3000);
    assert_int_equal(btest_follow_events(&mon, 1, 0, lsn, &to), lsn);
    for (int i = 0; i < 20; i++) { /* now from memory */
        char key[16];
        snprintf(key, sizeof key, "live%d", i);
        btest_run_one(&anna, &etl1, key);
    }
    uint64_t more = turn_last_lsn(&w->broker->shell);
    assert_int_equal(btest_follow_events(&mon, 1, to, more, &to), more - lsn);
    say(&mon, subscribe, .req = 2, .after = 0, .credit = 700); /* all again, in small steps */
    mon.read = mon.heard.n;
    assert_int_equal(btest_follow_events(&mon, 2, 0, more, &to), more);
    btest_bye(&mon);
    btest_bye(&anna);
    btest_bye(&etl1);
}

/* A message with a field that today's protocol does not have. */
static void say_longer(struct btest_peer *t, const struct wire_schema *schema, const void *m)
{
    struct buf b = {0}, longer = {0};
    struct value v;
    wire_encode(schema, m, &b);
    struct span in = buf_span(&b);
    assert_true(value_read(&in, &v));
    value_add_list(&longer, v.items.count + 1);
    buf_add(&longer, v.items.items.p, v.items.items.n);
    value_add_str(&longer, span_str("from the future"));
    assert_int_equal(dialer_send(t->dialer, buf_span(&longer)), 0);
    buf_free(&b);
    buf_free(&longer);
}

static void fields_that_a_newer_client_appends_are_skipped(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, bert;
    struct m_pong pong;
    struct m_rows rows;
    const struct m_ping ping = {.stamp = 7};
    const struct m_query query = {.req = 3, .what = span_str("whoami"), .limit = 1};
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_principal(w, &bert, "bert", ROLE_CALLER, 6, btest_all_grants, BTEST_GRANTS);
    btest_start(w);
    anna.minor = PROTO_MINOR + 1;
    btest_connect(&anna);
    say_longer(&anna, &m_ping_schema, &ping);
    hear(&anna, pong, &pong); /* to the core */
    assert_int_equal(pong.stamp, 7);
    say_longer(&anna, &m_query_schema, &query);
    hear(&anna, rows, &rows); /* to a service */
    assert_int_equal(rows.req, 3);
    btest_connect(&bert);
    say_longer(&bert, &m_ping_schema, &ping); /* does not say that it is newer */
    wait_until(w, !bert.up);
    btest_bye(&anna);
    btest_bye(&bert);
}

/* What a peer was told, but for what depends on how long it takes: answers to its PINGs. */
static size_t told(const struct btest_peer *t)
{
    return t->heard.n - t->pongs;
}

/* What the dispatch path does for a few calls: messages taken, records written, decisions, bytes to
 * caller and worker. */
struct path_counts {
    uint64_t messages, records, decisions, to_caller, to_worker;
};

static struct path_counts count_path(struct btest *w, struct btest_peer *caller,
                                     struct btest_peer *worker, char letter)
{
    enum { CALLS = 50 };
    struct view_counts before, after;
    struct path_counts n = {.messages = w->broker->shell.messages,
                            .records = turn_last_lsn(&w->broker->shell)};
    size_t to_caller = told(caller), to_worker = told(worker);
    view_counts(w->broker->shell.core, &before);
    for (unsigned i = 0; i < CALLS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%c%02u", letter, i);
        btest_run_one(caller, worker, key);
    }
    view_counts(w->broker->shell.core, &after);
    n.messages = w->broker->shell.messages - n.messages;
    n.records = turn_last_lsn(&w->broker->shell) - n.records;
    n.decisions = after.decisions - before.decisions;
    n.to_caller = told(caller) - to_caller;
    n.to_worker = told(worker) - to_worker;
    return n;
}

static void a_malformed_credit_ends_its_subscription_and_nothing_else(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_error error;
    struct m_done done;
    struct buf bad = {0};
    btest_caller_and_worker(w, &anna, &etl1);
    for (uint64_t req = 1; req <= 2; req++)
        say(&anna, subscribe, .req = req, .credit = 1);
    wait_until(w, events_subscriptions(w->broker->events) == 2);
    m_credit_encode(&(struct m_credit){.req = 1}, &bad);
    bad.p[bad.n - 1] = 0xc3; /* `bytes` is true */
    assert_int_equal(dialer_send(anna.dialer, buf_span(&bad)), 0);
    hear(&anna, error, &error);
    assert_int_equal(error.req, 1);
    assert_int_equal(error.code, REFUSAL_MALFORMED);
    assert_int_equal(events_subscriptions(w->broker->events), 1);
    say(&anna, unsubscribe, .req = 2);
    hear(&anna, done, &done);
    assert_int_equal(anna.sessions, 1);
    assert_int_equal(events_subscriptions(w->broker->events), 0);
    buf_free(&bad);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void a_stopped_monitor_adds_no_work_to_the_dispatch_path(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, mon;
    struct m_events events;
    const char *const watch[] = {"watch *@*"};
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 9, watch, 1);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&mon);
    btest_run_one(&anna, &etl1, "first");
    struct path_counts alone = count_path(w, &anna, &etl1, 'a');
    say(&mon, subscribe, .req = 1, .after = turn_last_lsn(&w->broker->shell), .credit = 1);
    hear(&mon, events, &events);
    assert_true(events.live);
    btest_run_one(&anna, &etl1,
                  "more"); /* its one event is in flight; from here on it reads nothing */
    hear(&mon, events, &events);
    assert_int_equal(events.events.count, 1);
    size_t got = told(&mon);
    struct path_counts beside = count_path(w, &anna, &etl1, 'b');
    assert_int_equal(told(&mon), got);
    assert_int_equal(beside.messages, alone.messages);
    assert_int_equal(beside.records, alone.records);
    assert_int_equal(beside.decisions, alone.decisions);
    assert_int_equal(beside.to_caller, alone.to_caller);
    assert_int_equal(beside.to_worker, alone.to_worker);
    assert_true(alone.records >= 100 && alone.to_worker > 1000);
    btest_bye(&mon);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void a_monitor_sees_what_its_grants_cover_and_no_more(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, mon;
    struct m_error error;
    struct m_events events;
    struct buf text = {0};
    const char *const watch[] = {"watch other@etl"};
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 9, watch, 1);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&mon);
    btest_run_one(&anna, &etl1, "k1");
    say(&mon, subscribe, .req = 1, .credit = 100000);
    hear(&mon, events, &events);
    assert_int_equal(events.events.count, 0);
    assert_true(events.live);
    btest_ask(&mon, "history", NULL, NULL, &text);
    assert_string_equal(buf_str(&text), "");
    say(&mon, operate, .req = 7, .verb = span_str("drain"), .target = span_str("etl1"));
    hear(&mon, error, &error);
    assert_int_equal(error.req, 7);
    assert_int_equal(error.code, REFUSAL_DENIED);
    btest_ask(&mon, "whoami", NULL, NULL, &text);
    assert_contains(buf_str(&text), "watch other@etl");
    buf_free(&text);
    btest_bye(&mon);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void a_denied_question_is_answered_and_keeps_the_session(void **state)
{
    struct btest *w = *state;
    struct btest_peer mon;
    struct m_error error;
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 9, btest_all_grants, BTEST_GRANTS);
    btest_start(w);
    btest_connect(&mon);
    say(&mon, resolve, .req = 4, .job = span_str("load"), .address = span_str("etl"));
    hear(&mon, error, &error);
    assert_int_equal(error.code, REFUSAL_WRONG_ROLE);
    assert_true(mon.up);
    say(&mon, have_end, .count = 0); /* a worker's message, which has no answer: the session ends */
    wait_until(w, mon.refused);
    assert_int_equal(mon.refused_code, REFUSAL_WRONG_ROLE);
    btest_bye(&mon);
}

static void a_revoked_certificate_ends_its_session(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, admin;
    struct revocations none = {0};
    struct buf list = {0};
    struct m_done done;
    struct error err = {0};
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_principal(w, &admin, "root", ROLE_ADMINISTRATOR, 8, NULL, 0);
    btest_start(w);
    btest_connect(&anna);
    btest_connect(&admin);
    assert_int_equal(
        revocations_next(&none, "test", 5, clock_wall_ms(), &w->administrator, &list, &err), 0);
    say(&admin, revoke, .req = 1, .list = buf_span(&list));
    hear(&admin, done, &done);
    wait_until(w, anna.refused);
    assert_int_equal(anna.refused_code, REFUSAL_REVOKED);
    buf_free(&list);
    btest_bye(&anna);
    btest_bye(&admin);
}

static void an_invitation_admits_one_newcomer(void **state)
{
    struct btest *w = *state;
    struct btest_peer admin, newcomer = {.w = w}, member = {.w = w}, again = {.w = w};
    struct m_done done;
    struct m_error error;
    struct error err = {0};
    char *text;
    struct token token = {0};
    struct buf arguments = {0}, certificate = {0};
    const char *const pools[] = {"etl"};
    btest_principal(w, &admin, "root", ROLE_ADMINISTRATOR, 8, NULL, 0);
    btest_start(w);
    const char *const addresses[] = {w->endpoint};
    btest_connect(&admin);
    struct invitation_order o = {.cluster = "test",
                                 .name = "etl4",
                                 .role = ROLE_SERVER,
                                 .serial = 40,
                                 .pools = pools,
                                 .n_pools = 1,
                                 .expires = clock_wall_ms() + 60000,
                                 .certificate_not_after = clock_wall_ms() + 86400000,
                                 .addresses = addresses,
                                 .n_addresses = 1,
                                 .broker_key = w->key.transport,
                                 .administrators = &w->administrator.sign,
                                 .n_administrators = 1};
    if (invitation_make(&o, &w->administrator, &text, &err) < 0 ||
        token_parse(text, &token, &err) < 0)
        fail_msg("%s", err.text);
    value_add_str(&arguments, span_str("invitation"));
    struct buf bin = {0};
    wire_add_bin(&bin, buf_span(&token.invitation));
    buf_add(&arguments, bin.p, bin.n);
    say(&admin, operate, .req = 1, .verb = span_str("invite"), .target = span_str("etl4"),
        .arguments = wire_list_from(&arguments, 1));
    hear(&admin, done, &done);
    key_from_seed(token.one_time_seed, &newcomer.key);
    btest_connect(&newcomer);
    say(&newcomer, query, .req = 2, .what = span_str("servers")); /* it may only enrol */
    hear(&newcomer, error, &error);
    assert_int_equal(error.code, REFUSAL_WRONG_ROLE);
    key_make(&member.key);
    struct hash seal = {{1}};
    if (token_make_certificate(&token, &member.key.sign, &seal, clock_wall_ms(), &certificate,
                               &err) < 0)
        fail_msg("%s", err.text);
    uint8_t signature[POSSESSION_SIZE];
    possession_make(&member.key, buf_span(&certificate), signature);
    const struct span possession = span_of(signature, sizeof signature);
    say(&newcomer, enrol, .req = 3, .certificate = buf_span(&certificate));
    hear(&newcomer, error, &error); /* whose key is it? */
    assert_int_equal(error.code, REFUSAL_VERSION);
    for (uint64_t req = 4; req < 6; req++) { /* a lost answer: the same again is done */
        say(&newcomer, enrol, .req = req, .certificate = buf_span(&certificate),
            .possession = possession);
        hear(&newcomer, done, &done);
        assert_int_equal(done.req, req);
    }
    member.spool = (struct id){{9}};
    member.certificate = buf_dup(buf_span(&certificate));
    btest_connect(&member);
    say(&admin, operate, .req = 4, .verb = span_str("invite"), .target = span_str("etl4"),
        .arguments = wire_list_from(&arguments, 1));
    hear(&admin, error, &error); /* it has been used */
    assert_int_equal(error.req, 4);
    key_from_seed(token.one_time_seed, &again.key);
    btest_dial(&again);
    wait_until(w, again.refused);
    free(text);
    token_free(&token);
    buf_free(&arguments), buf_free(&bin), buf_free(&certificate);
    btest_bye(&again), btest_bye(&member), btest_bye(&newcomer), btest_bye(&admin);
}

static void output_is_kept_and_followed_to_its_end(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_accepted accepted;
    struct m_execute execute;
    struct m_log log;
    struct m_log_ack ack;
    struct span item;
    struct m_log_data piece;
    btest_caller_and_worker(w, &anna, &etl1);
    btest_call(&anna, "anna", "k1", 1);
    hear(&anna, accepted, &accepted);
    hear(&etl1, execute, &execute);
    say(&anna, logs, .req = 9, .run = accepted.run, .follow = true);
    say(&etl1, log_data, .run = execute.run, .attempt = 1, .step = span_str("s"), .try_no = 1,
        .stream = 1, .data = span_str("hello"));
    hear(&etl1, log_ack, &ack);
    assert_int_equal(ack.bytes, 5);
    hear(&anna, log, &log);
    struct wire_iter it = wire_iter(&log.chunks);
    assert_true(wire_next(&it, &item));
    assert_int_equal(m_log_data_decode(item, &piece, NULL), 0);
    assert_true(span_eq_str(piece.data, "hello"));
    assert_false(log.end);
    btest_result(&etl1, execute.run);
    hear(&anna, log, &log);
    assert_true(log.end);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void begin_parent(struct btest_peer *t, uint64_t req, const char *key,
                         const struct hash *plan, uint64_t size)
{
    struct buf body = {0}, bytes = {0};
    struct error err = {0};
    struct d_parent d = {.cluster = span_str("test"),
                         .caller = span_str("anna"),
                         .key = span_str(key),
                         .name = span_str("nightly"),
                         .plan = *plan,
                         .plan_size = size,
                         .tasks = 1};
    d_parent_encode(&d, &body);
    assert_int_equal(
        envelope_sign(ENVELOPE_PARENT, &t->key, "anna", 5, buf_span(&body), &bytes, &err), 0);
    say(t, parent_begin, .req = req, .parent = buf_span(&bytes), .drive = true);
    buf_free(&body);
    buf_free(&bytes);
}

static void a_parent_starts_only_once_its_plan_is_stored(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna;
    struct m_error error;
    struct m_done done;
    struct m_accepted accepted;
    struct m_chunk chunk;
    struct hash plan;
    struct span bytes = span_str("parent: nightly");
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_start(w);
    btest_connect(&anna);
    envelope_hash(bytes, &plan);
    begin_parent(&anna, 1, "p1", &plan, bytes.n);
    hear(&anna, error, &error);
    assert_int_equal(error.code, REFUSAL_NOT_FOUND);
    say(&anna, parent_plan, .req = 2, .plan = plan, .offset = 0, .size = bytes.n, .data = bytes);
    hear(&anna, done, &done);
    assert_true(span_eq_str(done.text, "15"));
    begin_parent(&anna, 3, "p1", &plan, bytes.n);
    hear(&anna, accepted, &accepted);
    say(&anna, get, .req = 4, .package = plan, .offset = 8, .length = 100);
    hear(&anna, chunk, &chunk);
    assert_true(span_eq_str(chunk.data, "nightly"));
    btest_bye(&anna);
}

/* A follower of a run's id need not know that it is a parent. */
static void a_follower_of_an_ended_parent_is_told_its_end(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, otto;
    struct m_accepted accepted;
    struct m_driving driving;
    struct m_run_ended ended;
    struct m_error error;
    struct m_done done;
    struct d_outcome o;
    struct hash plan;
    struct span bytes = span_str("parent: nightly");
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_principal(w, &otto, "otto", ROLE_CALLER, 6, NULL, 0);
    btest_start(w);
    btest_connect(&anna);
    btest_connect(&otto);
    envelope_hash(bytes, &plan);
    say(&anna, parent_plan, .req = 1, .plan = plan, .offset = 0, .size = bytes.n, .data = bytes);
    hear(&anna, done, &done);
    begin_parent(&anna, 2, "p1", &plan, bytes.n);
    hear(&anna, accepted, &accepted);
    hear(&anna, driving, &driving);
    say(&anna, follow, .req = 3, .run = accepted.run, .level = 1);
    hear(&anna, error, &error);
    assert_int_equal(error.code, REFUSAL_STATE);
    say(&anna, parent_end, .req = 4, .parent = accepted.run, .epoch = driving.epoch,
        .status = STATUS_CANCELLED, .report = span_str("{}"));
    hear(&anna, done, &done);
    say(&otto, follow, .req = 5, .run = accepted.run, .level = 1);
    hear(&otto, error, &error);
    assert_int_equal(error.code, REFUSAL_UNKNOWN_RUN);
    say(&otto, parent_end, .req = 6, .parent = accepted.run, .epoch = driving.epoch);
    hear(&otto, error, &error);
    assert_int_equal(error.code, REFUSAL_DENIED);
    say(&otto, parent_drive, .req = 7, .parent = accepted.run);
    hear(&otto, error, &error);
    assert_int_equal(error.req, 7);
    assert_int_equal(error.code, REFUSAL_DENIED);
    say(&anna, parent_end, .req = 8, .parent = accepted.run, .epoch = driving.epoch);
    hear(&anna, done, &done); /* repeated */
    assert_int_equal(done.req, 8);
    for (unsigned i = 0; i < 2; i++) { /* and again after a restart */
        say(&anna, follow, .req = 6, .run = accepted.run, .level = 1);
        hear(&anna, run_ended, &ended);
        assert_true(id_eq(ended.run, accepted.run));
        assert_int_equal(d_outcome_decode(ended.outcome, &o, NULL), 0);
        assert_int_equal(o.status, STATUS_CANCELLED);
        assert_int_equal(outcome_status(o.delivery, o.job, o.package), STATUS_CANCELLED);
        assert_true(span_eq_str(o.job_name, "nightly"));
        assert_true(o.ended_at >= o.called_at && o.called_at > 0);
        if (i == 0) {
            broker_close(&w->broker);
            btest_start(w);
            wait_until(w, anna.sessions >= 2 && anna.up);
        }
    }
    btest_bye(&anna);
    btest_bye(&otto);
}

static void a_stranger_is_not_admitted(void **state)
{
    struct btest *w = *state;
    struct btest_peer stranger = {.w = w};
    btest_start(w);
    key_make(&stranger.key);
    btest_certify(&stranger, "eve", ROLE_CALLER, 66, NULL,
                  0); /* a good certificate, but the broker does not know this key */
    btest_dial(&stranger);
    wait_until(w, stranger.refused);
    assert_int_equal(stranger.refused_code, REFUSAL_UNKNOWN_PRINCIPAL);
    assert_false(stranger.up);
    btest_bye(&stranger);
}

/* Pages of two: the live ones first, then the ended ones; each exactly once. */
static void a_listing_of_parents_continues_from_page_to_page(void **state)
{
    enum { LIVE = 5, ENDED = 3 };
    struct btest *w = *state;
    struct btest_peer anna;
    struct m_done done;
    struct m_accepted accepted;
    struct m_driving driving;
    struct m_rows rows;
    struct span row, bytes = span_str("parent: nightly");
    struct hash plan;
    char after[LIMIT_SHORT + 1] = "", key[8];
    unsigned seen[LIVE + ENDED] = {0}, pages = 0, ended_seen = 0;
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_start(w);
    btest_connect(&anna);
    envelope_hash(bytes, &plan);
    say(&anna, parent_plan, .req = 1, .plan = plan, .offset = 0, .size = bytes.n, .data = bytes);
    hear(&anna, done, &done);
    for (unsigned i = 0; i < LIVE + ENDED; i++) {
        snprintf(key, sizeof key, "p%u", i);
        begin_parent(&anna, 10 + i, key, &plan, bytes.n);
        hear(&anna, accepted, &accepted);
        hear(&anna, driving, &driving);
        if (i < LIVE)
            continue;
        say(&anna, parent_end, .req = 30 + i, .parent = accepted.run, .epoch = driving.epoch,
            .status = STATUS_SUCCEEDED, .report = span_str("{}"));
        hear(&anna, done, &done);
    }
    do {
        say(&anna, query, .req = 50 + pages, .what = span_str("parents"), .after = span_str(after),
            .limit = 2);
        hear(&anna, rows, &rows);
        for (struct wire_iter it = wire_iter(&rows.rows); wire_next(&it, &row);) {
            char *text = span_dup_str(row), *at = strstr(text, "\"key\":\"p");
            assert_non_null(at);
            unsigned i = (unsigned)(at[8] - '0');
            assert_in_range(i, 0, LIVE + ENDED - 1);
            seen[i]++;
            ended_seen += i >= LIVE;
            assert_true(i >= LIVE || !ended_seen);
            mem_free(&text);
        }
        span_copy_str(rows.next, after, sizeof after);
    } while (*after && ++pages < 20);
    for (unsigned i = 0; i < LIVE + ENDED; i++)
        assert_int_equal(seen[i], 1);
    btest_bye(&anna);
}

int main(void)
{
#define in_world(test) cmocka_unit_test_setup_teardown(test, btest_setup, btest_teardown)
    const struct CMUnitTest tests[] = {
        in_world(a_call_goes_to_a_worker_and_its_result_comes_back),
        in_world(a_restart_keeps_keys_ends_and_history),
        in_world(a_restart_reuses_no_lsn),
        in_world(every_event_is_seen_once_from_memory_and_from_the_store),
        in_world(fields_that_a_newer_client_appends_are_skipped),
        in_world(a_malformed_credit_ends_its_subscription_and_nothing_else),
        in_world(a_stopped_monitor_adds_no_work_to_the_dispatch_path),
        in_world(a_monitor_sees_what_its_grants_cover_and_no_more),
        in_world(a_denied_question_is_answered_and_keeps_the_session),
        in_world(a_revoked_certificate_ends_its_session),
        in_world(an_invitation_admits_one_newcomer),
        in_world(output_is_kept_and_followed_to_its_end),
        in_world(a_parent_starts_only_once_its_plan_is_stored),
        in_world(a_follower_of_an_ended_parent_is_told_its_end),
        in_world(a_listing_of_parents_continues_from_page_to_page),
        in_world(a_stranger_is_not_admitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
