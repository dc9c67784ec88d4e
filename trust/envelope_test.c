#include "trust/fixture.h"

static struct buf signed_by_anna(const char *kind, const char *body)
{
    struct buf out = {0};
    struct key k = fixture_key('a');
    assert_int_equal(envelope_sign(kind, &k, "anna", 7, span_str(body), &out, NULL), 0);
    return out;
}

static void a_signed_document_opens_with_the_signers_key(void **state)
{
    (void)state;
    static const char *const kinds[] = {ENVELOPE_CALL, ENVELOPE_PARENT, ENVELOPE_DEPLOYMENT,
                                        ENVELOPE_CERTIFICATE};
    struct key k = fixture_key('a');
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct buf b = signed_by_anna(kinds[i], "body");
        struct d_signed s;
        assert_int_equal(envelope_open(kinds[i], buf_span(&b), &k.sign, &s, NULL), 0);
        assert_true(span_eq_str(s.body, "body"));
        assert_true(span_eq_str(s.signer, "anna"));
        assert_int_equal(s.serial, 7);
        buf_free(&b);
    }
}

/* The documented formula, written out independently: other programs rely on it. */
static void the_signature_covers_the_kind_and_the_body(void **state)
{
    (void)state;
    static const uint8_t plain[] = "longboat/parent/1\0body";
    struct key k = fixture_key('a');
    struct buf b = signed_by_anna(ENVELOPE_PARENT, "body");
    struct d_signed s;
    assert_int_equal(d_signed_decode(buf_span(&b), &s, NULL), 0);
    assert_int_equal(s.signature.n, 64);
    assert_int_equal(crypto_sign_verify_detached(s.signature.p, plain, sizeof plain - 1, k.sign.b),
                     0);
    buf_free(&b);
}

static void a_signature_for_one_kind_is_not_valid_for_another(void **state)
{
    (void)state;
    static const char *const kinds[] = {ENVELOPE_PARENT, ENVELOPE_DEPLOYMENT, ENVELOPE_CALL,
                                        ENVELOPE_INVITATION};
    struct key k = fixture_key('a');
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            struct buf b = signed_by_anna(kinds[i], "body");
            struct d_signed s;
            struct error err = {0};
            int rc = envelope_open(kinds[j], buf_span(&b), &k.sign, &s, &err);
            assert_int_equal(rc, i == j ? 0 : -EBADMSG);
            if (i != j)
                assert_contains(err.text, "does not match");
            buf_free(&b);
        }
}

static void an_unexpected_key_is_refused(void **state)
{
    (void)state;
    struct buf b = signed_by_anna(ENVELOPE_PARENT, "body");
    struct key other = fixture_key('b');
    struct d_signed s;
    struct error err = {0};
    assert_int_equal(envelope_open(ENVELOPE_PARENT, buf_span(&b), &other.sign, &s, &err), -EBADMSG);
    assert_contains(err.text, "not by key");
    buf_free(&b);
}

static void only_calls_may_have_a_proof(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct buf b = signed_by_anna(ENVELOPE_PARENT, "body"), items = {0}, again = {0};
    struct d_signed s, out;
    struct error err = {0};
    assert_int_equal(d_signed_decode(buf_span(&b), &s, NULL), 0);
    wire_add_bin(&items, span_of(k.sign.b, 32));
    s.proof = wire_list_from(&items, 1);
    d_signed_encode(&s, &again);
    assert_int_equal(envelope_open(ENVELOPE_PARENT, buf_span(&again), &k.sign, &out, &err),
                     -EBADMSG);
    assert_contains(err.text, "proof");
    s.proof = (struct wire_list){SPAN_NONE, 0};
    s.index = 1;
    buf_clear(&again);
    d_signed_encode(&s, &again);
    assert_int_equal(envelope_open(ENVELOPE_PARENT, buf_span(&again), &k.sign, &out, &err),
                     -EBADMSG);
    buf_free(&b);
    buf_free(&items);
    buf_free(&again);
}

static void a_signature_of_another_length_is_refused(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct buf b = signed_by_anna(ENVELOPE_PARENT, "body"), again = {0};
    struct d_signed s, out;
    assert_int_equal(d_signed_decode(buf_span(&b), &s, NULL), 0);
    s.signature.n = 63;
    d_signed_encode(&s, &again);
    assert_int_equal(envelope_open(ENVELOPE_PARENT, buf_span(&again), &k.sign, &out, NULL),
                     -EBADMSG);
    s.signature.n = 0;
    buf_clear(&again);
    d_signed_encode(&s, &again);
    assert_int_equal(envelope_open(ENVELOPE_PARENT, buf_span(&again), &k.sign, &out, NULL),
                     -EBADMSG);
    buf_free(&b);
    buf_free(&again);
}

static void bytes_that_are_not_an_envelope_are_malformed(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct d_signed s;
    struct error err = {0};
    assert_int_equal(envelope_open(ENVELOPE_PARENT, span_str("nothing"), &k.sign, &s, &err),
                     -EPROTO);
    assert_contains(err.text, "parent");
    assert_int_equal(envelope_open(ENVELOPE_CALL, SPAN_NONE, &k.sign, &s, &err), -EPROTO);
}

static void a_document_that_does_not_fit_is_not_signed(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct buf out = {0};
    struct error err = {0};
    char *large = mem_zalloc(LIMIT_FRAME, 1), name[LIMIT_NAME + 2];
    assert_int_equal(
        envelope_sign(ENVELOPE_PARENT, &k, "anna", 7, span_of(large, LIMIT_FRAME), &out, &err),
        -EMSGSIZE);
    assert_int_equal(
        envelope_sign(ENVELOPE_CALL, &k, "anna", 7, span_of(large, LIMIT_FRAME), &out, &err),
        -EMSGSIZE);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(envelope_sign(ENVELOPE_PARENT, &k, name, 7, span_str("body"), &out, &err),
                     -EINVAL);
    assert_int_equal(out.n, 0);
    mem_free(&large);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_document_opens_with_the_signers_key),
        cmocka_unit_test(the_signature_covers_the_kind_and_the_body),
        cmocka_unit_test(a_signature_for_one_kind_is_not_valid_for_another),
        cmocka_unit_test(an_unexpected_key_is_refused),
        cmocka_unit_test(only_calls_may_have_a_proof),
        cmocka_unit_test(a_signature_of_another_length_is_refused),
        cmocka_unit_test(bytes_that_are_not_an_envelope_are_malformed),
        cmocka_unit_test(a_document_that_does_not_fit_is_not_signed),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
