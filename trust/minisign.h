/* minisign.h - builders' keys and signatures in minisign's formats, so that `minisign -V` and this
 * code agree.
 *
 * The formats (https://jedisct1.github.io/minisign/): a public key is base64("Ed" number[8]
 * key[32]) below an untrusted comment. A signature file has four lines:
 *     untrusted comment: ...
 *     base64(algorithm[2] number[8] signature[64])
 *     trusted comment: ...
 *     base64(signature of (signature, trusted comment))
 * Algorithm "ED" is Ed25519 of the BLAKE2b-512 of the data, so archives of any size are
 * streamed; "Ed" (legacy) is Ed25519 of the data itself. Secret keys are unencrypted, as
 * `minisign -W` makes them, or encrypted with scrypt and a password. The primitives come from
 * libsodium. */
#ifndef LB_TRUST_MINISIGN_H
#define LB_TRUST_MINISIGN_H

#include <sodium.h>

#include "trust/keys.h"

enum {
    MINISIGN_NUMBER = 8,
    MINISIGN_DIGEST = 64,      /* BLAKE2b-512 */
    MINISIGN_NUMBER_TEXT = 17, /* up to 16 digits as minisign prints it, and the NUL */
    MINISIGN_COMMENT = 512     /* bytes of a trusted comment, with the NUL */
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
    char comment[MINISIGN_COMMENT]; /* trusted only after minisign_verify */
};

/* ---- Keys */
void minisign_make(struct minisign_public *ret_public, struct minisign_secret *ret_secret);
void minisign_forget(struct minisign_secret *s);
void minisign_public_of(const struct minisign_secret *s, struct minisign_public *ret);
char *minisign_number(const uint8_t number[MINISIGN_NUMBER], char out[MINISIGN_NUMBER_TEXT]);
bool minisign_public_eq(const struct minisign_public *a, const struct minisign_public *b);
void minisign_public_format(const struct minisign_public *p, struct buf *out); /* the file's text */
/* Appends the line of base64 alone. */
void minisign_public_line(const struct minisign_public *p, struct buf *out);
/* Reads a file's text or the line of base64 alone. -EINVAL: it is neither. */
int minisign_public_parse(struct span text, struct minisign_public *ret, struct error *err);
/* Appends the text of an unencrypted key file; wipe it. */
void minisign_secret_format(const struct minisign_secret *s, struct buf *out);
/* Reads a secret key. -EACCES: it is encrypted and `password` is NULL; -EBADMSG: the password is
 * wrong or the key is damaged. */
int minisign_secret_parse(struct span text, const char *password, struct minisign_secret *ret,
                          struct error *err);
/* Creates a key file with mode 0400. -EEXIST: the file exists and is not replaced. */
int minisign_secret_create(const char *path, const struct minisign_secret *s, struct error *err);
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
/* Verifies that `key` signed this digest and the trusted comment. -EBADMSG: signed by another key,
 * no match, or an altered comment; *err says which. -EOPNOTSUPP: a legacy signature, which a digest
 * cannot verify. */
int minisign_verify(const struct minisign_signature *sig, const struct minisign_public *key,
                    const uint8_t digest[MINISIGN_DIGEST], struct error *err);
/* Verifies against the data itself, so it takes legacy signatures too. */
int minisign_verify_data(const struct minisign_signature *sig, const struct minisign_public *key,
                         struct span data, struct error *err);

#endif
