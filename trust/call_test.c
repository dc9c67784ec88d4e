#include "trust/call.h"

#include "trust/fixture.h"

/* anna's call of nightly-load at the pool etl. */
static struct d_call good_call(void)
{
    return (struct d_call){.cluster = span_str("test"),
                           .caller = span_str("anna"),
                           .key = span_str("k1"),
                           .job = span_str("nightly-load"),
                           .job_hash = {{1}},
                           .address = span_str("etl"),
                           .issued_at = NOW,
                           .expires = NOW + HOUR};
}

struct call_place {
    struct certificate anna;
    struct call_scope scope;
};

static struct call_place place_begin(void)
{
    struct certificate_order o = fixture_anna();
    return (struct call_place){.anna = fixture_certificate(&o),
                               .scope = {.cluster = "test", .now = NOW}};
}

static enum refusal judge(const struct call_place *p, struct span bytes, struct error *err)
{
    struct d_call c = {.priority = 4711};
    struct hash digest = {{9}};
    enum refusal code = REFUSAL_NONE;
    int rc = call_verify(bytes, &p->anna, &p->scope, &c, &digest, &code, err);
    if (rc < 0) {
        assert_int_not_equal(code, REFUSAL_NONE);
        assert_int_equal(err->code, rc);
        assert_int_equal(c.priority, 4711);
        assert_int_equal(digest.b[0], 9);
    }
    return code;
}

/* Signs the struct, valid or not, with anna's key and verifies the result. */
static void expect_raw(const struct call_place *p, const struct d_call *c, char key,
                       const char *signer, uint64_t serial, enum refusal code, const char *why)
{
    struct key k = fixture_key(key);
    struct buf body = {0}, out = {0};
    struct error err = {0};
    d_call_encode(c, &body);
    assert_int_equal(envelope_sign(ENVELOPE_CALL, &k, signer, serial, buf_span(&body), &out, NULL),
                     0);
    enum refusal got = judge(p, buf_span(&out), &err);
    if (got != code)
        fail_msg("'%s' expected, got '%s': %s", refusal_word(code), refusal_word(got), err.text);
    if (code != REFUSAL_NONE)
        assert_contains(err.text, why);
    buf_free(&body);
    buf_free(&out);
}

static void a_signed_call_is_verified_and_read(void **state)
{
    (void)state;
    struct call_place p = place_begin();
    struct key k = fixture_key('a');
    struct d_call c = good_call(), got;
    struct hash digest, expected;
    struct buf out = {0}, body = {0};
    assert_int_equal(call_sign(&c, &k, "anna", 7, &out, NULL), 0);
    assert_int_equal(call_verify(buf_span(&out), &p.anna, &p.scope, &got, &digest, NULL, NULL), 0);
    assert_true(span_eq_str(got.job, "nightly-load"));
    assert_int_equal(call_encode(&c, &body, NULL), 0);
    envelope_hash(buf_span(&body), &expected);
    assert_true(hash_eq(&digest, &expected));
    buf_free(&out);
    buf_free(&body);
    certificate_free(&p.anna);
}

static void calls_signed_together_are_verified_alone(void **state)
{
    (void)state;
    struct call_place p = place_begin();
    struct verified_roots roots = {0};
    struct key k = fixture_key('a');
    struct d_call c = good_call(), got;
    struct buf bodies[3] = {{0}}, outs[3] = {{0}};
    struct span spans[3];
    static const char *const keys[] = {"k1", "k2", "k3"};
    p.scope.roots = &roots;
    for (int i = 0; i < 3; i++) {
        c.key = span_str(keys[i]);
        assert_int_equal(call_encode(&c, &bodies[i], NULL), 0);
        spans[i] = buf_span(&bodies[i]);
    }
    assert_int_equal(batch_sign(&k, "anna", 7, spans, 3, outs, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call_verify(buf_span(&outs[i]), &p.anna, &p.scope, &got, NULL, NULL, NULL),
                         0);
        assert_true(span_eq_str(got.key, keys[i]));
        buf_free(&bodies[i]);
        buf_free(&outs[i]);
    }
    assert_int_equal(roots.misses, 1);
    certificate_free(&p.anna);
}

static void no_byte_of_a_call_can_be_altered(void **state)
{
    (void)state;
    struct call_place p = place_begin();
    struct verified_roots roots = {0};
    struct key k = fixture_key('a');
    struct d_call c = good_call();
    struct buf out = {0};
    assert_int_equal(call_sign(&c, &k, "anna", 7, &out, NULL), 0);
    for (int remembered = 0; remembered < 2; remembered++) {
        struct error err = {0};
        p.scope.roots = remembered ? &roots : NULL;
        assert_int_equal(judge(&p, buf_span(&out), &err), REFUSAL_NONE);
        for (size_t at = 0; at < out.n; at++)
            for (int bit = 0; bit < 8; bit++) {
                out.p[at] ^= (uint8_t)(1 << bit);
                if (judge(&p, buf_span(&out), &err) == REFUSAL_NONE)
                    fail_msg("bit %d of byte %zu of %zu may be flipped", bit, at, out.n);
                out.p[at] ^= (uint8_t)(1 << bit);
            }
        for (size_t n = 0; n < out.n; n++)
            assert_int_not_equal(judge(&p, span_of(out.p, n), &err), REFUSAL_NONE);
    }
    buf_free(&out);
    certificate_free(&p.anna);
}

static void each_wrong_field_has_its_own_refusal(void **state)
{
    (void)state;
    struct call_place p = place_begin();
#define BROKEN(code, why, ...) \
    do { \
        struct d_call c = good_call(); \
        char key = 'a'; \
        const char *signer = "anna"; \
        uint64_t serial = 7; \
        __VA_ARGS__; \
        expect_raw(&p, &c, key, signer, serial, REFUSAL_##code, why); \
    } while (0)
    BROKEN(NONE, "", (void)c);
    BROKEN(BAD_SIGNATURE, "not by key", key = 'x');
    BROKEN(BAD_SIGNATURE, "'bert'", signer = "bert");
    BROKEN(BAD_SIGNATURE, "serial 8", serial = 8);
    BROKEN(BAD_SIGNATURE, "names 'bert' as its caller", c.caller = span_str("bert"));
    BROKEN(UNKNOWN_PRINCIPAL, "this is 'test'", c.cluster = span_str("other"));
    BROKEN(MALFORMED, "invalid name", c.cluster = span_str(""));
    BROKEN(MALFORMED, "invalid name", c.caller = span_str("all"));
    BROKEN(MALFORMED, "no key", c.key = span_str(""));
    BROKEN(MALFORMED, "is not a job name", c.job = span_str("../x"));
    BROKEN(MALFORMED, "is not an address", c.address = span_str("*"));
    BROKEN(MALFORMED, "hash of its job", c.pin_latest = true);
    BROKEN(MALFORMED, "hash of its job", memset(&c.job_hash, 0, 32));
    BROKEN(NONE, "", memset(&c.job_hash, 0, 32); c.pin_latest = true);
    BROKEN(MALFORMED, "no end", c.expires = 0);
    BROKEN(EXPIRED, "expired", c.expires = NOW);
    BROKEN(NONE, "", c.expires = NOW + 1);
    BROKEN(DENIED, "may not call load@etl", c.job = span_str("load"));
    BROKEN(DENIED, "may not call nightly-load@all", c.address = span_str("all"));
    BROKEN(DENIED, "may not call nightly-load@wh1", c.address = span_str("wh1"));
    static const char *const pools[] = {"big", "etl"};
    p.scope.pools = pools;
    p.scope.n_pools = 2;
    BROKEN(NONE, "", c.address = span_str("wh1"));
    p.scope.now = p.anna.not_after;
    BROKEN(EXPIRED_CERTIFICATE, "renew anna", c.expires = NOW + 9 * HOUR);
    p.scope.now = NOW;
    p.scope.cluster = "other";
    BROKEN(UNKNOWN_PRINCIPAL, "this is 'other'", c.cluster = span_str("other"));
#undef BROKEN
    certificate_free(&p.anna);
}

static void a_body_that_is_not_a_call_is_malformed(void **state)
{
    (void)state;
    struct call_place p = place_begin();
    struct key k = fixture_key('a');
    struct buf out = {0};
    struct error err = {0};
    assert_int_equal(envelope_sign(ENVELOPE_CALL, &k, "anna", 7, span_str("nothing"), &out, NULL),
                     0);
    assert_int_equal(judge(&p, buf_span(&out), &err), REFUSAL_MALFORMED);
    buf_free(&out);
    certificate_free(&p.anna);
}

static void a_call_beyond_the_limit_is_not_read(void **state)
{
    (void)state;
    struct call_place p = place_begin();
    struct error err = {0};
    uint8_t *large = mem_zalloc(LIMIT_CALL + 1, 1);
    assert_int_equal(judge(&p, span_of(large, LIMIT_CALL + 1), &err), REFUSAL_TOO_LARGE);
    mem_free(&large);
    certificate_free(&p.anna);
}

static void a_call_that_would_be_refused_is_not_signed(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct buf out = {0}, items = {0}, many = {0};
    struct error err = {0};
    char *large = mem_zalloc(LIMIT_PARAMETERS + 1, 1);
    memset(large, 'x', LIMIT_PARAMETERS);
    value_add_str(&items, span_str("p"));
    value_add_str(&items, span_of(large, LIMIT_PARAMETERS));
    for (int i = 0; i < LIMIT_POOLS; i++)
        wire_add_str(&many, span_of(large, LIMIT_PATH));
#define BROKEN(why, ...) \
    do { \
        struct d_call c = good_call(); \
        __VA_ARGS__; \
        assert_int_equal(call_sign(&c, &k, "anna", 7, &out, &err), -EINVAL); \
        assert_int_equal(err.code, -EINVAL); \
        assert_contains(err.text, why); \
        assert_int_equal(out.n, 0); \
    } while (0)
    BROKEN("is not a job name", c.job = span_str("Load"));
    BROKEN("no end", c.expires = 0);
    BROKEN("key of 201 bytes", c.key = span_of(large, LIMIT_KEY + 1));
    BROKEN("parameters", c.parameters = wire_list_from(&items, 1));
    BROKEN("priority 10", c.priority = 10);
    BROKEN("exceeds its limit", c.try_no = LIMIT_TRIES + 1);
    BROKEN("as_of", c.as_of = span_str("yesterday"));
    BROKEN("as_of", c.as_of = span_of(large, LIMIT_SHORT + 1));
    BROKEN("exceeds its limit", c.task = span_of(large, LIMIT_NAME + 1));
    buf_clear(&items);
    value_add_str(&items, span_str("p"));
    value_add_str(&items, span_of(large, LIMIT_PARAMETERS - 16));
    BROKEN("the limit is", c.parameters = wire_list_from(&items, 1);
           c.semaphores = wire_list_from(&many, LIMIT_POOLS));
#undef BROKEN
    mem_free(&large);
    buf_free(&items);
    buf_free(&many);
    buf_free(&out);
}

static void the_largest_call_that_can_be_signed_is_accepted(void **state)
{
    (void)state;
    struct call_place p = place_begin();
    struct key k = fixture_key('a');
    struct buf out = {0}, items = {0};
    struct d_call c = good_call();
    struct error err = {0};
    char *large = mem_zalloc(LIMIT_PARAMETERS, 1);
    memset(large, 'x', LIMIT_PARAMETERS);
    value_add_str(&items, span_str("p"));
    value_add_str(&items, span_of(large, LIMIT_PARAMETERS - 16));
    c.parameters = wire_list_from(&items, 1);
    assert_int_equal(call_sign(&c, &k, "anna", 7, &out, &err), 0);
    assert_int_equal(judge(&p, buf_span(&out), &err), REFUSAL_NONE);
    mem_free(&large);
    buf_free(&items);
    buf_free(&out);
    certificate_free(&p.anna);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_call_is_verified_and_read),
        cmocka_unit_test(calls_signed_together_are_verified_alone),
        cmocka_unit_test(no_byte_of_a_call_can_be_altered),
        cmocka_unit_test(each_wrong_field_has_its_own_refusal),
        cmocka_unit_test(a_body_that_is_not_a_call_is_malformed),
        cmocka_unit_test(a_call_beyond_the_limit_is_not_read),
        cmocka_unit_test(a_call_that_would_be_refused_is_not_signed),
        cmocka_unit_test(the_largest_call_that_can_be_signed_is_accepted),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
