/* workfolder.c - see workfolder.h. */
#include "runner/workfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

struct workfolder {
    char *base; /* of the slot */
    char *path; /* the one in use: the same, or one beside it */
    int fd;     /* of that; -1: none could be had */
};

static int open_it(struct workfolder *w, struct error *err)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    int rc = file_make_dirs(w->path, 0700, err);
    if (rc < 0)
        return rc;
    w->fd = open(w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return w->fd < 0 ? error_errno(err, errno, "cannot open the folder '%s'", w->path) : 0;
}

static bool is_empty(int fd)
{
    bool empty = true;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(d);
    return empty;
}

static char *path_of(const struct workfolder *w, unsigned at)
{
    return at ? mem_printf("%s.%u", w->base, at) : mem_strdup(w->base);
}

/* Takes the first of the slot's folders that can be emptied. */
static int choose(struct workfolder *w, struct error *err)
{
    struct error first = {0}, later;
    for (unsigned at = 0; at <= WORKFOLDER_BESIDE_MAX; at++) {
        struct error *why = at ? &later : &first;
        mem_free(&w->path);
        w->path = path_of(w, at);
        if (file_remove_tree(w->path, why) == 0 && open_it(w, why) == 0) {
            if (at)
                log_warn("%s; children start in '%s' from now on", first.text, w->path);
            return 0;
        }
    }
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    if (err)
        *err = first;
    return first.code;
}

/* Most children leave nothing; then this costs a few system calls and no disk access. */
int workfolder_clean(struct workfolder *w, struct error *err)
{
    struct stat kept, there;
    if (w->fd >= 0 && fstat(w->fd, &kept) == 0 && lstat(w->path, &there) == 0 &&
        kept.st_ino == there.st_ino && kept.st_dev == there.st_dev &&
        (there.st_mode & 07777) == 0700 && is_empty(w->fd))
        return 0;
    if (w->path && file_remove_tree(w->path, NULL) == 0 && open_it(w, NULL) == 0)
        return 0;
    return choose(w, err);
}

int workfolder_open(const char *path, struct workfolder **ret, struct error *err)
{
    struct workfolder *w = mem_zalloc(1, sizeof *w);
    w->base = mem_strdup(path);
    w->fd = -1;
    int rc = workfolder_clean(w, err); /* a killed keeper may have left something */
    if (rc < 0)
        workfolder_close(&w);
    else
        *ret = w;
    return rc;
}

void workfolder_close(struct workfolder **w)
{
    if (!*w)
        return;
    if ((*w)->fd >= 0)
        close((*w)->fd);
    mem_free(&(*w)->base);
    mem_free(&(*w)->path);
    mem_free(w);
}

int workfolder_fd(const struct workfolder *w)
{
    return w->fd;
}

const char *workfolder_path(const struct workfolder *w)
{
    return w->path;
}
