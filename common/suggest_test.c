#include "common/suggest.h"
#include "common/testing.h"

static const char *const keys[] = {"steps", "name", "proxy", "on_success", "on_failure", NULL};

static void each_typing_slip_costs_one(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("steps", "steps"), 0);
    assert_int_equal(suggest_distance("stesp", "steps"), 1);
    assert_int_equal(suggest_distance("step", "steps"), 1);
    assert_int_equal(suggest_distance("stepss", "steps"), 1);
    assert_int_equal(suggest_distance("stexs", "steps"), 1);
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("abc", ""), 3);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
}

static void the_nearest_name_is_found(void **state)
{
    (void)state;
    assert_string_equal(suggest("stpes", keys), "steps");
    assert_string_equal(suggest("nmae", keys), "name");
    assert_string_equal(suggest("on_sucess", keys), "on_success");
    assert_string_equal(suggest("on-failure", keys), "on_failure");
}

static void a_far_name_is_not_offered(void **state)
{
    (void)state;
    assert_null(suggest("timeout", keys));
    assert_null(suggest("", keys));
    assert_null(suggest("x", (const char *const[]){"y", NULL}));
    assert_null(suggest("x", (const char *const[]){NULL}));
}

static void the_hint_ends_a_sentence(void **state)
{
    (void)state;
    char text[SUGGEST_TEXT];
    assert_string_equal(suggest_hint("stpes", keys, text), " (did you mean 'steps'?)");
    assert_string_equal(suggest_hint("timeout", keys, text), "");
}

static void long_names_do_no_harm(void **state)
{
    (void)state;
    char a[500], b[500];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    a[499] = b[499] = 0;
    assert_int_equal(suggest_distance(a, b), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_typing_slip_costs_one), cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(a_far_name_is_not_offered),  cmocka_unit_test(the_hint_ends_a_sentence),
        cmocka_unit_test(long_names_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
