/* fingerprint_test.c - an altered package is noticed, whatever was done to it, and an unaltered one
 * is not suspected. */
#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust/fingerprint.h"

#define must(call) assert_int_equal(call, 0)

static void put(void **state, const char *name, const char *text)
{
    must(file_write_atomic(testing_path(state, name), span_str(text), 0644, NULL));
}

static int folder_of(void **state)
{
    int fd = open(testing_path(state, "p"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* A package of four files and a link, and its fingerprint. */
static struct fingerprint *made(void **state)
{
    struct error err = {0};
    struct buf bytes = {0};
    struct fingerprint *f = NULL;
    must(file_make_dirs(testing_path(state, "p/files/lib"), 0755, &err));
    put(state, "p/runnable", "r");
    put(state, "p/files/main", "echo main");
    put(state, "p/files/lib/a", "a");
    put(state, "p/files/lib/b", "b");
    assert_int_equal(symlink("lib/a", testing_path(state, "p/files/link")), 0);
    int folder = folder_of(state);
    must(fingerprint_make(folder, &bytes, &err));
    must(fingerprint_parse(buf_span(&bytes), &f, &err));
    put(state, "p/" FINGERPRINT_NAME, "it is not in itself");
    must(fingerprint_check(f, folder, "files/main", 1000, &err));
    close(folder);
    buf_free(&bytes);
    return f;
}

static int look(void **state, struct fingerprint *f, struct error *err)
{
    int folder = folder_of(state);
    int rc = fingerprint_check(f, folder, "files/main", 1000, err);
    close(folder);
    return rc;
}

static void suspects(void **state, struct fingerprint *f, const char *path)
{
    struct error err = {0};
    assert_int_equal(look(state, f, &err), -EPERM);
    assert_contains(err.text, path);
}

static void write_in_place(void **state, const char *name, const char *text)
{
    int fd = open(testing_path(state, name), O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    must(file_write_all(fd, text, strlen(text)));
    close(fd);
}

static void
a_file_that_was_rewritten_is_noticed_although_its_size_and_time_are_as_before(void **state)
{
    struct fingerprint *f = made(state);
    struct stat st;
    assert_int_equal(stat(testing_path(state, "p/files/main"), &st), 0);
    write_in_place(state, "p/files/main", "echo evil");
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, testing_path(state, "p/files/main"), times, 0), 0);
    suspects(state, f, "files/main");
    write_in_place(state, "p/files/main", "echo main");
    must(look(state, f, NULL)); /* what holds the same is the same */
    fingerprint_free(&f);
}

static void a_file_or_link_that_was_replaced_added_removed_or_opened_is_noticed(void **state)
{
    struct error err = {0};
    struct fingerprint *f = made(state);
    put(state, "p/files/lib/a", "A");
    suspects(state, f, "files/lib/a");
    put(state, "p/files/lib/a", "a");
    must(look(state, f, &err));
    put(state, "p/files/lib/json.py", "a file that an interpreter finds first");
    suspects(state, f, "files/lib");
    assert_int_equal(unlink(testing_path(state, "p/files/lib/json.py")), 0);
    must(look(state, f, &err));
    assert_int_equal(unlink(testing_path(state, "p/files/link")), 0);
    assert_int_equal(symlink("/bin/sh", testing_path(state, "p/files/link")), 0);
    suspects(state, f, "files/link");
    assert_int_equal(unlink(testing_path(state, "p/files/link")), 0);
    suspects(state, f, "files");
    assert_int_equal(symlink("lib/a", testing_path(state, "p/files/link")), 0);
    must(look(state, f, &err));
    assert_int_equal(chmod(testing_path(state, "p/runnable"), 0777), 0);
    suspects(state, f, "runnable");
    fingerprint_free(&f);
}

static void a_large_package_is_examined_in_turns_and_its_entry_each_time(void **state)
{
    struct error err = {0};
    struct fingerprint *f = made(state);
    int folder = folder_of(state), found = 0;
    write_in_place(state, "p/files/lib/b", "B");
    for (int i = 0; i < 7; i++) /* seven entries, one each time */
        found += fingerprint_check(f, folder, "files/main", 1, &err) == -EPERM;
    assert_true(found > 0);
    assert_contains(err.text, "files/lib/b");
    write_in_place(state, "p/files/main", "echo evil");
    assert_int_equal(fingerprint_check(f, folder, "files/main", 0, &err), -EPERM);
    assert_contains(err.text, "files/main");
    close(folder);
    fingerprint_free(&f);
}

static void an_entry_that_was_not_installed_is_refused(void **state)
{
    struct error err = {0};
    struct fingerprint *f = made(state);
    int folder = folder_of(state);
    assert_int_equal(fingerprint_check(f, folder, "files/other", 10, &err), -EPERM);
    assert_non_null(fingerprint_of(f, "runnable"));
    assert_null(fingerprint_of(f, "nothing"));
    assert_int_equal(fingerprint_parse(span_str("no fingerprint"), &f, &err), -EBADMSG);
    close(folder);
    fingerprint_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_file_that_was_rewritten_is_noticed_although_its_size_and_time_are_as_before),
        in_folder(a_file_or_link_that_was_replaced_added_removed_or_opened_is_noticed),
        in_folder(a_large_package_is_examined_in_turns_and_its_entry_each_time),
        in_folder(an_entry_that_was_not_installed_is_refused),
    };
    return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
