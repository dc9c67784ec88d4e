/* Placement: who gets which run, in which order, how far ahead; and that no decision depends on the
   number of servers. */
#include "broker/core/testing.h"

static uint64_t executed(struct core_world *w, uint64_t peer)
{
    return world_count_sent(w, peer, KIND_M_EXECUTE);
}

static void a_free_server_gets_the_call_at_once_with_its_bytes(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct m_execute e;
    d.on_lost = ON_LOST_HOLD;
    d.lost_after_ms = 60000;
    struct id run = world_call_d(w, anna, d);
    const struct world_logged *l = SENT(w, wh1, EXECUTE, execute, &e);
    struct view_run v;
    assert_true(view_run(w->core, &run, &v));
    assert_true(id_eq(e.run, run));
    assert_int_equal(e.attempt, 1);
    assert_true(span_eq(e.call, v.call) && e.call.n > 0);
    assert_true(span_eq(e.certificate, v.certificate) && e.certificate.n > 0);
    assert_int_equal(e.job_hash.b[0], 1);
    assert_int_equal(e.on_lost, ON_LOST_HOLD);
    assert_int_equal(e.lost_after_ms, 60000);
    /* of r_assigned: call and attempt 1 share one turn */
    assert_int_equal(l->effect.rests_on, w->lsn);
    assert_int_equal(v.state, RUN_HANDED_OVER);
}

static const struct world_attested load[] = {{.job = "load", .hash = 1}, {0}};

static void an_attempt_that_waits_for_its_next_try_takes_no_slot(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    world_attest(w, wh1, "wh1", 1, load, NULL, false);
    struct id first = world_call(w, anna, "a"), second = world_call(w, anna, "b");
    assert_int_equal(executed(w, wh1), 1);
    SAY(w, wh1, "wh1", progress, .run = first, .attempt = 1, .waits = span_str("run"));
    assert_int_equal(world_state_of(w, second), RUN_HANDED_OVER);
    assert_int_equal(executed(w, wh1), 2);
    struct id third = world_call(w, anna, "c");
    SAY(w, wh1, "wh1", progress, .run = first, .attempt = 1); /* both have work now */
    world_succeed(w, wh1, "wh1", second, 1, 5000);
    assert_int_equal(world_state_of(w, third), RUN_WAITING);
    world_succeed(w, wh1, "wh1", first, 1, 5000);
    assert_int_equal(world_state_of(w, third), RUN_HANDED_OVER);
}

static void what_a_new_session_does_not_say_to_wait_takes_a_slot(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    world_attest(w, wh1, "wh1", 1, load, NULL, false);
    struct id first = world_call(w, anna, "a");
    SAY(w, wh1, "wh1", progress, .run = first, .attempt = 1, .waits = span_str("run"));
    world_down(w, wh1);
    wh1 = world_worker_hello(w, "wh1", 1);
    world_attest(w, wh1, "wh1", 1, load, NULL, false);
    SAY(w, wh1, "wh1", have, .run = first, .attempt = 1, .state = RUN_RUNNING);
    SAY(w, wh1, "wh1", have_end, .count = 1);
    struct id second = world_call(w, anna, "b");
    assert_int_equal(world_state_of(w, second), RUN_WAITING);
    SAY(w, wh1, "wh1", progress, .run = first, .attempt = 1, .waits = span_str("run"));
    assert_int_equal(world_state_of(w, second), RUN_HANDED_OVER);
}

static void a_server_cannot_gather_runs_by_saying_that_they_wait(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    world_attest(w, wh1, "wh1", 1, load, NULL, false);
    for (unsigned i = 0; i < LIMIT_WAITS + 5; i++) {
        char key[20];
        snprintf(key, sizeof key, "k%u", i);
        struct id run = world_call(w, anna, key);
        SAY(w, wh1, "wh1", progress, .run = run, .attempt = 1, .waits = span_str("run"));
    }
    assert_int_equal(executed(w, wh1), LIMIT_WAITS + 1);
}

static void a_lost_after_that_is_too_short_is_raised(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct m_execute e;
    d.on_lost = ON_LOST_RERUN;
    d.lost_after_ms = 1;
    world_call_d(w, anna, d);
    SENT(w, wh1, EXECUTE, execute, &e);
    assert_int_equal(e.lost_after_ms, LOST_AFTER_MIN_MS);
}

static void a_default_on_lost_follows_the_package(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct m_execute e;
    world_call(w, anna, "a");
    SENT(w, wh1, EXECUTE, execute, &e);
    assert_int_equal(e.on_lost, ON_LOST_FAIL);
    assert_int_equal(e.lost_after_ms, LOST_AFTER_MS);
    world_attest(w, wh1, "wh1", 2,
                 (struct world_attested[]){{.job = "load", .hash = 1, .idempotent = true}, {0}},
                 NULL, false);
    world_call(w, anna, "b");
    SENT(w, wh1, EXECUTE, execute, &e);
    assert_int_equal(e.on_lost, ON_LOST_RERUN);
}

static void each_condition_of_eligibility_counts(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna"),
             root = world_caller_up(w, "root");
    struct d_call d = world_call_of("address");
    d.address = span_str("big");
    assert_int_equal(world_state_of(w, world_call_d(w, anna, d)), RUN_PARKED);
    d = world_call_of("version");
    d.job_hash = world_hash(9);
    struct id version = world_call_d(w, anna, d);
    assert_int_equal(world_state_of(w, version), RUN_PARKED);
    d = world_call_of("latest");
    d.pin_latest = true;
    d.job_hash = world_hash(0);
    struct id latest = world_call_d(w, anna, d);
    assert_int_equal(world_state_of(w, latest), RUN_HANDED_OVER);
    world_succeed(w, wh1, "wh1", latest, 1, 5);
    world_attest(w, wh1, "wh1", 2,
                 (struct world_attested[]){{.job = "load", .hash = 1, .need = "disk"}, {0}}, "disk",
                 false);
    struct id need = world_call(w, anna, "need");
    assert_int_equal(world_state_of(w, need), RUN_PARKED);
    world_attest(w, wh1, "wh1", 2,
                 (struct world_attested[]){{.job = "load", .hash = 1, .need = "disk"}, {0}}, "disk",
                 true);
    assert_int_equal(world_state_of(w, need), RUN_HANDED_OVER);
    world_attest(w, wh1, "wh1", 2, (struct world_attested[]){{.job = "load", .hash = 9}, {0}}, NULL,
                 false);
    assert_int_equal(world_state_of(w, version), RUN_HANDED_OVER);
    SAY(w, root, "root", operate, .req = 1, .verb = span_str("drain"), .target = span_str("wh1"));
    d = world_call_of("draining");
    d.address = span_str("all");
    d.job_hash = world_hash(9);
    struct id draining = world_call_d(w, anna, d);
    assert_int_equal(world_state_of(w, draining), RUN_PARKED);
    world_succeed(w, wh1, "wh1", need, 1, 5);
    SAY(w, root, "root", operate, .req = 1, .verb = span_str("undrain"), .target = span_str("wh1"));
    assert_int_equal(world_state_of(w, draining), RUN_HANDED_OVER);
}

static void the_concurrency_of_a_job_is_never_exceeded(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    world_attest(w, wh1, "wh1", 4,
                 (struct world_attested[]){{.job = "load", .hash = 1, .concurrency = 1}, {0}}, NULL,
                 false);
    struct id a = world_call(w, anna, "a"), b = world_call(w, anna, "b");
    assert_int_equal(world_state_of(w, b), RUN_WAITING);
    world_succeed(w, wh1, "wh1", a, 1, 1); /* short, but not even one is sent ahead */
    assert_int_equal(world_state_of(w, b), RUN_HANDED_OVER);
    assert_int_equal(world_state_of(w, world_call(w, anna, "c")), RUN_WAITING);
}

static void most_free_credit_first_and_ties_go_to_the_least_recently_used(void **state)
{
    struct core_world *w = *state;
    uint64_t wh[3] = {world_worker_up(w, "wh1", 1), world_worker_up(w, "wh2", 2),
                      world_worker_up(w, "wh3", 3)};
    uint64_t anna = world_caller_up(w, "anna");
    char key[8];
    for (unsigned i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "k%u", i);
        world_call(w, anna, key);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(executed(w, wh[i]), 1);
    for (unsigned i = 3; i < 6; i++) {
        snprintf(key, sizeof key, "k%u", i);
        world_call(w, anna, key);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(executed(w, wh[i]), 2);
    assert_int_equal(world_state_of(w, world_call(w, anna, "k6")), RUN_WAITING);
}

static void the_least_recently_used_idle_server_is_next(void **state)
{
    struct core_world *w = *state;
    const char *const names[] = {"wh1", "wh2", "wh3"};
    uint64_t wh[3], anna = world_caller_up(w, "anna");
    static const uint8_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0},
                                        {2, 0, 1}, {0, 2, 1}, {1, 0, 2}};
    char key[16];
    for (unsigned i = 0; i < 3; i++)
        wh[i] = world_worker_up(w, names[i], (uint8_t)(1 + i));
    for (unsigned o = 0; o < 6; o++) {
        for (unsigned i = 0; i < 6; i++) {
            /* first in this order by name, then to any: the same order */
            unsigned at = orders[o][i % 3];
            struct d_call d = world_call_of("");
            struct view_run v;
            snprintf(key, sizeof key, "k%u-%u", o, i);
            d.key = span_str(key);
            if (i < 3)
                d.address = span_str(names[at]);
            struct id run = world_call_d(w, anna, d);
            assert_true(view_run(w->core, &run, &v));
            assert_string_equal(v.server, names[at]);
            world_succeed(w, wh[at], names[at], run, 1, 5000);
        }
    }
}

static void priority_counts_across_jobs(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    static const char *const jobs[] = {"load", "other"};
    for (unsigned urgent = 0; urgent < 2; urgent++) {
        struct m_execute e;
        struct id want = ID_ZERO;
        char key[16];
        for (unsigned i = 0; i < 2; i++) {
            struct d_call d = world_call_of("");
            snprintf(key, sizeof key, "p%u-%u", urgent, i);
            d.key = span_str(key);
            d.job = span_str(jobs[i]);
            d.priority = i == urgent ? 5 : 4;
            struct id run = world_call_d(w, anna, d);
            want = i == urgent ? run : want;
        }
        wh1 = world_worker_hello(w, "wh1", 1);
        SAY(w, wh1, "wh1", have_end, .count = 0);
        world_attest(
            w, wh1, "wh1", 1,
            (struct world_attested[]){{.job = "load", .hash = 1}, {.job = "other", .hash = 1}, {0}},
            NULL, false);
        SENT(w, wh1, EXECUTE, execute, &e);
        assert_true(id_eq(e.run, want));
        world_succeed(w, wh1, "wh1", e.run, 1, 5000);
        SENT(w, wh1, EXECUTE, execute, &e);
        world_succeed(w, wh1, "wh1", e.run, 1, 5000);
        world_down(w, wh1);
    }
}

static void waiting_runs_go_by_priority_then_parents_in_turn_then_age(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    struct id order[7], want[7];
    const struct {
        const char *key;
        uint8_t parent, priority;
        unsigned place;
    } calls[] = {{"p0", 1, 0, 1}, {"p1", 1, 0, 3}, {"p2", 1, 0, 5},    {"p3", 1, 0, 6},
                 {"q0", 2, 0, 2}, {"q1", 2, 0, 4}, {"urgent", 1, 9, 0}};
    const struct id parents[] = {world_parent(w, anna, "anna", "a"),
                                 world_parent(w, anna, "anna", "b")};
    for (unsigned i = 0; i < 7; i++) {
        struct d_call d = world_call_of(calls[i].key);
        d.parent = parents[calls[i].parent - 1];
        d.task = span_str("t");
        d.priority = calls[i].priority;
        want[calls[i].place] = world_call_d(w, anna, d);
    }
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    world_attest(w, wh1, "wh1", 1, (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL,
                 false);
    for (unsigned i = 0; i < 7; i++) {
        struct m_execute e;
        SENT(w, wh1, EXECUTE, execute, &e);
        order[i] = e.run;
        world_succeed(w, wh1, "wh1", e.run, 1, 5000);
    }
    for (unsigned i = 0; i < 7; i++)
        assert_true(id_eq(order[i], want[i]));
}

static void a_parent_of_three_is_not_starved_by_one_of_many(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    enum { MANY = 2000 };
    char key[16];
    struct d_call d;
    const struct id many = world_parent(w, anna, "anna", "many"),
                    few = world_parent(w, anna, "anna", "few");
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "m%u", i);
        d = world_call_of(key);
        d.parent = many;
        d.task = span_str("t");
        world_call_with(w, anna, 1, &d, 0);
    }
    world_log_clear(w);
    struct id three[3];
    for (unsigned i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "t%u", i);
        d = world_call_of(key);
        d.parent = few;
        d.task = span_str("t");
        three[i] = world_call_d(w, anna, d);
    }
    /* Two are already at the server; each end hands over one. */
    struct view_run v;
    unsigned ends = 0;
    struct id after = ID_ZERO;
    while (world_state_of(w, three[2]) == RUN_WAITING) {
        for (after = ID_ZERO; view_run_after(w->core, &after, &v) && v.state != RUN_HANDED_OVER;
             after = v.id)
            ;
        world_succeed(w, wh1, "wh1", v.id, v.attempt, 5000);
        ends++;
    }
    assert_true(ends <= 6); /* one run of the other parent before each of its own */
}

static void a_parent_with_many_jobs_has_one_turn_like_the_others(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    struct world_attested jobs[12] = {{.job = "load", .hash = 1}};
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    const struct id many = world_parent(w, anna, "anna", "many"),
                    few = world_parent(w, anna, "anna", "few");
    for (unsigned i = 0; i < 10; i++) {
        struct d_call d = world_call_of(names[i]);
        d.job = span_str(names[i]);
        d.parent = many;
        d.task = span_str("t");
        jobs[i + 1] = (struct world_attested){.job = names[i], .hash = 1};
        world_call_d(w, anna, d);
    }
    struct id mine[3];
    for (unsigned i = 0; i < 3; i++) {
        char key[8];
        snprintf(key, sizeof key, "x%u", i);
        struct d_call d = world_call_of(key);
        d.parent = few;
        d.task = span_str("t");
        mine[i] = world_call_d(w, anna, d);
    }
    wh1 = world_worker_hello(w, "wh1", 1);
    SAY(w, wh1, "wh1", have_end, .count = 0);
    world_attest(w, wh1, "wh1", 1, jobs, NULL, false);
    unsigned n = 0;
    while (world_state_of(w, mine[2]) == RUN_WAITING) {
        struct m_execute e;
        SENT(w, wh1, EXECUTE, execute, &e);
        world_succeed(w, wh1, "wh1", e.run, 1, 5000);
        n++;
    }
    assert_true(n <= 6);
}

/* Ends `n` attempts of `load`, each after `ms`. */
static void measure(struct core_world *w, uint64_t anna, uint64_t wh1, unsigned n, int64_t ms)
{
    char key[24];
    for (unsigned i = 0; i < n; i++) {
        snprintf(key, sizeof key, "measure-%d-%u", (int)ms, i);
        struct id run = world_call(w, anna, key);
        world_succeed(w, wh1, "wh1", run, 1, ms);
    }
}

static unsigned filled(struct core_world *w, uint64_t anna, uint64_t wh1, const char *prefix)
{
    char key[24];
    world_log_clear(w);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "%s%u", prefix, i);
        struct d_call d = world_call_of(key);
        world_call_with(w, anna, 1, &d, 0);
    }
    return (unsigned)executed(w, wh1);
}

static void prefetch_follows_the_measured_run_time(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    measure(w, anna, wh1, 1, 1);
    assert_int_equal(filled(w, anna, wh1, "a"),
                     WORLD_SLOTS + LIMIT_PREFETCH); /* 50 ms of 1 ms jobs on two slots: 100 */
}

static void jobs_of_ten_ms_are_sent_ten_ahead(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    measure(w, anna, wh1, 1, 10);
    assert_int_equal(filled(w, anna, wh1, "a"), WORLD_SLOTS + 10);
}

static void jobs_of_a_second_or_more_or_unmeasured_are_never_sent_ahead(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    assert_int_equal(filled(w, anna, wh1, "a"), WORLD_SLOTS);
    struct view_run v;
    struct id after = ID_ZERO;
    while (view_run_after(w->core, &after, &v) && v.state == RUN_HANDED_OVER) {
        after = v.id;
        world_succeed(w, wh1, "wh1", v.id, v.attempt, 1000);
        struct view_server s;
        view_server(w->core, "wh1", &s);
        assert_true(s.live <= WORLD_SLOTS);
    }
}

static void nothing_is_sent_ahead_behind_long_jobs(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    world_attest(
        w, wh1, "wh1", 2,
        (struct world_attested[]){{.job = "load", .hash = 1}, {.job = "long", .hash = 1}, {0}},
        NULL, false);
    measure(w, anna, wh1, 1, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct d_call d = world_call_of(i ? "l0" : "l1");
        d.job = span_str("long");
        world_call_d(w, anna, d);
    }
    assert_int_equal(filled(w, anna, wh1, "a"), 0);
}

static void an_idle_slot_elsewhere_is_better_than_a_place_ahead(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna"), wh2;
    measure(w, anna, wh1, 1, 1);
    world_call(w, anna, "a");
    world_call(w, anna, "b");
    wh2 = world_worker_up(w, "wh2", 2); /* never measured there: two slots against 64 places */
    world_log_clear(w);
    world_call(w, anna, "c");
    assert_int_equal(executed(w, wh2), 1);
}

static void an_unstarted_run_is_recalled_when_another_server_is_idle(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna"), wh2;
    struct m_recall r;
    struct m_execute e;
    char key[16];
    measure(w, anna, wh1, 1, 1);
    for (unsigned i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "r%u", i);
        world_call(w, anna, key);
    }
    wh2 = world_worker_up(w, "wh2", 2);
    NOT_SENT(w, wh1, RECALL);
    world_pass(w, 300); /* they should have started by now */
    assert_int_equal(world_count_sent(w, wh1, KIND_M_RECALL), WORLD_SLOTS);
    SENT(w, wh1, RECALL, recall, &r);
    SAY(w, wh1, "wh1", returned, .run = r.run, .attempt = r.attempt,
        .reason = span_str("recalled"));
    SENT(w, wh2, EXECUTE, execute, &e);
    assert_true(id_eq(e.run, r.run));
    assert_int_equal(e.attempt, 2);
    assert_int_equal(world_records_of(w, KIND_R_RETURNED), 1);
}

static void a_run_returned_unasked_does_not_go_back_at_once(void **state)
{
    struct core_world *w = *state;
    uint64_t wh1 = world_worker_up(w, "wh1", 1), anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    SAY(w, wh1, "wh1", returned, .run = run, .attempt = 1, .reason = span_str("stopping"));
    assert_int_equal(world_state_of(w, run), RUN_WAITING);
    world_pass(w, 999);
    assert_int_equal(world_state_of(w, run), RUN_WAITING);
    world_pass(w, 2);
    assert_int_equal(world_state_of(w, run), RUN_HANDED_OVER);
    assert_int_equal(executed(w, wh1), 2);
}

static void a_run_ends_unreachable_when_start_within_has_passed(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    d.start_within_ms = 5000;
    world_call_with(w, anna, 1, &d, 1);
    struct m_accepted a;
    SENT(w, anna, ACCEPTED, accepted, &a);
    world_pass(w, 4990);
    NOT_SENT(w, anna, RUN_ENDED);
    world_pass(w, 20);
    struct d_outcome o = world_told_end(w, anna, a.run);
    char text[LIMIT_TEXT];
    assert_int_equal(o.delivery, DELIVERY_UNREACHABLE);
    assert_int_equal(o.job, JOB_NOT_CALLED);
    assert_int_equal(o.status, STATUS_UNREACHABLE);
    span_copy_str(o.message, text, sizeof text);
    assert_contains(text, "no server or pool is named 'etl'");
}

static void a_parked_run_ends_after_a_day_and_a_waiting_one_does_not(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct d_call d = world_call_of("parked");
    d.job = span_str("other");
    struct id parked = world_call_d(w, anna, d), waiting;
    for (unsigned i = 0; i < WORLD_SLOTS; i++)
        world_call(w, anna, i ? "a" : "b");
    waiting = world_call(w, anna, "waiting");
    for (unsigned i = 0; i < 86400 / 10; i++) {
        SAY(w, wh1, "wh1", ping, .stamp = i);
        world_pass(w, 10000);
        world_log_clear(w);
    }
    assert_int_equal(world_state_of(w, parked), RUN_ENDED);
    assert_int_equal(world_state_of(w, waiting), RUN_WAITING);
}

static void a_call_that_expires_while_it_waits_is_refused(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("k");
    struct m_accepted a;
    d.expires = w->wall + 3000;
    world_call_with(w, anna, 1, &d, 1);
    SENT(w, anna, ACCEPTED, accepted, &a);
    w->wall += 86400000; /* a step of the wall clock has no effect on what waits */
    world_pass(w, 2990);
    assert_int_equal(world_state_of(w, a.run), RUN_PARKED);
    world_pass(w, 20);
    struct d_outcome o = world_told_end(w, anna, a.run);
    assert_int_equal(o.delivery, DELIVERY_REFUSED);
    assert_int_equal(o.code, REFUSAL_EXPIRED);
    assert_int_equal(o.status, STATUS_REFUSED);
}

static void waiting_runs_keep_their_order_over_a_restart(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1;
    struct id runs[4];
    static const char *const keys[] = {"a", "b", "c", "d"};
    for (unsigned i = 0; i < 4; i++)
        runs[i] = world_call(w, anna, keys[i]);
    world_restart(w);
    wh1 = world_worker_up(w, "wh1", 1);
    for (unsigned i = 0; i < 4; i++) {
        struct m_execute e;
        SENT(w, wh1, EXECUTE, execute, &e);
        assert_true(id_eq(e.run, runs[i]));
        world_succeed(w, wh1, "wh1", e.run, 1, 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_free_server_gets_the_call_at_once_with_its_bytes),
        in_world(an_attempt_that_waits_for_its_next_try_takes_no_slot),
        in_world(what_a_new_session_does_not_say_to_wait_takes_a_slot),
        in_world(a_server_cannot_gather_runs_by_saying_that_they_wait),
        in_world(a_lost_after_that_is_too_short_is_raised),
        in_world(a_default_on_lost_follows_the_package),
        in_world(each_condition_of_eligibility_counts),
        in_world(the_concurrency_of_a_job_is_never_exceeded),
        in_world(most_free_credit_first_and_ties_go_to_the_least_recently_used),
        in_world(the_least_recently_used_idle_server_is_next),
        in_world(priority_counts_across_jobs),
        in_world(waiting_runs_go_by_priority_then_parents_in_turn_then_age),
        in_world(a_parent_of_three_is_not_starved_by_one_of_many),
        in_world(a_parent_with_many_jobs_has_one_turn_like_the_others),
        in_world(prefetch_follows_the_measured_run_time),
        in_world(jobs_of_ten_ms_are_sent_ten_ahead),
        in_world(jobs_of_a_second_or_more_or_unmeasured_are_never_sent_ahead),
        in_world(nothing_is_sent_ahead_behind_long_jobs),
        in_world(an_idle_slot_elsewhere_is_better_than_a_place_ahead),
        in_world(an_unstarted_run_is_recalled_when_another_server_is_idle),
        in_world(a_run_returned_unasked_does_not_go_back_at_once),
        in_world(a_run_ends_unreachable_when_start_within_has_passed),
        in_world(a_parked_run_ends_after_a_day_and_a_waiting_one_does_not),
        in_world(a_call_that_expires_while_it_waits_is_refused),
        in_world(waiting_runs_keep_their_order_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
