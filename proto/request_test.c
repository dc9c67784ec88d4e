/* request_test.c - every message that has a number gives it. */
#include "proto/request.h"

#include "common/testing.h"

static void every_request_and_answer_gives_its_number(void **state)
{
    const struct wire_schema *s;
    unsigned numbered = 0;
    (void)state;
    for (unsigned i = 0; (s = messages_schema_at(i)); i++) {
        enum sender from = 0;
        struct buf bytes = {0};
        uint64_t req = 0;
        if (s != messages_schema_of_kind(s->kind, &from) || !from || !s->count)
            continue;
        const struct wire_field *first = &s->fields()[0];
        const bool has = strcmp(first->name, "req") == 0;
        uint8_t *message = mem_zalloc(1, s->size);
        if (has)
            memcpy(message + first->offset, &(uint64_t){4711}, sizeof(uint64_t));
        wire_encode(s, message, &bytes);
        if (request_number(s->kind, buf_span(&bytes), false, &req) != has ||
            req != (has ? 4711u : 0u))
            fail_msg("%s: %llu", s->name, (unsigned long long)req);
        numbered += has;
        mem_free(&message);
        buf_free(&bytes);
    }
    assert_true(numbered > 20);
}

/* Whatever is wrong behind it, and however much is missing. */
static void a_malformed_request_still_gives_its_number(void **state)
{
    uint64_t req = 0;
    (void)state;
    assert_true(request_peek(KIND_M_QUERY, span_str("\x92\x32\x07"), &req));
    assert_int_equal(req, 7);
    assert_true(request_peek(KIND_M_QUERY, span_str("\x94\x32\x08\xc0\xc1"), &req));
    assert_int_equal(req, 8);
    assert_false(request_peek(KIND_M_QUERY, span_str("\x91\x32"), &req));
    assert_false(request_peek(KIND_M_QUERY, span_str("\x92\x32\xa1x"), &req));
    assert_false(request_peek(KIND_M_CANCEL, span_str("\x92\x32\x07"), &req)); /* another kind */
    assert_false(request_peek(KIND_M_PING, span_str("\x92\x05\x07"), &req));   /* has none */
    assert_false(request_peek(99999, SPAN_NONE, &req));
}

static void bytes_that_are_not_a_message_have_no_number(void **state)
{
    uint64_t req;
    (void)state;
    assert_false(request_number(KIND_M_QUERY, span_str("\x92\x32"), false, &req));
    assert_false(request_number(KIND_R_CALLED, SPAN_NONE, false, &req));
    assert_false(request_number(99999, SPAN_NONE, false, &req));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_and_answer_gives_its_number),
        cmocka_unit_test(a_malformed_request_still_gives_its_number),
        cmocka_unit_test(bytes_that_are_not_a_message_have_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
