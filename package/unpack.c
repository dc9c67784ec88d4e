/* unpack.c - the store's side of unpack.h. */
#include "package/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/id.h"
#include "common/mem.h"
#include "package/signature.h"
#include "package/unpack_inner.h"
#include "trust/fingerprint.h"

#define UNPACK_TEMP ".unpack-"
enum { NAME_TEXT = 64 + 1 };

/* An installation in progress. */
struct unpack_job {
    const struct unpack *u;
    int archive, store;
    uint64_t size;
    struct buf signature;
    struct builder *builders;
    size_t n_builders, signer;
    bool is_signed;
    char name[NAME_TEXT];
    char *temp;    /* path of the folder that is being made */
    bool replaces; /* one that was altered */
};

static int place(struct unpack_job *j, struct error *err)
{
    return error_prefix(err, "%s", j->u->archive);
}

static bool takes_unsigned(const struct unpack_job *j)
{
    for (size_t i = 0; i < j->n_builders; i++)
        if (j->builders[i].is_unsigned)
            return true;
    return false;
}

static int open_inputs(struct unpack_job *j, struct error *err)
{
    const struct unpack *u = j->u;
    struct stat st;
    j->archive = open(u->archive, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (j->archive < 0)
        return error_errno(err, errno, "cannot open '%s'", u->archive);
    if (fstat(j->archive, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, -EINVAL, "'%s' is not a regular file", u->archive);
    j->size = (uint64_t)st.st_size;
    if (j->size > (uint64_t)UNPACK_ARCHIVE_MAX_GIB << 30)
        return error_set(err, -EBADMSG, "'%s' has more than %d GiB", u->archive,
                         UNPACK_ARCHIVE_MAX_GIB);
    int rc = file_read(u->signature, LIMIT_SIGNATURE, &j->signature, err);
    j->is_signed = rc == 0;
    if (rc < 0 && rc != -ENOENT)
        return rc;
    rc = signature_load_signers(u->signers, &j->builders, &j->n_builders, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (!j->is_signed && !takes_unsigned(j))
        return error_set(err, -EBADMSG,
                         "'%s' does not exist: an unsigned package cannot be installed",
                         u->signature);
    if (j->n_builders == 0)
        return error_set(err, -EBADMSG,
                         "this server trusts no builder: put a builder's public key into '%s'",
                         u->signers);
    return 0;
}

/* A package without a signature: does the server take those of its name? */
static int judge_unsigned(const struct unpack_job *j, const struct manifest *m, struct error *err)
{
    const struct builder *by;
    struct error why = {0};
    const char *name = m ? m->name : j->u->name;
    if (m && j->u->name &&
        (strcmp(m->name, j->u->name) != 0 || strcmp(m->version, j->u->version) != 0))
        return error_set(err, -EBADMSG, "the package is %s %s, not %s %s", m->name, m->version,
                         j->u->name, j->u->version);
    if (name && builders_judge(j->builders, j->n_builders, &(struct hash){{0}}, span_str(name),
                               clock_wall_ms(), &by, &why) < 0)
        return error_set(err, -EBADMSG, "%s", why.text);
    return 0;
}

static int judge(struct unpack_job *j, const struct hash *hash,
                 const uint8_t digest[MINISIGN_DIGEST], const struct manifest *m, struct error *err)
{
    char want[PACKAGE_HASH_TEXT], have[PACKAGE_HASH_TEXT];
    if (!hash_eq(hash, &j->u->hash))
        return error_set(err, -EBADMSG, "the archive has the hash %s, not %s",
                         package_hash_format(hash, have), package_hash_format(&j->u->hash, want));
    if (!j->is_signed)
        return judge_unsigned(j, m, err);
    /* The signature's comment names the package: before the archive is read, it is compared with
     * what was deployed; afterwards, with the manifest. */
    return signature_verify(buf_span(&j->signature), j->builders, j->n_builders, clock_wall_ms(),
                            hash, digest, m ? m->name : j->u->name, m ? m->version : j->u->version,
                            &j->signer, err);
}

static int read_digests(struct unpack_job *j, struct error *err)
{
    struct unpack_source *s = mem_znew(struct unpack_source);
    struct hash hash;
    uint8_t digest[MINISIGN_DIGEST];
    unpack_source_begin(s, j->archive);
    int rc = unpack_source_end(s, &hash, digest, err);
    if (rc == 0)
        rc = judge(j, &hash, digest, NULL, err);
    mem_free(&s);
    return rc;
}

static int open_store(struct unpack_job *j, struct error *err)
{
    int rc = file_make_dirs(j->u->store, 0755, err);
    if (rc < 0)
        return rc;
    j->store = open(j->u->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (j->store < 0)
        return error_errno(err, errno, "cannot open '%s'", j->u->store);
    while (flock(j->store, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "cannot lock '%s'", j->u->store);
    return 0;
}

/* Removes what a killed unpacker left behind, and finds the newest time of installation. The caller
 * holds the lock. */
static int sweep(struct unpack_job *j, int64_t *ret_newest_ms, struct error *err)
{
    int rc = 0, fd = openat(j->store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        rc = error_errno(err, errno, "cannot read '%s'", j->u->store);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    const struct dirent *e;
    *ret_newest_ms = 0;
    while (rc == 0 && (e = readdir(dir))) {
        struct stat st;
        if (strncmp(e->d_name, UNPACK_TEMP, strlen(UNPACK_TEMP)) == 0) {
            char *path = mem_printf("%s/%s", j->u->store, e->d_name);
            rc = file_remove_tree(path, err);
            mem_free(&path);
        } else if (e->d_name[0] != '.' &&
                   fstatat(j->store, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            int64_t ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
            if (ms > *ret_newest_ms)
                *ret_newest_ms = ms;
        }
    }
    closedir(dir);
    return rc;
}

/* Marks the folder as the last installed: now, or a moment after the newest where the clock has
   gone back. */
static int stamp(int folder, int64_t newest_ms, struct error *err)
{
    int64_t now = clock_wall_ms(), ms = now > newest_ms ? now : newest_ms + 1;
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, both[2] = {t, t};
    if (futimens(folder, both) < 0 || fsync(folder) < 0)
        return error_errno(err, errno, "cannot mark the package as installed");
    return 0;
}

/* Takes fd: makes the folder and all below read-only and durable. */
static int seal_folder(int fd, mode_t mode, struct error *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int why = errno;
        close(fd);
        return error_errno(err, why, "cannot read what was unpacked");
    }
    const struct dirent *e;
    int rc = 0;
    while (rc == 0 && (e = readdir(dir))) {
        if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int below = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        rc = below < 0 ? error_errno(err, errno, "cannot open what was unpacked")
                       : seal_folder(below, 0555, err);
    }
    if (rc == 0 && (fchmod(dirfd(dir), mode) < 0 || fsync(dirfd(dir)) < 0))
        rc = error_errno(err, errno, "cannot sync what was unpacked");
    closedir(dir);
    return rc;
}

/* Reads the archive once more, into the folder, and checks the very bytes that were read. */
static int fill(struct unpack_job *j, int folder, struct error *err)
{
    struct unpack_source *s = mem_znew(struct unpack_source);
    struct manifest m = {0};
    struct hash hash;
    struct buf runnable = {0};
    uint8_t digest[MINISIGN_DIGEST];
    int rc = 0;
    if (lseek(j->archive, 0, SEEK_SET) < 0)
        rc = error_errno(err, errno, "cannot read the archive");
    unpack_source_begin(s, j->archive);
    if (rc == 0)
        rc = unpack_read(s, folder, j->size, &m, err);
    if (rc == 0)
        rc = unpack_source_end(s, &hash, digest, err);
    if (rc == 0)
        rc = judge(j, &hash, digest, &m, err);
    if (rc == 0) {
        const struct hash nobody = {{0}};
        manifest_to_runnable(&m, &hash, j->is_signed ? &j->builders[j->signer].key.key : &nobody,
                             &runnable);
        rc = unpack_put_file(folder, UNPACK_RUNNABLE, buf_span(&runnable), err);
    }
    if (rc == 0 && j->is_signed)
        rc = unpack_put_file(folder, UNPACK_SIGNATURE, buf_span(&j->signature), err);
    buf_free(&runnable);
    manifest_free(&m);
    mem_free(&s);
    return rc;
}

/* After all else is in its last state. */
static int put_fingerprint(int folder, struct error *err)
{
    struct buf print = {0};
    int rc = fingerprint_make(folder, &print, err);
    if (rc == 0)
        rc = unpack_put_file(folder, FINGERPRINT_NAME, buf_span(&print), err);
    buf_free(&print);
    return rc;
}

static int make(struct unpack_job *j, int64_t newest_ms, struct error *err)
{
    if (mkdir(j->temp, 0700) < 0)
        return error_errno(err, errno, "cannot make '%s'", j->temp);
    int folder = open(j->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), below = -1;
    if (folder < 0)
        return error_errno(err, errno, "cannot open '%s'", j->temp);
    int rc = fill(j, folder, err);
    if (rc == 0 && (below = openat(folder, PACKAGE_FILES, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        rc = error_errno(err, errno, "cannot open what was unpacked");
    if (rc == 0)
        rc = seal_folder(below, 0555, err);
    if (rc == 0)
        rc = put_fingerprint(folder, err);
    if (rc == 0 && fchmod(folder, 0555) < 0)
        rc = error_errno(err, errno, "cannot make '%s' read-only", j->temp);
    if (rc == 0)
        rc = stamp(folder, newest_ms, err);
    /* what was installed and altered changes places with it, and is then removed */
    if (rc == 0 && renameat2(j->store, strrchr(j->temp, '/') + 1, j->store, j->name,
                             j->replaces ? RENAME_EXCHANGE : 0) < 0)
        rc = error_errno(err, errno, "cannot put the package into '%s'", j->u->store);
    if (rc == 0 && fsync(j->store) < 0)
        rc = error_errno(err, errno, "cannot sync the package in '%s'", j->u->store);
    close(folder);
    return rc;
}

/* An installed package is as it was left. One of an older version, without a fingerprint, is taken
 * for altered: it is cheap to make it again. */
static bool is_whole(const struct unpack_job *j, int folder)
{
    struct fingerprint *f = NULL;
    struct buf bytes = {0};
    char *path = mem_printf("%s/%s/" FINGERPRINT_NAME, j->u->store, j->name);
    bool whole = file_read(path, FINGERPRINT_MAX, &bytes, NULL) == 0 &&
                 fingerprint_parse(buf_span(&bytes), &f, NULL) == 0 &&
                 fingerprint_check(f, folder, UNPACK_RUNNABLE, SIZE_MAX, NULL) == 0;
    fingerprint_free(&f);
    buf_free(&bytes);
    mem_free(&path);
    return whole;
}

static int install(struct unpack_job *j, struct error *err)
{
    int64_t newest = 0;
    int rc = open_inputs(j, err);
    if (rc == 0 && (rc = read_digests(j, err)) < 0)
        place(j, err);
    if (rc == 0)
        rc = open_store(j, err);
    if (rc == 0)
        rc = sweep(j, &newest, err);
    if (rc < 0)
        return rc;
    int there = openat(j->store, j->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    j->replaces = there >= 0 && !is_whole(j, there);
    if (there >= 0 && !j->replaces)
        rc = stamp(there, newest, err);
    if (there >= 0)
        close(there);
    if (there >= 0 && !j->replaces)
        return rc;
    if ((rc = make(j, newest, err)) < 0)
        place(j, err);
    if (rc < 0 || j->replaces)
        file_remove_tree(j->temp, NULL); /* if that fails, the next call sweeps */
    return rc;
}

int unpack_install(const struct unpack *u, struct error *err)
{
    struct unpack_job j = {.u = u, .archive = -1, .store = -1};
    hex_format(u->hash.b, sizeof u->hash.b, j.name);
    j.temp = mem_printf("%s/" UNPACK_TEMP "%s", u->store, j.name);
    int rc = install(&j, err);
    if (j.archive >= 0)
        close(j.archive);
    if (j.store >= 0)
        close(j.store);
    buf_free(&j.signature);
    mem_free(&j.builders);
    mem_free(&j.temp);
    return rc;
}
