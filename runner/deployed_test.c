/* deployed_test.c - which deployments are too old to be taken. */
#include "common/testing.h"

#include <errno.h>

#include "common/file.h"
#include "runner/deployed.h"

static int take(struct deployed *d, const char *name, const char *address, int64_t at)
{
    struct error err = {0};
    const struct d_deployment x = {.name = span_str(name),
                                   .version = span_str("1"),
                                   .address = span_str(address),
                                   .issued_at = at};
    int rc = deployed_take(d, &x, &err);
    if (rc == -ESTALE)
        assert_contains(err.text, "a newer deployment of package");
    return rc;
}

static void an_older_deployment_of_the_same_package_and_address_is_refused(void **state)
{
    struct deployed *d = deployed_new(*state);
    assert_int_equal(take(d, "say", "etl", 100), 0);
    assert_int_equal(take(d, "say", "etl", 99), -ESTALE);
    assert_int_equal(take(d, "say", "etl", 100), 0);
    assert_int_equal(take(d, "say", "all", 50), 0);
    assert_int_equal(take(d, "see", "etl", 50), 0);
    assert_int_equal(take(d, "say", "etl", 101), 0);
    assert_int_equal(take(d, "say", "etl", 100), -ESTALE);
    deployed_free(&d);
}

static void what_was_taken_is_known_after_a_restart(void **state)
{
    struct deployed *d = deployed_new(*state);
    assert_int_equal(take(d, "say", "etl", 100), 0);
    assert_int_equal(take(d, "see", "etl", 200), 0);
    deployed_free(&d);
    d = deployed_new(*state);
    assert_int_equal(take(d, "say", "etl", 99), -ESTALE);
    assert_int_equal(take(d, "see", "etl", 199), -ESTALE);
    assert_int_equal(take(d, "say", "etl", 300), 0);
    deployed_free(&d);
}

static void a_damaged_file_lets_nothing_pass_and_says_what_to_do(void **state)
{
    static const char *const damaged[] = {"x\n", "1 say\n", "1 say etl", "one say etl\n",
                                          "1  etl\n"};
    const char *path = testing_path(state, "deployed");
    const struct d_deployment x = {.name = span_str("say"), .address = span_str("etl")};
    struct error err = {0};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct deployed *d = deployed_new(*state);
        assert_int_equal(file_write_atomic(path, span_str(damaged[i]), 0600, NULL), 0);
        assert_int_equal(deployed_take(d, &x, &err), -EPROTO);
        assert_contains(err.text, path);
        deployed_free(&d);
    }
}

static void a_name_that_would_be_a_line_of_its_own_is_refused(void **state)
{
    struct deployed *d = deployed_new(*state);
    assert_int_equal(take(d, "say etl\n999 see", "etl", 1), -EINVAL);
    assert_int_equal(take(d, "say", "etl\n999 see etl", 1), -EINVAL);
    assert_int_equal(take(d, "see", "etl", 1), 0);
    deployed_free(&d);
}

static void beyond_the_limit_the_oldest_is_forgotten(void **state)
{
    struct buf text = {0};
    for (int i = 0; i < DEPLOYED_MAX; i++)
        buf_printf(&text, "%d p%d etl\n", 1000 + i, i);
    assert_int_equal(
        file_write_atomic(testing_path(state, "deployed"), buf_span(&text), 0600, NULL), 0);
    struct deployed *d = deployed_new(*state);
    assert_int_equal(take(d, "new", "etl", 100000), 0);
    assert_int_equal(take(d, "p1", "etl", 1), -ESTALE);
    assert_int_equal(take(d, "p0", "etl", 100001), 0);
    deployed_free(&d);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(an_older_deployment_of_the_same_package_and_address_is_refused),
        in_folder(what_was_taken_is_known_after_a_restart),
        in_folder(a_damaged_file_lets_nothing_pass_and_says_what_to_do),
        in_folder(a_name_that_would_be_a_line_of_its_own_is_refused),
        in_folder(beyond_the_limit_the_oldest_is_forgotten),
    };
    return cmocka_run_group_tests_name("deployed", tests, NULL, NULL);
}
