/* signature.c - see signature.h. */
#include "package/signature.h"

#include <errno.h>
#include <string.h>

#include "common/file.h"

void signature_comment(const char *name, const char *version, const struct hash *hash,
                       struct buf *out)
{
    char text[PACKAGE_HASH_TEXT];
    buf_printf(out, "longboat package %s %s %s", name, version, package_hash_format(hash, text));
}

static int check_comment(const char *comment, const struct hash *hash, const char *name,
                         const char *version, struct error *err)
{
    char text[PACKAGE_HASH_TEXT];
    const char *last = strrchr(comment, ' ');
    if (strncmp(comment, "longboat package ", 17) != 0 || !last ||
        strcmp(last + 1, package_hash_format(hash, text)) != 0)
        return error_set(err, -EBADMSG, "the signature is for something else: '%.200s'", comment);
    if (!name)
        return 0;
    struct buf whole = {0};
    signature_comment(name, version, hash, &whole);
    int rc =
        strcmp(buf_str(&whole), comment) == 0
            ? 0
            : error_set(err, -EBADMSG, "the signature is for '%.150s', but the package is %s %s",
                        comment, name, version);
    buf_free(&whole);
    return rc;
}

static int parse(struct span file, struct minisign_signature *ret, struct error *err)
{
    struct error why;
    if (minisign_signature_parse(file, ret, &why) < 0)
        return error_set(err, -EBADMSG, "the signature is malformed: %.300s", why.text);
    if (!ret->prehashed)
        return error_set(
            err, -EBADMSG,
            "the signature has minisign's legacy format; sign it again with lbpkg sign");
    return 0;
}

int signature_names(struct span file, const struct hash *hash, const char *name,
                    const char *version, struct error *err)
{
    struct minisign_signature sig;
    int rc = parse(file, &sig, err);
    return rc < 0 ? rc : check_comment(sig.comment, hash, name, version, err);
}

/* The comment, which the key has signed as well, and what the server lets this key sign. */
static int judge(const struct minisign_signature *sig, const struct builder *builders, size_t n,
                 size_t i, int64_t now, const struct hash *hash, const char *name,
                 const char *version, struct error *err)
{
    const struct builder *by;
    struct error why = {0};
    int rc = check_comment(sig->comment, hash, name, version, err);
    if (rc == 0 && name &&
        builders_judge(builders, n, &builders[i].key.key, span_str(name), now, &by, &why) < 0)
        rc = error_set(err, -EBADMSG, "%s", why.text);
    return rc;
}

int signature_verify(struct span file, const struct builder *builders, size_t n_builders,
                     int64_t now, const struct hash *hash, const uint8_t digest[MINISIGN_DIGEST],
                     const char *name, const char *version, size_t *ret_signer, struct error *err)
{
    struct minisign_signature sig;
    char number[MINISIGN_NUMBER_TEXT];
    int rc = parse(file, &sig, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n_builders; i++) {
        const struct minisign_public *key = &builders[i].key;
        if (builders[i].is_unsigned || memcmp(key->number, sig.number, sizeof sig.number) != 0)
            continue;
        if ((rc = minisign_verify(&sig, key, digest, err)) < 0)
            return rc;
        rc = judge(&sig, builders, n_builders, i, now, hash, name, version, err);
        if (rc == 0)
            *ret_signer = i;
        return rc;
    }
    return error_set(err, -EBADMSG, "the package is signed by key %s, which is not trusted here",
                     minisign_number(sig.number, number));
}

int signature_load_signers(const char *path, struct builder **ret, size_t *ret_n, struct error *err)
{
    struct buf text = {0};
    unsigned line;
    int rc = file_read(path, BUILDERS_BYTES, &text, err);
    if (rc == 0 && (rc = builders_check(buf_span(&text), &line, err)) < 0)
        error_prefix(err, "%s:%u", path, line);
    if (rc == 0)
        builders_parse(buf_span(&text), ret, ret_n);
    buf_free(&text);
    return rc;
}
