/* After another boot, or with a spool that has lost entries: nothing is started a second time. */
#include "worker/core/testing.h"

#include "common/mem.h"

static void execute(struct wtest *w, unsigned run, uint64_t on_lost)
{
    struct d_call call = {.cluster = span_str("test"),
                          .caller = span_str("anna"),
                          .key = span_str("k"),
                          .job = span_str("load"),
                          .address = span_str("etl1")};
    struct buf body = {0}, signed_call = {0};
    d_call_encode(&call, &body);
    d_signed_encode(&(struct d_signed){.body = buf_span(&body)}, &signed_call);
    MESSAGE(w, m_execute, .run = wtest_run(run), .attempt = 1, .call = buf_span(&signed_call),
            .on_lost = on_lost, .lost_after_ms = 60000);
    buf_free(&body);
    buf_free(&signed_call);
}

static void begin_again(struct wtest *w, bool rebooted, bool gap)
{
    w->config.rebooted = rebooted;
    w->config.gap = gap;
    wtest_restart(w);
    wtest_up(w);
}

/* The entries of worker.log from the n-th of this kind on are lost. */
static void lose_from(struct wtest *w, uint64_t kind)
{
    struct span rest = buf_span(&w->worker_log);
    uint64_t k;
    size_t size;
    while (rest.n && wire_peek(rest, &k, &size, NULL) == 0) {
        if (k == kind) {
            w->worker_log.n -= rest.n;
            return;
        }
        rest = span_of(rest.p + size, rest.n - size);
    }
    fail();
}

static void after_a_power_cut_a_step_that_was_asked_for_is_unknown_and_not_asked_again(void **state)
{
    struct wtest *w = *state;
    execute(w, 1, ON_LOST_FAIL);
    begin_again(w, true, true); /* no keeper's entry says that it began */
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN);
    wtest_runner(w);
    assert_int_equal(asked(w), 0);
}

static void after_a_power_cut_what_waited_is_perhaps_begun(void **state)
{
    struct wtest *w = *state;
    execute(w, 1, ON_LOST_FAIL);
    execute(w, 2, ON_LOST_RERUN);
    execute(w, 3, ON_LOST_HOLD);
    lose_from(w, KIND_S_STEPPED); /* TAKEN of the first alone is left */
    begin_again(w, true, true);
    assert_int_equal(sent(w, RESULT), 1);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN);
    wtest_runner(w);
    assert_int_equal(asked(w), 0);
}

static void on_lost_decides_about_what_a_power_cut_left_open(void **state)
{
    struct wtest *w = *state;
    static const enum on_lost asks[] = {ON_LOST_RERUN, ON_LOST_HOLD};
    for (unsigned i = 0; i < 2; i++) {
        execute(w, 10 + i, asks[i]);
        begin_again(w, true, true);
        wtest_assert_result(w, i, DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN);
    }
}

static void what_has_ended_before_a_power_cut_counts(void **state)
{
    struct wtest *w = *state;
    execute(w, 1, ON_LOST_FAIL);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    lose_from(w, KIND_S_FINISHED);
    begin_again(w, true, true);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED);
}

static void an_end_does_not_count_if_what_led_to_it_is_lost(void **state)
{
    struct wtest *w = *state;
    execute(w, 1, ON_LOST_FAIL);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    lose_from(w, KIND_S_STEPPED);
    begin_again(w, true, true);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN);
}

static void after_an_orderly_restart_of_the_machine_what_waited_goes_on(void **state)
{
    struct wtest *w = *state;
    for (unsigned run = 1; run <= WTEST_SLOTS + 1; run++)
        execute(w, run, ON_LOST_FAIL);
    begin_again(w, true, false);
    wtest_runner(w);
    assert_int_equal(asked(w), 1); /* the one that had waited; the others were with keepers */
    assert_int_equal(sent(w, RESULT), WTEST_SLOTS);
}

static void in_the_same_boot_what_a_keeper_has_goes_on_despite_a_gap(void **state)
{
    struct wtest *w = *state;
    execute(w, 1, ON_LOST_FAIL);
    execute(w, 2, ON_LOST_FAIL);
    begin_again(w, false, true);
    assert_int_equal(sent(w, RESULT), 0);
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 1, 1, "run", 1, KEPT_RUNS);
    wtest_event(w, WCORE_KEPT_END);
    /* the other one may have ended */
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN);
    assert_int_equal(sent(w, RESULT), 1);
    assert_int_equal(asked(w), 0);
    wtest_ran(w, 1, "run", 1, PACKAGE_SUCCEEDED);
    assert_int_equal(sent(w, RESULT), 2);
}

static void with_a_gap_the_worker_is_alone_once_what_it_does_not_know_has_ended(void **state)
{
    struct wtest *w = *state;
    struct buf body = {0};
    begin_again(w, false, true);
    assert_false(wcore_is_alone(w->core));
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_kept(w, 7, 1, "run", 1, KEPT_RUNS);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(halted(w), 1);
    assert_false(wcore_is_alone(w->core));
    wtest_ended(w, 7, 1, "run", 1, PACKAGE_CANCELLED);
    assert_true(wcore_is_alone(w->core));
    buf_free(&body);
}

static void a_damaged_file_of_a_keeper_makes_what_is_open_doubtful(void **state)
{
    struct wtest *w = *state;
    execute(w, 1, ON_LOST_FAIL);
    wtest_event(w, WCORE_SPOOL_DAMAGED);
    wtest_event(w, WCORE_RUNNER_DOWN);
    wtest_event(w, WCORE_RUNNER_UP);
    wtest_clear(w);
    wtest_event(w, WCORE_KEPT_END);
    assert_int_equal(asked(w), 0);
    wtest_assert_result(w, 0, DELIVERY_CALLED, JOB_UNKNOWN, PACKAGE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(after_a_power_cut_a_step_that_was_asked_for_is_unknown_and_not_asked_again),
        in_world(after_a_power_cut_what_waited_is_perhaps_begun),
        in_world(on_lost_decides_about_what_a_power_cut_left_open),
        in_world(what_has_ended_before_a_power_cut_counts),
        in_world(an_end_does_not_count_if_what_led_to_it_is_lost),
        in_world(after_an_orderly_restart_of_the_machine_what_waited_goes_on),
        in_world(in_the_same_boot_what_a_keeper_has_goes_on_despite_a_gap),
        in_world(with_a_gap_the_worker_is_alone_once_what_it_does_not_know_has_ended),
        in_world(a_damaged_file_of_a_keeper_makes_what_is_open_doubtful),
    };
    return cmocka_run_group_tests_name("gap", tests, NULL, NULL);
}
