/* compiled.c - see compiled.h. */
#include "runner/compiled.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/ownfile.h"
#include "proto/limits.h"
#include "runner/parsed.h"

enum {
    FILES = 64,   /* remembered */
    RACY_MS = 100 /* two changes so close together may leave the same times behind */
};

struct compiled_file {
    char *path;
    struct stat st;
    struct buf document;
    struct error failed; /* code 0: `document` holds */
    int64_t again_at;    /* wall; not 0: the failure is lbparse's, and lasts until then */
    bool settled;        /* the file was not being changed when it was read */
    uint64_t used;
};

struct compiled {
    char *program;
    const struct privilege_user *user;
    uid_t also;
    struct compiled_file file[FILES];
    uint64_t uses;
};

struct compiled *compiled_new(const char *program, const struct privilege_user *user, uid_t also)
{
    struct compiled *c = mem_zalloc(1, sizeof *c);
    c->program = mem_strdup(program);
    c->user = user;
    c->also = also;
    return c;
}

static void forget(struct compiled_file *f)
{
    mem_free(&f->path);
    buf_free(&f->document);
    *f = (struct compiled_file){0};
}

void compiled_free(struct compiled **pc)
{
    struct compiled *c = *pc;
    if (!c)
        return;
    for (unsigned i = 0; i < FILES; i++)
        forget(&c->file[i]);
    mem_free(&c->program);
    mem_free(pc);
}

/* The file's place, or the one that has not been used for longest. */
static struct compiled_file *place_of(struct compiled *c, const char *path)
{
    struct compiled_file *oldest = &c->file[0];
    for (unsigned i = 0; i < FILES; i++) {
        if (c->file[i].path && strcmp(c->file[i].path, path) == 0)
            return &c->file[i];
        if (c->file[i].used < oldest->used)
            oldest = &c->file[i];
    }
    forget(oldest);
    oldest->path = mem_strdup(path);
    return oldest;
}

static bool still_holds(const struct compiled_file *f, const struct stat *st, int64_t now)
{
    if (!f->settled || !ownfile_same(&f->st, st))
        return false;
    return !f->again_at || (now < f->again_at && now > f->again_at - 2 * COMPILED_AGAIN_MS);
}

static bool is_settled(const struct stat *st, int64_t now)
{
    const int64_t changed = (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;
    return now - changed > RACY_MS || changed - now > RACY_MS;
}

/* What is opened is examined again: the file may have changed since its name was. */
static int read_again(struct compiled *c, struct compiled_file *f, const char *kind,
                      const char *shown, int64_t now, struct error *err)
{
    int fd, rc = ownfile_open(f->path, c->also, &fd, &f->st, err);
    f->again_at = 0;
    f->settled = false;
    if (rc < 0)
        return rc;
    buf_clear(&f->document);
    rc = parsed_run(c->program, c->user, kind, shown, NULL, fd, COMPILED_WAIT_MS, LIMIT_PROXY,
                    &f->document, err);
    close(fd);
    f->settled = is_settled(&f->st, now);
    if (rc < 0 && rc != -EINVAL) {
        f->again_at = now + COMPILED_AGAIN_MS;
        f->settled = true; /* one that hangs must not cost its time at every step */
    }
    return rc;
}

int compiled_get(struct compiled *c, const char *kind, const char *path, const char *shown,
                 int64_t now, struct span *ret, struct error *err)
{
    struct stat st;
    int rc = ownfile_stat(path, c->also, &st, err);
    if (rc < 0)
        return rc;
    struct compiled_file *f = place_of(c, path);
    f->used = ++c->uses;
    if (!still_holds(f, &st, now)) {
        f->failed = (struct error){0};
        f->failed.code = read_again(c, f, kind, shown, now, &f->failed);
    }
    if (f->failed.code < 0)
        return error_set(err, f->failed.code, "%s", f->failed.text);
    *ret = buf_span(&f->document);
    return 0;
}

char *compiled_program(void)
{
    return file_beside_program("lbparse");
}
