/* fingerprint.h - whether an installed package is still what was installed.
 *
 * The unpacker leaves a d_fingerprint beside the package: of each file, link and folder its type,
 * permissions, size, inode and change time, and a hash of what it holds. Nobody but the kernel can
 * set a change time, so an entry whose numbers have not changed was not written to; one whose
 * numbers differ is hashed again, which also accepts a package that was restored from a backup.
 * A folder's hash is of its names: what was added is noticed, too.
 *
 * A fingerprint proves nothing by itself, because who can write to the package may be able to write
 * it, too. The runner keeps the hash of its bytes in memory. */
#ifndef LB_TRUST_FINGERPRINT_H
#define LB_TRUST_FINGERPRINT_H

#include "common/buf.h"
#include "common/error.h"
#include "proto/messages.h"

enum {
    FINGERPRINT_MAX = 48 << 20, /* bytes of the file */
    /* Entries that are examined at each step. Of a larger package they take turns, so that one of
     * 20,000 files costs a step no more than a fraction of a millisecond, and 80 steps look at all
     * of it. */
    FINGERPRINT_AT_ONCE = 250
};
#define FINGERPRINT_NAME "fingerprint" /* of the file, in the package's folder */

/* Appends the d_fingerprint of everything below the open folder but a file of that name. -EFBIG:
 * more than LIMIT_FINGERPRINTED entries, or nested too deep. */
int fingerprint_make(int folder, struct buf *out, struct error *err);

struct fingerprint;
/* On success *ret is yours: fingerprint_free. -EBADMSG: malformed. */
int fingerprint_parse(struct span bytes, struct fingerprint **ret, struct error *err);
void fingerprint_free(struct fingerprint **f);
/* The hash that an entry had; NULL: there is no such entry. */
const struct hash *fingerprint_of(const struct fingerprint *f, const char *path);

/* Examines the package's folder: everything the first time, later `first` (a path below it) and
 * the next `most` entries in turn. -EPERM: something was altered, added or taken away; *err names
 * it. */
int fingerprint_check(struct fingerprint *f, int folder, const char *first, size_t most,
                      struct error *err);

#endif
