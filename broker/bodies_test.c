/* bodies_test.c - calls whose bytes are only in the store, through the whole shell: listed, shown,
 * in events, executed. */
#include "broker/testing.h"
#include "trust/call.h"

enum { CALLS = 20, BODIES = 4600 /* a part of the bytes of all calls */ };

/* No server can take them yet. */
static void call_many(struct btest_peer *anna, struct id runs[CALLS])
{
    struct m_accepted accepted;
    char key[16];
    for (unsigned i = 0; i < CALLS; i++) {
        snprintf(key, sizeof key, "key-%02u", i);
        btest_call(anna, "anna", key, i + 1);
        hear(anna, accepted, &accepted);
        runs[i] = accepted.run;
    }
}

static unsigned in_the_store_only(const struct btest *w)
{
    struct view_run r;
    unsigned n = 0;
    for (struct id at = ID_ZERO; view_run_after(w->broker->shell.core, &at, &r); at = r.id)
        n += r.call.n == 0;
    return n;
}

static void lists_and_shows_all(struct btest_peer *anna, const struct id runs[CALLS])
{
    struct buf text = {0};
    char key[32], id[ID_TEXT];
    btest_ask(anna, "runs", NULL, NULL, &text);
    for (unsigned i = 0; i < CALLS; i++) {
        snprintf(key, sizeof key, "\"key\":\"key-%02u\"", i);
        assert_contains(buf_str(&text), key);
        assert_contains(buf_str(&text), id_format(runs[i], id));
    }
    btest_ask(anna, "run", "run", id_format(runs[CALLS - 1], id), &text);
    assert_contains(buf_str(&text), key);
    assert_contains(buf_str(&text), "\"state\":\"parked\"");
    btest_ask(anna, "explain", "run", id, &text);
    assert_contains(buf_str(&text), "etl");
    buf_free(&text);
}

/* Pages of three. */
static void lists_from_page_to_page(struct btest_peer *anna, const struct id runs[CALLS])
{
    char after[LIMIT_SHORT + 1] = "", id[ID_TEXT];
    unsigned n = 0;
    do {
        struct m_rows rows;
        struct span row;
        say(anna, query, .req = 60, .what = span_str("runs"), .after = span_str(after), .limit = 3);
        hear(anna, rows, &rows);
        assert_true(rows.rows.count <= 3);
        for (struct wire_iter it = wire_iter(&rows.rows); wire_next(&it, &row); n++) {
            char text[200];
            span_copy_str(span_of(row.p, row.n < 190 ? row.n : 190), text, sizeof text);
            assert_contains(text, id_format(runs[n], id));
        }
        span_copy_str(rows.next, after, sizeof after);
    } while (*after);
    assert_int_equal(n, CALLS);
}

static void executes_all(struct btest_peer *etl1, const struct id runs[CALLS])
{
    bool seen[CALLS] = {0};
    for (unsigned n = 0; n < CALLS; n++) {
        struct m_execute m;
        struct d_signed s;
        struct d_call c;
        char key[16];
        unsigned i = 0;
        hear(etl1, execute, &m);
        while (i < CALLS && !id_eq(runs[i], m.run))
            i++;
        assert_true(i < CALLS && !seen[i]);
        seen[i] = true;
        snprintf(key, sizeof key, "key-%02u", i);
        assert_int_equal(d_signed_decode(m.call, &s, NULL), 0);
        assert_int_equal(d_call_decode(s.body, &c, NULL), 0);
        assert_true(span_eq_str(c.key, key) && m.certificate.n);
        btest_result(etl1, m.run);
    }
    wait_until(etl1->w,
               !view_run_after(etl1->w->broker->shell.core, &ID_ZERO, &(struct view_run){0}));
}

static void calls_kept_only_in_the_store_are_listed_and_executed_as_usual(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, mon;
    struct id runs[CALLS];
    uint64_t to;
    const char *const watch[] = {"watch *@*"};
    w->bodies_budget = BODIES;
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 9, watch, 1);
    btest_principal(w, &etl1, "etl1", ROLE_SERVER, 6, NULL, 0);
    etl1.spool = (struct id){{3}};
    btest_start(w);
    btest_connect(&anna);
    btest_connect(&etl1); /* it has no job yet */
    btest_connect(&mon);
    say(&mon, subscribe, .req = 1, .credit = 100000);
    call_many(&anna, runs);
    wait_until(w, in_the_store_only(w) > CALLS / 5);
    assert_true(in_the_store_only(w) < CALLS);
    lists_and_shows_all(&anna, runs);
    lists_from_page_to_page(&anna, runs);
    btest_attest(&etl1);
    executes_all(&etl1, runs);
    uint64_t lsn = turn_last_lsn(&w->broker->shell);
    assert_int_equal(btest_follow_events(&mon, 1, 0, lsn, &to), lsn);
    btest_bye(&mon);
    btest_bye(&anna);
    btest_bye(&etl1);
}

static void calls_kept_only_in_the_store_are_executed_after_a_restart(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1;
    struct id runs[CALLS];
    w->bodies_budget = BODIES;
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, btest_all_grants, BTEST_GRANTS);
    btest_principal(w, &etl1, "etl1", ROLE_SERVER, 6, NULL, 0);
    etl1.spool = (struct id){{3}};
    btest_start(w);
    btest_connect(&anna);
    call_many(&anna, runs);
    broker_close(&w->broker);
    btest_start(w);
    assert_true(in_the_store_only(w) > CALLS / 5 && in_the_store_only(w) < CALLS);
    btest_connect(&etl1);
    btest_attest(&etl1);
    executes_all(&etl1, runs);
    btest_bye(&anna);
    btest_bye(&etl1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            calls_kept_only_in_the_store_are_listed_and_executed_as_usual, btest_setup,
            btest_teardown),
        cmocka_unit_test_setup_teardown(calls_kept_only_in_the_store_are_executed_after_a_restart,
                                        btest_setup, btest_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
