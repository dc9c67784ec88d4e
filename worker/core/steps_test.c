/* steps_test.c - the step machine: order, actions, goto, retries, outputs, the three layers. */
#include "worker/core/testing.h"

#define JOB(w, ...) \
    do { \
        static const struct row rows_[] = {__VA_ARGS__}; \
        wtest_job(w, rows_, sizeof rows_ / sizeof *rows_); \
    } while (0)

static void steps_run_in_order_and_the_job_succeeds_with_the_last(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract"}, {.name = "load"});
    wtest_execute(w, 1, 1);
    wtest_assert_asked(w, 0, "extract", 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_SUCCEEDED);
    wtest_assert_asked(w, 1, "load", 1);
    assert_int_equal(sent(w, RESULT), 0);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    assert_int_equal(wtest_step_result(w, 0, 0).action, ACTION_NEXT);
    assert_int_equal(asked(w), 2);
}

static void a_failed_step_fails_the_job_and_skips_the_rest(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract"}, {.name = "load"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_FAILED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED);
    wtest_assert_text(wtest_result(w, 0).message, "no such table");
    assert_int_equal(wtest_step_result(w, 0, 0).action, ACTION_QUIT_FAILURE);
    assert_int_equal(asked(w), 1);
}

static void quit_success_ends_the_job_early(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract", .on_success = "quit-success"}, {.name = "load"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    assert_int_equal(asked(w), 1);
}

static void a_success_may_quit_with_failure(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract", .on_success = "quit-failure"}, {.name = "load"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_SUCCEEDED);
    wtest_assert_has(wtest_result(w, 0).message, "quit-failure");
}

static void a_failure_that_quits_with_success_is_handled(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract", .on_failure = "quit-success"}, {.name = "load"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_FAILED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    assert_int_equal(wtest_step_result(w, 0, 0).package, PACKAGE_FAILED);
}

static void a_failure_may_lead_to_the_next_step_and_is_handled(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract", .on_failure = "next"}, {.name = "load"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_FAILED);
    wtest_assert_asked(w, 1, "load", 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    assert_int_equal(wtest_step_result(w, 0, 0).package, PACKAGE_FAILED);
    assert_int_equal(wtest_step_result(w, 0, 0).exit_code, 4);
}

static void a_last_step_that_fails_with_next_lets_the_job_succeed(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract", .on_failure = "next"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_FAILED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void a_failure_that_nothing_handles_fails_the_package_layer_after_one_that_is(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract", .on_failure = "next"}, {.name = "load"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "extract", 1, PACKAGE_FAILED);
    wtest_ran(w, 1, "load", 1, PACKAGE_FAILED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED);
}

static void a_goto_from_a_failure_handles_it(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load", .on_failure = "goto repair"},
        {.name = "publish", .on_success = "quit-success"}, {.name = "repair"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_FAILED);
    wtest_assert_asked(w, 1, "repair", 1);
    wtest_ran(w, 1, "repair", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    assert_int_equal(wtest_step_result(w, 0, 0).action, ACTION_GOTO);
    wtest_assert_text(wtest_step_result(w, 0, 0).target, "repair");
}

static void a_goto_may_go_back_and_the_step_gets_a_new_try(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "load", .on_failure = "goto repair"},
        {.name = "publish", .on_success = "quit-success"},
        {.name = "repair", .on_success = "goto load"});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_FAILED);
    wtest_ran(w, 1, "repair", 1, PACKAGE_SUCCEEDED);
    wtest_assert_asked(w, 2, "load", 2);
    wtest_ran(w, 1, "load", 2, PACKAGE_SUCCEEDED);
    wtest_assert_asked(w, 3, "publish", 1);
    wtest_ran(w, 1, "publish", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void the_guard_ends_a_goto_loop(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "again", .on_success = "goto again"});
    wtest_execute(w, 1, 1);
    unsigned n = 0;
    while (!sent(w, RESULT)) {
        n++;
        wtest_clear(w);
        wtest_ran(w, 1, "again", n, PACKAGE_SUCCEEDED);
        assert_true(n <= LIMIT_TRIES);
    }
    assert_int_equal(n, LIMIT_TRIES);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_SUCCEEDED);
    wtest_assert_has(wtest_result(w, 0).message, "goto");
}

static void a_retry_waits_for_its_interval_and_frees_its_slot_meanwhile(void **state)
{
    struct wtest *w = *state;
    w->config.slots = 1;
    wtest_restart(w);
    wtest_up(w);
    wtest_runner(w);
    wtest_clear(w);
    JOB(w, {.name = "run", .attempts = 3, .interval_ms = 1000, .backoff = 2});
    wtest_execute(w, 1, 1);
    wtest_execute(w, 2, 1);
    assert_int_equal(asked(w), 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_FAILED);
    assert_int_equal(asked(w), 2); /* the other attempt has the slot now */
    assert_memory_equal(wtest_step_asked(w, 1).run.b, wtest_run(2).b, 16);
    wtest_ran(w, 2, "run", 1, PACKAGE_SUCCEEDED);
    wtest_pass(w, 100);
    assert_int_equal(wcore_deadline(w->core), w->now + 900);
    wtest_pass(w, 899);
    assert_int_equal(asked(w), 2);
    wtest_pass(w, 1);
    wtest_assert_asked(w, 2, "run", 2);
    wtest_ran(w, 1, "run", 2, PACKAGE_FAILED);
    wtest_pass(w, 1999); /* backoff: twice as long */
    assert_int_equal(asked(w), 3);
    wtest_pass(w, 1);
    wtest_assert_asked(w, 3, "run", 3);
    wtest_ran(w, 1, "run", 3, PACKAGE_FAILED);
    wtest_assert_result(w, 1, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED);
    assert_int_equal(wtest_step_result(w, 1, 0).action, ACTION_RETRY);
    assert_int_equal(wtest_step_result(w, 1, 2).action, ACTION_QUIT_FAILURE);
}

static struct m_progress progress_at(const struct wtest *w, unsigned index)
{
    struct m_progress m;
    struct error err = {0};
    struct span s = wtest_seen_at(w, WCORE_FX_SEND, KIND_M_PROGRESS, index);
    assert_int_equal(m_progress_decode(s, &m, &err), 0);
    return m;
}

static void the_broker_is_told_of_a_wait_of_its_end_and_again_in_a_new_session(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 2, .interval_ms = 5000});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_FAILED);
    assert_int_equal(sent(w, PROGRESS), 1);
    wtest_assert_text(progress_at(w, 0).waits, "run");
    wtest_event(w, WCORE_SESSION_DOWN);
    wtest_up(w);
    assert_int_equal(sent(w, PROGRESS), 2);
    wtest_assert_text(progress_at(w, 1).waits, "run");
    wtest_pass(w, 5000);
    wtest_assert_asked(w, 1, "run", 2);
    wtest_pass(w, 1);
    assert_int_equal(sent(w, PROGRESS), 3);
    assert_int_equal(progress_at(w, 2).waits.n, 0);
}

static void a_short_wait_is_not_worth_a_message(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 2, .interval_ms = 499});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_FAILED);
    wtest_pass(w, 499);
    wtest_assert_asked(w, 1, "run", 2);
    wtest_pass(w, 1);
    assert_int_equal(sent(w, PROGRESS), 0);
}

static void what_waits_for_its_next_try_takes_no_place_from_new_attempts(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 2, .interval_ms = 5000});
    for (unsigned i = 1; i <= LIMIT_PREFETCH + WTEST_SLOTS; i++)
        wtest_execute(w, i, 1);
    assert_int_equal(sent(w, RETURNED), 0);
    wtest_execute(w, 500, 1);
    assert_int_equal(sent(w, RETURNED), 1); /* it is full */
    wtest_ran(w, 1, "run", 1, PACKAGE_FAILED);
    wtest_execute(w, 501, 1);
    assert_int_equal(sent(w, RETURNED), 1);
}

static void a_success_after_a_retry_leaves_no_failure_behind(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 2});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_FAILED);
    wtest_assert_asked(w, 1, "run", 2);
    wtest_ran(w, 1, "run", 2, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
    assert_int_equal(wtest_result(w, 0).steps.count, 2);
}

static void only_the_listed_exit_codes_are_retried(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 3, .retry_codes = "\x4b"});
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_ended_as(
        w, 1, 1,
        (struct d_step_outcome){
            .name = span_str("run"), .try_no = 1, .package = PACKAGE_FAILED, .exit_code = 75});
    wtest_assert_asked(w, 1, "run", 2);
    wtest_ran(w, 1, "run", 2, PACKAGE_FAILED); /* exit 4 */
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED);
}

static void a_wait_for_the_next_try_survives_a_restart(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 2, .interval_ms = 5000});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_FAILED);
    w->now += 2000;
    w->wall += 2000;
    wtest_restart(w);
    wtest_runner(w);
    assert_int_equal(asked(w), 0);
    assert_int_equal(wcore_deadline(w->core), w->now + 3000);
    wtest_pass(w, 3000);
    wtest_assert_asked(w, 0, "run", 2);
}

static void a_wall_clock_that_jumped_back_does_not_lengthen_the_wait(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 2, .interval_ms = 5000});
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_FAILED);
    w->wall -= 3600000;
    wtest_restart(w);
    wtest_runner(w);
    assert_int_equal(wcore_deadline(w->core), w->now + 5000);
}

static void the_newest_outputs_of_a_repeated_step_are_passed_on(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a", .attempts = 2}, {.name = "b"});
    wtest_execute(w, 1, 1);
    for (uint64_t try_no = 1; try_no <= 2; try_no++) {
        struct buf items = {0};
        value_add_str(&items, span_str("rows"));
        value_add_int(&items, (int64_t)try_no);
        wtest_launched(w, 1, 1, "a", try_no);
        wtest_ended_as(
            w, 1, 1,
            (struct d_step_outcome){.name = span_str("a"),
                                    .try_no = try_no,
                                    .package = try_no == 1 ? PACKAGE_FAILED : PACKAGE_SUCCEEDED,
                                    .outputs = wire_list_from(&items, 1)});
        buf_free(&items);
    }
    struct s_step s = wtest_step_asked(w, 2);
    struct wire_iter it = wire_iter(&s.outputs);
    struct span item;
    struct s_outputs o;
    struct error err = {0};
    struct value v;
    assert_int_equal(s.outputs.count, 1);
    assert_true(wire_next(&it, &item));
    assert_int_equal(s_outputs_decode(item, &o, &err), 0);
    assert_true(wire_map_get(&o.outputs, "rows", &v));
    assert_int_equal(v.integer, 2);
}

static void outputs_of_earlier_steps_are_passed_on(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "extract"}, {.name = "load"});
    struct buf items = {0};
    value_add_str(&items, span_str("rows"));
    value_add_int(&items, 48211);
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "extract", 1);
    wtest_ended_as(w, 1, 1,
                   (struct d_step_outcome){.name = span_str("extract"),
                                           .try_no = 1,
                                           .package = PACKAGE_SUCCEEDED,
                                           .outputs = wire_list_from(&items, 1)});
    struct s_step s = wtest_step_asked(w, 1);
    assert_int_equal(s.outputs.count, 1);
    struct wire_iter it = wire_iter(&s.outputs);
    struct span item;
    assert_true(wire_next(&it, &item));
    struct s_outputs o;
    struct error err = {0};
    struct value v;
    assert_int_equal(s_outputs_decode(item, &o, &err), 0);
    wtest_assert_text(o.step, "extract");
    assert_true(wire_map_get(&o.outputs, "rows", &v));
    assert_int_equal(v.integer, 48211);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    struct d_outcome out = wtest_result(w, 0);
    assert_true(wire_map_get(&out.outputs, "rows", &v));
    assert_int_equal(v.integer, 48211);
    buf_free(&items);
}

static void of_two_outputs_with_the_same_name_the_later_counts(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a"}, {.name = "b"});
    wtest_execute(w, 1, 1);
    const char *steps[] = {"a", "b"};
    for (unsigned i = 0; i < 2; i++) {
        struct buf items = {0};
        value_add_str(&items, span_str("rows"));
        value_add_int(&items, i + 1);
        wtest_launched(w, 1, 1, steps[i], 1);
        wtest_ended_as(w, 1, 1,
                       (struct d_step_outcome){.name = span_str(steps[i]),
                                               .try_no = 1,
                                               .package = PACKAGE_SUCCEEDED,
                                               .outputs = wire_list_from(&items, 1)});
        buf_free(&items);
    }
    struct d_outcome out = wtest_result(w, 0);
    struct value v;
    assert_int_equal(out.outputs.count, 1);
    assert_true(wire_map_get(&out.outputs, "rows", &v));
    assert_int_equal(v.integer, 2);
}

static void many_verbose_tries_still_fit_into_one_outcome(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "run", .attempts = 100});
    struct buf items = {0}, text = {0};
    memset(buf_grow(&text, 60000), 'x', 60000);
    text.n = 60000;
    value_add_str(&items, span_str("big"));
    value_add_str(&items, buf_span(&text));
    wtest_execute(w, 1, 1);
    for (unsigned i = 1; i <= 100; i++) {
        wtest_clear(w);
        wtest_launched(w, 1, 1, "run", i);
        wtest_ended_as(w, 1, 1,
                       (struct d_step_outcome){.name = span_str("run"),
                                               .try_no = i,
                                               .package = PACKAGE_FAILED,
                                               .exit_code = 4,
                                               .outputs = wire_list_from(&items, 1)});
    }
    struct d_outcome o = wtest_result(w, 0);
    assert_int_equal(o.steps.count, 100);
    assert_int_equal(wtest_step_result(w, 0, 0).outputs.count, 0);
    assert_int_equal(wtest_step_result(w, 0, 0).exit_code, 4);
    assert_int_equal(wtest_step_result(w, 0, 99).outputs.count, 1);
    assert_int_equal(o.outputs.count, 1);
    buf_free(&items);
    buf_free(&text);
}

static void refuses_job(struct wtest *w, const char *part)
{
    wtest_execute(w, 1, 1);
    assert_int_equal(asked(w), 0);
    wtest_assert_result(w, 0, DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED);
    assert_int_equal(wtest_result(w, 0).code, REFUSAL_WRONG_JOB);
    wtest_assert_has(wtest_result(w, 0).message, part);
}

static void a_job_with_two_steps_of_the_same_name_is_refused(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a"}, {.name = "a"});
    refuses_job(w, "two steps named 'a'");
}

static void a_job_with_only_always_steps_is_refused(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a", .always = true});
    refuses_job(w, "has only `always` steps");
}

static void a_goto_to_a_missing_step_is_refused(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a", .on_failure = "goto b"});
    refuses_job(w, "'goto b'");
}

static void a_goto_to_an_always_step_is_refused(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a", .on_success = "goto b"}, {.name = "b", .always = true});
    refuses_job(w, "'goto b'");
}

static void an_unknown_action_is_refused(void **state)
{
    struct wtest *w = *state;
    JOB(w, {.name = "a", .on_success = "retry"});
    refuses_job(w, "'retry'");
}

static void a_malformed_job_is_refused(void **state)
{
    struct wtest *w = *state;
    buf_clear(&w->job);
    buf_add_str(&w->job, "nonsense");
    refuses_job(w, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(steps_run_in_order_and_the_job_succeeds_with_the_last),
        in_world(a_failed_step_fails_the_job_and_skips_the_rest),
        in_world(quit_success_ends_the_job_early),
        in_world(a_success_may_quit_with_failure),
        in_world(a_failure_that_quits_with_success_is_handled),
        in_world(a_failure_may_lead_to_the_next_step_and_is_handled),
        in_world(a_last_step_that_fails_with_next_lets_the_job_succeed),
        in_world(a_failure_that_nothing_handles_fails_the_package_layer_after_one_that_is),
        in_world(a_goto_from_a_failure_handles_it),
        in_world(a_goto_may_go_back_and_the_step_gets_a_new_try),
        in_world(the_guard_ends_a_goto_loop),
        in_world(a_retry_waits_for_its_interval_and_frees_its_slot_meanwhile),
        in_world(the_broker_is_told_of_a_wait_of_its_end_and_again_in_a_new_session),
        in_world(a_short_wait_is_not_worth_a_message),
        in_world(what_waits_for_its_next_try_takes_no_place_from_new_attempts),
        in_world(a_success_after_a_retry_leaves_no_failure_behind),
        in_world(only_the_listed_exit_codes_are_retried),
        in_world(a_wait_for_the_next_try_survives_a_restart),
        in_world(a_wall_clock_that_jumped_back_does_not_lengthen_the_wait),
        in_world(the_newest_outputs_of_a_repeated_step_are_passed_on),
        in_world(outputs_of_earlier_steps_are_passed_on),
        in_world(of_two_outputs_with_the_same_name_the_later_counts),
        in_world(many_verbose_tries_still_fit_into_one_outcome),
        in_world(a_job_with_two_steps_of_the_same_name_is_refused),
        in_world(a_job_with_only_always_steps_is_refused),
        in_world(a_goto_to_a_missing_step_is_refused),
        in_world(a_goto_to_an_always_step_is_refused),
        in_world(an_unknown_action_is_refused),
        in_world(a_malformed_job_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
