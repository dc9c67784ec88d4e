/* fence_test.c - how long an attempt that may be rerun elsewhere remains ours. */
#include "common/testing.h"

#include "proto/outcome.h"
#include "common/clock.h"
#include "runner/fence.h"

static void only_attempts_that_may_run_again_are_fenced(void **state)
{
    (void)state;
    int64_t term, end;
    struct s_launch l = {.on_lost = ON_LOST_FAIL, .lost_after_ms = 300000};
    fence_of(&l, 1000000, &term, &end);
    assert_true(term == INT64_MAX && end == INT64_MAX);
    l.on_lost = ON_LOST_HOLD;
    fence_of(&l, 1000000, &term, &end);
    assert_true(end == INT64_MAX);
    l.on_lost = ON_LOST_RERUN;
    fence_of(&l, 1000000, &term, &end);
    assert_int_equal(end, 1300000);
    assert_int_equal(term, 1300000 - FENCE_MARGIN_MS);
    fence_of(&l, 0, &term, &end); /* no broker has been heard yet */
    assert_true(end == INT64_MAX);
}

static void a_short_lost_after_is_halved_and_a_huge_one_does_not_overflow(void **state)
{
    (void)state;
    int64_t term, end;
    struct s_launch l = {.on_lost = ON_LOST_RERUN, .lost_after_ms = 4000};
    fence_of(&l, 1000000, &term, &end);
    assert_int_equal(end, 1004000);
    assert_int_equal(term, 1002000);
    l.lost_after_ms = UINT64_MAX;
    fence_of(&l, 1000000, &term, &end);
    assert_true(term > 1000000 && end > term);
}

static void a_step_waits_for_a_fence_in_the_future(void **state)
{
    (void)state;
    struct s_launch l = {.on_lost = ON_LOST_FAIL, .lost_after_ms = 300000};
    assert_true(fence_permits(&l, 0, 1000000));
    l.on_lost = ON_LOST_RERUN;
    assert_false(fence_permits(&l, 0, 1000000));
    assert_true(fence_permits(&l, 1000000, 1300000 - FENCE_MARGIN_MS - 1));
    assert_false(fence_permits(&l, 1000000, 1300000 - FENCE_MARGIN_MS));
    assert_false(fence_permits(&l, 1000000, 2000000));
    l.lost_after_ms = 0; /* no lost_after: never */
    assert_false(fence_permits(&l, 1000000, 1000000));
}

static void a_fence_missing_incomplete_or_from_another_boot_is_ignored(void **state)
{
    struct error err = {0};
    const char *path = testing_path(state, "fence");
    struct {
        int64_t renewed;
        struct id boot;
    } at = {123456789, ID_ZERO};
    assert_int_equal(clock_boot_id(&at.boot, &err), 0);
    assert_int_equal(fence_read(path), 0);
    assert_int_equal(file_write_atomic(path, span_of(&at, 8), 0600, &err), 0);
    assert_int_equal(fence_read(path), 0);
    assert_int_equal(file_write_atomic(path, span_of(&at, sizeof at), 0600, &err), 0);
    assert_int_equal(fence_read(path), at.renewed);
    at.boot.b[3] ^= 1; /* the clock of another boot says nothing about ours */
    assert_int_equal(file_write_atomic(path, span_of(&at, sizeof at), 0600, &err), 0);
    assert_int_equal(fence_read(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_attempts_that_may_run_again_are_fenced),
        cmocka_unit_test(a_short_lost_after_is_halved_and_a_huge_one_does_not_overflow),
        cmocka_unit_test(a_step_waits_for_a_fence_in_the_future),
        in_folder(a_fence_missing_incomplete_or_from_another_boot_is_ignored),
    };
    return cmocka_run_group_tests_name("fence", tests, NULL, NULL);
}
