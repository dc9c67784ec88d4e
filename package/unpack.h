/* unpack.h - installs a package in a server's store: verifies it, unpacks it, and makes it visible
 * in one step.
 *
 * The store is a folder with one folder a package, named by the hash of its archive (64 digits),
 * all of it read-only:
 *     manifest.json   as in the archive
 *     signature       the minisign signature file; of an unsigned package none
 *     runnable        the d_runnable for the runner
 *     files/          the package's own files
 *     fingerprint     how all of this was left (trust/fingerprint.h)
 * The newest change time (mtime) of such a folder tells which package was installed last; it only
 * ever grows.
 *
 * The archive's hash and signature are verified before a byte of it is parsed, and again over
 * the bytes that were unpacked, so changing the archive meanwhile gains nothing. It must hold
 * exactly what its manifest lists, in that order: one tar, compressed once with zstd, and nothing
 * after its end. The work is done in `.unpack-<hash>` in the
 * store, synced and renamed: a crash leaves all or nothing, and the next call removes the
 * remains. One unpacker works on a store at a time; a second one waits. */
#ifndef LB_PACKAGE_UNPACK_H
#define LB_PACKAGE_UNPACK_H

#include "package/manifest.h"

#define UNPACK_SIGNATURE "signature"
#define UNPACK_RUNNABLE  "runnable"

struct unpack {
    /* files; that of the signature need not exist if the signers file takes the package unsigned */
    const char *archive, *signature, *signers;
    const char *store;          /* folder; created if missing */
    struct hash hash;           /* what the archive must be */
    const char *name, *version; /* its required name and version; both NULL: any */
};

/* Installs the package. If it is already installed, that is success and makes it the last
 * installed; unless it was altered since, or an older version installed it without a fingerprint:
 * then it is made anew and takes the place of what is there. -EBADMSG: wrong hash, no trusted
 * signature, or an archive that no trusted builder made; *err says which. Other codes: trouble on
 * the server, such as no space or no rights. */
int unpack_install(const struct unpack *u, struct error *err);

#endif
