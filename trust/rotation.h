/* rotation.h - a new key for a principal that keeps its name.
 *
 * The new key is made beside the old one ("keys/sign.key.next") and never leaves its machine. What
 * goes to the administrator is a request: the new public key, signed by the new key, which shows
 * that its holder has it, and by the old key, which shows whose it is. What comes back is a
 * certificate; taking it puts the new key into the old one's place. Both travel as one word of
 * text. */
#ifndef LB_TRUST_ROTATION_H
#define LB_TRUST_ROTATION_H

#include "trust/certificate.h"

#define ROTATION_NEXT ".next" /* behind the path of the key, or of the broker's certificate */

enum { ROTATION_REQUEST_MAX_AGE_MS = 7 * 86400000 };

/* ---- The request */
struct rotation {
    char cluster[LIMIT_NAME + 1], name[LIMIT_NAME + 1];
    uint64_t serial; /* of the certificate that the old key has */
    struct hash old_key, new_key;
    int64_t issued_at;
};
/* The word for `me`, whose key is `old`; free *ret_text. */
int rotation_request(const struct certificate *me, const struct key *old, const struct key *next,
                     int64_t now, char **ret_text, struct error *err);
/* Reads a request and verifies both signatures, by the keys that it names itself: the caller
 * compares old_key with the certificate of that name and serial. -EINVAL: it is no request, or was
 * altered; -EBADMSG: a signature does not match; -ETIME: it is older than a week. */
int rotation_open(const char *text, int64_t now, struct rotation *ret, struct error *err);

/* ---- A certificate as a word */
char *rotation_certificate_format(struct span signed_bytes); /* free it */
/* Appends its bytes; they are not verified. -EINVAL: it is no such word. */
int rotation_certificate_parse(const char *text, struct buf *out, struct error *err);

/* ---- Files. `key_path` is the key of now. */
/* Makes the next key, encrypted with the passphrase unless that is NULL, or loads the one that is
 * there. */
int rotation_stage(const char *key_path, const char *passphrase, struct key *ret,
                   struct error *err);
/* Verifies that the certificate is a newer one of `me` for the next key beside `key_path`. Release
 * *ret with certificate_free. -ENOENT: there is no next key; -EBADMSG: it is for another. */
int rotation_verify(const char *key_path, const struct trust_anchors *anchors,
                    const struct certificate *me, struct span signed_bytes, int64_t now,
                    struct certificate *ret, struct error *err);
/* Puts the next key into the place of the key, if it is the one that `wanted` names: what a crash
 * after the certificate was replaced has left to do. 1: done; 0: there is no such key. */
int rotation_finish(const char *key_path, const struct hash *wanted, struct error *err);

#endif
