/* testing.c - see testing.h. */
#include "broker/store/testing.h"

void testing_on_committed(void *self, uint64_t lsn)
{
    ((struct store_heard *)self)->committed = lsn;
}

void testing_on_full(void *self, bool full)
{
    struct store_heard *h = self;
    h->full = full;
    h->fulls += full;
}

struct store *testing_open(void **state, struct store_options *o)
{
    struct store_options mine = {0};
    struct store *s = NULL;
    struct error err = {0};
    o = o ? o : &mine;
    o->path = testing_path(state, "broker.db");
    o->no_pregrow = true;
    o->reserve_bytes = o->reserve_bytes ? o->reserve_bytes : 1;
    if (store_open(&s, o, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

int testing_take_nothing(void *self, uint64_t lsn, struct span body, struct error *err)
{
    (void)self, (void)lsn, (void)body, (void)err;
    return 0;
}

void testing_start(struct store *s, struct store_heard *h)
{
    struct error err = {0};
    memset(h, 0, sizeof *h);
    assert_int_equal(store_load(s, testing_take_nothing, NULL, &err), 0);
    h->committed = store_committed(s);
    assert_int_equal(
        store_start(s, &(struct store_calls){h, testing_on_committed, testing_on_full}, &err), 0);
}

void testing_hear(struct store *s)
{
    struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    store_dispatch(s);
}

void testing_wait_committed(struct store *s, struct store_heard *h, uint64_t lsn)
{
    while (h->committed < lsn)
        testing_hear(s);
}

struct id testing_run_id(unsigned n)
{
    struct id id = {{7}};
    memcpy(id.b + 12, &n, 4);
    return id;
}

void testing_add(struct store *s, uint64_t lsn, struct buf *body)
{
    struct bcore_record r = {lsn, buf_span(body)};
    store_append(s, &r, 1);
    buf_free(body);
}

void testing_called(struct store *s, uint64_t lsn, unsigned n, const char *job)
{
    struct buf call = {0}, envelope = {0}, body = {0};
    char key[40];
    snprintf(key, sizeof key, "key-%u", n);
    struct d_call c = {.cluster = span_str("test"),
                       .caller = span_str("anna"),
                       .key = span_str(key),
                       .job = span_str(job),
                       .address = span_str("etl")};
    d_call_encode(&c, &call);
    uint8_t signature[64] = {0};
    struct d_signed d = {
        .signer = span_str("anna"), .body = buf_span(&call), .signature = span_of(signature, 64)};
    d_signed_encode(&d, &envelope);
    struct r_called r = {.at = 1000 + (int64_t)lsn,
                         .run = testing_run_id(n),
                         .principal = span_str("anna"),
                         .call = buf_span(&envelope)};
    r.digest.b[0] = (uint8_t)n;
    r_called_encode(&r, &body);
    testing_add(s, lsn, &body);
    buf_free(&call);
    buf_free(&envelope);
}

void testing_assigned(struct store *s, uint64_t lsn, unsigned n)
{
    struct buf body = {0};
    struct r_assigned r = {.at = 1000 + (int64_t)lsn,
                           .run = testing_run_id(n),
                           .attempt = 1,
                           .server = span_str("etl1")};
    r_assigned_encode(&r, &body);
    testing_add(s, lsn, &body);
}

void testing_ended_at(struct store *s, uint64_t lsn, unsigned n, uint64_t status, int64_t at,
                      int64_t outcome_at)
{
    struct buf body = {0}, outcome = {0}, step = {0}, steps = {0};
    struct d_step_outcome so = {.name = span_str("say \"hi\""),
                                .try_no = 1,
                                .package = PACKAGE_FAILED,
                                .exit_code = 4,
                                .message = span_str("no such table")};
    d_step_outcome_encode(&so, &step);
    wire_add_bin(&steps, buf_span(&step));
    struct d_outcome o = {.status = status,
                          .job = JOB_FAILED,
                          .package = PACKAGE_FAILED,
                          .message = span_str("no"),
                          .ended_at = outcome_at,
                          .steps = wire_list_from(&steps, 1)};
    d_outcome_encode(&o, &outcome);
    struct r_ended r = {.at = at,
                        .run = testing_run_id(n),
                        .attempt = 1,
                        .server = span_str("etl1"),
                        .outcome = buf_span(&outcome),
                        .reported = true};
    r_ended_encode(&r, &body);
    testing_add(s, lsn, &body);
    buf_free(&outcome);
    buf_free(&step);
    buf_free(&steps);
}

void testing_ended(struct store *s, uint64_t lsn, unsigned n, uint64_t status)
{
    testing_ended_at(s, lsn, n, status, 1000 + (int64_t)lsn, 0);
}

void testing_operated(struct store *s, uint64_t lsn, const char *verb, const char *target)
{
    struct buf body = {0};
    struct r_operated r = {.at = 1000 + (int64_t)lsn,
                           .by = span_str("root"),
                           .verb = span_str(verb),
                           .target = span_str(target),
                           .reason = span_str("test")};
    r_operated_encode(&r, &body);
    testing_add(s, lsn, &body);
}

static int testing_note_load(void *self, uint64_t lsn, struct span body, struct error *err)
{
    uint64_t kind;
    size_t size;
    (void)err;
    assert_int_equal(wire_peek(body, &kind, &size, NULL), 0);
    buf_printf(self, "%llu@%llu ", (unsigned long long)kind, (unsigned long long)lsn);
    return 0;
}

void testing_assert_loads(void **state, const char *expected, struct store_options *o)
{
    struct store *s = testing_open(state, o);
    struct buf text = {0};
    struct error err = {0};
    assert_int_equal(store_load(s, testing_note_load, &text, &err), 0);
    assert_string_equal(buf_str(&text), expected);
    buf_free(&text);
    store_close(&s);
}

void testing_take_answer(void *self, const struct store_answer *a)
{
    struct store_got *g = self;
    g->done = true;
    g->rc = a->rc;
    g->n_rows = a->n_rows;
    g->n_records = a->n_records;
    g->n_begins = a->n_begins;
    g->n_keys = a->n_keys;
    g->next = a->next;
    if (a->n_rows)
        g->row = a->rows[0], g->first_lsn = a->rows[0].lsn;
    if (a->n_records)
        g->first_lsn = a->records[0].lsn;
}

struct store_got testing_ask(struct store *s, struct store_question q)
{
    struct store_got g = {0};
    store_ask(s, &q, testing_take_answer, &g);
    while (!g.done)
        testing_hear(s);
    assert_int_equal(g.rc, 0);
    return g;
}

char *testing_shell(void **state, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open_v2(testing_path(state, "broker.db"), &db,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    int rc = sqlite3_step(st);
    char *text = rc == SQLITE_ROW && sqlite3_column_text(st, 0)
                     ? mem_strdup((const char *)sqlite3_column_text(st, 0))
                     : mem_strdup("");
    sqlite3_finalize(st);
    sqlite3_close(db);
    return text;
}

void testing_assert_shell(void **state, const char *sql, const char *expected)
{
    char *text = testing_shell(state, sql);
    assert_string_equal(text, expected);
    mem_free(&text);
}

void testing_filled(void **state, unsigned runs)
{
    struct store_heard h;
    struct store *s = testing_open(state, NULL);
    testing_start(s, &h);
    for (unsigned i = 0; i < runs; i++)
        testing_called(s, i + 1, i, "load");
    testing_wait_committed(s, &h, runs);
    store_close(&s);
}
