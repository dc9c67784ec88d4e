/* evidence_test.c - evidence verifies with the administrators' keys alone, and each alteration of
 * each part is found and named. */
#include "proto/outcome.h"
#include "trust/audit.h"
#include "trust/call.h"
#include "trust/evidence.h"
#include "trust/fixture.h"
#include "trust/revocation.h"

/* The whole story of one run of anna's call at etl, which wh1 ran. */
struct evidence_story {
    struct trust_anchors anchors;
    struct buf call, caller, outcome, signature, server, broker, list, checkpoint;
    struct evidence_bundle e;
    struct d_call body;
    struct hash digest;
};

static void sign_result(struct evidence_story *s, const struct d_outcome *o)
{
    struct key wh1 = fixture_key('w');
    struct error err = {0};
    buf_clear(&s->outcome);
    buf_clear(&s->signature);
    d_outcome_encode(o, &s->outcome);
    struct d_result r = {.cluster = span_str("test"),
                         .server = span_str("wh1"),
                         .run = s->e.run,
                         .attempt = 1,
                         .call = s->digest,
                         .outcome = buf_span(&s->outcome)};
    if (result_sign(&wh1, "wh1", fixture_server().serial, &r, 1, &s->signature, &err) < 0)
        fail_msg("%s", err.text);
    s->e.outcome = buf_span(&s->outcome);
    s->e.signature = buf_span(&s->signature);
}

static void sign_call(struct evidence_story *s)
{
    struct key anna = fixture_key('a');
    struct d_signed envelope;
    struct error err = {0};
    s->body = (struct d_call){.cluster = span_str("test"),
                              .caller = span_str("anna"),
                              .key = span_str("k1"),
                              .job = span_str("nightly-load"),
                              .pin_latest = true,
                              .address = span_str("etl"),
                              .as_of = span_str("2026-11-21"),
                              .issued_at = NOW,
                              .expires = NOW + HOUR};
    if (call_sign(&s->body, &anna, "anna", 7, &s->call, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(d_signed_decode(buf_span(&s->call), &envelope, NULL), 0);
    call_digest(envelope.body, &s->digest);
}

static void sign_checkpoint(struct evidence_story *s, const char *cluster)
{
    struct key broker = fixture_key('b');
    struct error err = {0};
    const struct d_checkpoint c = {.cluster = span_str(cluster),
                                   .broker = span_str("wh0"),
                                   .seq = 4,
                                   .number = 17,
                                   .at = NOW + HOUR + 1};
    buf_clear(&s->checkpoint);
    if (audit_checkpoint_sign(&c, &broker, "wh0", 2, &s->checkpoint, &err) < 0)
        fail_msg("%s", err.text);
    s->e.checkpoint = buf_span(&s->checkpoint);
}

static const struct d_outcome GOOD = {.delivery = DELIVERY_CALLED,
                                      .job = JOB_SUCCEEDED,
                                      .package = PACKAGE_SUCCEEDED,
                                      .status = STATUS_SUCCEEDED,
                                      .called_at = NOW + 1,
                                      .ended_at = NOW + 9};

static void begin(struct evidence_story *s)
{
    struct certificate_order anna = fixture_anna(), wh1 = fixture_server(),
                             broker = {.cluster = "test",
                                       .name = "wh0",
                                       .role = ROLE_BROKER,
                                       .serial = 2,
                                       .sign_key = fixture_key('b').sign,
                                       .not_before = NOW + HOUR, /* renewed since */
                                       .not_after = NOW + 2 * HOUR};
    struct key administrator = fixture_key('A');
    struct revocations none = {0};
    struct error err = {0};
    *s = (struct evidence_story){.anchors = fixture_anchors()};
    s->caller = fixture_certificate_bytes(&anna);
    s->server = fixture_certificate_bytes(&wh1);
    s->broker = fixture_certificate_bytes(&broker);
    if (revocations_next(&none, "test", 999, NOW, &administrator, &s->list, &err) < 0)
        fail_msg("%s", err.text);
    sign_call(s);
    s->e = (struct evidence_bundle){.attempt = 1,
                                    .server = span_str("wh1"),
                                    .call = buf_span(&s->call),
                                    .caller_certificate = buf_span(&s->caller),
                                    .signer_certificate = buf_span(&s->server),
                                    .broker_certificate = buf_span(&s->broker),
                                    .revocations = buf_span(&s->list)};
    memset(s->e.run.b, 5, sizeof s->e.run.b);
    sign_result(s, &GOOD);
    sign_checkpoint(s, "test");
}

static void end(struct evidence_story *s)
{
    struct buf *all[] = {&s->call,   &s->caller, &s->outcome, &s->signature,
                         &s->server, &s->broker, &s->list,    &s->checkpoint};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
    anchors_free(&s->anchors);
}

struct evidence_bad {
    char parts[512], texts[4096];
    unsigned good;
};

static void note(void *self, const char *part, bool good, const char *text)
{
    struct evidence_bad *b = self;
    b->good += good;
    if (good)
        return;
    strncat(b->parts, part, sizeof b->parts - strlen(b->parts) - 1);
    strncat(b->texts, text, sizeof b->texts - strlen(b->texts) - 1);
}

static void assert_found(const struct evidence_story *s, const char *part, const char *words)
{
    struct evidence_bad bad = {.good = 0};
    assert_false(evidence_verify(&s->e, &s->anchors, note, &bad));
    if (!strstr(bad.parts, part) || !strstr(bad.texts, words))
        fail_msg("%s: %s; not %s: %s", bad.parts, bad.texts, part, words);
}

static void evidence_verifies_with_the_administrators_keys_alone(void **state)
{
    struct evidence_story s;
    struct evidence_bad bad = {.good = 0};
    (void)state;
    begin(&s);
    if (!evidence_verify(&s.e, &s.anchors, note, &bad))
        fail_msg("%s: %s", bad.parts, bad.texts);
    assert_int_equal(bad.good, 8);
    s.e.broker_certificate = s.e.checkpoint = s.e.revocations = SPAN_NONE;
    assert_true(evidence_verify(&s.e, &s.anchors, NULL, NULL));
    end(&s);
}

static void every_altered_byte_of_every_document_is_found_and_its_part_named(void **state)
{
    struct evidence_story s;
    (void)state;
    begin(&s);
    const struct {
        const char *part;
        struct buf *bytes;
    } documents[] = {{"call", &s.call},
                     {"caller_certificate", &s.caller},
                     {"outcome", &s.outcome},
                     {"signature", &s.signature},
                     {"signer_certificate", &s.server},
                     {"broker_certificate", &s.broker},
                     {"checkpoint", &s.checkpoint},
                     {"revocations", &s.list}};
    for (size_t d = 0; d < sizeof documents / sizeof *documents; d++)
        for (size_t i = 0; i < documents[d].bytes->n; i++) {
            struct evidence_bad bad = {.good = 0};
            documents[d].bytes->p[i] ^= 1;
            if (evidence_verify(&s.e, &s.anchors, note, &bad))
                fail_msg("%s, byte %zu: not found", documents[d].part, i);
            /* an outcome that is well-formed and altered is not what was signed */
            if (!strstr(bad.parts, documents[d].part) && !strstr(bad.parts, "signature"))
                fail_msg("%s, byte %zu: %s", documents[d].part, i, bad.parts);
            documents[d].bytes->p[i] ^= 1;
        }
    end(&s);
}

static void another_run_attempt_or_server_is_found(void **state)
{
    struct evidence_story s;
    (void)state;
    begin(&s);
    s.e.attempt = 2;
    assert_found(&s, "signature", "does not match");
    s.e.attempt = 1, s.e.run.b[0] ^= 1;
    assert_found(&s, "signature", "does not match");
    s.e.run.b[0] ^= 1, s.e.server = span_str("wh2");
    assert_found(&s, "signature", "certificate of server 'wh1'");
    s.e.server = SPAN_NONE; /* as if an operator had released it */
    assert_found(&s, "signature", "operate");
    end(&s);
}

static void other_administrators_vouch_for_nothing(void **state)
{
    struct evidence_story s;
    struct key other = fixture_key('O');
    (void)state;
    begin(&s);
    anchors_free(&s.anchors);
    anchors_from("test", &other.sign, 1, &s.anchors);
    assert_found(&s, "caller_certificate", "no administrator");
    assert_found(&s, "signer_certificate", "no administrator");
    assert_found(&s, "revocations", "no administrator");
    end(&s);
}

static void missing_parts_are_named(void **state)
{
    struct evidence_story s;
    (void)state;
    begin(&s);
    const struct evidence_bundle whole = s.e;
    s.e.call = SPAN_NONE;
    assert_found(&s, "call", "missing");
    s.e = whole, s.e.caller_certificate = SPAN_NONE;
    assert_found(&s, "caller_certificate", "missing");
    s.e = whole, s.e.outcome = SPAN_NONE;
    assert_found(&s, "outcome", "missing");
    s.e = whole, s.e.signature = SPAN_NONE;
    assert_found(&s, "signature", "missing");
    s.e = whole, s.e.signer_certificate = SPAN_NONE;
    assert_found(&s, "signer_certificate", "missing");
    end(&s);
}

static void a_revoked_certificate_proves_nothing(void **state)
{
    struct evidence_story s;
    struct key administrator = fixture_key('A');
    struct revocations none = {0};
    (void)state;
    begin(&s);
    buf_clear(&s.list);
    assert_int_equal(revocations_next(&none, "test", fixture_server().serial, NOW, &administrator,
                                      &s.list, NULL),
                     0);
    s.e.revocations = buf_span(&s.list);
    assert_found(&s, "revocations", "'wh1'");
    end(&s);
}

/* Whoever holds the broker holds back the list that revokes. */
static void the_newest_list_counts_whoever_has_it(void **state)
{
    struct evidence_story s;
    struct key administrator = fixture_key('A'), other = fixture_key('O');
    struct revocations first = {0}, none = {0};
    struct buf newer = {0}, foreign = {0};
    (void)state;
    begin(&s);
    assert_int_equal(revocations_take(&first, buf_span(&s.list), &s.anchors, NULL, NULL), 1);
    assert_int_equal(revocations_next(&first, "test", fixture_server().serial, NOW, &administrator,
                                      &newer, NULL),
                     0);
    assert_int_equal(revocations_next(&none, "test", 5, NOW, &other, &foreign, NULL), 0);
    struct evidence_list own[] = {{"older", buf_span(&s.list)}, {"newer", buf_span(&newer)}};
    s.e.lists = own, s.e.n_lists = 1;
    assert_true(evidence_verify(&s.e, &s.anchors, NULL, NULL));
    s.e.n_lists = 2;
    assert_found(&s, "revocations", "'wh1'");
    s.e.revocations = buf_span(&newer), s.e.n_lists = 1;
    assert_found(&s, "revocations", "'wh1'"); /* one's own, older one does not undo it */
    s.e.revocations = SPAN_NONE;
    own[0] = (struct evidence_list){"another's", buf_span(&foreign)};
    assert_found(&s, "revocations", "another's");
    revocations_free(&first);
    buf_free(&newer);
    buf_free(&foreign);
    end(&s);
}

static void a_result_from_after_the_end_of_its_certificate_is_found(void **state)
{
    struct evidence_story s;
    struct d_outcome o = GOOD;
    (void)state;
    begin(&s);
    o.ended_at = fixture_server().not_after;
    sign_result(&s, &o);
    assert_found(&s, "signer_certificate", "not valid when the run ended");
    end(&s);
}

static void a_brokers_own_word_is_no_evidence(void **state)
{
    struct evidence_story s;
    const struct d_outcome lost = {
        .job = JOB_LOST, .package = PACKAGE_UNKNOWN, .status = STATUS_LOST, .ended_at = NOW + 9};
    (void)state;
    begin(&s);
    sign_result(&s, &lost);
    s.e.signature = SPAN_NONE;
    assert_found(&s, "signature", "the broker's own word");
    end(&s);
}

static void a_checkpoint_of_another_cluster_or_that_nobody_vouches_for_is_found(void **state)
{
    struct evidence_story s;
    (void)state;
    begin(&s);
    sign_checkpoint(&s, "other");
    assert_found(&s, "checkpoint", "another cluster");
    sign_checkpoint(&s, "test");
    s.e.broker_certificate = buf_span(&s.server);
    assert_found(&s, "checkpoint", "server");
    s.e.broker_certificate = SPAN_NONE;
    assert_found(&s, "checkpoint", "is missing");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evidence_verifies_with_the_administrators_keys_alone),
        cmocka_unit_test(every_altered_byte_of_every_document_is_found_and_its_part_named),
        cmocka_unit_test(another_run_attempt_or_server_is_found),
        cmocka_unit_test(other_administrators_vouch_for_nothing),
        cmocka_unit_test(missing_parts_are_named),
        cmocka_unit_test(a_revoked_certificate_proves_nothing),
        cmocka_unit_test(the_newest_list_counts_whoever_has_it),
        cmocka_unit_test(a_result_from_after_the_end_of_its_certificate_is_found),
        cmocka_unit_test(a_brokers_own_word_is_no_evidence),
        cmocka_unit_test(a_checkpoint_of_another_cluster_or_that_nobody_vouches_for_is_found),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
