/* logtext_test.c - the text that lbctl shows of a child does not depend on where its output was
 * cut into pieces. */
#include "common/testing.h"

#include "common/logtext.h"
#include "common/utf8.h"

struct logtext_heard {
    struct buf all;
    unsigned pieces, lines;
    uint64_t next;
    bool torn;
};

static void hear(void *self, struct span text, uint64_t offset, int64_t at)
{
    struct logtext_heard *h = self;
    assert_int_equal(offset, h->next);
    assert_true(at >= 100);
    h->next = offset + text.n;
    h->pieces++;
    h->lines += text.p[text.n - 1] == '\n';
    h->torn |= !utf8_is_valid(text, NULL);
    buf_add(&h->all, text.p, text.n);
}

static const char text[] =
    "caf\xc3\xa9 \x1b[31mred\x1b[0m\n\xe2\x82\xac 5\nno end \xf0\x9f\x90\x8d";

static void no_cut_changes_the_text(void **state)
{
    (void)state;
    struct span s = span_str(text);
    for (int by_line = 0; by_line < 2; by_line++)
        for (size_t a = 0; a <= s.n; a++)
            for (size_t b = a; b <= s.n; b++) {
                struct logtext t = {.offset = 0};
                struct logtext_heard h = {.next = 0};
                logtext_feed(&t, span_of(s.p, a), 0, 100, by_line, hear, &h);
                logtext_feed(&t, span_of(s.p + a, b - a), a, 101, by_line, hear, &h);
                logtext_feed(&t, span_of(s.p + b, s.n - b), b, 102, by_line, hear, &h);
                logtext_flush(&t, hear, &h);
                assert_true(span_eq(buf_span(&h.all), s));
                assert_false(h.torn);
                if (by_line)
                    assert_true(h.lines == 2 && h.pieces == 3);
                logtext_free(&t);
                buf_free(&h.all);
            }
}

static void before_a_gap_what_is_held_goes(void **state)
{
    (void)state;
    struct logtext t = {.offset = 0};
    struct logtext_heard h = {.next = 0};
    logtext_feed(&t, span_str("half a \xc3"), 0, 100, true, hear, &h);
    h.next = 0;
    logtext_flush(&t, hear, &h);
    h.next = 50;
    logtext_feed(&t, span_str("line\n"), 50, 100, true, hear, &h);
    assert_true(span_eq_str(buf_span(&h.all), "half a \xc3line\n"));
    logtext_free(&t);
    buf_free(&h.all);
}

static void a_line_without_an_end_is_handed_on(void **state)
{
    (void)state;
    struct logtext t = {.offset = 0};
    struct logtext_heard h = {.next = 0};
    struct buf block = {0};
    for (int i = 0; i < 1000; i++)
        buf_add_str(&block, "\xc3\xa9");
    for (uint64_t at = 0; at < 4 * LOGTEXT_LINE_MAX; at += block.n) {
        logtext_feed(&t, buf_span(&block), at, 100, true, hear, &h);
        assert_true(t.held.n <= LOGTEXT_LINE_MAX + block.n);
    }
    assert_true(h.pieces >= 3 && !h.torn);
    logtext_free(&t);
    buf_free(&h.all);
    buf_free(&block);
}

static void only_bad_bytes_are_replaced(void **state)
{
    (void)state;
    struct buf out = {0};
    logtext_as_utf8(span_str("\x1b[31m\xff\xc3\xa9\r\n\xc3"), &out);
    assert_string_equal(buf_str(&out), "\x1b[31m\xef\xbf\xbd\xc3\xa9\r\n\xef\xbf\xbd");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cut_changes_the_text),
        cmocka_unit_test(before_a_gap_what_is_held_goes),
        cmocka_unit_test(a_line_without_an_end_is_handed_on),
        cmocka_unit_test(only_bad_bytes_are_replaced),
    };
    return cmocka_run_group_tests_name("logtext", tests, NULL, NULL);
}
