/* evidence.h - what proves how a run ended: the signed documents, checked one by one without a
 * broker, with the administrators' keys alone. Pure.
 *
 * The times at which certificates must have been valid are the documents' own: the call's issued_at
 * and the outcome's end. So old evidence verifies after its certificates have ended. A revoked
 * certificate proves nothing, whenever it was revoked: whoever stole its key may have made all of
 * this, and dated it back. */
#ifndef LB_TRUST_EVIDENCE_H
#define LB_TRUST_EVIDENCE_H

#include "trust/result.h"

enum { EVIDENCE_LISTS_MAX = 3 };

/* A list of revoked certificates that is not the bundle's: from where, and the signed bytes. */
struct evidence_list {
    const char *from;
    struct span list;
};

/* Documents as they were signed, and the result's other fields. Empty ones are missing; the last
 * three may be. */
struct evidence_bundle {
    struct id run;
    uint64_t attempt;
    struct span server;
    struct span call, caller_certificate, outcome, signature, signer_certificate;
    struct span broker_certificate, checkpoint, revocations;
    /* The broker has chosen `revocations`; these are the verifier's own. The newest by number that
     * verifies is the one that counts; one that does not verify is said. */
    const struct evidence_list *lists;
    unsigned n_lists;
};

/* What one check has found: the name of a part, whether it is good, and a sentence. */
typedef void evidence_say(void *self, const char *part, bool good, const char *text);

/* Checks all parts that can be checked, says each, and returns whether all are good. The anchors
 * name the cluster. `say` may be NULL. */
bool evidence_verify(const struct evidence_bundle *e, const struct trust_anchors *anchors,
                     evidence_say *say, void *self);

#endif
