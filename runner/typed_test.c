/* typed_test.c - values checked against their declarations. */
#include "common/testing.h"

#include <errno.h>

#include "common/utf8.h"
#include "runner/typed.h"

static int judge(struct d_parameter p, const char *text, const char *json, char *why, size_t size)
{
    struct buf in = {0}, out = {0}, again = {0};
    struct error err = {0};
    struct value v;
    if (!p.name.n)
        p.name = span_str("p");
    value_add_str(&in, span_str(text));
    struct span s = buf_span(&in);
    assert_true(value_read(&s, &v));
    int rc = typed_value("parameter", &p, &v, &out, &err);
    if (rc == 0) {
        s = buf_span(&out);
        assert_true(value_read(&s, &v));
        value_to_json(&v, &again);
        assert_string_equal(buf_str(&again), json);
    } else
        assert_int_equal(out.n, 0);
    if (why)
        snprintf(why, size, "%s", err.text);
    buf_free(&in);
    buf_free(&out);
    buf_free(&again);
    return rc;
}

static void taken(const char *type, const char *text, const char *json)
{
    assert_int_equal(judge((struct d_parameter){.type = span_str(type)}, text, json, NULL, 0), 0);
}

static void refused(struct d_parameter p, const char *text, const char *part)
{
    char why[ERROR_TEXT_MAX];
    assert_int_equal(judge(p, text, NULL, why, sizeof why), -EINVAL);
    assert_contains(why, part);
}

static void texts_become_values_of_the_declared_type(void **state)
{
    (void)state;
    taken("string", "12", "\"12\"");
    taken("int", "-12", "-12");
    taken("float", "1.5e3", "1500.0");
    taken("bool", "true", "true");
    taken("date", "2024-02-29", "\"2024-02-29\"");
    taken("datetime", "2026-11-21T09:13:55+01:00", "\"2026-11-21T09:13:55+01:00\"");
    taken("json", "{\"a\":[1]}", "{\"a\":[1]}");
    taken("json", "plain text", "\"plain text\"");
}

static void texts_that_do_not_fit_their_type_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"int", "12a"},
                                         {"int", ""},
                                         {"int", " 1"},
                                         {"int", "1.0"},
                                         {"int", "9223372036854775808"},
                                         {"float", "nan"},
                                         {"float", "0x10"},
                                         {"float", "1e999"},
                                         {"bool", "yes"},
                                         {"date", "2026-02-30"},
                                         {"date", "2026-11-21T00:00:00Z"},
                                         {"datetime", "2026-11-21"},
                                         {"datetime", "2026-11-21T09:13:55"},
                                         {"thing", "x"},
                                         {NULL, NULL}};
    for (int i = 0; bad[i][0]; i++)
        refused((struct d_parameter){.type = span_str(bad[i][0])}, bad[i][1], "is not of type");
}

static void patterns_must_match_the_whole_text(void **state)
{
    (void)state;
    struct d_parameter p = {.type = span_str("string"), .pattern = span_str("a|b+")};
    assert_int_equal(judge(p, "bbb", "\"bbb\"", NULL, 0), 0);
    refused(p, "xa", "must match the pattern 'a|b+'");
    refused(p, "ab", "must match");
    refused(p, "a\n", "must match");
}

static void patterns_that_cost_too_much_are_refused(void **state)
{
    (void)state;
    refused((struct d_parameter){.type = span_str("string"),
                                 .pattern = span_str("((a{200}){200}){200}")},
            "a", "unusable pattern");
    refused((struct d_parameter){.type = span_str("string"), .pattern = span_str("(a*)\\1")}, "a",
            "unusable pattern");
    refused((struct d_parameter){.type = span_str("string"), .pattern = span_str("(")}, "a",
            "unusable pattern");
    char longer[PATTERN_TEXT_MAX + 2];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    refused((struct d_parameter){.type = span_str("string"), .pattern = span_str("a*")}, longer,
            "is longer than");
}

static void bounds_and_allowed_values_are_enforced(void **state)
{
    (void)state;
    struct buf least = {0}, most = {0}, one = {0}, allowed = {0};
    value_add_int(&least, 1);
    value_add_int(&most, 10);
    struct d_parameter p = {
        .type = span_str("int"), .minimum = buf_span(&least), .maximum = buf_span(&most)};
    assert_int_equal(judge(p, "1", "1", NULL, 0), 0);
    assert_int_equal(judge(p, "10", "10", NULL, 0), 0);
    refused(p, "0", "must be at least 1");
    refused(p, "11", "must be at most 10");
    value_add_str(&one, span_str("full"));
    wire_add_bin(&allowed, buf_span(&one));
    p = (struct d_parameter){.type = span_str("string"), .allowed = wire_list_from(&allowed, 1)};
    assert_int_equal(judge(p, "full", "\"full\"", NULL, 0), 0);
    refused(p, "half", "not one of the 1 allowed");
    buf_clear(&least);
    value_add_str(&least, span_str("2026-01-01"));
    p = (struct d_parameter){.type = span_str("date"), .minimum = buf_span(&least)};
    refused(p, "2025-12-31", "must be at least 2026-01-01");
    buf_free(&least);
    buf_free(&most);
    buf_free(&one);
    buf_free(&allowed);
}

static void a_sensitive_value_is_not_shown(void **state)
{
    (void)state;
    char why[ERROR_TEXT_MAX];
    struct d_parameter p = {.type = span_str("int"), .sensitive = true};
    assert_int_equal(judge(p, "hunter2", NULL, why, sizeof why), -EINVAL);
    assert_null(strstr(why, "hunter2"));
}

/* The error becomes the outcome's message, which is malformed if a character is cut in two. */
static void a_long_value_is_truncated_between_characters(void **state)
{
    (void)state;
    char text[200], why[ERROR_TEXT_MAX];
    struct d_parameter p = {.name = span_str("day"), .type = span_str("int")};
    for (size_t lead = 0; lead < 2; lead++) {
        memset(text, 'x', lead);
        for (size_t i = lead; i + 2 < sizeof text; i += 2) {
            memcpy(text + i, "\xc3\xa4", 2); /* a with an umlaut */
            text[i + 2] = 0;
        }
        assert_int_equal(judge(p, text, NULL, why, sizeof why), -EINVAL);
        assert_true(utf8_is_valid(span_str(why), NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_values_of_the_declared_type),
        cmocka_unit_test(texts_that_do_not_fit_their_type_are_refused),
        cmocka_unit_test(patterns_must_match_the_whole_text),
        cmocka_unit_test(patterns_that_cost_too_much_are_refused),
        cmocka_unit_test(bounds_and_allowed_values_are_enforced),
        cmocka_unit_test(a_sensitive_value_is_not_shown),
        cmocka_unit_test(a_long_value_is_truncated_between_characters),
    };
    return cmocka_run_group_tests_name("typed", tests, NULL, NULL);
}
