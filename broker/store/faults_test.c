/* faults_test.c - files that are refused, full disks, killed processes, and what "committed"
   means. */
#include "broker/store/testing.h"

static void a_second_broker_is_refused(void **state)
{
    struct store *s = testing_open(state, NULL), *second = NULL;
    struct error err = {0};
    /* a lock does not exclude its own process, so the second broker is another process */
    pid_t pid = fork();
    if (pid == 0)
        _exit(store_open(&second, &(struct store_options){.path = testing_path(state, "broker.db")},
                         &err) == -EBUSY &&
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

static void a_newer_schema_is_refused(void **state)
{
    testing_filled(state, 1);
    mem_free(&(char *){testing_shell(state, "PRAGMA user_version = 99")});
    assert_refused(state, -ENOTSUP, "newer Longboat (schema 99");
}

static void a_file_of_another_program_is_refused(void **state)
{
    mem_free(&(char *){testing_shell(state, "CREATE TABLE mine (x)")});
    assert_refused(state, -EBADMSG, "not a Longboat store");
    struct error err = {0};
    unlink(testing_path(state, "broker.db"));
    assert_int_equal(
        file_write_atomic(testing_path(state, "broker.db"),
                          span_str("This is a letter to my aunt, and long enough to be read."),
                          0600, &err),
        0);
    assert_refused(state, -EBADMSG, "not a database");
}

/* A shell has the file open for reading, so the WAL cannot be written back completely. */
static void a_file_whose_end_is_still_in_the_wal_is_accepted(void **state)
{
    struct store_heard h;
    struct error err = {0};
    sqlite3 *db;
    testing_filled(state, 4);
    assert_int_equal(
        sqlite3_open_v2(testing_path(state, "broker.db"), &db, SQLITE_OPEN_READONLY, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM journal", NULL, NULL, NULL),
                     SQLITE_OK);
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    for (unsigned i = 5; i < 200; i++)
        testing_called(s, i, i, "load");
    testing_wait_committed(s, &h, 199);
    store_close(&s);
    struct store_options o = {.path = testing_path(state, "broker.db"), .no_pregrow = true};
    if (store_open(&s, &o, &err) < 0)
        fail_msg("%s", err.text);
    testing_start(s, &h);
    assert_int_equal(h.committed, 199);
    store_close(&s);
    sqlite3_close(db);
}

static void a_truncated_file_is_refused(void **state)
{
    struct stat st;
    testing_filled(state, 300);
    assert_int_equal(stat(testing_path(state, "broker.db"), &st), 0);
    assert_int_equal(truncate(testing_path(state, "broker.db"), st.st_size - 8192), 0);
    assert_refused(state, -EBADMSG, "");
}

static void a_corrupt_file_is_refused_at_open_or_load(void **state)
{
    testing_filled(state, 300);
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
    int rc =
        store_open(&s, &(struct store_options){.path = testing_path(state, "broker.db")}, &err);
    if (rc == 0)
        rc = store_load(s, testing_take_nothing, NULL, &err);
    assert_int_equal(rc, -EBADMSG);
    store_close(&s);
}

static void a_missing_record_is_refused(void **state)
{
    testing_filled(state, 3);
    mem_free(&(char *){testing_shell(state, "DELETE FROM journal WHERE lsn = 2")});
    struct error err = {0};
    struct store *s = testing_open(state, NULL);
    assert_int_equal(store_load(s, testing_take_nothing, NULL, &err), -EBADMSG);
    assert_contains(err.text, "record 2");
    store_close(&s);
    struct buf text = {0};
    assert_int_equal(store_check(testing_path(state, "broker.db"), &text, &err), -EBADMSG);
    buf_free(&text);
}

static void a_gap_in_the_unfolded_records_is_refused(void **state)
{
    testing_filled(state, 3);
    mem_free(&(char *){testing_shell(state, "DELETE FROM journal WHERE lsn = 2")});
    mem_free(&(char *){testing_shell(state, "DELETE FROM live")});
    mem_free(&(char *){testing_shell(state, "UPDATE meta SET value = 0 WHERE name = 'folded'")});
    struct error err = {0};
    struct store *s = testing_open(state, NULL);
    assert_int_equal(store_load(s, testing_take_nothing, NULL, &err), -EBADMSG);
    assert_contains(err.text, "record 2 is missing");
    store_close(&s);
}

/* ---- A disk that counts: how often was the WAL synced? */
static sqlite3_vfs counting;
static sqlite3_io_methods counting_methods;
static const sqlite3_io_methods *plain_methods;
static int (*plain_open)(sqlite3_vfs *, sqlite3_filename, sqlite3_file *, int, int *);
static _Atomic unsigned syncs;

static int count_sync(sqlite3_file *f, int flags)
{
    syncs++;
    return plain_methods->xSync(f, flags);
}

static int open_counting(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags,
                         int *out)
{
    int rc = plain_open(v, name, f, flags, out);
    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL) && f->pMethods) {
        plain_methods = f->pMethods;
        counting_methods = *f->pMethods;
        counting_methods.xSync = count_sync;
        f->pMethods = &counting_methods;
    }
    return rc;
}

static void committed_means_synced(void **state)
{
    counting = *sqlite3_vfs_find(NULL);
    plain_open = counting.xOpen;
    counting.zName = "counting";
    counting.xOpen = open_counting;
    sqlite3_vfs_register(&counting, 1);
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    for (uint64_t lsn = 1; lsn <= 20; lsn++) {
        unsigned before = syncs;
        testing_called(s, lsn, (unsigned)lsn, "load");
        testing_wait_committed(s, &h, lsn);
        assert_true(syncs > before);
        if (lsn % 5 == 0) /* folding is not synced, but the next commit must be */
            testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 1});
    }
    store_close(&s);
    sqlite3_vfs_unregister(&counting);
}

static void a_full_disk_holds_the_batch_until_there_is_room(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, &(struct store_options){.most_bytes = 400 << 10});
    uint64_t lsn = 0;
    testing_start(s, &h);
    for (unsigned i = 0; i < 3000; i++) { /* far more than fits */
        lsn++;
        testing_called(s, lsn, (unsigned)lsn, "load");
    }
    while (!h.full)
        testing_hear(s);
    assert_true(h.committed < lsn);
    store_limit(s, 0);
    testing_wait_committed(s, &h, lsn);
    while (h.full)
        testing_hear(s);
    store_close(&s);
    s = testing_open(state, NULL);
    testing_start(s, &h);
    assert_int_equal(h.committed, lsn);
    store_close(&s);
}

static void a_full_store_can_be_closed(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, &(struct store_options){.most_bytes = 300 << 10});
    testing_start(s, &h);
    for (uint64_t lsn = 1; lsn <= 3000; lsn++)
        testing_called(s, lsn, (unsigned)lsn, "load");
    while (!h.full)
        testing_hear(s);
    store_close(&s);
}

static void another_brokers_epoch_ends_the_process(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct store_heard h;
        struct store *s = testing_open(state, NULL);
        testing_start(s, &h);
        mem_free(&(char *){
            testing_shell(state, "UPDATE meta SET value = value + 1 WHERE name = 'epoch'")});
        dup2(open("/dev/null", O_WRONLY), 2);
        testing_called(s, 1, 1, "load");
        testing_wait_committed(s, &h, 1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), EXIT_STORE);
}

static void committed_records_survive_kill_9(void **state)
{
    int tell[2];
    assert_int_equal(pipe(tell), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store_heard h;
        struct store *s = testing_open(state, NULL);
        testing_start(s, &h);
        for (uint64_t lsn = 1;; lsn++) {
            testing_called(s, lsn, (unsigned)lsn, "load");
            if (lsn % 7 == 0)
                testing_wait_committed(s, &h, lsn);
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
    struct store *s = testing_open(state, NULL);
    struct store_heard h;
    testing_start(s, &h);
    assert_true(h.committed >= told);
    store_close(&s);
}

static void the_wal_is_written_in_advance(void **state)
{
    struct store *s = NULL;
    struct error err = {0};
    struct stat st;
    assert_int_equal(
        store_open(&s, &(struct store_options){.path = testing_path(state, "broker.db")}, &err), 0);
    assert_int_equal(stat(testing_path(state, "broker.db-wal"), &st), 0);
    assert_true(st.st_size >= 16 << 20);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_second_broker_is_refused),
        in_folder(a_newer_schema_is_refused),
        in_folder(a_file_of_another_program_is_refused),
        in_folder(a_truncated_file_is_refused),
        in_folder(a_file_whose_end_is_still_in_the_wal_is_accepted),
        in_folder(a_corrupt_file_is_refused_at_open_or_load),
        in_folder(a_missing_record_is_refused),
        in_folder(a_gap_in_the_unfolded_records_is_refused),
        in_folder(committed_means_synced),
        in_folder(a_full_disk_holds_the_batch_until_there_is_room),
        in_folder(a_full_store_can_be_closed),
        in_folder(another_brokers_epoch_ends_the_process),
        in_folder(committed_records_survive_kill_9),
        in_folder(the_wal_is_written_in_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
