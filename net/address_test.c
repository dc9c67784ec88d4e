#include "common/testing.h"

#include <errno.h>

#include "net/address.h"

static void addresses_become_endpoints(void **state)
{
    static const char *const good[][2] = {
        {"wh0", "tcp://wh0:7411"},        {"wh0:80", "tcp://wh0:80"},
        {"tcp://wh0:80", "tcp://wh0:80"}, {"10.0.0.1", "tcp://10.0.0.1:7411"},
        {"[::1]", "tcp://[::1]:7411"},    {"[2001:db8::1]:65535", "tcp://[2001:db8::1]:65535"},
    };
    char out[NET_ENDPOINT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(net_endpoint(good[i][0], false, out, NULL), 0);
        assert_string_equal(out, good[i][1]);
    }
}

static void only_a_listener_may_leave_the_port_open(void **state)
{
    char out[NET_ENDPOINT_MAX];
    (void)state;
    assert_int_equal(net_endpoint("*:*", true, out, NULL), 0);
    assert_string_equal(out, "tcp://*:*");
    assert_int_equal(net_endpoint("*:0", true, out, NULL), 0);
    assert_int_equal(net_endpoint("wh0:0", false, out, NULL), -EINVAL);
    assert_int_equal(net_endpoint("wh0:*", false, out, NULL), -EINVAL);
}

static void invalid_addresses_are_refused_with_a_good_example(void **state)
{
    static const char *const bad[] = {
        "",           ":7411",        "tcp://",   "wh0:",          "wh0:port",
        "wh0:65536",  "wh0:123456",   "::1",      "[::1",          "[]:7411",
        "[::1]7411",  "ipc:///tmp/x", "wh 0",     "wh0:7411/",     "wh0;wh1:1",
        "inproc://a", "wh0:74 11",    "wh0:\n80", "tcp://a\x80:1", "http://wh0:80"};
    char out[NET_ENDPOINT_MAX];
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (net_endpoint(bad[i], false, out, &err) != -EINVAL)
            fail_msg("'%s' was taken as '%s'", bad[i], out);
        assert_contains(err.text, "wh0:7411");
    }
}

static void an_address_that_is_far_too_long_is_refused(void **state)
{
    char text[600], out[NET_ENDPOINT_MAX];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(net_endpoint(text, false, out, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_become_endpoints),
        cmocka_unit_test(only_a_listener_may_leave_the_port_open),
        cmocka_unit_test(invalid_addresses_are_refused_with_a_good_example),
        cmocka_unit_test(an_address_that_is_far_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
