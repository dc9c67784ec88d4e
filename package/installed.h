/* installed.h - the packages that a server has: its store (unpack.h), read once.
 *
 * `NAME` means the package of that name that was installed last. `NAME@VERSION` means the highest
 * version that is VERSION or begins with VERSION and a dot (`extract@1` may be 1.4.0); of equal
 * versions, the last installed. */
#ifndef LB_PACKAGE_INSTALLED_H
#define LB_PACKAGE_INSTALLED_H

#include "package/manifest.h"

struct installed_package {
    struct hash hash;
    char *folder;               /* its path; the package's own files are in files/ below */
    struct buf bytes;           /* the d_runnable */
    struct d_runnable runnable; /* the same, decoded */
    char *name, *version;
    int64_t installed_at; /* wall ms; orders installations even where the clock went back */
    uint64_t size;        /* of all files; 0 where its manifest cannot be read */
    /* not NULL: why it cannot be used; then only hash and folder are valid */
    char *trouble;
};

struct installed_store;

/* Reads the folder; a missing one is empty. Release *ret with installed_close. */
int installed_open(const char *folder, struct installed_store **ret, struct error *err);
/* A package whose files were altered since (trust/fingerprint.h) becomes unusable. */
void installed_check_files(struct installed_store *s);
void installed_close(struct installed_store **s); /* sets *s to NULL; NULL is fine */

/* The packages by name, the last installed first, and the unusable ones at the end. NULL: `i` is
 * past the last. */
const struct installed_package *installed_at(const struct installed_store *s, size_t i);
const struct installed_package *installed_by_hash(const struct installed_store *s,
                                                  const struct hash *h);
/* -ENOENT: there is no such package or version; *err says what there is instead. */
int installed_find(const struct installed_store *s, const char *name_at_version,
                   const struct installed_package **ret, struct error *err);
/* For jobfile_compile: `self` is the store. */
int installed_find_package(void *self, const char *name_at_version, struct hash *ret_hash,
                           struct span *ret_runnable, struct error *err);

#endif
