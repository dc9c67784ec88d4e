/* world.h - what the tests of this room share: a core, the spool it writes and the keepers' spool,
 * with the law that replaying both gives the state checked after every event. Included by *_test.c
 * only. */
#ifndef LB_WORKER_CORE_WORLD_H
#define LB_WORKER_CORE_WORLD_H

#include "common/testing.h"
#include "worker/core/core.h"

#define WORLD __attribute__((unused)) static

enum { WORLD_EFFECTS = 4096, WORLD_SLOTS = 2 };

struct world {
    struct wcore_config config;
    struct wcore *core;
    struct wcore_out out;
    struct buf worker_log, keeper_log; /* entries one after the other */
    int64_t now, wall;
    bool auto_job; /* FIND_JOB is answered with `job` */
    struct buf job;
    /* effects since world_clear, copied */
    struct wcore_effect seen[WORLD_EFFECTS];
    unsigned n;
};

WORLD struct id run_id(unsigned n)
{
    struct id id = {{0}};
    id.b[0] = (uint8_t)(n >> 8);
    id.b[1] = (uint8_t)n;
    id.b[15] = 1;
    return id;
}

WORLD void world_clear(struct world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        free((void *)(uintptr_t)w->seen[i].body.p);
    w->n = 0;
}

WORLD void replay_log(struct wcore *c, const struct buf *log)
{
    struct span rest = buf_span(log);
    struct error err = {0};
    while (rest.n) {
        uint64_t kind;
        size_t size;
        assert_int_equal(wire_peek(rest, &kind, &size, &err), 0);
        if (wcore_replay(c, span_of(rest.p, size), &err) < 0)
            fail_msg("replay: %s", err.text);
        rest = span_of(rest.p + size, rest.n - size);
    }
}

WORLD struct wcore *world_replayed(const struct world *w)
{
    struct wcore *c = wcore_new(&w->config);
    replay_log(c, &w->worker_log);
    replay_log(c, &w->keeper_log);
    return c;
}

WORLD void world_check_law(const struct world *w)
{
    struct hash is, replayed;
    struct wcore *c = world_replayed(w);
    wcore_digest(w->core, &is);
    wcore_digest(c, &replayed);
    wcore_free(&c);
    if (!hash_eq(&is, &replayed))
        fail_msg("replaying the spool does not give the state");
}

WORLD void world_step(struct world *w, struct wcore_event ev);

WORLD void world_job_event(struct world *w, struct id run, uint64_t attempt, struct span job,
                           const char *text)
{
    world_step(
        w, (struct wcore_event){
               .kind = WCORE_JOB, .run = run, .attempt = attempt, .message = job, .text = text});
}

WORLD void world_step(struct world *w, struct wcore_event ev)
{
    struct {
        struct id run;
        uint64_t attempt;
    } sought[8];
    unsigned n_sought = 0;
    ev.now = w->now;
    ev.wall = w->wall;
    wcore_step(w->core, &ev, &w->out);
    for (unsigned i = 0; i < w->out.n_effects; i++) {
        struct wcore_effect e = w->out.effects[i];
        if (e.kind == WCORE_FX_SPOOL)
            buf_add(&w->worker_log, e.body.p, e.body.n);
        if (e.kind == WCORE_FX_FIND_JOB) {
            assert_true(n_sought < 8);
            sought[n_sought].run = e.run;
            sought[n_sought++].attempt = e.attempt;
        }
        assert_true(w->n < WORLD_EFFECTS);
        e.body = span_of(mem_dup(e.body.p ? e.body.p : (const uint8_t *)"", e.body.n + !e.body.n),
                         e.body.n);
        w->seen[w->n++] = e;
    }
    world_check_law(w);
    for (unsigned i = 0; w->auto_job && i < n_sought; i++)
        world_job_event(w, sought[i].run, sought[i].attempt, buf_span(&w->job), NULL);
}

WORLD void world_event(struct world *w, enum wcore_event_kind kind)
{
    world_step(w, (struct wcore_event){.kind = kind});
}

/* MESSAGE(w, m_stop, .run = ...), KEEPER(w, s_launched, ...), TELL(w, WCORE_KEPT, s_kept, ...) */
#define TELL(w, what, name, ...) \
    do { \
        struct name tell_ = {__VA_ARGS__}; \
        struct buf bytes_ = {0}; \
        name##_encode(&tell_, &bytes_); \
        world_step((w), (struct wcore_event){.kind = (what), .message = buf_span(&bytes_)}); \
        buf_free(&bytes_); \
    } while (0)
#define MESSAGE(w, name, ...) TELL(w, WCORE_MESSAGE, name, __VA_ARGS__)
#define KEEPER(w, name, ...) \
    do { \
        struct name keeper_ = {__VA_ARGS__}; \
        name##_encode(&keeper_, &(w)->keeper_log); \
        TELL(w, WCORE_SPOOL, name, __VA_ARGS__); \
    } while (0)

/* ---- A job: steps as rows */
struct row {
    const char *name, *on_success, *on_failure;
    bool always;
    uint64_t attempts, interval_ms, backoff;
    const char *retry_codes; /* as bytes */
};

WORLD void world_job(struct world *w, const struct row *rows, unsigned n)
{
    struct buf items = {0}, one = {0};
    for (unsigned i = 0; i < n; i++) {
        struct d_step s = {.name = span_str(rows[i].name),
                           .always = rows[i].always,
                           .subsystem = span_str("exec"),
                           .proxy = span_str("default"),
                           .attempts = rows[i].attempts,
                           .interval_ms = rows[i].interval_ms,
                           .backoff = rows[i].backoff,
                           .retry_codes = span_str(rows[i].retry_codes),
                           .on_success = span_str(rows[i].on_success),
                           .on_failure = span_str(rows[i].on_failure)};
        buf_clear(&one);
        d_step_encode(&s, &one);
        wire_add_bin(&items, buf_span(&one));
    }
    struct d_job j = {.name = span_str("nightly"), .steps = wire_list_from(&items, n)};
    buf_clear(&w->job);
    d_job_encode(&j, &w->job);
    buf_free(&items);
    buf_free(&one);
}

/* ---- What the broker sends */
WORLD void world_execute_call(struct world *w, unsigned run, uint64_t attempt,
                              const struct d_call *call)
{
    struct buf body = {0}, signed_call = {0};
    d_call_encode(call, &body);
    struct d_signed s = {.signer = span_str("anna"), .body = buf_span(&body)};
    d_signed_encode(&s, &signed_call);
    /* every job of a test has a hash of its own, as in life */
    struct hash hash = {{1}};
    for (size_t i = 0; i < w->job.n; i++)
        hash.b[i % 32] = (uint8_t)(hash.b[i % 32] * 31 + w->job.p[i]);
    MESSAGE(w, m_execute, .run = run_id(run), .attempt = attempt, .call = buf_span(&signed_call),
            .job_hash = hash, .on_lost = ON_LOST_FAIL);
    buf_free(&body);
    buf_free(&signed_call);
}

WORLD void world_execute(struct world *w, unsigned run, uint64_t attempt)
{
    struct d_call call = {.cluster = span_str("test"),
                          .caller = span_str("anna"),
                          .key = span_str("k"),
                          .job = span_str("nightly"),
                          .address = span_str("etl1")};
    world_execute_call(w, run, attempt, &call);
}

/* ---- What keepers write */
WORLD void launched(struct world *w, unsigned run, uint64_t attempt, const char *step,
                    uint64_t try_no)
{
    KEEPER(w, s_launched, .run = run_id(run), .attempt = attempt, .step = span_str(step),
           .try_no = try_no, .at = w->wall, .pid = 7);
}

WORLD void ended_as(struct world *w, unsigned run, uint64_t attempt, struct d_step_outcome o)
{
    struct buf bytes = {0};
    o.ended_at = w->wall;
    d_step_outcome_encode(&o, &bytes);
    KEEPER(w, s_ended, .run = run_id(run), .attempt = attempt, .outcome = buf_span(&bytes));
    buf_free(&bytes);
}

WORLD void ended(struct world *w, unsigned run, uint64_t attempt, const char *step, uint64_t try_no,
                 enum package_outcome package)
{
    ended_as(w, run, attempt,
             (struct d_step_outcome){
                 .name = span_str(step),
                 .try_no = try_no,
                 .package = package,
                 .exit_code = package == PACKAGE_SUCCEEDED ? 0 : 4,
                 .message = span_str(package == PACKAGE_SUCCEEDED ? "fine" : "no such table")});
}

WORLD void ran(struct world *w, unsigned run, const char *step, uint64_t try_no,
               enum package_outcome package)
{
    launched(w, run, 1, step, try_no);
    ended(w, run, 1, step, try_no, package);
}

WORLD void kept(struct world *w, unsigned run, uint64_t attempt, const char *step, uint64_t try_no,
                uint64_t state)
{
    TELL(w, WCORE_KEPT, s_kept, .run = run_id(run), .attempt = attempt, .step = span_str(step),
         .try_no = try_no, .state = state);
}

/* ---- Begin, restart, end */
WORLD void world_up(struct world *w)
{
    world_event(w, WCORE_SESSION_UP);
}

WORLD void world_runner(struct world *w)
{
    world_event(w, WCORE_RUNNER_UP);
    world_event(w, WCORE_KEPT_END);
}

WORLD int world_setup(void **state)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    w->config = (struct wcore_config){.server = "etl1", .slots = WORLD_SLOTS};
    w->core = wcore_new(&w->config);
    w->now = 1000;
    w->wall = 1700000000000;
    w->auto_job = true;
    world_job(w, (struct row[]){{.name = "run"}}, 1);
    world_up(w);
    world_runner(w);
    world_clear(w);
    *state = w;
    return 0;
}

WORLD int world_teardown(void **state)
{
    struct world *w = *state;
    world_clear(w);
    wcore_free(&w->core);
    wcore_out_free(&w->out);
    buf_free(&w->worker_log);
    buf_free(&w->keeper_log);
    buf_free(&w->job);
    mem_free(state);
    return 0;
}

/* kill -9 and a new process: no session, no runner yet. */
WORLD void world_restart(struct world *w)
{
    struct wcore *c = world_replayed(w);
    wcore_free(&w->core);
    w->core = c;
    world_clear(w);
}

WORLD void world_pass(struct world *w, int64_t ms)
{
    w->now += ms;
    w->wall += ms;
    world_event(w, WCORE_TICK);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

/* ---- What was seen. The index is of the kind asked for: 0 is the first one since world_clear. */
WORLD struct span seen_at(const struct world *w, enum wcore_effect_kind fx, uint64_t kind,
                          unsigned index)
{
    for (unsigned i = 0; i < w->n; i++) {
        uint64_t k;
        size_t size;
        struct error err = {0};
        if (w->seen[i].kind == fx && wire_peek(w->seen[i].body, &k, &size, &err) == 0 &&
            k == kind && index-- == 0)
            return w->seen[i].body;
    }
    return SPAN_NONE;
}

WORLD unsigned seen_count(const struct world *w, enum wcore_effect_kind fx, uint64_t kind)
{
    unsigned n = 0;
    while (seen_at(w, fx, kind, n).n)
        n++;
    return n;
}
#define sent(w, KIND)    seen_count(w, WCORE_FX_SEND, KIND_M_##KIND)
#define asked(w)         seen_count(w, WCORE_FX_RUNNER, KIND_S_STEP)
#define halted(w)        seen_count(w, WCORE_FX_RUNNER, KIND_S_HALT)
#define spooled(w, KIND) seen_count(w, WCORE_FX_SPOOL, KIND_S_##KIND)

WORLD struct s_step step_asked(const struct world *w, unsigned index)
{
    struct s_step s = {.try_no = 0};
    struct error err = {0};
    assert_int_equal(s_step_decode(seen_at(w, WCORE_FX_RUNNER, KIND_S_STEP, index), &s, &err), 0);
    return s;
}

WORLD struct s_halt halt_asked(const struct world *w, unsigned index)
{
    struct s_halt s = {.force = false};
    struct error err = {0};
    assert_int_equal(s_halt_decode(seen_at(w, WCORE_FX_RUNNER, KIND_S_HALT, index), &s, &err), 0);
    return s;
}

WORLD void assert_asked(const struct world *w, unsigned index, const char *step, uint64_t try_no)
{
    struct s_step s = step_asked(w, index);
    if (!span_eq_str(s.step, step))
        fail_msg("asked for step '" SPAN_FMT "', not '%s'", SPAN_ARG(s.step), step);
    assert_int_equal(s.try_no, try_no);
}

WORLD struct d_outcome result(const struct world *w, unsigned index)
{
    struct m_result r;
    struct d_outcome o = {.status = 0};
    struct error err = {0};
    struct span m = seen_at(w, WCORE_FX_SEND, KIND_M_RESULT, index);
    if (!m.n)
        fail_msg("there is no RESULT number %u", index);
    assert_int_equal(m_result_decode(m, &r, &err), 0);
    assert_int_equal(d_outcome_decode(r.outcome, &o, &err), 0);
    return o;
}

WORLD void assert_result(const struct world *w, unsigned index, enum delivery d, enum job_outcome j,
                         enum package_outcome p)
{
    struct d_outcome o = result(w, index);
    if (o.delivery != d || o.job != j || o.package != p)
        fail_msg("the outcome is %s, %s, %s", delivery_text(o.delivery), job_outcome_text(o.job),
                 package_outcome_text(o.package));
    assert_int_equal(o.status, outcome_status(d, j, p));
}

WORLD struct d_step_outcome step_result(const struct world *w, unsigned index, unsigned step)
{
    struct d_outcome o = result(w, index);
    struct d_step_outcome s = {.try_no = 0};
    struct error err = {0};
    struct wire_iter it = wire_iter(&o.steps);
    struct span item;
    for (unsigned i = 0; wire_next(&it, &item); i++)
        if (i == step) {
            assert_int_equal(d_step_outcome_decode(item, &s, &err), 0);
            return s;
        }
    fail_msg("the outcome has no step %u", step);
    return s;
}

WORLD void assert_text(struct span s, const char *text)
{
    if (!span_eq_str(s, text))
        fail_msg("'" SPAN_FMT "' is not '%s'", SPAN_ARG(s), text);
}

WORLD void assert_has(struct span s, const char *part)
{
    char *text = span_dup_str(s);
    assert_contains(text, part);
    mem_free(&text);
}

#endif
