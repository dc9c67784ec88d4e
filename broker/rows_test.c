/* rows_test.c - rows of queries: one schema in every listing, filters, short ids, and empty
 * logs. */
#include "broker/testing.h"

#include <jansson.h>

#include "trust/call.h"

/* Asks with up to two filters; the rows as an array (the caller's). NULL: refused; *ret_text has
 * the sentence. */
static json_t *rows_of(struct btest_peer *t, const char *what, const char *key, const char *value,
                       const char *key2, const char *value2)
{
    struct buf where = {0};
    struct m_rows rows = {0};
    struct m_error error = {0};
    struct span row;
    json_t *a = json_array();
    if (key) {
        value_add_str(&where, span_str(key));
        value_add_str(&where, span_str(value));
    }
    if (key2) {
        value_add_str(&where, span_str(key2));
        value_add_str(&where, span_str(value2));
    }
    t->read = t->heard.n;
    say(t, query, .req = 41, .what = span_str(what),
        .where = wire_list_from(&where, (key != NULL) + (key2 != NULL)), .limit = 100);
    buf_free(&where);
    for (;;) {
        size_t at = t->read;
        if (btest_next_of(t, &m_rows_schema, &rows))
            break;
        t->read = at;
        if (btest_next_of(t, &m_error_schema, &error)) {
            json_decref(a);
            return NULL;
        }
        t->read = at;
        btest_turn(t->w);
    }
    for (struct wire_iter it = wire_iter(&rows.rows); wire_next(&it, &row);)
        json_array_append_new(a, json_loadb((const char *)row.p, row.n, 0, NULL));
    return a;
}

static const char *word(const json_t *row, const char *name)
{
    const char *s = json_string_value(json_object_get(row, name));
    return s ? s : "";
}

static const char *state_in(const json_t *row, const char *layer)
{
    return word(json_object_get(row, layer), "state");
}

static void every_row_has_its_version(void **state)
{
    static const char *const LISTINGS[] = {"runs",         "history", "parents", "servers",
                                           "certificates", "whoami",  "stats",   "store"};
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_accepted accepted;
    btest_caller_and_worker(w, &anna, &etl1);
    btest_run_one(&anna, &etl1, "k1");
    btest_call(&anna, "anna", "k2", 2);
    hear(&anna, accepted, &accepted);
    for (unsigned i = 0; i < sizeof LISTINGS / sizeof *LISTINGS; i++) {
        json_t *rows = rows_of(&anna, LISTINGS[i], NULL, NULL, NULL, NULL), *row;
        size_t k;
        assert_non_null(rows);
        json_array_foreach (rows, k, row)
            if (json_integer_value(json_object_get(row, "v")) != 1)
                fail_msg("a row of %s has no version", LISTINGS[i]);
        if (strcmp(LISTINGS[i], "parents") != 0 && json_array_size(rows) == 0)
            fail_msg("%s has no rows", LISTINGS[i]);
        json_decref(rows);
    }
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void history_and_run_show_the_same_layers(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    char id[ID_TEXT];
    btest_caller_and_worker(w, &anna, &etl1);
    id_format(btest_run_one(&anna, &etl1, "k1"), id);
    json_t *history = rows_of(&anna, "history", NULL, NULL, NULL, NULL),
           *shown = rows_of(&anna, "run", "run", id, NULL, NULL);
    const json_t *both[] = {json_array_get(history, 0), json_array_get(shown, 0)};
    for (unsigned i = 0; i < 2; i++) {
        assert_string_equal(word(both[i], "kind"), "run");
        assert_string_equal(word(both[i], "run"), id);
        assert_string_equal(word(both[i], "state"), "ended");
        assert_string_equal(word(both[i], "status"), "succeeded");
        assert_string_equal(state_in(both[i], "delivery"), "called");
        assert_string_equal(state_in(both[i], "job_outcome"), "succeeded");
        assert_string_equal(state_in(both[i], "package"), "succeeded");
        assert_string_equal(word(both[i], "server"), "etl1");
        assert_int_equal(json_integer_value(json_object_get(both[i], "attempt")), 1);
    }
    assert_string_equal(word(both[0], "called_at"), word(both[1], "called_at"));
    json_decref(history);
    json_decref(shown);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void a_draining_server_has_the_state_draining(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_done done;
    btest_caller_and_worker(w, &anna, &etl1);
    say(&anna, operate, .req = 3, .verb = span_str("drain"), .target = span_str("etl1"));
    hear(&anna, done, &done);
    json_t *rows = rows_of(&anna, "servers", "server", "etl1", NULL, NULL);
    assert_string_equal(word(json_array_get(rows, 0), "state"), "draining");
    assert_string_equal(word(json_array_get(rows, 0), "session"), "up");
    json_decref(rows);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void an_unknown_filter_is_refused(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    btest_caller_and_worker(w, &anna, &etl1);
    assert_null(rows_of(&anna, "parents", "server", "etl1", NULL, NULL));
    assert_null(rows_of(&anna, "runs", "status", "failed", NULL, NULL));
    assert_null(rows_of(&anna, "servers", "job", "load", NULL, NULL));
    btest_bye(&anna);
    btest_bye(&etl1);
}

/* ---- Parents */
static struct id begin(struct btest_peer *t, const char *name, const char *plan, struct id parent,
                       uint64_t req)
{
    struct buf body = {0}, bytes = {0};
    struct error err = {0};
    struct m_accepted accepted;
    struct d_parent p = {.cluster = span_str("test"),
                         .caller = span_str(name),
                         .key = span_str(plan),
                         .name = span_str(plan),
                         .tasks = 1,
                         .issued_at = clock_wall_ms(),
                         .parent = parent};
    d_parent_encode(&p, &body);
    if (envelope_sign(ENVELOPE_PARENT, &t->key, name, 5, buf_span(&body), &bytes, &err) < 0)
        fail_msg("%s", err.text);
    say(t, parent_begin, .req = req, .parent = buf_span(&bytes));
    hear(t, accepted, &accepted);
    buf_free(&body);
    buf_free(&bytes);
    return accepted.run;
}

static void parents_can_be_filtered_by_plan_parent_and_state(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    char outer_text[ID_TEXT];
    btest_caller_and_worker(w, &anna, &etl1);
    struct id outer = begin(&anna, "anna", "outer", ID_ZERO, 1);
    begin(&anna, "anna", "inner", outer, 2);
    id_format(outer, outer_text);
    const struct {
        const char *key, *value;
        unsigned n;
    } live[] = {{"job", "inner", 1},   {"name", "out*", 1},        {"parent", outer_text, 1},
                {"state", "ended", 0}, {"state", "running", 2},    {"status", "succeeded", 0},
                {"job", "other", 0},   {"principal", "nobody", 0}, {NULL, NULL, 2}};
    for (unsigned i = 0; i < sizeof live / sizeof *live; i++) {
        json_t *rows = rows_of(&anna, "parents", live[i].key, live[i].value, NULL, NULL);
        if (json_array_size(rows) != live[i].n)
            fail_msg("%s=%s: %zu rows", live[i].key ? live[i].key : "all",
                     live[i].value ? live[i].value : "", json_array_size(rows));
        json_decref(rows);
    }
    btest_bye(&anna);
    btest_bye(&etl1);
}

/* ---- Children */
static void call_child(struct btest_peer *t, struct id parent, const char *item, uint64_t req)
{
    struct buf bytes = {0};
    struct error err = {0};
    struct d_call c = {.cluster = span_str("test"),
                       .caller = span_str("anna"),
                       .key = span_str(*item ? item : "plain"),
                       .job = span_str("load"),
                       .job_hash = {{7}},
                       .address = span_str("etl"),
                       .on_lost = ON_LOST_FAIL,
                       .issued_at = clock_wall_ms(),
                       .expires = clock_wall_ms() + 3600000,
                       .parent = parent,
                       .task = span_str("extract"),
                       .try_no = 1,
                       .plan = span_str("nightly"),
                       .item = span_str(item)};
    if (call_sign(&c, &t->key, "anna", 5, &bytes, &err) < 0)
        fail_msg("%s", err.text);
    say(t, call, .req = req, .call = buf_span(&bytes));
    buf_free(&bytes);
}

static void a_child_is_named_by_task_and_item_while_live_and_after_its_end(void **state)
{
    static const struct {
        const char *item, *child;
    } children[] = {{"orders", "extract[orders]"}, {"", "extract"}};
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    btest_caller_and_worker(w, &anna, &etl1);
    struct id parent = begin(&anna, "anna", "nightly", ID_ZERO, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct m_execute execute;
        struct m_recorded recorded;
        char id[ID_TEXT];
        call_child(&anna, parent, children[i].item, 10 + i);
        hear(&etl1, execute, &execute);
        id_format(execute.run, id);
        const char *const asked[] = {"runs", "find", "history", "find", "run"};
        for (unsigned k = 0; k < 5; k++) {
            if (k == 2) {
                btest_result(&etl1, execute.run);
                hear(&etl1, recorded, &recorded);
            }
            bool all = strcmp(asked[k], "runs") == 0 || strcmp(asked[k], "history") == 0;
            json_t *rows = rows_of(&anna, asked[k], all ? NULL : "run", id, NULL, NULL);
            const json_t *row = json_array_get(rows, 0);
            assert_string_equal(word(row, "child"), children[i].child);
            assert_string_equal(word(row, "item"), children[i].item);
            assert_string_equal(word(row, "task"), "extract");
            json_decref(rows);
        }
    }
    btest_bye(&anna);
    btest_bye(&etl1);
}

/* ---- find */
static void a_short_id_finds_live_runs_ended_runs_and_parents(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_accepted accepted;
    btest_caller_and_worker(w, &anna, &etl1);
    struct id ids[3];
    ids[0] = btest_run_one(&anna, &etl1, "k1");
    btest_call(&anna, "anna", "k2", 2);
    hear(&anna, accepted, &accepted);
    ids[1] = accepted.run;
    ids[2] = begin(&anna, "anna", "nightly", ID_ZERO, 3);
    for (unsigned i = 0; i < 3; i++) {
        char id[ID_TEXT];
        id_format(ids[i], id);
        json_t *rows = rows_of(&anna, "find", "run", id + ID_TEXT - 1 - 8, NULL, NULL);
        const json_t *row = json_array_get(rows, 0);
        assert_int_equal(json_array_size(rows), 1);
        assert_string_equal(word(row, "run"), id);
        assert_string_equal(word(row, "kind"), i == 2 ? "parent" : "run");
        assert_string_equal(word(row, "name"), i == 2 ? "nightly" : "load");
        assert_string_equal(word(row, "status"), i == 0 ? "succeeded" : "");
        assert_true(*word(row, "state"));
        assert_true(*word(row, "at"));
        json_decref(rows);
    }
    assert_null(rows_of(&anna, "find", "run", "12345", NULL, NULL));
    assert_null(rows_of(&anna, "find", "run", "latest", NULL, NULL));
    json_t *none = rows_of(&anna, "find", "run", "ffffffffffff", NULL, NULL);
    assert_int_equal(json_array_size(none), 0);
    json_decref(none);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void expect_found(struct btest_peer *t, const char *text, const struct id *run)
{
    char id[ID_TEXT] = "nothing";
    json_t *rows = rows_of(t, "find", "run", text, NULL, NULL);
    const char *got = json_array_size(rows) ? word(json_array_get(rows, 0), "run") : "nothing";
    if (run)
        id_format(*run, id);
    assert_true(json_array_size(rows) <= 1);
    assert_string_equal(got, id);
    json_decref(rows);
}

/* Ids made in one millisecond have no order, so the newest of a test gets a millisecond of its
 * own. */
static void next_millisecond(struct btest *w)
{
    for (const int64_t now = clock_wall_ms(); clock_wall_ms() <= now + 1;)
        btest_turn(w);
}

static void last_is_the_newest_single_call_or_parent_of_its_caller(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, mon;
    struct m_accepted accepted;
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 9, btest_all_grants, BTEST_GRANTS);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&mon);
    expect_found(&anna, "last", NULL);
    struct id ended = btest_run_one(&anna, &etl1, "k1");
    expect_found(&anna, "last", &ended);
    next_millisecond(w);
    struct id parent = begin(&anna, "anna", "nightly", ID_ZERO, 3);
    expect_found(&anna, "last", &parent);
    next_millisecond(w);
    btest_call(&anna, "anna", "k2", 2);
    hear(&anna, accepted, &accepted);
    struct id live = accepted.run;
    expect_found(&anna, "last", &live);
    expect_found(&mon, "last", NULL);
    expect_found(&anna, "last-failed", NULL);
    btest_bye(&anna);
    btest_bye(&etl1);
    btest_bye(&mon);
}

static void a_short_id_finds_only_what_the_principal_may_see(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, otto;
    struct m_accepted accepted;
    char id[ID_TEXT];
    btest_principal(w, &otto, "otto", ROLE_CALLER, 8, NULL, 0);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&otto);
    struct id runs[3];
    runs[0] = btest_run_one(&anna, &etl1, "k1");
    btest_call(&anna, "anna", "k2", 2);
    hear(&anna, accepted, &accepted);
    runs[1] = accepted.run;
    runs[2] = begin(&anna, "anna", "nightly", ID_ZERO, 3);
    for (unsigned i = 0; i < 3; i++)
        expect_found(&otto, id_format(runs[i], id) + ID_TEXT - 1 - 8, NULL);
    btest_bye(&anna);
    btest_bye(&etl1);
    btest_bye(&otto);
}

/* ---- Explanations */
static void a_call_to_one_server_is_explained_by_that_server_alone(void **state)
{
    static const char *const addresses[] = {"etl2", "etl"};
    struct btest *w = *state;
    struct btest_peer anna, etl1, etl2;
    btest_principal(w, &etl2, "etl2", ROLE_SERVER, 7, NULL, 0);
    etl2.spool = (struct id){{4}};
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&etl2);
    for (unsigned i = 0; i < 2; i++) {
        struct buf bytes = {0};
        struct error err = {0};
        struct m_accepted accepted;
        char id[ID_TEXT];
        struct d_call c = {.cluster = span_str("test"),
                           .caller = span_str("anna"),
                           .key = span_str(addresses[i]),
                           .job = span_str("other"),
                           .job_hash = {{9}},
                           .address = span_str(addresses[i]),
                           .on_lost = ON_LOST_FAIL,
                           .issued_at = clock_wall_ms(),
                           .expires = clock_wall_ms() + 3600000};
        assert_int_equal(call_sign(&c, &anna.key, "anna", 5, &bytes, &err), 0);
        say(&anna, call, .req = 20 + i, .call = buf_span(&bytes));
        hear(&anna, accepted, &accepted);
        json_t *rows = rows_of(&anna, "explain", "run", id_format(accepted.run, id), NULL, NULL);
        assert_int_equal(json_array_size(rows), i == 0 ? 2 : 3); /* the first row is the run's */
        if (i == 0)
            assert_string_equal(word(json_array_get(rows, 1), "server"), "etl2");
        json_decref(rows);
        buf_free(&bytes);
    }
    btest_bye(&anna);
    btest_bye(&etl1);
    btest_bye(&etl2);
}

/* ---- Logs */
static void expect_no_log(struct btest_peer *t, struct id run, const char *step, enum refusal code,
                          const char *why)
{
    struct m_error error;
    t->read = t->heard.n;
    say(t, logs, .req = 50, .run = run, .step = span_str(step));
    hear(t, error, &error);
    assert_int_equal(error.code, code);
    if (!memmem(error.text.p, error.text.n, why, strlen(why)))
        fail_msg("'" SPAN_FMT "' does not say '%s'", SPAN_ARG(error.text), why);
}

static void end_with_a_step(struct btest_peer *worker, struct id run, const char *name)
{
    struct buf step = {0}, steps = {0}, outcome = {0};
    struct m_recorded recorded;
    d_step_outcome_encode(
        &(struct d_step_outcome){.name = span_str(name), .try_no = 1, .package = PACKAGE_FAILED},
        &step);
    wire_add_bin(&steps, buf_span(&step));
    struct d_outcome o = {.job = JOB_FAILED,
                          .package = PACKAGE_FAILED,
                          .status = STATUS_FAILED,
                          .server = span_str("etl1"),
                          .steps = wire_list_from(&steps, 1),
                          .ended_at = clock_wall_ms()};
    d_outcome_encode(&o, &outcome);
    say(worker, result, .run = run, .attempt = 1, .outcome = buf_span(&outcome));
    hear(worker, recorded, &recorded);
    buf_free(&step);
    buf_free(&steps);
    buf_free(&outcome);
}

static void an_empty_log_says_why(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_accepted accepted;
    struct m_execute execute;
    struct m_log log;
    btest_caller_and_worker(w, &anna, &etl1);
    struct id parent = begin(&anna, "anna", "nightly", ID_ZERO, 3);
    expect_no_log(&anna, parent, "", REFUSAL_STATE, "is a parent");
    btest_call(&anna, "anna", "k1", 1);
    hear(&anna, accepted, &accepted);
    hear(&etl1, execute, &execute);
    expect_no_log(&anna, accepted.run, "", REFUSAL_STATE, "no output yet: it is handed_over");
    end_with_a_step(&etl1, execute.run, "extract");
    expect_no_log(&anna, execute.run, "extarct", REFUSAL_NOT_FOUND, "its steps: extract");
    say(&anna, logs, .req = 51, .run = execute.run, .step = span_str("extract"));
    hear(&anna, log, &log); /* it ran and printed nothing */
    assert_true(log.end && log.chunks.count == 0);
    expect_found(&anna, "last-failed", &execute.run);
    struct id other = btest_run_one(&anna, &etl1, "k2");
    expect_no_log(&anna, other, "", REFUSAL_STATE, "no step of it ran");
    btest_bye(&anna);
    btest_bye(&etl1);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, btest_setup, btest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(every_row_has_its_version),
        in_world(history_and_run_show_the_same_layers),
        in_world(a_draining_server_has_the_state_draining),
        in_world(an_unknown_filter_is_refused),
        in_world(parents_can_be_filtered_by_plan_parent_and_state),
        in_world(a_child_is_named_by_task_and_item_while_live_and_after_its_end),
        in_world(a_short_id_finds_live_runs_ended_runs_and_parents),
        in_world(last_is_the_newest_single_call_or_parent_of_its_caller),
        in_world(a_short_id_finds_only_what_the_principal_may_see),
        in_world(a_call_to_one_server_is_explained_by_that_server_alone),
        in_world(an_empty_log_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
