/* ownfile.c - see ownfile.h. */
#include "common/ownfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

static int judge(const char *path, const struct stat *st, mode_t type, mode_t denied, uid_t also,
                 struct error *err)
{
    if ((st->st_mode & S_IFMT) != type)
        return error_set(err, -EPERM, "'%s' is not a %s", path,
                         type == S_IFDIR ? "folder" : "regular file");
    if (st->st_uid != 0 && st->st_uid != also) {
        if (also)
            return error_set(err, -EPERM,
                             "'%s' belongs to user %u; only root and user %u may decide this", path,
                             (unsigned)st->st_uid, (unsigned)also);
        return error_set(err, -EPERM, "'%s' belongs to user %u; run: chown root '%s'", path,
                         (unsigned)st->st_uid, path);
    }
    if (st->st_mode & denied & 022)
        return error_set(err, -EPERM, "others can write to '%s' (mode %03o); run: chmod go-w '%s'",
                         path, (unsigned)st->st_mode & 0777, path);
    if (st->st_mode & denied)
        return error_set(err, -EPERM, "others can read '%s' (mode %03o); run: chmod go= '%s'", path,
                         (unsigned)st->st_mode & 0777, path);
    return 0;
}

/* Who can write to the folder can put another file there. */
static int judge_folder(const char *path, uid_t also, struct error *err)
{
    const char *slash = strrchr(path, '/');
    struct stat st;
    if (!slash || slash == path)
        return 0;
    char *folder = mem_printf("%.*s", (int)(slash - path), path);
    int rc = lstat(folder, &st) == 0 ? judge(folder, &st, S_IFDIR, 022, also, err)
                                     : error_errno(err, errno, "cannot examine '%s'", folder);
    mem_free(&folder);
    return rc;
}

int ownfile_stat(const char *path, uid_t also, struct stat *ret, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    int rc = judge(path, &st, S_IFREG, 022, also, err);
    if (rc == 0)
        rc = judge_folder(path, also, err);
    if (rc == 0)
        *ret = st;
    return rc;
}

static int open_such(const char *path, mode_t denied, uid_t also, int *ret_fd, struct stat *ret,
                     struct error *err)
{
    struct stat st;
    int rc, fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP ? error_set(err, -EPERM, "'%s' is a symbolic link", path)
                              : error_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0)
        rc = error_errno(err, errno, "cannot examine '%s'", path);
    else
        rc = judge(path, &st, S_IFREG, denied, also, err);
    if (rc == 0)
        rc = judge_folder(path, also, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    *ret = st;
    return 0;
}

int ownfile_open(const char *path, uid_t also, int *ret_fd, struct stat *ret, struct error *err)
{
    return open_such(path, 022, also, ret_fd, ret, err);
}

int ownfile_open_secret(const char *path, uid_t also, int *ret_fd, struct error *err)
{
    struct stat st;
    return open_such(path, 077, also, ret_fd, &st, err);
}

bool ownfile_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
           memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim) == 0;
}
