/* Two workers under one server's name. */
#include "broker/core/testing.h"

/* A worker on spool 1. nonce: of its home; process: "" for one of an earlier version. */
static uint64_t hello_from(struct core_world *w, uint8_t nonce, const char *process)
{
    static const char *const pools[] = {"etl", NULL};
    return world_up(w, "wh1", "server", pools,
                    (struct m_hello){.spool = world_id(1),
                                     .boot = world_id(1),
                                     .incarnation = world_id(nonce),
                                     .slots = WORLD_SLOTS,
                                     .process = span_str(process)});
}

static uint64_t up_from(struct core_world *w, uint8_t nonce, const char *process)
{
    uint64_t peer = hello_from(w, nonce, process);
    SAY(w, peer, "wh1", have_end, .count = 0);
    world_attest(w, peer, "wh1", WORLD_SLOTS,
                 (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL, false);
    return peer;
}

static void assert_welcome(struct core_world *w, uint64_t peer)
{
    struct m_welcome m;
    SENT(w, peer, WELCOME, welcome, &m);
}

static void a_copy_is_refused_while_the_first_answers_and_both_are_named(void **state)
{
    struct core_world *w = *state;
    struct m_refused r;
    struct view_server v;
    char text[LIMIT_TEXT];
    uint64_t first = up_from(w, 2, "etl1 (process 8)"), copy;
    view_server(w->core, "wh1", &v);
    assert_int_equal(v.rival_at, 0);
    copy = hello_from(w, 3, "copy (process 9)");
    SENT(w, copy, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_NAME_TAKEN);
    assert_true(r.retry_ms > 0 && r.retry_ms <= LEASE_MS);
    span_copy_str(r.text, text, sizeof text);
    assert_contains(text, "etl1 (process 8)");
    assert_contains(text, "copy (process 9)");
    view_server(w->core, "wh1", &v);
    assert_string_equal(v.state, "up");
    assert_string_equal(v.process, "etl1 (process 8)");
    assert_string_equal(v.rival, "copy (process 9)");
    assert_string_equal(v.rival_address, "10.0.0.1");
    assert_true(v.rival_at > 0);
    NOT_SENT(w, first, RESET);
}

static void a_worker_that_starts_again_in_its_home_supersedes_its_older_session(void **state)
{
    struct core_world *w = *state;
    struct m_reset r;
    uint64_t first = up_from(w, 2, "etl1 (process 8)"),
             again = hello_from(w, 2, "etl1 (process 9)");
    SENT(w, first, RESET, reset, &r);
    assert_welcome(w, again);
}

static void an_earlier_versions_worker_that_starts_again_supersedes_its_older_session(void **state)
{
    struct core_world *w = *state;
    up_from(w, 2, "");
    assert_welcome(w, hello_from(w, 3, ""));
    assert_welcome(w, hello_from(w, 4, "etl1 (process 9)")); /* it was upgraded */
    assert_welcome(w, hello_from(w, 5, ""));                 /* and went back */
}

static void a_copy_comes_in_when_the_first_has_been_silent_for_a_lease(void **state)
{
    struct core_world *w = *state;
    struct view_server v;
    struct m_refused r;
    uint64_t first = up_from(w, 2, "etl1 (process 8)"), copy;
    hello_from(w, 3, "copy (process 9)");
    world_down(w, first); /* it may be back in a moment */
    copy = hello_from(w, 3, "copy (process 9)");
    SENT(w, copy, REFUSED, refused, &r);
    world_pass(w, LEASE_MS + 1);
    assert_welcome(w, hello_from(w, 3, "copy (process 9)"));
    view_server(w->core, "wh1", &v);
    assert_int_equal(v.rival_at, 0);
}

static void what_a_copy_does_not_list_is_not_returned_but_lost_after_its_time(void **state)
{
    struct core_world *w = *state;
    uint64_t first = up_from(w, 2, "etl1 (process 8)"), anna = world_caller_up(w, "anna"), copy;
    struct d_call d = world_call_of("k");
    struct view_run v;
    d.on_lost = ON_LOST_RERUN;
    struct id run = world_call_d(w, anna, d);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    world_down(w, first);
    world_pass(w, LEASE_MS + 1);
    copy = up_from(w, 3, "copy (process 9)");
    assert_int_equal(world_state_of(w, run), RUN_OUT_OF_CONTACT);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 0);
    for (int64_t passed = 0; passed < LOST_AFTER_MS + LOST_AFTER_MS / 10; passed += LEASE_MS / 2) {
        world_pass(w, LEASE_MS / 2);
        SAY(w, copy, "wh1", ping, .stamp = 1);
    }
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 0);
    assert_int_equal(world_records_of(w, KIND_R_LOST), 1);
    view_run(w->core, &run, &v);
    assert_int_equal(v.attempt, 2);
}

static void the_first_goes_on_when_it_is_back_after_a_copy(void **state)
{
    struct core_world *w = *state;
    uint64_t first = up_from(w, 2, "etl1 (process 8)"), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    struct m_refused r;
    world_down(w, first);
    world_pass(w, LEASE_MS + 1);
    up_from(w, 3, "copy (process 9)");
    first = hello_from(w, 2, "etl1 (process 8)");
    SENT(w, first, REFUSED, refused, &r); /* now it is the second */
    world_pass(w, LEASE_MS + 1);
    first = hello_from(w, 2, "etl1 (process 8)");
    SAY(w, first, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    SAY(w, first, "wh1", have_end, .count = 1);
    assert_int_equal(world_state_of(w, run), RUN_RUNNING);
}

static void after_a_start_of_the_broker_another_spool_waits_for_the_one_that_has_runs(void **state)
{
    struct core_world *w = *state;
    struct m_refused r;
    uint64_t other;
    world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, world_caller_up(w, "anna"), "k");
    world_restart(w);
    other = world_worker_hello(w, "wh1", 2);
    SENT(w, other, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_NAME_TAKEN);
    assert_true(r.retry_ms > 0 && r.retry_ms <= LEASE_MS);
    uint64_t wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have, .run = run, .attempt = 1, .state = RUN_RUNNING);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    assert_int_equal(world_state_of(w, run), RUN_RUNNING);
    world_restart(w);
    world_pass(w, LEASE_MS + 1);
    assert_welcome(w, world_worker_hello(w, "wh1", 2)); /* the first is gone */
}

static void after_a_start_of_the_broker_another_home_waits_for_the_one_on_record(void **state)
{
    struct core_world *w = *state;
    struct m_refused r;
    world_worker_up(w, "wh1", 1); /* it has nothing to do */
    world_restart(w);
    SENT(w, world_worker_hello(w, "wh1", 2), REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_NAME_TAKEN);
    assert_true(r.retry_ms > 0 && r.retry_ms <= LEASE_MS);
    assert_welcome(w, world_worker_hello(w, "wh1", 1));
    world_restart(w);
    world_pass(w, LEASE_MS + 1);
    assert_welcome(w, world_worker_hello(w, "wh1", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_copy_is_refused_while_the_first_answers_and_both_are_named),
        in_world(a_worker_that_starts_again_in_its_home_supersedes_its_older_session),
        in_world(an_earlier_versions_worker_that_starts_again_supersedes_its_older_session),
        in_world(a_copy_comes_in_when_the_first_has_been_silent_for_a_lease),
        in_world(what_a_copy_does_not_list_is_not_returned_but_lost_after_its_time),
        in_world(the_first_goes_on_when_it_is_back_after_a_copy),
        in_world(after_a_start_of_the_broker_another_spool_waits_for_the_one_that_has_runs),
        in_world(after_a_start_of_the_broker_another_home_waits_for_the_one_on_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
