/* runnerlink.h - the worker's end of run/runner.sock: finds lbrunner, or starts it where nothing
 * else does, and never gives up.
 *
 * lbrunner is started by posix_spawn, in its own session, from lbworker's own folder. It
 * outlives us, and the next worker finds it by its socket. Both sides begin with S_ATTACH. */
#ifndef LB_WORKER_RUNNERLINK_H
#define LB_WORKER_RUNNERLINK_H

#include "common/loop.h"
#include "proto/attach.h"
#include "proto/messages.h"

enum {
    RUNNER_QUEUE_MAX = 1 << 20 /* bytes queued on the channel; the caller keeps the rest */
};

struct runnerlink;

struct runnerlink_options {
    const char *socket;
    const char *program; /* NULL: something else starts the runner */
    struct id spool;
    unsigned slots;
};

struct runnerlink_calls {
    void *self;
    void (*up)(void *self);
    void (*message)(void *self, uint64_t kind, struct span message);
    void (*down)(void *self, const char *why);
};

int runnerlink_open(struct runnerlink **ret, struct loop *loop, const struct runnerlink_options *o,
                    const struct runnerlink_calls *calls, struct error *err);
void runnerlink_close(struct runnerlink **l); /* the runner stays */
bool runnerlink_is_up(const struct runnerlink *l);
/* The version that both use. */
uint64_t runnerlink_version(const struct runnerlink *l);
/* Queues a message. False: the runner is down (after `up` the core asks again), or
 * RUNNER_QUEUE_MAX bytes are queued already (there is room again in the turn in which the runner
 * has read on). */
bool runnerlink_send(struct runnerlink *l, struct span message);
/* True if runnerlink_send would take a message now. */
bool runnerlink_has_room(const struct runnerlink *l);
void runnerlink_flush(struct runnerlink *l);
/* On SIGCHLD. */
void runnerlink_reap(struct runnerlink *l);
/* Why it is not up, as text; "" while it is. */
const char *runnerlink_trouble(const struct runnerlink *l);
/* True while a runner answers that speaks no version of ours. We go on trying. */
bool runnerlink_is_strange(const struct runnerlink *l);

/* The path of lbrunner beside this program; yours to free. */
char *runnerlink_program(void);

#endif
