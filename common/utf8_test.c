#include "common/utf8.h"
#include "common/testing.h"

static void every_character_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        uint8_t b[4];
        uint32_t back;
        if (point == 0xd800)
            point = 0xe000;
        size_t n = utf8_put(point, b);
        if (utf8_take(span_of(b, n), &back) != n || back != point)
            fail_msg("U+%04x", point);
        if (n > 1)
            assert_int_equal(utf8_take(span_of(b, n - 1), &back), 0);
    }
}

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x80\x80",
                                        "\xed\xa0\x80",
                                        "\xf0\x80\x80\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xf8\x88\x80\x80\x80",
                                        "\xff",
                                        "\xc3",
                                        "\xc3(",
                                        "\xe2\x82"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint32_t point;
        assert_int_equal(utf8_take(span_str(wrong[i]), &point), 0);
        assert_int_equal(point, 0xfffd);
    }
    uint32_t point;
    assert_int_equal(utf8_take(SPAN_NONE, &point), 0);
}

static void the_first_bad_byte_is_found(void **state)
{
    (void)state;
    size_t bad;
    assert_true(utf8_is_valid(span_str("a\xc3\xa4z"), &bad));
    assert_int_equal(bad, 4);
    assert_false(utf8_is_valid(span_str("a\xc3\xa4\xff"), &bad));
    assert_int_equal(bad, 3);
    assert_true(utf8_is_valid(SPAN_NONE, NULL));
}

static void an_incomplete_character_is_cut_off(void **state)
{
    (void)state;
    char whole[] = "a\xc3\xa4z", half[] = "a\xe2\x82", nothing[] = "";
    assert_string_equal(utf8_trim(whole), "a\xc3\xa4z");
    assert_string_equal(utf8_trim(half), "a");
    assert_string_equal(utf8_trim(nothing), "");
}

static void a_cut_falls_between_characters(void **state)
{
    (void)state;
    struct span s = span_str("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"); /* lengths 1, 2, 3, 4, 1 */
    static const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t most = 0; most < sizeof kept / sizeof *kept; most++)
        assert_int_equal(utf8_cut(s, most), kept[most]);
    /* not text at all: few bytes are dropped */
    assert_int_equal(utf8_cut(span_str("\x80\x80\x80\x80\x80\x80"), 5), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_survives_a_round_trip),
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(the_first_bad_byte_is_found),
        cmocka_unit_test(an_incomplete_character_is_cut_off),
        cmocka_unit_test(a_cut_falls_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
