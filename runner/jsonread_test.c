/* jsonread_test.c - valid JSON is read and everything else is refused. */
#include "common/testing.h"

#include <errno.h>

#include "proto/limits.h"
#include "proto/wire.h"
#include "runner/jsonread.h"

/* Reads it, then writes it with proto's writer. */
static void same(const char *json, const char *again)
{
    struct buf b = {0}, text = {0};
    struct error err = {0};
    struct value v;
    if (jsonread_value(span_str(json), &b, &err) < 0)
        fail_msg("%s: %s", json, err.text);
    struct span in = buf_span(&b);
    assert_int_equal(value_check(in, &err), 0);
    assert_true(value_read(&in, &v));
    value_to_json(&v, &text);
    assert_string_equal(buf_str(&text), again ? again : json);
    buf_free(&b);
    buf_free(&text);
}

static void refused(struct span json, const char *why)
{
    struct buf b = {0};
    struct error err = {0};
    assert_int_equal(jsonread_value(json, &b, &err), -EINVAL);
    assert_contains(err.text, why);
    assert_int_equal(b.n, 0);
    buf_free(&b);
}

static void values_of_all_kinds_are_read(void **state)
{
    (void)state;
    same("null", NULL);
    same(" [ true , false ] ", "[true,false]");
    same("{\"a\":1,\"b\":[],\"c\":{}}", NULL);
    same("-9223372036854775808", NULL);
    same("9223372036854775807", NULL);
    same("\"a\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\"", "\"a\xc3\xa9\xf0\x9f\x98\x80\\n\\\"\\\\/\"");
}

static void integers_that_do_not_fit_and_fractions_are_floats(void **state)
{
    (void)state;
    static const char *const floats[] = {"9223372036854775808", "1.0", "1e3", "-0.5E-2", NULL};
    for (int i = 0; floats[i]; i++) {
        struct buf b = {0};
        struct value v;
        assert_int_equal(jsonread_value(span_str(floats[i]), &b, NULL), 0);
        struct span in = buf_span(&b);
        assert_true(value_read(&in, &v) && v.type == VALUE_FLOAT);
        buf_free(&b);
    }
}

static void invalid_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"", "expected a value"},
                                         {"{", "expected a string"},
                                         {"[1", "',' or ']'"},
                                         {"[1,]", "expected a value"},
                                         {"{\"a\" 1}", "':'"},
                                         {"{\"a\":1,}", "expected a string"},
                                         {"{\"a\":1 \"b\":2}", "','"},
                                         {"01", "expected a value"},
                                         {"1.", "digits"},
                                         {"1e", "digits"},
                                         {"-", "expected a value"},
                                         {"+1", "expected a value"},
                                         {"nul", "expected a value"},
                                         {"NaN", "expected a value"},
                                         {"1 2", "unexpected text after"},
                                         {"\"a", "unterminated string"},
                                         {"\"\\x\"", "unknown escape"},
                                         {"\"\\u12g4\"", "needs four hexadecimal"},
                                         {"\"\\ud800\"", "surrogate"},
                                         {"\"\\ud800\\u0041\"", "surrogate"},
                                         {"\"\\udc00\"", "surrogate"},
                                         {"\"\\u0000\"", "NUL"},
                                         {"\"\n\"", "control character"},
                                         {"\"\xc3\"", "not UTF-8"},
                                         {"1e999", "too large"},
                                         {"{\"a\":1,\"a\":2}", "twice"},
                                         {"{\"\":1}", "an empty name, or one that is too long"},
                                         {"'a'", "expected a value"},
                                         {"{a:1}", "expected a string"},
                                         {NULL, NULL}};
    for (int i = 0; bad[i][0]; i++)
        refused(span_str(bad[i][0]), bad[i][1]);
}

static void json_that_is_too_deep_or_too_large_is_refused(void **state)
{
    (void)state;
    struct buf deep = {0}, many = {0};
    for (int i = 0; i < 100000; i++)
        buf_add_str(&deep, "[");
    refused(buf_span(&deep), "too deep");
    buf_add_str(&many, "[0");
    for (int i = 0; i < LIMIT_VALUES; i++)
        buf_add_str(&many, ",0");
    buf_add_str(&many, "]");
    refused(buf_span(&many), "too many");
    char digits[500];
    memset(digits, '9', sizeof digits);
    refused(span_of(digits, sizeof digits), "too many digits");
    buf_free(&deep);
    buf_free(&many);
}

static void truncated_or_corrupted_json_never_crashes_the_reader(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\"],\"b\":{\"c\":null,\"d\":true}}";
    char copy[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        struct buf b = {0};
        assert_int_equal(jsonread_value(span_of(text, i), &b, NULL), -EINVAL);
        for (int byte = 0; byte < 256; byte++) {
            memcpy(copy, text, sizeof text);
            copy[i] = (char)byte;
            buf_clear(&b);
            if (jsonread_value(span_of(copy, sizeof text - 1), &b, NULL) == 0)
                assert_int_equal(value_check(buf_span(&b), NULL), 0);
        }
        buf_free(&b);
    }
}

static void an_object_is_read_into_its_pairs(void **state)
{
    (void)state;
    struct buf items = {0};
    struct error err = {0};
    uint32_t n = 0;
    struct value v;
    assert_int_equal(
        jsonread_object(span_str(" {\"rows\": 12, \"name\": \"x\"} "), &items, &n, &err), 0);
    struct wire_list map = wire_list_from(&items, n);
    assert_int_equal(n, 2);
    assert_true(wire_map_get(&map, "rows", &v) && v.integer == 12);
    assert_int_equal(jsonread_object(span_str("[1]"), &items, &n, &err), -EINVAL);
    assert_int_equal(jsonread_object(span_str("{\"a\":1} x"), &items, &n, &err), -EINVAL);
    buf_free(&items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_all_kinds_are_read),
        cmocka_unit_test(integers_that_do_not_fit_and_fractions_are_floats),
        cmocka_unit_test(invalid_json_is_refused),
        cmocka_unit_test(json_that_is_too_deep_or_too_large_is_refused),
        cmocka_unit_test(truncated_or_corrupted_json_never_crashes_the_reader),
        cmocka_unit_test(an_object_is_read_into_its_pairs),
    };
    return cmocka_run_group_tests_name("jsonread", tests, NULL, NULL);
}
