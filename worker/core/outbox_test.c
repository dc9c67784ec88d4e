/* outbox_test.c - what the broker is told, and what survives: new sessions, restarts, keepers
 * that vanish. */
#include "worker/core/testing.h"

/* ---- STARTED and PROGRESS */

static void started_is_sent_for_a_job_that_outlasts_the_delay(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    assert_int_equal(sent(w, STARTED), 0);
    wtest_pass(w, 50);
    assert_int_equal(sent(w, STARTED), 1);
    wtest_pass(w, 1000);
    assert_int_equal(sent(w, STARTED), 1);
}

static void started_is_not_sent_for_a_short_job(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_pass(w, 1000);
    assert_int_equal(sent(w, STARTED), 0);
    assert_int_equal(wcore_deadline(w->core), INT64_MAX);
}

static void started_is_not_sent_after_the_session_has_ended(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_event(w, WCORE_SESSION_DOWN);
    wtest_pass(w, 50);
    assert_int_equal(sent(w, STARTED), 0);
}

static void progress_is_rate_limited_and_the_newest_wins(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_pass(w, 1000);
    for (uint64_t i = 1; i <= 50; i++)
        KEEPER(w, s_progress, .run = wtest_run(1), .attempt = 1, .percent = i,
               .text = span_str("loading"));
    assert_int_equal(sent(w, PROGRESS), 1);
    wtest_pass(w, 200);
    assert_int_equal(sent(w, PROGRESS), 2);
    struct m_progress p;
    struct error err = {0};
    assert_int_equal(
        m_progress_decode(wtest_seen_at(w, WCORE_FX_SEND, KIND_M_PROGRESS, 1), &p, &err), 0);
    assert_int_equal(p.percent, 50);
    wtest_assert_text(p.text, "loading");
}

static void progress_of_an_unknown_attempt_is_ignored(void **state)
{
    struct wtest *w = *state;
    KEEPER(w, s_progress, .run = wtest_run(1), .attempt = 1, .percent = 5);
    wtest_pass(w, 1000);
    assert_int_equal(w->n, 0);
}

/* ---- Sessions */

static void a_new_session_repeats_the_inventory_and_all_results(void **state)
{
    struct wtest *w = *state;
    for (unsigned i = 1; i <= WTEST_SLOTS + 1; i++)
        wtest_execute(w, i, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_launched(w, 2, 1, "run", 1);
    wtest_event(w, WCORE_SESSION_DOWN);
    wtest_clear(w);
    wtest_up(w);
    assert_int_equal(sent(w, HAVE), 3);
    uint64_t states[16] = {0};
    for (unsigned i = 0; i < 3; i++) {
        struct m_have h;
        struct error err = {0};
        assert_int_equal(m_have_decode(wtest_seen_at(w, WCORE_FX_SEND, KIND_M_HAVE, i), &h, &err),
                         0);
        states[h.state]++;
    }
    assert_int_equal(states[RUN_ENDED], 1);
    assert_int_equal(states[RUN_RUNNING], 1);
    assert_int_equal(states[RUN_HANDED_OVER], 1);
    struct m_have_end e;
    struct error err = {0};
    assert_int_equal(
        m_have_end_decode(wtest_seen_at(w, WCORE_FX_SEND, KIND_M_HAVE_END, 0), &e, &err), 0);
    assert_int_equal(e.count, 3);
    assert_int_equal(sent(w, RESULT), 1);
    wtest_up(w); /* a session that follows another without notice */
    assert_int_equal(sent(w, RESULT), 2);
}

static void a_step_carries_the_time_that_its_fence_rests_on(void **state)
{
    struct wtest *w = *state;
    TELL(w, WCORE_SESSION_UP, m_welcome, .lost_after_ms = 60000);
    wtest_execute(w, 1, 1);
    assert_int_equal(wtest_step_asked(w, 0).lost_after_ms, 60000);
    MESSAGE(w, m_recorded, .run = wtest_run(1), .attempt = 1);
    struct buf x = {0};
    buf_add(&x, wtest_seen_at(w, WCORE_FX_FIND_JOB, KIND_M_EXECUTE, 0).p,
            wtest_seen_at(w, WCORE_FX_FIND_JOB, KIND_M_EXECUTE, 0).n);
    struct m_execute e;
    struct error err = {0};
    assert_int_equal(m_execute_decode(buf_span(&x), &e, &err), 0);
    MESSAGE(w, m_execute, .run = wtest_run(2), .attempt = 1, .call = e.call, .job_hash = e.job_hash,
            .on_lost = ON_LOST_RERUN, .lost_after_ms = 5000);
    assert_int_equal(wtest_step_asked(w, 1).lost_after_ms, 5000);
    assert_int_equal(wtest_step_asked(w, 1).on_lost, ON_LOST_RERUN);
    buf_free(&x);
}

static void nothing_is_sent_without_a_session(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_event(w, WCORE_SESSION_DOWN);
    wtest_clear(w);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(sent(w, RESULT), 0);
    assert_int_equal(spooled(w, FINISHED), 1);
    wtest_up(w);
    assert_int_equal(sent(w, RESULT), 1);
}

static void a_recorded_result_is_forgotten_and_not_sent_again(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    MESSAGE(w, m_recorded, .run = wtest_run(1), .attempt = 1);
    MESSAGE(w, m_recorded, .run = wtest_run(1), .attempt = 1);
    wtest_clear(w);
    wtest_up(w);
    assert_int_equal(sent(w, HAVE), 0);
    assert_int_equal(sent(w, RESULT), 0);
}

static void recorded_for_a_running_attempt_forgets_nothing(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    MESSAGE(w, m_recorded, .run = wtest_run(1), .attempt = 1);
    assert_true(wcore_knows(w->core, wtest_run(1), 1));
    assert_int_equal(spooled(w, RECORDED), 0);
}

static void results_are_sent_a_few_at_a_time_until_all_have_left(void **state)
{
    enum { MANY = 60 };
    struct wtest *w = *state;
    struct buf items = {0}, text = {0};
    memset(buf_grow(&text, 60000), 'x', 60000);
    text.n = 60000;
    value_add_str(&items, span_str("big"));
    value_add_str(&items, buf_span(&text));
    wtest_event(w, WCORE_SESSION_DOWN);
    for (unsigned i = 1; i <= MANY; i++) {
        wtest_clear(w);
        wtest_execute(w, i, 1);
        wtest_launched(w, i, 1, "run", 1);
        wtest_ended_as(w, i, 1,
                       (struct d_step_outcome){.name = span_str("run"),
                                               .try_no = 1,
                                               .package = PACKAGE_SUCCEEDED,
                                               .outputs = wire_list_from(&items, 1)});
    }
    wtest_clear(w);
    wtest_up(w);
    unsigned first = sent(w, RESULT);
    assert_in_range(first, 1, MANY - 1);
    for (unsigned i = 1; i <= MANY; i++)
        MESSAGE(w, m_recorded, .run = wtest_run(i), .attempt = 1);
    assert_int_equal(sent(w, RESULT), MANY);
    assert_int_equal(wcore_live(w->core), 0);
    buf_free(&items);
    buf_free(&text);
}

/* ---- Restarts: of this process, of the runner, of a keeper */

static void after_a_restart_a_step_that_no_keeper_holds_is_requested_again(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_restart(w);
    wtest_event(w, WCORE_RUNNER_UP);
    assert_int_equal(asked(w), 0);
    wtest_event(w, WCORE_KEPT_END);
    wtest_assert_asked(w, 0, "run", 1);
    assert_int_equal(spooled(w, STEPPED), 0);
}

static void after_a_restart_a_step_that_a_keeper_holds_is_left_to_it(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_execute(w, 2, 1);
    wtest_launched(w, 2, 1, "run", 1);
    wtest_restart(w);
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 1, 1, "run", 1, KEPT_WAITS);
    wtest_kept(w, 2, 1, "run", 1, KEPT_RUNS);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(asked(w), 0);
    assert_int_equal(spooled(w, ENDED), 0);
    wtest_up(w);
    wtest_ended(w, 2, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void a_launched_step_that_no_keeper_holds_is_unknown(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_restart(w);
    wtest_up(w);
    wtest_runner(w);
    assert_int_equal(asked(w), 0);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN);
    wtest_assert_has(wtest_result(w, 0).message, "keeper");
}

static void an_unknown_step_is_not_retried_but_always_steps_run(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "load", .attempts = 3}, {.name = "clean", .always = true}},
              2);
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "load", 1);
    wtest_clear(w);
    wtest_kept(w, 1, 1, "load", 1, KEPT_GONE);
    wtest_assert_asked(w, 0, "clean", 1);
    wtest_ran(w, 1, "clean", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN);
}

static void a_report_from_an_abandoned_keeper_changes_nothing(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    wtest_kept(w, 1, 1, "run", 1, KEPT_GONE);
    wtest_clear(w);
    wtest_ended(w, 1, 1, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(w->n, 0);
}

static void a_keeper_that_dies_before_the_launch_is_replaced(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_clear(w);
    wtest_kept(w, 1, 1, "run", 1, KEPT_GONE);
    wtest_assert_asked(w, 0, "run", 1);
    assert_int_equal(spooled(w, ENDED), 0);
}

static void what_no_slot_can_run_is_given_back(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_clear(w);
    wtest_kept(w, 1, 1, "run", 1, KEPT_NOWHERE);
    assert_int_equal(spooled(w, GIVEN_BACK), 1);
    assert_int_equal(sent(w, RETURNED), 1);
    assert_int_equal(asked(w), 0);
}

/* An earlier step has run here, so another server would run it twice. */
static void a_later_step_that_no_slot_can_run_fails(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "load"}, {.name = "post"}}, 2);
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "load", 1, PACKAGE_SUCCEEDED);
    wtest_kept(w, 1, 1, "post", 1, KEPT_NOWHERE);
    assert_int_equal(sent(w, RETURNED), 0);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_FAILED, PACKAGE_SUCCEEDED);
}

static void a_stopped_step_that_no_keeper_holds_is_not_requested_again(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    wtest_clear(w);
    wtest_runner(w);
    assert_int_equal(asked(w), 0);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_NOT_EXECUTED);
}

static void a_stop_is_repeated_to_a_restarted_runner(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    MESSAGE(w, m_stop, .run = wtest_run(1), .attempt = 1);
    wtest_clear(w);
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 1, 1, "run", 1, KEPT_RUNS);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(halted(w), 1);
}

static void an_unknown_step_at_a_keeper_is_halted(void **state)
{
    struct wtest *w = *state;
    wtest_kept(w, 77, 1, "run", 1, KEPT_RUNS);
    assert_int_equal(halted(w), 1);
    wtest_kept(w, 78, 1, "run", 1, KEPT_GONE);
    wtest_kept(w, 0, 0, "", 0, KEPT_NOTHING);
    assert_int_equal(halted(w), 1);
}

static void after_a_restart_results_are_sent_again(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_restart(w);
    wtest_up(w);
    assert_int_equal(sent(w, HAVE), 1);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void an_end_not_yet_acted_on_takes_effect_after_the_restart(void **state)
{
    struct wtest *w = *state;
    wtest_execute(w, 1, 1);
    wtest_launched(w, 1, 1, "run", 1);
    /* the keeper writes while no worker is running */
    struct buf bytes = {0};
    struct d_step_outcome o = {.name = span_str("run"), .try_no = 1, .package = PACKAGE_SUCCEEDED};
    d_step_outcome_encode(&o, &bytes);
    struct s_ended e = {.run = wtest_run(1), .attempt = 1, .outcome = buf_span(&bytes)};
    s_ended_encode(&e, &w->keeper_log);
    buf_free(&bytes);
    wtest_restart(w);
    wtest_event(w, WCORE_TICK);
    assert_int_equal(spooled(w, FINISHED), 1);
}

static void a_waiting_attempt_waits_again_after_a_restart(void **state)
{
    struct wtest *w = *state;
    for (unsigned i = 1; i <= WTEST_SLOTS + 1; i++)
        wtest_execute(w, i, 1);
    wtest_restart(w);
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 1, 1, "run", 1, KEPT_RUNS);
    wtest_kept(w, 2, 1, "run", 1, KEPT_RUNS);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(asked(w), 0);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(asked(w), 1);
}

/* ---- The spool */

static void the_replay_refuses_an_entry_of_an_unknown_kind(void **state)
{
    struct wtest *w = *state;
    struct error err = {0};
    struct buf b = {0};
    struct m_ping p = {.stamp = 1};
    m_ping_encode(&p, &b);
    assert_true(wcore_replay(w->core, buf_span(&b), &err) < 0);
    assert_contains(err.text, "kind");
    assert_true(wcore_replay(w->core, span_str("nonsense"), &err) < 0);
    buf_free(&b);
}

static void the_replay_refuses_a_taken_entry_with_a_bad_job(void **state)
{
    struct wtest *w = *state;
    struct error err = {0};
    struct buf b = {0}, x = {0};
    struct m_execute e = {.run = wtest_run(1), .attempt = 1};
    m_execute_encode(&e, &x);
    struct s_taken t = {.execute = buf_span(&x), .job = span_str("nonsense")};
    s_taken_encode(&t, &b);
    assert_true(wcore_replay(w->core, buf_span(&b), &err) < 0);
    buf_clear(&b);
    t.job = buf_span(&w->job); /* from here on its call is malformed */
    s_taken_encode(&t, &b);
    assert_true(wcore_replay(w->core, buf_span(&b), &err) < 0);
    assert_int_equal(wcore_live(w->core), 0);
    buf_free(&b);
    buf_free(&x);
}

static void entries_of_unknown_attempts_are_skipped(void **state)
{
    struct wtest *w = *state;
    wtest_launched(w, 9, 1, "run", 1);
    wtest_ended(w, 9, 1, "run", 1, PACKAGE_SUCCEEDED);
    wtest_execute(w, 1, 1);
    wtest_ended(w, 1, 1, "nosuch", 1, PACKAGE_SUCCEEDED);
    wtest_ended(w, 1, 1, "run", 2, PACKAGE_SUCCEEDED);
    assert_int_equal(spooled(w, FINISHED), 0);
}

static void of_two_ends_of_one_step_the_first_counts(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (struct row[]){{.name = "a"}, {.name = "b"}}, 2);
    wtest_execute(w, 1, 1);
    wtest_ran(w, 1, "a", 1, PACKAGE_SUCCEEDED);
    wtest_ended(w, 1, 1, "a", 1, PACKAGE_FAILED);
    wtest_ran(w, 1, "b", 1, PACKAGE_SUCCEEDED);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

/* ---- What is on record of how the tries were run */

/* The try ends, with so many bytes on record. */
static void ended_on_record(struct wtest *w, const char *step, uint64_t try_no,
                            enum package_outcome package, size_t bytes)
{
    struct buf outcome = {0}, execution = {0};
    struct d_step_outcome o = {.name = span_str(step), .try_no = try_no, .package = package};
    buf_grow(&execution, bytes + 1);
    memset(execution.p, (int)try_no, bytes);
    d_step_outcome_encode(&o, &outcome);
    wtest_launched(w, 1, 1, step, try_no);
    KEEPER(w, s_ended, .run = wtest_run(1), .attempt = 1, .outcome = buf_span(&outcome),
           .execution = span_of(execution.p, bytes));
    buf_free(&outcome);
    buf_free(&execution);
}

/* What the RESULT brings; points into the log of what was sent. */
static struct d_executions on_record(const struct wtest *w)
{
    struct m_result m;
    struct d_executions x = {.left_out = 0};
    struct error err = {0};
    assert_int_equal(m_result_decode(wtest_seen_at(w, WCORE_FX_SEND, KIND_M_RESULT, 0), &m, &err),
                     0);
    assert_true(m.executions.n <= LIMIT_EXECUTIONS);
    if (m.executions.n && d_executions_decode(m.executions, &x, &err) < 0)
        fail_msg("%s", err.text);
    return x;
}

static void a_result_brings_what_is_on_record_of_each_try(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (const struct row[]){{.name = "a", .attempts = 2}, {.name = "b"}}, 2);
    wtest_execute(w, 1, 1);
    ended_on_record(w, "a", 1, PACKAGE_FAILED, 10);
    wtest_pass(w, 60000);
    ended_on_record(w, "a", 2, PACKAGE_SUCCEEDED, 20);
    wtest_ran(w, 1, "b", 1, PACKAGE_SUCCEEDED); /* an older keeper puts nothing on record */
    for (int i = 0; i < 2; i++) {
        struct d_executions x = on_record(w);
        struct wire_iter it = wire_iter(&x.tries);
        struct span one;
        assert_int_equal(x.tries.count, 2);
        assert_true(wire_next(&it, &one) && one.n == 10 && one.p[0] == 1);
        assert_true(wire_next(&it, &one) && one.n == 20 && one.p[0] == 2);
        assert_int_equal(x.left_out, 0);
        wtest_restart(w);
        wtest_clear(w);
        wtest_up(w);
    }
}

static void of_more_than_fits_the_newest_tries_are_kept_and_the_others_counted(void **state)
{
    struct wtest *w = *state;
    wtest_job(w, (const struct row[]){{.name = "a", .attempts = 5}}, 1);
    wtest_execute(w, 1, 1);
    for (uint64_t try_no = 1; try_no <= 5; try_no++) {
        ended_on_record(w, "a", try_no, try_no < 5 ? PACKAGE_FAILED : PACKAGE_SUCCEEDED,
                        LIMIT_EXECUTIONS / 3);
        wtest_pass(w, 60000);
    }
    struct d_executions x = on_record(w);
    struct wire_iter it = wire_iter(&x.tries);
    struct span one;
    assert_int_equal(x.tries.count, 2);
    assert_int_equal(x.left_out, 3);
    assert_true(wire_next(&it, &one) && one.p[0] == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(started_is_sent_for_a_job_that_outlasts_the_delay),
        in_world(started_is_not_sent_for_a_short_job),
        in_world(started_is_not_sent_after_the_session_has_ended),
        in_world(progress_is_rate_limited_and_the_newest_wins),
        in_world(progress_of_an_unknown_attempt_is_ignored),
        in_world(a_new_session_repeats_the_inventory_and_all_results),
        in_world(a_step_carries_the_time_that_its_fence_rests_on),
        in_world(nothing_is_sent_without_a_session),
        in_world(a_recorded_result_is_forgotten_and_not_sent_again),
        in_world(recorded_for_a_running_attempt_forgets_nothing),
        in_world(results_are_sent_a_few_at_a_time_until_all_have_left),
        in_world(after_a_restart_a_step_that_no_keeper_holds_is_requested_again),
        in_world(after_a_restart_a_step_that_a_keeper_holds_is_left_to_it),
        in_world(a_launched_step_that_no_keeper_holds_is_unknown),
        in_world(an_unknown_step_is_not_retried_but_always_steps_run),
        in_world(a_report_from_an_abandoned_keeper_changes_nothing),
        in_world(a_keeper_that_dies_before_the_launch_is_replaced),
        in_world(what_no_slot_can_run_is_given_back),
        in_world(a_later_step_that_no_slot_can_run_fails),
        in_world(a_stopped_step_that_no_keeper_holds_is_not_requested_again),
        in_world(a_stop_is_repeated_to_a_restarted_runner),
        in_world(an_unknown_step_at_a_keeper_is_halted),
        in_world(after_a_restart_results_are_sent_again),
        in_world(an_end_not_yet_acted_on_takes_effect_after_the_restart),
        in_world(a_waiting_attempt_waits_again_after_a_restart),
        in_world(the_replay_refuses_an_entry_of_an_unknown_kind),
        in_world(the_replay_refuses_a_taken_entry_with_a_bad_job),
        in_world(entries_of_unknown_attempts_are_skipped),
        in_world(of_two_ends_of_one_step_the_first_counts),
        in_world(a_result_brings_what_is_on_record_of_each_try),
        in_world(of_more_than_fits_the_newest_tries_are_kept_and_the_others_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
