#include "runner/replay.h"

#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/aside.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/spoolfile.h"

#define NOW     1700000000000LL
#define EXPIRES (NOW + 86400000)

static const struct id boots[] = {{{1}}, {{2}}};

/* Step "load", try 1, of attempt 1 of call n, which is run n. */
static struct seen_step step_of(unsigned n)
{
    struct seen_step s = {.caller = 7,
                          .attempt = 1,
                          .step = span_str("load"),
                          .try_no = 1,
                          .issued_at = NOW - 1000,
                          .expires = EXPIRES};
    memcpy(s.identity.b, &n, sizeof n);
    s.identity.b[31] = 1;
    memcpy(s.run.b, &n, sizeof n);
    s.run.b[15] = 1;
    return s;
}

static struct replay *open_in(const char *folder, unsigned boot, size_t most)
{
    struct replay *r = NULL;
    struct error err = {0};
    const struct replay_options o = {.folder = folder, .boot = boots[boot], .most = most};
    if (replay_open(&r, &o, NOW, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static void commit(struct replay *r)
{
    struct error err = {0};
    if (replay_commit(r, NOW, &err) < 0)
        fail_msg("%s", err.text);
}

static void settle(struct replay *r, bool doubt)
{
    struct error err = {0};
    assert_int_equal(replay_settle(r, doubt, NOW, &err), 0);
}

static enum seen_answer ask(struct replay *r, const struct seen_step *s)
{
    int64_t begun;
    struct error err = {0};
    return replay_ask(r, s, NOW, &begun, &err);
}

static void run(struct replay *r, unsigned n)
{
    struct seen_step s = step_of(n);
    assert_int_equal(ask(r, &s), SEEN_NEW);
    replay_accept(r, &s, NOW);
    commit(r);
    replay_begun(r, &s, NOW);
}

static void what_has_begun_is_known_after_a_restart(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step s = step_of(1), other = step_of(1);
    run(r, 1);
    replay_close(&r);
    r = open_in(*state, 0, 100);
    settle(r, false);
    assert_int_equal(ask(r, &s), SEEN_SAME);
    other.run.b[3] = 9;
    assert_int_equal(ask(r, &other), SEEN_REPLAYED);
    replay_close(&r);
}

static void what_was_accepted_and_not_begun_is_forgotten_in_the_same_boot(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step s = step_of(1);
    replay_accept(r, &s, NOW);
    commit(r);
    replay_close(&r);
    r = open_in(*state, 0, 100);
    settle(r, false);
    assert_int_equal(ask(r, &s), SEEN_NEW);
    replay_close(&r);
    /* and it stays forgotten, even after a boot */
    r = open_in(*state, 1, 100);
    settle(r, false);
    assert_int_equal(ask(r, &s), SEEN_NEW);
    replay_close(&r);
}

static void after_another_boot_what_was_accepted_counts_as_begun(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step s = step_of(1);
    replay_accept(r, &s, NOW);
    commit(r);
    replay_close(&r);
    for (unsigned i = 0; i < 2; i++) { /* and in each further start of that boot */
        r = open_in(*state, 1, 100);
        settle(r, false);
        assert_int_equal(ask(r, &s), SEEN_SAME);
        replay_close(&r);
    }
}

static void what_keepers_may_have_begun_counts_as_begun(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step held = step_of(1), doubtful = step_of(2);
    replay_accept(r, &held, NOW);
    commit(r);
    replay_close(&r);
    r = open_in(*state, 0, 100);
    replay_taken(r, &held, false, NOW);
    settle(r, false);
    assert_int_equal(ask(r, &held), SEEN_SAME);
    replay_accept(r, &doubtful, NOW);
    commit(r);
    replay_close(&r);
    r = open_in(*state, 0, 100);
    settle(r, true);
    assert_int_equal(ask(r, &doubtful), SEEN_SAME);
    replay_close(&r);
}

static void an_older_attempt_is_never_run_again(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step s = step_of(1);
    run(r, 1);
    s.attempt = 2;
    assert_int_equal(ask(r, &s), SEEN_REPLAYED);
    s.may_repeat = true;
    assert_int_equal(ask(r, &s), SEEN_NEW);
    replay_accept(r, &s, NOW);
    commit(r);
    replay_forget(r, &s, NOW); /* its keeper died first */
    commit(r);
    s.attempt = 1;
    assert_int_equal(ask(r, &s), SEEN_REPLAYED);
    replay_close(&r);
    r = open_in(*state, 0, 100);
    settle(r, false);
    assert_int_equal(ask(r, &s), SEEN_REPLAYED);
    replay_close(&r);
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static void a_file_that_has_doubled_is_written_anew_and_forgets_nothing(void **state)
{
    struct replay *r = open_in(*state, 0, 1000);
    const char *path = testing_path(state, "replay");
    int64_t most = 0, size;
    bool shrunk = false;
    for (unsigned n = 0; n < 500; n++)
        run(r, n);
    struct seen_step loop = step_of(0);
    for (unsigned n = 0; n < 20000; n++) { /* of one step, again and again */
        replay_forget(r, &loop, NOW);
        replay_accept(r, &loop, NOW);
        replay_begun(r, &loop, NOW);
        commit(r);
        size = size_of(path);
        shrunk |= size < most;
        most = size > most ? size : most;
    }
    assert_true(shrunk);
    assert_true(most < 2 << 20);
    replay_close(&r);
    r = open_in(*state, 0, 1000);
    settle(r, false);
    for (unsigned n = 0; n < 500; n++) {
        struct seen_step s = step_of(n);
        assert_int_equal(ask(r, &s), SEEN_SAME);
    }
    assert_int_equal(size_of(testing_path(state, "replay.next")), 0);
    replay_close(&r);
}

static void copy_prefix(const char *from, int64_t n, const char *to)
{
    struct buf b = {0};
    assert_int_equal(file_read(from, 1 << 20, &b, NULL), 0);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.p, (size_t)n), n);
    close(fd);
    buf_free(&b);
}

/* Wherever a write ends, what was committed before it is known, and the start works. */
static void a_kill_in_the_middle_of_any_write_loses_only_that_write(void **state)
{
    enum { STEPS = 5 };
    struct replay *r = open_in(*state, 0, 100);
    char path[600], cut[600], folder[600];
    int64_t after[STEPS + 1];
    snprintf(path, sizeof path, "%s", testing_path(state, "replay"));
    snprintf(folder, sizeof folder, "%s", testing_path(state, "cut"));
    snprintf(cut, sizeof cut, "%s", testing_path(state, "cut/replay"));
    mkdir(folder, 0700);
    after[0] = size_of(path);
    for (unsigned n = 0; n < STEPS; n++) {
        run(r, n);
        commit(r);
        after[n + 1] = size_of(path);
    }
    replay_close(&r);
    for (int64_t size = 0; size <= after[STEPS]; size++) {
        copy_prefix(path, size, cut);
        r = open_in(folder, 0, 100);
        settle(r, false);
        for (unsigned n = 0; n < STEPS; n++) {
            struct seen_step s = step_of(n);
            if (size >= after[n + 1])
                assert_int_equal(ask(r, &s), SEEN_SAME);
            else if (size <= after[n])
                assert_int_equal(ask(r, &s), SEEN_NEW);
        }
        replay_close(&r);
    }
}

static void the_old_file_counts_until_the_new_one_is_whole(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step s = step_of(1);
    run(r, 1);
    replay_close(&r);
    /* a runner was killed while it wrote it anew */
    copy_prefix(testing_path(state, "replay"), 20, testing_path(state, "replay.next"));
    r = open_in(*state, 0, 100);
    settle(r, false);
    assert_int_equal(ask(r, &s), SEEN_SAME);
    replay_close(&r);
}

static void a_full_table_takes_no_new_call_until_one_expires(void **state)
{
    struct replay *r = open_in(*state, 0, 8);
    struct seen_step s;
    struct error err = {0};
    int64_t begun;
    for (unsigned n = 0; n < 8; n++) {
        s = step_of(n);
        s.caller = 1 + n % 2;
        s.expires = n == 3 ? NOW + 10 : EXPIRES;
        assert_int_equal(ask(r, &s), SEEN_NEW);
        replay_accept(r, &s, NOW);
    }
    commit(r);
    s = step_of(100);
    assert_int_equal(replay_ask(r, &s, NOW, &begun, &err), SEEN_FULL);
    assert_contains(err.text, "full");
    struct seen_step known = step_of(0);
    assert_int_equal(ask(r, &known), SEEN_SAME);
    assert_int_equal(replay_ask(r, &s, NOW + 5000, &begun, &err), SEEN_NEW);
    replay_close(&r);
}

static void one_caller_does_not_fill_the_table_for_others(void **state)
{
    struct replay *r = open_in(*state, 0, 8);
    struct seen_step s;
    for (unsigned n = 0; n < 6; n++)
        run(r, n);
    s = step_of(7);
    assert_int_equal(ask(r, &s), SEEN_FULL);
    s.caller = 8;
    assert_int_equal(ask(r, &s), SEEN_NEW);
    replay_close(&r);
    r = open_in(*state, 0, 8); /* the share is known after a restart, too */
    settle(r, false);
    s.caller = 7;
    assert_int_equal(ask(r, &s), SEEN_FULL);
    replay_close(&r);
}

/* The start always works, a step that is known is never taken for another, and after damage that
 * can hide a call, calls of before are refused. */
static void any_damaged_byte_lets_no_call_run_again(void **state)
{
    enum { STEPS = 3 };
    struct replay *r = open_in(*state, 0, 100);
    struct buf whole = {0};
    char path[600], folder[600], bad[600];
    snprintf(path, sizeof path, "%s", testing_path(state, "replay"));
    snprintf(folder, sizeof folder, "%s", testing_path(state, "bad"));
    snprintf(bad, sizeof bad, "%s", testing_path(state, "bad/replay"));
    mkdir(folder, 0700);
    for (unsigned n = 0; n < STEPS; n++)
        run(r, n);
    replay_close(&r);
    assert_int_equal(file_read(path, 1 << 20, &whole, NULL), 0);
    for (size_t i = 0; i < whole.n; i++) {
        whole.p[i] ^= 0xff;
        assert_int_equal(file_write_atomic(bad, buf_span(&whole), 0600, NULL), 0);
        whole.p[i] ^= 0xff;
        r = open_in(folder, 0, 100);
        settle(r, false);
        for (unsigned n = 0; n + 1 < STEPS;
             n++) { /* the last write may be torn: it has no effect */
            struct seen_step s = step_of(n);
            assert_int_not_equal(ask(r, &s), SEEN_NEW);
        }
        struct seen_step fresh = step_of(9);
        fresh.issued_at = NOW + 1;
        assert_int_equal(ask(r, &fresh), SEEN_NEW);
        replay_close(&r);
        assert_int_equal(file_remove_tree(folder, NULL), 0);
        mkdir(folder, 0700);
    }
    buf_free(&whole);
}

static void damage_is_set_aside_and_said(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct buf whole = {0};
    run(r, 1);
    run(r, 2);
    replay_close(&r);
    assert_int_equal(file_read(testing_path(state, "replay"), 1 << 20, &whole, NULL), 0);
    whole.p[60] ^= 0xff;
    assert_int_equal(file_write_atomic(testing_path(state, "replay"), buf_span(&whole), 0600, NULL),
                     0);
    r = open_in(*state, 0, 100);
    assert_contains(replay_trouble(r), "damaged");
    assert_int_equal(aside_count(*state), 1);
    replay_close(&r);
    r = open_in(*state, 0, 100); /* the next start finds a sound file, which says since when */
    assert_string_equal(replay_trouble(r), "");
    struct seen_step old = step_of(50);
    assert_int_equal(ask(r, &old), SEEN_REPLAYED);
    replay_close(&r);
    buf_free(&whole);
}

static void what_cannot_be_written_is_not_accepted(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step s = step_of(1);
    struct error err = {0};
    struct rlimit was, none = {.rlim_cur = (rlim_t)size_of(testing_path(state, "replay"))};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    none.rlim_max = was.rlim_max;
    replay_accept(r, &s, NOW);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int rc = replay_commit(r, NOW, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_true(rc < 0);
    assert_contains(err.text, "nothing new is started");
    assert_int_equal(ask(r, &s), SEEN_NEW);
    replay_accept(r, &s, NOW);
    commit(r);
    assert_int_equal(ask(r, &s), SEEN_SAME);
    replay_close(&r);
}

static void add_launched(const char *path, unsigned n)
{
    struct spoolfile *f = NULL;
    struct buf b = {0};
    struct seen_step s = step_of(n);
    assert_int_equal(spoolfile_open_append(path, 0600, &f, NULL, NULL), 0);
    s_launched_encode(&(struct s_launched){.run = s.run,
                                           .attempt = s.attempt,
                                           .step = s.step,
                                           .try_no = s.try_no,
                                           .at = NOW,
                                           .identity = s.identity,
                                           .expires = s.expires},
                      &b);
    assert_int_equal(spoolfile_append(f, buf_span(&b), NULL), 0);
    spoolfile_close(&f);
    buf_free(&b);
}

static void what_the_keepers_files_say_is_added(void **state)
{
    struct replay *r;
    struct error err = {0};
    bool doubt;
    struct seen_step s = step_of(1), other = step_of(2);
    add_launched(testing_path(state, "keeper-1.log"), 1);
    add_launched(testing_path(state, "keeper-1.log"), 2);
    r = open_in(*state, 0, 100);
    assert_int_equal(replay_load(r, *state, &doubt, &err), 0);
    assert_false(doubt);
    settle(r, false);
    replay_close(&r);
    unlink(testing_path(state, "keeper-1.log")); /* tidied */
    r = open_in(*state, 0, 100);
    assert_int_equal(replay_load(r, *state, &doubt, &err), 0);
    settle(r, false);
    assert_int_equal(ask(r, &s), SEEN_SAME);
    assert_int_equal(ask(r, &other), SEEN_SAME);
    replay_close(&r);
}

static void a_damaged_keepers_file_leaves_a_doubt(void **state)
{
    struct error err = {0};
    struct buf b = {0};
    bool doubt;
    const char *path = testing_path(state, "keeper-1.log");
    add_launched(path, 1);
    add_launched(path, 2);
    assert_int_equal(file_read(path, 1 << 20, &b, NULL), 0);
    for (size_t i = 0; i < b.n; i++) {
        struct replay *r = open_in(*state, 0, 100);
        b.p[i] ^= 0xff;
        assert_int_equal(file_write_atomic(path, buf_span(&b), 0600, NULL), 0);
        b.p[i] ^= 0xff;
        assert_int_equal(replay_load(r, *state, &doubt, &err), 0);
        assert_true(doubt);
        replay_close(&r);
    }
    buf_free(&b);
}

static void a_call_is_forgotten_long_after_it_expired(void **state)
{
    struct replay *r = open_in(*state, 0, 100);
    struct seen_step s = step_of(1);
    run(r, 1);
    replay_close(&r);
    r = open_in(*state, 0, 100);
    assert_int_equal(ask(r, &s), SEEN_SAME);
    for (unsigned n = 0; n < 20000; n++) { /* until it is written anew, much later */
        struct error err = {0};
        struct seen_step loop = step_of(2);
        loop.expires = NOW + 100 * SEEN_KEEP_MS;
        replay_forget(r, &loop, NOW);
        replay_accept(r, &loop, NOW);
        assert_int_equal(replay_commit(r, EXPIRES + SEEN_KEEP_MS, &err), 0);
    }
    assert_int_equal(replay_count(r), 1);
    replay_close(&r);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, testing_folder, testing_folder_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(what_has_begun_is_known_after_a_restart),
        in_folder(what_was_accepted_and_not_begun_is_forgotten_in_the_same_boot),
        in_folder(after_another_boot_what_was_accepted_counts_as_begun),
        in_folder(what_keepers_may_have_begun_counts_as_begun),
        in_folder(an_older_attempt_is_never_run_again),
        in_folder(a_file_that_has_doubled_is_written_anew_and_forgets_nothing),
        in_folder(a_kill_in_the_middle_of_any_write_loses_only_that_write),
        in_folder(the_old_file_counts_until_the_new_one_is_whole),
        in_folder(a_full_table_takes_no_new_call_until_one_expires),
        in_folder(one_caller_does_not_fill_the_table_for_others),
        in_folder(any_damaged_byte_lets_no_call_run_again),
        in_folder(damage_is_set_aside_and_said),
        in_folder(what_cannot_be_written_is_not_accepted),
        in_folder(what_the_keepers_files_say_is_added),
        in_folder(a_damaged_keepers_file_leaves_a_doubt),
        in_folder(a_call_is_forgotten_long_after_it_expired),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
