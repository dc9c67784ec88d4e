#include "common/name.h"
#include "common/testing.h"

static void identifiers_have_letters_digits_and_underscores(void **state)
{
    (void)state;
    assert_true(name_is_identifier(span_str("a")));
    assert_true(name_is_identifier(span_str("load_2")));
    static const char *const wrong[] = {"", "A", "2a", "_a", "a-b", "a.b", "a b", "\xc3\xa4", "aB"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(name_is_identifier(span_str(wrong[i])));
    assert_false(name_is_identifier(span_of("a\0b", 3)));
}

static void names_may_have_dashes_too(void **state)
{
    (void)state;
    assert_true(name_is_name(span_str("load-orders_2")));
    assert_false(name_is_name(span_str("-a")));
    assert_false(name_is_name(span_str("a/b")));
    assert_false(name_is_name(span_str("..")));
}

static void a_name_has_a_maximum_length(void **state)
{
    (void)state;
    char text[NAME_LENGTH_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_true(name_is_name(span_of(text, NAME_LENGTH_MAX)));
    assert_false(name_is_name(span_of(text, NAME_LENGTH_MAX + 1)));
    assert_false(name_is_identifier(span_of(text, NAME_LENGTH_MAX + 1)));
}

static void the_refusal_says_what_is_wrong(void **state)
{
    (void)state;
    struct error err = {0};
    char text[100];
    memset(text, 'a', sizeof text);
    assert_int_equal(name_check_name("the name of a job", span_str("ok-1"), &err), 0);
    assert_true(name_check_name("the name of a job", SPAN_NONE, &err) < 0);
    assert_string_equal(err.text, "the name of a job is empty");
    assert_true(name_check_name("the name of a job", span_of(text, 100), &err) < 0);
    assert_contains(err.text, "longer than 64");
    assert_true(name_check_identifier("the name of a task", span_str("a-b"), &err) < 0);
    assert_string_equal(
        err.text, "the name of a task must begin with a-z and have only a-z, 0-9 and _, not 'a-b'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identifiers_have_letters_digits_and_underscores),
        cmocka_unit_test(names_may_have_dashes_too),
        cmocka_unit_test(a_name_has_a_maximum_length),
        cmocka_unit_test(the_refusal_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
