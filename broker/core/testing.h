/* testing.h - a broker's core between the hands of a test: sessions that say encoded messages, a
 * log of what left, a clock.
 *
 * Every record of a test is kept; at its end (and at world_restart) they are replayed into a second
 * core, whose digest must be equal. Included by *_test.c only. */
#ifndef LB_BROKER_CORE_TESTING_H
#define LB_BROKER_CORE_TESTING_H

#include "common/testing.h"
#include "broker/core/explain.h"
#include "broker/core/view.h"
#include "trust/call.h"
#include "trust/envelope.h"

#define UNUSED __attribute__((unused)) static

enum { WORLD_WALL = 1000000, WORLD_SLOTS = 2 };

struct logged {
    struct bcore_effect effect; /* body: a copy */
    uint64_t kind;              /* of the message */
    bool taken;
};

struct world {
    struct bcore_config config;
    struct bcore *core;
    struct bcore_out out;
    int64_t now, wall;
    uint64_t peers, turn, lsn;
    struct buf journal; /* u64 lsn, u64 length, body ... */
    struct logged *log;
    size_t n_log;
    struct buf scratch[8];
    unsigned scratch_turn;
    bool window_closed; /* what `say` tells of the window */
    bool looked_up;
    uint64_t asked_at; /* lsn; 0: just now */
    const struct bcore_known *known;
    uint64_t deploy_size;
};

UNUSED struct buf *world_scratch(struct world *w)
{
    struct buf *b = &w->scratch[w->scratch_turn++ % 8];
    buf_clear(b);
    return b;
}

/* ---- Stepping */
UNUSED void world_took(struct world *w)
{
    for (unsigned i = 0; i < w->out.n_records; i++) {
        uint64_t head[2] = {w->out.records[i].lsn, w->out.records[i].body.n};
        assert_int_equal(w->out.records[i].lsn, w->lsn + 1);
        w->lsn++;
        buf_add(&w->journal, head, sizeof head);
        buf_add(&w->journal, w->out.records[i].body.p, w->out.records[i].body.n);
    }
    for (unsigned i = 0; i < w->out.n_effects; i++) {
        struct logged l = {.effect = w->out.effects[i]};
        struct error err;
        size_t size;
        assert_true(l.effect.rests_on <= w->lsn);
        l.effect.body.p =
            mem_dup(l.effect.body.p ? l.effect.body.p : (const uint8_t *)"", l.effect.body.n);
        if (l.effect.kind != BCORE_FX_LOOKUP && l.effect.kind != BCORE_FX_EXECUTE)
            assert_int_equal(wire_peek(l.effect.body, &l.kind, &size, &err), 0);
        w->log = mem_realloc(w->log, w->n_log + 1, sizeof *w->log);
        w->log[w->n_log++] = l;
    }
}

UNUSED void world_step(struct world *w, struct bcore_event ev)
{
    ev.now = w->now;
    ev.wall = w->wall;
    w->turn++;
    for (unsigned i = 0; i < 8; i++)
        ev.random[i] = ev.random[8 + i] = (uint8_t)(w->turn >> 8 * (7 - i));
    if (ev.kind != BCORE_WINDOW)
        ev.window_open = !w->window_closed;
    bcore_step(w->core, &ev, &w->out);
    world_took(w);
}

/* Time passes; timers act when they are due. */
UNUSED void world_pass(struct world *w, int64_t ms)
{
    int64_t end = w->now + ms;
    for (;;) {
        int64_t next = bcore_deadline(w->core);
        next = next < w->now ? w->now : next > end ? end : next;
        w->wall += next - w->now;
        bool last = next == end && bcore_deadline(w->core) > end;
        w->now = next;
        world_step(w, (struct bcore_event){.kind = BCORE_TICK});
        if (last || (next == end && bcore_deadline(w->core) > end))
            return;
    }
}

UNUSED void log_clear(struct world *w)
{
    for (size_t i = 0; i < w->n_log; i++)
        free((void *)(uintptr_t)w->log[i].effect.body.p);
    w->n_log = 0;
}

/* The first effect not taken yet that is this message to this peer. */
UNUSED const struct logged *find_sent(struct world *w, uint64_t peer, uint64_t kind)
{
    for (size_t i = 0; i < w->n_log; i++)
        if (!w->log[i].taken && w->log[i].effect.peer == peer && w->log[i].kind == kind)
            return &w->log[i];
    return NULL;
}

UNUSED const struct logged *take_sent(struct world *w, uint64_t peer, uint64_t kind,
                                      const struct wire_schema *s, void *ret)
{
    struct logged *l = (struct logged *)(uintptr_t)find_sent(w, peer, kind);
    struct error err = {0};
    if (!l)
        fail_msg("no %s was sent to peer %d", s->name, (int)peer);
    l->taken = true;
    if (wire_decode(s, l->effect.body, false, ret, &err) < 0)
        fail_msg("%s", err.text);
    return l;
}
#define SENT(w, peer, UP, low, ret) take_sent(w, peer, KIND_M_##UP, &m_##low##_schema, ret)
#define NOT_SENT(w, peer, UP)       assert_null(find_sent(w, peer, KIND_M_##UP))

UNUSED unsigned count_sent(struct world *w, uint64_t peer, uint64_t kind)
{
    unsigned n = 0;
    for (size_t i = 0; i < w->n_log; i++)
        n += w->log[i].effect.peer == peer && w->log[i].kind == kind;
    return n;
}

UNUSED const struct logged *find_lookup(struct world *w, enum bcore_effect_kind kind)
{
    for (size_t i = 0; i < w->n_log; i++)
        if (!w->log[i].taken && w->log[i].effect.kind == kind) {
            w->log[i].taken = true;
            return &w->log[i];
        }
    return NULL;
}

/* How many records of this kind the journal has. */
UNUSED unsigned records_of(const struct world *w, uint64_t kind)
{
    unsigned n = 0;
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2], k;
        struct error err;
        size_t size;
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        assert_int_equal(wire_peek(span_of(w->journal.p + at, head[1]), &k, &size, &err), 0);
        n += k == kind;
        at += head[1];
    }
    return n;
}

/* The record of this number; empty: the journal has none. */
UNUSED struct span record_at(const struct world *w, uint64_t lsn)
{
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2];
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        if (head[0] == lsn)
            return span_of(w->journal.p + at, head[1]);
        at += head[1];
    }
    return SPAN_NONE;
}

/* The call of a live run as it was recorded. */
UNUSED struct span called_bytes(const struct world *w, struct id run)
{
    struct view_run v;
    struct r_called r = {0};
    struct error err;
    assert_true(view_run(w->core, &run, &v));
    assert_int_equal(r_called_decode(record_at(w, v.called_lsn), &r, &err), 0);
    assert_true(id_eq(r.run, run));
    return r.call;
}

/* ---- The core's life */
UNUSED struct bcore *world_replayed(struct world *w)
{
    struct bcore *c = bcore_new(&w->config);
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2];
        struct error err = {0};
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        if (bcore_replay(c, head[0], span_of(w->journal.p + at, head[1]), &err) < 0)
            fail_msg("replay: %s", err.text);
        at += head[1];
    }
    return c;
}

UNUSED void world_check_replay(struct world *w)
{
    struct bcore *c = world_replayed(w);
    struct hash a, b;
    bcore_digest(w->core, &a);
    bcore_digest(c, &b);
    assert_memory_equal(a.b, b.b, sizeof a.b);
    bcore_free(&c);
}

UNUSED void world_begin_as(struct world *w, bool restored)
{
    struct bcore_event ev = {.now = w->now, .wall = w->wall, .restored = restored};
    bcore_begin(w->core, &ev, &w->out);
    world_took(w);
}

UNUSED void world_begin(struct world *w)
{
    world_begin_as(w, false);
}

UNUSED void world_restart_as(struct world *w, bool restored)
{
    struct bcore *c;
    world_check_replay(w);
    c = world_replayed(w);
    bcore_free(&w->core);
    w->core = c;
    log_clear(w);
    world_begin_as(w, restored);
}

/* The process dies and another one begins: sessions are gone. */
UNUSED void world_restart(struct world *w)
{
    world_restart_as(w, false);
}

UNUSED int world_setup(void **state)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    struct error err = {0};
    if (trust_init(&err) < 0)
        return -1;
    w->config = (struct bcore_config){
        .memory_budget = 64 << 20, .max_runs = 100000, .cluster = "test", .broker = "b0"};
    w->now = 5000;
    w->wall = WORLD_WALL;
    w->core = bcore_new(&w->config);
    world_begin(w);
    *state = w;
    return 0;
}

UNUSED int world_teardown(void **state)
{
    struct world *w = *state;
    world_check_replay(w);
    bcore_free(&w->core);
    bcore_out_free(&w->out);
    log_clear(w);
    free(w->log);
    buf_free(&w->journal);
    for (unsigned i = 0; i < 8; i++)
        buf_free(&w->scratch[i]);
    mem_free(state);
    return 0;
}
#define in_world(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

/* ---- Documents; nobody verifies them here, so nothing is signed */
UNUSED struct span wrapped(struct world *w, struct span body, const char *signer)
{
    struct buf *out = world_scratch(w);
    uint8_t signature[64] = {0};
    d_signed_encode(&(struct d_signed){.signer = span_str(signer),
                                       .body = body,
                                       .signature = span_of(signature, 64)},
                    out);
    return buf_span(out);
}

UNUSED struct span certificate_of(struct world *w, const char *name, const char *role,
                                  uint64_t serial, const char *const *pools)
{
    struct buf items = {0};
    uint32_t n = 0;
    struct buf *body = world_scratch(w);
    for (; pools && pools[n]; n++)
        wire_add_str(&items, span_str(pools[n]));
    d_certificate_encode(&(struct d_certificate){.cluster = span_str("test"),
                                                 .name = span_str(name),
                                                 .role = span_str(role),
                                                 .serial = serial,
                                                 .pools = wire_list_from(&items, n)},
                         body);
    buf_free(&items);
    return wrapped(w, buf_span(body), "admin");
}

UNUSED uint64_t serial_of(const char *name)
{
    uint64_t h = 7;
    for (; *name; name++)
        h = h * 31 + (uint8_t)*name;
    return h;
}

UNUSED struct id id_of(uint8_t b)
{
    struct id id;
    memset(id.b, b, sizeof id.b);
    return id;
}

UNUSED struct hash hash_of(uint8_t b)
{
    struct hash h;
    memset(h.b, b, sizeof h.b);
    return h;
}

/* ---- Sessions */
UNUSED uint64_t up(struct world *w, const char *name, const char *role, const char *const *pools,
                   struct m_hello hello)
{
    struct bcore_peer who = {.name = name, .role = role, .address = "10.0.0.1"};
    struct buf *m = world_scratch(w);
    uint64_t peer = ++w->peers;
    who.certificate = certificate_of(w, name, role, serial_of(name), pools);
    hello.major = hello.major ? hello.major : PROTO_MAJOR;
    hello.software = span_str("test 1");
    m_hello_encode(&hello, m);
    world_step(w, (struct bcore_event){
                      .kind = BCORE_PEER_UP, .peer = peer, .who = &who, .message = buf_span(m)});
    return peer;
}

UNUSED uint64_t caller_up(struct world *w, const char *name)
{
    return up(w, name, "caller", NULL, (struct m_hello){0});
}

UNUSED void down(struct world *w, uint64_t peer)
{
    world_step(w, (struct bcore_event){.kind = BCORE_PEER_DOWN, .peer = peer});
}

UNUSED void say_bytes(struct world *w, uint64_t peer, const char *name, struct span message)
{
    static const char *const none[1];
    struct bcore_peer who = {.name = name, .role = "", .pools = none, .address = ""};
    who.certificate = certificate_of(w, name, "caller", serial_of(name), NULL);
    world_step(w, (struct bcore_event){.kind = BCORE_MESSAGE,
                                       .peer = peer,
                                       .who = &who,
                                       .message = message,
                                       .looked_up = w->looked_up,
                                       .lsn = w->asked_at ? w->asked_at : w->lsn,
                                       .known = w->known,
                                       .size = w->deploy_size});
}
UNUSED void say_schema(struct world *w, uint64_t peer, const char *name,
                       const struct wire_schema *s, const void *m)
{
    struct buf b = {0};
    wire_encode(s, m, &b);
    say_bytes(w, peer, name, buf_span(&b));
    buf_free(&b);
}
#define SAY(w, peer, name, low, ...) \
    say_schema(w, peer, name, &m_##low##_schema, &(struct m_##low){__VA_ARGS__})

UNUSED void window(struct world *w, uint64_t peer, bool open)
{
    world_step(w, (struct bcore_event){.kind = BCORE_WINDOW, .peer = peer, .window_open = open});
}

/* ---- Workers */
struct attested {
    const char *job;
    uint8_t hash;
    uint64_t concurrency;
    bool idempotent;
    const char *need;
    uint64_t older;
};

UNUSED void attest(struct world *w, uint64_t peer, const char *name, uint64_t slots,
                   const struct attested *jobs, const char *need, bool holds)
{
    struct buf items = {0}, needs = {0}, one = {0}, of_job = {0};
    uint32_t n = 0, n_needs = 0;
    for (; jobs[n].job; n++) {
        buf_clear(&one);
        buf_clear(&of_job);
        if (jobs[n].need)
            wire_add_str(&of_job, span_str(jobs[n].need));
        d_attested_job_encode(
            &(struct d_attested_job){.name = span_str(jobs[n].job),
                                     .job_hash = hash_of(jobs[n].hash),
                                     .version = span_str("1"),
                                     .concurrency = jobs[n].concurrency,
                                     .idempotent = jobs[n].idempotent,
                                     .needs = wire_list_from(&of_job, jobs[n].need != NULL),
                                     .older = jobs[n].older},
            &one);
        wire_add_bin(&items, buf_span(&one));
    }
    if (need) {
        buf_clear(&one);
        d_need_encode(&(struct d_need){.need = span_str(need),
                                       .holds = holds,
                                       .trouble = span_str(holds ? "" : "absent")},
                      &one);
        wire_add_bin(&needs, buf_span(&one));
        n_needs = 1;
    }
    SAY(w, peer, name, attest, .slots = slots, .jobs = wire_list_from(&items, n),
        .needs = wire_list_from(&needs, n_needs));
    buf_free(&items);
    buf_free(&needs);
    buf_free(&one);
    buf_free(&of_job);
}

/* A worker with an open session, not yet HAVE_END. */
UNUSED uint64_t worker_hello(struct world *w, const char *name, uint8_t spool)
{
    static const char *const pools[] = {"etl", NULL};
    return up(w, name, "server", pools,
              (struct m_hello){.spool = id_of(spool),
                               .boot = id_of(1),
                               .incarnation = id_of(2),
                               .slots = WORLD_SLOTS});
}

/* A worker in pool etl that is ready and has job `load` with hash 1. */
UNUSED uint64_t worker_up(struct world *w, const char *name, uint8_t spool)
{
    uint64_t peer = worker_hello(w, name, spool);
    SAY(w, peer, name, have_end, .count = 0);
    attest(w, peer, name, WORLD_SLOTS, (struct attested[]){{.job = "load", .hash = 1}, {0}}, NULL,
           false);
    return peer;
}

/* ---- Calls */
UNUSED struct d_call call_of(const char *key)
{
    return (struct d_call){.cluster = span_str("test"),
                           .caller = span_str("anna"),
                           .key = span_str(key),
                           .job = span_str("load"),
                           .job_hash = hash_of(1),
                           .address = span_str("etl"),
                           .issued_at = WORLD_WALL,
                           .expires = WORLD_WALL + 100 * 86400000ll};
}

UNUSED void call_with(struct world *w, uint64_t peer, uint64_t req, const struct d_call *d,
                      uint64_t follow)
{
    struct buf *body = world_scratch(w);
    d_call_encode(d, body);
    char name[LIMIT_NAME + 1];
    span_copy_str(d->caller, name, sizeof name);
    SAY(w, peer, name, call, .req = req, .call = wrapped(w, buf_span(body), name),
        .follow = follow);
}

/* Calls `load` at etl; the run's id. */
UNUSED struct id call_d(struct world *w, uint64_t peer, struct d_call d)
{
    struct m_accepted a;
    call_with(w, peer, 1, &d, 0);
    SENT(w, peer, ACCEPTED, accepted, &a);
    return a.run;
}
UNUSED struct id call(struct world *w, uint64_t peer, const char *key)
{
    return call_d(w, peer, call_of(key));
}

UNUSED enum run_state state_of(struct world *w, struct id run)
{
    struct view_run v;
    return view_run(w->core, &run, &v) ? v.state : RUN_ENDED;
}

UNUSED struct span outcome_of(struct world *w, enum job_outcome job, enum package_outcome package,
                              int64_t ms)
{
    struct buf *b = world_scratch(w);
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_CALLED,
                                         .job = job,
                                         .package = package,
                                         .status = outcome_status(DELIVERY_CALLED, job, package),
                                         .started_at = 1000,
                                         .ended_at = 1000 + ms},
                     b);
    return buf_span(b);
}

UNUSED void succeed(struct world *w, uint64_t peer, const char *name, struct id run,
                    uint64_t attempt, int64_t ms)
{
    SAY(w, peer, name, result, .run = run, .attempt = attempt,
        .outcome = outcome_of(w, JOB_SUCCEEDED, PACKAGE_SUCCEEDED, ms));
}

/* The outcome that a follower was told. */
UNUSED struct d_outcome told_end(struct world *w, uint64_t peer, struct id run)
{
    struct m_run_ended e;
    struct d_outcome o = {0};
    struct error err;
    SENT(w, peer, RUN_ENDED, run_ended, &e);
    assert_true(id_eq(e.run, run));
    assert_int_equal(d_outcome_decode(e.outcome, &o, &err), 0);
    return o;
}

UNUSED enum refusal told_error(struct world *w, uint64_t peer, const char *part)
{
    struct m_error e;
    char text[LIMIT_TEXT];
    SENT(w, peer, ERROR, error, &e);
    span_copy_str(e.text, text, sizeof text);
    assert_contains(text, part);
    return (enum refusal)e.code;
}

#endif
