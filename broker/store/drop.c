/* drop.c - retention: drops the oldest history, a few rows at a time. Live records stay whatever
 * their age, and so do the records of a run that has a row of history: without the first one the
 * run's owner is unknown. */
#include <errno.h>

#include "broker/store/inside.h"

/* clang-format off */
/* The last of the 200 records after ?1 that have been folded, if they are older than ?2. */
static const char LAST_OF_STEP[] =
    "SELECT max(lsn) "
    "FROM (SELECT lsn, at FROM journal "
    "      WHERE lsn > ?1 AND lsn <= (SELECT value FROM meta WHERE name = 'folded') "
    "      ORDER BY lsn "
    "      LIMIT 200) "
    "WHERE at < ?2";
_Static_assert(DROP_STEP == 200, "LAST_OF_STEP says it in digits");

static const char DROP_RUNS[] = "DELETE FROM ended_run WHERE lsn <= ?1";
static const char DROP_PARENTS[] = "DELETE FROM ended_parent WHERE lsn <= ?1";
static const char DROP_RECORDS[] =
    "DELETE FROM journal "
    "WHERE lsn <= ?1 "
    "AND lsn NOT IN (SELECT lsn FROM live) "
    "AND NOT EXISTS (SELECT 1 FROM ended_run e WHERE e.run = journal.run) "
    "AND NOT EXISTS (SELECT 1 FROM ended_parent e WHERE e.run = journal.run)";
static const char DROP_NOTES[] = "DELETE FROM notes WHERE at < ?1";
/* clang-format on */

/* Without the audit trail, which is no history. */
static int bytes_used(sqlite3 *db, uint64_t *ret, struct error *err)
{
    uint64_t pages, unused, size, audit;
    int rc = db_pragma_u64(db, "page_count", &pages, err);
    if (rc == 0)
        rc = db_pragma_u64(db, "freelist_count", &unused, err);
    if (rc == 0)
        rc = db_pragma_u64(db, "page_size", &size, err);
    if (rc == 0)
        rc = db_meta_get(db, "audit_bytes", &audit, err);
    if (rc == 0) {
        const uint64_t all = (pages - unused) * size;
        *ret = all > audit ? all - audit : 0;
    }
    return rc;
}

static int ask(sqlite3 *db, const char *sql, int64_t a, int64_t b, uint64_t *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return db_error(db, rc, sql, err);
    sqlite3_bind_int64(st, 1, a);
    if (sqlite3_bind_parameter_count(st) > 1)
        sqlite3_bind_int64(st, 2, b);
    rc = sqlite3_step(st);
    int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(db, rc, sql, err);
    if (result == 0 && ret)
        *ret = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return result;
}

/* The lsn up to which this step drops: the DROP_STEP-th record after `from` or an earlier one; 0:
 * not even the oldest is due. Live records among them are skipped. */
static int choose(sqlite3 *db, uint64_t from, bool all, int64_t before, uint64_t *ret,
                  struct error *err)
{
    if (all)
        before = INT64_MAX;
    return ask(db, LAST_OF_STEP, (int64_t)from, before, ret, err);
}

int drop_step(sqlite3 *db, uint64_t retention_ms, uint64_t history_bytes, int64_t now,
              uint64_t *ret_dropped, bool *ret_more, struct error *err)
{
    uint64_t used = 0, from = 0, upto = 0;
    *ret_more = false;
    int rc = bytes_used(db, &used, err);
    if (rc == 0)
        rc = db_meta_get(db, "dropped", &from, err);
    if (rc < 0)
        return rc;
    if (history_bytes && used > history_bytes)
        rc = choose(db, from, true, 0, &upto, err);
    else if (retention_ms)
        rc = choose(db, from, false, now - (int64_t)retention_ms, &upto, err);
    if (rc < 0 || !upto)
        return rc;
    if ((rc = ask(db, DROP_RUNS, (int64_t)upto, 0, NULL, err)) < 0 ||
        (rc = ask(db, DROP_PARENTS, (int64_t)upto, 0, NULL, err)) < 0 ||
        (rc = ask(db, DROP_RECORDS, (int64_t)upto, 0, NULL, err)) < 0)
        return rc;
    if (retention_ms)
        rc = ask(db, DROP_NOTES, now - (int64_t)retention_ms, 0, NULL, err);
    if (rc < 0)
        return rc;
    *ret_more = true;
    *ret_dropped += upto - from;
    return db_meta_set(db, "dropped", upto, err);
}
