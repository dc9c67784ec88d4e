/* certificate.h - who somebody is: name, role, keys, pools and grants, signed by an administrator
 * (d_certificate).
 *
 * The root of trust is a list of administrators' public keys (`struct trust_anchors`). A
 * certificate is good if one of them signed it, or if the one-time key of an invitation that one of
 * them signed did: then the invitation is inside, and the certificate must have its name, role and
 * serial, no pools and grants but its own, no later end, and must begin while the invitation lives.
 * Signatures: envelope.h; transport key: derived from the signing key as in keys.h, and compared.
 *
 * Verifying asks nothing about revocation: that list changes, certificates do not (revocation.h). A
 * role `administrator` gives all verbs; only a key among the anchors can sign certificates. */
#ifndef LB_TRUST_CERTIFICATE_H
#define LB_TRUST_CERTIFICATE_H

#include "proto/messages.h"
#include "trust/grants.h"
#include "trust/keys.h"

enum {
    /* a certificate may begin this much in our future: the signer's clock may be ahead */
    CLOCK_SKEW_MS = 300000
};

#define ROLES(X) \
    X(ADMINISTRATOR, "administrator") \
    X(SERVER, "server") \
    X(CALLER, "caller") X(MONITOR, "monitor") X(BUILDER, "builder") X(BROKER, "broker")
#define X(n, w) ROLE_##n,
enum role { ROLE_NONE, ROLES(X) ROLE_COUNT }; /* all zero is nobody */
#undef X
const char *role_word(enum role r);
int role_parse(struct span word, enum role *ret, struct error *err);

/* ---- The root */
struct trust_anchors {
    char cluster[LIMIT_NAME + 1];
    struct hash *administrators; /* Ed25519 public keys */
    size_t n;
};
/* Reads a file of one hexadecimal key a line; empty lines and lines that begin with # are skipped;
 * the rest of a line after the key and a space is a remark. -EINVAL names the line; -ENODATA: no
 * key in it. */
int anchors_load(const char *path, const char *cluster, struct trust_anchors *ret,
                 struct error *err);
/* From keys in hand, e.g. of an invitation's token. */
void anchors_from(const char *cluster, const struct hash *keys, size_t n,
                  struct trust_anchors *ret);
void anchors_format(const struct trust_anchors *a, struct buf *out); /* the text of such a file */
bool anchors_have(const struct trust_anchors *a, const struct hash *key);
void anchors_free(struct trust_anchors *a); /* back to all zero */

/* ---- A certificate, decoded. Owns all it points to; certificate_free returns it to all zero. */
struct certificate {
    char cluster[LIMIT_NAME + 1], name[LIMIT_NAME + 1];
    enum role role;
    uint64_t serial;
    struct hash sign_key, transport_key, seal_key; /* seal_key: of servers; otherwise zero */
    char **pools;                                  /* of a server, without "all" */
    size_t n_pools;
    struct grant *grants;
    size_t n_grants;
    int64_t not_before, not_after;
    /* the invitation's end; 0: signed by an administrator. Who records a new certificate also
       refuses when this has passed: its holder chooses not_before */
    int64_t invited_until;
    struct buf signed_bytes; /* the d_signed as received */
};
void certificate_free(struct certificate *c);

/* Decodes and judges all but revocation. On failure *ret is untouched and *ret_code (may be NULL)
 * says which refusal: MALFORMED, TOO_LARGE, BAD_SIGNATURE, EXPIRED_CERTIFICATE (not yet valid too),
 * DENIED (more than its invitation allows), UNKNOWN_PRINCIPAL (another cluster's). */
int certificate_verify(struct span bytes, const struct trust_anchors *anchors, int64_t now,
                       struct certificate *ret, enum refusal *ret_code, struct error *err);

/* What the maker of a certificate says; texts are lent. */
struct certificate_order {
    const char *cluster, *name;
    enum role role;
    uint64_t serial;
    struct hash sign_key; /* the transport key is derived from it */
    struct hash seal_key; /* servers only; zero otherwise */
    const char *const *pools;
    size_t n_pools;
    const char *const *grants; /* texts */
    size_t n_grants;
    int64_t not_before, not_after;
};
/* Signs as an administrator; appends a d_signed (an administrator's key speaks for itself: signer
 * "", serial 0). Refuses, with -EINVAL and a sentence, what certificate_verify would refuse. */
int certificate_make(const struct certificate_order *order, const struct key *administrator,
                     struct buf *out, struct error *err);
/* The same, signed by the one-time key; `invitation`: the administrator's d_signed, goes inside. */
int certificate_make_by_invitation(const struct certificate_order *order,
                                   const struct key *one_time, struct span invitation,
                                   struct buf *out, struct error *err);

/* ---- Documents of principals (calls, parents, deployments): verified with the certificate of who
 * is said to have signed, whose name and serial must stand in the envelope. As envelope_open and
 * batch_open; `roots` may be NULL. */
struct verified_roots;
int certificate_open(const struct certificate *who, const char *kind, struct span bytes,
                     struct verified_roots *roots, struct d_signed *ret, struct error *err);

#endif
