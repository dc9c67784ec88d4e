/* term_test.c - colour, width, safe text, lines and bars. */
#include "common/term.h"
#include "common/testing.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct term pipe_like = {.width = 80},
                         colourful = {.is_terminal = true, .colour = true, .width = 80};

static void says(struct buf *b, const char *want)
{
    assert_string_equal(buf_str(b), want);
    buf_clear(b);
}

static void output_that_is_not_a_terminal_gets_no_colour(void **state)
{
    (void)state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    unsetenv("COLUMNS");
    struct term t = term_of(p[1]);
    assert_false(t.is_terminal);
    assert_false(t.colour);
    assert_int_equal(t.width, 80);
    close(p[0]);
    close(p[1]);
}

static void a_terminal_has_colour_unless_the_user_says_no(void **state)
{
    (void)state;
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    const struct winsize size = {.ws_row = 24, .ws_col = 133};
    if (fd < 0 || ioctl(fd, TIOCSWINSZ, &size) < 0)
        skip();
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_true(term_of(fd).colour);
    assert_int_equal(term_of(fd).width, 133);
    setenv("NO_COLOR", "1", 1);
    assert_false(term_of(fd).colour);
    assert_true(term_of(fd).is_terminal);
    setenv("NO_COLOR", "", 1);
    assert_true(term_of(fd).colour);
    setenv("TERM", "dumb", 1);
    assert_false(term_of(fd).colour);
    unsetenv("TERM");
    assert_false(term_of(fd).colour);
    unsetenv("NO_COLOR");
    close(fd);
}

static void moods_are_coloured_only_where_colour_is_on(void **state)
{
    (void)state;
    struct buf b = {0};
    term_paint(&b, &pipe_like, TERM_BAD, "failed");
    says(&b, "failed");
    term_paint(&b, &colourful, TERM_BAD, "failed");
    says(&b, "\xfe"
             "rfailed\xfe"
             "0");
    term_paint(&b, &colourful, TERM_PLAIN, "x");
    says(&b, "x");
    buf_free(&b);
}

static void width_is_counted_in_columns(void **state)
{
    (void)state;
    assert_int_equal(term_width(span_str("abc")), 3);
    assert_int_equal(term_width(span_str("\xc3\xa4")), 1);
    assert_int_equal(term_width(span_str("a\xcc\x88")), 1);
    assert_int_equal(term_width(span_str("\xe6\x97\xa5\xe6\x9c\xac")), 4);
    assert_int_equal(term_width(span_str("\xff\xfe")), 2);
    assert_int_equal(term_width(SPAN_NONE), 0);
}

static void text_from_outside_cannot_act_on_the_terminal(void **state)
{
    (void)state;
    struct buf b = {0};
    term_safe(&b, span_str("a\033[2J\r\n\x7f z\xc3\xa4"));
    says(&b, "a\\u001b[2J\\u000d\\u000a\\u007f z\xc3\xa4");
    term_safe(&b, span_str("\xc2\x9b"
                           "31m \xe2\x80\xae"
                           "txt \xff"));
    says(&b, "\\u009b31m \\u202etxt \xef\xbf\xbd");
    term_safe(&b, span_of("\0", 1));
    says(&b, "\\u0000");
    term_safe_lines(&b, span_str("a\tb\nc\rd\033"));
    says(&b, "a\tb\nc\\u000dd\\u001b");
    buf_free(&b);
}

static void truncation_ends_in_an_ellipsis_and_never_splits_a_character(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_int_equal(term_cut(&b, span_str("abcdef"), 6), 6);
    says(&b, "abcdef");
    assert_int_equal(term_cut(&b, span_str("abcdef"), 5), 5);
    says(&b, "abcd\xe2\x80\xa6");
    assert_int_equal(term_cut(&b, span_str("\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5"), 4), 3);
    says(&b, "\xe6\x97\xa5\xe2\x80\xa6");
    assert_int_equal(term_cut(&b, span_str("ab"), 0), 0);
    says(&b, "");
    buf_free(&b);
}

static void without_unicode_cuts_and_bars_are_ascii(void **state)
{
    (void)state;
    struct buf b = {0};
    term_unicode_set(false);
    assert_int_equal(term_cut(&b, span_str("abcdef"), 5), 5);
    says(&b, "ab...");
    assert_int_equal(term_cut(&b, span_str("abcdef"), 2), 2);
    says(&b, "ab");
    term_bar(&b, 4, 0.6);
    says(&b, "##--");
    term_unicode_set(true);
    buf_free(&b);
}

static void lines_break_at_spaces_and_keep_their_indent(void **state)
{
    (void)state;
    struct buf b = {0};
    term_wrap(&b, span_str("one two three four"), 4, 13);
    says(&b, "one two\n    three\n    four");
    term_wrap(&b, span_str("abcdefgh ij"), 0, 5);
    says(&b, "abcde\nfgh\nij");
    term_wrap(&b, span_str("\xe6\x97\xa5"), 0, 1);
    says(&b, "\xe6\x97\xa5");
    term_wrap(&b, span_str("one"), 9, 3);
    assert_contains(buf_str(&b), "o\n         n\n");
    buf_clear(&b);
    term_wrap(&b, SPAN_NONE, 4, 10);
    says(&b, "");
    buf_free(&b);
}

static void columns_bounds_a_page_that_is_not_a_terminal(void **state)
{
    (void)state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    unsetenv("COLUMNS");
    struct term t = term_of(p[1]);
    assert_int_equal(term_page(&t), INT_MAX);
    setenv("COLUMNS", "66", 1);
    t = term_of(p[1]);
    assert_int_equal(term_page(&t), 66);
    unsetenv("COLUMNS");
    close(p[0]);
    close(p[1]);
}

static void a_bar_has_its_width_and_is_full_only_at_the_end(void **state)
{
    (void)state;
    struct buf b = {0};
    static const double some[] = {-1, 0, 0.001, 0.33, 0.5, 0.999, 1, 2, NAN};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        term_bar(&b, 10, some[i]);
        assert_int_equal(term_width(buf_span(&b)), 10);
        buf_clear(&b);
    }
    term_bar(&b, 2, 1);
    says(&b, "\xe2\x96\x88\xe2\x96\x88");
    term_bar(&b, 2, 0.75);
    says(&b, "\xe2\x96\x88\xe2\x96\x8c");
    term_bar(&b, 2, 0);
    says(&b, "\xe2\x96\x91\xe2\x96\x91");
    term_bar(&b, 2, 0.999);
    says(&b, "\xe2\x96\x88\xe2\x96\x89");
    term_bar(&b, 0, 0.5);
    says(&b, "");
    buf_free(&b);
}

static void the_cursor_moves_back_to_redraw(void **state)
{
    (void)state;
    struct buf b = {0};
    term_up(&b, 3);
    term_erase_line(&b);
    term_erase_below(&b);
    says(&b, "\xfeH\xfeU\xfeU\xfeU\xfeK\xfeJ");
    term_up(&b, 0);
    says(&b, "\xfeH");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_that_is_not_a_terminal_gets_no_colour),
        cmocka_unit_test(a_terminal_has_colour_unless_the_user_says_no),
        cmocka_unit_test(moods_are_coloured_only_where_colour_is_on),
        cmocka_unit_test(width_is_counted_in_columns),
        cmocka_unit_test(text_from_outside_cannot_act_on_the_terminal),
        cmocka_unit_test(truncation_ends_in_an_ellipsis_and_never_splits_a_character),
        cmocka_unit_test(without_unicode_cuts_and_bars_are_ascii),
        cmocka_unit_test(lines_break_at_spaces_and_keep_their_indent),
        cmocka_unit_test(columns_bounds_a_page_that_is_not_a_terminal),
        cmocka_unit_test(a_bar_has_its_width_and_is_full_only_at_the_end),
        cmocka_unit_test(the_cursor_moves_back_to_redraw),
    };
    term_unicode_set(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
