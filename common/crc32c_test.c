#include "common/crc32c.h"
#include "common/testing.h"

static void known_checksums_match(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32];
    memset(ones, 0xff, sizeof ones);
    assert_int_equal(crc32c(span_str("123456789")), 0xe3069283);
    assert_int_equal(crc32c(span_of(zeros, 32)), 0x8a9136aa);
    assert_int_equal(crc32c(span_of(ones, 32)), 0x62a8ab43);
    assert_int_equal(crc32c(SPAN_NONE), 0);
}

static void table_and_instruction_agree_at_every_length(void **state)
{
    (void)state;
    uint8_t b[300];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)(i * 131 + 7);
    for (size_t n = 0; n <= 290; n++)
        assert_int_equal(crc32c(span_of(b + n % 9, n)), crc32c_portable(span_of(b + n % 9, n)));
}

static void the_beginning_with_a_checksum_is_found(void **state)
{
    (void)state;
    assert_int_equal(crc32c_beginning(span_str("123456789abc"), 0xe3069283), 9);
    assert_int_equal(crc32c_beginning(span_str("12345678"), 0xe3069283), 0);
    assert_int_equal(crc32c_beginning(SPAN_NONE, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_checksums_match),
        cmocka_unit_test(the_beginning_with_a_checksum_is_found),
        cmocka_unit_test(table_and_instruction_agree_at_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
