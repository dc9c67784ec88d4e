/* logfile.c - see logfile.h: the index is opened, segments are written. */
#include "broker/logs/logfile.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/logs/inside.h"
#include "common/file.h"
#include "common/log.h"
#include "gen/broker/logs/index_sql.h"

enum { SEGMENT_DEFAULT = 4 << 20, DROP_WITH_EACH = 4 /* rows dropped with each that is added */ };

/* clang-format off */
static const char *const SQL[LOGQ_COUNT] = {
    [LOGQ_ADD] =
        "INSERT OR IGNORE INTO piece "
        "(run, server, attempt, step, turn, stream, off, at, cut, segment, place, length) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [LOGQ_CUTS] =
        "SELECT count(*) FROM (SELECT 1 FROM piece INDEXED BY piece_cut "
        "WHERE run = ?1 AND attempt = ?2 AND step = ?3 AND turn = ?4 AND stream = ?5 "
        "  AND length = 0 LIMIT 10)",
    [LOGQ_SERVER] =
        "SELECT server FROM piece WHERE run = ?1 AND attempt = ?2 LIMIT 1",
    [LOGQ_READ] =
        "SELECT id, attempt, step, turn, stream, off, at, cut, segment, place, length "
        "FROM piece INDEXED BY piece_run "
        "WHERE run = ?1 AND id > ?2 "
        "ORDER BY id",
    [LOGQ_STREAM] =
        "SELECT attempt, step, turn, stream FROM piece INDEXED BY piece_where "
        "WHERE run = ?1 AND (attempt, step, turn, stream) > (?2, ?3, ?4, ?5) "
        "ORDER BY attempt, step, turn, stream LIMIT 1",
    [LOGQ_REACHED] =
        "SELECT off + length + cut FROM piece INDEXED BY piece_where "
        "WHERE run = ?1 AND attempt = ?2 AND step = ?3 AND turn = ?4 AND stream = ?5 "
        "ORDER BY off DESC LIMIT 1",
    [LOGQ_SEGMENTS] =
        "SELECT id, server, bytes, pieces FROM segment ORDER BY id",
    [LOGQ_SEGMENT_ADD] =
        "INSERT OR REPLACE INTO segment (id, bytes, server, pieces, last) "
        "VALUES (?1, ?2, ?3, ?4, ?5)",
    [LOGQ_SEGMENT_OLDEST] =
        "SELECT id, bytes, pieces, last, server FROM segment WHERE server = ?1 "
        "ORDER BY id LIMIT 1",
    [LOGQ_SEGMENT_AGED] =
        "SELECT id, bytes, pieces, last, server FROM segment WHERE last < ?1 "
        "ORDER BY last, id LIMIT 1",
    [LOGQ_SEGMENT_EMPTY] =
        "UPDATE segment SET bytes = 0 WHERE id = ?1",
    [LOGQ_SEGMENT_DROP] =
        "DELETE FROM segment WHERE id = ?1",
    [LOGQ_PIECES_DROP] =
        "DELETE FROM piece WHERE id IN (SELECT id FROM piece WHERE segment = ?1 LIMIT ?2)",
    [LOGQ_LOSS_ADD] =
        "INSERT INTO dropped (server, bytes, until, cause) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (server) DO UPDATE SET bytes = bytes + excluded.bytes, "
        "  until = max(until, excluded.until), cause = excluded.cause",
    [LOGQ_LOSS] =
        "SELECT bytes, until, cause FROM dropped WHERE server = ?1",
};
/* clang-format on */

int logfile_failed(struct logfile *f, const char *doing, struct error *err)
{
    return error_set(err, -EIO, "logs: %s '%s/index.db': %s", doing, f->folder,
                     f->db ? sqlite3_errmsg(f->db) : "out of memory");
}

sqlite3_stmt *logfile_statement(struct logfile *f, unsigned which)
{
    if (!f->st[which])
        sqlite3_prepare_v3(f->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, &f->st[which], NULL);
    return f->st[which];
}

char *logfile_segment_path(const struct logfile *f, uint64_t segment)
{
    return mem_printf("%s/%08llu.log", f->folder, (unsigned long long)segment);
}

int logfile_run(struct logfile *f, sqlite3_stmt *st, struct error *err)
{
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : logfile_failed(f, "writing", err);
    sqlite3_reset(st);
    return result;
}

/* ---- Opening */
/* What an index of an earlier version lacks. Pieces are counted once, and what is there counts as
 * having come now. */
static const struct {
    const char *column, *sql;
} RAISES[] = {
    {"server",
     "BEGIN; ALTER TABLE segment ADD COLUMN server TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE segment ADD COLUMN pieces INTEGER NOT NULL DEFAULT 0;"
     "UPDATE segment SET pieces = (SELECT count(*) FROM piece WHERE segment = segment.id);"
     "COMMIT"},
    {"last", "BEGIN; ALTER TABLE segment ADD COLUMN last INTEGER NOT NULL DEFAULT 0;"
             "UPDATE segment SET last = 1000 * CAST(strftime('%s', 'now') AS INTEGER); COMMIT"},
};

static int raise_index(struct logfile *f)
{
    const char *sql = "SELECT count(*), sum(name = ?1) FROM pragma_table_info('segment')";
    int rc = SQLITE_OK;
    for (unsigned i = 0; rc == SQLITE_OK && i < sizeof RAISES / sizeof *RAISES; i++) {
        sqlite3_stmt *st = NULL;
        if ((rc = sqlite3_prepare_v2(f->db, sql, -1, &st, NULL)) == SQLITE_OK)
            rc = sqlite3_bind_text(st, 1, RAISES[i].column, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
            rc = SQLITE_OK;
        bool old = rc == SQLITE_OK && sqlite3_column_int(st, 0) && !sqlite3_column_int(st, 1);
        sqlite3_finalize(st);
        if (old)
            rc = sqlite3_exec(f->db, RAISES[i].sql, NULL, NULL, NULL);
    }
    return rc;
}

static int open_index(struct logfile *f, struct error *err)
{
    char *path = mem_printf("%s/index.db", f->folder);
    int rc = sqlite3_open_v2(
        path, &f->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(
            f->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192",
            NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = raise_index(f);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(f->db, index_sql, NULL, NULL, NULL);
    int result = rc == SQLITE_OK ? 0 : logfile_failed(f, "opening", err);
    bool damaged = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
    if (result < 0) {
        sqlite3_close(f->db);
        f->db = NULL;
    }
    if (damaged) {
        char *aside = mem_printf("%s.damaged", path);
        result = rename(path, aside) < 0 ? error_errno(err, errno, "logs: '%s'", path) : -EAGAIN;
        mem_free(&aside);
    }
    mem_free(&path);
    return result;
}

struct logfile_server *logfile_server_of(struct logfile *f, const char *name)
{
    struct logfile_server *s = NULL;
    HASH_FIND_STR(f->servers, name, s);
    if (s)
        return s;
    s = mem_zalloc(1, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->fd = -1;
    HASH_ADD_STR(f->servers, name, s);
    return s;
}

static uint64_t cost_of(uint64_t bytes, uint64_t pieces)
{
    return bytes + pieces * LOGFILE_PIECE;
}

static int note(struct logfile *f, uint64_t id, const char *server, uint64_t bytes, uint64_t pieces,
                int64_t last, struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_SEGMENT_ADD);
    if (!st)
        return logfile_failed(f, "writing", err);
    sqlite3_bind_int64(st, 1, (int64_t)id);
    sqlite3_bind_int64(st, 2, (int64_t)bytes);
    sqlite3_bind_text(st, 3, server, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, (int64_t)pieces);
    sqlite3_bind_int64(st, 5, last);
    return logfile_run(f, st, err);
}

int logfile_note_segment(struct logfile *f, const struct logfile_server *s, struct error *err)
{
    return note(f, s->segment, s->name, s->length, s->pieces, s->last, err);
}

static int load_segments(struct logfile *f, struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_SEGMENTS);
    int rc = SQLITE_ERROR;
    while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t cost =
            cost_of((uint64_t)sqlite3_column_int64(st, 2), (uint64_t)sqlite3_column_int64(st, 3));
        f->last_segment = (uint64_t)sqlite3_column_int64(st, 0);
        logfile_server_of(f, (const char *)sqlite3_column_text(st, 1))->cost += cost;
        f->cost += cost;
    }
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? 0 : logfile_failed(f, "reading", err);
}

/* Files above the last number that the index knows: of an index that was set aside, or of a crash.
 * They count, too, and go first. */
static int find_strays(struct logfile *f, struct error *err)
{
    uint64_t known = f->last_segment;
    DIR *dir = opendir(f->folder);
    int rc = 0;
    for (const struct dirent *e; rc == 0 && dir && (e = readdir(dir));) {
        char *end;
        struct stat st;
        uint64_t id = strtoull(e->d_name, &end, 10);
        if (end == e->d_name || strcmp(end, ".log") != 0 || id <= known ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        rc = note(f, id, "", (uint64_t)st.st_size, 0, (int64_t)st.st_mtime * 1000, err);
        logfile_server_of(f, "")->cost += (uint64_t)st.st_size;
        f->cost += (uint64_t)st.st_size;
        if (id > f->last_segment)
            f->last_segment = id;
    }
    if (dir)
        closedir(dir);
    return rc;
}

int logfile_open(struct logfile **ret, const struct logfile_options *o, struct error *err)
{
    struct logfile *f = mem_zalloc(1, sizeof *f);
    f->folder = mem_strdup(o->folder);
    f->most_bytes = o->most_bytes;
    f->segment_bytes = o->segment_bytes ? o->segment_bytes : SEGMENT_DEFAULT;
    f->share = o->share;
    f->keep_ms = o->keep_ms;
    int rc = file_make_dirs(f->folder, 0700, err);
    if (rc == 0 && (rc = open_index(f, err)) == -EAGAIN) {
        log_warn("the index of the logs in %s was damaged and has been set aside; earlier output "
                 "cannot be found any more",
                 f->folder);
        rc = open_index(f, err);
    }
    if (rc == 0)
        rc = load_segments(f, err);
    if (rc == 0)
        rc = find_strays(f, err);
    if (rc < 0) {
        logfile_close(&f);
        return rc;
    }
    *ret = f;
    return 0;
}

void logfile_close_segment(struct logfile *f, struct logfile_server *s)
{
    if (s->fd < 0)
        return;
    close(s->fd);
    s->fd = -1;
    for (unsigned i = 0; i < LOGFILE_OPEN_MAX; i++)
        if (f->open[i] == s)
            f->open[i] = NULL;
}

void logfile_close(struct logfile **logfile)
{
    struct logfile *f = *logfile;
    struct logfile_server *s, *next;
    if (!f)
        return;
    if (f->db)
        logfile_commit(f, NULL);
    HASH_ITER (hh, f->servers, s, next) {
        logfile_close_segment(f, s);
        HASH_DEL(f->servers, s);
        mem_free(&s);
    }
    for (unsigned i = 0; i < LOGQ_COUNT; i++)
        sqlite3_finalize(f->st[i]);
    sqlite3_close(f->db);
    mem_free(&f->folder);
    mem_free(logfile);
}

uint64_t logfile_bytes(const struct logfile *f)
{
    return f->cost;
}

uint64_t logfile_held(const struct logfile *f, const char *server)
{
    const struct logfile_server *s = NULL;
    HASH_FIND_STR(f->servers, server, s);
    return s ? s->cost : 0;
}

/* ---- Writing */
static int begin(struct logfile *f, struct error *err)
{
    if (f->writing)
        return 0;
    if (sqlite3_exec(f->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return logfile_failed(f, "writing", err);
    f->writing = true;
    return 0;
}

static int note_segments(struct logfile *f, struct error *err)
{
    int rc = 0;
    for (struct logfile_server *s = f->servers; rc == 0 && s; s = s->hh.next)
        if (s->dirty) {
            rc = logfile_note_segment(f, s, err);
            s->dirty = false;
        }
    return rc;
}

int logfile_commit(struct logfile *f, struct error *err)
{
    int rc = 0;
    if (logfile_drops(f) && (rc = begin(f, err)) == 0)
        rc = logfile_keep_rules(f, NULL, LOGFILE_DROP, err);
    if (!f->writing)
        return rc;
    if (rc == 0)
        rc = note_segments(f, err);
    f->writing = false;
    if (sqlite3_exec(f->db, rc == 0 ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK &&
        rc == 0) {
        rc = logfile_failed(f, "writing", err);
        sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}

static struct logfile_server **free_place(struct logfile *f)
{
    struct logfile_server **oldest = &f->open[0];
    for (unsigned i = 0; i < LOGFILE_OPEN_MAX; i++) {
        if (!f->open[i])
            return &f->open[i];
        if (f->open[i]->used < (*oldest)->used)
            oldest = &f->open[i];
    }
    logfile_close_segment(f, *oldest);
    return oldest;
}

/* After a start each server begins a new one: a crash may have cut the last. */
static int open_segment(struct logfile *f, struct logfile_server *s, int64_t now, struct error *err)
{
    s->used = ++f->uses;
    if (s->fd >= 0)
        return 0;
    bool new = !s->segment;
    uint64_t id = new ? f->last_segment + 1 : s->segment;
    struct logfile_server **place = free_place(f);
    char *path = logfile_segment_path(f, id);
    s->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (new ? O_TRUNC : 0),
                 0600);
    int rc = s->fd < 0 ? error_errno(err, errno, "logs: '%s'", path) : 0;
    mem_free(&path);
    if (rc < 0)
        return rc;
    *place = s;
    if (new) {
        f->last_segment = s->segment = id;
        s->length = s->pieces = 0;
        s->first = now;
    }
    return 0;
}

static int end_segment(struct logfile *f, struct logfile_server *s, struct error *err)
{
    int rc = logfile_note_segment(f, s, err);
    logfile_close_segment(f, s);
    s->segment = 0;
    s->dirty = false;
    return rc;
}

static void bind_stream(sqlite3_stmt *st, const struct m_log_data *m, const int at[5])
{
    sqlite3_bind_blob(st, at[0], m->run.b, sizeof m->run.b, SQLITE_STATIC);
    sqlite3_bind_int64(st, at[1], (int64_t)m->attempt);
    sqlite3_bind_text(st, at[2], m->step.n ? (const char *)m->step.p : "", (int)m->step.n,
                      SQLITE_STATIC);
    sqlite3_bind_int64(st, at[3], (int64_t)m->try_no);
    sqlite3_bind_int64(st, at[4], (int64_t)m->stream);
}

static int add_row(struct logfile *f, const struct logfile_server *s, const struct m_log_data *m,
                   struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_ADD);
    if (!st)
        return logfile_failed(f, "writing", err);
    bind_stream(st, m, (const int[]){1, 3, 4, 5, 6});
    sqlite3_bind_text(st, 2, s->name, -1, SQLITE_STATIC);
    const int64_t numbers[] = {(int64_t)m->offset, m->at,
                               (int64_t)m->cut,    (int64_t)s->segment,
                               (int64_t)s->length, (int64_t)m->data.n};
    for (int i = 0; i < 6; i++)
        sqlite3_bind_int64(st, 7 + i, numbers[i]);
    int rc = logfile_run(f, st, err);
    return rc < 0 ? rc : sqlite3_changes(f->db);
}

/* Has this stream said often enough that bytes were cut? */
static bool is_enough(struct logfile *f, const struct m_log_data *m)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_CUTS);
    if (!st)
        return true;
    bind_stream(st, m, (const int[]){1, 2, 3, 4, 5});
    bool enough = sqlite3_step(st) != SQLITE_ROW || sqlite3_column_int(st, 0) >= LOGFILE_CUTS_MAX;
    sqlite3_reset(st);
    return enough;
}

/* Is it full, or has it been written for so long that what is in it would stay too long? */
static bool is_complete(const struct logfile *f, const struct logfile_server *s, int64_t now)
{
    return cost_of(s->length, s->pieces) >= f->segment_bytes ||
           (f->keep_ms && now - s->first >= (int64_t)(f->keep_ms / LOGFILE_SPANS));
}

int logfile_add(struct logfile *f, const char *server, const struct m_log_data *m, int64_t now,
                struct error *err)
{
    struct logfile_server *s = logfile_server_of(f, server);
    assert(*server);
    if (!m->data.n && (!m->cut || is_enough(f, m)))
        return 0;
    int rc = begin(f, err);
    if (rc == 0 && s->segment && is_complete(f, s, now))
        rc = end_segment(f, s, err);
    if (rc == 0)
        rc = open_segment(f, s, now, err);
    if (rc == 0)
        rc = add_row(f, s, m, err);
    if (rc <= 0)
        return rc;
    s->dirty = true;
    s->last = now;
    s->pieces++;
    s->cost += LOGFILE_PIECE;
    f->cost += LOGFILE_PIECE;
    rc = file_write_all(s->fd, m->data.p, m->data.n);
    if (rc < 0) {
        end_segment(f, s, NULL); /* how much of it was written is not known */
        return error_errno(err, -rc, "logs: writing to '%s'", f->folder);
    }
    s->length += m->data.n;
    s->cost += m->data.n;
    f->cost += m->data.n;
    if (is_complete(f, s, now))
        rc = end_segment(f, s, err);
    if (rc == 0)
        rc = logfile_keep_rules(f, s, DROP_WITH_EACH, err);
    return rc < 0 ? rc : 1;
}
