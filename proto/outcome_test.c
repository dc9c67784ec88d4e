/* outcome_test.c - the status rule over every combination of the three layers, against the rule as
 * written in prose. */
#include "common/testing.h"
#include "proto/outcome.h"
#include "proto/state.h"

#include <errno.h>

/* The rules of precedence, row by row: the first that holds decides. */
static const char *by_prose(const char *d, const char *j, const char *p)
{
    const struct {
        bool holds;
        const char *status;
    } rows[] = {
        {!strcmp(d, "refused"), "refused"},
        {!strcmp(d, "unreachable"), "unreachable"},
        {!strcmp(j, "cancelled"), "cancelled"},
        {!strcmp(j, "timed_out"), "timed_out"},
        {!strcmp(j, "lost"), "lost"},
        {!strcmp(p, "cancelled"), "cancelled"},
        {!strcmp(j, "unknown") || !strcmp(p, "unknown"), "unknown"},
        {!strcmp(j, "failed") || !strcmp(p, "failed"), "failed"},
        {!strcmp(j, "not_called"), "unknown"},
        {true, "succeeded"},
    };
    unsigned i = 0;
    while (!rows[i].holds)
        i++;
    return rows[i].status;
}

static void the_status_of_every_combination_is_the_first_row_that_holds(void **state)
{
    (void)state;
    for (unsigned d = 0; d < DELIVERY_COUNT; d++)
        for (unsigned j = 0; j < JOB_COUNT; j++)
            for (unsigned p = 0; p < PACKAGE_COUNT; p++)
                assert_string_equal(
                    status_text(outcome_status(d, j, p)),
                    by_prose(delivery_text(d), job_outcome_text(j), package_outcome_text(p)));
}

static void a_failed_package_is_never_hidden_by_a_job_that_succeeded(void **state)
{
    (void)state;
    assert_int_equal(outcome_status(DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_FAILED), STATUS_FAILED);
}

static void the_package_layer_of_a_run_is_the_worst_of_its_steps(void **state)
{
    (void)state;
    enum package_outcome so_far = PACKAGE_NOT_EXECUTED;
    so_far = package_outcome_fold(so_far, PACKAGE_NOT_EXECUTED);
    assert_int_equal(so_far, PACKAGE_NOT_EXECUTED);
    so_far = package_outcome_fold(so_far, PACKAGE_SUCCEEDED);
    assert_int_equal(so_far, PACKAGE_SUCCEEDED);
    so_far = package_outcome_fold(so_far, PACKAGE_UNKNOWN);
    assert_int_equal(so_far, PACKAGE_UNKNOWN);
    so_far = package_outcome_fold(so_far, PACKAGE_FAILED);
    so_far = package_outcome_fold(so_far, PACKAGE_SUCCEEDED);
    so_far = package_outcome_fold(so_far, PACKAGE_UNKNOWN);
    assert_int_equal(so_far, PACKAGE_FAILED);
    assert_int_equal(package_outcome_fold(PACKAGE_NOT_EXECUTED, PACKAGE_CANCELLED),
                     PACKAGE_CANCELLED);
}

static void words_are_read_back(void **state)
{
    (void)state;
    assert_int_equal(status_parse(span_str("timed_out")), STATUS_TIMED_OUT);
    assert_int_equal(status_parse(span_str("timed")), -1);
    assert_int_equal(on_lost_parse(span_str("rerun")), ON_LOST_RERUN);
    assert_int_equal(step_action_parse(span_str("quit-failure")), ACTION_QUIT_FAILURE);
    assert_string_equal(status_text(99), "?");
}

static void an_ended_run_never_changes_state(void **state)
{
    (void)state;
    for (unsigned ev = 0; ev < RUN_EV_COUNT; ev++) {
        enum run_state to = RUN_WAITING;
        assert_int_equal(run_state_next(RUN_ENDED, ev, &to), -EINVAL);
        assert_int_equal(to, RUN_WAITING);
    }
}

static void every_state_can_reach_an_end_and_every_word_exists(void **state)
{
    (void)state;
    for (unsigned s = 0; s < RUN_ENDED; s++) {
        enum run_state to;
        assert_int_equal(run_state_next(s, RUN_EV_END, &to), 0);
        assert_int_equal(to, RUN_ENDED);
        assert_string_not_equal(run_state_text(s), "?");
    }
    for (unsigned ev = 0; ev < RUN_EV_COUNT; ev++)
        assert_non_null(run_event_text(ev));
}

static void a_run_that_is_being_cancelled_never_waits_again(void **state)
{
    (void)state;
    enum run_state to;
    assert_int_equal(run_state_next(RUN_CANCELLING, RUN_EV_RETURN, &to), 0);
    assert_int_equal(to, RUN_ENDED);
    assert_int_equal(run_state_next(RUN_CANCELLING, RUN_EV_LOSE_RERUN, &to), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_of_every_combination_is_the_first_row_that_holds),
        cmocka_unit_test(a_failed_package_is_never_hidden_by_a_job_that_succeeded),
        cmocka_unit_test(the_package_layer_of_a_run_is_the_worst_of_its_steps),
        cmocka_unit_test(words_are_read_back),
        cmocka_unit_test(an_ended_run_never_changes_state),
        cmocka_unit_test(every_state_can_reach_an_end_and_every_word_exists),
        cmocka_unit_test(a_run_that_is_being_cancelled_never_waits_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
