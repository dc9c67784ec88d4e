#include "common/need.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/testing.h"

static char trouble[512];
static char *variables[3];

static bool holds(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool holds(const char *fmt, ...)
{
    char need[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(need, sizeof need, fmt, ap);
    va_end(ap);
    trouble[0] = '\0';
    return need_probe(need, variables, trouble, sizeof trouble);
}

static void a_path_holds_when_it_can_be_read(void **state)
{
    struct error err = {0};
    assert_true(holds("path:%s", (const char *)*state));
    assert_false(holds("path:%s", testing_path(state, "nothing")));
    assert_contains(trouble, "No such file");
    assert_int_equal(file_write_atomic(testing_path(state, "closed"), span_str("x"), 0000, &err),
                     0);
    if (geteuid() != 0)
        assert_false(holds("path:%s", testing_path(state, "closed")));
}

static void a_command_is_looked_up_in_the_path_of_children_or_at_its_own_path(void **state)
{
    char *path = mem_printf("PATH=/no/such:%s:/bin", testing_path(state, "bin"));
    struct error err = {0};
    variables[0] = path;
    assert_true(holds("command:sh"));
    assert_true(holds("command:/bin/sh"));
    assert_false(holds("command:no-such-command-anywhere"));
    assert_contains(trouble, path + 5);
    assert_false(holds("command:/no/such"));
    assert_false(holds("command:loader"));
    assert_int_equal(file_make_dirs(testing_path(state, "bin/loader"), 0755, &err), 0);
    assert_false(holds("command:loader")); /* a folder is no program */
    assert_int_equal(rmdir(testing_path(state, "bin/loader")), 0);
    assert_int_equal(
        file_write_atomic(testing_path(state, "bin/loader"), span_str("x"), 0755, &err), 0);
    assert_true(holds("command:loader"));
    variables[0] = NULL;
    assert_false(holds("command:sh"));
    mem_free(&path);
}

static void a_variable_holds_when_children_have_it(void **state)
{
    static char set[] = "LB_TEST_NEED=", longer[] = "LB_TEST_NEED_MORE=x";
    (void)state;
    assert_int_equal(setenv("LB_TEST_NEED", "ours", 1), 0);
    variables[0] = longer;
    assert_false(holds("env:LB_TEST_NEED"));
    assert_contains(trouble, "LB_TEST_NEED is not set in the environment of children");
    variables[1] = set;
    assert_true(holds("env:LB_TEST_NEED"));
    variables[0] = variables[1] = NULL;
    unsetenv("LB_TEST_NEED");
}

static void free_space_is_compared_with_the_required_amount(void **state)
{
    assert_true(holds("disk_free:1:%s", (const char *)*state));
    assert_false(holds("disk_free:9000000000000000000:%s", (const char *)*state));
    assert_contains(trouble, "needed");
    assert_false(holds("disk_free:1:%s", testing_path(state, "nothing")));
    assert_false(holds("disk_free:1"));
    assert_contains(trouble, "BYTES:/PATH");
}

static void a_tcp_need_holds_when_somebody_listens(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    assert_false(holds("tcp:127.0.0.1:%u", ntohs(at.sin_port))); /* bound, but nothing listens */
    assert_contains(trouble, "refused");
    assert_int_equal(listen(fd, 1), 0);
    assert_true(holds("tcp:127.0.0.1:%u", ntohs(at.sin_port)));
    close(fd);
    assert_false(holds("tcp:nohost"));
    assert_contains(trouble, "HOST:PORT");
}

static void a_need_of_another_kind_does_not_hold(void **state)
{
    (void)state;
    assert_false(holds("moon:full"));
    assert_contains(trouble, "moon:full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_path_holds_when_it_can_be_read),
        in_folder(a_command_is_looked_up_in_the_path_of_children_or_at_its_own_path),
        cmocka_unit_test(a_variable_holds_when_children_have_it),
        in_folder(free_space_is_compared_with_the_required_amount),
        cmocka_unit_test(a_tcp_need_holds_when_somebody_listens),
        cmocka_unit_test(a_need_of_another_kind_does_not_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
