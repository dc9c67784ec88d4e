/* audit.c - the audit trail on disk: written by the one writer, in the transaction of the act that
 * an entry is about; read page by page. */
#include <errno.h>
#include <string.h>

#include "broker/store/inside.h"
#include "trust/envelope.h"

/* ---- The queue */
struct audit_head_of_piece {
    uint64_t what, number, seq, body;
    int64_t at;
    struct hash hash;
};

void audit_pack(const struct store_audit *a, struct buf *out)
{
    struct audit_head_of_piece h = {.what = a->what,
                                    .number = a->number,
                                    .seq = a->seq,
                                    .body = a->body.n,
                                    .at = a->at,
                                    .hash = a->hash};
    buf_add(out, &h, sizeof h);
    buf_add(out, a->body.p, a->body.n);
    buf_add(out, a->certificate.p, a->certificate.n);
}

int audit_unpack(struct span bytes, struct store_audit *ret, struct error *err)
{
    struct audit_head_of_piece h;
    if (bytes.n < sizeof h)
        return error_set(err, -EINVAL, "a piece of the audit trail is cut: a bug in Longboat");
    memcpy(&h, bytes.p, sizeof h);
    const uint8_t *body = bytes.p + sizeof h;
    *ret = (struct store_audit){.what = (enum store_audit_what)h.what,
                                .number = h.number,
                                .seq = h.seq,
                                .at = h.at,
                                .hash = h.hash,
                                .body = span_of(body, h.body),
                                .certificate = span_of(body + h.body, bytes.n - sizeof h - h.body)};
    return 0;
}

/* ---- Writing */
/* clang-format off */
static const char *const WRITE[AUDIT_STATEMENTS] = {
    [AUDIT_INSERT_ENTRY] = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4)",
    [AUDIT_INSERT_CHECKPOINT] = "INSERT INTO audit_checkpoint VALUES (?1, ?2, ?3, ?4, ?5)",
    [AUDIT_ALLOW_DROP] = "UPDATE meta SET value = max(value, ?1) WHERE name = 'audit_dropped'",
    [AUDIT_DROP_ENTRIES] = "DELETE FROM audit WHERE number <= ?1",
};
/* clang-format on */

static int with_number(sqlite3 *db, sqlite3_stmt **st, unsigned which, int64_t n, struct error *err)
{
    sqlite3_stmt *s = db_statement(db, &st[which], WRITE[which], err);
    if (!s)
        return -EIO;
    sqlite3_bind_int64(s, 1, n);
    return db_run(db, s, err);
}

static int write_entry(sqlite3 *db, sqlite3_stmt **st, const struct store_audit *a,
                       struct error *err)
{
    sqlite3_stmt *s = db_statement(db, &st[AUDIT_INSERT_ENTRY], WRITE[AUDIT_INSERT_ENTRY], err);
    if (!s)
        return -EIO;
    sqlite3_bind_int64(s, 1, (int64_t)a->number);
    sqlite3_bind_int64(s, 2, a->at);
    db_bind_bytes(s, 3, a->body.p, a->body.n);
    db_bind_bytes(s, 4, a->hash.b, sizeof a->hash.b);
    return db_run(db, s, err);
}

static int write_checkpoint(sqlite3 *db, sqlite3_stmt **st, const struct store_audit *a,
                            struct error *err)
{
    sqlite3_stmt *s =
        db_statement(db, &st[AUDIT_INSERT_CHECKPOINT], WRITE[AUDIT_INSERT_CHECKPOINT], err);
    if (!s)
        return -EIO;
    sqlite3_bind_int64(s, 1, (int64_t)a->seq);
    sqlite3_bind_int64(s, 2, (int64_t)a->number);
    sqlite3_bind_int64(s, 3, a->at);
    db_bind_bytes(s, 4, a->body.p, a->body.n);
    db_bind_bytes(s, 5, a->certificate.p, a->certificate.n);
    return db_run(db, s, err);
}

int audit_write(sqlite3 *db, sqlite3_stmt *st[AUDIT_STATEMENTS], const struct store_audit *a,
                struct error *err)
{
    int rc = 0;
    switch (a->what) {
    case STORE_AUDIT_ENTRY:
        return write_entry(db, st, a, err);
    case STORE_AUDIT_CHECKPOINT:
        return write_checkpoint(db, st, a, err);
    case STORE_AUDIT_DROP:
        rc = with_number(db, st, AUDIT_ALLOW_DROP, (int64_t)a->number, err);
        if (rc == 0)
            rc = with_number(db, st, AUDIT_DROP_ENTRIES, (int64_t)a->number, err);
    }
    return rc;
}

/* ---- The end, for a broker that starts */
static int read_last(sqlite3 *db, const char *sql, uint64_t *ret_number, struct hash *ret_hash,
                     uint64_t *ret_seq, struct buf *ret_body, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return db_error(db, rc, sql, err);
    if ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct span bytes = db_bytes(st, 1);
        *ret_number = (uint64_t)sqlite3_column_int64(st, 0);
        if (ret_hash && bytes.n == sizeof *ret_hash)
            memcpy(ret_hash, bytes.p, bytes.n);
        if (ret_body)
            buf_add(ret_body, bytes.p, bytes.n);
        if (ret_seq)
            *ret_seq = (uint64_t)sqlite3_column_int64(st, 2);
    }
    int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(db, rc, sql, err);
    sqlite3_finalize(st);
    return result;
}

/* clang-format off */
static const char LAST_ENTRY[] = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1";
static const char FIRST_ENTRY[] = "SELECT number, hash FROM audit ORDER BY number LIMIT 1";
static const char LAST_CHECKPOINT[] =
    "SELECT number, body, seq FROM audit_checkpoint ORDER BY seq DESC LIMIT 1";
/* clang-format on */

int store_audit_end(struct store *s, struct store_audit_end *ret, struct error *err)
{
    struct buf body = {0};
    struct d_signed envelope;
    struct d_checkpoint c;
    *ret = (struct store_audit_end){0};
    int rc = read_last(s->db, LAST_ENTRY, &ret->head.number, &ret->head.hash, NULL, NULL, err);
    if (rc == 0)
        rc = read_last(s->db, FIRST_ENTRY, &ret->first, NULL, NULL, NULL, err);
    if (rc == 0)
        rc = read_last(s->db, LAST_CHECKPOINT, &ret->sealed, NULL, &ret->seq, &body, err);
    if (rc == 0 && body.n) {
        envelope_hash(buf_span(&body), &ret->previous);
        if (d_signed_decode(buf_span(&body), &envelope, NULL) == 0 &&
            d_checkpoint_decode(envelope.body, &c, NULL) == 0)
            ret->sealed_to = c.hash;
    }
    buf_free(&body);
    return rc;
}

/* ---- Answers */
enum { A_NEWEST, A_ENTRIES, A_CHECKPOINTS, A_DUE, A_STATEMENTS, A_FIRST_SLOT = 12 };
_Static_assert(A_FIRST_SLOT + A_STATEMENTS <= HISTORY_STATEMENTS, "history.c has slots for these");

/* clang-format off */
static const char *const READ[A_STATEMENTS] = {
    [A_NEWEST] = "SELECT number, body FROM audit WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
    [A_ENTRIES] =
        "SELECT number, 0, at, body, hash FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
    [A_CHECKPOINTS] =
        "SELECT number, seq, at, body, certificate "
        "FROM audit_checkpoint "
        "WHERE seq > ?1 "
        "ORDER BY seq "
        "LIMIT ?2",
    [A_DUE] =
        "WITH oldest (number) AS (SELECT min(number) FROM audit) "
        "SELECT max(number) "
        "FROM audit_checkpoint "
        "WHERE at < ?1 "
        "AND number >= (SELECT number FROM oldest) "
        "AND number < (SELECT number FROM oldest) + ?2",
};
/* clang-format on */

static sqlite3_stmt *statement(struct history *h, unsigned which, int64_t a, int64_t b,
                               struct answer *ret)
{
    sqlite3_stmt *st =
        db_statement(h->db, &h->st[A_FIRST_SLOT + which], READ[which], &ret->public.err);
    if (!st) {
        ret->public.rc = ret->public.err.code;
        return NULL;
    }
    sqlite3_bind_int64(st, 1, a);
    sqlite3_bind_int64(st, 2, b);
    return st;
}

static void finish(struct history *h, struct answer *a, sqlite3_stmt *st, int rc)
{
    if (rc != SQLITE_DONE && rc != SQLITE_ROW && a->public.rc == 0)
        a->public.rc = db_error(h->db, rc, "reading the audit trail", &a->public.err);
    sqlite3_reset(st);
}

static void newest(struct history *h, const struct store_question *q, struct answer *a)
{
    sqlite3_stmt *st = statement(h, A_NEWEST, q->after ? (int64_t)q->after : INT64_MAX, q->most, a);
    int rc = SQLITE_DONE;
    if (!st)
        return;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        a->public.next = (uint64_t)sqlite3_column_int64(st, 0);
        answer_add_record(a, st);
        if (a->arena.n >= LIMIT_FRAME)
            break;
    }
    if (rc == SQLITE_DONE && a->public.n_records < q->most)
        a->public.next = 0;
    finish(h, a, st, rc);
}

static void add_piece(struct answer *a, sqlite3_stmt *st)
{
    struct span last = db_bytes(st, 4);
    struct store_audit p = {.number = (uint64_t)sqlite3_column_int64(st, 0),
                            .seq = (uint64_t)sqlite3_column_int64(st, 1),
                            .at = sqlite3_column_int64(st, 2)};
    if (a->public.n_trail == a->cap_trail) {
        a->cap_trail = a->cap_trail ? a->cap_trail * 2 : 64;
        a->trail = mem_realloc(a->trail, a->cap_trail, sizeof *a->trail);
    }
    p.what = p.seq ? STORE_AUDIT_CHECKPOINT : STORE_AUDIT_ENTRY;
    p.body = answer_keep(a, db_bytes(st, 3));
    if (!p.seq && last.n == sizeof p.hash)
        memcpy(p.hash.b, last.p, last.n);
    p.certificate = answer_keep(a, p.seq ? last : SPAN_NONE);
    a->trail[a->public.n_trail++] = p;
}

/* Merges the two tables: a checkpoint comes after the entry that it is about. */
static void trail(struct history *h, const struct store_question *q, struct answer *a)
{
    sqlite3_stmt *entries = statement(h, A_ENTRIES, (int64_t)q->after, q->most, a);
    sqlite3_stmt *seals = statement(h, A_CHECKPOINTS, (int64_t)q->upto, q->most, a);
    if (!entries || !seals)
        return;
    int e = sqlite3_step(entries), c = sqlite3_step(seals);
    while (a->public.n_trail < q->most && (!a->public.n_trail || a->arena.n < LIMIT_FRAME / 4) &&
           (e == SQLITE_ROW || c == SQLITE_ROW)) {
        bool seal = c == SQLITE_ROW && (e != SQLITE_ROW || sqlite3_column_int64(seals, 0) <
                                                               sqlite3_column_int64(entries, 0));
        add_piece(a, seal ? seals : entries);
        if (seal)
            c = sqlite3_step(seals);
        else
            e = sqlite3_step(entries);
    }
    a->public.next = e == SQLITE_ROW || c == SQLITE_ROW || a->public.n_trail == q->most;
    finish(h, a, entries, e);
    finish(h, a, seals, c);
}

static void due(struct history *h, const struct store_question *q, struct answer *a)
{
    sqlite3_stmt *st = statement(h, A_DUE, q->filter.until, STORE_AUDIT_DROP_MAX, a);
    if (!st)
        return;
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        a->public.next = (uint64_t)sqlite3_column_int64(st, 0);
    finish(h, a, st, rc);
}

void audit_answer(struct history *h, const struct store_question *q, struct answer *a)
{
    if (q->what == STORE_AUDIT)
        newest(h, q, a);
    else if (q->what == STORE_TRAIL)
        trail(h, q, a);
    else
        due(h, q, a);
}
