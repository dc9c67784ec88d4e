/* A folder is known to be empty only if nothing can have been put there unseen. */
#include "common/testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/emptied.h"

enum { AT = 1000 };

static struct stat look(void **state, const char *name)
{
    struct stat st;
    assert_int_equal(lstat(testing_path(state, name), &st), 0);
    /* so that the test does not depend on the tick in which the folder was made */
    if (!st.st_ctim.tv_nsec)
        st.st_ctim.tv_nsec = 1;
    return st;
}

static struct emptied settled(const struct stat *st)
{
    struct emptied e = {.since = 0};
    emptied_seen(&e, st, AT);
    emptied_seen(&e, st, AT + EMPTIED_SETTLES_MS);
    return e;
}

static void a_folder_is_known_only_after_its_change_time_has_stood(void **state)
{
    struct emptied e = {.since = 0};
    assert_int_equal(mkdir(testing_path(state, "f"), 0700), 0);
    struct stat st = look(state, "f");
    assert_false(emptied_still(&e, &st));
    emptied_seen(&e, &st, AT);
    assert_false(emptied_still(&e, &st)); /* something may have come in the same tick */
    emptied_seen(&e, &st, AT + EMPTIED_SETTLES_MS - 1);
    assert_false(emptied_still(&e, &st));
    emptied_seen(&e, &st, AT + EMPTIED_SETTLES_MS);
    assert_true(emptied_still(&e, &st));
}

static void a_change_begins_anew(void **state)
{
    assert_int_equal(mkdir(testing_path(state, "f"), 0700), 0);
    struct stat st = look(state, "f"), later = st;
    struct emptied e = settled(&st);
    later.st_ctim.tv_nsec ^= 4096;
    assert_false(emptied_still(&e, &later));
    emptied_seen(&e, &later, AT + 2 * EMPTIED_SETTLES_MS);
    assert_false(emptied_still(&e, &later));
    assert_false(emptied_still(&e, &st));
    emptied_seen(&e, &later, AT + 3 * EMPTIED_SETTLES_MS);
    assert_true(emptied_still(&e, &later));
}

static void what_is_put_into_it_shows(void **state)
{
    struct stat was, is;
    assert_int_equal(mkdir(testing_path(state, "f"), 0700), 0);
    was = look(state, "f");
    struct emptied e = settled(&was);
    do { /* until the clock of the change time has gone on */
        int fd = open(testing_path(state, "f/x"), O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(unlink(testing_path(state, "f/x")), 0);
        is = look(state, "f");
    } while (is.st_ctim.tv_sec == was.st_ctim.tv_sec && is.st_ctim.tv_nsec == was.st_ctim.tv_nsec);
    assert_false(emptied_still(&e, &is));
    /* a time that a program may set does not hide it */
    const struct timespec back[2] = {was.st_atim, was.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, testing_path(state, "f"), back, 0), 0);
    is = look(state, "f");
    assert_false(emptied_still(&e, &is));
}

static void another_folder_or_another_mode_is_not_known(void **state)
{
    assert_int_equal(mkdir(testing_path(state, "f"), 0700), 0);
    const struct stat st = look(state, "f");
    const struct emptied e = settled(&st);
    struct stat other = st;
    other.st_ino++;
    assert_false(emptied_still(&e, &other));
    other = st;
    other.st_mode |= 022;
    assert_false(emptied_still(&e, &other));
    other = st;
    other.st_uid++;
    assert_false(emptied_still(&e, &other));
}

static void whole_seconds_are_too_coarse(void **state)
{
    assert_int_equal(mkdir(testing_path(state, "f"), 0700), 0);
    struct stat st = look(state, "f");
    st.st_ctim.tv_nsec = 0;
    const struct emptied e = settled(&st);
    assert_false(emptied_still(&e, &st));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_folder_is_known_only_after_its_change_time_has_stood),
        in_folder(a_change_begins_anew),
        in_folder(what_is_put_into_it_shows),
        in_folder(another_folder_or_another_mode_is_not_known),
        in_folder(whole_seconds_are_too_coarse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
