/* feed.h - who is told what happened: every event once, in order, without a gap, under the reader's
 * credit. Pure: the events' texts, rights, the session and the store are asked for through calls.
 *
 * An event's `seq` is its record's lsn; only committed ones are told. While somebody reads, the
 * newest lie in a ring in memory, with their texts ready; what is older, or was missed, comes from
 * the store a page at a time. A reader without credit, or whose session takes nothing, costs
 * nothing but its entry: nothing is prepared or queued for it. Each event is judged by the reader's
 * rights when it is sent. */
#ifndef LB_BROKER_CORE_FEED_H
#define LB_BROKER_CORE_FEED_H

#include "broker/core/core.h"

/* An event and what it is filtered and judged by. Made and dropped by the shell. */
struct feed_event {
    uint64_t seq;
    char *text; /* as it is sent */
    size_t n;
    const char *word; /* "result" */
    struct id run, parent;
    int status; /* STATUS_, -1: none */
    int64_t at;
    char principal[LIMIT_NAME + 1], job[LIMIT_JOB + 1], address[LIMIT_ADDRESS + 1],
        server[LIMIT_NAME + 1];
};

/* Does the event match a subscription's `where`? Keys: server, job (globs), parent, run, status,
 * event (a word or a list). */
bool feed_matches(const struct wire_list *where, const struct feed_event *e);
/* Is `where` a filter that we know? */
int feed_check_filter(const struct wire_list *where, struct error *err);
/* A word of a status as its number; -EINVAL: there is none, and what may have been meant. */
int feed_status(struct span word, struct error *err);
/* The run or parent that a record is of; zero: none. *ret_begins: it is the run's first. */
struct id feed_run_of(struct span record, uint64_t *ret_kind, bool *ret_begins);

enum { /* what a feed does if its config says nothing else */
       /* some 10,000 results; less: slow monitors read from the store sooner */
       FEED_RING_BYTES = 8 << 20,
       FEED_RING_MAX = 16384,
       FEED_BATCH_BYTES = 64 << 10,
       /* records looked at for one message: who matches little does not hold the loop */
       FEED_SCAN_MAX = 4096,
       /* records without a match before the reader is told how far it is */
       FEED_SILENT_MAX = 1000,
       FEED_READERS = 1000, /* of all peers */
       FEED_PER_PEER = 32
};

struct feed_config { /* 0: as above */
    size_t ring_bytes, batch_bytes;
    unsigned ring_most, scan_most, silent_most;
};

/* What a feed wants of the store: committed records with lsn in (after, upto], in order, and the
 * first record of each run among them. */
struct feed_question {
    uint64_t after, upto;
    /* not 0: begin at the first record of at least this wall time, whatever `after` is */
    int64_t since;
    unsigned most;
    size_t most_bytes;
};
struct feed_page {
    const struct bcore_record *records, *begins;
    unsigned n_records, n_begins;
    uint64_t next; /* all of (after, next] has been looked at */
};

struct feed_reader;
struct feed_calls {
    /* The event of a record; `begin`: the first record of its run, empty if there is none any more
     * or it is of no run. The feed has it until `drop`. */
    struct feed_event *(*make)(void *self, uint64_t lsn, struct span record, struct span begin);
    void (*drop)(void *self, struct feed_event **e);
    bool (*may_hear)(void *self, uint64_t peer); /* is its session there, and good? */
    bool (*window_open)(void *self, uint64_t peer);
    bool (*may_see)(void *self, uint64_t peer, const struct feed_event *e);
    void (*send)(void *self, uint64_t peer, const struct m_events *m);
    /* Asks the store, which answers later by feed_page or feed_failed. Returns a number for
       `forget`, never 0. */
    uint64_t (*ask)(void *self, struct feed_reader *r, const struct feed_question *q);
    void (*forget)(void *self, uint64_t asked); /* its answer must not come any more */
};

struct feed;
/* `core` is what the feed looks runs up in whose beginning it has not seen; lent for its life. */
struct feed *feed_new(const struct feed_config *config, const struct bcore *core,
                      const struct feed_calls *calls, void *self);
void feed_free(struct feed **f);

/* A record of the core, in order; not yet committed. */
void feed_record(struct feed *f, uint64_t lsn, struct span record);
/* Everything up to lsn is on disk. Said once at the start, too, with the last that the store has:
 * until then all numbers are from the future. */
void feed_committed(struct feed *f, uint64_t lsn);

/* SUBSCRIBE of a peer; the same `req` again begins anew. REFUSAL_NONE, or why not. */
enum refusal feed_subscribe(struct feed *f, uint64_t peer, const struct m_subscribe *m,
                            struct error *err);
void feed_credit(struct feed *f, uint64_t peer, const struct m_credit *m);
void feed_unsubscribe(struct feed *f, uint64_t peer, uint64_t req);
void feed_window(struct feed *f, uint64_t peer); /* its window is open again */
void feed_forget(struct feed *f, uint64_t peer); /* its session is over */

/* The store's answer. */
void feed_page(struct feed_reader *r, const struct feed_page *page);
void feed_failed(struct feed_reader *r); /* asked again at the next commit */
uint64_t feed_reader_peer(const struct feed_reader *r);
uint64_t feed_reader_req(const struct feed_reader *r);
void *feed_reader_shell(const struct feed_reader *r); /* the `self` of the feed's calls */

unsigned feed_readers(const struct feed *f);

#endif
