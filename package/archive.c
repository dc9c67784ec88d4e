/* archive.c - writes archives, and reads their manifests. */
#include "package/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

enum { READ_BYTES = 128 << 10 };
#define ZSTD_LEVEL "9" /* part of the format: another level, other bytes */

/* Libarchive's output goes into the file and into the hash. */
struct sink {
    int fd;
    crypto_generichash_state state;
    uint64_t size;
    int failed; /* errno */
};

static la_ssize_t sink_write(struct archive *a, void *self, const void *p, size_t n)
{
    struct sink *s = self;
    int rc = file_write_all(s->fd, p, n);
    if (rc < 0) {
        s->failed = -rc;
        archive_set_error(a, -rc, "%s", strerror(-rc));
        return -1;
    }
    crypto_generichash_update(&s->state, p, n);
    s->size += n;
    return (la_ssize_t)n;
}

static int archive_refuse(struct archive *a, const char *what, struct error *err)
{
    const char *why = archive_error_string(a);
    return error_set(err, -EIO, "%s: %.300s", what, why ? why : "libarchive gives no reason");
}

static struct archive_entry *entry_new(const char *path, bool executable, uint64_t size)
{
    struct archive_entry *e = archive_entry_new();
    if (!e)
        mem_die();
    archive_entry_set_pathname(e, path);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, executable ? 0755 : 0644);
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_uid(e, 0);
    archive_entry_set_gid(e, 0);
    archive_entry_set_mtime(e, 0, 0);
    return e;
}

static int put_bytes(struct archive *a, const char *path, struct span bytes, struct error *err)
{
    struct archive_entry *e = entry_new(path, false, bytes.n);
    int rc = 0;
    if (archive_write_header(a, e) != ARCHIVE_OK ||
        archive_write_data(a, bytes.p, bytes.n) != (la_ssize_t)bytes.n)
        rc = archive_refuse(a, "cannot write the archive", err);
    archive_entry_free(e);
    return rc;
}

static int put_content(struct archive *a, int fd, const struct manifest_file *f, uint8_t *block,
                       struct error *err)
{
    crypto_generichash_state state;
    struct hash hash;
    uint64_t left = f->size;
    crypto_generichash_init(&state, NULL, 0, sizeof hash.b);
    for (;;) { /* asking for one byte too many proves that it has not grown */
        size_t ask = left < READ_BYTES ? (size_t)left + 1 : READ_BYTES;
        ssize_t n = file_read_all(fd, block, ask);
        if (n < 0)
            return error_errno(err, (int)-n, "cannot read '%.200s'", f->path);
        if ((uint64_t)n > left)
            break;
        crypto_generichash_update(&state, block, (size_t)n);
        if (n && archive_write_data(a, block, (size_t)n) != n)
            return archive_refuse(a, "cannot write the archive", err);
        left -= (uint64_t)n;
        if ((size_t)n < ask) {
            crypto_generichash_final(&state, hash.b, sizeof hash.b);
            if (left == 0 && hash_eq(&hash, &f->hash))
                return 0;
            break;
        }
    }
    return error_set(err, -EBUSY, "'%.200s' changed while the package was built; build again",
                     f->path);
}

static int put_file(struct archive *a, int folder, const struct manifest_file *f, uint8_t *block,
                    struct error *err)
{
    char *path = mem_printf(PACKAGE_FILES "/%s", f->path);
    struct archive_entry *e = entry_new(path, f->executable, f->size);
    int rc = 0, fd = -1;
    mem_free(&path);
    if (f->link) {
        archive_entry_set_filetype(e, AE_IFLNK);
        archive_entry_set_perm(e, 0777);
        archive_entry_set_symlink(e, f->link);
        archive_entry_set_size(e, 0);
    } else if ((fd = openat(folder, f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) < 0) {
        rc = error_errno(err, errno, "cannot open '%.200s'", f->path);
    }
    if (rc == 0 && archive_write_header(a, e) != ARCHIVE_OK)
        rc = archive_refuse(a, "cannot write the archive", err);
    if (rc == 0 && fd >= 0)
        rc = put_content(a, fd, f, block, err);
    if (fd >= 0)
        close(fd);
    archive_entry_free(e);
    return rc;
}

static int put_all(struct archive *a, const char *folder, const struct manifest *m,
                   struct error *err)
{
    struct buf json = {0};
    manifest_to_json(m, &json);
    if (json.n > LIMIT_MANIFEST) {
        int rc =
            error_set(err, -EFBIG,
                      "the manifest with its list of %zu files has %zu bytes; the limit is %d: "
                      "put fewer, larger files into the package",
                      m->n_files, json.n, LIMIT_MANIFEST);
        buf_free(&json);
        return rc;
    }
    int rc = put_bytes(a, PACKAGE_MANIFEST, buf_span(&json), err);
    buf_free(&json);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0 && fd < 0)
        rc = error_errno(err, errno, "cannot open '%s'", folder);
    uint8_t *block = mem_alloc(READ_BYTES);
    for (size_t i = 0; rc == 0 && i < m->n_files; i++)
        rc = put_file(a, fd, &m->files[i], block, err);
    mem_free(&block);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int write_archive(struct sink *sink, const char *folder, const struct manifest *m,
                         struct error *err)
{
    struct archive *a = archive_write_new();
    if (!a)
        mem_die();
    int rc = 0;
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
        /* independent of the locale */
        archive_write_set_format_option(a, NULL, "hdrcharset", "BINARY") != ARCHIVE_OK ||
        archive_write_set_filter_option(a, "zstd", "compression-level", ZSTD_LEVEL) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open2(a, sink, NULL, sink_write, NULL, NULL) != ARCHIVE_OK)
        rc = archive_refuse(a, "cannot start the archive", err);
    if (rc == 0)
        rc = put_all(a, folder, m, err);
    if (rc == 0 && archive_write_close(a) != ARCHIVE_OK)
        rc = archive_refuse(a, "cannot write the archive", err);
    /* after a failure it still pads the open entry; the file is discarded */
    archive_write_free(a);
    if (rc == -EIO && sink->failed)
        rc = err ? (err->code = -sink->failed) : -sink->failed;
    return rc;
}

int archive_build(const char *folder, const struct manifest *m, const char *out,
                  struct hash *ret_hash, uint64_t *ret_size, struct error *err)
{
    char *temp = mem_printf("%s.XXXXXX", out);
    struct sink sink = {.fd = mkostemp(temp, O_CLOEXEC)};
    if (sink.fd < 0) {
        int rc = error_errno(err, errno, "cannot create a file next to '%s'", out);
        mem_free(&temp);
        return rc;
    }
    crypto_generichash_init(&sink.state, NULL, 0, sizeof ret_hash->b);
    int rc = write_archive(&sink, folder, m, err);
    if (rc == 0 && (fchmod(sink.fd, 0644) < 0 || fsync(sink.fd) < 0))
        rc = error_errno(err, errno, "cannot write '%s'", out);
    if (close(sink.fd) < 0 && rc == 0)
        rc = error_errno(err, errno, "cannot write '%s'", out);
    if (rc == 0 && rename(temp, out) < 0)
        rc = error_errno(err, errno, "cannot replace '%s'", out);
    if (rc < 0) {
        unlink(temp);
    } else {
        crypto_generichash_final(&sink.state, ret_hash->b, sizeof ret_hash->b);
        *ret_size = sink.size;
    }
    mem_free(&temp);
    return rc;
}

int archive_digest_fd(int fd, struct hash *ret_hash, uint8_t ret_digest[MINISIGN_DIGEST],
                      uint64_t *ret_size, struct error *err)
{
    crypto_generichash_state state;
    struct minisign_hash sign;
    uint64_t size = 0;
    uint8_t *block = mem_alloc(READ_BYTES);
    ssize_t n;
    crypto_generichash_init(&state, NULL, 0, sizeof ret_hash->b);
    minisign_hash_begin(&sign);
    while ((n = file_read_all(fd, block, READ_BYTES)) > 0) {
        crypto_generichash_update(&state, block, (size_t)n);
        minisign_hash_add(&sign, span_of(block, (size_t)n));
        size += (uint64_t)n;
    }
    mem_free(&block);
    if (n < 0)
        return error_errno(err, (int)-n, "cannot read the archive");
    crypto_generichash_final(&state, ret_hash->b, sizeof ret_hash->b);
    minisign_hash_end(&sign, ret_digest);
    *ret_size = size;
    return 0;
}

static int open_archive(const char *path, int *ret_fd, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(err, -EINVAL, "'%s' is not a regular file", path);
    }
    *ret_fd = fd;
    return 0;
}

int archive_digest(const char *path, struct hash *ret_hash, uint8_t ret_digest[MINISIGN_DIGEST],
                   uint64_t *ret_size, struct error *err)
{
    int fd, rc = open_archive(path, &fd, err);
    if (rc < 0)
        return rc;
    if ((rc = archive_digest_fd(fd, ret_hash, ret_digest, ret_size, err)) < 0)
        error_prefix(err, "%s", path);
    close(fd);
    return rc;
}

static int read_manifest(struct archive *a, struct buf *json, struct error *err)
{
    struct archive_entry *e;
    if (archive_read_next_header(a, &e) != ARCHIVE_OK)
        return archive_refuse(a, "is not a package", err);
    const char *path = archive_entry_pathname(e);
    if (!path || strcmp(path, PACKAGE_MANIFEST) != 0 || archive_entry_filetype(e) != AE_IFREG)
        return error_set(err, -EINVAL,
                         "is not a package: it does not begin with " PACKAGE_MANIFEST);
    la_int64_t size = archive_entry_size(e);
    if (size <= 0 || size > LIMIT_MANIFEST)
        return error_set(err, -EFBIG, PACKAGE_MANIFEST " has %lld bytes; 1 to %d are allowed",
                         (long long)size, LIMIT_MANIFEST);
    uint8_t *at = buf_grow(json, (size_t)size);
    if (archive_read_data(a, at, (size_t)size) != size)
        return archive_refuse(a, "is damaged", err);
    json->n += (size_t)size;
    return 0;
}

int archive_manifest(const char *path, struct manifest *ret, struct buf *json, struct error *err)
{
    struct buf text = {0};
    int fd, rc = open_archive(path, &fd, err);
    if (rc < 0)
        return rc;
    struct archive *a = archive_read_new();
    if (!a)
        mem_die();
    archive_read_support_filter_zstd(a);
    archive_read_support_format_tar(a);
    if (archive_read_open_fd(a, fd, READ_BYTES) != ARCHIVE_OK)
        rc = archive_refuse(a, "is not a package", err);
    else
        rc = read_manifest(a, &text, err);
    archive_read_free(a);
    close(fd);
    if (rc == 0)
        rc = manifest_from_json(buf_span(&text), ret, err);
    if (rc < 0)
        error_prefix(err, "%s", path);
    else if (json)
        buf_add(json, text.p, text.n);
    buf_free(&text);
    return rc;
}
