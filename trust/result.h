/* result.h - signed results: a server signs how each run ended, and whoever asked for it verifies,
 * so that a broker that has been broken into can neither invent a result nor alter one.
 *
 * What is signed is a d_result: cluster, server, run, attempt, the hash of the signed call, and the
 * outcome's bytes. All of it is known to both sides, and the encoding is canonical, so it never
 * travels: a signature is a d_signed with an empty body, and the verifier makes the body anew. Many
 * results share one signature (batch.h).
 *
 * A broker has words of its own for runs that no child of theirs may have begun: refused,
 * unreachable, cancelled, lost. They say nothing that a captured broker could gain by, and come
 * without a signature. A held run that an operator releases as succeeded has the operator's
 * signature, with an empty server. Pure. */
#ifndef LB_TRUST_RESULT_H
#define LB_TRUST_RESULT_H

#include "trust/batch.h"
#include "trust/certificate.h"

enum {
    RESULT_BATCH_MAX = 64 /* results of one signature: a proof of 6 hashes, some 200 bytes each */
};

/* Signs n results (1 to RESULT_BATCH_MAX) with one signature and appends a detached d_signed to
 * each of outs[0..n-1]. Fails as batch_sign. */
int result_sign(const struct key *key, const char *signer, uint64_t serial,
                const struct d_result *results, size_t n, struct buf *outs, struct error *err);

/* Whose certificate verifies this signature? *ret_name points into `signature`. -EPROTO: it is
 * malformed. */
int result_signer(struct span signature, struct span *ret_name, uint64_t *ret_serial,
                  struct error *err);

/* Whether only a signature makes this outcome true: a child may have begun. */
bool result_needs_signature(const struct d_outcome *o);
/* -EBADMSG: its layers or status contradict each other. */
int result_check_outcome(const struct d_outcome *o, struct error *err);

/* What the verifier knows of the call. */
struct result_scope {
    struct span job, address;
    const char *const *pools; /* if the address is one server: that server's pools, if known */
    size_t n_pools;
    struct verified_roots *roots; /* may be NULL */
};
/* Verifies the signature of a result with the certificate of its signer, which must already be
 * verified and not revoked. `o` is the decoded outcome. The signer is the server that the result
 * names, and is in the call's address; or, if it names none, an operator of the job who has
 * released the run: then the outcome has neither steps nor outputs. -EBADMSG, -EPROTO: *err says
 * what is wrong. */
int result_verify(const struct d_result *result, const struct d_outcome *o, struct span signature,
                  const struct certificate *signer, const struct result_scope *scope,
                  struct error *err);

#endif
