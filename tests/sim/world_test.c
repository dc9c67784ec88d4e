/* world_test.c - one clock, one source of chance, one order of events. */
#include "common/testing.h"
#include "tests/sim/world.h"

struct noted {
    struct event event;
    unsigned *turn, at;
};

static void note(struct world *w, void *self)
{
    struct noted *n = self;
    (void)w;
    n->at = ++*n->turn;
}

static void events_come_in_order_of_time_then_in_the_order_they_were_set(void **state)
{
    struct world w;
    unsigned turn = 0;
    struct noted a = {.turn = &turn}, b = {.turn = &turn}, c = {.turn = &turn}, d = {.turn = &turn};
    (void)state;
    world_init(&w, 1, NULL);
    world_at(&w, &a.event, MS(5), NULL, note, &a);
    world_at(&w, &b.event, MS(3), NULL, note, &b);
    world_at(&w, &c.event, MS(5), NULL, note, &c);
    world_at(&w, &d.event, MS(4), NULL, note, &d);
    world_cancel(&w, &d.event);
    while (world_step(&w))
        ;
    assert_int_equal(b.at, 1);
    assert_int_equal(a.at, 2);
    assert_int_equal(c.at, 3);
    assert_int_equal(d.at, 0);
    assert_int_equal(w.now, MS(5));
    world_end(&w);
}

static void events_for_a_stopped_process_wait_and_keep_their_order(void **state)
{
    struct world w;
    unsigned turn = 0;
    struct clock_sim clock = {.base_ms = 1};
    struct process p;
    struct noted a = {.turn = &turn}, b = {.turn = &turn}, other = {.turn = &turn};
    (void)state;
    world_init(&w, 1, NULL);
    process_init(&p, "p", &clock);
    p.up = true;
    assert_true(process_stop(&w, &p, FAULT_WORKER_PAUSE, "is stopped", MS(10)));
    world_at(&w, &a.event, MS(2), &p, note, &a);
    world_at(&w, &b.event, MS(3), &p, note, &b);
    world_at(&w, &other.event, MS(4), NULL, note, &other);
    while (world_step(&w))
        ;
    assert_int_equal(other.at, 1);
    assert_int_equal(a.at, 2);
    assert_int_equal(b.at, 3);
    assert_int_equal(w.now, MS(10));
    world_end(&w);
}

static void only_a_running_process_can_be_stopped(void **state)
{
    struct world w;
    struct clock_sim clock = {.base_ms = 1};
    struct process p;
    (void)state;
    world_init(&w, 1, NULL);
    process_init(&p, "p", &clock);
    assert_false(process_stop(&w, &p, FAULT_WORKER_PAUSE, "is stopped", MS(10)));
    p.up = true;
    assert_true(process_runs(&w, &p));
    assert_true(process_stop(&w, &p, FAULT_WORKER_PAUSE, "is stopped", MS(10)));
    assert_false(process_runs(&w, &p));
    assert_false(process_stop(&w, &p, FAULT_WORKER_PAUSE, "is stopped", MS(20)));
    assert_int_equal(w.counts.faults[FAULT_WORKER_PAUSE], 1);
    w.now = MS(10);
    assert_true(process_runs(&w, &p));
    assert_true(process_stop(&w, &p, FAULT_WORKER_PAUSE, "is stopped", MS(10)));
    process_die(&p);
    assert_false(process_runs(&w, &p));
    p.up = true; /* another process of the same name: it is not stopped */
    assert_true(process_runs(&w, &p));
    world_end(&w);
}

static void a_broken_law_ends_the_world(void **state)
{
    struct world w;
    unsigned turn = 0;
    struct noted a = {.turn = &turn};
    (void)state;
    world_init(&w, 1, NULL);
    world_at(&w, &a.event, MS(1), NULL, note, &a);
    w.broken = true;
    assert_false(world_step(&w));
    assert_int_equal(a.at, 0);
    world_end(&w);
}

static void each_seed_gives_one_sequence_of_random_numbers_of_its_own(void **state)
{
    struct rng a, b, c;
    unsigned same = 0;
    (void)state;
    rng_seed(&a, 7);
    rng_seed(&b, 7);
    rng_seed(&c, 8);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t v = rng_next(&a);
        assert_int_equal(v, rng_next(&b));
        same += v == rng_next(&c);
    }
    assert_int_equal(same, 0);
    for (unsigned i = 0; i < 1000; i++) {
        int64_t v = rng_between(&a, -3, 3);
        assert_true(v >= -3 && v <= 3);
        assert_false(rng_chance(&a, 0));
        assert_true(rng_chance(&a, 1000));
    }
}

/* However its clock runs, a process is never woken too early, and hardly late. */
static void a_clock_with_another_rate_is_never_early(void **state)
{
    (void)state;
    for (int64_t ppm = -9000; ppm <= 9000; ppm += 1500) {
        struct world w;
        struct clock_sim clock = {.base_ms = 700, .ppm = ppm, .wall_ms = 1000000};
        struct process p;
        world_init(&w, 1, NULL);
        process_init(&p, "p", &clock);
        for (int64_t ms = 1; ms < 100000000; ms = ms * 3 + 1) {
            int64_t boot = world_boot_ms(&w, &p) + ms;
            w.now = world_true_time(&w, &p, boot);
            assert_in_range(world_boot_ms(&w, &p) - boot, 0, 2 + ms / 1000);
        }
        assert_int_equal(world_true_time(&w, &p, INT64_MAX), INT64_MAX);
        assert_int_equal(world_true_time(&w, &p, 0), w.now);
        int64_t boot = world_boot_ms(&w, &p), wall = world_wall_ms(&w, &p);
        clock.wall_ms += 5000;
        assert_int_equal(world_wall_ms(&w, &p), wall + 5000);
        /* a step of one wall clock does not affect the other one */
        assert_int_equal(world_boot_ms(&w, &p), boot);
        world_clock_boot(&w, &clock);
        assert_true(world_boot_ms(&w, &p) < 30000);
        assert_in_range(world_wall_ms(&w, &p) - wall, 4999, 5001);
        world_end(&w);
    }
}

struct drawer {
    struct event event;
    uint64_t drawn[3];
    unsigned n;
};

static void draw(struct world *w, void *self)
{
    struct drawer *d = self;
    d->drawn[d->n++] = rng_next(&w->rng);
}

/* What the turns of process "p" draw when other things draw `others` times before and between
 * them. */
static void draw_in_turns(unsigned others, uint64_t dice, uint64_t *ret)
{
    struct world w;
    struct clock_sim clock = {.base_ms = 1};
    struct process p;
    struct drawer d = {.n = 0};
    world_init(&w, 7, NULL);
    w.dice = dice;
    process_init(&p, "p", &clock);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < others; k++)
            rng_next(&w.rng);
        world_at(&w, &d.event, MS(1 + i + others), &p, draw, &d);
        assert_true(world_step(&w));
    }
    memcpy(ret, d.drawn, sizeof d.drawn);
    world_end(&w);
}

static void a_turns_random_numbers_do_not_depend_on_other_draws(void **state)
{
    uint64_t alone[3], among[3], diced[3];
    (void)state;
    draw_in_turns(0, 0, alone);
    draw_in_turns(5, 0, among);
    draw_in_turns(0, 1, diced);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(alone[i] == among[i]);
        assert_true(alone[i] != diced[i]);
        assert_true(alone[i] != alone[(i + 1) % 3]);
    }
}

static void a_generator_of_its_own_leaves_the_common_one_unchanged(void **state)
{
    struct world a, b;
    (void)state;
    world_init(&a, 7, NULL);
    world_init(&b, 7, NULL);
    struct rng was = world_chance_begin(&a, LUCK_TROUBLE, 3);
    uint64_t third = rng_next(&a.rng);
    world_chance_end(&a, &was);
    assert_true(rng_next(&a.rng) == rng_next(&b.rng));
    was = world_chance_begin(&b, LUCK_TROUBLE, 3);
    assert_true(rng_next(&b.rng) == third);
    world_chance_end(&b, &was);
    was = world_chance_begin(&b, LUCK_CALL, 3);
    assert_true(rng_next(&b.rng) != third);
    world_chance_end(&b, &was);
    world_end(&a);
    world_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order_of_time_then_in_the_order_they_were_set),
        cmocka_unit_test(events_for_a_stopped_process_wait_and_keep_their_order),
        cmocka_unit_test(only_a_running_process_can_be_stopped),
        cmocka_unit_test(a_broken_law_ends_the_world),
        cmocka_unit_test(each_seed_gives_one_sequence_of_random_numbers_of_its_own),
        cmocka_unit_test(a_clock_with_another_rate_is_never_early),
        cmocka_unit_test(a_turns_random_numbers_do_not_depend_on_other_draws),
        cmocka_unit_test(a_generator_of_its_own_leaves_the_common_one_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
