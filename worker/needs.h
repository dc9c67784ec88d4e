/* needs.h - the conditions that packages state about their server, probed on a period: an input to
 * placement.
 *
 *   path:/srv/source        it is there and we may read it        command:psql   it is in $PATH, or
 *   an absolute path tcp:db1:5432            somebody accepts a connection         env:NAME
 *   the variable is set disk_free:BYTES:/srv    so much is free for us
 *
 * A probe may hang (a dead file server, a slow resolver), so a thread of its own makes them, one
 * after the other; what has not answered in time does not hold, and says so. */
#ifndef LB_WORKER_NEEDS_H
#define LB_WORKER_NEEDS_H

#include "common/loop.h"
#include "proto/messages.h"

enum {
    NEEDS_PERIOD_MS = 30000,
    NEEDS_CONNECT_MS = 3000, /* for a TCP connection */
    NEEDS_STUCK_MS = 10000   /* a probe that takes longer does not hold */
};

/* One probe, as the thread makes it. True: it holds. Otherwise `trouble` says why. Blocks. */
bool need_probe(const char *need, char *trouble, size_t size);

struct needs;
/* `changed` is called from the loop when a condition has begun or ceased to hold, or was probed for
 * the first time. */
int needs_start(struct needs **ret, struct loop *loop, void (*changed)(void *self), void *self,
                struct error *err);
/* A thread that hangs in a probe is left behind: for the end of the process. */
void needs_stop(struct needs **n);
/* What is to be probed from now on, whole; new ones at once. */
void needs_set(struct needs *n, const struct wire_list *needs);
void needs_probe_soon(struct needs *n); /* all of them, without waiting for the period to end */
/* d_need each, as an m_attest lists them. What was never probed is left out: it is not known to
   hold. */
struct wire_list needs_state(struct needs *n, struct buf *items);

#endif
