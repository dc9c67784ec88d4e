/* owners.h - whose key is this? Signing, transport and seal keys alike: no key belongs to two
 * names, wherever a certificate comes from. */
#ifndef LB_BROKER_SHELL_OWNERS_H
#define LB_BROKER_SHELL_OWNERS_H

#include "trust/certificate.h"

struct owners;

struct owners_name {
    char name[LIMIT_NAME + 1];
    uint64_t serial; /* the greatest of the certificates with this key */
};

/* The anchors are lent until owners_free. The broker's keys are its own from the start. */
struct owners *owners_new(const struct trust_anchors *anchors, const struct certificate *broker);
void owners_free(struct owners **o);

/* NULL: no certificate that is or was known has this key. */
const struct owners_name *owners_find(const struct owners *o, const struct hash *key);
/* Is it an administrator's signing key, or the transport key that belongs to one? */
bool owners_is_anchor(const struct owners *o, const struct hash *key);
/* May this certificate have these keys? KEY_TAKEN: another name has one of them, or one is an
 * administrator's and the certificate is of another role. */
enum refusal owners_judge(const struct owners *o, const struct certificate *c, struct error *err);

/* The keys are this name's from now on. A key that has an owner keeps it. */
void owners_add(struct owners *o, const struct certificate *c);
/* The same for a certificate of the registry that is no longer valid. */
void owners_remember(struct owners *o, const struct d_certificate *c);

#endif
