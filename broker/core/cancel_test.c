/* CANCEL and release: after the answer no new attempt starts. */
#include "broker/core/testing.h"

static void a_waiting_run_is_cancelled_at_once(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    struct m_done done;
    world_call_with(w, anna, 1, &d, 1);
    SENT(w, anna, ACCEPTED, accepted, &a);
    SAY(w, anna, "anna", cancel, .req = 5, .run = a.run, .reason = span_str("wrong table"));
    const struct world_logged *l = SENT(w, anna, DONE, done, &done);
    assert_int_equal(done.req, 5);
    assert_int_equal(l->effect.rests_on, w->lsn);
    struct d_outcome o = world_told_end(w, anna, a.run);
    char text[LIMIT_TEXT];
    assert_int_equal(o.job, JOB_CANCELLED);
    assert_int_equal(o.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(o.status, STATUS_CANCELLED);
    span_copy_str(o.message, text, sizeof text);
    assert_contains(text, "anna");
    assert_contains(text, "wrong table");
    wh1 = world_worker_up(w, "wh1", 1);
    NOT_SENT(w, wh1, EXECUTE);
    SAY(w, anna, "anna", cancel, .req = 6, .run = a.run);
    SENT(w, anna, DONE, done, &done); /* repeated: the same answer */
    assert_int_equal(world_records_of(w, KIND_R_CANCELLED), 1);
}

static void a_running_run_is_stopped_and_its_result_counts_as_reported(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k"), other = world_call(w, anna, "k2");
    struct m_stop stop;
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    SAY(w, anna, "anna", cancel, .req = 5, .run = run, .reason = span_str("late"));
    const struct world_logged *l = SENT(w, wh1, STOP, stop, &stop);
    assert_int_equal(l->effect.rests_on, w->lsn);
    assert_false(stop.force);
    assert_int_equal(world_state_of(w, run), RUN_CANCELLING);
    SAY(w, anna, "anna", cancel, .req = 6, .run = run);
    NOT_SENT(w, wh1, STOP); /* no second STOP */
    SAY(w, anna, "anna", cancel, .req = 7, .run = run, .force = true);
    SENT(w, wh1, STOP, stop, &stop);
    assert_true(stop.force);
    assert_int_equal(world_records_of(w, KIND_R_CANCELLED), 2);
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("always"));
    assert_int_equal(world_state_of(w, run), RUN_CANCELLING);
    SAY(w, wh1, "wh1", result, .run = run, .attempt = 1,
        .outcome = world_outcome(w, JOB_CANCELLED, PACKAGE_CANCELLED, 5));
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    /* The other run had finished before the STOP arrived: one outcome, the true one. */
    SAY(w, anna, "anna", follow, .req = 8, .run = other, .level = 1);
    SAY(w, anna, "anna", cancel, .req = 9, .run = other);
    world_succeed(w, wh1, "wh1", other, 1, 5);
    assert_int_equal(world_told_end(w, anna, other).status, STATUS_SUCCEEDED);
}

static void stop_is_repeated_to_a_worker_that_returns(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    struct m_stop stop;
    struct m_done done;
    world_down(w, wh1);
    world_pass(w, LEASE_MS);
    SAY(w, anna, "anna", cancel, .req = 5, .run = run, .force = true, .reason = span_str("why"));
    SENT(w, anna, DONE, done, &done);
    assert_int_equal(world_state_of(w, run), RUN_CANCELLING);
    world_restart(w);
    assert_int_equal(world_state_of(w, run), RUN_CANCELLING);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    SENT(w, wh1, STOP, stop, &stop);
    assert_true(stop.force && span_eq_str(stop.reason, "why"));
    SAY(w, wh1, "wh1", have_end, .count = 1);
    assert_int_equal(world_state_of(w, run), RUN_CANCELLING);
    assert_int_equal(world_records_of(w, KIND_R_STARTED), 1);
}

static void after_the_answer_no_new_attempt_starts(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id returned = world_call(w, anna, "a"), unseen = world_call(w, anna, "b");
    SAY(w, anna, "anna", cancel, .req = 1, .run = returned);
    SAY(w, anna, "anna", cancel, .req = 2, .run = unseen);
    SAY(w, anna, "anna", follow, .req = 3, .run = returned, .level = 1);
    SAY(w, wh1, "wh1", returned, .run = returned, .attempt = 1);
    assert_int_equal(world_told_end(w, anna, returned).status, STATUS_CANCELLED);
    wh1 = world_worker_up(w, "wh1", 1); /* a new session with an empty inventory */
    assert_int_equal(world_state_of(w, unseen), RUN_ENDED);
    NOT_SENT(w, wh1, EXECUTE);
    assert_int_equal(world_records_of(w, KIND_R_ASSIGNED), 2);
}

static void a_cancelled_run_whose_server_is_lost_is_not_run_again(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    d.on_lost = ON_LOST_RERUN;
    struct id run = world_call_d(w, anna, d);
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 1);
    SAY(w, anna, "anna", cancel, .req = 1, .run = run);
    world_down(w, wh1);
    world_pass(w, 400000);
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_LOST);
    assert_int_equal(world_records_of(w, KIND_R_ASSIGNED), 1);
}

static void an_unknown_run_cannot_be_cancelled(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", cancel, .req = 1, .run = world_id(5));
    assert_int_equal(world_told_error(w, anna, "no live run"), REFUSAL_UNKNOWN_RUN);
}

/* ---- Release */
static struct id held(struct core_world *w, uint64_t anna, const char *key)
{
    uint64_t wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of(key);
    d.on_lost = ON_LOST_HOLD;
    struct id run = world_call_d(w, anna, d);
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 1);
    world_down(w, wh1);
    world_pass(w, 400000);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    return run;
}

static void release_run(struct core_world *w, uint64_t peer, struct id run, const char *how)
{
    char id[ID_TEXT];
    struct buf args = {0};
    if (how) {
        value_add_str(&args, span_str("how"));
        value_add_str(&args, span_str(how));
    }
    SAY(w, peer, "anna", operate, .req = 4, .verb = span_str("release"),
        .target = span_str(id_format(run, id)), .arguments = wire_list_from(&args, how ? 1 : 0),
        .reason = span_str("looked at it"));
    buf_free(&args);
}

static void a_held_run_is_released_in_three_ways(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = held(w, anna, "a");
    struct m_done done;
    release_run(w, anna, run, "fail");
    SENT(w, anna, DONE, done, &done);
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_LOST);
    release_run(w, anna, run, "fail"); /* repeated */
    SENT(w, anna, DONE, done, &done);
    run = held(w, anna, "b");
    release_run(w, anna, run, "succeed");
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_SUCCEEDED);
    run = held(w, anna, "c");
    release_run(w, anna, run, "rerun");
    assert_int_equal(world_state_of(w, run), RUN_PARKED);
    uint64_t wh2 = world_worker_up(w, "wh2", 2);
    struct m_execute e;
    SENT(w, wh2, EXECUTE, execute, &e);
    assert_int_equal(e.attempt, 2);
}

static void an_operators_signed_word_is_passed_on_as_it_came(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = held(w, anna, "a");
    struct m_run_ended e;
    struct buf args = {0}, outcome = {0};
    char id[ID_TEXT];
    d_outcome_encode(&(struct d_outcome){.job = JOB_SUCCEEDED,
                                         .package = PACKAGE_SUCCEEDED,
                                         .status = STATUS_SUCCEEDED,
                                         .message = span_str("anna says so")},
                     &outcome);
    value_add_str(&args, span_str("how"));
    value_add_str(&args, span_str("succeed"));
    value_add_str(&args, span_str("outcome"));
    wire_add_bin(&args, buf_span(&outcome));
    value_add_str(&args, span_str("signature"));
    wire_add_bin(&args, span_str("signed"));
    SAY(w, anna, "anna", operate, .req = 4, .verb = span_str("release"),
        .target = span_str(id_format(run, id)), .arguments = wire_list_from(&args, 3));
    SENT(w, anna, RUN_ENDED, run_ended, &e);
    assert_true(span_eq(e.outcome, buf_span(&outcome)));
    assert_true(span_eq_str(e.signature, "signed"));
    assert_int_equal(e.server.n, 0);
    buf_free(&args);
    buf_free(&outcome);
}

static void a_held_run_can_be_cancelled(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = held(w, anna, "a");
    SAY(w, anna, "anna", cancel, .req = 1, .run = run, .reason = span_str("enough"));
    struct d_outcome o = world_told_end(w, anna, run);
    assert_int_equal(o.status, STATUS_CANCELLED);
    assert_int_equal(o.package, PACKAGE_UNKNOWN);
}

/* wh1 returns and goes on with attempt 1 of these runs. */
static uint64_t back_with(struct core_world *w, const struct id *runs, unsigned n)
{
    uint64_t wh1 = world_worker_hello(w, "wh1", 1);
    for (unsigned i = 0; i < n; i++)
        SAY(w, wh1, "wh1", have, .run = runs[i], .attempt = 1, .state = RUN_RUNNING);
    SAY(w, wh1, "wh1", have_end, .count = n);
    NOT_SENT(w, wh1, STOP);
    return wh1;
}

static void told_what_ends_there(struct core_world *w, uint64_t anna, const char *servers)
{
    struct m_done done;
    char text[LIMIT_TEXT];
    SENT(w, anna, DONE, done, &done);
    span_copy_str(done.text, text, sizeof text);
    if (servers)
        assert_contains(text, servers);
    else
        assert_null(strstr(text, "still runs"));
}

static void told_to_stop(struct core_world *w, uint64_t peer, struct id run, bool force)
{
    struct m_stop m;
    SENT(w, peer, STOP, stop, &m);
    assert_true(id_eq(m.run, run));
    assert_int_equal(m.attempt, 1);
    assert_int_equal(m.force, force);
}

static void releasing_a_held_run_ends_the_attempts_that_still_run(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    const char *const how[] = {"rerun", "fail", "succeed"};
    struct id runs[4];
    struct explain e;
    struct error err = {0};
    for (unsigned i = 0; i < 4; i++)
        runs[i] = held(w, anna, (char[]){'a', (char)('0' + i), '\0'});
    wh1 = back_with(w, runs, 4);
    assert_int_equal(bcore_explain(w->core, &runs[0], &e, &err), 0);
    assert_contains(e.summary, "it still runs at wh1");
    explain_free(&e);
    for (unsigned i = 0; i < 3; i++) {
        release_run(w, anna, runs[i], how[i]);
        told_to_stop(w, wh1, runs[i], i == 0);
        told_what_ends_there(w, anna, "what still runs on wh1 is being stopped");
    }
    SAY(w, anna, "anna", cancel, .req = 1, .run = runs[3], .reason = span_str("enough"));
    told_to_stop(w, wh1, runs[3], false);
    told_what_ends_there(w, anna, "what still runs on wh1 is being stopped");
}

static void the_old_attempt_is_stopped_before_the_new_one_is_handed_over(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    struct id run = held(w, anna, "a");
    const struct world_logged *stop, *execute;
    wh1 = back_with(w, &run, 1);
    world_attest(w, wh1, "wh1", 4, (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL,
                 false);
    NOT_SENT(w, wh1, EXECUTE);
    release_run(w, anna, run, "rerun");
    stop = world_find_sent(w, wh1, KIND_M_STOP);
    execute = world_find_sent(w, wh1, KIND_M_EXECUTE);
    assert_non_null(stop);
    assert_non_null(execute);
    assert_true(stop < execute); /* both point into the same log */
    told_to_stop(w, wh1, run, true);
}

static void a_release_ends_nothing_where_no_attempt_runs(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    struct id run = held(w, anna, "a"), other = held(w, anna, "b");
    struct m_recorded rec;
    wh1 = back_with(w, (struct id[]){run, other}, 2);
    world_succeed(w, wh1, "wh1", run, 1, 5); /* kept, but not counted */
    SENT(w, wh1, RECORDED, recorded, &rec);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 1);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    release_run(w, anna, run, "succeed");
    NOT_SENT(w, wh1, STOP);
    told_what_ends_there(w, anna, NULL);
    world_down(w, wh1); /* a server out of reach is told when it returns */
    release_run(w, anna, other, "fail");
    told_what_ends_there(w, anna, NULL);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = other, .attempt = 1, .state = RUN_RUNNING);
    /* on the end, so that no stop precedes it */
    assert_true(world_find_sent(w, wh1, KIND_M_STOP)->effect.rests_on > 0);
    told_to_stop(w, wh1, other, false);
}

static void only_a_held_run_can_be_released(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    release_run(w, anna, run, "rerun");
    assert_int_equal(world_told_error(w, anna, "is parked"), REFUSAL_STATE);
    release_run(w, anna, run, "maybe");
    assert_int_equal(world_told_error(w, anna, "rerun, fail or succeed"), REFUSAL_BAD_ARGUMENT);
    release_run(w, anna, run, NULL);
    assert_int_equal(world_told_error(w, anna, "rerun, fail or succeed"), REFUSAL_BAD_ARGUMENT);
    release_run(w, anna, world_id(9), "fail");
    assert_int_equal(world_told_error(w, anna, "is not known"), REFUSAL_UNKNOWN_RUN);
    SAY(w, anna, "anna", cancel, .req = 1, .run = run);
    release_run(w, anna, run, "fail");
    assert_int_equal(world_told_error(w, anna, "has ended"), REFUSAL_STATE);
    SAY(w, anna, "anna", operate, .verb = span_str("release"), .target = span_str("x"));
    assert_int_equal(world_told_error(w, anna, "release"), REFUSAL_BAD_ARGUMENT);
}

/* Text that is cut to fit stays valid text; otherwise the outcome could not be read. */
static void a_long_reason_leaves_a_readable_outcome(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id runs[2] = {world_call(w, anna, "a"), world_call(w, anna, "b")};
    char reason[LIMIT_TEXT + 1] = "";
    for (unsigned i = 0; i < 2; i++) {
        strcpy(reason, i ? "x" : "");
        while (strlen(reason) + 2 <= LIMIT_TEXT)
            strcat(reason, "\xc3\xa4");
        SAY(w, anna, "anna", follow, .req = 2, .run = runs[i], .level = 1);
        SAY(w, anna, "anna", cancel, .req = 3, .run = runs[i], .reason = span_str(reason));
        assert_int_equal(world_told_end(w, anna, runs[i]).status, STATUS_CANCELLED);
    }
}

/* A lost attempt may have done everything or nothing. */
static void a_run_that_waits_after_a_loss_is_never_reported_as_not_started(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    for (unsigned handed_over = 0; handed_over < 2; handed_over++) {
        struct d_call d = world_call_of(handed_over ? "b" : "a");
        d.on_lost = ON_LOST_RERUN;
        struct id run = world_call_d(w, anna, d);
        SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
        world_down(w, wh1);
        world_pass(w, 2LL * LOST_AFTER_MS);
        SAY(w, anna, "anna", follow, .req = 2, .run = run, .level = 1);
        if (handed_over)
            wh1 = world_worker_up(w, "wh1", 2);
        SAY(w, anna, "anna", cancel, .req = 3, .run = run, .reason = span_str("enough"));
        if (handed_over)
            SAY(w, wh1, "wh1", returned, .run = run, .attempt = 2,
                .reason = span_str("told to stop"));
        struct d_outcome o = world_told_end(w, anna, run);
        assert_int_equal(o.status, STATUS_CANCELLED);
        assert_int_equal(o.package, PACKAGE_UNKNOWN);
        wh1 = handed_over ? wh1 : world_worker_up(w, "wh1", 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_long_reason_leaves_a_readable_outcome),
        in_world(a_run_that_waits_after_a_loss_is_never_reported_as_not_started),
        in_world(a_waiting_run_is_cancelled_at_once),
        in_world(a_running_run_is_stopped_and_its_result_counts_as_reported),
        in_world(stop_is_repeated_to_a_worker_that_returns),
        in_world(after_the_answer_no_new_attempt_starts),
        in_world(a_cancelled_run_whose_server_is_lost_is_not_run_again),
        in_world(an_unknown_run_cannot_be_cancelled),
        in_world(a_held_run_is_released_in_three_ways),
        in_world(an_operators_signed_word_is_passed_on_as_it_came),
        in_world(a_held_run_can_be_cancelled),
        in_world(releasing_a_held_run_ends_the_attempts_that_still_run),
        in_world(the_old_attempt_is_stopped_before_the_new_one_is_handed_over),
        in_world(a_release_ends_nothing_where_no_attempt_runs),
        in_world(only_a_held_run_can_be_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
