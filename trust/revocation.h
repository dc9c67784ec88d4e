/* revocation.h - the revoked serials: one numbered list, signed by an administrator and replaced
 * only by a newer one (d_revocations; signature as in envelope.h). Each party holds a copy, so that
 * verifying needs no connection. */
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

/* Verifies the list in `bytes`. 1: its number is greater, and it has replaced *r. 0: it is the list
 * in *r. Negative: it is refused and *r is unchanged; *ret_code (may be NULL) is MALFORMED,
 * TOO_LARGE, BAD_SIGNATURE, UNKNOWN_PRINCIPAL (of another cluster), REPLAYED (an older list) or
 * CONFLICT (a different list with the same number). */
int revocations_take(struct revocations *r, struct span bytes, const struct trust_anchors *anchors,
                     enum refusal *ret_code, struct error *err);
/* revocations_take for the list in a file. A missing file is the list before the first: 0. */
int revocations_load(struct revocations *r, const char *path, const struct trust_anchors *anchors,
                     struct error *err);
/* The list that this party has verified before and keeps in a file of its own, where nobody else
 * writes. Its signature is not asked again: whoever made it may be no administrator any more, and
 * what they revoked stays revoked. Into an *r that is all zero. A missing file and a list of
 * another cluster are the list before the first: 0. -EPROTO: it is damaged. */
int revocations_recall(struct revocations *r, const char *path, const char *cluster,
                       struct error *err);

/* Signs the list that follows *r and has one more serial; appends a d_signed. -EALREADY: the serial
 * is already revoked; -ENOSPC: the list holds LIMIT_REVOKED serials; *err says what to do. */
int revocations_next(const struct revocations *r, const char *cluster, uint64_t serial, int64_t now,
                     const struct key *administrator, struct buf *out, struct error *err);

#endif
