/* testvfs.c - see testvfs.h. */
#include "broker/store/testvfs.h"

struct disk *disk_now;
const char *const disk_words[DISK_KINDS] = {"write",  "sync", "truncate", "open",
                                            "delete", "read", "map"};

static const char *const SUFFIX[DISK_FILES] = {"", "-journal", "-wal"};
static sqlite3_vfs disk_vfs, *disk_real;
pthread_mutex_t disk_mutex = PTHREAD_MUTEX_INITIALIZER;

struct disk_file {
    sqlite3_file base;
    int file;         /* index of SUFFIX, -1: not one of ours */
    bool folder_owed; /* its first sync also syncs the folder */
    sqlite3_file *real;
};

/* ---- Counting, failing, logging */
static void disk_log(enum disk_kind kind, int file, uint64_t offset, const void *p, uint64_t n)
{
    struct disk *d = disk_now;
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
    struct disk *d = disk_now;
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

void disk_report(uint64_t lsn)
{
    pthread_mutex_lock(&disk_mutex);
    disk_now->reported = lsn;
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

/* A failed write has written half. */
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

/* The machine's real disk is not synced: its power is not cut here. */
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
/* Relies on no guarantee of the file system. */
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
        if (n > strlen(SUFFIX[i]) && strcmp(name + n - strlen(SUFFIX[i]), SUFFIX[i]) == 0)
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
        disk_now->life[file]++;
        if (sync_folder)
            disk_log(DISK_FOLDER_SYNC, file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&disk_mutex);
    return rc;
}

void disk_install(void)
{
    if (!disk_now) {
        disk_now = mmap(NULL, sizeof *disk_now, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_true(disk_now != MAP_FAILED);
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

void disk_remove(void)
{
    sqlite3_vfs_unregister(&disk_vfs);
}

void disk_mend(void)
{
    memset(disk_now, 0, offsetof(struct disk, ops));
}

/* ---- What the disk holds */
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
            disk_put(b, o->offset + done, disk_now->bytes + o->at + done, size);
    }
}

/* Is this write durable if the power fails before op `end`? */
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

/* How many of the folder's events before `end` survive the cut: those up to the last sync of the
 * folder, and at random some of the others. */
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

void disk_after_cut(size_t end, enum disk_loss loss, uint64_t seed, struct disk_image *ret)
{
    const struct disk *d = disk_now;
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

uint64_t disk_reported(size_t end)
{
    uint64_t lsn = 0;
    for (size_t i = 0; i < end; i++)
        if (disk_now->ops[i].kind == DISK_REPORTED)
            lsn = disk_now->ops[i].offset;
    return lsn;
}

void disk_lay(const struct disk_image *image, const char *path)
{
    static const char junk[4096] = "bytes of nobody, where the index of the WAL was";
    for (unsigned f = 0; f <= DISK_FILES; f++) {
        char *name = mem_printf("%s%s", path, f < DISK_FILES ? SUFFIX[f] : "-shm");
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

void disk_image_free(struct disk_image *i)
{
    for (unsigned f = 0; f < DISK_FILES; f++)
        buf_free(&i->file[f]);
}
