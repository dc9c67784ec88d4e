/* audit.h - the audit trail: entries chained by hash, and checkpoints signed by the broker. Pure.
 *
 * The trail says every privileged act and every denial (d_audit). Entries are numbered 1, 2, ...;
 * hash n = BLAKE2b-256("longboat/audit/1", NUL, hash n-1, bytes of entry n), and hash 0 is all
 * zero. So whoever knows one hash can tell whether any byte before it was changed. A checkpoint
 * (d_checkpoint) is the broker's signed word for the hash at a number, and names the checkpoint
 * before it. The broker writes both; whoever holds a copy of the trail verifies it with a walk. */
#ifndef LB_TRUST_AUDIT_H
#define LB_TRUST_AUDIT_H

#include "trust/certificate.h"

/* What became of it. ALLOWED: permitted. REFUSED: permitted, but not done: it was not possible, or
 * an argument was wrong. DENIED: not permitted. */
#define AUDIT_DECISIONS(X) X(ALLOWED, "allowed") X(REFUSED, "refused") X(DENIED, "denied")
#define X(n, w)            AUDIT_##n,
enum audit_decision { AUDIT_DECISIONS(X) AUDIT_DECISION_COUNT };
#undef X
const char *audit_decision_word(uint64_t decision); /* "?" if unknown */

/* The verb of the entry that says that older ones were dropped: `object` is the number of the last
 * one dropped. */
#define AUDIT_DROP "audit-drop"

/* How far a trail goes. All zero: before the first entry. */
struct audit_head {
    uint64_t number;
    struct hash hash;
};
/* Moves the head over the next entry, whose bytes must have the next number. */
void audit_chain(struct audit_head *head, struct span entry);

/* Signs and appends a d_signed. `signer` and `serial` are of the broker's certificate. */
int audit_checkpoint_sign(const struct d_checkpoint *c, const struct key *key, const char *signer,
                          uint64_t serial, struct buf *out, struct error *err);
/* Verifies a checkpoint with the broker's certificate that came with it, and that with the anchors.
 * *ret points into `bytes`. */
int audit_checkpoint_open(struct span bytes, struct span certificate,
                          const struct trust_anchors *anchors, struct d_checkpoint *ret,
                          struct error *err);

/* ---- Verifying a whole trail, in its order: entries by number, each checkpoint after the entry
 * that it is about. Every call returns 0, or -EBADMSG with the fault: *err is a sentence and
 * w->fault the number of the entry where it is. A walk ends with its first fault. */
struct audit_walk {
    const struct trust_anchors *anchors;
    struct audit_head head;
    uint64_t first; /* number of the first entry; 0: none yet */
    uint64_t entries, fault;
    uint64_t seq, sealed; /* of the last checkpoint: its own number and its entry's */
    int64_t sealed_at;
    struct hash previous; /* of the last checkpoint's bytes */
    bool dropped;         /* an entry says that those before the first were dropped */
    /* the checkpoint that the verifier knows from before; seq 0: none */
    struct {
        uint64_t seq, number;
        struct hash hash, bytes;
        int64_t at;
    } known;
};
/* `known`: a signed checkpoint that was verified earlier, from which the trail must go on; empty:
 * none. It is trusted as it is. `anchors` are lent. -EPROTO: `known` is not a checkpoint. */
int audit_walk_begin(struct audit_walk *w, const struct trust_anchors *anchors, struct span known,
                     struct error *err);
/* `hash`: as stored beside the entry. *ret (may be NULL) points into `entry`. */
int audit_walk_entry(struct audit_walk *w, uint64_t number, struct span entry,
                     const struct hash *hash, struct d_audit *ret, struct error *err);
int audit_walk_checkpoint(struct audit_walk *w, struct span bytes, struct span certificate,
                          struct error *err);
int audit_walk_end(struct audit_walk *w, struct error *err);

#endif
