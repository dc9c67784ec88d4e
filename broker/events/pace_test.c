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
        while (pace_wait(p, readers) == 0) {
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
        /* of 900, less what events themselves took away */
        assert_in_range(spent / 9000, rows[i].share * 8 / 10, rows[i].share + 1);
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
    assert_int_equal(pace_wait(&p, 1), 0);
    pace_spend(&p, 100, 5000);
    assert_true(pace_wait(&p, 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_broker_gives_events_a_small_share_that_grows_with_the_readers),
        cmocka_unit_test(an_idle_broker_gives_events_all_of_its_time),
        cmocka_unit_test(what_others_do_with_the_processors_makes_the_broker_neither_busy_nor_idle),
        cmocka_unit_test(time_spent_on_events_does_not_count_as_other_work),
        cmocka_unit_test(what_other_threads_spend_is_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
