/* core_test.c - what the broker asks for: attempts taken, refused, returned, stopped; slots. */
#include "worker/core/testing.h"

/* ---- EXECUTE */

static void a_call_is_taken_run_and_reported(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    assert_int_equal(spooled(w, TAKEN), 1);
    assert_int_equal(spooled(w, STEPPED), 1);
    wtest_assert_asked(w, 0, "run", 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(spooled(w, FINISHED), 1);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    struct d_outcome o = wtest_result(w, 0);
    wtest_assert_text(o.server, "etl1");
    wtest_assert_text(o.job_name, "nightly");
    assert_int_equal(o.called_at, w->wall);
    assert_int_equal(o.started_at, w->wall);
    MESSAGE(w, m_recorded, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(spooled(w, RECORDED), 1);
    assert_int_equal(wcore_live(w->core), 0);
}

static void the_spool_has_each_entry_before_its_effect_leaves(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    bool stepped = false, finished = false;
    for (unsigned i = 0; i < w->n; i++) {
        uint64_t kind;
        size_t size;
        struct error err = {0};
        assert_int_equal(wire_peek(w->seen[i].body, &kind, &size, &err), 0);
        stepped |= kind == KIND_S_STEPPED;
        finished |= kind == KIND_S_FINISHED;
        assert_true(kind != KIND_S_STEP || stepped);
        assert_true(kind != KIND_M_RESULT || finished);
    }
    assert_true(stepped && finished);
}

static void a_known_attempt_is_not_taken_twice(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_execute(w, 1, 1);
    assert_int_equal(spooled(w, TAKEN), 1);
    assert_int_equal(asked(w), 1);
}

static void a_finished_attempt_is_answered_with_its_result(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_clear(w);
    wtest_execute(w, 1, 1);
    assert_int_equal(asked(w), 0);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void a_job_is_not_sought_twice_for_one_attempt(void **state)
{
    struct wtest *w = *state;
    w->auto_job = false;
    wtest_execute(w, 1, 1);
    wtest_execute(w, 1, 1);
    assert_int_equal(wtest_seen_count(w, WCORE_FX_FIND_JOB, KIND_M_EXECUTE), 1);
    wtest_job_event(w, wtest_run(1), 1, buf_span(&w->job), NULL);
    assert_int_equal(asked(w), 1);
    /* a surplus answer changes nothing */
    wtest_job_event(w, wtest_run(1), 1, buf_span(&w->job), NULL);
    assert_int_equal(spooled(w, TAKEN), 1);
}

static void an_older_attempt_is_returned_as_superseded(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 2);
    wtest_clear(w);
    wtest_execute(w, 1, 1);
    assert_int_equal(sent(w, RETURNED), 1);
    assert_int_equal(spooled(w, TAKEN), 0);
}

static void a_newer_attempt_waits_until_the_older_one_is_stopped(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_clear(w);
    wtest_execute(w, 1, 2);
    assert_int_equal(halted(w), 1);
    assert_int_equal(asked(w), 0);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("run"), .try_no = 1, .package = PACKAGE_CANCELLED, .cancelled = true});
    assert_int_equal(asked(w), 1);
    assert_int_equal(wtest_step_asked(w, 0).attempt, 2);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED);
    wtest_assert_has(wtest_result(w, 0).message, "superseded by attempt 2");
}

static void a_newer_attempt_replaces_a_waiting_one(void **state)
{
    struct wtest *w = *state;
    for (unsigned i = 10; i < 10 + WTEST_SLOTS; i++)
        wtest_execute(w, i, 1);
    wtest_execute(w, 1, 1);
    wtest_clear(w);
    wtest_execute(w, 1, 2);
    assert_int_equal(sent(w, RETURNED), 1);
    assert_int_equal(spooled(w, GIVEN_BACK), 1);
    wtest_clear(w);
    wtest_ran(w, 10, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(wtest_step_asked(w, 0).attempt, 2);
}

static void a_newer_attempt_drops_one_whose_job_is_still_sought(void **state)
{
    struct wtest *w = *state;
    w->auto_job = false;
    wtest_execute(w, 1, 1);
    wtest_execute(w, 1, 2);
    assert_int_equal(sent(w, RETURNED), 1);
    wtest_job_event(w, wtest_run(1), 1, buf_span(&w->job), NULL);
    assert_int_equal(asked(w), 0);
    wtest_job_event(w, wtest_run(1), 2, buf_span(&w->job), NULL);
    assert_int_equal(asked(w), 1);
}

static void a_missing_job_is_refused_with_the_given_code_and_sentence(void **state)
{
    struct wtest *w = *state;
    w->auto_job = false;
    wtest_execute(w, 1, 1);
    wtest_step(w, (struct wcore_event){.kind = WCORE_JOB,
                                       .run = wtest_run(1),
                                       .attempt = 1,
                                       .code = REFUSAL_WRONG_JOB,
                                       .text = "the job here is another"});
    wtest_assert_result(w, 0, DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED);
    assert_int_equal(wtest_result(w, 0).code, REFUSAL_WRONG_JOB);
    wtest_assert_text(wtest_result(w, 0).message, "the job here is another");
}

static void a_missing_job_without_a_code_is_unknown(void **state)
{
    struct wtest *w = *state;
    w->auto_job = false;
    wtest_execute(w, 1, 1);
    wtest_job_event(w, wtest_run(1), 1, SPAN_NONE, NULL);
    assert_int_equal(wtest_result(w, 0).code, REFUSAL_UNKNOWN_JOB);
}

static void a_malformed_call_is_refused(void **state)
{
    struct wtest *w = *state;
    MESSAGE(w, m_execute, .run = wtest_run(1), .attempt = 1, .call = span_str("nonsense"));
    wtest_assert_result(w, 0, DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED);
    assert_int_equal(wtest_result(w, 0).code, REFUSAL_MALFORMED);
}

static void an_execute_without_a_run_or_an_attempt_is_ignored(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 0);
    MESSAGE(w, m_execute, .run = ID_ZERO, .attempt = 1);
    wtest_step(w, (struct wcore_event){.kind = WCORE_MESSAGE, .message = span_str("nonsense")});
    assert_int_equal(w->n, 0);
}

static void an_attempt_without_room_is_returned(void **state)
{
    struct wtest *w = *state;
    for (unsigned i = 1; i <= WTEST_SLOTS + LIMIT_PREFETCH; i++)
        wtest_execute(w, i, 1);
    assert_int_equal(sent(w, RETURNED), 0);
    wtest_execute(w, 999, 1);
    assert_int_equal(sent(w, RETURNED), 1);
    assert_false(wcore_knows(w->core, wtest_run(999), 1));
}

static void a_call_that_expired_while_it_waited_is_refused(void **state)
{
    struct wtest *w = *state;
    struct d_call call = {.cluster = span_str("test"),
                          .caller = span_str("anna"),
                          .key = span_str("k"),
                          .job = span_str("nightly"),
                          .address = span_str("etl1"),
                          .expires = w->wall + 1000};
    wtest_execute(w, 1, 1);
    wtest_execute(w, 2, 1);
    wtest_execute_call(w, 3, 1, &call);
    w->now += 2000;
    w->wall += 2000;
    wtest_clear(w);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(asked(w), 0);
    wtest_assert_result(w, 1, DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED);
    assert_int_equal(wtest_result(w, 1).code, REFUSAL_EXPIRED);
}

static void a_call_that_expires_after_its_first_step_goes_on(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "a"}, {.name = "b"}}, 2);
    struct d_call call = {.cluster = span_str("test"),
                          .caller = span_str("anna"),
                          .key = span_str("k"),
                          .job = span_str("nightly"),
                          .address = span_str("etl1"),
                          .expires = w->wall + 1000};
    wtest_execute_call(w, 1, 1, &call);
    w->now += 2000;
    w->wall += 2000;
    wtest_ran(w, 1, "a", 1, PACKAGE_SUCCEEDED);
    wtest_assert_asked(w, 1, "b", 1);
}

/* ---- The fence */

static void the_fence_stays_until_a_stop_reaches_the_steps_that_wait_for_it(void **state)
{
    struct wtest *w = *state;
    struct buf body = {0}, signed_call = {0};
    d_call_encode(&(struct d_call){.key = span_str("k"), .job = span_str("nightly")}, &body);
    d_signed_encode(&(struct d_signed){.signer = span_str("anna"), .body = buf_span(&body)},
                    &signed_call);
    for (unsigned run = 1; run <= 2; run++)
        MESSAGE(w, m_execute, .run = wtest_run(run), .attempt = 1, .call = buf_span(&signed_call),
                .on_lost = run == 1 ? ON_LOST_RERUN : ON_LOST_FAIL);
    assert_false(wcore_holds_fence(w->core)); /* it waits and may start */
    MESSAGE(w, m_stop, .run = wtest_run(2), .attempt = 1);
    assert_false(wcore_holds_fence(w->core)); /* no fence applies to that one */
    wtest_event(w, WCORE_RUNNER_DOWN);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .force = true);
    assert_true(wcore_holds_fence(w->core)); /* no runner was there to halt it */
    wtest_restart(w);
    wtest_up(w);
    assert_true(wcore_holds_fence(w->core));
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 1, 1, "run", 1, KEPT_WAITS);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(halted(w), 1);
    assert_true(wcore_holds_fence(w->core));
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("run"),
                                           .try_no = 1,
                                           .package = PACKAGE_NOT_EXECUTED,
                                           .cancelled = true});
    assert_false(wcore_holds_fence(w->core));
    buf_free(&body);
    buf_free(&signed_call);
}

static void a_running_step_does_not_hold_the_fence(void **state)
{
    struct wtest *w = *state;
    struct buf body = {0}, signed_call = {0};
    d_call_encode(&(struct d_call){.key = span_str("k"), .job = span_str("nightly")}, &body);
    d_signed_encode(&(struct d_signed){.signer = span_str("anna"), .body = buf_span(&body)},
                    &signed_call);
    MESSAGE(w, m_execute, .run = wtest_run(1), .attempt = 1, .call = buf_span(&signed_call),
            .on_lost = ON_LOST_RERUN);
    wtest_launched(w, 1, 1, "run", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    assert_false(wcore_holds_fence(w->core));
    buf_free(&body);
    buf_free(&signed_call);
}

static void a_step_ended_by_the_fence_is_lost_and_not_cancelled(void **state)
{
    struct wtest *w = *state;
    struct buf body = {0}, signed_call = {0};
    d_call_encode(&(struct d_call){.key = span_str("k"), .job = span_str("nightly")}, &body);
    d_signed_encode(&(struct d_signed){.signer = span_str("anna"), .body = buf_span(&body)},
                    &signed_call);
    MESSAGE(w, m_execute, .run = wtest_run(1), .attempt = 1, .call = buf_span(&signed_call),
            .on_lost = ON_LOST_RERUN);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("run"), .try_no = 1, .package = PACKAGE_CANCELLED, .cancelled = true});
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_LOST, PACKAGE_CANCELLED);
    buf_free(&body);
    buf_free(&signed_call);
}

static void an_always_step_waits_for_the_fence_and_does_not_hold_it(void **state)
{
    struct wtest *w = *state;
    struct buf body = {0}, signed_call = {0};
    wtest_job(w, (struct row[]){{.name = "a"}, {.name = "clean", .always = true}}, 2);
    d_call_encode(&(struct d_call){.key = span_str("k"), .job = span_str("nightly")}, &body);
    d_signed_encode(&(struct d_signed){.signer = span_str("anna"), .body = buf_span(&body)},
                    &signed_call);
    MESSAGE(w, m_execute, .run = wtest_run(1), .attempt = 1, .call = buf_span(&signed_call),
            .on_lost = ON_LOST_RERUN);
    wtest_launched(w, 1, 1, "a", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("a"), .try_no = 1, .package = PACKAGE_CANCELLED, .cancelled = true});
    wtest_assert_asked(w, 1, "clean", 1);
    assert_false(wcore_holds_fence(w->core));
    /* now this one, too, is to end */
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .force = true);
    assert_true(wcore_holds_fence(w->core));
    buf_free(&body);
    buf_free(&signed_call);
}

/* ---- What the runner refuses */

static void refused_by_runner(struct wtest *w, unsigned run, const char *step, enum refusal code)
{
    wtest_ended_as(w, run, 1,
                   (struct d_step_outcome){.name = span_str(step),
                                           .try_no = 1,
                                           .package = PACKAGE_NOT_EXECUTED,
                                           .code = code,
                                           .message = span_str("no, because")});
}

static void a_refusal_before_anything_ran_is_a_refused_delivery(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "a", .on_failure = "next", .attempts = 3}, {.name = "b"}},
              2);
    wtest_execute(w, 1, 1);
    refused_by_runner(w, 1, "a", REFUSAL_DENIED);
    wtest_assert_result(w, 0, DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED);
    assert_int_equal(wtest_result(w, 0).code, REFUSAL_DENIED);
    wtest_assert_text(wtest_result(w, 0).message, "no, because");
    assert_int_equal(asked(w), 1);
}

static void a_refusal_of_a_later_step_fails_the_job_and_is_not_retried(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "a"}, {.name = "b", .attempts = 3}}, 2);
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "a", 1, PACKAGE_SUCCEEDED);
    refused_by_runner(w, 1, "b", REFUSAL_NO_PROXY);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_SUCCEEDED);
    wtest_assert_text(wtest_result(w, 0).message, "no, because");
}

static void a_child_that_cannot_be_started_fails_its_step_and_is_retried(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "run", .attempts = 2}}, 1);
    wtest_execute(w, 1, 1);
    refused_by_runner(w, 1, "run", REFUSAL_START_FAILED);
    wtest_assert_asked(w, 1, "run", 2);
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("run"),
                                           .try_no = 2,
                                           .package = PACKAGE_NOT_EXECUTED,
                                           .code = REFUSAL_START_FAILED});
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_NOT_EXECUTED);
}

/* ---- Slots */

static void no_more_steps_run_than_slots_and_the_rest_wait_in_order(void **state)
{
    struct wtest *w = *state;
    for (unsigned i = 1; i <= WTEST_SLOTS + 2; i++)
        wtest_execute(w, i, 1);
    assert_int_equal(asked(w), WTEST_SLOTS);
    assert_true(wcore_full(w->core));
    wtest_clear(w);
    wtest_ran(w, 2, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(asked(w), 1);
    assert_memory_equal(wtest_step_asked(w, 0).run.b, wtest_run(WTEST_SLOTS + 1).b, 16);
}

static void steps_ahead_are_asked_for_beyond_the_slots(void **state)
{
    struct wtest *w = *state;
    w->config.ahead = 1;
    wtest_restart(w);
    wtest_runner(w);
    for (unsigned i = 1; i <= WTEST_SLOTS + 2; i++)
        wtest_execute(w, i, 1);
    assert_int_equal(asked(w), WTEST_SLOTS + 1);
}

static void a_started_job_goes_ahead_of_a_waiting_one(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "a"}, {.name = "b"}}, 2);
    for (unsigned i = 1; i <= WTEST_SLOTS + 1; i++)
        wtest_execute(w, i, 1);
    wtest_clear(w);
    wtest_ran(w, 1, "a", 1, PACKAGE_SUCCEEDED);
    wtest_assert_asked(w, 0, "b", 1);
    assert_memory_equal(wtest_step_asked(w, 0).run.b, wtest_run(1).b, 16);
    assert_int_equal(asked(w), 1);
}

static void nothing_is_requested_without_a_runner(void **state)
{
    struct wtest *w = *state;
    wtest_event(w, WCORE_RUNNER_DOWN);
    wtest_execute(w, 1, 1);
    wtest_event(w, WCORE_RUNNER_UP);
    assert_int_equal(asked(w), 0);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(asked(w), 1);
}

/* ---- STOP and RECALL */

static void a_stop_while_waiting_cancels_without_starting(void **state)
{
    struct wtest *w = *state;
    for (unsigned i = 1; i <= WTEST_SLOTS + 1; i++)
        wtest_execute(w, i, 1);
    wtest_clear(w);
    MESSAGE(w, m_stop, .run = wtest_run(WTEST_SLOTS + 1), .attempt = 1,
            .reason = span_str("anna asked"));
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_NOT_EXECUTED);
    assert_int_equal(asked(w), 0);
    assert_int_equal(halted(w), 0);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(asked(w), 0);
}

static void a_stop_for_an_unknown_attempt_is_answered_with_returned(void **state)
{
    struct wtest *w = *state;
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(sent(w, RETURNED), 1);
}

static void a_stop_while_the_job_is_sought_returns_the_attempt(void **state)
{
    struct wtest *w = *state;
    w->auto_job = false;
    wtest_execute(w, 1, 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(sent(w, RETURNED), 1);
    assert_int_equal(wcore_live(w->core), 0);
}

static void a_stop_of_a_finished_attempt_changes_nothing(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_clear(w);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .force = true);
    assert_int_equal(w->n, 0);
}

static void a_second_stop_sends_the_runner_nothing(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(halted(w), 1);
    assert_int_equal(spooled(w, STOPPED), 1);
}

static void a_waiting_attempt_can_be_recalled(void **state)
{
    struct wtest *w = *state;
    for (unsigned i = 1; i <= WTEST_SLOTS + 1; i++)
        wtest_execute(w, i, 1);
    wtest_clear(w);
    MESSAGE(w, m_recall, .run = wtest_run(WTEST_SLOTS + 1), .attempt = 1);
    assert_int_equal(spooled(w, GIVEN_BACK), 1);
    assert_int_equal(sent(w, RETURNED), 1);
    assert_int_equal(w->seen[0].kind, WCORE_FX_SPOOL); /* first to the spool, then to the broker */
    assert_false(wcore_knows(w->core, wtest_run(WTEST_SLOTS + 1), 1));
    /* the same attempt may come again */
    wtest_execute(w, WTEST_SLOTS + 1, 1);
    assert_true(wcore_knows(w->core, wtest_run(WTEST_SLOTS + 1), 1));
}

static void an_attempt_whose_step_was_requested_cannot_be_recalled(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    MESSAGE(w, m_recall, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(sent(w, RETURNED), 0);
    wtest_launched(w, 1, 1, "run", 1);
    MESSAGE(w, m_recall, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(sent(w, RETURNED), 0);
    assert_int_equal(sent(w, STARTED), 1); /* the broker hears why */
}

static void a_recall_of_an_unknown_attempt_is_answered_with_returned(void **state)
{
    struct wtest *w = *state;
    MESSAGE(w, m_recall, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(sent(w, RETURNED), 1);
}

static void a_recall_of_a_finished_attempt_changes_nothing(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_clear(w);
    MESSAGE(w, m_recall, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(w->n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_call_is_taken_run_and_reported),
        in_world(the_fence_stays_until_a_stop_reaches_the_steps_that_wait_for_it),
        in_world(a_running_step_does_not_hold_the_fence),
        in_world(a_step_ended_by_the_fence_is_lost_and_not_cancelled),
        in_world(an_always_step_waits_for_the_fence_and_does_not_hold_it),
        in_world(the_spool_has_each_entry_before_its_effect_leaves),
        in_world(a_known_attempt_is_not_taken_twice),
        in_world(a_finished_attempt_is_answered_with_its_result),
        in_world(a_job_is_not_sought_twice_for_one_attempt),
        in_world(an_older_attempt_is_returned_as_superseded),
        in_world(a_newer_attempt_waits_until_the_older_one_is_stopped),
        in_world(a_newer_attempt_replaces_a_waiting_one),
        in_world(a_newer_attempt_drops_one_whose_job_is_still_sought),
        in_world(a_missing_job_is_refused_with_the_given_code_and_sentence),
        in_world(a_missing_job_without_a_code_is_unknown),
        in_world(a_malformed_call_is_refused),
        in_world(an_execute_without_a_run_or_an_attempt_is_ignored),
        in_world(an_attempt_without_room_is_returned),
        in_world(a_call_that_expired_while_it_waited_is_refused),
        in_world(a_call_that_expires_after_its_first_step_goes_on),
        in_world(a_refusal_before_anything_ran_is_a_refused_delivery),
        in_world(a_refusal_of_a_later_step_fails_the_job_and_is_not_retried),
        in_world(a_child_that_cannot_be_started_fails_its_step_and_is_retried),
        in_world(no_more_steps_run_than_slots_and_the_rest_wait_in_order),
        in_world(steps_ahead_are_asked_for_beyond_the_slots),
        in_world(a_started_job_goes_ahead_of_a_waiting_one),
        in_world(nothing_is_requested_without_a_runner),
        in_world(a_stop_while_waiting_cancels_without_starting),
        in_world(a_stop_for_an_unknown_attempt_is_answered_with_returned),
        in_world(a_stop_while_the_job_is_sought_returns_the_attempt),
        in_world(a_stop_of_a_finished_attempt_changes_nothing),
        in_world(a_second_stop_sends_the_runner_nothing),
        in_world(a_waiting_attempt_can_be_recalled),
        in_world(an_attempt_whose_step_was_requested_cannot_be_recalled),
        in_world(a_recall_of_an_unknown_attempt_is_answered_with_returned),
        in_world(a_recall_of_a_finished_attempt_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
