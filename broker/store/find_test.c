/* find_test.c - short ids, `last` and `last-failed` among ended runs and parents. */
#include "broker/store/testing.h"

#include "broker/store/find.h"

/* Its last six digits are those of `n`. */
static struct id id_with_tail(unsigned begun, unsigned n)
{
    struct id id = {{1, (uint8_t)begun}};
    id.b[12] = (uint8_t)(n >> 24);
    id.b[13] = (uint8_t)(n >> 16);
    id.b[14] = (uint8_t)(n >> 8);
    id.b[15] = (uint8_t)n;
    return id;
}

struct find_past {
    struct store_heard heard;
    struct store *store;
    uint64_t lsn;
};

static void past_begin(void **state, struct find_past *p)
{
    p->lsn = 0;
    p->store = testing_open(state, NULL);
    testing_start(p->store, &p->heard);
}

static void give(struct find_past *p, struct buf *body)
{
    testing_add(p->store, ++p->lsn, body);
}

/* An ended call of `by`; a child if `parent` is not zero. */
static void run_ended(struct find_past *p, struct id run, const char *by, struct id parent,
                      uint64_t status)
{
    struct buf call = {0}, envelope = {0}, body = {0}, outcome = {0};
    uint8_t signature[64] = {0};
    d_call_encode(&(struct d_call){.caller = span_str(by),
                                   .key = span_of(run.b, 1),
                                   .job = span_str("load"),
                                   .address = span_str("etl"),
                                   .parent = parent,
                                   .task = span_str(id_is_zero(parent) ? "" : "load")},
                  &call);
    d_signed_encode(&(struct d_signed){.signer = span_str(by),
                                       .body = buf_span(&call),
                                       .signature = span_of(signature, 64)},
                    &envelope);
    r_called_encode(
        &(struct r_called){.run = run, .principal = span_str(by), .call = buf_span(&envelope)},
        &body);
    give(p, &body);
    d_outcome_encode(&(struct d_outcome){.status = status}, &outcome);
    r_ended_encode(&(struct r_ended){.run = run, .attempt = 1, .outcome = buf_span(&outcome)},
                   &body);
    give(p, &body);
    buf_free(&call), buf_free(&envelope), buf_free(&outcome);
}

static void parent_ended(struct find_past *p, struct id run, const char *by, struct id parent)
{
    struct buf plan = {0}, envelope = {0}, body = {0};
    uint8_t signature[64] = {0};
    d_parent_encode(&(struct d_parent){.caller = span_str(by),
                                       .key = span_of(run.b, 1),
                                       .name = span_str("nightly"),
                                       .parent = parent,
                                       .tasks = 3},
                    &plan);
    d_signed_encode(&(struct d_signed){.signer = span_str(by),
                                       .body = buf_span(&plan),
                                       .signature = span_of(signature, 64)},
                    &envelope);
    r_parent_begun_encode(&(struct r_parent_begun){.run = run,
                                                   .principal = span_str(by),
                                                   .parent = buf_span(&envelope)},
                          &body);
    give(p, &body);
    r_parent_ended_encode(&(struct r_parent_ended){.run = run, .status = STATUS_FAILED}, &body);
    give(p, &body);
    buf_free(&plan), buf_free(&envelope);
}

/* The rows as text, "23p " for the parent whose end is record 23, and the place after them. */
struct found_rows {
    struct find_past *p;
    struct store_find find;
    char text[400];
    bool done;
};

static void take_rows(void *self, const struct store_answer *a)
{
    struct found_rows *r = self;
    assert_int_equal(a->rc, 0);
    for (unsigned i = 0; i < a->n_rows; i++) {
        size_t n = strlen(r->text);
        snprintf(r->text + n, sizeof r->text - n, "%llu%s ", (unsigned long long)a->rows[i].lsn,
                 a->rows[i].is_parent ? "p" : "");
        r->find.after.lsn = a->rows[i].lsn;
        r->find.after.run = a->rows[i].run;
    }
    r->done = true;
}

static void find_page(struct found_rows *r, unsigned most)
{
    r->text[0] = 0;
    r->done = false;
    testing_wait_committed(r->p->store, &r->p->heard, r->p->lsn);
    store_ask(r->p->store,
              &(struct store_question){.what = STORE_FIND, .most = most, .find = r->find},
              take_rows, r);
    while (!r->done)
        testing_hear(r->p->store);
}

static void assert_found(struct find_past *p, const char *text, const char *by,
                         const char *expected)
{
    struct found_rows r = {.p = p};
    struct error err = {0};
    if (store_find_parse(span_str(text), &r.find, &err) < 0)
        fail_msg("%s", err.text);
    r.find.principal = by;
    find_page(&r, 10);
    assert_string_equal(r.text, expected);
}

static void a_short_id_finds_the_runs_and_parents_whose_ids_end_with_it(void **state)
{
    struct find_past p;
    past_begin(state, &p);
    run_ended(&p, id_with_tail(1, 0xaaabcdef), "anna", ID_ZERO, STATUS_SUCCEEDED);
    run_ended(&p, id_with_tail(2, 0xbbabcdef), "anna", ID_ZERO, STATUS_SUCCEEDED);
    parent_ended(&p, id_with_tail(3, 0xccabcdef), "anna", ID_ZERO);
    run_ended(&p, id_with_tail(4, 0xccabcdee), "anna", ID_ZERO, STATUS_SUCCEEDED);
    assert_found(&p, "abcdef", "", "6p 4 2 ");
    assert_found(&p, "ABCDEF", "", "6p 4 2 ");
    assert_found(&p, "babcdef", "", "4 "); /* an odd number of digits */
    assert_found(&p, "bbabcdef", "", "4 ");
    assert_found(&p, "cabcdef", "", "6p ");
    assert_found(&p, "dabcdef", "", "");
    assert_found(&p, "01020000-0000-0000-0000-0000bbabcdef", "", "4 ");
    assert_found(&p, "01020000000000000000000000abcdef", "", "");
    store_close(&p.store);
}

/* Starts over after record `lsn`, as if everything before it had been folded long ago. */
static void go_on_after(void **state, struct find_past *p, uint64_t lsn)
{
    char sql[100];
    store_close(&p->store);
    snprintf(sql, sizeof sql, "UPDATE meta SET value = %llu WHERE name = 'folded'",
             (unsigned long long)lsn);
    mem_free(&(char *){testing_shell(state, sql)});
    p->store = testing_open(state, NULL);
    testing_start(p->store, &p->heard);
    p->lsn = lsn;
}

static void a_short_id_is_found_however_far_back_its_end_lies(void **state)
{
    struct find_past p;
    past_begin(state, &p);
    run_ended(&p, id_with_tail(1, 0xabcdef), "anna", ID_ZERO, STATUS_SUCCEEDED);
    go_on_after(state, &p, 65533); /* the last of a segment, and the first of the next */
    run_ended(&p, id_with_tail(2, 0xabcdef), "anna", ID_ZERO, STATUS_SUCCEEDED);
    run_ended(&p, id_with_tail(3, 0xabcdef), "anna", ID_ZERO, STATUS_SUCCEEDED);
    go_on_after(state, &p, 1000000);
    run_ended(&p, id_with_tail(4, 0xabcdef), "anna", ID_ZERO, STATUS_SUCCEEDED);
    assert_found(&p, "abcdef", "", "1000002 65537 65535 2 ");
    store_close(&p.store);
}

static void last_is_the_newest_that_the_caller_started_children_excluded(void **state)
{
    struct find_past p;
    struct id parent = id_with_tail(2, 2);
    past_begin(state, &p);
    run_ended(&p, id_with_tail(3, 3), "anna", parent, STATUS_FAILED);     /* 2: a child */
    run_ended(&p, id_with_tail(4, 4), "anna", ID_ZERO, STATUS_SUCCEEDED); /* 4 */
    parent_ended(&p, parent, "anna", ID_ZERO);                            /* 6: started before 4 */
    parent_ended(&p, id_with_tail(5, 5), "anna", parent);                 /* 8: a child */
    run_ended(&p, id_with_tail(6, 6), "bert", ID_ZERO, STATUS_SUCCEEDED); /* 10 */
    assert_found(&p, "last", "anna", "4 6p ");
    assert_found(&p, "last", "bert", "10 ");
    assert_found(&p, "last", "ann", "");
    store_close(&p.store);
}

static void last_failed_is_the_newest_ended_run_without_success(void **state)
{
    struct find_past p;
    past_begin(state, &p);
    run_ended(&p, id_with_tail(1, 1), "anna", ID_ZERO, STATUS_FAILED);
    run_ended(&p, id_with_tail(2, 2), "bert", id_with_tail(9, 9), STATUS_LOST);
    run_ended(&p, id_with_tail(3, 3), "anna", ID_ZERO, STATUS_SUCCEEDED);
    run_ended(&p, id_with_tail(4, 4), "anna", ID_ZERO, STATUS_REFUSED);
    parent_ended(&p, id_with_tail(5, 5), "anna", ID_ZERO);
    assert_found(&p, "last-failed", "", "8 4 2 ");
    store_close(&p.store);
}

static void a_search_continues_page_by_page_past_hidden_rows(void **state)
{
    struct find_past p;
    past_begin(state, &p);
    for (unsigned i = 1; i <= 3; i++)
        run_ended(&p, id_with_tail(i, 0xabcdef), "anna", ID_ZERO, STATUS_FAILED);
    static const char *const words[] = {"abcdef", "last", "last-failed"};
    for (unsigned i = 0; i < 3; i++) {
        struct found_rows r = {.p = &p};
        assert_int_equal(store_find_parse(span_str(words[i]), &r.find, NULL), 0);
        r.find.principal = "anna";
        find_page(&r, 2);
        assert_string_equal(r.text, "6 4 ");
        find_page(&r, 2);
        assert_string_equal(r.text, "2 ");
        find_page(&r, 2);
        assert_string_equal(r.text, "");
    }
    store_close(&p.store);
}

static void text_that_is_no_run_is_refused_with_the_valid_forms(void **state)
{
    static const char *const wrong[] = {
        "", "abcde", "abcdeg", "a-b-c-d-e", "latest", "0123456789012345678901234567890123"};
    struct store_find f = {.by = STORE_FIND_LAST};
    struct error err;
    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(store_find_parse(span_str(wrong[i]), &f, &err), -EINVAL);
        assert_contains(err.text, "the last 6 or more characters");
        assert_int_equal(f.by, STORE_FIND_LAST);
    }
}

static void ids_are_compared_from_the_end(void **state)
{
    struct store_find f;
    struct id id = id_with_tail(1, 0x12abcdef);
    (void)state;
    assert_int_equal(store_find_parse(span_str("2abcdef"), &f, NULL), 0);
    assert_true(store_find_is(&f, id));
    assert_int_equal(store_find_parse(span_str("3abcdef"), &f, NULL), 0);
    assert_false(store_find_is(&f, id));
    assert_int_equal(store_find_parse(span_str("010100000000000000000000-12ABCDEF"), &f, NULL), 0);
    assert_true(store_find_is(&f, id));
}

static void a_store_of_the_first_schema_can_be_searched(void **state)
{
    struct error err = {0};
    struct buf whole = {0};
    struct find_past p = {.lsn = 7};
    if (file_read("tests/golden/v1/journal.db", 4 << 20, &whole, &err) < 0 ||
        file_write_atomic(testing_path(state, "broker.db"), buf_span(&whole), 0600, &err) < 0)
        fail_msg("%s", err.text);
    testing_assert_shell(state, "PRAGMA user_version", "1");
    p.store = testing_open(state, NULL);
    testing_start(p.store, &p.heard);
    assert_found(&p, "000000", "", "6 ");
    assert_found(&p, "last", "anna", "6 ");
    assert_found(&p, "last-failed", "", "6 ");
    store_close(&p.store);
    testing_assert_shell(state, "PRAGMA user_version", "5");
    buf_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_short_id_finds_the_runs_and_parents_whose_ids_end_with_it),
        in_folder(a_short_id_is_found_however_far_back_its_end_lies),
        in_folder(last_is_the_newest_that_the_caller_started_children_excluded),
        in_folder(last_failed_is_the_newest_ended_run_without_success),
        in_folder(a_search_continues_page_by_page_past_hidden_rows),
        cmocka_unit_test(text_that_is_no_run_is_refused_with_the_valid_forms),
        cmocka_unit_test(ids_are_compared_from_the_end),
        in_folder(a_store_of_the_first_schema_can_be_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
