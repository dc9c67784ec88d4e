/* revocation.h - the serials that count no more: one list, numbered, signed by an administrator,
 * only ever replaced by a newer one (d_revocations; signature as in envelope.h). Everybody holds
 * it, so nobody must be asked. */
#ifndef LB_TRUST_REVOCATION_H
#define LB_TRUST_REVOCATION_H

#include "trust/certificate.h"

/* All zero is the list before the first: number 0, nothing revoked. */
struct revocations {
    uint64_t number;
    int64_t issued_at;
    uint64_t *serials; /* ascending */
    size_t n;
    struct buf signed_bytes;
};
void revocations_free(struct revocations *r);
bool revocations_contain(const struct revocations *r, uint64_t serial);

/* Verifies `bytes` and, if its number is greater, replaces *r by it: 1. 0: it is the list we have.
 * Negative: refused and *r is as it was; *ret_code (may be NULL): MALFORMED, TOO_LARGE,
 * BAD_SIGNATURE, UNKNOWN_PRINCIPAL (another cluster's), REPLAYED (an older list), CONFLICT (another
 * list of our number). */
int revocations_take(struct revocations *r, struct span bytes, const struct trust_anchors *anchors,
                     enum refusal *ret_code, struct error *err);
/* Takes the list in a file; a file that is not there is the list before the first. */
int revocations_load(struct revocations *r, const char *path, const struct trust_anchors *anchors,
                     struct error *err);

/* Signs the list that follows *r, with one more serial; appends a d_signed. -EALREADY: it is
 * revoked; -ENOSPC: LIMIT_REVOKED serials are in it, and the sentence says what to do. */
int revocations_next(const struct revocations *r, const char *cluster, uint64_t serial, int64_t now,
                     const struct key *administrator, struct buf *out, struct error *err);

#endif
