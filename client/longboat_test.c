/* liblongboat against a broker scripted by each test; one loop drives both. */
#include "client/fixture.h"

#include "trust/call.h"

/* What the test's broker remembers and does. */
struct longboat_play {
    struct client_cluster *c;
    struct longboat *lb;
    unsigned resolves, calls, follows, cancels, subscribes, busy, queries_busy;
    bool no_version, silent, end; /* end: each run ends at once */
    enum refusal refuse_calls;
    struct hash version;
    struct buf body, root; /* of the last call; the root that was signed */
    unsigned roots;        /* distinct roots */
    struct d_call last;
    struct verified_roots verified;
    struct id run;         /* of the last call */
    uint64_t credit, sent; /* bytes of events, in this subscription */
    uint64_t after;        /* of the last SUBSCRIBE */
    bool filtered;         /* nothing matches up to 50 */
    unsigned rows, next_event;
};

static struct id run_of(unsigned n)
{
    struct id id = {{0x01, 0x98}};
    id.b[15] = (uint8_t)n;
    id.b[14] = (uint8_t)(n >> 8);
    return id;
}

static void say_error(struct client_cluster *c, uint64_t req, enum refusal code, uint64_t retry_ms)
{
    struct m_error m = {
        .req = req, .code = code, .text = span_str("because it must be so"), .retry_ms = retry_ms};
    broker_says(c, &m_error_schema, &m);
}

static void say_ended(struct client_cluster *c, struct id run)
{
    struct d_outcome outcome = {.job = JOB_SUCCEEDED,
                                .package = PACKAGE_SUCCEEDED,
                                .status = STATUS_SUCCEEDED,
                                .message = span_str("all is well"),
                                .server = span_str("etl2")};
    const struct d_step_outcome step = {.name = span_str("load")};
    struct buf b = {0}, one = {0}, steps = {0};
    broker_encode(c, &d_step_outcome_schema, &step, &one);
    wire_add_bin(&steps, buf_span(&one));
    outcome.steps = wire_list_from(&steps, 1);
    broker_encode(c, &d_outcome_schema, &outcome, &b);
    struct m_run_ended m = {
        .run = run, .attempt = 1, .server = span_str("etl2"), .outcome = buf_span(&b)};
    broker_says(c, &m_run_ended_schema, &m);
    buf_free(&b);
    buf_free(&one);
    buf_free(&steps);
}

static void take_resolve(struct client_cluster *c, struct longboat_play *p, struct span message)
{
    struct m_resolve m;
    const struct d_version found = {.job_hash = p->version, .version = span_str("1.0")};
    struct buf version = {0}, items = {0};
    assert_int_equal(m_resolve_decode(message, &m, NULL), 0);
    p->resolves++;
    broker_encode(c, &d_version_schema, &found, &version);
    wire_add_bin(&items, buf_span(&version));
    struct m_resolved answer = {.req = m.req, .versions = wire_list_from(&items, 1)};
    if (p->no_version)
        answer.versions = (struct wire_list){0};
    broker_says(c, &m_resolved_schema, &answer);
    buf_free(&version);
    buf_free(&items);
}

/* Verifies the signature as a broker does, and counts distinct signed roots. */
static void take_call(struct client_cluster *c, struct longboat_play *p, struct span message)
{
    struct m_call m;
    struct d_signed envelope;
    struct error err;

    assert_int_equal(m_call_decode(message, &m, NULL), 0);
    if (batch_open(m.call, &c->anna.sign, &p->verified, &envelope, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(span_eq_str(envelope.signer, "anna"));
    if (!span_eq(envelope.signature, buf_span(&p->root))) {
        buf_free(&p->root);
        p->root = buf_dup(envelope.signature);
        p->roots++;
    }
    buf_free(&p->body);
    p->body = buf_dup(envelope.body);
    assert_int_equal(d_call_decode(buf_span(&p->body), &p->last, NULL), 0);
    p->calls++;
    if (p->silent)
        return;
    if (p->busy > 0) {
        p->busy--;
        say_error(c, m.req, REFUSAL_BUSY, 0);
    } else if (p->refuse_calls) {
        say_error(c, m.req, p->refuse_calls, 0);
    } else {
        p->run = run_of(p->calls);
        broker_says(c, &m_accepted_schema, &(struct m_accepted){.req = m.req, .run = p->run});
        if (p->end)
            say_ended(c, p->run);
    }
}

static void take_query(struct client_cluster *c, struct longboat_play *p, struct span message)
{
    struct m_query m;
    struct buf items = {0};
    char text[32], next[32] = "";
    unsigned first, n;

    assert_int_equal(m_query_decode(message, &m, NULL), 0);
    if (p->busy > 0) {
        p->busy--;
        p->queries_busy++;
        say_error(c, m.req, REFUSAL_BUSY, 0);
        return;
    }
    if (!span_eq_str(m.what, "runs")) {
        say_error(c, m.req, REFUSAL_DENIED, 0);
        return;
    }
    span_copy_str(m.after, next, sizeof next);
    first = (unsigned)atoi(next);
    for (n = 0; n < 3 && first + n < p->rows; n++) {
        snprintf(text, sizeof text, "{\"n\":%u}", first + n);
        wire_add_str(&items, span_str(text));
    }
    snprintf(next, sizeof next, "%u", first + n);
    struct m_rows rows = {.req = m.req, .rows = wire_list_from(&items, n)};
    if (first + n < p->rows)
        rows.next = span_str(next);
    broker_says(c, &m_rows_schema, &rows);
    buf_free(&items);
}

static void say_events(struct client_cluster *c, struct longboat_play *p, uint64_t req,
                       uint64_t from, unsigned n, bool live)
{
    struct buf items = {0};
    char text[64];
    for (unsigned i = 1; i <= n; i++) {
        snprintf(text, sizeof text, "{\"v\":1,\"seq\":%llu}", (unsigned long long)from + i);
        wire_add_str(&items, span_str(text));
        p->sent += strlen(text);
    }
    struct m_events m = {.req = req,
                         .from = from,
                         .to = from + n,
                         .events = wire_list_from(&items, n),
                         .live = live};
    broker_says(c, &m_events_schema, &m);
    p->next_event = (unsigned)from + n;
    buf_free(&items);
}

static void take_subscribe(struct client_cluster *c, struct longboat_play *p, struct span message)
{
    struct m_subscribe m;
    assert_int_equal(m_subscribe_decode(message, &m, NULL), 0);
    p->subscribes++;
    p->credit = p->sent = 0;
    p->after = m.after;
    assert_true(m.credit > 0);
    if (p->filtered && m.after < 50) {
        broker_says(c, &m_events_schema,
                    &(struct m_events){.req = m.req, .from = m.after, .to = 50});
        return;
    }
    if (m.since == 1)
        say_error(c, m.req, REFUSAL_DENIED, 0);
    else
        say_events(c, p, m.req, m.after, 3, false);
}

/* Three events at a time; at 9 an earlier event is repeated, and the stream is live. */
static void take_credit(struct client_cluster *c, struct longboat_play *p, struct span message)
{
    struct m_credit m;
    assert_int_equal(m_credit_decode(message, &m, NULL), 0);
    assert_int_equal(m.bytes, p->sent); /* all that was sent, and no more */
    p->credit = m.bytes;
    if (p->filtered && p->after < 50) {
        net_server_close_peer(c->server, c->peer, SPAN_NONE);
        return;
    }
    if (p->next_event == 6 && p->subscribes == 1) {
        net_server_close_peer(c->server, c->peer, SPAN_NONE); /* in mid-stream */
        return;
    }
    say_events(c, p, m.req, p->next_event - (p->next_event == 9), p->next_event == 9 ? 4 : 3,
               p->next_event >= 9);
}

static void take(struct client_cluster *c, uint64_t kind, struct span message)
{
    struct longboat_play *p = c->test;
    struct m_follow follow;
    struct m_cancel cancel;

    switch (kind) {
    case KIND_M_RESOLVE:
        take_resolve(c, p, message);
        break;
    case KIND_M_CALL:
        take_call(c, p, message);
        break;
    case KIND_M_FOLLOW:
        assert_int_equal(m_follow_decode(message, &follow, NULL), 0);
        p->follows++;
        if (p->refuse_calls)
            say_error(c, follow.req, p->refuse_calls, 0);
        else
            say_ended(c, follow.run);
        break;
    case KIND_M_CANCEL:
        assert_int_equal(m_cancel_decode(message, &cancel, NULL), 0);
        p->cancels++;
        broker_says(c, &m_done_schema, &(struct m_done){.req = cancel.req});
        break;
    case KIND_M_QUERY:
        take_query(c, p, message);
        break;
    case KIND_M_SUBSCRIBE:
        take_subscribe(c, p, message);
        break;
    case KIND_M_CREDIT:
        take_credit(c, p, message);
        break;
    default:
        break;
    }
}

/* ---- The caller */

struct longboat_heard {
    unsigned accepted, states, ended, refused;
    struct id run;
    enum refusal code;
    char text[200], server[LIMIT_NAME + 1];
    enum run_state state;
    unsigned percent;
    enum status status;
    char step[LIMIT_NAME + 1]; /* the last one of the outcome */
};

static void hear_steps(struct longboat_heard *h, const struct wire_list *steps)
{
    struct d_step_outcome step;
    struct span item;
    for (struct wire_iter it = wire_iter(steps); wire_next(&it, &item);)
        if (d_step_outcome_decode(item, &step, NULL) == 0)
            span_copy_str(step.name, h->step, sizeof h->step);
}

static void hear(void *self, const struct longboat_run *run)
{
    struct longboat_heard *h = self;
    h->run = run->run;
    h->state = run->state;
    h->percent = run->percent;
    snprintf(h->text, sizeof h->text, "%s", run->text);
    snprintf(h->server, sizeof h->server, "%s", run->server);
    if (run->refused != REFUSAL_NONE) {
        h->refused++;
        h->code = run->refused;
    } else if (run->outcome) {
        h->ended++;
        h->status = (enum status)run->outcome->status;
        hear_steps(h, &run->outcome->steps);
    } else if (run->state == RUN_WAITING) {
        h->accepted++;
    } else {
        h->states++;
    }
}

static const struct longboat_call CALL = {
    .job = "nightly", .address = "etl", .key = "k1", .priority = 4, .plan = "load"};

static struct longboat_play *begin(void **state)
{
    struct client_cluster *c = *state;
    struct longboat_play *p = mem_zalloc(1, sizeof *p);
    struct error err;
    c->take = take;
    c->test = p;
    p->c = c;
    memset(p->version.b, 7, sizeof p->version.b);
    if (longboat_open(&p->lb, c->folder, c->loop, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static void finish(struct longboat_play *p)
{
    longboat_close(&p->lb);
    buf_free(&p->body);
    buf_free(&p->root);
    mem_free(&p);
}

static void start(struct longboat_play *p, const struct longboat_call *call,
                  struct longboat_heard *h)
{
    struct error err;
    if (longboat_call_start(p->lb, call, hear, h, &err) < 0)
        fail_msg("%s", err.text);
}

/* ---- Calls */

static void a_call_is_resolved_signed_and_followed_to_its_end(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    start(p, &CALL, &h);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->resolves, 1);
    assert_true(hash_eq(&p->last.job_hash, &p->version));
    assert_false(p->last.pin_latest);
    assert_true(span_eq_str(p->last.cluster, "test"));
    assert_true(span_eq_str(p->last.caller, "anna"));
    assert_true(span_eq_str(p->last.key, "k1"));
    assert_true(span_eq_str(p->last.plan, "load"));
    assert_true(p->last.as_of.n > 0 && p->last.expires > clock_wall_ms());
    assert_true(id_eq(h.run, p->run));

    struct m_run_state m = {.run = p->run,
                            .state = RUN_RUNNING,
                            .attempt = 1,
                            .server = span_str("etl2"),
                            .percent = 42};
    broker_says(p->c, &m_run_state_schema, &m);
    until(p->c, h.states == 1);
    assert_int_equal(h.percent, 42);
    assert_string_equal(h.server, "etl2");
    say_ended(p->c, p->run);
    until(p->c, h.ended == 1);
    assert_int_equal(h.status, STATUS_SUCCEEDED);
    assert_string_equal(h.text, "all is well");
    say_ended(p->c, p->run); /* again, now that it has ended */
    m.state = RUN_RUNNING;
    broker_says(p->c, &m_run_state_schema, &m);
    struct longboat_heard second = {0};
    p->end = true;
    start(p, &CALL, &second);
    until(p->c, second.ended == 1);
    assert_int_equal(h.ended, 1);
    finish(p);
}

static void fields_that_a_newer_broker_appends_are_skipped(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct m_done done;
    struct buf b = {0};
    p->c->minor = PROTO_MINOR + 1;
    broker_encode(p->c, &m_done_schema, &(struct m_done){.text = span_str("done")}, &b);
    /* the session has agreed on nothing yet */
    assert_int_equal(longboat_decode(p->lb, &m_done_schema, buf_span(&b), &done, NULL), -EPROTO);
    p->end = true;
    start(p, &CALL, &h);
    until(p->c, h.ended == 1);
    assert_true(hash_eq(&p->last.job_hash, &p->version));
    assert_false(p->last.pin_latest);
    assert_int_equal(h.status, STATUS_SUCCEEDED);
    assert_string_equal(h.step, "load");
    assert_int_equal(longboat_decode(p->lb, &m_done_schema, buf_span(&b), &done, NULL), 0);
    assert_true(span_eq_str(done.text, "done"));
    buf_free(&b);
    finish(p);
}

static void calls_of_one_turn_share_one_resolve_and_one_signature(void **state)
{
    enum { N = 500 };
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    char key[16];
    struct longboat_call call = CALL;
    call.key = key;
    p->end = true;
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k%d", i); /* copied */
        start(p, &call, &h);
    }
    until(p->c, h.ended == N);
    assert_int_equal(p->calls, N);
    assert_int_equal(p->resolves, 1);
    assert_int_equal(p->roots, 1);
    start(p, &call, &h); /* the answer is still remembered */
    until(p->c, h.ended == N + 1);
    assert_int_equal(p->resolves, 1);
    assert_int_equal(p->roots, 2);
    finish(p);
}

static void calls_arrive_in_the_order_they_were_made(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct longboat_call call = CALL;
    call.key = "first";
    start(p, &call, &h);
    call.key = "last";
    start(p, &call, &h);
    until(p->c, p->calls == 2);
    assert_true(span_eq_str(p->last.key, "last"));
    finish(p);
}

static void a_key_is_made_when_none_is_given(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct longboat_call call = CALL;
    call.key = NULL;
    start(p, &call, &h);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->last.key.n, 36);
    finish(p);
}

static void a_given_hash_is_signed_without_asking(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct longboat_call call = CALL;
    memset(call.job_hash.b, 9, sizeof call.job_hash.b);
    start(p, &call, &h);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->resolves, 0);
    assert_true(hash_eq(&p->last.job_hash, &call.job_hash));
    finish(p);
}

static void a_pin_to_the_latest_is_signed_without_asking(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct longboat_call call = CALL;
    call.pin_latest = true;
    start(p, &call, &h);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->resolves, 0);
    assert_true(p->last.pin_latest && hash_is_zero(&p->last.job_hash));
    finish(p);
}

static void a_job_that_no_server_has_yet_can_be_called(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    p->no_version = true;
    start(p, &CALL, &h);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->resolves, 1);
    assert_true(p->last.pin_latest && hash_is_zero(&p->last.job_hash));
    finish(p);
}

static void errors_in_a_call_are_reported_at_once(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct error err;
    struct longboat_call call = CALL;
    call.job = "no such name!";
    assert_int_equal(longboat_call_start(p->lb, &call, hear, &h, &err), -EINVAL);
    assert_contains(err.text, "no such name!");
    call = CALL;
    call.address = "";
    assert_int_equal(longboat_call_start(p->lb, &call, hear, &h, &err), -EINVAL);
    call = CALL;
    call.priority = 10;
    assert_int_equal(longboat_call_start(p->lb, &call, hear, &h, &err), -EINVAL);
    finish(p);
}

static void a_busy_broker_is_asked_again_after_its_delay(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    int64_t began = clock_boot_ms();
    p->busy = 1;
    start(p, &CALL, &h);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->calls, 2);
    assert_int_equal(p->roots, 1); /* the same bytes */
    assert_true(clock_boot_ms() - began >= BUSY_RETRY_MS);
    finish(p);
}

static void a_withdrawn_call_ends_unless_the_broker_may_have_it(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard busy = {0}, taken = {0}, unsent = {0};
    start(p, &CALL, &taken);
    until(p->c, taken.accepted == 1);
    p->busy = 1;
    start(p, &CALL, &busy);
    until(p->c, p->calls == 2);
    longboat_withdraw(p->lb);
    until(p->c, busy.refused == 1);
    assert_int_equal(busy.code, REFUSAL_BUSY);
    start(p, &CALL, &unsent);
    until(p->c, unsent.refused == 1);
    assert_int_equal(taken.refused, 0);
    say_ended(p->c, p->run);
    until(p->c, taken.ended == 1);
    assert_int_equal(p->calls, 2);
    finish(p);
}

static void a_refused_call_ends_with_the_reason(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    p->refuse_calls = REFUSAL_DENIED;
    start(p, &CALL, &h);
    until(p->c, h.refused == 1);
    assert_int_equal(h.code, REFUSAL_DENIED);
    assert_string_equal(h.text, "because it must be so");
    assert_int_equal(h.accepted, 0);
    finish(p);
}

static void an_unanswered_call_is_sent_again_in_the_next_session(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    p->silent = true;
    start(p, &CALL, &h);
    until(p->c, p->calls == 1);
    struct buf before = buf_dup(buf_span(&p->body));
    p->silent = false;
    broker_restart(p->c);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->calls, 2);
    /* word for word, so that its key finds it */
    assert_true(span_eq(buf_span(&before), buf_span(&p->body)));
    buf_free(&before);
    finish(p);
}

static void a_run_is_followed_again_in_the_next_session(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    start(p, &CALL, &h);
    until(p->c, h.accepted == 1);
    assert_int_equal(p->follows, 0);
    broker_restart(p->c);
    until(p->c, h.ended == 1);
    assert_int_equal(p->calls, 1);
    assert_int_equal(p->follows, 1);
    finish(p);
}

static void more_runs_than_a_window_holds_are_all_followed_again_once(void **state)
{
    enum { N = 25000 };
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct longboat_call call = CALL;
    char key[16];
    call.key = key;
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k%d", i);
        start(p, &call, &h);
    }
    until(p->c, h.accepted == N);
    broker_restart(p->c);
    until(p->c, h.ended == N);
    assert_int_equal(p->follows, N);
    assert_int_equal(p->calls, N);
    finish(p);
}

static void following_ends_when_the_broker_no_longer_knows_the_run(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    start(p, &CALL, &h);
    until(p->c, h.accepted == 1);
    p->refuse_calls = REFUSAL_UNKNOWN_RUN;
    broker_restart(p->c);
    until(p->c, h.refused == 1);
    assert_int_equal(h.code, REFUSAL_UNKNOWN_RUN);
    assert_true(id_eq(h.run, p->run));
    finish(p);
}

static void two_calls_of_one_run_both_learn_of_its_end(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0}, twin = {0};
    start(p, &CALL, &h);
    until(p->c, h.accepted == 1);
    p->calls = 0; /* so that the second gets the same run */
    start(p, &CALL, &twin);
    until(p->c, twin.accepted == 1);
    assert_true(id_eq(h.run, twin.run));
    say_ended(p->c, p->run);
    until(p->c, h.ended == 1 && twin.ended == 1);
    finish(p);
}

static void waiting_for_a_call_returns_its_run_and_outcome(void **state)
{
    struct longboat_play *p = begin(state);
    struct id run;
    struct buf bytes = {0};
    struct d_outcome outcome;
    struct error err;
    p->end = true;
    assert_int_equal(longboat_call_wait(p->lb, &CALL, PATIENCE_MS, &run, &bytes, &err), 0);
    assert_true(id_eq(run, p->run));
    assert_int_equal(d_outcome_decode(buf_span(&bytes), &outcome, NULL), 0);
    assert_true(span_eq_str(outcome.server, "etl2"));
    buf_free(&bytes);

    p->refuse_calls = REFUSAL_DENIED;
    assert_int_equal(longboat_call_wait(p->lb, &CALL, PATIENCE_MS, &run, &bytes, &err), -EREMOTEIO);
    assert_contains(err.text, "refused by broker wh0 at tcp://");
    finish(p);
}

static void the_end_of_a_wait_leaves_the_run_alone(void **state)
{
    struct longboat_play *p = begin(state);
    struct id run;
    struct buf bytes = {0};
    struct error err;
    assert_int_equal(longboat_call_wait(p->lb, &CALL, 300, &run, &bytes, &err), -ETIMEDOUT);
    assert_true(id_eq(run, p->run));
    say_ended(p->c, p->run); /* there is no listener any more */
    struct longboat_heard h = {0};
    p->end = true;
    start(p, &CALL, &h);
    until(p->c, h.ended == 1);
    finish(p);
}

static void a_run_is_cancelled_with_a_reason(void **state)
{
    struct longboat_play *p = begin(state);
    struct id run = run_of(1);
    assert_int_equal(longboat_cancel(p->lb, &run, true, "too slow", NULL), 0);
    assert_int_equal(p->cancels, 1);
    finish(p);
}

static void closing_with_calls_in_flight_is_clean(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    p->busy = 1;
    start(p, &CALL, &h);
    until(p->c, p->calls == 1);
    p->silent = true;
    start(p, &CALL, &h);
    struct longboat_call other = CALL;
    other.job = "elsewhere";
    start(p, &other, &h); /* not even resolved */
    finish(p);
}

/* ---- Queries */

static bool count_rows(void *self, struct span json)
{
    unsigned *n = self;
    char text[32];
    snprintf(text, sizeof text, "{\"n\":%u}", *n);
    assert_true(span_eq_str(json, text));
    ++*n;
    return *n != 5;
}

static void a_query_reads_all_its_pages(void **state)
{
    struct longboat_play *p = begin(state);
    unsigned n = 0;
    p->rows = 4;
    assert_int_equal(longboat_query(p->lb, "runs", NULL, count_rows, &n, NULL), 0);
    assert_int_equal(n, 4);
    n = 0;
    p->rows = 0;
    assert_int_equal(longboat_query(p->lb, "runs", NULL, count_rows, &n, NULL), 0);
    assert_int_equal(n, 0);
    p->rows = 100;
    assert_int_equal(longboat_query(p->lb, "runs", NULL, count_rows, &n, NULL), 0);
    assert_int_equal(n, 5); /* the callback asked to stop */
    finish(p);
}

static void a_refused_query_is_an_error_with_the_brokers_sentence(void **state)
{
    struct longboat_play *p = begin(state);
    unsigned n = 0;
    struct error err;
    assert_int_equal(longboat_query(p->lb, "secrets", NULL, count_rows, &n, &err), -EREMOTEIO);
    assert_string_equal(err.text, "because it must be so");
    finish(p);
}

static void a_busy_query_is_asked_again_after_its_delay(void **state)
{
    struct longboat_play *p = begin(state);
    unsigned n = 0;
    struct error err;
    int64_t began = clock_boot_ms();
    p->rows = 2;
    p->busy = 2;
    if (longboat_query(p->lb, "runs", NULL, count_rows, &n, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n, 2);
    assert_int_equal(p->queries_busy, 2);
    assert_true(clock_boot_ms() - began >= 2 * BUSY_RETRY_MS);
    finish(p);
}

static void a_broker_that_stays_busy_is_given_up_in_time(void **state)
{
    struct longboat_play *p = begin(state);
    struct buf message = {0}, answer = {0};
    enum refusal refusal;
    struct error err;
    struct m_query m = {.req = longboat_req(p->lb), .what = span_str("runs")};
    p->busy = 1000;
    m_query_encode(&m, &message);
    assert_int_equal(longboat_ask(p->lb, m.req, buf_span(&message), 1500, &answer, &refusal, &err),
                     -EBUSY);
    assert_int_equal(refusal, REFUSAL_BUSY);
    assert_contains(err.text, "busy");
    assert_true(p->queries_busy >= 1 && p->queries_busy <= 2); /* not in a hot loop */
    buf_free(&message);
    finish(p);
}

/* ---- Events */

struct longboat_seen {
    uint64_t last, until;
    bool in_order;
};

static bool see(void *self, uint64_t seq, struct span json)
{
    struct longboat_seen *s = self;
    assert_true(json.n > 0);
    assert_int_equal(seq, s->last + 1); /* none lost, none twice */
    s->last = seq;
    return seq != s->until;
}

static void events_arrive_once_and_in_order_across_a_reconnect(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_seen s = {0};
    assert_int_equal(longboat_follow_events(p->lb, 0, 0, NULL, false, see, &s, NULL), 0);
    assert_int_equal(s.last, 12);
    assert_int_equal(p->subscribes, 2);
    assert_int_equal(p->after, 6); /* after the last event seen */
    finish(p);
}

static void events_that_do_not_match_are_not_asked_for_again(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_seen s = {.last = 50, .until = 53};
    p->filtered = true;
    assert_int_equal(longboat_follow_events(p->lb, 0, 0, NULL, true, see, &s, NULL), 0);
    assert_int_equal(p->after, 50);
    finish(p);
}

static void a_follower_can_stop_when_it_has_seen_enough(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_seen s = {.last = 100, .until = 110};
    p->subscribes = 1; /* no interruption */
    assert_int_equal(longboat_follow_events(p->lb, 100, 0, NULL, true, see, &s, NULL), 0);
    assert_int_equal(s.last, 110);
    finish(p);
}

static void a_refused_subscription_is_an_error(void **state)
{
    struct longboat_play *p = begin(state);
    struct longboat_seen s = {0};
    struct error err;
    assert_int_equal(longboat_follow_events(p->lb, 0, 1, NULL, true, see, &s, &err), -EREMOTEIO);
    assert_string_equal(err.text, "because it must be so");
    finish(p);
}

/* ---- The connection */

static struct buf query_of(uint64_t req, const char *what)
{
    struct buf b = {0};
    m_query_encode(&(struct m_query){.req = req, .what = span_str(what), .limit = 1}, &b);
    return b;
}

static void an_unanswered_request_times_out_and_is_forgotten(void **state)
{
    struct longboat_play *p = begin(state);
    struct error err;
    struct buf answer = {0}, message = query_of(1, "runs");
    p->c->take = NULL;
    assert_int_equal(longboat_ask(p->lb, 1, buf_span(&message), 200, &answer, NULL, &err),
                     -ETIMEDOUT);
    assert_contains(err.text, "no answer from broker wh0");
    p->c->take = take;
    assert_int_equal(longboat_ask(p->lb, 1, buf_span(&message), PATIENCE_MS, &answer, NULL, &err),
                     0);
    buf_free(&answer);
    buf_free(&message);
    finish(p);
}

static bool never(void *self, uint64_t kind, struct span message)
{
    (void)self;
    (void)kind;
    (void)message;
    fail_msg("what was forgotten was answered");
    return false;
}

static void a_request_forgotten_before_it_is_sent_is_never_sent(void **state)
{
    struct longboat_play *p = begin(state);
    struct buf first = query_of(1, "runs"), answer = {0}, second = query_of(2, "runs");
    struct error err;
    assert_int_equal(longboat_request(p->lb, 1, buf_span(&first), never, NULL, &err), 0);
    assert_int_equal(longboat_request(p->lb, 1, buf_span(&first), never, NULL, &err), -EEXIST);
    longboat_forget(p->lb, 1);
    longboat_forget(p->lb, 1);
    assert_int_equal(longboat_ask(p->lb, 2, buf_span(&second), PATIENCE_MS, &answer, NULL, &err),
                     0);
    buf_free(&first);
    buf_free(&second);
    buf_free(&answer);

    uint8_t *bytes = mem_zalloc(1, LIMIT_FRAME);
    assert_int_equal(longboat_request(p->lb, 3, span_of(bytes, LIMIT_FRAME), never, NULL, &err),
                     -EMSGSIZE);
    mem_free(&bytes);
    finish(p);
}

/* A broker would end the session because of it, and each new one, too. */
static void a_malformed_request_is_refused_by_the_client(void **state)
{
    struct longboat_play *p = begin(state);
    struct id run = run_of(1);
    struct error err;
    struct buf answer = {0}, message = query_of(1, "runs\xff");
    assert_int_equal(longboat_cancel(p->lb, &run, false, "not \xe4 text", &err), -EINVAL);
    assert_contains(err.text, "cannot send a request: the message not valid UTF-8");
    assert_int_equal(p->cancels, 0);
    assert_int_equal(longboat_ask(p->lb, 1, buf_span(&message), PATIENCE_MS, &answer, NULL, &err),
                     -EINVAL);
    assert_int_equal(p->c->downs, 0);
    buf_free(&message);
    finish(p);
}

static void a_refused_session_ends_the_wait_with_the_reason(void **state)
{
    struct longboat_play *p = begin(state);
    struct error err;
    enum refusal code;
    struct buf answer = {0}, message = query_of(1, "runs");
    p->c->refuse = REFUSAL_REVOKED;
    assert_int_equal(longboat_ask(p->lb, 1, buf_span(&message), PATIENCE_MS, &answer, &code, &err),
                     -EACCES);
    assert_int_equal(code, REFUSAL_REVOKED);
    assert_contains(err.text, "refused by broker wh0");
    assert_contains(err.text, "not today");
    buf_free(&message);
    finish(p);
}

static void a_client_with_an_unknown_key_is_refused_at_once(void **state)
{
    struct client_cluster *c = *state;
    net_server_allow(c->server, &c->anna.transport, false);
    struct longboat_play *p = begin(state);
    struct error err;
    struct buf answer = {0}, message = query_of(1, "runs");
    assert_int_equal(longboat_ask(p->lb, 1, buf_span(&message), PATIENCE_MS, &answer, NULL, &err),
                     -EACCES);
    assert_contains(err.text, "does not know our key");
    buf_free(&message);
    finish(p);
}

static void a_timeout_names_the_broker_that_is_away(void **state)
{
    struct longboat_play *p = begin(state);
    struct error err;
    struct buf answer = {0}, message = query_of(1, "runs");
    net_server_close(&p->c->server);
    assert_int_equal(longboat_ask(p->lb, 1, buf_span(&message), 1000, &answer, NULL, &err),
                     -ETIMEDOUT);
    assert_contains(err.text, "nobody answers");
    assert_false(longboat_is_up(p->lb));
    buf_free(&message);
    finish(p);
}

static void a_stopped_loop_ends_the_wait(void **state)
{
    struct longboat_play *p = begin(state);
    struct buf answer = {0}, message = query_of(1, "runs");
    p->c->take = NULL;
    loop_stop(p->c->loop, 0);
    assert_int_equal(longboat_ask(p->lb, 1, buf_span(&message), PATIENCE_MS, &answer, NULL, NULL),
                     -EINTR);
    buf_free(&message);
    finish(p);
}

static void more_requests_than_a_window_holds_are_all_answered(void **state)
{
    enum { N = 3000 };
    struct longboat_play *p = begin(state);
    struct longboat_heard h = {0};
    struct longboat_call call = CALL;
    struct buf items = {0};
    char *big = mem_zalloc(1, 2001), key[16];
    memset(big, 'x', 2000);
    value_add_str(&items, span_str("text"));
    value_add_str(&items, span_str(big));
    call.parameters = wire_list_from(&items, 1);
    call.key = key;
    p->end = true;
    for (int i = 0; i < N; i++) { /* six megabytes; queue and window hold less */
        snprintf(key, sizeof key, "k%d", i);
        start(p, &call, &h);
    }
    until(p->c, h.ended == N);
    assert_int_equal(p->calls, N);
    assert_int_equal(p->c->hellos, 1);
    buf_free(&items);
    mem_free(&big);
    finish(p);
}

#define in_cluster(t) cmocka_unit_test_setup_teardown(t, cluster_begin, cluster_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_cluster(a_call_is_resolved_signed_and_followed_to_its_end),
        in_cluster(fields_that_a_newer_broker_appends_are_skipped),
        in_cluster(calls_of_one_turn_share_one_resolve_and_one_signature),
        in_cluster(calls_arrive_in_the_order_they_were_made),
        in_cluster(a_key_is_made_when_none_is_given),
        in_cluster(a_given_hash_is_signed_without_asking),
        in_cluster(a_pin_to_the_latest_is_signed_without_asking),
        in_cluster(a_job_that_no_server_has_yet_can_be_called),
        in_cluster(errors_in_a_call_are_reported_at_once),
        in_cluster(a_busy_broker_is_asked_again_after_its_delay),
        in_cluster(a_withdrawn_call_ends_unless_the_broker_may_have_it),
        in_cluster(a_refused_call_ends_with_the_reason),
        in_cluster(an_unanswered_call_is_sent_again_in_the_next_session),
        in_cluster(a_run_is_followed_again_in_the_next_session),
        in_cluster(more_runs_than_a_window_holds_are_all_followed_again_once),
        in_cluster(following_ends_when_the_broker_no_longer_knows_the_run),
        in_cluster(two_calls_of_one_run_both_learn_of_its_end),
        in_cluster(waiting_for_a_call_returns_its_run_and_outcome),
        in_cluster(the_end_of_a_wait_leaves_the_run_alone),
        in_cluster(a_run_is_cancelled_with_a_reason),
        in_cluster(closing_with_calls_in_flight_is_clean),
        in_cluster(a_query_reads_all_its_pages),
        in_cluster(a_refused_query_is_an_error_with_the_brokers_sentence),
        in_cluster(a_busy_query_is_asked_again_after_its_delay),
        in_cluster(a_broker_that_stays_busy_is_given_up_in_time),
        in_cluster(events_arrive_once_and_in_order_across_a_reconnect),
        in_cluster(events_that_do_not_match_are_not_asked_for_again),
        in_cluster(a_follower_can_stop_when_it_has_seen_enough),
        in_cluster(a_refused_subscription_is_an_error),
        in_cluster(an_unanswered_request_times_out_and_is_forgotten),
        in_cluster(a_request_forgotten_before_it_is_sent_is_never_sent),
        in_cluster(a_malformed_request_is_refused_by_the_client),
        in_cluster(a_refused_session_ends_the_wait_with_the_reason),
        in_cluster(a_client_with_an_unknown_key_is_refused_at_once),
        in_cluster(a_timeout_names_the_broker_that_is_away),
        in_cluster(a_stopped_loop_ends_the_wait),
        in_cluster(more_requests_than_a_window_holds_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
