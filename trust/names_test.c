#include "trust/names.h"
#include "common/testing.h"

static void all_is_an_address_and_nobodys_name(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_an_address_and_nobodys_name),
        cmocka_unit_test(jobs_of_packages_have_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
