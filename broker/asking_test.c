/* asking_test.c - promise 6: questions to the store count against the principal that asks, whatever
 * its sessions, and end with the session. */
#include "broker/testing.h"

static uint64_t questions_of(const struct btest_peer *t)
{
    return budgets_used(t->w->broker->shell.budgets, &t->key.transport, BUDGET_QUESTIONS);
}

static void a_question_beyond_the_budget_is_answered_busy_and_others_are_served(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, otto;
    struct m_error error;
    struct m_rows rows;
    static const char *const grants[] = {"watch *@*"};
    btest_principal(w, &otto, "otto", ROLE_CALLER, 9, grants, 1);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&otto);
    struct budgets *budgets = w->broker->shell.budgets;
    uint64_t most = budgets_limit(budgets, BUDGET_QUESTIONS);
    budgets_found(budgets, &anna.key.transport, BUDGET_QUESTIONS, most);
    say(&anna, query, .req = 7, .what = span_str("history"));
    say(&otto, query, .req = 8, .what = span_str("history"));
    hear(&anna, error, &error);
    assert_int_equal(error.req, 7);
    assert_int_equal(error.code, REFUSAL_BUSY);
    assert_true(error.retry_ms > 0);
    assert_true(memmem(error.text.p, error.text.n, "'anna' has", 10));
    hear(&otto, rows, &rows);
    budgets_give(budgets, &anna.key.transport, BUDGET_QUESTIONS, most);
    say(&anna, query, .req = 9, .what = span_str("history"));
    hear(&anna, rows, &rows);
    assert_int_equal(rows.req, 9);
    assert_int_equal(questions_of(&anna), 0);
    say(&otto, query, .req = 10, .what = span_str("principals"));
    hear(&otto, rows, &rows);
    struct wire_iter it = wire_iter(&rows.rows);
    struct span row;
    assert_true(wire_next(&it, &row) &&
                memmem(row.p, row.n, "\"name\":\"anna\"", 13)); /* what she was refused stays */
    btest_bye(&otto);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void every_query_that_asks_the_store_counts(void **state)
{
    static const char *const all[] = {"history", "parents", "run",  "evidence",
                                      "find",    "audit",   "trail"};
    struct btest *w = *state;
    struct btest_peer anna, etl1, otto;
    struct m_error error;
    struct buf where = {0};
    static const char *const grants[] = {"watch *@*"};
    btest_principal(w, &otto, "otto", ROLE_CALLER, 9, grants, 1);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&otto);
    struct budgets *budgets = w->broker->shell.budgets;
    uint64_t most = budgets_limit(budgets, BUDGET_QUESTIONS);
    budgets_found(budgets, &otto.key.transport, BUDGET_QUESTIONS, most);
    value_add_str(&where, span_str("run"));
    value_add_str(&where, span_str("019aa5c3-5c74-7abc-8def-0123456789ab"));
    const struct wire_list one = wire_list_from(&where, 1), none = {.count = 0};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        const bool of_run = strcmp(all[i], "run") == 0 || strcmp(all[i], "evidence") == 0 ||
                            strcmp(all[i], "find") == 0;
        say(&otto, query, .req = i + 1, .what = span_str(all[i]), .where = of_run ? one : none);
        hear(&otto, error, &error);
        assert_int_equal(error.req, i + 1);
        if (error.code != REFUSAL_BUSY)
            fail_msg("%s: " SPAN_FMT, all[i], SPAN_ARG(error.text));
    }
    buf_free(&where);
    budgets_give(budgets, &otto.key.transport, BUDGET_QUESTIONS, most);
    btest_bye(&otto);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void the_questions_of_a_session_end_with_it(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, otto;
    static const char *const grants[] = {"watch *@*"};
    btest_principal(w, &otto, "otto", ROLE_CALLER, 9, grants, 1);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&otto);
    for (unsigned i = 0; i < 20; i++)
        say(&otto, query, .req = i + 1, .what = span_str("history"));
    struct hash who = otto.key.transport;
    btest_bye(&otto);
    wait_until(w, w->broker->shell.peers && HASH_COUNT(w->broker->shell.peers) == 2);
    assert_int_equal(budgets_used(w->broker->shell.budgets, &who, BUDGET_QUESTIONS), 0);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void a_lookup_beyond_the_budget_is_answered_busy(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct m_error error;
    struct id unknown = {{9}};
    btest_caller_and_worker(w, &anna, &etl1);
    struct budgets *budgets = w->broker->shell.budgets;
    uint64_t most = budgets_limit(budgets, BUDGET_LOOKUPS);
    budgets_found(budgets, &anna.key.transport, BUDGET_LOOKUPS, most);
    say(&anna, follow, .req = 5, .run = unknown, .level = 1);
    hear(&anna, error, &error);
    assert_int_equal(error.req, 5);
    assert_int_equal(error.code, REFUSAL_BUSY);
    budgets_give(budgets, &anna.key.transport, BUDGET_LOOKUPS, most);
    say(&anna, follow, .req = 6, .run = unknown, .level = 1);
    hear(&anna, error, &error);
    assert_int_equal(error.req, 6);
    assert_int_equal(error.code, REFUSAL_UNKNOWN_RUN);
    btest_bye(&anna);
    btest_bye(&etl1);
}

/* ---- Live parents, of which there may be very many */
enum { PARENTS = 20100 /* more than one answer looks at */ };

/* Begins parents of anna's, past her session: only the core and the store are asked. */
static struct id begin_parents(struct btest *w, const struct btest_peer *anna, unsigned from,
                               unsigned n)
{
    struct shell *sh = &w->broker->shell;
    struct shell_peer *p, *next, *hers = NULL;
    struct view_parent last = {.key = SPAN_NONE};
    HASH_ITER (hh, sh->peers, p, next)
        if (hash_eq(&p->key, &anna->key.transport))
            hers = p;
    assert_non_null(hers);
    for (unsigned i = from; i < from + n; i++) {
        struct buf body = {0}, bytes = {0}, message = {0};
        char key[16];
        snprintf(key, sizeof key, "p%u", i);
        d_parent_encode(&(struct d_parent){.cluster = span_str("test"),
                                           .caller = span_str("anna"),
                                           .key = span_str(key),
                                           .name = span_str("nightly"),
                                           .tasks = 1,
                                           .issued_at = clock_wall_ms()},
                        &body);
        d_signed_encode(&(struct d_signed){.body = buf_span(&body)}, &bytes);
        m_parent_begin_encode(&(struct m_parent_begin){.req = 1, .parent = buf_span(&bytes)},
                              &message);
        turn_step_message(sh, hers, buf_span(&message));
        buf_free(&body);
        buf_free(&bytes);
        buf_free(&message);
        if (i % 500 == 0) /* what waits for her is bounded */
            wait_until(w, store_committed(sh->store) == turn_last_lsn(sh));
    }
    assert_true(view_parent_before(sh->core, &ID_ZERO, &last));
    return last.id;
}

/* One page of `find`; returns the number of its rows, and writes the cursor of the next. */
static unsigned find_page(struct btest_peer *t, const char *text, char next[LIMIT_SHORT + 1])
{
    struct buf where = {0};
    struct m_rows rows;
    value_add_str(&where, span_str("run"));
    value_add_str(&where, span_str(text));
    say(t, query, .req = 9, .what = span_str("find"), .where = wire_list_from(&where, 1),
        .after = span_str(next));
    hear(t, rows, &rows);
    buf_free(&where);
    span_copy_str(rows.next, next, LIMIT_SHORT + 1);
    return rows.rows.count;
}

static void one_answer_looks_at_a_bounded_number_of_live_parents(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, otto;
    char next[LIMIT_SHORT + 1] = "", id[ID_TEXT];
    w->max_runs = 40000;
    w->memory_budget = 1 << 28;
    btest_principal(w, &otto, "otto", ROLE_CALLER, 9, btest_all_grants, BTEST_GRANTS);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&otto);
    begin_parents(w, &anna, 0, PARENTS);
    const struct id newest = begin_parents(w, &anna, PARENTS, 1);
    struct view_counts counts;
    view_counts(w->broker->shell.core, &counts);
    assert_int_equal(counts.parents, PARENTS + 1);
    id_format(newest, id);
    /* by the end of its id, which has no order: the last one looked at */
    assert_int_equal(find_page(&otto, id + ID_TEXT - 1 - 12, next), 0);
    assert_true(strncmp(next, "parents ", 8) == 0);
    assert_int_equal(find_page(&otto, id + ID_TEXT - 1 - 12, next), 1);
    assert_string_equal(next, "");
    /* otto's last: he has none, and all of anna's are in the way */
    assert_int_equal(find_page(&otto, "last", next), 0);
    assert_true(strncmp(next, "parents ", 8) == 0);
    assert_int_equal(find_page(&otto, "last", next), 0);
    assert_string_equal(next, "");
    assert_int_equal(find_page(&anna, "last", next), 1);
    assert_string_equal(next, "");
    btest_bye(&otto);
    btest_bye(&anna);
    btest_bye(&etl1);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, btest_setup, btest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_question_beyond_the_budget_is_answered_busy_and_others_are_served),
        in_world(every_query_that_asks_the_store_counts),
        in_world(the_questions_of_a_session_end_with_it),
        in_world(one_answer_looks_at_a_bounded_number_of_live_parents),
        in_world(a_lookup_beyond_the_budget_is_answered_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
