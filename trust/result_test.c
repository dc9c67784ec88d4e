/* result_test.c - signed results: what verifies, and that nothing altered does. */
#include "trust/fixture.h"
#include "proto/outcome.h"
#include "trust/result.h"

/* A result of the server wh1, signed, and all that its verifier knows. */
struct result_told {
    struct key key;
    struct certificate server;
    struct buf outcome, signature;
    struct d_outcome o;
    struct d_result result;
    struct result_scope scope;
};

static void encode_outcome(struct result_told *t, const struct d_outcome *o)
{
    buf_clear(&t->outcome);
    d_outcome_encode(o, &t->outcome);
    t->o = *o;
    t->result.outcome = buf_span(&t->outcome);
}

static const struct d_outcome GOOD = {.delivery = DELIVERY_CALLED,
                                      .job = JOB_SUCCEEDED,
                                      .package = PACKAGE_SUCCEEDED,
                                      .status = STATUS_SUCCEEDED};

static void begin(struct result_told *t)
{
    struct certificate_order o = fixture_server();
    struct error err = {0};
    *t = (struct result_told){.key = fixture_key('w'), .server = fixture_certificate(&o)};
    t->result =
        (struct d_result){.cluster = span_str("test"), .server = span_str("wh1"), .attempt = 2};
    memset(t->result.run.b, 7, sizeof t->result.run.b);
    memset(t->result.call.b, 9, sizeof t->result.call.b);
    t->scope = (struct result_scope){.job = span_str("load"), .address = span_str("wh1")};
    encode_outcome(t, &GOOD);
    if (result_sign(&t->key, "wh1", t->server.serial, &t->result, 1, &t->signature, &err) < 0)
        fail_msg("%s", err.text);
}

static void end(struct result_told *t)
{
    certificate_free(&t->server);
    buf_free(&t->outcome);
    buf_free(&t->signature);
}

static int verify(const struct result_told *t, struct error *err)
{
    return result_verify(&t->result, &t->o, buf_span(&t->signature), &t->server, &t->scope, err);
}

static void assert_refused(const struct result_told *t, const char *words)
{
    struct error err = {0};
    assert_true(verify(t, &err) < 0);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
}

static void a_result_verifies_with_its_servers_certificate(void **state)
{
    struct result_told t;
    struct error err = {0};
    struct span name;
    uint64_t serial;
    (void)state;
    begin(&t);
    if (verify(&t, &err) < 0)
        fail_msg("%s", err.text);
    t.scope.address = span_str("all");
    assert_int_equal(verify(&t, &err), 0);
    t.scope.address = span_str(t.server.pools[0]);
    assert_int_equal(verify(&t, &err), 0);
    assert_int_equal(result_signer(buf_span(&t.signature), &name, &serial, &err), 0);
    assert_true(span_eq_str(name, "wh1"));
    assert_int_equal(serial, t.server.serial);
    end(&t);
}

static void no_field_of_a_result_can_be_altered(void **state)
{
    struct result_told t;
    (void)state;
    begin(&t);
    const struct d_result was = t.result;
    t.result.cluster = span_str("other");
    assert_refused(&t, "does not match");
    t.result = was, t.result.run.b[3] ^= 1;
    assert_refused(&t, "does not match");
    t.result = was, t.result.attempt = 1;
    assert_refused(&t, "does not match");
    t.result = was, t.result.call.b[31] ^= 1;
    assert_refused(&t, "does not match");
    t.result = was, t.result.server = span_str("wh2");
    assert_refused(&t, "certificate of server 'wh1'");
    t.result = was;
    struct d_outcome o = GOOD;
    o.message = span_str("all is well");
    encode_outcome(&t, &o);
    assert_refused(&t, "does not match");
    end(&t);
}

static void no_byte_of_a_signature_can_be_altered(void **state)
{
    struct result_told t;
    struct error err = {0};
    (void)state;
    begin(&t);
    for (size_t i = 0; i < t.signature.n; i++) {
        t.signature.p[i] ^= 1;
        if (verify(&t, &err) == 0)
            fail_msg("byte %zu altered, and it verifies", i);
        t.signature.p[i] ^= 1;
    }
    end(&t);
}

static void a_status_that_does_not_follow_from_its_layers_is_refused(void **state)
{
    struct result_told t;
    (void)state;
    begin(&t);
    t.o.job = JOB_LOST;
    assert_refused(&t, "does not follow");
    t.o.job = JOB_COUNT;
    assert_refused(&t, "unknown value");
    end(&t);
}

static void a_server_outside_of_the_address_is_refused(void **state)
{
    struct result_told t;
    (void)state;
    begin(&t);
    t.scope.address = span_str("elsewhere");
    assert_refused(&t, "is not in 'elsewhere'");
    end(&t);
}

static void a_callers_certificate_signs_no_result(void **state)
{
    struct result_told t;
    struct certificate_order o = fixture_anna();
    struct error err = {0};
    (void)state;
    begin(&t);
    struct key anna = fixture_key('a');
    certificate_free(&t.server);
    t.server = fixture_certificate(&o);
    buf_clear(&t.signature);
    assert_int_equal(result_sign(&anna, o.name, o.serial, &t.result, 1, &t.signature, &err), 0);
    assert_refused(&t, "certificate of caller");
    end(&t);
}

static void a_signature_of_a_call_is_none_of_a_result(void **state)
{
    struct result_told t;
    struct buf body = {0};
    struct error err = {0};
    struct verified_roots *roots = calloc(1, sizeof *roots);
    (void)state;
    begin(&t);
    d_result_encode(&t.result, &body);
    const struct span one = buf_span(&body);
    struct d_signed s;
    buf_clear(&t.signature);
    assert_int_equal(batch_sign_kind(ENVELOPE_CALL, true, &t.key, "wh1", t.server.serial, &one, 1,
                                     &t.signature, &err),
                     0);
    assert_refused(&t, "does not match");
    /* nor if the same root was verified as a call's before */
    assert_int_equal(
        batch_open_kind(ENVELOPE_CALL, buf_span(&t.signature), &one, &t.key.sign, roots, &s, &err),
        0);
    t.scope.roots = roots;
    assert_refused(&t, "does not match");
    free(roots);
    buf_free(&body);
    end(&t);
}

static void a_signature_with_a_body_of_its_own_is_refused(void **state)
{
    struct result_told t;
    struct buf body = {0};
    struct error err = {0};
    (void)state;
    begin(&t);
    d_result_encode(&t.result, &body);
    const struct span one = buf_span(&body);
    buf_clear(&t.signature);
    assert_int_equal(batch_sign_kind(ENVELOPE_RESULT, false, &t.key, "wh1", t.server.serial, &one,
                                     1, &t.signature, &err),
                     0);
    assert_refused(&t, "a body of its own");
    buf_free(&body);
    end(&t);
}

static void each_result_of_a_batch_verifies_alone_and_in_no_others_place(void **state)
{
    enum { N = 5 };
    struct result_told t;
    struct d_result results[N];
    struct buf signatures[N] = {{0}};
    struct error err = {0};
    struct verified_roots *roots = calloc(1, sizeof *roots);
    (void)state;
    begin(&t);
    for (unsigned i = 0; i < N; i++) {
        results[i] = t.result;
        results[i].run.b[0] = (uint8_t)i;
    }
    assert_int_equal(result_sign(&t.key, "wh1", t.server.serial, results, N, signatures, &err), 0);
    buf_free(&t.signature);
    t.scope.roots = roots;
    for (unsigned i = 0; i < N; i++) {
        t.signature = signatures[i];
        t.result = results[i];
        if (verify(&t, &err) < 0)
            fail_msg("%u: %s", i, err.text);
        t.result = results[(i + 1) % N]; /* two runs' results, exchanged */
        assert_refused(&t, "does not match");
    }
    assert_int_equal(roots->misses, 1);
    t.signature = (struct buf){0};
    for (unsigned i = 0; i < N; i++)
        buf_free(&signatures[i]);
    free(roots);
    end(&t);
}

static void too_many_results_are_not_signed_at_once(void **state)
{
    struct result_told t;
    struct error err = {0};
    (void)state;
    begin(&t);
    assert_int_equal(result_sign(&t.key, "wh1", 1, &t.result, RESULT_BATCH_MAX + 1, NULL, &err),
                     -E2BIG);
    end(&t);
}

static void an_operator_may_release_a_run_but_knows_no_outputs(void **state)
{
    static const char *const grants[] = {"operate load@wh1"};
    struct result_told t;
    struct certificate_order o = fixture_anna();
    struct error err = {0};
    struct buf outputs = {0};
    (void)state;
    begin(&t);
    struct key anna = fixture_key('a');
    o.grants = grants;
    o.n_grants = 1;
    certificate_free(&t.server);
    t.server = fixture_certificate(&o);
    t.result.server = SPAN_NONE;
    buf_clear(&t.signature);
    assert_int_equal(result_sign(&anna, o.name, o.serial, &t.result, 1, &t.signature, &err), 0);
    if (verify(&t, &err) < 0)
        fail_msg("%s", err.text);
    t.scope.job = span_str("other");
    assert_refused(&t, "operate");
    t.scope.job = span_str("load");
    value_add_str(&outputs, span_str("rows"));
    value_add_int(&outputs, 7);
    t.o.outputs = wire_list_from(&outputs, 1);
    assert_refused(&t, "only a server can know");
    buf_free(&outputs);
    end(&t);
}

static void only_what_no_child_did_needs_no_signature(void **state)
{
    (void)state;
    struct d_outcome o = {.delivery = DELIVERY_REFUSED};
    assert_false(result_needs_signature(&o));
    o = (struct d_outcome){.job = JOB_LOST, .package = PACKAGE_UNKNOWN};
    assert_false(result_needs_signature(&o));
    o = (struct d_outcome){.job = JOB_CANCELLED};
    assert_false(result_needs_signature(&o));
    o.steps.count = 1;
    assert_true(result_needs_signature(&o));
    o = (struct d_outcome){.job = JOB_CANCELLED, .outputs.count = 1};
    assert_true(result_needs_signature(&o));
    for (unsigned job = 0; job < JOB_COUNT; job++)
        for (unsigned package = 0; package < PACKAGE_COUNT; package++) {
            o = (struct d_outcome){.job = job, .package = package};
            if (outcome_status(o.delivery, o.job, o.package) == STATUS_SUCCEEDED ||
                outcome_status(o.delivery, o.job, o.package) == STATUS_FAILED)
                assert_true(result_needs_signature(&o));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_verifies_with_its_servers_certificate),
        cmocka_unit_test(no_field_of_a_result_can_be_altered),
        cmocka_unit_test(no_byte_of_a_signature_can_be_altered),
        cmocka_unit_test(a_status_that_does_not_follow_from_its_layers_is_refused),
        cmocka_unit_test(a_server_outside_of_the_address_is_refused),
        cmocka_unit_test(a_callers_certificate_signs_no_result),
        cmocka_unit_test(a_signature_of_a_call_is_none_of_a_result),
        cmocka_unit_test(a_signature_with_a_body_of_its_own_is_refused),
        cmocka_unit_test(each_result_of_a_batch_verifies_alone_and_in_no_others_place),
        cmocka_unit_test(too_many_results_are_not_signed_at_once),
        cmocka_unit_test(an_operator_may_release_a_run_but_knows_no_outputs),
        cmocka_unit_test(only_what_no_child_did_needs_no_signature),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
