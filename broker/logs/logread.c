/* logread.c - see logfile.h: what is asked of the logs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/logs/inside.h"

bool logfile_server(struct logfile *f, const struct id *run_id, uint64_t attempt,
                    char ret[LIMIT_NAME + 1])
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_SERVER);
    if (!st)
        return false;
    sqlite3_bind_blob(st, 1, run_id->b, sizeof run_id->b, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)attempt);
    bool there = sqlite3_step(st) == SQLITE_ROW;
    if (there)
        snprintf(ret, LIMIT_NAME + 1, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_reset(st);
    return there;
}

/* A stream of a run's output. */
struct logread_stream {
    uint64_t attempt, turn, stream;
    char step[LIMIT_NAME + 1];
};

/* The stream after this one in the index: one seek, however many pieces a stream has. */
static bool next_stream(struct logfile *f, const struct id *run_id, struct logread_stream *s)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_STREAM);
    if (!st)
        return false;
    sqlite3_bind_blob(st, 1, run_id->b, sizeof run_id->b, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)s->attempt);
    sqlite3_bind_text(st, 3, s->step, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(st, 4, (int64_t)s->turn);
    sqlite3_bind_int64(st, 5, (int64_t)s->stream);
    bool there = sqlite3_step(st) == SQLITE_ROW;
    if (there) {
        s->attempt = (uint64_t)sqlite3_column_int64(st, 0);
        snprintf(s->step, sizeof s->step, "%s", (const char *)sqlite3_column_text(st, 1));
        s->turn = (uint64_t)sqlite3_column_int64(st, 2);
        s->stream = (uint64_t)sqlite3_column_int64(st, 3);
    }
    sqlite3_reset(st);
    return there;
}

static uint64_t reached_of(struct logfile *f, const struct id *run_id,
                           const struct logread_stream *s)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_REACHED);
    uint64_t n = 0;
    if (!st)
        return 0;
    sqlite3_bind_blob(st, 1, run_id->b, sizeof run_id->b, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)s->attempt);
    sqlite3_bind_text(st, 3, s->step, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, (int64_t)s->turn);
    sqlite3_bind_int64(st, 5, (int64_t)s->stream);
    if (sqlite3_step(st) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return n;
}

uint64_t logfile_reached(struct logfile *f, const struct id *run_id)
{
    /* tries of steps, each with two streams: more than any job has in its first attempts */
    enum { STREAMS_MAX = 2000 };
    struct logread_stream s = {0};
    uint64_t n = 0;
    for (unsigned i = 0; i < STREAMS_MAX && next_stream(f, run_id, &s); i++)
        n += reached_of(f, run_id, &s);
    return n;
}

/* ---- Pages */
/* The segment that was read last. */
struct logread_file {
    uint64_t segment;
    int fd;
};

static void open_file(struct logfile *f, struct logread_file *r, uint64_t segment)
{
    if (r->segment == segment)
        return;
    if (r->fd >= 0)
        close(r->fd);
    char *path = logfile_segment_path(f, segment);
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    r->segment = segment;
    mem_free(&path);
}

static void add_piece(sqlite3_stmt *st, const struct id *run_id, struct span bytes,
                      struct buf *items)
{
    struct buf encoded = {0};
    struct m_log_data m = {.run = *run_id,
                           .attempt = (uint64_t)sqlite3_column_int64(st, 1),
                           .step = span_str((const char *)sqlite3_column_text(st, 2)),
                           .try_no = (uint64_t)sqlite3_column_int64(st, 3),
                           .stream = (uint64_t)sqlite3_column_int64(st, 4),
                           .offset = (uint64_t)sqlite3_column_int64(st, 5),
                           .at = sqlite3_column_int64(st, 6),
                           .cut = (uint64_t)sqlite3_column_int64(st, 7),
                           .data = bytes};
    m_log_data_encode(&m, &encoded);
    wire_add_bin(items, buf_span(&encoded));
    buf_free(&encoded);
}

/* The row's piece, without the bytes that its segment lost in a crash. False: its segment has been
 * dropped, and its row will be. */
static bool read_piece(struct logfile *f, struct logread_file *r, sqlite3_stmt *st,
                       const struct id *run_id, struct buf *items)
{
    struct buf data = {0};
    size_t n = (size_t)sqlite3_column_int64(st, 10);
    if (n) {
        open_file(f, r, (uint64_t)sqlite3_column_int64(st, 8));
        if (r->fd < 0)
            return false;
        ssize_t got = pread(r->fd, buf_grow(&data, n), n, (off_t)sqlite3_column_int64(st, 9));
        data.n += got > 0 ? (size_t)got : 0;
    }
    add_piece(st, run_id, buf_span(&data), items);
    buf_free(&data);
    return true;
}

int logfile_read(struct logfile *f, const struct id *run_id, struct span step, uint64_t after,
                 size_t most, struct buf *items, uint64_t *ret_next, struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_READ);
    struct logread_file file = {.fd = -1};
    size_t begun = items->n;
    int n = 0, rc = SQLITE_ROW;
    *ret_next = after;
    if (!st)
        return logfile_failed(f, "reading", err);
    sqlite3_bind_blob(st, 1, run_id->b, sizeof run_id->b, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)after);
    for (unsigned rows = 0; n < LIMIT_EVENTS && rows < LOGFILE_ROWS_MAX; rows++) {
        if ((rc = sqlite3_step(st)) != SQLITE_ROW)
            break;
        if (n && items->n - begun + (size_t)sqlite3_column_int64(st, 10) > most)
            break;
        *ret_next = (uint64_t)sqlite3_column_int64(st, 0);
        if (!step.n || span_eq_str(step, (const char *)sqlite3_column_text(st, 2)))
            n += read_piece(f, &file, st, run_id, items);
    }
    sqlite3_reset(st);
    if (file.fd >= 0)
        close(file.fd);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        *ret_next = after;
        items->n = begun;
        return logfile_failed(f, "reading", err);
    }
    return n;
}
