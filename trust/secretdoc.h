/* secretdoc.h - secrets: values that only the servers can read to which somebody has put them.
 * Pure.
 *
 * A secret is a document (d_secret) of a principal. Its value is padded, so that its length tells
 * little, and encrypted with a key made for it alone (crypto_secretbox); for each server this key
 * is sealed to the server's seal key (seal.h). What the seal is bound to is the whole document
 * without the sealed keys: cluster, name, version, address, who put it, when, and the encrypted
 * value. So nobody can take a key or a value for another secret, another version or another
 * principal's. The signature tells who put it, and their certificate whether they had the right:
 * the grant `secret NAME@ADDRESS`.
 *
 * The newest document of a name that covers a server is the one that counts there, by issued_at; it
 * may be a mark that the secret was dropped. */
#ifndef LB_TRUST_SECRETDOC_H
#define LB_TRUST_SECRETDOC_H

#include "trust/certificate.h"

/* What a need that stands for a secret begins with: "secret:NAME". */
#define SECRETDOC_NEED "secret:"

/* A value is text, since parameters are: 1 to LIMIT_SECRET_VALUE bytes of UTF-8 without NUL.
 * -EINVAL, -EMSGSIZE; the sentence does not show it. */
int secretdoc_check_value(struct span value, struct error *err);

struct secretdoc_order {
    const char *cluster, *name, *address;
    uint64_t version;
    int64_t issued_at;
    bool remove; /* a mark; without value and servers */
    const struct certificate *by;
    const struct key *key;                    /* of `by` */
    const struct certificate *const *servers; /* verified, by name */
    size_t n_servers;
};
/* Appends the signed document. -EINVAL: a name is not one, or a seal key is not a key. */
int secretdoc_make(const struct secretdoc_order *o, struct span value, struct buf *out,
                   struct error *err);

/* The order of the boxes: by the server's name. */
int secretdoc_compare(struct span a, struct span b);
/* Decodes a signed document and judges its form; verifies nothing. Spans point into `bytes`. */
int secretdoc_read(struct span bytes, struct d_signed *ret_signed, struct d_secret *ret,
                   struct error *err);
/* Verifies it with the certificate of who has signed it, itself verified: signature, cluster, role,
 * and the grant; `pools`: of the server if the address names one, else none. *ret_code:
 * BAD_SIGNATURE, MALFORMED, DENIED, WRONG_ROLE. */
int secretdoc_verify(struct span bytes, const struct certificate *by, const char *cluster,
                     const char *const *pools, size_t n_pools, struct d_secret *ret,
                     enum refusal *ret_code, struct error *err);

/* The same for a server, which got it from its broker and believes nobody: is it for this server
 * (`self`), and had who signed it the right when it was issued? Their certificate may have expired
 * since; that it is not revoked, the caller checks. *ret_by: release with certificate_free. */
int secretdoc_judge(const struct d_secret_kept *k, const struct trust_anchors *anchors,
                    const struct certificate *self, int64_t now, struct certificate *ret_by,
                    struct d_secret *ret, enum refusal *ret_code, struct error *err);

/* This server's box. False: the secret is not sealed to it, or to a seal key that it had before. */
bool secretdoc_box(const struct d_secret *d, const char *server, const struct hash *seal_key,
                   struct d_secret_box *ret);
/* Appends the document without its boxes: what the keeper needs beside a box's key. */
void secretdoc_head(const struct d_secret *d, struct buf *out);
/* Appends the value; wipe *out. -EBADMSG: not sealed to this key, altered, or put together from
 * several; *out is as it was. */
int secretdoc_open(const struct d_secret *head, struct span sealed_key, const struct seal_key *key,
                   struct buf *out, struct error *err);

/* Is the value of a parameter {secret: NAME}? Then *ret_name. */
bool secretdoc_is_use(const struct value *v, struct span *ret_name);
/* Appends {secret: NAME}. */
void secretdoc_add_use(struct buf *out, struct span name);

#endif
