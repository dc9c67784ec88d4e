/* childfiles_test.c - whatever a child does to its files, the next step finds clean ones, and
 * nothing else is read. */
#include "common/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/childfiles.h"

static struct childfiles *opened(void **state)
{
    struct childfiles *f;
    struct error err = {0};
    if (childfiles_open(testing_path(state, "slot"), false, &f, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), &err), 0);
    return f;
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static void holds(struct childfiles *f, enum childfile which, const char *text)
{
    struct buf b = {0};
    struct error err = {0};
    if (childfiles_read(f, which, 1000, &b, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(buf_str(&b), text);
    buf_free(&b);
}

static void parameters_are_private_and_the_other_files_empty(void **state)
{
    struct childfiles *f = opened(state);
    struct stat st;
    holds(f, CHILDFILE_PARAMETERS, "{}\n");
    holds(f, CHILDFILE_OUTPUTS, "");
    assert_int_equal(stat(childfiles_path(f, CHILDFILE_PARAMETERS), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(stat(testing_path(state, "slot"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    childfiles_close(&f);
    assert_int_equal(access(testing_path(state, "slot"), F_OK), -1);
}

static void parameters_do_not_outlive_their_step(void **state)
{
    struct childfiles *f = opened(state);
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{\"secret\":1}\n"), NULL), 0);
    childfiles_empty(f);
    holds(f, CHILDFILE_PARAMETERS, "");
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    holds(f, CHILDFILE_PARAMETERS, "{}\n");
    childfiles_close(&f);
}

static unsigned entries_of(const char *folder)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void whatever_a_step_has_put_beside_its_files_is_gone_after_it(void **state)
{
    struct childfiles *f = opened(state);
    char *folder = mem_strdup(childfiles_path(f, CHILDFILE_OUTPUTS));
    *strrchr(folder, '/') = 0;
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    childfiles_empty(f);
    assert_int_equal(entries_of(folder), CHILDFILE_COUNT); /* the next step's, kept */
    char *below = mem_printf("%s/below", folder), *file = mem_printf("%s/file", below);
    assert_int_equal(mkdir(below, 0700), 0);
    put(file, "left\n");
    assert_int_equal(chmod(below, 0), 0);
    assert_int_equal(chmod(folder, 0), 0);
    childfiles_empty(f);
    assert_int_equal(entries_of(folder), 0);
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    holds(f, CHILDFILE_PARAMETERS, "{}\n");
    mem_free(&below);
    mem_free(&file);
    mem_free(&folder);
    childfiles_close(&f);
}

static void a_step_sees_nothing_of_the_previous_one(void **state)
{
    struct childfiles *f = opened(state);
    const char *outputs = childfiles_path(f, CHILDFILE_OUTPUTS);
    put(outputs, "a=1\n");
    holds(f, CHILDFILE_OUTPUTS, "a=1\n");
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{\"a\":1}\n"), NULL), 0);
    holds(f, CHILDFILE_OUTPUTS, "");
    holds(f, CHILDFILE_PARAMETERS, "{\"a\":1}\n");
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    holds(f, CHILDFILE_PARAMETERS, "{}\n");
    childfiles_close(&f);
}

static void a_replaced_or_removed_file_is_read_and_then_recreated(void **state)
{
    struct childfiles *f = opened(state);
    const char *outputs = childfiles_path(f, CHILDFILE_OUTPUTS),
               *other = testing_path(state, "other");
    put(other, "new=1\n");
    assert_int_equal(rename(other, outputs), 0);
    holds(f, CHILDFILE_OUTPUTS, "new=1\n");
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    holds(f, CHILDFILE_OUTPUTS, "");
    assert_int_equal(unlink(outputs), 0);
    holds(f, CHILDFILE_OUTPUTS, "");
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    assert_int_equal(access(outputs, F_OK), 0);
    /* through a second name the next step could be made to write it */
    assert_int_equal(link(outputs, other), 0);
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    put(other, "late=1\n");
    holds(f, CHILDFILE_OUTPUTS, "");
    childfiles_close(&f);
}

static void links_folders_and_pipes_are_not_read(void **state)
{
    struct childfiles *f = opened(state);
    struct buf b = {0};
    struct error err = {0};
    const char *result = childfiles_path(f, CHILDFILE_RESULT),
               *secret = testing_path(state, "secret");
    put(secret, "secret");
    assert_int_equal(unlink(result), 0);
    assert_int_equal(symlink(secret, result), 0);
    assert_int_equal(childfiles_read(f, CHILDFILE_RESULT, 100, &b, &err), -EPERM);
    assert_int_equal(unlink(result), 0);
    assert_int_equal(mkfifo(result, 0600), 0);
    assert_int_equal(childfiles_read(f, CHILDFILE_RESULT, 100, &b, &err), -EPERM);
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    assert_int_equal(unlink(result), 0);
    assert_int_equal(mkdir(result, 0700), 0);
    assert_int_equal(childfiles_prepare(f, NULL, span_str("{}\n"), NULL), 0);
    holds(f, CHILDFILE_RESULT, "");
    assert_int_equal(b.n, 0);
    assert_int_equal(access(secret, F_OK), 0);
    childfiles_close(&f);
    buf_free(&b);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    struct childfiles *f = opened(state);
    struct buf b = {0};
    struct error err = {0};
    put(childfiles_path(f, CHILDFILE_OUTPUTS), "0123456789");
    assert_int_equal(childfiles_read(f, CHILDFILE_OUTPUTS, 9, &b, &err), -EFBIG);
    assert_int_equal(childfiles_read(f, CHILDFILE_OUTPUTS, 10, &b, &err), 0);
    assert_int_equal(b.n, 10);
    buf_free(&b);
    childfiles_close(&f);
}

static void progress_is_reported_once_for_each_change(void **state)
{
    struct childfiles *f = opened(state);
    struct buf b = {0};
    assert_false(childfiles_progress(f, 100, &b));
    put(childfiles_path(f, CHILDFILE_PROGRESS), "1\n");
    assert_true(childfiles_progress(f, 100, &b));
    assert_string_equal(buf_str(&b), "1\n");
    assert_false(childfiles_progress(f, 100, &b));
    put(childfiles_path(f, CHILDFILE_PROGRESS), "2\n");
    buf_clear(&b);
    assert_true(childfiles_progress(f, 2, &b));
    assert_string_equal(buf_str(&b), "2\n");
    buf_free(&b);
    childfiles_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(parameters_are_private_and_the_other_files_empty),
        in_folder(parameters_do_not_outlive_their_step),
        in_folder(whatever_a_step_has_put_beside_its_files_is_gone_after_it),
        in_folder(a_step_sees_nothing_of_the_previous_one),
        in_folder(a_replaced_or_removed_file_is_read_and_then_recreated),
        in_folder(links_folders_and_pipes_are_not_read),
        in_folder(a_file_that_is_too_large_is_refused),
        in_folder(progress_is_reported_once_for_each_change),
    };
    return cmocka_run_group_tests_name("childfiles", tests, NULL, NULL);
}
