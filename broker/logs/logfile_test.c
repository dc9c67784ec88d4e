#include "broker/logs/logfile.h"

#include <errno.h>
#include <sqlite3.h>
#include <unistd.h>

#include "common/testing.h"

static struct logfile *open_logs(void **state, uint64_t most, uint64_t segment)
{
    struct logfile *f = NULL;
    struct error err = {0};
    struct logfile_options o = {
        .folder = testing_path(state, "logs"), .most_bytes = most, .segment_bytes = segment};
    if (logfile_open(&f, &o, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static int add_at(struct logfile *f, int64_t now, const char *server, uint8_t run, const char *step,
                  uint64_t offset, const char *text)
{
    struct error err = {0};
    struct m_log_data m = {.run = {{run}},
                           .attempt = 1,
                           .step = span_str(step),
                           .try_no = 1,
                           .stream = 1,
                           .offset = offset,
                           .at = 5,
                           .data = span_str(text)};
    return logfile_add(f, server, &m, now, &err);
}

static int add(struct logfile *f, const char *server, uint8_t run, const char *step,
               uint64_t offset, const char *text)
{
    return add_at(f, 5, server, run, step, offset, text);
}

/* All output of a run, in pages of `most` bytes. */
static void assert_output(struct logfile *f, uint8_t run, const char *step, size_t most,
                          const char *expected)
{
    struct id id = {{run}};
    struct error err = {0};
    struct buf text = {0};
    uint64_t after = 0, next;
    for (int n = 1; n > 0; after = next) {
        struct buf items = {0};
        struct span item;
        n = logfile_read(f, &id, span_str(step), after, most, &items, &next, &err);
        assert_true(n >= 0);
        struct wire_list list = wire_list_from(&items, (uint32_t)n);
        for (struct wire_iter it = wire_iter(&list); wire_next(&it, &item);) {
            struct m_log_data m;
            assert_int_equal(m_log_data_decode(item, &m, NULL), 0);
            buf_add(&text, m.data.p, m.data.n);
        }
        buf_free(&items);
    }
    assert_string_equal(buf_str(&text), expected);
    buf_free(&text);
}

static void output_is_read_back_in_pages_as_written(void **state)
{
    struct logfile *f = open_logs(state, 0, 0);
    assert_int_equal(add(f, "etl1", 1, "extract", 0, "one "), 1);
    assert_int_equal(add(f, "etl2", 2, "extract", 0, "another's "), 1);
    assert_int_equal(add(f, "etl1", 1, "extract", 4, "two "), 1);
    assert_int_equal(add(f, "etl1", 1, "load", 0, "three"), 1);
    assert_output(f, 1, "", 6, "one two three");
    assert_output(f, 1, "load", 1000, "three");
    assert_int_equal(logfile_reached(f, &(struct id){{1}}), 13);
    logfile_close(&f);
    f = open_logs(state, 0, 0);
    assert_output(f, 1, "", 1000, "one two three");
    logfile_close(&f);
}

static void a_repeated_piece_is_kept_once(void **state)
{
    struct logfile *f = open_logs(state, 0, 0);
    assert_int_equal(add(f, "etl1", 1, "extract", 0, "one"), 1);
    assert_int_equal(add(f, "etl1", 1, "extract", 0, "one"), 0);
    assert_output(f, 1, "", 1000, "one");
    assert_int_equal(logfile_bytes(f), 3 + LOGFILE_PIECE);
    logfile_close(&f);
}

static void an_attempts_output_names_its_server(void **state)
{
    char server[LIMIT_NAME + 1];
    struct logfile *f = open_logs(state, 0, 0);
    assert_int_equal(add(f, "etl1", 1, "extract", 0, "one"), 1);
    assert_true(logfile_server(f, &(struct id){{1}}, 1, server));
    assert_string_equal(server, "etl1");
    assert_false(logfile_server(f, &(struct id){{1}}, 2, server));
    assert_false(logfile_server(f, &(struct id){{2}}, 1, server));
    logfile_close(&f);
}

static int add_cut(struct logfile *f, uint8_t run, uint64_t offset, uint64_t cut)
{
    struct error err = {0};
    struct m_log_data m = {.run = {{run}},
                           .attempt = 1,
                           .step = span_str("extract"),
                           .try_no = 1,
                           .stream = 1,
                           .offset = offset,
                           .cut = cut};
    return logfile_add(f, "etl1", &m, 5, &err);
}

static void pieces_without_bytes_cost_nothing_or_are_few(void **state)
{
    struct logfile *f = open_logs(state, 0, 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(add_cut(f, 1, i, 0), 0);
    assert_int_equal(logfile_bytes(f), 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(add_cut(f, 1, i, 5), i < LOGFILE_CUTS_MAX);
    assert_int_equal(logfile_bytes(f), LOGFILE_CUTS_MAX * LOGFILE_PIECE);
    assert_int_equal(add(f, "etl1", 1, "extract", 100, "one"), 1);
    assert_int_equal(logfile_reached(f, &(struct id){{1}}), 103);
    logfile_close(&f);
}

static void commit_until_all_is_dropped(struct logfile *f)
{
    struct error err = {0};
    do
        assert_int_equal(logfile_commit(f, &err), 0);
    while (logfile_drops(f));
}

enum { COST = 10 + LOGFILE_PIECE /* of a piece of ten bytes */ };

static void beyond_the_quota_the_oldest_segment_is_deleted(void **state)
{
    struct logfile *f = open_logs(state, 5 * COST / 2, COST);
    for (uint8_t i = 1; i <= 5; i++)
        assert_int_equal(add(f, "etl1", i, "extract", 0, "0123456789"), 1);
    commit_until_all_is_dropped(f);
    assert_int_equal(logfile_bytes(f), 2 * COST);
    assert_output(f, 1, "", 1000, "");
    assert_output(f, 5, "", 1000, "0123456789");
    assert_int_equal(access(testing_path(state, "logs/00000001.log"), F_OK), -1);
    logfile_close(&f);
    f = open_logs(state, 5 * COST / 2, COST);
    assert_int_equal(logfile_bytes(f), 2 * COST);
    logfile_close(&f);
}

static void a_server_that_prints_much_loses_its_own_and_nobody_elses(void **state)
{
    struct logfile *f = open_logs(state, 20 * COST, 4 * COST);
    assert_int_equal(add(f, "quiet", 1, "extract", 0, "0123456789"), 1);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(add(f, "loud", 2, "extract", i * 10, "abcdefghij"), 1);
    commit_until_all_is_dropped(f);
    assert_output(f, 1, "", 1000, "0123456789");
    assert_int_equal(logfile_held(f, "quiet"), COST);
    assert_true(logfile_bytes(f) <= 20 * COST);
    assert_true(logfile_held(f, "loud") >= 12 * COST);
    logfile_close(&f);
}

static void above_its_share_a_server_loses_its_own_although_there_is_room(void **state)
{
    struct error err = {0};
    struct logfile *f = NULL;
    struct logfile_options o = {.folder = testing_path(state, "logs"),
                                .most_bytes = 100 * COST,
                                .segment_bytes = 4 * COST,
                                .share = 50};
    assert_int_equal(logfile_open(&f, &o, &err), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(add(f, "loud", 2, "extract", i * 10, "abcdefghij"), 1);
    commit_until_all_is_dropped(f);
    assert_in_range(logfile_bytes(f), 40 * COST, 55 * COST);
    logfile_close(&f);
}

static struct logfile *open_for_a_day(void **state)
{
    struct logfile *f = NULL;
    struct error err = {0};
    struct logfile_options o = {.folder = testing_path(state, "logs"), .keep_ms = 86400000};
    assert_int_equal(logfile_open(&f, &o, &err), 0);
    return f;
}

enum { HOUR = 3600000 };

static void what_came_longer_ago_than_the_retention_goes_and_newer_output_stays(void **state)
{
    struct logfile *f = open_for_a_day(state);
    assert_int_equal(add_at(f, 1 * HOUR, "etl1", 1, "extract", 0, "0123456789"), 1);
    assert_int_equal(add_at(f, 1 * HOUR, "etl2", 2, "extract", 0, "0123456789"), 1);
    assert_int_equal(add_at(f, 3 * HOUR, "etl1", 3, "extract", 0, "0123456789"), 1);
    logfile_expire(f, 25 * HOUR);
    commit_until_all_is_dropped(f);
    assert_int_equal(logfile_bytes(f), 3 * COST); /* a day, to the millisecond */
    logfile_expire(f, 25 * HOUR + 1);
    commit_until_all_is_dropped(f);
    assert_int_equal(logfile_bytes(f), COST);
    assert_int_equal(logfile_held(f, "etl2"), 0);
    assert_output(f, 1, "", 1000, "");
    assert_output(f, 3, "", 1000, "0123456789");
    assert_int_equal(logfile_dropped(f, LOGFILE_AGE), 20);
    assert_int_equal(logfile_dropped(f, LOGFILE_QUOTA), 0);
    logfile_close(&f);
    f = open_for_a_day(state);
    assert_int_equal(logfile_bytes(f), COST);
    logfile_expire(f, 100 * HOUR);
    commit_until_all_is_dropped(f);
    assert_int_equal(logfile_bytes(f), 0);
    logfile_close(&f);
}

/* What its server says of the time does not count: `at` of each piece is 5. */
static void output_that_goes_on_and_on_is_kept_as_long_as_the_rest(void **state)
{
    struct logfile *f = open_for_a_day(state);
    for (unsigned i = 0; i < 72; i++) { /* one piece an hour, for three days */
        assert_int_equal(add_at(f, (i + 1) * HOUR, "etl1", 1, "extract", i * 10, "0123456789"), 1);
        logfile_expire(f, (i + 1) * HOUR);
        commit_until_all_is_dropped(f);
        assert_in_range(logfile_bytes(f), COST, 26 * COST);
    }
    assert_true(logfile_bytes(f) >= 24 * COST);
    logfile_close(&f);
}

static void what_was_dropped_is_told_by_server_with_its_cause(void **state)
{
    struct logfile *f = open_logs(state, 5 * COST / 2, COST);
    struct logfile_loss loss;
    assert_false(logfile_loss(f, "etl1", &loss));
    assert_false(logfile_next_loss(f, 100, 100, &loss));
    for (uint8_t i = 1; i <= 5; i++)
        assert_int_equal(add_at(f, i, "etl1", i, "extract", 0, "0123456789"), 1);
    commit_until_all_is_dropped(f);
    assert_int_equal(logfile_dropped(f, LOGFILE_QUOTA), 30);
    assert_true(logfile_next_loss(f, 100, 1000, &loss));
    assert_string_equal(loss.server, "etl1");
    assert_int_equal(loss.bytes, 30);
    assert_int_equal(loss.until, 3);
    assert_int_equal(loss.cause, LOGFILE_QUOTA);
    assert_false(logfile_next_loss(f, 2000, 2000, &loss)); /* nothing new */
    assert_int_equal(add_at(f, 6, "etl1", 6, "extract", 0, "0123456789"), 1);
    commit_until_all_is_dropped(f);
    assert_false(logfile_next_loss(f, 999, 1500, &loss)); /* told since then */
    assert_true(logfile_next_loss(f, 1000, 1500, &loss));
    assert_int_equal(loss.bytes, 10);
    logfile_close(&f);
    f = open_logs(state, 0, 0);
    assert_true(logfile_loss(f, "etl1", &loss)); /* all of it, also after a restart */
    assert_int_equal(loss.bytes, 40);
    assert_int_equal(loss.until, 4);
    assert_false(logfile_loss(f, "etl2", &loss));
    logfile_close(&f);
}

static void more_servers_than_open_files_write_each_to_their_own(void **state)
{
    enum { SERVERS = LOGFILE_OPEN_MAX + 20 };
    char name[20];
    struct logfile *f = open_logs(state, 0, 0);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < SERVERS; i++) {
            snprintf(name, sizeof name, "etl%u", i);
            assert_int_equal(add(f, name, (uint8_t)i, "extract", round * 4, "abcd"), 1);
        }
    for (unsigned i = 0; i < SERVERS; i++)
        assert_output(f, (uint8_t)i, "", 1000, "abcdabcdabcd");
    logfile_close(&f);
}

static void an_index_of_before_is_raised_and_its_logs_are_still_read(void **state)
{
    sqlite3 *db;
    struct error err = {0};
    struct logfile *f = open_logs(state, 0, 0);
    add(f, "etl1", 1, "extract", 0, "before");
    logfile_close(&f);
    assert_int_equal(sqlite3_open(testing_path(state, "logs/index.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP INDEX segment_server; DROP INDEX piece_cut;"
                                  "DROP INDEX segment_last; DROP TABLE dropped;"
                                  "ALTER TABLE segment DROP COLUMN last;"
                                  "ALTER TABLE segment DROP COLUMN server;"
                                  "ALTER TABLE segment DROP COLUMN pieces",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    f = open_logs(state, 0, 0);
    assert_output(f, 1, "", 1000, "before");
    assert_int_equal(logfile_bytes(f), 6 + LOGFILE_PIECE);
    assert_int_equal(logfile_held(f, "etl1"), 0);
    assert_int_equal(add(f, "etl1", 1, "extract", 6, " and after"), 1);
    assert_int_equal(logfile_commit(f, &err), 0);
    assert_output(f, 1, "", 1000, "before and after");
    logfile_close(&f);
}

static void a_damaged_index_is_set_aside(void **state)
{
    struct error err = {0};
    struct logfile *f = open_logs(state, 0, 0);
    add(f, "etl1", 1, "extract", 0, "one");
    logfile_close(&f);
    assert_int_equal(
        file_write_atomic(
            testing_path(state, "logs/index.db"),
            span_str("This was an index once, and was not any more after the power had gone."),
            0600, &err),
        0);
    f = open_logs(state, 0, 0);
    assert_int_equal(add(f, "etl1", 2, "extract", 0, "two"), 1);
    assert_output(f, 2, "", 1000, "two");
    assert_int_equal(access(testing_path(state, "logs/index.db.damaged"), F_OK), 0);
    logfile_close(&f);
}

static void a_failed_read_is_not_the_end_of_the_output(void **state)
{
    struct logfile *f = open_logs(state, 0, 0);
    struct id id = {{1}};
    struct error err = {0};
    struct buf items = {0};
    uint64_t next = 0;
    sqlite3 *db;
    add(f, "etl1", 1, "extract", 0, "one");
    logfile_close(&f); /* what one turn adds is committed later */
    f = open_logs(state, 0, 0);
    assert_output(f, 1, "", 1000, "one");
    assert_int_equal(sqlite3_open(testing_path(state, "logs/index.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE piece", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(logfile_read(f, &id, SPAN_NONE, 7, 1000, &items, &next, &err), -EIO);
    assert_int_equal(next, 7);
    assert_int_equal(items.n, 0);
    assert_non_null(strstr(err.text, "index.db"));
    buf_free(&items);
    logfile_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(output_is_read_back_in_pages_as_written),
        in_folder(a_repeated_piece_is_kept_once),
        in_folder(an_attempts_output_names_its_server),
        in_folder(pieces_without_bytes_cost_nothing_or_are_few),
        in_folder(beyond_the_quota_the_oldest_segment_is_deleted),
        in_folder(a_server_that_prints_much_loses_its_own_and_nobody_elses),
        in_folder(above_its_share_a_server_loses_its_own_although_there_is_room),
        in_folder(what_came_longer_ago_than_the_retention_goes_and_newer_output_stays),
        in_folder(output_that_goes_on_and_on_is_kept_as_long_as_the_rest),
        in_folder(what_was_dropped_is_told_by_server_with_its_cause),
        in_folder(more_servers_than_open_files_write_each_to_their_own),
        in_folder(an_index_of_before_is_raised_and_its_logs_are_still_read),
        in_folder(a_damaged_index_is_set_aside),
        in_folder(a_failed_read_is_not_the_end_of_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
