/* planned.h - what a step would run, for a person who wants to know before: an S_PLANNED. Pure. */
#ifndef LB_RUNNER_PLANNED_H
#define LB_RUNNER_PLANNED_H

#include "proto/protect.h"
#include "runner/execution.h"

struct planned {
    const struct execution *execution;
    const char *user;
    const char *const *off; /* protections that would be off */
    size_t n_off;
};
void planned_encode(const struct planned *p, struct buf *out);
/* The step would be refused. */
void planned_refused(struct span step, enum refusal code, const char *why, struct buf *out);

#endif
