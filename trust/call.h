/* call.h - signed calls: made by callers, judged by everybody on the way (broker, worker, runner)
 * in the same way.
 *
 * Signatures and batches: batch.h. Pure: the time comes in. */
#ifndef LB_TRUST_CALL_H
#define LB_TRUST_CALL_H

#include "trust/batch.h"
#include "trust/certificate.h"

/* Appends a d_signed of the one call. For many at once: call_encode each and batch_sign. -EINVAL:
 * call_verify would refuse it, and the sentence says why. */
int call_sign(const struct d_call *call, const struct key *key, const char *signer, uint64_t serial,
              struct buf *out, struct error *err);
/* Checks form and appends the body alone. */
int call_encode(const struct d_call *call, struct buf *out, struct error *err);

/* The digest of a body: two calls with one key are the same call if these are equal. */
void call_digest(struct span body, struct hash *ret);

/* What the judge knows. */
struct call_scope {
    const char *cluster;
    int64_t now;              /* wall ms */
    const char *const *pools; /* if the call's address is one server: that server's pools */
    size_t n_pools;
    struct verified_roots *roots; /* may be NULL */
};

/* Verifies a call against its caller's (already verified, not revoked) certificate: signature,
 * cluster, caller, form, expiry, certificate's end, grant. *ret points into `bytes`; *ret_digest
 * may be NULL. On failure nothing is written but *ret_code (may be NULL): MALFORMED, TOO_LARGE,
 * BAD_SIGNATURE, UNKNOWN_PRINCIPAL, EXPIRED, EXPIRED_CERTIFICATE, DENIED. */
int call_verify(struct span bytes, const struct certificate *caller, const struct call_scope *scope,
                struct d_call *ret, struct hash *ret_digest, enum refusal *ret_code,
                struct error *err);

#endif
