#include "common/buf.h"
#include "common/testing.h"

static void an_empty_span_needs_no_memory(void **state)
{
    (void)state;
    assert_true(span_eq(SPAN_NONE, span_str("")));
    assert_true(span_eq(SPAN_NONE, span_str(NULL)));
    assert_true(span_eq_str(SPAN_NONE, ""));
    char text[8];
    snprintf(text, sizeof text, "<" SPAN_FMT ">", SPAN_ARG(SPAN_NONE));
    assert_string_equal(text, "<>");
}

static void spans_are_equal_byte_by_byte(void **state)
{
    (void)state;
    assert_true(span_eq(span_of("a\0b", 3), span_of("a\0b", 3)));
    assert_false(span_eq(span_of("a\0b", 3), span_of("a\0c", 3)));
    assert_false(span_eq_str(span_str("abc"), "ab"));
    assert_false(span_eq_str(span_str("ab"), "abc"));
}

static void a_copy_that_does_not_fit_is_cut_and_says_so(void **state)
{
    (void)state;
    char out[4];
    assert_true(span_copy_str(span_str("abc"), out, sizeof out));
    assert_string_equal(out, "abc");
    assert_false(span_copy_str(span_str("abcd"), out, sizeof out));
    assert_string_equal(out, "abc");
    assert_true(span_copy_str(SPAN_NONE, out, sizeof out));
    assert_string_equal(out, "");
    assert_false(span_copy_str(SPAN_NONE, NULL, 0));
}

static void a_buffer_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 5000; i++)
        buf_add(&b, &(uint8_t){(uint8_t)i}, 1);
    assert_int_equal(b.n, 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(b.p[i], (uint8_t)i);
    buf_clear(&b);
    assert_int_equal(b.n, 0);
    assert_non_null(b.p);
    buf_free(&b);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);
}

static void printing_fits_every_length(void **state)
{
    (void)state;
    for (int n = 0; n < 300; n++) {
        struct buf b = {0};
        buf_add_str(&b, "x");
        buf_printf(&b, "%*s", n, "");
        assert_int_equal(b.n, (size_t)n + 1);
        assert_int_equal(strlen(buf_str(&b)), (size_t)n + 1);
        buf_free(&b);
    }
}

static void the_c_string_of_an_empty_buffer_is_empty(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(b.n, 0);
    buf_free(&b);
}

static void a_duplicate_is_independent(void **state)
{
    (void)state;
    struct buf a = buf_dup(span_str("abc")), b = buf_dup(buf_span(&a));
    a.p[0] = 'x';
    assert_string_equal(buf_str(&b), "abc");
    char *s = span_dup_str(buf_span(&a));
    assert_string_equal(s, "xbc");
    mem_free(&s);
    buf_free(&a);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_span_needs_no_memory),
        cmocka_unit_test(spans_are_equal_byte_by_byte),
        cmocka_unit_test(a_copy_that_does_not_fit_is_cut_and_says_so),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_bytes),
        cmocka_unit_test(printing_fits_every_length),
        cmocka_unit_test(the_c_string_of_an_empty_buffer_is_empty),
        cmocka_unit_test(a_duplicate_is_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
