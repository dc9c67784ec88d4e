/* termtime_test.c - times as people write and read them, in the zone of the process. */
#include "common/clock.h"
#include "common/term.h"
#include "common/testing.h"

#include <errno.h>
#include <time.h>

static int64_t at(const char *rfc3339)
{
    int64_t ms;
    assert_int_equal(clock_parse(rfc3339, &ms, NULL), 0);
    return ms;
}

static void zone(const char *tz)
{
    setenv("TZ", tz, 1);
    tzset();
}

static void a_listing_shows_times_for_today_and_dates_for_other_days(void **state)
{
    (void)state;
    char out[TERM_TIME];
    const int64_t now = at("2026-11-21T10:00:00Z");
    zone("CET-1");
    assert_string_equal(term_when(at("2026-11-21T08:14:07Z"), now, out), "09:14:07");
    assert_string_equal(term_when(at("2026-11-20T23:14:07Z"), now, out), "00:14:07");
    assert_string_equal(term_when(at("2026-11-20T08:14:07Z"), now, out), "Nov 20 09:14");
    assert_string_equal(term_when(at("2025-11-20T08:14:07Z"), now, out), "2025-11-20");
    assert_string_equal(term_when(at("2028-11-20T08:14:07Z"), now, out), "2028-11-20");
    assert_string_equal(term_moment(now, out), "2026-11-21 11:00:00");
    assert_string_equal(term_zone(now, out), "CET");
    term_utc();
    assert_string_equal(term_clock(now, out), "10:00:00");
    assert_string_equal(term_zone(now, out), "UTC");
}

static void a_time_is_read_in_the_zone_of_its_reader(void **state)
{
    (void)state;
    static const struct {
        const char *text, *means;
    } some[] = {
        {"2h", "2026-11-21T08:00:00Z"},
        {"1h30m", "2026-11-21T08:30:00Z"},
        {"2026-11-20", "2026-11-19T23:00:00Z"},
        {"2026-11-20 09:14", "2026-11-20T08:14:00Z"},
        {"2026-11-20T09:14:07", "2026-11-20T08:14:07Z"},
        {"09:14", "2026-11-21T08:14:00Z"},
        {"09:14:07", "2026-11-21T08:14:07Z"},
        {"2026-11-20T09:14:07Z", "2026-11-20T09:14:07Z"},
        {"2026-11-20 09:14:07+02:00", "2026-11-20T07:14:07Z"},
    };
    zone("CET-1");
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        int64_t ms = 0;
        struct error err = {0};
        if (term_time_parse(some[i].text, at("2026-11-21T10:00:00Z"), &ms, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(ms, at(some[i].means));
    }
}

static void text_that_is_not_a_time_is_refused_with_the_accepted_forms(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",           "yesterday",        "12",       "2026-02-30",
                                        "2026-13-01", "2026-11-20 25:00", "9 o'clock"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms;
        struct error err = {0};
        assert_int_equal(term_time_parse(wrong[i], 0, &ms, &err), -EINVAL);
        assert_contains(err.text, "is not a time: give a duration (2h), a day (2026-11-20)");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_shows_times_for_today_and_dates_for_other_days),
        cmocka_unit_test(a_time_is_read_in_the_zone_of_its_reader),
        cmocka_unit_test(text_that_is_not_a_time_is_refused_with_the_accepted_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
