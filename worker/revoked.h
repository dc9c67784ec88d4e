/* revoked.h - the list of revoked certificates that this server holds: var/revocations, believed
 * for its signature by whoever reads it (the runner does at every step). */
#ifndef LB_WORKER_REVOKED_H
#define LB_WORKER_REVOKED_H

#include "trust/revocation.h"

struct revoked {
    struct revocations list;
    char *path;
};

/* A list that is there but not good is refused: without it nobody could say who is still
   trusted. */
int revoked_open(struct revoked *r, const char *path, const struct trust_anchors *anchors,
                 struct error *err);
void revoked_close(struct revoked *r);
/* A list from the broker: 1: it is newer, and written; 0: the one we have. Negative: refused or not
 * written, and the old one stays. */
int revoked_take(struct revoked *r, struct span signed_list, const struct trust_anchors *anchors,
                 struct error *err);

#endif
