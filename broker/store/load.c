/* load.c - what a restart replays, in lsn order: the records of everything live and a short r_kept
 * for each end that still answers duplicates; then the records not yet folded. */
#include <errno.h>
#include <string.h>

#include "broker/store/inside.h"

enum cursor { LIVE, ENDED_RUNS, ENDED_PARENTS, ENDED_KEYS, CURSORS };

/* clang-format off */
static const char *const SQL[CURSORS] = {
    [LIVE] =
        "SELECT l.lsn, j.body "
        "FROM live l LEFT JOIN journal j ON j.lsn = l.lsn "
        "ORDER BY l.lsn",
    /* ends by the broker's clock, not the server's */
    [ENDED_RUNS] =
        "SELECT e.lsn, e.run, e.principal, e.key, e.digest, e.attempt, e.reported, j.at, 0 "
        "FROM ended_run e JOIN journal j ON j.lsn = e.lsn "
        "WHERE e.lsn >= ?1 "
        "ORDER BY e.lsn",
    [ENDED_PARENTS] =
        "SELECT lsn, run, principal, key, digest, 0, 0, ended_at, 1 "
        "FROM ended_parent "
        "WHERE lsn >= ?1 "
        "ORDER BY lsn",
    [ENDED_KEYS] =
        "SELECT lsn, run, principal, key, digest, attempt, reported, at, parent "
        "FROM ended_key "
        "WHERE lsn >= ?1 "
        "ORDER BY lsn",
};

static const char OLDEST_KEPT[] =
    "SELECT lsn "
    "FROM (SELECT lsn FROM ended_run UNION ALL SELECT lsn FROM ended_parent "
    "      UNION ALL SELECT lsn FROM ended_key) "
    "ORDER BY lsn DESC "
    "LIMIT 1 OFFSET ?1";

static const char NEWEST_LEFT_OUT[] =
    "SELECT max(lsn) "
    "FROM (SELECT max(lsn) AS lsn FROM ended_run WHERE lsn < ?1 "
    "      UNION ALL SELECT max(lsn) FROM ended_parent WHERE lsn < ?1 "
    "      UNION ALL SELECT max(lsn) FROM ended_key WHERE lsn < ?1)";
/* clang-format on */

struct load {
    struct store *s;
    store_take_record *take;
    void *self;
    sqlite3_stmt *st[CURSORS];
    bool has[CURSORS];
    struct buf kept;
    int64_t since; /* ends from this time on are loaded */
    uint64_t last;
    struct error *err;
};

static int advance(struct load *l, enum cursor c)
{
    int rc;
    while ((rc = sqlite3_step(l->st[c])) == SQLITE_ROW && c != LIVE &&
           sqlite3_column_int64(l->st[c], 7) < l->since) {
        uint64_t lsn = (uint64_t)sqlite3_column_int64(l->st[c], 0);
        if (lsn > l->s->left_out)
            l->s->left_out = lsn;
    }
    l->has[c] = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(l->s->db, rc, "loading", l->err);
}

/* The number that a statement with one variable yields; 0: none. */
static int number_of(struct load *l, const char *sql, int64_t variable, uint64_t *ret)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(l->s->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, variable);
        rc = sqlite3_step(st);
    }
    *ret = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    int result =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(l->s->db, rc, "loading", l->err);
    sqlite3_finalize(st);
    return result;
}

static int open_cursors(struct load *l)
{
    uint64_t kept_ms = l->s->options.kept_ms ? l->s->options.kept_ms : KEPT_MS;
    uint64_t most = l->s->options.kept_max ? l->s->options.kept_max : KEPT_MAX, oldest = 0;
    int result = number_of(l, OLDEST_KEPT, (int64_t)most - 1, &oldest);
    if (result == 0)
        result = number_of(l, NEWEST_LEFT_OUT, (int64_t)oldest, &l->s->left_out);
    l->since = l->s->options.now - (int64_t)kept_ms;
    for (enum cursor c = 0; c < CURSORS && result == 0; c++) {
        int rc = sqlite3_prepare_v2(l->s->db, SQL[c], -1, &l->st[c], NULL);
        if (rc != SQLITE_OK)
            return db_error(l->s->db, rc, "loading", l->err);
        if (c != LIVE)
            sqlite3_bind_int64(l->st[c], 1, (int64_t)oldest);
        result = advance(l, c);
    }
    return result;
}

/* Encodes the row under the cursor as an r_kept. -EBADMSG: a flipped bit has changed the length of
 * a field, or made a number larger than a record may have. */
static int encode_kept(struct load *l, enum cursor c)
{
    sqlite3_stmt *st = l->st[c];
    const struct span run = db_bytes(st, 1), digest = db_bytes(st, 4);
    struct r_kept k = {.at = sqlite3_column_int64(st, 7),
                       .principal = db_bytes(st, 2),
                       .key = db_bytes(st, 3),
                       .attempt = (uint64_t)sqlite3_column_int64(st, 5),
                       .reported = sqlite3_column_int(st, 6),
                       .parent = sqlite3_column_int(st, 8)};
    if (run.n != sizeof k.run || digest.n != sizeof k.digest || k.principal.n > LIMIT_NAME ||
        k.key.n > LIMIT_KEY || k.attempt > LIMIT_ATTEMPTS)
        return error_set(l->err, -EBADMSG, "store '%s': the row of record %lld is damaged",
                         l->s->path, (long long)sqlite3_column_int64(st, 0));
    memcpy(&k.run, run.p, sizeof k.run);
    memcpy(&k.digest, digest.p, sizeof k.digest);
    buf_clear(&l->kept);
    r_kept_encode(&k, &l->kept);
    return 0;
}

/* Gives the record with the lowest lsn. 1: given; 0: none left. */
static int give_next(struct load *l)
{
    enum cursor least = CURSORS;
    uint64_t lsn = UINT64_MAX;
    for (enum cursor c = 0; c < CURSORS; c++)
        if (l->has[c] && (uint64_t)sqlite3_column_int64(l->st[c], 0) < lsn) {
            lsn = (uint64_t)sqlite3_column_int64(l->st[c], 0);
            least = c;
        }
    if (least == CURSORS)
        return 0;
    struct span body;
    if (least == LIVE) {
        body = db_bytes(l->st[LIVE], 1);
        if (!body.n)
            return error_set(l->err, -EBADMSG,
                             "store '%s': record %llu of a live run is missing from the journal",
                             l->s->path, (unsigned long long)lsn);
    } else {
        int rc = encode_kept(l, least);
        if (rc < 0)
            return rc;
        body = buf_span(&l->kept);
    }
    int rc = l->take(l->self, lsn, body, l->err);
    if (rc == 0)
        rc = advance(l, least);
    return rc < 0 ? rc : 1;
}

static int give_tail(struct load *l)
{
    sqlite3_stmt *st = NULL;
    int result = 0;
    int rc = sqlite3_prepare_v2(
        l->s->db, "SELECT lsn, body FROM journal WHERE lsn > ?1 ORDER BY lsn", -1, &st, NULL);
    if (rc == SQLITE_OK)
        sqlite3_bind_int64(st, 1, (int64_t)l->last);
    while (rc == SQLITE_OK && result == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t lsn = (uint64_t)sqlite3_column_int64(st, 0);
        if (lsn != l->last + 1)
            result = error_set(l->err, -EBADMSG, "store '%s': journal record %llu is missing",
                               l->s->path, (unsigned long long)(l->last + 1));
        else
            result = l->take(l->self, lsn, db_bytes(st, 1), l->err);
        l->last = lsn;
        rc = SQLITE_OK;
    }
    if (result == 0 && rc != SQLITE_DONE)
        result = db_error(l->s->db, rc, "loading", l->err);
    sqlite3_finalize(st);
    return result;
}

uint64_t store_left_out(const struct store *s)
{
    return s->left_out;
}

int store_load(struct store *s, store_take_record *take, void *self, struct error *err)
{
    struct error mine = {0};
    struct load l = {.s = s, .take = take, .self = self, .last = s->folded, .err = &mine};
    int rc = open_cursors(&l);
    for (int more = 1; rc == 0 && more;) {
        more = give_next(&l);
        rc = more < 0 ? more : 0;
    }
    db_finalize(l.st, CURSORS);
    if (rc == 0)
        rc = give_tail(&l);
    buf_free(&l.kept);
    if (rc == 0)
        rc = db_is_backup(s->db, &s->is_backup, &mine);
    if (rc < 0 && err)
        *err = mine;
    s->appended = s->committed = s->ended = s->told_lsn = l.last;
    return rc;
}
