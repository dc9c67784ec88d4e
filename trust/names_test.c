#include "trust/names.h"
#include "common/testing.h"

static void all_is_an_address_but_not_a_name(void **state)
{
    (void)state;
    assert_true(name_is_good(span_str("wh1")));
    assert_false(name_is_good(span_str("all")));
    assert_true(names_address_is_good(span_str("all")));
    assert_true(names_address_is_good(span_str("etl")));
}

static void jobs_of_packages_have_a_prefix(void **state)
{
    (void)state;
    assert_true(names_job_is_good(span_str("load")));
    assert_true(names_job_is_good(span_str("package:extract")));
    static const char *const wrong[] = {"",    "package:", "package:package:x", "other:x", "Load",
                                        "a b", "../x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(names_job_is_good(span_str(wrong[i])));
}

static void as_of_is_a_day_or_a_time_with_an_offset(void **state)
{
    (void)state;
    static const char *const good[] = {"", "2026-11-21", "2026-11-21T09:13:55Z",
                                       "2026-11-21T10:13:55.012+01:00"};
    static const char *const wrong[] = {
        "yesterday",  "2026-11-21T09:13:55", "2026-11-21 09:13:55Z",
        "2026-13-01", "2026-11-21T",         "2026-11-21Z and more"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(names_as_of_is_good(span_str(good[i])));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(names_as_of_is_good(span_str(wrong[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_an_address_but_not_a_name),
        cmocka_unit_test(jobs_of_packages_have_a_prefix),
        cmocka_unit_test(as_of_is_a_day_or_a_time_with_an_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
