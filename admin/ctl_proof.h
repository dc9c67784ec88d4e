/* ctl_proof.h - what proves how a run ended, as `lbctl evidence` and `lbctl show` fetch and check
 * it. */
#ifndef LB_ADMIN_CTL_PROOF_H
#define LB_ADMIN_CTL_PROOF_H

#include "admin/ctl.h"
#include "trust/evidence.h"

/* The documents, in the order in which people read them; X(member of struct evidence_bundle). */
#define CTL_PROOF_PARTS(X) \
    X(call) \
    X(caller_certificate) \
    X(outcome) X(signature) X(signer_certificate) X(broker_certificate) X(checkpoint) X(revocations)
#define X(name) PROOF_##name,
enum ctl_proof_part { CTL_PROOF_PARTS(X) PROOF_PARTS };
#undef X
const char *ctl_proof_name(unsigned part);

/* All zero is empty. Release with ctl_proof_free. */
struct ctl_proof {
    char cluster[LIMIT_NAME + 1], server[LIMIT_NAME + 1];
    struct id run;
    uint64_t attempt;
    bool ended;
    struct buf parts[PROOF_PARTS]; /* empty: missing */
};
void ctl_proof_free(struct ctl_proof *p);

/* Asks the broker for it, and adds what our own connection has: the broker's certificate and the
 * list of revocations. Fails as longboat_query. */
int ctl_proof_fetch(struct longboat *lb, const struct id *run, struct ctl_proof *ret,
                    struct error *err);

/* As trust/evidence.h takes it; points into *p. */
struct evidence_bundle ctl_proof_evidence(const struct ctl_proof *p);

/* As one JSON object, and back. -EINVAL: a member is unknown, missing or not of its form; *err
 * names it. */
json_t *ctl_proof_to_json(const struct ctl_proof *p);
int ctl_proof_from_json(json_t *o, struct ctl_proof *ret, struct error *err);

/* What is known of the result of a run that has ended. */
#define CTL_PROOF_STATES(X) \
    X(GOOD, "good")                 /* signed by whom it says, and this is what the row shows */ \
    X(BAD, "bad")                   /* the signature does not verify, or the row shows else */ \
    X(MISSING, "missing")           /* it should be signed, and is not */ \
    X(BROKER, "broker")             /* the broker's own word, which nobody else could sign */ \
    X(NOT_VERIFIED, "not_verified") /* what it takes was not there */
#define X(n, w) CTL_PROOF_##n,
enum ctl_proof_state { CTL_PROOF_STATES(X) CTL_PROOF_STATE_COUNT };
#undef X
const char *ctl_proof_word(enum ctl_proof_state state);

/* Asks for the proof and checks it with our own administrators' keys; appends a sentence: "signed
 * by etl1 (serial 9): good". `row` is what the broker shows, as it came or as it is shown to
 * people; it must have the status and outputs that were signed. The row has ended. */
enum ctl_proof_state ctl_proof_say(struct longboat *lb, json_t *row, struct buf *out);

#endif
