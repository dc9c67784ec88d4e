#include "common/id.h"
#include "common/testing.h"

static const uint8_t ones[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

static void an_id_is_a_uuid_of_version_7(void **state)
{
    (void)state;
    char text[ID_TEXT];
    assert_string_equal(id_format(id_make(0x019aa5c35c74, ones), text),
                        "019aa5c3-5c74-7fff-bfff-ffffffffffff");
    assert_string_equal(id_format(id_make(0x019aa5c35c74, (uint8_t[10]){0}), text),
                        "019aa5c3-5c74-7000-8000-000000000000");
}

static void ids_sort_by_time(void **state)
{
    (void)state;
    struct id early = id_make(1000, ones), late = id_make(1001, (uint8_t[10]){0});
    assert_true(id_cmp(early, late) < 0);
    assert_true(id_cmp(late, early) > 0);
    assert_true(id_eq(early, early));
    assert_false(id_eq(early, late));
}

static void a_made_id_is_never_zero(void **state)
{
    (void)state;
    assert_true(id_is_zero(ID_ZERO));
    assert_false(id_is_zero(id_make(0, (uint8_t[10]){0})));
}

static void an_id_survives_a_round_trip_through_text(void **state)
{
    (void)state;
    char text[ID_TEXT];
    struct id id = id_make(1795252435012, (const uint8_t *)"0123456789"), back;
    assert_int_equal(id_parse(id_format(id, text), &back, NULL), 0);
    assert_true(id_eq(id, back));
    for (char *c = text; *c; c++)
        if (*c >= 'a' && *c <= 'f')
            *c = (char)(*c - 32);
    assert_int_equal(id_parse_span(span_str(text), &back, NULL), 0);
    assert_true(id_eq(id, back));
}

static void text_that_is_not_an_id_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "019aa5c3",
                                        "019aa5c3-5c74-7fff-bfff-fffffffffff",
                                        "019aa5c3-5c74-7fff-bfff-fffffffffffff",
                                        "019aa5c3x5c74-7fff-bfff-ffffffffffff",
                                        "019aa5c3-5c74-7fff-bfff-fffffffffffg",
                                        "019aa5c35c747fffbfffffffffffffffffff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct id id = id_make(1, ones), same = id;
        struct error err = {0};
        assert_true(id_parse(wrong[i], &id, &err) < 0);
        assert_true(id_eq(id, same));
        assert_contains(err.text, "is not an id");
    }
}

static void hex_survives_a_round_trip(void **state)
{
    (void)state;
    const uint8_t in[3] = {0, 0xab, 0xff};
    uint8_t out[3] = {1, 2, 3};
    char text[7];
    assert_string_equal(hex_format(in, 3, text), "00abff");
    assert_true(hex_parse("00abf", out, 3) < 0);
    assert_true(hex_parse("00abff0", out, 3) < 0);
    assert_true(hex_parse("00abfx", out, 3) < 0);
    assert_int_equal(out[0], 1);
    assert_int_equal(hex_parse("00ABff", out, 3), 0);
    assert_memory_equal(in, out, 3);
}

static void base64url_survives_a_round_trip_at_every_length(void **state)
{
    (void)state;
    uint8_t in[70];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 37 + 251);
    for (size_t n = 0; n <= sizeof in; n++) {
        struct buf out = {0};
        char *text = b64_format(span_of(in, n));
        assert_int_equal(b64_parse(text, &out, NULL), 0);
        assert_true(span_eq(buf_span(&out), span_of(in, n)));
        mem_free(&text);
        buf_free(&out);
    }
}

static void base64url_matches_the_rfc(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},           {"f", "Zg"},
                                           {"fo", "Zm8"},      {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg"}, {"\xfb\xff\xfe", "-__-"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *text = b64_format(span_str(pairs[i][0]));
        assert_string_equal(text, pairs[i][1]);
        mem_free(&text);
    }
}

static void base64url_has_one_spelling(void **state)
{
    (void)state;
    static const char *const wrong[] = {"Zg==", "Zh",   "Zm9",   "Z",     "Zm9vY",
                                        "Zm+v", "Zm/v", "Zm 9v", "Zm9v\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buf out = buf_dup(span_str("kept"));
        struct error err = {0};
        assert_true(b64_parse(wrong[i], &out, &err) < 0);
        assert_string_equal(buf_str(&out), "kept");
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_a_uuid_of_version_7),
        cmocka_unit_test(ids_sort_by_time),
        cmocka_unit_test(a_made_id_is_never_zero),
        cmocka_unit_test(an_id_survives_a_round_trip_through_text),
        cmocka_unit_test(text_that_is_not_an_id_is_refused),
        cmocka_unit_test(hex_survives_a_round_trip),
        cmocka_unit_test(base64url_survives_a_round_trip_at_every_length),
        cmocka_unit_test(base64url_matches_the_rfc),
        cmocka_unit_test(base64url_has_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
