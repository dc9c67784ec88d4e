/* STARTED, PROGRESS, RESULT, RETURNED: only the live attempt counts, and every result is
   answered. */
#include "broker/core/testing.h"

static void a_result_is_acknowledged_only_once_its_record_is_on_disk(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct m_recorded r;
    struct m_accepted a;
    world_call_with(w, anna, 1, &d, 1);
    SENT(w, anna, ACCEPTED, accepted, &a);
    world_succeed(w, wh1, "wh1", a.run, 1, 5);
    const struct world_logged *l = SENT(w, wh1, RECORDED, recorded, &r);
    assert_true(id_eq(r.run, a.run));
    assert_int_equal(r.attempt, 1);
    assert_int_equal(l->effect.rests_on, w->lsn);
    assert_int_equal(world_told_end(w, anna, a.run).status, STATUS_SUCCEEDED);
    struct view_counts c;
    view_counts(w->core, &c);
    assert_int_equal(c.memory, 0); /* a finished run leaves the memory */
}

static void a_repeated_result_gets_the_same_answer_and_no_second_record(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    struct m_recorded r;
    for (unsigned i = 0; i < 3; i++) {
        world_succeed(w, wh1, "wh1", run, 1, 5);
        const struct world_logged *l = SENT(w, wh1, RECORDED, recorded, &r);
        assert_true(id_eq(r.run, run) && r.attempt == 1);
        assert_true(l->effect.rests_on > 0);
        if (i == 1) {
            world_restart(w);
            wh1 = world_worker_up(w, "wh1", 1);
        }
    }
    assert_int_equal(world_records_of(w, KIND_R_ENDED), 1);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 0);
}

/* A run that was lost at wh1 and is with wh2 in attempt 2. */
static struct id rerun(struct core_world *w, uint64_t anna, uint64_t *ret_wh1, uint64_t *ret_wh2)
{
    uint64_t wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    d.on_lost = ON_LOST_RERUN;
    struct id run = world_call_d(w, anna, d);
    world_down(w, wh1);
    world_pass(w, 400000);
    *ret_wh2 = world_worker_up(w, "wh2", 2);
    *ret_wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, *ret_wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_ENDED);
    SAY(w, *ret_wh1, "wh1", have_end, .count = 1);
    return run;
}

static void a_run_ended_by_its_fence_is_rerun_and_the_end_is_kept(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct m_execute e;
    struct m_recorded r;
    d.on_lost = ON_LOST_RERUN;
    struct id run = world_call_d(w, anna, d);
    SAY(w, anna, "anna", follow, .req = 1, .run = run, .level = 1);
    SENT(w, wh1, EXECUTE, execute, &e);
    for (unsigned i = 0; i < 2; i++) { /* repeated: answered again, with no third attempt */
        SAY(w, wh1, "wh1", result, .run = run, .attempt = 1,
            .outcome = world_outcome(w, JOB_LOST, PACKAGE_CANCELLED, 5));
        SENT(w, wh1, RECORDED, recorded, &r);
        assert_int_equal(world_records_of(w, KIND_R_LOST), 1);
        assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 1);
    }
    SENT(w, wh1, EXECUTE, execute, &e);
    assert_int_equal(e.attempt, 2);
    world_succeed(w, wh1, "wh1", run, 2, 5);
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_SUCCEEDED);
}

static void a_cancelled_run_ended_by_its_fence_is_not_rerun(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    d.on_lost = ON_LOST_RERUN;
    struct id run = world_call_d(w, anna, d);
    SAY(w, anna, "anna", follow, .req = 1, .run = run, .level = 1);
    SAY(w, anna, "anna", cancel, .req = 2, .run = run, .reason = span_str("enough"));
    SAY(w, wh1, "wh1", result, .run = run, .attempt = 1,
        .outcome = world_outcome(w, JOB_LOST, PACKAGE_CANCELLED, 5));
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 0);
}

static struct span evidence_of(struct core_world *w, struct r_evidence *ret)
{
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2];
        struct error err;
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        if (r_evidence_decode(span_of(w->journal.p + at, head[1]), ret, &err) == 0)
            return ret->why;
        at += head[1];
    }
    return SPAN_NONE;
}

static void a_superseded_result_is_kept_once_and_does_not_count(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1, wh2;
    struct id run = rerun(w, anna, &wh1, &wh2);
    struct m_recorded rec;
    struct r_evidence e;
    for (unsigned i = 0; i < 3; i++) {
        world_succeed(w, wh1, "wh1", run, 1, 5);
        SENT(w, wh1, RECORDED, recorded, &rec);
        assert_int_equal(rec.attempt, 1);
    }
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 1);
    assert_true(span_eq_str(evidence_of(w, &e), "superseded"));
    assert_true(span_eq_str(e.server, "wh1"));
    world_succeed(w, wh2, "wh2", run, 2, 5);
    world_succeed(w, wh1, "wh1", run, 1, 5); /* again after the end */
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 1);
    assert_int_equal(world_records_of(w, KIND_R_ENDED), 1);
}

static void a_result_after_the_end_is_late(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    struct r_evidence e;
    struct m_recorded rec;
    world_down(w, wh1);
    world_pass(w, 400000); /* lost, and so failed */
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    world_restart(w);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_ENDED);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    SENT(w, wh1, RECORDED, recorded, &rec);
    assert_true(span_eq_str(evidence_of(w, &e), "late"));
    assert_int_equal(world_records_of(w, KIND_R_ENDED), 1);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    SENT(w, wh1, RECORDED, recorded, &rec);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 1);
}

static void a_result_that_comes_while_its_run_waits_again_is_superseded(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    struct r_evidence e;
    d.on_lost = ON_LOST_HOLD;
    struct id run = world_call_d(w, anna, d);
    world_down(w, wh1);
    world_pass(w, 400000);
    wh1 = world_worker_up(w, "wh1", 1);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    assert_true(span_eq_str(evidence_of(w, &e), "superseded"));
}

/* How many sentences for people there were since the last look; *ret: the last one. */
static unsigned notes(struct core_world *w, char *ret, size_t size)
{
    const struct world_logged *l;
    unsigned n = 0;
    for (; (l = world_find_lookup(w, BCORE_FX_NOTE)); n++)
        span_copy_str(l->effect.body, ret, size);
    return n;
}

static void assert_forged(struct core_world *w, uint64_t forged)
{
    struct view_counts counts;
    view_counts(w->core, &counts);
    assert_int_equal(counts.forged, forged);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 0);
}

/* Runs that were lost at wh1, which returns. */
static uint64_t lost_at_wh1(struct core_world *w, struct id *ret, unsigned n)
{
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_hello(w, "wh1", 1);
    const struct world_attested jobs[] = {{.job = "load", .hash = 1}, {.job = NULL}};
    world_attest(w, wh1, "wh1", n, jobs, NULL, true);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    for (unsigned i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        ret[i] = world_call(w, anna, key);
    }
    world_down(w, wh1);
    world_pass(w, 400000);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    return wh1;
}

static void a_result_of_an_attempt_never_handed_over_is_kept_nowhere(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1), wh2;
    struct id run = world_call(w, anna, "k");
    struct m_recorded r;
    char text[LIMIT_TEXT];
    wh2 = world_worker_up(w, "wh2", 1); /* even if it claims the other's spool */
    world_succeed(w, wh2, "wh2", run, 1, 5);
    SENT(w, wh2, RECORDED, recorded, &r);            /* so that it forgets it */
    world_succeed(w, wh1, "wh1", run, 2, 5);         /* an attempt that was never made */
    world_succeed(w, wh2, "wh2", world_id(9), 1, 5); /* a run that never was */
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    assert_int_equal(notes(w, text, sizeof text), 2); /* once for each server */
    assert_contains(text, "never handed");
    assert_forged(w, 3);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    world_succeed(w, wh2, "wh2", run, 1, 5); /* of another's run that has ended */
    SENT(w, wh2, RECORDED, recorded, &r);
    world_restart(w);
    wh2 = world_worker_up(w, "wh2", 1);
    world_succeed(w, wh2, "wh2", run, 1, 5);
    assert_forged(w, 0); /* to the broker, a repeat of what it has */
    assert_int_equal(world_records_of(w, KIND_R_ENDED), 1);
    world_down(w, wh2);
    world_pass(w, 20000);
    lost_at_wh1(w, &run, 1);
    wh2 = world_worker_hello(w, "wh2", 1);
    world_succeed(w, wh2, "wh2", run, 1, 5); /* lost at another server */
    assert_forged(w, 1);
}

static void evidence_of_one_server_is_bounded_and_the_rest_is_counted(void **state)
{
    struct core_world *w = *state;
    struct id runs[20];
    struct view_counts counts;
    struct m_recorded r;
    char text[LIMIT_TEXT];
    w->config.evidence_bytes = 8 << 10; /* eight questions to the store */
    world_restart(w);
    uint64_t wh1 = lost_at_wh1(w, runs, 20);
    for (unsigned i = 0; i < 20; i++) {
        world_succeed(w, wh1, "wh1", runs[i], 1, 5);
        SENT(w, wh1, RECORDED, recorded, &r);
    }
    assert_in_range(world_records_of(w, KIND_R_EVIDENCE), 4, 8);
    view_counts(w->core, &counts);
    assert_int_equal(counts.unkept + world_records_of(w, KIND_R_EVIDENCE), 20);
    assert_int_equal(notes(w, text, sizeof text), 1);
    assert_contains(text, "setting budgets: evidence");
    for (unsigned i = 0; i < 360; i++) { /* an hour later there is room again */
        world_pass(w, 10000);
        SAY(w, wh1, "wh1", ping);
    }
    unsigned kept = world_records_of(w, KIND_R_EVIDENCE);
    for (unsigned i = 0; i < 20; i++)
        world_succeed(w, wh1, "wh1", runs[i], 1, 5);
    assert_true(world_records_of(w, KIND_R_EVIDENCE) <= kept + 1);
}

static void of_a_long_outcome_that_does_not_count_the_layers_are_kept(void **state)
{
    struct core_world *w = *state;
    struct id run;
    struct r_evidence e;
    struct d_outcome o;
    struct buf outputs = {0}, steps = {0}, one = {0}, b = {0};
    char value[30000];
    memset(value, 'x', sizeof value);
    uint64_t wh1 = lost_at_wh1(w, &run, 1);
    value_add_str(&outputs, span_str("rows"));
    value_add_str(&outputs, span_of(value, sizeof value));
    d_step_outcome_encode(
        &(struct d_step_outcome){.name = span_str("s"), .outputs = wire_list_from(&outputs, 1)},
        &one);
    for (unsigned i = 0; i < 4; i++)
        wire_add_bin(&steps, buf_span(&one));
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_CALLED,
                                         .job = JOB_SUCCEEDED,
                                         .package = PACKAGE_SUCCEEDED,
                                         .status = STATUS_SUCCEEDED,
                                         .message = span_str("all is well"),
                                         .steps = wire_list_from(&steps, 4)},
                     &b);
    SAY(w, wh1, "wh1", result, .run = run, .attempt = 1, .outcome = buf_span(&b));
    evidence_of(w, &e);
    assert_true(e.outcome.n < 1000);
    assert_int_equal(d_outcome_decode(e.outcome, &o, NULL), 0);
    assert_int_equal(o.status, STATUS_SUCCEEDED);
    span_copy_str(o.message, value, sizeof value);
    assert_contains(value, "bytes of steps and outputs were not kept; all is well");
    buf_free(&outputs);
    buf_free(&steps);
    buf_free(&one);
    buf_free(&b);
}

/* ---- What one server or principal can make the broker write */
static void steps_beyond_what_a_job_can_have_are_no_records(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    for (unsigned i = 0; i < 12000; i++)
        SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str(i % 2 ? "a" : "b"));
    assert_int_equal(world_records_of(w, KIND_R_STARTED), LIMIT_STEPS * LIMIT_TRIES);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

static void a_server_that_returns_everything_gets_work_less_and_less_often(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    struct view_run v;
    for (unsigned s = 0; s < 600; s++) {
        if (view_run(w->core, &run, &v) && v.state == RUN_HANDED_OVER)
            SAY(w, wh1, "wh1", returned, .run = run, .attempt = v.attempt,
                .reason = span_str("no"));
        world_pass(w, 1000);
        SAY(w, wh1, "wh1", ping, .stamp = 1);
    }
    assert_in_range(world_records_of(w, KIND_R_RETURNED), 10, 30);
}

static void a_server_that_comes_and_goes_makes_few_records(void **state)
{
    struct core_world *w = *state;
    for (unsigned i = 0; i < 1000; i++) {
        world_down(w, world_worker_hello(w, "wh1", 1));
        world_pass(w, 10);
    }
    assert_in_range(world_records_of(w, KIND_R_SERVER), 12, 15);
}

static void a_parent_driven_in_a_loop_makes_few_records(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id parent = world_parent(w, anna, "anna", "p");
    for (unsigned i = 0; i < 1000; i++) {
        world_down(w, anna);
        anna = world_caller_up(w, "anna");
        SAY(w, anna, "anna", parent_drive, .req = 1, .parent = parent);
        world_pass(w, 10);
    }
    assert_in_range(world_records_of(w, KIND_R_PARENT_DRIVEN), 12, 15);
    assert_int_equal(world_told_error(w, anna, "12 drivers within a minute"), REFUSAL_BUSY);
}

static void a_server_drained_in_a_loop_makes_few_records(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    world_worker_up(w, "wh1", 1);
    for (unsigned i = 0; i < 2000; i++)
        SAY(w, anna, "anna", operate, .req = 1, .verb = span_str(i % 2 ? "undrain" : "drain"),
            .target = span_str("wh1"));
    assert_int_equal(world_records_of(w, KIND_R_OPERATED), 600);
    assert_int_equal(world_told_error(w, anna, "600 times within a minute"), REFUSAL_BUSY);
}

static void a_malformed_outcome_closes_the_session_and_counts_nothing(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    struct m_refused r;
    struct buf steps = {0};
    wire_add_bin(&steps, span_str("no step"));
    const struct d_outcome bad[] = {
        {.delivery = DELIVERY_COUNT},
        {.job = JOB_COUNT},
        {.package = PACKAGE_COUNT},
        {.status = STATUS_COUNT},
        {.job = JOB_FAILED, .package = PACKAGE_FAILED, .status = STATUS_SUCCEEDED},
        {.job = JOB_SUCCEEDED,
         .package = PACKAGE_SUCCEEDED,
         .status = STATUS_SUCCEEDED,
         .steps = wire_list_from(&steps, 1)},
    };
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        struct buf b = {0};
        world_log_clear(w);
        if (i < sizeof bad / sizeof *bad)
            d_outcome_encode(&bad[i], &b);
        else
            buf_add_str(&b, "nonsense");
        SAY(w, wh1, "wh1", result, .run = run, .attempt = 1, .outcome = buf_span(&b));
        assert_int_equal(world_told_error(w, wh1, ""), REFUSAL_MALFORMED);
        SENT(w, wh1, REFUSED, refused, &r);
        assert_int_equal(r.code, REFUSAL_MALFORMED);
        buf_free(&b);
        wh1 = world_worker_hello(w, "wh1", 1);
        SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_ENDED);
        SAY(w, wh1, "wh1", have_end, .count = 1);
    }
    assert_int_equal(world_records_of(w, KIND_R_ENDED), 0);
    buf_free(&steps);
}

static void started_and_progress_reach_followers(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    struct m_run_state s;
    world_call_with(w, anna, 1, &d, 2);
    SENT(w, anna, ACCEPTED, accepted, &a);
    SENT(w, anna, RUN_STATE, run_state, &s);
    assert_int_equal(s.state, RUN_HANDED_OVER);
    assert_true(span_eq_str(s.server, "wh1"));
    SAY(w, wh1, "wh1", started, .run = a.run, .attempt = 1, .step = span_str("extract"));
    /* repeated */
    SAY(w, wh1, "wh1", started, .run = a.run, .attempt = 1, .step = span_str("extract"));
    SENT(w, anna, RUN_STATE, run_state, &s);
    assert_int_equal(s.state, RUN_RUNNING);
    NOT_SENT(w, anna, RUN_STATE);
    assert_int_equal(world_records_of(w, KIND_R_STARTED), 1);
    SAY(w, wh1, "wh1", progress, .run = a.run, .attempt = 1, .percent = 42,
        .text = span_str("loading orders"));
    SENT(w, anna, RUN_STATE, run_state, &s);
    assert_int_equal(s.percent, 42);
    assert_true(span_eq_str(s.text, "loading orders"));
    SAY(w, wh1, "wh1", started, .run = a.run, .attempt = 1, .step = span_str("load"));
    assert_int_equal(world_records_of(w, KIND_R_STARTED), 2);
    SAY(w, wh1, "wh1", progress, .run = a.run, .attempt = 7, .percent = 1);
    SAY(w, wh1, "wh1", returned, .run = a.run, .attempt = 7);
    struct view_run v;
    view_run(w->core, &a.run, &v);
    assert_int_equal(v.percent, 42);
    assert_string_equal(v.step, "load");
    struct m_stop stop;
    SAY(w, wh1, "wh1", started, .run = world_id(9), .attempt = 1, .step = span_str("x"));
    SENT(w, wh1, STOP, stop, &stop); /* that attempt is no longer wanted */
}

static void only_workers_may_send_the_messages_of_workers(void **state)
{
    struct core_world *w = *state;
    struct buf b = {0};
    struct m_refused r;
    uint64_t anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", have_end, .count = 0);
    SENT(w, anna, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_WRONG_ROLE);
    anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", welcome, .minor = 0); /* sent only by the broker */
    SENT(w, anna, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_WRONG_ROLE);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_result_is_acknowledged_only_once_its_record_is_on_disk),
        in_world(a_repeated_result_gets_the_same_answer_and_no_second_record),
        in_world(a_run_ended_by_its_fence_is_rerun_and_the_end_is_kept),
        in_world(a_cancelled_run_ended_by_its_fence_is_not_rerun),
        in_world(a_superseded_result_is_kept_once_and_does_not_count),
        in_world(a_result_after_the_end_is_late),
        in_world(a_result_that_comes_while_its_run_waits_again_is_superseded),
        in_world(a_result_of_an_attempt_never_handed_over_is_kept_nowhere),
        in_world(evidence_of_one_server_is_bounded_and_the_rest_is_counted),
        in_world(of_a_long_outcome_that_does_not_count_the_layers_are_kept),
        in_world(steps_beyond_what_a_job_can_have_are_no_records),
        in_world(a_server_that_returns_everything_gets_work_less_and_less_often),
        in_world(a_server_that_comes_and_goes_makes_few_records),
        in_world(a_parent_driven_in_a_loop_makes_few_records),
        in_world(a_server_drained_in_a_loop_makes_few_records),
        in_world(a_malformed_outcome_closes_the_session_and_counts_nothing),
        in_world(started_and_progress_reach_followers),
        in_world(only_workers_may_send_the_messages_of_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
