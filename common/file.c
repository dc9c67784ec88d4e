/* file.c - see file.h. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

int file_write_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

ssize_t file_read_all(int fd, void *p, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, (uint8_t *)p + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

/* The size that stat tells is not trusted: files of /proc say 0, and others grow while we read. */
static int read_fd(int fd, const char *path, size_t max, struct buf *out, struct error *err)
{
    size_t was = out->n;
    for (;;) {
        /* one byte more proves "larger" */
        size_t left = max - (out->n - was), ask = left < 65536 ? left + 1 : 65536;
        ssize_t n = file_read_all(fd, buf_grow(out, ask), ask);
        if (n < 0) {
            out->n = was;
            return error_errno(err, (int)-n, "cannot read '%s'", path);
        }
        if ((size_t)n > left) {
            out->n = was;
            return error_set(err, -EFBIG, "'%s' is too large; the limit is %zu bytes", path, max);
        }
        out->n += (size_t)n;
        if ((size_t)n < ask)
            return 0;
    }
}

int file_read(const char *path, size_t max, struct buf *out, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;
    if (fd < 0)
        return error_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0)
        rc = error_errno(err, errno, "cannot examine '%s'", path);
    else if (S_ISDIR(st.st_mode))
        rc = error_set(err, -EISDIR, "'%s' is a folder, not a file", path);
    else if (!S_ISREG(st.st_mode))
        rc = error_set(err, -EINVAL, "'%s' is not a regular file", path);
    else
        rc = read_fd(fd, path, max, out, err);
    close(fd);
    return rc;
}

static int check_private_stat(const char *path, const struct stat *st, struct error *err)
{
    if (S_ISLNK(st->st_mode))
        return error_set(err, -EPERM,
                         "'%s' must not be a symbolic link: a secret is read from the file itself",
                         path);
    if (!S_ISREG(st->st_mode))
        return error_set(err, -EPERM, "'%s' is not a regular file", path);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return error_set(err, -EPERM,
                         "'%s' belongs to user %u; it must belong to root or to this user (%u)",
                         path, (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_mode & 077)
        return error_set(err, -EPERM,
                         "'%s' has mode %04o, open to group or others; run: chmod 0%o '%s'", path,
                         (unsigned)(st->st_mode & 07777), (unsigned)(st->st_mode & 0700), path);
    return 0;
}

int file_check_private(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    return check_private_stat(path, &st, err);
}

int file_read_private(const char *path, size_t max, struct buf *out, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW), rc;
    if (fd < 0 && errno == ELOOP)
        return error_set(err, -EPERM,
                         "'%s' must not be a symbolic link: a secret is read from the file itself",
                         path);
    if (fd < 0)
        return error_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0)
        rc = error_errno(err, errno, "cannot examine '%s'", path);
    else if ((rc = check_private_stat(path, &st, err)) == 0)
        rc = read_fd(fd, path, max, out, err);
    close(fd);
    return rc;
}

/* The folder of `path`; the caller frees it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    return slash == path ? mem_strdup("/") : span_dup_str(span_of(path, (size_t)(slash - path)));
}

/* A rename is durable only when the folder is. */
static int sync_folder(const char *path, struct error *err)
{
    char *folder = folder_of(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    if (fd < 0 || fsync(fd) < 0)
        rc = error_errno(err, errno, "cannot sync the folder '%s'", folder);
    if (fd >= 0)
        close(fd);
    mem_free(&folder);
    return rc;
}

int file_sync(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    if (fd < 0 || fsync(fd) < 0)
        rc = error_errno(err, errno, "cannot sync '%s'", path);
    if (fd >= 0)
        close(fd);
    return rc < 0 ? rc : sync_folder(path, err);
}

int file_write_atomic(const char *path, struct span content, mode_t mode, struct error *err)
{
    char *folder = folder_of(path);
    const char *slash = strrchr(path, '/');
    char *temp = mem_printf("%s/.%s.XXXXXX", folder, slash ? slash + 1 : path);
    int rc = 0, fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        rc = error_errno(err, errno, "cannot create a file in '%s' to write '%s'", folder, path);
        goto out;
    }
    int wrote = file_write_all(fd, content.p, content.n);
    if (wrote < 0)
        rc = error_errno(err, -wrote, "cannot write '%s'", path);
    else if (fchmod(fd, mode) < 0)
        rc = error_errno(err, errno, "cannot set the mode of '%s'", path);
    else if (fsync(fd) < 0)
        rc = error_errno(err, errno, "cannot sync '%s'", path);
    if (close(fd) < 0 && rc == 0)
        rc = error_errno(err, errno, "cannot write '%s'", path);
    if (rc == 0 && rename(temp, path) < 0)
        rc = error_errno(err, errno, "cannot replace '%s'", path);
    if (rc < 0)
        unlink(temp);
    else
        rc = sync_folder(path, err);
out:
    mem_free(&temp);
    mem_free(&folder);
    return rc;
}

static int make_dir(const char *path, mode_t mode, struct error *err)
{
    struct stat st;
    if (mkdir(path, mode) == 0)
        return 0;
    int why = errno;
    if (stat(path, &st) == 0) { /* even if we may not write there: existing is enough */
        if (S_ISDIR(st.st_mode))
            return 0;
        return error_set(err, -ENOTDIR, "'%s' exists and is not a folder", path);
    }
    return error_errno(err, why, "cannot make the folder '%s'", path);
}

int file_make_dirs(const char *path, mode_t mode, struct error *err)
{
    if (!*path)
        return error_set(err, -EINVAL, "the name of a folder is empty");
    char *copy = mem_strdup(path);
    int rc = 0;
    for (char *at = copy + 1; rc == 0; at++) {
        bool end = *at == 0;
        if (!end && *at != '/')
            continue;
        *at = 0;
        rc = make_dir(copy, mode, err);
        if (end)
            break;
        *at = '/';
    }
    mem_free(&copy);
    return rc;
}

static int refuse_locked(int fd, const char *path, struct error *err)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = 0;
    long pid = strtol(text, NULL, 10);
    if (pid > 0) /* empty if the holder has only just locked it */
        return error_set(err, -EBUSY, "'%s' is held by process %ld", path, pid);
    return error_set(err, -EBUSY, "'%s' is held by another process", path);
}

int file_lock(const char *path, int *ret_fd, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644), rc = 0;
    if (fd < 0)
        return error_errno(err, errno, "cannot open the lock file '%s'", path);
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? refuse_locked(fd, path, err)
                                  : error_errno(err, errno, "cannot lock '%s'", path);
    else if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
        rc = error_errno(err, errno, "cannot write the process id into '%s'", path);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

int file_lock_is_held(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
    if (fd < 0)
        return errno == ENOENT ? 0
                               : error_errno(err, errno, "cannot open the lock file '%s'", path);
    if (flock(fd, LOCK_SH | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) {
            refuse_locked(fd, path, err);
            rc = 1;
        } else {
            rc = error_errno(err, errno, "cannot test the lock '%s'", path);
        }
    }
    close(fd);
    return rc;
}

char *file_beside_program(const char *name)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return mem_strdup(name);
    self[n] = 0;
    char *slash = strrchr(self, '/');
    return mem_printf("%.*s/%s", slash ? (int)(slash - self) : 0, self, name);
}
