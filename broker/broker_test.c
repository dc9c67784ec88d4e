/* broker_test.c - the whole shell in one process: a broker on a port of its own, and peers that speak to it. */
#include "broker/broker.h"

#include <sodium.h>

#include "broker/core/explain.h"
#include "common/clock.h"
#include "common/testing.h"
#include "net/dialer.h"
#include "trust/call.h"
#include "trust/certificate.h"
#include "trust/envelope.h"
#include "trust/invitation.h"
#include "trust/revocation.h"

enum { WAIT_MS = 20000 };

struct world {
    char *home;
    struct loop *loop;
    struct broker *broker;
    struct key administrator, key; /* key: the broker's */
    char *endpoint;
};

/* ---- Peers */
struct talker {
    struct world *w;
    struct dialer *dialer;
    struct key key;
    struct buf certificate;
    bool up, refused;
    uint64_t refused_code;
    struct id spool;
    struct buf heard; /* [u32 size][message] ... */
    size_t read;      /* how far `heard` has been looked at by hears() */
    unsigned sessions;
};

static void on_hello(void *self, struct m_hello *m)
{
    struct talker *t = self;
    m->certificate = buf_span(&t->certificate);
    m->spool = m->boot = m->incarnation = t->spool;
}

static void on_up(void *self, const struct m_welcome *welcome)
{
    struct talker *t = self;
    (void)welcome;
    t->up = true;
    t->sessions++;
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct talker *t = self;
    uint32_t n = (uint32_t)message.n;
    (void)kind;
    buf_add(&t->heard, &n, sizeof n);
    buf_add(&t->heard, message.p, message.n);
}

static void on_down(void *self, const char *reason)
{
    (void)reason;
    ((struct talker *)self)->up = false;
}

static void on_refused(void *self, const struct m_refused *m)
{
    struct talker *t = self;
    t->refused = true;
    t->refused_code = m->code;
}

static void turn(struct world *w)
{
    struct error err = {0};
    if (loop_turn(w->loop, clock_boot_ms() + 100, &err) < 0)
        fail_msg("%s", err.text);
}

#define wait_until(w, condition) \
    do { \
        int64_t until_ = clock_boot_ms() + WAIT_MS; \
        while (!(condition)) { \
            if (clock_boot_ms() > until_) \
                fail_msg("waited in vain for: " #condition); \
            turn(w); \
        } \
    } while (0)

static void dial(struct talker *t)
{
    const char *addresses[] = {t->w->endpoint};
    struct error err = {0};
    struct dialer_options o = {.addresses = addresses,
                               .n_addresses = 1,
                               .broker_key = t->w->key.transport,
                               .secret_transport = t->key.transport_secret,
                               .public_transport = t->key.transport.b};
    struct dialer_calls calls = {
        .self = t, .hello = on_hello, .up = on_up, .message = on_message, .down = on_down, .refused = on_refused};
    if (dialer_open(&t->dialer, t->w->loop, &o, &calls, &err) < 0)
        fail_msg("%s", err.text);
}

static void certify(struct talker *t, const char *name, enum role role, uint64_t serial, const char *const *grants,
                    size_t n_grants)
{
    static const char *const POOLS[] = {"etl"};
    struct error err = {0};
    int64_t now = clock_wall_ms();
    struct certificate_order o = {.cluster = "test",
                                  .name = name,
                                  .role = role,
                                  .serial = serial,
                                  .sign_key = t->key.sign,
                                  .pools = POOLS,
                                  .n_pools = role == ROLE_SERVER,
                                  .grants = grants,
                                  .n_grants = n_grants,
                                  .not_before = now - 1000,
                                  .not_after = now + 86400000};
    if (role == ROLE_SERVER)
        randombytes_buf(o.seal_key.b, sizeof o.seal_key.b);
    if (certificate_make(&o, &t->w->administrator, &t->certificate, &err) < 0)
        fail_msg("%s", err.text);
}

static void bye(struct talker *t)
{
    dialer_close(&t->dialer);
    buf_free(&t->certificate);
    buf_free(&t->heard);
}

#define say(t, low, ...) say_((t), &m_##low##_schema, &(struct m_##low){__VA_ARGS__})
static void say_(struct talker *t, const struct wire_schema *s, const void *message)
{
    struct buf b = {0};
    wire_encode(s, message, &b);
    assert_int_equal(dialer_send(t->dialer, buf_span(&b)), 0);
    buf_free(&b);
}

/* The next message of the schema's kind; others before it are passed over. False: not yet. */
static bool next_of(struct talker *t, const struct wire_schema *s, void *ret)
{
    while (t->read < t->heard.n) {
        uint32_t n;
        uint64_t kind;
        size_t size;
        memcpy(&n, t->heard.p + t->read, sizeof n);
        struct span message = span_of(t->heard.p + t->read + sizeof n, n);
        t->read += sizeof n + n;
        assert_int_equal(wire_peek(message, &kind, &size, NULL), 0);
        if (kind == s->kind) {
            assert_int_equal(wire_decode(s, message, false, ret, NULL), 0);
            return true;
        }
    }
    return false;
}
#define hear(t, low, ret) wait_until((t)->w, next_of((t), &m_##low##_schema, (ret)))

/* ---- The world */
static void write_file(struct world *w, const char *name, struct span content, mode_t mode)
{
    struct error err = {0};
    char *path = mem_printf("%s/etc/%s", w->home, name);
    if (file_write_atomic(path, content, mode, &err) < 0)
        fail_msg("%s", err.text);
    mem_free(&path);
}

static void make_folder(struct world *w, const char *name)
{
    struct error err = {0};
    char *path = mem_printf("%s/%s", w->home, name);
    assert_int_equal(file_make_dirs(path, 0700, &err), 0);
    mem_free(&path);
}

static void start(struct world *w)
{
    struct error err = {0};
    char *config = mem_printf("%s/etc", w->home), *state = mem_printf("%s/var", w->home);
    const char *listen[] = {w->endpoint ? w->endpoint : "tcp://127.0.0.1:*"};
    struct broker_options o = {.cluster = "test",
                               .name = "b1",
                               .listen = listen,
                               .n_listen = 1,
                               .config = config,
                               .state = state,
                               .reserve_bytes = 1,
                               .memory_budget = 1 << 24,
                               .max_runs = 1000,
                               .lease_ms = 15000,
                               .lost_after_ms = 300000};
    if (broker_open(&w->broker, w->loop, &o, &err) < 0)
        fail_msg("%s", err.text);
    if (!w->endpoint)
        w->endpoint = mem_strdup(broker_endpoint(w->broker, 0));
    mem_free(&config);
    mem_free(&state);
}

static int setup(void **state)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    struct error err = {0};
    struct trust_anchors anchors = {0};
    struct buf text = {0};
    void *folder;
    assert_int_equal(testing_folder(&folder), 0);
    w->home = folder;
    w->loop = loop_new(&err);
    assert_int_equal(trust_init(&err), 0);
    make_folder(w, "etc/trust/known");
    make_folder(w, "etc/keys");
    key_make(&w->administrator);
    key_make(&w->key);
    anchors_from("test", &w->administrator.sign, 1, &anchors);
    anchors_format(&anchors, &text);
    write_file(w, "trust/administrators", buf_span(&text), 0644);
    buf_free(&text);
    anchors_free(&anchors);
    struct talker own = {.w = w, .key = w->key};
    certify(&own, "b1", ROLE_BROKER, 1, NULL, 0);
    write_file(w, "trust/broker", buf_span(&own.certificate), 0644);
    char *path = mem_printf("%s/etc/keys/broker.key", w->home);
    assert_int_equal(key_file_create(path, w->key.seed, &err), 0);
    mem_free(&path);
    buf_free(&own.certificate);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    void *folder = w->home;
    broker_close(&w->broker);
    loop_destroy(&w->loop);
    mem_free(&w->endpoint);
    testing_folder_end(&folder);
    mem_free(&w);
    return 0;
}

/* A principal whose certificate lies in etc/trust/known. */
static void principal(struct world *w, struct talker *t, const char *name, enum role role, uint64_t serial,
                      const char *const *grants, size_t n_grants)
{
    memset(t, 0, sizeof *t);
    t->w = w;
    key_make(&t->key);
    certify(t, name, role, serial, grants, n_grants);
    char *file = mem_printf("trust/known/%s", name);
    write_file(w, file, buf_span(&t->certificate), 0644);
    mem_free(&file);
}

static void connect_to(struct talker *t)
{
    dial(t);
    wait_until(t->w, t->up);
}

static void attest(struct talker *worker)
{
    struct buf job = {0}, jobs = {0};
    struct d_attested_job j = {
        .name = span_str("load"), .job_hash = {{7}}, .version = span_str("1"), .concurrency = 4};
    d_attested_job_encode(&j, &job);
    wire_add_bin(&jobs, buf_span(&job));
    say(worker, have_end, .count = 0);
    say(worker, attest, .slots = 4, .jobs = wire_list_from(&jobs, 1));
    buf_free(&job);
    buf_free(&jobs);
}

static void call(struct talker *caller, const char *name, const char *key, uint64_t req)
{
    struct buf bytes = {0};
    struct error err = {0};
    struct d_call c = {.cluster = span_str("test"),
                       .caller = span_str(name),
                       .key = span_str(key),
                       .job = span_str("load"),
                       .job_hash = {{7}},
                       .address = span_str("etl"),
                       .on_lost = ON_LOST_FAIL,
                       .issued_at = clock_wall_ms(),
                       .expires = clock_wall_ms() + 3600000};
    if (call_sign(&c, &caller->key, name, 5, &bytes, &err) < 0)
        fail_msg("%s", err.text);
    say(caller, call, .req = req, .call = buf_span(&bytes), .follow = 1);
    buf_free(&bytes);
}

static void result(struct talker *worker, struct id run)
{
    struct buf outcome = {0};
    struct d_outcome o = {.job = JOB_SUCCEEDED,
                          .package = PACKAGE_SUCCEEDED,
                          .status = STATUS_SUCCEEDED,
                          .server = span_str("etl1"),
                          .job_name = span_str("load"),
                          .ended_at = clock_wall_ms()};
    d_outcome_encode(&o, &outcome);
    say(worker, result, .run = run, .attempt = 1, .outcome = buf_span(&outcome));
    buf_free(&outcome);
}

/* A call, through a worker, to its end. */
static struct id run_one(struct talker *caller, struct talker *worker, const char *key)
{
    struct m_accepted accepted;
    struct m_execute execute;
    struct m_run_ended ended;
    struct m_recorded recorded;
    call(caller, "anna", key, 1);
    hear(caller, accepted, &accepted);
    hear(worker, execute, &execute);
    assert_true(id_eq(execute.run, accepted.run));
    result(worker, execute.run);
    hear(worker, recorded, &recorded);
    hear(caller, run_ended, &ended);
    assert_true(id_eq(ended.run, accepted.run));
    return accepted.run;
}

static const char *const ALL_GRANTS[] = {"call *@*", "watch *@*", "operate *@*"};

static void caller_and_worker(struct world *w, struct talker *anna, struct talker *etl1)
{
    principal(w, anna, "anna", ROLE_CALLER, 5, ALL_GRANTS, 3);
    principal(w, etl1, "etl1", ROLE_SERVER, 6, NULL, 0);
    etl1->spool = (struct id){{3}};
    start(w);
    connect_to(anna);
    connect_to(etl1);
    attest(etl1);
}

/* ---- Tests */
static void a_call_goes_to_a_worker_and_its_result_comes_back(void **state)
{
    struct world *w = *state;
    struct talker anna, etl1;
    caller_and_worker(w, &anna, &etl1);
    run_one(&anna, &etl1, "k1");
    bye(&anna);
    bye(&etl1);
}

static void ask(struct talker *t, const char *what, const char *key, const char *value, struct buf *ret)
{
    struct buf where = {0};
    struct m_rows rows;
    struct span row;
    if (key) {
        value_add_str(&where, span_str(key));
        value_add_str(&where, span_str(value));
    }
    say(t, query, .req = 40, .what = span_str(what), .where = wire_list_from(&where, key != NULL), .limit = 100);
    hear(t, rows, &rows);
    buf_clear(ret);
    for (struct wire_iter it = wire_iter(&rows.rows); wire_next(&it, &row);) {
        buf_add(ret, row.p, row.n);
        buf_add_str(ret, "\n");
    }
    buf_str(ret);
    buf_free(&where);
}

static void a_restart_keeps_what_was_and_answers_for_it(void **state)
{
    struct world *w = *state;
    struct talker anna, etl1;
    struct buf text = {0};
    struct m_accepted accepted;
    struct m_run_ended ended;
    char id[ID_TEXT];
    caller_and_worker(w, &anna, &etl1);
    struct id run = run_one(&anna, &etl1, "k1");
    bye(&etl1);
    broker_close(&w->broker);
    start(w);
    wait_until(w, anna.sessions >= 2 && anna.up);
    call(&anna, "anna", "k1", 2); /* its expiry differs: another body under the same key */
    struct m_error error;
    hear(&anna, error, &error);
    assert_int_equal(error.code, REFUSAL_CONFLICT);
    say(&anna, follow, .req = 3, .run = run, .level = 1);
    hear(&anna, run_ended, &ended);
    assert_true(id_eq(ended.run, run));
    ask(&anna, "history", NULL, NULL, &text);
    assert_contains(buf_str(&text), "\"status\":\"succeeded\"");
    ask(&anna, "run", "run", id_format(run, id), &text);
    assert_contains(buf_str(&text), "\"event\":\"assigned\"");
    assert_contains(buf_str(&text), "\"state\":\"ended\"");
    call(&anna, "anna", "k2", 4);
    hear(&anna, accepted, &accepted);
    ask(&anna, "explain", "run", id_format(accepted.run, id), &text);
    assert_contains(buf_str(&text), "etl1");
    buf_free(&text);
    bye(&anna);
}

/* Takes events until `to` is at least `upto`; checks that stretches join without a gap and counts each number once.
 */
static unsigned follow_events(struct talker *t, uint64_t req, uint64_t after, uint64_t upto, uint64_t *ret_to)
{
    uint64_t at = after, taken = 0, seq_last = after;
    unsigned n = 0;
    while (at < upto) {
        struct m_events m;
        struct span item;
        hear(t, events, &m);
        assert_int_equal(m.req, req);
        assert_int_equal(m.from, at);
        at = m.to;
        for (struct wire_iter it = wire_iter(&m.events); wire_next(&it, &item); n++) {
            char text[64];
            span_copy_str(span_of(item.p, item.n < 60 ? item.n : 60), text, sizeof text);
            uint64_t seq = strtoull(strstr(text, "\"seq\":") + 6, NULL, 10);
            assert_true(seq > seq_last && seq <= at);
            seq_last = seq;
            taken += item.n;
        }
        say(t, credit, .req = req, .bytes = taken);
    }
    *ret_to = at;
    return n;
}

static void every_event_is_seen_once_from_memory_and_from_the_store(void **state)
{
    struct world *w = *state;
    struct talker anna, etl1, mon;
    uint64_t to;
    const char *const watch[] = {"watch *@*"};
    principal(w, &mon, "mon", ROLE_MONITOR, 9, watch, 1);
    caller_and_worker(w, &anna, &etl1);
    connect_to(&mon);
    run_one(&anna, &etl1, "k1"); /* nobody listens: it comes from the store */
    uint64_t lsn = w->broker->last_lsn;
    say(&mon, subscribe, .req = 1, .credit = 3000);
    assert_int_equal(follow_events(&mon, 1, 0, lsn, &to), lsn);
    for (int i = 0; i < 20; i++) { /* now from memory */
        char key[16];
        snprintf(key, sizeof key, "live%d", i);
        run_one(&anna, &etl1, key);
    }
    uint64_t more = w->broker->last_lsn;
    assert_int_equal(follow_events(&mon, 1, to, more, &to), more - lsn);
    say(&mon, subscribe, .req = 2, .after = 0, .credit = 700); /* all once more, in small steps */
    mon.read = mon.heard.n;
    assert_int_equal(follow_events(&mon, 2, 0, more, &to), more);
    bye(&mon);
    bye(&anna);
    bye(&etl1);
}

static void a_monitor_sees_what_its_grants_cover_and_no_more(void **state)
{
    struct world *w = *state;
    struct talker anna, etl1, mon;
    struct m_error error;
    struct m_events events;
    struct buf text = {0};
    const char *const watch[] = {"watch other@etl"};
    principal(w, &mon, "mon", ROLE_MONITOR, 9, watch, 1);
    caller_and_worker(w, &anna, &etl1);
    connect_to(&mon);
    run_one(&anna, &etl1, "k1");
    say(&mon, subscribe, .req = 1, .credit = 100000);
    hear(&mon, events, &events);
    assert_int_equal(events.events.count, 0);
    assert_true(events.live);
    ask(&mon, "history", NULL, NULL, &text);
    assert_string_equal(buf_str(&text), "");
    say(&mon, operate, .req = 7, .verb = span_str("drain"), .target = span_str("etl1"));
    hear(&mon, error, &error);
    assert_int_equal(error.req, 7);
    assert_int_equal(error.code, REFUSAL_DENIED);
    ask(&mon, "whoami", NULL, NULL, &text);
    assert_contains(buf_str(&text), "watch other@etl");
    buf_free(&text);
    bye(&mon);
    bye(&anna);
    bye(&etl1);
}

static void a_role_that_may_not_call_loses_nothing_but_its_answer(void **state)
{
    struct world *w = *state;
    struct talker mon;
    struct m_error error;
    principal(w, &mon, "mon", ROLE_MONITOR, 9, ALL_GRANTS, 3);
    start(w);
    connect_to(&mon);
    say(&mon, resolve, .req = 4, .job = span_str("load"), .address = span_str("etl"));
    hear(&mon, error, &error);
    assert_int_equal(error.code, REFUSAL_WRONG_ROLE);
    assert_true(mon.up);
    say(&mon, have_end, .count = 0); /* a worker's message, which has no answer: the session ends */
    wait_until(w, mon.refused);
    assert_int_equal(mon.refused_code, REFUSAL_WRONG_ROLE);
    bye(&mon);
}

static void a_revoked_certificate_says_nothing_any_more(void **state)
{
    struct world *w = *state;
    struct talker anna, admin;
    struct revocations none = {0};
    struct buf list = {0};
    struct m_done done;
    struct error err = {0};
    principal(w, &anna, "anna", ROLE_CALLER, 5, ALL_GRANTS, 3);
    principal(w, &admin, "root", ROLE_ADMINISTRATOR, 8, NULL, 0);
    start(w);
    connect_to(&anna);
    connect_to(&admin);
    assert_int_equal(revocations_next(&none, "test", 5, clock_wall_ms(), &w->administrator, &list, &err), 0);
    say(&admin, revoke, .req = 1, .list = buf_span(&list));
    hear(&admin, done, &done);
    wait_until(w, anna.refused);
    assert_int_equal(anna.refused_code, REFUSAL_REVOKED);
    buf_free(&list);
    bye(&anna);
    bye(&admin);
}

static void an_invitation_is_good_for_one_newcomer(void **state)
{
    struct world *w = *state;
    struct talker admin, newcomer = {.w = w}, member = {.w = w}, again = {.w = w};
    struct m_done done;
    struct m_error error;
    struct error err = {0};
    char *text;
    struct token token = {0};
    struct buf arguments = {0}, certificate = {0};
    const char *const pools[] = {"etl"};
    principal(w, &admin, "root", ROLE_ADMINISTRATOR, 8, NULL, 0);
    start(w);
    const char *const addresses[] = {w->endpoint};
    connect_to(&admin);
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
    if (invitation_make(&o, &w->administrator, &text, &err) < 0 || token_parse(text, &token, &err) < 0)
        fail_msg("%s", err.text);
    value_add_str(&arguments, span_str("invitation"));
    struct buf bin = {0};
    wire_add_bin(&bin, buf_span(&token.invitation));
    buf_add(&arguments, bin.p, bin.n);
    say(&admin, operate, .req = 1, .verb = span_str("invite"), .target = span_str("etl4"),
        .arguments = wire_list_from(&arguments, 1));
    hear(&admin, done, &done);
    key_from_seed(token.one_time_seed, &newcomer.key);
    connect_to(&newcomer);
    say(&newcomer, query, .req = 2, .what = span_str("servers")); /* not its business */
    hear(&newcomer, error, &error);
    assert_int_equal(error.code, REFUSAL_WRONG_ROLE);
    key_make(&member.key);
    struct hash seal = {{1}};
    if (token_make_certificate(&token, &member.key.sign, &seal, clock_wall_ms(), &certificate, &err) < 0)
        fail_msg("%s", err.text);
    say(&newcomer, enrol, .req = 3, .certificate = buf_span(&certificate));
    hear(&newcomer, done, &done);
    assert_int_equal(done.req, 3);
    member.spool = (struct id){{9}};
    member.certificate = buf_dup(buf_span(&certificate));
    connect_to(&member);
    say(&admin, operate, .req = 4, .verb = span_str("invite"), .target = span_str("etl4"),
        .arguments = wire_list_from(&arguments, 1));
    hear(&admin, error, &error); /* it has been used */
    assert_int_equal(error.req, 4);
    key_from_seed(token.one_time_seed, &again.key);
    dial(&again);
    wait_until(w, again.refused);
    free(text);
    token_free(&token);
    buf_free(&arguments), buf_free(&bin), buf_free(&certificate);
    bye(&again), bye(&member), bye(&newcomer), bye(&admin);
}

static void output_is_kept_and_followed_to_its_end(void **state)
{
    struct world *w = *state;
    struct talker anna, etl1;
    struct m_accepted accepted;
    struct m_execute execute;
    struct m_log log;
    struct m_log_ack ack;
    struct span item;
    struct m_log_data piece;
    caller_and_worker(w, &anna, &etl1);
    call(&anna, "anna", "k1", 1);
    hear(&anna, accepted, &accepted);
    hear(&etl1, execute, &execute);
    say(&anna, logs, .req = 9, .run = accepted.run, .follow = true);
    say(&etl1, log_data, .run = execute.run, .attempt = 1, .step = span_str("s"), .turn = 1, .stream = 1,
        .data = span_str("hello"));
    hear(&etl1, log_ack, &ack);
    assert_int_equal(ack.bytes, 5);
    hear(&anna, log, &log);
    struct wire_iter it = wire_iter(&log.chunks);
    assert_true(wire_next(&it, &item));
    assert_int_equal(m_log_data_decode(item, &piece, NULL), 0);
    assert_true(span_eq_str(piece.data, "hello"));
    assert_false(log.end);
    result(&etl1, execute.run);
    hear(&anna, log, &log);
    assert_true(log.end);
    bye(&anna);
    bye(&etl1);
}

static void begin_parent(struct talker *t, uint64_t req, const struct hash *plan, uint64_t size)
{
    struct buf body = {0}, bytes = {0};
    struct error err = {0};
    struct d_parent d = {.cluster = span_str("test"),
                         .caller = span_str("anna"),
                         .key = span_str("p1"),
                         .name = span_str("nightly"),
                         .plan = *plan,
                         .plan_size = size,
                         .tasks = 1};
    d_parent_encode(&d, &body);
    assert_int_equal(envelope_sign(ENVELOPE_PARENT, &t->key, "anna", 5, buf_span(&body), &bytes, &err), 0);
    say(t, parent_begin, .req = req, .parent = buf_span(&bytes), .drive = true);
    buf_free(&body);
    buf_free(&bytes);
}

static void a_parent_begins_when_its_plan_is_here(void **state)
{
    struct world *w = *state;
    struct talker anna;
    struct m_error error;
    struct m_done done;
    struct m_accepted accepted;
    struct m_chunk chunk;
    struct hash plan;
    struct span bytes = span_str("parent: nightly");
    principal(w, &anna, "anna", ROLE_CALLER, 5, ALL_GRANTS, 3);
    start(w);
    connect_to(&anna);
    hash_bytes(bytes, &plan);
    begin_parent(&anna, 1, &plan, bytes.n);
    hear(&anna, error, &error);
    assert_int_equal(error.code, REFUSAL_NOT_FOUND);
    say(&anna, parent_plan, .req = 2, .plan = plan, .offset = 0, .size = bytes.n, .data = bytes);
    hear(&anna, done, &done);
    assert_true(span_eq_str(done.text, "15"));
    begin_parent(&anna, 3, &plan, bytes.n);
    hear(&anna, accepted, &accepted);
    say(&anna, get, .req = 4, .package = plan, .offset = 8, .length = 100);
    hear(&anna, chunk, &chunk);
    assert_true(span_eq_str(chunk.data, "nightly"));
    bye(&anna);
}

static void a_stranger_does_not_get_in(void **state)
{
    struct world *w = *state;
    struct talker stranger = {.w = w};
    start(w);
    key_make(&stranger.key);
    certify(&stranger, "eve", ROLE_CALLER, 66, NULL,
            0); /* even a good certificate: nobody has told the broker of this key */
    dial(&stranger);
    wait_until(w, stranger.refused);
    assert_int_equal(stranger.refused_code, REFUSAL_UNKNOWN_PRINCIPAL);
    assert_false(stranger.up);
    bye(&stranger);
}

int main(void)
{
#define in_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        in_world(a_call_goes_to_a_worker_and_its_result_comes_back),
        in_world(a_restart_keeps_what_was_and_answers_for_it),
        in_world(every_event_is_seen_once_from_memory_and_from_the_store),
        in_world(a_monitor_sees_what_its_grants_cover_and_no_more),
        in_world(a_role_that_may_not_call_loses_nothing_but_its_answer),
        in_world(a_revoked_certificate_says_nothing_any_more),
        in_world(an_invitation_is_good_for_one_newcomer),
        in_world(output_is_kept_and_followed_to_its_end),
        in_world(a_parent_begins_when_its_plan_is_here),
        in_world(a_stranger_does_not_get_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
