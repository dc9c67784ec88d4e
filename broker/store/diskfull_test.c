/* diskfull_test.c - a disk that is really full: a small tmpfs, which only root may mount (skipped
   otherwise). */
#include "broker/store/testing.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

enum { DISK = 4 << 20, RESERVE = 1 << 20, CROWD = 20000 };

/* In a mount namespace of its own, which ends with the process. */
static bool small_disk(void **state)
{
    char options[40];
    snprintf(options, sizeof options, "size=%d", DISK);
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", *state, "tmpfs", 0, options) < 0) {
        print_message("a tmpfs cannot be mounted here (%s): the full disk is not tested\n",
                      strerror(errno));
        return false;
    }
    return true;
}

static uint64_t free_bytes(void **state)
{
    struct statvfs v;
    assert_int_equal(statvfs(*state, &v), 0);
    return v.f_bavail * v.f_frsize;
}

static void results_fit_below_the_reserve_and_a_full_disk_is_retried(void **state)
{
    struct store_heard h;
    struct buf text = {0};
    struct error err = {0};
    uint64_t lsn = 0;
    if (!small_disk(state))
        skip();
    struct store *s = testing_open(state, &(struct store_options){.reserve_bytes = RESERVE});
    testing_start(s, &h);
    while (free_bytes(state) > RESERVE) {
        lsn++;
        testing_called(s, lsn, (unsigned)lsn, "load");
        testing_wait_committed(s, &h, lsn);
    }
    while (!h.full) /* from here on calls are refused */
        testing_hear(s);
    assert_true(free_bytes(state) > 0);
    for (unsigned run = 1; run <= 50; run++) /* results fit in the reserve */
        testing_ended(s, ++lsn, run, STATUS_FAILED);
    testing_wait_committed(s, &h, lsn);
    assert_true(h.full);
    for (unsigned i = 0; i < CROWD; i++, lsn++) /* more than fits */
        testing_called(s, lsn + 1, (unsigned)lsn + 1, "load");
    while (free_bytes(state) > 65536)
        poll(NULL, 0, 5);
    assert_true(store_committed(s) < lsn);
    assert_int_equal(mount("none", *state, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    testing_wait_committed(s, &h, lsn);
    while (h.full)
        testing_hear(s);
    store_close(&s);
    if (store_check(testing_path(state, "broker.db"), &text, &err) < 0)
        fail_msg("%s", err.text);
    s = testing_open(state, NULL);
    testing_start(s, &h);
    assert_int_equal(h.committed, lsn);
    store_close(&s);
    buf_free(&text);
    assert_int_equal(umount(*state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(results_fit_below_the_reserve_and_a_full_disk_is_retried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
