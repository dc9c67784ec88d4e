/* toolong_test.c - rows and events that are too long for a frame: the excess is left out, and the
 * row says so. */
#include "broker/testing.h"
#include "trust/call.h"

enum { LONG = 250 << 10, STEPS = 10000 };

/* As JSON each of its parameter's characters takes six bytes. */
static void call_at_length(struct btest_peer *anna)
{
    struct buf bytes = {0}, parameters = {0};
    struct error err = {0};
    char *text = mem_zalloc(1, LONG + 1);
    memset(text, '\x01', LONG);
    value_add_str(&parameters, span_str("text"));
    value_add_str(&parameters, span_str(text));
    struct d_call c = {.cluster = span_str("test"),
                       .caller = span_str("anna"),
                       .key = span_str("long"),
                       .job = span_str("load"),
                       .job_hash = {{7}},
                       .address = span_str("etl"),
                       .on_lost = ON_LOST_FAIL,
                       .issued_at = clock_wall_ms(),
                       .expires = clock_wall_ms() + 3600000,
                       .parameters = wire_list_from(&parameters, 1)};
    if (call_sign(&c, &anna->key, "anna", 5, &bytes, &err) < 0)
        fail_msg("%s", err.text);
    say(anna, call, .req = 1, .call = buf_span(&bytes));
    mem_free(&text);
    buf_free(&parameters);
    buf_free(&bytes);
}

/* Of the next events. */
static bool is_told_in_part(struct btest_peer *mon)
{
    struct m_events m;
    struct span item;
    bool found = false;
    hear(mon, events, &m);
    for (struct wire_iter it = wire_iter(&m.events); wire_next(&it, &item);)
        found = found || memmem(item.p, item.n, "\"left_out\":[\"", 13);
    return found;
}

static void a_run_with_long_parameters_is_listed_shown_and_in_events(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, mon;
    struct m_accepted accepted;
    struct buf text = {0};
    char id[ID_TEXT];
    const char *const watch[] = {"watch *@*"};
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 9, watch, 1);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&mon);
    say(&mon, subscribe, .req = 1, .after = 0, .credit = 1 << 24);
    call_at_length(&anna);
    hear(&anna, accepted, &accepted);
    btest_ask(&anna, "runs", NULL, NULL, &text);
    assert_contains(buf_str(&text), "\"left_out\":[\"parameters\"]");
    assert_contains(buf_str(&text), "\"key\":\"long\"");
    btest_ask(&anna, "run", "run", id_format(accepted.run, id), &text);
    assert_contains(buf_str(&text), "\"left_out\":[\"parameters\"]");
    while (!is_told_in_part(&mon))
        ;
    buf_free(&text);
    btest_bye(&mon);
    btest_bye(&anna);
    btest_bye(&etl1);
}

/* A job may repeat its steps for a long time, and each start of a step is a record. */
static void a_run_with_many_records_is_shown_by_the_first_and_the_last(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_execute execute;
    struct buf text = {0};
    char id[ID_TEXT], step[16];
    btest_caller_and_worker(w, &anna, &etl1);
    btest_call(&anna, "anna", "k", 1);
    hear(&etl1, execute, &execute);
    for (unsigned i = 1; i <= STEPS; i++) {
        snprintf(step, sizeof step, "step_%u", i);
        say(&etl1, started, .run = execute.run, .attempt = 1, .step = span_str(step));
        if (i % 100 == 0)
            wait_until(w, turn_last_lsn(&w->broker->shell) > i);
    }
    struct view_run v;
    wait_until(w, view_run(w->broker->shell.core, &execute.run, &v) &&
                      strcmp(v.step, "step_10000") == 0);
    btest_ask(&anna, "run", "run", id_format(execute.run, id), &text);
    assert_contains(buf_str(&text), "\"event\":\"called\"");
    assert_contains(buf_str(&text), "\"step\":\"step_1\"");
    assert_contains(buf_str(&text), "\"step\":\"step_10000\"");
    assert_contains(buf_str(&text), "\"events_left_out\":");
    btest_result(&etl1, execute.run);
    struct m_run_ended ended;
    hear(&anna, run_ended, &ended);
    btest_ask(&anna, "run", "run", id, &text);
    assert_contains(buf_str(&text), "\"event\":\"called\"");
    assert_contains(buf_str(&text), "\"event\":\"result\"");
    assert_contains(buf_str(&text), "\"events_left_out\":");
    buf_free(&text);
    btest_bye(&anna);
    btest_bye(&etl1);
}

/* Otherwise a client that mixes up its cursors would read the first page for ever. */
static void an_unknown_cursor_is_refused(void **state)
{
    static const char *const what[] = {"runs", "history", "parents", "find"};
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    btest_caller_and_worker(w, &anna, &etl1);
    for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
        struct m_error m;
        say(&anna, query, .req = i, .what = span_str(what[i]), .after = span_str("nonsense"));
        hear(&anna, error, &m);
        assert_int_equal(m.req, i);
        assert_int_equal(m.code, REFUSAL_BAD_ARGUMENT);
    }
    btest_bye(&anna);
    btest_bye(&etl1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_with_long_parameters_is_listed_shown_and_in_events,
                                        btest_setup, btest_teardown),
        cmocka_unit_test_setup_teardown(a_run_with_many_records_is_shown_by_the_first_and_the_last,
                                        btest_setup, btest_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_cursor_is_refused, btest_setup, btest_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
