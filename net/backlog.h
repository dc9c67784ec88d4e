/* backlog.h - for the files of the server only: frames that were taken and wait to be handled, and
 * whose turn it is.
 *
 * Principals are served in turn, by measured time: deficit round robin (M. Shreedhar and G.
 * Varghese, "Efficient fair queuing using deficit round-robin", IEEE/ACM Transactions on Networking
 * 4(3), 1996). One that has something left of this round's quantum when its first frame comes goes
 * before the others. So it does not help to open more sessions, to send more, or to ask for what
 * costs more. Inside a principal its sessions take turns, frame by frame; inside a session the
 * order is kept. */
#ifndef LB_NET_BACKLOG_H
#define LB_NET_BACKLOG_H

#include "net/peers.h"

enum { BACKLOG_QUANTUM_US = 250 /* of handling, before the next principal's turn */ };

struct backlog_frame {
    struct backlog_frame *next;
    struct net_kept message;
    size_t at;    /* where in the message the first that was not handled begins */
    bool goodbye; /* not a frame of messages but the session's last word */
};

/* Keeps the packet's message for later, behind the others of p. -EDQUOT: that is more than
 * BUDGET_BYTES_IN allows; nothing was kept. */
int backlog_add(struct peers *t, struct peer *p, struct net_packet *packet, size_t at, bool goodbye,
                struct error *err);
/* May something of this principal be handled now? No: something of it waits, it has used its
 * quantum of this round, or it is held. */
bool backlog_may_pass(struct peers *t, struct principal *who);
void backlog_spend(struct principal *who, int64_t us);
/* While it is held, what waits of this principal stays where it is, and more is kept behind it. */
void backlog_hold(struct peers *t, struct principal *who, bool held);
/* Begins a round if nobody waits: what was spent before is forgotten. */
void backlog_round(struct peers *t);
/* The session whose turn it is, with its oldest frame taken out; NULL: nobody waits. Put it back
 * or free it, unless the session is gone by then: then free it. */
struct peer *backlog_take(struct peers *t, struct backlog_frame **ret);
void backlog_put_back(struct peers *t, struct peer *p, struct backlog_frame *f);
void backlog_free_frame(struct peers *t, const struct hash *key, struct backlog_frame **f);
void backlog_drop(struct peers *t, struct peer *p); /* all that waits of p */

#endif
