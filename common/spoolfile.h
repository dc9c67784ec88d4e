/* spoolfile.h - an append-only file of records that outlives its writer, and readers that follow it
 * while it grows.
 *
 * The bytes: "LBSPOOL1", then per record u32 length, u32 crc32c of the payload (both little
 * endian), payload (1 byte to 2 MiB). The digit is the version of the form and of the entries that
 * are written in it: this program writes SPOOLFILE_VERSION, reads that and the one before, and
 * refuses a newer one by name. Each append is one write(): a writer killed at any moment
 * loses at most the record being written, whose remains the next writer removes. Nothing is synced:
 * the file survives a kill, but perhaps not a power loss.
 *
 * The caller makes sure that there is one writer at a time (file_lock). It is not enforced here,
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
    SPOOLFILE_VERSION = 1, /* raised when an earlier program could not read what is written */
    SPOOLFILE_VERSION_MIN = 1,
    /* an outcome with all its capped output fits; more is a damaged length */
    SPOOLFILE_RECORD_MAX = 2 << 20,
    SPOOLFILE_START = 8, /* the offset of the first record */
    SPOOLFILE_DAMAGE_MAX = 16 << 20
};

struct spoolfile; /* a writer */

/* Opens for appending; creates the file with `mode` if it is missing. A record that was
 * incomplete when its writer died, or whose bytes at the very end do not match their checksum,
 * is removed, and *ret_torn (may be NULL) is true. -EBADMSG: damage before the end (*err has the
 * offset, the file is untouched), or not a spool. -EPROTONOSUPPORT: a version that is not read
 * here. */
int spoolfile_open_append(const char *path, mode_t mode, struct spoolfile **ret, bool *ret_torn,
                          struct error *err);
void spoolfile_close(struct spoolfile **f);        /* sets *f to NULL; NULL is fine */
int64_t spoolfile_size(const struct spoolfile *f); /* where the next record will begin */

/* Appends one record. -EINVAL: it is empty; -E2BIG: larger than SPOOLFILE_RECORD_MAX; -ENOSPC and
 * others: the system refused, and the file is unchanged. */
int spoolfile_append(struct spoolfile *f, struct span record, struct error *err);
/* Appends n records with one write. After a kill the first few of them may be in the file. After a
 * failure, too: *ret_done (may be NULL) says how many are. */
int spoolfile_append_all(struct spoolfile *f, const struct span *records, size_t n,
                         size_t *ret_done, struct error *err);

struct spoolfile_reader;

/* Reads from `offset`: SPOOLFILE_START, or what spoolfile_reader_offset returned. -ENOENT: there
 * is no such file yet. */
int spoolfile_reader_open(const char *path, int64_t offset, struct spoolfile_reader **ret,
                          struct error *err);
void spoolfile_reader_close(struct spoolfile_reader **r);
/* 1: *ret is the next record, valid until the next call; 0: none is complete yet, try again
 * later; -EBADMSG: damage that no writer is still completing; *err has the offset. The reader
 * moves only if it returns 1. */
int spoolfile_reader_next(struct spoolfile_reader *r, struct span *ret, struct error *err);
/* The offset after the last record that was returned. */
int64_t spoolfile_reader_offset(const struct spoolfile_reader *r);
/* After -EBADMSG: passes over the damage and appends its bytes, at most SPOOLFILE_DAMAGE_MAX of
 * them, to *out. If the next record begins where the damaged length says, that record alone is
 * passed over, else all that the file has now: whatever looks like a record in between may be what
 * a child has printed. Returns the number of bytes passed over, or an error. */
int64_t spoolfile_reader_skip(struct spoolfile_reader *r, struct buf *out, struct error *err);

#endif
