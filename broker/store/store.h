/* store.h - the broker's durable memory: a journal of records in one SQLite file, and questions
 * about the past.
 *
 * One thread writes. store_append hands it the records of one turn of the broker's loop and
 * returns. Everything queued when the thread is free becomes one transaction (group commit), and
 * `committed` reports the lsn up to which records are on disk. Between commits, in small steps, the
 * same thread folds: runs that have ended get their row of history, and a restart no longer needs
 * their records. Two threads answer questions, from connections that can only read.
 *
 * A record is written once and stays in place until retention drops it. Folding moves no bytes; it
 * keeps a short list (table `live`) of the older records that still matter. A restart replays
 * `live` and what has not been folded yet.
 *
 * Faults. When the disk is full, the batch is kept and retried, `full` says so, and none of the
 * batch counts as committed. When free space falls below `reserve_bytes`, `full` says so as well,
 * although commits still succeed: that space is for results and cancels. Any other failure (I/O,
 * fsync, corruption, the epoch of another broker) ends the process at once with EXIT_STORE and one
 * sentence; the next process replays.
 *
 * Retention drops what is old, and beyond history_bytes what exceeds its share: drop.c. A key goes
 * on answering for kept_ms after its run's end, although the run's history has gone.
 *
 * People may open the file with the sqlite3 shell, read-only, and look at the views job_history,
 * step_history, parent_history and events (views.sql). */
#ifndef LB_BROKER_STORE_STORE_H
#define LB_BROKER_STORE_STORE_H

#include "broker/core/core.h"
#include "broker/store/audit.h"
#include "broker/store/find.h"

enum {
    EXIT_STORE = 74,  /* EX_IOERR: the disk or the file is unreliable */
    STORE_SCHEMA = 5, /* PRAGMA user_version */
    /* space for the results of some 100,000 jobs; less: fewer results fit once the disk fills up */
    STORE_RESERVE_DEFAULT = 64 << 20,
    STORE_PAGE_MAX = LIMIT_ROWS,
    STORE_AUDIT_DROP_MAX = 20000, /* entries dropped in one transaction: about 50 ms */
    /* many times what a broker has been seen to write, and in the year 2200 still exact in JSON */
    STORE_NUMBERS_A_SECOND = 1 << 20
};

struct store;

struct store_options {
    const char *path;      /* the SQLite file; beside it lie its -wal, -shm and .lock */
    uint64_t retention_ms; /* history older than this is dropped; 0: never */
    /* beyond it history is dropped, and with it evidence, notes and events beyond their shares, as
       drop.c says; 0: no limit. Keys that still answer, live runs and the audit do not count */
    uint64_t history_bytes;
    uint64_t reserve_bytes; /* 0: STORE_RESERVE_DEFAULT */
    uint64_t most_bytes;    /* limit of the file's size; 0: the disk's */
    /* for which ended runs store_load gives the keys: see core.h; 0: KEPT_MS, KEPT_MAX */
    uint64_t kept_ms, kept_max;
    int64_t now;     /* wall ms, for kept_ms */
    bool no_pregrow; /* for tests: do not write the WAL to its full length at the start */
};

/* Called by store_dispatch on the thread that calls it. */
struct store_calls {
    void *self;
    void (*committed)(void *self, uint64_t lsn); /* everything up to lsn is on disk */
    void (*full)(void *self, bool full); /* true: refuse new calls; false: take them again */
};

/* Opens the file, or makes it, and takes its lock. A store of an earlier schema is raised to
 * today's. -EBUSY: another broker has it open; -ENOTSUP: a newer Longboat wrote it; -EBADMSG: it is
 * not a store, truncated or corrupt (nothing is ever repaired). On success the epoch has been
 * raised durably, and *ret is yours to close. */
int store_open(struct store **ret, const struct store_options *o, struct error *err);
uint64_t store_epoch(const struct store *s);
/* After store_load: true if store_backup made this file and no record has been appended since. What
 * happened after the backup is in another file or lost; a broker that starts from it must not run
 * again what may have ended. */
bool store_is_backup(const struct store *s);

/* Gives `take` what a restart needs, in lsn order: the records of everything live, and one r_kept,
 * made here, for each run and parent that ended within kept_ms, at most the newest kept_max.
 * `take` returns 0, or negative with err set, which ends the load. Call it before store_start. */
typedef int store_take_record(void *self, uint64_t lsn, struct span body, struct error *err);
int store_load(struct store *s, store_take_record *take, void *self, struct error *err);
/* After store_load: the lsn of the newest end that it left out, since it is too old or there are
 * too many newer ones; 0: none. STORE_ENDED_KEYS tells the keys up to it. */
uint64_t store_left_out(const struct store *s);
/* The file is a backup that was put back, and numbers above its last may have been given out since
 * it was made: the next record gets one far above, STORE_NUMBERS_A_SECOND times the seconds since
 * 1970 plus 1. So no number means two things, whichever backup is put back how often, as long as
 * the clock is right and a broker writes fewer records a second. Folds all that was loaded: the gap
 * lies where nothing is replayed. Call it after store_load and before store_start. */
int store_restored(struct store *s, struct error *err);

/* Where the audit trail ends. Call it before store_start. */
int store_audit_end(struct store *s, struct store_audit_end *ret, struct error *err);

/* Starts the threads; copies `calls`. When store_fd is readable, call store_dispatch, which makes
 * the calls and delivers answers. */
int store_start(struct store *s, const struct store_calls *calls, struct error *err);
int store_fd(const struct store *s);
void store_dispatch(struct store *s);

/* Queues the records of one turn of the loop; copies them. Their lsn continue store_committed or
 * those appended before, without a gap. Never blocks. */
void store_append(struct store *s, const struct bcore_record *records, unsigned n);
/* The same, with pieces of the audit trail: records and pieces are committed together, or none of
 * them is. Copies both; either may be empty. */
void store_append_audited(struct store *s, const struct bcore_record *records, unsigned n,
                          const struct store_audit *audit, unsigned n_audit);
/* Queues a line for the view `events` that is not a record of the core: a denial, a backup. Never
 * replayed. */
void store_note(struct store *s, const struct r_operated *note);
/* What is on disk, as of the last store_dispatch: the last record, and how many pieces of the audit
 * trail of those appended since the start. */
uint64_t store_committed(const struct store *s);
uint64_t store_audited(const struct store *s);

/* Commits what is queued, folds it, ends the threads, closes the file; sets *s to NULL. Open
 * questions get -ECANCELED. */
void store_close(struct store **s);

/* Changes most_bytes of an open store. */
void store_limit(struct store *s, uint64_t most_bytes);

/* ---- Questions. Answers come from store_dispatch, once what was committed at the time of the
 * question has been folded: for HISTORY and PARENTS up to the last end, for others everything. So a
 * question after a run's end finds it in the history. RECORD does not wait for folding, nor, with
 * `soon`, for other questions. EVENTS of long ago do not make anything be folded: their page ends
 * where folding has got to.
 *
 * Each question belongs to a principal, `who`. Principals are answered in turn, whatever each has
 * asked: in its turn one gets up to STORE_QUICK_TURN quick questions and one step of a page. Within
 * one principal quick questions, and pages of one step, are answered in the order in which they
 * were asked. A page is read in steps of about 0.2 ms; one that needs more than its first, because
 * its filter matches little, is read on by a thread of its own, which gives way to all other work
 * of the machine. So who asks for what an index finds, or for the newest rows, waits for no scan;
 * steps are short also because a long reader would pin the WAL. */
enum { STORE_QUICK_TURN = 32, STORE_STEP_ROWS = 100 };

struct store_filter {                               /* zero: anything. NULL is an empty text */
    const char *job, *server, *principal, *address; /* globs: only `*` */
    struct id parent;
    int status;           /* STATUS_ + 1; 0: any */
    int64_t since, until; /* ended_at, wall ms; 0: open */
};

enum store_what {
    /* ended runs that match the filter, newest end first, with an lsn below `after`; 0: from the
       newest */
    STORE_HISTORY,
    STORE_PARENTS, /* ended parents, likewise */
    /* the ended run (with `parent` the parent) of `key` and of exactly filter.principal: one row or
       none; only lsn, run and digest are filled in */
    STORE_KEY,
    /* `keys`: of the runs and parents that ended with an lsn in (after, upto], in order; `next`:
       the lsn of the last one if there may be more, else 0 */
    STORE_ENDED_KEYS,
    /* the records of `run`, live or ended, in order; none: the run is unknown. If there are more
       than `most`, some in the middle are left out, but never the first and the end */
    STORE_RECORDS,
    STORE_RECORD, /* the record `lsn`, if the store still has it; it must have been committed */
    /* records with lsn in (after, upto], in order, and the first record of each run among them */
    STORE_EVENTS,
    STORE_FIND, /* what a person may mean by a short id, `last` or `last-failed`: find.h */
    /* entries of the audit trail as records, newest first, with a number below `after`; 0: from the
       newest */
    STORE_AUDIT,
    /* the audit trail in the order of audit_walk: entries with a number beyond `after`, checkpoints
       with a seq beyond `upto` */
    STORE_TRAIL,
    /* `next`: the number up to which the audit trail is older than filter.until: a checkpoint's, at
       most STORE_AUDIT_DROP_MAX entries from the oldest; 0: nothing is */
    STORE_AUDIT_DUE
};

struct store_question {
    enum store_what what;
    struct hash who;  /* whose question it is; zero: the broker's own */
    uint64_t session; /* for store_cancel; 0: none */
    bool quick;       /* at most a few rows, found by an index: before the principal's pages */
    bool soon;        /* RECORD: before all questions without it */
    struct id run;
    const char *key; /* KEY */
    bool parent;
    uint64_t after, upto;
    /* RECORD: which. KEY: not 0: wait only until everything up to this has been folded */
    uint64_t lsn;
    /* EVENTS: not 0: leave out what comes before the first record of this wall time or later */
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
    bool is_parent; /* FIND: a row like those of PARENTS */
    struct hash job_hash, digest;
    const char *principal, *key, *job, *address, *server, *task, *item, *message;
    uint64_t index, try_no, attempt, delivery, job_outcome, package, status;
    int64_t called_at, started_at, ended_at;
};

struct store_ended_key {
    struct span principal, key;
    bool parent;
};

struct store_answer {
    /* 0, or negative with err; -ECANCELED: the store is closing, or the question was cancelled with
       its session: only free what is yours */
    int rc;
    struct error err;
    const struct store_ended *rows; /* HISTORY, PARENTS (job: the plan's name), FIND */
    unsigned n_rows;
    const struct store_record *records; /* RECORDS, RECORD, EVENTS */
    unsigned n_records;
    uint64_t left_out; /* RECORDS: how many, after the first most / 2 */
    /* EVENTS: the r_called and r_parent_begun of the runs in `records` */
    const struct store_record *begins;
    unsigned n_begins;
    const struct store_ended_key *keys; /* ENDED_KEYS */
    unsigned n_keys;
    const struct store_audit *trail; /* TRAIL */
    unsigned n_trail;
    /* EVENTS: the page covers (after, next]. HISTORY, PARENTS, AUDIT: `after` of the next page, 0
       if there is none. TRAIL: not 0: there is more. */
    uint64_t next;
    uint64_t folded; /* every end up to this lsn was looked at */
    int64_t us;      /* processor time that reading took */
    uint64_t oldest; /* EVENTS: the lowest lsn that the store still has */
};
typedef void store_hear(void *self, const struct store_answer *a);
/* Copies the question, its texts as long as they are. `hear` is called once, by store_dispatch (or
 * by store_cancel); what the answer points to is lent for that call. Returns a number for
 * store_forget, never 0. */
uint64_t store_ask(struct store *s, const struct store_question *q, store_hear *hear, void *self);
/* Cancels the question: `hear` is not called. */
void store_forget(struct store *s, uint64_t asked);
/* Cancels all questions of a session that has ended. Each `hear` is called with -ECANCELED before
 * this returns; a question that nobody has begun to read is never read. */
void store_cancel(struct store *s, uint64_t session);

/* Figures for `lbctl stats` and `lbctl store`. Cheap. */
struct store_stats {
    uint64_t epoch, committed, folded, commits, records, checkpoints, dropped;
    uint64_t file_bytes, wal_pages, free_bytes;
    uint64_t sqlite_bytes; /* what SQLite has in memory for all its files, most of it pages */
    bool full;
    uint64_t asked, asked_bytes; /* questions that wait for an answer, and their memory */
    uint64_t reads, scans;       /* steps of answers that were read, and of these, by the scanner */
    /* bytes of what may be dropped, by kind, as of the last minute */
    uint64_t held_history, held_evidence, held_events, held_notes;
};
void store_stats(struct store *s, struct store_stats *ret);

/* ---- Work on a whole file. Both calls block until they are done, open the file read-only and may
 * run beside a broker. */
/* Reads everything: the file's integrity, the records' order and form, the history against the
 * journal. Appends one line to *ret_text; on failure err has the first fault. */
int store_check(const char *path, struct buf *ret_text, struct error *err);
/* Makes a consistent, synced copy at `to`. -EEXIST: that file exists. The copy is written as
 * TO.part and gets its name once it is complete. */
int store_backup(const char *path, const char *to, struct error *err);

#endif
