/* duration_test.c - spans of time, read and written. */
#include "common/duration.h"
#include "common/testing.h"

static int64_t ms_of(const char *s)
{
    int64_t ms = -1;
    struct error err = {0};
    if (duration_parse(s, &ms, &err) < 0)
        fail_msg("%s", err.text);
    return ms;
}

static void durations_are_read_as_people_write_them(void **state)
{
    (void)state;
    assert_int_equal(ms_of("90s"), 90000);
    assert_int_equal(ms_of("2h"), 7200000);
    assert_int_equal(ms_of("1500ms"), 1500);
    assert_int_equal(ms_of("1d"), 86400000);
    assert_int_equal(ms_of("1h30m"), 5400000);
    assert_int_equal(ms_of("3m 05s"), 185000);
    assert_int_equal(ms_of("1.5s"), 1500);
    assert_int_equal(ms_of("0.001s"), 1);
    assert_int_equal(ms_of("0s"), 0);
    assert_int_equal(ms_of("1d2h3m4s5ms"), 93784005);
}

static void invalid_durations_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "s",
                                        "-5s",
                                        "+5s",
                                        "5x",
                                        "5 s",
                                        "1m1h",
                                        "1s1s",
                                        "5s ",
                                        " 5s",
                                        "1.s",
                                        "1.5ms",
                                        "1.0005s",
                                        "99999999999999999999s",
                                        "9223372036854775807d",
                                        "1h 30",
                                        "5S",
                                        "1e3s"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms = -7;
        struct error err = {0};
        if (duration_parse(wrong[i], &ms, &err) == 0)
            fail_msg("'%s' was taken", wrong[i]);
        assert_int_equal(ms, -7);
        assert_contains(err.text, "is not a duration");
    }
}

static void a_bare_number_is_refused_with_the_remedy(void **state)
{
    (void)state;
    int64_t ms;
    struct error err = {0};
    assert_true(duration_parse("90", &ms, &err) < 0);
    assert_contains(err.text, "'90' has no unit: write, say, 90s, 90m or 90h");
}

static void durations_are_written_with_the_units_that_matter(void **state)
{
    (void)state;
    char t[DURATION_TEXT];
    assert_string_equal(duration_format(0, t), "0ms");
    assert_string_equal(duration_format(450, t), "450ms");
    assert_string_equal(duration_format(12400, t), "12.4s");
    assert_string_equal(duration_format(59999, t), "59.9s");
    assert_string_equal(duration_format(185000, t), "3m 05s");
    assert_string_equal(duration_format(7620000, t), "2h 07m");
    assert_string_equal(duration_format(443000000, t), "5d 03h");
    assert_string_equal(duration_format(-12400, t), "-12.4s");
    assert_true(strlen(duration_format(INT64_MIN, t)) < DURATION_TEXT);
}

static void what_is_written_can_be_read(void **state)
{
    (void)state;
    static const int64_t some[] = {0, 450, 12400, 185000, 7620000, 442800000};
    char t[DURATION_TEXT];
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_int_equal(ms_of(duration_format(some[i], t)), some[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_as_people_write_them),
        cmocka_unit_test(invalid_durations_are_refused),
        cmocka_unit_test(a_bare_number_is_refused_with_the_remedy),
        cmocka_unit_test(durations_are_written_with_the_units_that_matter),
        cmocka_unit_test(what_is_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
