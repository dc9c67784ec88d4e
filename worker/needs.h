/* needs.h - the conditions that packages state about their server, probed periodically. They are an
 * input to placement.
 *
 *     path:/srv/source       it exists and we may read it
 *     command:psql           it is in $PATH, or is an absolute path to a program
 *     tcp:db1:5432           something accepts a connection
 *     env:NAME               the variable is set
 *     disk_free:BYTES:/srv   this much is free for us
 *
 * A probe may hang (a dead file server, a slow resolver), so one thread makes them all, one after
 * the other. A need whose probe has not answered in time does not hold, and says so. */
#ifndef LB_WORKER_NEEDS_H
#define LB_WORKER_NEEDS_H

#include "common/loop.h"
#include "proto/messages.h"

enum {
    NEEDS_PERIOD_MS = 30000,
    NEEDS_CONNECT_MS = 3000, /* for a TCP connection */
    NEEDS_STUCK_MS = 10000   /* a need whose probe takes longer does not hold */
};

/* Makes one probe; blocks. True: the need holds. False: `trouble` says why not. */
bool need_probe(const char *need, char *trouble, size_t size);

struct needs;
/* Starts the thread. `changed` is called from the loop when a need starts or ceases to hold, or
 * has been probed for the first time. */
int needs_start(struct needs **ret, struct loop *loop, void (*changed)(void *self), void *self,
                struct error *err);
/* Only at the end of the process: a thread that hangs in a probe is left behind. */
void needs_stop(struct needs **n);
/* Replaces the list of needs. New ones are probed at once. */
void needs_set(struct needs *n, const struct wire_list *needs);
void needs_probe_soon(struct needs *n); /* all of them, without waiting for the period */
/* A d_need for each, as an m_attest lists them; the list points into *items. Needs that were never
 * probed are left out: they are not known to hold. */
struct wire_list needs_state(struct needs *n, struct buf *items);

#endif
