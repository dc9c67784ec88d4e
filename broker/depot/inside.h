/* inside.h - what the files of the depot share. */
#ifndef LB_BROKER_DEPOT_INSIDE_H
#define LB_BROKER_DEPOT_INSIDE_H

#include <sodium.h>

#include "broker/depot/depot.h"

struct depot_upload {
    struct hash hash;
    int fd;
    uint64_t offset, size;
    crypto_generichash_state state;
    bool whole;
    UT_hash_handle hh;
};

struct depot {
    struct shell *shell;
    char *folder;
    uint64_t most_bytes, bytes;
    struct depot_upload *uploads;
};

/* FOLDER/<hash>ENDING. Yours. */
char *depot_path(const char *folder, const struct hash *hash, const char *ending);
/* The unfinished upload of this hash. NULL: none. */
struct depot_upload *depot_upload(struct depot *d, const struct hash *hash);
void depot_upload_free(struct depot *d, struct depot_upload *u); /* its file stays */
void depot_upload_drop(struct depot *d, struct depot_upload *u); /* and its file */

#endif
