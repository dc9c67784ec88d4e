/* outputs_test.c - what children report about themselves, valid and not. */
#include "common/testing.h"

#include <errno.h>

#include "runner/outputs.h"

static const struct wire_list nothing_declared;

static void declare(struct buf *items, struct wire_list *ret)
{
    struct buf one = {0};
    const struct d_parameter all[] = {{.name = span_str("rows"), .type = span_str("int")},
                                      {.name = span_str("day"), .type = span_str("date")}};
    for (int i = 0; i < 2; i++) {
        buf_clear(&one);
        d_parameter_encode(&all[i], &one);
        wire_add_bin(items, buf_span(&one));
    }
    *ret = wire_list_from(items, 2);
    buf_free(&one);
}

static void read_as(const char *text, const struct wire_list *declared, const char *json)
{
    struct buf items = {0}, again = {0};
    struct error err = {0};
    uint32_t n = 0;
    if (outputs_read(span_str(text), declared, &items, &n, &err) < 0)
        fail_msg("%s", err.text);
    struct wire_list map = wire_list_from(&items, n);
    wire_map_to_json(&map, &again);
    assert_string_equal(buf_str(&again), json);
    buf_free(&items);
    buf_free(&again);
}

static void refused(struct span text, const struct wire_list *declared, const char *why)
{
    struct buf items = {0};
    struct error err = {0};
    uint32_t n = 0;
    assert_int_equal(outputs_read(text, declared, &items, &n, &err), -EINVAL);
    assert_contains(err.text, why);
    assert_int_equal(items.n, 0);
    buf_free(&items);
}

static void lines_are_assignments_or_json_objects(void **state)
{
    (void)state;
    read_as("", &nothing_declared, "{}");
    read_as("\n\r\n  \na=1\nb= x=y \n", &nothing_declared, "{\"a\":\"1\",\"b\":\" x=y \"}");
    read_as("{\"a\":1,\"b\":[true]}\nc=last", &nothing_declared,
            "{\"a\":1,\"b\":[true],\"c\":\"last\"}");
    read_as("a=1\na=2\r\n", &nothing_declared, "{\"a\":\"2\"}");
}

static void declared_outputs_are_typed_and_undeclared_ones_refused(void **state)
{
    (void)state;
    struct buf items = {0};
    struct wire_list declared;
    declare(&items, &declared);
    read_as("rows=12\n{\"day\":\"2026-11-21\"}", &declared, "{\"rows\":12,\"day\":\"2026-11-21\"}");
    refused(span_str("rows=12\nrows=many"), &declared, "outputs, line 2: output 'rows' = 'many'");
    refused(span_str("columns=3"), &declared, "declares no output 'columns'");
    buf_free(&items);
}

static void bad_lines_are_refused_with_their_line_number(void **state)
{
    (void)state;
    refused(span_str("a=1\nnonsense"), &nothing_declared, "outputs, line 2: expected name=value");
    refused(span_str("A=1"), &nothing_declared, "'A' is not a valid name");
    refused(span_str("=1"), &nothing_declared, "is not a valid name");
    refused(span_str("{\"a\":}"), &nothing_declared, "outputs, line 1: invalid JSON");
    refused(span_of("a=\xff", 3), &nothing_declared, "not UTF-8");
    refused(span_of("a=x\0y", 5), &nothing_declared, "not UTF-8");
    struct buf big = {0};
    for (int i = 0; i < LIMIT_VALUES + 1; i++)
        buf_printf(&big, "a%d=\n", i);
    refused(buf_span(&big), &nothing_declared, "the outputs are larger");
    buf_free(&big);
}

static void a_verdict_is_a_word_and_a_message(void **state)
{
    (void)state;
    enum package_outcome said = PACKAGE_UNKNOWN;
    struct buf m = {0};
    assert_true(outputs_read_verdict(span_str("failed: no such table\n"), &said, &m));
    assert_int_equal(said, PACKAGE_FAILED);
    assert_string_equal(buf_str(&m), "no such table");
    buf_clear(&m);
    assert_true(outputs_read_verdict(span_str("cancelled"), &said, &m));
    assert_int_equal(said, PACKAGE_CANCELLED);
    buf_clear(&m);
    assert_false(outputs_read_verdict(span_str("unknown thing"), &said, &m));
    assert_string_equal(buf_str(&m), "unknown thing");
    buf_clear(&m);
    assert_false(outputs_read_verdict(SPAN_NONE, &said, &m));
    buf_free(&m);
}

static void progress_is_the_last_complete_line(void **state)
{
    (void)state;
    struct buf m = {0};
    uint64_t percent = 7;
    assert_true(
        outputs_read_progress(span_str("1 a\n42% loading orders\n99 not yet"), &percent, &m));
    assert_int_equal(percent, 42);
    assert_string_equal(buf_str(&m), "loading orders");
    buf_clear(&m);
    assert_true(outputs_read_progress(span_str("loading\n"), &percent, &m));
    assert_int_equal(percent, 42);
    assert_string_equal(buf_str(&m), "loading");
    buf_clear(&m);
    assert_true(outputs_read_progress(span_str("400\n"), &percent, &m));
    assert_int_equal(percent, 100);
    assert_false(outputs_read_progress(span_str("50"), &percent, &m));
    assert_false(outputs_read_progress(span_str("\n\n"), &percent, &m));
    buf_free(&m);
}

static void text_for_people_is_one_line_of_utf8(void **state)
{
    (void)state;
    struct buf m = {0};
    outputs_clean_text(span_of(" a\x1b[1m\nb\xff\0 ", 10), 100, &m);
    assert_string_equal(buf_str(&m), "a b\xef\xbf\xbd");
    buf_clear(&m);
    outputs_clean_text(span_str("abc\xc3\xa9"), 4, &m);
    assert_string_equal(buf_str(&m), "abc");
    buf_clear(&m);
    buf_add(&m, "x=", 2); /* what is there already neither counts nor goes */
    outputs_clean_text(span_str("  PATH  of\tall \x7f"), 100, &m);
    assert_string_equal(buf_str(&m), "x=PATH  of all");
    buf_clear(&m);
    outputs_clean_text(span_str("abc def"), 3, &m);
    assert_string_equal(buf_str(&m), "abc");
    buf_clear(&m);
    outputs_clean_text(span_str("abcdef"), 0, &m);
    assert_int_equal(m.n, 0);
    buf_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_assignments_or_json_objects),
        cmocka_unit_test(declared_outputs_are_typed_and_undeclared_ones_refused),
        cmocka_unit_test(bad_lines_are_refused_with_their_line_number),
        cmocka_unit_test(a_verdict_is_a_word_and_a_message),
        cmocka_unit_test(progress_is_the_last_complete_line),
        cmocka_unit_test(text_for_people_is_one_line_of_utf8),
    };
    return cmocka_run_group_tests_name("outputs", tests, NULL, NULL);
}
