/* store_test.c - what is kept, loaded, folded, asked for and dropped. Faults: faults_test.c. */
#include "broker/store/testing.h"

#include "common/clock.h"

static void committed_records_are_loaded_in_order(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_called(s, 2, 2, "load");
    testing_assigned(s, 3, 1);
    testing_wait_committed(s, &h, 3);
    store_close(&s);
    testing_assert_loads(state, "200@1 200@2 201@3 ", NULL);
}

static void an_ended_run_is_loaded_as_its_key_alone(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_called(s, 2, 2, "load");
    testing_assigned(s, 3, 1);
    testing_ended(s, 4, 1, STATUS_FAILED);
    testing_wait_committed(s, &h, 4);
    store_close(&s);
    testing_assert_loads(state, "200@2 209@4 ", NULL);
    testing_assert_loads(state, "200@2 ", &(struct store_options){.kept_ms = 10, .now = 100000});
}

static void a_run_that_ends_in_a_later_fold_leaves_nothing_live(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_wait_committed(s, &h, 1);
    testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 10}); /* folds */
    testing_assigned(s, 2, 1);
    testing_ended(s, 3, 1, STATUS_FAILED);
    testing_wait_committed(s, &h, 3);
    struct store_got g = testing_ask(
        s, (struct store_question){.what = STORE_RECORDS, .run = testing_run_id(1), .most = 10});
    assert_int_equal(g.n_records, 3);
    assert_int_equal(g.first_lsn, 1);
    store_close(&s);
    testing_assert_loads(state, "209@3 ", NULL);
}

struct answer_order {
    char text[32];
};

static void hear_history(void *self, const struct store_answer *a)
{
    (void)a;
    strcat(((struct answer_order *)self)->text, "h");
}

static void hear_record(void *self, const struct store_answer *a)
{
    assert_int_equal(a->rc, 0);
    strcat(((struct answer_order *)self)->text,
           a->n_records == 1 && a->records[0].lsn == 2 ? "r" : "-");
}

/* All are asked before the reader starts, so its choice does not depend on timing. */
static void a_record_is_read_by_its_lsn_ahead_of_other_questions(void **state)
{
    struct store_heard h;
    struct answer_order order = {0};
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_called(s, 2, 2, "load");
    testing_wait_committed(s, &h, 2);
    store_close(&s);
    s = testing_open(state, NULL);
    store_ask(s, &(struct store_question){.what = STORE_HISTORY, .most = 10}, hear_history, &order);
    store_ask(s, &(struct store_question){.what = STORE_RECORD, .lsn = 7, .most = 1}, hear_record,
              &order);
    store_ask(s, &(struct store_question){.what = STORE_RECORD, .lsn = 2, .soon = true, .most = 1},
              hear_record, &order);
    testing_start(s, &h);
    while (strlen(order.text) < 3)
        testing_hear(s);
    assert_string_equal(order.text, "rh-"); /* record 7 does not exist */
    store_close(&s);
}

static void beyond_kept_max_only_the_newest_ends_are_loaded(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    for (unsigned i = 0; i < 5; i++) {
        testing_called(s, 2 * i + 1, i, "load");
        testing_ended(s, 2 * i + 2, i, STATUS_SUCCEEDED);
    }
    testing_wait_committed(s, &h, 10);
    store_close(&s);
    testing_assert_loads(state, "209@8 209@10 ", &(struct store_options){.kept_max = 2});
}

static void the_keys_that_are_left_out_of_a_load_are_told_page_by_page(void **state)
{
    struct store_heard h;
    struct store_got g;
    struct store *s = testing_open(state, NULL);
    unsigned told = 0;
    testing_start(s, &h);
    for (unsigned i = 0; i < 300; i++) {
        testing_called(s, 2 * i + 1, i, "load");
        testing_ended(s, 2 * i + 2, i, STATUS_SUCCEEDED);
    }
    testing_wait_committed(s, &h, 600);
    store_close(&s);
    s = testing_open(state, &(struct store_options){.kept_max = 10});
    testing_start(s, &h);
    assert_int_equal(store_left_out(s), 580);
    for (uint64_t after = 0; told == 0 || after; told += g.n_keys) {
        g = testing_ask(s, (struct store_question){
                               .what = STORE_ENDED_KEYS, .after = after, .upto = 580, .most = 120});
        after = g.next;
        assert_true(g.n_keys <= 120);
    }
    assert_int_equal(told, 290);
    store_close(&s);
    s = testing_open(state, &(struct store_options){.kept_max = 300});
    assert_int_equal(store_load(s, testing_take_nothing, NULL, NULL), 0);
    assert_int_equal(store_left_out(s), 0);
    store_close(&s);
}

static void a_later_decision_of_an_operator_replaces_the_earlier(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_operated(s, 1, "drain", "etl1");
    testing_operated(s, 2, "drain", "etl2");
    testing_operated(s, 3, "undrain", "etl1");
    testing_wait_committed(s, &h, 3);
    store_close(&s);
    testing_assert_loads(state, "221@2 221@3 ", NULL);
}

static void history_is_paged_and_filtered(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    for (unsigned i = 0; i < 10; i++) {
        testing_called(s, 2 * i + 1, i, i % 2 ? "load" : "extract");
        testing_ended(s, 2 * i + 2, i, i == 3 ? STATUS_LOST : STATUS_FAILED);
    }
    testing_wait_committed(s, &h, 20);
    struct store_got g = testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 4});
    assert_int_equal(g.n_rows, 4);
    assert_int_equal(g.first_lsn, 20);
    g = testing_ask(s,
                    (struct store_question){.what = STORE_HISTORY, .most = 100, .after = g.next});
    assert_int_equal(g.n_rows, 6);
    assert_int_equal(g.next, 0);
    g = testing_ask(
        s, (struct store_question){.what = STORE_HISTORY, .most = 100, .filter = {.job = "ext*"}});
    assert_int_equal(g.n_rows, 5);
    g = testing_ask(s, (struct store_question){.what = STORE_HISTORY,
                                               .most = 100,
                                               .filter = {.status = STATUS_LOST + 1}});
    assert_int_equal(g.n_rows, 1);
    g = testing_ask(
        s, (struct store_question){
               .what = STORE_KEY, .most = 1, .key = "key-3", .filter = {.principal = "anna"}});
    assert_int_equal(g.n_rows, 1);
    assert_true(id_eq(g.row.run, testing_run_id(3)));
    assert_int_equal(g.row.digest.b[0], 3);
    g = testing_ask(
        s, (struct store_question){
               .what = STORE_KEY, .most = 1, .key = "key-3", .filter = {.principal = "otto"}});
    assert_int_equal(g.n_rows, 0);
    store_close(&s);
}

static int note_kept_time(void *self, uint64_t lsn, struct span body, struct error *err)
{
    struct r_kept k;
    (void)lsn;
    if (r_kept_decode(body, &k, err) == 0)
        *(int64_t *)self = k.at;
    return 0;
}

/* The broker was unreachable for five days; people ask by the end that the server reported, while
 * retention and look-ups go by the broker's time. */
static void a_late_result_has_the_time_that_its_server_reported(void **state)
{
    enum { HOUR = 3600000, DAY = 24 * HOUR };
    const int64_t at = 10LL * DAY;
    struct store_heard h;
    struct error err = {0};
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_called(s, 2, 2, "load");
    testing_ended_at(s, 3, 1, STATUS_FAILED, at - HOUR, 0);
    testing_ended_at(s, 4, 2, STATUS_FAILED, at, at - 5LL * DAY);
    testing_wait_committed(s, &h, 4);
    struct store_got g = testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 10});
    assert_int_equal(g.n_rows, 2);
    assert_int_equal(g.first_lsn, 4);
    assert_int_equal(g.row.ended_at, at - 5LL * DAY);
    g = testing_ask(s, (struct store_question){.what = STORE_HISTORY,
                                               .most = 10,
                                               .filter = {.since = at - 2LL * HOUR}});
    assert_int_equal(g.n_rows, 1); /* the one before it is found nevertheless */
    assert_int_equal(g.first_lsn, 3);
    assert_int_equal(g.row.ended_at, at - HOUR);
    store_close(&s);
    testing_assert_loads(state, "209@3 209@4 ", &(struct store_options){.kept_ms = DAY, .now = at});
    int64_t kept = 0;
    s = testing_open(state, NULL);
    assert_int_equal(store_load(s, note_kept_time, &kept, &err), 0);
    assert_int_equal(kept, at);
    store_close(&s);
}

static void events_come_with_the_first_record_of_their_runs(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_called(s, 2, 2, "load");
    testing_assigned(s, 3, 1);
    testing_assigned(s, 4, 2);
    testing_ended(s, 5, 1, STATUS_FAILED);
    testing_wait_committed(s, &h, 5);
    struct store_got g = testing_ask(
        s, (struct store_question){.what = STORE_EVENTS, .after = 2, .upto = 5, .most = 10});
    assert_int_equal(g.n_records, 3);
    assert_int_equal(g.n_begins, 2);
    assert_int_equal(g.next, 5);
    g = testing_ask(
        s, (struct store_question){.what = STORE_EVENTS, .after = 0, .upto = 5, .most = 2});
    assert_int_equal(g.n_records, 2);
    assert_int_equal(g.next, 2);
    g = testing_ask(
        s, (struct store_question){.what = STORE_EVENTS, .since = 1004, .upto = 5, .most = 10});
    assert_int_equal(g.first_lsn, 4);
    store_close(&s);
}

static void a_forgotten_question_gets_no_answer(void **state)
{
    struct store_heard h;
    struct store_got forgotten = {0};
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    struct store_question q = {.what = STORE_HISTORY, .most = 1};
    store_forget(s, store_ask(s, &q, testing_take_answer, &forgotten));
    testing_ask(s, q);
    assert_false(forgotten.done);
    store_close(&s);
}

static void the_views_show_history_to_people(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_ended(s, 2, 1, STATUS_FAILED);
    testing_operated(s, 3, "drain", "etl1");
    testing_wait_committed(s, &h, 3);
    testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 1});
    testing_assert_shell(
        state,
        "SELECT job || ' ' || server || ' ' || status || ' ' || called_at || ' ' || run "
        "FROM job_history",
        "load etl1 failed 1970-01-01T00:00:01.001Z 07000000-0000-0000-0000-000001000000");
    testing_assert_shell(
        state,
        "SELECT step || ' ' || state || ' ' || exit_code || ' ' || message FROM step_history",
        "say \"hi\" failed 4 no such table");
    testing_assert_shell(state, "SELECT group_concat(event || ' ' || note, '; ') FROM events",
                         "called anna; ended failed; operated drain etl1 by root: test");
    testing_assert_shell(state, "SELECT count(*) FROM parent_history", "0");
    store_close(&s);
}

static void records_that_only_people_need_are_not_loaded(void **state)
{
    struct store_heard h;
    struct buf body = {0};
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    r_server_encode(
        &(struct r_server){.at = 1, .server = span_str("etl1"), .state = span_str("up")}, &body);
    testing_add(s, 1, &body);
    testing_called(s, 2, 1, "load");
    testing_wait_committed(s, &h, 2);
    store_note(s, &(struct r_operated){.at = 5,
                                       .by = span_str("otto"),
                                       .verb = span_str("denied"),
                                       .target = span_str("CALL"),
                                       .reason = span_str("no grant")});
    testing_operated(s, 3, "drain", "etl1");
    testing_wait_committed(s, &h, 3);
    testing_assert_shell(state, "SELECT event || ' ' || note FROM events WHERE event = 'denied'",
                         "denied CALL by otto: no grant");
    store_close(&s);
    testing_assert_loads(state, "200@2 221@3 ", NULL);
}

static void old_history_is_dropped_and_live_runs_stay(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, &(struct store_options){.retention_ms = 1000});
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_called(s, 2, 2, "load");
    testing_ended(s, 3, 2, STATUS_FAILED);
    testing_wait_committed(s, &h, 3);
    struct store_got g;
    do
        g = testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 10});
    while (g.n_rows);
    store_close(&s);
    testing_assert_loads(state, "200@1 ", NULL);
}

/* It was held for longer than history is kept. Its first record is still needed, because it names
   the owner. */
static void records_of_a_run_are_kept_as_long_as_its_row_of_history(void **state)
{
    struct store_heard h;
    struct buf body = {0};
    const int64_t now = clock_wall_ms();
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    r_server_encode(
        &(struct r_server){.at = 1, .server = span_str("etl1"), .state = span_str("up")}, &body);
    testing_add(s, 1, &body);
    testing_called(s, 2, 1, "load");
    testing_assigned(s, 3, 1);
    testing_ended_at(s, 4, 1, STATUS_FAILED, now, 0);
    testing_wait_committed(s, &h, 4);
    store_close(&s);
    s = testing_open(state, &(struct store_options){.retention_ms = 3600000});
    testing_start(s, &h);
    while (testing_ask(s, (struct store_question){.what = STORE_RECORD, .lsn = 1, .most = 1})
               .n_records)
        ;
    assert_int_equal(
        testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 10}).n_rows, 1);
    struct store_got g = testing_ask(
        s, (struct store_question){.what = STORE_RECORDS, .run = testing_run_id(1), .most = 10});
    assert_int_equal(g.n_records, 3);
    assert_int_equal(g.first_lsn, 2);
    store_close(&s);
    s = testing_open(state, &(struct store_options){.retention_ms = 1});
    testing_start(s, &h);
    while (testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 10}).n_rows)
        ;
    assert_int_equal(
        testing_ask(s, (struct store_question){.what = STORE_RECORD, .lsn = 2, .most = 1})
            .n_records,
        0);
    store_close(&s);
}

static void a_check_finds_a_row_of_history_without_a_record(void **state)
{
    struct buf text = {0};
    struct error err = {0};
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_ended(s, 2, 1, STATUS_FAILED);
    testing_called(s, 3, 2, "load");
    testing_wait_committed(s, &h, 3);
    testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 1});
    store_close(&s);
    char *done = testing_shell(state, "DELETE FROM journal WHERE lsn = 2");
    mem_free(&done);
    assert_int_equal(store_check(testing_path(state, "broker.db"), &text, &err), -EBADMSG);
    assert_contains(err.text, "history");
    buf_free(&text);
}

static void a_backup_is_a_store_that_passes_a_check(void **state)
{
    struct buf text = {0};
    struct error err = {0};
    testing_filled(state, 20);
    assert_int_equal(
        store_backup(testing_path(state, "broker.db"), testing_path(state, "copy.db"), &err), 0);
    if (store_check(testing_path(state, "copy.db"), &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_contains(buf_str(&text), "whole, 20 records");
    assert_int_equal(
        store_backup(testing_path(state, "broker.db"), testing_path(state, "copy.db"), &err),
        -EEXIST);
    buf_free(&text);
}

static bool is_backup(void **state)
{
    struct error err = {0};
    struct store *s = testing_open(state, NULL);
    assert_int_equal(store_load(s, testing_take_nothing, NULL, &err), 0);
    bool is = store_is_backup(s);
    store_close(&s);
    return is;
}

static void a_backup_is_recognized_until_something_is_appended(void **state)
{
    struct error err = {0};
    struct store_heard h;
    struct buf text = {0};
    testing_filled(state, 20);
    assert_false(is_backup(state));
    assert_int_equal(
        store_backup(testing_path(state, "broker.db"), testing_path(state, "copy.db"), &err), 0);
    assert_int_equal(rename(testing_path(state, "copy.db"), testing_path(state, "broker.db")), 0);
    /* the first file's -wal was left behind */
    assert_int_equal(
        file_write_atomic(testing_path(state, "broker.db-wal"), span_str("of another"), 0600, &err),
        0);
    struct store *spoilt = NULL;
    struct store_options o = {.path = testing_path(state, "broker.db")};
    assert_int_equal(store_open(&spoilt, &o, &err), -EBADMSG);
    assert_contains(err.text, "broker.db-wal");
    assert_int_equal(store_check(testing_path(state, "broker.db"), &text, &err), -EBADMSG);
    assert_int_equal(unlink(testing_path(state, "broker.db-wal")), 0);
    assert_true(is_backup(state));
    assert_true(is_backup(state)); /* reading it changes nothing */
    if (store_check(testing_path(state, "broker.db"), &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_contains(buf_str(&text), "--restored");
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 21, 21, "load");
    testing_wait_committed(s, &h, 21);
    store_close(&s);
    assert_false(is_backup(state));
    buf_free(&text);
}

/* The backup is put back twice: what was written after the first time is lost, too. */
static void numbers_of_a_restored_backup_are_above_all_that_were_given_out(void **state)
{
    enum { SECOND = 1000 };
    const int64_t now = 1700000000LL * SECOND;
    struct error err = {0};
    struct store_heard h;
    struct buf text = {0};
    uint64_t last = 22;
    testing_filled(state, 20);
    assert_int_equal(
        store_backup(testing_path(state, "broker.db"), testing_path(state, "copy.db"), &err), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct buf copy = {0};
        assert_int_equal(file_read(testing_path(state, "copy.db"), 4 << 20, &copy, &err), 0);
        unlink(testing_path(state, "broker.db-wal"));
        unlink(testing_path(state, "broker.db-shm"));
        assert_int_equal(
            file_write_atomic(testing_path(state, "broker.db"), buf_span(&copy), 0600, &err), 0);
        buf_free(&copy);
        struct store_options o = {.now = now + i * SECOND};
        struct store *s = testing_open(state, &o);
        assert_int_equal(store_load(s, testing_take_nothing, NULL, &err), 0);
        assert_int_equal(store_restored(s, &err), 0);
        store_close(&s);
        assert_true(is_backup(state)); /* until something is appended */
        s = testing_open(state, &o);
        testing_start(s, &h);
        uint64_t first = store_committed(s) + 1;
        assert_true(first > last);
        testing_called(s, first, 30, "load");
        testing_ended(s, first + 1, 30, STATUS_FAILED);
        testing_wait_committed(s, &h, first + 1);
        assert_int_equal(
            testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 9}).n_rows, 1);
        struct store_question events = {.what = STORE_EVENTS, .upto = first + 1, .most = 100};
        assert_int_equal(testing_ask(s, events).n_records, 22);
        last = first + 1;
        store_close(&s);
        assert_false(is_backup(state));
    }
    if (store_check(testing_path(state, "broker.db"), &text, &err) < 0)
        fail_msg("%s", err.text);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(committed_records_are_loaded_in_order),
        in_folder(an_ended_run_is_loaded_as_its_key_alone),
        in_folder(a_run_that_ends_in_a_later_fold_leaves_nothing_live),
        in_folder(a_record_is_read_by_its_lsn_ahead_of_other_questions),
        in_folder(beyond_kept_max_only_the_newest_ends_are_loaded),
        in_folder(the_keys_that_are_left_out_of_a_load_are_told_page_by_page),
        in_folder(a_later_decision_of_an_operator_replaces_the_earlier),
        in_folder(history_is_paged_and_filtered),
        in_folder(a_late_result_has_the_time_that_its_server_reported),
        in_folder(events_come_with_the_first_record_of_their_runs),
        in_folder(a_forgotten_question_gets_no_answer),
        in_folder(the_views_show_history_to_people),
        in_folder(records_that_only_people_need_are_not_loaded),
        in_folder(old_history_is_dropped_and_live_runs_stay),
        in_folder(records_of_a_run_are_kept_as_long_as_its_row_of_history),
        in_folder(a_check_finds_a_row_of_history_without_a_record),
        in_folder(a_backup_is_a_store_that_passes_a_check),
        in_folder(a_backup_is_recognized_until_something_is_appended),
        in_folder(numbers_of_a_restored_backup_are_above_all_that_were_given_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
