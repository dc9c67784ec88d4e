/* testing.c - see testing.h. */
#include "worker/core/testing.h"

struct id wtest_run(unsigned n)
{
    struct id id = {{0}};
    id.b[0] = (uint8_t)(n >> 8);
    id.b[1] = (uint8_t)n;
    id.b[15] = 1;
    return id;
}

void wtest_clear(struct wtest *w)
{
    for (unsigned i = 0; i < w->n; i++)
        free((void *)(uintptr_t)w->seen[i].body.p);
    w->n = 0;
}

static void wtest_replay_log(struct wcore *c, const struct buf *log)
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

struct wcore *wtest_replayed(const struct wtest *w)
{
    struct wcore *c = wcore_new(&w->config);
    wtest_replay_log(c, &w->worker_log);
    wtest_replay_log(c, &w->keeper_log);
    return c;
}

static void wtest_check_law(const struct wtest *w)
{
    struct hash is, replayed;
    struct wcore *c = wtest_replayed(w);
    wcore_digest(w->core, &is);
    wcore_digest(c, &replayed);
    wcore_free(&c);
    if (!hash_eq(&is, &replayed))
        fail_msg("replaying the spool does not give the state");
}

void wtest_job_event(struct wtest *w, struct id run, uint64_t attempt, struct span job,
                     const char *text)
{
    wtest_step(
        w, (struct wcore_event){
               .kind = WCORE_JOB, .run = run, .attempt = attempt, .message = job, .text = text});
}

void wtest_step(struct wtest *w, struct wcore_event ev)
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
        assert_true(w->n < WTEST_EFFECTS);
        e.body = span_of(mem_dup(e.body.p ? e.body.p : (const uint8_t *)"", e.body.n + !e.body.n),
                         e.body.n);
        w->seen[w->n++] = e;
    }
    wtest_check_law(w);
    for (unsigned i = 0; w->auto_job && i < n_sought; i++)
        wtest_job_event(w, sought[i].run, sought[i].attempt, buf_span(&w->job), NULL);
}

void wtest_event(struct wtest *w, enum wcore_event_kind kind)
{
    wtest_step(w, (struct wcore_event){.kind = kind});
}

void wtest_job(struct wtest *w, const struct row *rows, unsigned n)
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

void wtest_execute_call(struct wtest *w, unsigned run, uint64_t attempt, const struct d_call *call)
{
    struct buf body = {0}, signed_call = {0};
    d_call_encode(call, &body);
    struct d_signed s = {.signer = span_str("anna"), .body = buf_span(&body)};
    d_signed_encode(&s, &signed_call);
    /* every job of a test has a hash of its own, as in production */
    struct hash hash = {{1}};
    for (size_t i = 0; i < w->job.n; i++)
        hash.b[i % 32] = (uint8_t)(hash.b[i % 32] * 31 + w->job.p[i]);
    MESSAGE(w, m_execute, .run = wtest_run(run), .attempt = attempt, .call = buf_span(&signed_call),
            .job_hash = hash, .on_lost = ON_LOST_FAIL);
    buf_free(&body);
    buf_free(&signed_call);
}

void wtest_execute(struct wtest *w, unsigned run, uint64_t attempt)
{
    struct d_call call = {.cluster = span_str("test"),
                          .caller = span_str("anna"),
                          .key = span_str("k"),
                          .job = span_str("nightly"),
                          .address = span_str("etl1")};
    wtest_execute_call(w, run, attempt, &call);
}

void wtest_launched(struct wtest *w, unsigned run, uint64_t attempt, const char *step,
                    uint64_t try_no)
{
    KEEPER(w, s_launched, .run = wtest_run(run), .attempt = attempt, .step = span_str(step),
           .try_no = try_no, .at = w->wall, .pid = 7);
}

void wtest_ended_as(struct wtest *w, unsigned run, uint64_t attempt, struct d_step_outcome o)
{
    struct buf bytes = {0};
    o.ended_at = w->wall;
    d_step_outcome_encode(&o, &bytes);
    KEEPER(w, s_ended, .run = wtest_run(run), .attempt = attempt, .outcome = buf_span(&bytes));
    buf_free(&bytes);
}

void wtest_ended(struct wtest *w, unsigned run, uint64_t attempt, const char *step, uint64_t try_no,
                 enum package_outcome package)
{
    wtest_ended_as(
        w, run, attempt,
        (struct d_step_outcome){
            .name = span_str(step),
            .try_no = try_no,
            .package = package,
            .exit_code = package == PACKAGE_SUCCEEDED ? 0 : 4,
            .message = span_str(package == PACKAGE_SUCCEEDED ? "fine" : "no such table")});
}

void wtest_ran(struct wtest *w, unsigned run, const char *step, uint64_t try_no,
               enum package_outcome package)
{
    wtest_launched(w, run, 1, step, try_no);
    wtest_ended(w, run, 1, step, try_no, package);
}

void wtest_kept(struct wtest *w, unsigned run, uint64_t attempt, const char *step, uint64_t try_no,
                enum kept_state state)
{
    TELL(w, WCORE_KEPT, s_kept, .run = wtest_run(run), .attempt = attempt, .step = span_str(step),
         .try_no = try_no, .state = state);
}

void wtest_up(struct wtest *w)
{
    wtest_event(w, WCORE_SESSION_UP);
}

void wtest_runner(struct wtest *w)
{
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_event(w, WCORE_KEPT_END);
}

int wtest_setup(void **state)
{
    struct wtest *w = mem_zalloc(1, sizeof *w);
    w->config = (struct wcore_config){.server = "etl1", .slots = WTEST_SLOTS};
    w->core = wcore_new(&w->config);
    w->now = 1000;
    w->wall = 1700000000000;
    w->auto_job = true;
    wtest_job(w, (struct row[]){{.name = "run"}}, 1);
    wtest_up(w);
    wtest_runner(w);
    wtest_clear(w);
    *state = w;
    return 0;
}

int wtest_teardown(void **state)
{
    struct wtest *w = *state;
    wtest_clear(w);
    wcore_free(&w->core);
    wcore_out_free(&w->out);
    buf_free(&w->worker_log);
    buf_free(&w->keeper_log);
    buf_free(&w->job);
    mem_free(state);
    return 0;
}

void wtest_restart(struct wtest *w)
{
    struct wcore *c = wtest_replayed(w);
    wcore_free(&w->core);
    w->core = c;
    wtest_clear(w);
}

void wtest_pass(struct wtest *w, int64_t ms)
{
    w->now += ms;
    w->wall += ms;
    wtest_event(w, WCORE_TICK);
}

struct span wtest_seen_at(const struct wtest *w, enum wcore_effect_kind fx, uint64_t kind,
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

unsigned wtest_seen_count(const struct wtest *w, enum wcore_effect_kind fx, uint64_t kind)
{
    unsigned n = 0;
    while (wtest_seen_at(w, fx, kind, n).n)
        n++;
    return n;
}

struct s_step wtest_step_asked(const struct wtest *w, unsigned index)
{
    struct s_step s = {.try_no = 0};
    struct error err = {0};
    assert_int_equal(s_step_decode(wtest_seen_at(w, WCORE_FX_RUNNER, KIND_S_STEP, index), &s, &err),
                     0);
    return s;
}

struct s_halt wtest_halt_asked(const struct wtest *w, unsigned index)
{
    struct s_halt s = {.force = false};
    struct error err = {0};
    assert_int_equal(s_halt_decode(wtest_seen_at(w, WCORE_FX_RUNNER, KIND_S_HALT, index), &s, &err),
                     0);
    return s;
}

void wtest_assert_asked(const struct wtest *w, unsigned index, const char *step, uint64_t try_no)
{
    struct s_step s = wtest_step_asked(w, index);
    if (!span_eq_str(s.step, step))
        fail_msg("asked for step '" SPAN_FMT "', not '%s'", SPAN_ARG(s.step), step);
    assert_int_equal(s.try_no, try_no);
}

struct d_outcome wtest_result(const struct wtest *w, unsigned index)
{
    struct m_result r;
    struct d_outcome o = {.status = 0};
    struct error err = {0};
    struct span m = wtest_seen_at(w, WCORE_FX_SEND, KIND_M_RESULT, index);
    if (!m.n)
        fail_msg("there is no RESULT number %u", index);
    assert_int_equal(m_result_decode(m, &r, &err), 0);
    assert_int_equal(d_outcome_decode(r.outcome, &o, &err), 0);
    return o;
}

void wtest_assert_result(const struct wtest *w, unsigned index, enum delivery d, enum job_outcome j,
                         enum package_outcome p)
{
    struct d_outcome o = wtest_result(w, index);
    if (o.delivery != d || o.job != j || o.package != p)
        fail_msg("the outcome is %s, %s, %s", delivery_text(o.delivery), job_outcome_text(o.job),
                 package_outcome_text(o.package));
    assert_int_equal(o.status, outcome_status(d, j, p));
}

struct d_step_outcome wtest_step_result(const struct wtest *w, unsigned index, unsigned step)
{
    struct d_outcome o = wtest_result(w, index);
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

void wtest_assert_text(struct span s, const char *text)
{
    if (!span_eq_str(s, text))
        fail_msg("'" SPAN_FMT "' is not '%s'", SPAN_ARG(s), text);
}

void wtest_assert_has(struct span s, const char *part)
{
    char *text = span_dup_str(s);
    assert_contains(text, part);
    mem_free(&text);
}
