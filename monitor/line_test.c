/* line_test.c - what people see of an event. */
#include "monitor/line.h"

#include "common/testing.h"

static void shows(struct event_line *l, const char *json, const char *want)
{
    struct buf out = {0};
    json_t *event = json_loads(json, 0, NULL);
    assert_non_null(event);
    line_of_event(l, event, &out);
    assert_string_equal(buf_str(&out), want);
    buf_free(&out);
    json_decref(event);
}

static void has(int width, const char *json, const char *part)
{
    struct event_line l = {.term = {.is_terminal = width > 0, .width = width}};
    struct buf out = {0};
    json_t *event = json_loads(json, 0, NULL);
    assert_non_null(event);
    line_of_event(&l, event, &out);
    assert_contains(buf_str(&out), part);
    assert_int_equal(out.p[out.n - 1], '\n');
    buf_free(&out);
    json_decref(event);
}

#define RESULT \
    "{\"event\":\"result\",\"at\":\"2026-11-21T09:14:07.000Z\"," \
    "\"run\":\"0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10\",\"job\":\"nightly-extract\"," \
    "\"server\":\"etl2\",\"started_at\":\"2026-11-21T09:13:55.000Z\"," \
    "\"ended_at\":\"2026-11-21T09:14:07.400Z\"," \
    "\"attempt\":1,"
#define CHILD "\"parent_name\":\"nightly\",\"task\":\"extract\",\"child\":\"extract[orders]\","

static void columns_grow_so_that_lines_align(void **state)
{
    (void)state;
    struct event_line l = {.term = {.is_terminal = true, .width = 100}};
    shows(&l, RESULT CHILD "\"status\":\"succeeded\",\"outputs\":{\"rows\":48211}}",
          "09:14:07  4b3c2d10  etl2  nightly/extract[orders]  succeeded  12.4s  rows=48211\n");
    shows(&l, RESULT "\"status\":\"failed\",\"message\":\"no such table\"}",
          "09:14:07  4b3c2d10  etl2  nightly-extract          failed     12.4s  no such table\n");
}

static void a_wide_page_also_has_the_job_and_its_parameters(void **state)
{
    (void)state;
    has(140, RESULT CHILD "\"status\":\"succeeded\",\"parameters\":{\"table\":\"orders\"}}",
        "  nightly/extract[orders]  nightly-extract  succeeded  12.4s  table=orders\n");
    has(80, RESULT CHILD "\"status\":\"succeeded\",\"parameters\":{\"table\":\"orders\"}}",
        "  etl2  extract[orders]  succeeded  12.4s  table=orders\n");
}

static void on_a_narrow_page_the_whole_message_goes_below_its_line(void **state)
{
    (void)state;
    has(80,
        RESULT CHILD
        "\"status\":\"failed\",\"message\":\"no such table: planets (known: countries, currencies, "
        "languages, scripts)\"}",
        "failed  12.4s\n"
        "          no such table: planets (known: countries, currencies, languages,\n"
        "          scripts)\n");
    has(0, RESULT "\"status\":\"failed\",\"message\":\"one line where nobody says how wide\"}",
        "failed  12.4s  one line where nobody says how wide\n");
}

static void a_line_mentions_retries(void **state)
{
    (void)state;
    has(120, RESULT "\"task\":\"a\",\"try\":2,\"status\":\"succeeded\",\"outputs\":{\"n\":1}}",
        "12.4s  try 2  n=1\n");
}

static void short_parameters_come_first_and_numbers_stay_as_written(void **state)
{
    (void)state;
    has(0,
        RESULT "\"status\":\"succeeded\",\"outputs\":{\"path\":\"/a/b/c\",\"b\":3.48,\"c\":1,"
               "\"d\":\"no\"}}",
        "  c=1 d=no b=3.48\n");
}

static void a_line_says_why_a_run_failed_and_not_what_its_always_step_said(void **state)
{
    (void)state;
    has(0,
        "{\"event\":\"result\",\"job\":\"load\",\"status\":\"timed_out\",\"message\":"
        "\"timed out\",\"job_outcome\":{\"steps\":["
        "{\"package\":{\"state\":\"failed\",\"message\":\"timed out\"}},"
        "{\"package\":{\"state\":\"failed\",\"message\":\"exit 1\"}}]}}",
        "  load  timed_out  timed out\n");
    has(0,
        "{\"event\":\"result\",\"job\":\"load\",\"status\":\"failed\","
        "\"job_outcome\":{\"steps\":["
        "{\"package\":{\"state\":\"failed\",\"message\":\"no such table\"}},"
        "{\"package\":{\"state\":\"succeeded\",\"message\":\"cleaned\"}}]}}",
        "  load  failed  no such table\n");
    has(0, "{\"event\":\"result\",\"job\":\"load\",\"status\":\"lost\",\"message\":\"of the run\"}",
        "  of the run\n");
}

static void other_events_say_what_they_are_about(void **state)
{
    (void)state;
    has(0,
        "{\"event\":\"assigned\",\"at\":\"2026-11-21T09:14:07.000Z\",\"server\":\"etl2\","
        "\"run\":\"0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10\",\"job\":\"load\",\"attempt\":2}",
        "09:14:07  4b3c2d10  etl2  load  assigned  attempt=2\n");
    has(0, "{\"event\":\"drain\",\"reason\":\"a\\u001b[31m\\nb\"}",
        "drain  reason=a\\u001b[31m\\u000ab\n");
    has(0, "{\"event\":\"parent_ended\",\"plan\":\"nightly\",\"status\":\"failed\"}",
        "  nightly  parent_ended  status=failed\n");
}

static void each_day_is_announced_once(void **state)
{
    (void)state;
    struct event_line l = {0};
    struct buf out = {0};
    json_t *event = json_loads(RESULT "\"status\":\"succeeded\"}", 0, NULL);
    assert_true(line_new_day(&l, event, &out));
    assert_string_equal(buf_str(&out), "2026-11-21, times in UTC");
    assert_false(line_new_day(&l, event, &out));
    buf_free(&out);
    json_decref(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_grow_so_that_lines_align),
        cmocka_unit_test(a_wide_page_also_has_the_job_and_its_parameters),
        cmocka_unit_test(on_a_narrow_page_the_whole_message_goes_below_its_line),
        cmocka_unit_test(a_line_mentions_retries),
        cmocka_unit_test(short_parameters_come_first_and_numbers_stay_as_written),
        cmocka_unit_test(a_line_says_why_a_run_failed_and_not_what_its_always_step_said),
        cmocka_unit_test(other_events_say_what_they_are_about),
        cmocka_unit_test(each_day_is_announced_once),
    };
    term_utc();
    term_unicode_set(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
