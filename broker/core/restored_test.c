/* restored_test.c - a restored backup: no run that was live in it runs again unless a person says
   so. */
#include "broker/core/testing.h"

static void put_back(struct core_world *w)
{
    world_restart_as(w, true);
}

static void release_as(struct core_world *w, uint64_t peer, struct id run, const char *how)
{
    char id[ID_TEXT];
    struct m_done done;
    struct buf args = {0};
    value_add_str(&args, span_str("how"));
    value_add_str(&args, span_str(how));
    SAY(w, peer, "anna", operate, .req = 4, .verb = span_str("release"),
        .target = span_str(id_format(run, id)), .arguments = wire_list_from(&args, 1),
        .reason = span_str("looked at it"));
    SENT(w, peer, DONE, done, &done);
    buf_free(&args);
}

static void every_live_run_is_held_whatever_its_state(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run[5];
    char key[] = "k0";
    for (unsigned i = 0; i < 5; i++, key[1]++)
        run[i] = world_call(w, anna, key);
    SAY(w, wh1, "wh1", started, .run = run[0], .attempt = 1, .step = span_str("s"));
    SAY(w, anna, "anna", cancel, .req = 5, .run = run[1], .reason = span_str("late"));
    world_succeed(w, wh1, "wh1", run[0], 1,
                  5000); /* the first has ended, the third has been handed over */
    SAY(w, wh1, "wh1", started, .run = run[2], .attempt = 1, .step = span_str("s"));
    assert_int_equal(world_state_of(w, run[1]), RUN_CANCELLING);
    assert_int_equal(world_state_of(w, run[2]), RUN_RUNNING);
    assert_int_equal(world_state_of(w, run[4]), RUN_WAITING);
    put_back(w);
    assert_int_equal(world_state_of(w, run[0]), RUN_ENDED);
    for (unsigned i = 1; i < 5; i++)
        assert_int_equal(world_state_of(w, run[i]), RUN_HELD);
    wh1 = world_worker_up(w, "wh1", 1);
    world_pass(w, 2LL * START_WITHIN_MS);
    NOT_SENT(w, wh1, EXECUTE);
    for (unsigned i = 1; i < 5; i++)
        assert_int_equal(world_state_of(w, run[i]), RUN_HELD);
    put_back(w); /* and restored again, from a backup of this state */
    assert_int_equal(world_records_of(w, KIND_R_HELD), 8);
    world_restart(w);
    assert_int_equal(world_state_of(w, run[4]), RUN_HELD);
    anna = world_caller_up(w, "anna");
    /* the cancel requested before the backup */
    SAY(w, anna, "anna", cancel, .req = 6, .run = run[1], .reason = span_str("still"));
    assert_int_equal(world_state_of(w, run[1]), RUN_ENDED);
}

static void a_run_that_still_executes_goes_on_and_its_result_is_evidence(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id known = world_call(w, anna, "a"), waits = world_call(w, anna, "b");
    struct m_recorded r;
    put_back(w);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = known, .attempt = 1, .state = RUN_RUNNING);
    /* from the lost time */
    SAY(w, wh1, "wh1", have, .run = waits, .attempt = 3, .state = RUN_RUNNING);
    SAY(w, wh1, "wh1", have_end, .count = 2);
    SAY(w, wh1, "wh1", started, .run = waits, .attempt = 3, .step = span_str("s"));
    NOT_SENT(w, wh1, STOP);
    world_succeed(w, wh1, "wh1", known, 1, 5);
    SENT(w, wh1, RECORDED, recorded, &r);
    world_succeed(w, wh1, "wh1", waits, 3, 5);
    SENT(w, wh1, RECORDED, recorded, &r);
    assert_null(world_find_sent(w, wh1, KIND_M_ERROR));
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 2);
    assert_int_equal(world_state_of(w, known), RUN_HELD);
    assert_int_equal(world_state_of(w, waits), RUN_HELD);
}

static void a_released_run_gets_an_attempt_number_never_used_before(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1, wh2;
    struct id run = world_call(w, anna, "a");
    struct m_execute e;
    struct m_stop stop;
    struct m_recorded r;
    put_back(w);
    anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 1);
    release_as(w, anna, run, "rerun");
    wh2 = world_worker_up(w, "wh2", 2);
    SENT(w, wh2, EXECUTE, execute, &e);
    assert_int_equal(e.attempt, 1001);
    wh1 = world_worker_hello(w, "wh1", 1); /* has attempt 1, from the lost time */
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    SENT(w, wh1, STOP, stop, &stop); /* since a person has decided */
    SAY(w, wh1, "wh1", have_end, .count = 1);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    SENT(w, wh1, RECORDED, recorded, &r);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    SAY(w, wh2, "wh2", result, .run = run, .attempt = 1001,
        .outcome = world_outcome(w, JOB_FAILED, PACKAGE_FAILED, 5));
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_FAILED);
}

static void releasing_a_run_ends_its_attempts_at_once(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "a");
    struct m_stop stop;
    put_back(w);
    anna = world_caller_up(w, "anna");
    wh1 = world_worker_hello(w, "wh1", 1);
    /* from the lost time */
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 3, .state = RUN_RUNNING);
    release_as(w, anna, run, "fail");
    SENT(w, wh1, STOP, stop, &stop);
    assert_int_equal(stop.attempt, 3);
    assert_true(stop.force); /* it is unknown whether this is the last attempt */
}

static void a_run_ends_as_it_was_released_and_says_why_it_was_held(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "a"), other = world_call(w, anna, "b");
    struct d_outcome o;
    char text[LIMIT_TEXT];
    put_back(w);
    anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 1);
    SAY(w, anna, "anna", follow, .req = 4, .run = other, .level = 1);
    release_as(w, anna, run, "succeed");
    o = world_told_end(w, anna, run);
    assert_int_equal(o.status, STATUS_SUCCEEDED);
    span_copy_str(o.message, text, sizeof text);
    assert_contains(text, "backup");
    SAY(w, anna, "anna", cancel, .req = 5, .run = other, .reason = span_str("enough"));
    o = world_told_end(w, anna, other);
    assert_int_equal(o.status, STATUS_CANCELLED);
    span_copy_str(o.message, text, sizeof text);
    assert_contains(text, "backup");
}

static void the_epoch_is_above_any_that_the_lost_time_can_have_reached(void **state)
{
    struct core_world *w = *state;
    struct m_welcome m;
    w->wall = 1700000000000;
    put_back(w);
    uint64_t anna = world_caller_up(w, "anna");
    SENT(w, anna, WELCOME, welcome, &m);
    assert_int_equal(m.epoch, 1700000000);
    world_restart(w);
    anna = world_caller_up(w, "anna");
    SENT(w, anna, WELCOME, welcome, &m);
    assert_int_equal(m.epoch, 1700000001);
    w->wall = 5000; /* a wrong clock does not lower the epoch */
    put_back(w);
    anna = world_caller_up(w, "anna");
    SENT(w, anna, WELCOME, welcome, &m);
    assert_int_equal(m.epoch, 1700000002);
}

/* `hold` after a loss: an operator may have released it in the lost time. */
static void a_run_held_before_the_backup_may_have_unknown_attempts(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("a");
    struct m_run_state s;
    struct m_execute e;
    struct m_recorded r;
    d.on_lost = ON_LOST_HOLD;
    struct id run = world_call_d(w, anna, d);
    world_down(w, wh1);
    world_pass(w, 2LL * LOST_AFTER_MS);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    put_back(w);
    wh1 = world_worker_hello(w, "wh1", 1);
    /* released in the lost time */
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 2, .state = RUN_RUNNING);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    NOT_SENT(w, wh1, STOP);
    world_succeed(w, wh1, "wh1", run, 2, 5);
    assert_null(world_find_sent(w, wh1, KIND_M_ERROR));
    SENT(w, wh1, RECORDED, recorded, &r);
    anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 2);
    SENT(w, anna, RUN_STATE, run_state, &s);
    assert_true(s.state == RUN_HELD);
    release_as(w, anna, run, "rerun");
    uint64_t wh2 = world_worker_up(w, "wh2", 2);
    SENT(w, wh2, EXECUTE, execute, &e);
    assert_true(e.attempt > 2);
}

static void a_follower_is_told_why_a_run_is_held(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "a");
    struct m_run_state s;
    char text[LIMIT_TEXT];
    put_back(w);
    anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 2);
    SENT(w, anna, RUN_STATE, run_state, &s);
    span_copy_str(s.text, text, sizeof text);
    assert_contains(text, "backup");
    assert_contains(text, "lbctl release");
}

/* It may have run, so the outcome must not say that no server took it. */
static void a_released_run_without_a_server_is_never_reported_as_not_run(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "a");
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    put_back(w);
    anna = world_caller_up(w, "anna");
    release_as(w, anna, run, "rerun");
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 1);
    world_pass(w, 2LL * START_WITHIN_MS);
    struct d_outcome o = world_told_end(w, anna, run);
    assert_int_equal(o.delivery, DELIVERY_CALLED);
    assert_int_equal(o.package, PACKAGE_UNKNOWN);
}

/* Each start with --restored uses up a thousand attempt numbers. */
static struct id nearly_used_up(struct core_world *w, uint64_t *anna, unsigned restored)
{
    struct id run = world_call(w, *anna, "a");
    for (unsigned i = 0; i < restored; i++) {
        bcore_free(&w->core);
        w->core = world_replayed(w);
        world_begin_as(w, true);
        world_log_clear(w);
    }
    *anna = world_caller_up(w, "anna");
    return run;
}

static void a_held_run_without_attempt_numbers_left_cannot_be_rerun(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    char id[ID_TEXT];
    struct buf args = {0};
    struct id run = nearly_used_up(w, &anna, LIMIT_ATTEMPTS / 1000 + 1);
    world_worker_up(w, "wh1", 1);
    value_add_str(&args, span_str("how"));
    value_add_str(&args, span_str("rerun"));
    SAY(w, anna, "anna", operate, .req = 4, .verb = span_str("release"),
        .target = span_str(id_format(run, id)), .arguments = wire_list_from(&args, 1));
    assert_int_equal(world_told_error(w, anna, "--fail or --succeed"), REFUSAL_STATE);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    release_as(w, anna, run, "fail");
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    buf_free(&args);
}

static void a_run_ends_when_its_attempt_numbers_are_used_up(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), attempt = LIMIT_ATTEMPTS - 1000, wh1;
    struct id run = nearly_used_up(w, &anna, LIMIT_ATTEMPTS / 1000 - 1);
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 1);
    release_as(w, anna, run, "rerun");
    wh1 = world_worker_up(w, "wh1", 1);
    while (world_state_of(w, run) != RUN_ENDED && attempt < LIMIT_ATTEMPTS) {
        SAY(w, wh1, "wh1", returned, .run = run, .attempt = ++attempt,
            .reason = span_str("no runner"));
        char key[16];
        snprintf(key, sizeof key, "k%llu", (unsigned long long)attempt);
        struct id other = world_call(w, anna, key);
        world_pass(w, 1000);
        /* a result in between, or the server would get work less and less often */
        world_succeed(w, wh1, "wh1", other, 1, 1);
    }
    assert_int_equal(attempt, LIMIT_ATTEMPTS);
    struct d_outcome o = world_told_end(w, anna, run);
    assert_int_equal(o.status, STATUS_LOST);
    assert_int_equal(o.package, PACKAGE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(every_live_run_is_held_whatever_its_state),
        in_world(a_run_that_still_executes_goes_on_and_its_result_is_evidence),
        in_world(a_released_run_gets_an_attempt_number_never_used_before),
        in_world(releasing_a_run_ends_its_attempts_at_once),
        in_world(a_run_ends_as_it_was_released_and_says_why_it_was_held),
        in_world(the_epoch_is_above_any_that_the_lost_time_can_have_reached),
        in_world(a_run_held_before_the_backup_may_have_unknown_attempts),
        in_world(a_follower_is_told_why_a_run_is_held),
        in_world(a_released_run_without_a_server_is_never_reported_as_not_run),
        in_world(a_held_run_without_attempt_numbers_left_cannot_be_rerun),
        in_world(a_run_ends_when_its_attempt_numbers_are_used_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
