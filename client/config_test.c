#include "client/fixture.h"

#include <sys/stat.h>

static int identity(void **state)
{
    if (cluster_files(state) < 0)
        return -1;
    put_identity(*state);
    return 0;
}

static int load(struct client_cluster *c, struct client_config *ret, struct error *err)
{
    err->text[0] = '\0';
    return client_config_load(ret, c->folder, err);
}

/* The file's new content, and the expected error. */
static void with(struct client_cluster *c, const char *name, const char *content, int code,
                 const char *says)
{
    struct client_config config;
    struct error err;
    put_file(c->folder, name, span_str(content), 0644);
    assert_int_equal(load(c, &config, &err), code);
    assert_contains(err.text, says);
}

static void files_that_joining_wrote_are_read_and_verified(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    if (load(c, &config, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(config.me.name, "anna");
    assert_string_equal(config.anchors.cluster, "test");
    assert_string_equal(config.broker.name, "wh0");
    assert_true(hash_eq(&config.broker.transport_key, &c->broker.transport));
    assert_true(hash_eq(&config.key.sign, &c->anna.sign));
    assert_int_equal(config.n_addresses, 1);
    assert_string_equal(config.addresses[0], "127.0.0.1:1");
    client_config_free(&config);
    assert_int_equal(config.n_addresses, 0);
}

static void several_addresses_are_read_in_order(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    put_file(c->folder, CLIENT_FILE, span_str("brokers: [wh0, '[::1]:80']\n"), 0644);
    assert_int_equal(load(c, &config, &err), 0);
    assert_int_equal(config.n_addresses, 2);
    assert_string_equal(config.addresses[1], "[::1]:80");
    client_config_free(&config);
}

static void bad_settings_are_refused_with_their_place(void **state)
{
    with(*state, CLIENT_FILE, "brokers: [wh0]\nbroker: x\n", -EINVAL, "client.yaml:2");
    with(*state, CLIENT_FILE, "{}\n", -EINVAL, "'brokers' is missing");
    with(*state, CLIENT_FILE, "brokers: []\n", -EINVAL, "1 to 16 addresses");
    with(*state, CLIENT_FILE, "brokers: wh0\n", -EINVAL, "client.yaml:1");
    with(*state, CLIENT_FILE, "brokers:\n  - wh0\n  - wh0:port\n", -EINVAL, "client.yaml:3");
}

static void without_an_identity_the_error_says_how_to_join(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    char *path = mem_printf("%s/%s", c->folder, CERTIFICATE_FILE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(c, &config, &err), -ENOENT);
    assert_contains(err.text, "lbsubmit join");
    mem_free(&path);
}

static void a_missing_part_of_an_identity_is_named(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    char *path = mem_printf("%s/%s", c->folder, BROKER_FILE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(c, &config, &err), -ENOENT);
    assert_contains(err.text, BROKER_FILE);
    mem_free(&path);
}

static void an_empty_certificate_is_named_with_a_remedy(void **state)
{
    with(*state, CERTIFICATE_FILE, "", -EPROTO, CERTIFICATE_FILE "' is empty or damaged");
    with(*state, CERTIFICATE_FILE, "", -EPROTO, "join the cluster again");
}

static void a_certificate_that_no_administrator_signed_is_refused(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    struct key real = c->administrator;
    key_make(&c->administrator);
    struct buf forged = certificate_for(c, "anna", ROLE_ADMINISTRATOR, &c->anna);
    c->administrator = real;
    put_file(c->folder, CERTIFICATE_FILE, buf_span(&forged), 0644);
    assert_true(load(c, &config, &err) < 0);
    assert_contains(err.text, CERTIFICATE_FILE);
    buf_free(&forged);
    with(c, CERTIFICATE_FILE, "rubbish", -EPROTO, CERTIFICATE_FILE);
}

static void a_key_that_does_not_match_the_certificate_is_refused(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    struct key other;
    key_make(&other);
    struct buf mine = certificate_for(c, "anna", ROLE_CALLER, &other);
    put_file(c->folder, CERTIFICATE_FILE, buf_span(&mine), 0644);
    assert_int_equal(load(c, &config, &err), -EINVAL);
    assert_contains(err.text, "does not belong to the certificate");
    buf_free(&mine);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    char *path = mem_printf("%s/%s", c->folder, SIGN_KEY_FILE);
    chmod(path, 0444);
    assert_int_equal(load(c, &config, &err), -EPERM);
    assert_contains(err.text, SIGN_KEY_FILE);
    mem_free(&path);
}

static void only_a_broker_is_accepted_as_the_broker(void **state)
{
    struct client_cluster *c = *state;
    struct client_config config;
    struct error err;
    struct buf other = certificate_for(c, "etl1", ROLE_CALLER, &c->broker);
    put_file(c->folder, BROKER_FILE, buf_span(&other), 0644);
    assert_int_equal(load(c, &config, &err), -EINVAL);
    assert_contains(err.text, "not a broker");
    buf_free(&other);
}

#define with_identity(t) cmocka_unit_test_setup_teardown(t, identity, cluster_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_identity(files_that_joining_wrote_are_read_and_verified),
        with_identity(several_addresses_are_read_in_order),
        with_identity(bad_settings_are_refused_with_their_place),
        with_identity(without_an_identity_the_error_says_how_to_join),
        with_identity(a_missing_part_of_an_identity_is_named),
        with_identity(an_empty_certificate_is_named_with_a_remedy),
        with_identity(a_certificate_that_no_administrator_signed_is_refused),
        with_identity(a_key_that_does_not_match_the_certificate_is_refused),
        with_identity(a_key_that_others_can_read_is_refused),
        with_identity(only_a_broker_is_accepted_as_the_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
