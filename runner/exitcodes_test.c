/* exitcodes_test.c - what step, package and subsystem say of exit codes, and who counts. */
#include "common/testing.h"

#include "proto/outcome.h"
#include "runner/exitcodes.h"

enum { NOBODY = PACKAGE_COUNT };

static struct wire_list list(struct buf *items, const struct d_exit_code *codes, uint32_t n)
{
    struct buf one = {0};
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&one);
        d_exit_code_encode(&codes[i], &one);
        wire_add_bin(items, buf_span(&one));
    }
    buf_free(&one);
    return wire_list_from(items, n);
}

static uint64_t meaning(const struct wire_list *l, uint64_t code, struct span *means)
{
    struct wire_iter it = wire_iter(l);
    struct span item;
    struct d_exit_code e;
    while (wire_next(&it, &item))
        if (d_exit_code_decode(item, &e, NULL) == 0 && e.code == code) {
            *means = e.means;
            return e.package;
        }
    *means = SPAN_NONE;
    return NOBODY;
}

static void the_package_counts_before_the_subsystem_and_the_step_before_both(void **state)
{
    (void)state;
    struct buf p = {0}, s = {0}, out = {0};
    struct span means;
    const struct d_exit_code of_package[] = {{.code = 0, .package = PACKAGE_SUCCEEDED},
                                             {.code = 5, .package = PACKAGE_CANCELLED}},
                             of_subsystem[] = {
                                 {.code = 2, .package = PACKAGE_SUCCEEDED},
                                 {.code = 5, .package = PACKAGE_FAILED, .means = span_str("five")},
                                 {.code = 6, .package = PACKAGE_FAILED, .means = span_str("six")}};
    const struct wire_list package = list(&p, of_package, 2), subsystem = list(&s, of_subsystem, 3);
    struct exitcodes from = {.package = &package, .subsystem = &subsystem};
    struct wire_list l = exitcodes_of(&from, &out);
    assert_int_equal(meaning(&l, 0, &means), PACKAGE_SUCCEEDED);
    assert_int_equal(meaning(&l, 2, &means), PACKAGE_SUCCEEDED);
    assert_int_equal(meaning(&l, 5, &means), PACKAGE_CANCELLED);
    assert_true(span_eq_str(means, "five"));
    assert_int_equal(meaning(&l, 6, &means), PACKAGE_FAILED);
    assert_true(span_eq_str(means, "six"));
    assert_int_equal(meaning(&l, 7, &means), NOBODY);
    buf_clear(&out);
    from.step = span_of("\x06", 1);
    l = exitcodes_of(&from, &out);
    assert_int_equal(meaning(&l, 6, &means), PACKAGE_SUCCEEDED);
    assert_int_equal(means.n, 0);
    assert_int_equal(meaning(&l, 0, &means), NOBODY);
    assert_int_equal(meaning(&l, 2, &means), NOBODY);
    assert_int_equal(meaning(&l, 5, &means), PACKAGE_CANCELLED);
    buf_free(&p);
    buf_free(&s);
    buf_free(&out);
}

static void without_a_package_0_is_the_success_of_a_subsystem_that_names_failures(void **state)
{
    (void)state;
    struct buf s = {0}, out = {0};
    struct span means;
    const struct d_exit_code one = {.code = 1, .package = PACKAGE_FAILED, .means = span_str("x")};
    const struct wire_list nothing = {.count = 0}, subsystem = list(&s, &one, 1);
    struct exitcodes from = {.package = &nothing, .subsystem = &subsystem};
    struct wire_list l = exitcodes_of(&from, &out);
    assert_int_equal(meaning(&l, 0, &means), PACKAGE_SUCCEEDED);
    assert_int_equal(meaning(&l, 1, &means), PACKAGE_FAILED);
    from.subsystem = &nothing;
    assert_int_equal(exitcodes_of(&from, &out).count, 0);
    buf_free(&s);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_package_counts_before_the_subsystem_and_the_step_before_both),
        cmocka_unit_test(without_a_package_0_is_the_success_of_a_subsystem_that_names_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
