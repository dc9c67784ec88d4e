/* logship.h - ships what children wrote, from the spool to the broker.
 *
 * Output lies in the keepers' files until it is at the broker: a chunk is sent under a credit, and
 * a file's place moves on when the broker has acknowledged it (LOG_ACK counts bytes of this
 * session). After a broken session, or a restart, it goes on at that place; the broker knows a
 * chunk that comes twice by its offset. Results go first: the owner calls logs_pump when it has
 * nothing else to say. */
#ifndef LB_WORKER_LOGSHIP_H
#define LB_WORKER_LOGSHIP_H

#include "worker/spool.h"

enum {
    LOGSHIP_CREDIT = 256 << 10, /* bytes sent and not acknowledged: half the session's window */
    LOGSHIP_TURN = 128 << 10    /* bytes in one call of logs_pump: then others have their turn */
};

struct logship;
/* Reads the places of the process before from the spool's file `shipped`. */
int logship_open(struct logship **ret, struct spool *spool, struct error *err);
void logship_close(struct logship **l);

/* `send` returns a negative code when nothing more can be sent now. 1: there is more to send; 0:
 * nothing, or no credit. */
int logship_pump(struct logship *l, int (*send)(void *self, struct span message), void *self,
                 struct error *err);
void logship_session(struct logship *l); /* a new one: nothing is on its way */
void logship_acked(struct logship *l, uint64_t bytes);
/* Writes the places down when they have moved. */
int logship_save(struct logship *l, struct error *err);

#endif
