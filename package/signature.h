/* signature.h - who vouches for a package: minisign signatures whose trusted comment names it.
 *
 * The comment is `longboat package NAME VERSION blake2b:HASH`. `minisign -V` verifies the same
 * files. */
#ifndef LB_PACKAGE_SIGNATURE_H
#define LB_PACKAGE_SIGNATURE_H

#include "package/manifest.h"
#include "trust/builders.h"

/* Appends the comment. */
void signature_comment(const char *name, const char *version, const struct hash *hash,
                       struct buf *out);

/* Checks that the file is a signature whose comment names this package; does not check who made it.
 * -EBADMSG: it is not. */
int signature_names(struct span file, const struct hash *hash, const char *name,
                    const char *version, struct error *err);

/* Verifies a signature file against trusted builders: one of them, *ret_signer, signed the digest,
 * and the comment names this hash and, unless `name` is NULL, this name and version, for which the
 * builder is trusted at `now` (wall ms). -EBADMSG: signed by another key, no match, a builder who
 * may not sign this, or the signature of another package; *err says which. */
int signature_verify(struct span file, const struct builder *builders, size_t n_builders,
                     int64_t now, const struct hash *hash, const uint8_t digest[MINISIGN_DIGEST],
                     const char *name, const char *version, size_t *ret_signer, struct error *err);

/* Reads etc/trust/signers (trust/builders.h), or a .pub file. The caller frees *ret; if it is
 * empty, no builder is trusted. -EINVAL: a line is malformed; *err names file and line. */
int signature_load_signers(const char *path, struct builder **ret, size_t *ret_n,
                           struct error *err);

#endif
