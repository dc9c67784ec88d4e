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

static void a_result_from_another_server_is_denied(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1), wh2;
    struct id run = world_call(w, anna, "k");
    wh2 = world_worker_up(w, "wh2", 1); /* even if it claims the other's spool */
    world_succeed(w, wh2, "wh2", run, 1, 5);
    assert_int_equal(world_told_error(w, wh2, "not handed"), REFUSAL_DENIED);
    world_succeed(w, wh1, "wh1", run, 2, 5); /* an attempt that was never made */
    assert_int_equal(world_told_error(w, wh1, "not handed"), REFUSAL_DENIED);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 0);
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
        in_world(a_result_from_another_server_is_denied),
        in_world(a_malformed_outcome_closes_the_session_and_counts_nothing),
        in_world(started_and_progress_reach_followers),
        in_world(only_workers_may_send_the_messages_of_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
