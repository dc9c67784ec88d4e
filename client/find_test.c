/* find_test.c - the run that a person means, against a broker scripted by each test. */
#include "client/find.h"
#include "client/fixture.h"

struct find_answers {
    unsigned asked, rows;
    char run[64]; /* of the last QUERY find */
    bool refuse;
};

static const char *const ROWS[] = {
    "{\"v\":1,\"run\":\"0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10\",\"kind\":\"run\",\"name\":\"load\","
    "\"child\":\"load[orders]\",\"status\":\"failed\",\"at\":\"2026-11-21T09:13:55.012Z\"}",
    "{\"v\":1,\"run\":\"0198c1f2-7a10-7cc3-9d1e-000f4b3c2d10\",\"kind\":\"parent\","
    "\"name\":\"nightly\",\"state\":\"running\",\"at\":\"2026-11-21T09:13:55.012Z\"}",
};

static void answer_find(struct client_cluster *c, uint64_t kind, struct span message)
{
    struct find_answers *a = c->test;
    struct m_query m;
    struct value run;
    struct buf items = {0};
    if (kind != KIND_M_QUERY)
        return;
    assert_int_equal(m_query_decode(message, &m, NULL), 0);
    assert_true(span_eq_str(m.what, "find"));
    assert_true(wire_map_get(&m.where, "run", &run));
    span_copy_str(run.bytes, a->run, sizeof a->run);
    a->asked++;
    if (a->refuse) {
        struct m_error e = {
            .req = m.req, .code = REFUSAL_DENIED, .text = span_str("you may not ask")};
        broker_says(c, &m_error_schema, &e);
        return;
    }
    for (unsigned i = 0; i < a->rows; i++)
        wire_add_str(&items, span_str(ROWS[i]));
    struct m_rows rows = {.req = m.req, .rows = wire_list_from(&items, a->rows)};
    broker_says(c, &m_rows_schema, &rows);
    buf_free(&items);
}

static struct longboat *open_with(void **state, struct find_answers *a)
{
    struct client_cluster *c = *state;
    struct longboat *lb = NULL;
    struct error err;
    c->take = answer_find;
    c->test = a;
    if (longboat_open(&lb, c->folder, c->loop, &err) < 0)
        fail_msg("%s", err.text);
    return lb;
}

static void a_whole_id_is_accepted_without_asking(void **state)
{
    struct find_answers a = {0};
    struct longboat *lb = open_with(state, &a);
    struct id run;
    char text[ID_TEXT];
    assert_int_equal(
        longboat_find_run(lb, "0198C1F2-7a10-7cc3-9d1e-6a9f4b3c2d10", &run, NULL, NULL), 0);
    assert_string_equal(id_format(run, text), "0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10");
    assert_int_equal(a.asked, 0);
    longboat_close(&lb);
}

static void the_broker_is_asked_about_a_tail_or_a_word(void **state)
{
    struct find_answers a = {.rows = 1};
    struct longboat *lb = open_with(state, &a);
    struct id run;
    char text[ID_TEXT];
    static const char *const words[] = {"3c2d10", "6a9f4b3c2d10", "9d1e-6a9f4b3c2d10", "last",
                                        "last-failed"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        assert_int_equal(longboat_find_run(lb, words[i], &run, NULL, NULL), 0);
        assert_string_equal(a.run, words[i]);
        assert_string_equal(id_format(run, text), "0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10");
    }
    longboat_close(&lb);
}

static void several_matching_runs_are_listed(void **state)
{
    struct find_answers a = {.rows = 2};
    struct longboat *lb = open_with(state, &a);
    struct id run;
    struct buf list = {0};
    struct error err = {0};
    assert_int_equal(longboat_find_run(lb, "4b3c2d10", &run, &list, &err), -ENOTUNIQ);
    assert_contains(err.text, "'4b3c2d10' names several runs");
    assert_contains(buf_str(&list), "6a9f4b3c2d10  failed  load[orders]  ");
    assert_contains(buf_str(&list), "000f4b3c2d10  running  nightly  ");
    buf_free(&list);
    longboat_close(&lb);
}

static void a_run_that_does_not_exist_is_reported(void **state)
{
    struct find_answers a = {0};
    struct longboat *lb = open_with(state, &a);
    struct id run;
    struct error err = {0};
    assert_int_equal(longboat_find_run(lb, "4b3c2d10", &run, NULL, &err), -ENOENT);
    assert_contains(err.text, "no run whose id ends in '4b3c2d10'");
    assert_int_equal(longboat_find_run(lb, "last", &run, NULL, &err), -ENOENT);
    assert_contains(err.text, "started no run");
    a.refuse = true;
    assert_int_equal(longboat_find_run(lb, "last-failed", &run, NULL, &err), -EREMOTEIO);
    assert_contains(err.text, "you may not ask");
    longboat_close(&lb);
}

static void text_that_cannot_name_a_run_is_refused_without_asking(void **state)
{
    struct find_answers a = {0};
    struct longboat *lb = open_with(state, &a);
    struct id run;
    struct error err = {0};
    static const char *const wrong[] = {
        "", "12345", "nightly", "3c2d1x", "last-faild", "0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10a"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(longboat_find_run(lb, wrong[i], &run, NULL, &err), -EINVAL);
        assert_contains(err.text, "is not a run");
    }
    assert_int_equal(a.asked, 0);
    longboat_close(&lb);
}

static struct id id_of(const char *text)
{
    struct id id;
    assert_int_equal(id_parse(text, &id, NULL), 0);
    return id;
}

static void people_see_enough_digits_to_tell_ids_apart(void **state)
{
    (void)state;
    char text[ID_TEXT];
    struct id ids[] = {id_of("0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10"),
                       id_of("0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d11"),
                       id_of("0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10"),
                       id_of("0198c1f2-7a10-7cc3-9d1e-00004b3c2d10"),
                       id_of("0298c1f2-7a10-7cc3-9d1e-00004b3c2d10")};
    assert_int_equal(find_tail_length(ids, 0), 8);
    assert_int_equal(find_tail_length(ids, 3), 8);
    assert_int_equal(find_tail_length(ids, 4), 12);
    assert_int_equal(find_tail_length(ids, 5), 32);
    assert_string_equal(find_tail(ids[0], 8, text), "4b3c2d10");
    assert_string_equal(find_tail(ids[0], 12, text), "6a9f4b3c2d10");
    assert_string_equal(find_tail(ids[0], 32, text), "0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10");
}

#define in_cluster(t) cmocka_unit_test_setup_teardown(t, cluster_begin, cluster_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_cluster(a_whole_id_is_accepted_without_asking),
        in_cluster(the_broker_is_asked_about_a_tail_or_a_word),
        in_cluster(several_matching_runs_are_listed),
        in_cluster(a_run_that_does_not_exist_is_reported),
        in_cluster(text_that_cannot_name_a_run_is_refused_without_asking),
        cmocka_unit_test(people_see_enough_digits_to_tell_ids_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
