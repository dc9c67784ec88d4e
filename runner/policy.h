/* policy.h - whom this server trusts: administrators, its own certificate, revocations, builders.
 *
 * All of it comes from files, which are checked at each step and read again when they have
 * changed. So a withdrawal takes effect at the next step. */
#ifndef LB_RUNNER_POLICY_H
#define LB_RUNNER_POLICY_H

#include "runner/runnerpaths.h"
#include "trust/builders.h"
#include "trust/call.h"
#include "trust/revocation.h"

struct policy;
struct policy *policy_new(const struct runner_paths *paths); /* `paths` is lent for its life */
void policy_free(struct policy **p);

/* Reads the files that have changed; `now` is wall time. Fails with a code (UNKNOWN_PRINCIPAL,
 * EXPIRED_CERTIFICATE, ...) while this server lacks a valid certificate or a list of
 * administrators, or has a list of revocations that is not valid. */
int policy_refresh(struct policy *p, int64_t now, enum refusal *ret_code, struct error *err);

/* ---- After a refresh that succeeded */
const struct trust_anchors *policy_anchors(const struct policy *p);
const struct certificate *policy_self(const struct policy *p);
/* Reads a file that the worker has written, with the worker's rights. As file_read. */
int policy_read_of_worker(const struct policy *p, const char *path, size_t most, struct buf *out,
                          struct error *err);
bool policy_revoked(const struct policy *p, uint64_t serial);
/* May packages of this name run that `signer_key` has signed, by trust/signers? *ret: the builder;
 * NULL where the package needs none (undeployed, by hand). -EPERM: no; *err says why. */
int policy_judge_signer(const struct policy *p, const struct hash *signer_key, struct span name,
                        int64_t now, const struct builder **ret, struct error *err);
/* True if `address` names this server, a pool that it is in, or all servers. */
bool policy_is_addressed(const struct policy *p, struct span address);

/* Verifies a certificate that came with a request: signed, not expired, not revoked. The last
 * few are remembered by their bytes, so that a caller with a thousand steps costs one
 * verification. *ret is lent until the next call. */
int policy_certificate(struct policy *p, struct span bytes, int64_t now,
                       const struct certificate **ret, enum refusal *ret_code, struct error *err);
/* The same, of somebody who may ask for something to be done: a caller or an administrator. */
int policy_asker(struct policy *p, struct span bytes, int64_t now, const struct certificate **ret,
                 enum refusal *ret_code, struct error *err);

#endif
