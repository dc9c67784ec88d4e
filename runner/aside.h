/* aside.h - requests for steps that came a moment too early: the worker has read in the spool that
 * the step before has ended, and its keeper has not yet told the runner. They wait until it has. */
#ifndef LB_RUNNER_ASIDE_H
#define LB_RUNNER_ASIDE_H

#include "proto/messages.h"

enum {
    ASIDE_MAX = 256, /* no more steps of one server end in the same moment */
    ASIDE_BYTES_MAX = 16 << 20
};

struct aside;
struct aside *aside_new(void);
void aside_free(struct aside **a);

/* Keeps a copy of the message, an S_STEP of this run. False: there is no room. */
bool aside_put(struct aside *a, struct id run, struct span message);
/* Takes the oldest of the run into *ret, which is replaced. False: there is none. */
bool aside_take(struct aside *a, struct id run, struct buf *ret);
/* A step of the run has ended: its requests are ready to be judged again. */
void aside_wake(struct aside *a, struct id run);
/* Takes the oldest that is ready, as aside_take. */
bool aside_take_ready(struct aside *a, struct buf *ret);
void aside_clear(struct aside *a);

#endif
