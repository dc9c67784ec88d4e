/* store.c - the store as its owner sees it: open, load, append, ask, close. */
#include "broker/store/store.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/inside.h"
#include "common/file.h"

/* ---- Opening */
/* clang-format off */
static const char CONNECTION[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -32768";
/* clang-format on */

static int set_up_connection(sqlite3 *db, struct error *err)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 10000); /* someone's shell may briefly hold the write lock */
    return db_exec(db, CONNECTION, err);
}

static int raise_epoch(struct store *s, struct error *err)
{
    int rc = db_exec(
        s->db, "BEGIN IMMEDIATE; UPDATE meta SET value = value + 1 WHERE name = 'epoch'; COMMIT",
        err);
    if (rc == 0)
        rc = db_meta_get(s->db, "epoch", &s->epoch, err);
    if (rc == 0)
        rc = db_meta_get(s->db, "folded", &s->folder.folded, err);
    s->folder.db = s->dropper.db = s->db;
    s->folded = s->folder.folded;
    return rc;
}

/* Writes back what a dead process left in the WAL. A sync that fails here must not be ignored: a
 * later one would succeed although the system has dropped the pages. A full disk loses nothing: the
 * WAL is read as it is. */
static int write_back(struct store *s, struct error *err)
{
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK || rc == SQLITE_BUSY)
        return 0;
    int result = db_error(s->db, rc, "checkpoint", err);
    return result == -ENOSPC ? 0 : result;
}

static int open_file(struct store *s, struct error *err)
{
    int rc = schema_check_wal(s->path, err);
    if (rc < 0)
        return rc;
    rc = sqlite3_open_v2(s->path, &s->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return db_error(s->db, rc, s->path, err);
    if (chmod(s->path, 0600) < 0)
        return error_errno(err, errno, "store '%s'", s->path);
    sqlite3_extended_result_codes(s->db, 1);
    uint64_t id;
    /* reads page 1 before anything changes */
    int result = db_pragma_u64(s->db, "application_id", &id, err);
    if (result == 0)
        result = write_back(s, err);
    if (result < 0)
        return error_prefix(err, "'%s' is left as it is", s->path);
    if ((result = schema_prepare(s->db, s->path, true, err)) < 0 ||
        (result = set_up_connection(s->db, err)) < 0)
        return result;
    if ((result = schema_prepare(s->db, s->path, true, err)) < 0 ||
        (result = raise_epoch(s, err)) < 0)
        return result;
    return s->options.no_pregrow ? 0 : writer_pregrow(s, err);
}

static void locks_init(struct store *s)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->work, &attr);
    for (unsigned i = 0; i < READERS; i++) {
        s->readers[i] = (struct store_reader){.store = s, .scans = i == READER_SCANS};
        pthread_cond_init(&s->readers[i].questions, &attr);
    }
    pthread_condattr_destroy(&attr);
}

int store_open(struct store **ret, const struct store_options *o, struct error *err)
{
    struct error mine = {0};
    struct store *s = mem_zalloc(1, sizeof *s);
    db_begin();
    s->lock_fd = s->news_fd = -1;
    s->path = mem_strdup(o->path);
    s->options = *o;
    s->options.path = s->path;
    if (!s->options.reserve_bytes)
        s->options.reserve_bytes = STORE_RESERVE_DEFAULT;
    s->most_bytes = o->most_bytes;
    locks_init(s);
    char *lock = mem_printf("%s.lock", s->path);
    int rc = file_lock(lock, &s->lock_fd, &mine);
    if (rc == -EBUSY)
        error_prefix(&mine, "another broker has the store '%s' open", s->path);
    mem_free(&lock);
    if (rc == 0)
        rc = open_file(s, &mine);
    if (rc == 0 && (s->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        rc = error_errno(&mine, errno, "eventfd");
    if (rc < 0) {
        if (err)
            *err = mine;
        store_close(&s);
        return rc;
    }
    *ret = s;
    return 0;
}

uint64_t store_epoch(const struct store *s)
{
    return s->epoch;
}

bool store_is_backup(const struct store *s)
{
    return s->is_backup;
}

/* ---- A backup that was put back */
/* Everything up to `to` counts as folded, and the file as a backup until a record is appended. */
static int jump(struct store *s, uint64_t to, struct error *err)
{
    uint64_t folded = s->folder.folded;
    unsigned n = 1;
    int rc = db_exec(s->db, "BEGIN IMMEDIATE", err);
    while (rc == 0 && n)
        rc = fold_step(&s->folder, FOLD_STEP, &n, err);
    if (rc == 0)
        rc = db_meta_set(s->db, "folded", to, err);
    if (rc == 0 && s->is_backup)
        rc = db_meta_set(s->db, "backup", to, err);
    if (rc == 0)
        rc = db_exec(s->db, "COMMIT", err);
    if (rc == 0) {
        s->folder.folded = s->folded = to;
        s->appended = s->committed = s->ended = s->told_lsn = to;
        return 0;
    }
    s->folder.folded = folded;
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int store_restored(struct store *s, struct error *err)
{
    const uint64_t step = STORE_NUMBERS_A_SECOND;
    uint64_t by_clock = s->options.now > 0 ? (uint64_t)s->options.now / 1000 * step : 0,
             next = (s->appended / step + 1) * step;
    return jump(s, by_clock > next ? by_clock : next, err);
}

/* ---- Running */

/* Ends the writer and so many readers. */
static void end_threads(struct store *s, unsigned readers)
{
    pthread_mutex_lock(&s->mutex);
    s->stop = s->reader_stop = true;
    pthread_cond_broadcast(&s->work);
    for (unsigned i = 0; i < readers; i++)
        pthread_cond_broadcast(&s->readers[i].questions);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->writer, NULL);
    for (unsigned i = 0; i < readers; i++)
        pthread_join(s->readers[i].thread, NULL);
}

int store_start(struct store *s, const struct store_calls *calls, struct error *err)
{
    s->calls = *calls;
    int rc = pthread_create(&s->writer, NULL, store_writer, s);
    if (rc)
        return error_errno(err, rc, "starting the store's thread");
    for (unsigned i = 0; i < READERS; i++)
        if ((rc = pthread_create(&s->readers[i].thread, NULL, store_read, &s->readers[i]))) {
            end_threads(s, i);
            return error_errno(err, rc, "starting the store's readers");
        }
    s->started = true;
    return 0;
}

int store_fd(const struct store *s)
{
    return s->news_fd;
}

uint64_t store_committed(const struct store *s)
{
    return s->told_lsn;
}

uint64_t store_audited(const struct store *s)
{
    return s->told_audited;
}

/* The mutex is held. */
static void enqueue(struct store *s, uint64_t lsn, struct span body)
{
    uint64_t size = body.n;
    buf_add(&s->queue, &lsn, 8);
    buf_add(&s->queue, &size, 8);
    buf_add(&s->queue, body.p, body.n);
}

static void enqueue_records(struct store *s, const struct bcore_record *records, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (records[i].lsn != s->appended + 1) {
            struct error err;
            error_set(&err, -EINVAL, "record %llu was appended after %llu: a bug in Longboat",
                      (unsigned long long)records[i].lsn, (unsigned long long)s->appended);
            store_die(s, &err);
        }
        s->appended++;
        enqueue(s, records[i].lsn, records[i].body);
    }
    s->queued += n;
}

void store_append_audited(struct store *s, const struct bcore_record *records, unsigned n,
                          const struct store_audit *audit, unsigned n_audit)
{
    struct buf piece = {0};
    if (!n && !n_audit)
        return;
    pthread_mutex_lock(&s->mutex);
    enqueue_records(s, records, n);
    for (unsigned i = 0; i < n_audit; i++) {
        buf_clear(&piece);
        audit_pack(&audit[i], &piece);
        enqueue(s, QUEUE_AUDIT, buf_span(&piece));
    }
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->mutex);
    buf_free(&piece);
}

void store_append(struct store *s, const struct bcore_record *records, unsigned n)
{
    store_append_audited(s, records, n, NULL, 0);
}

void store_note(struct store *s, const struct r_operated *note)
{
    struct buf body = {0};
    r_operated_encode(note, &body);
    pthread_mutex_lock(&s->mutex);
    enqueue(s, QUEUE_NOTE, buf_span(&body));
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->mutex);
    buf_free(&body);
}

/* ---- Questions */
void store_dispatch(struct store *s)
{
    uint64_t count;
    if (read(s->news_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    pthread_mutex_lock(&s->mutex);
    uint64_t committed = s->committed, audited = s->audited;
    bool full = s->full;
    struct store_asked *a = s->answered.first;
    s->answered = (struct store_asked_list){0};
    if (s->answered_bytes >= ANSWERED_MAX)
        store_wake_readers(s);
    s->answered_bytes = 0;
    pthread_mutex_unlock(&s->mutex);
    s->told_audited = audited;
    if (full != s->told_full) {
        s->told_full = full;
        s->calls.full(s->calls.self, full);
    }
    if (committed > s->told_lsn) {
        s->told_lsn = committed;
        s->calls.committed(s->calls.self, committed);
    }
    s->hearing = a;
    while ((a = s->hearing)) {
        s->hearing = a->next;
        if (a->hear)
            a->hear(a->self, &a->answer->public);
        asked_free(a);
    }
}

/* Pages of history have rows of ends alone, so calls that others have made since are no concern of
 * theirs. */
uint64_t store_folds_for(const struct store *s, const struct store_question *q)
{
    switch (q->what) {
    case STORE_RECORD:
    case STORE_ENDED_KEYS: /* of ends that had been folded before the start */
        return 0;
    case STORE_HISTORY:
    case STORE_PARENTS:
        return s->ended;
    case STORE_KEY:
        return q->lsn && q->lsn < s->committed ? q->lsn : s->committed;
    case STORE_EVENTS: /* reader.c cuts the page off where folding has got to */
        return !q->since && q->after + q->most < s->committed ? q->after + q->most : s->committed;
    default:
        return s->committed;
    }
}

uint64_t store_ask(struct store *s, const struct store_question *q, store_hear *hear, void *self)
{
    struct store_asked *a = asked_new(q);
    a->hear = hear;
    a->self = self;
    pthread_mutex_lock(&s->mutex);
    a->number = ++s->asked_number;
    a->fold_to = store_folds_for(s, q);
    asked_put(&s->readers[READER_FIRST].asked, a);
    pthread_cond_signal(&s->readers[READER_FIRST].questions);
    uint64_t number = a->number;
    pthread_mutex_unlock(&s->mutex);
    return number;
}

static const struct store_answer NO_ANSWER = {.rc = -ECANCELED};

struct cancelled {
    store_hear *hear;
    void *self;
};

/* Those that have begun to be read, or have been, are not heard; adds who would have heard them. */
static void unhear(struct store_asked *a, uint64_t session, uint64_t number, struct buf *ret)
{
    for (; a; a = a->next)
        if (a->hear && (session ? a->question.session == session : a->number == number)) {
            buf_add(ret, &(struct cancelled){a->hear, a->self}, sizeof(struct cancelled));
            a->hear = NULL;
        }
}

static void cancel(struct store *s, uint64_t session, uint64_t number, struct buf *ret)
{
    struct store_asked_list waiting = {0};
    pthread_mutex_lock(&s->mutex);
    for (unsigned i = 0; i < READERS; i++) {
        asked_take(&s->readers[i].asked, session, number, &waiting);
        unhear(s->readers[i].reading, session, number, ret);
    }
    unhear(waiting.first, session, number, ret);
    unhear(s->answered.first, session, number, ret);
    unhear(s->hearing, session, number, ret);
    pthread_mutex_unlock(&s->mutex);
    for (struct store_asked *a = waiting.first, *next; a; a = next) {
        next = a->next;
        asked_free(a);
    }
}

void store_forget(struct store *s, uint64_t number)
{
    struct buf unheard = {0};
    if (number)
        cancel(s, 0, number, &unheard);
    buf_free(&unheard);
}

void store_cancel(struct store *s, uint64_t session)
{
    struct buf cancelled = {0};
    if (session)
        cancel(s, session, 0, &cancelled);
    for (size_t at = 0; at < cancelled.n; at += sizeof(struct cancelled)) {
        struct cancelled c;
        memcpy(&c, cancelled.p + at, sizeof c);
        c.hear(c.self, &NO_ANSWER);
    }
    buf_free(&cancelled);
}

void store_limit(struct store *s, uint64_t most_bytes)
{
    pthread_mutex_lock(&s->mutex);
    s->most_bytes = most_bytes;
    s->limit_changed = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->mutex);
}

void store_stats(struct store *s, struct store_stats *ret)
{
    struct stat st;
    pthread_mutex_lock(&s->mutex);
    *ret = s->stats;
    ret->committed = s->committed;
    ret->folded = s->folded;
    ret->full = s->full;
    ret->wal_pages = s->wal_pages;
    for (unsigned i = 0; i < READERS; i++) {
        const struct store_reader *r = &s->readers[i];
        ret->asked += r->asked.n + (r->reading ? 1 : 0);
        ret->asked_bytes += r->asked.bytes + (r->reading ? r->reading->size : 0);
    }
    pthread_mutex_unlock(&s->mutex);
    ret->epoch = s->epoch;
    ret->sqlite_bytes = (uint64_t)sqlite3_memory_used();
    ret->file_bytes = stat(s->path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* ---- Closing */
static void drop_list(struct store_asked_list *l)
{
    for (struct store_asked *a = l->first, *next; a; a = next) {
        next = a->next;
        if (a->hear)
            a->hear(a->self, &NO_ANSWER);
        asked_free(a);
    }
    *l = (struct store_asked_list){0};
}

void store_close(struct store **store)
{
    struct store *s = *store;
    if (!s)
        return;
    *store = NULL;
    if (s->started)
        end_threads(s, READERS);
    struct store_asked_list waiting = {0};
    for (unsigned i = 0; i < READERS; i++)
        asked_take(&s->readers[i].asked, 0, 0, &waiting);
    drop_list(&waiting);
    drop_list(&s->answered);
    db_finalize(&s->insert, 1);
    db_finalize(&s->insert_note, 1);
    db_finalize(&s->epoch_of, 1);
    db_finalize(s->audit, AUDIT_STATEMENTS);
    fold_free(&s->folder);
    drop_free(&s->dropper);
    held_free(&s->noted);
    /* refused, perhaps because a sync failed: the file is left alone */
    if (s->db && !s->started)
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(s->db);
    if (s->news_fd >= 0)
        close(s->news_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pthread_cond_destroy(&s->work);
    for (unsigned i = 0; i < READERS; i++)
        pthread_cond_destroy(&s->readers[i].questions);
    pthread_mutex_destroy(&s->mutex);
    buf_free(&s->queue);
    mem_free(&s->path);
    mem_free(&s);
}
