/* jobfiles.c - see jobfiles.h. */
#include "runner/jobfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/ownfile.h"
#include "runner/compiled.h"
#include "runner/parsed.h"
#include "trust/envelope.h"

struct jobfiles_file {
    char *name;
    struct stat st, packages; /* of the file and of var/packages when it was compiled */
    struct hash hash;         /* zero: it is wrong */
    bool done, there;
};

struct jobfiles {
    const struct runner_paths *paths;
    struct loop *loop;
    char *program;
    int watch;
    struct loop_timer timer;
    struct jobfiles_file *v;
    size_t n;
};

/* ---- One file */

static int keep(struct jobfiles *j, struct span job, struct hash *ret, struct error *err)
{
    envelope_hash(job, ret);
    char *path = runner_paths_of_hash(j->paths->jobs, ret);
    int rc = access(path, F_OK) == 0 ? 0 : file_write_atomic(path, job, 0444, err);
    mem_free(&path);
    return rc;
}

static int compile(struct jobfiles *j, struct jobfiles_file *f, const char *path, struct error *err)
{
    struct buf job = {0};
    char *shown = mem_printf("jobs/%s", f->name);
    int fd, rc = ownfile_open(path, 0, &fd, &f->st, err);
    if (rc == 0) {
        rc = parsed_run(j->program, &j->paths->unpack, "job", shown, j->paths->packages, fd,
                        JOBFILES_WAIT_MS, LIMIT_JOB_BODY, &job, err);
        close(fd);
    }
    if (rc == 0)
        rc = keep(j, buf_span(&job), &f->hash, err);
    buf_free(&job);
    mem_free(&shown);
    return rc;
}

/* True if something was done. */
static bool refresh(struct jobfiles *j, struct jobfiles_file *f, const struct stat *packages)
{
    struct error err = {0};
    struct stat st = {0};
    char *path = mem_printf("%s/%s", j->paths->jobfiles, f->name);
    int rc = ownfile_stat(path, 0, &st, &err);
    bool again = !f->done || !ownfile_same(&st, &f->st) || !ownfile_same(packages, &f->packages);
    if (again) {
        f->hash = (struct hash){{0}};
        f->packages = *packages;
        f->done = true;
        if (rc == 0)
            rc = compile(j, f, path, &err);
        else
            f->st = st;
        if (rc < 0)
            log_error("job file %s: %s", f->name, err.text);
    }
    mem_free(&path);
    return again;
}

/* ---- All of them */

static bool is_current(const struct jobfiles *j, const struct hash *h)
{
    for (size_t i = 0; i < j->n; i++)
        if (hash_eq(&j->v[i].hash, h))
            return true;
    return false;
}

/* A current one is marked with the time; one that has not been for long is removed. */
static void tidy(struct jobfiles *j)
{
    DIR *d = opendir(j->paths->jobs);
    const int64_t now = loop_now_wall(j->loop);
    struct stat st;
    struct hash h;
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (hex_parse(e->d_name, h.b, sizeof h.b) < 0)
            continue;
        if (is_current(j, &h))
            utimensat(dirfd(d), e->d_name, NULL, AT_SYMLINK_NOFOLLOW);
        else if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                 now - (int64_t)st.st_mtim.tv_sec * 1000 > JOBFILES_GRACE_MS)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

static struct jobfiles_file *file_named(struct jobfiles *j, const char *name)
{
    for (size_t i = 0; i < j->n; i++)
        if (strcmp(j->v[i].name, name) == 0)
            return &j->v[i];
    if (j->n >= LIMIT_JOBS)
        return NULL;
    j->v = mem_realloc(j->v, j->n + 1, sizeof *j->v);
    j->v[j->n] = (struct jobfiles_file){.name = mem_strdup(name)};
    return &j->v[j->n++];
}

static void drop_gone(struct jobfiles *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->n; i++)
        if (j->v[i].there)
            j->v[kept++] = j->v[i];
        else
            mem_free(&j->v[i].name);
    j->n = kept;
}

static void list(struct jobfiles *j)
{
    DIR *d = opendir(j->paths->jobfiles);
    for (size_t i = 0; i < j->n; i++)
        j->v[i].there = false;
    for (const struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        struct jobfiles_file *f =
            e->d_name[0] == '.' || n < 6 || strcmp(e->d_name + n - 5, ".yaml") != 0
                ? NULL
                : file_named(j, e->d_name);
        if (f)
            f->there = true;
    }
    if (d)
        closedir(d);
    drop_gone(j);
}

static void on_timer(struct loop *l, struct loop_timer *t, void *arg)
{
    struct jobfiles *j = arg;
    struct stat packages = {0};
    unsigned done = 0;
    list(j);
    if (stat(j->paths->packages, &packages) < 0)
        return;
    for (size_t i = 0; i < j->n && done < JOBFILES_AT_ONCE; i++)
        done += refresh(j, &j->v[i], &packages);
    if (done == JOBFILES_AT_ONCE)
        loop_timer_set(l, t, "jobfiles", loop_now(l), on_timer, j);
    else
        tidy(j);
}

void jobfiles_look(struct jobfiles *j)
{
    if (j)
        loop_timer_set(j->loop, &j->timer, "jobfiles", loop_now(j->loop) + JOBFILES_SETTLE_MS,
                       on_timer, j);
}

static void on_watch(struct loop *l, int fd, uint32_t events, void *arg)
{
    char ignored[4096];
    (void)l;
    (void)events;
    while (read(fd, ignored, sizeof ignored) > 0)
        ;
    jobfiles_look(arg);
}

int jobfiles_open(const struct runner_paths *paths, struct loop *loop, struct jobfiles **ret,
                  struct error *err)
{
    const uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB;
    struct jobfiles *j = mem_zalloc(1, sizeof *j);
    j->paths = paths;
    j->loop = loop;
    j->program = compiled_program();
    j->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int rc = 0;
    if (j->watch < 0 || inotify_add_watch(j->watch, paths->jobfiles, changes) < 0 ||
        inotify_add_watch(j->watch, paths->packages, IN_MOVED_TO | IN_DELETE) < 0)
        rc =
            error_errno(err, errno, "cannot watch '%s' and '%s'", paths->jobfiles, paths->packages);
    if (rc == 0)
        rc = loop_add(loop, j->watch, EPOLLIN, on_watch, j, err);
    if (rc < 0) {
        jobfiles_close(&j);
        return rc;
    }
    loop_timer_set(loop, &j->timer, "jobfiles", loop_now(loop), on_timer, j);
    *ret = j;
    return 0;
}

void jobfiles_close(struct jobfiles **pj)
{
    struct jobfiles *j = *pj;
    if (!j)
        return;
    loop_timer_stop(j->loop, &j->timer);
    if (j->watch >= 0) {
        loop_del(j->loop, j->watch);
        close(j->watch);
    }
    for (size_t i = 0; i < j->n; i++)
        mem_free(&j->v[i].name);
    mem_free(&j->v);
    mem_free(&j->program);
    mem_free(pj);
}
