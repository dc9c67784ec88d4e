/* auditor_test.c - what the auditor makes is a whole trail, in the order in which it happened. */
#include "broker/audit/auditor.h"

#include "trust/fixture.h"

struct auditor_desk {
    struct trust_anchors anchors;
    struct key key;
    struct buf certificate;
    struct auditor *auditor;
    struct audit_walk walk;
    struct error err;
    char verbs[600]; /* of the entries: "start hello:3 " with the count if it is not 1 */
    unsigned gone;   /* how often what waited went on; 100: cancelled */
};

static void begin(struct auditor_desk *d)
{
    const struct store_audit_end end = {0};
    *d = (struct auditor_desk){.anchors = fixture_anchors(), .key = fixture_key('b')};
    struct certificate_order o = {.cluster = "test",
                                  .name = "broker",
                                  .role = ROLE_BROKER,
                                  .serial = 3,
                                  .sign_key = d->key.sign,
                                  .not_before = NOW - HOUR,
                                  .not_after = NOW + 100 * (int64_t)HOUR};
    d->certificate = fixture_certificate_bytes(&o);
    struct auditor_options options = {.cluster = "test",
                                      .broker = "broker",
                                      .key = &d->key,
                                      .certificate = buf_span(&d->certificate),
                                      .serial = 3};
    d->auditor = auditor_new(&options, &end, 1);
    assert_int_equal(audit_walk_begin(&d->walk, &d->anchors, SPAN_NONE, &d->err), 0);
}

/* Verifies the pieces as the store would give them back. */
static void take_pieces(struct auditor_desk *d)
{
    unsigned n;
    const struct store_audit *p = auditor_pending(d->auditor, &n);
    for (unsigned i = 0; i < n; i++) {
        struct d_audit m;
        size_t at = strlen(d->verbs);
        int rc = 0;
        if (p[i].what == STORE_AUDIT_CHECKPOINT) {
            rc = audit_walk_checkpoint(&d->walk, p[i].body, p[i].certificate, &d->err);
            snprintf(d->verbs + at, sizeof d->verbs - at, "| ");
        } else if (p[i].what == STORE_AUDIT_ENTRY) {
            rc = audit_walk_entry(&d->walk, p[i].number, p[i].body, &p[i].hash, &m, &d->err);
            snprintf(d->verbs + at, sizeof d->verbs - at, SPAN_FMT "%s ", SPAN_ARG(m.verb),
                     m.count == 3 ? ":3" : "");
        } else {
            snprintf(d->verbs + at, sizeof d->verbs - at, "(%llu) ",
                     (unsigned long long)p[i].number);
        }
        if (rc < 0)
            fail_msg("%s", d->err.text);
    }
    auditor_taken(d->auditor);
}

static void end(struct auditor_desk *d)
{
    auditor_free(&d->auditor);
    buf_free(&d->certificate);
    anchors_free(&d->anchors);
}

static const struct ledger_who anna = {
    .name = "anna", .role = "caller", .address = "10.0.0.7", .key = {{7}}, .serial = 5};

static void a_days_trail_is_whole_with_checkpoints_denials_and_what_was_dropped(void **state)
{
    struct auditor_desk d;
    struct auditor_entry call = {
        .verb = "call", .object = "x@y", .decision = AUDIT_DENIED, .code = REFUSAL_DENIED};
    (void)state;
    begin(&d);
    auditor_note(d.auditor, NOW, NULL, &(struct auditor_entry){.verb = "start"});
    auditor_checkpoint(d.auditor, 1000, NOW);
    for (unsigned i = 0; i < 4; i++)
        auditor_deny(d.auditor, 2000, NOW, &anna, &call);
    auditor_act(d.auditor, 2500, NOW, &anna, &(struct auditor_entry){.verb = "drain"});
    take_pieces(&d);
    assert_string_equal(d.verbs, "start | call drain ");
    assert_int_equal(auditor_due(d.auditor, 3000), 2000 + LEDGER_GATHER_MS);
    auditor_tick(d.auditor, 2000 + LEDGER_GATHER_MS, NOW);
    auditor_tick(d.auditor, 1000 + AUDITOR_HOUR_MS, NOW + HOUR);
    auditor_drop(d.auditor, NOW + HOUR, 1);
    auditor_refresh(d.auditor, 1001 + AUDITOR_HOUR_MS, NOW + HOUR); /* one was made just now */
    auditor_refresh(d.auditor, 1000 + AUDITOR_HOUR_MS + AUDITOR_FRESH_MS, NOW + HOUR);
    auditor_refresh(d.auditor, 9000 + AUDITOR_HOUR_MS, NOW + HOUR); /* nothing is new */
    auditor_deny(d.auditor, 9000 + AUDITOR_HOUR_MS, NOW + HOUR, &anna, &call);
    auditor_deny(d.auditor, 9000 + AUDITOR_HOUR_MS, NOW + HOUR, &anna, &call);
    auditor_stop(d.auditor, 9001 + AUDITOR_HOUR_MS, NOW + HOUR);
    take_pieces(&d);
    assert_string_equal(d.verbs, "start | call drain call:3 | (1) audit-drop | call call stop | ");
    assert_int_equal(audit_walk_end(&d.walk, &d.err), 0);
    end(&d);
}

static void a_text_that_is_too_long_or_no_text_is_cut_and_can_be_read(void **state)
{
    struct auditor_desk d;
    char *text = mem_printf("%*s", LIMIT_TEXT - 1, "");
    char *cut = mem_printf("%s\xc3\xbc", text), *broken = mem_printf("good\xc3(");
    (void)state;
    begin(&d);
    struct auditor_entry e = {.verb = "drain", .reason = cut, .object = broken};
    auditor_act(d.auditor, 1000, NOW, &anna, &e);
    e.decision = AUDIT_DENIED;
    auditor_deny(d.auditor, 1000, NOW, &anna, &e);
    take_pieces(&d); /* each is decoded */
    assert_string_equal(d.verbs, "drain drain ");
    mem_free(&text), mem_free(&cut), mem_free(&broken);
    end(&d);
}

static void go(void *self, bool cancelled)
{
    ((struct auditor_desk *)self)->gone += cancelled ? 100 : 1;
}

static void a_checkpoint_is_shown_only_once_it_is_on_disk(void **state)
{
    struct auditor_desk d;
    struct d_checkpoint c;
    (void)state;
    begin(&d);
    assert_int_equal(auditor_sealed(d.auditor).n, 0);
    auditor_checkpoint(d.auditor, 1000, NOW);
    assert_int_equal(auditor_sealed(d.auditor).n, 0);
    auditor_committed(d.auditor, 1);
    auditor_act(d.auditor, 2000, NOW, &anna, &(struct auditor_entry){.verb = "invite"});
    auditor_checkpoint(d.auditor, 2000, NOW);
    auditor_committed(d.auditor, 2);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        if (audit_checkpoint_open(auditor_sealed(d.auditor), buf_span(&d.certificate), &d.anchors,
                                  &c, &d.err) < 0)
            fail_msg("%s", d.err.text);
        assert_int_equal(c.seq, seq);
        auditor_committed(d.auditor, 3);
    }
    end(&d);
}

static void an_act_waits_until_its_entry_is_on_disk(void **state)
{
    struct auditor_desk d;
    (void)state;
    begin(&d);
    auditor_checkpoint(d.auditor, 1000, NOW);
    uint64_t ticket =
        auditor_act(d.auditor, 1000, NOW, &anna, &(struct auditor_entry){.verb = "invite"});
    auditor_when(d.auditor, ticket, go, &d);
    take_pieces(&d);
    auditor_committed(d.auditor, 1);
    assert_int_equal(d.gone, 0);
    auditor_committed(d.auditor, 2);
    assert_int_equal(d.gone, 1);
    auditor_when(d.auditor, ticket, go, &d); /* it is there already */
    assert_int_equal(d.gone, 2);
    auditor_note(d.auditor, NOW, NULL, &(struct auditor_entry){.verb = "stop"});
    auditor_when(d.auditor, auditor_last(d.auditor), go, &d);
    end(&d);
    assert_int_equal(d.gone, 102);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_days_trail_is_whole_with_checkpoints_denials_and_what_was_dropped),
        cmocka_unit_test(a_text_that_is_too_long_or_no_text_is_cut_and_can_be_read),
        cmocka_unit_test(a_checkpoint_is_shown_only_once_it_is_on_disk),
        cmocka_unit_test(an_act_waits_until_its_entry_is_on_disk),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
