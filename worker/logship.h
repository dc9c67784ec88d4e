/* logship.h - ships the children's output from the spool to the broker.
 *
 * Output stays in the keepers' files until the broker has it. Chunks are sent within a credit,
 * and the place in a file moves on when the broker has acknowledged them (LOG_ACK counts the
 * bytes of this session). After a broken session or a restart, shipping resumes from that place;
 * the broker recognizes a repeated chunk by its offset. Results go first: the owner calls
 * logship_pump when it has nothing else to send. */
#ifndef LB_WORKER_LOGSHIP_H
#define LB_WORKER_LOGSHIP_H

#include "worker/spool.h"

enum {
    LOGSHIP_CREDIT = LIMIT_LOG_CREDIT,
    LOGSHIP_TURN = 128 << 10 /* bytes in one call of logship_pump; then others have their turn */
};

struct logship;
/* Reads the places that the last process reached from the spool's file `shipped`. */
int logship_open(struct logship **ret, struct spool *spool, struct error *err);
void logship_close(struct logship **l);

/* Sends what credit and `send` allow; `send` returns a negative code when nothing more can be sent
 * now. 1: there is more to send; 0: there is nothing more, or no credit. */
int logship_pump(struct logship *l, int (*send)(void *self, struct span message), void *self,
                 struct error *err);
void logship_session(struct logship *l); /* a new session: nothing is on its way */
void logship_acked(struct logship *l, uint64_t bytes);
/* Writes the places to disk if they have moved. */
int logship_save(struct logship *l, struct error *err);

#endif
