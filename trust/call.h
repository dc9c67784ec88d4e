/* call.h - signed calls: callers make them; broker, worker and runner verify them, all by the same
 * rules.
 *
 * Signatures and batches: batch.h. Pure: the caller passes the time. */
#ifndef LB_TRUST_CALL_H
#define LB_TRUST_CALL_H

#include "trust/batch.h"
#include "trust/certificate.h"

/* Signs one call and appends the d_signed to *out. For many at once: call_encode each, then
 * batch_sign. -EINVAL: call_verify would refuse the call; *err says why. */
int call_sign(const struct d_call *call, const struct key *key, const char *signer, uint64_t serial,
              struct buf *out, struct error *err);
/* Checks the form and appends the encoded body, unsigned, to *out. -EINVAL as call_sign. */
int call_encode(const struct d_call *call, struct buf *out, struct error *err);

/* The digest of a body: two calls with one key are the same call if these are equal. */
void call_digest(struct span body, struct hash *ret);

/* What the verifier knows. */
struct call_scope {
    const char *cluster;
    int64_t now;              /* wall ms */
    const char *const *pools; /* if the call's address is one server: that server's pools */
    size_t n_pools;
    struct verified_roots *roots; /* may be NULL */
};

/* Verifies a call against the certificate of its caller, which must already be verified and not
 * revoked: signature, cluster, caller and their role, form, expiry of call and certificate, grant.
 * *ret points into `bytes`; ret_digest may be NULL. On failure only *ret_code (may be NULL) is
 * written: MALFORMED, TOO_LARGE, BAD_SIGNATURE, UNKNOWN_PRINCIPAL, EXPIRED, EXPIRED_CERTIFICATE or
 * DENIED. */
int call_verify(struct span bytes, const struct certificate *caller, const struct call_scope *scope,
                struct d_call *ret, struct hash *ret_digest, enum refusal *ret_code,
                struct error *err);

#endif
