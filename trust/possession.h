/* possession.h - whoever asks for a certificate shows that its key is theirs.
 *
 * A certificate says "this key is anna". The key's own signature, of kind "possession" over the
 * certificate's bytes as sent, is the key's word for it: nobody can have somebody else's public key
 * certified. It is bound to all that the certificate says: cluster, name, role, serial, keys and
 * the invitation inside. Signatures as in envelope.h. Call trust_init first. */
#ifndef LB_TRUST_POSSESSION_H
#define LB_TRUST_POSSESSION_H

#include "proto/messages.h"
#include "trust/keys.h"

enum { POSSESSION_SIZE = 64 };

/* `own`: the key that the certificate is for. `certificate`: the d_signed that will be sent. */
void possession_make(const struct key *own, struct span certificate,
                     uint8_t ret_signature[POSSESSION_SIZE]);
/* -ENODATA: there is no signature; -EBADMSG: it is not the one of `sign_key` over these bytes. */
int possession_check(const struct hash *sign_key, struct span certificate, struct span signature,
                     struct error *err);

#endif
