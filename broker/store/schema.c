/* schema.c - makes the tables of the store and raises those of earlier schemas; refuses files that
 * are not ours, newer, truncated or corrupt. The tables are in schema.sql and the files after it,
 * the views in views.sql. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/inside.h"
#include "common/crc32c.h"
#include "gen/broker/store/schema_2_sql.h"
#include "gen/broker/store/schema_3_sql.h"
#include "gen/broker/store/schema_4_sql.h"
#include "gen/broker/store/schema_5_sql.h"
#include "gen/broker/store/schema_sql.h"
#include "gen/broker/store/views_sql.h"

enum { APPLICATION_ID = 0x4c427374 /* "LBst", shown by file(1) */ };

/* The views' words come from the tables of proto, so they cannot differ from those on the wire. */
static void add_words(struct buf *sql)
{
    for (unsigned i = 0; i < DELIVERY_COUNT; i++)
        buf_printf(sql, "INSERT INTO words VALUES ('delivery', %u, '%s');", i, delivery_text(i));
    for (unsigned i = 0; i < JOB_COUNT; i++)
        buf_printf(sql, "INSERT INTO words VALUES ('job', %u, '%s');", i, job_outcome_text(i));
    for (unsigned i = 0; i < PACKAGE_COUNT; i++)
        buf_printf(sql, "INSERT INTO words VALUES ('package', %u, '%s');", i,
                   package_outcome_text(i));
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        buf_printf(sql, "INSERT INTO words VALUES ('status', %u, '%s');", i, status_text(i));
#define X(UP, low, kind) \
    buf_printf(sql, "INSERT INTO words VALUES ('event', %d, '%s');", kind, record_word(kind));
    RECORDS(X)
#undef X
}

/* The steps from schema n to n + 1. The first starts from an empty file. */
static const char *const STEP[STORE_SCHEMA] = {schema_sql, schema_2_sql, schema_3_sql, schema_4_sql,
                                               schema_5_sql};

/* Appends the statements for today's views, and returns the checksum by which a store records that
 * it has them. */
static uint32_t add_views(struct buf *sql)
{
    size_t from = sql->n;
    buf_add_str(sql, views_sql);
    add_words(sql);
    uint32_t sum = crc32c(span_of(sql->p + from, sql->n - from));
    buf_printf(sql, "INSERT OR REPLACE INTO meta VALUES ('views', %u);", sum);
    return sum;
}

static int in_one_transaction(sqlite3 *db, struct buf *sql, const char *doing, struct error *err)
{
    int rc = sqlite3_exec(db, buf_str(sql), NULL, NULL, NULL);
    int result = rc == SQLITE_OK ? 0 : db_error(db, rc, doing, err);
    if (result < 0 && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    buf_free(sql);
    return result;
}

int schema_raise(sqlite3 *db, const char *const step[], unsigned from, unsigned to,
                 struct error *err)
{
    struct buf sql = {0};
    buf_add_str(&sql, "BEGIN IMMEDIATE;");
    for (unsigned i = from; i < to; i++)
        buf_add_str(&sql, step[i]);
    add_views(&sql);
    buf_printf(&sql, "PRAGMA application_id = %d; PRAGMA user_version = %u; COMMIT;",
               APPLICATION_ID, to);
    return in_one_transaction(db, &sql, from ? "raising the store's schema" : "making the tables",
                              err);
}

static int renew_views(sqlite3 *db, struct error *err)
{
    struct buf sql = {0};
    uint64_t are;
    int rc = db_meta_get(db, "views", &are, err);
    buf_add_str(&sql, "BEGIN IMMEDIATE;");
    bool same = add_views(&sql) == are;
    buf_add_str(&sql, "COMMIT;");
    if (rc == 0 && !same)
        return in_one_transaction(db, &sql, "renewing the views", err);
    buf_free(&sql);
    return rc;
}

/* Writes back what is in the WAL; false: a full disk or a reader keeps some of it in the WAL. */
static bool all_written_back(sqlite3 *db)
{
    int pages, done;
    return sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done) ==
               SQLITE_OK &&
           pages == done;
}

static int size_of(const char *path, uint64_t *ret, struct error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "store '%s'", path);
    *ret = (uint64_t)st.st_size;
    return 0;
}

/* A file cut short has fewer pages than its header counts. The end of a complete one may still be
 * in the WAL: the size counts only once that has been written back. */
static int check_length(sqlite3 *db, const char *path, struct error *err)
{
    uint64_t pages, page_size, size;
    int rc = db_pragma_u64(db, "page_count", &pages, err);
    if (rc < 0 || (rc = db_pragma_u64(db, "page_size", &page_size, err)) < 0 ||
        (rc = size_of(path, &size, err)) < 0)
        return rc;
    if (size >= pages * page_size || !all_written_back(db))
        return 0;
    if ((rc = size_of(path, &size, err)) < 0 || size >= pages * page_size)
        return rc;
    return error_set(err, -EBADMSG, "store '%s' is truncated: %llu bytes of %llu; restore a backup",
                     path, (unsigned long long)size, (unsigned long long)(pages * page_size));
}

int schema_check_wal(const char *path, struct error *err)
{
    /* in the header of a file that never had a -wal */
    enum { WRITE_VERSION_AT = 18, OF_ROLLBACK = 1 };
    uint8_t version = 0;
    struct stat st;
    char *wal = mem_printf("%s-wal", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    bool fresh = fd >= 0 && pread(fd, &version, 1, WRITE_VERSION_AT) == 1 && version == OF_ROLLBACK;
    if (fd >= 0)
        close(fd);
    if (fresh && stat(wal, &st) == 0 && st.st_size > 0)
        rc = error_set(
            err, -EBADMSG,
            "'%s' does not belong to '%s' and would corrupt it: move it away, with its -shm", wal,
            path);
    mem_free(&wal);
    return rc;
}

static int check_live(sqlite3 *db, const char *path, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check('live')", -1, &st, NULL);
    int result = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc != SQLITE_ROW)
        result = db_error(db, rc, "quick_check", err);
    else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        result = error_set(err, -EBADMSG, "store '%s' is corrupt: %.200s; restore a backup", path,
                           (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    return result;
}

int schema_prepare(sqlite3 *db, const char *path, bool writable, struct error *err)
{
    uint64_t id, version, tables;
    if (db_pragma_u64(db, "application_id", &id, err) < 0 ||
        db_pragma_u64(db, "user_version", &version, err) < 0 ||
        db_pragma_u64(db, "schema_version", &tables, err) < 0)
        return error_prefix(err, "'%s' cannot be read and is left as it is", path);
    if (id == 0 && version == 0 && tables == 0 && writable)
        return schema_raise(db, STEP, 0, STORE_SCHEMA, err);
    if (id != APPLICATION_ID)
        return error_set(err, -EBADMSG,
                         "'%s' is not a Longboat store (its application id is 0x%llx)", path,
                         (unsigned long long)id);
    if (version > STORE_SCHEMA)
        return error_set(
            err, -ENOTSUP,
            "store '%s' was written by a newer Longboat (schema %llu, this one knows %d); "
            "start that version",
            path, (unsigned long long)version, STORE_SCHEMA);
    if (version == 0)
        return error_set(err, -ENOTSUP, "store '%s' has schema 0, which no Longboat has written",
                         path);
    int rc = writable ? check_length(db, path, err) : 0;
    if (rc == 0)
        rc = check_live(db, path, err);
    if (rc < 0 || !writable)
        return rc;
    return version < STORE_SCHEMA ? schema_raise(db, STEP, (unsigned)version, STORE_SCHEMA, err)
                                  : renew_views(db, err);
}
