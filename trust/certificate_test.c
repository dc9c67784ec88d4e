#include "trust/certificate.h"

#include "trust/batch.h"
#include "trust/fixture.h"

/* Builds what certificate_make would refuse to make. */
struct draft {
    struct d_certificate d;
    struct buf pools, grants, body, invitation_body, invitation, out;
    struct d_invitation i;
    struct key signer;
};

static void draft_lists(struct draft *f, const char *const *pools, unsigned n_pools,
                        const char *const *grants, unsigned n_grants)
{
    buf_clear(&f->pools);
    buf_clear(&f->grants);
    for (unsigned i = 0; i < n_pools; i++)
        wire_add_str(&f->pools, span_str(pools[i]));
    for (unsigned i = 0; i < n_grants; i++)
        wire_add_str(&f->grants, span_str(grants[i]));
    f->d.pools = wire_list_from(&f->pools, n_pools);
    f->d.grants = wire_list_from(&f->grants, n_grants);
}

/* The good server's certificate, before it is signed by the administrator; each test breaks one
   thing. */
static void draft_begin(struct draft *f)
{
    struct certificate_order o = fixture_server();
    static const char *const grants[] = {"call *@etl"};
    *f = (struct draft){.signer = fixture_key('A')};
    f->d = (struct d_certificate){.cluster = span_str("test"),
                                  .name = span_str("wh1"),
                                  .role = span_str("server"),
                                  .serial = 8,
                                  .sign_key = o.sign_key,
                                  .seal_key = o.seal_key,
                                  .not_before = o.not_before,
                                  .not_after = o.not_after};
    assert_int_equal(key_transport_of(&o.sign_key, &f->d.transport_key, NULL), 0);
    draft_lists(f, o.pools, 2, grants, 1);
}

/* An invitation that allows exactly the draft, by one-time key 'o', signed by the administrator. */
static void draft_invite(struct draft *f)
{
    f->signer = fixture_key('o');
    f->i = (struct d_invitation){.cluster = f->d.cluster,
                                 .one_time_key = f->signer.sign,
                                 .name = f->d.name,
                                 .role = f->d.role,
                                 .serial = f->d.serial,
                                 .pools = f->d.pools,
                                 .grants = f->d.grants,
                                 .expires = NOW,
                                 .certificate_not_after = f->d.not_after};
}

static void draft_sign_invitation(struct draft *f, char administrator)
{
    struct key k = fixture_key(administrator);
    buf_clear(&f->invitation_body);
    buf_clear(&f->invitation);
    d_invitation_encode(&f->i, &f->invitation_body);
    assert_int_equal(envelope_sign(ENVELOPE_INVITATION, &k, "", 0, buf_span(&f->invitation_body),
                                   &f->invitation, NULL),
                     0);
    f->d.invitation = buf_span(&f->invitation);
}

static void draft_end(struct draft *f)
{
    buf_free(&f->pools);
    buf_free(&f->grants);
    buf_free(&f->body);
    buf_free(&f->invitation_body);
    buf_free(&f->invitation);
    buf_free(&f->out);
}

static enum refusal judge(struct span bytes, struct error *err)
{
    struct trust_anchors anchors = fixture_anchors();
    struct certificate c = {.serial = 4711};
    enum refusal code = REFUSAL_NONE;
    int rc = certificate_verify(bytes, &anchors, NOW, &c, &code, err);
    if (rc < 0) {
        assert_int_not_equal(code, REFUSAL_NONE);
        assert_int_equal(err->code, rc);
        assert_int_equal(c.serial, 4711);
        assert_null(c.pools);
    } else {
        assert_int_equal(code, REFUSAL_NONE);
        certificate_free(&c);
    }
    anchors_free(&anchors);
    return code;
}

static void expect(struct draft *f, enum refusal code, const char *why)
{
    struct error err = {0};
    buf_clear(&f->body);
    buf_clear(&f->out);
    d_certificate_encode(&f->d, &f->body);
    assert_int_equal(
        envelope_sign(ENVELOPE_CERTIFICATE, &f->signer, "", 0, buf_span(&f->body), &f->out, NULL),
        0);
    enum refusal got = judge(buf_span(&f->out), &err);
    if (got != code)
        fail_msg("'%s' expected, got '%s': %s", refusal_word(code), refusal_word(got), err.text);
    if (code != REFUSAL_NONE)
        assert_contains(err.text, why);
}

static void a_good_certificate_identifies_its_principal(void **state)
{
    (void)state;
    struct certificate_order o = fixture_server();
    struct certificate c = fixture_certificate(&o);
    assert_string_equal(c.cluster, "test");
    assert_string_equal(c.name, "wh1");
    assert_int_equal(c.role, ROLE_SERVER);
    assert_int_equal(c.serial, 8);
    assert_int_equal(c.n_pools, 2);
    assert_string_equal(c.pools[1], "big");
    assert_int_equal(c.invited_until, 0);
    assert_true(hash_eq(&c.seal_key, &o.seal_key));
    certificate_free(&c);
    o = fixture_anna();
    c = fixture_certificate(&o);
    assert_int_equal(c.n_grants, 2);
    assert_true(grant_covers(&c, VERB_CALL, "nightly-load", "etl", NULL, 0));
    assert_false(grant_covers(&c, VERB_CALL, "load", "etl", NULL, 0));
    struct key k = fixture_key('a');
    assert_true(hash_eq(&c.transport_key, &k.transport));
    certificate_free(&c);
    assert_null(c.grants);
}

static void the_draft_used_by_these_tests_is_good(void **state)
{
    (void)state;
    struct draft f;
    draft_begin(&f);
    expect(&f, REFUSAL_NONE, "");
    draft_invite(&f);
    draft_sign_invitation(&f, 'A');
    expect(&f, REFUSAL_NONE, "");
    draft_end(&f);
}

static void no_byte_of_a_certificate_can_be_altered(void **state)
{
    (void)state;
    struct draft f;
    for (int invited = 0; invited < 2; invited++) {
        draft_begin(&f);
        if (invited) {
            draft_invite(&f);
            draft_sign_invitation(&f, 'A');
        }
        expect(&f, REFUSAL_NONE, "");
        for (size_t at = 0; at < f.out.n; at++)
            for (int bit = 0; bit < 8; bit++) {
                struct error err = {0};
                f.out.p[at] ^= (uint8_t)(1 << bit);
                if (judge(buf_span(&f.out), &err) == REFUSAL_NONE)
                    fail_msg("bit %d of byte %zu of %zu may be flipped", bit, at, f.out.n);
                f.out.p[at] ^= (uint8_t)(1 << bit);
            }
        for (size_t n = 0; n < f.out.n; n++) {
            struct error err = {0};
            assert_int_not_equal(judge(span_of(f.out.p, n), &err), REFUSAL_NONE);
        }
        draft_end(&f);
    }
}

static void a_certificate_signed_by_a_stranger_is_refused(void **state)
{
    (void)state;
    struct draft f;
    draft_begin(&f);
    f.signer = fixture_key('x');
    expect(&f, REFUSAL_BAD_SIGNATURE, "no administrator");
    f.signer = fixture_key('w'); /* by itself */
    expect(&f, REFUSAL_BAD_SIGNATURE, "no administrator");
    draft_end(&f);
}

static void each_wrong_field_has_its_own_refusal(void **state)
{
    (void)state;
    static const char *const all[] = {"all"}, *const own[] = {"wh1"},
                             *const twice[] = {"etl", "etl"}, *const bad[] = {"call"};
    struct hash zero = {{0}}, other = fixture_key('x').transport;
#define BROKEN(code, why, ...) \
    do { \
        struct draft f; \
        draft_begin(&f); \
        __VA_ARGS__; \
        expect(&f, REFUSAL_##code, why); \
        draft_end(&f); \
    } while (0)
    BROKEN(UNKNOWN_PRINCIPAL, "this is 'test'", f.d.cluster = span_str("other"));
    BROKEN(MALFORMED, "is not a name", f.d.name = span_str("Wh1"));
    BROKEN(MALFORMED, "is not a name", f.d.name = span_str(""));
    BROKEN(MALFORMED, "is not a name", f.d.name = span_str("all"));
    BROKEN(MALFORMED, "is not a role", f.d.role = span_str("king"));
    BROKEN(MALFORMED, "serial 0", f.d.serial = 0);
    BROKEN(MALFORMED, "which only servers have", f.d.role = span_str("caller"));
    BROKEN(MALFORMED, "is not a pool name", draft_lists(&f, all, 1, NULL, 0));
    BROKEN(MALFORMED, "own name", draft_lists(&f, own, 1, NULL, 0));
    BROKEN(MALFORMED, "twice", draft_lists(&f, twice, 2, NULL, 0));
    BROKEN(MALFORMED, "grant 'call'", draft_lists(&f, NULL, 0, bad, 1));
    BROKEN(MALFORMED, "Ed25519", f.d.sign_key = zero);
    BROKEN(MALFORMED, "does not belong", f.d.transport_key = other);
    BROKEN(MALFORMED, "does not belong", f.d.sign_key = fixture_key('x').sign);
    BROKEN(MALFORMED, "has no seal key", f.d.seal_key = zero);
    BROKEN(MALFORMED, "has a seal key", draft_lists(&f, NULL, 0, NULL, 0);
           f.d.role = span_str("caller"));
    BROKEN(MALFORMED, "makes none", f.d.role = span_str("broker"); f.d.pools.count = 0;
           f.d.pools.items = SPAN_NONE);
    BROKEN(MALFORMED, "ends before", f.d.not_after = f.d.not_before);
    BROKEN(MALFORMED, "ends before", f.d.not_before = 0);
    BROKEN(EXPIRED_CERTIFICATE, "renew wh1", f.d.not_after = NOW);
    BROKEN(NONE, "", f.d.not_after = NOW + 1);
    BROKEN(EXPIRED_CERTIFICATE, "compare the clocks", f.d.not_before = NOW + CLOCK_SKEW_MS + 1);
    BROKEN(NONE, "", f.d.not_before = NOW + CLOCK_SKEW_MS);
#undef BROKEN
}

static void an_invited_certificate_stays_within_its_invitation(void **state)
{
    (void)state;
    static const char *const pools[] = {"etl", "big", "more"}, *const grants[] = {"call *@etl",
                                                                                  "call *@all"};
#define BROKEN(code, why, ...) \
    do { \
        struct draft f; \
        draft_begin(&f); \
        draft_invite(&f); \
        char administrator = 'A'; \
        struct buf offered_pools = buf_dup(f.d.pools.items), \
                   offered_grants = buf_dup(f.d.grants.items); \
        f.i.pools.items = buf_span(&offered_pools); \
        f.i.grants.items = buf_span(&offered_grants); \
        __VA_ARGS__; \
        draft_sign_invitation(&f, administrator); \
        expect(&f, REFUSAL_##code, why); \
        buf_free(&offered_pools); \
        buf_free(&offered_grants); \
        draft_end(&f); \
    } while (0)
    BROKEN(NONE, "", (void)administrator);
    BROKEN(DENIED, "is based on an invitation", f.d.name = span_str("wh2"));
    BROKEN(DENIED, "is based on an invitation", f.d.serial = 9);
    BROKEN(DENIED, "is based on an invitation", f.d.role = span_str("administrator");
           f.d.pools.count = 0; f.d.pools.items = SPAN_NONE;
           memset(&f.d.seal_key, 0, sizeof f.d.seal_key));
    BROKEN(DENIED, "claims pool 'more'", draft_lists(&f, pools, 3, grants, 1));
    BROKEN(DENIED, "claims grant 'call *@all'", draft_lists(&f, pools, 2, grants, 2));
    BROKEN(NONE, "", draft_lists(&f, pools, 1, NULL, 0)); /* less is fine */
    BROKEN(DENIED, "last longer", f.d.not_after++);
    BROKEN(EXPIRED_CERTIFICATE, "after its invitation expired", f.d.not_before = NOW + 1);
    BROKEN(NONE, "", f.d.not_before = NOW);
    BROKEN(BAD_SIGNATURE, "not by key", f.signer = fixture_key('x'));
    BROKEN(BAD_SIGNATURE, "not by key", f.signer = fixture_key('A')); /* one way, not two */
    BROKEN(BAD_SIGNATURE, "no administrator", administrator = 'x');
    /* the one-time key cannot invite */
    BROKEN(BAD_SIGNATURE, "no administrator", administrator = 'o');
    BROKEN(UNKNOWN_PRINCIPAL, "this is 'test'", f.i.cluster = span_str("other"));
    BROKEN(MALFORMED, "is not a name", f.i.name = span_str("all"));
    BROKEN(DENIED, "nobody gets by invitation", f.d.role = f.i.role = span_str("administrator");
           f.d.pools = f.i.pools = (struct wire_list){0};
           memset(&f.d.seal_key, 0, sizeof f.d.seal_key));
    BROKEN(DENIED, "nobody gets by invitation", f.d.role = f.i.role = span_str("broker");
           f.d.pools = f.i.pools = f.d.grants = f.i.grants = (struct wire_list){0};
           memset(&f.d.seal_key, 0, sizeof f.d.seal_key));
#undef BROKEN
}

static void the_document_inside_must_be_an_invitation(void **state)
{
    (void)state;
    struct draft f;
    draft_begin(&f);
    draft_invite(&f);
    f.d.invitation = span_str("nothing");
    expect(&f, REFUSAL_MALFORMED, "invitation");
    struct key k =
        fixture_key('A'); /* an administrator's signature, but of another kind of document */
    draft_sign_invitation(&f, 'A');
    buf_clear(&f.invitation);
    assert_int_equal(envelope_sign(ENVELOPE_REVOCATIONS, &k, "", 0, buf_span(&f.invitation_body),
                                   &f.invitation, NULL),
                     0);
    f.d.invitation = buf_span(&f.invitation);
    expect(&f, REFUSAL_BAD_SIGNATURE, "does not match");
    buf_clear(&f.invitation); /* the right kind, but nothing in it */
    assert_int_equal(
        envelope_sign(ENVELOPE_INVITATION, &k, "", 0, span_str("nothing"), &f.invitation, NULL), 0);
    f.d.invitation = buf_span(&f.invitation);
    expect(&f, REFUSAL_MALFORMED, "invitation");
    draft_end(&f);
}

static void a_certificate_beyond_the_limit_is_not_read(void **state)
{
    (void)state;
    struct error err = {0};
    uint8_t *large = mem_zalloc(LIMIT_CERTIFICATE + 1, 1);
    assert_int_equal(judge(span_of(large, LIMIT_CERTIFICATE + 1), &err), REFUSAL_TOO_LARGE);
    assert_int_equal(judge(span_of(large, LIMIT_CERTIFICATE), &err), REFUSAL_MALFORMED);
    mem_free(&large);
}

static void an_invited_certificate_tells_when_its_invitation_ends(void **state)
{
    (void)state;
    struct draft f;
    draft_begin(&f);
    draft_invite(&f);
    draft_sign_invitation(&f, 'A');
    expect(&f, REFUSAL_NONE, "");
    struct trust_anchors anchors = fixture_anchors();
    struct certificate c;
    assert_int_equal(certificate_verify(buf_span(&f.out), &anchors, NOW, &c, NULL, NULL), 0);
    assert_int_equal(c.invited_until, NOW);
    assert_true(span_eq(buf_span(&c.signed_bytes), buf_span(&f.out)));
    certificate_free(&c);
    anchors_free(&anchors);
    draft_end(&f);
}

static void a_certificate_that_would_be_refused_is_not_made(void **state)
{
    (void)state;
    static const char *const bad[] = {"call"};
    struct key k = fixture_key('A');
    struct buf out = {0};
    struct error err = {0};
    char long_name[LIMIT_NAME + 2];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    const char *many[LIMIT_GRANTS + 1];
    for (size_t i = 0; i <= LIMIT_GRANTS; i++)
        many[i] = "call *@all";
#define BROKEN(why, ...) \
    do { \
        struct certificate_order o = fixture_anna(); \
        __VA_ARGS__; \
        assert_int_equal(certificate_make(&o, &k, &out, &err), -EINVAL); \
        assert_int_equal(err.code, -EINVAL); \
        assert_contains(err.text, why); \
        assert_int_equal(out.n, 0); \
    } while (0)
    BROKEN("is not a name", o.name = "Anna");
    BROKEN("longer than", o.name = long_name);
    BROKEN("longer than", o.cluster = long_name);
    BROKEN("grant 'call'", o.grants = bad; o.n_grants = 1);
    BROKEN("longer than", o.pools = (const char *const[]){long_name}; o.n_pools = 1);
    BROKEN("129 grant entries; the limit is 128", o.grants = many; o.n_grants = LIMIT_GRANTS + 1);
    BROKEN("Ed25519", memset(&o.sign_key, 0, 32));
    BROKEN("serial 0", o.serial = 0);
    BROKEN("ends before", o.not_after = 1);
#undef BROKEN
}

static void no_invited_certificate_is_made_without_an_invitation(void **state)
{
    (void)state;
    struct certificate_order o = fixture_anna();
    struct key k = fixture_key('o');
    struct buf out = {0};
    struct error err = {0};
    uint8_t *large = mem_zalloc(LIMIT_CERTIFICATE + 1, 1);
    assert_int_equal(certificate_make_by_invitation(&o, &k, span_str("nothing"), &out, &err),
                     -EINVAL);
    assert_contains(err.text, "invitation");
    assert_int_equal(
        certificate_make_by_invitation(&o, &k, span_of(large, LIMIT_CERTIFICATE + 1), &out, &err),
        -EINVAL);
    assert_contains(err.text, "the limit is");
    assert_int_equal(out.n, 0);
    mem_free(&large);
}

static void documents_of_principals_name_their_signer(void **state)
{
    (void)state;
    struct certificate_order o = fixture_anna();
    struct certificate anna = fixture_certificate(&o);
    struct key k = fixture_key('a');
    static const char *const kinds[] = {ENVELOPE_CALL, ENVELOPE_PARENT};
    for (size_t i = 0; i < 2; i++) {
        struct d_signed s;
        struct error err = {0};
        struct buf b = {0};
        assert_int_equal(envelope_sign(kinds[i], &k, "anna", 7, span_str("x"), &b, NULL), 0);
        assert_int_equal(certificate_open(&anna, kinds[i], buf_span(&b), NULL, &s, &err), 0);
        buf_clear(&b);
        assert_int_equal(envelope_sign(kinds[i], &k, "bert", 7, span_str("x"), &b, NULL), 0);
        assert_int_equal(certificate_open(&anna, kinds[i], buf_span(&b), NULL, &s, &err), -EBADMSG);
        assert_contains(err.text, "'bert'");
        buf_clear(&b);
        assert_int_equal(envelope_sign(kinds[i], &k, "anna", 6, span_str("x"), &b, NULL), 0);
        assert_int_equal(certificate_open(&anna, kinds[i], buf_span(&b), NULL, &s, &err), -EBADMSG);
        buf_free(&b);
    }
    certificate_free(&anna);
}

static void every_role_has_its_word(void **state)
{
    (void)state;
    for (int r = ROLE_NONE + 1; r < ROLE_COUNT; r++) {
        enum role back;
        assert_int_equal(role_parse(span_str(role_word((enum role)r)), &back, NULL), 0);
        assert_int_equal(back, r);
    }
    assert_string_equal(role_word(ROLE_COUNT), "?");
    assert_string_equal(role_word(ROLE_NONE), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_identifies_its_principal),
        cmocka_unit_test(the_draft_used_by_these_tests_is_good),
        cmocka_unit_test(no_byte_of_a_certificate_can_be_altered),
        cmocka_unit_test(a_certificate_signed_by_a_stranger_is_refused),
        cmocka_unit_test(each_wrong_field_has_its_own_refusal),
        cmocka_unit_test(an_invited_certificate_stays_within_its_invitation),
        cmocka_unit_test(the_document_inside_must_be_an_invitation),
        cmocka_unit_test(a_certificate_beyond_the_limit_is_not_read),
        cmocka_unit_test(an_invited_certificate_tells_when_its_invitation_ends),
        cmocka_unit_test(a_certificate_that_would_be_refused_is_not_made),
        cmocka_unit_test(no_invited_certificate_is_made_without_an_invitation),
        cmocka_unit_test(documents_of_principals_name_their_signer),
        cmocka_unit_test(every_role_has_its_word),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
