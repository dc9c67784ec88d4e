#include "common/termout.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/term.h"
#include "common/testing.h"

static const struct term colourful = {.is_terminal = true, .colour = true, .width = 80};

/* What a message or page becomes in a file. */
static char *text_of(FILE *f)
{
    char *text = mem_zalloc(1, 4096);
    rewind(f);
    text[fread(text, 1, 4095, f)] = 0;
    fclose(f);
    return text;
}

static void line_feeds_of_a_format_stay_and_those_of_its_arguments_are_shown(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    int n = term_say(f, "a\tb\n%s|%d|%.3s\n", "x\ny\tz\r\033[2J\xc2\x9b", 7, "longer");
    char *text = text_of(f);
    assert_string_equal(text, "a\tb\nx\\u000ay\\u0009z\\u000d\\u001b[2J\\u009b|7|lon\n");
    assert_int_equal(n, (int)strlen("a\tb\nx\ny\tz\r\033[2J\xc2\x9b|7|lon\n"));
    mem_free(&text);
}

static void characters_that_turn_the_direction_are_shown(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    term_say(f, "%s\n",
             "pay \xe2\x80\xae"
             "001\xe2\x80\xac \xe2\x81\xa6x");
    char *text = text_of(f);
    assert_string_equal(text, "pay \\u202e001\\u202c \\u2066x\n");
    mem_free(&text);
}

static void a_page_keeps_our_marks_and_shows_the_sequences_of_others(void **state)
{
    (void)state;
    struct buf page = {0};
    FILE *f = tmpfile();
    term_up(&page, 12);
    term_erase_line(&page);
    term_paint(&page, &colourful, TERM_BAD, "failed");
    buf_add_str(&page, "\n\033[31mred\033[0m\r\b\a");
    term_erase_below(&page);
    assert_true(term_put(f, buf_span(&page)));
    char *text = text_of(f);
    assert_string_equal(text, "\r\033[12A\033[K\033[31mfailed\033[0m\n"
                              "\\u001b[31mred\\u001b[0m\\u000d\\u0008\\u0007\033[J");
    mem_free(&text);
    buf_free(&page);
}

static void every_mood_has_its_sequence(void **state)
{
    (void)state;
    for (int mood = TERM_GOOD; mood <= TERM_BOLD; mood++) {
        struct buf page = {0}, shown = {0};
        term_paint(&page, &colourful, (enum term_mood)mood, "x");
        term_show(&shown, buf_span(&page));
        assert_int_equal(buf_str(&shown)[0], '\033');
        assert_contains(buf_str(&shown), "mx\033[0m");
        buf_free(&page);
        buf_free(&shown);
    }
}

static void a_mark_that_is_cut_or_unknown_is_shown_as_a_foreign_byte(void **state)
{
    (void)state;
    struct buf shown = {0};
    term_show(&shown, span_str("a\xfe"));
    term_show(&shown, span_str("\xfez\xff"));
    assert_string_equal(buf_str(&shown), "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd");
    buf_free(&shown);
}

static void bytes_go_to_a_file_as_they_are(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_true(term_bytes(f, span_of("\033[2J\xff\n", 6)));
    assert_true(term_put(f, SPAN_NONE)); /* nothing */
    char *text = text_of(f);
    assert_memory_equal(text, "\033[2J\xff\n", 6);
    mem_free(&text);
}

static void a_page_that_cannot_be_written_is_noticed(void **state)
{
    (void)state;
    FILE *f = fopen("/dev/full", "w");
    setvbuf(f, NULL, _IONBF, 0);
    assert_false(term_put(f, span_str("x")));
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_feeds_of_a_format_stay_and_those_of_its_arguments_are_shown),
        cmocka_unit_test(characters_that_turn_the_direction_are_shown),
        cmocka_unit_test(a_page_keeps_our_marks_and_shows_the_sequences_of_others),
        cmocka_unit_test(every_mood_has_its_sequence),
        cmocka_unit_test(a_mark_that_is_cut_or_unknown_is_shown_as_a_foreign_byte),
        cmocka_unit_test(bytes_go_to_a_file_as_they_are),
        cmocka_unit_test(a_page_that_cannot_be_written_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
