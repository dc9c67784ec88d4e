/* core.h - what the worker of one server decides: attempts, slots, the steps of jobs, the outbox.
 * Pure, like broker/core.
 *
 * The spool is the durable state: the worker's own entries (TAKEN, STEPPED, STOPPED, FINISHED,
 * GIVEN_BACK, RECORDED, and ENDED for a step that no keeper will ever report) and the keepers'
 * (LAUNCHED, ENDED; OUTPUT and PROGRESS pass through the shell). A new process replays them all
 * (wcore_replay), hears from the runner what each keeper holds (KEPT ... KEPT_END), and goes on. A
 * step that was asked for but is in no spool and with no keeper is asked for again. A step that was
 * launched, has not ended and is with no keeper is `unknown`. How far an attempt is in its job is
 * never stored: it follows from the steps that were asked for and how they ended (proto/steps.h),
 * so the order in which the files are replayed does not matter.
 *
 * After another boot, or if the spool has lost entries (config.gap), an attempt of which more may
 * have happened than the spool says is not gone on with: it ends as `unknown`, or as `lost` where
 * on_lost allows a person or the broker to decide otherwise. Nothing of it is started a second
 * time.
 *
 * The shell owes the core one order: before it hands over KEPT or KEPT_END, it hands over
 * everything that the keepers' spool files held at that moment. Otherwise "launched, not ended,
 * not kept" would be a race. */
#ifndef LB_WORKER_CORE_CORE_H
#define LB_WORKER_CORE_CORE_H

#include "proto/messages.h"
#include "proto/outcome.h"
#include "proto/state.h"

struct wcore;

struct wcore_config {
    char server[LIMIT_NAME + 1];
    unsigned slots;
    unsigned ahead; /* steps asked for beyond `slots`: the runner starts them without us */
    struct id spool, boot;
    /* the machine has been started anew since the spool was last written: no step of it runs */
    bool rebooted;
    /* the spool may lack entries: what it does not say may have happened all the same */
    bool gap;
};

enum wcore_event_kind {
    /* message: WELCOME. The core says HAVE ..., HAVE_END, and the RESULTs that are not recorded */
    WCORE_SESSION_UP,
    WCORE_SESSION_DOWN, /* nothing is undone; results wait */
    WCORE_MESSAGE,      /* message: EXECUTE, STOP, RECALL or RECORDED; others are the shell's */
    /* message: a keeper's or the runner's LAUNCHED, PROGRESS or ENDED, in the order of its file */
    WCORE_SPOOL,
    /* KEPT entries follow as WCORE_KEPT, then WCORE_KEPT_END: before that no step is asked for */
    WCORE_RUNNER_UP,
    WCORE_KEPT,
    WCORE_KEPT_END,
    WCORE_RUNNER_DOWN,
    /* a file of keepers or runner was damaged: what is open may have ended without our knowledge */
    WCORE_SPOOL_DAMAGED,
    /* message: d_job of the attempt (run, attempt) that WCORE_FX_FIND_JOB asked for; empty: it is
     * not here, and `text` says why */
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
    /* body: m_ to the broker; dropped without a session (a new one says it again) */
    WCORE_FX_SEND,
    /* body: s_ entry appended to worker.log before any later effect of this step leaves */
    WCORE_FX_SPOOL,
    /* body: s_step or s_halt to the runner; dropped while it is down (RUNNER_UP asks again) */
    WCORE_FX_RUNNER,
    /* body: the m_execute: find the job's compiled bytes, answer WCORE_JOB (at once or later) */
    WCORE_FX_FIND_JOB,
    WCORE_FX_FORGET /* run, attempt: recorded; its entries may go once its output is shipped */
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
/* After the replay: what is known of the spool by then. Before the first step. */
void wcore_set_gap(struct wcore *c, bool rebooted, bool gap);
/* Before the first step: each entry of worker.log, then the keepers'. -EPROTO: it cannot be one. */
int wcore_replay(struct wcore *c, struct span spool_entry, struct error *err);
/* Takes one event; *out has its effects, in order, until the next call. */
void wcore_step(struct wcore *c, const struct wcore_event *ev, struct wcore_out *out);
/* When to send WCORE_TICK at the latest: boot ms; INT64_MAX: never. */
int64_t wcore_deadline(const struct wcore *c);
void wcore_digest(const struct wcore *c, struct hash *ret); /* of the durable state */
/* How many attempts are not yet recorded. */
unsigned wcore_live(const struct wcore *c);
/* True if all slots are busy: results may then wait a few ms to share a frame. */
bool wcore_full(const struct wcore *c);
/* True if the fence must stay where it is: a `rerun` attempt is being stopped, and a step of it was
 * asked for but has neither been launched nor ended. The step may wait at a keeper for the fence to
 * move on, and would start before the halt arrives, which may take until there is a runner. */
bool wcore_holds_fence(const struct wcore *c);
/* True once the runner has listed what it holds and nothing of it is unknown to us: such steps are
 * halted. Until then a worker whose spool has a gap says nothing to a broker, which might have what
 * still runs here run elsewhere. */
bool wcore_is_alone(const struct wcore *c);
/* True if the core still needs the entries of this attempt; the shell drops all others. */
bool wcore_knows(const struct wcore *c, struct id run, uint64_t attempt);
/* The hash of its signed call's body, which a signed result names (trust/result.h). False: the core
 * does not know it, and no step of the attempt has begun. */
bool wcore_call_hash(const struct wcore *c, struct id run, uint64_t attempt, struct hash *ret);
/* True if an unfinished attempt runs this version of a job. */
bool wcore_uses_job(const struct wcore *c, const struct hash *job);

#endif
