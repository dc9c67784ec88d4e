/* slots.h - what runs and waits where: the queue of verified steps, and a keeper for each slot.
 *
 * A step goes to an idle keeper. If there is none and fewer keepers than slots, one is started.
 * Else, while steps are short, some are sent ahead to each keeper (about AHEAD_MS of work, at
 * most AHEAD_MAX), so that the next child starts without a question. Steps that wait behind a
 * long one are taken back when another slot is idle. */
#ifndef LB_RUNNER_SLOTS_H
#define LB_RUNNER_SLOTS_H

#include "common/loop.h"
#include "proto/messages.h"
#include "runner/runnerpaths.h"
#include "runner/report.h"

enum {
    AHEAD_MS = 50,
    AHEAD_MAX = 16,    /* below KEEPER_WAITING */
    TAKE_BACK_MS = 50, /* how often to look for steps that wait behind a long one */
    LOCKED_MS = 100,   /* how often to try a slot whose last keeper is still being cleaned up */
    SLOTS_STALE_MS = 1000,
    ADOPT_MS = 2000 /* keepers of an earlier runner that do not answer within this are stuck */
};

struct slots;

/* What the owner is told. */
struct slots_events {
    /* The keeper of this step has died (KEPT_GONE), or no slot can be used (KEPT_NOWHERE).
     * launched: an S_LAUNCHED is in the spool; if not, the step may be asked for again. */
    void (*gone)(void *self, const struct s_kept *kept, bool launched);
    /* It has waited for SLOTS_STALE_MS, or at a keeper, and goes to a keeper now: may it still run,
     * and as what? May write its S_LAUNCH anew. Negative: refused, with a code and a sentence. */
    int (*again)(void *self, struct buf *launch, enum refusal *ret_code, struct error *err);
    /* How a step has ended whose attempt is remembered (S_LAUNCH.job_hash). */
    void (*outcome)(void *self, const struct s_ended *e, bool launched);
    /* A keeper no longer holds this step (KEPT_GONE); its outcome, if any, was told before. */
    void (*over)(void *self, const struct s_kept *kept);
    /* Its keeper has begun this step. */
    void (*begun)(void *self, const struct s_kept *kept);
    /* So many slots are out of service now, and why one of them is; 0: none. */
    void (*trouble)(void *self, unsigned slots, const char *why);
    void *self;
};

struct slots *slots_new(const struct runner_paths *paths, struct loop *loop, struct report *report,
                        const struct slots_events *events);
/* Keepers carry on. Steps that wait here are dropped: the worker requests them again. */
void slots_free(struct slots **s);

/* Finds the keepers of an earlier runner by their sockets and asks what they hold; for a keeper
 * that does not answer, spool and slot file tell. Runs the loop for up to ADOPT_MS. */
int slots_adopt(struct slots *s, struct error *err);
void slots_resize(struct slots *s, unsigned n);

/* Queues a step: the bytes of its S_LAUNCH. */
void slots_take(struct slots *s, struct span launch);
/* Ends the running step of the attempt and drops those that wait. */
void slots_halt(struct slots *s, const struct s_halt *h);
/* Calls fn for every step here: KEPT_WAITS (slot 0: in our queue) or KEPT_RUNS. Returns how
 * many. */
typedef void slots_kept_fn(void *self, const struct s_kept *kept);
unsigned slots_list(struct slots *s, slots_kept_fn *fn, void *self);
/* True if a step of the run waits or runs here. */
bool slots_hold_any(const struct slots *s, struct id run);
/* Is this step here: in our queue or with a keeper? */
bool slots_hold(const struct slots *s, const struct s_step *step);
/* Calls `trouble`, for an owner that has missed it. */
void slots_tell_trouble(struct slots *s);
/* Sends what was queued in this turn. */
void slots_flush(struct slots *s);

#endif
