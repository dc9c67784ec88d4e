/* bitflip_test.c - one bit of the file has flipped. The broker refuses to start or ends with
 * EXIT_STORE, and leaves the file unrepaired; or it goes on. It never crashes. SQLite keeps no
 * checksums of pages: a bit within a value may go unseen; the printed counts say how often. */
#include "broker/store/testing.h"

enum { RUNS = 60, FLIPS_A_PAGE = 6, PAGE = 4096, REFUSED = 3, OTHER = 4 };

static void live(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    uint64_t lsn = 0;
    testing_start(s, &h);
    for (unsigned i = 0; i < RUNS; i++) {
        testing_called(s, ++lsn, i, "load");
        testing_assigned(s, ++lsn, i);
        if (i % 2)
            testing_ended(s, ++lsn, i, STATUS_FAILED);
    }
    testing_wait_committed(s, &h, lsn);
    store_close(&s);
}

static int add_record(void *self, uint64_t lsn, struct span body, struct error *err)
{
    (void)err;
    buf_add(self, &lsn, sizeof lsn);
    buf_add(self, body.p, body.n);
    return 0;
}

struct bitflip_reading {
    struct buf all;
    unsigned answers;
};

static void read_answer(void *self, const struct store_answer *a)
{
    struct bitflip_reading *r = self;
    r->answers++;
    for (unsigned i = 0; i < a->n_rows; i++) {
        const struct store_ended *e = &a->rows[i];
        buf_printf(&r->all, "%llu %s %s %s %s %s %llu %lld\n", (unsigned long long)e->lsn,
                   e->principal, e->key, e->job, e->server, e->message,
                   (unsigned long long)e->status, (long long)e->ended_at);
    }
    for (unsigned i = 0; i < a->n_records; i++)
        add_record(&r->all, a->records[i].lsn, a->records[i].body, NULL);
}

/* Everything that the store returns; in a child, which may end with EXIT_STORE. */
static int read_all(void **state, struct bitflip_reading *ret)
{
    struct store *s = NULL;
    struct error err = {0};
    struct store_heard h = {0};
    struct store_options o = {
        .path = testing_path(state, "broker.db"), .no_pregrow = true, .reserve_bytes = 1};
    if (store_open(&s, &o, &err) < 0 || store_load(s, add_record, &ret->all, &err) < 0) {
        store_close(&s);
        return err.text[0] ? REFUSED : 1;
    }
    if (store_start(s, &(struct store_calls){&h, testing_on_committed, testing_on_full}, &err) < 0)
        return 1;
    store_ask(s, &(struct store_question){.what = STORE_HISTORY, .most = RUNS}, read_answer, ret);
    store_ask(s, &(struct store_question){.what = STORE_EVENTS, .upto = 10000, .most = 3 * RUNS},
              read_answer, ret);
    while (ret->answers < 2)
        testing_hear(s);
    store_close(&s);
    return 0;
}

static int read_in_child(void **state, const struct buf *expected)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct bitflip_reading r = {0};
        dup2(open("/dev/null", O_WRONLY), 2);
        signal(SIGSEGV, SIG_DFL), signal(SIGABRT, SIG_DFL);
        int rc = read_all(state, &r);
        _exit(rc || (r.all.n == expected->n && memcmp(r.all.p, expected->p, r.all.n) == 0) ? rc
                                                                                           : OTHER);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fail_msg("the broker ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void write_file(void **state, const struct buf *whole)
{
    unlink(testing_path(state, "broker.db-wal"));
    unlink(testing_path(state, "broker.db-shm"));
    int fd = open(testing_path(state, "broker.db"), O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, whole->p, whole->n), whole->n);
    close(fd);
}

static void a_flipped_bit_never_crashes_the_broker_and_is_never_repaired(void **state)
{
    struct buf whole = {0}, after = {0};
    struct bitflip_reading expected = {0};
    unsigned counts[5] = {0}, n = 0;
    uint64_t chance = 88172645463325252u;
    live(state);
    assert_int_equal(file_read(testing_path(state, "broker.db"), 16 << 20, &whole, NULL), 0);
    assert_int_equal(read_all(state, &expected), 0);
    for (size_t page = 0; page < whole.n; page += PAGE)
        for (unsigned i = 0; i < FLIPS_A_PAGE; i++, n++) {
            chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
            /* half of them in the page's header, which describes its layout */
            size_t at = page + (i % 2 ? chance % PAGE : chance % 64);
            uint8_t bit = (uint8_t)(1u << (chance >> 40) % 8);
            whole.p[at] ^= bit;
            write_file(state, &whole);
            int code = read_in_child(state, &expected.all);
            if (code != 0 && code != REFUSED && code != OTHER && code != EXIT_STORE)
                fail_msg("bit %d of byte %zu flipped: exit code %d", bit, at, code);
            counts[code == EXIT_STORE ? 1 : code]++;
            buf_clear(&after);
            assert_int_equal(file_read(testing_path(state, "broker.db"), 16 << 20, &after, NULL),
                             0);
            if (code == REFUSED && (after.n != whole.n || memcmp(after.p, whole.p, whole.n) != 0))
                fail_msg("bit %d of byte %zu flipped: refused, but the file was changed", bit, at);
            whole.p[at] ^= bit;
        }
    print_message("%u bits flipped: %u refused, %u ended with EXIT_STORE, %u read as before, "
                  "%u unseen within a value\n",
                  n, counts[REFUSED], counts[1], counts[0], counts[OTHER]);
    assert_true(counts[REFUSED] > 0);
    buf_free(&whole);
    buf_free(&after);
    buf_free(&expected.all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_flipped_bit_never_crashes_the_broker_and_is_never_repaired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
