/* filetree.c - file_remove_tree and file_empty_folder of file.h. A hostile child may have made the
 * tree: every step is taken relative to an open folder, no link is followed, and a folder too deep
 * for our stack and descriptors is first moved up to the top, so the depth is bounded whatever was
 * built.
 *
 * What is mounted in the tree is never entered: mounts have ids of their own, also those that bind
 * a folder of the same file system, which a device's number does not tell apart. */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 32 }; /* one descriptor and one stack frame each */

struct removal {
    const char *path; /* for sentences */
    int top;          /* the folder that deep ones are moved to */
    struct statx on;  /* the mount of `top` */
    unsigned long moved;
    struct error *err;
};

static int remove_below(struct removal *r, int fd, int depth);

static int failed(struct removal *r, int errno_value, const char *name)
{
    return error_errno(r->err, errno_value, "cannot remove '%.60s' in '%s'", name, r->path);
}

static int move_up(struct removal *r, int fd, const char *name)
{
    char fresh[64];
    int rc;
    do {
        snprintf(fresh, sizeof fresh, ".removing-%ld-%lu", (long)getpid(), r->moved++);
        rc = renameat2(fd, name, r->top, fresh, RENAME_NOREPLACE);
    } while (rc < 0 && errno == EEXIST); /* the name is taken: try the next */
    return rc == 0 || errno == ENOENT ? 0 : failed(r, errno, name);
}

static int look_at_mount(int fd, const char *name, struct statx *ret)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
    return statx(fd, name, flags, STATX_TYPE | STATX_MNT_ID, ret) < 0 ? -errno : 0;
}

/* Kernels before 5.8 tell no ids; there the device's number must do. */
static bool is_same_mount(const struct statx *a, const struct statx *b)
{
    return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
           (!(a->stx_mask & b->stx_mask & STATX_MNT_ID) || a->stx_mnt_id == b->stx_mnt_id);
}

/* By its name, before it is touched, and by its descriptor: the name may have changed hands. */
static int check_mount(struct removal *r, int fd, const char *name, const char *shown)
{
    struct statx there;
    int rc = look_at_mount(fd, name, &there);
    if (rc == -ENOENT)
        return rc;
    if (rc < 0)
        return failed(r, -rc, shown);
    if (!is_same_mount(&there, &r->on))
        return error_set(r->err, -EXDEV, "'%.60s' in '%s' is a mount point and was not removed",
                         shown, r->path);
    return 0;
}

static int remove_folder(struct removal *r, int parent, const char *name, int depth)
{
    struct stat st;
    int why = check_mount(r, parent, name, name);
    if (why < 0)
        return why == -ENOENT ? 0 : why;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : failed(r, errno, name);
    if ((why = check_mount(r, fd, "", name)) < 0) {
        close(fd);
        return why;
    }
    if (fstat(fd, &st) < 0 || ((st.st_mode & 0700) != 0700 && fchmod(fd, 0700) < 0)) {
        why = errno;
        close(fd);
        return failed(r, why, name);
    }
    if (depth >= DEPTH_MAX) {
        close(fd);
        return move_up(r, parent, name);
    }
    int rc = remove_below(r, fd, depth);
    if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        rc = failed(r, errno, name);
    return rc;
}

static int remove_entry(struct removal *r, int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return failed(r, errno, name);
    int why = errno;
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
        return failed(r, why, name);
    return remove_folder(r, parent, name, depth);
}

/* Takes fd. Reads the folder until a pass finds nothing: readdir may skip entries of a folder that
 * changes under it. */
static int remove_below(struct removal *r, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int why = errno;
        close(fd);
        return failed(r, why, ".");
    }
    int rc = 0;
    bool found = true;
    while (found && rc == 0) {
        found = false;
        rewinddir(dir);
        const struct dirent *e;
        while (rc == 0 && (e = readdir(dir))) {
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                continue;
            found = true;
            rc = remove_entry(r, dirfd(dir), e->d_name, depth + 1);
        }
    }
    closedir(dir);
    return rc;
}

int file_remove_tree(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot examine '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return unlink(path) == 0 || errno == ENOENT
                   ? 0
                   : error_errno(err, errno, "cannot remove '%s'", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && st.st_uid == geteuid() && chmod(path, 0700) == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return error_errno(err, why, "cannot open the folder '%s'", path);
    }
    if ((st.st_mode & 0700) != 0700 && st.st_uid == geteuid())
        fchmod(fd, 0700); /* if it fails, the first removal says what is wrong */
    struct removal r = {.path = path, .top = fd, .err = err};
    int rc = look_at_mount(fd, "", &r.on);
    if (rc < 0) {
        close(fd);
        return error_errno(err, -rc, "cannot examine '%s'", path);
    }
    rc = remove_below(&r, fd, 0);
    if (rc == 0 && rmdir(path) < 0 && errno != ENOENT)
        rc = error_errno(err, errno, "cannot remove the folder '%s'", path);
    return rc;
}

int file_empty_folder(int folder, const char *path, struct error *err)
{
    struct removal r = {.path = path, .top = folder, .err = err};
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "cannot open the folder '%s'", path);
    int rc = look_at_mount(fd, "", &r.on);
    if (rc == 0)
        return remove_below(&r, fd, 0);
    close(fd);
    return error_errno(err, -rc, "cannot examine '%s'", path);
}
