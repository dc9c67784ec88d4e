/* revoked.h - this server's list of revoked certificates: var/revocations. Every reader verifies
 * its signature; the runner does so at every step. */
#ifndef LB_WORKER_REVOKED_H
#define LB_WORKER_REVOKED_H

#include "trust/revocation.h"

struct revoked {
    struct revocations list;
    char *path;
};

/* Fails if the list exists but is not valid: without it, no certificate can be trusted. */
int revoked_open(struct revoked *r, const char *path, const struct trust_anchors *anchors,
                 struct error *err);
void revoked_close(struct revoked *r);
/* Takes a list from the broker. 1: it is newer and was written; 0: it is the one we have;
 * negative: it was refused or could not be written, and the old one stays. */
int revoked_take(struct revoked *r, struct span signed_list, const struct trust_anchors *anchors,
                 struct error *err);

#endif
