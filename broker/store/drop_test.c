/* drop_test.c - promises 3 and 6, retention: nothing that one principal or server sends pushes out
 * what belongs to others, a key answers however little history is kept, and what was dropped is
 * said. */
#include "broker/store/testing.h"

#include "common/clock.h"
#include "common/options.h"

enum { MIB = 1 << 20, HOUR = 3600000 };

struct past {
    struct store *s;
    struct store_heard heard;
    uint64_t lsn;
    unsigned runs;
    int64_t at; /* of what comes next */
};

static void begin(struct past *p, void **state, struct store_options o)
{
    p->s = testing_open(state, &o);
    testing_start(p->s, &p->heard);
    p->lsn = store_committed(p->s);
    if (!p->at)
        p->at = clock_wall_ms();
}

static void end(struct past *p)
{
    store_close(&p->s);
}

static void settle(struct past *p)
{
    testing_wait_committed(p->s, &p->heard, p->lsn);
}

/* A run of that principal: its certificate has `size` bytes, 16,000 at most. */
static void run_of(struct past *p, const char *who, size_t size)
{
    struct buf call = {0}, envelope = {0}, body = {0};
    char key[40];
    char *filler = mem_zalloc(size, 1);
    uint8_t signature[64] = {0};
    unsigned n = p->runs++;
    snprintf(key, sizeof key, "key-%u", n);
    d_call_encode(&(struct d_call){.cluster = span_str("test"),
                                   .caller = span_str(who),
                                   .key = span_str(key),
                                   .job = span_str("load"),
                                   .address = span_str("etl")},
                  &call);
    d_signed_encode(&(struct d_signed){.signer = span_str(who),
                                       .body = buf_span(&call),
                                       .signature = span_of(signature, 64)},
                    &envelope);
    struct r_called r = {.at = p->at,
                         .run = testing_run_id(n),
                         .principal = span_str(who),
                         .call = buf_span(&envelope),
                         .certificate = span_of(filler, size)};
    r_called_encode(&r, &body);
    testing_add(p->s, ++p->lsn, &body);
    ++p->lsn;
    testing_ended_at(p->s, p->lsn, n, STATUS_SUCCEEDED, p->at, 0);
    buf_free(&call);
    buf_free(&envelope);
    mem_free(&filler);
}

static void evidence_of(struct past *p, const char *server, struct id run, size_t size)
{
    struct buf body = {0};
    uint8_t *outcome = mem_zalloc(size, 1);
    r_evidence_encode(&(struct r_evidence){.at = p->at,
                                           .run = run,
                                           .attempt = 1,
                                           .server = span_str(server),
                                           .why = span_str("late"),
                                           .outcome = span_of(outcome, size)},
                      &body);
    testing_add(p->s, ++p->lsn, &body);
    mem_free(&outcome);
}

static uint64_t number(void **state, const char *sql)
{
    char *text = testing_shell(state, sql);
    uint64_t n = strtoull(text, NULL, 10);
    mem_free(&text);
    return n;
}

/* Until the housekeeping has nothing more to drop; what it is to see has been folded. */
static void drop_until(struct past *p, void **state, const char *sql, uint64_t most)
{
    testing_ask(p->s, (struct store_question){.what = STORE_HISTORY, .most = 1});
    for (int64_t until = clock_boot_ms() + 60000; number(state, sql) > most;) {
        if (clock_boot_ms() > until)
            fail_msg("still more than %llu: %s", (unsigned long long)most, sql);
        poll(NULL, 0, 10);
    }
}

static bool key_answers(struct past *p, const char *who, unsigned n)
{
    char key[40];
    snprintf(key, sizeof key, "key-%u", n);
    return testing_ask(p->s,
                       (struct store_question){
                           .what = STORE_KEY, .most = 1, .key = key, .filter = {.principal = who}})
               .n_rows == 1;
}

static const char HELD[] = "SELECT sum(bytes) FROM held";
static const char EVIDENCE[] = "SELECT coalesce(sum(bytes), 0) FROM held WHERE kind = 2";

static void evidence_of_one_server_pushes_out_neither_history_nor_keys(void **state)
{
    const struct store_options o = {.history_bytes = 20 * MIB};
    struct past p = {0};
    struct id unknown = {{0xee}};
    begin(&p, state, (struct store_options){0});
    for (unsigned i = 0; i < 27; i++)
        run_of(&p, "anna", 200);
    evidence_of(&p, "etl1", testing_run_id(3), 1000); /* of an honest server, for a run that was */
    for (unsigned i = 0; i < 120; i++) {              /* 60 MB, for runs that never were */
        memcpy(unknown.b + 8, &i, sizeof i);
        evidence_of(&p, "evil", unknown, 489 << 10);
    }
    settle(&p);
    end(&p);
    begin(&p, state, o);
    drop_until(&p, state, EVIDENCE, MIB);
    testing_assert_shell(state, "SELECT count(*) FROM ended_run", "27");
    testing_assert_shell(state, "SELECT count(*) FROM loose WHERE owner = 'etl1'", "1");
    assert_int_equal(testing_ask(p.s, (struct store_question){.what = STORE_RECORDS,
                                                              .run = testing_run_id(3),
                                                              .most = 10})
                         .n_records,
                     3);
    end(&p);
    begin(&p, state, o);
    for (unsigned i = 0; i < 27; i++)
        assert_true(key_answers(&p, "anna", i));
    end(&p);
}

static void the_principal_that_holds_most_loses_its_oldest(void **state)
{
    struct past p = {0};
    begin(&p, state, (struct store_options){0});
    for (unsigned i = 0; i < 30; i++)
        run_of(&p, "anna", 1000);
    for (unsigned i = 0; i < 400; i++)
        run_of(&p, "mona", 10000);
    settle(&p);
    end(&p);
    begin(&p, state, (struct store_options){.history_bytes = MIB});
    drop_until(&p, state, HELD, MIB);
    testing_assert_shell(state, "SELECT count(*) FROM ended_run WHERE principal = 'anna'", "30");
    assert_true(number(state, "SELECT count(*) FROM ended_run WHERE principal = 'mona'") > 50);
    testing_assert_shell(state, "SELECT max(lsn) FROM ended_run", "860"); /* her newest stay */
    assert_int_equal(number(state, "SELECT count(*) FROM journal"),
                     2 * number(state, "SELECT count(*) FROM ended_run"));
    char *said =
        testing_shell(state, "SELECT event || ' ' || note FROM events WHERE event = 'dropped'");
    assert_contains(said, "dropped history by broker: ");
    assert_contains(said, " of mona, up to ");
    assert_contains(said, "history_size");
    mem_free(&said);
    end(&p);
}

/* Once without a restart, from the store; then after one, from what is loaded. */
static void a_key_answers_when_its_history_has_gone(void **state)
{
    struct past p = {0};
    struct buf loaded = {0};
    begin(&p, state, (struct store_options){0});
    for (unsigned i = 0; i < 200; i++)
        run_of(&p, "anna", 16000);
    settle(&p);
    end(&p);
    begin(&p, state, (struct store_options){.history_bytes = MIB});
    drop_until(&p, state, HELD, MIB);
    assert_true(number(state, "SELECT count(*) FROM ended_run") < 80);
    for (unsigned i = 0; i < 200; i++)
        assert_true(key_answers(&p, "anna", i));
    assert_false(key_answers(&p, "mona", 0));
    end(&p);
    for (unsigned i = 1; i <= 200; i++)
        buf_printf(&loaded, "209@%u ", 2 * i);
    testing_assert_loads(state, buf_str(&loaded), &(struct store_options){.now = p.at});
    buf_free(&loaded);
}

static void a_short_retention_forgets_no_key_and_a_key_is_forgotten_in_time(void **state)
{
    struct past p = {.at = clock_wall_ms() - HOUR};
    begin(&p, state, (struct store_options){0});
    run_of(&p, "anna", 100);
    settle(&p);
    end(&p);
    begin(&p, state, (struct store_options){.retention_ms = 1000});
    drop_until(&p, state, "SELECT count(*) FROM ended_run", 0);
    testing_assert_shell(state, "SELECT count(*) FROM journal", "0");
    assert_true(key_answers(&p, "anna", 0));
    end(&p);
    testing_assert_loads(state, "209@2 ", &(struct store_options){.now = p.at + HOUR});
    begin(&p, state, (struct store_options){.retention_ms = 1000, .kept_ms = HOUR / 2});
    drop_until(&p, state, "SELECT count(*) FROM ended_key", 0);
    assert_false(key_answers(&p, "anna", 0));
    end(&p);
}

static void who_is_denied_much_fills_only_the_share_of_notes(void **state)
{
    struct past p = {0};
    begin(&p, state, (struct store_options){0});
    for (unsigned i = 0; i < 10; i++)
        run_of(&p, "anna", 1000);
    for (unsigned i = 0; i < 3000; i++)
        store_note(p.s, &(struct r_operated){.at = p.at,
                                             .by = span_str(i % 100 ? "carl" : "otto"),
                                             .verb = span_str("denied"),
                                             .target = span_str("CALL"),
                                             .reason = span_str("no grant of his covers it")});
    run_of(&p, "anna", 1000);
    settle(&p);
    end(&p);
    begin(&p, state, (struct store_options){.history_bytes = MIB});
    drop_until(&p, state, "SELECT sum(bytes) FROM held WHERE kind = 4", MIB / 20);
    testing_assert_shell(state, "SELECT count(*) FROM notes WHERE by = 'otto'", "30");
    testing_assert_shell(state, "SELECT count(*) FROM ended_run", "11");
    end(&p);
}

/* The decision that counts is loaded at a restart, however many it has replaced. */
static void replaced_decisions_go_and_the_one_that_counts_stays(void **state)
{
    struct past p = {0};
    begin(&p, state, (struct store_options){0});
    for (unsigned i = 0; i < 2000; i++)
        testing_operated(p.s, ++p.lsn, i % 2 ? "undrain" : "drain", "etl1");
    testing_operated(p.s, ++p.lsn, "drain", "etl2");
    settle(&p);
    end(&p);
    begin(&p, state, (struct store_options){.history_bytes = MIB});
    drop_until(&p, state, "SELECT sum(bytes) FROM held WHERE kind = 3", MIB / 10);
    end(&p);
    testing_assert_loads(state, "221@2000 221@2001 ", NULL);
}

/* What is said about what was dropped would be dropped, and so on. */
static void a_store_that_may_keep_nothing_comes_to_rest(void **state)
{
    struct past p = {0};
    struct store_stats stats;
    begin(&p, state, (struct store_options){0});
    run_of(&p, "anna", 1000);
    evidence_of(&p, "etl1", testing_run_id(0), 1000);
    store_note(p.s, &(struct r_operated){.at = p.at, .by = span_str("otto")});
    settle(&p);
    end(&p);
    begin(&p, state, (struct store_options){.history_bytes = 1, .retention_ms = 1});
    drop_until(&p, state, "SELECT count(*) FROM held", 0);
    testing_assert_shell(state, "SELECT count(*) FROM notes", "0");
    assert_true(key_answers(&p, "anna", 0));
    store_stats(p.s, &stats);
    assert_true(stats.dropped < 10);
    end(&p);
}

/* The accounts hold what the file grows by, so that history_size means something. */
static void the_accounts_say_what_the_file_holds(void **state)
{
    static const char PAGES[] = "SELECT (page_count - freelist_count) * page_size "
                                "FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    static const size_t SIZES[] = {100, 2000};
    struct past p = {0};
    for (unsigned k = 0; k < 2; k++) {
        begin(&p, state, (struct store_options){0});
        uint64_t pages = number(state, PAGES), held = number(state, HELD);
        for (unsigned i = 0; i < 2000; i++)
            run_of(&p, "anna", SIZES[k]);
        settle(&p);
        testing_ask(p.s, (struct store_question){.what = STORE_HISTORY, .most = 1});
        pages = number(state, PAGES) - pages;
        held = number(state, HELD) - held;
        print_message("%llu bytes held, %llu in the file\n", (unsigned long long)held,
                      (unsigned long long)pages);
        assert_true(held > pages * 3 / 4 && held < pages * 4 / 3);
        end(&p);
    }
}

static void a_raised_store_counts_as_a_new_one(void **state)
{
    static const char SUMS[] =
        "SELECT group_concat(s, ' ') FROM (SELECT kind || ':' || sum(bytes) AS s "
        "FROM held GROUP BY kind ORDER BY kind)";
    struct past p = {0};
    begin(&p, state, (struct store_options){0});
    for (unsigned i = 0; i < 5; i++)
        run_of(&p, i % 2 ? "anna" : "mona", 100);
    evidence_of(&p, "etl1", testing_run_id(1), 1000);
    evidence_of(&p, "etl1", (struct id){{0xee}}, 1000);
    testing_operated(p.s, ++p.lsn, "drain", "etl1");
    testing_operated(p.s, ++p.lsn, "undrain", "etl1");
    store_note(p.s, &(struct r_operated){.at = p.at, .by = span_str("otto")});
    testing_called(p.s, ++p.lsn, 99, "load"); /* live */
    settle(&p);
    testing_ask(p.s, (struct store_question){.what = STORE_HISTORY, .most = 1});
    end(&p);
    char *before = testing_shell(state, SUMS);
    static const char *const BACK[] = {"DROP TABLE held",
                                       "DROP TABLE loose",
                                       "DROP TABLE ended_key",
                                       "DROP INDEX ended_run_owner",
                                       "DROP INDEX ended_parent_owner",
                                       "DROP INDEX notes_owner",
                                       "DROP TABLE audit",
                                       "DROP TABLE audit_checkpoint",
                                       "DELETE FROM meta WHERE name = 'audit_dropped'",
                                       "PRAGMA user_version = 2"};
    for (unsigned i = 0; i < COUNT_OF(BACK); i++)
        mem_free(&(char *){testing_shell(state, BACK[i])});
    begin(&p, state, (struct store_options){0});
    end(&p);
    testing_assert_shell(state, "PRAGMA user_version", "5");
    testing_assert_shell(state, SUMS, before);
    testing_assert_shell(state, "SELECT group_concat(owner, ' ') FROM held WHERE kind = 1",
                         "anna mona");
    mem_free(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(evidence_of_one_server_pushes_out_neither_history_nor_keys),
        in_folder(the_principal_that_holds_most_loses_its_oldest),
        in_folder(a_key_answers_when_its_history_has_gone),
        in_folder(a_short_retention_forgets_no_key_and_a_key_is_forgotten_in_time),
        in_folder(who_is_denied_much_fills_only_the_share_of_notes),
        in_folder(replaced_decisions_go_and_the_one_that_counts_stays),
        in_folder(a_store_that_may_keep_nothing_comes_to_rest),
        in_folder(the_accounts_say_what_the_file_holds),
        in_folder(a_raised_store_counts_as_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
