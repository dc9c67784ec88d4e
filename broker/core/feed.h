/* feed.h - subscriptions: each reader gets every event once, in order, without a gap, under its
 * credit. Pure: it reaches texts, rights, sessions and the store through calls.
 *
 * An event's `seq` is the lsn of its record; only committed ones are sent. Seeing must not cost
 * those who work. So nothing is done when a record is made or committed, except that the newest
 * records are copied into a ring in memory while a reader is near them. All other work is done in
 * feed_step, a bounded piece a call, for as long as the shell wants to spend time on it. Readers
 * that fall behind meanwhile go on from the store, a page at a time, and miss nothing.
 *
 * Readers with the same filter and the same rights form a class. Those of a class that are at the
 * same position are served together: each event is judged once for them, and made into text once
 * for everybody. Principals take turns, whatever number of subscriptions they have, and there is
 * one question to the store at a time. A reader without credit, or with a full window, costs no
 * more than its entry. */
#ifndef LB_BROKER_CORE_FEED_H
#define LB_BROKER_CORE_FEED_H

#include "broker/core/core.h"

/* An event, and what filters and rights look at. Made and dropped by the shell. */
struct feed_event {
    uint64_t seq;
    char *text; /* as sent; NULL until the first reader gets it */
    size_t n;
    const char *word; /* "result" */
    struct id run, parent;
    int status; /* STATUS_, -1: none */
    int64_t at;
    char principal[LIMIT_NAME + 1], job[LIMIT_JOB + 1], address[LIMIT_ADDRESS + 1],
        server[LIMIT_NAME + 1];
};

/* A subscription's `where`, read once. Its keys are server and job (globs), parent, run, status and
 * event (a word or a list of words); an event must match each key, by any of its words. */
struct feed_term;
struct feed_filter {
    struct feed_term *terms;
    unsigned n, words; /* terms, and the words of all of them */
};
/* The filter must have passed feed_check_filter. Yours: feed_filter_free. */
void feed_filter_read(struct feed_filter *ret, const struct wire_list *where);
void feed_filter_free(struct feed_filter *filter);
bool feed_filter_matches(const struct feed_filter *filter, const struct feed_event *e);
/* -EINVAL, with err: `where` has an unknown key or value, or too many words. */
int feed_check_filter(const struct wire_list *where, struct error *err);
/* The number of a status; -EINVAL: err suggests the nearest. */
int feed_status(struct span word, struct error *err);
/* The run or parent to which a record belongs; zero: none. *ret_begins: it is its first record. */
struct id feed_run_of(struct span record, uint64_t *ret_kind, bool *ret_begins);

/* A feed's defaults. */
enum {
    FEED_RING_BYTES = 8 << 20, /* less: slow readers go to the store sooner */
    FEED_RING_MAX = 4096,      /* records: 1,000 jobs at once; filling it costs each record 1 us */
    FEED_BATCH_BYTES = 64 << 10,
    FEED_SCAN_MAX = 512,    /* records judged in one step; with many words in the filter fewer */
    FEED_WORDS_MAX = 256,   /* of a filter: each costs time for each record */
    FEED_SILENT_MAX = 1000, /* records without a match before the reader is told its position */
    FEED_READERS_MAX = 4096 /* of all principals; each one's own limit is a budget */
};

struct feed_config { /* 0: as above */
    size_t ring_bytes, batch_bytes;
    unsigned ring_most, scan_most, silent_most;
};

/* A question to the store: the committed records with lsn in (after, upto], in order, and the first
 * record of each run among them. */
struct feed_question {
    uint64_t after, upto;
    int64_t
        since; /* not 0: from the first record of this wall time or later, whatever `after` is */
    unsigned most;
    size_t most_bytes;
};
struct feed_page {
    const struct bcore_record *records, *begins;
    unsigned n_records, n_begins;
    uint64_t next; /* the page covers (after, next] */
};

/* The principal of a session, and what it may see: sessions with equal `rights` may see the same
 * events, now and later. */
struct feed_who {
    struct hash principal, rights;
};

struct feed_reader;
struct feed_calls {
    /* Makes the event of a record, without its text. `begin`: the first record of its run; empty:
     * the store no longer has it, or there is no run. The feed owns the event until `drop`. */
    struct feed_event *(*make)(void *self, uint64_t lsn, struct span record, struct span begin);
    /* Makes its text, from the same. */
    void (*tell)(void *self, struct feed_event *e, struct span record, struct span begin);
    void (*drop)(void *self, struct feed_event **e);
    void (*who)(void *self, uint64_t peer, struct feed_who *ret);
    /* Takes a subscription from the budget of the peer's principal: 0, or -EDQUOT with err. */
    int (*take)(void *self, const struct hash *principal, struct error *err);
    void (*give)(void *self, const struct hash *principal); /* gives it back */
    bool (*may_hear)(void *self, uint64_t peer); /* is its session up and its certificate good? */
    bool (*window_open)(void *self, uint64_t peer); /* can its session take messages? */
    bool (*may_see)(void *self, uint64_t peer, const struct feed_event *e);
    void (*send)(void *self, uint64_t peer, const struct m_events *m);
    /* Asks the store, whose answer comes later through feed_page or feed_failed. Returns a number
     * for `forget`, never 0. */
    uint64_t (*ask)(void *self, struct feed_reader *r, const struct feed_question *q);
    void (*forget)(void *self, uint64_t asked); /* cancels the question */
};

struct feed;
/* `core`, lent for the feed's life, supplies runs whose first record the feed has not seen. */
struct feed *feed_new(const struct feed_config *config, const struct bcore *core,
                      const struct feed_calls *calls, void *self);
void feed_free(struct feed **f);

/* The next record of the core; it need not be committed yet. */
void feed_record(struct feed *f, uint64_t lsn, struct span record);
/* Everything up to lsn is on disk. Call it once at the start, too, with the store's last record:
 * until then every position counts as in the future. */
void feed_committed(struct feed *f, uint64_t lsn);
/* Does one piece of work: judges some records for the readers of one class, or asks the store. The
 * principal whose turn it was comes last next time. False: there is nothing to do until a record is
 * committed, a page comes, credit is given or a window opens. Call it after these, until it returns
 * false; later is fine and costs only time. */
bool feed_step(struct feed *f);

/* SUBSCRIBE of a peer; the same `req` again replaces the subscription. REFUSAL_NONE, or a refusal
 * with err. */
enum refusal feed_subscribe(struct feed *f, uint64_t peer, const struct m_subscribe *m,
                            struct error *err);
void feed_credit(struct feed *f, uint64_t peer, const struct m_credit *m);
void feed_unsubscribe(struct feed *f, uint64_t peer, uint64_t req);
void feed_forget(struct feed *f, uint64_t peer); /* its session has ended */

/* The store's answer; what the page points to is copied. */
void feed_page(struct feed_reader *r, const struct feed_page *page);
void feed_failed(struct feed_reader *r); /* the next step asks again */
uint64_t feed_reader_peer(const struct feed_reader *r);
uint64_t feed_reader_req(const struct feed_reader *r);
void *feed_reader_shell(const struct feed_reader *r); /* the `self` of the feed's calls */

unsigned feed_readers(const struct feed *f);

#endif
