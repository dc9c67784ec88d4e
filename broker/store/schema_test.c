/* schema_test.c - promise 16, the file: a store of an earlier version is raised to today's,
   completely or not at all. */
#include "broker/store/inside.h"
#include "broker/store/testing.h"

/* The steps of a future version: from schema 5 to 6, and from 6 to 7. */
static const char *const LATER[STORE_SCHEMA + 2] = {
    [STORE_SCHEMA] = "ALTER TABLE ended_run ADD COLUMN cost INTEGER NOT NULL DEFAULT 7;",
    "CREATE TABLE prices (job TEXT PRIMARY KEY, price INTEGER NOT NULL) STRICT;",
};

static int raise_by_two(void **state, const char *const *step, struct error *err)
{
    sqlite3 *db;
    assert_int_equal(
        sqlite3_open_v2(testing_path(state, "broker.db"), &db, SQLITE_OPEN_READWRITE, NULL),
        SQLITE_OK);
    int rc = schema_raise(db, step, STORE_SCHEMA, STORE_SCHEMA + 2, err);
    sqlite3_close(db);
    return rc;
}

/* Two runs, one of them ended. */
static void two_runs(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_called(s, 2, 2, "load");
    testing_ended(s, 3, 2, STATUS_FAILED);
    testing_wait_committed(s, &h, 3);
    store_close(&s);
}

static void an_earlier_schema_is_raised_step_by_step_and_loses_nothing(void **state)
{
    struct error err = {0};
    two_runs(state);
    if (raise_by_two(state, LATER, &err) < 0)
        fail_msg("%s", err.text);
    testing_assert_shell(state, "PRAGMA user_version", "7");
    testing_assert_shell(state, "SELECT count(*) || ' ' || max(lsn) FROM journal", "3 3");
    testing_assert_shell(state, "SELECT key || ' ' || cost FROM ended_run", "key-2 7");
    testing_assert_shell(state, "SELECT count(*) FROM prices", "0");
    testing_assert_shell(state, "SELECT status FROM job_history", "failed");
    testing_assert_shell(state, "PRAGMA integrity_check", "ok");
    /* today's version refuses it because it is newer */
    struct store *s = NULL;
    struct store_options o = {.path = testing_path(state, "broker.db")};
    assert_int_equal(store_open(&s, &o, &err), -ENOTSUP);
    testing_assert_shell(state, "SELECT value FROM meta WHERE name = 'epoch'", "1"); /* untouched */
}

static void a_failed_step_leaves_the_store_unchanged(void **state)
{
    static const char *const broken[STORE_SCHEMA + 2] = {
        [STORE_SCHEMA] = "ALTER TABLE ended_run ADD COLUMN cost INTEGER NOT NULL DEFAULT 7;",
        "INSERT INTO nowhere VALUES (1);"};
    struct error err = {0};
    two_runs(state);
    assert_true(raise_by_two(state, broken, &err) < 0);
    assert_contains(err.text, "raising the store's schema");
    testing_assert_shell(state, "PRAGMA user_version", "5");
    testing_assert_shell(
        state, "SELECT count(*) FROM pragma_table_info('ended_run') WHERE name = 'cost'", "0");
    testing_assert_loads(state, "200@1 209@3 ", NULL);
}

static void words_and_views_are_those_of_the_version_that_opens_it(void **state)
{
    two_runs(state);
    mem_free(&(char *){testing_shell(
        state, "UPDATE words SET word = 'lapsed' WHERE list = 'status' AND word = 'failed'")});
    mem_free(&(char *){testing_shell(state, "DROP VIEW step_history")});
    mem_free(&(char *){testing_shell(state, "UPDATE meta SET value = 5 WHERE name = 'views'")});
    testing_assert_loads(state, "200@1 209@3 ", NULL);
    testing_assert_shell(state, "SELECT status FROM job_history", "failed");
    testing_assert_shell(state, "SELECT step FROM step_history", "say \"hi\"");
}

/* It was written before views had a number, and before a restored backup could hold runs. */
static void a_store_of_the_first_version_gets_the_current_words(void **state)
{
    struct error err = {0};
    struct buf whole = {0};
    if (file_read("tests/golden/v1/journal.db", 4 << 20, &whole, &err) < 0 ||
        file_write_atomic(testing_path(state, "broker.db"), buf_span(&whole), 0600, &err) < 0)
        fail_msg("%s", err.text);
    testing_assert_shell(state, "SELECT count(*) FROM words WHERE word = 'held'", "0");
    struct store *s = testing_open(state, NULL);
    store_close(&s);
    testing_assert_shell(state, "SELECT number FROM words WHERE list = 'event' AND word = 'held'",
                         "213");
    buf_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(an_earlier_schema_is_raised_step_by_step_and_loses_nothing),
        in_folder(a_failed_step_leaves_the_store_unchanged),
        in_folder(words_and_views_are_those_of_the_version_that_opens_it),
        in_folder(a_store_of_the_first_version_gets_the_current_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
