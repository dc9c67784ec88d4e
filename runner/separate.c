/* separate.c - see separate.h. */
#include "runner/separate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

struct place {
    const char *path;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

/* The folder above is root's, so nobody can put another in its place meanwhile. */
static int own_folder(const struct place *p, struct error *err)
{
    struct stat st;
    int rc = 0;
    if (mkdir(p->path, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make the folder '%s'", p->path);
    /* without CAP_DAC_OVERRIDE we cannot open a folder that another user keeps closed */
    int fd = open(p->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = error_errno(err, errno, "cannot open the folder '%s'", p->path);
    else if (st.st_uid != p->uid || st.st_gid != p->gid || (st.st_mode & 07777) != p->mode) {
        /* ours while its mode is set: only an owner may, and setgid only of a group of its own */
        if (fchownat(fd, "", 0, 0, AT_EMPTY_PATH) < 0 || chmod(p->path, p->mode) < 0 ||
            fchownat(fd, "", p->uid, p->gid, AT_EMPTY_PATH) < 0)
            rc = error_errno(err, errno, "cannot give the folder '%s' to user %u", p->path,
                             (unsigned)p->uid);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

static int check_folder(const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    if (st.st_uid == 0 && (!(st.st_mode & 022) || (st.st_mode & S_ISVTX)))
        return 0;
    return error_set(err, -EPERM,
                     "'%s' is not root's, or others can write there: they could put other folders "
                     "in the place of ours; let root own it (chown root '%s'; chmod 755 '%s')",
                     path, path, path);
}

static int check_above(const char *path, struct error *err)
{
    char *above = mem_strdup(path);
    int rc = 0;
    for (char *slash; rc == 0 && (slash = strrchr(above, '/')) && slash != above;) {
        *slash = 0;
        rc = check_folder(above, err);
    }
    mem_free(&above);
    return rc;
}

/* Files that `lbworker join` has left in the user's name, before the first start as root. */
static int take_file(const char *folder, const char *name, uid_t from, struct error *err)
{
    struct stat st;
    char *path = mem_printf("%s/%s", folder, name);
    int rc = 0, fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
        st.st_uid == from && fchownat(fd, "", 0, (gid_t)-1, AT_EMPTY_PATH) < 0)
        rc = error_errno(err, errno, "cannot give '%s' to root", path);
    if (fd >= 0)
        close(fd);
    mem_free(&path);
    return rc;
}

/* Once, at the first start: whom this server trusts is from then on root's to change. A file that
 * somebody puts there later stays theirs, and is not trusted. */
static int take_over(const struct runner_paths *h, const struct paths *at, struct error *err)
{
    static const char *const roots[] = {"trust/administrators", "trust/signers", "keys/seal.key",
                                        "client.yaml", "worker.yaml"};
    struct stat st;
    char *marker = mem_printf("%s/taken-over", h->own);
    int rc = 0;
    if (lstat(marker, &st) < 0) {
        for (size_t i = 0; rc == 0 && i < sizeof roots / sizeof *roots; i++)
            rc = take_file(at->config, roots[i], h->worker.uid, err);
        if (rc == 0)
            rc = file_write_atomic(marker, span_str("by lbrunner as root\n"), 0400, err);
    }
    mem_free(&marker);
    return rc;
}

int separate_folders(const struct runner_paths *h, const struct paths *at, struct error *err)
{
    const uid_t worker = h->worker.uid, unpack = h->unpack.uid;
    const gid_t workers = h->worker.gid, unpackers = h->unpack.gid;
    char *keys = mem_printf("%s/keys", at->config), *jobs = mem_printf("%s/jobs", at->config),
         *spool = mem_printf("%s/spool", at->state),
         *incoming = mem_printf("%s/incoming", at->state);
    const struct place places[] = {
        {at->config, 0755, 0, 0},       {h->trust, 01775, 0, workers},
        {keys, 01770, 0, workers},      {jobs, 0755, 0, 0},
        {at->state, 01775, 0, workers}, {h->own, 0700, 0, 0},
        {h->spool, 0750, 0, workers},   {h->packages, 0755, unpack, unpackers},
        {h->jobs, 0755, 0, 0},          {h->work, 0711, 0, 0},
        {spool, 0700, worker, workers}, {incoming, 02750, worker, unpackers},
        {h->run, 0755, 0, 0},           {h->keepers, 0700, 0, 0},
        {h->bell, 02710, worker, 0}};
    int rc = check_above(at->config, err);
    if (rc == 0)
        rc = check_above(at->state, err);
    if (rc == 0)
        rc = check_above(at->run, err);
    for (size_t i = 0; rc == 0 && i < sizeof places / sizeof *places; i++)
        rc = own_folder(&places[i], err);
    if (rc == 0)
        rc = take_over(h, at, err);
    mem_free(&keys);
    mem_free(&jobs);
    mem_free(&spool);
    mem_free(&incoming);
    return rc;
}

int separate_is_roots(const struct runner_paths *h, const char *path, struct error *err)
{
    struct stat st;
    if (!h->separated)
        return 0;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    if (st.st_uid == 0 && !S_ISLNK(st.st_mode) && !(st.st_mode & 022))
        return 0;
    return error_set(err, -EPERM,
                     "'%s' belongs to user %u or can be written by others, so it is not trusted; "
                     "root decides whom this server trusts: chown root '%s'; chmod 644 '%s'",
                     path, (unsigned)st.st_uid, path, path);
}
