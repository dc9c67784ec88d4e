/* auditing_test.c - every privileged act and every denial leaves an entry in the audit trail: tried
 * for each row of the table of messages. */
#include "broker/acts.h"
#include "broker/dispatch.h"
#include "broker/testing.h"
#include "trust/audit.h"
#include "trust/invitation.h"

/* Messages of a right beyond calling and watching that are no act, each with its reason. */
static const uint64_t NO_ACTS[] = {
    KIND_M_PUT,        /* a piece of a package: PUT_END is the act */
    KIND_M_SECRET_FOR, /* it only asks */
};

static bool is_no_act(uint64_t kind)
{
    for (unsigned i = 0; i < sizeof NO_ACTS / sizeof *NO_ACTS; i++)
        if (NO_ACTS[i] == kind)
            return true;
    return false;
}

static void every_message_that_needs_more_than_call_or_watch_is_an_act(void **state)
{
    (void)state;
    for (unsigned i = 0; dispatch_row_at(i); i++) {
        const struct rights_rule *r = &dispatch_row_at(i)->rule;
        const struct wire_schema *s = messages_schema_of_kind(r->kind, NULL);
        bool privileged =
            (r->verb != VERB_CALL && r->verb != VERB_WATCH) || r->kind == KIND_M_ENROL;
        if (acts_may_be(r->kind) != (privileged && !is_no_act(r->kind)))
            fail_msg("%s %s an act of the audit trail", s->name,
                     acts_may_be(r->kind) ? "should not be" : "should be");
    }
}

/* Waits until the trail has a line with all of these words. */
static void wait_for_entry(struct btest_peer *reader, const char *verb, const char *a,
                           const char *b)
{
    struct buf text = {0};
    int64_t until = clock_boot_ms() + BTEST_WAIT_MS;
    for (;;) {
        btest_ask(reader, "audit", "verb", verb, &text);
        char *save = NULL;
        for (char *line = strtok_r((char *)text.p, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save))
            if (strstr(line, a) && strstr(line, b)) {
                buf_free(&text);
                return;
            }
        if (clock_boot_ms() > until)
            fail_msg("no entry of the verb %s with %s and %s", verb, a, b);
    }
}

static void say_zeros(struct btest_peer *t, uint64_t kind)
{
    uint8_t zeros[4096] = {0};
    btest_say_schema(t, messages_schema_of_kind(kind, NULL), zeros);
}

static void each_denied_message_leaves_an_entry(void **state)
{
    struct btest *w = *state;
    struct btest_peer admin, mon;
    struct acts a;
    struct shell_peer nobody = {.who.name = "mon"};
    btest_principal(w, &admin, "admin", ROLE_ADMINISTRATOR, 9, NULL, 0);
    btest_principal(w, &mon, "mon", ROLE_MONITOR, 8, NULL, 0);
    btest_start(w);
    btest_connect(&admin);
    btest_connect(&mon);
    for (unsigned i = 0; messages_schema_at(i); i++) {
        enum sender from = 0;
        const struct wire_schema *s = messages_schema_at(i);
        const struct dispatch_row *row = dispatch_row_of(s->kind, RIGHTS_MON);
        if (s != messages_schema_of_kind(s->kind, &from) || !from || from == SENDER_B)
            continue;
        if (row && row->rule.target == RIGHTS_NOTHING)
            continue; /* it is not denied */
        if (row && row->rule.target == RIGHTS_RUN)
            continue; /* of an unknown run: nobody is denied it */
        say_zeros(&mon, s->kind);
        acts_read(&w->broker->shell, &nobody, s->kind, SPAN_NONE, &a);
        wait_for_entry(&admin, a.verb, "\"principal\":\"mon\"", "\"decision\":\"denied\"");
        acts_free(&a);
        dialer_close(&mon.dialer); /* what is no request has ended the session */
        mon.up = false;
        btest_connect(&mon);
    }
    btest_bye(&admin);
    btest_bye(&mon);
}

static void acts_leave_an_entry_with_what_they_changed(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, admin;
    struct m_accepted accepted;
    struct m_done done;
    struct m_error error;
    btest_principal(w, &admin, "admin", ROLE_ADMINISTRATOR, 9, NULL, 0);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&admin);
    btest_call(&anna, "anna", "k1", 1);
    hear(&anna, accepted, &accepted);
    say(&admin, cancel, .req = 1, .run = accepted.run, .reason = span_str("not tonight"));
    hear(&admin, done, &done);
    wait_for_entry(&admin, "cancel", "not tonight", "of 'anna'");
    btest_call(&anna, "anna", "k2", 2);
    hear(&anna, accepted, &accepted);
    say(&anna, cancel, .req = 3, .run = accepted.run);
    say(&admin, operate, .req = 4, .verb = span_str("drain"), .target = span_str("nobody"));
    hear(&admin, error, &error);
    wait_for_entry(&admin, "drain", "\"decision\":\"refused\"", "not_found");
    say(&admin, put_end, .req = 5); /* before it is done, its entry is on disk */
    hear(&admin, error, &error);
    wait_for_entry(&admin, "put-end", "\"decision\":\"allowed\"", "blake2b:");
    wait_for_entry(&admin, "put-end", "\"decision\":\"refused\"", "\"state\"");
    say(&admin, operate, .req = 6, .verb = span_str("revoke"), .target = span_str("anna"),
        .reason = span_str("left"));
    hear(&admin, done, &done);
    wait_for_entry(&admin, "revoke", "\"object\":\"anna\"", "left");
    struct buf text = {0};
    btest_ask(&admin, "audit", "verb", "cancel", &text);
    assert_null(strstr(buf_str(&text), "\"principal\":\"anna\"")); /* her own is no act */
    buf_free(&text);
    btest_bye(&anna);
    btest_bye(&etl1);
    btest_bye(&admin);
}

/* Whether it still runs or not, a run is judged by whose it is. */
static void who_may_not_touch_a_run_is_denied_it_after_its_end_too(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, etl1, otto, admin;
    struct m_done done;
    struct m_error error;
    const char *const grants[] = {"call *@*", "watch *@*", "operate *@wh1"};
    char id[ID_TEXT];
    btest_principal(w, &admin, "admin", ROLE_ADMINISTRATOR, 9, NULL, 0);
    btest_principal(w, &otto, "otto", ROLE_CALLER, 8, grants, 3);
    btest_caller_and_worker(w, &anna, &etl1);
    btest_connect(&otto);
    btest_connect(&admin);
    const struct id run = btest_run_one(&anna, &etl1, "k1");
    id_format(run, id);
    say(&otto, cancel, .req = 1, .run = run);
    hear(&otto, error, &error);
    assert_int_equal(error.req, 1);
    assert_int_equal(error.code, REFUSAL_DENIED);
    wait_for_entry(&admin, "cancel", "\"decision\":\"denied\"", id);
    say(&otto, operate, .req = 2, .verb = span_str("release"), .target = span_str(id));
    hear(&otto, error, &error);
    assert_int_equal(error.req, 2);
    assert_int_equal(error.code, REFUSAL_DENIED);
    wait_for_entry(&admin, "release", "\"decision\":\"denied\"", id);
    say(&otto, cancel, .req = 3, .run = (struct id){{9}}); /* nobody's */
    hear(&otto, error, &error);
    assert_int_equal(error.code, REFUSAL_UNKNOWN_RUN);
    say(&anna, cancel, .req = 4, .run = run);
    hear(&anna, done, &done);
    assert_int_equal(done.req, 4);
    say(&admin, cancel, .req = 5, .run = run);
    hear(&admin, done, &done);
    assert_int_equal(done.req, 5);
    btest_bye(&anna);
    btest_bye(&etl1);
    btest_bye(&otto);
    btest_bye(&admin);
}

static void a_certificate_that_changes_grants_is_told_with_both(void **state)
{
    struct btest *w = *state;
    struct btest_peer anna, admin;
    struct m_done done;
    const char *const few[] = {"call load@etl"}, *const more[] = {"call *@*", "admin *@*"};
    btest_principal(w, &admin, "admin", ROLE_ADMINISTRATOR, 9, NULL, 0);
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, few, 1);
    btest_start(w);
    btest_connect(&admin);
    struct buf old = anna.certificate;
    anna.certificate = (struct buf){0};
    btest_certify(&anna, "anna", ROLE_CALLER, 6, more, 2);
    say(&admin, publish, .req = 1, .certificate = buf_span(&anna.certificate));
    hear(&admin, done, &done);
    wait_for_entry(&admin, "publish", "\"before\":\"caller, serial 5", "admin *@*");
    buf_free(&old);
    buf_free(&anna.certificate);
    btest_bye(&admin);
}

static void only_who_may_see_everything_reads_the_trail(void **state)
{
    struct btest *w = *state;
    struct btest_peer auditor, anna;
    struct m_error error;
    struct buf text = {0};
    const char *const all[] = {"watch *@*"}, *const some[] = {"watch *@etl", "call *@*"};
    btest_principal(w, &auditor, "auditor", ROLE_MONITOR, 9, all, 1);
    btest_principal(w, &anna, "anna", ROLE_CALLER, 5, some, 2);
    btest_start(w);
    btest_connect(&auditor);
    btest_connect(&anna);
    for (unsigned i = 0; i < 2; i++) {
        say(&anna, query, .req = i, .what = span_str(i ? "trail" : "audit"), .limit = 10);
        hear(&anna, error, &error);
        assert_int_equal(error.code, REFUSAL_DENIED);
    }
    wait_for_entry(&auditor, "query", "\"principal\":\"anna\"", "\"decision\":\"denied\"");
    btest_ask(&auditor, "trail", NULL, NULL, &text);
    assert_contains(buf_str(&text), "\"checkpoint\"");
    assert_contains(buf_str(&text), "\"entry\"");
    buf_free(&text);
    btest_bye(&auditor);
    btest_bye(&anna);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_that_needs_more_than_call_or_watch_is_an_act),
        cmocka_unit_test_setup_teardown(each_denied_message_leaves_an_entry, btest_setup,
                                        btest_teardown),
        cmocka_unit_test_setup_teardown(acts_leave_an_entry_with_what_they_changed, btest_setup,
                                        btest_teardown),
        cmocka_unit_test_setup_teardown(who_may_not_touch_a_run_is_denied_it_after_its_end_too,
                                        btest_setup, btest_teardown),
        cmocka_unit_test_setup_teardown(a_certificate_that_changes_grants_is_told_with_both,
                                        btest_setup, btest_teardown),
        cmocka_unit_test_setup_teardown(only_who_may_see_everything_reads_the_trail, btest_setup,
                                        btest_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
