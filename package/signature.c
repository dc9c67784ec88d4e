/* signature.c - see signature.h. */
#include "package/signature.h"

#include <errno.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"

enum { SIGNERS_FILE_MAX = 1 << 20, SIGNERS_MAX = 1000 };

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

int signature_verify(struct span file, const struct minisign_public *keys, size_t n_keys,
                     const struct hash *hash, const uint8_t digest[MINISIGN_DIGEST],
                     const char *name, const char *version, size_t *ret_signer, struct error *err)
{
    struct minisign_signature sig;
    char number[MINISIGN_NUMBER_TEXT];
    int rc = parse(file, &sig, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n_keys; i++) {
        if (memcmp(keys[i].number, sig.number, sizeof sig.number) != 0)
            continue;
        if ((rc = minisign_verify(&sig, &keys[i], digest, err)) < 0)
            return rc;
        if ((rc = check_comment(sig.comment, hash, name, version, err)) == 0)
            *ret_signer = i;
        return rc;
    }
    return error_set(err, -EBADMSG, "the package is signed by key %s, which is not trusted here",
                     minisign_number(sig.number, number));
}

int signature_load_signers(const char *path, struct minisign_public **ret, size_t *ret_n,
                           struct error *err)
{
    struct buf text = {0};
    struct minisign_public *keys = NULL;
    size_t n = 0;
    unsigned number = 0;
    int rc = file_read(path, SIGNERS_FILE_MAX, &text, err);
    struct span rest = buf_span(&text);
    while (rc == 0 && rest.n) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        struct span line = span_of(rest.p, end ? (size_t)(end - rest.p) : rest.n);
        rest = span_of(rest.p + line.n + (end != NULL), rest.n - line.n - (end != NULL));
        number++;
        while (line.n && strchr(" \t\r", line.p[line.n - 1]))
            line.n--;
        if (!line.n || line.p[0] == '#' ||
            (line.n > 18 && memcmp(line.p, "untrusted comment:", 18) == 0))
            continue;
        if (n == SIGNERS_MAX) {
            rc = error_set(err, -EINVAL, "%s:%u: more than %d keys", path, number, SIGNERS_MAX);
            break;
        }
        keys = mem_realloc(keys, n + 1, sizeof *keys);
        if ((rc = minisign_public_parse(line, &keys[n], err)) < 0)
            error_prefix(err, "%s:%u", path, number);
        else
            n++;
    }
    buf_free(&text);
    if (rc < 0) {
        mem_free(&keys);
        return rc;
    }
    *ret = keys;
    *ret_n = n;
    return 0;
}
