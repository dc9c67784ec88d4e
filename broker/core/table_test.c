#include "broker/core/table.h"

#include "common/testing.h"

/* The hash keeps only a few bits, so that items collide and wrap around. */
static uint64_t low_bits(const void *self, uintptr_t item)
{
    (void)self;
    return item % 7 + 13;
}
static bool same(const void *self, uintptr_t item, const void *key)
{
    (void)self;
    return item == *(const uintptr_t *)key;
}

static bool has(const struct table *t, uintptr_t item)
{
    return table_find(t, low_bits(NULL, item), &item) == item;
}

static void an_item_is_found_until_it_is_removed(void **state)
{
    struct table t = {.hash = low_bits, .same = same};
    bool in[200] = {0};
    uint64_t seed = 4711;
    (void)state;
    assert_false(has(&t, 1));
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uintptr_t item = 1 + (seed >> 33) % 199;
        if (in[item])
            table_remove(&t, item);
        else
            table_add(&t, item);
        in[item] = !in[item];
        if (i % 97 == 0)
            for (uintptr_t k = 1; k < 200; k++)
                assert_int_equal(has(&t, k), in[k]);
    }
    table_free(&t);
}

static void a_walk_visits_each_item_once(void **state)
{
    struct table t = {.hash = low_bits, .same = same};
    unsigned met[100] = {0};
    size_t place = 0;
    uintptr_t item;
    (void)state;
    for (uintptr_t i = 1; i < 100; i++)
        table_add(&t, i);
    while ((item = table_next(&t, &place)))
        met[item]++;
    for (unsigned i = 1; i < 100; i++)
        assert_int_equal(met[i], 1);
    table_free(&t);
}

static void an_emptied_table_frees_its_memory(void **state)
{
    struct table t = {.hash = low_bits, .same = same};
    (void)state;
    for (uintptr_t i = 1; i <= 1000; i++)
        table_add(&t, i);
    size_t most = t.cap;
    for (uintptr_t i = 1; i <= 1000; i++)
        table_remove(&t, i);
    assert_true(t.cap < most / 16);
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_is_found_until_it_is_removed),
        cmocka_unit_test(a_walk_visits_each_item_once),
        cmocka_unit_test(an_emptied_table_frees_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
