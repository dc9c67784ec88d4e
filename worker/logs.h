/* logs.h - ships what children wrote, from the spool to the broker.
 *
 * Output lies in the keepers' files until it is at the broker: a chunk is sent under a credit, and
 * a file's place moves on when the broker has acknowledged it (LOG_ACK counts bytes of this
 * session). After a broken session, or a restart, it goes on at that place; the broker knows a
 * chunk that comes twice by its offset. Results go first: the owner calls logs_pump when it has
 * nothing else to say. */
#ifndef LB_WORKER_LOGS_H
#define LB_WORKER_LOGS_H

#include "worker/spool.h"

enum {
    LOGS_CREDIT = 256 << 10, /* bytes sent and not acknowledged: half the session's window */
    LOGS_TURN = 128 << 10    /* bytes in one call of logs_pump: then others have their turn */
};

struct logs;
/* Reads the places of the process before from the spool's file `shipped`. */
int logs_open(struct logs **ret, struct spool *spool, struct error *err);
void logs_close(struct logs **l);

/* `send` returns a negative code when nothing more can be sent now. 1: there is more to send; 0:
 * nothing, or no credit. */
int logs_pump(struct logs *l, int (*send)(void *self, struct span message), void *self,
              struct error *err);
void logs_session(struct logs *l); /* a new one: nothing is on its way */
void logs_acked(struct logs *l, uint64_t bytes);
/* Writes the places down when they have moved. */
int logs_save(struct logs *l, struct error *err);

#endif
