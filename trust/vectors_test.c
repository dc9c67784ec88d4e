/* vectors_test.c - the C side makes the test vectors of proto/PROTOCOL.md, which come from the
 * Python client. */
#include "common/testing.h"
#include "common/id.h"
#include "trust/batch.h"
#include "trust/call.h"
#include "trust/result.h"
#include "trust/possession.h"

/* PROTOCOL.md lies in the top of the tree, where `make` runs the tests. */
static char *page;

static int read_page(void **state)
{
    struct buf b = {0};
    struct error err = {0};
    (void)state;
    if (file_read("proto/PROTOCOL.md", 1 << 20, &b, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    page = mem_strdup(buf_str(&b));
    buf_free(&b);
    return trust_init(&err);
}

static int free_page(void **state)
{
    (void)state;
    mem_free(&page);
    return 0;
}

/* The hexadecimal text below "- <name>:" as bytes. */
static struct buf vector(const char *name)
{
    char *head = mem_printf("- %s:\n\n  ```\n", name);
    const char *at = strstr(page, head);
    struct buf hex = {0}, out = {0};
    if (!at)
        fail_msg("PROTOCOL.md has no vector '%s'", name);
    for (at += strlen(head); strncmp(at, "  ```", 5) != 0; at++)
        if (*at != ' ' && *at != '\n')
            buf_add(&hex, at, 1);
    uint8_t *bytes = buf_grow(&out, hex.n / 2);
    assert_int_equal(hex_parse(buf_str(&hex), bytes, hex.n / 2), 0);
    out.n = hex.n / 2;
    buf_free(&hex);
    mem_free(&head);
    return out;
}

static void assert_vector(const char *name, struct span got)
{
    struct buf want = vector(name);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    buf_free(&want);
}

static struct key the_key(void)
{
    struct key key;
    uint8_t seed[KEY_SEED];
    memset(seed, 1, sizeof seed);
    key_from_seed(seed, &key);
    return key;
}

static void keys_are_derived_as_documented(void **state)
{
    (void)state;
    struct key key = the_key();
    assert_vector("signing key, public", (struct span){key.sign.b, 32});
    assert_vector("transport key, public", (struct span){key.transport.b, 32});
}

static void a_signed_call_matches_the_documented_bytes(void **state)
{
    (void)state;
    struct key key = the_key();
    struct buf parameters = {0}, signed_call = {0}, body = {0};
    struct error err = {0};
    value_add_str(&parameters, span_str("text"));
    value_add_str(&parameters, span_str("hello"));
    value_add_str(&parameters, span_str("count"));
    value_add_int(&parameters, 300);
    value_add_str(&parameters, span_str("share"));
    value_add_float(&parameters, 0.5);
    value_add_str(&parameters, span_str("list"));
    value_add_list(&parameters, 3);
    value_add_bool(&parameters, true);
    value_add_null(&parameters);
    value_add_int(&parameters, -1);
    struct d_call call = {
        .cluster = span_str("demo"),
        .caller = span_str("anna"),
        .key = span_str("key-1"),
        .job = span_str("package:say"),
        .address = span_str("etl"),
        .parameters = wire_list_from(&parameters, 4),
        .priority = 4,
        .as_of = span_str("2026-11-21T09:13:55.012Z"),
        .issued_at = 1763716435012,
        .expires = 1763802835012,
    };
    memset(call.job_hash.b, 2, 32);
    d_call_encode(&call, &body);
    assert_vector("d_call", buf_span(&body));
    assert_int_equal(call_sign(&call, &key, "anna", 7, &signed_call, &err), 0);
    assert_vector("d_signed", buf_span(&signed_call));
    buf_free(&parameters);
    buf_free(&signed_call);
    buf_free(&body);
}

static void a_signed_result_matches_the_documented_bytes(void **state)
{
    (void)state;
    struct buf outcome = vector("d_outcome"), call = vector("d_call"), made = {0}, signature = {0};
    struct key etl1;
    struct error err = {0};
    uint8_t seed[KEY_SEED];
    memset(seed, 5, sizeof seed);
    key_from_seed(seed, &etl1);
    struct d_result r = {.cluster = span_str("demo"),
                         .server = span_str("etl1"),
                         .attempt = 1,
                         .outcome = buf_span(&outcome)};
    memset(r.run.b, 5, sizeof r.run.b);
    call_digest(buf_span(&call), &r.call);
    d_result_encode(&r, &made);
    assert_vector("d_result", buf_span(&made));
    assert_int_equal(result_sign(&etl1, "etl1", 9, &r, 1, &signature, &err), 0);
    assert_vector("signature of the result", buf_span(&signature));
    buf_free(&outcome);
    buf_free(&call);
    buf_free(&made);
    buf_free(&signature);
}

static void a_key_asks_for_its_certificate_as_documented(void **state)
{
    (void)state;
    struct key key = the_key();
    struct buf certificate = vector("certificate of anna"), enrol = {0};
    uint8_t possession[POSSESSION_SIZE];
    possession_make(&key, buf_span(&certificate), possession);
    assert_vector("possession of anna's key", span_of(possession, sizeof possession));
    m_enrol_encode(&(struct m_enrol){.req = 1,
                                     .certificate = buf_span(&certificate),
                                     .possession = span_of(possession, sizeof possession)},
                   &enrol);
    assert_vector("ENROL of anna", buf_span(&enrol));
    buf_free(&certificate);
    buf_free(&enrol);
}

static void a_frame_is_its_head_and_its_messages(void **state)
{
    (void)state;
    struct buf b = {0};
    h_frame_encode(&(struct h_frame){.session = 77, .number = 3, .ack = 2}, &b);
    m_ping_encode(&(struct m_ping){.stamp = 5}, &b);
    assert_vector("frame 3 of session 77, ack 2, with PING 5", buf_span(&b));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_derived_as_documented),
        cmocka_unit_test(a_signed_call_matches_the_documented_bytes),
        cmocka_unit_test(a_signed_result_matches_the_documented_bytes),
        cmocka_unit_test(a_key_asks_for_its_certificate_as_documented),
        cmocka_unit_test(a_frame_is_its_head_and_its_messages),
    };
    return cmocka_run_group_tests(tests, read_page, free_page);
}
