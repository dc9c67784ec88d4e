/* childfiles.c - see childfiles.h. */
#include "runner/childfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "runner/emptied.h"

struct childfiles_file {
    const char *name, *variable;
    mode_t mode;
    char *path;
    int fd; /* of the file that we made; the child may have replaced it */
    struct stat st;
};

struct childfiles {
    char *folder;
    int dir;
    bool separated;
    struct privilege_user owner; /* separated: of the folder */
    struct childfiles_file file[CHILDFILE_COUNT];
    struct emptied empty;        /* but for our files */
    struct timespec progress_at; /* its mtime when it was last read */
    off_t progress_size;
};

static int make(struct childfiles *f, struct childfiles_file *k, struct error *err)
{
    struct stat st;
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
    if (fstatat(f->dir, k->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        int rc = S_ISDIR(st.st_mode) ? file_remove_tree(k->path, err) : 0;
        if (rc < 0)
            return rc;
        if (!S_ISDIR(st.st_mode) && unlinkat(f->dir, k->name, 0) < 0)
            return error_errno(err, errno, "cannot remove '%s'", k->path);
    }
    k->fd = openat(f->dir, k->name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   0600);
    if (k->fd < 0 || fchmod(k->fd, k->mode) < 0 || fstat(k->fd, &k->st) < 0)
        return error_errno(err, errno, "cannot make '%s'", k->path);
    return 0;
}

/* What follows a begin is done as the child's user, until the end. */
static int begin_as_owner(struct childfiles *f, struct error *err)
{
    return f->separated ? privilege_files_as(&f->owner, err) : 0;
}

static int end_as_owner(struct childfiles *f, int rc, struct error *err)
{
    int back = f->separated ? privilege_files_as(NULL, rc < 0 ? NULL : err) : 0;
    return rc < 0 ? rc : back;
}

static int open_folder(struct childfiles *f, struct error *err)
{
    struct stat st;
    int rc = file_make_dirs(f->folder, 0700, err);
    if (rc < 0)
        return rc;
    if (f->dir >= 0)
        close(f->dir);
    f->dir = -1;
    if (f->separated && lstat(f->folder, &st) == 0)
        f->owner = (struct privilege_user){.uid = st.st_uid, .gid = st.st_gid};
    if ((rc = begin_as_owner(f, err)) < 0)
        return rc;
    f->dir = open(f->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (f->dir < 0)
        rc = error_errno(err, errno, "cannot open the folder '%s'", f->folder);
    return end_as_owner(f, rc, err);
}

/* True if the folder is still at its path: a child may remove it, and so may the system when a
 * login session ends. */
static bool is_in_place(const struct childfiles *f)
{
    struct stat kept, there;
    return fstat(f->dir, &kept) == 0 && lstat(f->folder, &there) == 0 &&
           kept.st_ino == there.st_ino && kept.st_dev == there.st_dev &&
           (there.st_mode & 07777) == 0700;
}

/* As the owner, who may have changed its mode, but cannot have moved it. */
static int mend_separated(struct childfiles *f, struct error *err)
{
    int rc = begin_as_owner(f, err);
    if (rc == 0 && fchmod(f->dir, 0700) < 0)
        rc = error_errno(err, errno, "cannot close the folder '%s' to others", f->folder);
    if ((rc = end_as_owner(f, rc, err)) < 0 || is_in_place(f))
        return rc;
    return open_folder(f, err);
}

static int mend_folder(struct childfiles *f, struct error *err)
{
    if (is_in_place(f))
        return 0;
    if (f->separated)
        return mend_separated(f, err);
    int rc = file_remove_tree(f->folder, err);
    return rc < 0 ? rc : open_folder(f, err);
}

/* From the last child's user to the next: nothing of the former stays. */
static int give(struct childfiles *f, const struct privilege_user *user, struct error *err)
{
    if (!f->separated || !user || (user->uid == f->owner.uid && user->gid == f->owner.gid))
        return 0;
    int rc = begin_as_owner(f, err);
    if (rc == 0)
        rc = file_empty_folder(f->dir, f->folder, err);
    if ((rc = end_as_owner(f, rc, err)) < 0)
        return rc;
    if (fchown(f->dir, user->uid, user->gid) < 0)
        return error_errno(err, errno, "cannot give the folder '%s' to user %u", f->folder,
                           (unsigned)user->uid);
    f->owner = *user;
    return 0;
}

int childfiles_open(const char *folder, bool separated, struct childfiles **ret, struct error *err)
{
    struct childfiles *f = mem_zalloc(1, sizeof *f);
    f->dir = -1;
    f->separated = separated;
    f->folder = mem_strdup(folder);
#define X(n, t, m) \
    f->file[CHILDFILE_##n] = \
        (struct childfiles_file){t, "LB_" #n, m, mem_printf("%s/%s", folder, t), -1, {0}};
    CHILDFILES(X)
#undef X
    int rc = open_folder(f, err);
    if (rc == 0 && (rc = begin_as_owner(f, err)) == 0) {
        for (int i = 0; rc == 0 && i < CHILDFILE_COUNT; i++)
            rc = make(f, &f->file[i], err);
        rc = end_as_owner(f, rc, err);
    }
    if (rc < 0)
        childfiles_close(&f);
    else
        *ret = f;
    return rc;
}

void childfiles_close(struct childfiles **pf)
{
    struct childfiles *f = *pf;
    if (!f)
        return;
    for (int i = 0; i < CHILDFILE_COUNT; i++) {
        if (f->file[i].fd >= 0)
            close(f->file[i].fd);
        mem_free(&f->file[i].path);
    }
    if (f->dir >= 0) {
        if (begin_as_owner(f, NULL) == 0 && f->separated)
            file_empty_folder(f->dir, f->folder, NULL);
        end_as_owner(f, 0, NULL);
        close(f->dir);
        file_remove_tree(f->folder, NULL);
    }
    mem_free(&f->folder);
    mem_free(pf);
}

static bool is_known(const struct childfiles *f, const char *name)
{
    for (int i = 0; i < CHILDFILE_COUNT; i++)
        if (strcmp(name, f->file[i].name) == 0)
            return true;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* True if there is anything but our files; what a child has put in their place is replaced before
 * the next step. */
static bool has_more(const struct childfiles *f)
{
    bool more = false;
    int copy = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        if (copy >= 0)
            close(copy);
        return true;
    }
    for (struct dirent *e; !more && (e = readdir(d));)
        more = !is_known(f, e->d_name);
    closedir(d);
    return more;
}

static int empty(struct childfiles *f, struct error *err)
{
    if (ftruncate(f->file[CHILDFILE_PARAMETERS].fd, 0) < 0)
        return error_errno(err, errno, "cannot empty '%s'", f->file[CHILDFILE_PARAMETERS].path);
    struct stat st;
    if (fstat(f->dir, &st) < 0)
        return error_errno(err, errno, "cannot examine the folder '%s'", f->folder);
    if (emptied_still(&f->empty, &st))
        return 0;
    int rc = begin_as_owner(f, err);
    if (rc == 0 && has_more(f)) {
        if (fchmod(f->dir, 0700) < 0)
            rc = error_errno(err, errno, "cannot open the folder '%s'", f->folder);
        if (rc == 0)
            rc = file_empty_folder(f->dir, f->folder, err);
    } else if (rc == 0)
        emptied_seen(&f->empty, &st, clock_boot_ms());
    return end_as_owner(f, rc, err);
}

/* Few children leave anything here; then this costs a few system calls. */
void childfiles_empty(struct childfiles *f)
{
    struct error err = {0};
    if (empty(f, &err) < 0)
        log_warn("%s", err.text);
}

const char *childfiles_path(const struct childfiles *f, enum childfile which)
{
    return f->file[which].path;
}

/* True if the file of this name is the one that we made, with no other name. */
static bool is_ours(const struct childfiles_file *k, const struct stat *st)
{
    return st->st_ino == k->st.st_ino && st->st_dev == k->st.st_dev && st->st_nlink == 1 &&
           st->st_mode == k->st.st_mode && st->st_uid == k->st.st_uid;
}

static int prepare(struct childfiles *f, struct childfiles_file *k, struct span content,
                   struct error *err)
{
    struct stat st;
    int rc = 0;
    if (fstatat(f->dir, k->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !is_ours(k, &st)) {
        rc = make(f, k, err);
        st.st_size = 0;
    }
    if (rc == 0 && st.st_size > 0 && ftruncate(k->fd, 0) < 0)
        rc = error_errno(err, errno, "cannot empty '%s'", k->path);
    if (rc == 0 && content.n) {
        int put = file_write_all(k->fd, content.p, content.n);
        if (put < 0)
            rc = error_errno(err, -put, "cannot write '%s'", k->path);
    }
    return rc;
}

int childfiles_prepare(struct childfiles *f, const struct privilege_user *user,
                       struct span parameters, struct error *err)
{
    int rc = mend_folder(f, err);
    if (rc == 0)
        rc = give(f, user, err);
    if (rc == 0)
        rc = begin_as_owner(f, err);
    for (int i = 0; rc == 0 && i < CHILDFILE_COUNT; i++)
        rc = prepare(f, &f->file[i], i == CHILDFILE_PARAMETERS ? parameters : SPAN_NONE, err);
    f->progress_size = 0;
    f->progress_at = (struct timespec){0};
    return end_as_owner(f, rc, err);
}

/* *ret_fd: the file as it is now; -1: it is empty or gone. */
static int look_now(struct childfiles *f, const struct childfiles_file *k, int *ret_fd,
                    struct stat *ret_st, struct error *err)
{
    *ret_fd = -1;
    if (fstatat(f->dir, k->name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot examine '%s'", k->path);
    if (!S_ISREG(ret_st->st_mode))
        return error_set(err, -EPERM, "$%s is no longer a plain file", k->variable);
    if (ret_st->st_size == 0)
        return 0;
    int fd = openat(f->dir, k->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret_st) < 0 || !S_ISREG(ret_st->st_mode) ||
        ret_st->st_uid != k->st.st_uid) {
        int why = fd < 0 ? errno : EPERM;
        if (fd >= 0)
            close(fd);
        return error_errno(err, why, "cannot read what the child left in '%s'", k->path);
    }
    *ret_fd = fd;
    return 0;
}

static int open_now(struct childfiles *f, const struct childfiles_file *k, int *ret_fd,
                    struct stat *ret_st, struct error *err)
{
    int rc = begin_as_owner(f, err);
    *ret_fd = -1;
    return rc < 0 ? rc : end_as_owner(f, look_now(f, k, ret_fd, ret_st, err), err);
}

int childfiles_read_start(struct childfiles *f, enum childfile which, size_t most, struct buf *out,
                          struct error *err)
{
    const struct childfiles_file *k = &f->file[which];
    struct stat st;
    int fd, rc = open_now(f, k, &fd, &st, err);
    if (rc < 0 || fd < 0)
        return rc;
    ssize_t n = file_read_all(fd, buf_grow(out, most), most);
    close(fd);
    if (n < 0)
        return error_errno(err, (int)-n, "cannot read '%s'", k->path);
    out->n += (size_t)n;
    return 0;
}

int childfiles_read(struct childfiles *f, enum childfile which, size_t most, struct buf *out,
                    struct error *err)
{
    size_t was = out->n;
    int rc = childfiles_read_start(f, which, most + 1, out, err);
    if (rc < 0 || out->n - was <= most)
        return rc;
    out->n = was;
    return error_set(err, -EFBIG, "$%s is larger than %zu bytes", f->file[which].variable, most);
}

bool childfiles_progress(struct childfiles *f, size_t most, struct buf *out)
{
    struct childfiles_file *k = &f->file[CHILDFILE_PROGRESS];
    struct stat st;
    int fd;
    if (open_now(f, k, &fd, &st, NULL) < 0 || fd < 0)
        return false;
    bool news = st.st_size != f->progress_size || st.st_mtim.tv_sec != f->progress_at.tv_sec ||
                st.st_mtim.tv_nsec != f->progress_at.tv_nsec;
    if (news) {
        f->progress_size = st.st_size;
        f->progress_at = st.st_mtim;
        off_t from = st.st_size > (off_t)most ? st.st_size - (off_t)most : 0;
        ssize_t n = pread(fd, buf_grow(out, most), most, from);
        out->n += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return news;
}
