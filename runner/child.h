/* child.h - the life of one child: started, read, watched, ended with its whole tree, reported.
 *
 * One at a time. Its keeper gives it a loop, and hears once that the step has ended: then its
 * S_ENDED is in the spool, no process of it is left, and the next may be started. */
#ifndef LB_RUNNER_CHILD_H
#define LB_RUNNER_CHILD_H

#include "common/loop.h"
#include "runner/runnerpaths.h"
#include "runner/report.h"
#include "proto/messages.h"

enum {
    LEFTOVER_GRACE_MS = 1000, /* for what a child leaves running when it ends by itself */
    /* KILL is repeated until nobody is left: what forks faster than that is caught by and by */
    KILL_AGAIN_MS = 20,
    PROGRESS_MS = 200,   /* how often $LB_PROGRESS is looked at */
    FENCE_LOOK_MS = 1000 /* how often, at the least, the fence is read */
};

struct child;
typedef void child_ended_fn(void *self);

/* `paths`, `report` and `loop` are lent. Makes the slot's folders. */
int child_new(const struct runner_paths *paths, unsigned slot, bool shielded, struct loop *loop,
              struct report *report, child_ended_fn *ended, void *self, struct child **ret,
              struct error *err);
void child_free(struct child **c); /* only while nothing runs */

/* Takes the bytes of an S_LAUNCH and starts it; that the fence permits it is the caller's to know.
 * Whatever goes wrong is an outcome (START_FAILED), and `ended` is called. */
void child_start(struct child *c, struct span launch);
const struct s_launch *child_launch(const struct child *c); /* what runs; NULL: nothing */
/* Ends the tree: TERM now, KILL after the grace (0: at once). timed_out: it is called that. */
void child_halt(struct child *c, int64_t grace_ms, bool timed_out);
void child_reap(struct child *c); /* on SIGCHLD */

#endif
