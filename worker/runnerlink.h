/* runnerlink.h - the worker's end of run/runner.sock: finds lbrunner, starts it where nobody else
 * does, and never gives up.
 *
 * lbrunner is started by posix_spawn, in a session of its own, from the folder in which lbworker
 * lies; it outlives us, and the next worker finds it by its socket. First message both ways:
 * S_ATTACH. */
#ifndef LB_WORKER_RUNNERLINK_H
#define LB_WORKER_RUNNERLINK_H

#include "common/loop.h"
#include "proto/messages.h"

enum {
    RUNNER_PROTOCOL = 1,       /* S_ATTACH.version */
    RUNNER_QUEUE_MAX = 1 << 20 /* bytes that wait on the channel; more wait with the caller */
};

struct runnerlink;

struct runnerlink_options {
    const char *socket;
    const char *program; /* NULL: somebody else starts the runner */
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
/* Queues. False: it is down, and what is sent now is asked for again after `up`; or
 * RUNNER_QUEUE_MAX wait already: then there is room in the turn in which the runner has read
 * on. */
bool runnerlink_send(struct runnerlink *l, struct span message);
/* would runnerlink_send take something now? */
bool runnerlink_has_room(const struct runnerlink *l);
void runnerlink_flush(struct runnerlink *l);
/* After SIGCHLD. */
void runnerlink_reap(struct runnerlink *l);
/* Why it is not up, for people. */
const char *runnerlink_trouble(const struct runnerlink *l);

/* lbrunner beside this very program; yours to free. */
char *runnerlink_program(void);

#endif
