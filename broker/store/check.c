/* check.c - checks a whole store, or copies it. Both may run beside a broker and only read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/inside.h"
#include "common/file.h"

/* clang-format off */
/* Each counts what must not exist. */
static const struct {
    const char *sql, *trouble;
} MUST_BE_ZERO[] = {
    {"SELECT count(*) FROM live WHERE lsn NOT IN (SELECT lsn FROM journal)",
     "records of live runs are missing from the journal"},
    {"WITH folded (lsn) AS (SELECT value FROM meta WHERE name = 'folded') "
     "SELECT max(lsn) - (SELECT lsn FROM folded) "
     "       - (SELECT count(*) FROM journal WHERE lsn > (SELECT lsn FROM folded)) "
     "FROM journal "
     "HAVING max(lsn) > (SELECT lsn FROM folded) "
     "UNION ALL SELECT 0 "
     "LIMIT 1",
     "records are missing from the journal's tail"},
    {"SELECT count(*) FROM (SELECT run FROM ended_run GROUP BY run HAVING count(*) > 1)",
     "runs have ended more than once"},
    {"SELECT count(*) "
     "FROM (SELECT lsn FROM ended_run UNION ALL SELECT lsn FROM ended_parent) "
     "WHERE lsn NOT IN (SELECT lsn FROM journal)",
     "rows of history have no end in the journal"},
};
/* clang-format on */

static int open_file(const char *path, sqlite3 **ret, struct error *err)
{
    int rc = access(path, R_OK) < 0 ? error_errno(err, errno, "store '%s'", path) : 0;
    if (rc == 0)
        rc = schema_check_wal(path, err);
    if (rc < 0)
        return rc;
    rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return db_error(*ret, rc, path, err);
    sqlite3_extended_result_codes(*ret, 1);
    sqlite3_busy_timeout(*ret, 10000);
    return schema_prepare(*ret, path, false, err);
}

static int check_integrity(sqlite3 *db, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int result = rc != SQLITE_ROW ? db_error(db, rc, "integrity_check", err) : 0;
    if (result == 0 && strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        result = error_set(err, -EBADMSG, "store: corrupt: %.300s",
                           (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    return result;
}

static int check_records(sqlite3 *db, uint64_t *ret_n, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT lsn, body, kind, run FROM journal ORDER BY lsn", -1,
                                &st, NULL);
    int result = 0;
    while (rc == SQLITE_OK && result == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct record r;
        struct span run = db_bytes(st, 3);
        result = record_read((uint64_t)sqlite3_column_int64(st, 0), db_bytes(st, 1), &r, err);
        if (result == 0 && (r.kind != (uint64_t)sqlite3_column_int64(st, 2) ||
                            (run.n && memcmp(run.p, r.run.b, sizeof r.run.b) != 0)))
            result = error_set(err, -EBADMSG,
                               "store: journal record %llu does not agree with its columns",
                               (unsigned long long)r.lsn);
        (*ret_n)++;
        rc = SQLITE_OK;
    }
    if (result == 0 && rc != SQLITE_DONE)
        result = db_error(db, rc, "reading the journal", err);
    sqlite3_finalize(st);
    return result;
}

static int check_zero(sqlite3 *db, const char *sql, const char *what, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int result = rc != SQLITE_ROW ? db_error(db, rc, sql, err) : 0;
    if (result == 0 && sqlite3_column_int64(st, 0))
        result = error_set(err, -EBADMSG, "store: %lld %s", (long long)sqlite3_column_int64(st, 0),
                           what);
    sqlite3_finalize(st);
    return result;
}

int store_check(const char *path, struct buf *ret_text, struct error *err)
{
    sqlite3 *db = NULL;
    uint64_t n = 0;
    bool backup = false;
    int rc = open_file(path, &db, err);
    if (rc == 0)
        rc = check_integrity(db, err);
    if (rc == 0)
        rc = db_exec(db, "BEGIN", err); /* one view of the file for all that follows */
    if (rc == 0)
        rc = check_records(db, &n, err);
    for (size_t i = 0; i < sizeof MUST_BE_ZERO / sizeof *MUST_BE_ZERO && rc == 0; i++)
        rc = check_zero(db, MUST_BE_ZERO[i].sql, MUST_BE_ZERO[i].trouble, err);
    if (rc == 0)
        rc = db_is_backup(db, &backup, err);
    if (rc == 0)
        buf_printf(ret_text, "store '%s': whole, %llu records%s", path, (unsigned long long)n,
                   backup ? "; a backup: the first start from it needs --restored" : "");
    sqlite3_close(db);
    return rc;
}

/* Marks the copy, so that no broker starts from it as if nothing had happened since. */
static int mark(const char *path, struct error *err)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int result = rc == SQLITE_OK ? db_mark_backup(db, err) : db_error(db, rc, "backup", err);
    sqlite3_close(db);
    return result;
}

/* Removes a copy and the files that SQLite may have left beside it, which would be replayed into a
 * later backup of that name. */
static void remove_copy(const char *path)
{
    char *journal = mem_printf("%s-journal", path);
    unlink(path);
    unlink(journal);
    mem_free(&journal);
}

static int copy_into(sqlite3 *db, const char *part, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &st, NULL);
    if (rc == SQLITE_OK)
        sqlite3_bind_text(st, 1, part, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int result = rc == SQLITE_DONE ? 0 : db_error(db, rc, "backup", err);
    sqlite3_finalize(st);
    if (result == 0)
        result = mark(part, err);
    return result < 0 ? result : file_sync(part, err);
}

static int not_overwritten(const char *to, struct error *err)
{
    return error_set(err, -EEXIST,
                     "backup '%s': the file exists and is not overwritten; choose another name",
                     to);
}

/* The copy gets its name once it is complete and marked. Leftovers of a backup that was killed are
 * removed first. */
int store_backup(const char *path, const char *to, struct error *err)
{
    sqlite3 *db = NULL;
    char *part = mem_printf("%s.part", to);
    int result = access(to, F_OK) == 0 ? not_overwritten(to, err) : open_file(path, &db, err);
    if (result == 0) {
        remove_copy(part);
        result = copy_into(db, part, err);
        if (result == 0 && access(to, F_OK) == 0) /* created in the meantime */
            result = not_overwritten(to, err);
        if (result == 0 && rename(part, to) < 0)
            result = error_errno(err, errno, "backup '%s'", to);
        remove_copy(part);
        if (result == 0 && (result = file_sync(to, err)) < 0)
            unlink(to);
    }
    sqlite3_close(db);
    mem_free(&part);
    return result;
}
