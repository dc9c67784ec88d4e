/* owners_test.c - no key belongs to two names. */
#include "broker/shell/owners.h"

#include "trust/fixture.h"

struct owned {
    struct trust_anchors anchors;
    struct certificate broker, anna, server;
    struct owners *owners;
};

static void begin(struct owned *o)
{
    const struct certificate_order anna = fixture_anna(), server = fixture_server();
    struct certificate_order broker = fixture_anna();
    broker.name = "wh0";
    broker.role = ROLE_BROKER;
    broker.sign_key = fixture_key('b').sign;
    broker.n_grants = 0;
    o->anchors = fixture_anchors();
    o->broker = fixture_certificate(&broker);
    o->anna = fixture_certificate(&anna);
    o->server = fixture_certificate(&server);
    o->owners = owners_new(&o->anchors, &o->broker);
}

static void end(struct owned *o)
{
    owners_free(&o->owners);
    certificate_free(&o->broker);
    certificate_free(&o->anna);
    certificate_free(&o->server);
    anchors_free(&o->anchors);
}

/* A caller `eve` with this key. */
static enum refusal as_eve(const struct owned *o, const struct hash *key)
{
    struct certificate eve = {.role = ROLE_CALLER, .name = "eve", .sign_key = *key};
    struct error err = {0};
    const enum refusal code = owners_judge(o->owners, &eve, &err);
    if (code != REFUSAL_NONE)
        assert_contains(err.text, "make a new key");
    return code;
}

static void every_key_of_a_certificate_is_its_names(void **state)
{
    struct owned o;
    struct error err = {0};
    (void)state;
    begin(&o);
    assert_int_equal(as_eve(&o, &o.server.seal_key), REFUSAL_NONE);
    owners_add(o.owners, &o.anna);
    owners_add(o.owners, &o.server);
    const struct hash *keys[] = {&o.anna.sign_key,        &o.anna.transport_key, &o.server.sign_key,
                                 &o.server.transport_key, &o.server.seal_key,    &o.broker.sign_key,
                                 &o.broker.transport_key};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_equal(as_eve(&o, keys[i]), REFUSAL_KEY_TAKEN);
    assert_int_equal(owners_judge(o.owners, &o.anna, &err), REFUSAL_NONE); /* a renewal */
    end(&o);
}

static void an_anchors_keys_are_an_administrators(void **state)
{
    struct owned o;
    struct certificate root = {.role = ROLE_ADMINISTRATOR, .name = "root"};
    const struct key key = fixture_key('A');
    struct error err = {0};
    (void)state;
    begin(&o);
    assert_int_equal(as_eve(&o, &key.sign), REFUSAL_KEY_TAKEN);
    assert_int_equal(as_eve(&o, &key.transport), REFUSAL_KEY_TAKEN);
    root.sign_key = key.sign;
    assert_int_equal(owners_judge(o.owners, &root, &err), REFUSAL_NONE);
    end(&o);
}

static void the_first_owner_stays_and_its_greatest_serial_counts(void **state)
{
    struct owned o;
    (void)state;
    begin(&o);
    o.anna.serial = 5;
    owners_add(o.owners, &o.anna);
    owners_remember(
        o.owners,
        &(struct d_certificate){.name = span_str("eve"), .serial = 9, .sign_key = o.anna.sign_key});
    assert_string_equal(owners_find(o.owners, &o.anna.sign_key)->name, "anna");
    assert_int_equal(owners_find(o.owners, &o.anna.sign_key)->serial, 5);
    owners_remember(o.owners, &(struct d_certificate){.name = span_str("anna"),
                                                      .serial = 7,
                                                      .sign_key = o.anna.sign_key});
    assert_int_equal(owners_find(o.owners, &o.anna.sign_key)->serial, 7);
    assert_null(owners_find(o.owners, &o.server.seal_key));
    end(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_a_certificate_is_its_names),
        cmocka_unit_test(an_anchors_keys_are_an_administrators),
        cmocka_unit_test(the_first_owner_stays_and_its_greatest_serial_counts),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
