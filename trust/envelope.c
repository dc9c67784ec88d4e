/* envelope.c - see envelope.h. */
#include "trust/envelope.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "trust/batch.h"
#include "trust/sign.h"

void envelope_hash(struct span bytes, struct hash *ret)
{
    crypto_generichash(ret->b, sizeof ret->b, bytes.p, bytes.n, NULL, 0);
}

/* "longboat/<kind>/1", NUL, content. */
static void signed_bytes(const char *kind, struct span content, struct buf *out)
{
    buf_add_str(out, "longboat/");
    buf_add_str(out, kind);
    buf_add(out, "/1", 3);
    buf_add(out, content.p, content.n);
}

void sign_content(const char *kind, const struct key *key, struct span content,
                  uint8_t ret_signature[64])
{
    struct buf b = {0};
    signed_bytes(kind, content, &b);
    crypto_sign_detached(ret_signature, NULL, b.p, b.n, key->sign_secret);
    buf_free(&b);
}

int sign_check(const char *kind, const struct d_signed *s, struct span content, struct error *err)
{
    struct buf b = {0};
    signed_bytes(kind, content, &b);
    int rc =
        s->signature.n == 64 ? crypto_sign_verify_detached(s->signature.p, b.p, b.n, s->key.b) : -1;
    buf_free(&b);
    char text[KEY_SHORT_TEXT];
    if (rc != 0)
        return error_set(
            err, -EBADMSG,
            "the signature of this %s by key %s does not match: it was altered or never signed",
            kind, key_short(&s->key, text));
    return 0;
}

int sign_check_key(const char *kind, const struct d_signed *s, const struct hash *key,
                   struct error *err)
{
    if (hash_eq(&s->key, key))
        return 0;
    char is[KEY_SHORT_TEXT], should[KEY_SHORT_TEXT];
    return error_set(err, -EBADMSG, "this %s is signed by key %s, not by key %s", kind,
                     key_short(&s->key, is), key_short(key, should));
}

int sign_check_order(const char *signer, size_t body, struct error *err)
{
    if (strlen(signer) > LIMIT_NAME)
        return error_set(err, -EINVAL, "the signer's name '%.70s...' is longer than %d bytes",
                         signer, LIMIT_NAME);
    if (body > LIMIT_FRAME - LIMIT_TEXT)
        return error_set(err, -EMSGSIZE,
                         "a document of %zu bytes does not fit into a message; the limit is %d",
                         body, LIMIT_FRAME - LIMIT_TEXT);
    return 0;
}

int envelope_sign(const char *kind, const struct key *key, const char *signer, uint64_t serial,
                  struct span body, struct buf *out, struct error *err)
{
    if (batch_is_kind(kind))
        return batch_sign_kind(kind, false, key, signer, serial, &body, 1, out, err);
    int rc = sign_check_order(signer, body.n, err);
    if (rc < 0)
        return rc;
    uint8_t signature[64];
    sign_content(kind, key, body, signature);
    struct d_signed s = {.signer = span_str(signer),
                         .serial = serial,
                         .key = key->sign,
                         .body = body,
                         .signature = span_of(signature, sizeof signature)};
    d_signed_encode(&s, out);
    return 0;
}

int envelope_open(const char *kind, struct span bytes, const struct hash *key, struct d_signed *ret,
                  struct error *err)
{
    if (batch_is_kind(kind))
        return batch_open_kind(kind, bytes, NULL, key, NULL, ret, err);
    struct d_signed s;
    int rc = d_signed_decode(bytes, &s, err);
    if (rc < 0)
        return error_prefix(err, "%s", kind);
    if (s.proof.count != 0 || s.index != 0)
        return error_set(
            err, -EBADMSG,
            "this %s carries the proof of a batch, which only calls and results may carry", kind);
    if ((rc = sign_check_key(kind, &s, key, err)) < 0 ||
        (rc = sign_check(kind, &s, s.body, err)) < 0)
        return rc;
    *ret = s;
    return 0;
}
