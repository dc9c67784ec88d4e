/* asked_test.c - promise 6, the store's share: who asks much waits alone. Questions of principals
 * are answered in turn, a page that finds nothing is read in steps, and those of a session that has
 * ended are never read. All are asked before the readers start, so no order depends on timing. */
#include "broker/store/inside.h"
#include "broker/store/testing.h"

enum { MANY = 1000 };

struct order {
    char who[3 * MANY]; /* one letter for each answer */
    unsigned n, cancelled;
    struct store *s;
};

struct asker {
    struct order *order;
    char letter;
};

static void hear(void *self, const struct store_answer *a)
{
    struct asker *by = self;
    if (a->rc == -ECANCELED)
        by->order->cancelled++;
    else
        by->order->who[by->order->n++] = by->letter;
}

static struct store_question page_of(char who, uint64_t session)
{
    return (struct store_question){
        .what = STORE_HISTORY, .most = 10, .who = {{(uint8_t)who}}, .session = session};
}

static struct store_question key_of(char who, uint64_t session)
{
    return (struct store_question){.what = STORE_KEY,
                                   .most = 1,
                                   .quick = true,
                                   .key = "key-1",
                                   .filter = {.principal = "anna"},
                                   .who = {{(uint8_t)who}},
                                   .session = session};
}

static struct store *with_runs(void **state, unsigned n)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    for (unsigned i = 0; i < n; i++) {
        testing_called(s, 2 * i + 1, i, "load");
        testing_ended(s, 2 * i + 2, i, STATUS_SUCCEEDED);
    }
    testing_wait_committed(s, &h, 2ULL * n);
    testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 1}); /* folds */
    store_close(&s);
    return testing_open(state, NULL);
}

static void hear_all(struct order *o, unsigned n)
{
    struct store_heard h;
    testing_start(o->s, &h);
    while (o->n < n)
        testing_hear(o->s);
}

static unsigned place_of_last(const struct order *o, char letter)
{
    return (unsigned)(strrchr(o->who, letter) - o->who);
}

static void a_thousand_questions_of_one_principal_delay_another_by_one_turn(void **state)
{
    static struct order o;
    o = (struct order){.s = with_runs(state, 3)};
    struct asker mona = {&o, 'm'}, anna = {&o, 'a'};
    struct store_question mine = page_of('a', 2);
    for (unsigned i = 0; i < MANY; i++) {
        struct store_question q = page_of('m', 10 + i % 7); /* of seven sessions */
        store_ask(o.s, &q, hear, &mona);
    }
    for (unsigned i = 0; i < 3; i++)
        store_ask(o.s, &mine, hear, &anna);
    hear_all(&o, MANY + 3);
    assert_memory_equal(o.who, "mamamammm", 9);
    store_close(&o.s);
}

static void keys_of_calls_pass_the_pages_of_the_same_principal(void **state)
{
    static struct order o;
    o = (struct order){.s = with_runs(state, 3)};
    struct asker pages = {&o, 'p'}, keys = {&o, 'k'}, others = {&o, 'o'};
    struct store_question page = page_of('a', 1), key = key_of('a', 1), other = page_of('b', 2);
    for (unsigned i = 0; i < 3; i++)
        store_ask(o.s, &page, hear, &pages);
    for (unsigned i = 0; i < 2 * STORE_QUICK_TURN; i++)
        store_ask(o.s, &key, hear, &keys);
    store_ask(o.s, &other, hear, &others);
    hear_all(&o, 2 * STORE_QUICK_TURN + 4);
    /* a turn: the quick ones and one page; then the other's; then the rest */
    assert_int_equal(strchr(o.who, 'p') - o.who, STORE_QUICK_TURN);
    assert_int_equal(strchr(o.who, 'o') - o.who, STORE_QUICK_TURN + 1);
    assert_int_equal(place_of_last(&o, 'k'), 2 * STORE_QUICK_TURN + 1);
    store_close(&o.s);
}

static void
a_page_that_finds_nothing_is_read_in_steps_and_after_the_first_beside_others(void **state)
{
    enum { RUNS = 2 * STORE_STEP_ROWS + STORE_STEP_ROWS / 4 };
    static struct order o;
    struct store_stats stats;
    o = (struct order){.s = with_runs(state, RUNS)};
    struct asker mona = {&o, 'm'}, anna = {&o, 'a'};
    struct store_question nothing = page_of('m', 1), mine = key_of('a', 2), page = page_of('a', 2);
    nothing.filter.job = "no-such-job";
    store_ask(o.s, &nothing, hear, &mona);
    store_ask(o.s, &mine, hear, &anna);
    store_ask(o.s, &page, hear, &anna);
    hear_all(&o, 3);
    store_stats(o.s, &stats);
    assert_int_equal(stats.reads, 5); /* three steps, a key and a page */
    assert_int_equal(stats.scans, 2); /* after the first step, beside the others' questions */
    store_close(&o.s);
}

static void questions_of_a_session_that_has_ended_are_never_read(void **state)
{
    static struct order o;
    struct store_stats stats;
    o = (struct order){.s = with_runs(state, 3)};
    struct asker mona = {&o, 'm'}, anna = {&o, 'a'};
    struct store_question gone = page_of('m', 1), key = key_of('m', 1), stays = page_of('m', 3);
    for (unsigned i = 0; i < MANY; i++)
        store_ask(o.s, i % 2 ? &gone : &key, hear, &mona);
    store_ask(o.s, &stays, hear, &anna);
    store_cancel(o.s, 1);
    assert_int_equal(o.cancelled, MANY);
    hear_all(&o, 1);
    assert_string_equal(o.who, "a");
    store_stats(o.s, &stats);
    assert_int_equal(stats.reads, 1);
    assert_int_equal(stats.asked, 0);
    assert_int_equal(stats.asked_bytes, 0);
    store_close(&o.s);
}

static void a_question_that_waits_takes_half_a_kilobyte(void **state)
{
    static struct order o;
    struct store_stats stats;
    o = (struct order){.s = testing_open(state, NULL)};
    struct asker mona = {&o, 'm'};
    struct store_question q = page_of('m', 1);
    q.filter.job = "nightly-*";
    for (unsigned i = 0; i < MANY; i++)
        store_ask(o.s, &q, hear, &mona);
    store_stats(o.s, &stats);
    assert_int_equal(stats.asked, MANY);
    print_message("%llu bytes a question\n", (unsigned long long)stats.asked_bytes / MANY);
    assert_true(stats.asked_bytes < 512 * MANY);
    store_close(&o.s);
    assert_int_equal(o.cancelled, MANY);
}

static void long_call(struct store *s, uint64_t lsn, unsigned n)
{
    static uint8_t certificate[16000];
    struct buf body = {0};
    r_called_encode(&(struct r_called){.at = 1000,
                                       .run = testing_run_id(n),
                                       .principal = span_str("anna"),
                                       .certificate = span_of(certificate, sizeof certificate)},
                    &body);
    testing_add(s, lsn, &body);
}

static void long_outcome(struct store *s, uint64_t lsn, unsigned n)
{
    static uint8_t outcome[400000];
    struct buf body = {0};
    r_evidence_encode(&(struct r_evidence){.at = 1000,
                                           .run = testing_run_id(n),
                                           .attempt = 1,
                                           .server = span_str("etl1"),
                                           .why = span_str("late"),
                                           .outcome = span_of(outcome, sizeof outcome)},
                      &body);
    testing_add(s, lsn, &body);
}

/* Short records of runs with long calls, which come with them. */
static void a_page_of_events_ends_by_bytes_and_the_calls_of_its_runs_count(void **state)
{
    enum { RUNS = 20 };
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    for (unsigned i = 0; i < RUNS; i++)
        long_call(s, i + 1, i);
    for (unsigned i = 0; i < RUNS; i++)
        testing_assigned(s, RUNS + i + 1, i);
    testing_wait_committed(s, &h, 2ULL * RUNS);
    struct store_got g = testing_ask(s, (struct store_question){.what = STORE_EVENTS,
                                                                .after = RUNS,
                                                                .upto = 2ULL * RUNS,
                                                                .most = 100,
                                                                .most_bytes = 64 << 10});
    assert_in_range(g.n_records, 4, 5);
    assert_int_equal(g.n_begins, g.n_records);
    assert_int_equal(g.next, RUNS + g.n_records);
    store_close(&s);
}

static void hear_left_out(void *self, const struct store_answer *a)
{
    struct store_answer *kept = self;
    *kept = *a;
}

static void the_records_of_one_run_end_by_bytes_and_its_end_is_among_them(void **state)
{
    enum { EVIDENCE = 20 };
    struct store_heard h;
    struct store_answer a = {0};
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    for (unsigned i = 0; i < EVIDENCE; i++)
        long_outcome(s, i + 2, 1);
    testing_ended(s, EVIDENCE + 2, 1, STATUS_FAILED);
    testing_wait_committed(s, &h, EVIDENCE + 2);
    store_ask(s,
              &(struct store_question){
                  .what = STORE_RECORDS, .run = testing_run_id(1), .most = STORE_PAGE_MAX},
              hear_left_out, &a);
    while (!a.n_records)
        testing_hear(s);
    assert_true(a.n_records < 10);
    assert_int_equal(a.n_records + a.left_out, EVIDENCE + 2);
    store_close(&s);
}

/* Calls that are not folded yet are no concern of a page of history: rows are of what has ended. */
static void a_page_of_history_waits_for_ends_and_not_for_calls(void **state)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    testing_called(s, 1, 1, "load");
    testing_ended(s, 2, 1, STATUS_SUCCEEDED);
    testing_wait_committed(s, &h, 2);
    testing_ask(s, (struct store_question){.what = STORE_HISTORY, .most = 1}); /* folds */
    testing_called(s, 3, 3, "load");
    testing_wait_committed(s, &h, 3);
    assert_int_equal(store_folds_for(s, &(struct store_question){.what = STORE_HISTORY}), 2);
    assert_int_equal(store_folds_for(s, &(struct store_question){.what = STORE_RECORDS}), 3);
    testing_ended(s, 4, 3, STATUS_SUCCEEDED);
    testing_wait_committed(s, &h, 4);
    assert_int_equal(store_folds_for(s, &(struct store_question){.what = STORE_PARENTS}), 4);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_thousand_questions_of_one_principal_delay_another_by_one_turn),
        in_folder(keys_of_calls_pass_the_pages_of_the_same_principal),
        in_folder(a_page_that_finds_nothing_is_read_in_steps_and_after_the_first_beside_others),
        in_folder(a_page_of_history_waits_for_ends_and_not_for_calls),
        in_folder(questions_of_a_session_that_has_ended_are_never_read),
        in_folder(a_page_of_events_ends_by_bytes_and_the_calls_of_its_runs_count),
        in_folder(the_records_of_one_run_end_by_bytes_and_its_end_is_among_them),
        in_folder(a_question_that_waits_takes_half_a_kilobyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
