/* envelope.h - signed documents: a body, who signed it, and the signature (d_signed of
 * proto/schema.h).
 *
 * What is signed is "longboat/<kind>/1", a NUL and the body as sent; so a signature for one kind is
 * none for another. The body is kept as received: nobody encodes it again to verify. Ed25519 and
 * BLAKE2b via libsodium. Calls are signed over the root of a Merkle tree: see batch.h, which does
 * the kind "call" for these functions too.
 *
 * The signer's name and serial beside the body are not signed; they help to find the certificate
 * and are compared with it by certificate_open. A key that speaks for itself (an administrator's, a
 * one-time key) has signer "" and serial 0. Needs trust_init. */
#ifndef LB_TRUST_ENVELOPE_H
#define LB_TRUST_ENVELOPE_H

#include "common/buf.h"
#include "common/error.h"
#include "proto/messages.h"
#include "trust/keys.h"

#define ENVELOPE_CALL        "call"
#define ENVELOPE_CERTIFICATE "certificate"
#define ENVELOPE_DEPLOYMENT  "deployment"
#define ENVELOPE_INVITATION  "invitation"
#define ENVELOPE_PARENT      "parent"
#define ENVELOPE_REVOCATIONS "revocations"

/* BLAKE2b-256 of the bytes. */
void envelope_hash(struct span bytes, struct hash *ret);

/* Appends a d_signed to *out. `signer` "" and serial 0: the key speaks for itself. -EMSGSIZE: the
 * body does not fit into a message; -EINVAL: the signer's name is too long. */
int envelope_sign(const char *kind, const struct key *key, const char *signer, uint64_t serial,
                  struct span body, struct buf *out, struct error *err);

/* Decodes and verifies against the key that must have signed. *ret points into `bytes`. -EPROTO or
 * -EMSGSIZE: malformed; -EBADMSG: another key's, or the signature does not match, or a proof where
 * only calls may have one. */
int envelope_open(const char *kind, struct span bytes, const struct hash *key, struct d_signed *ret,
                  struct error *err);

#endif
