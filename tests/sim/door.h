/* door.h - the broker's end of all connections: what net/server does, with real sessions on
   simulated connections. */
#ifndef LB_TESTS_SIM_DOOR_H
#define LB_TESTS_SIM_DOOR_H

#include "net/session.h"
#include "tests/sim/network.h"

struct door;

struct door_calls {
    void (*hello)(void *self, uint64_t peer, const char *name, struct span hello);
    void (*message)(void *self, uint64_t peer, struct span message);
    void (*down)(void *self, uint64_t peer); /* not for door_close_peer */
    void (*window)(void *self, uint64_t peer, bool open);
    /* bytes, after what could leave has left */
    void (*queued)(void *self, uint64_t peer, size_t owed);
    /* after everything of one frame, or timer */
    void (*turn_end)(void *self);
};

struct door *door_new(struct world *w, struct network *n, struct process *broker,
                      const struct door_calls *calls, void *self);
void door_free(struct door **d); /* the process has died: nothing is said */
void door_send(struct door *d, uint64_t peer, struct span message);
/* What its window takes of what is queued, then the last word; the session is dropped. */
void door_close_peer(struct door *d, uint64_t peer, struct span last);
bool door_window_open(const struct door *d, uint64_t peer);
void door_flush(struct door *d); /* at the end of a turn: what was sent leaves */

#endif
