/* textcarry_test.c - text in pieces is the same text: wherever it is cut, no character and no
 * escape sequence is torn. */
#include "common/testing.h"
#include "common/textcarry.h"
#include "common/utf8.h"

/* Two pieces go on as whole parts: `first`, then the rest. */
static size_t first_part(struct span text, size_t cut)
{
    return textcarry_whole(span_of(text.p, cut));
}

static void no_cut_tears_a_character(void **state)
{
    (void)state;
    struct span s = span_str("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d z");
    for (size_t cut = 0; cut <= s.n; cut++) {
        size_t n = first_part(s, cut);
        assert_true(n <= cut && cut - n < 4);
        assert_true(utf8_is_valid(span_of(s.p, n), NULL));
        assert_true(utf8_is_valid(span_of(s.p + n, s.n - n), NULL));
    }
    assert_int_equal(textcarry_whole(s), s.n);
}

static void malformed_bytes_are_never_held_back(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xa9",      "\xff",         "\xc0",         "\xc1",
                                      "x\x80\x80", "\xe0\x80",     "\xed\xa0",     "\xf5",
                                      "\xf4\x90",  "\x80\x80\x80", "\xc3\xa9\xa9", "\xf0\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct span s = span_str(bad[i]);
        if (textcarry_whole(s) != s.n)
            fail_msg("the bytes of case %zu wait", i);
    }
}

static void no_cut_tears_an_escape_sequence(void **state)
{
    (void)state;
    static const char *const whole[] = {"\x1b[31m",        "\x1b[38;5;196m", "\x1b]0;title\x07",
                                        "\x1b]8;;x\x1b\\", "\x1b(B",         "\0337",
                                        "\x1bPq#0\x1b\\",  "\x1b[?25l"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        struct buf text = {0};
        struct span sequence = span_str(whole[i]);
        bool complete;
        assert_int_equal(textcarry_escape(sequence, &complete), sequence.n);
        assert_true(complete);
        buf_printf(&text, "before%safter", whole[i]);
        for (size_t cut = 0; cut <= text.n; cut++) {
            size_t n = first_part(buf_span(&text), cut);
            bool outside = n <= 6 || n >= 6 + sequence.n;
            if (!outside || n > cut)
                fail_msg("sequence %zu is torn at %zu", i, n);
            if (cut <= 6 || cut >= 6 + sequence.n)
                assert_int_equal(n, cut);
        }
        buf_free(&text);
    }
}

static void a_sequence_without_an_end_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_add_str(&text, "\x1b]0;");
    for (int i = 0; i < TEXTCARRY_MAX; i++)
        buf_add_str(&text, "x");
    assert_int_equal(textcarry_whole(buf_span(&text)), text.n);
    buf_clear(&text);
    buf_add_str(&text, "\x1b[31\n"); /* broken off */
    assert_int_equal(textcarry_whole(buf_span(&text)), text.n);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cut_tears_a_character),
        cmocka_unit_test(malformed_bytes_are_never_held_back),
        cmocka_unit_test(no_cut_tears_an_escape_sequence),
        cmocka_unit_test(a_sequence_without_an_end_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests_name("textcarry", tests, NULL, NULL);
}
