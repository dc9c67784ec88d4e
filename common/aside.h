/* aside.h - keeps the bytes of damaged records, so that a person can look at them. */
#ifndef LB_COMMON_ASIDE_H
#define LB_COMMON_ASIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

enum { ASIDE_FILES_MAX = 100 }; /* in one folder; what is more is not kept */

/* Writes <folder>/damaged/<name>-<offset>: the bytes that were passed over in the file <name>
 * from there on. Makes the folder; a file that is there already stays. *ret_new (may be NULL):
 * it was not there, so it has not been said yet. -EFBIG: the folder has ASIDE_FILES_MAX files. */
int aside_put(const char *folder, const char *name, int64_t offset, struct span bytes,
              bool *ret_new, struct error *err);
/* How many files are in <folder>/damaged; 0: there is no such folder. */
size_t aside_count(const char *folder);

#endif
