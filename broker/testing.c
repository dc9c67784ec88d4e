/* testing.c - see testing.h. */
#include "broker/testing.h"

#include <sodium.h>

#include "common/clock.h"
#include "trust/call.h"

const char *const btest_all_grants[BTEST_GRANTS] = {"call *@*", "watch *@*", "operate *@*"};

/* ---- Peers */
static void on_hello(void *self, struct m_hello *m)
{
    struct btest_peer *t = self;
    m->certificate = buf_span(&t->certificate);
    m->spool = m->boot = m->incarnation = t->spool;
    if (t->minor)
        m->minor = t->minor;
}

static void on_up(void *self, const struct m_welcome *welcome)
{
    struct btest_peer *t = self;
    (void)welcome;
    t->up = true;
    t->sessions++;
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct btest_peer *t = self;
    uint32_t n = (uint32_t)message.n;
    if (kind == KIND_M_PONG)
        t->pongs += sizeof n + n;
    buf_add(&t->heard, &n, sizeof n);
    buf_add(&t->heard, message.p, message.n);
}

static void on_down(void *self, const char *reason)
{
    (void)reason;
    ((struct btest_peer *)self)->up = false;
}

static void on_refused(void *self, const struct m_refused *m)
{
    struct btest_peer *t = self;
    t->refused = true;
    t->refused_code = m->code;
}

void btest_turn(struct btest *w)
{
    struct error err = {0};
    if (loop_turn(w->loop, clock_boot_ms() + 100, &err) < 0)
        fail_msg("%s", err.text);
}

void btest_dial(struct btest_peer *t)
{
    const char *addresses[] = {t->w->endpoint};
    struct error err = {0};
    struct dialer_options o = {.addresses = addresses,
                               .n_addresses = 1,
                               .broker_key = t->w->key.transport,
                               .secret_transport = t->key.transport_secret,
                               .public_transport = t->key.transport.b};
    struct dialer_calls calls = {.self = t,
                                 .hello = on_hello,
                                 .up = on_up,
                                 .message = on_message,
                                 .down = on_down,
                                 .refused = on_refused};
    if (dialer_open(&t->dialer, t->w->loop, &o, &calls, &err) < 0)
        fail_msg("%s", err.text);
}

void btest_certify(struct btest_peer *t, const char *name, enum role role, uint64_t serial,
                   const char *const *grants, size_t n_grants)
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

void btest_bye(struct btest_peer *t)
{
    dialer_close(&t->dialer);
    buf_free(&t->certificate);
    buf_free(&t->heard);
}

void btest_say_schema(struct btest_peer *t, const struct wire_schema *s, const void *message)
{
    struct buf b = {0};
    wire_encode(s, message, &b);
    assert_int_equal(dialer_send(t->dialer, buf_span(&b)), 0);
    buf_free(&b);
}

/* The next message of the schema's kind; others before it are skipped. False: not yet. */
bool btest_next_of(struct btest_peer *t, const struct wire_schema *s, void *ret)
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

/* ---- The world */
void btest_write_file(struct btest *w, const char *name, struct span content, mode_t mode)
{
    struct error err = {0};
    char *path = mem_printf("%s/etc/%s", w->home, name);
    if (file_write_atomic(path, content, mode, &err) < 0)
        fail_msg("%s", err.text);
    mem_free(&path);
}

static void make_folder(struct btest *w, const char *name)
{
    struct error err = {0};
    char *path = mem_printf("%s/%s", w->home, name);
    assert_int_equal(file_make_dirs(path, 0700, &err), 0);
    mem_free(&path);
}

void btest_start(struct btest *w)
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
                               .memory_budget = w->memory_budget ? w->memory_budget : 1 << 24,
                               .bodies_budget = w->bodies_budget,
                               .max_runs = w->max_runs ? w->max_runs : 1000,
                               .lease_ms = 15000,
                               .lost_after_ms = 300000};
    if (broker_open(&w->broker, w->loop, &o, &err) < 0)
        fail_msg("%s", err.text);
    if (!w->endpoint)
        w->endpoint = mem_strdup(broker_endpoint(w->broker, 0));
    mem_free(&config);
    mem_free(&state);
}

int btest_setup(void **state)
{
    struct btest *w = mem_zalloc(1, sizeof *w);
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
    btest_write_file(w, "trust/administrators", buf_span(&text), 0644);
    buf_free(&text);
    anchors_free(&anchors);
    struct btest_peer own = {.w = w, .key = w->key};
    btest_certify(&own, "b1", ROLE_BROKER, 1, NULL, 0);
    btest_write_file(w, "trust/broker", buf_span(&own.certificate), 0644);
    char *path = mem_printf("%s/etc/keys/broker.key", w->home);
    assert_int_equal(key_file_create(path, w->key.seed, &err), 0);
    mem_free(&path);
    buf_free(&own.certificate);
    *state = w;
    return 0;
}

int btest_teardown(void **state)
{
    struct btest *w = *state;
    void *folder = w->home;
    broker_close(&w->broker);
    loop_destroy(&w->loop);
    mem_free(&w->endpoint);
    testing_folder_end(&folder);
    mem_free(&w);
    return 0;
}

/* A principal whose certificate lies in etc/trust/known. */
void btest_principal(struct btest *w, struct btest_peer *t, const char *name, enum role role,
                     uint64_t serial, const char *const *grants, size_t n_grants)
{
    memset(t, 0, sizeof *t);
    t->w = w;
    key_make(&t->key);
    btest_certify(t, name, role, serial, grants, n_grants);
    char *file = mem_printf("trust/known/%s", name);
    btest_write_file(w, file, buf_span(&t->certificate), 0644);
    mem_free(&file);
}

void btest_connect(struct btest_peer *t)
{
    btest_dial(t);
    wait_until(t->w, t->up);
}

void btest_attest(struct btest_peer *worker)
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

void btest_call(struct btest_peer *caller, const char *name, const char *key, uint64_t req)
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

void btest_result(struct btest_peer *worker, struct id run)
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
struct id btest_run_one(struct btest_peer *caller, struct btest_peer *worker, const char *key)
{
    struct m_accepted accepted;
    struct m_execute execute;
    struct m_run_ended ended;
    struct m_recorded recorded;
    btest_call(caller, "anna", key, 1);
    hear(caller, accepted, &accepted);
    hear(worker, execute, &execute);
    assert_true(id_eq(execute.run, accepted.run));
    btest_result(worker, execute.run);
    hear(worker, recorded, &recorded);
    hear(caller, run_ended, &ended);
    assert_true(id_eq(ended.run, accepted.run));
    return accepted.run;
}

/* ---- What monitors and people ask */
/* The rows, a line each. */
void btest_ask(struct btest_peer *t, const char *what, const char *key, const char *value,
               struct buf *ret)
{
    struct buf where = {0};
    struct m_rows rows;
    struct span row;
    if (key) {
        value_add_str(&where, span_str(key));
        value_add_str(&where, span_str(value));
    }
    say(t, query, .req = 40, .what = span_str(what), .where = wire_list_from(&where, key != NULL),
        .limit = 100);
    hear(t, rows, &rows);
    buf_clear(ret);
    for (struct wire_iter it = wire_iter(&rows.rows); wire_next(&it, &row);) {
        buf_add(ret, row.p, row.n);
        buf_add_str(ret, "\n");
    }
    buf_str(ret);
    buf_free(&where);
}

/* Takes events until `to` is at least `upto`; checks that stretches join without a gap and counts
 * each number once. */
unsigned btest_follow_events(struct btest_peer *t, uint64_t req, uint64_t after, uint64_t upto,
                             uint64_t *ret_to)
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

void btest_caller_and_worker(struct btest *w, struct btest_peer *anna, struct btest_peer *etl1)
{
    btest_principal(w, anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_principal(w, etl1, "etl1", ROLE_SERVER, 6, NULL, 0);
    etl1->spool = (struct id){{3}};
    btest_start(w);
    btest_connect(anna);
    btest_connect(etl1);
    btest_attest(etl1);
}
