/* shrink_test.c - a world that breaks a law shrinks to a smaller one that breaks the same law and
 * that replays.
 *
 * The broken law is an additional one (cluster.h: also), so that no part of the system needs a
 * bug. */
#include <errno.h>
#include <inttypes.h>

#include "common/testing.h"
#include "tests/sim/shrink.h"

enum { SEEDS_MAX = 200, TRIES = 250 };

/* "No child executes on a cluster in which a server was rebooted, when the disk has been full." */
static void no_child_after_a_reboot_and_a_full_disk(struct world *w, struct laws *l)
{
    if (w->counts.faults[FAULT_REBOOT] && w->counts.faults[FAULT_DISK_FULL] && laws_children(l))
        law_break(l, LAW_SLOTS, "a child executes");
}

/* A child executes after a minute: that breaks one law without a reboot, another one with it. */
static void another_law_without_a_reboot(struct world *w, struct laws *l)
{
    if (w->now > SECS(60) && laws_children(l))
        law_break(l, w->counts.faults[FAULT_REBOOT] ? LAW_SLOTS : LAW_MOVES, "a child executes");
}

static void no_process_outlives_a_second_worker(struct world *w, struct laws *l)
{
    (void)l;
    if (w->counts.faults[FAULT_SECOND_WORKER])
        abort();
}

/* The first seed that happens to break LAW_SLOTS, after many troubles. */
static void find_broken(struct cluster_order *o)
{
    struct cluster_result r;
    for (o->seed = 1; o->seed < SEEDS_MAX; o->seed++) {
        cluster_tell(o, &r);
        if (r.law == LAW_SLOTS && only_count(&r.troubles) >= 20 && only_count(&r.calls) >= 10)
            return;
    }
    fail_msg("none of %d seeds is as this test needs one", SEEDS_MAX);
}

static void a_broken_world_shrinks_to_one_that_breaks_the_same_law(void **state)
{
    struct shrink_order o = {
        .world = {.also = no_child_after_a_reboot_and_a_full_disk}, .processes = 2, .tries = TRIES};
    struct shrunk *x = mem_zalloc(1, sizeof *x);
    struct error err = {0};
    (void)state;
    find_broken(&o.world);
    assert_int_equal(shrink(&o, x, &err), 0);
    assert_int_equal(x->whole.law, LAW_SLOTS);
    assert_int_equal(x->small.law, LAW_SLOTS);
    assert_true(x->small.steps < x->whole.steps);
    assert_in_range(only_count(&x->small.troubles), 2, 4); /* this needs a full disk and a reboot */
    assert_in_range(only_count(&x->small.calls), 0, 3);    /* and a caller or a parent */
    mem_free(&x);
}

static void a_smaller_world_that_breaks_another_law_is_rejected(void **state)
{
    struct shrink_order o = {
        .world = {.also = another_law_without_a_reboot}, .processes = 2, .tries = TRIES};
    struct shrunk *x = mem_zalloc(1, sizeof *x);
    struct error err = {0};
    (void)state;
    find_broken(&o.world);
    assert_int_equal(shrink(&o, x, &err), 0);
    assert_int_equal(x->small.law, LAW_SLOTS);
    assert_true(x->small.counts.faults[FAULT_REBOOT] > 0);
    mem_free(&x);
}

static void a_small_world_replays_byte_for_byte_in_another_process(void **state)
{
    struct shrink_order o = {.world = {.also = no_child_after_a_reboot_and_a_full_disk},
                             .processes = 2,
                             .tries = TRIES / 4};
    struct shrunk *x = mem_zalloc(1, sizeof *x);
    struct cluster_result again;
    struct error err = {0};
    (void)state;
    find_broken(&o.world);
    assert_int_equal(shrink(&o, x, &err), 0);
    o.world.subset = x->subset;
    cluster_tell(&o.world, &again);
    assert_int_equal(again.law, x->small.law);
    assert_int_equal(again.steps, x->small.steps);
    assert_int_equal(again.trace_hash, x->small.trace_hash);
    assert_string_equal(again.text, x->small.text);
    mem_free(&x);
}

static void the_same_search_finds_the_same_world(void **state)
{
    struct shrink_order o = {.world = {.also = no_child_after_a_reboot_and_a_full_disk},
                             .processes = 3,
                             .tries = TRIES / 4};
    struct shrunk *x = mem_zalloc(1, sizeof *x), *y = mem_zalloc(1, sizeof *y);
    struct error err = {0};
    (void)state;
    find_broken(&o.world);
    assert_int_equal(shrink(&o, x, &err), 0);
    assert_int_equal(shrink(&o, y, &err), 0);
    char *a = subset_options(&x->subset), *b = subset_options(&y->subset);
    assert_string_equal(a, b);
    assert_int_equal(x->small.trace_hash, y->small.trace_hash);
    mem_free(&a);
    mem_free(&b);
    mem_free(&x);
    mem_free(&y);
}

static void a_world_that_ends_its_process_shrinks_too(void **state)
{
    struct shrink_order o = {.world = {.seed = 1, .also = no_process_outlives_a_second_worker},
                             .processes = 2,
                             .tries = TRIES};
    struct shrunk *x = mem_zalloc(1, sizeof *x);
    struct error err = {0};
    (void)state;
    while (shrink(&o, x, &err) == -ENOENT || only_count(&x->whole.troubles) < 5)
        assert_true(++o.world.seed < SEEDS_MAX);
    assert_int_equal(x->small.law, LAW_COUNT);
    assert_false(x->small.passed);
    assert_non_null(strstr(x->small.text, "signal 6"));
    assert_int_equal(only_count(&x->small.troubles), 1);
    assert_int_equal(only_count(&x->small.calls), 0);
    assert_true(x->small.steps < x->whole.steps);
    mem_free(&x);
}

static void a_world_that_breaks_no_law_does_not_shrink(void **state)
{
    struct shrink_order o = {.world = {.seed = 1}, .processes = 2, .tries = TRIES};
    struct shrunk *x = mem_zalloc(1, sizeof *x);
    struct error err = {0};
    (void)state;
    assert_int_equal(shrink(&o, x, &err), -ENOENT);
    assert_string_equal(err.text, "seed 1 breaks no law: there is nothing to shrink");
    mem_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_world_shrinks_to_one_that_breaks_the_same_law),
        cmocka_unit_test(a_smaller_world_that_breaks_another_law_is_rejected),
        cmocka_unit_test(a_small_world_replays_byte_for_byte_in_another_process),
        cmocka_unit_test(the_same_search_finds_the_same_world),
        cmocka_unit_test(a_world_that_ends_its_process_shrinks_too),
        cmocka_unit_test(a_world_that_breaks_no_law_does_not_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
