/* child.h - the life of one child: started, read, watched, ended with its whole tree, reported.
 *
 * One at a time. Its keeper lends it a loop and is called once when the step has ended: by then the
 * S_ENDED is in the spool, no process of the step is left, and the next may start. */
#ifndef LB_RUNNER_CHILD_H
#define LB_RUNNER_CHILD_H

#include "common/loop.h"
#include "runner/runnerpaths.h"
#include "runner/report.h"
#include "proto/messages.h"

enum {
    LEFTOVER_GRACE_MS = 1000, /* for processes that a child leaves behind when it exits */
    /* KILL is repeated until nothing is left: it catches what forks faster */
    KILL_AGAIN_MS = 20,
    PROGRESS_MS = 200,   /* how often $LB_PROGRESS is read */
    FENCE_LOOK_MS = 1000 /* the fence is read at least this often */
};

struct child;
/* ended: the S_ENDED, valid during the call; none: the launch was malformed. launched: an
 * S_LAUNCHED precedes it in the spool. */
typedef void child_ended_fn(void *self, struct span ended, bool launched);

/* `paths`, `report` and `loop` are lent. Makes the slot's folders. */
int child_new(const struct runner_paths *paths, unsigned slot, bool shielded, struct loop *loop,
              struct report *report, child_ended_fn *ended, void *self, struct child **ret,
              struct error *err);
void child_free(struct child **c); /* only while nothing runs */

/* Starts a step from the bytes of its S_LAUNCH; the caller has checked the fence. handed_at: since
 * when it waits here, wall. Whatever goes wrong is an outcome (START_FAILED), and `ended` is
 * called. */
void child_start(struct child *c, struct span launch, int64_t handed_at);
/* Does all that child_start does before there is a child, and appends an S_PLANNED of what would be
 * started. Negative: it would be refused; *ret_code says how. */
int child_plan(struct child *c, struct span launch, struct buf *out, enum refusal *ret_code,
               struct error *err);
const struct s_launch *child_launch(const struct child *c); /* what runs; NULL: nothing */
/* Code 0: another child may start. Else the slot must not be used: this keeper ends. */
const struct error *child_trouble(const struct child *c);
/* Ends the tree: TERM now, KILL after the grace (0: at once). timed_out: the outcome says that the
 * time was up, not that the step was cancelled. */
void child_halt(struct child *c, int64_t grace_ms, bool timed_out);
void child_reap(struct child *c); /* on SIGCHLD */

#endif
