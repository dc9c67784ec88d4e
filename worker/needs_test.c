#include "worker/needs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/testing.h"

static char trouble[512];

static bool holds(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool holds(const char *fmt, ...)
{
    char need[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(need, sizeof need, fmt, ap);
    va_end(ap);
    trouble[0] = '\0';
    return need_probe(need, trouble, sizeof trouble);
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

static void a_command_is_looked_up_in_path_or_at_its_own_path(void **state)
{
    (void)state;
    assert_true(holds("command:sh"));
    assert_true(holds("command:/bin/sh"));
    assert_false(holds("command:no-such-command-anywhere"));
    assert_contains(trouble, "PATH");
    assert_false(holds("command:/no/such"));
}

static void a_variable_holds_when_it_is_set(void **state)
{
    (void)state;
    assert_int_equal(setenv("LB_TEST_NEED", "", 1), 0);
    assert_true(holds("env:LB_TEST_NEED"));
    unsetenv("LB_TEST_NEED");
    assert_false(holds("env:LB_TEST_NEED"));
    assert_contains(trouble, "LB_TEST_NEED");
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

/* ---- The thread */

static unsigned changes;

static void changed(void *self)
{
    (void)self;
    changes++;
}

static void turn_until(struct loop *l, unsigned n)
{
    struct error err = {0};
    int64_t until = clock_boot_ms() + 20000;
    while (changes < n && clock_boot_ms() < until)
        assert_true(loop_turn(l, until, &err) >= 0);
    assert_true(changes >= n);
}

static struct wire_list list_of(struct buf *items, const char *const *texts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        wire_add_str(items, span_str(texts[i]));
    return wire_list_from(items, n);
}

static void new_needs_are_probed_at_once_and_listed(void **state)
{
    struct error err = {0};
    struct loop *l = loop_new(&err);
    struct needs *n = NULL;
    struct buf items = {0}, out = {0};
    (void)state;
    changes = 0;
    assert_int_equal(needs_start(&n, l, changed, NULL, &err), 0);
    assert_int_equal(needs_state(n, &out).count, 0);
    struct wire_list all = list_of(&items, (const char *const[]){"path:/", "path:/no/such"}, 2);
    needs_set(n, &all);
    turn_until(l, 1);
    struct wire_list got = needs_state(n, &out);
    assert_int_equal(got.count, 2);
    struct wire_iter it = wire_iter(&got);
    struct span item;
    struct d_need d;
    assert_true(wire_next(&it, &item));
    assert_int_equal(d_need_decode(item, &d, &err), 0);
    assert_true(span_eq_str(d.need, "path:/") && d.holds && d.probed_at > 0 && d.trouble.n == 0);
    assert_true(wire_next(&it, &item));
    assert_int_equal(d_need_decode(item, &d, &err), 0);
    assert_true(!d.holds && d.trouble.n > 0);
    /* one is removed, one keeps its answer, one is new */
    buf_clear(&items);
    buf_clear(&out);
    all = list_of(&items, (const char *const[]){"path:/no/such", "path:/tmp"}, 2);
    needs_set(n, &all);
    turn_until(l, 2);
    got = needs_state(n, &out);
    assert_int_equal(got.count, 2);
    needs_stop(&n);
    assert_null(n);
    loop_destroy(&l);
    buf_free(&items);
    buf_free(&out);
}

static void needs_are_probed_at_once_on_request(void **state)
{
    struct error err = {0};
    struct loop *l = loop_new(&err);
    struct needs *n = NULL;
    struct buf items = {0}, out = {0};
    struct d_need d;
    struct span item;
    const char *path = testing_path(state, "source");
    char *need = mem_printf("path:%s", path);
    changes = 0;
    assert_int_equal(needs_start(&n, l, changed, NULL, &err), 0);
    struct wire_list all = list_of(&items, (const char *const[]){need}, 1);
    needs_set(n, &all);
    turn_until(l, 1);
    assert_int_equal(file_write_atomic(path, span_str("x"), 0644, &err), 0);
    needs_probe_soon(n);
    turn_until(l, 2); /* within 20 s, although the period is 30 s */
    struct wire_list got = needs_state(n, &out);
    struct wire_iter it = wire_iter(&got);
    assert_true(wire_next(&it, &item));
    assert_int_equal(d_need_decode(item, &d, &err), 0);
    assert_true(d.holds);
    needs_stop(&n);
    loop_destroy(&l);
    mem_free(&need);
    buf_free(&items);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_path_holds_when_it_can_be_read),
        cmocka_unit_test(a_command_is_looked_up_in_path_or_at_its_own_path),
        cmocka_unit_test(a_variable_holds_when_it_is_set),
        in_folder(free_space_is_compared_with_the_required_amount),
        cmocka_unit_test(a_tcp_need_holds_when_somebody_listens),
        cmocka_unit_test(a_need_of_another_kind_does_not_hold),
        cmocka_unit_test(new_needs_are_probed_at_once_and_listed),
        in_folder(needs_are_probed_at_once_on_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
