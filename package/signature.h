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

/* Checks that the file is a signature whose comment names this package; does not check who made it.
 * -EBADMSG: it is not. */
int signature_names(struct span file, const struct hash *hash, const char *name,
                    const char *version, struct error *err);

/* Verifies a signature file against trusted keys: one of them, *ret_signer, signed the digest,
 * and the comment names this hash and, unless `name` is NULL, this name and version. -EBADMSG:
 * signed by another key, no match, or the signature of another package; *err says which. */
int signature_verify(struct span file, const struct minisign_public *keys, size_t n_keys,
                     const struct hash *hash, const uint8_t digest[MINISIGN_DIGEST],
                     const char *name, const char *version, size_t *ret_signer, struct error *err);

/* Reads etc/trust/signers: one minisign public key a line, in base64 as in a .pub file. Empty lines
 * and lines that begin with # or `untrusted comment:` are skipped. The caller frees *ret; if it is
 * empty, no builder is trusted. -EINVAL: a line is malformed; *err names file and line. */
int signature_load_signers(const char *path, struct minisign_public **ret, size_t *ret_n,
                           struct error *err);

#endif
