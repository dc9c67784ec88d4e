/* pace_test.c */
#include "broker/events/pace.h"

#include "common/testing.h"

/* Lets `us` pass, of which others have the processor `away` per mille, and of the rest of which the
 * loop works `work` per mille; what may be spent is spent. Returns the time that events had. */
static int64_t pass(struct pace *p, struct pace_clocks *now, int64_t us, int64_t away, int64_t work,
                    unsigned readers)
{
    int64_t spent = 0;
    for (int64_t end = now->wall + us; now->wall < end;) {
        now->wall += 500;
        now->waited += 500 * away / 1000;
        now->used += (500 - 500 * away / 1000) * work / 1000;
        pace_now(p, now, readers);
        while (pace_wait_ms(p, readers) == 0) {
            pace_spend(p, 100, 0);
            now->wall += 100;
            now->used += 100;
            spent += 100;
        }
    }
    return spent;
}

static void a_busy_broker_gives_events_a_small_share_that_grows_with_the_readers(void **state)
{
    static const struct {
        unsigned readers;
        int64_t share; /* per mille */
    } rows[] = {{1, PACE_FIRST}, {10, PACE_FIRST + 9 * PACE_FURTHER}, {1000, PACE_SHARE_MAX}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pace p = {0};
        struct pace_clocks now = {0};
        pass(&p, &now, 1000000, 0, 900, rows[i].readers); /* it learns that it is busy */
        int64_t spent = pass(&p, &now, 10000000, 0, 900, rows[i].readers);
        /* of 900, less what events themselves took away, and a little of the 100 that are left */
        assert_in_range(spent / 9000, rows[i].share * 8 / 10, rows[i].share + 1 + PACE_SPARE / 8);
    }
}

static void an_idle_broker_gives_events_all_of_its_time(void **state)
{
    struct pace p = {0};
    struct pace_clocks now = {0};
    (void)state;
    pass(&p, &now, 1000000, 0, 10, 1);
    assert_in_range(pass(&p, &now, 1000000, 0, 10, 1), 400000, 1000000);
}

static void what_others_do_with_the_processors_makes_the_broker_neither_busy_nor_idle(void **state)
{
    struct pace p = {0}, q = {0};
    struct pace_clocks now = {0}, then = {0};
    (void)state;
    pass(&p, &now, 1000000, 800, 50, 1);
    assert_true(p.busy <= 100);
    pass(&q, &then, 1000000, 800, 1000, 1);
    assert_true(q.busy >= 900);
}

/* Timers have whole ms: one that is due at once would have the loop turn in vain. */
static void a_debt_of_less_than_a_ms_is_waited_for(void **state)
{
    struct pace p = {0};
    struct pace_clocks now = {0};
    (void)state;
    pass(&p, &now, 1000000, 0, 10, 1);
    pace_now(&p, &now, 1);
    pace_spend(&p, 0, p.have + 1);
    assert_int_equal(pace_wait_ms(&p, 1), 1);
}

/* A loop may turn so often that each turn allows less than a us. */
static void time_that_passes_in_small_steps_adds_up(void **state)
{
    struct pace p = {0};
    struct pace_clocks now = {0};
    int64_t steps = 0;
    (void)state;
    pass(&p, &now, 1000000, 0, 100, 1);
    pace_now(&p, &now, 1);
    pace_spend(&p, 0, p.have + 50);
    for (p.since.wall = now.wall; pace_wait_ms(&p, 1) > 0 && steps < 2000; steps++) {
        now.wall++;
        pace_now(&p, &now, 1);
    }
    assert_in_range(steps, 10, 1000); /* 51 us, of which a loop like this one allows 30 % */
}

/* Else a burst now and then would have followers wait for half a second each. */
static void a_broker_with_bursts_of_work_gives_events_some_of_the_time_between(void **state)
{
    struct pace p = {0};
    struct pace_clocks now = {0};
    int64_t spent = 0;
    (void)state;
    for (int i = 0; i < 10; i++) {
        pass(&p, &now, 20000, 0, 1000, 1);
        spent += pass(&p, &now, 80000, 0, 10, 1);
    }
    assert_in_range(spent, 800000 * PACE_SPARE / 1000 / 2, 1000000);
}

static void a_pause_of_many_months_pays_a_debt(void **state)
{
    const int64_t day = INT64_C(86400) * 1000000;
    struct pace p = {0};
    (void)state;
    pace_now(&p, &(struct pace_clocks){.wall = 1000 * day}, 1);
    pace_spend(&p, 0, p.have + PACE_SLICE_US);
    pace_now(&p, &(struct pace_clocks){.wall = 1250 * day}, 1);
    assert_int_equal(pace_wait_ms(&p, 1), 0);
}

/* Events themselves are no reason to call the broker busy. */
static void time_spent_on_events_does_not_count_as_other_work(void **state)
{
    struct pace p = {0};
    struct pace_clocks now = {0};
    (void)state;
    pass(&p, &now, 2000000, 0, 0, 1);
    assert_true(p.busy <= 10);
}

static void what_other_threads_spend_is_charged(void **state)
{
    struct pace p = {0};
    (void)state;
    pace_now(&p, &(struct pace_clocks){.wall = 1000000}, 1);
    assert_int_equal(pace_wait_ms(&p, 1), 0);
    pace_spend(&p, 100, 5000);
    assert_true(pace_wait_ms(&p, 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_broker_gives_events_a_small_share_that_grows_with_the_readers),
        cmocka_unit_test(an_idle_broker_gives_events_all_of_its_time),
        cmocka_unit_test(what_others_do_with_the_processors_makes_the_broker_neither_busy_nor_idle),
        cmocka_unit_test(a_debt_of_less_than_a_ms_is_waited_for),
        cmocka_unit_test(time_that_passes_in_small_steps_adds_up),
        cmocka_unit_test(a_broker_with_bursts_of_work_gives_events_some_of_the_time_between),
        cmocka_unit_test(a_pause_of_many_months_pays_a_debt),
        cmocka_unit_test(time_spent_on_events_does_not_count_as_other_work),
        cmocka_unit_test(what_other_threads_spend_is_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
