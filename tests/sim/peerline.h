/* peerline.h - a peer's end of its connection to the broker: what net/dialer does, with a real
 * session on a simulated connection.
 *
 * It dials, says HELLO, waits for WELCOME, sends a PING every HEARTBEAT_MS, and after a reset, a
 * gap, a lost connection, a refusal or a lease of silence it rests and dials again. It lives in its
 * process: peerline_down when that dies. */
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
    void (*turn_end)(void *self); /* after everything of one frame was taken */
};

struct peerline *peerline_new(struct world *w, struct network *n, struct cable *cable,
                              struct process *of, const struct peerline_calls *calls, void *self);
void peerline_free(struct peerline **l);
void peerline_start(struct peerline *l); /* its process has begun: dials soon */
void peerline_down(struct peerline *l);  /* its process has died */

bool peerline_is_up(const struct peerline *l);
struct network *peerline_network(const struct peerline *l);
/* dropped when not up: the next session says it again */
void peerline_send(struct peerline *l, struct span message);
/* at the end of a turn: what was sent leaves */
void peerline_flush(struct peerline *l);
/* Boot time at which the newest HELLO or PING that the broker has answered was sent; 0: none since
   peerline_start. */
int64_t peerline_renewed(const struct peerline *l);
/* Says PING now, behind what was sent before, instead of at the next heartbeat. */
void peerline_renew(struct peerline *l);

#endif
