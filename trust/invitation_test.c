#include "trust/invitation.h"

#include "common/id.h"
#include "trust/fixture.h"

static struct hash administrators[1];

static struct invitation_order good_order(void)
{
    static const char *const pools[] = {"etl", "big"}, *const addresses[] = {"tcp://broker:7411"};
    static const char *const grants[] = {"watch *@etl"};
    administrators[0] = fixture_key('A').sign;
    return (struct invitation_order){.cluster = "test",
                                     .name = "wh1",
                                     .role = ROLE_SERVER,
                                     .serial = 8,
                                     .pools = pools,
                                     .n_pools = 2,
                                     .grants = grants,
                                     .n_grants = 1,
                                     .expires = NOW + HOUR,
                                     .certificate_not_after = NOW + 100 * HOUR,
                                     .addresses = addresses,
                                     .n_addresses = 1,
                                     .broker_key = fixture_key('b').transport,
                                     .administrators = administrators,
                                     .n_administrators = 1};
}

static char *good_text(void)
{
    struct invitation_order o = good_order();
    struct key administrator = fixture_key('A');
    struct error err = {0};
    char *text = NULL;
    if (invitation_make(&o, &administrator, &text, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

static void a_token_tells_the_newcomer_all_it_needs(void **state)
{
    (void)state;
    char *text = good_text(), *spaced = mem_printf("  %s\n", text);
    struct hash broker = fixture_key('b').transport, administrator = fixture_key('A').sign;
    struct token t;
    assert_int_equal(strncmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)), 0);
    assert_int_equal(token_parse(spaced, &t, NULL), 0);
    assert_string_equal(t.addresses[0], "tcp://broker:7411");
    assert_true(hash_eq(&t.broker_key, &broker));
    assert_string_equal(t.anchors.cluster, "test");
    assert_true(anchors_have(&t.anchors, &administrator));
    assert_string_equal(t.name, "wh1");
    assert_int_equal(t.role, ROLE_SERVER);
    assert_int_equal(t.expires, NOW + HOUR);
    token_free(&t);
    mem_free(&text);
    mem_free(&spaced);
}

static void a_newcomer_makes_its_own_certificate(void **state)
{
    (void)state;
    char *text = good_text();
    struct token t;
    struct buf out = {0};
    struct key own = fixture_key('w');
    struct hash seal = fixture_key('s').transport;
    struct trust_anchors anchors = fixture_anchors();
    struct certificate c;
    struct error err = {0};
    assert_int_equal(token_parse(text, &t, NULL), 0);
    assert_int_equal(token_make_certificate(&t, &own.sign, &seal, NOW, &out, &err), 0);
    assert_int_equal(certificate_verify(buf_span(&out), &anchors, NOW, &c, NULL, NULL), 0);
    assert_string_equal(c.name, "wh1");
    assert_int_equal(c.n_pools, 2);
    assert_int_equal(c.n_grants, 1);
    assert_int_equal(c.not_after, NOW + 100 * HOUR);
    assert_int_equal(c.invited_until, NOW + HOUR);
    assert_true(hash_eq(&c.transport_key, &own.transport));
    certificate_free(&c);
    anchors_free(&anchors);
    token_free(&t);
    buf_free(&out);
    mem_free(&text);
}

static void an_expired_invitation_makes_no_certificate(void **state)
{
    (void)state;
    char *text = good_text();
    struct token t;
    struct buf out = {0};
    struct key own = fixture_key('w');
    struct hash seal = fixture_key('s').transport;
    struct error err = {0};
    assert_int_equal(token_parse(text, &t, NULL), 0);
    assert_int_equal(token_make_certificate(&t, &own.sign, &seal, NOW + HOUR, &out, &err), 0);
    buf_clear(&out);
    assert_int_equal(token_make_certificate(&t, &own.sign, &seal, NOW + HOUR + 1, &out, &err),
                     -ETIME);
    assert_contains(err.text, "lbctl invite");
    struct hash zero = {{0}};
    assert_int_equal(token_make_certificate(&t, &own.sign, &zero, NOW, &out, &err), -EINVAL);
    assert_contains(err.text, "seal key");
    assert_int_equal(out.n, 0);
    token_free(&t);
    buf_free(&out);
    mem_free(&text);
}

static void each_invitation_has_its_own_one_time_key(void **state)
{
    (void)state;
    char *one = good_text(), *two = good_text();
    struct token a, b;
    assert_int_equal(token_parse(one, &a, NULL), 0);
    assert_int_equal(token_parse(two, &b, NULL), 0);
    assert_memory_not_equal(a.one_time_seed, b.one_time_seed, KEY_SEED);
    token_free(&a);
    token_free(&b);
    mem_free(&one);
    mem_free(&two);
}

static void a_truncated_or_altered_token_is_refused(void **state)
{
    (void)state;
    char *text = good_text();
    struct token t = {.expires = 4711};
    struct error err = {0};
    size_t prefix = strlen(TOKEN_PREFIX), n = strlen(text);
    for (size_t cut = 0; cut < n; cut++) {
        char *part = mem_strdup(text);
        part[cut] = 0;
        assert_int_equal(token_parse(part, &t, &err), -EINVAL);
        mem_free(&part);
    }
    assert_contains(err.text, "incomplete or was altered");
    /* one character of the invitation's signature, which is at the very end */
    text[n - 3] = text[n - 3] == 'A' ? 'B' : 'A';
    assert_true(token_parse(text, &t, &err) < 0);
    text[prefix] = '!';
    assert_int_equal(token_parse(text, &t, &err), -EINVAL);
    assert_int_equal(t.expires, 4711);
    mem_free(&text);
}

static void text_that_is_not_a_token_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "longboat",
                                        "longboat-join",
                                        "longboat-join:",
                                        "longboat-join: AAAA",
                                        "longboat-join:AAAA",
                                        "Longboat-join:AAAA"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct token t;
        struct error err = {0};
        assert_int_equal(token_parse(wrong[i], &t, &err), -EINVAL);
        assert_true(err.text[0]);
    }
    char *good = good_text(), *two = mem_printf("%s %s", good, good),
         *large = mem_zalloc(200000, 1);
    struct token t;
    assert_int_equal(token_parse(two, &t, NULL), -EINVAL);
    memset(large, 'A', 199999);
    memcpy(large, TOKEN_PREFIX, strlen(TOKEN_PREFIX));
    assert_int_equal(token_parse(large, &t, NULL), -EINVAL);
    mem_free(&good);
    mem_free(&two);
    mem_free(&large);
}

/* Takes the token apart, lets `alter` change it, and reads it again. */
static int reread(void (*alter)(struct d_token *d, struct buf *keep), struct error *err)
{
    char *text = good_text();
    struct buf bytes = {0}, again = {0}, keep = {0};
    struct d_token d;
    struct token t = {0};
    assert_int_equal(b64_parse(text + strlen(TOKEN_PREFIX), &bytes, NULL), 0);
    assert_int_equal(d_token_decode(buf_span(&bytes), &d, NULL), 0);
    alter(&d, &keep);
    d_token_encode(&d, &again);
    char *encoded = b64_format(buf_span(&again)), *altered = mem_printf(TOKEN_PREFIX "%s", encoded);
    int rc = token_parse(altered, &t, err);
    token_free(&t);
    buf_free(&bytes);
    buf_free(&again);
    buf_free(&keep);
    mem_free(&text);
    mem_free(&encoded);
    mem_free(&altered);
    return rc;
}

static void nothing(struct d_token *d, struct buf *keep)
{
    (void)d;
    (void)keep;
}

static void another_administrator(struct d_token *d, struct buf *keep)
{
    struct key x = fixture_key('x');
    wire_add_bin(keep, span_of(x.sign.b, 32));
    d->administrators = wire_list_from(keep, 1);
}

static void short_administrator(struct d_token *d, struct buf *keep)
{
    wire_add_bin(keep, span_str("short"));
    d->administrators = wire_list_from(keep, 1);
}

static void no_administrator(struct d_token *d, struct buf *keep)
{
    d->administrators = wire_list_from(keep, 0);
}

static void no_address(struct d_token *d, struct buf *keep)
{
    d->addresses = wire_list_from(keep, 0);
}

static void another_cluster(struct d_token *d, struct buf *keep)
{
    (void)keep;
    d->cluster = span_str("other");
}

static void another_seed(struct d_token *d, struct buf *keep)
{
    (void)keep;
    d->one_time_seed.b[0] ^= 1;
}

static void a_token_whose_parts_do_not_belong_together_is_refused(void **state)
{
    (void)state;
    static const struct {
        void (*alter)(struct d_token *, struct buf *);
        int rc;
        const char *why;
    } rows[] = {
        {nothing, 0, ""},
        {another_administrator, -EBADMSG, "no administrator"},
        {short_administrator, -EINVAL, "5 bytes"},
        {no_administrator, -EINVAL, "no administrators' keys or no broker address"},
        {no_address, -EINVAL, "no administrators' keys or no broker address"},
        {another_cluster, -ENOENT, "this is 'other'"},
        {another_seed, -EBADMSG, "one-time key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        assert_int_equal(reread(rows[i].alter, &err), rows[i].rc);
        assert_contains(err.text, rows[i].why);
    }
}

static void an_invalid_order_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"call"};
    struct key k = fixture_key('A');
    char long_name[LIMIT_NAME + 2];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    const char *many[LIMIT_GRANTS];
    for (size_t i = 0; i < LIMIT_GRANTS; i++)
        many[i] = "watch aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"
                  "@a2345678901234567890";
#define BROKEN(why, ...) \
    do { \
        struct invitation_order o = good_order(); \
        struct error err = {0}; \
        char *text = NULL; \
        __VA_ARGS__; \
        assert_int_equal(invitation_make(&o, &k, &text, &err), -EINVAL); \
        assert_int_equal(err.code, -EINVAL); \
        assert_contains(err.text, why); \
        assert_null(text); \
    } while (0)
    BROKEN("is not a name", o.name = "all");
    BROKEN("longer than", o.name = long_name);
    BROKEN("serial 0", o.serial = 0);
    BROKEN("must expire", o.expires = 0);
    BROKEN("must expire", o.certificate_not_after = o.expires);
    BROKEN("grant 'call'", o.grants = bad; o.n_grants = 1);
    BROKEN("which only servers have", o.role = ROLE_CALLER);
    BROKEN("address of the broker", o.n_addresses = 0);
    BROKEN("administrators' keys", o.n_administrators = 0);
    BROKEN("17 address entries; the limit is 16", o.n_addresses = 17);
    BROKEN("too large", o.grants = many; o.n_grants = LIMIT_GRANTS);
    BROKEN("no administrator",
           administrators[0] = fixture_key('x').sign); /* not the one who signs */
#undef BROKEN
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_tells_the_newcomer_all_it_needs),
        cmocka_unit_test(a_newcomer_makes_its_own_certificate),
        cmocka_unit_test(an_expired_invitation_makes_no_certificate),
        cmocka_unit_test(each_invitation_has_its_own_one_time_key),
        cmocka_unit_test(a_truncated_or_altered_token_is_refused),
        cmocka_unit_test(text_that_is_not_a_token_is_refused),
        cmocka_unit_test(a_token_whose_parts_do_not_belong_together_is_refused),
        cmocka_unit_test(an_invalid_order_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
