/* depot.c - see depot.h: files and uploads. The messages: take.c. */
#include "broker/depot/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

enum { UPLOADS_MAX = 16 /* at a time; each holds a file open */ };

/* ---- Files */
char *depot_path(const char *folder, const struct hash *hash, const char *ending)
{
    char text[65];
    return mem_printf("%s/%s%s", folder, hex_format(hash->b, sizeof hash->b, text), ending);
}

static void remove_parts(struct depot *d)
{
    DIR *dir = opendir(d->folder);
    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        size_t n = strlen(e->d_name);
        if (n > 5 && strcmp(e->d_name + n - 5, ".part") == 0)
            unlinkat(dirfd(dir), e->d_name, 0);
        else if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISREG(st.st_mode))
            d->bytes += (uint64_t)st.st_size;
    }
    closedir(dir);
}

struct depot *depot_new(const char *folder, uint64_t most_bytes, struct error *err)
{
    if (file_make_dirs(folder, 0700, err) < 0)
        return NULL;
    struct depot *d = mem_zalloc(1, sizeof *d);
    d->folder = mem_strdup(folder);
    d->most_bytes = most_bytes;
    remove_parts(d);
    return d;
}

int depot_open(struct depot **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
               struct error *err)
{
    *ret = depot_new(folder, most_bytes, err);
    if (!*ret)
        return -EIO;
    (*ret)->shell = sh;
    return 0;
}

void depot_upload_free(struct depot *d, struct depot_upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    HASH_DEL(d->uploads, u);
    mem_free(&u);
}

void depot_upload_drop(struct depot *d, struct depot_upload *u)
{
    char *part = depot_path(d->folder, &u->hash, ".part");
    unlink(part);
    mem_free(&part);
    d->bytes -= u->offset;
    depot_upload_free(d, u);
}

void depot_close(struct depot **depot)
{
    struct depot *d = *depot;
    if (!d)
        return;
    while (d->uploads)
        depot_upload_free(d, d->uploads);
    mem_free(&d->folder);
    mem_free(depot);
}

bool depot_has(const struct depot *d, const struct hash *hash, uint64_t *ret_size)
{
    struct stat st;
    char *path = depot_path(d->folder, hash, "");
    bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    mem_free(&path);
    if (there && ret_size)
        *ret_size = (uint64_t)st.st_size;
    return there;
}

struct shell *depot_shell(const struct depot *d)
{
    return d->shell;
}

uint64_t depot_bytes(const struct depot *d)
{
    return d->bytes;
}

int depot_read(const struct depot *d, const struct hash *hash, uint64_t offset, size_t n,
               struct buf *out, uint64_t *ret_size, struct error *err)
{
    struct stat st;
    char *path = depot_path(d->folder, hash, "");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
    ssize_t got;
    if (fd < 0 || fstat(fd, &st) < 0 || (got = pread(fd, buf_grow(out, n), n, (off_t)offset)) < 0) {
        rc = error_errno(err, errno, "depot: '%s'", path);
    } else {
        out->n += (size_t)got;
        *ret_size = (uint64_t)st.st_size;
    }
    if (fd >= 0)
        close(fd);
    mem_free(&path);
    return rc;
}

/* ---- Uploads */
struct depot_upload *depot_upload(struct depot *d, const struct hash *hash)
{
    struct depot_upload *u = NULL;
    HASH_FIND(hh, d->uploads, hash, sizeof *hash, u);
    return u;
}

static struct depot_upload *begin(struct depot *d, const struct hash *hash, uint64_t size,
                                  struct error *err)
{
    if (HASH_COUNT(d->uploads) >= UPLOADS_MAX)
        depot_upload_drop(d, d->uploads); /* the oldest; its sender must start over */
    char *part = depot_path(d->folder, hash, ".part");
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        error_errno(err, errno, "depot: '%s'", part);
    mem_free(&part);
    if (fd < 0)
        return NULL;
    struct depot_upload *u = mem_znew(struct depot_upload);
    u->hash = *hash;
    u->fd = fd;
    u->size = size;
    crypto_generichash_init(&u->state, NULL, 0, sizeof u->hash);
    HASH_ADD(hh, d->uploads, hash, sizeof u->hash, u);
    return u;
}

static enum depot_put append(struct depot *d, struct depot_upload *u, struct span data,
                             struct error *err)
{
    int rc = file_write_all(u->fd, data.p, data.n);
    if (rc < 0) {
        depot_upload_drop(d, u);
        error_errno(err, -rc, "depot: writing");
        return rc == -ENOSPC || rc == -EDQUOT ? DEPOT_FULL : DEPOT_FAILED;
    }
    crypto_generichash_update(&u->state, data.p, data.n);
    u->offset += data.n;
    d->bytes += data.n;
    if (u->offset < u->size)
        return DEPOT_MORE;
    struct hash hash;
    crypto_generichash_final(&u->state, hash.b, sizeof hash.b);
    if (!hash_eq(&hash, &u->hash)) {
        depot_upload_drop(d, u);
        error_set(err, -EBADMSG,
                  "the bytes received do not have the announced hash; send them again");
        return DEPOT_WRONG_HASH;
    }
    u->whole = true;
    return DEPOT_WHOLE;
}

enum depot_put depot_put(struct depot *d, const struct hash *hash, uint64_t offset, uint64_t size,
                         struct span data, uint64_t *ret_offset, struct error *err)
{
    struct depot_upload *u = depot_upload(d, hash);
    *ret_offset = 0;
    if (u && u->size != size) { /* one of the sizes is wrong; the hash shows which */
        depot_upload_drop(d, u);
        u = NULL;
    }
    if (!u && d->most_bytes && (size > d->most_bytes || d->bytes > d->most_bytes - size)) {
        error_set(
            err, -ENOSPC,
            "the depot holds %llu of %llu bytes and %llu more do not fit; raise depot_size or "
            "remove old packages",
            (unsigned long long)d->bytes, (unsigned long long)d->most_bytes,
            (unsigned long long)size);
        return DEPOT_FULL;
    }
    if (!u && !(u = begin(d, hash, size, err)))
        return DEPOT_FAILED;
    *ret_offset = u->offset;
    if (u->whole)
        return DEPOT_WHOLE;
    if (offset != u->offset || data.n > size - offset)
        return DEPOT_MORE; /* the sender continues from *ret_offset */
    enum depot_put result = append(d, u, data, err);
    *ret_offset = result == DEPOT_MORE || result == DEPOT_WHOLE ? offset + data.n : 0;
    return result;
}

static int sync_path(const char *path, int flags, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    int rc = fd < 0 || fsync(fd) < 0 ? error_errno(err, errno, "depot: syncing '%s'", path) : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

int depot_name(const char *folder, const struct hash *hash, struct error *err)
{
    char *part = depot_path(folder, hash, ".part"), *name = depot_path(folder, hash, "");
    int rc = sync_path(part, 0, err);
    if (rc == 0 && rename(part, name) < 0)
        rc = error_errno(err, errno, "depot: '%s'", name);
    if (rc == 0)
        rc = sync_path(folder, O_DIRECTORY, err);
    mem_free(&part);
    mem_free(&name);
    return rc;
}

/* ---- Listing */
static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct hash));
}

/* The packages after `after` (NULL: all), in order. The caller frees them. */
static struct hash *packages_behind(const struct depot *d, const struct hash *after, size_t *ret_n)
{
    struct hash *v = NULL, hash;
    size_t n = 0, cap = 0;
    DIR *dir = opendir(d->folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        char text[65];
        if (strlen(e->d_name) != 64 + 5 || strcmp(e->d_name + 64, ".json") != 0)
            continue;
        span_copy_str(span_of(e->d_name, 64), text, sizeof text);
        if (hex_parse(text, hash.b, sizeof hash.b) < 0 || (after && by_bytes(&hash, after) <= 0))
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            v = mem_realloc(v, cap, sizeof *v);
        }
        v[n++] = hash;
    }
    if (dir)
        closedir(dir);
    if (n)
        qsort(v, n, sizeof *v, by_bytes);
    *ret_n = n;
    return v;
}

void depot_each(const struct depot *d, const struct hash *after, depot_take_fn *take, void *self)
{
    size_t n;
    struct hash *v = packages_behind(d, after, &n);
    bool more = true;
    for (size_t i = 0; i < n && more; i++) {
        uint64_t size;
        struct buf manifest = {0};
        char *path = depot_path(d->folder, &v[i], ".json");
        if (depot_has(d, &v[i], &size) && file_read(path, LIMIT_MANIFEST, &manifest, NULL) == 0)
            more = take(self, &v[i], size, buf_span(&manifest));
        mem_free(&path);
        buf_free(&manifest);
    }
    mem_free(&v);
}
