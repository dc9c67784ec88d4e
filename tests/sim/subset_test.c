/* subset_test.c - what is left out can be written and read as options and does not happen; the
 * rest still does. */
#include <errno.h>

#include "common/testing.h"
#include "tests/sim/cluster.h"

static void lists_are_read_and_written(void **state)
{
    struct subset l = {.slots = 2, .chaos_ms = 1500, .dice = 7};
    struct error err = {0};
    (void)state;
    assert_int_equal(only_parse("2-4,9,11-12", &l.troubles, &err), 0);
    assert_int_equal(only_parse("none", &l.calls, &err), 0);
    assert_int_equal(only_parse("2", &l.servers, &err), 0);
    assert_int_equal(subset_parse_without("exile,drop,broker_crash", &l, &err), 0);
    char *text = subset_options(&l);
    assert_string_equal(text,
                        " --servers 2 --slots 2 --calls none --troubles 2-4,9,11-12 --without "
                        "broker_crash,exile,drop --chaos 1500ms --dice 7");
    mem_free(&text);
    text = subset_options(&(struct subset){.slots = 0});
    assert_string_equal(text, "");
    mem_free(&text);
}

static void malformed_lists_are_refused(void **state)
{
    static const char *const wrong[] = {"", "0", "a", "3,", ",3", "3-", "4-3", "1;2", "8192", "-1"};
    struct only o;
    struct subset l = {.slots = 0};
    struct error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(only_parse(wrong[i], &o, &err), -EINVAL);
    assert_int_equal(subset_parse_without("exile,exil", &l, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'exil' is not a trouble or habit"));
    assert_int_equal(subset_parse_without("", &l, &err), -EINVAL);
}

static void what_is_left_out_does_not_happen_and_the_rest_still_does(void **state)
{
    struct cluster_order o = {.seed = 0};
    struct cluster_result whole = {.servers = 0}, r;
    (void)state;
    while (!only_has(&whole.calls, 3) || !only_has(&whole.troubles, 2) || whole.servers < 2) {
        assert_true(++o.seed < 20); /* most seeds have it */
        cluster_tell(&o, &whole);
    }
    o.subset.calls = whole.calls;
    only_drop(&o.subset.calls, 3);
    o.subset.troubles = whole.troubles;
    only_drop(&o.subset.troubles, 2);
    cluster_tell(&o, &r);
    assert_memory_equal(&r.calls, &o.subset.calls, sizeof r.calls);
    assert_memory_equal(&r.troubles, &o.subset.troubles, sizeof r.troubles);
    assert_int_equal(r.servers, whole.servers);

    o.subset = (struct subset){.slots = 1, .chaos_ms = 5000, .habits = ~0ull};
    only_add(&o.subset.servers, 2);
    only_add(&o.subset.callers, 1);
    cluster_tell(&o, &r);
    assert_int_equal(r.servers, 1);
    assert_int_equal(r.callers, 1);
    assert_int_equal(r.chaos_ms, 5000);
    static const enum fault frames[] = {FAULT_DROP,   FAULT_DUPLICATE, FAULT_REORDER,   FAULT_SPIKE,
                                        FAULT_CANCEL, FAULT_SAME_KEY,  FAULT_OTHER_BODY};
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
        assert_int_equal(r.counts.faults[frames[i]], 0);
}

static void other_dice_keep_the_same_calls_and_troubles(void **state)
{
    struct cluster_order o = {.seed = 2};
    struct cluster_result a, b;
    (void)state;
    cluster_tell(&o, &a);
    o.subset.dice = 1;
    cluster_tell(&o, &b);
    assert_true(a.trace_hash != b.trace_hash);
    assert_memory_equal(&a.calls, &b.calls, sizeof a.calls);
    assert_memory_equal(&a.troubles, &b.troubles, sizeof a.troubles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_and_written),
        cmocka_unit_test(malformed_lists_are_refused),
        cmocka_unit_test(what_is_left_out_does_not_happen_and_the_rest_still_does),
        cmocka_unit_test(other_dice_keep_the_same_calls_and_troubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
