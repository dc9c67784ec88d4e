/* secretdoc.c - see secretdoc.h. */
#include "trust/secretdoc.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/name.h"
#include "common/utf8.h"
#include "trust/envelope.h"
#include "trust/seal.h"

enum {
    PAD = 64, /* the length of a value is told to this many bytes */
    NONCE = crypto_secretbox_NONCEBYTES,
    MAC = crypto_secretbox_MACBYTES,
    KEY = crypto_secretbox_KEYBYTES
};
_Static_assert(NONCE + MAC + LIMIT_SECRET_VALUE + PAD <= LIMIT_SECRET_SEALED,
               "limits.h says how long a sealed value may be");

int secretdoc_check_value(struct span value, struct error *err)
{
    if (!value.n)
        return error_set(err, -EINVAL, "the value is empty");
    if (value.n > LIMIT_SECRET_VALUE)
        return error_set(err, -EMSGSIZE, "the value has more than %d bytes", LIMIT_SECRET_VALUE);
    if (memchr(value.p, 0, value.n) || !utf8_is_valid(value, NULL))
        return error_set(err, -EINVAL,
                         "the value is not text in UTF-8; encode other bytes, for example with "
                         "base64");
    return 0;
}

/* ---- Making one */

static void encrypt(struct span value, const uint8_t key[KEY], struct buf *out)
{
    struct buf plain = {0};
    size_t n = 0;
    uint8_t *p = buf_grow(&plain, value.n + PAD);
    memcpy(p, value.p, value.n);
    sodium_pad(&n, p, value.n, PAD, value.n + PAD);
    uint8_t *to = buf_grow(out, NONCE + MAC + n);
    randombytes_buf(to, NONCE);
    crypto_secretbox_easy(to + NONCE, p, n, to, key);
    out->n += NONCE + MAC + n;
    sodium_memzero(p, value.n + PAD);
    buf_free(&plain);
}

/* `head` is the document without boxes, as bytes; `name` and `by` are lent. */
static struct seal_context context_of(const struct d_secret *d, struct span head,
                                      char name[LIMIT_NAME + 1], char by[LIMIT_NAME + 1])
{
    struct seal_context c = {
        .kind = "secret", .key = by, .parameter = name, .expires = d->issued_at};
    span_copy_str(d->name, name, LIMIT_NAME + 1);
    span_copy_str(d->by, by, LIMIT_NAME + 1);
    envelope_hash(head, &c.package);
    return c;
}

static int add_boxes(const struct secretdoc_order *o, const struct d_secret *d,
                     const uint8_t key[KEY], struct buf *items, struct error *err)
{
    struct buf head = {0}, sealed = {0}, one = {0};
    char name[LIMIT_NAME + 1], by[LIMIT_NAME + 1];
    int rc = 0;
    d_secret_encode(d, &head);
    const struct seal_context c = context_of(d, buf_span(&head), name, by);
    for (size_t i = 0; rc == 0 && i < o->n_servers; i++) {
        const struct certificate *to = o->servers[i];
        buf_clear(&sealed);
        buf_clear(&one);
        if ((rc = seal_value(&c, &to->seal_key, span_of(key, KEY), &sealed, err)) < 0) {
            error_prefix(err, "server '%s'", to->name);
            break;
        }
        d_secret_box_encode(&(struct d_secret_box){.server = span_str(to->name),
                                                   .seal_key = to->seal_key,
                                                   .key = buf_span(&sealed)},
                            &one);
        wire_add_bin(items, buf_span(&one));
    }
    buf_free(&head);
    buf_free(&sealed);
    buf_free(&one);
    return rc;
}

static int check_order(const struct secretdoc_order *o, struct span value, struct error *err)
{
    int rc = name_check_name("the name of a secret", span_str(o->name), err);
    if (rc == 0)
        rc = name_check_name("an address", span_str(o->address), err);
    if (rc == 0 && o->n_servers > LIMIT_SERVERS)
        rc = error_set(err, -EMSGSIZE, "%zu servers; a secret is sealed to at most %d",
                       o->n_servers, LIMIT_SERVERS);
    return rc == 0 && !o->remove ? secretdoc_check_value(value, err) : rc;
}

int secretdoc_make(const struct secretdoc_order *o, struct span value, struct buf *out,
                   struct error *err)
{
    struct d_secret d = {.cluster = span_str(o->cluster),
                         .name = span_str(o->name),
                         .version = o->version,
                         .address = span_str(o->address),
                         .by = span_str(o->by->name),
                         .remove = o->remove,
                         .issued_at = o->issued_at};
    struct buf encrypted = {0}, items = {0}, body = {0};
    uint8_t key[KEY];
    int rc = check_order(o, value, err);
    if (rc < 0)
        return rc;
    if (!o->remove) {
        crypto_secretbox_keygen(key);
        encrypt(value, key, &encrypted);
        d.value = buf_span(&encrypted);
        rc = add_boxes(o, &d, key, &items, err);
        sodium_memzero(key, sizeof key);
        d.sealed = wire_list_from(&items, (uint32_t)o->n_servers);
    }
    if (rc == 0) {
        d_secret_encode(&d, &body);
        rc = envelope_sign(ENVELOPE_SECRET, o->key, o->by->name, o->by->serial, buf_span(&body),
                           out, err);
    }
    buf_free(&encrypted);
    buf_free(&items);
    buf_free(&body);
    return rc;
}

/* ---- Judging one */

int secretdoc_verify(struct span bytes, const struct certificate *by, const char *cluster,
                     const char *const *pools, size_t n_pools, struct d_secret *ret,
                     enum refusal *ret_code, struct error *err)
{
    struct d_signed s;
    struct d_secret d;
    char name[LIMIT_NAME + 1], address[LIMIT_ADDRESS + 1];
    *ret_code = REFUSAL_MALFORMED;
    int rc = secretdoc_read(bytes, &s, &d, err);
    if (rc < 0)
        return rc;
    *ret_code = REFUSAL_BAD_SIGNATURE;
    if ((rc = certificate_open(by, ENVELOPE_SECRET, bytes, NULL, &s, err)) < 0)
        return rc;
    *ret_code = REFUSAL_DENIED;
    if (!span_eq_str(d.cluster, cluster) || !span_eq_str(d.by, by->name))
        return error_set(err, -EPERM,
                         "the secret is for cluster '" SPAN_FMT "' and says that '" SPAN_FMT
                         "' put it; this is '%s', and '%s' has signed it",
                         SPAN_ARG(d.cluster), SPAN_ARG(d.by), cluster, by->name);
    if (by->role != ROLE_CALLER && by->role != ROLE_ADMINISTRATOR) {
        *ret_code = REFUSAL_WRONG_ROLE;
        return error_set(err, -EPERM, "'%s' is a %s; only callers and administrators put secrets",
                         by->name, role_word(by->role));
    }
    span_copy_str(d.name, name, sizeof name);
    span_copy_str(d.address, address, sizeof address);
    if ((rc = grant_check(by, VERB_SECRET, name, address, pools, n_pools, err)) < 0)
        return rc;
    *ret = d;
    return 0;
}

static bool is_addressed(const struct certificate *self, struct span address)
{
    if (span_eq_str(address, "all") || span_eq_str(address, self->name))
        return true;
    for (size_t i = 0; i < self->n_pools; i++)
        if (span_eq_str(address, self->pools[i]))
            return true;
    return false;
}

int secretdoc_judge(const struct d_secret_kept *k, const struct trust_anchors *anchors,
                    const struct certificate *self, int64_t now, struct certificate *ret_by,
                    struct d_secret *ret, enum refusal *ret_code, struct error *err)
{
    struct certificate by = {0};
    struct d_signed s;
    struct d_secret d;
    *ret_code = REFUSAL_MALFORMED;
    int rc = secretdoc_read(k->secret, &s, &d, err);
    if (rc < 0)
        return rc;
    *ret_code = REFUSAL_DENIED;
    if (d.issued_at > now + CLOCK_SKEW_MS)
        return error_set(err, -EPERM, "secret '" SPAN_FMT "' was put in the future",
                         SPAN_ARG(d.name));
    if (!is_addressed(self, d.address))
        return error_set(err, -EPERM,
                         "secret '" SPAN_FMT "' is put to '" SPAN_FMT
                         "', which this server is not in",
                         SPAN_ARG(d.name), SPAN_ARG(d.address));
    if ((rc = certificate_verify(k->certificate, anchors, d.issued_at, &by, ret_code, err)) < 0)
        return error_prefix(err, "secret '" SPAN_FMT "'", SPAN_ARG(d.name));
    const bool by_name = span_eq_str(d.address, self->name);
    rc = secretdoc_verify(k->secret, &by, self->cluster,
                          by_name ? (const char *const *)self->pools : NULL,
                          by_name ? self->n_pools : 0, ret, ret_code, err);
    if (rc < 0)
        certificate_free(&by);
    else
        *ret_by = by;
    return rc;
}

/* ---- Opening one */

static int not_whole(const struct d_secret *d, struct error *err)
{
    return error_set(err, -EBADMSG, "secret '" SPAN_FMT "' was altered", SPAN_ARG(d->name));
}

static int decrypt(const struct d_secret *d, struct span key, struct buf *out, struct error *err)
{
    struct buf plain = {0};
    int rc = -EBADMSG;
    size_t n = 0;
    if (key.n != KEY || d->value.n < NONCE + MAC + PAD)
        return not_whole(d, err);
    const size_t padded = d->value.n - NONCE - MAC;
    uint8_t *p = buf_grow(&plain, padded);
    if (crypto_secretbox_open_easy(p, d->value.p + NONCE, d->value.n - NONCE, d->value.p, key.p) ==
            0 &&
        sodium_unpad(&n, p, padded, PAD) == 0 && secretdoc_check_value(span_of(p, n), NULL) == 0) {
        buf_add(out, p, n);
        rc = 0;
    }
    sodium_memzero(p, padded);
    buf_free(&plain);
    return rc < 0 ? not_whole(d, err) : 0;
}

int secretdoc_open(const struct d_secret *head, struct span sealed_key, const struct seal_key *key,
                   struct buf *out, struct error *err)
{
    struct buf bytes = {0}, opened = {0};
    char name[LIMIT_NAME + 1], by[LIMIT_NAME + 1];
    struct error why = {0};
    secretdoc_head(head, &bytes);
    const struct seal_context c = context_of(head, buf_span(&bytes), name, by);
    buf_grow(out, LIMIT_SECRET_VALUE + 1); /* so that no copy is left behind as it grows */
    buf_grow(&opened, KEY + 1);
    int rc = seal_open(&c, key, sealed_key, &opened, &why);
    if (rc < 0)
        error_set(err, rc,
                  "secret '%s' cannot be opened here: it was sealed to another key of this server, "
                  "or altered; put it again",
                  name);
    else
        rc = decrypt(head, buf_span(&opened), out, err);
    sodium_memzero(opened.p, opened.cap);
    buf_free(&opened);
    buf_free(&bytes);
    return rc;
}
