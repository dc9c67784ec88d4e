#include "broker/events/eventjson.h"

#include "common/testing.h"

static struct buf called, ended;

static void make_records(void)
{
    static const uint8_t signature[64];
    struct buf parameters = {0}, call = {0}, envelope = {0}, outputs = {0}, step = {0}, steps = {0},
               outcome = {0};
    value_add_str(&parameters, span_str("table"));
    value_add_str(&parameters, span_str("lines"));
    struct d_call c = {.caller = span_str("anna"),
                       .key = span_str("k"),
                       .job = span_str("load"),
                       .address = span_str("etl"),
                       .parent = {{9}},
                       .plan = span_str("nightly"),
                       .task = span_str("extract"),
                       .index = 1,
                       .try_no = 1,
                       .parameters = wire_list_from(&parameters, 1)};
    d_call_encode(&c, &call);
    d_signed_encode(&(struct d_signed){.signer = span_str("anna"),
                                       .body = buf_span(&call),
                                       .signature = span_of(signature, 64)},
                    &envelope);
    r_called_encode(
        &(struct r_called){
            .at = 1000, .run = {{1}}, .principal = span_str("anna"), .call = buf_span(&envelope)},
        &called);
    value_add_str(&outputs, span_str("rows"));
    value_add_int(&outputs, 42);
    struct d_step_outcome s = {.name = span_str("extract"),
                               .try_no = 2,
                               .action = ACTION_QUIT_FAILURE,
                               .package = PACKAGE_FAILED,
                               .package_name = span_str("extract"),
                               .exit_code = 4,
                               .message = span_str("no such table"),
                               .outputs = wire_list_from(&outputs, 1)};
    d_step_outcome_encode(&s, &step);
    wire_add_bin(&steps, buf_span(&step));
    struct d_outcome o = {.job = JOB_FAILED,
                          .package = PACKAGE_FAILED,
                          .status = STATUS_FAILED,
                          .steps = wire_list_from(&steps, 1),
                          .ended_at = 2000};
    d_outcome_encode(&o, &outcome);
    r_ended_encode(&(struct r_ended){.at = 2000,
                                     .run = {{1}},
                                     .attempt = 1,
                                     .server = span_str("etl1"),
                                     .outcome = buf_span(&outcome)},
                   &ended);
    buf_free(&parameters), buf_free(&call), buf_free(&envelope), buf_free(&outputs),
        buf_free(&step), buf_free(&steps), buf_free(&outcome);
}

static int setup(void **state)
{
    (void)state;
    make_records();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&called);
    buf_free(&ended);
    return 0;
}

static struct feed_event *result(void)
{
    struct about about;
    about_of(buf_span(&called), &about);
    return eventjson_make(1042, buf_span(&ended), &about);
}

static void a_result_has_all_three_layers_and_the_call(void **state)
{
    (void)state;
    struct feed_event *e = result();
    static const char *const PARTS[] = {
        "\"v\":1",
        "\"seq\":1042",
        "\"event\":\"result\"",
        "\"attempt\":1",
        "\"server\":\"etl1\"",
        "\"job\":\"load\"",
        "\"parent_name\":\"nightly\"",
        "\"task\":\"extract\"",
        "\"index\":1",
        "\"try\":1",
        "\"delivery\":{\"state\":\"called\"}",
        "\"job_outcome\":{\"state\":\"failed\",\"steps\":[{\"name\":\"extract\",\"tries\":2",
        "\"exit_code\":4",
        "\"message\":\"no such table\",\"outputs\":{\"rows\":42}",
        "\"package\":{\"state\":\"failed\"}",
        "\"status\":\"failed\"",
        "\"called_at\":\"1970-01-01T00:00:01.000Z\"",
        "\"ended_at\":\"1970-01-01T00:00:02.000Z\"",
        "\"by\":\"anna\"",
        "\"parameters\":{\"table\":\"lines\"}"};
    for (unsigned i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        assert_contains(e->text, PARTS[i]);
    assert_int_equal(e->status, STATUS_FAILED);
    assert_string_equal(e->principal, "anna");
    eventjson_free(&e);
}

static void an_event_without_its_first_record_is_still_valid(void **state)
{
    (void)state;
    struct about nothing;
    about_of(SPAN_NONE, &nothing);
    struct feed_event *e = eventjson_make(7, buf_span(&ended), &nothing);
    assert_contains(e->text, "\"event\":\"result\"");
    eventjson_free(&e);
}

/* The filter {key: value}, or {key: [value, other]}. */
static bool matches(const char *key, const char *value, const char *other)
{
    struct buf items = {0};
    struct feed_event *e = result();
    value_add_str(&items, span_str(key));
    if (other)
        value_add_list(&items, 2);
    value_add_str(&items, span_str(value));
    if (other)
        value_add_str(&items, span_str(other));
    struct wire_list where = wire_list_from(&items, 1);
    struct error err = {0};
    struct feed_filter filter = {0};
    bool yes = feed_check_filter(&where, &err) == 0;
    if (yes) {
        feed_filter_read(&filter, &where);
        yes = feed_filter_matches(&filter, e);
        feed_filter_free(&filter);
    }
    eventjson_free(&e);
    buf_free(&items);
    return yes;
}

static void events_are_filtered_by_their_fields(void **state)
{
    (void)state;
    assert_true(matches("job", "lo*", NULL));
    assert_false(matches("job", "lo", NULL));
    assert_true(matches("server", "etl1", NULL));
    assert_false(matches("server", "etl2", NULL));
    assert_true(matches("status", "failed", NULL));
    assert_false(matches("status", "succeeded", NULL));
    assert_true(matches("event", "result", NULL));
    assert_true(matches("event", "lost", "result"));
    assert_false(matches("event", "lost", "called"));
    assert_true(matches("parent", "09000000-0000-0000-0000-000000000000", NULL));
    assert_false(matches("parent", "08000000-0000-0000-0000-000000000000", NULL));
    assert_true(matches("run", "01000000-0000-0000-0000-000000000000", NULL));
    assert_false(matches("run", "not an id", NULL));
}

static void an_unknown_filter_is_refused_with_a_suggestion(void **state)
{
    (void)state;
    struct buf items = {0};
    struct error err = {0};
    value_add_str(&items, span_str("sever"));
    value_add_str(&items, span_str("etl1"));
    struct wire_list where = wire_list_from(&items, 1);
    assert_true(feed_check_filter(&where, &err) < 0);
    assert_contains(err.text, "did you mean 'server'");
    buf_free(&items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_has_all_three_layers_and_the_call),
        cmocka_unit_test(an_event_without_its_first_record_is_still_valid),
        cmocka_unit_test(events_are_filtered_by_their_fields),
        cmocka_unit_test(an_unknown_filter_is_refused_with_a_suggestion),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
