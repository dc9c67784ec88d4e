/* schema.c - the tables of the store, and the refusal of files that are not ours, newer, truncated
 * or corrupt.
 *
 * journal: every record, written once; lsn is also the event's `seq`. Dropped by the retention
 * alone. live:    which records up to meta.folded still matter to a restart; entity: a run's id, or
 * what a decision is about. ended_run, ended_parent: one row for each that has ended; lsns: its
 * records' numbers, 8 bytes each, little endian. meta:    epoch (one more at each start) and
 * folded. The views are for people; nothing here reads them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/inside.h"
#include "common/crc32c.h"

enum { APPLICATION_ID = 0x4c427374 /* "LBst", shown by file(1) */ };

#define HEX_ID(c) \
    "lower(substr(hex(" c "), 1, 8) || '-' || substr(hex(" c "), 9, 4) || '-' || substr(hex(" c \
    "), 13, 4) || '-' || " \
    "substr(hex(" c "), 17, 4) || '-' || substr(hex(" c "), 21, 12))"
#define TIME(c) \
    "CASE WHEN " c " > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', " c " / 1000.0, 'unixepoch') END"

static const char TABLES[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE journal (lsn INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER NOT NULL, run BLOB, note TEXT, "
    "body BLOB NOT NULL) STRICT;"
    "CREATE TABLE live (lsn INTEGER PRIMARY KEY, entity BLOB NOT NULL) STRICT;"
    "CREATE INDEX live_entity ON live (entity);"
    "CREATE TABLE ended_run (lsn INTEGER PRIMARY KEY, run BLOB NOT NULL, principal TEXT NOT NULL, key TEXT NOT NULL, "
    "digest BLOB NOT NULL,"
    " parent BLOB, task TEXT NOT NULL, task_index INTEGER NOT NULL, try INTEGER NOT NULL, job TEXT NOT NULL, "
    "job_hash BLOB NOT NULL,"
    " address TEXT NOT NULL, server TEXT NOT NULL, attempt INTEGER NOT NULL, delivery INTEGER NOT NULL, job_outcome "
    "INTEGER NOT NULL,"
    " package INTEGER NOT NULL, status INTEGER NOT NULL, message TEXT NOT NULL, called_at INTEGER NOT NULL, "
    "started_at INTEGER NOT NULL,"
    " ended_at INTEGER NOT NULL, steps TEXT NOT NULL, lsns BLOB NOT NULL, reported INTEGER NOT NULL) STRICT;"
    "CREATE INDEX ended_run_run ON ended_run (run);"
    "CREATE INDEX ended_run_key ON ended_run (key);"
    "CREATE INDEX ended_run_parent ON ended_run (parent) WHERE parent IS NOT NULL;"
    "CREATE TABLE ended_parent (lsn INTEGER PRIMARY KEY, run BLOB NOT NULL, principal TEXT NOT NULL, key TEXT NOT "
    "NULL, digest BLOB NOT NULL,"
    " parent BLOB, name TEXT NOT NULL, status INTEGER NOT NULL, begun_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,"
    " tasks INTEGER NOT NULL, report TEXT NOT NULL, lsns BLOB NOT NULL) STRICT;"
    "CREATE INDEX ended_parent_run ON ended_parent (run);"
    "CREATE INDEX ended_parent_key ON ended_parent (key);"
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, verb TEXT NOT NULL, target "
    "TEXT NOT NULL,"
    " reason TEXT NOT NULL) STRICT;"
    "INSERT INTO meta VALUES ('epoch', 0), ('folded', 0), ('dropped', 0);";

static const char VIEWS_HEAD[] = "CREATE VIEW job_history AS SELECT lsn AS seq, " HEX_ID(
    "run") " AS run, job, address, server, attempt, principal AS called_by, key,"
           " CASE WHEN parent IS NOT NULL THEN " HEX_ID(
               "parent") " END AS parent, task, task_index, try,"
                         " (SELECT word FROM words WHERE list = 'delivery' AND number = delivery) AS delivery,"
                         " (SELECT word FROM words WHERE list = 'job' AND number = job_outcome) AS job_outcome,"
                         " (SELECT word FROM words WHERE list = 'package' AND number = package) AS package,"
                         " (SELECT word FROM words WHERE list = 'status' AND number = status) AS status, "
                         "message, " TIME("called_at") " AS called_at, " TIME("started_at") " AS started_at, " TIME(
                             "ended_at") " AS ended_at, lower(hex(job_hash)) "
                                         "AS job_hash FROM ended_run;"
                                         "CREATE VIEW step_history AS SELECT "
                                         "r.lsn AS seq, " HEX_ID(
                                             "r.run") " AS run, r.job, "
                                                      "r.server, s.value ->> "
                                                      "'name' AS step,"
                                                      " s.value ->> 'try' AS "
                                                      "try, s.value ->> "
                                                      "'package' AS package, "
                                                      "s.value ->> 'version' "
                                                      "AS version, s.value ->> "
                                                      "'state' AS state,"
                                                      " s.value ->> "
                                                      "'exit_code' AS "
                                                      "exit_code, s.value ->> "
                                                      "'signal' AS signal, "
                                                      "s.value ->> 'action' AS "
                                                      "action,"
                                                      " s.value ->> 'message' "
                                                      "AS message, " TIME(
                                                          "(s."
                                                          "valu"
                                                          "e "
                                                          "->> "
                                                          "'sta"
                                                          "rted"
                                                          "_at'"
                                                          ")") " AS started_at, " TIME("(s.value ->> "
                                                                                       "'ended_at')") " AS "
                                                                                                      "ended"
                                                                                                      "_at, "
                                                                                                      "s."
                                                                                                      "value"
                                                                                                      " ->> "
                                                                                                      "'cpu_"
                                                                                                      "us' "
                                                                                                      "AS "
                                                                                                      "cpu_"
                                                                                                      "us, "
                                                                                                      "s."
                                                                                                      "value"
                                                                                                      " ->> "
                                                                                                      "'max_"
                                                                                                      "rss_"
                                                                                                      "kib' "
                                                                                                      "AS "
                                                                                                      "max_"
                                                                                                      "rss_"
                                                                                                      "kib "
                                                                                                      "FROM "
                                                                                                      "ended"
                                                                                                      "_run "
                                                                                                      "r, "
                                                                                                      "json_"
                                                                                                      "each("
                                                                                                      "r."
                                                                                                      "steps"
                                                                                                      ") s;"
                                                                                                      "CREAT"
                                                                                                      "E "
                                                                                                      "VIEW "
                                                                                                      "paren"
                                                                                                      "t_"
                                                                                                      "histo"
                                                                                                      "ry "
                                                                                                      "AS "
                                                                                                      "SELEC"
                                                                                                      "T "
                                                                                                      "lsn "
                                                                                                      "AS "
                                                                                                      "seq,"
                                                                                                      " " HEX_ID(
                                                                                                          "r"
                                                                                                          "u"
                                                                                                          "n") " AS "
                                                                                                               "run, "
                                                                                                               "name,"
                                                                                                               " prin"
                                                                                                               "cipal"
                                                                                                               " AS "
                                                                                                               "begun"
                                                                                                               "_by, "
                                                                                                               "key,"
                                                                                                               " ("
                                                                                                               "SELEC"
                                                                                                               "T "
                                                                                                               "word "
                                                                                                               "FROM "
                                                                                                               "words"
                                                                                                               " WHER"
                                                                                                               "E "
                                                                                                               "list "
                                                                                                               "= "
                                                                                                               "'stat"
                                                                                                               "us' "
                                                                                                               "AND "
                                                                                                               "numbe"
                                                                                                               "r = "
                                                                                                               "statu"
                                                                                                               "s) "
                                                                                                               "AS "
                                                                                                               "statu"
                                                                                                               "s, "
                                                                                                               "tasks"
                                                                                                               ","
                                                                                                               " " TIME("begun_at") " AS begun_at, " TIME(
                                                                                                                   "e"
                                                                                                                   "n"
                                                                                                                   "d"
                                                                                                                   "e"
                                                                                                                   "d"
                                                                                                                   "_"
                                                                                                                   "a"
                                                                                                                   "t") " AS ended_at, report FROM ended_parent;"
                                                                                                                        "CREATE VIEW events AS SELECT lsn AS seq, " TIME(
                                                                                                                            "at") " AS at, (SELECT word FROM words WHERE list = 'event' AND number = kind) AS event,"
                                                                                                                                  " CASE WHEN run IS NOT NULL THEN " HEX_ID("run") " END AS run, note FROM journal UNION ALL SELECT NULL, " TIME(
                                                                                                                                      "at") ", verb, NULL, target || ' by ' || by || ': ' || reason FROM notes;";

/* The views' words come from the tables of proto, so they cannot differ from the wire's. */
static void add_words(struct buf *sql)
{
    buf_add_str(
        sql,
        "CREATE TABLE words (list TEXT, number INTEGER, word TEXT NOT NULL, PRIMARY KEY (list, number)) "
        "STRICT, WITHOUT ROWID;");
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

/* clang-format off */
/* What find.c needs. */
static const char FIND_INDEXES[] =
    "CREATE INDEX ended_run_tail ON ended_run (lsn >> 16, substr(run, 14, 3));"
    "CREATE INDEX ended_parent_tail ON ended_parent (lsn >> 16, substr(run, 14, 3));"
    "CREATE INDEX ended_run_started ON ended_run (principal, run) WHERE parent IS NULL;"
    "CREATE INDEX ended_parent_started ON ended_parent (principal, run) WHERE parent IS NULL;"
    "CREATE INDEX ended_run_failed ON ended_run (lsn) WHERE status <> 7;";
/* clang-format on */

/* What makes a store of schema n one of n + 1. The first makes it of an empty file. */
static const char *const STEP[STORE_SCHEMA] = {TABLES, FIND_INDEXES};

/* For people, and no part of the schema: each version that has other ones makes them anew. Returns
 * by what it knows them. */
static uint32_t add_views(struct buf *sql)
{
    size_t from = sql->n;
    buf_add_str(
        sql,
        "DROP TABLE IF EXISTS words; DROP VIEW IF EXISTS job_history; DROP VIEW IF EXISTS step_history;"
        "DROP VIEW IF EXISTS parent_history; DROP VIEW IF EXISTS events;");
    add_words(sql);
    buf_add_str(sql, VIEWS_HEAD);
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

/* Writes back what is in the WAL; false: a full disk or a reader keeps some of it there. */
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

/* A file cut short has fewer pages than its header counts. The end of a whole one may still be in
 * the WAL: the size counts once that has been written back. */
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
    return error_set(err, -EBADMSG,
                     "store '%s' is truncated: %llu bytes of %llu; put a backup in its place", path,
                     (unsigned long long)size, (unsigned long long)(pages * page_size));
}

int schema_check_wal(const char *path, struct error *err)
{
    /* in the header of a file that has never had a -wal */
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
            "'%s' belongs to another file than '%s' and would spoil it: move it away, and its -shm",
            wal, path);
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
        result = error_set(err, -EBADMSG, "store '%s' is corrupt: %.200s; put back a backup", path,
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
                         "'%s' is not a store of Longboat (its application id is 0x%llx)", path,
                         (unsigned long long)id);
    if (version > STORE_SCHEMA)
        return error_set(
            err, -ENOTSUP,
            "store '%s' was written by a newer Longboat (schema %llu, this one knows %d); start that version",
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
