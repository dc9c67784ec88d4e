/* attempts.h - how far each attempt is in its job, from what this server's keepers have said: so
 * that a captured worker cannot skip a step, repeat one, change their order or invent outputs.
 *
 * An attempt of a job of one step and one try is not kept: there is nothing to remember. Of any
 * other the tries, how they ended, and the outputs that a later step binds are kept; the step
 * machine (proto/steps.h) says which step may come next.
 *
 * The truth is in the spool, the table is a copy of it. Each S_LAUNCHED and S_ENDED of such an
 * attempt carries the hash of its job; an attempt that is not in the table (after a restart of the
 * runner, or because the table is full) is read again from the files of keepers and runner when its
 * next step is asked for. So the table has a limit and nobody is refused because of it. If entries
 * are missing (a file was removed too early), steps are refused: what comes next is then either
 * a step that the table of replays (seen.h) knows, or one that does not fit to the tries that are
 * left.
 *
 * Stops: the worker may stop an attempt at any time. It says so with S_HALT, or by asking for an
 * `always` step: after that no other step runs. */
#ifndef LB_RUNNER_ATTEMPTS_H
#define LB_RUNNER_ATTEMPTS_H

#include "proto/steps.h"

enum {
    ATTEMPTS_MAX = 16384,          /* in the table; the one used longest ago is forgotten */
    ATTEMPTS_BYTES_MAX = 64 << 20, /* of tries and outputs in the table, likewise */
    ATTEMPTS_EARLY_MAX_MS = 100    /* a retry may come so much before its time */
};

struct attempts;

/* True if a step of this run waits or runs at a keeper or at the runner. */
typedef bool attempts_holds_fn(void *self, struct id run);
/* `spool_folder` is lent: where keepers and runner write. */
struct attempts *attempts_new(const char *spool_folder, attempts_holds_fn *holds, void *self);
void attempts_free(struct attempts **a);

/* A try of a step that is asked for; call and job have been verified. */
struct attempts_step {
    struct hash identity; /* of the call, see seen.h */
    struct id run;
    uint64_t attempt;
    bool begun; /* a step of this attempt was accepted before */
    const struct steps_job *job;
    struct hash job_hash;
    unsigned step;
    uint64_t try_no;
};

enum attempts_answer {
    ATTEMPTS_NOW,    /* exactly this try may come now */
    ATTEMPTS_BUSY,   /* another step of the run has not ended: ask again when it has */
    ATTEMPTS_REFUSED /* *err says what may come instead */
};
/* `now`: wall ms. */
enum attempts_answer attempts_ask(struct attempts *a, const struct attempts_step *s, int64_t now,
                                  struct error *err);
/* After ATTEMPTS_NOW: appends the outputs of earlier steps, an S_OUTPUTS each, and counts them. */
void attempts_outputs(struct attempts *a, const struct attempts_step *s, struct buf *items,
                      uint32_t *count);
/* After ATTEMPTS_NOW: the try was accepted. */
void attempts_take(struct attempts *a, const struct attempts_step *s);
/* After ATTEMPTS_NOW: the runner has refused the try, which ends it. False: nothing of the attempt
 * has been accepted yet, so this is forgotten. */
bool attempts_refuse(struct attempts *a, const struct attempts_step *s, enum refusal code,
                     int64_t now);

/* A try that was accepted has ended. launched: it had started. */
void attempts_end(struct attempts *a, const struct s_ended *e, bool launched);
/* Its keeper has died. launched: it had started, so its end is in the spool or unknown; else it may
 * be asked for again. */
void attempts_lose(struct attempts *a, const struct s_kept *k, bool launched, int64_t now);
void attempts_halt(struct attempts *a, const struct s_halt *h);

#endif
