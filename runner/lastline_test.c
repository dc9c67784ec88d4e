/* lastline_test.c - the message of a failure shows the error, whatever a program has drawn. */
#include "common/testing.h"
#include "common/utf8.h"
#include "runner/lastline.h"

static void expect(const char *tail, size_t most, const char *want)
{
    struct buf out = {0};
    lastline_add(span_str(tail), most, &out);
    assert_string_equal(buf_str(&out), want);
    buf_free(&out);
}

static void it_is_the_last_line_that_shows_anything(void **state)
{
    (void)state;
    expect("first\nno such table: orders\n\n  \n", 300, "no such table: orders");
    expect("no line feed", 300, "no line feed");
    expect("windows\r\nends\r\n", 300, "ends");
    expect("error: x\n\x1b[0m\n\x1b[K\n", 300, "error: x");
    expect("", 300, "");
    expect("\n \r\n\t", 300, "");
}

static void behind_a_progress_bar_is_the_error(void **state)
{
    (void)state;
    expect("10%\r20%\r30%\rerror: disk full\n", 300, "error: disk full");
    expect("error: disk full\n10%\r20%\r\n", 300, "20%");
    expect("loading\r\x1b[2K\r", 300, "loading");
}

static void colours_and_titles_are_removed(void **state)
{
    (void)state;
    expect("\x1b[1;31merror:\x1b[0m no \x1b]0;title\x07table\n", 300, "error: no table");
    expect("torn \x1b[3", 300, "torn");
}

static void of_a_long_line_the_end_is_kept_without_broken_characters(void **state)
{
    (void)state;
    struct buf text = {0}, out = {0};
    for (int i = 0; i < 400; i++)
        buf_add_str(&text, "\xc3\xa9");
    for (size_t most = 20; most < 40; most++) {
        for (size_t torn = 0; torn < 2; torn++) {
            buf_clear(&out);
            lastline_add(span_of(text.p + torn, text.n - torn), most, &out);
            assert_true(utf8_is_valid(buf_span(&out), NULL));
            assert_true(out.n <= most && out.n + 1 >= most);
            assert_memory_equal(out.p, "...\xc3\xa9", 5);
        }
    }
    buf_clear(&text);
    buf_printf(&text, "%0700d the end", 7);
    buf_clear(&out);
    lastline_add(buf_span(&text), 300, &out);
    assert_contains(buf_str(&out), "07 the end");
    assert_int_equal(out.n, 300);
    buf_free(&text);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_last_line_that_shows_anything),
        cmocka_unit_test(behind_a_progress_bar_is_the_error),
        cmocka_unit_test(colours_and_titles_are_removed),
        cmocka_unit_test(of_a_long_line_the_end_is_kept_without_broken_characters),
    };
    return cmocka_run_group_tests_name("lastline", tests, NULL, NULL);
}
