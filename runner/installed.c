/* installed.c - see installed.h. */
#include "runner/installed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

enum { RUNNABLE_MAX = 1 << 20 };

void installed_free(struct installed *i)
{
    buf_free(&i->bytes);
    *i = (struct installed){0};
}

int installed_trust_path(const char *path, mode_t type, uid_t owner, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    if ((st.st_mode & S_IFMT) != type)
        return error_set(err, -EPERM, "'%s' is not a %s", path,
                         type == S_IFDIR ? "folder" : "regular file");
    if (st.st_uid != 0 && st.st_uid != owner)
        return error_set(err, -EPERM, "'%s' belongs to user %u, not to root or user %u", path,
                         (unsigned)st.st_uid, (unsigned)owner);
    if (st.st_mode & 022)
        return error_set(err, -EPERM, "'%s' can be written by others (mode %03o)", path,
                         (unsigned)st.st_mode & 0777);
    return 0;
}

static int read_runnable(const char *folder, uid_t owner, struct buf *out, struct error *err)
{
    char *path = mem_printf("%s/runnable", folder);
    int rc = installed_trust_path(folder, S_IFDIR, owner, err);
    if (rc == 0)
        rc = installed_trust_path(path, S_IFREG, owner, err);
    if (rc == 0)
        rc = file_read(path, RUNNABLE_MAX, out, err);
    mem_free(&path);
    return rc;
}

int installed_load(const struct runner_paths *paths, const struct hash *package,
                   struct installed *ret, struct error *err)
{
    struct installed i = {0};
    char *folder = runner_paths_of_hash(paths->packages, package);
    int rc = read_runnable(folder, paths->unpack.uid, &i.bytes, err);
    if (rc == 0 && d_runnable_decode(buf_span(&i.bytes), &i.runnable, err) < 0)
        rc = error_set(err, -EBADMSG, "'%s/runnable' is malformed; install the package again",
                       folder);
    if (rc == 0 && !hash_eq(&i.runnable.package, package))
        rc = error_set(err, -EBADMSG, "'%s' holds another package; install it again", folder);
    mem_free(&folder);
    if (rc < 0)
        installed_free(&i);
    else
        *ret = i;
    return rc;
}

static int open_beneath(int folder, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

int installed_entry(const struct runner_paths *paths, const struct installed *i, bool run,
                    char **ret_path, struct error *err)
{
    char *folder = runner_paths_of_hash(paths->packages, &i->runnable.package),
         *files = mem_printf("%s/files", folder);
    char *entry = span_dup_str(i->runnable.entry);
    struct stat st;
    int rc = 0, fd = -1, dir = open(files, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || (fd = open_beneath(dir, entry)) < 0 || fstat(fd, &st) < 0)
        rc = error_errno(err, errno, "cannot open the entry '%s' of package " SPAN_FMT, entry,
                         SPAN_ARG(i->runnable.name));
    else if (!S_ISREG(st.st_mode) || (run && !(st.st_mode & 0111)))
        rc = error_set(err, -EPERM, "the entry '%s' of package " SPAN_FMT " is not %s", entry,
                       SPAN_ARG(i->runnable.name),
                       S_ISREG(st.st_mode) ? "executable" : "a regular file");
    else
        *ret_path = mem_printf("%s/%s", files, entry);
    if (fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    mem_free(&entry);
    mem_free(&files);
    mem_free(&folder);
    return rc;
}
