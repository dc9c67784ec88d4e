/* batch.h - one signature for many calls or results, each of which can be verified alone.
 *
 * A Merkle tree with the leaf and node prefixes of RFC 6962 (so that no node passes for a leaf):
 *     leaf = BLAKE2b-256(0x00 body)      node = BLAKE2b-256(0x01 left right)
 * A node without a right neighbour is joined with 32 zero bytes, to which no input is known, so all
 * proofs of a batch have one length and bit i of `index` tells the side at height i. Signed
 * (Ed25519) is "longboat/<kind>/1", a NUL and the root. A single one is a batch of one: its proof
 * is empty, its root its leaf.
 *
 * Verifying computes the root. The Ed25519 check is done only if this key's signature of this root
 * was not verified before: that makes a batch cheap for its receivers. */
#ifndef LB_TRUST_BATCH_H
#define LB_TRUST_BATCH_H

#include "trust/envelope.h"

enum {
    BATCH_MAX = 65536, /* bodies signed at once: 2 MiB of hashes */
    /* batches in flight per receiver; an older one costs one more Ed25519 check */
    VERIFIED_ROOTS = 256
};

/* Roots verified recently. All zero is empty. The caller owns it; there is nothing to free. */
struct verified_roots {
    struct verified_root {
        const char *kind; /* an ENVELOPE_ word */
        struct hash key, root;
        uint8_t signature[64];
    } ring[VERIFIED_ROOTS];
    unsigned used, next;
    uint64_t hits, misses; /* for statistics */
};

/* Is this a kind that is signed in batches? All others are signed one by one (envelope.h). */
bool batch_is_kind(const char *kind);

/* Signs n calls (1 to BATCH_MAX) with one signature and appends one d_signed to each of
 * outs[0..n-1]. -EMSGSIZE or -EINVAL: as envelope_sign; -E2BIG: n is out of range. */
int batch_sign(const struct key *key, const char *signer, uint64_t serial,
               const struct span *bodies, size_t n, struct buf *outs, struct error *err);
/* The same for any kind of batch_is_kind. detached: each d_signed has an empty body, which the
 * receiver makes anew. */
int batch_sign_kind(const char *kind, bool detached, const struct key *key, const char *signer,
                    uint64_t serial, const struct span *bodies, size_t n, struct buf *outs,
                    struct error *err);

/* envelope_open for the kind "call". `roots` may be NULL: nothing is remembered. */
int batch_open(struct span bytes, const struct hash *key, struct verified_roots *roots,
               struct d_signed *ret, struct error *err);
/* The same for any kind of batch_is_kind. detached: not NULL: the body that belongs to a d_signed
 * without one; a d_signed that has one is refused. */
int batch_open_kind(const char *kind, struct span bytes, const struct span *detached,
                    const struct hash *key, struct verified_roots *roots, struct d_signed *ret,
                    struct error *err);

#endif
