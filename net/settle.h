/* settle.h - for the files of the server only: how many records of one principal may wait for the
 * disk at a time.
 *
 * All records of a moment share one commit, which takes as long as they are many. So who makes
 * records as fast as the broker takes messages would make everybody's commits long. Where somebody
 * light is at work as well, a principal may have SETTLE_BESIDE_MAX records waiting; its further
 * messages wait in the backlog until these are on disk. Where all are heavy, big commits are what
 * makes them fast, and each may have SETTLE_MAX. */
#ifndef LB_NET_SETTLE_H
#define LB_NET_SETTLE_H

#include "net/peers.h"

enum {
    SETTLE_BESIDE_MAX = 32,
    SETTLE_MAX = 1024,
    /* Light is who has made fewer records than this in the window before and in this one. */
    SETTLE_LIGHT_MAX = 64,
    SETTLE_WINDOW_MS = 100
};

/* A message of this principal has made n records, with numbers up to last_lsn. It may be held. */
void settle_made(struct peers *t, struct principal *who, uint64_t n, uint64_t last_lsn,
                 int64_t now);
/* Everything up to this number is on disk: those held who have room again go on. */
void settle_done(struct peers *t, uint64_t lsn, int64_t now);
/* The principal ends. */
void settle_forget(struct peers *t, struct principal *who);

#endif
