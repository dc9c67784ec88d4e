/* older.h - versions of jobs in var/jobs that are no longer current: for calls that were signed and
 * accepted before the job was changed.
 *
 * A file's modification time tells them apart: 1970-01-01 while its version is current, then the
 * moment at which it ceased to be. */
#ifndef LB_WORKER_OLDER_H
#define LB_WORKER_OLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "proto/wire.h"

struct older {
    char *name; /* of its job; "" if the file cannot be read */
    struct hash hash;
    struct buf bytes; /* d_job */
    int64_t since;    /* wall ms: no longer current since then */
    unsigned rank;    /* 1: the newest old version of its job, 2: the one before it, ... */
};

typedef bool older_is_current_fn(void *self, const struct hash *hash);
/* Lists all versions that are not current, each job's newest first. Sets the files' times, unless
 * read_only; then a folder that is missing is empty. *ret is yours: older_free. */
int older_read(const char *folder, bool read_only, int64_t now_wall,
               older_is_current_fn *is_current, void *self, struct older **ret, size_t *ret_n,
               struct error *err);
void older_free(struct older **v, size_t n);

#endif
