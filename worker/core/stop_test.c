/* stop_test.c - the step machine when it is cut short: cancels, timeouts, and the steps that
 * always run. */
#include "worker/core/testing.h"

#define JOB(w, ...) \
    do { \
        static const struct row rows_[] = {__VA_ARGS__}; \
        wtest_job(w, rows_, sizeof rows_ / sizeof *rows_); \
    } while (0)

static struct d_call call_of(void)
{
    return (struct d_call){.cluster = span_str("test"),
                           .caller = span_str("anna"),
                           .key = span_str("k"),
                           .job = span_str("nightly"),
                           .address = span_str("etl1")};
}

static void always_steps_run_after_a_failure_and_change_nothing(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "clean", .always = true}, {.name = "publish"},
        {.name = "tell", .always = true});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_FAILED);
    wtest_assert_asked(w, 1, "clean", 1);
    wtest_ran(w, 1, "clean", 1, PACKAGE_FAILED);
    wtest_assert_asked(w, 2, "tell", 1);
    assert_int_equal(sent(w, RESULT), 0);
    wtest_ran(w, 1, "tell", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED);
    wtest_assert_text(wtest_result(w, 0).message, "no such table");
}

static void a_failed_always_step_does_not_spoil_a_success(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "clean", .always = true});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    wtest_ran(w, 1, "clean", 1, PACKAGE_FAILED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    wtest_assert_text(wtest_result(w, 0).message, "fine");
}

static void always_steps_run_after_a_cancel(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "publish"}, {.name = "clean", .always = true});
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "load", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .reason = span_str("anna asked"));
    assert_int_equal(halted(w), 1);
    assert_false(wtest_halt_asked(w, 0).force);
    assert_true(wtest_halt_asked(w, 0).grace_ms > 0);
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("load"),
                                           .try_no = 1,
                                           .package = PACKAGE_CANCELLED,
                                           .cancelled = true});
    wtest_assert_asked(w, 1, "clean", 1);
    /* a second STOP does not cut its time short */
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(halted(w), 1);
    wtest_ran(w, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED);
    wtest_assert_text(wtest_result(w, 0).message, "anna asked");
}

static void a_cancel_survives_a_restart_while_always_steps_run(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load", .attempts = 2, .interval_ms = 1000}, {.name = "clean", .always = true});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_FAILED);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .reason = span_str("anna asked"));
    wtest_assert_asked(w, 1, "clean", 1);
    wtest_launched(w, 1, 1, "clean", 1);
    wtest_restart(w);
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 1, 1, "clean", 1, KEPT_RUNS);
    wtest_event(w, WCORE_KEPT_END);
    wtest_up(w);
    wtest_ended(w, 1, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_FAILED);
}

static void a_forced_cancel_kills_at_once_and_skips_always_steps(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "clean", .always = true});
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "load", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .force = true);
    assert_int_equal(halted(w), 2);
    assert_true(wtest_halt_asked(w, 1).force);
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("load"),
                                           .try_no = 1,
                                           .package = PACKAGE_CANCELLED,
                                           .cancelled = true});
    assert_int_equal(asked(w), 1);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED);
}

static void a_forced_cancel_ends_always_steps_and_keeps_the_outcome(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "clean", .always = true}, {.name = "tell", .always = true});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_FAILED);
    wtest_launched(w, 1, 1, "clean", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .force = true);
    assert_true(wtest_halt_asked(w, 0).force);
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("clean"),
                                           .try_no = 1,
                                           .package = PACKAGE_CANCELLED,
                                           .cancelled = true});
    assert_int_equal(asked(w), 2);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED);
    wtest_assert_text(wtest_result(w, 0).message, "no such table");
}

static void a_step_that_succeeds_before_its_cancel_lets_the_job_succeed(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    wtest_ended(w, 1, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void a_cancel_between_two_steps_keeps_the_second_from_starting(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a", .attempts = 2, .interval_ms = 1000}, {.name = "b"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "a", 1, PACKAGE_FAILED);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(halted(w), 0);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_FAILED);
    assert_int_equal(wcore_deadline(w->core), INT64_MAX);
}

static void a_steps_own_timeout_times_out_the_job(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("run"),
                                           .try_no = 1,
                                           .package = PACKAGE_FAILED,
                                           .timed_out = true,
                                           .signal = 15});
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_FAILED);
}

static void the_calls_timeout_counts_from_the_first_step_and_halts(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a"}, {.name = "b"}, {.name = "clean", .always = true});
    struct d_call call = call_of();
    call.timeout_ms = 10000;
    wtest_execute_call(w, 1, 1, &call);
    assert_int_equal(wtest_step_asked(w, 0).deadline, w->now + 10000);
    wtest_pass(w, 6000);
    wtest_ran(w, 1, "a", 1, PACKAGE_SUCCEEDED);
    wtest_launched(w, 1, 1, "b", 1);
    wtest_pass(w, 3999);
    assert_int_equal(halted(w), 0);
    wtest_pass(w, 1);
    assert_int_equal(halted(w), 1);
    assert_true(wtest_halt_asked(w, 0).timed_out);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("b"), .try_no = 1, .package = PACKAGE_FAILED, .timed_out = true});
    wtest_assert_asked(w, 2, "clean", 1);
    assert_int_equal(wtest_step_asked(w, 2).deadline, 0); /* it has a time limit of its own */
    wtest_pass(w, 100000);
    assert_int_equal(halted(w), 1);
    wtest_ran(w, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_FAILED);
}

static void what_the_calls_timeout_has_ended_is_not_handled(void **state)
{
    struct wtest *w = *state;
    struct d_call call = call_of();
    call.timeout_ms = 10000;
    JOB(w, {.name = "a", .on_failure = "quit-success"});
    wtest_execute_call(w, 1, 1, &call);
    wtest_launched(w, 1, 1, "a", 1);
    wtest_pass(w, 10000);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("a"), .try_no = 1, .package = PACKAGE_FAILED, .timed_out = true});
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_FAILED);
}

static void a_stop_does_not_touch_what_was_handled_before_it(void **state)
{
    struct wtest *w = *state;
    struct d_call call = call_of();
    call.timeout_ms = 10000;
    JOB(w, {.name = "first", .always = true}, {.name = "a", .on_failure = "next"}, {.name = "b"},
        {.name = "second", .always = true});
    wtest_execute_call(w, 1, 1, &call);
    wtest_launched(w, 1, 1, "a", 1);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("a"), .try_no = 1, .package = PACKAGE_FAILED, .timed_out = true});
    wtest_launched(w, 1, 1, "b", 1);
    wtest_pass(w, 10000);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("b"), .try_no = 1, .package = PACKAGE_FAILED, .timed_out = true});
    wtest_assert_asked(w, 2, "first", 1);
    wtest_ran(w, 1, "first", 1, PACKAGE_SUCCEEDED);
    wtest_assert_asked(w, 3, "second", 1);
    wtest_ran(w, 1, "second", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_FAILED);
    assert_int_equal(wtest_step_result(w, 0, 0).action, ACTION_NEXT);
}

static void the_calls_timeout_keeps_counting_across_a_restart(void **state)
{
    struct wtest *w = *state;
    struct d_call call = call_of();
    call.timeout_ms = 10000;
    wtest_execute_call(w, 1, 1, &call);
    wtest_launched(w, 1, 1, "run", 1);
    w->now += 4000;
    w->wall += 4000;
    wtest_restart(w);
    wtest_event(w, WCORE_TICK);
    assert_int_equal(wcore_deadline(w->core), w->now + 6000);
}

static void a_stop_while_always_steps_run_changes_nothing(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "clean", .always = true});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    wtest_launched(w, 1, 1, "clean", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    assert_int_equal(halted(w), 0);
    assert_int_equal(spooled(w, STOPPED), 0);
    wtest_ended(w, 1, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void a_step_that_fails_while_being_stopped_counts_as_stopped(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .reason = span_str("anna asked"));
    wtest_ended(w, 1, 1, "run", 1, PACKAGE_FAILED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_FAILED);
}

static void of_two_stops_the_first_gives_the_reason(void **state)
{
    struct wtest *w = *state;
    struct d_call call = call_of();
    call.timeout_ms = 1000;
    wtest_execute_call(w, 1, 1, &call);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_pass(w, 1000);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .force = true,
            .reason = span_str("anna asked"));
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("run"), .try_no = 1, .package = PACKAGE_CANCELLED, .cancelled = true});
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_CANCELLED);
    wtest_assert_has(wtest_result(w, 0).message, "timeout");
}

static void the_calls_timeout_does_not_apply_to_always_steps(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "clean", .always = true});
    struct d_call call = call_of();
    call.timeout_ms = 1000;
    wtest_execute_call(w, 1, 1, &call);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    wtest_launched(w, 1, 1, "clean", 1);
    wtest_pass(w, 5000);
    assert_int_equal(halted(w), 0);
    wtest_ended(w, 1, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void an_unknown_always_step_is_not_retried(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load"}, {.name = "clean", .always = true, .attempts = 3});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    wtest_launched(w, 1, 1, "clean", 1);
    wtest_kept(w, 1, 1, "clean", 1, KEPT_GONE);
    assert_int_equal(asked(w), 2);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

/* load is cancelled and has ended; clean, which always runs, has been requested. */
static void cancel_and_clean(struct wtest *w)
{
    JOB(w, {.name = "load"}, {.name = "clean", .always = true});
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "load", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .reason = span_str("anna asked"));
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("load"),
                                           .try_no = 1,
                                           .package = PACKAGE_CANCELLED,
                                           .cancelled = true});
    wtest_assert_asked(w, 1, "clean", 1);
    assert_int_equal(halted(w), 1);
}

static void a_new_runner_is_not_told_to_halt_the_always_step_after_a_cancel(void **state)
{
    struct wtest *w = *state;
    cancel_and_clean(w);
    wtest_launched(w, 1, 1, "clean", 1);
    wtest_event(w, WCORE_RUNNER_DOWN);
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 1, 1, "clean", 1, KEPT_RUNS);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(halted(w), 1);
    wtest_ended(w, 1, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED);
}

static void a_lost_always_step_after_a_cancel_is_requested_again(void **state)
{
    struct wtest *w = *state;
    cancel_and_clean(w);
    wtest_event(w, WCORE_RUNNER_DOWN);
    wtest_runner(w);
    assert_int_equal(asked(w), 3);
    wtest_assert_asked(w, 2, "clean", 1);
    wtest_kept(w, 1, 1, "clean", 1, KEPT_GONE); /* its keeper died before the launch */
    assert_int_equal(asked(w), 4);
    wtest_assert_asked(w, 3, "clean", 1);
    wtest_ran(w, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED);
    assert_int_equal(wtest_step_result(w, 0, 1).package, PACKAGE_SUCCEEDED);
}

static void a_forced_cancel_drops_a_lost_always_step(void **state)
{
    struct wtest *w = *state;
    cancel_and_clean(w);
    wtest_event(w, WCORE_RUNNER_DOWN);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1, .force = true);
    wtest_runner(w);
    assert_int_equal(asked(w), 2);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(always_steps_run_after_a_failure_and_change_nothing),
        in_world(a_failed_always_step_does_not_spoil_a_success),
        in_world(always_steps_run_after_a_cancel),
        in_world(a_cancel_survives_a_restart_while_always_steps_run),
        in_world(a_forced_cancel_kills_at_once_and_skips_always_steps),
        in_world(a_forced_cancel_ends_always_steps_and_keeps_the_outcome),
        in_world(a_step_that_succeeds_before_its_cancel_lets_the_job_succeed),
        in_world(a_cancel_between_two_steps_keeps_the_second_from_starting),
        in_world(a_steps_own_timeout_times_out_the_job),
        in_world(the_calls_timeout_counts_from_the_first_step_and_halts),
        in_world(what_the_calls_timeout_has_ended_is_not_handled),
        in_world(a_stop_does_not_touch_what_was_handled_before_it),
        in_world(the_calls_timeout_keeps_counting_across_a_restart),
        in_world(a_stop_while_always_steps_run_changes_nothing),
        in_world(a_step_that_fails_while_being_stopped_counts_as_stopped),
        in_world(of_two_stops_the_first_gives_the_reason),
        in_world(the_calls_timeout_does_not_apply_to_always_steps),
        in_world(an_unknown_always_step_is_not_retried),
        in_world(a_new_runner_is_not_told_to_halt_the_always_step_after_a_cancel),
        in_world(a_lost_always_step_after_a_cancel_is_requested_again),
        in_world(a_forced_cancel_drops_a_lost_always_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
