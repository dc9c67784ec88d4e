/* fence.c - see fence.h. */
#include "worker/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

/* The format of the file. It is written and not mapped: a mapped page for which a full file system
 * has no room would end us. */
struct fence_content {
    int64_t renewed;
    struct id boot;
};

struct fence {
    int fd;
    char *path;
};

static int put(struct fence *f, const void *p, size_t n, off_t at, struct error *err)
{
    ssize_t done = pwrite(f->fd, p, n, at);
    if (done == (ssize_t)n)
        return 0;
    return error_errno(err, done < 0 ? errno : ENOSPC, "cannot write the fence '%s'", f->path);
}

/* The number first: no reader may see the old number with the new boot id. */
static int begin(struct fence *f, const struct id *boot, struct error *err)
{
    struct fence_content at = {0};
    if (pread(f->fd, &at, sizeof at, 0) == (ssize_t)sizeof at && id_eq(at.boot, *boot))
        return 0;
    if (ftruncate(f->fd, sizeof at) < 0)
        return error_errno(err, errno, "cannot write the fence '%s'", f->path);
    int rc = fence_set(f, 0, err);
    return rc < 0 ? rc
                  : put(f, boot, sizeof *boot, (off_t)offsetof(struct fence_content, boot), err);
}

int fence_open(struct fence **ret, const char *path, const struct id *boot, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot open the fence '%s'", path);
    /* where the folder gives it to another group, that of the keepers, they read it */
    if (fstat(fd, &st) == 0 && st.st_gid != getegid() && fchmod(fd, 0640) < 0) {
        int why = errno;
        close(fd);
        return error_errno(err, why, "cannot let keepers read the fence '%s'", path);
    }
    struct fence *f = mem_zalloc(1, sizeof *f);
    f->fd = fd;
    f->path = mem_strdup(path);
    int rc = begin(f, boot, err);
    if (rc < 0)
        fence_close(&f);
    else
        *ret = f;
    return rc;
}

void fence_close(struct fence **f)
{
    if (!*f)
        return;
    close((*f)->fd);
    mem_free(&(*f)->path);
    mem_free(f);
}

/* Eight aligned bytes in one write: a reader sees the old number or the new one. */
int fence_set(struct fence *f, int64_t renewed, struct error *err)
{
    return put(f, &renewed, sizeof renewed, (off_t)offsetof(struct fence_content, renewed), err);
}
