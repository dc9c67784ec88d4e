/* What one principal may make wait for the disk. Pure: principals and numbers, no socket. */
#include "common/testing.h"

#include "net/backlog.h"
#include "net/settle.h"

enum { NOW = 1000 * SETTLE_WINDOW_MS };

static struct peers table;
static struct principal flood, user;

static int empty(void **state)
{
    (void)state;
    table = (struct peers){.round = 1};
    flood = user = (struct principal){0};
    return 0;
}

/* A flood makes records one by one, from number `first` on, until it is held. */
static uint64_t made_until_held(uint64_t first, int64_t now)
{
    uint64_t lsn = first;
    while (!flood.held && lsn - first < 2 * SETTLE_MAX)
        settle_made(&table, &flood, 1, lsn++, now);
    return lsn - first;
}

/* It has made so many records, in the window before, that it is not light. */
static void make_heavy(void)
{
    flood.made = SETTLE_LIGHT_MAX;
    flood.window = NOW / SETTLE_WINDOW_MS - 1;
}

static void beside_somebody_light_few_records_of_a_flood_wait_for_the_disk(void **state)
{
    (void)state;
    make_heavy();
    settle_made(&table, &user, 1, 1, NOW);
    assert_int_equal(made_until_held(2, NOW), SETTLE_BESIDE_MAX);
    assert_false(user.held);
    settle_made(&table, &user, 1, SETTLE_BESIDE_MAX + 2, NOW);
    assert_false(user.held);
}

static void where_all_are_heavy_many_may_wait(void **state)
{
    (void)state;
    make_heavy();
    assert_int_equal(made_until_held(1, NOW), SETTLE_MAX);
}

static void somebody_light_counts_until_a_window_has_passed(void **state)
{
    (void)state;
    settle_made(&table, &user, 1, 1, NOW - SETTLE_WINDOW_MS);
    make_heavy();
    assert_int_equal(made_until_held(2, NOW), SETTLE_MAX);
}

static void who_is_held_goes_on_when_there_is_room(void **state)
{
    (void)state;
    make_heavy();
    settle_made(&table, &user, 1, 1, NOW);
    made_until_held(2, NOW);
    assert_false(backlog_may_pass(&table, &flood));
    settle_done(&table, 1, NOW); /* none of its own */
    assert_true(flood.held);
    settle_done(&table, 2, NOW);
    assert_false(flood.held);
    assert_true(backlog_may_pass(&table, &flood));
    assert_int_equal(made_until_held(SETTLE_BESIDE_MAX + 2, NOW), 1);
    settle_done(&table, SETTLE_BESIDE_MAX + 2, NOW);
    assert_int_equal(made_until_held(SETTLE_BESIDE_MAX + 3, NOW), SETTLE_BESIDE_MAX);
}

static void what_waits_of_a_held_principal_stays_in_its_order(void **state)
{
    struct backlog_frame one = {0}, two = {0}, *taken;
    struct peer first = {.of = &flood}, other = {.of = &user};
    (void)state;
    make_heavy();
    settle_made(&table, &user, 1, 1, NOW);
    backlog_put_back(&table, &first, &two);
    backlog_put_back(&table, &first, &one);
    made_until_held(2, NOW);
    assert_null(backlog_take(&table, &taken));
    backlog_put_back(&table, &other, &(struct backlog_frame){0});
    assert_ptr_equal(backlog_take(&table, &taken), &other);
    assert_null(backlog_take(&table, &taken));
    settle_done(&table, SETTLE_BESIDE_MAX + 1, NOW);
    assert_ptr_equal(backlog_take(&table, &taken), &first);
    assert_ptr_equal(taken, &one);
    assert_ptr_equal(backlog_take(&table, &taken), &first);
    assert_ptr_equal(taken, &two);
    assert_null(backlog_take(&table, &taken));
}

static void a_principal_may_end_while_it_is_held(void **state)
{
    (void)state;
    make_heavy();
    settle_made(&table, &user, 1, 1, NOW);
    made_until_held(2, NOW);
    settle_forget(&table, &user); /* it is not held */
    settle_forget(&table, &flood);
    assert_null(table.held);
    settle_done(&table, SETTLE_MAX, NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(beside_somebody_light_few_records_of_a_flood_wait_for_the_disk,
                               empty),
        cmocka_unit_test_setup(where_all_are_heavy_many_may_wait, empty),
        cmocka_unit_test_setup(somebody_light_counts_until_a_window_has_passed, empty),
        cmocka_unit_test_setup(who_is_held_goes_on_when_there_is_room, empty),
        cmocka_unit_test_setup(what_waits_of_a_held_principal_stays_in_its_order, empty),
        cmocka_unit_test_setup(a_principal_may_end_while_it_is_held, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
