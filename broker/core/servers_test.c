/* Sessions of workers, HAVE, leases, lost_after. */
#include "broker/core/testing.h"

static void a_worker_gets_runs_once_its_inventory_is_complete(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_hello(w, "wh1", 1), anna;
    struct m_welcome m;
    struct m_desired d;
    struct view_server v;
    SENT(w, wh1, WELCOME, welcome, &m);
    assert_int_equal(m.lease_ms, LEASE_MS);
    assert_int_equal(m.lost_after_ms, LOST_AFTER_MS);
    assert_int_equal(m.epoch, 1);
    assert_true(span_eq_str(m.cluster, "test") && span_eq_str(m.broker, "b0"));
    SENT(w, wh1, DESIRED, desired, &d);
    world_attest(w, wh1, "wh1", 2, (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL,
                 false);
    anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    assert_int_equal(world_state_of(w, run), RUN_PARKED);
    view_server(w->core, "wh1", &v);
    assert_string_equal(v.state, "attaching");
    SAY(w, wh1, "wh1", have_end, .count = 0);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    view_server(w->core, "wh1", &v);
    assert_string_equal(v.state, "up");
    assert_string_equal(v.pools[0], "etl");
}

static void another_spool_under_a_live_name_is_refused_with_the_address(void **state)
{
    struct core_world *w = *state;
    struct m_refused r;
    char text[LIMIT_TEXT];
    uint64_t wh1 = world_worker_up(w, "wh1", 1), other = world_worker_hello(w, "wh1", 2);
    SENT(w, other, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_NAME_TAKEN);
    span_copy_str(r.text, text, sizeof text);
    assert_contains(text, "10.0.0.1");
    assert_true(r.retry_ms > 0 && r.retry_ms <= LEASE_MS);
    world_down(w, wh1); /* its lease still runs */
    other = world_worker_hello(w, "wh1", 2);
    SENT(w, other, REFUSED, refused, &r);
    world_pass(w, LEASE_MS + 1);
    other = world_worker_hello(w, "wh1", 2);
    struct m_welcome m;
    SENT(w, other, WELCOME, welcome, &m);
}

static void the_same_spool_supersedes_its_older_session(void **state)
{
    struct core_world *w = *state;
    uint64_t old = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna"), new;
    struct id run = world_call(w, anna, "k");
    struct m_reset r;
    new = world_worker_hello(w, "wh1", 1);
    SENT(w, old, RESET, reset, &r);
    SAY(w, new, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    SAY(w, new, "wh1", have_end, .count = 1);
    world_down(w, old); /* the shell may still report it */
    assert_int_equal(world_state_of(w, run), RUN_RUNNING);
    world_log_clear(w);
    world_succeed(w, old, "wh1", run, 1, 5); /* from an ended session */
    SENT(w, old, RESET, reset, &r);
    assert_int_equal(world_state_of(w, run), RUN_RUNNING);
    world_succeed(w, new, "wh1", run, 1, 5);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

static void an_attempt_that_never_arrived_goes_back_to_the_queue(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id seen = world_call(w, anna, "a"), unseen = world_call(w, anna, "b");
    struct view_run v;
    world_down(w, wh1);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = seen, .attempt = 1, .state = RUN_HANDED_OVER);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    view_run(w->core, &seen, &v);
    assert_int_equal(v.attempt, 1);
    view_run(w->core, &unseen, &v);
    assert_int_equal(v.attempt, 2); /* it was handed over again */
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 1);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 0);
}

static uint64_t hello_after_boot(struct core_world *w, const char *name, uint8_t spool,
                                 uint8_t boot)
{
    static const char *const pools[] = {"etl", NULL};
    return world_up(w, name, "server", pools,
                    (struct m_hello){.spool = world_id(spool),
                                     .boot = world_id(boot),
                                     .incarnation = world_id(3),
                                     .slots = WORLD_SLOTS});
}

static struct id call_with(struct core_world *w, uint64_t anna, const char *key, uint64_t on_lost)
{
    struct d_call d = world_call_of(key);
    d.on_lost = on_lost;
    return world_call_d(w, anna, d);
}

static void after_another_boot_what_is_not_listed_was_perhaps_begun(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id fails = call_with(w, anna, "a", ON_LOST_FAIL),
              listed = call_with(w, anna, "d", ON_LOST_FAIL);
    struct view_run v;
    world_down(w, wh1);
    wh1 = hello_after_boot(w, "wh1", 1, 9);
    SAY(w, wh1, "wh1", have, .run = listed, .attempt = 1, .state = RUN_HANDED_OVER);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
    assert_int_equal(world_state_of(w, fails), RUN_ENDED);
    view_run(w->core, &listed, &v);
    assert_int_equal(v.attempt, 1);
}

static void after_another_boot_on_lost_decides_about_what_is_not_listed(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id again = call_with(w, anna, "b", ON_LOST_RERUN),
              holds = call_with(w, anna, "c", ON_LOST_HOLD);
    struct view_run v;
    world_down(w, wh1);
    wh1 = hello_after_boot(w, "wh1", 1, 9);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
    assert_int_equal(world_state_of(w, holds), RUN_HELD);
    view_run(w->core, &again, &v);
    assert_int_equal(v.attempt, 2);
}

static void after_another_boot_a_cancelled_run_that_is_not_listed_is_lost(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = call_with(w, anna, "a", ON_LOST_RERUN);
    SAY(w, anna, "anna", cancel, .req = 9, .run = run);
    world_down(w, wh1);
    wh1 = hello_after_boot(w, "wh1", 1, 9);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 1);
}

static void the_boot_of_the_hand_over_is_known_after_a_restart_of_the_broker(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = call_with(w, anna, "a", ON_LOST_FAIL);
    world_restart(w);
    wh1 = hello_after_boot(w, "wh1", 1, 9);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
}

static void a_started_attempt_is_never_taken_for_returned(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = call_with(w, anna, "a", ON_LOST_FAIL),
              other = call_with(w, anna, "b", ON_LOST_FAIL);
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    SAY(w, wh1, "wh1", started, .run = other, .attempt = 1, .step = span_str("s"));
    SAY(w, wh1, "wh1", returned, .run = other, .attempt = 1, .reason = span_str("no"));
    assert_int_equal(world_state_of(w, other), RUN_OUT_OF_CONTACT);
    world_down(w, wh1);
    wh1 = hello_after_boot(w, "wh1", 1, 1); /* the same boot, and the list lacks it */
    SAY(w, wh1, "wh1", have_end, .count = 0);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_pass(w, 400000);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 2);
}

static void a_person_decides_about_a_held_run_whose_server_says_lost(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = call_with(w, anna, "a", ON_LOST_HOLD);
    struct buf outcome = {0};
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_CALLED,
                                         .job = JOB_LOST,
                                         .package = PACKAGE_UNKNOWN,
                                         .status = STATUS_LOST},
                     &outcome);
    SAY(w, wh1, "wh1", result, .run = run, .attempt = 1, .outcome = buf_span(&outcome));
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    buf_free(&outcome);
}

static void lost_attempts_are_ended_except_the_last_of_a_held_run(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("fails");
    struct m_stop m;
    struct id fails, holds, runs_again;
    d.on_lost = ON_LOST_FAIL;
    fails = world_call_d(w, anna, d);
    d = world_call_of("holds");
    d.on_lost = ON_LOST_HOLD;
    holds = world_call_d(w, anna, d);
    world_down(w, wh1);
    world_pass(w, 400000);
    assert_int_equal(world_state_of(w, holds), RUN_HELD);
    uint64_t wh2 = world_worker_up(w, "wh2", 2);
    d = world_call_of("again");
    d.on_lost = ON_LOST_RERUN;
    runs_again = world_call_d(w, anna, d);
    world_down(w, wh2);
    world_pass(w, 400000);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = fails, .attempt = 1, .state = RUN_RUNNING);
    SENT(w, wh1, STOP, stop, &m);
    assert_false(m.force);
    SAY(w, wh1, "wh1", have, .run = holds, .attempt = 1, .state = RUN_RUNNING);
    SAY(w, wh1, "wh1", started, .run = holds, .attempt = 1, .step = span_str("s"));
    NOT_SENT(w, wh1, STOP);
    SAY(w, wh1, "wh1", have, .run = holds, .attempt = 0, .state = RUN_RUNNING); /* superseded */
    SENT(w, wh1, STOP, stop, &m);
    assert_true(m.force);
    SAY(w, wh1, "wh1", have, .run = fails, .attempt = 0, .state = RUN_RUNNING); /* superseded */
    SENT(w, wh1, STOP, stop, &m);
    assert_true(m.force);
    wh2 = world_worker_hello(w, "wh2", 2);
    /* it waits for its next attempt */
    SAY(w, wh2, "wh2", have, .run = runs_again, .attempt = 1, .state = RUN_RUNNING);
    SENT(w, wh2, STOP, stop, &m);
    assert_true(m.force);
}

static void a_worker_is_told_to_stop_attempts_that_no_longer_count(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_hello(w, "wh1", 1);
    struct m_stop m;
    SAY(w, wh1, "wh1", have, .run = world_id(77), .attempt = 3, .state = RUN_RUNNING);
    SENT(w, wh1, STOP, stop, &m);
    assert_true(id_eq(m.run, world_id(77)));
    assert_int_equal(m.attempt, 3);
    assert_true(m.force); /* of an unknown run */
    SAY(w, wh1, "wh1", have, .run = world_id(78), .attempt = 1, .state = RUN_ENDED);
    NOT_SENT(w, wh1, STOP); /* its RESULT will be answered */
    SAY(w, wh1, "wh1", have_end, .count = 2);
    struct view_server v;
    view_server(w->core, "wh1", &v);
    assert_string_equal(v.state, "up");
}

static void an_ended_attempt_is_left_alone_until_its_result_comes(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    world_down(w, wh1);
    world_pass(w, LEASE_MS + 1);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_ENDED);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    assert_int_equal(world_state_of(w, run), RUN_RUNNING);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

static void a_wrong_inventory_ends_the_session(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    struct m_reset r;
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    SENT(w, wh1, RESET, reset, &r);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
    wh1 = world_worker_up(w, "wh1", 1); /* one HAVE_END completes the inventory */
    SAY(w, wh1, "wh1", have_end, .count = 0);
    SENT(w, wh1, RESET, reset, &r);
    wh1 = world_worker_up(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    struct m_refused f;
    SENT(w, wh1, REFUSED, refused, &f);
    assert_int_equal(f.code, REFUSAL_MALFORMED);
}

static void the_end_of_a_lease_changes_nothing_but_contact(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    struct m_reset r;
    struct view_server v;
    for (unsigned i = 0; i < 20; i++) { /* any message renews it */
        world_pass(w, 2000);
        SAY(w, wh1, "wh1", ping, .stamp = i);
    }
    struct m_pong pong;
    SENT(w, wh1, PONG, pong, &pong);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    world_pass(w, LEASE_MS - 1);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    world_pass(w, 1);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    SENT(w, wh1, RESET, reset, &r);
    view_server(w->core, "wh1", &v);
    assert_string_equal(v.state, "unreachable");
    assert_int_equal(world_state_of(w, world_call(w, anna, "k2")), RUN_PARKED);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_HANDED_OVER);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    assert_int_equal(world_state_of(w, run),
                     RUN_RUNNING); /* its STARTED was lost with the session */
    assert_int_equal(world_records_of(w, KIND_R_STARTED), 1);
}

/* A run with this on_lost whose server is lost `due` after it was last heard. */
static struct id lose(struct core_world *w, uint64_t anna, enum on_lost on_lost,
                      uint64_t lost_after, int64_t due)
{
    uint64_t wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    d.on_lost = on_lost;
    d.lost_after_ms = lost_after;
    world_call_with(w, anna, 1, &d, 1);
    SENT(w, anna, ACCEPTED, accepted, &a);
    SAY(w, wh1, "wh1", started, .run = a.run, .attempt = 1, .step = span_str("s"));
    world_down(w, wh1);
    world_pass(w, due - 1);
    assert_int_equal(world_state_of(w, a.run), RUN_OUT_OF_CONTACT);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 0);
    world_pass(w, 1);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 1);
    return a.run;
}

static void on_lost_fail_ends_the_run_as_lost(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = lose(w, anna, ON_LOST_FAIL, 0, LOST_AFTER_MS / 100 * 105);
    struct d_outcome o = world_told_end(w, anna, run);
    assert_int_equal(o.delivery, DELIVERY_CALLED);
    assert_int_equal(o.job, JOB_LOST);
    assert_int_equal(o.package, PACKAGE_UNKNOWN);
    assert_int_equal(o.status, STATUS_LOST);
    assert_true(span_eq_str(o.server, "wh1"));
}

static void on_lost_rerun_makes_a_second_attempt(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = lose(w, anna, ON_LOST_RERUN, 60000, 63000);
    struct m_execute e;
    assert_int_equal(world_state_of(w, run), RUN_PARKED);
    uint64_t wh2 = world_worker_up(w, "wh2", 2);
    SENT(w, wh2, EXECUTE, execute, &e);
    assert_int_equal(e.attempt, 2);
    world_succeed(w, wh2, "wh2", run, 2, 5);
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_SUCCEEDED);
}

static void on_lost_hold_waits_for_a_release(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = lose(w, anna, ON_LOST_HOLD, 60000, 63000);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    world_worker_up(w, "wh2", 2);
    world_pass(w, 86400000);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
    world_restart(w);
    assert_int_equal(world_state_of(w, run), RUN_HELD);
}

static void a_worker_that_returns_in_time_goes_on(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    world_down(w, wh1);
    world_pass(w, LOST_AFTER_MS);
    wh1 = world_worker_hello(w, "wh1", 1);
    world_pass(w, 14000); /* attaching: no longer lost */
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    for (unsigned i = 0; i < 100; i++) {
        world_pass(w, 5000);
        SAY(w, wh1, "wh1", ping, .stamp = 1);
    }
    assert_int_equal(world_state_of(w, run), RUN_RUNNING);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 0);
}

static void a_new_spool_does_not_bring_back_what_the_old_one_had(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    world_down(w, wh1);
    world_pass(w, LEASE_MS);
    wh1 = world_worker_up(w, "wh1", 2);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    for (unsigned i = 0; i < 70; i++) {
        world_pass(w, 5000);
        SAY(w, wh1, "wh1", ping, .stamp = 1);
    }
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 1);
}

static void a_second_outage_does_not_prolong_the_first_ones_loss(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    world_down(w, wh1);
    world_pass(w, 100000);
    wh1 = world_worker_up(w, "wh1", 2);
    world_down(w, wh1);
    world_pass(w, LOST_AFTER_MS / 100 * 105 - 100000 - 1);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_pass(w, 1);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

/* The broker's process is stopped: its clock goes on, without steps. */
static void world_stopped(struct core_world *w, int64_t ms)
{
    w->now += ms;
    w->wall += ms;
}

static void a_server_silent_while_the_broker_was_stopped_is_not_lost(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    world_stopped(w, 2 * LOST_AFTER_MS);
    world_down(w, wh1);
    world_pass(w, LEASE_MS - 1);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    /* none has returned: lost_after works as usual, counted from when the broker resumed */
    world_pass(w, 1);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_pass(w, LOST_AFTER_MS / 100 * 105 - LEASE_MS - 1);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 0);
    world_pass(w, 1);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 1);
}

static void a_pause_of_the_broker_restarts_lost_after(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    world_down(w, wh1);
    world_pass(w, LOST_AFTER_MS - 1000);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_stopped(w, LOST_AFTER_MS);
    world_pass(w, LOST_AFTER_MS / 100 * 105 - 1);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_pass(w, 1);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

static void a_pause_before_the_first_step_restarts_lost_after(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    world_restart(w);
    world_stopped(w, LOST_AFTER_MS);
    world_pass(w, LOST_AFTER_MS / 100 * 105 - 1);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_pass(w, 1);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

/* A run that has started, was lost, and waits for a server again. */
static struct id lost_and_waiting(struct core_world *w, uint64_t anna, struct d_call d)
{
    uint64_t wh1 = world_worker_up(w, "wh1", 1);
    d.on_lost = ON_LOST_RERUN;
    d.lost_after_ms = 20000;
    struct id run = world_call_d(w, anna, d);
    SAY(w, anna, "anna", follow, .req = 1, .run = run, .level = 1);
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    world_down(w, wh1);
    world_pass(w, 21000);
    assert_int_equal(world_state_of(w, run), RUN_PARKED);
    return run;
}

static void a_run_that_has_started_never_ends_by_its_start_within(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    d.start_within_ms = 5000;
    struct id run = lost_and_waiting(w, anna, d);
    world_pass(w, 80000000);
    assert_int_equal(world_state_of(w, run), RUN_PARKED);
    world_pass(w, 86400000 - 80000000); /* but after a day without any server it ends */
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_LOST);
}

static void a_lost_run_that_expires_before_its_rerun_ends_as_lost(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    d.expires = w->wall + 30000;
    struct id run = lost_and_waiting(w, anna, d);
    world_restart(w);
    anna = world_caller_up(w, "anna");
    SAY(w, anna, "anna", follow, .req = 1, .run = run, .level = 1);
    world_pass(w, 9000);
    assert_int_equal(world_told_end(w, anna, run).status, STATUS_LOST);
}

static void after_a_restart_lost_after_counts_from_zero(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    world_down(w, wh1);
    world_pass(w, 200000);
    w->wall += 10000000; /* and wall time does not matter */
    world_restart(w);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_pass(w, LOST_AFTER_MS / 100 * 105 - 1);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    world_pass(w, 1);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

static void lost_after_is_what_the_server_was_told(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    w->config.lost_after_ms = 1000; /* a new configuration does not shorten it */
    world_restart(w);
    world_pass(w, LOST_AFTER_MS);
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
}

static void no_death_is_inferred_from_how_long_a_job_runs(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    for (unsigned i = 0; i < 10000; i++) {
        world_pass(w, 10000);
        SAY(w, wh1, "wh1", ping, .stamp = i);
        world_log_clear(w);
    }
    assert_int_equal(world_state_of(w, run), RUN_RUNNING);
}

static void a_returning_server_is_told_to_stop_its_superseded_attempt(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna"), wh2;
    struct d_call d = world_call_of("k");
    struct m_stop stop;
    d.on_lost = ON_LOST_RERUN;
    struct id run = world_call_d(w, anna, d);
    world_down(w, wh1);
    world_pass(w, 400000);
    wh2 = world_worker_up(w, "wh2", 2);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    wh1 = world_worker_hello(w, "wh1", 1); /* still has attempt 1 */
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    SENT(w, wh1, STOP, stop, &stop);
    assert_int_equal(stop.attempt, 1);
    /* attempt 2 runs, so nothing of this one may continue, not even `always` steps */
    assert_true(stop.force);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    struct view_run v;
    view_run(w->core, &run, &v);
    assert_int_equal(v.attempt, 2);
    assert_string_equal(v.server, "wh2");
    world_succeed(w, wh2, "wh2", run, 2, 5);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
}

static void a_server_and_a_pool_may_not_share_a_name(void **state)
{
    struct core_world *w = *state;
    struct m_refused r;
    static const char *const pools[] = {"wh1", NULL};
    world_worker_up(w, "wh1", 1);
    uint64_t etl = world_worker_hello(w, "etl", 2);
    SENT(w, etl, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_EXISTS);
    uint64_t bad = world_up(w, "wh9", "server", pools, (struct m_hello){.spool = world_id(3)});
    SENT(w, bad, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_worker_gets_runs_once_its_inventory_is_complete),
        in_world(another_spool_under_a_live_name_is_refused_with_the_address),
        in_world(the_same_spool_supersedes_its_older_session),
        in_world(an_attempt_that_never_arrived_goes_back_to_the_queue),
        in_world(after_another_boot_on_lost_decides_about_what_is_not_listed),
        in_world(after_another_boot_what_is_not_listed_was_perhaps_begun),
        in_world(after_another_boot_a_cancelled_run_that_is_not_listed_is_lost),
        in_world(the_boot_of_the_hand_over_is_known_after_a_restart_of_the_broker),
        in_world(a_started_attempt_is_never_taken_for_returned),
        in_world(a_person_decides_about_a_held_run_whose_server_says_lost),
        in_world(lost_attempts_are_ended_except_the_last_of_a_held_run),
        in_world(a_worker_is_told_to_stop_attempts_that_no_longer_count),
        in_world(an_ended_attempt_is_left_alone_until_its_result_comes),
        in_world(a_wrong_inventory_ends_the_session),
        in_world(the_end_of_a_lease_changes_nothing_but_contact),
        in_world(on_lost_fail_ends_the_run_as_lost),
        in_world(on_lost_rerun_makes_a_second_attempt),
        in_world(on_lost_hold_waits_for_a_release),
        in_world(a_worker_that_returns_in_time_goes_on),
        in_world(a_new_spool_does_not_bring_back_what_the_old_one_had),
        in_world(a_second_outage_does_not_prolong_the_first_ones_loss),
        in_world(a_run_that_has_started_never_ends_by_its_start_within),
        in_world(a_lost_run_that_expires_before_its_rerun_ends_as_lost),
        in_world(after_a_restart_lost_after_counts_from_zero),
        in_world(lost_after_is_what_the_server_was_told),
        in_world(a_server_silent_while_the_broker_was_stopped_is_not_lost),
        in_world(a_pause_of_the_broker_restarts_lost_after),
        in_world(a_pause_before_the_first_step_restarts_lost_after),
        in_world(no_death_is_inferred_from_how_long_a_job_runs),
        in_world(a_returning_server_is_told_to_stop_its_superseded_attempt),
        in_world(a_server_and_a_pool_may_not_share_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
