/* What one principal may hold here, and whose turn it is. */
#include "broker/core/accounts.h"
#include "broker/core/testing.h"

static bool accepted(struct core_world *w, uint64_t peer, const char *name, unsigned i,
                     struct d_call d)
{
    char key[16];
    struct m_accepted a;
    snprintf(key, sizeof key, "k%u", i);
    d.key = span_str(key);
    d.caller = span_str(name);
    world_log_clear(w);
    world_call_with(w, peer, i + 1, &d, 0);
    if (!world_find_sent(w, peer, KIND_M_ACCEPTED))
        return false;
    SENT(w, peer, ACCEPTED, accepted, &a);
    return true;
}

static unsigned accepted_of(struct core_world *w, uint64_t peer, const char *name, unsigned n)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < n; i++)
        taken += accepted(w, peer, name, i, world_call_of("k"));
    return taken;
}

static void one_principal_gets_its_share_of_the_runs_and_others_the_rest(void **state)
{
    struct core_world *w = *state;
    w->config.max_runs = 100;
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    assert_int_equal(accepted_of(w, anna, "anna", 100), 75);
    assert_int_equal(world_told_error(w, anna, "75 runs of 'anna' are live"), REFUSAL_BUSY);
    assert_in_range(accepted_of(w, bert, "bert", 100), 18, 20);
    world_restart(w); /* it is known again */
    anna = world_caller_up(w, "anna");
    assert_false(accepted(w, anna, "anna", 200, world_call_of("k")));
}

static void one_principal_gets_its_share_of_the_memory_and_others_the_rest(void **state)
{
    struct core_world *w = *state;
    struct view_counts counts;
    w->config.memory_budget = 200000;
    w->config.memory_percent = 50;
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    assert_true(accepted_of(w, anna, "anna", 500) < 500);
    assert_int_equal(world_told_error(w, anna, "memory=50"), REFUSAL_BUSY);
    view_counts(w->core, &counts);
    assert_in_range(counts.memory, 98000, 100000);
    assert_true(accepted(w, bert, "bert", 0, world_call_of("k")));
}

/* Each waits in a class of its own. */
static void calls_of_many_kinds_count_for_what_they_cost(void **state)
{
    struct core_world *w = *state;
    char address[32];
    unsigned taken = 0;
    w->config.classes_max = 20;
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    for (unsigned i = 0; i < 30; i++) {
        struct d_call d = world_call_of("k");
        snprintf(address, sizeof address, "pool-%u", i);
        d.address = span_str(address);
        taken += accepted(w, anna, "anna", i, d);
    }
    assert_int_equal(taken, 15);
    assert_int_equal(world_told_error(w, anna, "15 different pairs"), REFUSAL_BUSY);
    struct d_call known = world_call_of("k");
    known.address = span_str("pool-3");
    assert_true(accepted(w, anna, "anna", 100, known));
    assert_true(accepted(w, bert, "bert", 0, world_call_of("k")));
}

static void parents_count_for_the_principal_that_began_them(void **state)
{
    struct core_world *w = *state;
    char key[16];
    unsigned taken = 0;
    w->config.max_runs = 8;
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    for (unsigned i = 0; i < 9; i++) {
        struct buf *body = world_scratch(w);
        snprintf(key, sizeof key, "p%u", i);
        d_parent_encode(&(struct d_parent){.cluster = span_str("test"),
                                           .caller = span_str(i < 8 ? "anna" : "bert"),
                                           .key = span_str(key),
                                           .name = span_str("nightly"),
                                           .as_of = span_str("2026-11-21"),
                                           .issued_at = WORLD_WALL},
                        body);
        world_log_clear(w);
        SAY(w, i < 8 ? anna : bert, i < 8 ? "anna" : "bert", parent_begin, .req = 1, .drive = true,
            .parent = world_wrapped(w, buf_span(body), i < 8 ? "anna" : "bert"));
        taken += world_find_sent(w, anna, KIND_M_ACCEPTED) != NULL;
    }
    assert_int_equal(taken, 6);
    assert_non_null(world_find_sent(w, bert, KIND_M_ACCEPTED));
}

static void what_a_session_follows_counts_for_its_principal(void **state)
{
    struct core_world *w = *state;
    struct view_counts before, after;
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    struct id run = world_call(w, anna, "k");
    view_counts(w->core, &before);
    for (unsigned i = 0; i < 2; i++)
        SAY(w, bert, "bert", follow, .req = 1, .run = run, .level = 2);
    view_counts(w->core, &after);
    assert_in_range(after.memory - before.memory, 64, 128);
    world_down(w, bert);
    view_counts(w->core, &after);
    assert_int_equal(after.memory, before.memory);
    w->config.memory_budget = before.memory * 2; /* a share for one of 75 percent: no room */
    w->config.memory_percent = 1;
    world_restart(w);
    bert = world_caller_up(w, "bert");
    SAY(w, bert, "bert", follow, .req = 1, .run = run, .level = 2);
    assert_int_equal(world_told_error(w, bert, "its share"), REFUSAL_BUSY);
}

static void the_more_is_refused_the_later_it_returns(void **state)
{
    struct core_world *w = *state;
    struct m_error e;
    uint64_t last = 0;
    w->config.max_runs = 2; /* one for each, if another has the other */
    world_restart(w);
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert");
    assert_true(accepted(w, anna, "anna", 0, world_call_of("k")));
    for (unsigned i = 1; i <= 10000; i++) {
        assert_false(accepted(w, anna, "anna", i, world_call_of("k")));
        SENT(w, anna, ERROR, error, &e);
        last = e.retry_ms;
    }
    assert_in_range(last, 10000, 12000 + 2 * BUSY_RETRY_MS);
    assert_false(accepted(w, bert, "bert", 0, world_call_of("k")));
    SENT(w, bert, ERROR, error, &e);
    assert_true(e.retry_ms < 2 * BUSY_RETRY_MS); /* not with the others */
}

/* ---- Turns */
static unsigned starts_until(struct core_world *w, uint64_t wh1, const char *caller, unsigned n)
{
    unsigned starts = 0;
    while (n) {
        struct m_execute e;
        struct d_signed s;
        struct d_call d;
        SENT(w, wh1, EXECUTE, execute, &e);
        assert_int_equal(d_signed_decode(e.call, &s, NULL), 0);
        assert_int_equal(d_call_decode(s.body, &d, NULL), 0);
        starts++;
        n -= span_eq_str(d.caller, caller);
        world_succeed(w, wh1, "wh1", e.run, 1, 2000);
    }
    return starts;
}

static void begin_work(struct core_world *w, uint64_t wh1)
{
    const struct world_attested jobs[] = {{.job = "load", .hash = 1}, {.job = NULL}};
    world_attest(w, wh1, "wh1", 1, jobs, NULL, true);
    world_log_clear(w);
    SAY(w, wh1, "wh1", have_end, .count = 0);
}

static void principals_take_turns_however_many_calls_one_has(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert"),
             wh1 = world_worker_hello(w, "wh1", 1);
    accepted_of(w, anna, "anna", 200);
    accepted_of(w, bert, "bert", 3);
    begin_work(w, wh1);
    assert_in_range(starts_until(w, wh1, "bert", 3), 5, 6);
}

static void principals_take_turns_however_many_parents_one_has(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert"),
             wh1 = world_worker_hello(w, "wh1", 1);
    for (unsigned i = 0; i < 100; i++) {
        struct d_call d = world_call_of("k");
        char key[16];
        snprintf(key, sizeof key, "p%u", i);
        d.parent = world_parent(w, anna, "anna", key);
        d.task = span_str("t");
        accepted(w, anna, "anna", i, d);
    }
    accepted_of(w, bert, "bert", 3);
    begin_work(w, wh1);
    assert_in_range(starts_until(w, wh1, "bert", 3), 5, 6);
}

static void what_waits_in_other_classes_takes_turns_as_well(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), bert = world_caller_up(w, "bert"),
             wh1 = world_worker_hello(w, "wh1", 1);
    for (unsigned i = 0; i < 100; i++) {
        struct d_call d = world_call_of("k");
        d.address = span_str(i % 2 ? "all" : "wh1");
        accepted(w, anna, "anna", i, d);
    }
    accepted_of(w, bert, "bert", 3);
    begin_work(w, wh1);
    assert_in_range(starts_until(w, wh1, "bert", 3), 5, 6);
}

/* Anna, bert and carl have a queue each, at addresses of their own or at one; dora has one run at a
 * time and goes away after each. How many of 40 runs are hers? */
static unsigned runs_of_one_who_comes_and_goes(struct core_world *w, bool one_class)
{
    static const char *const names[] = {"anna", "bert", "carl"};
    const char *const addresses[] = {"wh1", "all", "etl"};
    uint64_t wh1 = world_worker_hello(w, "wh1", 1), dora = 0;
    unsigned hers = 0, n = 0;
    bool wants = true;
    char key[16];
    struct d_call d = world_call_of("k");
    for (unsigned i = 0; i < 3; i++) {
        uint64_t peer = world_caller_up(w, names[i]);
        d.address = span_str(one_class ? "all" : addresses[i]);
        for (unsigned k = 0; k < 60; k++)
            assert_true(accepted(w, peer, names[i], k, d));
    }
    begin_work(w, wh1);
    for (; n < 40; n++) {
        struct m_execute e;
        struct d_signed s;
        struct d_call of;
        SENT(w, wh1, EXECUTE, execute, &e);
        assert_int_equal(d_signed_decode(e.call, &s, NULL), 0);
        assert_int_equal(d_call_decode(s.body, &of, NULL), 0);
        const bool is_hers = span_eq_str(of.caller, "dora");
        const struct id run = e.run;
        hers += is_hers;
        world_succeed(w, wh1, "wh1", run, 1, 2000);
        if (is_hers)
            world_down(w, dora);
        wants |= is_hers;
        if (wants) {
            dora = world_caller_up(w, "dora");
            snprintf(key, sizeof key, "d%u", n);
            d.key = span_str(key);
            d.caller = span_str("dora");
            d.address = span_str(one_class ? "all" : "wh1");
            world_call_with(w, dora, 1, &d, 0);
            wants = false;
        }
    }
    return hers;
}

static void nobody_gains_a_turn_by_coming_again(void **state)
{
    assert_in_range(runs_of_one_who_comes_and_goes(*state, true), 8, 11);
}

static void nor_where_each_waits_in_a_class_of_their_own(void **state)
{
    assert_in_range(runs_of_one_who_comes_and_goes(*state, false), 8, 11);
}

static void an_operator_has_no_new_rate_by_coming_again(void **state)
{
    struct core_world *w = *state;
    uint64_t olga = world_caller_up(w, "olga");
    struct m_done done;
    world_worker_up(w, "wh1", 1);
    for (unsigned i = 0; i < RATE_ACTS; i++) {
        SAY(w, olga, "olga", operate, .req = i, .verb = span_str(i % 2 ? "undrain" : "drain"),
            .target = span_str("wh1"));
        SENT(w, olga, DONE, done, &done);
        world_log_clear(w);
    }
    world_down(w, olga);
    olga = world_caller_up(w, "olga");
    SAY(w, olga, "olga", operate, .req = 1, .verb = span_str("drain"), .target = span_str("wh1"));
    assert_int_equal(world_told_error(w, olga, "within a minute"), REFUSAL_BUSY);
    world_down(w, olga);
    world_pass(w, ACCOUNT_GONE_MS);
    olga = world_caller_up(w, "olga");
    SAY(w, olga, "olga", operate, .req = 1, .verb = span_str("drain"), .target = span_str("wh1"));
    SENT(w, olga, DONE, done, &done);
}

static void nothing_is_left_of_a_principal_that_is_gone(void **state)
{
    struct core_world *w = *state;
    struct view_counts counts;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    world_call_with(w, anna, 1, &d, 2);
    SENT(w, anna, ACCEPTED, accepted, &a);
    world_succeed(w, wh1, "wh1", a.run, 1, 5);
    world_down(w, anna);
    view_counts(w->core, &counts);
    assert_int_equal(counts.memory, 0);
    assert_int_equal(counts.principals, 1); /* wh1 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(one_principal_gets_its_share_of_the_runs_and_others_the_rest),
        in_world(one_principal_gets_its_share_of_the_memory_and_others_the_rest),
        in_world(calls_of_many_kinds_count_for_what_they_cost),
        in_world(parents_count_for_the_principal_that_began_them),
        in_world(what_a_session_follows_counts_for_its_principal),
        in_world(the_more_is_refused_the_later_it_returns),
        in_world(principals_take_turns_however_many_calls_one_has),
        in_world(principals_take_turns_however_many_parents_one_has),
        in_world(what_waits_in_other_classes_takes_turns_as_well),
        in_world(nobody_gains_a_turn_by_coming_again),
        in_world(nor_where_each_waits_in_a_class_of_their_own),
        in_world(an_operator_has_no_new_rate_by_coming_again),
        in_world(nothing_is_left_of_a_principal_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
