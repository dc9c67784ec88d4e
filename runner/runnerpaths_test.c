/* runnerpaths_test.c - where the runner keeps what must not reach a disk. */
#include "common/testing.h"
#include "runner/runnerpaths.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void claim(const char *memory, struct error *err)
{
    const struct runner_paths h = {.memory = (char *)memory, .run = (char *)"/nowhere/run"};
    assert_int_equal(runner_paths_claim_memory(&h, err), -ENOENT);
}

static void a_failure_to_make_a_folder_in_memory_names_both_remedies(void **state)
{
    (void)state;
    struct error err = {0};
    claim("/nowhere/shm/longboat-7", &err);
    assert_non_null(strstr(err.text, "cannot make '/nowhere/shm/longboat-7'"));
    assert_non_null(strstr(err.text, "No such file or directory; let this user write to "
                                     "'/nowhere/shm', or put '/nowhere/run' on a tmpfs"));
}

static void a_failure_below_run_names_one_remedy(void **state)
{
    (void)state;
    struct error err = {0};
    claim("/nowhere/run/memory", &err);
    assert_non_null(strstr(err.text, "let this user write to '/nowhere/run'"));
    assert_null(strstr(err.text, "tmpfs"));
}

static struct stat looked_at(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st;
}

static void a_folder_in_memory_is_made_once_and_again_when_it_has_gone(void **state)
{
    struct error err = {0};
    const struct runner_paths h = {.memory = (char *)testing_path(state, "memory"),
                                   .run = (char *)testing_path(state, "run")};
    assert_int_equal(runner_paths_claim_memory(&h, &err), 0);
    const struct stat first = looked_at(h.memory);
    assert_int_equal(first.st_mode, S_IFDIR | 0700);
    assert_int_equal(runner_paths_claim_memory(&h, &err), 0);
    assert_int_equal(looked_at(h.memory).st_ino, first.st_ino);
    assert_int_equal(rmdir(h.memory), 0);
    assert_int_equal(runner_paths_claim_memory(&h, &err), 0);
    assert_int_equal(looked_at(h.memory).st_mode, S_IFDIR | 0700);
}

static void what_is_open_to_others_or_no_folder_is_not_taken(void **state)
{
    struct error err = {0};
    const struct runner_paths h = {.memory = (char *)testing_path(state, "memory"),
                                   .run = (char *)testing_path(state, "run")};
    assert_int_equal(mkdir(h.memory, 0700), 0);
    assert_int_equal(chmod(h.memory, 0711), 0);
    assert_int_equal(runner_paths_claim_memory(&h, &err), -EPERM);
    assert_int_equal(rmdir(h.memory), 0);
    assert_int_equal(symlink("/tmp", h.memory), 0);
    assert_int_equal(runner_paths_claim_memory(&h, &err), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_to_make_a_folder_in_memory_names_both_remedies),
        cmocka_unit_test(a_failure_below_run_names_one_remedy),
        in_folder(a_folder_in_memory_is_made_once_and_again_when_it_has_gone),
        in_folder(what_is_open_to_others_or_no_folder_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
