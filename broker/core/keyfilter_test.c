/* keyfilter_test.c - no key is ever denied, few are invented, and the memory has an end. */
#include "broker/core/keyfilter.h"

#include "common/testing.h"

/* splitmix64: every number gives a hash of its own, all bits random. */
static uint64_t hash_of(uint64_t number)
{
    uint64_t z = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void every_key_that_was_added_is_found(void **state)
{
    struct keyfilter f = {0};
    (void)state;
    assert_false(keyfilter_may_have(&f, hash_of(0)));
    for (uint64_t i = 0; i < 300000; i++)
        keyfilter_add(&f, hash_of(i));
    for (uint64_t i = 0; i < 300000; i++)
        if (!keyfilter_may_have(&f, hash_of(i)))
            fail_msg("key %d is not found", (int)i);
    keyfilter_free(&f);
    assert_false(keyfilter_may_have(&f, hash_of(0)));
}

static void few_other_keys_are_taken_for_one(void **state)
{
    struct keyfilter f = {0};
    unsigned taken = 0;
    (void)state;
    for (uint64_t i = 0; i < 300000; i++)
        keyfilter_add(&f, hash_of(i));
    for (uint64_t i = 0; i < 100000; i++)
        taken += keyfilter_may_have(&f, hash_of(1000000 + i));
    assert_in_range(taken, 1, 2000); /* seven filters, each wrong about 1 in 1,000 */
    keyfilter_free(&f);
}

static void a_full_chain_denies_nothing(void **state)
{
    struct keyfilter f = {.last = KEYFILTER_CHAIN - 1,
                          .n = (uint32_t)KEYFILTER_FIRST << (KEYFILTER_CHAIN - 1)};
    (void)state;
    assert_false(keyfilter_may_have(&f, hash_of(1)));
    keyfilter_add(&f, hash_of(0));
    assert_true(f.full);
    assert_null(f.blocks[0]);
    assert_true(keyfilter_may_have(&f, hash_of(1)));
    keyfilter_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_that_was_added_is_found),
        cmocka_unit_test(few_other_keys_are_taken_for_one),
        cmocka_unit_test(a_full_chain_denies_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
