/* audit_test.c - the audit trail in the store: with its records or not at all, in order, and
 * changed by nobody. */
#include "broker/store/inside.h"
#include "broker/store/testing.h"

/* Appends an entry and, if `run` is not 0, the record of a call in the same batch. */
static void entry(struct store *s, struct audit_head *head, uint64_t lsn)
{
    struct buf body = {0}, record = {0};
    struct d_audit a = {
        .number = head->number + 1, .at = 1000, .principal = span_str("anna"), .count = 1};
    d_audit_encode(&a, &body);
    audit_chain(head, buf_span(&body));
    struct store_audit piece = {.what = STORE_AUDIT_ENTRY,
                                .number = a.number,
                                .at = a.at,
                                .hash = head->hash,
                                .body = buf_span(&body)};
    struct r_operated m = {.at = 1000, .by = span_str("anna"), .verb = span_str("drain")};
    r_operated_encode(&m, &record);
    store_append_audited(s, &(struct bcore_record){lsn, buf_span(&record)}, lsn ? 1 : 0, &piece, 1);
    buf_free(&body);
    buf_free(&record);
}

static void checkpoint(struct store *s, uint64_t seq, uint64_t number, int64_t at)
{
    struct store_audit piece = {.what = STORE_AUDIT_CHECKPOINT,
                                .seq = seq,
                                .number = number,
                                .at = at,
                                .body = span_str("signed"),
                                .certificate = span_str("certificate")};
    store_append_audited(s, NULL, 0, &piece, 1);
}

static void wait_audited(struct store *s, uint64_t pieces)
{
    while (store_audited(s) < pieces)
        testing_hear(s);
}

struct audit_page {
    bool done;
    char order[64]; /* "1 2 c1 3 ": numbers of entries, and seqs of checkpoints */
    uint64_t next;
    struct hash last;
};

static void take(void *self, const struct store_answer *a)
{
    struct audit_page *seen = self;
    size_t n = 0;
    assert_int_equal(a->rc, 0);
    for (unsigned i = 0; i < a->n_trail; i++) {
        const struct store_audit *p = &a->trail[i];
        bool seal = p->what == STORE_AUDIT_CHECKPOINT;
        n += (size_t)snprintf(seen->order + n, sizeof seen->order - n, "%s%llu ", seal ? "c" : "",
                              (unsigned long long)(seal ? p->seq : p->number));
        if (seal) {
            assert_true(span_eq_str(p->body, "signed"));
            assert_true(span_eq_str(p->certificate, "certificate"));
        } else {
            seen->last = p->hash;
        }
    }
    for (unsigned i = 0; i < a->n_records; i++)
        n += (size_t)snprintf(seen->order + n, sizeof seen->order - n, "%llu ",
                              (unsigned long long)a->records[i].lsn);
    seen->next = a->next;
    seen->done = true;
}

static struct audit_page ask(struct store *s, struct store_question q)
{
    struct audit_page seen = {0};
    store_ask(s, &q, take, &seen);
    while (!seen.done)
        testing_hear(s);
    return seen;
}

static struct store *begin(void **state, struct store_heard *h, struct audit_head *head)
{
    struct store *s = testing_open(state, NULL);
    *head = (struct audit_head){0};
    testing_start(s, h);
    checkpoint(s, 1, 0, 500);
    for (uint64_t i = 1; i <= 4; i++) {
        entry(s, head, i);
        if (i == 2)
            checkpoint(s, 2, 2, 1500);
    }
    checkpoint(s, 3, 4, 2500);
    entry(s, head, 0);
    wait_audited(s, 8); /* 5 entries, 3 checkpoints */
    return s;
}

static void the_trail_is_read_in_the_order_in_which_it_is_verified(void **state)
{
    struct store_heard h;
    struct audit_head head;
    struct store *s = begin(state, &h, &head);
    struct audit_page seen = ask(s, (struct store_question){.what = STORE_TRAIL, .most = 100});
    assert_string_equal(seen.order, "c1 1 2 c2 3 4 c3 5 ");
    assert_int_equal(seen.next, 0);
    assert_true(hash_eq(&seen.last, &head.hash));
    seen = ask(s, (struct store_question){.what = STORE_TRAIL, .most = 3, .after = 1, .upto = 1});
    assert_string_equal(seen.order, "2 c2 3 ");
    assert_int_equal(seen.next, 1);
    seen = ask(s, (struct store_question){.what = STORE_AUDIT, .most = 3});
    assert_string_equal(seen.order, "5 4 3 ");
    assert_int_equal(seen.next, 3);
    store_close(&s);
}

static void a_restart_goes_on_where_the_trail_ends(void **state)
{
    struct store_heard h;
    struct audit_head head;
    struct store_audit_end end;
    struct store *s = begin(state, &h, &head);
    store_close(&s);
    s = testing_open(state, NULL);
    assert_int_equal(store_audit_end(s, &end, NULL), 0);
    assert_int_equal(end.head.number, 5);
    assert_true(hash_eq(&end.head.hash, &head.hash));
    assert_int_equal(end.first, 1);
    assert_int_equal(end.seq, 3);
    assert_int_equal(end.sealed, 4);
    store_close(&s);
}

static void an_act_and_its_entry_are_committed_together_or_not_at_all(void **state)
{
    struct store_heard h;
    struct audit_head head = {0};
    testing_filled(state, 1);
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    store_limit(s, 16384); /* the disk is full: nothing fits */
    for (uint64_t i = 1; i <= 60; i++)
        entry(s, &head, h.committed + i);
    while (!h.full)
        testing_hear(s);
    store_close(&s);
    testing_assert_shell(state,
                         "SELECT (SELECT count(*) FROM audit) = "
                         "(SELECT count(*) FROM journal WHERE kind = 221)",
                         "1");
}

static void nobody_changes_or_deletes_an_entry_or_a_checkpoint(void **state)
{
    static const char *const attempts[] = {
        "UPDATE audit SET body = x'00'", "DELETE FROM audit WHERE number = 3",
        "UPDATE audit_checkpoint SET body = x'00'", "DELETE FROM audit_checkpoint"};
    struct store_heard h;
    struct audit_head head;
    sqlite3 *db;
    struct store *s = begin(state, &h, &head);
    assert_int_equal(sqlite3_open(testing_path(state, "broker.db"), &db), SQLITE_OK);
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++)
        assert_int_equal(sqlite3_exec(db, attempts[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
    sqlite3_close(db);
    store_close(&s);
}

static void the_retention_drops_whole_segments_and_no_checkpoint(void **state)
{
    struct store_heard h;
    struct audit_head head;
    struct store *s = begin(state, &h, &head);
    struct store_question q = {.what = STORE_AUDIT_DUE, .filter.until = 2000};
    assert_int_equal(ask(s, q).next, 2); /* up to checkpoint 2, made before 2000 */
    struct store_audit drop = {.what = STORE_AUDIT_DROP, .number = 2};
    store_append_audited(s, NULL, 0, &drop, 1);
    entry(s, &head, 0);
    wait_audited(s, 10);
    struct audit_page seen = ask(s, (struct store_question){.what = STORE_TRAIL, .most = 100});
    assert_string_equal(seen.order, "c1 c2 3 4 c3 5 6 ");
    assert_int_equal(ask(s, q).next, 0);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(the_trail_is_read_in_the_order_in_which_it_is_verified),
        in_folder(a_restart_goes_on_where_the_trail_ends),
        in_folder(an_act_and_its_entry_are_committed_together_or_not_at_all),
        in_folder(nobody_changes_or_deletes_an_entry_or_a_checkpoint),
        in_folder(the_retention_drops_whole_segments_and_no_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
