/* peerline.h - a peer's end of its connection to the broker: what net/dialer does, with a real
 * session on a simulated connection.
 *
 * It dials, sends HELLO, waits for WELCOME and sends a PING every HEARTBEAT_MS. After a reset, a
 * gap, a lost connection, a refusal or a lease of silence it rests and dials again. When its
 * process dies, call peerline_down. */
#ifndef LB_TESTS_SIM_PEERLINE_H
#define LB_TESTS_SIM_PEERLINE_H

#include "net/session.h"
#include "tests/sim/network.h"

struct peerline;

struct peerline_calls {
    void (*up)(void *self, struct span welcome);
    void (*message)(void *self, uint64_t kind, struct span message);
    /* Each may be NULL. */
    void (*hello)(void *self, struct m_hello *ret); /* fill it; major and minor are set */
    void (*down)(void *self);
    void (*turn_end)(void *self); /* after all messages of a frame */
};

struct peerline *peerline_new(struct world *w, struct network *n, struct cable *cable,
                              struct process *of, const struct peerline_calls *calls, void *self);
void peerline_free(struct peerline **l);
void peerline_start(struct peerline *l); /* its process starts: dials soon */
void peerline_down(struct peerline *l);  /* its process has died */

bool peerline_is_up(const struct peerline *l);
struct network *peerline_network(const struct peerline *l);
/* Dropped when not up: the owner sends it again in the next session. */
void peerline_send(struct peerline *l, struct span message);
/* At the end of a turn: sends all that is queued. */
void peerline_flush(struct peerline *l);
/* Boot time at which the newest answered HELLO or PING was sent; 0: none since peerline_start. */
int64_t peerline_renewed(const struct peerline *l);
/* Sends a PING now, behind what was sent before, instead of at the next heartbeat. */
void peerline_renew(struct peerline *l);

#endif
