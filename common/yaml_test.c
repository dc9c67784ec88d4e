#include "common/yaml.h"
#include "common/testing.h"

#include <errno.h>

static struct yaml *read_ok(const char *text)
{
    struct yaml *y = NULL;
    struct error err = {0};
    if (yaml_read_bytes("f.yaml", span_str(text), &y, &err) < 0)
        fail_msg("%s", err.text);
    return y;
}

static void refused(const char *text, const char *sentence)
{
    struct yaml *y = NULL;
    struct error err = {0};
    if (yaml_read_bytes("f.yaml", span_str(text), &y, &err) == 0)
        fail_msg("taken: %s", text);
    assert_null(y);
    assert_contains(err.text, sentence);
}

static void a_tree_knows_its_places(void **state)
{
    (void)state;
    struct yaml *y =
        read_ok("# plan\nname: extract\nsteps:\n  - {run: a}\n  - run: b\n    args: [x, \"1\"]\n");
    const struct yaml_node *root = yaml_root(y), *steps = yaml_get(root, "steps");
    assert_int_equal(yaml_count(root), 2);
    assert_true(span_eq_str(yaml_text(yaml_key(root, 1)), "steps"));
    assert_ptr_equal(yaml_value(root, 1), steps);
    assert_int_equal(yaml_line(yaml_key(root, 1)), 3);
    assert_true(yaml_is_seq(steps));
    const struct yaml_node *args = yaml_get(yaml_item(steps, 1), "args");
    assert_int_equal(yaml_line(args), 6);
    assert_int_equal(yaml_column(args), 11);
    assert_false(yaml_is_quoted(yaml_item(args, 0)));
    assert_true(yaml_is_quoted(yaml_item(args, 1)));
    assert_null(yaml_item(args, 2));
    assert_null(yaml_get(args, "x"));
    assert_null(yaml_get(root, "step"));
    yaml_free(&y);
    assert_null(y);
    yaml_free(&y);
}

static void types_are_those_of_json_and_quotes_mean_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum yaml_type type;
    } rows[] = {
        {"true", YAML_TYPE_BOOL},    {"false", YAML_TYPE_BOOL},    {"True", YAML_TYPE_STR},
        {"yes", YAML_TYPE_STR},      {"on", YAML_TYPE_STR},        {"null", YAML_TYPE_NULL},
        {"~", YAML_TYPE_NULL},       {"", YAML_TYPE_NULL},         {"Null", YAML_TYPE_STR},
        {"0", YAML_TYPE_INT},        {"-12", YAML_TYPE_INT},       {"+1", YAML_TYPE_STR},
        {"012", YAML_TYPE_STR},      {"0x1f", YAML_TYPE_STR},      {"1_000", YAML_TYPE_STR},
        {"1.5", YAML_TYPE_FLOAT},    {"-0.5e-3", YAML_TYPE_FLOAT}, {"1e9", YAML_TYPE_FLOAT},
        {".5", YAML_TYPE_STR},       {"1.", YAML_TYPE_STR},        {"1e", YAML_TYPE_STR},
        {".inf", YAML_TYPE_STR},     {"12:30", YAML_TYPE_STR},     {"2026-11-21", YAML_TYPE_STR},
        {"\"true\"", YAML_TYPE_STR}, {"'1'", YAML_TYPE_STR},       {"\"\"", YAML_TYPE_STR},
        {"|\n  1", YAML_TYPE_STR},   {"\"1\\0\"", YAML_TYPE_STR},  {"1.2.0", YAML_TYPE_STR}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char doc[64];
        snprintf(doc, sizeof doc, "k: %s\n", rows[i].text);
        struct yaml *y = read_ok(doc);
        if (yaml_type(yaml_get(yaml_root(y), "k")) != rows[i].type)
            fail_msg("%s", rows[i].text);
        yaml_free(&y);
    }
    assert_int_equal(yaml_type(NULL), YAML_TYPE_NULL);
}

static void typed_values_are_returned(void **state)
{
    (void)state;
    struct yaml *y = read_ok("s: 1.10\ni: -7\nf: 2.5\nb: true\nd: 90s\nz: 2G\n");
    const struct yaml_node *r = yaml_root(y);
    const char *s;
    int64_t i;
    double f;
    bool b;
    assert_int_equal(yaml_str(yaml_get(r, "s"), &s, NULL), 0);
    assert_string_equal(s, "1.10");
    assert_int_equal(yaml_int(yaml_get(r, "i"), &i, NULL), 0);
    assert_int_equal(i, -7);
    assert_int_equal(yaml_float(yaml_get(r, "f"), &f, NULL), 0);
    assert_true(f == 2.5);
    assert_int_equal(yaml_float(yaml_get(r, "i"), &f, NULL), 0);
    assert_true(f == -7);
    assert_int_equal(yaml_bool(yaml_get(r, "b"), &b, NULL), 0);
    assert_true(b);
    assert_int_equal(yaml_duration(yaml_get(r, "d"), &i, NULL), 0);
    assert_int_equal(i, 90000);
    assert_int_equal(yaml_size(yaml_get(r, "z"), &i, NULL), 0);
    assert_int_equal(i, 2147483648);
    yaml_free(&y);
}

static void a_wrong_type_is_refused_with_place_name_and_value(void **state)
{
    (void)state;
    struct yaml *y =
        read_ok("retries: abc\nargs: [1, x, {}]\nq: \"5\"\nbig: 99999999999999999999\nw: 90\nnul: "
                "\"a\\0b\"\n"
                "none:\nhuge: 1e999\n");
    const struct yaml_node *r = yaml_root(y);
    struct error err = {0};
    const char *s;
    int64_t i = 3;
    double f;
    bool b;
    assert_int_equal(yaml_int(yaml_get(r, "retries"), &i, &err), -EINVAL);
    assert_string_equal(err.text, "f.yaml:1:10: 'retries' must be a whole number, not 'abc'");
    assert_int_equal(yaml_int(yaml_item(yaml_get(r, "args"), 1), &i, &err), -EINVAL);
    assert_string_equal(err.text, "f.yaml:2:11: item 2 of 'args' must be a whole number, not 'x'");
    assert_int_equal(yaml_str(yaml_item(yaml_get(r, "args"), 2), &s, &err), -EINVAL);
    assert_contains(err.text, "must be a text, not a mapping");
    assert_int_equal(yaml_int(yaml_get(r, "q"), &i, &err), -EINVAL);
    assert_contains(err.text, "'q' must be a whole number, not the text '5'");
    assert_int_equal(yaml_int(yaml_get(r, "big"), &i, &err), -EINVAL);
    assert_int_equal(i, 3);
    assert_int_equal(yaml_duration(yaml_get(r, "w"), &i, &err), -EINVAL);
    assert_contains(err.text, "f.yaml:5:4: 'w': the duration '90' has no unit");
    assert_int_equal(yaml_str(yaml_get(r, "nul"), &s, &err), -EINVAL);
    assert_contains(err.text, "without NUL");
    assert_int_equal(yaml_bool(yaml_get(r, "none"), &b, &err), -EINVAL);
    assert_contains(err.text, "'none' must be true or false, not empty");
    assert_int_equal(yaml_float(yaml_get(r, "huge"), &f, &err), -EINVAL);
    assert_int_equal(yaml_str(yaml_get(r, "absent"), &s, &err), -EINVAL);
    assert_int_equal(yaml_expect_seq(r, &err), -EINVAL);
    assert_string_equal(err.text, "f.yaml:1:1: the document must be a list, not a mapping");
    yaml_free(&y);
}

static void a_key_given_twice_is_refused(void **state)
{
    (void)state;
    refused("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key 'a' is given twice, first on line 1");
    refused("x: {a: 1, \"a\": 2}\n", "f.yaml:1:11: key 'a' is given twice");
    refused("x: {a: 1, \"a\\0b\": 2}\n", "f.yaml:1:11: key 'a' has a NUL character");
}

static void surprising_features_of_yaml_are_refused(void **state)
{
    (void)state;
    refused("a: &x 1\n", "f.yaml:1:4: anchors");
    refused("a: &x {}\n", "anchors");
    refused("a: &x []\n", "anchors");
    refused("a: *x\n", "f.yaml:1:4: aliases");
    refused("a: !!str 1\n", "f.yaml:1:4: tags");
    refused("a: ! 1\n", "tags");
    refused("a: !x [1]\n", "tags");
    refused("%TAG !e! tag:e,2000:\n---\na: 1\n", "%TAG");
    refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document");
    refused("? [a]\n: 1\n", "a key must be a text");
    refused("? {a: b}\n: 1\n", "a key must be a text");
}

static void malformed_yaml_is_refused_at_the_place_to_fix(void **state)
{
    (void)state;
    refused("a: [1\n", "f.yaml:1:4: this '[' is not closed");
    refused("a: 1\nb: {x: 1\nc: 2\n", "f.yaml:2:4: this '{' is not closed");
    refused("a: 'x\nb: 1\n", "f.yaml:1:4: this quote is not closed");
    refused("a: 1\nb\nc: 2\n", "f.yaml:2:1: this line has no ':'");
    refused("a: 1\n  b: 2\n", "f.yaml:2:4: this ':' is in the wrong place");
    refused("a:\n  - 1\n b: 2\n", "f.yaml:3:2: a key is expected here");
    refused("- a\nb: 1\n", "f.yaml:2:1: a '- ' is expected here");
    refused("a: 1\n\tb: 2\n", "f.yaml:2:1: a tab: indent with spaces");
    refused("a: @x\n", "f.yaml:1:4: a value cannot begin with this character");
    refused("a: {{x}}\n", "f.yaml:1:5: put a placeholder into quotes");
    refused("{a: 1} x\n", "f.yaml:1:8: the document ended above");
    refused("a: 1\nb: \x07\n", "f.yaml:");
    refused("a: *\n", "f.yaml:1:5: while scanning an alias");
}

static void one_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    struct yaml *y = read_ok("\xef\xbb\xbf"
                             "a: 1\nb: 2\n");
    int64_t v = 0;
    struct error err = {0};
    assert_int_equal(yaml_int(yaml_get(yaml_root(y), "b"), &v, &err), 0);
    assert_int_equal(v, 2);
    assert_int_equal(yaml_column(yaml_key(yaml_root(y), 0)), 1);
    yaml_free(&y);
    refused("\xef\xbb\xbf\xef\xbb\xbf"
            "a: 1\n",
            "f.yaml:1:1: more than one byte order mark");
    refused("\xef\xbb\xbf"
            "a: [1\n",
            "f.yaml:1:4: this '[' is not closed");
}

static void bad_utf8_is_refused_with_its_place(void **state)
{
    (void)state;
    refused("a: 1\nbc: \xff\n", "f.yaml:2:5: byte 0xff is not UTF-8");
    refused("\xff\xfe"
            "a",
            "f.yaml:1:1: byte 0xff is not UTF-8");
}

static void depth_and_size_are_limited(void **state)
{
    (void)state;
    char text[400];
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    text[130] = 0;
    refused(text, "f.yaml:1:65: more than 64 levels");
    text[129] = 0;
    struct yaml *y = read_ok(text + 1);
    yaml_free(&y);
    struct buf big = {0};
    memset(buf_grow(&big, YAML_BYTES_MAX + 1), '#', YAML_BYTES_MAX + 1);
    struct error err = {0};
    assert_int_equal(yaml_read_bytes("f.yaml", span_of(big.p, YAML_BYTES_MAX + 1), &y, &err),
                     -EFBIG);
    buf_free(&big);
}

static void an_empty_document_is_null(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "# only this\n", "---\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct yaml *y = read_ok(empty[i]);
        assert_true(yaml_is_null(yaml_root(y)));
        assert_int_equal(yaml_count(yaml_root(y)), 0);
        yaml_free(&y);
    }
}

static void an_unknown_key_is_refused_with_a_suggestion(void **state)
{
    (void)state;
    static const char *const allowed[] = {"name", "steps", NULL};
    struct yaml *y = read_ok("name: x\nstpes: 1\n");
    struct error err = {0};
    assert_int_equal(yaml_check_keys(yaml_root(y), allowed, &err), -EINVAL);
    assert_string_equal(err.text, "f.yaml:2:1: unknown key 'stpes' (did you mean 'steps'?)");
    assert_int_equal(yaml_check_keys(yaml_get(yaml_root(y), "name"), allowed, &err), -EINVAL);
    assert_null(yaml_require(yaml_root(y), "steps", &err));
    assert_string_equal(err.text, "f.yaml:1:1: 'steps' is missing");
    assert_non_null(yaml_require(yaml_root(y), "name", &err));
    yaml_free(&y);
}

static void a_large_mapping_is_read_quickly(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 100000; i++)
        buf_printf(&b, "task_%d: {job: j}\n", i);
    struct yaml *y = read_ok(buf_str(&b));
    assert_int_equal(yaml_count(yaml_root(y)), 100000);
    assert_non_null(yaml_get(yaml_root(y), "task_99999"));
    assert_null(yaml_get(yaml_root(y), "task_100000"));
    yaml_free(&y);
    buf_free(&b);
}

static void a_file_is_read_and_named(void **state)
{
    const char *path = testing_path(state, "job.yaml");
    struct yaml *y = NULL;
    struct error err = {0};
    assert_int_equal(yaml_read_file(path, &y, &err), -ENOENT);
    assert_int_equal(file_write_atomic(path, span_str("a: [\n"), 0600, NULL), 0);
    assert_int_equal(yaml_read_file(path, &y, &err), -EINVAL);
    assert_contains(err.text, "/job.yaml:");
    assert_int_equal(file_write_atomic(path, span_str("a: 1\n"), 0600, NULL), 0);
    assert_int_equal(yaml_read_file(path, &y, &err), 0);
    yaml_free(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_knows_its_places),
        cmocka_unit_test(types_are_those_of_json_and_quotes_mean_text),
        cmocka_unit_test(typed_values_are_returned),
        cmocka_unit_test(a_wrong_type_is_refused_with_place_name_and_value),
        cmocka_unit_test(a_key_given_twice_is_refused),
        cmocka_unit_test(surprising_features_of_yaml_are_refused),
        cmocka_unit_test(malformed_yaml_is_refused_at_the_place_to_fix),
        cmocka_unit_test(one_byte_order_mark_is_skipped),
        cmocka_unit_test(bad_utf8_is_refused_with_its_place),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test(an_empty_document_is_null),
        cmocka_unit_test(an_unknown_key_is_refused_with_a_suggestion),
        cmocka_unit_test(a_large_mapping_is_read_quickly),
        in_folder(a_file_is_read_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
