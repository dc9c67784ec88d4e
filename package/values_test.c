#include "common/testing.h"

#include <errno.h>

#include "common/json.h"
#include "package/values.h"

static struct value read_back(const struct buf *b)
{
    struct span in = buf_span(b);
    struct value v;
    assert_true(value_read(&in, &v));
    assert_int_equal(in.n, 0);
    return v;
}

static void each_type_reads_its_texts_and_writes_them_back(void **state)
{
    (void)state;
    static const struct {
        enum parameter_type type;
        const char *text, *back; /* back NULL: the same */
    } rows[] = {
        {PARAMETER_STRING, "", NULL},
        {PARAMETER_STRING, "größe = 1", NULL},
        {PARAMETER_INT, "0", NULL},
        {PARAMETER_INT, "-12", NULL},
        {PARAMETER_INT, "9223372036854775807", NULL},
        {PARAMETER_FLOAT, "0.5", NULL},
        {PARAMETER_FLOAT, "1e3", "1000.0"},
        {PARAMETER_FLOAT, "3", "3.0"},
        {PARAMETER_BOOL, "true", NULL},
        {PARAMETER_BOOL, "false", NULL},
        {PARAMETER_DATE, "2024-02-29", NULL},
        {PARAMETER_DATETIME, "2026-11-21T09:13:55+01:00", NULL},
        {PARAMETER_JSON, "{\"a\":[1,2.5,null,\"x\"]}", NULL},
        {PARAMETER_JSON, "\"text\"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = {0}, back = {0}, again = {0};
        struct error err = {0};
        if (values_from_text(rows[i].type, span_str(rows[i].text), &b, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        struct value v = read_back(&b);
        assert_int_equal(values_check_type(rows[i].type, &v, &err), 0);
        values_to_text(rows[i].type, &v, &back);
        assert_int_equal(values_from_text(rows[i].type, buf_span(&back), &again, &err), 0);
        assert_true(span_eq(buf_span(&b), buf_span(&again)));
        if (!rows[i].back)
            assert_string_equal(buf_str(&back), rows[i].text);
        buf_free(&b);
        buf_free(&back);
        buf_free(&again);
    }
}

static void each_type_refuses_the_others_and_appends_nothing(void **state)
{
    (void)state;
    static const struct {
        enum parameter_type type;
        const char *text, *says;
    } rows[] = {
        {PARAMETER_STRING, "\xff", "UTF-8"},
        {PARAMETER_INT, "", "expected an int"},
        {PARAMETER_INT, "1.0", "expected an int, not '1.0'"},
        {PARAMETER_INT, " 1", "expected an int"},
        {PARAMETER_INT, "+1", "expected an int"},
        {PARAMETER_INT, "0x10", "expected an int"},
        {PARAMETER_INT, "9223372036854775808", "expected an int of 64 bits"},
        {PARAMETER_FLOAT, "", "expected a float"},
        {PARAMETER_FLOAT, "inf", "expected a float"},
        {PARAMETER_FLOAT, "nan", "expected a float"},
        {PARAMETER_FLOAT, "1e999", "that fits into 64 bits"},
        {PARAMETER_FLOAT, "1-2", "expected a float"},
        {PARAMETER_BOOL, "yes", "expected true or false, not 'yes'"},
        {PARAMETER_DATE, "2026-02-30", "expected a date"},
        {PARAMETER_DATE, "21.11.2026", "expected a date"},
        {PARAMETER_DATE, "2026-11-21T00:00:00Z", "expected a date"},
        {PARAMETER_DATETIME, "2026-11-21", "expected a time with its offset"},
        {PARAMETER_DATETIME, "2026-11-21T09:13:55", "expected a time with its offset"},
        {PARAMETER_JSON, "{", "expected JSON (line 1"},
        {PARAMETER_JSON, "{\"a\":1,\"a\":2}", "expected JSON"},
        {PARAMETER_JSON, "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "levels"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = {0};
        struct error err = {0};
        if (values_from_text(rows[i].type, span_str(rows[i].text), &b, &err) == 0)
            fail_msg("%s was taken", rows[i].text);
        assert_contains(err.text, rows[i].says);
        assert_int_equal(b.n, 0);
        buf_free(&b);
    }
}

static void json_gives_values_of_the_declared_type_only(void **state)
{
    (void)state;
    static const struct {
        enum parameter_type type;
        const char *json;
        bool good;
    } rows[] = {
        {PARAMETER_INT, "3", true},
        {PARAMETER_INT, "3.0", false},
        {PARAMETER_INT, "\"3\"", false},
        {PARAMETER_FLOAT, "3", true},
        {PARAMETER_BOOL, "true", true},
        {PARAMETER_BOOL, "1", false},
        {PARAMETER_STRING, "\"x\"", true},
        {PARAMETER_STRING, "1", false},
        {PARAMETER_STRING, "null", false},
        {PARAMETER_JSON, "null", true},
        {PARAMETER_DATE, "\"2026-11-21\"", true},
        {PARAMETER_DATE, "\"x\"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = {0};
        struct error err = {0};
        json_t *json = json_parse("test", span_str(rows[i].json), &err);
        assert_int_equal(values_from_json(rows[i].type, json, &b, &err) == 0, rows[i].good);
        if (rows[i].good) {
            struct value v = read_back(&b);
            json_t *back = values_to_json(&v);
            if (rows[i].type != PARAMETER_FLOAT)
                assert_true(json_equal(json, back));
            json_decref(back);
        }
        json_decref(json);
        buf_free(&b);
    }
}

static void yaml_scalars_are_guessed_by_their_spelling(void **state)
{
    (void)state;
    struct error err = {0};
    struct yaml *y;
    struct buf b = {0}, json = {0};
    assert_int_equal(
        yaml_read_bytes("t", span_str("[1, 1.5, true, null, on, \"1\", {a: [x]}]"), &y, &err), 0);
    assert_int_equal(values_guess_from_yaml(yaml_root(y), &b, &err), 0);
    struct value v = read_back(&b);
    value_to_json(&v, &json);
    assert_string_equal(buf_str(&json), "[1,1.5,true,null,\"on\",\"1\",{\"a\":[\"x\"]}]");
    buf_clear(&b);
    assert_true(values_from_yaml(PARAMETER_INT, yaml_item(yaml_root(y), 4), &b, &err) < 0);
    assert_contains(err.text, "t:1:");
    yaml_free(&y);
    buf_free(&b);
    buf_free(&json);
}

/* Declarations: table string by pattern, n int 1..9, mode one of fast, slow; key sensitive and
   required. */
struct declared {
    struct buf items, low, high, allowed;
    struct wire_list list;
};

static void declare(struct buf *items, struct d_parameter p)
{
    struct buf one = {0};
    d_parameter_encode(&p, &one);
    wire_add_bin(items, buf_span(&one));
    buf_free(&one);
}

static void declare_all(struct declared *d)
{
    struct buf fast = {0}, slow = {0};
    value_add_int(&d->low, 1);
    value_add_int(&d->high, 9);
    value_add_str(&fast, span_str("fast"));
    value_add_str(&slow, span_str("slow"));
    wire_add_bin(&d->allowed, buf_span(&fast));
    wire_add_bin(&d->allowed, buf_span(&slow));
    declare(&d->items, (struct d_parameter){.name = span_str("table"),
                                            .type = span_str("string"),
                                            .required = true,
                                            .pattern = span_str("[a-z_]+|[0-9]")});
    declare(&d->items, (struct d_parameter){.name = span_str("n"),
                                            .type = span_str("int"),
                                            .minimum = buf_span(&d->low),
                                            .maximum = buf_span(&d->high)});
    declare(&d->items, (struct d_parameter){.name = span_str("mode"),
                                            .type = span_str("string"),
                                            .allowed = {buf_span(&d->allowed), 2}});
    declare(&d->items, (struct d_parameter){.name = span_str("key"),
                                            .type = span_str("int"),
                                            .required = true,
                                            .sensitive = true});
    d->list = wire_list_from(&d->items, 4);
    buf_free(&fast);
    buf_free(&slow);
}

static void declared_free(struct declared *d)
{
    buf_free(&d->items);
    buf_free(&d->low);
    buf_free(&d->high);
    buf_free(&d->allowed);
}

static void texts_become_a_sorted_map_by_their_declarations(void **state)
{
    (void)state;
    struct declared d = {0};
    struct error err = {0};
    struct buf items = {0}, json = {0};
    struct wire_list map;
    declare_all(&d);
    const char *const texts[] = {"table=orders", "n=3", "mode=slow", "key=7"};
    assert_int_equal(values_map_from_texts(texts, 4, &d.list, &items, &map, &err), 0);
    wire_map_to_json(&map, &json);
    assert_string_equal(buf_str(&json),
                        "{\"key\":7,\"mode\":\"slow\",\"n\":3,\"table\":\"orders\"}");
    assert_int_equal(values_missing(&map, &d.list, &err), 0);
    buf_clear(&items);
    buf_clear(&json);
    /* a secret stands for a value of any type, where it is sensitive */
    assert_int_equal(values_map_from_texts((const char *const[]){"key={ secret: db-wh }"}, 1,
                                           &d.list, &items, &map, &err),
                     0);
    wire_map_to_json(&map, &json);
    assert_string_equal(buf_str(&json), "{\"key\":{\"secret\":\"db-wh\"}}");
    buf_clear(&items);
    buf_clear(&json);
    assert_int_equal(
        values_map_from_texts((const char *const[]){"n=3", "x=a=b"}, 2, NULL, &items, &map, &err),
        0);
    wire_map_to_json(&map, &json);
    /* nothing is declared: strings, as typed */
    assert_string_equal(buf_str(&json), "{\"n\":\"3\",\"x\":\"a=b\"}");
    assert_int_equal(values_missing(&map, &d.list, &err), -EINVAL);
    assert_contains(err.text, "parameters 'table', 'key' are missing");
    buf_free(&items);
    buf_free(&json);
    declared_free(&d);
}

static void texts_that_do_not_fit_are_refused_and_a_secret_is_not_shown(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"table", "expected name=value, not 'table'"},
        {"Table=x", "the name of a parameter"},
        {"tabel=x", "there is no parameter 'tabel' (did you mean 'table'?"},
        {"table=Orders", "parameter 'table' = 'Orders': must match the pattern [a-z_]+|[0-9]"},
        {"table=12", "must match the pattern"},
        {"n=x", "parameter 'n': expected an int, not 'x'"},
        {"n=0", "parameter 'n' = '0': must be at least 1"},
        {"table={secret: db}", "parameter 'table' takes no secret, since it is not sensitive"},
        {"n=10", "must be at most 9"},
        {"mode=medium", "must be one of fast, slow"},
        {"key=geheim", "parameter 'key': expected the type int"},
    };
    struct declared d = {0};
    declare_all(&d);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        struct buf items = {0};
        struct wire_list map;
        assert_int_equal(values_map_from_texts(&rows[i].text, 1, &d.list, &items, &map, &err),
                         -EINVAL);
        assert_contains(err.text, rows[i].says);
        assert_null(strstr(err.text, "geheim"));
        assert_int_equal(items.n, 0);
        buf_free(&items);
    }
    struct error err = {0};
    struct buf items = {0};
    struct wire_list map;
    assert_int_equal(
        values_map_from_texts((const char *const[]){"n=1", "n=2"}, 2, &d.list, &items, &map, &err),
        -EINVAL);
    assert_contains(err.text, "parameter 'n' is given twice");
    declared_free(&d);
}

static void all_parameters_together_are_limited(void **state)
{
    (void)state;
    struct error err = {0};
    struct buf items = {0}, text = {0};
    struct wire_list map;
    buf_add_str(&text, "x=");
    memset(buf_grow(&text, LIMIT_PARAMETERS), 'a', LIMIT_PARAMETERS);
    text.n += LIMIT_PARAMETERS;
    const char *one = buf_str(&text);
    assert_int_equal(values_map_from_texts(&one, 1, NULL, &items, &map, &err), -EMSGSIZE);
    assert_int_equal(items.n, 0);
    buf_free(&text);
    buf_free(&items);
}

static void a_json_object_becomes_a_map(void **state)
{
    (void)state;
    struct declared d = {0};
    struct error err = {0};
    struct buf items = {0}, text = {0};
    struct wire_list map;
    declare_all(&d);
    json_t *json = json_parse("t", span_str("{\"table\":\"orders\",\"n\":3}"), &err);
    assert_int_equal(values_map_from_json(json, &d.list, &items, &map, &err), 0);
    wire_map_to_json(&map, &text);
    assert_string_equal(buf_str(&text), "{\"n\":3,\"table\":\"orders\"}");
    json_decref(json);
    json = json_parse("t", span_str("{\"n\":\"3\"}"), &err);
    assert_int_equal(values_map_from_json(json, &d.list, &items, &map, &err), -EINVAL);
    assert_contains(err.text, "parameter 'n': expected the type int, not \"3\"");
    json_decref(json);
    json = json_parse("t", span_str("[]"), &err);
    assert_int_equal(values_map_from_json(json, NULL, &items, &map, &err), -EINVAL);
    json_decref(json);
    buf_free(&items);
    buf_free(&text);
    declared_free(&d);
}

static void no_parameters_are_an_empty_map(void **state)
{
    (void)state;
    struct buf items = {0};
    struct wire_list map = {.items = span_str("old"), .count = 1};
    struct error err = {0};
    assert_int_equal(values_map_from_texts(NULL, 0, NULL, &items, &map, &err), 0);
    assert_int_equal(map.count, 0);
    assert_int_equal(map.items.n, 0);
    json_t *json = json_object();
    buf_add_str(&items, "what was there");
    map = (struct wire_list){.items = span_str("old"), .count = 1};
    assert_int_equal(values_map_from_json(json, NULL, &items, &map, &err), 0);
    assert_int_equal(map.count, 0);
    assert_int_equal(map.items.n, 0);
    assert_string_equal(buf_str(&items), "what was there");
    json_decref(json);
    buf_free(&items);
}

static void values_of_a_type_are_ordered(void **state)
{
    (void)state;
    static const struct {
        enum parameter_type type;
        const char *low, *high;
    } rows[] = {{PARAMETER_INT, "-1", "2"},
                {PARAMETER_FLOAT, "1.5", "10"},
                {PARAMETER_DATE, "2025-12-31", "2026-01-01"},
                {PARAMETER_DATETIME, "2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf a = {0}, b = {0};
        assert_int_equal(values_from_text(rows[i].type, span_str(rows[i].low), &a, NULL), 0);
        assert_int_equal(values_from_text(rows[i].type, span_str(rows[i].high), &b, NULL), 0);
        struct value x = read_back(&a), y = read_back(&b);
        assert_true(values_compare(rows[i].type, &x, &y) < 0);
        assert_true(values_compare(rows[i].type, &y, &x) > 0);
        assert_int_equal(values_compare(rows[i].type, &x, &x), 0);
        buf_free(&a);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_reads_its_texts_and_writes_them_back),
        cmocka_unit_test(each_type_refuses_the_others_and_appends_nothing),
        cmocka_unit_test(json_gives_values_of_the_declared_type_only),
        cmocka_unit_test(yaml_scalars_are_guessed_by_their_spelling),
        cmocka_unit_test(texts_become_a_sorted_map_by_their_declarations),
        cmocka_unit_test(texts_that_do_not_fit_are_refused_and_a_secret_is_not_shown),
        cmocka_unit_test(all_parameters_together_are_limited),
        cmocka_unit_test(a_json_object_becomes_a_map),
        cmocka_unit_test(no_parameters_are_an_empty_map),
        cmocka_unit_test(values_of_a_type_are_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
