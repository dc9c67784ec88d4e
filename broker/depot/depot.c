/* depot.c - see depot.h: files and uploads. The messages: take.c. */
#include "broker/depot/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

/* ---- Files */
char *depot_path(const char *folder, const struct hash *hash, const char *ending)
{
    char text[65];
    return mem_printf("%s/%s%s", folder, hex_format(hash->b, sizeof hash->b, text), ending);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

static uint64_t size_of(const char *folder, const struct hash *hash, const char *ending)
{
    struct stat st;
    char *path = depot_path(folder, hash, ending);
    bool there = lstat(path, &st) == 0 && S_ISREG(st.st_mode);
    mem_free(&path);
    return there ? (uint64_t)st.st_size : 0;
}

uint64_t depot_cost(const struct depot *d, const struct hash *hash)
{
    return DEPOT_ENTRY + size_of(d->folder, hash, "") + size_of(d->folder, hash, ".json") +
           size_of(d->folder, hash, ".sig");
}

static void find_one(struct depot *d, const struct hash *hash)
{
    char by[LIMIT_NAME + 1];
    struct depot_found *f = NULL;
    uint64_t cost = depot_cost(d, hash);
    d->bytes += cost;
    depot_uploader(d->folder, hash, by);
    HASH_FIND_STR(d->found, by, f);
    if (!f && *by) {
        f = mem_zalloc(1, sizeof *f);
        memcpy(f->name, by, sizeof f->name);
        HASH_ADD_STR(d->found, name, f);
    }
    if (f)
        f->cost += cost;
}

/* Deletes what a crash has left of uploads, and counts the rest. */
static void look_around(struct depot *d)
{
    DIR *dir = opendir(d->folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        char text[65];
        struct hash hash;
        span_copy_str(span_of(e->d_name, strnlen(e->d_name, 64)), text, sizeof text);
        if (hex_parse(text, hash.b, sizeof hash.b) < 0)
            continue;
        if (ends_with(e->d_name, ".part") || !depot_has(d, &hash, NULL))
            unlinkat(dirfd(dir), e->d_name, 0);
        else if (strlen(e->d_name) == 64)
            find_one(d, &hash);
    }
    if (dir)
        closedir(dir);
}

struct depot *depot_new(const char *folder, uint64_t most_bytes, struct budgets *budgets,
                        struct error *err)
{
    if (file_make_dirs(folder, 0700, err) < 0)
        return NULL;
    struct depot *d = mem_zalloc(1, sizeof *d);
    d->folder = mem_strdup(folder);
    d->most_bytes = most_bytes;
    d->budgets = budgets;
    look_around(d);
    return d;
}

static void find_plans(struct depot *d)
{
    DIR *dir = opendir(d->folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        struct hash hash;
        if (strlen(e->d_name) == 64 && hex_parse(e->d_name, hash.b, sizeof hash.b) == 0 &&
            !size_of(d->folder, &hash, ".json"))
            plans_here(d->plans, &hash, NULL, 0);
    }
    if (dir)
        closedir(dir);
}

int depot_open(struct depot **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
               uint64_t retention_ms, struct error *err)
{
    *ret = depot_new(folder, most_bytes, sh->budgets, err);
    if (!*ret)
        return -EIO;
    (*ret)->shell = sh;
    (*ret)->plans = plans_new(*ret, retention_ms);
    find_plans(*ret);
    return 0;
}

void depot_upload_free(struct depot *d, struct depot_upload *u)
{
    if (d->budgets)
        budgets_give(d->budgets, &u->key.who, BUDGET_UPLOADS, 1);
    if (u->fd >= 0)
        close(u->fd);
    HASH_DEL(d->uploads, u);
    mem_free(&u->part);
    mem_free(&u);
}

void depot_upload_drop(struct depot *d, struct depot_upload *u)
{
    unlink(u->part);
    d->bytes -= u->cost;
    if (d->budgets)
        budgets_give(d->budgets, &u->key.who, BUDGET_DEPOT, u->cost);
    depot_upload_free(d, u);
}

void depot_close(struct depot **depot)
{
    struct depot *d = *depot;
    struct depot_found *f, *next;
    if (!d)
        return;
    while (d->uploads)
        depot_upload_free(d, d->uploads);
    HASH_ITER (hh, d->found, f, next) {
        HASH_DEL(d->found, f);
        mem_free(&f);
    }
    plans_free(&d->plans);
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
struct depot_upload *depot_upload(struct depot *d, const struct hash *hash, const struct hash *who)
{
    struct depot_upload_key key = {*hash, *who};
    struct depot_upload *u = NULL;
    HASH_FIND(hh, d->uploads, &key, sizeof key, u);
    return u;
}

/* Those that have been idle for so long go: the oldest of `who`, or (NULL) all. */
static void drop_idle(struct depot *d, const struct hash *who, int64_t before)
{
    struct depot_upload *u, *next;
    HASH_ITER (hh, d->uploads, u, next)
        if (!u->naming && u->heard <= before && (!who || hash_eq(who, &u->key.who))) {
            depot_upload_drop(d, u);
            if (who)
                return;
        }
}

static int take_place(struct depot *d, const struct depot_piece *p, struct error *err)
{
    drop_idle(d, NULL, p->now - DEPOT_IDLE_MS);
    if (HASH_COUNT(d->uploads) >= DEPOT_UPLOADS_MAX)
        return error_set(err, -EDQUOT, "%u uploads are going on, the limit; try again later",
                         HASH_COUNT(d->uploads));
    if (!d->budgets || budgets_take(d->budgets, &p->who, BUDGET_UPLOADS, 1, NULL) == 0)
        return 0;
    drop_idle(d, &p->who, p->now - DEPOT_IDLE_OWN_MS);
    return budgets_take(d->budgets, &p->who, BUDGET_UPLOADS, 1, err);
}

int depot_charge(struct depot *d, struct depot_upload *u, uint64_t more, struct error *err)
{
    if (d->most_bytes && (more > d->most_bytes || d->bytes > d->most_bytes - more))
        return error_set(
            err, -EDQUOT,
            "the depot holds %llu of %llu bytes and %llu more do not fit; raise depot_size or "
            "remove old packages",
            (unsigned long long)d->bytes, (unsigned long long)d->most_bytes,
            (unsigned long long)more);
    int rc = d->budgets ? budgets_take(d->budgets, &u->key.who, BUDGET_DEPOT, more, err) : 0;
    if (rc == 0) {
        u->cost += more;
        d->bytes += more;
    }
    return rc;
}

static enum depot_put begin(struct depot *d, const struct depot_piece *p, struct depot_upload **ret,
                            struct error *err)
{
    char ending[40];
    if (take_place(d, p, err) < 0)
        return DEPOT_BUSY;
    struct depot_upload *u = mem_zalloc(1, sizeof *u);
    snprintf(ending, sizeof ending, ".%llu.part", (unsigned long long)++d->parts);
    u->key = (struct depot_upload_key){p->hash, p->who};
    u->part = depot_path(d->folder, &p->hash, ending);
    u->fd = -1;
    u->size = p->size;
    u->heard = p->now;
    crypto_generichash_init(&u->state, NULL, 0, sizeof u->key.hash);
    HASH_ADD(hh, d->uploads, key, sizeof u->key, u);
    if (p->size > DEPOT_SIZE_MAX) {
        error_set(err, -EFBIG, "no file of %llu bytes is taken", (unsigned long long)p->size);
        depot_upload_free(d, u);
        return DEPOT_FULL;
    }
    if (depot_charge(d, u, p->size + DEPOT_ENTRY, err) < 0) {
        depot_upload_free(d, u);
        return DEPOT_FULL;
    }
    u->fd = open(u->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (u->fd < 0) {
        error_errno(err, errno, "depot: '%s'", u->part);
        depot_upload_drop(d, u);
        return DEPOT_FAILED;
    }
    *ret = u;
    return DEPOT_MORE;
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
    if (u->offset < u->size)
        return DEPOT_MORE;
    struct hash hash;
    crypto_generichash_final(&u->state, hash.b, sizeof hash.b);
    if (!hash_eq(&hash, &u->key.hash)) {
        depot_upload_drop(d, u);
        error_set(err, -EBADMSG,
                  "the bytes received do not have the announced hash; send them again");
        return DEPOT_WRONG_HASH;
    }
    u->whole = true;
    return DEPOT_WHOLE;
}

enum depot_put depot_put(struct depot *d, const struct depot_piece *p, uint64_t *ret_offset,
                         struct error *err)
{
    struct depot_upload *u = depot_upload(d, &p->hash, &p->who);
    enum depot_put result = DEPOT_MORE;
    *ret_offset = 0;
    if (u && u->size != p->size && !u->naming) { /* one of the sizes is wrong; the hash tells */
        depot_upload_drop(d, u);
        u = NULL;
    }
    if (!u && (result = begin(d, p, &u, err)) != DEPOT_MORE)
        return result;
    *ret_offset = u->offset;
    if (u->whole)
        return DEPOT_WHOLE;
    if (p->offset != u->offset || p->data.n > u->size - p->offset)
        return DEPOT_MORE; /* the sender continues from *ret_offset */
    u->heard = p->now;
    result = append(d, u, p->data, err);
    *ret_offset = result == DEPOT_MORE || result == DEPOT_WHOLE ? p->offset + p->data.n : 0;
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

int depot_name(const char *folder, const char *part, const struct hash *hash, struct error *err)
{
    char *name = depot_path(folder, hash, "");
    int rc = sync_path(part, 0, err);
    if (rc == 0 && rename(part, name) < 0)
        rc = error_errno(err, errno, "depot: '%s'", name);
    if (rc == 0)
        rc = sync_path(folder, O_DIRECTORY, err);
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
