/* wire_test.c - the strict reader refuses each form that a lax one accepts; values and lists. */
#include "common/testing.h"
#include "proto/messages.h"

#include <errno.h>

#define BYTES(s) ((struct span){(const uint8_t *)(s), sizeof(s) - 1})

static void integers_and_lengths_in_a_longer_form_are_refused(void **state)
{
    (void)state;
    static const struct span wrong[] = {
        BYTES("\xcc\x7f"),
        BYTES("\xcd\x00\xff"),
        BYTES("\xce\x00\x00\xff\xff"),
        BYTES("\xd0\x05"),
        BYTES("\xd0\xe1"),
        BYTES("\xd1\xff\x80"),
        BYTES("\xd9\x01"
              "a"),
        BYTES("\xda\x00\x20"
              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        BYTES("\xc5\x00\x01"
              "a"),
        BYTES("\xdc\x00\x01\xc0"),
        BYTES("\xde\x00\x01\xa1"
              "a\xc0"),
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        assert_int_equal(value_check(wrong[i], &err), -EPROTO);
        assert_contains(err.text, "shortest");
    }
}

static void forms_that_the_protocol_does_not_use_are_refused(void **state)
{
    (void)state;
    static const struct span wrong[] = {
        BYTES("\xc1"),                                 /* never used */
        BYTES("\xca\x3f\x80\x00\x00"),                 /* 32 bit float */
        BYTES("\xd4\x01\x00"),                         /* extension */
        BYTES("\xc7\x01\x01\x00"),                     /* extension */
        BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), /* infinity */
        BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), /* not a number */
        BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), /* beyond 63 bits as a value */
        BYTES("\xa2\xc3\x28"),                         /* bad UTF-8 */
        BYTES("\xa2\xc0\x80"),                         /* overlong NUL */
        BYTES("\xa1\x00"),                             /* NUL */
        BYTES("\xa3\xed\xa0\x80"),                     /* a surrogate */
        BYTES("\x81\x01\x02"),                         /* a key that is not a string */
        BYTES("\x81\xa0\x02"),                         /* an empty key */
        BYTES("\x82\xa1"
              "a\x01\xa1"
              "a\x02"),                /* a key twice */
        BYTES("\xdd\xff\xff\xff\xff"), /* four billion entries in five bytes */
        BYTES("\xdf\x7f\xff\xff\xff"),
        BYTES("\xc6\xff\xff\xff\xff"),
        BYTES("\xc0\xc0"), /* two values */
        BYTES(""),
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        assert_int_equal(value_check(wrong[i], &err), -EPROTO);
    }
}

static void nesting_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    struct error err = {0};
    for (int i = 0; i < LIMIT_DEPTH; i++)
        value_add_list(&b, 1);
    value_add_null(&b);
    assert_int_equal(value_check(buf_span(&b), &err), 0);
    buf_clear(&b);
    for (int i = 0; i < 100000; i++)
        value_add_list(&b, 1);
    value_add_null(&b);
    assert_int_equal(value_check(buf_span(&b), &err), -EPROTO);
    assert_contains(err.text, "deep");
    buf_free(&b);
}

static void a_map_is_read_pair_by_pair_and_becomes_json(void **state)
{
    (void)state;
    struct buf b = {0}, json = {0};
    value_add_str(&b, span_str("n"));
    value_add_int(&b, -7);
    value_add_str(&b, span_str("f"));
    value_add_float(&b, 2);
    value_add_str(&b, span_str("s"));
    value_add_str(&b, span_str("quote \" and \n line"));
    value_add_str(&b, span_str("l"));
    value_add_list(&b, 3);
    value_add_null(&b);
    value_add_bool(&b, true);
    value_add_map(&b, 1);
    value_add_str(&b, span_str("k"));
    value_add_int(&b, 1);
    struct wire_list map = wire_list_from(&b, 4);
    wire_map_to_json(&map, &json);
    assert_string_equal(
        buf_str(&json),
        "{\"n\":-7,\"f\":2.0,\"s\":\"quote \\\" and \\n line\",\"l\":[null,true,{\"k\":1}]}");
    struct value v;
    assert_true(wire_map_get(&map, "n", &v));
    assert_int_equal(v.integer, -7);
    assert_false(wire_map_get(&map, "absent", &v));
    buf_free(&b);
    buf_free(&json);
}

static void numbers_survive_a_round_trip_through_text(void **state)
{
    (void)state;
    static const double values[] = {0.1, 1e300, -2.5, 1.0 / 3, 123456789012345678.0};
    for (unsigned i = 0; i < 5; i++) {
        struct buf b = {0}, text = {0};
        struct value v;
        value_add_float(&b, values[i]);
        struct span in = buf_span(&b);
        assert_true(value_read(&in, &v));
        value_to_text(&v, &text);
        assert_true(strtod(buf_str(&text), NULL) == values[i]);
        buf_free(&b);
        buf_free(&text);
    }
}

static void the_messages_of_a_frame_are_walked_by_their_sizes(void **state)
{
    (void)state;
    struct m_ping ping = {.stamp = 77};
    struct m_bye bye = {.reason = span_str("done")};
    struct buf b = {0};
    uint64_t kind;
    size_t size;
    struct error err = {0};
    m_ping_encode(&ping, &b);
    m_bye_encode(&bye, &b);
    struct span rest = buf_span(&b);
    assert_int_equal(wire_peek(rest, &kind, &size, &err), 0);
    assert_int_equal(kind, KIND_M_PING);
    rest = (struct span){rest.p + size, rest.n - size};
    assert_int_equal(wire_peek(rest, &kind, &size, &err), 0);
    assert_int_equal(kind, KIND_M_BYE);
    assert_int_equal(size, rest.n);
    assert_int_equal(wire_peek(BYTES("\x90"), &kind, &size, &err), -EPROTO);
    assert_int_equal(wire_peek(BYTES("\x91\xa1x"), &kind, &size, &err), -EPROTO);
    buf_free(&b);
}

static void lists_are_built_and_searched(void **state)
{
    (void)state;
    struct buf b = {0};
    struct span e;
    wire_add_str(&b, span_str("etl"));
    wire_add_str(&b, span_str("wh"));
    struct wire_list l = wire_list_from(&b, 2);
    assert_true(wire_list_has(&l, "wh"));
    assert_false(wire_list_has(&l, "w"));
    struct wire_iter it = wire_iter(&l);
    assert_true(wire_next(&it, &e) && span_eq_str(e, "etl"));
    assert_true(wire_next(&it, &e) && span_eq_str(e, "wh"));
    assert_false(wire_next(&it, &e));
    buf_free(&b);
}

static void a_message_is_cut_to_the_fields_that_a_peer_knows(void **state)
{
    (void)state;
    const uint8_t three[] = {0x94, 0x08, 0x07, 0xa1, 'x', 0xc3},
                  two[] = {0x93, 0x08, 0x07, 0xa1, 'x'};
    struct buf scratch = {0};
    struct span cut = wire_fit(span_of(three, sizeof three), 2, &scratch);
    assert_true(span_eq(cut, span_of(two, sizeof two)));
    cut = wire_fit(span_of(three, sizeof three), 3, &scratch);
    assert_ptr_equal(cut.p, three);
    cut = wire_fit(span_of(three, sizeof three - 1), 2, &scratch); /* what goes is not looked at */
    assert_true(span_eq(cut, span_of(two, sizeof two)));
    for (size_t n = 0; n < sizeof two; n++) /* malformed: for the decoder */
        assert_ptr_equal(wire_fit(span_of(three, n), 2, &scratch).p, three);
    buf_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_and_lengths_in_a_longer_form_are_refused),
        cmocka_unit_test(forms_that_the_protocol_does_not_use_are_refused),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(a_map_is_read_pair_by_pair_and_becomes_json),
        cmocka_unit_test(numbers_survive_a_round_trip_through_text),
        cmocka_unit_test(the_messages_of_a_frame_are_walked_by_their_sizes),
        cmocka_unit_test(lists_are_built_and_searched),
        cmocka_unit_test(a_message_is_cut_to_the_fields_that_a_peer_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
