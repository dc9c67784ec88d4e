#include "common/json.h"
#include "common/testing.h"

#include <errno.h>

static json_t *parsed(const char *text)
{
    struct error err = {0};
    json_t *j = json_parse("f.json", span_str(text), &err);
    if (!j)
        fail_msg("%s", err.text);
    return j;
}

static void equal_values_have_one_spelling(void **state)
{
    (void)state;
    json_t *j = parsed("{ \"b\": [1, true, null], \"a\\u00e4\": \"\\u00e4/\", \"a\": {} }");
    char *text = json_dump_canonical(j);
    assert_string_equal(text, "{\"a\":{},\"a\xc3\xa4\":\"\xc3\xa4/\",\"b\":[1,true,null]}");
    free(text);
    json_decref(j);
    j = parsed("5");
    text = json_dump_canonical(j);
    assert_string_equal(text, "5");
    free(text);
    json_decref(j);
}

static void invalid_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "{", "{\"a\":1,\"a\":2}", "[1,]", "\"\\u0000\"", "{} x", "\"\xff\""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = {0};
        assert_null(json_parse("f.json", span_str(wrong[i]), &err));
        assert_contains(err.text, "f.json:1:");
    }
}

static void members_have_types(void **state)
{
    (void)state;
    json_t *j = parsed("{\"s\":\"x\",\"i\":7,\"t\":true,\"f\":false,\"o\":{},\"a\":[]}");
    struct error err = {0};
    const char *s;
    int64_t i;
    bool b;
    assert_int_equal(json_get_str(j, "s", &s, &err), 0);
    assert_string_equal(s, "x");
    assert_int_equal(json_get_int(j, "i", &i, &err), 0);
    assert_int_equal(i, 7);
    assert_int_equal(json_get_bool(j, "t", &b, &err), 0);
    assert_true(b);
    assert_int_equal(json_get_bool(j, "f", &b, &err), 0);
    assert_false(b);
    assert_non_null(json_get_object(j, "o", &err));
    assert_non_null(json_get_array(j, "a", &err));
    assert_int_equal(json_get_int(j, "s", &i, &err), -EINVAL);
    assert_string_equal(err.text, "'s' must be a whole number");
    assert_int_equal(json_get_bool(j, "i", &b, NULL), -EINVAL);
    assert_int_equal(json_get_str(j, "none", &s, &err), -ENOENT);
    assert_string_equal(err.text, "'none' is missing");
    assert_int_equal(json_get_str(NULL, "s", &s, &err), -ENOENT);
    assert_null(json_get_array(j, "o", &err));
    json_decref(j);
}

static void an_unknown_key_is_refused_with_a_suggestion(void **state)
{
    (void)state;
    static const char *const allowed[] = {"steps", NULL};
    struct error err = {0};
    json_t *j = parsed("{\"stesp\":1}"), *list = parsed("[]"), *good = parsed("{\"steps\":1}");
    assert_int_equal(json_check_keys(j, allowed, &err), -EINVAL);
    assert_string_equal(err.text, "unknown key 'stesp' (did you mean 'steps'?)");
    assert_int_equal(json_check_keys(list, allowed, &err), -EINVAL);
    assert_int_equal(json_check_keys(good, allowed, &err), 0);
    json_decref(j);
    json_decref(list);
    json_decref(good);
}

static void a_row_that_is_shown_has_no_text_that_could_act(void **state)
{
    (void)state;
    const char *row = "{\"a\\nb\":[{\"x\":\"\\u001b[2J\\u202e\"}],\"c\":\"plain\",\"d\":7}";
    json_t *o = json_parse_shown("row", span_str(row), NULL);
    char *text = json_dumps(o, JSON_COMPACT);
    assert_string_equal(
        text, "{\"a\\\\u000ab\":[{\"x\":\"\\\\u001b[2J\\\\u202e\"}],\"c\":\"plain\",\"d\":7}");
    free(text);
    json_decref(o);
    assert_null(json_parse_shown("row", span_str("{"), NULL));
}

static void a_file_is_read_up_to_a_limit(void **state)
{
    const char *path = testing_path(state, "f.json");
    struct error err = {0};
    assert_int_equal(file_write_atomic(path, span_str("[1]"), 0600, NULL), 0);
    json_t *j = json_read_file(path, 3, &err);
    assert_non_null(j);
    json_decref(j);
    assert_null(json_read_file(path, 2, &err));
    assert_int_equal(err.code, -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_have_one_spelling),
        cmocka_unit_test(invalid_json_is_refused_with_its_place),
        cmocka_unit_test(members_have_types),
        cmocka_unit_test(an_unknown_key_is_refused_with_a_suggestion),
        cmocka_unit_test(a_row_that_is_shown_has_no_text_that_could_act),
        in_folder(a_file_is_read_up_to_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
