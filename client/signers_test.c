/* A broker that has been broken into, and the results that the library believes: those that their
 * server signed, and words of a broker's own that promise nothing. */
#include "client/fixture.h"

#include "trust/call.h"
#include "trust/result.h"
#include "trust/revocation.h"

/* The server etl1, and a broker that tells what the test wants it to tell. */
struct signers_play {
    struct client_cluster *c;
    struct longboat *lb;
    struct key etl1;
    struct buf etl1_certificate;
    uint64_t serial; /* of that certificate */
    unsigned calls, asked;
    /* asked for a certificate, the broker gives this one; empty: none; held: it says nothing yet */
    struct buf gives;
    bool hold;
    uint64_t held_req;
    struct id run[2];
    struct hash digest[2];
};

/* What the broker tells of how a run ended. */
struct signers_story {
    struct d_outcome signed_outcome, told_outcome;
    uint64_t signed_attempt, told_attempt;
    const struct key *key;
    const char *signer;
    uint64_t serial;
    unsigned signed_run, told_run; /* 0 or 1 */
    bool unsigned_;
    const char *server;
};

static struct buf server_certificate(const struct signers_play *p, const char *name,
                                     const char *pool, const struct key *key, uint64_t serial)
{
    const char *const pools[] = {pool};
    struct certificate_order o = {.cluster = "test",
                                  .name = name,
                                  .role = ROLE_SERVER,
                                  .serial = serial,
                                  .sign_key = key->sign,
                                  .pools = pools,
                                  .n_pools = 1,
                                  .not_before = clock_wall_ms() - 1000,
                                  .not_after = clock_wall_ms() + 3600000};
    struct buf out = {0};
    struct error err = {0};
    memset(o.seal_key.b, 3, sizeof o.seal_key.b);
    if (certificate_make(&o, &p->c->administrator, &out, &err) < 0)
        fail_msg("%s", err.text);
    return out;
}

static void say_certificate(struct signers_play *p, uint64_t req)
{
    struct buf items = {0};
    if (p->gives.n)
        wire_add_bin(&items, buf_span(&p->gives));
    broker_says(p->c, &m_certificates_schema,
                &(struct m_certificates){.req = req,
                                         .certificates = wire_list_from(&items, p->gives.n > 0)});
    buf_free(&items);
}

static void take_call(struct signers_play *p, struct span message)
{
    struct m_call m;
    struct d_signed s;
    assert_int_equal(m_call_decode(message, &m, NULL), 0);
    assert_int_equal(d_signed_decode(m.call, &s, NULL), 0);
    call_digest(s.body, &p->digest[p->calls]);
    p->run[p->calls].b[0] = (uint8_t)(p->calls + 1);
    broker_says(p->c, &m_accepted_schema,
                &(struct m_accepted){.req = m.req, .run = p->run[p->calls]});
    p->calls++;
}

static void take(struct client_cluster *c, uint64_t kind, struct span message)
{
    struct signers_play *p = c->test;
    struct m_certificate m;
    if (kind == KIND_M_CALL)
        take_call(p, message);
    if (kind != KIND_M_CERTIFICATE)
        return;
    assert_int_equal(m_certificate_decode(message, &m, NULL), 0);
    p->asked++;
    if (p->hold)
        p->held_req = m.req;
    else
        say_certificate(p, m.req);
}

struct signers_heard {
    unsigned ended;
    enum status status;
    uint64_t code;
    char text[600];
};

static void hear(void *self, const struct longboat_run *run)
{
    struct signers_heard *h = self;
    if (run->refused != REFUSAL_NONE)
        fail_msg("refused: %s", run->text);
    if (!run->outcome)
        return;
    h->ended++;
    h->status = run->outcome->status;
    h->code = run->outcome->code;
    snprintf(h->text, sizeof h->text, "%s", run->text);
    assert_true(h->status != STATUS_UNKNOWN || span_eq_str(run->outcome->job_name, "nightly"));
}

static const struct d_outcome GOOD = {.delivery = DELIVERY_CALLED,
                                      .job = JOB_SUCCEEDED,
                                      .package = PACKAGE_SUCCEEDED,
                                      .status = STATUS_SUCCEEDED};

static int begin(void **state)
{
    struct signers_play *p = mem_zalloc(1, sizeof *p);
    struct error err = {0};
    if (cluster_files((void **)&p->c) < 0)
        return -1;
    p->c->strict = true;
    broker_start(p->c);
    put_identity(p->c);
    p->c->take = take;
    p->c->test = p;
    key_make(&p->etl1);
    p->serial = 9;
    p->etl1_certificate = server_certificate(p, "etl1", "etl", &p->etl1, p->serial);
    p->gives = buf_dup(buf_span(&p->etl1_certificate));
    if (longboat_open(&p->lb, p->c->folder, p->c->loop, &err) < 0)
        fail_msg("%s", err.text);
    *state = p;
    return 0;
}

static int finish(void **state)
{
    struct signers_play *p = *state;
    struct client_cluster *c = p->c;
    longboat_close(&p->lb);
    buf_free(&p->etl1_certificate);
    buf_free(&p->gives);
    mem_free(&p);
    return cluster_end((void **)&c);
}

/* The honest story of the first call. */
static struct signers_story honest(const struct signers_play *p)
{
    return (struct signers_story){.signed_outcome = GOOD,
                                  .told_outcome = GOOD,
                                  .signed_attempt = 1,
                                  .told_attempt = 1,
                                  .key = &p->etl1,
                                  .signer = "etl1",
                                  .serial = p->serial,
                                  .server = "etl1"};
}

static void tell(struct signers_play *p, const struct signers_story *s)
{
    struct buf is_signed = {0}, told = {0}, signature = {0};
    struct error err = {0};
    d_outcome_encode(&s->signed_outcome, &is_signed);
    d_outcome_encode(&s->told_outcome, &told);
    struct d_result r = {.cluster = span_str("test"),
                         .server = span_str("etl1"),
                         .run = p->run[s->signed_run],
                         .attempt = s->signed_attempt,
                         .call = p->digest[s->signed_run],
                         .outcome = buf_span(&is_signed)};
    if (!s->unsigned_ && result_sign(s->key, s->signer, s->serial, &r, 1, &signature, &err) < 0)
        fail_msg("%s", err.text);
    broker_says(p->c, &m_run_ended_schema,
                &(struct m_run_ended){.run = p->run[s->told_run],
                                      .attempt = s->told_attempt,
                                      .server = span_str(s->server),
                                      .outcome = buf_span(&told),
                                      .signature = buf_span(&signature)});
    buf_free(&is_signed);
    buf_free(&told);
    buf_free(&signature);
}

static void call(struct signers_play *p, const char *key, struct signers_heard *h)
{
    struct longboat_call o = {
        .job = "nightly", .address = "etl", .key = key, .priority = 4, .pin_latest = true};
    const unsigned calls = p->calls;
    struct error err = {0};
    *h = (struct signers_heard){0};
    if (longboat_call_start(p->lb, &o, hear, h, &err) < 0)
        fail_msg("%s", err.text);
    until(p->c, p->calls == calls + 1);
}

static void hear_end(struct signers_play *p, const struct signers_story *s, struct signers_heard *h)
{
    call(p, "k", h);
    tell(p, s);
    until(p->c, h->ended == 1);
}

static void assert_unproven(const struct signers_heard *h, const char *words)
{
    assert_int_equal(h->status, STATUS_UNKNOWN);
    assert_int_equal(h->code, REFUSAL_BAD_SIGNATURE);
    if (!strstr(h->text, "claims to come from") || !strstr(h->text, words))
        fail_msg("'%s' does not say '%s'", h->text, words);
}

static void what_its_server_signed_is_believed(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    hear_end(p, &s, &h);
    assert_int_equal(h.status, STATUS_SUCCEEDED);
    assert_int_equal(p->asked, 1);
}

static void a_certificate_is_asked_for_once(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h, other;
    struct signers_story s = honest(p);
    call(p, "k1", &h);
    call(p, "k2", &other);
    tell(p, &s);
    s.signed_run = s.told_run = 1;
    tell(p, &s);
    until(p->c, h.ended && other.ended);
    assert_int_equal(h.status, STATUS_SUCCEEDED);
    assert_int_equal(other.status, STATUS_SUCCEEDED);
    assert_int_equal(p->asked, 1);
}

static void a_result_waits_for_the_certificate_and_is_told_once(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    p->hold = true;
    call(p, "k", &h);
    tell(p, &s);
    tell(p, &s); /* as after a new session */
    until(p->c, p->held_req);
    assert_int_equal(h.ended, 0);
    say_certificate(p, p->held_req);
    until(p->c, h.ended);
    assert_int_equal(h.status, STATUS_SUCCEEDED);
    assert_int_equal(h.ended, 1);
}

static void an_invented_success_is_unknown(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    struct key broker;
    key_make(&broker);
    s.key = &broker;
    hear_end(p, &s, &h);
    assert_unproven(&h, "not by key");
}

static void an_altered_output_is_unknown(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct buf outputs = {0};
    struct signers_story s = honest(p);
    value_add_str(&outputs, span_str("rows"));
    value_add_int(&outputs, 7);
    s.told_outcome.outputs = wire_list_from(&outputs, 1);
    hear_end(p, &s, &h);
    assert_unproven(&h, "does not match");
    buf_free(&outputs);
}

static void a_failure_turned_into_success_is_unknown(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    s.signed_outcome.job = JOB_FAILED;
    s.signed_outcome.package = PACKAGE_FAILED;
    s.signed_outcome.status = STATUS_FAILED;
    hear_end(p, &s, &h);
    assert_unproven(&h, "does not match");
}

static void the_results_of_two_runs_cannot_be_exchanged(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h, other;
    struct signers_story s = honest(p);
    call(p, "k1", &h);
    call(p, "k2", &other);
    s.signed_run = 0, s.told_run = 1;
    tell(p, &s);
    until(p->c, other.ended);
    assert_unproven(&other, "does not match");
    /* nor the result of a run be told for another call under the same run */
    assert_int_equal(h.ended, 0);
}

static void the_result_of_an_older_attempt_is_not_told_for_a_newer(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    s.told_attempt = 2;
    hear_end(p, &s, &h);
    assert_unproven(&h, "does not match");
}

static void the_result_of_an_attempt_that_was_given_up_is_not_believed(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    call(p, "k", &h);
    broker_says(p->c, &m_run_state_schema,
                &(struct m_run_state){.run = p->run[0], .state = RUN_RUNNING, .attempt = 2});
    tell(p, &s);
    until(p->c, h.ended);
    assert_unproven(&h, "attempt 2 came after it");
}

static void a_stripped_signature_is_unknown(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    s.unsigned_ = true;
    hear_end(p, &s, &h);
    assert_unproven(&h, "unsigned_results: accept");
}

static void another_servers_signature_is_unknown(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    struct key etl2;
    key_make(&etl2);
    buf_free(&p->gives);
    p->gives = server_certificate(p, "etl2", "etl", &etl2, 10);
    s.key = &etl2, s.signer = "etl2", s.serial = 10;
    hear_end(p, &s, &h);
    assert_unproven(&h, "signed by 'etl2'");
}

static void a_server_that_is_not_in_the_address_is_not_believed(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    buf_free(&p->gives);
    p->gives = server_certificate(p, "etl1", "web", &p->etl1, p->serial);
    hear_end(p, &s, &h);
    assert_unproven(&h, "is not in 'etl'");
}

static void a_callers_certificate_signs_no_result(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    struct key other;
    key_make(&other);
    buf_free(&p->gives);
    p->gives = certificate_for(p->c, "etl1", ROLE_CALLER, &other);
    s.key = &other, s.serial = (uint64_t)ROLE_CALLER + 1;
    hear_end(p, &s, &h);
    assert_unproven(&h, "certificate of caller");
}

static void a_certificate_that_no_administrator_signed_is_none(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    const struct key administrator = p->c->administrator;
    key_make(&p->c->administrator);
    buf_free(&p->gives);
    p->gives = server_certificate(p, "etl1", "etl", &p->etl1, p->serial);
    p->c->administrator = administrator;
    hear_end(p, &s, &h);
    assert_unproven(&h, "no administrator");
}

static void a_certificate_that_the_broker_withholds_leaves_the_result_unknown(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    buf_clear(&p->gives);
    hear_end(p, &s, &h);
    assert_unproven(&h, "has no certificate of 'etl1'");
}

static void a_revoked_servers_signature_is_not_believed(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    struct revocations none = {0};
    struct buf list = {0};
    struct error err = {0};
    if (revocations_next(&none, "test", p->serial, clock_wall_ms(), &p->c->administrator, &list,
                         &err) < 0)
        fail_msg("%s", err.text);
    call(p, "k", &h);
    broker_says(p->c, &m_revoked_schema, &(struct m_revoked){.list = buf_span(&list)});
    tell(p, &s);
    until(p->c, h.ended);
    assert_unproven(&h, "has been revoked");
    buf_free(&list);
}

static void a_brokers_own_word_is_believed_if_it_promises_nothing(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    s.unsigned_ = true;
    s.server = "";
    s.told_outcome = (struct d_outcome){.delivery = DELIVERY_CALLED,
                                        .job = JOB_LOST,
                                        .package = PACKAGE_UNKNOWN,
                                        .status = STATUS_LOST};
    hear_end(p, &s, &h);
    assert_int_equal(h.status, STATUS_LOST);
    assert_int_equal(p->asked, 0);
}

static void a_status_that_its_layers_do_not_have_is_unknown(void **state)
{
    struct signers_play *p = *state;
    struct signers_heard h;
    struct signers_story s = honest(p);
    s.unsigned_ = true;
    s.told_outcome.job = JOB_LOST;
    s.told_outcome.package = PACKAGE_UNKNOWN; /* and the status: succeeded */
    hear_end(p, &s, &h);
    assert_unproven(&h, "does not follow");
}

#define played(t) cmocka_unit_test_setup_teardown(t, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        played(what_its_server_signed_is_believed),
        played(a_certificate_is_asked_for_once),
        played(a_result_waits_for_the_certificate_and_is_told_once),
        played(an_invented_success_is_unknown),
        played(an_altered_output_is_unknown),
        played(a_failure_turned_into_success_is_unknown),
        played(the_results_of_two_runs_cannot_be_exchanged),
        played(the_result_of_an_older_attempt_is_not_told_for_a_newer),
        played(the_result_of_an_attempt_that_was_given_up_is_not_believed),
        played(a_stripped_signature_is_unknown),
        played(another_servers_signature_is_unknown),
        played(a_server_that_is_not_in_the_address_is_not_believed),
        played(a_callers_certificate_signs_no_result),
        played(a_certificate_that_no_administrator_signed_is_none),
        played(a_certificate_that_the_broker_withholds_leaves_the_result_unknown),
        played(a_revoked_servers_signature_is_not_believed),
        played(a_brokers_own_word_is_believed_if_it_promises_nothing),
        played(a_status_that_its_layers_do_not_have_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
