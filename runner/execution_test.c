/* execution_test.c - what goes on record of how a step was run: all of it, bounded, and no value of
 * a variable. */
#include "common/testing.h"

#include "proto/protect.h"
#include "runner/execution.h"

struct recorded {
    struct execution_self own;
    struct s_launch launch;
    struct d_context context;
    struct command command;
    struct rusage usage;
    struct execution_left left;
    struct buf bytes;
    struct d_execution e;
};

static void record(struct recorded *r, uint64_t on)
{
    struct error err = {0};
    const struct execution x = {.own = &r->own,
                                .launch = &r->launch,
                                .context = &r->context,
                                .command = &r->command,
                                .folder = "/var/work/3",
                                .on = on,
                                .usage = &r->usage,
                                .left = &r->left,
                                .handed_at = 42};
    buf_clear(&r->bytes);
    execution_encode(&x, &r->bytes);
    if (d_execution_decode(buf_span(&r->bytes), &r->e, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(r->bytes.n <= LIMIT_EXECUTION);
}

static bool is_list(const struct wire_list *list, const char *const *want, uint32_t n)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    bool same = list->count == n;
    for (uint32_t i = 0; same && i < n; i++)
        same = wire_next(&it, &item) && span_eq_str(item, want[i]);
    return same;
}

static void everything_that_the_keeper_knows_is_on_record(void **state)
{
    (void)state;
    char *envp[] = {"PATH=/bin", "LB_PARAM_password=hunter22", "ODD"};
    struct recorded r = {.own = {.host = "etl1", .uid = 7},
                         .launch = {.step = span_str("load"),
                                    .try_no = 2,
                                    .subsystem = span_str("shell"),
                                    .timeout_ms = 20000},
                         .context = {.proxy = span_str("nightly"),
                                     .uid = 1001,
                                     .gid = 1002,
                                     .groups = span_of("\0\0\3\xea\0\0\0\x1b", 8),
                                     .memory = 1 << 20,
                                     .cpu = 1500,
                                     .processes = 20},
                         .command = {.envp = envp, .n_envp = 3},
                         .usage = {.ru_inblock = 3, .ru_oublock = 4},
                         .left = {.count = 2, .names = {"sleep", "s\x1b[31mh"}}};
    record(&r, PROTECT_CGROUP | PROTECT_MEMORY_FILES);
    assert_true(span_eq_str(r.e.step, "load") && r.e.try_no == 2);
    assert_true(span_eq_str(r.e.host, "etl1") && span_eq_str(r.e.proxy, "nightly"));
    assert_true(span_eq_str(r.e.subsystem, "shell") && span_eq_str(r.e.folder, "/var/work/3"));
    assert_int_equal(r.e.uid, 1001);
    assert_int_equal(r.e.gid, 1002);
    assert_true(is_list(&r.e.groups, (const char *const[]){"1002", "27"}, 2));
    assert_true(
        is_list(&r.e.environment, (const char *const[]){"PATH", "LB_PARAM_password", "ODD"}, 3));
    assert_true(is_list(&r.e.on, (const char *const[]){"cgroup", "memory_files"}, 2));
    assert_true(is_list(&r.e.left_names, (const char *const[]){"sleep", "sh"}, 2));
    assert_int_equal(r.e.left, 2);
    assert_int_equal(r.e.read, 3 * 512);
    assert_int_equal(r.e.written, 4 * 512);
    assert_int_equal(r.e.timeout_ms, 20000);
    assert_int_equal(r.e.memory, 1 << 20);
    assert_int_equal(r.e.output_cap, LIMIT_LOG_STEP);
    assert_int_equal(r.e.handed_at, 42);
    assert_null(memmem(r.bytes.p, r.bytes.n, "hunter22", 8));
    buf_free(&r.bytes);
}

static void without_a_user_of_its_own_it_is_the_keepers(void **state)
{
    (void)state;
    struct recorded r = {
        .own = {.host = "etl1", .uid = 7, .gid = 8, .groups = {8, 9}, .n_groups = 2}};
    record(&r, 0);
    assert_int_equal(r.e.uid, 7);
    assert_int_equal(r.e.gid, 8);
    assert_true(is_list(&r.e.groups, (const char *const[]){"8", "9"}, 2));
    buf_free(&r.bytes);
}

static void names_that_do_not_fit_are_counted(void **state)
{
    (void)state;
    char text[100], *envp[1500];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < 1500; i++)
        envp[i] = text;
    struct recorded r = {.command = {.envp = envp, .n_envp = 1500}};
    record(&r, 0);
    assert_true(r.e.environment.count > 200 && r.e.environment.count < 300);
    assert_int_equal(r.e.environment.count + r.e.unnamed, 1500);
    for (size_t i = 0; i < 1500; i++)
        envp[i] = "SHORT=1";
    record(&r, 0);
    assert_int_equal(r.e.environment.count, LIMIT_VALUES);
    assert_int_equal(r.e.unnamed, 500);
    buf_free(&r.bytes);
}

static void of_many_processes_left_over_the_first_are_named(void **state)
{
    (void)state;
    struct recorded r = {.left = {.count = 400}};
    record(&r, 0);
    assert_int_equal(r.e.left, 400);
    assert_int_equal(r.e.left_names.count, EXECUTION_LEFT_MAX);
    buf_free(&r.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_the_keeper_knows_is_on_record),
        cmocka_unit_test(without_a_user_of_its_own_it_is_the_keepers),
        cmocka_unit_test(names_that_do_not_fit_are_counted),
        cmocka_unit_test(of_many_processes_left_over_the_first_are_named),
    };
    return cmocka_run_group_tests_name("execution", tests, NULL, NULL);
}
