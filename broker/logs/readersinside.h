/* readersinside.h - what readers.c (turns, pages) and readersbegin.c (what is there to read)
 * share. */
#ifndef LB_BROKER_LOGS_READERSINSIDE_H
#define LB_BROKER_LOGS_READERSINSIDE_H

#include <sys/queue.h>

#include "broker/logs/readers.h"

struct reader {
    uint64_t peer, req, after;
    struct id run;
    char step[LIMIT_NAME + 1], server[LIMIT_NAME + 1]; /* server: of its last attempt, if known */
    bool follow;
    bool told;    /* what was dropped of that server's */
    bool ready;   /* there may be something to send */
    bool blocked; /* its session's window is closed */
    bool judging; /* the store is asked whether it may read, and how much there is */
    bool over;    /* the run has ended: `expected` bytes in all, or until `deadline` */
    uint64_t expected;
    int64_t deadline;
    uint64_t ends; /* lsn of the run's end, which is not on disk yet; 0: none */
    uint64_t asked;
    struct readers *of;
    struct readers_owner *owner;
    struct readers_run *watched;
    TAILQ_ENTRY(reader) turn; /* among its owner's */
    LIST_ENTRY(reader) watch; /* among its run's */
};

/* The readers of a principal. */
struct readers_owner {
    struct hash key;
    TAILQ_HEAD(, reader) readers; /* the one that was served last is last */
    unsigned ready;
    bool queued;
    TAILQ_ENTRY(readers_owner) turn;
    UT_hash_handle hh;
};

/* The readers of a run. */
struct readers_run {
    struct id run;
    LIST_HEAD(, reader) readers;
    UT_hash_handle hh;
};

struct readers {
    struct shell *shell;
    struct logfile *file;
    struct readers_owner *owners;
    struct readers_run *runs;
    TAILQ_HEAD(, readers_owner) turns; /* owners with something ready */
    unsigned n;
    bool ending; /* some wait for an end to be on disk */
    struct loop_timer work, tail;
};

bool readers_is_live(const struct readers *rs, const struct id *run);
/* What the store knows of a run that is not live. True: the reader may go on, and knows how much is
 * to come, from which server, and until when. False: it has been told why not. */
bool readers_may_begin(struct readers *rs, struct reader *r, const struct store_answer *a);
/* True: the run is live, has not begun, and the reader has been told so; a follower waits. */
bool readers_refuse_live(const struct readers *rs, const struct reader *r);

#endif
