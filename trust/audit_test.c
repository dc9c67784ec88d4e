/* audit_test.c - each way to tamper with a trail is found, and its place is named. */
#include "trust/audit.h"

#include "trust/fixture.h"

enum { ENTRIES = 12, EVERY = 4, CHECKPOINTS = 1 + ENTRIES / EVERY };

/* A trail as a broker keeps it: a checkpoint before the first entry, and one after each fourth. */
struct audit_copy {
    struct trust_anchors anchors;
    struct key broker;
    struct buf certificate;
    struct audit_head head;
    struct buf entry[ENTRIES + 1], checkpoint[CHECKPOINTS + 1];
    struct hash hash[ENTRIES + 1], previous;
    uint64_t at_entry[CHECKPOINTS + 1], seq;
    uint64_t number[ENTRIES + 1]; /* as stored; 0: removed */
    bool cut[CHECKPOINTS + 1];    /* a checkpoint that was removed */
    struct error err;
    struct audit_walk walk;
};

static void add_checkpoint(struct audit_copy *t)
{
    struct d_checkpoint c = {.cluster = span_str("test"),
                             .broker = span_str("broker"),
                             .epoch = 1,
                             .seq = ++t->seq,
                             .number = t->head.number,
                             .hash = t->head.hash,
                             .at = NOW,
                             .previous = t->previous};
    struct buf *out = &t->checkpoint[t->seq];
    buf_clear(out);
    assert_int_equal(audit_checkpoint_sign(&c, &t->broker, "broker", 3, out, NULL), 0);
    envelope_hash(buf_span(out), &t->previous);
    t->at_entry[t->seq] = t->head.number;
}

static void add_entry(struct audit_copy *t, const char *principal, const char *verb,
                      const char *object)
{
    struct d_audit a = {.number = t->head.number + 1,
                        .at = NOW,
                        .principal = span_str(principal),
                        .verb = span_str(verb),
                        .object = span_str(object),
                        .count = 1};
    struct buf *out = &t->entry[a.number];
    buf_clear(out);
    d_audit_encode(&a, out);
    audit_chain(&t->head, buf_span(out));
    t->hash[a.number] = t->head.hash;
    t->number[a.number] = a.number;
}

static void write_trail(struct audit_copy *t, const char *principal, const char *last_verb)
{
    t->head = (struct audit_head){0};
    t->previous = (struct hash){{0}};
    t->seq = 0;
    add_checkpoint(t);
    for (unsigned i = 1; i <= ENTRIES; i++) {
        bool last = i == ENTRIES;
        add_entry(t, principal, last ? last_verb : "drain", last ? "4" : "etl1");
        if (i % EVERY == 0)
            add_checkpoint(t);
    }
}

static void begin(struct audit_copy *t)
{
    *t = (struct audit_copy){.anchors = fixture_anchors(), .broker = fixture_key('b')};
    struct certificate_order o = {.cluster = "test",
                                  .name = "broker",
                                  .role = ROLE_BROKER,
                                  .serial = 3,
                                  .sign_key = t->broker.sign,
                                  .not_before = NOW - HOUR,
                                  .not_after = NOW + HOUR};
    t->certificate = fixture_certificate_bytes(&o);
    write_trail(t, "anna", "undrain");
}

static void end(struct audit_copy *t)
{
    for (unsigned i = 0; i <= ENTRIES; i++)
        buf_free(&t->entry[i]);
    for (unsigned i = 0; i <= CHECKPOINTS; i++)
        buf_free(&t->checkpoint[i]);
    buf_free(&t->certificate);
    anchors_free(&t->anchors);
}

/* 0: the trail is whole. Entries are walked in the order in which they lie. */
static int walk(struct audit_copy *t, struct span known)
{
    uint64_t seq = 1;
    int rc = audit_walk_begin(&t->walk, &t->anchors, known, &t->err);
    for (unsigned i = 0; rc == 0 && i <= ENTRIES; i++) {
        if (i && t->number[i])
            rc = audit_walk_entry(&t->walk, t->number[i], buf_span(&t->entry[i]), &t->hash[i], NULL,
                                  &t->err);
        for (; rc == 0 && seq <= t->seq && t->at_entry[seq] == i; seq++)
            if (!t->cut[seq])
                rc = audit_walk_checkpoint(&t->walk, buf_span(&t->checkpoint[seq]),
                                           buf_span(&t->certificate), &t->err);
    }
    return rc < 0 ? rc : audit_walk_end(&t->walk, &t->err);
}

static void found_at(struct audit_copy *t, struct span known, uint64_t number, const char *words)
{
    assert_int_equal(walk(t, known), -EBADMSG);
    if (t->walk.fault != number || !strstr(t->err.text, words))
        fail_msg("found at %llu: %s", (unsigned long long)t->walk.fault, t->err.text);
    end(t);
}

static void a_whole_trail_is_verified(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t);
    if (walk(&t, buf_span(&t.checkpoint[2])) < 0)
        fail_msg("%s", t.err.text);
    assert_int_equal(t.walk.entries, ENTRIES);
    assert_int_equal(t.walk.sealed, ENTRIES);
    end(&t);
}

static void an_entry_that_was_removed_is_named(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t);
    t.number[6] = 0;
    found_at(&t, SPAN_NONE, 6, "entry 6 is missing");
}

static void an_entry_with_an_altered_byte_is_named(void **state)
{
    struct audit_copy t;
    (void)state;
    for (size_t at = 0;; at++) {
        begin(&t);
        if (at == t.entry[7].n) {
            end(&t);
            break;
        }
        t.entry[7].p[at] ^= 1;
        found_at(&t, SPAN_NONE, 7, "7");
    }
}

static void entries_whose_hashes_were_made_anew_are_found_by_the_next_checkpoint(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t);
    t.head = (struct audit_head){5, t.hash[5]};
    add_entry(&t, "otto", "drain", "etl1");
    for (unsigned i = 7; i <= ENTRIES; i++)
        add_entry(&t, "anna", i == ENTRIES ? "undrain" : "drain", i == ENTRIES ? "4" : "etl1");
    found_at(&t, SPAN_NONE, 5, "entries 5 to 8 are not those that the broker has signed");
}

static void two_entries_that_were_swapped_are_named(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t);
    struct buf five = t.entry[5];
    t.entry[5] = t.entry[6];
    t.entry[6] = five;
    found_at(&t, SPAN_NONE, 5, "in the place of entry 5 stands entry 6");
    begin(&t); /* with their numbers */
    five = t.entry[5];
    t.entry[5] = t.entry[6];
    t.entry[6] = five;
    t.number[5] = 6;
    t.number[6] = 5;
    found_at(&t, SPAN_NONE, 5, "entry 5 is missing");
}

static void a_tail_that_was_cut_off_is_found(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t);
    t.number[11] = t.number[12] = 0;
    found_at(&t, SPAN_NONE, 11, "entries 11 to 12 are missing");
    begin(&t); /* with the checkpoint about it: by the one that was kept */
    struct buf kept = buf_dup(buf_span(&t.checkpoint[CHECKPOINTS]));
    t.number[11] = t.number[12] = 0;
    t.cut[CHECKPOINTS] = true;
    found_at(&t, buf_span(&kept), 11, "its end was cut off");
    buf_free(&kept);
}

static void a_head_that_was_cut_off_is_found(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t);
    t.number[1] = t.number[2] = 0;
    found_at(&t, SPAN_NONE, 1, "entries 1 to 2 are missing");
    begin(&t); /* at a checkpoint */
    for (unsigned i = 1; i <= EVERY; i++)
        t.number[i] = 0;
    found_at(&t, SPAN_NONE, 1, "no entry says that they were dropped");
}

static void what_the_retention_dropped_is_no_fault(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t);
    write_trail(&t, "anna", AUDIT_DROP); /* of 1 to 4 */
    for (unsigned i = 1; i <= EVERY; i++)
        t.number[i] = 0;
    if (walk(&t, buf_span(&t.checkpoint[1])) < 0)
        fail_msg("%s", t.err.text);
    assert_int_equal(t.walk.first, EVERY + 1);
    t.number[5] = 0; /* one more than it says */
    found_at(&t, SPAN_NONE, 5, "entry 5 is missing");
}

static void a_checkpoint_that_was_replaced_or_removed_is_found(void **state)
{
    struct audit_copy t;
    (void)state;
    begin(&t); /* by one of another key */
    t.broker = fixture_key('x');
    t.head = (struct audit_head){8, t.hash[8]};
    t.seq = 2;
    add_checkpoint(&t);
    t.seq = CHECKPOINTS;
    found_at(&t, SPAN_NONE, 8, "not genuine");
    begin(&t); /* by another one of the broker's */
    t.head = (struct audit_head){8, t.hash[8]};
    t.seq = 2;
    t.previous = (struct hash){{1}};
    add_checkpoint(&t);
    t.seq = CHECKPOINTS;
    found_at(&t, SPAN_NONE, 8, "does not follow the one before it");
    begin(&t);
    t.cut[3] = true;
    found_at(&t, SPAN_NONE, 12, "checkpoint 3 is missing");
    begin(&t);
    for (unsigned i = 1; i <= CHECKPOINTS; i++)
        t.cut[i] = true;
    found_at(&t, SPAN_NONE, 1, "no checkpoint");
}

static void a_fork_and_a_trail_written_anew_with_the_brokers_key_are_found(void **state)
{
    struct audit_copy t;
    struct buf kept;
    (void)state;
    begin(&t); /* written anew: it is whole, but not the one that was known */
    kept = buf_dup(buf_span(&t.checkpoint[3]));
    write_trail(&t, "otto", "undrain");
    assert_int_equal(walk(&t, SPAN_NONE), 0);
    found_at(&t, buf_span(&kept), 8, "the trail up to entry 8 is not the one");
    buf_free(&kept);
    begin(&t); /* two trails go on from checkpoint 3, about entry 8 */
    kept = buf_dup(buf_span(&t.checkpoint[4]));
    t.head = (struct audit_head){8, t.hash[8]};
    t.seq = 3;
    envelope_hash(buf_span(&t.checkpoint[3]), &t.previous);
    for (unsigned i = 9; i <= ENTRIES; i++)
        add_entry(&t, "otto", "drain", "etl1");
    add_checkpoint(&t);
    assert_int_equal(walk(&t, buf_span(&t.checkpoint[3])), 0);
    found_at(&t, buf_span(&kept), 12, "the trail up to entry 12 is not the one");
    buf_free(&kept);
}

static void only_a_broker_of_this_cluster_signs_checkpoints(void **state)
{
    struct audit_copy t;
    struct certificate_order o = fixture_anna();
    (void)state;
    begin(&t);
    buf_free(&t.certificate);
    o.name = "broker";
    o.serial = 3;
    o.sign_key = t.broker.sign;
    t.certificate = fixture_certificate_bytes(&o);
    found_at(&t, SPAN_NONE, 0, "not a broker");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_trail_is_verified),
        cmocka_unit_test(an_entry_that_was_removed_is_named),
        cmocka_unit_test(an_entry_with_an_altered_byte_is_named),
        cmocka_unit_test(entries_whose_hashes_were_made_anew_are_found_by_the_next_checkpoint),
        cmocka_unit_test(two_entries_that_were_swapped_are_named),
        cmocka_unit_test(a_tail_that_was_cut_off_is_found),
        cmocka_unit_test(a_head_that_was_cut_off_is_found),
        cmocka_unit_test(what_the_retention_dropped_is_no_fault),
        cmocka_unit_test(a_checkpoint_that_was_replaced_or_removed_is_found),
        cmocka_unit_test(a_fork_and_a_trail_written_anew_with_the_brokers_key_are_found),
        cmocka_unit_test(only_a_broker_of_this_cluster_signs_checkpoints),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
