/* rotation.c - see rotation.h. */
#include "trust/rotation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/id.h"
#include "common/mem.h"
#include "trust/envelope.h"

#define REQUEST_PREFIX     "longboat-rotation:"
#define CERTIFICATE_PREFIX "longboat-certificate:"

static char *word_format(const char *prefix, struct span bytes)
{
    char *encoded = b64_format(bytes), *text = mem_printf("%s%s", prefix, encoded);
    mem_free(&encoded);
    return text;
}

static int word_parse(const char *text, const char *prefix, const char *what, struct buf *out,
                      struct error *err)
{
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    size_t n = strcspn(text, space), n_prefix = strlen(prefix);
    if (n < n_prefix || strncmp(text, prefix, n_prefix) != 0 || text[n + strspn(text + n, space)])
        return error_set(err, -EINVAL, "this is not %s: that is one word that begins with %s", what,
                         prefix);
    char *encoded = mem_dup(text + n_prefix, n - n_prefix + 1);
    encoded[n - n_prefix] = 0;
    int rc = b64_parse(encoded, out, err);
    mem_free(&encoded);
    return rc < 0
               ? error_set(err, -EINVAL, "%s is incomplete or was altered when it was copied", what)
               : 0;
}

/* ---- The request */

int rotation_request(const struct certificate *me, const struct key *old, const struct key *next,
                     int64_t now, char **ret_text, struct error *err)
{
    struct d_rotation d = {.cluster = span_str(me->cluster),
                           .name = span_str(me->name),
                           .serial = me->serial,
                           .sign_key = next->sign,
                           .issued_at = now};
    struct buf body = {0}, inner = {0}, outer = {0};
    d_rotation_encode(&d, &body);
    int rc = envelope_sign(ENVELOPE_ROTATION, next, "", 0, buf_span(&body), &inner, err);
    if (rc == 0)
        rc = envelope_sign(ENVELOPE_ROTATION_REQUEST, old, me->name, me->serial, buf_span(&inner),
                           &outer, err);
    if (rc == 0)
        *ret_text = word_format(REQUEST_PREFIX, buf_span(&outer));
    buf_free(&body);
    buf_free(&inner);
    buf_free(&outer);
    return rc;
}

static int open_both(struct span bytes, struct rotation *ret, struct error *err)
{
    struct d_signed outer, inner;
    struct d_rotation d;
    int rc = d_signed_decode(bytes, &outer, err);
    if (rc == 0) {
        ret->old_key = outer.key;
        rc = envelope_open(ENVELOPE_ROTATION_REQUEST, bytes, &ret->old_key, &outer, err);
    }
    if (rc == 0)
        rc = d_signed_decode(outer.body, &inner, err);
    if (rc == 0) {
        ret->new_key = inner.key;
        rc = envelope_open(ENVELOPE_ROTATION, outer.body, &ret->new_key, &inner, err);
    }
    if (rc == 0)
        rc = d_rotation_decode(inner.body, &d, err);
    if (rc < 0)
        return rc;
    if (!hash_eq(&d.sign_key, &ret->new_key) || !span_eq(outer.signer, d.name) ||
        outer.serial != d.serial)
        return error_set(err, -EBADMSG,
                         "the request of '" SPAN_FMT "' is not signed by the keys that it names",
                         SPAN_ARG(d.name));
    span_copy_str(d.cluster, ret->cluster, sizeof ret->cluster);
    span_copy_str(d.name, ret->name, sizeof ret->name);
    ret->serial = d.serial;
    ret->issued_at = d.issued_at;
    return 0;
}

int rotation_open(const char *text, int64_t now, struct rotation *ret, struct error *err)
{
    struct rotation r = {0};
    struct buf bytes = {0};
    int rc = word_parse(text, REQUEST_PREFIX, "a request for a new key", &bytes, err);
    if (rc == 0)
        rc = open_both(buf_span(&bytes), &r, err);
    buf_free(&bytes);
    if (rc == 0 &&
        (now > r.issued_at + ROTATION_REQUEST_MAX_AGE_MS || now < r.issued_at - CLOCK_SKEW_MS))
        rc = error_set(err, -ETIME,
                       "the request of '%s' is older than a week, or of the future; ask for a new "
                       "one",
                       r.name);
    if (rc == 0)
        *ret = r;
    return rc;
}

char *rotation_certificate_format(struct span signed_bytes)
{
    return word_format(CERTIFICATE_PREFIX, signed_bytes);
}

int rotation_certificate_parse(const char *text, struct buf *out, struct error *err)
{
    return word_parse(text, CERTIFICATE_PREFIX, "a certificate of `lbctl certificates sign`", out,
                      err);
}

/* ---- Files */

static int next_key_is(const char *path, struct hash *ret, struct error *err)
{
    struct key k = {0};
    int rc = key_file_is_locked(path, ret, err);
    if (rc == 0 && (rc = key_load(path, &k, err)) == 0)
        *ret = k.sign;
    key_forget(&k);
    return rc < 0 ? rc : 0;
}

int rotation_stage(const char *key_path, const char *passphrase, struct key *ret, struct error *err)
{
    char *path = mem_printf("%s" ROTATION_NEXT, key_path);
    struct key k = {0};
    int rc = 0;
    if (access(path, F_OK) == 0) {
        rc = key_load(path, &k, err);
    } else {
        key_make(&k);
        rc = key_file_create_locked(path, &k, passphrase, err);
    }
    mem_free(&path);
    if (rc == 0)
        *ret = k;
    else
        key_forget(&k);
    return rc;
}

int rotation_verify(const char *key_path, const struct trust_anchors *anchors,
                    const struct certificate *me, struct span signed_bytes, int64_t now,
                    struct certificate *ret, struct error *err)
{
    struct certificate c = {0};
    struct hash next;
    char *path = mem_printf("%s" ROTATION_NEXT, key_path);
    int rc = next_key_is(path, &next, err);
    if (rc == -ENOENT)
        error_set(err, rc, "there is no new key in %s: ask for one first", path);
    if (rc == 0)
        rc = certificate_verify(signed_bytes, anchors, now, &c, NULL, err);
    if (rc == 0 && (strcmp(c.name, me->name) != 0 || c.role != me->role || c.serial <= me->serial ||
                    !hash_eq(&c.sign_key, &next) || !hash_eq(&c.seal_key, &me->seal_key)))
        rc = error_set(err, -EBADMSG,
                       "this certificate of %s '%s' is not for the new key of %s '%s' in %s",
                       role_word(c.role), c.name, role_word(me->role), me->name, path);
    mem_free(&path);
    if (rc == 0)
        *ret = c;
    else
        certificate_free(&c);
    return rc;
}

int rotation_finish(const char *key_path, const struct hash *wanted, struct error *err)
{
    char *path = mem_printf("%s" ROTATION_NEXT, key_path);
    struct hash next;
    int rc = 0;
    if (access(path, F_OK) == 0 && (rc = next_key_is(path, &next, err)) == 0 &&
        hash_eq(&next, wanted))
        rc = rename(path, key_path) < 0
                 ? error_errno(err, errno, "cannot put the new key into its place, %s", key_path)
                 : 1;
    mem_free(&path);
    return rc;
}
