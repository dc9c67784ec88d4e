/* testvfs.h - a disk that breaks when a test says so, and that remembers what it was told, so that
 * a test can say what lies on it after the power went. Included by *_test.c only.
 *
 * Between SQLite and the system's files stands a VFS that counts writes, syncs, truncations,
 * openings, deletions, reads and mappings. It fails the nth of a kind, and it may keep a log of all
 * that changes a file: the database, its rollback journal (which makes the tables of a new one) and
 * its WAL. The log lies in memory that is shared with the child that does the writing, so the
 * parent reads it after the child's death. The -shm file is not logged: SQLite begins it anew at
 * the first opening; an image has bytes of nobody in its place.
 *
 * What a power cut leaves: what was synced is there; of what was not, any part, cut at sectors; a
 * name in the folder from the sync of the folder on, before that perhaps. A sync that failed has
 * kept nothing and later ones do not make good for it. */
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

#define DISK __attribute__((unused)) static

enum disk_kind {
    DISK_WRITE,
    DISK_SYNC,
    DISK_TRUNCATE,
    DISK_OPEN,
    DISK_DELETE,
    DISK_READ,
    DISK_MAP,
    DISK_KINDS,
    /* in the log only */
    DISK_SYNC_LOST,
    DISK_CREATED,
    DISK_FOLDER_SYNC,
    DISK_REPORTED
};
DISK const char *const DISK_WORDS[DISK_KINDS] = {"write",  "sync", "truncate", "open",
                                                 "delete", "read", "map"};

enum { DISK_FILES = 3, DISK_OPS = 60000, DISK_BYTES = 96 << 20 };
DISK const char *const DISK_SUFFIX[DISK_FILES] = {"", "-journal", "-wal"};

struct disk_op {
    enum disk_kind kind;
    unsigned file, life;    /* life: a deleted file and the next one of its name are two */
    uint64_t offset, n, at; /* REPORTED: offset is the lsn */
};

enum {
    DISK_KILLS = -1 /* for the code of a fault: it is where the process dies */,
    DISK_KILLED = 99
};

struct disk_fault {
    enum disk_kind kind;
    unsigned nth, times; /* fails from the nth on, so many times */
    int code;
};

struct disk {
    struct disk_fault fault[2]; /* the second counts from when the first has failed */
    unsigned seen[2], failed[2];
    bool recording, closing, failed_closing;
    unsigned life[DISK_FILES];
    uint64_t reported;
    size_t n_ops, n_bytes;
    struct disk_op ops[DISK_OPS];
    uint8_t bytes[DISK_BYTES];
};

static struct disk *the_disk;
static sqlite3_vfs disk_vfs, *disk_real;
static pthread_mutex_t disk_mutex = PTHREAD_MUTEX_INITIALIZER;

struct disk_file {
    sqlite3_file base;
    int file;         /* index of DISK_SUFFIX, -1: none of ours */
    bool folder_owed; /* its first sync syncs the folder, too */
    sqlite3_file *real;
};

/* ---- Counting, failing, logging */
static void disk_log(enum disk_kind kind, int file, uint64_t offset, const void *p, uint64_t n)
{
    struct disk *d = the_disk;
    if (!d->recording || file < 0)
        return;
    if (d->n_ops == DISK_OPS || d->n_bytes + n > DISK_BYTES) {
        fprintf(stderr, "testvfs.h: the log is full\n");
        abort();
    }
    d->ops[d->n_ops++] =
        (struct disk_op){kind, (unsigned)file, d->life[file], offset, n, d->n_bytes};
    if (p) {
        memcpy(d->bytes + d->n_bytes, p, n);
        d->n_bytes += n;
    }
}

/* The code to fail with, or SQLITE_OK. */
static int disk_fails(enum disk_kind kind)
{
    struct disk *d = the_disk;
    int code = SQLITE_OK;
    for (unsigned i = 0; i < 2 && code == SQLITE_OK; i++) {
        const struct disk_fault *f = &d->fault[i];
        if (!f->nth || f->kind != kind || (i == 1 && !d->failed[0]) || ++d->seen[i] < f->nth ||
            d->failed[i] == f->times)
            continue;
        code = f->code;
        d->failed[i]++;
        if (code == DISK_KILLS)
            _exit(DISK_KILLED);
        d->failed_closing = d->closing;
    }
    return code;
}

DISK void disk_report(uint64_t lsn)
{
    pthread_mutex_lock(&disk_mutex);
    the_disk->reported = lsn;
    disk_log(DISK_REPORTED, 0, lsn, NULL, 0);
    pthread_mutex_unlock(&disk_mutex);
}

/* ---- A file */
#define REAL(f) (((struct disk_file *)(f))->real)

static int disk_close(sqlite3_file *f)
{
    int rc = REAL(f)->pMethods->xClose(REAL(f));
    free(REAL(f));
    return rc;
}

static int disk_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    pthread_mutex_lock(&disk_mutex);
    int rc = disk_fails(DISK_READ);
    pthread_mutex_unlock(&disk_mutex);
    return rc == SQLITE_OK ? REAL(f)->pMethods->xRead(REAL(f), p, n, at) : rc;
}

/* A write that fails has written half. */
static int disk_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    pthread_mutex_lock(&disk_mutex);
    int code = disk_fails(DISK_WRITE);
    int size = code == SQLITE_OK ? n : n / 2;
    int rc = size ? REAL(f)->pMethods->xWrite(REAL(f), p, size, at) : SQLITE_OK;
    disk_log(DISK_WRITE, ((struct disk_file *)f)->file, (uint64_t)at, p, (uint64_t)size);
    pthread_mutex_unlock(&disk_mutex);
    return code == SQLITE_OK ? rc : code;
}

static int disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    pthread_mutex_lock(&disk_mutex);
    int rc = disk_fails(DISK_TRUNCATE);
    if (rc == SQLITE_OK) {
        rc = REAL(f)->pMethods->xTruncate(REAL(f), size);
        disk_log(DISK_TRUNCATE, ((struct disk_file *)f)->file, (uint64_t)size, NULL, 0);
    }
    pthread_mutex_unlock(&disk_mutex);
    return rc;
}

/* The machine's own disk is told nothing: its power is not what is cut here. */
static int disk_sync(sqlite3_file *f, int flags)
{
    struct disk_file *d = (struct disk_file *)f;
    (void)flags;
    pthread_mutex_lock(&disk_mutex);
    int rc = disk_fails(DISK_SYNC);
    disk_log(rc == SQLITE_OK ? DISK_SYNC : DISK_SYNC_LOST, d->file, 0, NULL, 0);
    if (rc == SQLITE_OK && d->folder_owed) {
        d->folder_owed = false;
        disk_log(DISK_FOLDER_SYNC, d->file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&disk_mutex);
    return rc;
}

static int disk_file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return REAL(f)->pMethods->xFileSize(REAL(f), ret);
}
static int disk_lock(sqlite3_file *f, int how)
{
    return REAL(f)->pMethods->xLock(REAL(f), how);
}
static int disk_unlock(sqlite3_file *f, int how)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), how);
}
static int disk_check_lock(sqlite3_file *f, int *ret)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}
static int disk_control(sqlite3_file *f, int op, void *arg)
{
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}
static int disk_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}
/* No promise of the file system is relied on. */
static int disk_traits(sqlite3_file *f)
{
    (void)f;
    return 0;
}
static int disk_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
    pthread_mutex_lock(&disk_mutex);
    int rc = disk_fails(DISK_MAP);
    pthread_mutex_unlock(&disk_mutex);
    return rc == SQLITE_OK ? REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, ret) : rc;
}
static int disk_map_lock(sqlite3_file *f, int at, int n, int flags)
{
    return REAL(f)->pMethods->xShmLock(REAL(f), at, n, flags);
}
static void disk_map_barrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}
static int disk_unmap(sqlite3_file *f, int delete)
{
    return REAL(f)->pMethods->xShmUnmap(REAL(f), delete);
}

static const sqlite3_io_methods DISK_METHODS = {2,
                                                disk_close,
                                                disk_read,
                                                disk_write,
                                                disk_truncate,
                                                disk_sync,
                                                disk_file_size,
                                                disk_lock,
                                                disk_unlock,
                                                disk_check_lock,
                                                disk_control,
                                                disk_sector,
                                                disk_traits,
                                                disk_map,
                                                disk_map_lock,
                                                disk_map_barrier,
                                                disk_unmap,
                                                NULL,
                                                NULL};

/* ---- The folder */
static int disk_index(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    for (int i = DISK_FILES; i-- > 1;)
        if (n > strlen(DISK_SUFFIX[i]) &&
            strcmp(name + n - strlen(DISK_SUFFIX[i]), DISK_SUFFIX[i]) == 0)
            return i;
    return n > 3 && strcmp(name + n - 3, ".db") == 0 ? 0 : -1;
}

static int disk_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags,
                     int *ret_flags)
{
    struct disk_file *d = (struct disk_file *)f;
    (void)v;
    memset(d, 0, sizeof *d);
    pthread_mutex_lock(&disk_mutex);
    int rc = disk_fails(DISK_OPEN);
    bool is_new = name && access(name, F_OK) < 0;
    if (rc == SQLITE_OK) {
        d->file = disk_index(name);
        d->real = mem_zalloc(1, (size_t)disk_real->szOsFile);
        rc = disk_real->xOpen(disk_real, name, d->real, flags, ret_flags);
        if (rc == SQLITE_OK && is_new) {
            disk_log(DISK_CREATED, d->file, 0, NULL, 0);
            d->folder_owed = d->file > 0;
        }
    }
    if (rc == SQLITE_OK)
        d->base.pMethods = &DISK_METHODS;
    else
        mem_free(&d->real);
    pthread_mutex_unlock(&disk_mutex);
    return rc;
}

static int disk_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
    int file = disk_index(name);
    (void)v;
    pthread_mutex_lock(&disk_mutex);
    int rc = disk_fails(DISK_DELETE);
    if (rc == SQLITE_OK && (rc = disk_real->xDelete(disk_real, name, 0)) == SQLITE_OK &&
        file >= 0) {
        disk_log(DISK_DELETE, file, 0, NULL, 0);
        the_disk->life[file]++;
        if (sync_folder)
            disk_log(DISK_FOLDER_SYNC, file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&disk_mutex);
    return rc;
}

DISK void disk_install(void)
{
    if (!the_disk) {
        the_disk = mmap(NULL, sizeof *the_disk, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_true(the_disk != MAP_FAILED);
        disk_real = sqlite3_vfs_find("unix");
    }
    disk_vfs = *disk_real;
    disk_vfs.pNext = NULL;
    disk_vfs.zName = "disk";
    disk_vfs.szOsFile = sizeof(struct disk_file);
    disk_vfs.xOpen = disk_open;
    disk_vfs.xDelete = disk_delete;
    assert_int_equal(sqlite3_vfs_register(&disk_vfs, 1), SQLITE_OK);
}

/* Whole again, empty of memories. */
DISK void disk_mend(void)
{
    memset(the_disk, 0, offsetof(struct disk, ops));
}

/* ---- What lies on it */
enum disk_loss { DISK_ALL_KEPT, DISK_ONLY_SYNCED, DISK_TORN };

struct disk_image {
    struct buf file[DISK_FILES];
    bool there[DISK_FILES];
};

static uint64_t disk_chance(uint64_t *seed)
{
    *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
    return *seed >> 11;
}

static void disk_put(struct buf *b, uint64_t at, const uint8_t *p, uint64_t n)
{
    if (at + n > b->n) {
        size_t old = b->n, more = (size_t)(at + n) - old;
        memset(buf_grow(b, more), 0, more);
        b->n = old + more;
    }
    memcpy(b->p + at, p, n);
}

static void disk_apply(struct buf *b, const struct disk_op *o, enum disk_loss loss, uint64_t *seed)
{
    uint64_t sector = loss == DISK_TORN && disk_chance(seed) % 2 ? 4096 : 512;
    if (o->kind == DISK_TRUNCATE) {
        if (loss != DISK_TORN || disk_chance(seed) % 2)
            b->n = b->n < o->offset ? b->n : o->offset;
        return;
    }
    for (uint64_t done = 0, size; done < o->n; done += size) {
        size = sector - (o->offset + done) % sector;
        size = size < o->n - done ? size : o->n - done;
        if (loss != DISK_TORN || disk_chance(seed) % 2)
            disk_put(b, o->offset + done, the_disk->bytes + o->at + done, size);
    }
}

/* Is this write durable when the power goes before op `end`? */
static bool disk_synced(const struct disk *d, size_t op, size_t end)
{
    for (size_t i = op + 1; i < end; i++)
        if (d->ops[i].file == d->ops[op].file && d->ops[i].life == d->ops[op].life) {
            if (d->ops[i].kind == DISK_SYNC)
                return true;
            if (d->ops[i].kind == DISK_SYNC_LOST)
                return false;
        }
    return false;
}

/* Of the folder's events before `end`, how many are seen after the cut: those up to the last sync
 * of the folder, and by chance some of the others. */
static size_t disk_folder_end(const struct disk *d, size_t end, enum disk_loss loss, uint64_t *seed)
{
    size_t synced = 0;
    for (size_t i = 0; i < end; i++)
        if (d->ops[i].kind == DISK_FOLDER_SYNC)
            synced = i;
    return loss == DISK_ALL_KEPT      ? end
           : loss == DISK_ONLY_SYNCED ? synced
                                      : synced + disk_chance(seed) % (end - synced);
}

/* Power goes just before op `end`. */
DISK void disk_after_cut(size_t end, enum disk_loss loss, uint64_t seed, struct disk_image *ret)
{
    const struct disk *d = the_disk;
    int life[DISK_FILES] = {-1, -1, -1};
    size_t seen = end ? disk_folder_end(d, end, loss, &seed) : 0;
    for (size_t i = 0; i < seen; i++) {
        if (d->ops[i].kind == DISK_CREATED)
            life[d->ops[i].file] = (int)d->ops[i].life;
        if (d->ops[i].kind == DISK_DELETE)
            life[d->ops[i].file] = -1;
    }
    for (unsigned f = 0; f < DISK_FILES; f++) {
        ret->there[f] = life[f] >= 0;
        buf_clear(&ret->file[f]);
    }
    for (size_t i = 0; i < end; i++) {
        const struct disk_op *o = &d->ops[i];
        if ((o->kind != DISK_WRITE && o->kind != DISK_TRUNCATE) || life[o->file] != (int)o->life)
            continue;
        if (loss == DISK_ALL_KEPT || disk_synced(d, i, end))
            disk_apply(&ret->file[o->file], o, DISK_ALL_KEPT, &seed);
        else if (loss == DISK_TORN)
            disk_apply(&ret->file[o->file], o, DISK_TORN, &seed);
    }
}

/* What had been reported by then. */
DISK uint64_t disk_reported(size_t end)
{
    uint64_t lsn = 0;
    for (size_t i = 0; i < end; i++)
        if (the_disk->ops[i].kind == DISK_REPORTED)
            lsn = the_disk->ops[i].offset;
    return lsn;
}

/* Lays the image at `path`; -shm and the lock are what a cut may leave of them. */
DISK void disk_lay(const struct disk_image *image, const char *path)
{
    static const char junk[4096] = "bytes of nobody, where the index of the WAL was";
    for (unsigned f = 0; f <= DISK_FILES; f++) {
        char *name = mem_printf("%s%s", path, f < DISK_FILES ? DISK_SUFFIX[f] : "-shm");
        struct span bytes = f < DISK_FILES ? buf_span(&image->file[f]) : span_of(junk, sizeof junk);
        unlink(name);
        if (f == DISK_FILES || image->there[f]) {
            int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            assert_true(fd >= 0);
            assert_int_equal(write(fd, bytes.p ? (const char *)bytes.p : "", bytes.n), bytes.n);
            close(fd);
        }
        mem_free(&name);
    }
}

DISK void disk_image_free(struct disk_image *i)
{
    for (unsigned f = 0; f < DISK_FILES; f++)
        buf_free(&i->file[f]);
}

#endif
