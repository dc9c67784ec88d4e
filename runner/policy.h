/* policy.h - what this server believes: administrators, its own certificate, revocations, builders.
 * All from files, asked again at each step and read again when they have changed, so that what is
 * taken away counts from the next step on. */
#ifndef LB_RUNNER_POLICY_H
#define LB_RUNNER_POLICY_H

#include "runner/runnerpaths.h"
#include "trust/call.h"
#include "trust/minisign.h"
#include "trust/revocation.h"

struct policy;
struct policy *policy_new(const struct runner_paths *paths); /* lent for good */
void policy_free(struct policy **p);

/* Looks whether a file has changed and reads it. Refuses (UNKNOWN_PRINCIPAL, EXPIRED_CERTIFICATE,
 * ...) while this server has no good certificate of its own or no list of administrators; a list of
 * revocations that is there but not good refuses too. */
int policy_refresh(struct policy *p, int64_t now, enum refusal *ret_code, struct error *err);

/* After a good refresh */
const struct trust_anchors *policy_anchors(const struct policy *p);
const struct certificate *policy_self(const struct policy *p);
bool policy_revoked(const struct policy *p, uint64_t serial);
bool policy_trusts_signer(const struct policy *p, const struct hash *signer_key);
/* Is `address` this server, a pool of it, or all? */
bool policy_is_addressed(const struct policy *p, struct span address);

/* A certificate that came with a request: verified, not past its end, not revoked. The last few are
 * remembered by their bytes, so that a caller with a thousand steps costs one verification. Lent
 * until the next call. */
int policy_certificate(struct policy *p, struct span bytes, int64_t now,
                       const struct certificate **ret, enum refusal *ret_code, struct error *err);

#endif
