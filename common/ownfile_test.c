/* ownfile_test.c - a file counts only if nobody else could have written it. */
#include "common/testing.h"

#include <errno.h>
#include <unistd.h>

#include "common/ownfile.h"

static struct error err;

static const char *a_file(void **state, const char *name, mode_t mode)
{
    const char *path = testing_path(state, name);
    assert_int_equal(file_write_atomic(path, span_str("x"), mode, &err), 0);
    return path;
}

static void refused(const char *path, const char *because)
{
    struct stat st;
    int fd = -1, rc = ownfile_open(path, geteuid(), &fd, &st, &err);
    if (rc != -EPERM || fd != -1 || !strstr(err.text, because))
        fail_msg("%d: %s; expected: %s", rc, err.text, because);
}

static void a_file_of_ours_is_opened_and_examined(void **state)
{
    struct stat examined, opened;
    int fd = -1;
    const char *path = a_file(state, "f", 0644);
    assert_int_equal(ownfile_stat(path, geteuid(), &examined, &err), 0);
    assert_int_equal(ownfile_open(path, geteuid(), &fd, &opened, &err), 0);
    assert_true(ownfile_same(&examined, &opened));
    close(fd);
    assert_int_equal(ownfile_stat(testing_path(state, "none"), 0, &examined, &err), -ENOENT);
}

static void a_file_that_others_can_write_is_refused(void **state)
{
    const char *path = a_file(state, "f", 0644);
    struct stat st;
    assert_int_equal(chmod(path, 0664), 0);
    refused(path, "others can write");
    assert_int_equal(ownfile_stat(path, geteuid(), &st, &err), -EPERM);
    assert_int_equal(chmod(path, 0646), 0);
    refused(path, "chmod go-w");
}

static void a_file_in_a_folder_that_others_can_write_is_refused(void **state)
{
    struct stat st;
    assert_int_equal(mkdir(testing_path(state, "d"), 0755), 0);
    const char *path = a_file(state, "d/f", 0644);
    assert_int_equal(chmod(testing_path(state, "d"), 0777), 0);
    refused(path, "others can write");
    assert_int_equal(ownfile_stat(path, geteuid(), &st, &err), -EPERM);
}

static void a_link_or_a_folder_is_refused(void **state)
{
    struct stat st;
    a_file(state, "f", 0644);
    assert_int_equal(symlink("f", testing_path(state, "l")), 0);
    refused(testing_path(state, "l"), "symbolic link");
    assert_int_equal(ownfile_stat(testing_path(state, "l"), geteuid(), &st, &err), -EPERM);
    assert_int_equal(mkdir(testing_path(state, "d"), 0755), 0);
    refused(testing_path(state, "d"), "not a regular file");
}

static void a_file_of_another_user_is_refused(void **state)
{
    const char *path = a_file(state, "f", 0644);
    struct stat st;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(path, 12345, 12345), 0);
    refused(path, "belongs to user 12345");
    assert_int_equal(ownfile_stat(path, 12345, &st, &err), 0);
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
    int fd = -1;
    const char *path = a_file(state, "f", 0640);
    assert_int_equal(ownfile_open_secret(path, geteuid(), &fd, &err), -EPERM);
    assert_contains(err.text, "others can read");
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(ownfile_open_secret(path, geteuid(), &fd, &err), 0);
    close(fd);
}

static void a_changed_file_is_not_the_same(void **state)
{
    struct stat before, after;
    const char *path = a_file(state, "f", 0644);
    assert_int_equal(ownfile_stat(path, geteuid(), &before, &err), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(ownfile_stat(path, geteuid(), &after, &err), 0);
    assert_false(ownfile_same(&before, &after));
    a_file(state, "f", 0644); /* another inode */
    assert_int_equal(ownfile_stat(path, geteuid(), &after, &err), 0);
    assert_false(ownfile_same(&before, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_file_of_ours_is_opened_and_examined),
        in_folder(a_file_that_others_can_write_is_refused),
        in_folder(a_file_in_a_folder_that_others_can_write_is_refused),
        in_folder(a_link_or_a_folder_is_refused),
        in_folder(a_file_of_another_user_is_refused),
        in_folder(a_secret_that_others_can_read_is_refused),
        in_folder(a_changed_file_is_not_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
