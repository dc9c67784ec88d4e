/* iofaults_test.c - promise 15: the nth write, sync, truncation, opening, deletion, read or mapping
 * of a broker's life fails, for every n (`make check` samples long lives and series of failures;
 * `make faults` leaves none out). The process ends with EXIT_STORE, or refuses to start, or (disk
 * full) keeps the batch and goes on; what it had reported committed is there for its successor,
 * even if the power fails at the same moment. */
#include "broker/store/testscript.h"

struct tally {
    unsigned points, ended, refused, went_on;
};

/* A harmless failure: everything is committed and synced, and only the tidying is left undone. */
static bool may_go_on(const struct disk_fault *f)
{
    return (f->code == SQLITE_FULL && !disk_now->failed[1]) || disk_now->failed_closing ||
           f->kind == DISK_DELETE;
}

static void judge_end(struct script *s, const struct disk_fault *f, int code, const char *where,
                      struct tally *t)
{
    t->points++;
    t->ended += code == EXIT_STORE;
    t->refused += code == SCRIPT_REFUSED;
    t->went_on += code == 0;
    if (code != EXIT_STORE && code != SCRIPT_REFUSED && code != 0)
        fail_msg("%s: exit code %d", where, code);
    if (code == 0 && !may_go_on(f))
        fail_msg("%s: the broker went on as if nothing had failed", where);
    if (code == 0 && disk_now->reported != s->n)
        fail_msg("%s: the broker ended well with %d records of %u reported", where,
                 (int)disk_now->reported, s->n);
    uint64_t reported = disk_now->reported;
    disk_now->recording = false;
    memset(disk_now->fault, 0, sizeof disk_now->fault);
    script_judge(s, reported, where);
    script_judge_cut(s, disk_now->n_ops, DISK_ONLY_SYNCED, 1);
    script_judge_cut(s, disk_now->n_ops, DISK_TORN, t->points * 2654435761u);
}

/* `before` was run without a fault; NULL: the file is new. */
static void fail_every(struct script *s, void before(struct script *), void live(struct script *),
                       struct disk_fault fault, struct disk_fault then, unsigned stride)
{
    struct tally t = {0};
    for (fault.nth = 1;; fault.nth += stride) {
        char where[120];
        snprintf(where, sizeof where, "%s %u fails with %s", disk_words[fault.kind], fault.nth,
                 sqlite3_errstr(fault.code));
        script_clear(s);
        disk_mend();
        disk_now->recording = true;
        if (before)
            assert_int_equal(script_run(s, before), 0);
        disk_now->fault[0] = fault;
        disk_now->fault[1] = then;
        int code = script_run(s, live);
        if (!disk_now->failed[0])
            break;
        judge_end(s, &fault, code, where, &t);
    }
    disk_now->recording = false;
    memset(disk_now->fault, 0, sizeof disk_now->fault);
    print_message("%s, %s: %u points; %u ended with EXIT_STORE, %u refused to start, %u went on\n",
                  disk_words[fault.kind], sqlite3_errstr(fault.code), t.points, t.ended, t.refused,
                  t.went_on);
    assert_true(t.points > 0);
}

static const struct disk_fault NOTHING = {0};

#define ONCE(k, c) \
    (struct disk_fault) \
    { \
        .kind = DISK_##k, .times = 1, .code = (c) \
    }

static void a_failed_write_ends_the_process_and_loses_nothing(void **state)
{
    struct script s;
    script_begin(&s, *state, 16);
    fail_every(&s, NULL, script_live, ONCE(WRITE, SQLITE_IOERR_WRITE), NOTHING, 1);
    script_end(&s);
}

static void a_failed_sync_ends_the_process_and_is_never_retried(void **state)
{
    struct script s;
    script_begin(&s, *state, 40);
    fail_every(&s, NULL, script_live, ONCE(SYNC, SQLITE_IOERR_FSYNC), NOTHING, 1);
    script_end(&s);
}

static void a_fault_while_taking_over_a_wal_loses_nothing(void **state)
{
    struct script s;
    script_begin(&s, *state, 24);
    fail_every(&s, script_live_first, script_live_second, ONCE(SYNC, SQLITE_IOERR_FSYNC), NOTHING,
               1);
    fail_every(&s, script_live_first, script_live_second, ONCE(WRITE, SQLITE_IOERR_WRITE), NOTHING,
               1);
    fail_every(&s, script_live_first, script_live_second, ONCE(READ, SQLITE_IOERR_READ), NOTHING,
               1);
    script_end(&s);
}

static void a_failed_truncation_opening_mapping_or_deletion_loses_nothing(void **state)
{
    struct script s;
    script_begin(&s, *state, 16);
    fail_every(&s, NULL, script_live, ONCE(TRUNCATE, SQLITE_IOERR_TRUNCATE), NOTHING, 1);
    fail_every(&s, NULL, script_live, ONCE(OPEN, SQLITE_CANTOPEN), NOTHING, 1);
    fail_every(&s, NULL, script_live, ONCE(MAP, SQLITE_IOERR_SHMMAP), NOTHING, 1);
    fail_every(&s, NULL, script_live, ONCE(DELETE, SQLITE_IOERR_DELETE), NOTHING, 1);
    script_end(&s);
}

static void a_failed_read_is_never_taken_for_an_answer(void **state)
{
    struct script s;
    script_begin(&s, *state, 16);
    fail_every(&s, NULL, script_live, ONCE(READ, SQLITE_IOERR_READ), NOTHING, 1);
    script_end(&s);
}

static void a_fault_while_the_wal_is_written_back_loses_nothing(void **state)
{
    struct script s;
    script_begin(&s, *state, 300);
    fail_every(&s, NULL, script_live_long, ONCE(SYNC, SQLITE_IOERR_FSYNC), NOTHING,
               script_stride(23));
    fail_every(&s, NULL, script_live_long, ONCE(WRITE, SQLITE_IOERR_WRITE), NOTHING,
               script_stride(173));
    script_end(&s);
}

/* ---- Retention: no record is appended, so the check is simpler: live records are loaded as
   before. */
static int hash_live(void *self, uint64_t lsn, struct span body, struct error *err)
{
    uint64_t kind;
    size_t size;
    if (wire_peek(body, &kind, &size, err) == 0 && kind != KIND_R_KEPT && kind != KIND_R_SERVER) {
        buf_add(self, &lsn, 8);
        buf_add(self, body.p, body.n);
    }
    return 0;
}

static void load_live(struct script *s, struct buf *ret, const char *where)
{
    struct error err = {0};
    struct store_options o = script_options(s);
    struct store *store = NULL;
    struct buf text = {0};
    buf_clear(ret);
    if (store_open(&store, &o, &err) < 0 || store_load(store, hash_live, ret, &err) < 0)
        fail_msg("%s: %s", where, err.text);
    store_close(&store);
    if (store_check(s->path, &text, &err) < 0)
        fail_msg("%s: %s", where, err.text);
    buf_free(&text);
}

static void dropping_history_is_atomic_under_faults(void **state)
{
    static const struct disk_fault faults[] = {{DISK_WRITE, 0, 1, SQLITE_IOERR_WRITE},
                                               {DISK_SYNC, 0, 1, SQLITE_IOERR_FSYNC},
                                               {DISK_READ, 0, 1, SQLITE_IOERR_READ}};
    struct script s;
    struct buf live = {0}, now = {0}, whole = {0};
    script_begin(&s, *state, 40);
    disk_mend();
    assert_int_equal(script_run(&s, script_live), 0);
    assert_int_equal(file_read(s.path, 16 << 20, &whole, NULL), 0);
    load_live(&s, &live, "before");
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct disk_fault f = faults[i];
        unsigned ended = 0, points = 0;
        for (f.nth = 1;; f.nth++) {
            char where[120];
            snprintf(where, sizeof where, "dropping: %s %u fails", disk_words[f.kind], f.nth);
            script_clear(&s);
            disk_mend();
            assert_int_equal(file_write_atomic(s.path, buf_span(&whole), 0600, NULL), 0);
            disk_now->fault[0] = f;
            int code = script_run(&s, script_live_dropping);
            f.nth = disk_now->failed[0] ? f.nth : 0;
            bool closing = disk_now->failed_closing;
            memset(disk_now->fault, 0, sizeof disk_now->fault);
            if (code != EXIT_STORE && code != SCRIPT_REFUSED && (code != 0 || (f.nth && !closing)))
                fail_msg("%s: exit code %d", where, code);
            load_live(&s, &now, where);
            assert_int_equal(now.n, live.n);
            assert_memory_equal(now.p, live.p, live.n);
            ended += code == EXIT_STORE;
            if (!f.nth)
                break;
            points++;
        }
        /* dropping itself is not synced */
        assert_true(points > 0 && (ended > 0 || f.kind == DISK_SYNC));
        print_message("dropping, %s: %u points, %u ended with EXIT_STORE\n", disk_words[f.kind],
                      points, ended);
    }
    buf_free(&live);
    buf_free(&now);
    buf_free(&whole);
    script_end(&s);
}

static void a_full_disk_keeps_the_batch_and_goes_on(void **state)
{
    struct script s;
    script_begin(&s, *state, 16);
    fail_every(&s, NULL, script_live, ONCE(WRITE, SQLITE_FULL), NOTHING, 1);
    fail_every(&s, NULL, script_live,
               (struct disk_fault){.kind = DISK_WRITE, .times = 4, .code = SQLITE_FULL}, NOTHING,
               script_stride(7));
    script_end(&s);
}

enum { TRIES_MAX = 50, LOOK_MS = 200 };

/* The store's threads already use the disk. Returns how often the previous fault has occurred. */
static unsigned fault_while_used(struct disk_fault f)
{
    pthread_mutex_lock(&disk_mutex);
    unsigned failed = disk_now->failed[0];
    disk_now->fault[0] = f;
    pthread_mutex_unlock(&disk_mutex);
    return failed;
}

/* A question waits for records that cannot be folded now; meanwhile the disk is tried occasionally,
   not continuously. */
static void live_and_ask_while_full(struct script *s)
{
    script_open(s);
    script_append(s, 0, SCRIPT_TURN);
    fault_while_used(
        (struct disk_fault){.kind = DISK_WRITE, .nth = 1, .times = 1000000, .code = SQLITE_FULL});
    script_ask(s);
    poll(NULL, 0, LOOK_MS);
    unsigned tries = fault_while_used((struct disk_fault){0});
    script_append(s, SCRIPT_TURN, 2 * SCRIPT_TURN);
    script_close(s);
    _exit(tries > 0 && tries < TRIES_MAX ? 0 : 93);
}

static void a_full_disk_is_retried_only_after_a_pause(void **state)
{
    struct script s;
    script_begin(&s, *state, 16);
    disk_mend();
    assert_int_equal(script_run(&s, live_and_ask_while_full), 0);
    script_judge(&s, 2 * SCRIPT_TURN, "after a full disk");
    script_end(&s);
}

static void a_failed_sync_on_a_full_disk_ends_the_process(void **state)
{
    struct script s;
    script_begin(&s, *state, 16);
    for (unsigned sync = 1; sync <= 2; sync++)
        fail_every(&s, script_live_first, script_live_second, ONCE(WRITE, SQLITE_FULL),
                   (struct disk_fault){
                       .kind = DISK_SYNC, .nth = sync, .times = 1, .code = SQLITE_IOERR_FSYNC},
                   script_stride(2));
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_failed_write_ends_the_process_and_loses_nothing),
        in_world(a_failed_sync_ends_the_process_and_is_never_retried),
        in_world(a_fault_while_taking_over_a_wal_loses_nothing),
        in_world(a_failed_truncation_opening_mapping_or_deletion_loses_nothing),
        in_world(a_failed_read_is_never_taken_for_an_answer),
        in_world(a_fault_while_the_wal_is_written_back_loses_nothing),
        in_world(dropping_history_is_atomic_under_faults),
        in_world(a_full_disk_keeps_the_batch_and_goes_on),
        in_world(a_full_disk_is_retried_only_after_a_pause),
        in_world(a_failed_sync_on_a_full_disk_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
