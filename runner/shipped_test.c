/* shipped_test.c - a captured worker can have nothing removed that is still written to, or that is
 * not the spool's. */
#include "common/testing.h"

#include <errno.h>
#include <unistd.h>

#include "runner/shipped.h"

static void put(void **state, const char *name)
{
    assert_int_equal(file_write_atomic(testing_path(state, name), span_str("x"), 0600, NULL), 0);
}

static bool is_there(void **state, const char *name)
{
    return access(testing_path(state, name), F_OK) == 0;
}

static void only_a_file_with_a_successor_of_its_own_is_removed(void **state)
{
    struct error err = {0};
    static const char *const all[] = {"keeper-1.log",  "keeper-1.1.log", "keeper-1.12.log",
                                      "keeper-12.log", "runner.log",     "runner.1.log"};
    static const char *const goes[] = {"keeper-1.log", "keeper-1.1.log", "runner.log"};
    static const char *const stays[] = {"keeper-1.12.log", "keeper-12.log", "runner.1.log"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        put(state, all[i]);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(shipped_remove(*state, span_str(stays[i]), &err), -EINVAL);
        assert_int_equal(shipped_remove(*state, span_str(goes[i]), &err), 0);
        assert_true(is_there(state, stays[i]));
        assert_false(is_there(state, goes[i]));
    }
}

static void nothing_else_is_removed(void **state)
{
    struct error err = {0};
    static const char *const names[] = {
        "../victim", "keeper-1.1.log/../victim", "victim",        "keeper-.log", "keeper-1.1.log.x",
        "",          "runner.1.1.log",           "keeper-1..log", "runner.lock", "keeper-1.-1.log"};
    put(state, "keeper-1.1.log");
    put(state, "keeper-1.2.log");
    put(state, "victim");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(shipped_remove(*state, span_str(names[i]), &err), -EINVAL);
    assert_true(is_there(state, "victim"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(only_a_file_with_a_successor_of_its_own_is_removed),
        in_folder(nothing_else_is_removed),
    };
    return cmocka_run_group_tests_name("shipped", tests, NULL, NULL);
}
