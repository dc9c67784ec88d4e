/* db.c - SQLite with sentences; see inside.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/inside.h"

/* ---- When memory is out, the process ends: mem.h's rule. */
static sqlite3_mem_methods plain_memory;

static void *alloc_or_die(int n)
{
    void *p = plain_memory.xMalloc(n);
    if (!p)
        mem_die();
    return p;
}

static void *realloc_or_die(void *old, int n)
{
    void *p = plain_memory.xRealloc(old, n);
    if (!p)
        mem_die();
    return p;
}

static void set_memory(void)
{
    sqlite3_mem_methods m;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain_memory) != SQLITE_OK)
        return; /* SQLite is in use already: db_error ends the process instead */
    m = plain_memory;
    m.xMalloc = alloc_or_die;
    m.xRealloc = realloc_or_die;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &m);
}

void db_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_memory);
}

static int code_of(sqlite3 *db, int rc)
{
    int os = db ? sqlite3_system_errno(db) : 0;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOMEM:
        mem_die();
    case SQLITE_CANTOPEN:
        return -ENOENT;
    case SQLITE_IOERR: /* a failed fsync is never "full": its pages are lost */
        return rc != SQLITE_IOERR_FSYNC && rc != SQLITE_IOERR_DIR_FSYNC &&
                       (os == ENOSPC || os == EDQUOT)
                   ? -ENOSPC
                   : -EIO;
    default:
        return -EIO;
    }
}

int db_error(sqlite3 *db, int rc, const char *doing, struct error *err)
{
    int extended = db ? sqlite3_extended_errcode(db) : rc;
    int os = db ? sqlite3_system_errno(db) : 0;
    if ((extended & 0xff) != (rc & 0xff))
        extended = rc;
    return error_set(err, code_of(db, extended), "store: %s: %s (SQLite %d%s%s)", doing,
                     db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), extended, os ? ", " : "",
                     os ? strerror(os) : "");
}

sqlite3_stmt *db_statement(sqlite3 *db, sqlite3_stmt **slot, const char *sql, struct error *err)
{
    if (!*slot) {
        int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
        if (rc != SQLITE_OK)
            db_error(db, rc, "preparing a statement", err);
    }
    return *slot;
}

int db_run(sqlite3 *db, sqlite3_stmt *st, struct error *err)
{
    int rc = sqlite3_step(st);
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : db_error(db, rc, "writing", err);
    sqlite3_reset(st);
    return result;
}

int db_exec(sqlite3 *db, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_error(db, rc, sql, err);
}

static int one_number(sqlite3 *db, const char *sql, uint64_t *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(db, rc, sql, err);
    if (result == 0)
        *ret = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return result;
}

int db_pragma_u64(sqlite3 *db, const char *name, uint64_t *ret, struct error *err)
{
    char sql[120];
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    return one_number(db, sql, ret, err);
}

int db_meta_get(sqlite3 *db, const char *name, uint64_t *ret, struct error *err)
{
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT value FROM meta WHERE name = '%s'", name);
    return one_number(db, sql, ret, err);
}

/* clang-format off */
#define LAST_LSN \
    "max(coalesce((SELECT max(lsn) FROM journal), 0), " \
    "    (SELECT value FROM meta WHERE name = 'folded'))"
/* clang-format on */

int db_mark_backup(sqlite3 *db, struct error *err)
{
    return db_exec(db, "INSERT OR REPLACE INTO meta SELECT 'backup', " LAST_LSN, err);
}

int db_is_backup(sqlite3 *db, bool *ret, struct error *err)
{
    uint64_t is = 0;
    int rc =
        one_number(db, "SELECT value = " LAST_LSN " FROM meta WHERE name = 'backup'", &is, err);
    *ret = is;
    return rc;
}

int db_meta_set(sqlite3 *db, const char *name, uint64_t value, struct error *err)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "INSERT INTO meta VALUES ('%s', %lld) "
             "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
             name, (long long)value);
    return db_exec(db, sql, err);
}

void db_bind_span(sqlite3_stmt *st, int at, struct span s)
{
    sqlite3_bind_text(st, at, s.n ? (const char *)s.p : "", (int)s.n, SQLITE_STATIC);
}

void db_bind_bytes(sqlite3_stmt *st, int at, const void *p, size_t n)
{
    sqlite3_bind_blob(st, at, n ? p : "", (int)n, SQLITE_STATIC);
}

struct span db_bytes(sqlite3_stmt *st, int column)
{
    const void *p = sqlite3_column_blob(st, column);
    return span_of(p, p ? (size_t)sqlite3_column_bytes(st, column) : 0);
}

void db_finalize(sqlite3_stmt **slots, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        sqlite3_finalize(slots[i]);
        slots[i] = NULL;
    }
}
