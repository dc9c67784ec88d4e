/* identity.h - inside this room: what certificates and invitations have in common, checked by one
 * set of rules. */
#ifndef LB_TRUST_IDENTITY_H
#define LB_TRUST_IDENTITY_H

#include "trust/certificate.h"

struct identity {
    const char *what; /* "certificate", "invitation": for sentences */
    struct span cluster, name, role;
    uint64_t serial;
    struct wire_list pools, grants;
};

/* Names, role, serial, pools and grants well formed, cluster ours, and a role that may be had this
 * way. MALFORMED, UNKNOWN_PRINCIPAL, DENIED. */
int identity_check(const struct identity *id, const char *cluster, enum role *ret_role,
                   enum refusal *ret_code, struct error *err);
/* Verifies a document that only an administrator may have signed. BAD_SIGNATURE, MALFORMED,
   TOO_LARGE. */
int identity_open(const char *kind, struct span bytes, const struct trust_anchors *anchors,
                  struct d_signed *ret, enum refusal *ret_code, struct error *err);
/* A key that identifies itself names no signer: the name is not signed, so it must not be
 * trusted. */
int identity_check_nameless(const char *kind, const struct d_signed *s, struct error *err);
/* The lists of an order as encoded. -EINVAL: an entry is too long or there are too many. */
int identity_list(const char *what, const char *const *items, size_t n, size_t most_items,
                  size_t most_bytes, struct buf *out, struct wire_list *ret, struct error *err);

#endif
