/* archive.h - builds a package: one file with the same bytes for the same content, wherever it is
 * built.
 *
 * The archive is a pax tar under zstd. First `manifest.json`, then `files/...` in the order of the
 * paths' bytes: regular files with mode 0644 or 0755 and relative symbolic links; no folders (they
 * follow from the paths; empty ones are not kept), no owners, no times. Not taken from the source
 * folder: .git, .hg, .svn, __pycache__, and at its top *.lbp and *.lbp.minisig. Everything is
 * streamed; memory does not grow with the files' sizes.
 *
 * The bytes depend on the versions of libarchive and libzstd too, so the hash names an archive, not
 * its source. */
#ifndef LB_PACKAGE_ARCHIVE_H
#define LB_PACKAGE_ARCHIVE_H

#include "package/manifest.h"
#include "trust/minisign.h"

#define ARCHIVE_SUFFIX   ".lbp"
#define SIGNATURE_SUFFIX ".minisig" /* appended to the archive's whole name */

/* Fills m->files from the folder: walks it without following links and hashes each file. What a
 * package cannot hold becomes a problem: devices, FIFOs, sockets, links that lead out, names
 * that are not UTF-8 or differ only in case, too many or too large files. -EINVAL: there were
 * problems. */
int archive_scan(const char *folder, struct manifest *m, struct problems *problems);

/* Reads the folder's package.yaml and its files, and lists the problems of both. For lint and
 * build. Release *ret with manifest_free. -EINVAL: there were errors, and *ret is untouched. */
int archive_examine(const char *folder, struct manifest *ret, struct problems *problems);

/* Writes the archive of `folder` with the examined manifest to `out` (replaced atomically).
 * *ret_hash: BLAKE2b-256 of its bytes. -EBUSY: a file changed meanwhile; -EFBIG: the manifest is
 * larger than servers take. */
int archive_build(const char *folder, const struct manifest *m, const char *out,
                  struct hash *ret_hash, uint64_t *ret_size, struct error *err);

/* Both digests of an open file, from its current offset to its end: the package's hash and the one
 * that minisign signs. */
int archive_digest_fd(int fd, struct hash *ret_hash, uint8_t ret_digest[MINISIGN_DIGEST],
                      uint64_t *ret_size, struct error *err);
int archive_digest(const char *path, struct hash *ret_hash, uint8_t ret_digest[MINISIGN_DIGEST],
                   uint64_t *ret_size, struct error *err);

/* Reads the manifest at the head of an archive without verifying anything. Its bytes are
 * appended to `json` (may be NULL). Release *ret with manifest_free. */
int archive_manifest(const char *path, struct manifest *ret, struct buf *json, struct error *err);

#endif
