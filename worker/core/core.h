/* core.h - what the worker of one server decides: attempts, slots, steps of jobs, the outbox. Pure,
 * as broker/core is.
 *
 * The durable state is what the spool's entries say: the worker's own (TAKEN, STEPPED, STOPPED,
 * FINISHED, GIVEN_BACK, RECORDED, and ENDED for a step that no keeper will ever report) and the
 * keepers' (LAUNCHED, ENDED; OUTPUT and PROGRESS pass through the shell). A new process replays all
 * of them (wcore_replay), hears from the runner which keepers hold what (KEPT ... KEPT_END), and
 * goes on: a step that was asked for, is in no spool and with no keeper is asked for again; one
 * that was launched, has not ended, and no keeper holds is `unknown`. Where in its job an attempt
 * stands is never stored: it is folded from the steps that were asked for and how they ended
 * (steps.c), so that the order in which the files are replayed does not matter.
 *
 * The shell owes the core one order: before it hands on KEPT or KEPT_END it has handed on all that
 * the keepers' spool files held at that moment, so that "launched, not ended, not kept" is the
 * truth and not a race. */
#ifndef LB_WORKER_CORE_CORE_H
#define LB_WORKER_CORE_CORE_H

#include "proto/messages.h"
#include "proto/outcome.h"
#include "proto/state.h"

struct wcore;

struct wcore_config {
    char server[LIMIT_NAME + 1];
    unsigned slots;
    unsigned
        /* steps that may be asked for beyond `slots`: they wait at the runner, which starts them
           without us */
        ahead;
    struct id spool, boot, incarnation;
};

enum wcore_event_kind {
    /* message: WELCOME. The core says HAVE ..., HAVE_END, RESULTs not recorded */
    WCORE_SESSION_UP,
    WCORE_SESSION_DOWN, /* nothing is undone; results wait */
    WCORE_MESSAGE,      /* message: EXECUTE STOP RECALL RECORDED (others are the shell's) */
    /* entry: a keeper's or the runner's LAUNCHED, PROGRESS or ENDED, in its file's order */
    WCORE_SPOOL,
    /* KEPT entries follow as WCORE_KEPT, then WCORE_KEPT_END: before that no step is asked for */
    WCORE_RUNNER_UP,
    WCORE_KEPT,
    WCORE_KEPT_END,
    WCORE_RUNNER_DOWN,
    /* message: d_job of the attempt (run, attempt) that WCORE_FX_FIND_JOB asked for; empty: not
       here, `text` says why */
    WCORE_JOB,
    WCORE_TICK
};

struct wcore_event {
    enum wcore_event_kind kind;
    int64_t now, wall; /* as in broker/core */
    struct span message;
    struct id run;
    uint64_t attempt;
    const char *text;
    enum refusal code;
};

enum wcore_effect_kind {
    /* body: m_ to the broker; dropped when no session is open (a new session says it again) */
    WCORE_FX_SEND,
    /* body: s_ entry appended to worker.log before any later effect of this step leaves */
    WCORE_FX_SPOOL,
    /* body: s_step or s_halt to the runner; dropped when it is down (RUNNER_UP asks again) */
    WCORE_FX_RUNNER,
    /* body: the m_execute: find the job's compiled bytes, answer WCORE_JOB (at once or later) */
    WCORE_FX_FIND_JOB,
    WCORE_FX_FORGET /* run, attempt: recorded; its spool entries and logs may go once shipped */
};

struct wcore_effect {
    enum wcore_effect_kind kind;
    struct id run;
    uint64_t attempt;
    struct span body;
};

struct wcore_out {
    struct wcore_effect *effects;
    unsigned n_effects;
    struct buf arena;
    unsigned cap_effects;
};
void wcore_out_free(struct wcore_out *out);

struct wcore *wcore_new(const struct wcore_config *config);
void wcore_free(struct wcore **c);
int wcore_replay(struct wcore *c, struct span spool_entry,
                 struct error *err); /* worker.log first, then the keepers' */
void wcore_step(struct wcore *c, const struct wcore_event *ev, struct wcore_out *out);
int64_t wcore_deadline(const struct wcore *c);
void wcore_digest(const struct wcore *c, struct hash *ret); /* of the durable state */
/* Attempts that are not recorded; for `lbworker`'s stop, drain and tests. */
unsigned wcore_live(const struct wcore *c);
/* Do as many steps run as there are slots? Then results may be held a few ms to share a frame. */
bool wcore_full(const struct wcore *c);
/* Must the fence stay where it is? While a step of a `rerun` attempt that is being stopped was
 * asked for and has neither been launched nor ended: it may wait at a keeper for the fence to move
 * on, and would start before the halt has found its way, which may take as long as there is no
 * runner. */
bool wcore_holds_fence(const struct wcore *c);
/* Does the core still need the entries of this attempt? (The shell rewrites its spool without the
   others.) */
bool wcore_knows(const struct wcore *c, struct id run, uint64_t attempt);
/* Does an attempt that has not finished run this version of a job? */
bool wcore_uses_job(const struct wcore *c, const struct hash *job);

#endif
