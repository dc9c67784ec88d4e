#include "common/jsontext.h"
#include "common/testing.h"

#include <jansson.h>

static void says(struct span in, const char *want)
{
    struct buf b = {0};
    json_escape(&b, in);
    assert_string_equal(buf_str(&b), want);
    json_t *j = json_loads(buf_str(&b), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(j);
    json_decref(j);
    buf_free(&b);
}

static void plain_text_is_quoted(void **state)
{
    (void)state;
    says(SPAN_NONE, "\"\"");
    says(span_str("abc \xc3\xa4 \xf0\x9f\x9a\xa2"), "\"abc \xc3\xa4 \xf0\x9f\x9a\xa2\"");
}

static void characters_that_json_cannot_hold_are_escaped(void **state)
{
    (void)state;
    says(span_str("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
    says(span_str("\b\f\n\r\t\x1b\x7f"), "\"\\b\\f\\n\\r\\t\\u001b\\u007f\"");
    says(span_of("a\0b", 3), "\"a\\u0000b\"");
}

static void bad_bytes_become_the_replacement_character(void **state)
{
    (void)state;
    says(span_str("a\xff\xc3z\xe2\x82"), "\"a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void every_string_of_two_bytes_is_valid_json(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 65536; i++) {
        uint8_t in[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        buf_clear(&b);
        json_escape(&b, span_of(in, 2));
        json_t *j = json_loads(buf_str(&b), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(j);
        json_decref(j);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_quoted),
        cmocka_unit_test(characters_that_json_cannot_hold_are_escaped),
        cmocka_unit_test(bad_bytes_become_the_replacement_character),
        cmocka_unit_test(every_string_of_two_bytes_is_valid_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
