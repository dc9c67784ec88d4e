/* writer.c - the one thread that writes: group commits first; folding, checkpoints and retention
 * when it is idle.
 *
 * A commit is synced (synchronous=FULL). A transaction that only folds is not: if the power fails
 * before the next commit, the records are still there and are folded again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/inside.h"
#include "common/clock.h"
#include "common/log.h"

void store_die(const struct store *s, const struct error *err)
{
    log_error(
        "%s; the store '%s' cannot be relied on: the process ends, and the next one replays it",
        err->text, s->path);
    log_flush(1);
    _exit(EXIT_STORE);
}

void store_news(struct store *s)
{
    uint64_t one = 1;
    if (write(s->news_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        log_warn("store: eventfd: %s", strerror(errno));
}

/* ---- Transactions */
static int set_fsync(struct store *s, bool on, struct error *err)
{
    if (s->fsync_off == !on)
        return 0;
    int rc = db_exec(s->db, on ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err);
    if (rc == 0)
        s->fsync_off = !on;
    return rc;
}

static int begin(struct store *s, bool fsync_wanted, struct error *err)
{
    int rc = set_fsync(s, fsync_wanted, err);
    if (rc == 0)
        rc = db_exec(s->db, "BEGIN IMMEDIATE", err);
    if (rc < 0)
        return rc;
    sqlite3_stmt *st =
        db_statement(s->db, &s->epoch_of, "SELECT value FROM meta WHERE name = 'epoch'", err);
    if (!st)
        return -EIO;
    int step = sqlite3_step(st);
    uint64_t epoch = step == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (step != SQLITE_ROW)
        return db_error(s->db, step, "reading the epoch", err);
    if (epoch != s->epoch)
        return error_set(err, -ESTALE, "store: epoch %llu is another broker's, ours is %llu",
                         (unsigned long long)epoch, (unsigned long long)s->epoch);
    return 0;
}

static int rollback(struct store *s, uint64_t folded, int rc)
{
    struct error err = {0};
    s->folder.folded = folded;
    /* If even that fails, the next BEGIN reports it: it is still inside this transaction. */
    if (!sqlite3_get_autocommit(s->db))
        db_exec(s->db, "ROLLBACK", &err);
    return rc;
}

static int insert(struct store *s, const struct record *r, struct error *err)
{
    sqlite3_stmt *st =
        db_statement(s->db, &s->insert, "INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6)", err);
    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, (int64_t)r->lsn);
    sqlite3_bind_int64(st, 2, r->at);
    sqlite3_bind_int64(st, 3, (int64_t)r->kind);
    if (id_is_zero(r->run))
        sqlite3_bind_null(st, 4);
    else
        db_bind_bytes(st, 4, r->run.b, sizeof r->run.b);
    db_bind_span(st, 5, span_str(r->note));
    db_bind_bytes(st, 6, r->body.p, r->body.n);
    return db_run(s->db, st, err);
}

static int insert_note(struct store *s, struct span body, struct error *err)
{
    struct r_operated m;
    int rc = r_operated_decode(body, &m, err);
    sqlite3_stmt *st =
        rc == 0
            ? db_statement(
                  s->db, &s->insert_note,
                  "INSERT INTO notes (at, by, verb, target, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
                  err)
            : NULL;
    if (!st)
        return rc < 0 ? rc : -EIO;
    sqlite3_bind_int64(st, 1, m.at);
    db_bind_span(st, 2, m.by);
    db_bind_span(st, 3, m.verb);
    db_bind_span(st, 4, m.target);
    db_bind_span(st, 5, m.reason);
    held_add(&s->noted, HELD_NOTES, m.by,
             100 + (int64_t)(2 * m.by.n + m.verb.n + m.target.n + m.reason.n));
    return db_run(s->db, st, err);
}

/* How far the store is with a batch: the last record, the last that ended something, and the number
 * of pieces of the audit trail since the start. */
struct lasts {
    uint64_t lsn, ended, audited;
};

static int insert_audit(struct store *s, struct span body, struct lasts *last, struct error *err)
{
    struct store_audit a;
    int rc = audit_unpack(body, &a, err);
    if (rc == 0)
        rc = audit_write(s->db, s->audit, &a, err);
    last->audited++;
    return rc;
}

static int insert_record(struct store *s, uint64_t lsn, struct span body, struct lasts *last,
                         struct error *err)
{
    struct record r;
    int rc = record_read(lsn, body, &r, err);
    if (rc == 0)
        rc = insert(s, &r, err);
    last->lsn = lsn;
    if (rc == 0 && r.ends)
        last->ended = lsn;
    return rc;
}

static int insert_batch(struct store *s, const struct buf *batch, struct lasts *last,
                        struct error *err)
{
    for (size_t at = 0; at < batch->n;) {
        uint64_t lsn, n;
        memcpy(&lsn, batch->p + at, 8);
        memcpy(&n, batch->p + at + 8, 8);
        struct span body = span_of(batch->p + at + 16, n);
        int rc = lsn == QUEUE_NOTE    ? insert_note(s, body, err)
                 : lsn == QUEUE_AUDIT ? insert_audit(s, body, last, err)
                                      : insert_record(s, lsn, body, last, err);
        if (rc < 0)
            return rc;
        at += 16 + n;
    }
    return 0;
}

/* How many records a commit of n folds: somewhat more than it adds, so that a commit stays short
 * and the rest becomes less. */
static unsigned fold_with(const struct store *s, uint64_t committed, uint64_t last)
{
    const uint64_t n = last - committed, most = n + n / 2;
    if (last - s->folder.folded > FOLD_BACKLOG || s->fold_now)
        return most < FOLD_STEP / 2 ? FOLD_STEP / 2 : (unsigned)most;
    return n < FOLD_LOADED ? 0 : (unsigned)most;
}

/* One transaction: the batch and, when much has accumulated or somebody waits, some folding. */
static int commit(struct store *s, const struct buf *batch, struct lasts *last, struct error *err)
{
    uint64_t folded = s->folder.folded, committed = last->lsn;
    unsigned n = 1;
    int rc = begin(s, true, err);
    s->noted.n = 0; /* of a batch that was rolled back */
    if (rc == 0)
        rc = insert_batch(s, batch, last, err);
    if (rc == 0)
        rc = held_write(&s->noted, s->db, err);
    unsigned left = rc == 0 ? fold_with(s, committed, last->lsn) : 0;
    for (; rc == 0 && n && left; left -= n < left ? n : left)
        rc = fold_step(&s->folder, left < FOLD_STEP ? left : FOLD_STEP, &n, err);
    if (rc == 0)
        rc = db_exec(s->db, "COMMIT", err);
    return rc < 0 ? rollback(s, folded, rc) : 0;
}

/* ---- Free space on the disk */
static bool room_is_low(struct store *s, uint64_t *ret_free)
{
    struct statvfs v;
    uint64_t reserve = s->options.reserve_bytes, most = s->most_bytes;
    uint64_t free_bytes =
        statvfs(s->path, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
    if (most) {
        uint64_t pages = 0, unused = 0, size = 4096;
        db_pragma_u64(s->db, "page_count", &pages, NULL);
        db_pragma_u64(s->db, "freelist_count", &unused, NULL);
        db_pragma_u64(s->db, "page_size", &size, NULL);
        uint64_t used = (pages - unused) * size, left = most > used ? most - used : 0;
        free_bytes = left < free_bytes ? left : free_bytes;
        reserve = reserve < most / 8 ? reserve : most / 8;
    }
    *ret_free = free_bytes;
    return free_bytes < (s->full ? reserve + reserve / 4 : reserve);
}

static void apply_limit(struct store *s)
{
    char sql[80];
    uint64_t size = 4096, most = s->most_bytes;
    db_pragma_u64(s->db, "page_size", &size, NULL);
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %llu",
             (unsigned long long)(most ? most / size : 4294967294u));
    db_exec(s->db, sql, NULL);
}

static void set_full(struct store *s, bool full, const char *why)
{
    if (s->full == full)
        return;
    if (full)
        log_warn("%s: new calls are refused until there is room", why);
    else
        log_info("store: there is room again; new calls are accepted");
    pthread_mutex_lock(&s->mutex);
    s->full = full;
    store_wake_readers(s); /* questions are then answered without folding */
    pthread_mutex_unlock(&s->mutex);
    store_news(s);
}

static void look_for_room(struct store *s, int64_t *at)
{
    int64_t now = clock_boot_ms();
    uint64_t left;
    if (now < *at)
        return;
    *at = now + ROOM_MS;
    bool low = room_is_low(s, &left);
    pthread_mutex_lock(&s->mutex);
    s->stats.free_bytes = left;
    pthread_mutex_unlock(&s->mutex);
    set_full(s, low, "store: the disk has less free space than its reserve");
}

/* ---- Housekeeping when idle */
static int fold_alone(struct store *s, unsigned *ret_n, struct error *err)
{
    uint64_t folded = s->folder.folded;
    int rc = begin(s, false, err);
    if (rc == 0)
        rc = fold_step(&s->folder, FOLD_STEP, ret_n, err);
    if (rc == 0)
        rc = db_exec(s->db, "COMMIT", err);
    if (rc < 0)
        return rollback(s, folded, rc);
    pthread_mutex_lock(&s->mutex);
    s->folded = s->folder.folded;
    store_wake_readers(s);
    pthread_mutex_unlock(&s->mutex);
    return 0;
}

static int drop_some(struct store *s, bool *ret_more, struct error *err)
{
    const struct drop_rule rule = {.retention_ms = s->options.retention_ms,
                                   .history_bytes = s->options.history_bytes,
                                   .kept_ms = s->options.kept_ms ? s->options.kept_ms : KEPT_MS,
                                   .now = clock_wall_ms()};
    int rc = begin(s, false, err);
    if (rc == 0)
        rc = drop_step(&s->dropper, &rule, ret_more, err);
    if (rc == 0)
        rc = db_exec(s->db, "COMMIT", err);
    if (rc < 0)
        return rollback(s, s->folder.folded, rc);
    pthread_mutex_lock(&s->mutex);
    s->stats.dropped = 0;
    for (unsigned i = 1; i < HELD_KINDS; i++)
        s->stats.dropped += s->dropper.dropped[i];
    s->stats.held_history = s->dropper.bytes[HELD_RUNS];
    s->stats.held_evidence = s->dropper.bytes[HELD_EVIDENCE];
    s->stats.held_events = s->dropper.bytes[HELD_EVENTS];
    s->stats.held_notes = s->dropper.bytes[HELD_NOTES];
    pthread_mutex_unlock(&s->mutex);
    return 0;
}

static int checkpoint(struct store *s, struct error *err)
{
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return db_error(s->db, rc, "checkpoint", err);
    s->wal_pages = 0;
    pthread_mutex_lock(&s->mutex);
    s->stats.checkpoints++;
    pthread_mutex_unlock(&s->mutex);
    return 0;
}

/* Does one small piece of housekeeping; false: nothing to do. On a full disk it is retried. */
static bool do_some_housework(struct store *s, uint64_t committed, int64_t *drop_at)
{
    struct error err = {0};
    unsigned n = 0;
    bool more = false, did = true;
    int rc = 0;
    if (s->folder.folded < committed)
        rc = fold_alone(s, &n, &err);
    else if (s->wal_pages >= WAL_PAGES_IDLE)
        rc = checkpoint(s, &err);
    else if (clock_boot_ms() >= *drop_at) {
        rc = drop_some(s, &more, &err);
        if (!more)
            *drop_at = clock_boot_ms() + 60000;
    } else
        did = false;
    if (rc == -ENOSPC) {
        set_full(s, true, err.text);
        return false;
    }
    if (rc < 0)
        store_die(s, &err);
    return did;
}

/* ---- The thread */
enum wake { WAKE_BATCH, WAKE_IDLE, WAKE_FOLD, WAKE_STOP };

static void deadline_in(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

/* Waits for work and takes the whole queue. `busy`: housekeeping is in progress, do not wait. */
static enum wake wait_for_work(struct store *s, struct buf *batch, bool busy,
                               uint64_t *ret_committed)
{
    struct timespec until;
    bool late = false;
    deadline_in(&until, s->folder.folded < s->committed || s->wal_pages >= WAL_PAGES_IDLE
                            ? IDLE_MS
                            : ROOM_MS);
    pthread_mutex_lock(&s->mutex);
    while (!s->queue.n && !s->stop && !busy && !late &&
           (s->full || s->fold_wanted <= s->folder.folded))
        late = pthread_cond_timedwait(&s->work, &s->mutex, &until) == ETIMEDOUT;
    enum wake w = s->queue.n                          ? WAKE_BATCH
                  : s->stop                           ? WAKE_STOP
                  : s->fold_wanted > s->folder.folded ? WAKE_FOLD
                                                      : WAKE_IDLE;
    if (w == WAKE_BATCH) {
        struct buf empty = *batch;
        *batch = s->queue;
        s->queue = empty;
        s->queue.n = 0;
        s->stats.records += s->queued;
        s->queued = 0;
    }
    s->fold_now = s->fold_wanted > s->folder.folded;
    *ret_committed = s->committed;
    pthread_mutex_unlock(&s->mutex);
    return w;
}

/* Sleeps before the next attempt; true: the broker is ending, which a full disk must not
 * prevent. */
static bool wait_for_room(struct store *s)
{
    struct timespec until;
    bool late = false;
    deadline_in(&until, FULL_RETRY_MS);
    pthread_mutex_lock(&s->mutex);
    while (!late && !s->stop && !s->limit_changed)
        late = pthread_cond_timedwait(&s->work, &s->mutex, &until) == ETIMEDOUT;
    s->limit_changed = false;
    bool stop = s->stop;
    pthread_mutex_unlock(&s->mutex);
    apply_limit(s);
    return stop;
}

static void tell_committed(struct store *s, const struct lasts *last)
{
    pthread_mutex_lock(&s->mutex);
    s->committed = last->lsn;
    s->ended = last->ended;
    s->audited = last->audited;
    s->folded = s->folder.folded;
    s->stats.commits++;
    store_wake_readers(s);
    pthread_mutex_unlock(&s->mutex);
    store_news(s);
}

/* A WAL that has been written back is overwritten, not extended. */
static void make_room(struct store *s)
{
    struct error err = {0};
    if (checkpoint(s, &err) < 0 && err.code != -ENOSPC)
        store_die(s, &err);
}

/* Commits the batch, and tries again while the disk is full; appends wait for the next batch.
 * False: the broker ends while the disk is full. Then nothing after this batch may be written, or
 * there would be a gap. */
static bool commit_batch(struct store *s, struct buf *batch)
{
    const struct lasts before = {s->committed, s->ended, s->audited};
    struct lasts last = before;
    struct error err = {0};
    int rc;
    while ((rc = commit(s, batch, &last, &err)) == -ENOSPC) {
        last = before;
        set_full(s, true, err.text);
        make_room(s);
        if (wait_for_room(s)) {
            log_warn("store: the disk is full; what was not committed is dropped (nobody was told "
                     "that it was kept)");
            return false;
        }
    }
    if (rc < 0)
        store_die(s, &err);
    tell_committed(s, &last);
    batch->n = 0;
    return true;
}

static int on_wal(void *self, sqlite3 *db, const char *name, int pages)
{
    struct store *s = self;
    (void)db;
    (void)name;
    s->wal_pages = pages > 0 ? (unsigned)pages : 0;
    return SQLITE_OK;
}

static void must_checkpoint(struct store *s)
{
    struct error err = {0};
    if (s->wal_pages >= WAL_PAGES_MAX && checkpoint(s, &err) < 0 && err.code != -ENOSPC)
        store_die(s, &err);
}

void *store_writer(void *arg)
{
    struct store *s = arg;
    struct buf batch = {0};
    uint64_t committed;
    int64_t room_at = 0, drop_at = 0;
    bool busy = false;
    sqlite3_wal_hook(s->db, on_wal, s);
    apply_limit(s);
    for (enum wake w; (w = wait_for_work(s, &batch, busy, &committed)) != WAKE_STOP;) {
        if (w == WAKE_BATCH) {
            if (!commit_batch(s, &batch))
                break;
            must_checkpoint(s);
            busy = false;
        } else {
            busy = do_some_housework(s, committed, &drop_at);
        }
        look_for_room(s, &room_at);
    }
    while (s->folder.folded < committed && do_some_housework(s, committed, &drop_at))
        ;
    buf_free(&batch);
    return NULL;
}

/* Writes the WAL to its full length once and starts it over. It replaces one row of 1 MiB
 * repeatedly, so that the file itself hardly grows. */
int writer_pregrow(struct store *s, struct error *err)
{
    int rc = db_exec(s->db,
                     "PRAGMA synchronous = OFF; "
                     "CREATE TABLE IF NOT EXISTS pregrow (id INTEGER PRIMARY KEY, body BLOB)",
                     err);
    for (size_t written = 0; rc == 0 && written < WAL_PREGROWN; written += 1 << 20)
        rc = db_exec(s->db, "INSERT OR REPLACE INTO pregrow VALUES (1, randomblob(1048576))", err);
    if (rc == 0)
        rc = db_exec(s->db, "DROP TABLE pregrow", err);
    int ended = db_exec(s->db, "PRAGMA synchronous = FULL", rc == 0 ? err : NULL);
    int truncated = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    if (rc == 0 && truncated != SQLITE_OK)
        rc = db_error(s->db, truncated, "checkpoint", err);
    return rc == 0 ? ended : rc;
}
