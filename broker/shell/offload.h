/* offload.h - one thread beside the loop for work that waits for a disk: syncing packages, backups,
 * checks.
 *
 * Jobs run one after another; `done` is called on the loop's thread. offload_free waits for the
 * running job and returns the others as cancelled. */
#ifndef LB_BROKER_SHELL_OFFLOAD_H
#define LB_BROKER_SHELL_OFFLOAD_H

#include "common/loop.h"

struct offload;
struct offload_job {
    void (*work)(struct offload_job *job);                 /* on the other thread */
    void (*done)(struct offload_job *job, bool cancelled); /* on the loop's; frees it */
    struct offload_job *next;
};

int offload_new(struct offload **ret, struct loop *loop, struct error *err);
void offload_free(struct offload **o);
void offload_push(struct offload *o, struct offload_job *job);

#endif
