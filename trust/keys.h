/* keys.h - key pairs, their files, and how people read them.
 *
 * A principal has one secret, a seed of 32 random bytes. From it come an Ed25519 pair for signing
 * and, by crypto_sign_ed25519_{pk,sk}_to_curve25519, the X25519 pair of its CURVE transport, so
 * anyone who knows the signing key knows the transport key too. A server's seal key (X25519,
 * crypto_box_seal) has a seed and a file of its own, which only lbrunner reads. All algorithms are
 * libsodium's.
 *
 * A key file holds the seed as 64 hexadecimal digits and a line feed, or encrypted with a
 * passphrase (lockedkey.h); its mode is 0400. Secrets in memory are locked there (secret.h). */
#ifndef LB_TRUST_KEYS_H
#define LB_TRUST_KEYS_H

#include <stdint.h>

#include "common/error.h"
#include "proto/wire.h"

enum {
    KEY_SEED = 32,     /* bytes of a secret seed */
    KEY_TEXT = 64 + 1, /* a public key in hexadecimal, and the NUL */
    KEY_SHORT_TEXT = 8 + 1
};

/* The key pair of a principal; all zero: none. A copy of the struct has the same secrets, not
 * others: key_forget wipes them for both, so forget one of the two. */
struct key {
    uint8_t *seed;               /* KEY_SEED bytes, in memory for secrets, as the other two */
    uint8_t *sign_secret;        /* 64: Ed25519 */
    uint8_t *transport_secret;   /* 32: X25519 */
    struct hash sign, transport; /* public halves */
};

/* The key pair of a server for sealed parameters. */
struct seal_key {
    uint8_t *secret; /* 32 bytes, in memory for secrets */
    struct hash public_key;
};

/* Starts libsodium. Call it before anything else in this folder; more calls do no harm. -EIO:
 * libsodium cannot start, because the system has no randomness. */
int trust_init(struct error *err);

void key_make(struct key *ret); /* from new randomness */
void key_from_seed(const uint8_t seed[KEY_SEED], struct key *ret);
void key_forget(struct key *k); /* wipes the secrets; back to all zero */
/* Derives the transport key of a public signing key. -EINVAL: not an Ed25519 key. */
int key_transport_of(const struct hash *sign, struct hash *ret_transport, struct error *err);

void seal_key_from_seed(const uint8_t seed[KEY_SEED], struct seal_key *ret);
void seal_key_forget(struct seal_key *k);

/* Creates a key file, whole or not at all. -EEXIST: the file exists; a key is never overwritten. */
int key_file_create(const char *path, const uint8_t seed[KEY_SEED], struct error *err);
void key_seed_make(uint8_t ret_seed[KEY_SEED]); /* new randomness */
/* The same, encrypted with the passphrase; NULL: not. */
int key_file_create_locked(const char *path, const struct key *k, const char *passphrase,
                           struct error *err);
/* Writes the file of this key again, with another passphrase or (NULL) without one. */
int key_file_replace(const char *path, const struct key *k, const char *passphrase,
                     struct error *err);
/* Creates any kind of key file: mode 0400. -EEXIST: the file exists and is not replaced. */
int key_write_once(const char *path, struct span text, struct error *err);
/* 1: the file is encrypted, and *ret is the public key that it says it has; 0: it is not; else as
 * key_file_load. Asks for nothing. */
int key_file_is_locked(const char *path, struct hash *ret, struct error *err);
/* Reads a seed; wipe it after use. Refuses a file that others can read, as file_read_private does.
 * For an encrypted file, asks for the passphrase (passphrase.h), once in the life of the process.
 * -EINVAL: the file holds neither 64 hexadecimal digits nor an encrypted key; -EACCES: nobody can
 * be asked; -EBADMSG: the passphrase is wrong. */
int key_file_load(const char *path, uint8_t ret_seed[KEY_SEED], struct error *err);
int key_load(const char *path, struct key *ret, struct error *err);
int seal_key_load(const char *path, struct seal_key *ret, struct error *err);

/* Public keys as text: 64 digits; and short, for people: the first 8 digits of the key's
   BLAKE2b-256. */
char *key_format(const struct hash *public_key, char out[KEY_TEXT]);
int key_parse(const char *text, struct hash *ret, struct error *err);
char *key_short(const struct hash *public_key, char out[KEY_SHORT_TEXT]);

#endif
