/* workfolder.c - see workfolder.h. */
#include "runner/workfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "runner/emptied.h"

struct workfolder {
    char *base; /* of the slot */
    char *path; /* the one in use: the same, or one beside it */
    int fd;     /* of that; -1: none could be had */
    bool separated;
    struct privilege_user owner; /* separated: of the folder */
    struct emptied empty;
};

static int open_it(struct workfolder *w, struct error *err)
{
    struct stat st;
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    int rc = file_make_dirs(w->path, 0700, err);
    if (rc < 0)
        return rc;
    if (w->separated && lstat(w->path, &st) == 0) {
        w->owner = (struct privilege_user){.uid = st.st_uid, .gid = st.st_gid};
        rc = privilege_files_as(&w->owner, err);
    }
    if (rc == 0)
        w->fd = open(w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int why = errno;
    if (w->separated)
        privilege_files_as(NULL, NULL);
    return rc < 0 || w->fd >= 0 ? rc
                                : error_errno(err, why, "cannot open the folder '%s'", w->path);
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

/* As the child's user, who can move or replace only what is in the folder, not the folder. */
static int clean_as_owner(struct workfolder *w, struct error *err)
{
    struct stat st;
    int rc = privilege_files_as(&w->owner, err);
    if (rc == 0 &&
        (fstat(w->fd, &st) < 0 || ((st.st_mode & 07777) != 0700 && fchmod(w->fd, 0700) < 0)))
        rc = error_errno(err, errno, "cannot close the folder '%s' to others", w->path);
    if (rc == 0 && !is_empty(w->fd))
        rc = file_empty_folder(w->fd, w->path, err);
    int back = privilege_files_as(NULL, rc < 0 ? NULL : err);
    return rc < 0 ? rc : back;
}

/* Opens and empties what is at w->path, or makes it. */
static int take(struct workfolder *w, struct error *err)
{
    int rc = w->separated ? 0 : file_remove_tree(w->path, err);
    if (rc == 0)
        rc = open_it(w, err);
    return rc == 0 && w->separated ? clean_as_owner(w, err) : rc;
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
        if (take(w, why) == 0) {
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

/* True if the folder that we have open is still at its path. */
static bool is_in_place(const struct workfolder *w, struct stat *ret)
{
    struct stat kept;
    return w->fd >= 0 && fstat(w->fd, &kept) == 0 && lstat(w->path, ret) == 0 &&
           kept.st_ino == ret->st_ino && kept.st_dev == ret->st_dev;
}

/* Most children leave nothing; then this costs two system calls and no disk access. */
int workfolder_clean(struct workfolder *w, struct error *err)
{
    struct stat st;
    const bool in_place = is_in_place(w, &st), closed = in_place && (st.st_mode & 07777) == 0700;
    if (closed && emptied_still(&w->empty, &st))
        return 0;
    if ((in_place && w->separated && clean_as_owner(w, NULL) == 0) ||
        (closed && !w->separated && is_empty(w->fd))) {
        emptied_seen(&w->empty, &st, clock_boot_ms());
        return 0;
    }
    if (w->path && take(w, NULL) == 0)
        return 0;
    return choose(w, err);
}

int workfolder_give(struct workfolder *w, const struct privilege_user *user, struct error *err)
{
    int rc = workfolder_clean(w, err);
    if (rc < 0 || !w->separated || !user ||
        (user->uid == w->owner.uid && user->gid == w->owner.gid))
        return rc;
    if (fchown(w->fd, user->uid, user->gid) < 0)
        return error_errno(err, errno, "cannot give the folder '%s' to user %u", w->path,
                           (unsigned)user->uid);
    w->owner = *user;
    return 0;
}

int workfolder_open(const char *path, bool separated, struct workfolder **ret, struct error *err)
{
    struct workfolder *w = mem_zalloc(1, sizeof *w);
    w->separated = separated;
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
