/* signature.h - who vouches for a package: minisign signatures whose trusted comment names it.
 *
 * The comment is `longboat package NAME VERSION blake2b:HASH`. `minisign -V` verifies the same
 * files. */
#ifndef LB_PACKAGE_SIGNATURE_H
#define LB_PACKAGE_SIGNATURE_H

#include "package/manifest.h"
#include "trust/minisign.h"

/* Appends the comment. */
void signature_comment(const char *name, const char *version, const struct hash *hash,
                       struct buf *out);

/* Is the file a signature whose comment names this package? Says nothing about who made it.
   -EBADMSG */
int signature_names(struct span file, const struct hash *hash, const char *name,
                    const char *version, struct error *err);

/* Judges a signature file by trusted keys: the digest is signed by one of them and the comment
 * names this hash, and, unless `name` is NULL, this name and version. *ret_signer: its index.
 * -EBADMSG with a sentence: nobody's of these, no match, another package's. */
int signature_verify(struct span file, const struct minisign_public *keys, size_t n_keys,
                     const struct hash *hash, const uint8_t digest[MINISIGN_DIGEST],
                     const char *name, const char *version, size_t *ret_signer, struct error *err);

/* etc/trust/signers: one minisign public key a line, in base64 as in a .pub file; lines that begin
 * with # or `untrusted comment:` and empty ones say nothing. *ret is yours to free; may be empty,
 * then nobody is trusted. -EINVAL names file and line. */
int signature_load_signers(const char *path, struct minisign_public **ret, size_t *ret_n,
                           struct error *err);

#endif
