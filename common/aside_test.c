#include "common/aside.h"
#include "common/testing.h"

#include <errno.h>
#include <stdio.h>

#include "common/file.h"

static void damaged_bytes_are_kept_under_the_place_where_they_were(void **state)
{
    struct error err = {0};
    struct buf b = {0};
    bool fresh = false;
    assert_int_equal(aside_count(*state), 0);
    assert_int_equal(aside_put(*state, "worker.log", 17, span_str("what it was"), &fresh, &err), 0);
    assert_true(fresh);
    assert_int_equal(aside_count(*state), 1);
    assert_int_equal(file_read(testing_path(state, "damaged/worker.log-17"), 100, &b, &err), 0);
    assert_true(span_eq_str(buf_span(&b), "what it was"));
    /* the next start finds the same */
    assert_int_equal(aside_put(*state, "worker.log", 17, span_str("what it was"), &fresh, &err), 0);
    assert_false(fresh);
    assert_int_equal(aside_count(*state), 1);
    buf_free(&b);
}

static void no_more_than_a_limit_is_kept(void **state)
{
    struct error err = {0};
    for (int i = 0; i < ASIDE_FILES_MAX; i++)
        assert_int_equal(aside_put(*state, "a.log", i, span_str("x"), NULL, &err), 0);
    assert_int_equal(aside_put(*state, "a.log", ASIDE_FILES_MAX, span_str("x"), NULL, &err),
                     -EFBIG);
    assert_int_equal(aside_count(*state), ASIDE_FILES_MAX);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, testing_folder, testing_folder_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(damaged_bytes_are_kept_under_the_place_where_they_were),
        in_folder(no_more_than_a_limit_is_kept),
    };
    return cmocka_run_group_tests_name("aside", tests, NULL, NULL);
}
