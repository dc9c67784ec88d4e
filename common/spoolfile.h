/* spoolfile.h - an append-only file of records that outlives its writer, and readers that follow it
 * while it grows.
 *
 * The bytes: "LBSPOOL1", then per record u32 length, u32 crc32c of the payload (both little
 * endian), payload (1 byte to 2 MiB). Each append is one write(): a writer killed at any moment
 * loses at most the record being written, whose rest the next writer cuts off. Nothing is synced to
 * the disk: a kill is survived, a power loss need not be.
 *
 * One writer at a time; that is for the caller to see to (file_lock). It is not enforced here,
 * because a process forked from the writer would hold such a lock beyond the writer's death. */
#ifndef LB_COMMON_SPOOLFILE_H
#define LB_COMMON_SPOOLFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

enum {
    /* an outcome with all its capped output fits; more is a length gone wrong */
    SPOOLFILE_RECORD_MAX = 2 << 20,
    SPOOLFILE_START = 8 /* the offset of the first record */
};

struct spoolfile; /* a writer */

/* Opens for appending, making the file with `mode` if need be. A record that was being written when
 * its writer died (or bytes at the very end that do not fit their checksum) is cut off and
 * *ret_torn, unless NULL, says so. -EBADMSG: there is damage before the end, the sentence has the
 * offset and the file is untouched; or it is no spool. */
int spoolfile_open_append(const char *path, mode_t mode, struct spoolfile **ret, bool *ret_torn,
                          struct error *err);
void spoolfile_close(struct spoolfile **f);        /* sets *f to NULL; NULL is fine */
int64_t spoolfile_size(const struct spoolfile *f); /* where the next record will begin */

/* Appends one record. -EINVAL: empty; -E2BIG: above the most; -ENOSPC and others: the system
 * refused, and the file is as it was. */
int spoolfile_append(struct spoolfile *f, struct span record, struct error *err);
/* Appends n records by one write; after a kill the first few of them may be there, and so after a
 * failure: *ret_done, unless NULL, says how many are. */
int spoolfile_append_all(struct spoolfile *f, const struct span *records, size_t n,
                         size_t *ret_done, struct error *err);

struct spoolfile_reader;

/* Reads from `offset` (SPOOLFILE_START, or what spoolfile_reader_offset once gave). -ENOENT: no
   such file yet. */
int spoolfile_reader_open(const char *path, int64_t offset, struct spoolfile_reader **ret,
                          struct error *err);
void spoolfile_reader_close(struct spoolfile_reader **r);
/* 1: *ret is the next record, lent until the next call; 0: nothing complete yet, ask again later;
 * -EBADMSG: damage that no writer is still mending, the sentence has the offset. Stays where it is
 * unless it returns 1. */
int spoolfile_reader_next(struct spoolfile_reader *r, struct span *ret, struct error *err);
/* behind the last record given */
int64_t spoolfile_reader_offset(const struct spoolfile_reader *r);

#endif
