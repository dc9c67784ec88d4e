/* unpack_read.c - checks an archive's entries against its manifest. Nothing that the manifest does
 * not list is created, and the manifest lists only what manifest_check_files allows. */
#include "package/unpack_inner.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

void unpack_source_begin(struct unpack_source *s, int fd)
{
    s->fd = fd;
    s->size = 0;
    s->failed = 0;
    crypto_generichash_init(&s->hash, NULL, 0, sizeof(struct hash));
    minisign_hash_begin(&s->sign);
}

static la_ssize_t source_read(struct archive *a, void *self, const void **ret)
{
    struct unpack_source *s = self;
    ssize_t n = file_read_all(s->fd, s->block, sizeof s->block);
    if (n < 0) {
        s->failed = (int)-n;
        archive_set_error(a, s->failed, "%s", strerror(s->failed));
        return -1;
    }
    crypto_generichash_update(&s->hash, s->block, (size_t)n);
    minisign_hash_add(&s->sign, span_of(s->block, (size_t)n));
    s->size += (uint64_t)n;
    *ret = s->block;
    return n;
}

int unpack_source_end(struct unpack_source *s, struct hash *ret_hash,
                      uint8_t ret_digest[MINISIGN_DIGEST], struct error *err)
{
    ssize_t n;
    while ((n = file_read_all(s->fd, s->block, sizeof s->block)) > 0) {
        crypto_generichash_update(&s->hash, s->block, (size_t)n);
        minisign_hash_add(&s->sign, span_of(s->block, (size_t)n));
        s->size += (uint64_t)n;
    }
    if (n < 0)
        return error_errno(err, (int)-n, "cannot read the archive");
    crypto_generichash_final(&s->hash, ret_hash->b, sizeof ret_hash->b);
    minisign_hash_end(&s->sign, ret_digest);
    return 0;
}

static int refuse(struct archive *a, struct error *err)
{
    const char *why = archive_error_string(a);
    if (err && err->code < 0)
        return err->code; /* the stream below has said why */
    return error_set(err, -EBADMSG, "the archive is damaged: %.300s",
                     why ? why : "libarchive gives no reason");
}

static int bad(struct error *err, const char *path, const char *why)
{
    return error_set(err, -EBADMSG, "the archive's entry '%.200s' %s", path, why);
}

/* What no entry of a package may be or carry, whatever its name. */
static int check_kind(struct archive_entry *e, const char *path, struct error *err)
{
    mode_t type = archive_entry_filetype(e), mode = archive_entry_perm(e);
    unsigned long set = 0, clear = 0;
    archive_entry_fflags(e, &set, &clear);
    if (archive_entry_hardlink(e))
        return bad(err, path, "is a hard link");
    if (type == AE_IFCHR || type == AE_IFBLK)
        return bad(err, path, "is a device");
    if (type == AE_IFIFO)
        return bad(err, path, "is a FIFO");
    if (type == AE_IFSOCK)
        return bad(err, path, "is a socket");
    if (type != AE_IFREG && type != AE_IFLNK)
        return bad(err, path, "is neither a file nor a symbolic link");
    if (mode & 07000)
        return bad(err, path, "has a set-id or sticky bit");
    if (archive_entry_xattr_count(e) > 0)
        return bad(err, path, "has extended attributes");
    if (archive_entry_acl_types(e) != 0)
        return bad(err, path, "has an access control list");
    if (set || clear)
        return bad(err, path, "has file flags");
    if (archive_entry_sparse_count(e) > 0)
        return bad(err, path, "is sparse");
    return 0;
}

static int check_path(const char *path, struct error *err)
{
    struct error why;
    if (!path)
        return error_set(err, -EBADMSG, "the archive has an entry without a readable name");
    if (strcmp(path, PACKAGE_MANIFEST) == 0)
        return 0;
    if (manifest_path_check(span_of(path, strnlen(path, LIMIT_PATH + 1)), &why) < 0)
        return error_set(err, -EBADMSG, "the archive has a forbidden entry: %s", why.text);
    if (strncmp(path, PACKAGE_FILES "/", sizeof PACKAGE_FILES) != 0)
        return bad(err, path, "is neither " PACKAGE_MANIFEST " nor below " PACKAGE_FILES "/");
    return 0;
}

/* The next entry, checked as far as possible without the manifest. 1: there is none. */
static int next_entry(struct archive *a, struct archive_entry **ret, const char **ret_path,
                      struct error *err)
{
    int rc = archive_read_next_header(a, ret);
    if (rc == ARCHIVE_EOF)
        return 1;
    if (rc != ARCHIVE_OK)
        return refuse(a, err);
    *ret_path = archive_entry_pathname(*ret);
    if ((rc = check_path(*ret_path, err)) < 0)
        return rc;
    return check_kind(*ret, *ret_path, err);
}

int unpack_put_file(int folder, const char *name, struct span content, struct error *err)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot make '%s'", name);
    int rc = file_write_all(fd, content.p, content.n);
    if (rc < 0)
        error_errno(err, -rc, "cannot write '%s'", name);
    else if (fchmod(fd, 0444) < 0 || fsync(fd) < 0)
        rc = error_errno(err, errno, "cannot write '%s'", name);
    close(fd);
    return rc;
}

static int take_manifest(struct archive *a, struct buf *json, struct error *err)
{
    struct archive_entry *e;
    const char *path;
    int rc = next_entry(a, &e, &path, err);
    if (rc < 0)
        return rc;
    if (rc == 1 || strcmp(path, PACKAGE_MANIFEST) != 0 || archive_entry_filetype(e) != AE_IFREG)
        return error_set(err, -EBADMSG, "the archive does not begin with " PACKAGE_MANIFEST);
    la_int64_t size = archive_entry_size(e);
    if (size <= 0 || size > LIMIT_MANIFEST)
        return error_set(err, -EBADMSG, PACKAGE_MANIFEST " has %lld bytes; 1 to %d are allowed",
                         (long long)size, LIMIT_MANIFEST);
    uint8_t *at = buf_grow(json, (size_t)size);
    if (archive_read_data(a, at, (size_t)size) != size)
        return refuse(a, err);
    json->n += (size_t)size;
    return 0;
}

/* Reads the content of the current entry to its end. */
static int take_content(struct archive *a, int out, const struct manifest_file *f, uint8_t *block,
                        struct error *err)
{
    crypto_generichash_state state;
    struct hash hash;
    uint64_t size = 0;
    crypto_generichash_init(&state, NULL, 0, sizeof hash.b);
    la_ssize_t n;
    while ((n = archive_read_data(a, block, UNPACK_BLOCK)) > 0) {
        if ((size += (uint64_t)n) > f->size)
            return bad(err, f->path, "is longer than the manifest says");
        crypto_generichash_update(&state, block, (size_t)n);
        int rc = file_write_all(out, block, (size_t)n);
        if (rc < 0)
            return error_errno(err, -rc, "cannot write '%.200s'", f->path);
    }
    if (n < 0)
        return refuse(a, err);
    crypto_generichash_final(&state, hash.b, sizeof hash.b);
    if (size != f->size || !hash_eq(&hash, &f->hash))
        return bad(err, f->path, "does not have the hash that the manifest says");
    return 0;
}

static int make_folders(int files, const char *path, struct error *err)
{
    char *copy = mem_strdup(path);
    int rc = 0;
    for (char *slash = strchr(copy, '/'); slash && rc == 0; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdirat(files, copy, 0700) < 0 && errno != EEXIST)
            rc = error_errno(err, errno, "cannot make the folder '%.200s'", copy);
        *slash = '/';
    }
    mem_free(&copy);
    return rc;
}

static int take_file(struct archive *a, struct archive_entry *e, int files,
                     const struct manifest_file *f, uint8_t *block, struct error *err)
{
    mode_t mode = archive_entry_perm(e);
    if (archive_entry_filetype(e) != AE_IFREG || archive_entry_size(e) != (la_int64_t)f->size ||
        mode != (f->executable ? 0755 : 0644))
        return bad(err, f->path, "is not of the kind, size or mode that the manifest says");
    int fd = openat(files, f->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot make '%.200s'", f->path);
    int rc = take_content(a, fd, f, block, err);
    if (rc == 0 && (fchmod(fd, f->executable ? 0555 : 0444) < 0 || fsync(fd) < 0))
        rc = error_errno(err, errno, "cannot write '%.200s'", f->path);
    close(fd);
    return rc;
}

static int take_link(struct archive_entry *e, int files, const struct manifest_file *f,
                     struct error *err)
{
    const char *target = archive_entry_filetype(e) == AE_IFLNK ? archive_entry_symlink(e) : NULL;
    if (!target || strcmp(target, f->link) != 0)
        return bad(err, f->path, "is not the symbolic link that the manifest says");
    if (symlinkat(target, files, f->path) < 0)
        return error_errno(err, errno, "cannot make the link '%.200s'", f->path);
    return 0;
}

static int take_entry(struct archive *a, int files, const struct manifest *m, size_t i,
                      uint8_t *block, struct error *err)
{
    struct archive_entry *e;
    const char *path;
    const struct manifest_file *f = &m->files[i];
    int rc = next_entry(a, &e, &path, err);
    if (rc < 0)
        return rc;
    if (rc == 1)
        return error_set(err, -EBADMSG, "the archive lacks '%.200s', which its manifest lists",
                         f->path);
    const char *below = strncmp(path, PACKAGE_FILES "/", sizeof PACKAGE_FILES) == 0
                            ? path + sizeof PACKAGE_FILES
                            : "";
    if (strcmp(below, f->path) != 0)
        return bad(err, path,
                   manifest_find_file(m, below) ? "is listed twice or out of order"
                                                : "is not in the manifest");
    if ((rc = make_folders(files, f->path, err)) < 0)
        return rc;
    return f->link ? take_link(e, files, f, err) : take_file(a, e, files, f, block, err);
}

static int check_ratio(const struct manifest *m, uint64_t archive_size, struct error *err)
{
    uint64_t all = 0;
    for (size_t i = 0; i < m->n_files; i++)
        all += m->files[i].size;
    if (all <= UNPACK_RATIO_FREE || all / UNPACK_RATIO_MAX <= archive_size)
        return 0;
    return error_set(err, -EBADMSG,
                     "the archive of %llu bytes would unpack to %llu: more than %d times its size",
                     (unsigned long long)archive_size, (unsigned long long)all, UNPACK_RATIO_MAX);
}

static int take_all(struct archive *a, int folder, uint64_t archive_size, const struct manifest *m,
                    struct error *err)
{
    struct archive_entry *e;
    const char *path;
    int rc = check_ratio(m, archive_size, err);
    if (rc == 0 && mkdirat(folder, PACKAGE_FILES, 0700) < 0)
        rc = error_errno(err, errno, "cannot make the folder '" PACKAGE_FILES "'");
    int files = rc == 0 ? openat(folder, PACKAGE_FILES, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (rc == 0 && files < 0)
        rc = error_errno(err, errno, "cannot open the folder '" PACKAGE_FILES "'");
    uint8_t *block = mem_alloc(UNPACK_BLOCK);
    for (size_t i = 0; rc == 0 && i < m->n_files; i++)
        rc = take_entry(a, files, m, i, block, err);
    mem_free(&block);
    if (rc == 0 && (rc = next_entry(a, &e, &path, err)) == 0)
        rc = bad(err, path, "is not in the manifest or occurs twice");
    if (files >= 0)
        close(files);
    return rc == 1 ? 0 : rc;
}

/* ---- The stream between zstd and tar */

/* What zstd unpacks, counted. One reader would do both, but it would take zstd in zstd in zstd, and
 * say nothing of what follows the end of the tar. */
struct unpack_stream {
    struct archive *packed;
    uint64_t size, most; /* bytes so far, and how many there may be */
    uint64_t used;       /* up to the last that is not zero */
    struct error *err;
};

static la_ssize_t stream_read(struct archive *tar, void *self, const void **ret)
{
    struct unpack_stream *x = self;
    size_t n = 0;
    la_int64_t offset;
    int rc = archive_read_data_block(x->packed, ret, &n, &offset);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc != ARCHIVE_OK) {
        refuse(x->packed, x->err);
    } else if ((x->size += n) > x->most) {
        error_set(x->err, -EBADMSG, "the archive unpacks to more than %llu bytes",
                  (unsigned long long)x->most);
    } else {
        for (size_t at = n; at > 0; at--)
            if (((const uint8_t *)*ret)[at - 1]) {
                x->used = x->size - n + at;
                break;
            }
        return (la_ssize_t)n;
    }
    archive_set_error(tar, EBADMSG, "%s", x->err->text);
    return -1;
}

/* One layer of zstd, and nothing else around the tar. */
static int open_packed(struct unpack_stream *x, struct unpack_source *s, struct error *err)
{
    struct archive_entry *e;
    archive_read_support_filter_zstd(x->packed);
    archive_read_support_format_raw(x->packed);
    if (archive_read_open(x->packed, s, NULL, source_read, NULL) != ARCHIVE_OK ||
        archive_read_next_header(x->packed, &e) != ARCHIVE_OK)
        return refuse(x->packed, err);
    if (archive_filter_count(x->packed) != 2 ||
        archive_filter_code(x->packed, 0) != ARCHIVE_FILTER_ZSTD)
        return error_set(err, -EBADMSG, "the archive is not one tar compressed once with zstd");
    return 0;
}

/* What is left after the tar's end is the padding of its last record. */
static int check_end(struct archive *tar, struct unpack_stream *x, struct error *err)
{
    const void *block;
    la_ssize_t n;
    uint64_t end = (uint64_t)archive_filter_bytes(tar, 0);
    while ((n = stream_read(x->packed, x, &block)) > 0)
        if (x->size > end + UNPACK_PADDING_MAX)
            break;
    if (n < 0)
        return err->code;
    if (x->used > end || x->size > end + UNPACK_PADDING_MAX)
        return error_set(err, -EBADMSG, "the archive has data after its end");
    return 0;
}

static int read_tar(struct unpack_stream *x, int folder, uint64_t archive_size, struct buf *json,
                    struct manifest *m, struct error *err)
{
    struct archive *a = archive_read_new();
    if (!a)
        mem_die();
    int rc = 0;
    archive_read_support_format_tar(a);
    if (archive_read_open(a, x, NULL, stream_read, NULL) != ARCHIVE_OK)
        rc = refuse(a, err);
    if (rc == 0)
        rc = take_manifest(a, json, err);
    if (rc == 0 && manifest_from_json(buf_span(json), m, err) < 0)
        rc = err->code = -EBADMSG;
    if (rc == 0)
        rc = take_all(a, folder, archive_size, m, err);
    if (rc == 0)
        rc = check_end(a, x, err);
    if (rc == 0)
        rc = unpack_put_file(folder, PACKAGE_MANIFEST, buf_span(json), err);
    archive_read_free(a);
    return rc;
}

int unpack_read(struct unpack_source *s, int folder, uint64_t archive_size, struct manifest *ret,
                struct error *ret_err)
{
    struct error err = {0};
    struct buf json = {0};
    struct manifest m = {0};
    struct unpack_stream x = {.packed = archive_read_new(), .err = &err};
    if (!x.packed)
        mem_die();
    x.most = UNPACK_RATIO_FREE + UNPACK_RATIO_MAX * archive_size + UNPACK_PADDING_MAX;
    int rc = open_packed(&x, s, &err);
    if (rc == 0)
        rc = read_tar(&x, folder, archive_size, &json, &m, &err);
    if (rc < 0 && s->failed)
        rc = error_errno(&err, s->failed, "cannot read the archive");
    archive_read_free(x.packed);
    buf_free(&json);
    if (rc < 0) {
        manifest_free(&m);
        if (ret_err)
            *ret_err = err;
    } else
        *ret = m;
    return rc;
}
