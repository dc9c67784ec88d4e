#include "common/testing.h"

#include <czmq.h>
#include <errno.h>
#include <sodium.h>

#include "common/id.h"
#include "net/probe.h"
#include "net/zap.h"

static const struct hash FRIEND = {{1, 2, 3}}, STRANGER = {{1, 2, 4}};

/* A good request of FRIEND; tests spoil one part. */
static void request(struct span parts[8])
{
    const struct span good[7] = {span_str("1.0"),       span_str("1"), span_str(ZAP_DOMAIN),
                                 span_str("127.0.0.1"), SPAN_NONE,     span_str("CURVE"),
                                 span_of(FRIEND.b, 32)};
    memcpy(parts, good, sizeof good);
    parts[7] = SPAN_NONE;
}

static int keys_begin(void **state)
{
    struct zap_keys *k = zap_keys_new();
    zap_keys_set(k, &FRIEND, true);
    *state = k;
    return 0;
}

static int keys_end(void **state)
{
    zap_keys_free((struct zap_keys **)state);
    return 0;
}

static bool judge(void *keys, const struct span *parts, size_t n)
{
    struct hash who = {{0}};
    bool in = zap_judge(keys, parts, n, 0, &who) == ZAP_IN;
    if (in)
        zap_keys_spoke(keys, &FRIEND);
    assert_int_equal(in, hash_eq(&who, &FRIEND)); /* written only on success */
    return in;
}

static void an_allowed_key_is_let_in(void **state)
{
    struct span parts[8];
    request(parts);
    assert_true(judge(*state, parts, 7));
}

static void every_other_form_of_a_request_is_refused(void **state)
{
    static const struct {
        int part;
        const char *value;
    } spoiled[] = {{0, "1.1"},       {0, "1.0 "}, {0, ""},      {2, ""}, {2, "global"},
                   {2, "longboat2"}, {5, "NULL"}, {5, "PLAIN"}, {5, ""}, {5, "curve"},
                   {5, "GSSAPI"},    {6, ""},     {6, "short"}};
    struct span parts[8];
    for (size_t i = 0; i < sizeof spoiled / sizeof *spoiled; i++) {
        request(parts);
        parts[spoiled[i].part] = span_str(spoiled[i].value);
        assert_false(judge(*state, parts, 7));
    }
}

static void a_request_with_too_few_or_too_many_parts_is_refused(void **state)
{
    struct span parts[8];
    for (size_t n = 0; n <= 8; n++) {
        request(parts);
        assert_int_equal(judge(*state, parts, n), n == 7);
    }
}

static void a_key_that_differs_in_one_bit_is_refused(void **state)
{
    struct hash key;
    struct span parts[8];
    for (int bit = 0; bit < 256; bit++) {
        key = FRIEND;
        key.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        request(parts);
        parts[6] = span_of(key.b, 32);
        assert_false(judge(*state, parts, 7));
    }
    request(parts);
    parts[6] = span_of(FRIEND.b, 31);
    assert_false(judge(*state, parts, 7));
}

static void a_key_that_is_no_longer_allowed_is_refused(void **state)
{
    struct span parts[8];
    request(parts);
    zap_keys_set(*state, &FRIEND, true); /* a second call changes nothing */
    zap_keys_set(*state, &STRANGER, false);
    assert_true(judge(*state, parts, 7));
    zap_keys_set(*state, &FRIEND, false);
    assert_false(judge(*state, parts, 7));
    zap_keys_set(*state, &FRIEND, true);
    assert_true(judge(*state, parts, 7));
}

/* ---- The probe, against the real handler, none, and false ones */

static int probe(struct zap_keys *allowed, struct error *err)
{
    struct hash public_key;
    uint8_t secret[32];
    crypto_box_keypair(public_key.b, secret);
    return net_probe(&(struct net_keys){.secret = secret, .public_key = public_key.b}, allowed,
                     err);
}

static void the_probe_accepts_the_real_handler(void **state)
{
    struct zap *zap;
    assert_int_equal(zap_open(&zap, *state, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(probe(*state, NULL), 0);
    zap_close(&zap);
}

static void a_second_handler_cannot_be_opened(void **state)
{
    struct zap *zap, *second;
    struct error err;
    assert_int_equal(zap_open(&zap, *state, NULL), 0);
    assert_int_equal(zap_open(&second, *state, &err), -EADDRINUSE);
    zap_close(&zap);
    assert_int_equal(zap_open(&zap, *state, NULL), 0); /* at once, since the first is closed */
    zap_close(&zap);
}

static void without_a_handler_the_probe_fails(void **state)
{
    struct error err = {0};
    net_begin();
    assert_int_equal(probe(*state, &err), -EPERM);
    assert_contains(err.text, "a stranger's key was not refused");
}

/* A handler that gives every peer the same answer. */
static void false_handler(zsock_t *pipe, void *answer)
{
    const char *const *with = answer; /* status, user id */
    zsock_t *rep = zsock_new(ZMQ_REP);
    void *zmq = zsock_resolve(rep);
    zmq_pollitem_t items[] = {{.socket = zsock_resolve(pipe), .events = ZMQ_POLLIN},
                              {.socket = zmq, .events = ZMQ_POLLIN}};
    assert_int_equal(zmq_bind(zmq, "inproc://zeromq.zap.01"), 0);
    zsock_signal(pipe, 0);
    while (zmq_poll(items, 2, -1) >= 0 && !items[0].revents) {
        char part[8][256];
        int n = 0;
        for (int more = 1; more && n < 8; n++) {
            size_t size = sizeof more;
            memset(part[n], 0, sizeof part[n]);
            zmq_recv(zmq, part[n], sizeof part[n] - 1, 0);
            zmq_getsockopt(zmq, ZMQ_RCVMORE, &more, &size);
        }
        const char *reply[] = {"1.0", part[1], with[0], "", with[1], ""};
        for (int i = 0; i < 6; i++)
            zmq_send(zmq, reply[i], strlen(reply[i]), i < 5 ? ZMQ_SNDMORE : 0);
    }
    zmq_unbind(zmq, "inproc://zeromq.zap.01");
    zsock_destroy(&rep);
}

static void the_probe_sees_a_handler_that(const char *status, const char *user,
                                          struct zap_keys *keys, const char *says)
{
    const char *answer[] = {status, user};
    struct error err = {0};
    net_begin();
    zactor_t *actor = zactor_new(false_handler, answer);
    assert_int_equal(probe(keys, &err), -EPERM);
    assert_contains(err.text, says);
    zactor_destroy(&actor);
}

static void the_probe_detects_a_handler_that_accepts_every_key(void **state)
{
    the_probe_sees_a_handler_that("200", "", *state, "a stranger's key was let in");
}

static void the_probe_detects_a_handler_that_refuses_every_key(void **state)
{
    the_probe_sees_a_handler_that("400", "", *state, "do not arrive");
}

static void the_probe_detects_a_handler_that_always_fails(void **state)
{
    the_probe_sees_a_handler_that("500", "", *state, "refusing to listen");
}

#define with_keys(t) cmocka_unit_test_setup_teardown(t, keys_begin, keys_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_keys(an_allowed_key_is_let_in),
        with_keys(every_other_form_of_a_request_is_refused),
        with_keys(a_request_with_too_few_or_too_many_parts_is_refused),
        with_keys(a_key_that_differs_in_one_bit_is_refused),
        with_keys(a_key_that_is_no_longer_allowed_is_refused),
        with_keys(the_probe_accepts_the_real_handler),
        with_keys(a_second_handler_cannot_be_opened),
        with_keys(without_a_handler_the_probe_fails),
        with_keys(the_probe_detects_a_handler_that_accepts_every_key),
        with_keys(the_probe_detects_a_handler_that_refuses_every_key),
        with_keys(the_probe_detects_a_handler_that_always_fails),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
