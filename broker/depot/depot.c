/* depot.c - see depot.h. */
#include "broker/depot/depot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/shell/offload.h"
#include "broker/shell/turn.h"
#include "common/file.h"
#include "common/log.h"

enum { UPLOADS_MAX = 16 /* at a time; each has a file open */ };

struct upload {
    struct hash hash;
    int fd;
    uint64_t offset, size;
    crypto_generichash_state state;
    bool whole, naming;
    UT_hash_handle hh;
};

struct depot {
    struct shell *shell;
    char *folder;
    uint64_t most_bytes, bytes;
    struct upload *uploads;
};

/* ---- Files */
static char *path_of(const char *folder, const struct hash *hash, const char *ending)
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

static void upload_free(struct depot *d, struct upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    HASH_DEL(d->uploads, u);
    mem_free(&u);
}

static void upload_drop(struct depot *d, struct upload *u)
{
    char *part = path_of(d->folder, &u->hash, ".part");
    unlink(part);
    mem_free(&part);
    d->bytes -= u->offset;
    upload_free(d, u);
}

void depot_close(struct depot **depot)
{
    struct depot *d = *depot;
    if (!d)
        return;
    while (d->uploads)
        upload_free(d, d->uploads);
    mem_free(&d->folder);
    mem_free(depot);
}

bool depot_has(const struct depot *d, const struct hash *hash, uint64_t *ret_size)
{
    struct stat st;
    char *path = path_of(d->folder, hash, "");
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
    char *path = path_of(d->folder, hash, "");
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
static struct upload *find(struct depot *d, const struct hash *hash)
{
    struct upload *u = NULL;
    HASH_FIND(hh, d->uploads, hash, sizeof *hash, u);
    return u;
}

static struct upload *begin(struct depot *d, const struct hash *hash, uint64_t size,
                            struct error *err)
{
    if (HASH_COUNT(d->uploads) >= UPLOADS_MAX)
        upload_drop(d, d->uploads); /* the oldest: it begins anew when it comes again */
    char *part = path_of(d->folder, hash, ".part");
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        error_errno(err, errno, "depot: '%s'", part);
    mem_free(&part);
    if (fd < 0)
        return NULL;
    struct upload *u = mem_znew(struct upload);
    u->hash = *hash;
    u->fd = fd;
    u->size = size;
    crypto_generichash_init(&u->state, NULL, 0, sizeof u->hash);
    HASH_ADD(hh, d->uploads, hash, sizeof u->hash, u);
    return u;
}

static enum depot_put append(struct depot *d, struct upload *u, struct span data, struct error *err)
{
    int rc = file_write_all(u->fd, data.p, data.n);
    if (rc < 0) {
        upload_drop(d, u);
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
        upload_drop(d, u);
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
    struct upload *u = find(d, hash);
    *ret_offset = 0;
    if (u && u->size != size) { /* one of the two is wrong; the hash tells in the end */
        upload_drop(d, u);
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
        return DEPOT_MORE; /* the sender goes on from where it stands */
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
    char *part = path_of(folder, hash, ".part"), *name = path_of(folder, hash, "");
    int rc = sync_path(part, 0, err);
    if (rc == 0 && rename(part, name) < 0)
        rc = error_errno(err, errno, "depot: '%s'", name);
    if (rc == 0)
        rc = sync_path(folder, O_DIRECTORY, err);
    mem_free(&part);
    mem_free(&name);
    return rc;
}

/* ---- Naming on the other thread */
struct naming {
    struct offload_job job;
    struct depot *d;
    struct hash hash;
    uint64_t peer, req, size;
    bool package; /* with manifest and signature; else a plan */
    struct buf manifest, signature;
    int rc;
    struct error err;
};

static int write_beside(const struct naming *n, const char *ending, struct span content,
                        struct error *err)
{
    char *path = path_of(n->d->folder, &n->hash, ending);
    int rc = file_write_atomic(path, content, 0600, err);
    mem_free(&path);
    return rc;
}

static void name_work(struct offload_job *job)
{
    struct naming *n = (struct naming *)job;
    if (n->package)
        n->rc = write_beside(n, ".json", buf_span(&n->manifest), &n->err);
    if (n->rc == 0 && n->package)
        n->rc = write_beside(n, ".sig", buf_span(&n->signature), &n->err);
    if (n->rc == 0 && !depot_has(n->d, &n->hash, NULL))
        n->rc = depot_name(n->d->folder, &n->hash, &n->err);
}

static void name_done(struct offload_job *job, bool cancelled)
{
    struct naming *n = (struct naming *)job;
    struct upload *u = find(n->d, &n->hash);
    if (!cancelled) {
        if (u && n->rc == 0)
            upload_free(n->d, u);
        else if (u)
            upload_drop(n->d, u);
        if (n->rc == 0)
            shell_done(n->d->shell, n->peer, n->req, "%llu", (unsigned long long)n->size);
        else
            shell_error(n->d->shell, n->peer, n->req,
                        n->rc == -ENOSPC ? REFUSAL_NO_SPACE : REFUSAL_INTERNAL, "%s", n->err.text);
    }
    buf_free(&n->manifest);
    buf_free(&n->signature);
    mem_free(&n);
}

static void name_it(struct depot *d, uint64_t peer, uint64_t req, const struct hash *hash,
                    uint64_t size, const struct m_put_end *package)
{
    struct naming *n = mem_zalloc(1, sizeof *n);
    n->job = (struct offload_job){.work = name_work, .done = name_done};
    n->d = d;
    n->hash = *hash;
    n->peer = peer;
    n->req = req;
    n->size = size;
    if (package) {
        n->package = true;
        n->manifest = buf_dup(package->manifest);
        n->signature = buf_dup(package->signature);
    }
    offload_push(d->shell->offload, &n->job);
}

/* ---- Messages */
static void answer_put(struct depot *d, const struct shell_peer *p, uint64_t req,
                       enum depot_put result, uint64_t offset, const struct error *err)
{
    switch (result) {
    case DEPOT_MORE:
    case DEPOT_WHOLE:
        shell_done(d->shell, p->handle, req, "%llu", (unsigned long long)offset);
        break;
    case DEPOT_WRONG_HASH:
        shell_error(d->shell, p->handle, req, REFUSAL_BAD_PACKAGE, "%s", err->text);
        break;
    case DEPOT_FULL:
        shell_error(d->shell, p->handle, req, REFUSAL_NO_SPACE, "%s", err->text);
        break;
    case DEPOT_FAILED:
        log_error("%s", err->text);
        shell_error(d->shell, p->handle, req, REFUSAL_INTERNAL, "%s", err->text);
    }
}

static void take_put(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_put m;
    struct error err = {0};
    uint64_t offset;
    if (m_put_decode(message, &m, &err) < 0)
        shell_drop(d->shell, p, REFUSAL_MALFORMED, err.text);
    else if (depot_has(d, &m.package, &offset))
        shell_done(d->shell, p->handle, m.req, "%llu", (unsigned long long)offset);
    else {
        enum depot_put result = depot_put(d, &m.package, m.offset, m.size, m.data, &offset, &err);
        answer_put(d, p, m.req, result, offset, &err);
    }
}

static void take_put_end(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_put_end m;
    struct error err = {0};
    uint64_t size = 0;
    if (m_put_end_decode(message, &m, &err) < 0) {
        shell_drop(d->shell, p, REFUSAL_MALFORMED, err.text);
        return;
    }
    struct upload *u = find(d, &m.package);
    if (!depot_has(d, &m.package, &size) && (!u || !u->whole))
        shell_error(d->shell, p->handle, m.req, REFUSAL_STATE,
                    "the package is incomplete: %llu of its bytes have arrived",
                    (unsigned long long)(u ? u->offset : 0));
    else
        name_it(d, p->handle, m.req, &m.package, u ? u->size : size, &m);
}

static void take_plan(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_parent_plan m;
    struct error err = {0};
    uint64_t offset;
    if (m_parent_plan_decode(message, &m, &err) < 0) {
        shell_drop(d->shell, p, REFUSAL_MALFORMED, err.text);
        return;
    }
    if (depot_has(d, &m.plan, &offset)) {
        shell_done(d->shell, p->handle, m.req, "%llu", (unsigned long long)offset);
        return;
    }
    enum depot_put result = depot_put(d, &m.plan, m.offset, m.size, m.data, &offset, &err);
    if (result == DEPOT_WHOLE)
        name_it(d, p->handle, m.req, &m.plan, offset, NULL);
    else
        answer_put(d, p, m.req, result, offset, &err);
}

static void take_get(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_get m;
    struct error err = {0};
    struct buf data = {0}, signature = {0};
    uint64_t size;
    if (m_get_decode(message, &m, &err) < 0) {
        shell_drop(d->shell, p, REFUSAL_MALFORMED, err.text);
        return;
    }
    if (depot_read(d, &m.package, m.offset, m.length, &data, &size, &err) < 0) {
        shell_error(d->shell, p->handle, m.req, REFUSAL_NOT_FOUND, "%s", err.text);
    } else {
        char *path = path_of(d->folder, &m.package, ".sig");
        /* With every piece, so that whoever goes on after a break has it, too. A plan has none. */
        file_read(path, LIMIT_SIGNATURE, &signature, NULL);
        mem_free(&path);
        struct m_chunk c = {.req = m.req,
                            .package = m.package,
                            .offset = m.offset,
                            .size = size,
                            .data = buf_span(&data),
                            .signature = buf_span(&signature)};
        shell_send(d->shell, p->handle, &m_chunk_schema, &c);
    }
    buf_free(&data);
    buf_free(&signature);
}

/* A parent begins only when its plan is here: whoever continues it must find it. */
static void take_begin(struct depot *d, struct shell_peer *p, struct span message)
{
    struct m_parent_begin m;
    struct d_signed s;
    struct d_parent parent;
    if (m_parent_begin_decode(message, &m, NULL) == 0 && d_signed_decode(m.parent, &s, NULL) == 0 &&
        d_parent_decode(s.body, &parent, NULL) == 0 && parent.plan_size &&
        !depot_has(d, &parent.plan, NULL))
        shell_error(d->shell, p->handle, m.req, REFUSAL_NOT_FOUND,
                    "the depot does not have the plan; send it first (PARENT_PLAN)");
    else
        turn_step_message(d->shell, p, message);
}

void depot_take(struct depot *d, struct shell_peer *p, uint64_t kind, struct span message)
{
    switch (kind) {
    case KIND_M_PUT:
        take_put(d, p, message);
        break;
    case KIND_M_PUT_END:
        take_put_end(d, p, message);
        break;
    case KIND_M_GET:
        take_get(d, p, message);
        break;
    case KIND_M_PARENT_PLAN:
        take_plan(d, p, message);
        break;
    case KIND_M_PARENT_BEGIN:
        take_begin(d, p, message);
        break;
    }
}

void depot_each(const struct depot *d,
                void (*take)(void *self, const struct hash *hash, uint64_t size,
                             struct span manifest),
                void *self)
{
    DIR *dir = opendir(d->folder);
    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir));) {
        struct hash hash;
        uint64_t size;
        struct buf manifest = {0};
        char text[65];
        if (strlen(e->d_name) != 64 + 5 || strcmp(e->d_name + 64, ".json") != 0)
            continue;
        span_copy_str(span_of(e->d_name, 64), text, sizeof text);
        if (hex_parse(text, hash.b, sizeof hash.b) < 0 || !depot_has(d, &hash, &size))
            continue;
        char *path = path_of(d->folder, &hash, ".json");
        if (file_read(path, LIMIT_MANIFEST, &manifest, NULL) == 0)
            take(self, &hash, size, buf_span(&manifest));
        mem_free(&path);
        buf_free(&manifest);
    }
    closedir(dir);
}
