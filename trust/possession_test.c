/* possession_test.c - a certificate is asked for by its own key, and by no other. */
#include "trust/possession.h"

#include "trust/fixture.h"
#include "trust/sign.h"

static void a_key_vouches_for_its_certificate(void **state)
{
    const struct key own = fixture_key('n');
    uint8_t signature[POSSESSION_SIZE];
    struct error err = {0};
    (void)state;
    possession_make(&own, span_str("certificate"), signature);
    assert_int_equal(possession_check(&own.sign, span_str("certificate"),
                                      span_of(signature, sizeof signature), &err),
                     0);
}

static void a_missing_signature_asks_for_an_update(void **state)
{
    const struct key own = fixture_key('n');
    struct error err = {0};
    (void)state;
    assert_int_equal(possession_check(&own.sign, span_str("certificate"), SPAN_NONE, &err),
                     -ENODATA);
    assert_contains(err.text, "update the program that joins");
}

static void another_key_or_certificate_or_kind_does_not_do(void **state)
{
    const struct key own = fixture_key('n'), other = fixture_key('x');
    uint8_t by_other[POSSESSION_SIZE], of_other[POSSESSION_SIZE], kind[POSSESSION_SIZE];
    (void)state;
    possession_make(&other, span_str("certificate"), by_other);
    possession_make(&own, span_str("another certificate"), of_other);
    sign_content("certificate", &own, span_str("certificate"), kind);
    const struct span bad[] = {span_of(by_other, sizeof by_other),
                               span_of(of_other, sizeof of_other), span_of(kind, sizeof kind),
                               span_of(of_other, sizeof of_other - 1)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        assert_int_equal(possession_check(&own.sign, span_str("certificate"), bad[i], &err),
                         -EBADMSG);
        assert_contains(err.text, "must hold");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_vouches_for_its_certificate),
        cmocka_unit_test(a_missing_signature_asks_for_an_update),
        cmocka_unit_test(another_key_or_certificate_or_kind_does_not_do),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
