/* waiting.h - the queue of verified steps that wait for a slot, first in first out. */
#ifndef LB_RUNNER_WAITING_H
#define LB_RUNNER_WAITING_H

#include <stdbool.h>

#include "proto/messages.h"

struct waiting {
    struct buf launch; /* S_LAUNCH */
    int64_t since;     /* boot; 0: it has waited at a keeper, too */
    struct waiting *next;
};
struct waiting_queue {
    struct waiting *first, **last;
};

void waiting_init(struct waiting_queue *q);
/* Copies the launch. */
void waiting_put(struct waiting_queue *q, struct span launch, int64_t since);
void waiting_put_first(struct waiting_queue *q, struct span launch);
/* Takes out the step to which *at points; it is yours: waiting_free. */
struct waiting *waiting_take(struct waiting_queue *q, struct waiting **at);
void waiting_free(struct waiting **w);
bool waiting_launch(const struct waiting *w, struct s_launch *ret);
/* Does a step of the run, or this very step, wait? */
bool waiting_has_run(const struct waiting_queue *q, struct id run);
bool waiting_has(const struct waiting_queue *q, const struct s_step *step);

#endif
