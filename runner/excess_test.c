/* excess_test.c - which limit a step ran into, from what the kernel says. */
#include "common/testing.h"

#include <signal.h>

#include "runner/excess.h"

enum { EXIT_1 = 1 << 8 }; /* as wait4 says it */

static void memory_ran_out_only_where_the_cgroup_says_so(void **state)
{
    (void)state;
    const struct d_context c = {.memory = 64 << 20};
    struct cgroup_use use = {.out_of_memory = 1};
    struct excess e = excess_of(&c, &use, SIGKILL);
    assert_true(e.out_of_memory);
    assert_string_equal(e.text, "used more than its 64.0 MiB of memory (memory.max)");
    use.out_of_memory = 0;
    e = excess_of(&c, &use, SIGKILL);
    assert_false(e.out_of_memory);
    assert_string_equal(e.text, "");
    e = excess_of(&c, NULL, SIGKILL);
    assert_false(e.out_of_memory);
}

static void memory_of_the_server_is_told_from_the_steps_own(void **state)
{
    (void)state;
    const struct d_context c = {0};
    const struct cgroup_use use = {.out_of_memory = 1};
    const struct excess e = excess_of(&c, &use, SIGKILL);
    assert_true(e.out_of_memory);
    assert_contains(e.text, "the server's memory, or its unit's, ran out");
}

static void a_file_that_grew_too_large_is_named_also_behind_a_shell(void **state)
{
    (void)state;
    const struct d_context c = {.file_size = 10 << 20}, none = {0};
    assert_string_equal(excess_of(&c, NULL, SIGXFSZ).text,
                        "wrote a file of more than its 10.0 MiB (file_size)");
    assert_contains(excess_of(&c, NULL, (128 + SIGXFSZ) << 8).text, "wrote a file of more");
    assert_string_equal(excess_of(&none, NULL, SIGXFSZ).text, "");
    assert_string_equal(excess_of(&c, NULL, EXIT_1).text, "");
}

static void processes_that_were_not_let_start_are_named(void **state)
{
    (void)state;
    const struct d_context c = {.processes = 20};
    struct cgroup_use use = {.refused = 2};
    assert_string_equal(excess_of(&c, &use, EXIT_1).text,
                        "wanted more than its 20 processes (pids.max)");
    use.refused = 0;
    assert_string_equal(excess_of(&c, &use, EXIT_1).text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_ran_out_only_where_the_cgroup_says_so),
        cmocka_unit_test(memory_of_the_server_is_told_from_the_steps_own),
        cmocka_unit_test(a_file_that_grew_too_large_is_named_also_behind_a_shell),
        cmocka_unit_test(processes_that_were_not_let_start_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
