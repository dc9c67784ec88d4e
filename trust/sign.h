/* sign.h - for trust/ only: the signature itself, shared by envelope.c and batch.c. */
#ifndef LB_TRUST_SIGN_H
#define LB_TRUST_SIGN_H

#include "proto/messages.h"
#include "trust/keys.h"

/* Ed25519 over "longboat/<kind>/1", NUL, content. */
void sign_content(const char *kind, const struct key *key, struct span content,
                  uint8_t ret_signature[64]);
/* Is s->signature that of s->key over the content? -EBADMSG if not. */
int sign_check(const char *kind, const struct d_signed *s, struct span content, struct error *err);
/* Does it claim to be signed by this key? -EBADMSG if not. */
int sign_check_key(const char *kind, const struct d_signed *s, const struct hash *key,
                   struct error *err);
/* Can this be encoded? -EINVAL, -EMSGSIZE. */
int sign_check_order(const char *signer, size_t body, struct error *err);

#endif
