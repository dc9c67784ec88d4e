/* unpack_inner.h - the two halves of unpack.h: reading the archive (unpack_read.c) and the store
   (unpack.c). */
#ifndef LB_PACKAGE_UNPACK_INNER_H
#define LB_PACKAGE_UNPACK_INNER_H

#include <sodium.h>

#include "package/manifest.h"
#include "trust/minisign.h"

enum {
    UNPACK_BLOCK = 128 << 10,
    UNPACK_RATIO_MAX = 200,        /* bytes unpacked for one in the archive ... */
    UNPACK_RATIO_FREE = 64 << 20,  /* ... above these */
    UNPACK_PADDING_MAX = 64 << 10, /* zeros after the end of the tar; tar itself makes 10 KiB */
    UNPACK_ARCHIVE_MAX_GIB = 8
};

/* An archive while it is read: each byte that libarchive gets is also hashed. */
struct unpack_source {
    int fd;
    uint64_t size; /* bytes read so far */
    crypto_generichash_state hash;
    struct minisign_hash sign;
    uint8_t block[UNPACK_BLOCK];
    int failed; /* errno of a read */
};
void unpack_source_begin(struct unpack_source *s, int fd);
/* Reads the rest, which libarchive does not see, and returns the digests of the whole. */
int unpack_source_end(struct unpack_source *s, struct hash *ret_hash,
                      uint8_t ret_digest[MINISIGN_DIGEST], struct error *err);

/* Unpacks into the open, empty folder: manifest.json, files/... with their last modes; folders stay
 * writable. Nothing is synced yet. `archive_size`: bytes, for the limit of the ratio. */
int unpack_read(struct unpack_source *s, int folder, uint64_t archive_size, struct manifest *ret,
                struct error *err);

/* Makes a new file with this content and mode, durable. */
int unpack_put_file(int folder, const char *name, struct span content, struct error *err);

#endif
