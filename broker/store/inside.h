/* inside.h - what the files of this room share: SQLite with sentences, records, folding, answers,
 * the two threads. No other room includes it. */
#ifndef LB_BROKER_STORE_INSIDE_H
#define LB_BROKER_STORE_INSIDE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "broker/store/store.h"
#include "common/mem.h"

enum {
    FOLD_STEP = 200, /* records folded at a time: about 1.5 ms, by which a commit may be delayed */
    FOLD_STEP_BYTES = 1 << 20,
    /* With more unfolded records than this, commits fold as well; more: a longer replay at a
     * restart. So do commits of FOLD_LOADED records or more, or a question would wait for all
     * that a burst has left, and those for which a question waits. */
    FOLD_BACKLOG = 4096,
    FOLD_LOADED = 16,
    IDLE_MS = 20, /* after this long without a record: fold, checkpoint, drop */
    /* bytes; a commit then overwrites the WAL instead of extending it: 0.35 instead of 0.56 ms */
    WAL_PREGROWN = 16 << 20,
    WAL_PAGES_IDLE = 256, /* when idle, checkpoint from this size on */
    WAL_PAGES_MAX = 2500, /* checkpoint even under load; fewer than WAL_PREGROWN holds */
    DROP_STEP = 200,      /* records dropped at a time */
    /* bytes of answers that nobody has fetched yet; they take memory, and the loop is busy */
    ANSWERED_MAX = 8 << 20,
    FULL_RETRY_MS = 500, /* between two attempts to commit to a full disk */
    ROOM_MS = 1000       /* between two checks of the free space */
};

/* ---- db.c: SQLite with sentences */
/* Call it before any other use of SQLite: when SQLite gets no memory, the process ends, as
 * elsewhere (mem.h). */
void db_begin(void);
/* The statement in *slot, prepared on first use. NULL, with err: it cannot be prepared. */
sqlite3_stmt *db_statement(sqlite3 *db, sqlite3_stmt **slot, const char *sql, struct error *err);
/* Runs a statement that yields no row, and resets it. 0, -ENOSPC (disk full), -EBADMSG (corrupt),
 * -EIO and others. */
int db_run(sqlite3 *db, sqlite3_stmt *st, struct error *err);
int db_exec(sqlite3 *db, const char *sql, struct error *err);
int db_error(sqlite3 *db, int rc, const char *doing, struct error *err);
int db_pragma_u64(sqlite3 *db, const char *name, uint64_t *ret, struct error *err);
void db_bind_span(sqlite3_stmt *st, int at, struct span s); /* as text, lent until reset */
void db_bind_bytes(sqlite3_stmt *st, int at, const void *p, size_t n);
struct span db_bytes(sqlite3_stmt *st, int column);
void db_finalize(sqlite3_stmt **slots, unsigned n);
int db_meta_get(sqlite3 *db, const char *name, uint64_t *ret, struct error *err);
/* A backup is marked with its last lsn: while that is the last, nothing has been appended. */
int db_mark_backup(sqlite3 *db, struct error *err);
int db_is_backup(sqlite3 *db, bool *ret, struct error *err);
int db_meta_set(sqlite3 *db, const char *name, uint64_t value, struct error *err);

/* ---- schema.c */
/* Refuses a restored backup if the -wal of its predecessor still lies beside it: SQLite would
 * replay that into it. */
int schema_check_wal(const char *path, struct error *err);
/* Runs step[from] to step[to - 1], makes today's views and sets the schema's number, all in one
 * transaction. */
int schema_raise(sqlite3 *db, const char *const step[], unsigned from, unsigned to,
                 struct error *err);
/* Makes the tables in an empty file, or checks that the file is a complete store. If `writable` it
 * also raises a store of an earlier schema and renews views made by another version. */
int schema_prepare(sqlite3 *db, const char *path, bool writable, struct error *err);

/* ---- record.c: what the store needs to know of a record */
struct record {
    uint64_t lsn, kind;
    struct span body;
    int64_t at;
    struct id run; /* zero: no run */
    /* without a run: what the record is about; a later one with the same entity replaces it */
    char entity[192];
    size_t entity_n;
    char note[256]; /* for people, in the view `events` */
    /* whose it is: of a begin its principal, of evidence its server, of what has no run who did it;
       lent like `body` */
    struct span owner;
    bool begins, ends; /* a run or parent */
    bool passing;      /* no restart needs it */
};
int record_read(uint64_t lsn, struct span body, struct record *ret, struct error *err);
const char *record_word(uint64_t kind);

/* ---- held.c: whose the bytes are that may be dropped (table `held`) */
enum held_kind { HELD_RUNS = 1, HELD_EVIDENCE, HELD_EVENTS, HELD_NOTES, HELD_KINDS };
struct held { /* sums of the transaction that have not been written */
    struct held_sum *v;
    unsigned n, cap;
    sqlite3_stmt *st[2];
};
const char *held_word(enum held_kind kind);
/* What a record counts, by the size of its body, and what a row of history does, by that of the
 * record of the end: both with their share of the indexes. schema_3.sql has the same numbers. */
int64_t held_record_bytes(size_t body);
int64_t held_row_bytes(size_t end);
void held_add(struct held *h, enum held_kind kind, struct span owner, int64_t bytes);
int held_write(struct held *h, sqlite3 *db, struct error *err);
void held_free(struct held *h);

/* ---- fold.c */
enum fold_statement {
    FOLD_READ,
    FOLD_LIVE_ADD,
    FOLD_LIVE_OF,
    FOLD_LIVE_DROP,
    FOLD_LIVE_HAS,
    FOLD_RUN_ADD,
    FOLD_RUN_LATE,
    FOLD_PARENT_ADD,
    FOLD_LOOSE_ADD,
    FOLD_STATEMENTS
};
struct folder {
    sqlite3 *db;
    sqlite3_stmt *st[FOLD_STATEMENTS];
    uint64_t folded;
    struct held held;
};
void fold_free(struct folder *f);
/* Folds up to `most` (FOLD_STEP or fewer) of the records after f->folded, in a transaction that the
 * caller has started. *ret_n: how many. */
int fold_step(struct folder *f, unsigned most, unsigned *ret_n, struct error *err);

/* ---- row.c: the row of history of one run or parent, from all its records */
int row_of_run(sqlite3 *db, sqlite3_stmt *st, const struct record *records, unsigned n,
               struct error *err);
int row_of_parent(sqlite3 *db, sqlite3_stmt *st, const struct record *records, unsigned n,
                  struct error *err);

/* ---- drop.c: retention */
enum {
    DROP_STATEMENTS = 21,
    DROP_TOLD_MAX = 16,
    DROP_TELL_MS = 3600000 /* then another note is begun */
};
struct dropped { /* what a note says */
    enum held_kind kind;
    bool by_size;
    char owner[LIMIT_NAME + 1];
    int64_t note, since, upto; /* note: its id; 0: none */
    uint64_t n;
};
struct dropper {
    sqlite3 *db;
    sqlite3_stmt *st[DROP_STATEMENTS];
    struct held held;
    struct dropped told[DROP_TOLD_MAX];
    uint64_t bytes[HELD_KINDS];   /* held, by kind; [0]: all */
    uint64_t dropped[HELD_KINDS]; /* rows of each kind, since the start */
};
struct drop_rule {
    uint64_t retention_ms, history_bytes; /* 0: no limit */
    uint64_t kept_ms;                     /* how long keys answer */
    int64_t now;
};
/* Drops what is due, some DROP_STEP rows at the most, in a transaction that the caller has started.
 * *ret_more: something was dropped, and more may be due now. */
int drop_step(struct dropper *d, const struct drop_rule *rule, bool *ret_more, struct error *err);
void drop_free(struct dropper *d);

/* clang-format off */
/* The columns of a row of history, in the order in which history.c reads them. */
#define ROW_OF_RUN \
    "ended_run.lsn, ended_run.run, parent, job_hash, " \
    "principal, key, job, address, server, task, message, " \
    "task_index, try, attempt, delivery, job_outcome, package, status, " \
    "called_at, started_at, ended_at, item"
#define ROW_OF_PARENT \
    "lsn, run, parent, NULL, " \
    "principal, key, name, '', '', '', '', " \
    "tasks, 0, 0, 0, 0, 0, status, " \
    "begun_at, begun_at, ended_at, ''"
/* clang-format on */
enum { ROW_COLUMNS = 22 };

/* ---- history.c: answers */
struct answer {
    struct store_answer public;
    /* HISTORY, PARENTS, ENDED_KEYS: the last row looked at, from which the next step goes on */
    uint64_t at;
    unsigned scanned; /* rows looked at */
    struct buf arena; /* all bytes of rows and records */
    struct store_ended *rows;
    struct store_record *records, *begins;
    struct store_audit *trail;
    struct store_ended_key *keys;
    unsigned cap_rows, cap_records, cap_begins, cap_trail, cap_keys;
};
enum { HISTORY_STATEMENTS = 20, FIND_STATEMENTS = STORE_FIND_FAILED + 1 };
struct history {
    sqlite3 *db;
    sqlite3_stmt *st[HISTORY_STATEMENTS];
    sqlite3_stmt *find[FIND_STATEMENTS]; /* by enum store_find_by */
    sqlite3_stmt *ended_keys;
};
/* Reads the next step of an answer that begins as zero. False: more steps are to follow. */
bool history_answer(struct history *h, const struct store_question *q, struct answer *a);
/* Makes *ret an answer that can be given. */
void history_settle(struct answer *a);
void history_free(struct history *h);
/* Adds a row with the columns ROW_OF_RUN or ROW_OF_PARENT; lent until the next one is added. */
struct store_ended *answer_add_row(struct answer *a, sqlite3_stmt *st);
void answer_free(struct answer *a);

/* Adds the record in the columns 0 (lsn) and 1 (body). */
void answer_add_record(struct answer *a, sqlite3_stmt *st);
/* Copies bytes into the answer; what it returns is valid once the answer is complete. */
struct span answer_keep(struct answer *a, struct span bytes);

/* ---- find.c */
void find_answer(struct history *h, const struct store_question *q, struct answer *ret);

/* ---- endedkeys.c */
/* One step of a page. False: the page needs another one. */
bool endedkeys_answer(struct history *h, const struct store_question *q, struct answer *a);
void endedkeys_settle(struct answer *a); /* as history_settle, for its part */

/* ---- audit.c */
/* The queue's form of a piece of the trail, and back. The second's spans point into `bytes`. */
void audit_pack(const struct store_audit *a, struct buf *out);
int audit_unpack(struct span bytes, struct store_audit *ret, struct error *err);
/* Writes a piece in a transaction that the caller has started. */
enum {
    AUDIT_INSERT_ENTRY,
    AUDIT_INSERT_CHECKPOINT,
    AUDIT_ALLOW_DROP,
    AUDIT_DROP_ENTRIES,
    AUDIT_STATEMENTS
};
int audit_write(sqlite3 *db, sqlite3_stmt *st[AUDIT_STATEMENTS], const struct store_audit *a,
                struct error *err);
void audit_answer(struct history *h, const struct store_question *q, struct answer *ret);

/* ---- asked.c: the questions that wait, by principal */
struct store_asked {
    uint64_t number, fold_to;
    struct store_question question; /* its texts lie behind this struct */
    store_hear *hear;               /* NULL: forgotten or cancelled */
    void *self;
    struct answer *answer; /* NULL: nothing has been read */
    size_t size;           /* of this allocation */
    struct store_asked *next;
};
struct store_asked_list {
    struct store_asked *first, *last;
};
struct asked_principal;
struct asked_queue {
    struct store_asked_list soon;
    struct asked_principal *by_who;       /* a hash */
    struct asked_principal *first, *last; /* in turn: whose turn it is comes first */
    unsigned n, n_principals;
    size_t bytes;
};
struct store_asked *asked_new(const struct store_question *q);
void asked_free(struct store_asked *a);
void asked_put(struct asked_queue *q, struct store_asked *a);
/* Puts back a page that has been read in part: it goes on at its principal's next turn. */
void asked_put_back(struct asked_queue *q, struct store_asked *a);
/* Takes out the next question that needs no more folding than `folded`; NULL: there is none. */
struct store_asked *asked_next(struct asked_queue *q, uint64_t folded);
/* The lowest lsn up to which a question waits for folding; UINT64_MAX: none waits. */
uint64_t asked_fold_to(const struct asked_queue *q);
/* Takes out the questions of this session or, if that is 0, with this number, or, if both are 0,
 * all; adds them to `out`. */
void asked_take(struct asked_queue *q, uint64_t session, uint64_t number,
                struct store_asked_list *out);
void asked_list_add(struct store_asked_list *l, struct store_asked *a);

/* ---- The store itself */

#define QUEUE_NOTE  0
#define QUEUE_AUDIT UINT64_MAX

/* The two threads that read. A page whose first step was not enough goes over to the second one,
 * which gives way to all other work: so who asks for little waits for no scan. */
enum { READER_FIRST, READER_SCANS, READERS };
struct store_reader {
    struct store *store;
    pthread_t thread;
    bool scans;
    /* below the store's mutex */
    pthread_cond_t questions; /* it waits here: for questions, and for folding */
    struct asked_queue asked;
    struct store_asked *reading; /* now */
};

struct store {
    char *path;
    struct store_options options;
    int lock_fd, news_fd;
    uint64_t epoch;
    sqlite3 *db;
    sqlite3_stmt *insert, *insert_note, *epoch_of;
    sqlite3_stmt *audit[AUDIT_STATEMENTS];
    struct folder folder;
    struct dropper dropper;
    struct held noted; /* notes of the batch that is being committed */
    unsigned wal_pages;
    bool is_backup;
    uint64_t left_out; /* the newest end that store_load has left out; 0: none */
    bool fold_now;     /* the writer's: a question waits for folding */
    bool fsync_off;    /* the connection's synchronous is NORMAL now */
    pthread_t writer;
    struct store_reader readers[READERS];
    bool started;

    pthread_mutex_t mutex; /* of everything below */
    pthread_cond_t work;   /* the writer waits here */
    /* [u64 lsn][u64 n][bytes] ...; instead of an lsn QUEUE_NOTE or QUEUE_AUDIT */
    struct buf queue;
    unsigned queued;
    uint64_t appended, committed, folded, fold_wanted, audited;
    uint64_t ended; /* the last record committed that ends a run or parent, or later */
    bool stop, reader_stop, full, limit_changed;
    _Atomic uint64_t most_bytes; /* set by store_limit, read by the writer */
    struct store_asked_list answered;
    size_t answered_bytes; /* the readers stop at ANSWERED_MAX */
    uint64_t asked_number;
    struct store_stats stats;

    /* used only by the dispatching thread */
    struct store_calls calls;
    uint64_t told_lsn, told_audited;
    bool told_full;
    struct store_asked *hearing; /* answers that store_dispatch is giving */
};

_Noreturn void store_die(const struct store *s, const struct error *err);
void *store_writer(void *arg); /* writer.c */
int writer_pregrow(struct store *s, struct error *err);
void *store_read(void *reader); /* reader.c */
void store_news(struct store *s);
/* Up to where must have been folded for the answer. The mutex is held. */
uint64_t store_folds_for(const struct store *s, const struct store_question *q);
void store_wake_readers(struct store *s); /* the mutex is held */

#endif
