/* seen.h - which steps of which calls this server has run, so that a compromised worker cannot have
 * one repeated. The table in memory; replay.h keeps it on disk. No file, no clock.
 *
 * A call is known by its identity, the hash of its caller's name and its key: both are signed, the
 * run's id is not. For each call the table keeps the run, the highest attempt, and the turns of
 * that attempt that were accepted: a turn is a step and the number of its try.
 *
 * Each change is a record (s_seen), and records are applied by one function, so what is read
 * from the disk gives the same table. */
#ifndef LB_RUNNER_SEEN_H
#define LB_RUNNER_SEEN_H

#include "proto/messages.h"

enum {
    SEEN_CALLS_MAX = 1 << 20,
    SEEN_TURNS_MAX = 1024, /* of one attempt; a worker stops at STEP_STARTS_MAX */
    SEEN_SWEEP_MS = 1000   /* between two looks for expired calls in a full table */
};
/* An expired call cannot begin, but one that has begun goes on: its next step may come late. So an
 * expired call is forgotten when room is needed, or this long after its last step. */
#define SEEN_KEEP_MS (30LL * 86400000)

/* What a record says. */
enum seen_state {
    SEEN_STATE_ACCEPTED = 1, /* the step will be launched, unless a keeper dies first */
    SEEN_STATE_BEGUN,        /* a keeper has begun it */
    SEEN_STATE_FORGOTTEN,    /* it certainly was not launched, and may be asked for again */
    SEEN_STATE_REACHED       /* the call has reached this attempt; older ones have begun */
};

struct seen;
/* Holds at most `most` calls, of one caller at most three quarters of them. */
struct seen *seen_new(size_t most);
void seen_free(struct seen **s);
size_t seen_count(const struct seen *s);

void seen_identity(struct span caller, struct span key, struct hash *ret);
uint64_t seen_caller(struct span name); /* never 0, which means "not known" */

struct seen_step {
    struct hash identity;
    uint64_t caller;
    struct id run;
    uint64_t attempt;
    struct span step;
    uint64_t try_no;
    bool may_repeat; /* the caller allows another attempt after a lost one: rerun or hold */
    int64_t issued_at, expires;
};
enum seen_answer {
    SEEN_NEW,  /* not run yet */
    SEEN_SAME, /* this very step was accepted: its outcome is in the spool, or will be */
    /* another run of the call, an older attempt, or a repetition that the caller does not allow */
    SEEN_REPLAYED,
    SEEN_FULL
};
/* Asks without changing anything but expired calls. *ret_begun: when the first step of this attempt
 * was accepted (wall ms); 0: this would be the first. For REPLAYED and FULL *err says why. */
enum seen_answer seen_ask(struct seen *s, const struct seen_step *step, int64_t now,
                          int64_t *ret_begun, struct error *err);
bool seen_knows(const struct seen *s, const struct hash *identity);

/* The record that says this of the step. */
void seen_record(const struct seen_step *step, enum seen_state state, int64_t now,
                 struct s_seen *ret);
/* Applies a record. False: it changes nothing. */
bool seen_apply(struct seen *s, const struct s_seen *r);

/* Marks a step that a keeper holds: seen_settle leaves it alone. */
void seen_hold(struct seen *s, const struct seen_step *step);
/* Calls fn for each step that is accepted, not known to have begun, and not held. fn may apply
 * records to such a step, and to no other. */
typedef void seen_fn(void *self, const struct s_seen *r);
void seen_settle(struct seen *s, enum seen_state as, seen_fn *fn, void *self);
/* Hands over the records that make this table. */
void seen_each(const struct seen *s, seen_fn *fn, void *self);
/* Drops the calls that expired and had no step for SEEN_KEEP_MS. */
void seen_drop_old(struct seen *s, int64_t now);

#endif
