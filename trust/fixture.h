/* fixture.h - for the tests of this room: a cluster `test` with one administrator, and principals
 * with known keys. Included by *_test.c only. */
#ifndef LB_TRUST_FIXTURE_H
#define LB_TRUST_FIXTURE_H

#include <errno.h>
#include <sodium.h>

#include "common/testing.h"
#include "trust/certificate.h"
#include "trust/envelope.h"

#define UNUSED __attribute__((unused)) static

enum { NOW = 1000000000, HOUR = 3600000 };

/* The key whose seed is 32 times `c`. */
UNUSED struct key key_of(char c)
{
    uint8_t seed[KEY_SEED];
    struct key k;
    memset(seed, c, sizeof seed);
    key_from_seed(seed, &k);
    return k;
}

/* The root of the tests: administrator key_of('A'). */
UNUSED struct trust_anchors anchors_of_test(void)
{
    struct trust_anchors a;
    struct key administrator = key_of('A');
    anchors_from("test", &administrator.sign, 1, &a);
    return a;
}

/* A caller anna with key_of('a') and two grants. */
UNUSED struct certificate_order order_of_anna(void)
{
    static const char *const grants[] = {"call nightly-*@etl", "watch *@all"};
    return (struct certificate_order){.cluster = "test",
                                      .name = "anna",
                                      .role = ROLE_CALLER,
                                      .serial = 7,
                                      .sign_key = key_of('a').sign,
                                      .grants = grants,
                                      .n_grants = 2,
                                      .not_before = NOW - HOUR,
                                      .not_after = NOW + HOUR};
}

/* A server wh1 with key_of('w') in two pools. */
UNUSED struct certificate_order order_of_server(void)
{
    static const char *const pools[] = {"etl", "big"};
    return (struct certificate_order){.cluster = "test",
                                      .name = "wh1",
                                      .role = ROLE_SERVER,
                                      .serial = 8,
                                      .sign_key = key_of('w').sign,
                                      .seal_key = key_of('s').transport,
                                      .pools = pools,
                                      .n_pools = 2,
                                      .not_before = NOW - HOUR,
                                      .not_after = NOW + HOUR};
}

UNUSED struct buf certificate_bytes(const struct certificate_order *order)
{
    struct buf out = {0};
    struct error err = {0};
    struct key administrator = key_of('A');
    if (certificate_make(order, &administrator, &out, &err) < 0)
        fail_msg("%s", err.text);
    return out;
}

UNUSED struct certificate certificate_of(const struct certificate_order *order)
{
    struct buf bytes = certificate_bytes(order);
    struct trust_anchors anchors = anchors_of_test();
    struct certificate c = {0};
    struct error err = {0};
    if (certificate_verify(buf_span(&bytes), &anchors, NOW, &c, NULL, &err) < 0)
        fail_msg("%s", err.text);
    anchors_free(&anchors);
    buf_free(&bytes);
    return c;
}

UNUSED int setup_trust(void **state)
{
    (void)state;
    return trust_init(NULL);
}

#endif
