/* certificate.h - a principal's identity: name, role, keys, pools and grants, signed by an
 * administrator (d_certificate).
 *
 * The root of trust is a list of administrators' public keys (`struct trust_anchors`). A
 * certificate is valid if it was signed by one of these keys, or by the one-time key of an
 * invitation that one of them signed. In the second case the invitation is inside the certificate,
 * which must have the invitation's name, role and serial, only its pools and grants, no later end,
 * and must begin before the invitation expires. Signatures: envelope.h. The transport key must be
 * the one that keys.h derives from the signing key.
 *
 * Verifying does not look at revocation: that list changes, certificates do not (revocation.h). The
 * role `administrator` gives all verbs, but only a key among the anchors can sign certificates. */
#ifndef LB_TRUST_CERTIFICATE_H
#define LB_TRUST_CERTIFICATE_H

#include "proto/messages.h"
#include "trust/grants.h"
#include "trust/keys.h"

enum {
    /* milliseconds by which a certificate may begin in the future: the signer's clock may be
     * ahead */
    CLOCK_SKEW_MS = 300000
};

#define ROLES(X) \
    X(ADMINISTRATOR, "administrator") \
    X(SERVER, "server") \
    X(CALLER, "caller") X(MONITOR, "monitor") X(BUILDER, "builder") X(BROKER, "broker")
#define X(n, w) ROLE_##n,
enum role { ROLE_NONE, ROLES(X) ROLE_COUNT }; /* all zero: no role */
#undef X
const char *role_word(enum role r);
int role_parse(struct span word, enum role *ret, struct error *err);

/* ---- The root */
struct trust_anchors {
    char cluster[LIMIT_NAME + 1];
    struct hash *administrators; /* Ed25519 public keys */
    size_t n;
};
/* Reads a file with one hexadecimal key a line. Empty lines and lines that begin with # are
 * skipped; text after the key and a space is a remark. Release with anchors_free. -EINVAL: a
 * line is malformed, *err names it; -ENODATA: the file has no key; else as file_read. */
int anchors_load(const char *path, const char *cluster, struct trust_anchors *ret,
                 struct error *err);
/* Makes anchors from keys, such as those of an invitation's token; copies them. */
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
    /* when the invitation expires; 0: signed by an administrator. A party that records a new
     * certificate must also refuse it after this time, because its holder chooses not_before */
    int64_t invited_until;
    struct buf signed_bytes; /* the d_signed as received */
};
void certificate_free(struct certificate *c);

/* Decodes and verifies all but revocation. `now`: wall clock, ms. Release *ret with
 * certificate_free. On failure *ret is untouched and *ret_code (may be NULL) says why:
 * MALFORMED, TOO_LARGE, BAD_SIGNATURE, EXPIRED_CERTIFICATE (or not yet valid), DENIED (more than
 * its invitation allows), UNKNOWN_PRINCIPAL (of another cluster). */
int certificate_verify(struct span bytes, const struct trust_anchors *anchors, int64_t now,
                       struct certificate *ret, enum refusal *ret_code, struct error *err);

/* Decodes one that was verified when it was recorded, and verifies nothing: it may have expired.
 * -EPROTO or -EMSGSIZE: malformed. */
int certificate_read(struct span bytes, struct certificate *ret, struct error *err);

/* What a certificate will contain. The caller keeps ownership of the texts. */
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
/* Signs as an administrator and appends a d_signed with signer "" and serial 0: the key identifies
 * itself. -EINVAL: certificate_verify would refuse the result; *err says why. */
int certificate_make(const struct certificate_order *order, const struct key *administrator,
                     struct buf *out, struct error *err);
/* The same, signed with a one-time key. `invitation`: the administrator's d_signed, which becomes
 * part of the certificate. */
int certificate_make_by_invitation(const struct certificate_order *order,
                                   const struct key *one_time, struct span invitation,
                                   struct buf *out, struct error *err);

/* ---- Documents of principals: calls, parents, deployments */
/* Verifies a document with the certificate of its signer, whose name and serial must be in the
 * envelope. `roots` may be NULL. Returns and fails as envelope_open and batch_open. */
struct verified_roots;
int certificate_open(const struct certificate *who, const char *kind, struct span bytes,
                     struct verified_roots *roots, struct d_signed *ret, struct error *err);
/* Does the envelope name this certificate, outside of what is signed? -EBADMSG if not. */
int certificate_check_signer(const struct certificate *who, const char *kind,
                             const struct d_signed *s, struct error *err);

#endif
