/* network.h - connections between peers and the broker, as TCP over a broken network presents them.
 *
 * A peer dials; the broker sees a connection when its first frame arrives. Inside a connection
 * frames arrive in order after a delay. While `w->chaos` holds, three things may go wrong:
 * - A connection breaks: the last frames in flight are lost, or arrive late, when the peer already
 *   has a new connection.
 * - A partition of one or both directions holds frames back; at its end they move on, or the
 *   connection breaks.
 * - Rarely, a single frame is dropped, doubled or overtaken, so that the sessions' frame numbers
 *   have work to do.
 * The broker's side is never told that a connection is gone; it finds out when it sends, or from
 * silence. */
#ifndef LB_TESTS_SIM_NETWORK_H
#define LB_TESTS_SIM_NETWORK_H

#include "tests/sim/world.h"

struct network;
struct conn;

enum { TO_BROKER, TO_PEER };

/* One for each peer's machine: where its connections can be cut. */
struct cable {
    bool cut[2]; /* by direction */
    const char *name;
};

struct net_calls {
    void (*frame)(void *self, struct conn *c, struct span frame);
    void (*lost)(void *self, struct conn *c); /* peers only: the connection is gone (said once) */
};

struct network_mood {
    unsigned drop, duplicate, reorder, spike; /* per million frames */
    int64_t latency;                          /* us, the usual one */
};

struct network *network_new(struct world *w, const struct network_mood *mood);
/* Last of all, after every end of a connection: it empties the world's queue. */
void network_free(struct network **n);
void network_calm(struct network *n); /* no more faults in frames */
/* Sets the listener. When the broker's process dies, call network_broker_down. */
void network_listen(struct network *n, struct process *broker, const struct net_calls *calls,
                    void *self);
void network_broker_down(struct network *n);

/* NULL: no broker listens, or the cable is cut. The connection is the caller's until conn_close.
 * `peer` must live as long as the network, which still holds frames for it after conn_close. */
struct conn *network_connect(struct network *n, struct cable *cable, struct process *peer,
                             const struct net_calls *calls, void *self);
/* The peer's process closes it, or has died: nothing more is delivered to the peer. Sets *c to
 * NULL. */
void conn_close(struct conn **c);
/* False: the connection is gone (the broker's EHOSTUNREACH). */
bool conn_send(struct conn *c, int direction, struct span frame);
/* The route by which the broker knows it: numbers go up and are never reused. */
uint64_t conn_id(const struct conn *c);
const char *conn_peer(const struct conn *c);
/* An opaque pointer of the broker's side. */
void conn_set_slot(struct conn *c, void *slot);
void *conn_slot(const struct conn *c);

/* Faults. */
bool network_break_some(struct network *n); /* breaks a random connection; false: there is none */
void network_cut(struct network *n, struct cable *c, bool to_broker, bool to_peer);
void network_mend(struct network *n, struct cable *c);
unsigned network_frames(const struct network *n); /* delivered so far */

#endif
