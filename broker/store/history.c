/* history.c - the answers: pages of history, the records of a run, stretches of events. Each is one
 * short read, or a few that go on from one another. */
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
    H_FROM,
    H_OLDEST,
    H_RUN_KEY,
    H_PARENT_KEY
};
enum {
    SCAN_MAX = 20000,           /* rows looked at for one page: about 20 ms, in steps */
    RUN_BYTES = 2 * LIMIT_FRAME /* of the records of one run: its first one and its end fit */
};

/* INDEXED BY: left to itself, SQLite finds a key by going through all that its principal ever
 * called. */
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
        "ORDER BY lsn",
    [H_BEGIN_LIVE] =
        "SELECT j.lsn, j.body "
        "FROM live l JOIN journal j ON j.lsn = l.lsn "
        "WHERE l.entity = ?1 "
        "ORDER BY l.lsn "
        "LIMIT 1",
    [H_FROM] = "SELECT lsn, at FROM journal WHERE lsn >= ?1 ORDER BY lsn LIMIT 1",
    [H_OLDEST] = "SELECT min(lsn) FROM journal",
    [H_RUN_KEY] =
        "SELECT lsn, run, digest FROM ended_run INDEXED BY ended_run_key "
        "WHERE key = ?1 AND principal = ?2 "
        "UNION ALL "
        "SELECT lsn, run, digest FROM ended_key INDEXED BY ended_key_key "
        "WHERE key = ?1 AND principal = ?2 AND parent = 0 "
        "ORDER BY 1 DESC "
        "LIMIT 1",
    [H_PARENT_KEY] =
        "SELECT lsn, run, digest FROM ended_parent INDEXED BY ended_parent_key "
        "WHERE key = ?1 AND principal = ?2 "
        "UNION ALL "
        "SELECT lsn, run, digest FROM ended_key INDEXED BY ended_key_key "
        "WHERE key = ?1 AND principal = ?2 AND parent = 1 "
        "ORDER BY 1 DESC "
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

void history_settle(struct answer *a)
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
    endedkeys_settle(a);
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
    return !pattern || !*pattern || grants_glob_matches(pattern, span_str(text ? text : ""));
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

/* One step. Ends are in order unless the clock was set, so a day of slack decides where `since`
 * ends the page. False: the page needs another step. */
static bool answer_history(struct history *h, const struct store_question *q, struct answer *a,
                           unsigned which)
{
    sqlite3_stmt *st = statement(h, which, a);
    uint64_t from = a->at ? a->at : q->after;
    unsigned n = 0;
    bool before = false;
    int rc = SQLITE_DONE;
    if (!st)
        return true;
    sqlite3_bind_int64(st, 1, from ? (int64_t)from : INT64_MAX);
    sqlite3_bind_int64(st, 2, STORE_STEP_ROWS);
    while (a->public.n_rows < q->most && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        a->at = (uint64_t)sqlite3_column_int64(st, 0);
        n++;
        before = q->filter.since &&
                 sqlite3_column_int64(st, ROW_COLUMNS) + (int64_t)86400000 < q->filter.since;
        if (before)
            break;
        if (row_matches(st, &q->filter))
            answer_add_row(a, st);
    }
    a->scanned += n;
    bool full = rc == SQLITE_ROW && !before;
    bool last = failed(h, a, st, rc) || before || (!full && n < STORE_STEP_ROWS);
    bool page = !last && (full || a->scanned >= SCAN_MAX);
    a->public.next = page ? a->at : 0;
    return last || page;
}

static void answer_key(struct history *h, const struct store_question *q, struct answer *a)
{
    sqlite3_stmt *st = statement(h, q->parent ? H_PARENT_KEY : H_RUN_KEY, a);
    if (!st)
        return;
    db_bind_span(st, 1, span_str(q->key ? q->key : ""));
    db_bind_span(st, 2, span_str(q->filter.principal ? q->filter.principal : ""));
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

/* `end`: lsn of the run's end; 0: it has not ended. Beyond RUN_BYTES only the end is added. */
static void records_by_lsns(struct history *h, struct span lsns, uint64_t end, unsigned most,
                            struct answer *a)
{
    const size_t n = lsns.n / 8;
    for (size_t i = 0; i < n && a->public.rc == 0; i++) {
        uint64_t lsn;
        memcpy(&lsn, lsns.p + 8 * i, 8);
        bool wanted = n <= most || i < most / 2 || i >= n - most / 2;
        if (i == 0 || lsn == end || (wanted && a->arena.n < RUN_BYTES))
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

static bool number_of(struct history *h, unsigned which, uint64_t *ret, struct answer *a)
{
    sqlite3_stmt *st = statement(h, which, a);
    if (!st)
        return false;
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
    return !failed(h, a, st, rc) && rc == SQLITE_ROW;
}

/* The number before the first record in (after, upto] whose time is `since` or later, found in some
 * 50 looks: times grow with the numbers, unless the clock was set back. */
static uint64_t before_time(struct history *h, uint64_t after, uint64_t upto, int64_t since,
                            struct answer *a)
{
    sqlite3_stmt *st = statement(h, H_FROM, a);
    while (st && a->public.rc == 0 && after < upto) {
        uint64_t middle = after + (upto - after) / 2, lsn = UINT64_MAX;
        int64_t at = INT64_MAX;
        sqlite3_bind_int64(st, 1, (int64_t)middle + 1);
        int rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            lsn = (uint64_t)sqlite3_column_int64(st, 0);
            at = sqlite3_column_int64(st, 1);
        }
        failed(h, a, st, rc);
        if (at >= since)
            upto = middle;
        else
            after = lsn;
    }
    return after;
}

/* The first record of the run of the record just added, once for each run. Its bytes count for the
 * page: calls may be long, and records short. */
static void add_begin_once(struct history *h, struct answer *a, struct span run, struct buf *runs)
{
    for (size_t at = 0; at < runs->n; at += sizeof(struct id))
        if (memcmp(runs->p + at, run.p, sizeof(struct id)) == 0)
            return;
    buf_add(runs, run.p, sizeof(struct id));
    add_begin(h, run, a);
}

static void answer_events(struct history *h, const struct store_question *q, struct answer *a)
{
    uint64_t after = q->after;
    size_t most = q->most_bytes ? q->most_bytes : LIMIT_FRAME;
    struct buf runs = {0};
    int rc = SQLITE_DONE;
    number_of(h, H_OLDEST, &a->public.oldest, a);
    if (q->since)
        after = before_time(h, after, q->upto, q->since, a);
    a->public.next = q->upto;
    sqlite3_stmt *st = a->public.rc == 0 ? statement(h, H_EVENTS, a) : NULL;
    if (!st)
        return;
    sqlite3_bind_int64(st, 1, (int64_t)after);
    sqlite3_bind_int64(st, 2, (int64_t)q->upto);
    while (a->public.rc == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (a->public.n_records == q->most || (a->arena.n >= most && a->public.n_records)) {
            a->public.next = a->records[a->public.n_records - 1].lsn;
            break;
        }
        int kind = sqlite3_column_int(st, 3);
        struct span run = db_bytes(st, 2);
        add_record(a, &a->records, &a->public.n_records, &a->cap_records, st);
        if (run.n == sizeof(struct id) && kind != KIND_R_CALLED && kind != KIND_R_PARENT_BEGUN)
            add_begin_once(h, a, run, &runs);
    }
    failed(h, a, st, rc);
    buf_free(&runs);
}

/* False: the answer needs another step. */
static bool find(struct history *h, const struct store_question *q, struct answer *a)
{
    switch (q->what) {
    case STORE_HISTORY:
        return answer_history(h, q, a, H_RUNS);
    case STORE_PARENTS:
        return answer_history(h, q, a, H_PARENTS);
    case STORE_KEY:
        answer_key(h, q, a);
        break;
    case STORE_ENDED_KEYS:
        return endedkeys_answer(h, q, a);
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
    return true;
}

/* A step sees the file at one moment; the transaction must end, or later steps would see that
 * moment too. */
bool history_answer(struct history *h, const struct store_question *q, struct answer *a)
{
    struct error err = {0};
    bool whole = true;
    if ((a->public.rc = db_exec(h->db, "BEGIN", &a->public.err)) == 0) {
        whole = find(h, q, a);
        if (db_exec(h->db, "COMMIT", &err) < 0 && a->public.rc == 0) {
            a->public.rc = err.code;
            a->public.err = err;
        }
    }
    return whole || a->public.rc < 0;
}

void history_free(struct history *h)
{
    db_finalize(h->st, HISTORY_STATEMENTS);
    db_finalize(h->find, FIND_STATEMENTS);
    sqlite3_finalize(h->ended_keys);
    h->ended_keys = NULL;
    sqlite3_close(h->db);
    h->db = NULL;
}

void answer_free(struct answer *a)
{
    mem_free(&a->rows);
    mem_free(&a->records);
    mem_free(&a->begins);
    mem_free(&a->trail);
    mem_free(&a->keys);
    buf_free(&a->arena);
}
