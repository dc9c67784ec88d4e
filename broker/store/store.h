/* store.h - what the broker remembers: a journal of records in one SQLite file, and what people ask
 * of its past.
 *
 * One thread writes. store_append hands it the records of a turn and returns; all that is queued
 * when the thread is free becomes one transaction (group commit), and `committed` tells up to which
 * lsn the disk has them. Between commits, and in small steps, the same thread folds: runs that have
 * ended get their row of history, and their records no longer take part in a restart. A second
 * thread answers questions from a connection that can only read.
 *
 * The record is written once and stays where it is until the retention drops it: folding moves no
 * bytes, it only keeps a short list (table `live`) of the older records that still matter. A
 * restart replays `live` and what is not yet folded.
 *
 * Faults. Disk full: the batch is kept and tried again, `full` says so, nothing of it counts as
 * committed. Below `reserve_bytes` of free space `full` says so too, while commits still succeed:
 * that is the room for results and cancels. Anything else that fails (I/O, fsync, corruption,
 * another broker's epoch) ends the process at once with EXIT_STORE and one sentence; the successor
 * replays.
 *
 * People may open the file with the sqlite3 shell (read-only) and look at the views job_history,
 * step_history, parent_history and events. */
#ifndef LB_BROKER_STORE_STORE_H
#define LB_BROKER_STORE_STORE_H

#include "broker/core/core.h"
#include "broker/store/find.h"

enum {
    EXIT_STORE = 74,  /* EX_IOERR: the disk or the file cannot be relied on */
    STORE_SCHEMA = 2, /* PRAGMA user_version */
    STORE_RESERVE_DEFAULT =
        /* results of some 100,000 jobs; less: a full disk loses the room for them sooner */
    64 << 20,
    STORE_PAGE_MAX = LIMIT_ROWS
};

struct store;

struct store_options {
    const char *path;       /* the SQLite file; beside it lie its -wal, -shm and .lock */
    uint64_t retention_ms;  /* history older than this is dropped; 0: never */
    uint64_t history_bytes; /* beyond it the oldest history is dropped; 0: no limit */
    uint64_t reserve_bytes; /* 0: STORE_RESERVE_DEFAULT */
    uint64_t most_bytes;    /* the file may not grow beyond this; 0: as far as the disk goes */
    /* which ended keys store_load tells: see core.h; 0: KEPT_MS, KEPT_MAX */
    uint64_t kept_ms, kept_max;
    int64_t now;     /* wall ms, for kept_ms */
    bool no_pregrow; /* for tests: do not write the WAL in advance */
};

/* Called by store_dispatch on the thread that calls it. */
struct store_calls {
    void *self;
    void (*committed)(void *self, uint64_t lsn); /* everything up to lsn is on disk */
    /* new calls are to be refused; false: they need not be any more */
    void (*full)(void *self, bool full);
};

/* Opens or makes the file and takes its lock. -EBUSY: another broker has it; -ENOTSUP: of a newer
 * schema; -EBADMSG: not a store, truncated or corrupt (nothing is ever repaired). On success the
 * epoch has been raised, durably. */
int store_open(struct store **ret, const struct store_options *o, struct error *err);
uint64_t store_epoch(const struct store *s);
/* After store_load: this file was made by store_backup, and no record has been appended since. What
 * happened after it was made is in another file, or lost; who goes on from here must not run again
 * what may have ended. */
bool store_is_backup(const struct store *s);

/* What a restart needs, in lsn order: the records of all that is live, and one r_kept, made here,
 * for each run and parent that has ended within kept_ms, the newest kept_max + 1 of them. `take`
 * returns 0, or negative (with err set) to stop. Before store_start. */
typedef int store_take_record(void *self, uint64_t lsn, struct span body, struct error *err);
int store_load(struct store *s, store_take_record *take, void *self, struct error *err);

/* Starts the threads. Watch store_fd for reading and then call store_dispatch. */
int store_start(struct store *s, const struct store_calls *calls, struct error *err);
int store_fd(const struct store *s);
void store_dispatch(struct store *s);

/* Queues the records of one turn (copied). Their lsn follow those appended before without a gap.
   Never blocks. */
void store_append(struct store *s, const struct bcore_record *records, unsigned n);
/* Queues a line for the view `events` that is no record of the core (a denial, a backup): kept,
   never replayed. */
void store_note(struct store *s, const struct r_operated *note);
uint64_t store_committed(const struct store *s); /* as of the last store_dispatch */

/* Commits what is queued, folds it, ends the threads, closes the file. Questions without an answer
 * hear -ECANCELED. */
void store_close(struct store **s);

/* Changes most_bytes while it runs. */
void store_limit(struct store *s, uint64_t most_bytes);

/* ---- Questions. The answer comes from store_dispatch, in the order asked, after everything
 * committed when it was asked has been folded: so who asks after an end sees it in history. Pages
 * are short: a long reader would pin the WAL. RECORD waits for no folding, and with `soon` not for
 * the others either. */
struct store_filter { /* zero: anything */
    char job[LIMIT_JOB + 1], server[LIMIT_NAME + 1], principal[LIMIT_NAME + 1],
        address[LIMIT_ADDRESS + 1]; /* globs: only `*` */
    struct id parent;
    int status;           /* STATUS_ + 1; 0: any */
    int64_t since, until; /* ended_at, wall ms; 0: open */
};

enum store_what {
    /* ended runs that match, newest end first; `after`: only those with a smaller lsn; 0: from the
       newest */
    STORE_HISTORY,
    STORE_PARENTS, /* ended parents, likewise */
    /* the row of the ended run (`parent`: parent run) of filter.principal (exactly) and `key`, if
       there is one */
    STORE_KEY,
    /* the records of `run`, live or ended, in order; none: no run of that id is remembered. Of more
       than `most` those in the middle are left out, but never its first and its end */
    STORE_RECORDS,
    STORE_RECORD, /* the record `lsn`, if it is there; it must have been committed */
    /* records with lsn in (after, upto] in order, and the first record of each run among them */
    STORE_EVENTS,
    STORE_FIND /* what a person may mean by a short id, `last` or `last-failed`: find.h */
};

struct store_question {
    enum store_what what;
    struct id run;
    char key[LIMIT_KEY + 1]; /* KEY */
    bool parent;
    uint64_t after, upto;
    uint64_t lsn; /* RECORD */
    bool soon;    /* RECORD: before all that were asked earlier without it */
    /* EVENTS with after 0: begin at the first record of at least this wall time */
    int64_t since;
    unsigned most;     /* rows or records: 1 to STORE_PAGE_MAX */
    size_t most_bytes; /* of records; 0: LIMIT_FRAME */
    struct store_filter filter;
    struct store_find find; /* FIND */
};

struct store_record {
    uint64_t lsn;
    struct span body;
};

/* A row of history. Texts are lent for the answer's time, never NULL. */
struct store_ended {
    uint64_t lsn; /* of its end */
    struct id run, parent;
    bool is_parent; /* FIND: as those of PARENTS */
    struct hash job_hash, digest;
    const char *principal, *key, *job, *address, *server, *task, *item, *message;
    uint64_t index, try_no, attempt, delivery, job_outcome, package, status;
    int64_t called_at, started_at, ended_at;
};

struct store_answer {
    int rc; /* 0, or negative with err; -ECANCELED: the store is closed, only free what is yours */
    struct error err;
    const struct store_ended *rows; /* HISTORY, PARENTS (job: the plan's name), FIND */
    unsigned n_rows;
    const struct store_record *records; /* RECORDS, RECORD, EVENTS */
    unsigned n_records;
    uint64_t left_out; /* RECORDS: so many, behind the first most / 2 */
    /* EVENTS: the called and parent_begun records of the runs in `records` */
    const struct store_record *begins;
    unsigned n_begins;
    uint64_t
        /* EVENTS: all of (after, next] has been looked at; HISTORY: `after` of the next page, 0: no
           more */
        next;
    uint64_t oldest; /* EVENTS: the least lsn that is still there */
};
typedef void store_hear(void *self, const struct store_answer *a);
/* The question is copied. Returns a number for store_forget. */
uint64_t store_ask(struct store *s, const struct store_question *q, store_hear *hear, void *self);
/* The answer to this question will not be heard. */
void store_forget(struct store *s, uint64_t asked);

/* What the store knows of itself, for `lbctl stats` and `store`. Cheap. */
struct store_stats {
    uint64_t epoch, committed, folded, commits, records, checkpoints, dropped;
    uint64_t file_bytes, wal_pages, free_bytes;
    bool full;
};
void store_stats(struct store *s, struct store_stats *ret);

/* ---- Verbs on a file; block for as long as it takes. Both open it read-only and may run beside a
   broker. */
/* Reads everything: integrity of the file, order and form of the records, history against the
 * journal. *ret_text: what was found, one line; on failure err has the first trouble. */
int store_check(const char *path, struct buf *ret_text, struct error *err);
/* A consistent copy at `to`, which must not exist; synced. It is made as TO.part and gets its name
 * when it is whole. */
int store_backup(const char *path, const char *to, struct error *err);

#endif
