/* envelope.h - signed documents: a body, who signed it, and the signature (d_signed of
 * proto/schema.h).
 *
 * The signature covers "longboat/<kind>/1", a NUL and the body as sent, so a signature for one kind
 * is not valid for another. The body is kept as received and is never encoded again to verify it.
 * Ed25519 and BLAKE2b come from libsodium. Calls and results are signed over the root of a Merkle
 * tree: batch.h handles these kinds, for these functions too.
 *
 * The signer's name and serial next to the body are not signed. They help to find the certificate;
 * certificate_open compares them with it. A key that identifies itself (an administrator's or a
 * one-time key) has signer "" and serial 0. Call trust_init first. */
#ifndef LB_TRUST_ENVELOPE_H
#define LB_TRUST_ENVELOPE_H

#include "common/buf.h"
#include "common/error.h"
#include "proto/messages.h"
#include "trust/keys.h"

#define ENVELOPE_CALL             "call"
#define ENVELOPE_CERTIFICATE      "certificate"
#define ENVELOPE_CHECKPOINT       "checkpoint"
#define ENVELOPE_DEPLOYMENT       "deployment"
#define ENVELOPE_INVITATION       "invitation"
#define ENVELOPE_PARENT           "parent"
#define ENVELOPE_RESULT           "result"
#define ENVELOPE_REVOCATIONS      "revocations"
#define ENVELOPE_ROTATION         "rotation"
#define ENVELOPE_ROTATION_REQUEST "rotation-request"
#define ENVELOPE_SECRET           "secret"

/* BLAKE2b-256 of the bytes. */
void envelope_hash(struct span bytes, struct hash *ret);

/* Signs the body and appends a d_signed to *out. `signer` "" and serial 0: the key identifies
 * itself. -EMSGSIZE: the body does not fit into a message; -EINVAL: the signer's name is too
 * long. */
int envelope_sign(const char *kind, const struct key *key, const char *signer, uint64_t serial,
                  struct span body, struct buf *out, struct error *err);

/* Decodes a d_signed and verifies that `key` signed it. *ret points into `bytes`. -EPROTO or
 * -EMSGSIZE: malformed; -EBADMSG: signed by another key, the signature does not match, or a
 * document of a kind that is signed alone has the proof of a batch. */
int envelope_open(const char *kind, struct span bytes, const struct hash *key, struct d_signed *ret,
                  struct error *err);

#endif
