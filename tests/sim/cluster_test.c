/* cluster_test.c - a seed gives the same trace every time, to the last byte, and a trace with
 * faults. */
#include "common/testing.h"
#include "tests/sim/cluster.h"

enum { SEEDS = 12 };

static void the_same_seed_gives_the_same_trace(void **state)
{
    uint64_t hashes[SEEDS];
    (void)state;
    for (unsigned i = 0; i < SEEDS; i++) {
        struct cluster_result a, b;
        char *text[2] = {NULL, NULL};
        size_t size[2];
        FILE *f = open_memstream(&text[0], &size[0]), *g = open_memstream(&text[1], &size[1]);
        cluster_run(100 + i, f, 0, &a);
        cluster_run(100 + i, g, 0, &b);
        fclose(f);
        fclose(g);
        assert_int_equal(a.trace_hash, b.trace_hash);
        assert_int_equal(a.steps, b.steps);
        assert_string_equal(text[0], text[1]);
        struct cluster_result silent;
        cluster_run(100 + i, NULL, 0, &silent);
        assert_int_equal(silent.trace_hash, a.trace_hash); /* tracing changes nothing */
        hashes[i] = a.trace_hash;
        for (unsigned k = 0; k < i; k++)
            assert_true(hashes[k] != hashes[i]);
        free(text[0]);
        free(text[1]);
    }
}

static void a_seed_can_be_stopped_after_a_given_number_of_events(void **state)
{
    struct cluster_result r;
    (void)state;
    cluster_run(1, NULL, 100, &r);
    assert_int_equal(r.steps, 100);
    assert_true(r.passed);
}

static void seeds_have_runs_attempts_and_faults(void **state)
{
    struct counts all = {.events = 0};
    unsigned met_kinds = 0;
    (void)state;
    for (unsigned i = 0; i < 5 * SEEDS; i++) {
        struct cluster_result r;
        cluster_run(1000 + i, NULL, 0, &r);
        if (!r.passed)
            fail_msg("seed %u: %s: %s", 1000 + i, law_name(r.law), r.text);
        counts_add(&all, &r.counts);
    }
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        met_kinds += all.faults[f] != 0;
    assert_true(met_kinds > FAULT_COUNT * 3 / 4);
    assert_true(all.runs > 500 && all.attempts > 300 && all.digests > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_trace),
        cmocka_unit_test(a_seed_can_be_stopped_after_a_given_number_of_events),
        cmocka_unit_test(seeds_have_runs_attempts_and_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
