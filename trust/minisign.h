/* minisign.h - builders' keys and signatures in minisign's formats, so that `minisign -V` and this
 * agree.
 *
 * Formats (public: https://jedisct1.github.io/minisign/): a public key is base64("Ed" number[8]
 * key[32]) below an untrusted comment; a signature file is untrusted comment: ...
 * base64(algorithm[2] number[8] signature[64]) trusted comment: ... base64(signature over
 * (signature, trusted comment)) Algorithm "ED": Ed25519 of the BLAKE2b-512 of the data, so archives
 * of any size are streamed. "Ed", legacy: of the data itself. Secret keys: unencrypted as `minisign
 * -W` makes them, or under scrypt with a password. Primitives from libsodium. */
#ifndef LB_TRUST_MINISIGN_H
#define LB_TRUST_MINISIGN_H

#include <sodium.h>

#include "trust/keys.h"

enum {
    MINISIGN_NUMBER = 8,
    MINISIGN_DIGEST = 64,      /* BLAKE2b-512 */
    MINISIGN_NUMBER_TEXT = 17, /* up to 16 digits as minisign prints it, and the NUL */
    MINISIGN_COMMENT = 512     /* bytes of a trusted comment that we take, and the NUL */
};

struct minisign_public {
    uint8_t number[MINISIGN_NUMBER];
    struct hash key;
};
struct minisign_secret {
    uint8_t number[MINISIGN_NUMBER];
    uint8_t secret[64];
};
struct minisign_signature {
    bool prehashed;
    uint8_t number[MINISIGN_NUMBER];
    uint8_t signature[64], global[64];
    char comment[MINISIGN_COMMENT]; /* trusted once minisign_verify has said so */
};

/* ---- Keys */
void minisign_make(struct minisign_public *ret_public, struct minisign_secret *ret_secret);
void minisign_forget(struct minisign_secret *s);
void minisign_public_of(const struct minisign_secret *s, struct minisign_public *ret);
char *minisign_number(const uint8_t number[MINISIGN_NUMBER], char out[MINISIGN_NUMBER_TEXT]);
bool minisign_public_eq(const struct minisign_public *a, const struct minisign_public *b);
void minisign_public_format(const struct minisign_public *p, struct buf *out); /* the file's text */
/* the base64 alone */
void minisign_public_line(const struct minisign_public *p, struct buf *out);
/* Takes both: a file's text, or the base64 line alone. */
int minisign_public_parse(struct span text, struct minisign_public *ret, struct error *err);
/* unencrypted; wipe it */
void minisign_secret_format(const struct minisign_secret *s, struct buf *out);
/* `password` NULL: -EACCES for an encrypted key, and the sentence says so. -EBADMSG: the password
 * is wrong or the key damaged. */
int minisign_secret_parse(struct span text, const char *password, struct minisign_secret *ret,
                          struct error *err);
int minisign_secret_create(const char *path, const struct minisign_secret *s,
                           struct error *err); /* 0400, never over one */
int minisign_secret_load(const char *path, const char *password, struct minisign_secret *ret,
                         struct error *err);
bool minisign_secret_is_encrypted(struct span text);

/* ---- The digest of what is signed */
struct minisign_hash {
    crypto_generichash_state state;
};
void minisign_hash_begin(struct minisign_hash *h);
void minisign_hash_add(struct minisign_hash *h, struct span data);
void minisign_hash_end(struct minisign_hash *h, uint8_t ret_digest[MINISIGN_DIGEST]);

/* ---- Signatures */
/* Appends a signature file (prehashed). `comment`: one line without control characters; -EINVAL
   otherwise. */
int minisign_sign(const struct minisign_secret *s, const uint8_t digest[MINISIGN_DIGEST],
                  const char *comment, struct buf *out, struct error *err);
int minisign_signature_parse(struct span text, struct minisign_signature *ret, struct error *err);
/* Is it this key's signature of this digest, and is its trusted comment? -EBADMSG with a sentence:
 * another key's, no match, an altered comment. -EOPNOTSUPP: a legacy signature, which cannot be
 * judged by a digest. */
int minisign_verify(const struct minisign_signature *sig, const struct minisign_public *key,
                    const uint8_t digest[MINISIGN_DIGEST], struct error *err);
/* The same from the data itself: legacy signatures too. */
int minisign_verify_data(const struct minisign_signature *sig, const struct minisign_public *key,
                         struct span data, struct error *err);

#endif
