/* minisign.c - see minisign.h: digests and signatures. Keys are in minisign_key.c. */
#include "trust/minisign.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "proto/limits.h"
#include "trust/minisign_text.h"

#define TRUSTED "trusted comment: "

void minisign_hash_begin(struct minisign_hash *h)
{
    crypto_generichash_init(&h->state, NULL, 0, MINISIGN_DIGEST);
}

void minisign_hash_add(struct minisign_hash *h, struct span data)
{
    crypto_generichash_update(&h->state, data.p, data.n);
}

void minisign_hash_end(struct minisign_hash *h, uint8_t ret_digest[MINISIGN_DIGEST])
{
    crypto_generichash_final(&h->state, ret_digest, MINISIGN_DIGEST);
}

/* The line that base64 decodes to. */
struct signature_line {
    uint8_t algorithm[2];
    uint8_t number[MINISIGN_NUMBER];
    uint8_t signature[64];
};
_Static_assert(sizeof(struct signature_line) == 74, "minisign's format has no gaps");

/* What the second signature covers: the first, and the trusted comment without its line end. */
static size_t global_bytes(const uint8_t signature[64], const char *comment,
                           uint8_t out[64 + MINISIGN_COMMENT])
{
    size_t n = strlen(comment);
    memcpy(out, signature, 64);
    memcpy(out + 64, comment, n);
    return 64 + n;
}

static int check_comment(const char *comment, struct error *err)
{
    size_t n = strlen(comment);
    if (n >= MINISIGN_COMMENT)
        return error_set(err, -EINVAL, "a trusted comment of %zu bytes is longer than %d", n,
                         MINISIGN_COMMENT - 1);
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)comment[i] < ' ' || comment[i] == 0x7f)
            return error_set(
                err, -EINVAL,
                "a trusted comment is one line without control characters; byte %zu is one", i + 1);
    return 0;
}

int minisign_sign(const struct minisign_secret *s, const uint8_t digest[MINISIGN_DIGEST],
                  const char *comment, struct buf *out, struct error *err)
{
    int rc = check_comment(comment, err);
    if (rc < 0)
        return rc;
    struct signature_line line = {.algorithm = {'E', 'D'}};
    uint8_t global[64], covered[64 + MINISIGN_COMMENT];
    memcpy(line.number, s->number, sizeof line.number);
    crypto_sign_detached(line.signature, NULL, digest, MINISIGN_DIGEST, s->secret);
    size_t n = global_bytes(line.signature, comment, covered);
    crypto_sign_detached(global, NULL, covered, n, s->secret);
    buf_add_str(out, MINISIGN_UNTRUSTED "signature from a builder of Longboat\n");
    minisign_base64_add(out, &line, sizeof line);
    buf_printf(out, "\n" TRUSTED "%s\n", comment);
    minisign_base64_add(out, global, sizeof global);
    buf_add_str(out, "\n");
    return 0;
}

int minisign_signature_parse(struct span text, struct minisign_signature *ret, struct error *err)
{
    static const char form[] = "this is not a minisign signature file";
    struct minisign_signature sig = {0};
    struct signature_line first;
    struct span line;
    if (text.n > LIMIT_SIGNATURE)
        return error_set(err, -EMSGSIZE, "%s: it has %zu bytes, more than %d", form, text.n,
                         LIMIT_SIGNATURE);
    if (!minisign_line(&text, &line) || !minisign_starts(&line, MINISIGN_UNTRUSTED))
        return error_set(err, -EINVAL, "%s: line 1 does not begin with '" MINISIGN_UNTRUSTED "'",
                         form);
    if (!minisign_line(&text, &line) || !minisign_base64_get(line, &first, sizeof first))
        return error_set(err, -EINVAL, "%s: line 2 is not a signature in base64", form);
    if (first.algorithm[0] != 'E' || (first.algorithm[1] != 'D' && first.algorithm[1] != 'd'))
        return error_set(err, -EINVAL, "%s: its algorithm is neither 'ED' nor 'Ed'", form);
    if (!minisign_line(&text, &line) || !minisign_starts(&line, TRUSTED) ||
        line.n >= MINISIGN_COMMENT || (line.n && memchr(line.p, 0, line.n)))
        return error_set(err, -EINVAL, "%s: line 3 is not '" TRUSTED "' and at most %d bytes", form,
                         MINISIGN_COMMENT - 1);
    span_copy_str(line, sig.comment, sizeof sig.comment);
    if (!minisign_line(&text, &line) || !minisign_base64_get(line, sig.global, sizeof sig.global))
        return error_set(err, -EINVAL, "%s: line 4 is not a signature in base64", form);
    if (text.n)
        return error_set(err, -EINVAL, "%s: there is text after line 4", form);
    sig.prehashed = first.algorithm[1] == 'D';
    memcpy(sig.number, first.number, sizeof sig.number);
    memcpy(sig.signature, first.signature, sizeof sig.signature);
    *ret = sig;
    return 0;
}

static int verify(const struct minisign_signature *sig, const struct minisign_public *key,
                  struct span covered, struct error *err)
{
    char is[MINISIGN_NUMBER_TEXT], should[MINISIGN_NUMBER_TEXT];
    uint8_t global[64 + MINISIGN_COMMENT];
    if (memcmp(sig->number, key->number, sizeof sig->number) != 0)
        return error_set(err, -EBADMSG, "it is signed by key %s, not by key %s",
                         minisign_number(sig->number, is), minisign_number(key->number, should));
    if (crypto_sign_verify_detached(sig->signature, covered.p, covered.n, key->key.b) != 0)
        return error_set(
            err, -EBADMSG,
            "the signature by key %s does not match: the file was altered or is a different one",
            minisign_number(key->number, should));
    size_t n = global_bytes(sig->signature, sig->comment, global);
    if (crypto_sign_verify_detached(sig->global, global, n, key->key.b) != 0)
        return error_set(err, -EBADMSG,
                         "the trusted comment of the signature by key %s was altered",
                         minisign_number(key->number, should));
    return 0;
}

int minisign_verify(const struct minisign_signature *sig, const struct minisign_public *key,
                    const uint8_t digest[MINISIGN_DIGEST], struct error *err)
{
    if (!sig->prehashed)
        return error_set(err, -EOPNOTSUPP,
                         "the signature has minisign's legacy format; sign again without -l");
    return verify(sig, key, span_of(digest, MINISIGN_DIGEST), err);
}

int minisign_verify_data(const struct minisign_signature *sig, const struct minisign_public *key,
                         struct span data, struct error *err)
{
    if (!sig->prehashed)
        return verify(sig, key, data, err);
    struct minisign_hash h;
    uint8_t digest[MINISIGN_DIGEST];
    minisign_hash_begin(&h);
    minisign_hash_add(&h, data);
    minisign_hash_end(&h, digest);
    return minisign_verify(sig, key, digest, err);
}
