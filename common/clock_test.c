#include "common/clock.h"
#include "common/testing.h"

#include <time.h>

static void a_time_is_written_in_utc_with_milliseconds(void **state)
{
    (void)state;
    char text[CLOCK_TEXT];
    assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clock_format(1795252435012, text), "2026-11-21T09:13:55.012Z");
    assert_string_equal(clock_format(-1, text), "1969-12-31T23:59:59.999Z");
    assert_true(strlen(clock_format(INT64_MAX, text)) < CLOCK_TEXT);
    assert_true(strlen(clock_format(INT64_MIN, text)) < CLOCK_TEXT);
}

static void the_calendar_agrees_with_libc(void **state)
{
    (void)state;
    for (int64_t day = -200000; day < 400000; day += 7) {
        time_t t = day * 86400 + 3661;
        struct tm tm;
        char want[CLOCK_TEXT], got[CLOCK_TEXT];
        gmtime_r(&t, &tm);
        strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        assert_string_equal(clock_format(t * 1000, got), want);
        int64_t back = 0;
        assert_int_equal(clock_parse(got, &back, NULL), 0);
        assert_int_equal(back, t * 1000);
    }
}

static int64_t parsed(const char *s)
{
    int64_t ms = -77;
    struct error err = {0};
    if (clock_parse(s, &ms, &err) < 0)
        fail_msg("%s", err.text);
    return ms;
}

static void all_forms_of_rfc_3339_are_read(void **state)
{
    (void)state;
    assert_int_equal(parsed("2026-11-21T09:13:55.012Z"), 1795252435012);
    assert_int_equal(parsed("2026-11-21 10:13:55.012999+01:00"), 1795252435012);
    assert_int_equal(parsed("2026-11-21t04:13:55.5-05:00"), 1795252435500);
    assert_int_equal(parsed("1970-01-02"), 86400000);
    assert_int_equal(parsed("2024-02-29"), parsed("2024-02-29T00:00:00Z"));
    assert_int_equal(parsed("2016-12-31T23:59:60Z"), parsed("2017-01-01T00:00:00Z"));
}

static void text_that_is_not_a_time_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2025-02-29",
                                        "1900-02-29",
                                        "2026-04-31",
                                        "2026-11-21T",
                                        "2026-11-21T24:00:00Z",
                                        "2026-11-21T09:60:00Z",
                                        "2026-11-21T09:13:55.Z",
                                        "2026-11-21T09:13Z",
                                        "2026-11-21T09:13:55Zx",
                                        "2026-11-21T09:13:55+0100",
                                        "2026-11-21T09:13:55+24:00",
                                        "x2026-11-21",
                                        "yesterday"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms = -77;
        struct error err = {0};
        assert_true(clock_parse(wrong[i], &ms, &err) < 0);
        assert_int_equal(ms, -77);
        assert_contains(err.text, "is not a time");
    }
}

static void a_time_without_an_offset_is_refused_with_the_remedy(void **state)
{
    (void)state;
    int64_t ms;
    struct error err = {0};
    assert_true(clock_parse("2026-11-21T09:13:55", &ms, &err) < 0);
    assert_contains(err.text, "has no offset");
}

static void boot_time_never_goes_back(void **state)
{
    (void)state;
    int64_t a = clock_boot_us(), b = clock_boot_us();
    assert_true(b >= a);
    assert_true(clock_boot_ms() >= a / 1000);
    assert_true(clock_wall_ms() > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_written_in_utc_with_milliseconds),
        cmocka_unit_test(the_calendar_agrees_with_libc),
        cmocka_unit_test(all_forms_of_rfc_3339_are_read),
        cmocka_unit_test(text_that_is_not_a_time_is_refused),
        cmocka_unit_test(a_time_without_an_offset_is_refused_with_the_remedy),
        cmocka_unit_test(boot_time_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
