/* seal.h - values that only one server's runner can read: libsodium's crypto_box_seal (X25519,
 * XSalsa20-Poly1305).
 *
 * A seal does not tell who made it or what for, so the plaintext begins with
 * "longboat/seal/1", a NUL and the BLAKE2b-256 of its context, which is compared in constant time
 * on opening: a sealed value that was moved to another parameter, package or call does not open.
 * The signature of the call that carries it tells who made it. */
#ifndef LB_TRUST_SEAL_H
#define LB_TRUST_SEAL_H

#include "trust/keys.h"

struct seal_context {
    const char *kind;      /* "parameter" */
    const char *key;       /* of the call */
    struct hash package;   /* zero: the job's own, whichever it is */
    const char *parameter; /* its name */
    int64_t expires;       /* of the call */
};

enum { SEAL_OVERHEAD = 48 + 16 + 32 }; /* a sealed value is this much longer */

/* Appends the sealed value. -EINVAL: `seal_key` is not an X25519 key (a low-order point). */
int seal_value(const struct seal_context *context, const struct hash *seal_key, struct span value,
               struct buf *out, struct error *err);
/* Appends the value; wipe *out after use with sodium_memzero. -EBADMSG, and *out is unchanged: not
 * sealed to this key, altered, or sealed for another context. */
int seal_open(const struct seal_context *context, const struct seal_key *key, struct span sealed,
              struct buf *out, struct error *err);

#endif
