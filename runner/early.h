/* early.h - requests for steps that came a moment too early: the worker has read in the spool that
 * the step before has ended, and its keeper has not yet told the runner. They wait until it has. */
#ifndef LB_RUNNER_EARLY_H
#define LB_RUNNER_EARLY_H

#include "proto/messages.h"

enum {
    EARLY_MAX = 256, /* no more steps of one server end in the same moment */
    EARLY_BYTES_MAX = 16 << 20
};

struct early;
struct early *early_new(void);
void early_free(struct early **a);

/* Keeps a copy of the message, an S_STEP of this run. False: there is no room. */
bool early_put(struct early *a, struct id run, struct span message);
/* Takes the oldest of the run into *ret, which is replaced. False: there is none. */
bool early_take(struct early *a, struct id run, struct buf *ret);
/* A step of the run has ended: its requests are ready to be judged again. */
void early_wake(struct early *a, struct id run);
/* Takes the oldest that is ready, as early_take. */
bool early_take_ready(struct early *a, struct buf *ret);
void early_clear(struct early *a);

#endif
