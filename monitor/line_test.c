/* line_test.c - what people see of an event. */
#include "monitor/line.h"

#include "common/testing.h"

static void says(const char *json, const char *part)
{
    struct term term = {0};
    struct buf out = {0};
    json_t *event = json_loads(json, 0, NULL);
    assert_non_null(event);
    line_of_event(event, &term, &out);
    assert_contains(buf_str(&out), part);
    assert_int_equal(out.p[out.n - 1], '\n');
    buf_free(&out);
    json_decref(event);
}

#define RESULT \
    "{\"event\":\"result\",\"job\":\"nightly-extract\",\"server\":\"etl2\",\"status\":\"succeeded\",\"attempt\":1,"

static void a_result_says_which_task_of_which_parent_it_is_of(void **state)
{
    (void)state;
    says(RESULT "\"parent_name\":\"nightly\",\"task\":\"extract\",\"index\":2}",
         "  nightly/extract/2\n");
    /* the call did not say */
    says(RESULT "\"task\":\"extract\",\"index\":2}", "attempt 1  extract/2\n");
    says(RESULT "\"index\":0}", "attempt 1\n");
}

static void parameters_with_short_values_stand_first(void **state)
{
    (void)state;
    says(
        RESULT
        "\"parameters\":{\"stage\":\"/var/lib/warehouse/stage/2026-11-21\",\"table\":\"languages\"}}",
        "nightly-extract  table=languages stage=/var/li");
    says(RESULT "\"parameters\":{\"a\":\"four\",\"b\":\"three\",\"c\":1,\"d\":\"no\"}}",
         "  c=1 d=no a=four  ");
    says(RESULT "\"parameters\":{\"x\":\"same\",\"b\":\"size\"}}", "  x=same b=size  ");
}

static void why_a_package_failed_is_said(void **state)
{
    (void)state;
    says("{\"event\":\"result\",\"job\":\"load\",\"status\":\"failed\",\"message\":\"of the "
         "run\",\"job_outcome\":{\"steps\":["
         "{\"package\":{\"state\":\"failed\",\"message\":\"no such table\"}},"
         "{\"package\":{\"state\":\"succeeded\",\"message\":\"cleaned\"}}]}}",
         "-  load  failed  attempt 0  no such table\n");
    says("{\"event\":\"result\",\"job\":\"load\",\"status\":\"lost\",\"message\":\"of the run\"}",
         "  of the run\n");
}

static void other_events_say_what_they_are_about(void **state)
{
    (void)state;
    says(
        "{\"event\":\"assigned\",\"at\":\"2026-11-21T09:14:07.000Z\",\"server\":\"etl2\",\"run\":\"019a\"}",
        "assigned  server=etl2  019a\n");
    says("{\"event\":\"drain\",\"reason\":\"a\\u001b[31m\\nb\"}", "--:--:--  drain  reason=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_says_which_task_of_which_parent_it_is_of),
        cmocka_unit_test(parameters_with_short_values_stand_first),
        cmocka_unit_test(why_a_package_failed_is_said),
        cmocka_unit_test(other_events_say_what_they_are_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
