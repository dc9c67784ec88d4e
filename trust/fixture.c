/* fixture.c - see fixture.h. */
#include "trust/fixture.h"

struct key fixture_key(char c)
{
    static struct key keys[UINT8_MAX + 1]; /* each is made once: tests ask thousands of times */
    struct key *k = &keys[(uint8_t)c];
    uint8_t seed[KEY_SEED];
    memset(seed, c, sizeof seed);
    if (!k->seed)
        key_from_seed(seed, k);
    return *k;
}

struct trust_anchors fixture_anchors(void)
{
    struct trust_anchors a;
    struct key administrator = fixture_key('A');
    anchors_from("test", &administrator.sign, 1, &a);
    return a;
}

struct certificate_order fixture_anna(void)
{
    static const char *const grants[] = {"call nightly-*@etl", "watch *@all"};
    return (struct certificate_order){.cluster = "test",
                                      .name = "anna",
                                      .role = ROLE_CALLER,
                                      .serial = 7,
                                      .sign_key = fixture_key('a').sign,
                                      .grants = grants,
                                      .n_grants = 2,
                                      .not_before = NOW - HOUR,
                                      .not_after = NOW + HOUR};
}

struct certificate_order fixture_server(void)
{
    static const char *const pools[] = {"etl", "big"};
    return (struct certificate_order){.cluster = "test",
                                      .name = "wh1",
                                      .role = ROLE_SERVER,
                                      .serial = 8,
                                      .sign_key = fixture_key('w').sign,
                                      .seal_key = fixture_key('s').transport,
                                      .pools = pools,
                                      .n_pools = 2,
                                      .not_before = NOW - HOUR,
                                      .not_after = NOW + HOUR};
}

struct buf fixture_certificate_bytes(const struct certificate_order *order)
{
    struct buf out = {0};
    struct error err = {0};
    struct key administrator = fixture_key('A');
    if (certificate_make(order, &administrator, &out, &err) < 0)
        fail_msg("%s", err.text);
    return out;
}

struct certificate fixture_certificate(const struct certificate_order *order)
{
    struct buf bytes = fixture_certificate_bytes(order);
    struct trust_anchors anchors = fixture_anchors();
    struct certificate c = {0};
    struct error err = {0};
    if (certificate_verify(buf_span(&bytes), &anchors, NOW, &c, NULL, &err) < 0)
        fail_msg("%s", err.text);
    anchors_free(&anchors);
    buf_free(&bytes);
    return c;
}

int fixture_setup(void **state)
{
    (void)state;
    return trust_init(NULL);
}
