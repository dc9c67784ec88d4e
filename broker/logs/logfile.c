/* logfile.c - see logfile.h. */
#include "broker/logs/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "gen/broker/logs/index_sql.h"

enum { SEGMENT_DEFAULT = 32 << 20 };
enum {
    Q_ADD,
    Q_SERVER,
    Q_READ,
    Q_REACHED,
    Q_SEGMENT_ADD,
    Q_SEGMENT_OLDEST,
    Q_SEGMENT_DROP,
    Q_PIECES_DROP,
    Q_SEGMENT_BYTES,
    QUERIES
};

/* clang-format off */
static const char *const SQL[QUERIES] = {
    [Q_ADD] =
        "INSERT OR IGNORE INTO piece "
        "(run, server, attempt, step, turn, stream, off, at, cut, segment, place, length) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [Q_SERVER] =
        "SELECT server FROM piece WHERE run = ?1 LIMIT 1",
    [Q_READ] =
        "SELECT id, attempt, step, turn, stream, off, at, cut, segment, place, length "
        "FROM piece INDEXED BY piece_run "
        "WHERE run = ?1 AND id > ?2 "
        "ORDER BY id",
    [Q_REACHED] =
        "SELECT sum(reached) "
        "FROM (SELECT max(off + length + cut) AS reached "
        "      FROM piece "
        "      WHERE run = ?1 "
        "      GROUP BY attempt, step, turn, stream)",
    [Q_SEGMENT_ADD] =
        "INSERT OR REPLACE INTO segment VALUES (?1, ?2)",
    [Q_SEGMENT_OLDEST] =
        "SELECT id, bytes FROM segment ORDER BY id LIMIT 1",
    [Q_SEGMENT_DROP] =
        "DELETE FROM segment WHERE id = ?1",
    [Q_PIECES_DROP] =
        "DELETE FROM piece WHERE segment = ?1",
    [Q_SEGMENT_BYTES] =
        "SELECT sum(bytes), max(id) FROM segment",
};
/* clang-format on */

struct logfile {
    char *folder;
    sqlite3 *db;
    sqlite3_stmt *st[QUERIES];
    int fd;
    uint64_t segment, length; /* the one being written */
    uint64_t bytes, most_bytes, segment_bytes;
    bool writing;
};

static int failed(struct logfile *f, const char *doing, struct error *err)
{
    return error_set(err, -EIO, "logs: %s '%s/index.db': %s", doing, f->folder,
                     f->db ? sqlite3_errmsg(f->db) : "out of memory");
}

static sqlite3_stmt *statement(struct logfile *f, unsigned which)
{
    if (!f->st[which])
        sqlite3_prepare_v3(f->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, &f->st[which], NULL);
    return f->st[which];
}

static char *segment_path(const struct logfile *f, uint64_t segment)
{
    return mem_printf("%s/%08llu.log", f->folder, (unsigned long long)segment);
}

static int run(struct logfile *f, sqlite3_stmt *st, struct error *err)
{
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : failed(f, "writing", err);
    sqlite3_reset(st);
    return result;
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
        rc = sqlite3_exec(f->db, index_sql, NULL, NULL, NULL);
    int result = rc == SQLITE_OK ? 0 : failed(f, "opening", err);
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

static int open_segment(struct logfile *f, struct error *err)
{
    struct stat st;
    char *path = segment_path(f, f->segment);
    f->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = f->fd < 0 || fstat(f->fd, &st) < 0 ? error_errno(err, errno, "logs: '%s'", path) : 0;
    f->length = rc == 0 ? (uint64_t)st.st_size : 0;
    mem_free(&path);
    return rc;
}

int logfile_open(struct logfile **ret, const char *folder, uint64_t most_bytes,
                 uint64_t segment_bytes, struct error *err)
{
    struct logfile *f = mem_zalloc(1, sizeof *f);
    f->fd = -1;
    f->folder = mem_strdup(folder);
    f->most_bytes = most_bytes;
    f->segment_bytes = segment_bytes ? segment_bytes : SEGMENT_DEFAULT;
    int rc = file_make_dirs(folder, 0700, err);
    if (rc == 0 && (rc = open_index(f, err)) == -EAGAIN) {
        log_warn("the index of the logs in %s was damaged and has been set aside; earlier output "
                 "cannot be found any more",
                 folder);
        rc = open_index(f, err);
    }
    sqlite3_stmt *st = rc == 0 ? statement(f, Q_SEGMENT_BYTES) : NULL;
    if (st && sqlite3_step(st) == SQLITE_ROW) {
        f->bytes = (uint64_t)sqlite3_column_int64(st, 0);
        /* a new one: a crash may have cut the last */
        f->segment = (uint64_t)sqlite3_column_int64(st, 1) + 1;
    }
    sqlite3_reset(st);
    if (rc == 0)
        rc = open_segment(f, err);
    if (rc < 0) {
        logfile_close(&f);
        return rc;
    }
    *ret = f;
    return 0;
}

void logfile_close(struct logfile **logfile)
{
    struct logfile *f = *logfile;
    if (!f)
        return;
    if (f->db)
        logfile_commit(f, NULL);
    for (unsigned i = 0; i < QUERIES; i++)
        sqlite3_finalize(f->st[i]);
    sqlite3_close(f->db);
    if (f->fd >= 0)
        close(f->fd);
    mem_free(&f->folder);
    mem_free(logfile);
}

uint64_t logfile_bytes(const struct logfile *f)
{
    return f->bytes;
}

/* ---- Writing */
static int drop_oldest(struct logfile *f, struct error *err)
{
    sqlite3_stmt *st = statement(f, Q_SEGMENT_OLDEST);
    uint64_t id = 0, bytes = 0;
    if (st && sqlite3_step(st) == SQLITE_ROW) {
        id = (uint64_t)sqlite3_column_int64(st, 0);
        bytes = (uint64_t)sqlite3_column_int64(st, 1);
    }
    sqlite3_reset(st);
    if (!id || id == f->segment)
        return -ENOENT;
    const unsigned drops[] = {Q_PIECES_DROP, Q_SEGMENT_DROP};
    for (unsigned i = 0; i < 2; i++) {
        if (!(st = statement(f, drops[i])))
            return failed(f, "writing", err);
        sqlite3_bind_int64(st, 1, (int64_t)id);
        int rc = run(f, st, err);
        if (rc < 0)
            return rc;
    }
    char *path = segment_path(f, id);
    unlink(path);
    mem_free(&path);
    f->bytes -= bytes < f->bytes ? bytes : f->bytes;
    return 0;
}

static int note_segment(struct logfile *f, struct error *err)
{
    sqlite3_stmt *st = statement(f, Q_SEGMENT_ADD);
    if (!st)
        return failed(f, "writing", err);
    sqlite3_bind_int64(st, 1, (int64_t)f->segment);
    sqlite3_bind_int64(st, 2, (int64_t)f->length);
    return run(f, st, err);
}

static int next_segment(struct logfile *f, struct error *err)
{
    int rc = note_segment(f, err);
    if (rc < 0)
        return rc;
    close(f->fd);
    f->segment++;
    if ((rc = open_segment(f, err)) < 0)
        return rc;
    while (f->most_bytes && f->bytes > f->most_bytes && drop_oldest(f, err) == 0)
        ;
    return 0;
}

static int begin(struct logfile *f, struct error *err)
{
    if (f->writing)
        return 0;
    if (sqlite3_exec(f->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return failed(f, "writing", err);
    f->writing = true;
    return 0;
}

int logfile_commit(struct logfile *f, struct error *err)
{
    if (!f->writing)
        return 0;
    int rc = note_segment(f, err);
    f->writing = false;
    if (sqlite3_exec(f->db, rc == 0 ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK &&
        rc == 0) {
        rc = failed(f, "writing", err);
        sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}

static int add_row(struct logfile *f, const char *server, const struct m_log_data *m,
                   struct error *err)
{
    sqlite3_stmt *st = statement(f, Q_ADD);
    if (!st)
        return failed(f, "writing", err);
    sqlite3_bind_blob(st, 1, m->run.b, sizeof m->run.b, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, server, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 3, (int64_t)m->attempt);
    sqlite3_bind_text(st, 4, m->step.n ? (const char *)m->step.p : "", (int)m->step.n,
                      SQLITE_STATIC);
    const int64_t numbers[] = {
        (int64_t)m->try_no, (int64_t)m->stream,  (int64_t)m->offset, m->at,
        (int64_t)m->cut,    (int64_t)f->segment, (int64_t)f->length, (int64_t)m->data.n};
    for (int i = 0; i < 8; i++)
        sqlite3_bind_int64(st, 5 + i, numbers[i]);
    int rc = run(f, st, err);
    return rc < 0 ? rc : sqlite3_changes(f->db);
}

int logfile_add(struct logfile *f, const char *server, const struct m_log_data *m,
                struct error *err)
{
    char owner[LIMIT_NAME + 1];
    int rc = begin(f, err);
    if (rc < 0)
        return rc;
    if (logfile_server(f, &m->run, owner) && m->attempt <= 1 && strcmp(owner, server) != 0)
        return error_set(err, -EACCES, "the output of this run comes from '%s', not from '%s'",
                         owner, server);
    rc = add_row(f, server, m, err);
    if (rc <= 0)
        return rc;
    rc = file_write_all(f->fd, m->data.p, m->data.n);
    if (rc < 0)
        return error_errno(err, -rc, "logs: writing to '%s'", f->folder);
    f->length += m->data.n;
    f->bytes += m->data.n;
    rc = f->length >= f->segment_bytes ? next_segment(f, err) : 0;
    return rc < 0 ? rc : 1;
}

/* ---- Reading */
bool logfile_server(struct logfile *f, const struct id *run_id, char ret[LIMIT_NAME + 1])
{
    sqlite3_stmt *st = statement(f, Q_SERVER);
    if (!st)
        return false;
    sqlite3_bind_blob(st, 1, run_id->b, sizeof run_id->b, SQLITE_STATIC);
    bool there = sqlite3_step(st) == SQLITE_ROW;
    if (there)
        snprintf(ret, LIMIT_NAME + 1, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_reset(st);
    return there;
}

uint64_t logfile_reached(struct logfile *f, const struct id *run_id)
{
    sqlite3_stmt *st = statement(f, Q_REACHED);
    uint64_t n = 0;
    if (!st)
        return 0;
    sqlite3_bind_blob(st, 1, run_id->b, sizeof run_id->b, SQLITE_STATIC);
    if (sqlite3_step(st) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return n;
}

/* The bytes of a piece, without those that its segment lost in a crash. */
static void read_data(struct logfile *f, uint64_t segment, uint64_t place, size_t n,
                      struct buf *out)
{
    char *path = segment_path(f, segment);
    int fd = segment == f->segment ? f->fd : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd < 0 ? -1 : pread(fd, buf_grow(out, n), n, (off_t)place);
    if (got > 0)
        out->n += (size_t)got;
    if (fd >= 0 && fd != f->fd)
        close(fd);
    mem_free(&path);
}

static void add_piece(struct logfile *f, sqlite3_stmt *st, const struct id *run_id,
                      struct buf *items)
{
    struct buf data = {0}, encoded = {0};
    read_data(f, (uint64_t)sqlite3_column_int64(st, 8), (uint64_t)sqlite3_column_int64(st, 9),
              (size_t)sqlite3_column_int64(st, 10), &data);
    struct m_log_data m = {.run = *run_id,
                           .attempt = (uint64_t)sqlite3_column_int64(st, 1),
                           .step = span_str((const char *)sqlite3_column_text(st, 2)),
                           .try_no = (uint64_t)sqlite3_column_int64(st, 3),
                           .stream = (uint64_t)sqlite3_column_int64(st, 4),
                           .offset = (uint64_t)sqlite3_column_int64(st, 5),
                           .at = sqlite3_column_int64(st, 6),
                           .cut = (uint64_t)sqlite3_column_int64(st, 7),
                           .data = buf_span(&data)};
    m_log_data_encode(&m, &encoded);
    wire_add_bin(items, buf_span(&encoded));
    buf_free(&data);
    buf_free(&encoded);
}

int logfile_read(struct logfile *f, const struct id *run_id, struct span step, uint64_t after,
                 size_t most, struct buf *items, uint64_t *ret_next, struct error *err)
{
    sqlite3_stmt *st = statement(f, Q_READ);
    size_t begun = items->n;
    int n = 0, rc = SQLITE_ROW;
    *ret_next = after;
    if (!st)
        return failed(f, "reading", err);
    sqlite3_bind_blob(st, 1, run_id->b, sizeof run_id->b, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)after);
    while (n < LIMIT_EVENTS && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (n && items->n - begun + (size_t)sqlite3_column_int64(st, 10) > most)
            break;
        *ret_next = (uint64_t)sqlite3_column_int64(st, 0);
        if (step.n && !span_eq_str(step, (const char *)sqlite3_column_text(st, 2)))
            continue;
        add_piece(f, st, run_id, items);
        n++;
    }
    sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        *ret_next = after;
        items->n = begun;
        return failed(f, "reading", err);
    }
    return n;
}
