/* FOLLOW: a slow peer costs little and misses no end. */
#include "broker/core/testing.h"

static void the_level_decides_what_a_follower_is_told(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert"),
             carl = world_caller_up(w, "carl");
    uint64_t wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    struct m_run_state s;
    struct m_done done;
    SAY(w, anna, "anna", follow, .req = 1, .run = run, .level = 2);
    SAY(w, bert, "bert", follow, .req = 1, .run = run, .level = 1);
    SAY(w, carl, "carl", follow, .req = 1, .run = run, .level = 2);
    SENT(w, anna, RUN_STATE, run_state, &s); /* the answer: the current state */
    SENT(w, bert, RUN_STATE, run_state, &s);
    SAY(w, carl, "carl", follow, .req = 2, .run = run, .level = 0);
    SENT(w, carl, DONE, done, &done);
    world_log_clear(w);
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("s"));
    SENT(w, anna, RUN_STATE, run_state, &s);
    NOT_SENT(w, bert, RUN_STATE);
    NOT_SENT(w, carl, RUN_STATE);
    world_succeed(w, wh1, "wh1", run, 1, 5);
    world_told_end(w, anna, run);
    world_told_end(w, bert, run);
    NOT_SENT(w, carl, RUN_ENDED);
}

static void a_run_that_is_not_in_memory_is_looked_up(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    uint64_t lsn;
    world_succeed(w, wh1, "wh1", run, 1, 5);
    lsn = w->lsn;
    SAY(w, anna, "anna", follow, .req = 3, .run = run, .level = 1);
    const struct world_logged *l = world_find_lookup(w, BCORE_FX_LOOKUP);
    assert_int_equal(l->effect.req, 3);
    assert_int_equal(l->effect.level, 1);
    assert_int_equal(l->effect.peer, anna);
    assert_int_equal(l->effect.rests_on, lsn); /* looked up only once its end is in the store */
    SAY(w, anna, "anna", follow, .req = 4, .run = world_id(9), .level = 2);
    l = world_find_lookup(w, BCORE_FX_LOOKUP);
    assert_true(id_eq(l->effect.run, world_id(9)));
    /* a forgotten run may have ended just now */
    assert_int_equal(l->effect.rests_on, w->lsn);
}

static void a_full_window_costs_one_entry_per_run_and_misses_no_end(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id a = world_call(w, anna, "a"), b = world_call(w, anna, "b");
    struct m_run_state s;
    SAY(w, anna, "anna", follow, .req = 1, .run = a, .level = 2);
    SAY(w, anna, "anna", follow, .req = 2, .run = b, .level = 2);
    world_window(w, anna, false);
    world_log_clear(w);
    for (unsigned i = 0; i < 100; i++) {
        SAY(w, wh1, "wh1", progress, .run = a, .attempt = 1, .percent = i);
        SAY(w, wh1, "wh1", progress, .run = b, .attempt = 1, .percent = i);
    }
    world_succeed(w, wh1, "wh1", b, 1, 5);
    NOT_SENT(w, anna, RUN_STATE);
    NOT_SENT(w, anna, RUN_ENDED);
    world_window(w, anna, true);
    SENT(w, anna, RUN_STATE, run_state, &s); /* the latest */
    assert_int_equal(s.percent, 99);
    NOT_SENT(w, anna, RUN_STATE);
    const struct world_logged *l = world_find_lookup(w, BCORE_FX_LOOKUP);
    assert_true(id_eq(l->effect.run, b));
    assert_int_equal(l->effect.peer, anna);
    assert_int_equal(l->effect.req, 0);
    SAY(w, wh1, "wh1", progress, .run = a, .attempt = 1, .percent = 100);
    SENT(w, anna, RUN_STATE, run_state, &s); /* sent at once again */
}

static void catching_up_is_done_in_batches(void **state)
{
    struct core_world *w = *state;
    enum { MANY = 600 };
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    char key[16];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "k%u", i);
        struct d_call d = world_call_of(key);
        world_call_with(w, anna, 1, &d, 2);
    }
    world_window(w, anna, false);
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    world_attest(w, wh1, "wh1", 1, (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL,
                 false); /* all become waiting */
    world_log_clear(w);
    world_window(w, anna, true);
    unsigned first = world_count_sent(w, anna, KIND_M_RUN_STATE);
    assert_true(first > 0 && first < MANY);
    assert_true(bcore_deadline(w->core) <= w->now); /* the rest is due at once */
    world_step(w, (struct bcore_event){.kind = BCORE_TICK});
    unsigned second = world_count_sent(w, anna, KIND_M_RUN_STATE);
    assert_true(second > first);
    world_window(w, anna, false); /* full again: the rest waits */
    world_step(w, (struct bcore_event){.kind = BCORE_TICK});
    assert_int_equal(world_count_sent(w, anna, KIND_M_RUN_STATE), second);
    world_window(w, anna, true);
    world_pass(w, 1);
    assert_int_equal(world_count_sent(w, anna, KIND_M_RUN_STATE), MANY);
}

static void a_peer_that_leaves_is_owed_nothing(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    world_call_with(w, anna, 1, &d, 2);
    SENT(w, anna, ACCEPTED, accepted, &a);
    world_window(w, anna, false);
    world_succeed(w, wh1, "wh1", a.run, 1, 5);
    world_log_clear(w);
    world_down(w, anna);
    world_window(w, anna, true);
    world_pass(w, 10);
    assert_null(world_find_lookup(w, BCORE_FX_LOOKUP));
    assert_int_equal(bcore_deadline(w->core) > w->now, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(the_level_decides_what_a_follower_is_told),
        in_world(a_run_that_is_not_in_memory_is_looked_up),
        in_world(a_full_window_costs_one_entry_per_run_and_misses_no_end),
        in_world(catching_up_is_done_in_batches),
        in_world(a_peer_that_leaves_is_owed_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
