/* upkeep_test.c - promise 15 for what people do with a store: the nth read, write, sync, opening,
 * truncation or deletion of a backup or of a check fails, for every n. A backup is complete or
 * absent; a check that could not read does not pass. The store itself stays unchanged. */
#include "broker/store/testscript.h"

#include "common/options.h"

enum { DONE = 0, SAID_NO = 10 };

static char *copy_of(const struct script *s, const char *suffix)
{
    return mem_printf("%s/copy.db%s", s->folder, suffix);
}

static void live_backup(struct script *s)
{
    struct error err = {0};
    char *to = copy_of(s, "");
    _exit(store_backup(s->path, to, &err) == 0 ? DONE : err.text[0] ? SAID_NO : 90);
}

static void live_check(struct script *s)
{
    struct error err = {0};
    struct buf text = {0};
    _exit(store_check(s->path, &text, &err) == 0 ? DONE : err.text[0] ? SAID_NO : 90);
}

static void remove_copy(const struct script *s, bool there, const char *where)
{
    static const char *const suffix[] = {"-journal", "-wal", "-shm", ""};
    for (unsigned i = 0; i < COUNT_OF(suffix); i++) {
        char *name = copy_of(s, suffix[i]);
        bool is = unlink(name) == 0;
        if (is != (there && !*suffix[i]))
            fail_msg("%s: %s is %s", where, name, is ? "left" : "missing");
        mem_free(&name);
    }
}

static void judge_copy(struct script *s, int code, const char *where)
{
    struct buf text = {0};
    struct error err = {0};
    char *to = copy_of(s, "");
    if (code == DONE && (store_check(to, &text, &err) < 0 || !strstr(buf_str(&text), "a backup")))
        fail_msg("%s: %s%s", where, err.text, buf_str(&text));
    remove_copy(s, code == DONE, where);
    buf_free(&text);
    mem_free(&to);
}

static void judge_check(struct script *s, int code, const char *where)
{
    (void)s;
    if (code == DONE)
        fail_msg("%s: the store was said to be whole", where);
}

static void fail_every(void **state, void live(struct script *),
                       void judge(struct script *, int, const char *),
                       const struct disk_fault *faults, unsigned n)
{
    struct script s;
    script_begin(&s, *state, 16);
    disk_mend();
    assert_int_equal(script_run(&s, script_live), 0);
    for (unsigned i = 0; i < n; i++) {
        struct disk_fault f = faults[i];
        unsigned said_no = 0;
        for (f.nth = 1;; f.nth++) {
            char where[120];
            snprintf(where, sizeof where, "%s %u fails with %s", disk_words[f.kind], f.nth,
                     sqlite3_errstr(f.code));
            disk_mend();
            disk_now->fault[0] = f;
            int code = script_run(&s, live);
            bool failed = disk_now->failed[0];
            memset(disk_now->fault, 0, sizeof disk_now->fault);
            if (code != DONE && code != SAID_NO)
                fail_msg("%s: exit code %d", where, code);
            if (!failed) {
                assert_int_equal(code, DONE);
                if (live == live_backup)
                    judge(&s, code, "without a fault");
                break;
            }
            judge(&s, code, where);
            said_no += code == SAID_NO;
        }
        print_message("%s: %u points, %u refused\n", disk_words[f.kind], f.nth - 1, said_no);
        assert_true(f.nth > 1);
    }
    script_judge(&s, s.n, "after all of it");
    script_end(&s);
}

static void a_backup_is_complete_or_absent(void **state)
{
    static const struct disk_fault faults[] = {
        {DISK_READ, 0, 1, SQLITE_IOERR_READ}, {DISK_WRITE, 0, 1, SQLITE_IOERR_WRITE},
        {DISK_WRITE, 0, 1, SQLITE_FULL},      {DISK_SYNC, 0, 1, SQLITE_IOERR_FSYNC},
        {DISK_OPEN, 0, 1, SQLITE_CANTOPEN},   {DISK_DELETE, 0, 1, SQLITE_IOERR_DELETE}};
    fail_every(state, live_backup, judge_copy, faults, COUNT_OF(faults));
}

static void forget_copies(const struct script *s)
{
    static const char *const suffix[] = {"", "-journal", ".part", ".part-journal"};
    for (unsigned i = 0; i < COUNT_OF(suffix); i++) {
        char *name = copy_of(s, suffix[i]);
        unlink(name);
        mem_free(&name);
    }
}

/* A broker that started from an unmarked copy would go on as if nothing had happened since. */
static void a_killed_backup_leaves_nothing_that_looks_like_a_store(void **state)
{
    static const enum disk_kind at[] = {DISK_WRITE, DISK_SYNC, DISK_OPEN, DISK_DELETE};
    struct script s;
    script_begin(&s, *state, 16);
    disk_mend();
    assert_int_equal(script_run(&s, script_live), 0);
    for (unsigned i = 0; i < COUNT_OF(at); i++) {
        int code = DISK_KILLED;
        for (unsigned n = 1; code == DISK_KILLED; n++) {
            struct buf text = {0};
            struct error err = {0};
            char *to = copy_of(&s, "");
            disk_mend();
            disk_now->fault[0] = (struct disk_fault){at[i], n, 1, DISK_KILLS};
            code = script_run(&s, live_backup);
            memset(disk_now->fault, 0, sizeof disk_now->fault);
            if (store_check(to, &text, &err) == 0 && !strstr(buf_str(&text), "a backup"))
                fail_msg("killed at %s %u: %s", disk_words[at[i]], n, buf_str(&text));
            if (code == DISK_KILLED && i == 0) {
                /* what it left does not block the next backup */
                unlink(to);
                disk_mend();
                assert_int_equal(script_run(&s, live_backup), DONE);
            }
            forget_copies(&s);
            buf_free(&text);
            mem_free(&to);
        }
        assert_int_equal(code, DONE);
    }
    script_end(&s);
}

static void a_check_that_cannot_read_does_not_pass(void **state)
{
    static const struct disk_fault faults[] = {{DISK_READ, 0, 1, SQLITE_IOERR_READ},
                                               {DISK_OPEN, 0, 1, SQLITE_CANTOPEN}};
    fail_every(state, live_check, judge_check, faults, COUNT_OF(faults));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_backup_is_complete_or_absent),
        in_world(a_killed_backup_leaves_nothing_that_looks_like_a_store),
        in_world(a_check_that_cannot_read_does_not_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
