/* size_test.c - numbers of bytes, read and written. */
#include "common/size.h"
#include "common/testing.h"

static int64_t bytes_of(const char *s)
{
    int64_t n = -1;
    struct error err = {0};
    if (size_parse(s, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    assert_int_equal(bytes_of("0"), 0);
    assert_int_equal(bytes_of("4096"), 4096);
    assert_int_equal(bytes_of("64K"), 65536);
    assert_int_equal(bytes_of("16m"), 16777216);
    assert_int_equal(bytes_of("2G"), 2147483648);
    assert_int_equal(bytes_of("1T"), 1099511627776);
    assert_int_equal(bytes_of("16 MiB"), 16777216);
}

static void invalid_sizes_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "K", "-1", "16MB", "1.5G", "12 ", "5X", "64Ki", "9223372036854775807K", "1KK"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t n = -7;
        struct error err = {0};
        if (size_parse(wrong[i], &n, &err) == 0)
            fail_msg("'%s' was taken", wrong[i]);
        assert_int_equal(n, -7);
        assert_contains(err.text, "is not a size");
    }
}

static void sizes_are_written_short(void **state)
{
    (void)state;
    char t[SIZE_TEXT];
    assert_string_equal(size_format(512, t), "512 B");
    assert_string_equal(size_format(1536, t), "1.5 KiB");
    assert_string_equal(size_format(16777216, t), "16.0 MiB");
    assert_string_equal(size_format(INT64_MAX, t), "8388607.9 TiB");
    assert_string_equal(size_format(-2048, t), "-2.0 KiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(invalid_sizes_are_refused),
        cmocka_unit_test(sizes_are_written_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
