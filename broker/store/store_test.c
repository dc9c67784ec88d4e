#include "broker/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/testing.h"

/* ---- A store and what it has told */
struct heard {
    uint64_t committed;
    bool full;
    unsigned fulls;
};

static void on_committed(void *self, uint64_t lsn)
{
    ((struct heard *)self)->committed = lsn;
}

static void on_full(void *self, bool full)
{
    struct heard *h = self;
    h->full = full;
    h->fulls += full;
}

static struct store *open_store(void **state, struct store_options *o)
{
    struct store_options mine = {0};
    struct store *s = NULL;
    struct error err = {0};
    o = o ? o : &mine;
    o->path = testing_path(state, "broker.db");
    o->no_pregrow = true;
    o->reserve_bytes = o->reserve_bytes ? o->reserve_bytes : 1;
    if (store_open(&s, o, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static int nothing(void *self, uint64_t lsn, struct span body, struct error *err)
{
    (void)self, (void)lsn, (void)body, (void)err;
    return 0;
}

static void start(struct store *s, struct heard *h)
{
    struct error err = {0};
    memset(h, 0, sizeof *h);
    assert_int_equal(store_load(s, nothing, NULL, &err), 0);
    h->committed = store_committed(s);
    assert_int_equal(store_start(s, &(struct store_calls){h, on_committed, on_full}, &err), 0);
}

static void hear(struct store *s)
{
    struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    store_dispatch(s);
}

static void wait_committed(struct store *s, struct heard *h, uint64_t lsn)
{
    while (h->committed < lsn)
        hear(s);
}

/* ---- Records */
static struct id run_id(unsigned n)
{
    struct id id = {{7}};
    memcpy(id.b + 12, &n, 4);
    return id;
}

static void add(struct store *s, uint64_t lsn, struct buf *body)
{
    struct bcore_record r = {lsn, buf_span(body)};
    store_append(s, &r, 1);
    buf_free(body);
}

static void called(struct store *s, uint64_t lsn, unsigned n, const char *job)
{
    struct buf call = {0}, envelope = {0}, body = {0};
    char key[40];
    snprintf(key, sizeof key, "key-%u", n);
    struct d_call c = {.cluster = span_str("test"),
                       .caller = span_str("anna"),
                       .key = span_str(key),
                       .job = span_str(job),
                       .address = span_str("etl")};
    d_call_encode(&c, &call);
    uint8_t signature[64] = {0};
    struct d_signed d = {.signer = span_str("anna"), .body = buf_span(&call), .signature = span_of(signature, 64)};
    d_signed_encode(&d, &envelope);
    struct r_called r = {
        .at = 1000 + (int64_t)lsn, .run = run_id(n), .principal = span_str("anna"), .call = buf_span(&envelope)};
    r.digest.b[0] = (uint8_t)n;
    r_called_encode(&r, &body);
    add(s, lsn, &body);
    buf_free(&call);
    buf_free(&envelope);
}

static void assigned(struct store *s, uint64_t lsn, unsigned n)
{
    struct buf body = {0};
    struct r_assigned r = {.at = 1000 + (int64_t)lsn, .run = run_id(n), .attempt = 1, .server = span_str("etl1")};
    r_assigned_encode(&r, &body);
    add(s, lsn, &body);
}

static void ended(struct store *s, uint64_t lsn, unsigned n, uint64_t status)
{
    struct buf body = {0}, outcome = {0}, step = {0}, steps = {0};
    struct d_step_outcome so = {.name = span_str("say \"hi\""),
                                .turn = 1,
                                .package = PACKAGE_FAILED,
                                .exit_code = 4,
                                .message = span_str("no such table")};
    d_step_outcome_encode(&so, &step);
    wire_add_bin(&steps, buf_span(&step));
    struct d_outcome o = {.status = status,
                          .job = JOB_FAILED,
                          .package = PACKAGE_FAILED,
                          .message = span_str("no"),
                          .steps = wire_list_from(&steps, 1)};
    d_outcome_encode(&o, &outcome);
    struct r_ended r = {.at = 1000 + (int64_t)lsn,
                        .run = run_id(n),
                        .attempt = 1,
                        .server = span_str("etl1"),
                        .outcome = buf_span(&outcome),
                        .reported = true};
    r_ended_encode(&r, &body);
    add(s, lsn, &body);
    buf_free(&outcome);
    buf_free(&step);
    buf_free(&steps);
}

static void operated(struct store *s, uint64_t lsn, const char *verb, const char *target)
{
    struct buf body = {0};
    struct r_operated r = {.at = 1000 + (int64_t)lsn,
                           .by = span_str("root"),
                           .verb = span_str(verb),
                           .target = span_str(target),
                           .reason = span_str("test")};
    r_operated_encode(&r, &body);
    add(s, lsn, &body);
}

/* ---- What a load tells, as text: "kind@lsn " */
static int note_load(void *self, uint64_t lsn, struct span body, struct error *err)
{
    uint64_t kind;
    size_t size;
    (void)err;
    assert_int_equal(wire_peek(body, &kind, &size, NULL), 0);
    buf_printf(self, "%llu@%llu ", (unsigned long long)kind, (unsigned long long)lsn);
    return 0;
}

static void assert_loads(void **state, const char *expected, struct store_options *o)
{
    struct store *s = open_store(state, o);
    struct buf text = {0};
    struct error err = {0};
    assert_int_equal(store_load(s, note_load, &text, &err), 0);
    assert_string_equal(buf_str(&text), expected);
    buf_free(&text);
    store_close(&s);
}

/* ---- Questions */
struct got {
    bool done;
    unsigned n_rows, n_records, n_begins;
    uint64_t next, first_lsn;
    struct store_ended row;
    int rc;
};

static void take_answer(void *self, const struct store_answer *a)
{
    struct got *g = self;
    g->done = true;
    g->rc = a->rc;
    g->n_rows = a->n_rows;
    g->n_records = a->n_records;
    g->n_begins = a->n_begins;
    g->next = a->next;
    if (a->n_rows)
        g->row = a->rows[0], g->first_lsn = a->rows[0].lsn;
    if (a->n_records)
        g->first_lsn = a->records[0].lsn;
}

static struct got ask(struct store *s, struct store_question q)
{
    struct got g = {0};
    store_ask(s, &q, take_answer, &g);
    while (!g.done)
        hear(s);
    assert_int_equal(g.rc, 0);
    return g;
}

/* ---- Tests */
static void what_was_committed_is_loaded_again_in_order(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    called(s, 1, 1, "load");
    called(s, 2, 2, "load");
    assigned(s, 3, 1);
    wait_committed(s, &h, 3);
    store_close(&s);
    assert_loads(state, "200@1 200@2 201@3 ", NULL);
}

static void a_run_that_ended_is_told_as_its_key_alone(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    called(s, 1, 1, "load");
    called(s, 2, 2, "load");
    assigned(s, 3, 1);
    ended(s, 4, 1, STATUS_FAILED);
    wait_committed(s, &h, 4);
    store_close(&s);
    assert_loads(state, "200@2 209@4 ", NULL);
    assert_loads(state, "200@2 ", &(struct store_options){.kept_ms = 10, .now = 100000});
}

static void a_run_that_ends_in_a_later_fold_leaves_nothing_live(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    called(s, 1, 1, "load");
    wait_committed(s, &h, 1);
    ask(s, (struct store_question){.what = STORE_HISTORY, .most = 10}); /* folds */
    assigned(s, 2, 1);
    ended(s, 3, 1, STATUS_FAILED);
    wait_committed(s, &h, 3);
    struct got g = ask(s, (struct store_question){.what = STORE_RECORDS, .run = run_id(1), .most = 10});
    assert_int_equal(g.n_records, 3);
    assert_int_equal(g.first_lsn, 1);
    store_close(&s);
    assert_loads(state, "209@3 ", NULL);
}

static void only_the_newest_ends_are_told_beyond_kept_max(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    for (unsigned i = 0; i < 5; i++) {
        called(s, 2 * i + 1, i, "load");
        ended(s, 2 * i + 2, i, STATUS_SUCCEEDED);
    }
    wait_committed(s, &h, 10);
    store_close(&s);
    assert_loads(state, "209@6 209@8 209@10 ", &(struct store_options){.kept_max = 2});
}

static void the_later_decision_of_an_operator_takes_the_place_of_the_earlier(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    operated(s, 1, "drain", "etl1");
    operated(s, 2, "drain", "etl2");
    operated(s, 3, "undrain", "etl1");
    wait_committed(s, &h, 3);
    store_close(&s);
    assert_loads(state, "221@2 221@3 ", NULL);
}

static void history_is_asked_in_pages_and_filtered(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    for (unsigned i = 0; i < 10; i++) {
        called(s, 2 * i + 1, i, i % 2 ? "load" : "extract");
        ended(s, 2 * i + 2, i, i == 3 ? STATUS_LOST : STATUS_FAILED);
    }
    wait_committed(s, &h, 20);
    struct got g = ask(s, (struct store_question){.what = STORE_HISTORY, .most = 4});
    assert_int_equal(g.n_rows, 4);
    assert_int_equal(g.first_lsn, 20);
    g = ask(s, (struct store_question){.what = STORE_HISTORY, .most = 100, .after = g.next});
    assert_int_equal(g.n_rows, 6);
    assert_int_equal(g.next, 0);
    g = ask(s, (struct store_question){.what = STORE_HISTORY, .most = 100, .filter = {.job = "ext*"}});
    assert_int_equal(g.n_rows, 5);
    g = ask(s, (struct store_question){.what = STORE_HISTORY, .most = 100, .filter = {.status = STATUS_LOST + 1}});
    assert_int_equal(g.n_rows, 1);
    g = ask(s,
            (struct store_question){.what = STORE_KEY, .most = 1, .key = "key-3", .filter = {.principal = "anna"}});
    assert_int_equal(g.n_rows, 1);
    assert_true(id_eq(g.row.run, run_id(3)));
    assert_int_equal(g.row.digest.b[0], 3);
    g = ask(s,
            (struct store_question){.what = STORE_KEY, .most = 1, .key = "key-3", .filter = {.principal = "otto"}});
    assert_int_equal(g.n_rows, 0);
    store_close(&s);
}

static void events_come_with_the_first_record_of_their_runs(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    called(s, 1, 1, "load");
    called(s, 2, 2, "load");
    assigned(s, 3, 1);
    assigned(s, 4, 2);
    ended(s, 5, 1, STATUS_FAILED);
    wait_committed(s, &h, 5);
    struct got g = ask(s, (struct store_question){.what = STORE_EVENTS, .after = 2, .upto = 5, .most = 10});
    assert_int_equal(g.n_records, 3);
    assert_int_equal(g.n_begins, 2);
    assert_int_equal(g.next, 5);
    g = ask(s, (struct store_question){.what = STORE_EVENTS, .after = 0, .upto = 5, .most = 2});
    assert_int_equal(g.n_records, 2);
    assert_int_equal(g.next, 2);
    g = ask(s, (struct store_question){.what = STORE_EVENTS, .since = 1004, .upto = 5, .most = 10});
    assert_int_equal(g.first_lsn, 4);
    store_close(&s);
}

static void an_answer_that_was_forgotten_is_not_heard(void **state)
{
    struct heard h;
    struct got forgotten = {0};
    struct store *s = open_store(state, NULL);
    start(s, &h);
    struct store_question q = {.what = STORE_HISTORY, .most = 1};
    store_forget(s, store_ask(s, &q, take_answer, &forgotten));
    ask(s, q);
    assert_false(forgotten.done);
    store_close(&s);
}

static char *shell(void **state, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(
        sqlite3_open_v2(testing_path(state, "broker.db"), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
        SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    int rc = sqlite3_step(st);
    char *text = rc == SQLITE_ROW && sqlite3_column_text(st, 0) ? mem_strdup((const char *)sqlite3_column_text(st, 0))
                                                                : mem_strdup("");
    sqlite3_finalize(st);
    sqlite3_close(db);
    return text;
}

static void assert_shell(void **state, const char *sql, const char *expected)
{
    char *text = shell(state, sql);
    assert_string_equal(text, expected);
    mem_free(&text);
}

static void people_read_history_in_the_views(void **state)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    called(s, 1, 1, "load");
    ended(s, 2, 1, STATUS_FAILED);
    operated(s, 3, "drain", "etl1");
    wait_committed(s, &h, 3);
    ask(s, (struct store_question){.what = STORE_HISTORY, .most = 1});
    assert_shell(state,
                 "SELECT job || ' ' || server || ' ' || status || ' ' || called_at || ' ' || run FROM job_history",
                 "load etl1 failed 1970-01-01T00:00:01.001Z 07000000-0000-0000-0000-000001000000");
    assert_shell(state, "SELECT step || ' ' || state || ' ' || exit_code || ' ' || message FROM step_history",
                 "say \"hi\" failed 4 no such table");
    assert_shell(state, "SELECT group_concat(event || ' ' || note, '; ') FROM events",
                 "called anna; ended failed; operated drain etl1 by root: test");
    assert_shell(state, "SELECT count(*) FROM parent_history", "0");
    store_close(&s);
}

static void a_second_broker_is_refused(void **state)
{
    struct store *s = open_store(state, NULL), *second = NULL;
    struct error err = {0};
    /* a lock of one process does not hold against itself, so the second one is another process */
    pid_t pid = fork();
    if (pid == 0)
        _exit(store_open(&second, &(struct store_options){.path = testing_path(state, "broker.db")}, &err) ==
                          -EBUSY &&
                      strstr(err.text, "another broker")
                  ? 0
                  : 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    store_close(&s);
}

static void assert_refused(void **state, int code, const char *part)
{
    struct store *s = NULL;
    struct error err = {0};
    struct store_options o = {.path = testing_path(state, "broker.db")};
    assert_int_equal(store_open(&s, &o, &err), code);
    assert_contains(err.text, part);
    assert_null(s);
}

static void filled(void **state, unsigned runs)
{
    struct heard h;
    struct store *s = open_store(state, NULL);
    start(s, &h);
    for (unsigned i = 0; i < runs; i++)
        called(s, i + 1, i, "load");
    wait_committed(s, &h, runs);
    store_close(&s);
}

static void a_newer_schema_is_refused(void **state)
{
    filled(state, 1);
    mem_free(&(char *){shell(state, "PRAGMA user_version = 99")});
    assert_refused(state, -ENOTSUP, "newer Longboat (schema 99");
}

static void a_file_of_something_else_is_refused(void **state)
{
    mem_free(&(char *){shell(state, "CREATE TABLE mine (x)")});
    assert_refused(state, -EBADMSG, "not a store");
    struct error err = {0};
    unlink(testing_path(state, "broker.db"));
    assert_int_equal(file_write_atomic(testing_path(state, "broker.db"),
                                       span_str("This is a letter to my aunt, and long enough to be read."), 0600,
                                       &err),
                     0);
    assert_refused(state, -EBADMSG, "not a database");
}

static void a_truncated_file_is_refused(void **state)
{
    struct stat st;
    filled(state, 300);
    assert_int_equal(stat(testing_path(state, "broker.db"), &st), 0);
    assert_int_equal(truncate(testing_path(state, "broker.db"), st.st_size - 8192), 0);
    assert_refused(state, -EBADMSG, "");
}

static void a_corrupt_file_is_refused_at_open_or_load(void **state)
{
    filled(state, 300);
    struct stat stat_;
    char junk[4096];
    memset(junk, 0xa5, sizeof junk);
    int fd = open(testing_path(state, "broker.db"), O_RDWR);
    assert_int_equal(fstat(fd, &stat_), 0);
    for (off_t at = 4096; at < stat_.st_size; at += 4096)
        assert_int_equal(pwrite(fd, junk, 2000, at), 2000);
    close(fd);
    struct store *s = NULL;
    struct error err = {0};
    int rc = store_open(&s, &(struct store_options){.path = testing_path(state, "broker.db")}, &err);
    if (rc == 0)
        rc = store_load(s, nothing, NULL, &err);
    assert_int_equal(rc, -EBADMSG);
    store_close(&s);
}

static void a_missing_record_is_refused(void **state)
{
    filled(state, 3);
    mem_free(&(char *){shell(state, "DELETE FROM journal WHERE lsn = 2")});
    struct error err = {0};
    struct store *s = open_store(state, NULL);
    assert_int_equal(store_load(s, nothing, NULL, &err), -EBADMSG);
    assert_contains(err.text, "record 2");
    store_close(&s);
    struct buf text = {0};
    assert_int_equal(store_check(testing_path(state, "broker.db"), &text, &err), -EBADMSG);
    buf_free(&text);
}

static void a_full_disk_holds_the_batch_until_there_is_room(void **state)
{
    struct heard h;
    struct store *s = open_store(state, &(struct store_options){.most_bytes = 400 << 10});
    uint64_t lsn = 0;
    start(s, &h);
    for (unsigned i = 0; i < 3000; i++) { /* well beyond what fits */
        lsn++;
        called(s, lsn, (unsigned)lsn, "load");
    }
    while (!h.full)
        hear(s);
    assert_true(h.committed < lsn);
    store_limit(s, 0);
    wait_committed(s, &h, lsn);
    while (h.full)
        hear(s);
    store_close(&s);
    s = open_store(state, NULL);
    start(s, &h);
    assert_int_equal(h.committed, lsn);
    store_close(&s);
}

static void a_store_that_is_full_can_be_closed(void **state)
{
    struct heard h;
    struct store *s = open_store(state, &(struct store_options){.most_bytes = 300 << 10});
    start(s, &h);
    for (uint64_t lsn = 1; lsn <= 3000; lsn++)
        called(s, lsn, (unsigned)lsn, "load");
    while (!h.full)
        hear(s);
    store_close(&s);
}

static void another_brokers_epoch_ends_the_process(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct heard h;
        struct store *s = open_store(state, NULL);
        start(s, &h);
        mem_free(&(char *){shell(state, "UPDATE meta SET value = value + 1 WHERE name = 'epoch'")});
        dup2(open("/dev/null", O_WRONLY), 2);
        called(s, 1, 1, "load");
        wait_committed(s, &h, 1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), EXIT_STORE);
}

static void what_was_committed_survives_kill_9(void **state)
{
    int tell[2];
    assert_int_equal(pipe(tell), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct heard h;
        struct store *s = open_store(state, NULL);
        start(s, &h);
        for (uint64_t lsn = 1;; lsn++) {
            called(s, lsn, (unsigned)lsn, "load");
            if (lsn % 7 == 0)
                wait_committed(s, &h, lsn);
            if (write(tell[1], &h.committed, 8) != 8)
                _exit(1);
        }
    }
    uint64_t told = 0;
    close(tell[1]);
    while (told < 200)
        assert_int_equal(read(tell[0], &told, 8), 8);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (uint64_t more; read(tell[0], &more, 8) == 8;)
        told = more;
    close(tell[0]);
    struct store *s = open_store(state, NULL);
    struct heard h;
    start(s, &h);
    assert_true(h.committed >= told);
    store_close(&s);
}

static void old_history_is_dropped_and_live_runs_stay(void **state)
{
    struct heard h;
    struct store *s = open_store(state, &(struct store_options){.retention_ms = 1000});
    start(s, &h);
    called(s, 1, 1, "load");
    called(s, 2, 2, "load");
    ended(s, 3, 2, STATUS_FAILED);
    wait_committed(s, &h, 3);
    struct got g;
    do
        g = ask(s, (struct store_question){.what = STORE_HISTORY, .most = 10});
    while (g.n_rows);
    store_close(&s);
    assert_loads(state, "200@1 ", NULL);
}

static void a_backup_is_a_store_and_a_check_reads_it(void **state)
{
    struct buf text = {0};
    struct error err = {0};
    filled(state, 20);
    assert_int_equal(store_backup(testing_path(state, "broker.db"), testing_path(state, "copy.db"), &err), 0);
    if (store_check(testing_path(state, "copy.db"), &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_contains(buf_str(&text), "whole, 20 records");
    assert_int_equal(store_backup(testing_path(state, "broker.db"), testing_path(state, "copy.db"), &err), -EEXIST);
    buf_free(&text);
}

static void the_wal_is_written_in_advance(void **state)
{
    struct store *s = NULL;
    struct error err = {0};
    struct stat st;
    assert_int_equal(store_open(&s, &(struct store_options){.path = testing_path(state, "broker.db")}, &err), 0);
    assert_int_equal(stat(testing_path(state, "broker.db-wal"), &st), 0);
    assert_true(st.st_size >= 16 << 20);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(what_was_committed_is_loaded_again_in_order),
        in_folder(a_run_that_ended_is_told_as_its_key_alone),
        in_folder(a_run_that_ends_in_a_later_fold_leaves_nothing_live),
        in_folder(only_the_newest_ends_are_told_beyond_kept_max),
        in_folder(the_later_decision_of_an_operator_takes_the_place_of_the_earlier),
        in_folder(history_is_asked_in_pages_and_filtered),
        in_folder(events_come_with_the_first_record_of_their_runs),
        in_folder(an_answer_that_was_forgotten_is_not_heard),
        in_folder(people_read_history_in_the_views),
        in_folder(a_second_broker_is_refused),
        in_folder(a_newer_schema_is_refused),
        in_folder(a_file_of_something_else_is_refused),
        in_folder(a_truncated_file_is_refused),
        in_folder(a_corrupt_file_is_refused_at_open_or_load),
        in_folder(a_missing_record_is_refused),
        in_folder(a_full_disk_holds_the_batch_until_there_is_room),
        in_folder(a_store_that_is_full_can_be_closed),
        in_folder(another_brokers_epoch_ends_the_process),
        in_folder(what_was_committed_survives_kill_9),
        in_folder(old_history_is_dropped_and_live_runs_stay),
        in_folder(a_backup_is_a_store_and_a_check_reads_it),
        in_folder(the_wal_is_written_in_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
