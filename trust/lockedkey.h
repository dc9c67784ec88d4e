/* lockedkey.h - the text of a key file that is encrypted with a passphrase.
 *
 *   longboat-locked-key 1
 *   public 64 hexadecimal digits: the signing key, to know it without the passphrase
 *   argon2id OPERATIONS BYTES-OF-MEMORY SALT (32 digits)
 *   xchacha20poly1305 NONCE (48 digits) BOX (96 digits)
 *   check 16 digits
 *
 * The box is the seed under the key that Argon2id makes of the passphrase; the lines above it are
 * authenticated with it. `check` is the beginning of the BLAKE2b-256 of all lines above: it tells a
 * damaged file from a wrong passphrase. All numbers and algorithms are libsodium's. */
#ifndef LB_TRUST_LOCKEDKEY_H
#define LB_TRUST_LOCKEDKEY_H

#include "trust/keys.h"

enum { LOCKEDKEY_MAX = 1024 /* bytes of such a text at most */ };

/* What one guess at the passphrase costs. */
struct lockedkey_cost {
    unsigned long long operations;
    size_t memory; /* bytes */
};
/* libsodium's MODERATE: 256 MiB and about a second. SENSITIVE takes 1 GiB, which a small machine
 * that must be able to open its key does not have. */
extern const struct lockedkey_cost lockedkey_usual;

bool lockedkey_is(struct span text);
/* Appends the text. -ENOMEM: the memory that `cost` asks for is not there. */
int lockedkey_seal(const struct key *key, const char *passphrase, const struct lockedkey_cost *cost,
                   struct buf *out, struct error *err);
/* Checks form and sum, and gives the public key. -EINVAL: damaged; -EPROTONOSUPPORT: of a newer
 * version. */
int lockedkey_public(struct span text, struct hash *ret, struct error *err);
/* The same, and the seed, which the caller wipes. -EBADMSG: the passphrase is wrong. */
int lockedkey_open(struct span text, const char *passphrase, uint8_t ret_seed[KEY_SEED],
                   struct error *err);

#endif
