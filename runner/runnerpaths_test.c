/* runnerpaths_test.c - where the runner keeps what must not reach a disk. */
#include "common/testing.h"
#include "runner/runnerpaths.h"

#include <errno.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_to_make_a_folder_in_memory_names_both_remedies),
        cmocka_unit_test(a_failure_below_run_names_one_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
