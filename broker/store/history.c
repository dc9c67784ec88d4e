/* history.c - the answers: pages of history, the records of a run, stretches of events. Each is one
 * short read. */
#include <errno.h>
#include <string.h>

#include "broker/store/inside.h"
#include "trust/grants.h"

enum {
    H_RUNS,
    H_PARENTS,
    H_RUN_LSNS,
    H_PARENT_LSNS,
    H_LIVE_LSNS,
    H_RECORD,
    H_EVENTS,
    H_BEGIN_LIVE,
    H_SINCE,
    H_OLDEST,
    H_RUN_KEY,
    H_PARENT_KEY
};
enum { SCAN_MAX = 20000 }; /* rows looked at for one page: about 20 ms */

/* clang-format off */
static const char *const SQL[HISTORY_STATEMENTS] = {
    [H_RUNS] =
        "SELECT " ROW_OF_RUN ", journal.at "
        "FROM ended_run JOIN journal ON journal.lsn = ended_run.lsn "
        "WHERE ended_run.lsn < ?1 "
        "ORDER BY ended_run.lsn DESC "
        "LIMIT ?2",
    [H_PARENTS] =
        "SELECT " ROW_OF_PARENT ", ended_at "
        "FROM ended_parent "
        "WHERE lsn < ?1 "
        "ORDER BY lsn DESC "
        "LIMIT ?2",
    [H_RUN_LSNS] = "SELECT lsns, lsn FROM ended_run WHERE run = ?1",
    [H_PARENT_LSNS] = "SELECT lsns, lsn FROM ended_parent WHERE run = ?1",
    [H_LIVE_LSNS] = "SELECT lsn FROM live WHERE entity = ?1 ORDER BY lsn",
    [H_RECORD] = "SELECT lsn, body FROM journal WHERE lsn = ?1",
    [H_EVENTS] =
        "SELECT lsn, body, run, kind "
        "FROM journal "
        "WHERE lsn > ?1 AND lsn <= ?2 "
        "ORDER BY lsn "
        "LIMIT ?3",
    [H_BEGIN_LIVE] =
        "SELECT j.lsn, j.body "
        "FROM live l JOIN journal j ON j.lsn = l.lsn "
        "WHERE l.entity = ?1 "
        "ORDER BY l.lsn "
        "LIMIT 1",
    [H_SINCE] = "SELECT lsn FROM journal WHERE lsn > ?1 AND at >= ?2 ORDER BY lsn LIMIT 1",
    [H_OLDEST] = "SELECT min(lsn) FROM journal",
    [H_RUN_KEY] =
        "SELECT lsn, run, digest "
        "FROM ended_run "
        "WHERE key = ?1 AND principal = ?2 "
        "ORDER BY lsn DESC "
        "LIMIT 1",
    [H_PARENT_KEY] =
        "SELECT lsn, run, digest "
        "FROM ended_parent "
        "WHERE key = ?1 AND principal = ?2 "
        "ORDER BY lsn DESC "
        "LIMIT 1",
};
/* clang-format on */

static sqlite3_stmt *statement(struct history *h, unsigned which, struct answer *a)
{
    sqlite3_stmt *st = db_statement(h->db, &h->st[which], SQL[which], &a->public.err);
    if (!st)
        a->public.rc = a->public.err.code;
    return st;
}

static bool failed(struct history *h, struct answer *a, sqlite3_stmt *st, int rc)
{
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        a->public.rc = db_error(h->db, rc, "reading history", &a->public.err);
    sqlite3_reset(st);
    return a->public.rc < 0;
}

/* Bytes go into the arena, which may move as it grows, so spans and texts hold offsets until
 * settle(). */
static const uint8_t *keep(struct answer *a, const void *p, size_t n)
{
    size_t at = a->arena.n;
    buf_add(&a->arena, p, n);
    return (const uint8_t *)(uintptr_t)at;
}

static const char *keep_text(struct answer *a, sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return (const char *)keep(a, text ? text : "", (text ? strlen(text) : 0) + 1);
}

static void settle_records(struct answer *a, struct store_record *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        v[i].body.p = a->arena.p + (uintptr_t)v[i].body.p;
}

static void settle(struct answer *a)
{
    for (unsigned i = 0; i < a->public.n_rows; i++) {
        const char **texts[] = {&a->rows[i].principal, &a->rows[i].key,    &a->rows[i].job,
                                &a->rows[i].address,   &a->rows[i].server, &a->rows[i].task,
                                &a->rows[i].message,   &a->rows[i].item};
        for (unsigned k = 0; k < sizeof texts / sizeof *texts; k++)
            *texts[k] = (const char *)a->arena.p + (uintptr_t)*texts[k];
    }
    settle_records(a, a->records, a->public.n_records);
    settle_records(a, a->begins, a->public.n_begins);
    for (unsigned i = 0; i < a->public.n_trail; i++) {
        a->trail[i].body.p = a->arena.p + (uintptr_t)a->trail[i].body.p;
        a->trail[i].certificate.p = a->arena.p + (uintptr_t)a->trail[i].certificate.p;
    }
    a->public.rows = a->rows;
    a->public.records = a->records;
    a->public.begins = a->begins;
    a->public.trail = a->trail;
}

static void add_record(struct answer *a, struct store_record **v, unsigned *n, unsigned *cap,
                       sqlite3_stmt *st)
{
    struct span body = db_bytes(st, 1);
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *v = mem_realloc(*v, *cap, sizeof **v);
    }
    (*v)[*n].lsn = (uint64_t)sqlite3_column_int64(st, 0);
    (*v)[(*n)++].body = span_of(keep(a, body.p, body.n), body.n);
}

void answer_add_record(struct answer *a, sqlite3_stmt *st)
{
    add_record(a, &a->records, &a->public.n_records, &a->cap_records, st);
}

struct span answer_keep(struct answer *a, struct span bytes)
{
    return span_of(keep(a, bytes.p, bytes.n), bytes.n);
}

/* ---- Pages of history */
static void id_from(sqlite3_stmt *st, int column, struct id *ret)
{
    struct span s = db_bytes(st, column);
    if (s.n == sizeof *ret)
        memcpy(ret, s.p, s.n);
}

static bool glob(const char *pattern, const char *text)
{
    return !*pattern || grants_glob_matches(pattern, span_str(text ? text : ""));
}

static bool row_matches(sqlite3_stmt *st, const struct store_filter *f)
{
    struct id parent = ID_ZERO;
    int64_t ended = sqlite3_column_int64(st, 20);
    id_from(st, 2, &parent);
    return glob(f->principal, (const char *)sqlite3_column_text(st, 4)) &&
           glob(f->job, (const char *)sqlite3_column_text(st, 6)) &&
           glob(f->address, (const char *)sqlite3_column_text(st, 7)) &&
           glob(f->server, (const char *)sqlite3_column_text(st, 8)) &&
           (id_is_zero(f->parent) || id_eq(parent, f->parent)) &&
           (!f->status || sqlite3_column_int(st, 17) == f->status - 1) &&
           (!f->since || ended >= f->since) && (!f->until || ended < f->until);
}

static struct store_ended *new_row(struct answer *a)
{
    if (a->public.n_rows == a->cap_rows) {
        a->cap_rows = a->cap_rows ? a->cap_rows * 2 : 64;
        a->rows = mem_realloc(a->rows, a->cap_rows, sizeof *a->rows);
    }
    return memset(&a->rows[a->public.n_rows++], 0, sizeof *a->rows);
}

static void hash_from(sqlite3_stmt *st, int column, struct hash *ret)
{
    struct span s = db_bytes(st, column);
    if (s.n == sizeof *ret)
        memcpy(ret, s.p, s.n);
}

struct store_ended *answer_add_row(struct answer *a, sqlite3_stmt *st)
{
    struct store_ended *r = new_row(a);
    r->lsn = (uint64_t)sqlite3_column_int64(st, 0);
    id_from(st, 1, &r->run);
    id_from(st, 2, &r->parent);
    hash_from(st, 3, &r->job_hash);
    const char **texts[] = {&r->principal, &r->key,  &r->job,    &r->address,
                            &r->server,    &r->task, &r->message};
    for (int k = 0; k < 7; k++)
        *texts[k] = keep_text(a, st, 4 + k);
    uint64_t *numbers[] = {&r->index,       &r->try_no,  &r->attempt, &r->delivery,
                           &r->job_outcome, &r->package, &r->status};
    for (int k = 0; k < 7; k++)
        *numbers[k] = (uint64_t)sqlite3_column_int64(st, 11 + k);
    r->called_at = sqlite3_column_int64(st, 18);
    r->started_at = sqlite3_column_int64(st, 19);
    r->ended_at = sqlite3_column_int64(st, 20);
    r->item = keep_text(a, st, 21);
    return r;
}

static void answer_history(struct history *h, const struct store_question *q, struct answer *a,
                           unsigned which)
{
    sqlite3_stmt *st = statement(h, which, a);
    unsigned scanned = 0;
    uint64_t last = 0;
    int rc = SQLITE_DONE;
    if (!st)
        return;
    sqlite3_bind_int64(st, 1, q->after ? (int64_t)q->after : INT64_MAX);
    sqlite3_bind_int64(st, 2, SCAN_MAX);
    while (a->public.n_rows < q->most && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        last = (uint64_t)sqlite3_column_int64(st, 0);
        scanned++;
        if (q->filter.since && sqlite3_column_int64(st, ROW_COLUMNS) < q->filter.since - 86400000) {
            /* ends are in order unless the clock jumps: a day of slack */
            rc = SQLITE_DONE;
            scanned = 0;
            break;
        }
        if (row_matches(st, &q->filter))
            answer_add_row(a, st);
    }
    if (!failed(h, a, st, rc) && (rc == SQLITE_ROW || scanned == SCAN_MAX))
        a->public.next = last;
}

static void answer_key(struct history *h, const struct store_question *q, struct answer *a)
{
    sqlite3_stmt *st = statement(h, q->parent ? H_PARENT_KEY : H_RUN_KEY, a);
    if (!st)
        return;
    db_bind_span(st, 1, span_str(q->key));
    db_bind_span(st, 2, span_str(q->filter.principal));
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        struct store_ended *r = new_row(a);
        const char **texts[] = {&r->principal, &r->key,  &r->job,     &r->address,
                                &r->server,    &r->task, &r->message, &r->item};
        for (int k = 0; k < 8; k++)
            *texts[k] = (const char *)keep(a, "", 1);
        r->lsn = (uint64_t)sqlite3_column_int64(st, 0);
        id_from(st, 1, &r->run);
        hash_from(st, 2, &r->digest);
    }
    failed(h, a, st, rc);
}

/* ---- Records */
static void record_by_lsn(struct history *h, uint64_t lsn, struct answer *a)
{
    sqlite3_stmt *st = statement(h, H_RECORD, a);
    if (!st)
        return;
    sqlite3_bind_int64(st, 1, (int64_t)lsn);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        add_record(a, &a->records, &a->public.n_records, &a->cap_records, st);
    failed(h, a, st, rc);
}

/* `end`: lsn of the run's end; 0: it has not ended. */
static void records_by_lsns(struct history *h, struct span lsns, uint64_t end, unsigned most,
                            struct answer *a)
{
    const size_t n = lsns.n / 8;
    for (size_t i = 0; i < n && a->public.rc == 0; i++) {
        uint64_t lsn;
        memcpy(&lsn, lsns.p + 8 * i, 8);
        bool wanted = i == 0 || lsn == end || n <= most || i < most / 2 || i >= n - most / 2;
        if (wanted)
            record_by_lsn(h, lsn, a);
        else
            a->public.left_out++;
    }
}

static bool records_of_ended(struct history *h, unsigned which, const struct store_question *q,
                             struct answer *a)
{
    sqlite3_stmt *st = statement(h, which, a);
    struct buf lsns = {0};
    uint64_t end = 0;
    if (!st)
        return true;
    db_bind_bytes(st, 1, q->run.b, sizeof q->run.b);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        struct span s = db_bytes(st, 0);
        buf_add(&lsns, s.p, s.n);
        end = (uint64_t)sqlite3_column_int64(st, 1);
    }
    if (!failed(h, a, st, rc))
        records_by_lsns(h, buf_span(&lsns), end, q->most, a);
    buf_free(&lsns);
    return rc != SQLITE_DONE;
}

static void answer_records(struct history *h, const struct store_question *q, struct answer *a)
{
    if (records_of_ended(h, H_RUN_LSNS, q, a) || records_of_ended(h, H_PARENT_LSNS, q, a))
        return;
    sqlite3_stmt *st = statement(h, H_LIVE_LSNS, a);
    struct buf lsns = {0};
    if (!st)
        return;
    int rc;
    db_bind_bytes(st, 1, q->run.b, sizeof q->run.b);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t lsn = (uint64_t)sqlite3_column_int64(st, 0);
        buf_add(&lsns, &lsn, 8);
    }
    if (!failed(h, a, st, rc))
        records_by_lsns(h, buf_span(&lsns), 0, q->most, a);
    buf_free(&lsns);
}

/* ---- Events */
static bool add_begin_by_lsn(struct history *h, uint64_t lsn, struct answer *a)
{
    sqlite3_stmt *st = statement(h, H_RECORD, a);
    if (!st)
        return false;
    sqlite3_bind_int64(st, 1, (int64_t)lsn);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        add_record(a, &a->begins, &a->public.n_begins, &a->cap_begins, st);
    return !failed(h, a, st, rc) && rc == SQLITE_ROW;
}

/* Adds the first record of an ended run, which is the first in its row's list. */
static bool begin_of_ended(struct history *h, unsigned which, struct span run, struct answer *a)
{
    sqlite3_stmt *st = statement(h, which, a);
    uint64_t lsn = 0;
    if (!st)
        return true;
    db_bind_bytes(st, 1, run.p, run.n);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && db_bytes(st, 0).n >= 8)
        memcpy(&lsn, db_bytes(st, 0).p, 8);
    if (failed(h, a, st, rc) || rc != SQLITE_ROW)
        return a->public.rc < 0;
    if (lsn)
        add_begin_by_lsn(h, lsn, a);
    return true;
}

static void add_begin(struct history *h, struct span run, struct answer *a)
{
    if (begin_of_ended(h, H_RUN_LSNS, run, a) || begin_of_ended(h, H_PARENT_LSNS, run, a))
        return;
    sqlite3_stmt *st = statement(h, H_BEGIN_LIVE, a);
    if (!st)
        return;
    db_bind_bytes(st, 1, run.p, run.n);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        add_record(a, &a->begins, &a->public.n_begins, &a->cap_begins, st);
    failed(h, a, st, rc);
}

static bool number_of(struct history *h, unsigned which, uint64_t x, int64_t y, uint64_t *ret,
                      struct answer *a)
{
    sqlite3_stmt *st = statement(h, which, a);
    if (!st)
        return false;
    if (sqlite3_bind_parameter_count(st)) {
        sqlite3_bind_int64(st, 1, (int64_t)x);
        sqlite3_bind_int64(st, 2, y);
    }
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
    return !failed(h, a, st, rc) && rc == SQLITE_ROW;
}

static void begins_of(struct history *h, struct answer *a, const struct buf *runs)
{
    for (size_t at = 0; at < runs->n && a->public.rc == 0; at += sizeof(struct id)) {
        bool seen = false;
        for (size_t k = 0; k < at && !seen; k += sizeof(struct id))
            seen = memcmp(runs->p + k, runs->p + at, sizeof(struct id)) == 0;
        if (!seen)
            add_begin(h, span_of(runs->p + at, sizeof(struct id)), a);
    }
}

static void answer_events(struct history *h, const struct store_question *q, struct answer *a)
{
    uint64_t after = q->after, first;
    size_t most = q->most_bytes ? q->most_bytes : LIMIT_FRAME;
    struct buf runs = {0};
    int rc = SQLITE_DONE;
    number_of(h, H_OLDEST, 0, 0, &a->public.oldest, a);
    if (q->since)
        after = number_of(h, H_SINCE, after, q->since, &first, a) ? first - 1 : q->upto;
    a->public.next = q->upto;
    sqlite3_stmt *st = a->public.rc == 0 ? statement(h, H_EVENTS, a) : NULL;
    if (!st)
        return;
    sqlite3_bind_int64(st, 1, (int64_t)after);
    sqlite3_bind_int64(st, 2, (int64_t)q->upto);
    sqlite3_bind_int64(st, 3, INT64_MAX);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (a->public.n_records == q->most || (a->arena.n >= most && a->public.n_records)) {
            a->public.next = a->records[a->public.n_records - 1].lsn;
            break;
        }
        int kind = sqlite3_column_int(st, 3);
        struct span run = db_bytes(st, 2);
        add_record(a, &a->records, &a->public.n_records, &a->cap_records, st);
        if (run.n == sizeof(struct id) && kind != KIND_R_CALLED && kind != KIND_R_PARENT_BEGUN)
            buf_add(&runs, run.p, run.n);
    }
    if (!failed(h, a, st, rc))
        begins_of(h, a, &runs);
    buf_free(&runs);
}

static void find(struct history *h, const struct store_question *q, struct answer *a)
{
    switch (q->what) {
    case STORE_HISTORY:
        answer_history(h, q, a, H_RUNS);
        break;
    case STORE_PARENTS:
        answer_history(h, q, a, H_PARENTS);
        break;
    case STORE_KEY:
        answer_key(h, q, a);
        break;
    case STORE_RECORDS:
        answer_records(h, q, a);
        break;
    case STORE_RECORD:
        record_by_lsn(h, q->lsn, a);
        break;
    case STORE_EVENTS:
        answer_events(h, q, a);
        break;
    case STORE_FIND:
        find_answer(h, q, a);
        break;
    case STORE_AUDIT:
    case STORE_TRAIL:
    case STORE_AUDIT_DUE:
        audit_answer(h, q, a);
        break;
    }
}

/* The whole answer sees the file at one moment; the transaction must end, or later answers would
 * see that moment too. */
void history_answer(struct history *h, const struct store_question *q, struct answer *a)
{
    struct error err = {0};
    if ((a->public.rc = db_exec(h->db, "BEGIN", &a->public.err)) == 0) {
        find(h, q, a);
        if (db_exec(h->db, "COMMIT", &err) < 0 && a->public.rc == 0) {
            a->public.rc = err.code;
            a->public.err = err;
        }
    }
    settle(a);
}

void history_free(struct history *h)
{
    db_finalize(h->st, HISTORY_STATEMENTS);
    db_finalize(h->find, FIND_STATEMENTS);
    sqlite3_close(h->db);
    h->db = NULL;
}

void answer_free(struct answer *a)
{
    mem_free(&a->rows);
    mem_free(&a->records);
    mem_free(&a->begins);
    mem_free(&a->trail);
    buf_free(&a->arena);
}
