/* messages_test.c - every message, document, record and spool entry, by the tables: each survives a
 * round trip, and each way of corrupting it is refused. */
#include "common/testing.h"
#include "common/mem.h"
#include "proto/messages.h"
#include "proto/wire_read.h"

#include <errno.h>

/* A value of each type that uses much of its limit; small where `most` is huge. */
static void fill(const struct wire_schema *s, uint8_t *msg, struct buf *items, uint32_t *counts)
{
    static const uint8_t bytes[] = "bytes \xc3\xa4 and text";
    const struct wire_field *f = s->fields();
    for (unsigned i = 0; i < s->count; i++) {
        size_t n = f[i].most < 12 ? (size_t)f[i].most : 12;
        struct span some = {bytes, n};
        uint64_t u = f[i].most;
        int64_t v = -(int64_t)(i * 1000003);
        struct buf *b = &items[i];
        buf_clear(b);
        counts[i] = 0;
        switch (f[i].type) {
        case WIRE_u64:
            memcpy(msg + f[i].offset, &u, sizeof u);
            break;
        case WIRE_i64:
            memcpy(msg + f[i].offset, &v, sizeof v);
            break;
        case WIRE_flag:
            *(bool *)(msg + f[i].offset) = true;
            break;
        case WIRE_str:
        case WIRE_bin:
            memcpy(msg + f[i].offset, &some, sizeof some);
            break;
        case WIRE_id:
        case WIRE_hash:
            memset(msg + f[i].offset, (int)i + 1, f[i].type == WIRE_id ? 16 : 32);
            break;
        case WIRE_strs:
        case WIRE_bins:
            for (counts[i] = 0; counts[i] < 3 && counts[i] < f[i].most; counts[i]++)
                f[i].type == WIRE_strs ? wire_add_str(b, span_str("item"))
                                       : wire_add_bin(b, span_str("item"));
            break;
        case WIRE_map:
            counts[i] = 2;
            value_add_str(b, span_str("a"));
            value_add_int(b, -5);
            value_add_str(b, span_str("b"));
            value_add_list(b, 1);
            value_add_str(b, span_str("deep"));
            break;
        }
        if (counts[i]) {
            struct wire_list l = wire_list_from(b, counts[i]);
            memcpy(msg + f[i].offset, &l, sizeof l);
        }
    }
}

struct sample {
    struct buf encoded;
    struct buf items[64];
    uint32_t counts[64];
    _Alignas(16) uint8_t msg[1024];
};

static void sample_of(const struct wire_schema *s, struct sample *ret)
{
    memset(ret->msg, 0, sizeof ret->msg);
    buf_clear(&ret->encoded);
    assert_true(s->count <= 64);
    fill(s, ret->msg, ret->items, ret->counts);
    wire_encode(s, ret->msg, &ret->encoded);
}

static void sample_free(struct sample *s)
{
    buf_free(&s->encoded);
    for (unsigned i = 0; i < 64; i++)
        buf_free(&s->items[i]);
}

#define EACH_SCHEMA(s) \
    const struct wire_schema *s; \
    for (unsigned each_ = 0; (s = messages_schema_at(each_)); each_++)

static void every_kind_is_named_once_and_found(void **state)
{
    (void)state;
    EACH_SCHEMA (s) {
        assert_ptr_equal(messages_schema_of_kind(s->kind, NULL), s);
    }
    assert_null(messages_schema_of_kind(9999, NULL));
    enum sender from;
    messages_schema_of_kind(KIND_M_ATTEST, &from);
    assert_int_equal(from, SENDER_W);
}

static void every_message_survives_a_round_trip(void **state)
{
    (void)state;
    struct sample in = {0};
    EACH_SCHEMA (s) {
        _Alignas(16) uint8_t out[1024] = {0};
        struct error err = {0};
        struct buf again = {0};
        sample_of(s, &in);
        assert_int_equal(wire_decode(s, buf_span(&in.encoded), false, out, &err), 0);
        wire_encode(s, out, &again);
        assert_int_equal(again.n, in.encoded.n);
        assert_memory_equal(again.p, in.encoded.p, again.n);
        buf_free(&again);
    }
    sample_free(&in);
}

static void every_truncation_of_every_message_is_refused_and_nothing_written(void **state)
{
    (void)state;
    struct sample in = {0};
    EACH_SCHEMA (s) {
        sample_of(s, &in);
        for (size_t n = 0; n < in.encoded.n; n++) {
            _Alignas(16) uint8_t out[1024], before[1024];
            struct error err = {0};
            /* of its own length: a sanitizer sees a read beyond it */
            uint8_t *copy = mem_dup(in.encoded.p, n);
            memset(out, 0xee, sizeof out);
            memset(before, 0xee, sizeof before);
            assert_true(wire_decode(s, (struct span){copy, n}, false, out, &err) < 0);
            assert_memory_equal(out, before, sizeof out);
            assert_true(err.text[0] != 0);
            mem_free(&copy);
        }
    }
    sample_free(&in);
}

static void bytes_after_a_message_are_refused(void **state)
{
    (void)state;
    struct sample in = {0};
    EACH_SCHEMA (s) {
        _Alignas(16) uint8_t out[1024];
        struct error err = {0};
        sample_of(s, &in);
        buf_add(&in.encoded, "\x01", 1);
        assert_int_equal(wire_decode(s, buf_span(&in.encoded), false, out, &err), -EPROTO);
    }
    sample_free(&in);
}

/* The message with field `at` replaced by `with`, an encoded item. */
static void replaced(const struct wire_schema *s, const struct sample *in, unsigned at,
                     struct span with, struct buf *out)
{
    struct span rest = buf_span(&in->encoded);
    struct item head;
    (void)s;
    buf_clear(out);
    const uint8_t *start = rest.p;
    assert_null(item_read(&rest, &head));
    assert_null(item_skip(&rest, 1));
    for (unsigned i = 0; i < at; i++)
        assert_null(item_skip(&rest, LIMIT_DEPTH));
    buf_add(out, start, (size_t)(rest.p - start));
    buf_add(out, with.p, with.n);
    assert_null(item_skip(&rest, LIMIT_DEPTH));
    buf_add(out, rest.p, rest.n);
}

static void every_field_of_every_message_refuses_a_wrong_type(void **state)
{
    (void)state;
    struct sample in = {0};
    struct buf spoiled = {0};
    EACH_SCHEMA (s) {
        sample_of(s, &in);
        const struct wire_field *f = s->fields();
        for (unsigned i = 0; i < s->count; i++) {
            _Alignas(16) uint8_t out[1024];
            struct error err = {0};
            /* nil fits no field; a float fits none; an array of nil fits no list */
            static const char *const wrong[] = {"\xc0", "\xcb\x40\x00\x00\x00\x00\x00\x00\x00",
                                                "\x91\xc0"};
            static const size_t sizes[] = {1, 9, 2};
            for (unsigned w = 0; w < 3; w++) {
                replaced(s, &in, i, (struct span){(const uint8_t *)wrong[w], sizes[w]}, &spoiled);
                assert_true(wire_decode(s, buf_span(&spoiled), false, out, &err) < 0);
                assert_contains(err.text, f[i].name);
            }
        }
    }
    buf_free(&spoiled);
    sample_free(&in);
}

static void oversized(const struct wire_field *f, struct buf *with)
{
    struct buf big = {0};
    buf_clear(with);
    switch (f->type) {
    case WIRE_u64:
        /* most + 1, in its shortest form, made by the value packer (63 bits are enough for all
           limits) */
        value_add_int(with, (int64_t)(f->most + 1));
        break;
    case WIRE_str:
    case WIRE_bin:
        memset(buf_grow(&big, (size_t)f->most + 1), 'x', (size_t)f->most + 1);
        big.n = (size_t)f->most + 1;
        f->type == WIRE_str ? wire_add_str(with, buf_span(&big))
                            : wire_add_bin(with, buf_span(&big));
        break;
    case WIRE_strs:
    case WIRE_bins:
        value_add_list(with, (uint32_t)f->most + 1);
        for (uint64_t i = 0; i <= f->most; i++)
            f->type == WIRE_strs ? wire_add_str(with, SPAN_NONE) : wire_add_bin(with, SPAN_NONE);
        break;
    case WIRE_map:
        memset(buf_grow(&big, (size_t)f->most + 1), 'x', (size_t)f->most + 1);
        big.n = (size_t)f->most + 1;
        value_add_map(with, 1);
        value_add_str(with, span_str("a"));
        value_add_str(with, buf_span(&big));
        break;
    default:
        break;
    }
    buf_free(&big);
}

static void every_field_beyond_its_limit_is_refused(void **state)
{
    (void)state;
    struct sample in = {0};
    struct buf spoiled = {0}, with = {0};
    EACH_SCHEMA (s) {
        sample_of(s, &in);
        const struct wire_field *f = s->fields();
        for (unsigned i = 0; i < s->count; i++) {
            _Alignas(16) uint8_t out[1024];
            struct error err = {0};
            if (f[i].type == WIRE_i64 || f[i].type == WIRE_flag || f[i].type == WIRE_id ||
                f[i].type == WIRE_hash || f[i].most == ANY)
                continue;
            oversized(&f[i], &with);
            replaced(s, &in, i, buf_span(&with), &spoiled);
            assert_int_equal(wire_decode(s, buf_span(&spoiled), false, out, &err), -EMSGSIZE);
            assert_contains(err.text, f[i].name);
        }
    }
    buf_free(&spoiled);
    buf_free(&with);
    sample_free(&in);
}

static void an_extra_field_is_an_error_unless_the_peer_is_newer(void **state)
{
    (void)state;
    struct sample in = {0};
    struct buf more = {0};
    EACH_SCHEMA (s) {
        _Alignas(16) uint8_t out[1024];
        struct error err = {0};
        sample_of(s, &in);
        struct span rest = buf_span(&in.encoded);
        struct item head;
        assert_null(item_read(&rest, &head));
        buf_clear(&more);
        value_add_list(&more, s->count + 2);
        buf_add(&more, rest.p, rest.n);
        value_add_str(&more, span_str("from the future"));
        assert_int_equal(wire_decode(s, buf_span(&more), false, out, &err), -EPROTO);
        assert_int_equal(wire_decode(s, buf_span(&more), true, out, &err), 0);
        more.n--; /* the unknown field is checked in form, too */
        assert_true(wire_decode(s, buf_span(&more), true, out, &err) < 0);
    }
    buf_free(&more);
    sample_free(&in);
}

static void an_appended_field_that_is_empty_is_not_written_and_reads_as_empty(void **state)
{
    (void)state;
    struct d_call call = {.task = span_str("load")}, got;
    struct buf b = {0};
    struct error err = {0};
    assert_true(d_call_schema.required < d_call_schema.count);
    d_call_encode(&call, &b);
    assert_int_equal(b.p[2], d_call_schema.required + 1); /* array 16: 0xdc, then its length */
    assert_int_equal(d_call_decode(buf_span(&b), &got, &err), 0);
    assert_int_equal(got.item.n, 0);
    buf_clear(&b);
    call.item = span_str("orders");
    d_call_encode(&call, &b);
    assert_int_equal(b.p[2], d_call_schema.count + 1);
    assert_int_equal(d_call_decode(buf_span(&b), &got, &err), 0);
    assert_true(span_eq_str(got.item, "orders"));
    buf_free(&b);
}

static void a_message_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct m_done m = {.req = 1, .text = span_str("x")};
    struct m_ping got;
    struct buf b = {0};
    struct error err = {0};
    m_done_encode(&m, &b);
    assert_int_equal(m_ping_decode(buf_span(&b), &got, &err), -EPROTO);
    assert_contains(err.text, "wrong kind");
    buf_free(&b);
}

static void a_refusal_has_a_word_and_a_sentence(void **state)
{
    (void)state;
    assert_string_equal(refusal_word(REFUSAL_DENIED), "denied");
    assert_contains(refusal_text(REFUSAL_BUSY), "try again");
    assert_string_equal(refusal_word(777), "?");
}

static void a_declared_parameter_is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const char *const names[] = {"day", "days"};
    struct d_parameter p, sought;
    struct buf items = {0};
    wire_add_bin(&items, span_str("no declaration"));
    for (size_t i = 0; i < 2; i++) {
        struct buf one = {0};
        p = (struct d_parameter){
            .name = span_str(names[i]), .type = span_str("date"), .required = i == 1};
        d_parameter_encode(&p, &one);
        wire_add_bin(&items, buf_span(&one));
        buf_free(&one);
    }
    struct wire_list list = wire_list_from(&items, 3);
    assert_true(d_parameter_find(&list, span_str("days"), &sought));
    assert_true(sought.required);
    assert_true(d_parameter_find(&list, span_str("day"), &sought));
    assert_false(sought.required);
    assert_false(d_parameter_find(&list, span_str("da"), &sought));
    assert_false(d_parameter_find(&(struct wire_list){0}, span_str("day"), &sought));
    buf_free(&items);
}

static void a_parameter_longer_than_a_variable_must_be_read_from_the_file(void **state)
{
    (void)state;
    struct buf b = {0}, text = {0};
    struct error err = {0};
    struct value v;
    struct d_parameter p = {.name = span_str("cmd")};
    memset(buf_grow(&text, LIMIT_PARAMETER_ENV + 1), 'x', LIMIT_PARAMETER_ENV + 1);
    for (size_t n = LIMIT_PARAMETER_ENV; n <= LIMIT_PARAMETER_ENV + 1; n++) {
        buf_clear(&b);
        value_add_str(&b, span_of(text.p, n));
        struct span in = buf_span(&b);
        assert_true(value_read(&in, &v));
        p.read_from = SPAN_NONE;
        p.sensitive = false;
        int want = n > LIMIT_PARAMETER_ENV ? -EMSGSIZE : 0;
        assert_int_equal(d_parameter_fits(&p, p.name, &v, &err), want);
        assert_int_equal(d_parameter_fits(NULL, p.name, &v, &err), want);
        p.read_from = span_str(PARAMETER_FROM_FILE);
        assert_int_equal(d_parameter_fits(&p, p.name, &v, &err), 0);
        p.read_from = SPAN_NONE;
        p.sensitive = true; /* never in the environment */
        assert_int_equal(d_parameter_fits(&p, p.name, &v, &err), 0);
    }
    assert_contains(err.text, "'cmd'");
    buf_free(&b);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_named_once_and_found),
        cmocka_unit_test(every_message_survives_a_round_trip),
        cmocka_unit_test(every_truncation_of_every_message_is_refused_and_nothing_written),
        cmocka_unit_test(bytes_after_a_message_are_refused),
        cmocka_unit_test(every_field_of_every_message_refuses_a_wrong_type),
        cmocka_unit_test(every_field_beyond_its_limit_is_refused),
        cmocka_unit_test(an_extra_field_is_an_error_unless_the_peer_is_newer),
        cmocka_unit_test(an_appended_field_that_is_empty_is_not_written_and_reads_as_empty),
        cmocka_unit_test(a_message_of_another_kind_is_refused),
        cmocka_unit_test(a_refusal_has_a_word_and_a_sentence),
        cmocka_unit_test(a_parameter_longer_than_a_variable_must_be_read_from_the_file),
        cmocka_unit_test(a_declared_parameter_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
