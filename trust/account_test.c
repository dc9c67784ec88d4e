/* account_test.c - whom a step may run as. */
#include "common/testing.h"

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include "trust/account.h"

static struct error err;
static const struct account_own own = {.uids = {61001}, .n = 1};

static struct d_proxy as(const char *user)
{
    return (struct d_proxy){
        .name = span_str("etl"), .user = span_str(user), .user_line = 3, .own_groups = true};
}

static void refused(const struct d_proxy *p, int rc, const char *text)
{
    struct account_user a;
    int got = account_resolve(p, "proxies.d/etl.yaml", &own, &a, &err);
    if (got != rc || !strstr(err.text, text))
        fail_msg("%d: %s; expected %d: %s", got, err.text, rc, text);
}

static void a_number_needs_no_account(void **state)
{
    (void)state;
    struct account_user a;
    struct d_proxy p = as("54321");
    assert_int_equal(account_resolve(&p, "f", &own, &a, &err), 0);
    assert_int_equal(a.uid, 54321);
    assert_int_equal(a.gid, 54321);
    assert_int_equal(a.n_groups, 0);
    assert_string_equal(a.name, "54321");
    assert_string_equal(a.home, "");
}

static void groups_are_the_users_own_or_those_that_are_listed(void **state)
{
    (void)state;
    struct account_user a;
    struct buf items = {0};
    struct d_proxy p = as("54321");
    wire_add_str(&items, span_str("54322"));
    wire_add_str(&items, span_str("root"));
    p.own_groups = false;
    p.groups = wire_list_from(&items, 2);
    p.group = span_str("54323");
    assert_int_equal(account_resolve(&p, "f", &own, &a, &err), 0);
    assert_int_equal(a.gid, 54323);
    assert_int_equal(a.n_groups, 2);
    assert_int_equal(a.groups[0], 54322);
    assert_int_equal(a.groups[1], 0);
    p.group = span_str("no-such-group");
    refused(&p, -ENOENT, "has group 'no-such-group', which this server does not have");
    buf_free(&items);
}

static void root_and_users_of_the_system_must_be_allowed_by_name(void **state)
{
    (void)state;
    struct account_user a;
    struct d_proxy p = as("root");
    refused(&p, -EPERM,
            "runs as user 'root' (0), root: choose another, or allow it by name "
            "(allow_system_user: root, proxies.d/etl.yaml:3)");
    p = as("0");
    refused(&p, -EPERM, "root");
    p = as("daemon");
    refused(&p, -EPERM, "a user of the system");
    p = as("65534");
    refused(&p, -EPERM, "a user of the system");
    p.system_user = true;
    assert_int_equal(account_resolve(&p, "f", &own, &a, &err), 0);
    p = as("daemon");
    p.system_user = true;
    assert_int_equal(account_resolve(&p, "f", &own, &a, &err), 0);
    assert_string_equal(a.name, "daemon");
}

static void longboats_own_users_must_be_allowed_by_name_too(void **state)
{
    (void)state;
    struct account_user a;
    struct d_proxy p = as("61001");
    refused(&p, -EPERM, "one of Longboat's own");
    p.system_user = true;
    assert_int_equal(account_resolve(&p, "f", &own, &a, &err), 0);
}

static void a_user_who_is_not_there_is_named(void **state)
{
    (void)state;
    struct d_proxy p = as("no-such-user");
    refused(&p, -ENOENT,
            "runs as user 'no-such-user', whom this server does not have (proxies.d/etl.yaml:3)");
    p = as("4294967295"); /* means "nobody" to the kernel */
    refused(&p, -ENOENT, "whom this server does not have");
    p = as("");
    refused(&p, -EPERM, "names no user");
}

static void a_runner_that_cannot_switch_takes_its_own_user_only(void **state)
{
    (void)state;
    struct account_user a;
    char number[20];
    struct d_proxy p = as("");
    assert_int_equal(account_unswitched(&p, "f", geteuid(), &a, &err), 0);
    assert_int_equal(a.uid, geteuid());
    snprintf(number, sizeof number, "%u", (unsigned)geteuid());
    p = as(number);
    assert_int_equal(account_unswitched(&p, "f", geteuid(), &a, &err), 0);
    p = as("54321");
    assert_int_equal(account_unswitched(&p, "f", geteuid(), &a, &err), -EPERM);
    assert_contains(err.text, "cannot switch");
    p = as("");
    p.group = span_str("54321");
    assert_int_equal(account_unswitched(&p, "f", geteuid(), &a, &err), -EPERM);
    assert_contains(err.text, "start lbrunner as root");
}

static void the_systems_highest_user_is_read_from_login_defs(void **state)
{
    const char *path = testing_path(state, "login.defs");
    assert_int_equal(account_system_max(path), 999);
    assert_int_equal(
        file_write_atomic(path, span_str("# SYS_UID_MAX 1\nUID_MIN 5\nSYS_UID_MAX\t\t 499\n"), 0644,
                          &err),
        0);
    assert_int_equal(account_system_max(path), 499);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_needs_no_account),
        cmocka_unit_test(groups_are_the_users_own_or_those_that_are_listed),
        cmocka_unit_test(root_and_users_of_the_system_must_be_allowed_by_name),
        cmocka_unit_test(longboats_own_users_must_be_allowed_by_name_too),
        cmocka_unit_test(a_user_who_is_not_there_is_named),
        cmocka_unit_test(a_runner_that_cannot_switch_takes_its_own_user_only),
        in_folder(the_systems_highest_user_is_read_from_login_defs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
