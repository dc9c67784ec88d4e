/* listener.h - the broker's end of all connections: what net/server does, with real sessions on
 * simulated connections. */
#ifndef LB_TESTS_SIM_LISTENER_H
#define LB_TESTS_SIM_LISTENER_H

#include "net/session.h"
#include "tests/sim/network.h"

struct listener;

struct listener_calls {
    void (*hello)(void *self, uint64_t peer, const char *name, struct span hello);
    void (*message)(void *self, uint64_t peer, struct span message);
    void (*down)(void *self, uint64_t peer); /* not for listener_close_peer */
    void (*window)(void *self, uint64_t peer, bool open);
    /* `owed`: bytes left once everything that could leave has left */
    void (*queued)(void *self, uint64_t peer, size_t owed);
    /* after all messages of a frame, or a timer */
    void (*turn_end)(void *self);
};

struct listener *listener_new(struct world *w, struct network *n, struct process *broker,
                              const struct listener_calls *calls, void *self);
void listener_free(struct listener **l); /* the process has died: nothing is sent */
void listener_send(struct listener *l, uint64_t peer, struct span message);
/* Sends what the window allows of the queue, then the last word, and drops the session. */
void listener_close_peer(struct listener *l, uint64_t peer, struct span last);
bool listener_window_open(const struct listener *l, uint64_t peer);
void listener_flush(struct listener *l); /* at the end of a turn: sends all that is queued */

#endif
