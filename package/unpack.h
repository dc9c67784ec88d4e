/* unpack.h - brings a package into a server's store: verified first, then unpacked, then there at
 * once.
 *
 * The store is a folder with one folder a package, named by the hash of its archive (64 digits),
 * all of it read-only:
 *     manifest.json   as in the archive
 *     signature       the minisign signature file
 *     runnable        the d_runnable for the runner
 *     files/          the package's own files
 * The newest change time (mtime) of such a folder tells which package was installed last; it only
 * ever grows.
 *
 * The archive's hash and signature are judged before a byte of it is understood, and again over the
 * very bytes that were unpacked, so whoever can write to the archive meanwhile gains nothing. It
 * must hold exactly what its manifest lists, in that order. Work is done in `.unpack-<hash>` in the
 * store, made durable, and renamed: a crash leaves nothing or all (the next call sweeps what it
 * left). One unpacker works on a store at a time; a second one waits. */
#ifndef LB_PACKAGE_UNPACK_H
#define LB_PACKAGE_UNPACK_H

#include "package/manifest.h"

#define UNPACK_SIGNATURE "signature"
#define UNPACK_RUNNABLE  "runnable"

struct unpack {
    const char *archive, *signature, *signers; /* files */
    const char *store;                         /* folder; made if it is not there */
    struct hash hash;                          /* what the archive must be */
    const char *name, *version;                /* what it must be called; both NULL: as it likes */
};

/* -EBADMSG: wrong hash, no trusted signature, or an archive that no builder of ours made; the
 * sentence says which and where. Other codes: the server's own trouble (no space, no rights). Being
 * there already is success, and makes it the last installed. */
int unpack_install(const struct unpack *u, struct error *err);

#endif
