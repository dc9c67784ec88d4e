#include "trust/budget.h"

#include <errno.h>
#include <string.h>

#include "common/testing.h"

static struct hash who(int n)
{
    struct hash h = {{0}};
    h.b[0] = (uint8_t)n;
    h.b[1] = (uint8_t)(n >> 8);
    return h;
}

static void every_budget_has_a_word_a_limit_and_a_reason(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BUDGET_COUNT; i++) {
        const struct budget_row *row = budget_row(i);
        assert_true(strlen(row->word) > 3 && strlen(row->text) > 5 && strlen(row->why) > 5);
        assert_true(row->limit >= 1);
        if (row->kind == BUDGET_KIND_SHARE)
            assert_true(row->limit <= 100);
    }
}

static void a_setting_is_read_and_a_wrong_one_refused_with_the_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } wrong[] = {{"sessions", "is not a budget"},     {"sessions=", ""},
                 {"=3", "is not a budget"},           {"session=3", "is not a budget"},
                 {"sessions=0", "at least 1"},        {"sessions=-1", ""},
                 {"runs=101", "at most 100 percent"}, {"", "bytes_in"}};
    enum budget b = BUDGET_COUNT;
    uint64_t limit = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = {0};
        assert_int_equal(budget_parse(wrong[i].text, &b, &limit, &err), -EINVAL);
        assert_contains(err.text, wrong[i].why);
        assert_int_equal(limit, 7);
    }
    assert_int_equal(budget_parse("bytes_in=8M", &b, &limit, NULL), 0);
    assert_int_equal(b, BUDGET_BYTES_IN);
    assert_int_equal(limit, 8 << 20);
}

static const char *name_it(void *self, const struct hash *key)
{
    struct hash anna = who(1);
    (void)self;
    return hash_eq(key, &anna) ? "anna" : NULL;
}

static void a_count_ends_at_its_limit_and_others_do_not_notice(void **state)
{
    (void)state;
    struct budgets *b = budgets_new();
    struct hash anna = who(1), carl = who(2);
    struct error err = {0};
    budgets_set_limit(b, BUDGET_SESSIONS, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(budgets_take(b, &anna, BUDGET_SESSIONS, 1, &err), 0);
    budgets_name_by(b, name_it, NULL);
    assert_int_equal(budgets_take(b, &anna, BUDGET_SESSIONS, 1, &err), -EDQUOT);
    assert_contains(err.text, "'anna' has reached the limit of 3 open sessions");
    assert_int_equal(budgets_used(b, &anna, BUDGET_SESSIONS), 3);
    assert_int_equal(budgets_take(b, &carl, BUDGET_SESSIONS, 1, &err), 0);
    budgets_give(b, &anna, BUDGET_SESSIONS, 1);
    assert_int_equal(budgets_take(b, &anna, BUDGET_SESSIONS, 1, &err), 0);
    assert_int_equal(budgets_take(b, &carl, BUDGET_SESSIONS, UINT64_MAX, &err), -EDQUOT);
    budgets_free(&b);
}

static void of_a_share_something_is_always_left_for_the_next_one(void **state)
{
    (void)state;
    enum { SIZE = 1000000, GREEDY = 8 };
    struct budgets *b = budgets_new();
    uint64_t before = SIZE;
    budgets_set_pool(b, BUDGET_RUNS, SIZE);
    for (int i = 1; i <= GREEDY; i++) {
        struct hash h = who(i);
        while (budgets_take(b, &h, BUDGET_RUNS, 1, NULL) == 0)
            ;
        uint64_t got = budgets_used(b, &h, BUDGET_RUNS);
        assert_true(got <= before * 3 / 4 + 1 && got >= before * 3 / 4 - 4);
        before -= got;
    }
    assert_true(before > 0);
    budgets_free(&b);
}

static void a_pool_that_shrank_gives_nothing_until_it_fits_again(void **state)
{
    (void)state;
    struct budgets *b = budgets_new();
    struct hash anna = who(1);
    budgets_found(b, &anna, BUDGET_DEPOT, 5000);
    budgets_set_pool(b, BUDGET_DEPOT, 1000);
    assert_int_equal(budgets_take(b, &anna, BUDGET_DEPOT, 1, NULL), -EDQUOT);
    budgets_give(b, &anna, BUDGET_DEPOT, 5000);
    assert_int_equal(budgets_take(b, &anna, BUDGET_DEPOT, 700, NULL), 0);
    assert_int_equal(budgets_take(b, &anna, BUDGET_DEPOT, 100, NULL), -EDQUOT);
    assert_true(budget_share_fits(0, UINT64_MAX >> 8, 0, 0, 1)); /* no pool: unlimited */
    assert_true(budget_share_fits(0, 1000, 0, 1000, 100));
    assert_false(budget_share_fits(0, 1001, 0, 1000, 100));
    budgets_free(&b);
}

static void count_account(void *self, const struct budget_account *a)
{
    unsigned *n = self;
    assert_int_equal(a->refused[BUDGET_UPLOADS], 1);
    ++*n;
}

static void accounts_are_forgotten_except_the_latest_that_were_refused(void **state)
{
    (void)state;
    struct budgets *b = budgets_new();
    unsigned n = 0;
    for (int i = 0; i < 3 * BUDGET_IDLE_MAX; i++) {
        struct hash h = who(i);
        assert_int_equal(budgets_take(b, &h, BUDGET_SESSIONS, 1, NULL), 0);
        if (i % 2)
            assert_int_equal(budgets_take(b, &h, BUDGET_UPLOADS, 1 << 20, NULL), -EDQUOT);
        budgets_give(b, &h, BUDGET_SESSIONS, 1);
    }
    budgets_each(b, count_account, &n);
    assert_int_equal(n, BUDGET_IDLE_MAX);
    budgets_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_budget_has_a_word_a_limit_and_a_reason),
        cmocka_unit_test(a_setting_is_read_and_a_wrong_one_refused_with_the_names),
        cmocka_unit_test(a_count_ends_at_its_limit_and_others_do_not_notice),
        cmocka_unit_test(of_a_share_something_is_always_left_for_the_next_one),
        cmocka_unit_test(a_pool_that_shrank_gives_nothing_until_it_fits_again),
        cmocka_unit_test(accounts_are_forgotten_except_the_latest_that_were_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
