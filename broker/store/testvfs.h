/* testvfs.h - a disk that breaks on a test's command, and that remembers all operations, so that a
 * test can tell what it holds after a power cut. For tests only.
 *
 * Between SQLite and the system's files stands a VFS that counts writes, syncs, truncations,
 * openings, deletions, reads and mappings. It fails the nth of a kind, and it may keep a log of
 * everything that changes a file: the database, its rollback journal (used when the tables of a new
 * one are made) and its WAL. The log lies in memory that is shared with the child that does the
 * writing, so the parent reads it after the child's death. The -shm file is not logged: SQLite
 * rebuilds it at the first opening; an image has junk bytes in its place.
 *
 * A power cut leaves everything synced and any part of the rest, cut at sectors. A name in the
 * folder is certain only after a sync of the folder. A failed sync has kept nothing, and later ones
 * do not repair that. */
#ifndef LB_BROKER_STORE_TESTVFS_H
#define LB_BROKER_STORE_TESTVFS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/testing.h"

enum disk_kind {
    DISK_WRITE,
    DISK_SYNC,
    DISK_TRUNCATE,
    DISK_OPEN,
    DISK_DELETE,
    DISK_READ,
    DISK_MAP,
    DISK_KINDS,
    /* only in the log */
    DISK_SYNC_LOST,
    DISK_CREATED,
    DISK_FOLDER_SYNC,
    DISK_REPORTED
};
extern const char *const disk_words[DISK_KINDS];

enum { DISK_FILES = 3, DISK_OPS = 60000, DISK_BYTES = 96 << 20 };

struct disk_op {
    enum disk_kind kind;
    unsigned file, life;    /* life: a deleted file and the next one of its name differ */
    uint64_t offset, n, at; /* REPORTED: offset is the lsn */
};

enum {
    DISK_KILLS = -1 /* for the code of a fault: it is where the process dies */,
    DISK_KILLED = 99
};

struct disk_fault {
    enum disk_kind kind;
    unsigned nth, times; /* fails from the nth on, this many times */
    int code;
};

struct disk {
    struct disk_fault fault[2]; /* the second counts from the first failure on */
    unsigned seen[2], failed[2];
    bool recording, closing, failed_closing;
    unsigned life[DISK_FILES];
    uint64_t reported;
    size_t n_ops, n_bytes;
    struct disk_op ops[DISK_OPS];
    uint8_t bytes[DISK_BYTES];
};

extern struct disk *disk_now;      /* shared with child processes; disk_install makes it */
extern pthread_mutex_t disk_mutex; /* of the faults in disk_now, while a store is open */

enum disk_loss { DISK_ALL_KEPT, DISK_ONLY_SYNCED, DISK_TORN };

struct disk_image {
    struct buf file[DISK_FILES];
    bool there[DISK_FILES];
};

/* Notes in the log that everything up to `lsn` was reported as committed. */
void disk_report(uint64_t lsn);

/* Makes a sound disk and lets SQLite use it; disk_remove gives SQLite its own back. */
void disk_install(void);
void disk_remove(void);

/* Forgets faults, counts and the log. */
void disk_mend(void);

/* What a power cut just before op `end` leaves; yours to free. */
void disk_after_cut(size_t end, enum disk_loss loss, uint64_t seed, struct disk_image *ret);

/* The last lsn reported by then. */
uint64_t disk_reported(size_t end);

/* Writes the image to `path`; -shm and the lock are as a cut may leave them. */
void disk_lay(const struct disk_image *image, const char *path);

void disk_image_free(struct disk_image *i);

#endif
