/* intact.c - see intact.h. */
#include "runner/intact.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hashtable.h"
#include "common/log.h"
#include "common/mem.h"
#include "runner/runnerpaths.h"
#include "trust/envelope.h"
#include "trust/fingerprint.h"

enum { PARSED = 8 /* fingerprints that a keeper holds: a large one has megabytes */ };

struct intact_known {
    struct hash package, print, runnable;
    UT_hash_handle hh;
};

struct intact_parsed {
    struct hash package, print;
    struct fingerprint *f;
};

struct intact {
    struct intact_known *known;
    struct intact_parsed parsed[PARSED];
    unsigned next;
};

struct intact *intact_new(void)
{
    return mem_zalloc(1, sizeof(struct intact));
}

static void drop(struct intact *t, struct intact_known *k)
{
    HASH_DEL(t->known, k);
    mem_free(&k);
}

void intact_free(struct intact **pt)
{
    struct intact *t = *pt;
    struct intact_known *k, *next;
    if (!t)
        return;
    HASH_ITER (hh, t->known, k, next)
        drop(t, k);
    for (unsigned i = 0; i < PARSED; i++)
        fingerprint_free(&t->parsed[i].f);
    mem_free(pt);
}

static int load(const char *packages, const struct hash *package, struct fingerprint **ret,
                struct hash *ret_print, struct error *err)
{
    struct buf bytes = {0};
    char *folder = runner_paths_of_hash(packages, package);
    char *path = mem_printf("%s/" FINGERPRINT_NAME, folder);
    int rc = file_read(path, FINGERPRINT_MAX, &bytes, err);
    if (rc == 0)
        rc = fingerprint_parse(buf_span(&bytes), ret, err);
    if (rc == 0)
        envelope_hash(buf_span(&bytes), ret_print);
    else
        error_prefix(err, "%s", path);
    buf_free(&bytes);
    mem_free(&path);
    mem_free(&folder);
    return rc;
}

/* ---- The runner's side */

static struct intact_known *find_known(struct intact *t, const struct hash *package)
{
    struct intact_known *k;
    HASH_FIND(hh, t->known, package, sizeof *package, k);
    return k;
}

static int get_to_know(struct intact *t, const char *packages, const struct installed *i,
                       struct intact_known **ret, struct error *err)
{
    struct intact_known fresh = {.package = i->runnable.package};
    struct fingerprint *f = NULL;
    int rc = load(packages, &fresh.package, &f, &fresh.print, err);
    if (rc == -ENOENT)
        log_warn("package " SPAN_FMT " was installed by an older version: nothing tells whether "
                 "its files are altered; deploy it again",
                 SPAN_ARG(i->runnable.name));
    else if (rc < 0)
        return rc;
    const struct hash *runnable = f ? fingerprint_of(f, "runnable") : NULL;
    if (runnable)
        fresh.runnable = *runnable;
    fingerprint_free(&f);
    struct intact_known *k = mem_dup(&fresh, sizeof fresh);
    HASH_ADD(hh, t->known, package, sizeof k->package, k);
    *ret = k;
    return 0;
}

int intact_ask(struct intact *t, const char *packages, const struct installed *i, struct hash *ret,
               struct error *err)
{
    struct hash h;
    struct intact_known *k = find_known(t, &i->runnable.package);
    if (!k) {
        int rc = get_to_know(t, packages, i, &k, err);
        if (rc < 0)
            return rc;
    }
    envelope_hash(buf_span(&i->bytes), &h);
    if (!hash_is_zero(&k->print) && !hash_eq(&h, &k->runnable))
        return error_set(err, -EPERM,
                         "'runnable' of package " SPAN_FMT
                         " was altered after it was installed; install it again",
                         SPAN_ARG(i->runnable.name));
    *ret = k->print;
    return 0;
}

void intact_forget(struct intact *t, const struct hash *package)
{
    struct intact_known *k = find_known(t, package);
    if (k)
        drop(t, k);
}

/* ---- The keeper's side */

static int find_parsed(struct intact *t, const char *packages, const struct s_launch *l,
                       struct fingerprint **ret, struct error *err)
{
    struct intact_parsed fresh = {.package = l->package};
    for (unsigned i = 0; i < PARSED; i++)
        if (t->parsed[i].f && hash_eq(&t->parsed[i].package, &l->package) &&
            memcmp(t->parsed[i].print.b, l->fingerprint.p, l->fingerprint.n) == 0) {
            *ret = t->parsed[i].f;
            return 0;
        }
    int rc = load(packages, &l->package, &fresh.f, &fresh.print, err);
    if (rc == 0 && memcmp(fresh.print.b, l->fingerprint.p, l->fingerprint.n) != 0) {
        fingerprint_free(&fresh.f);
        rc = error_set(err, -EPERM,
                       "the fingerprint of package " SPAN_FMT
                       " was altered after it was installed; install it again",
                       SPAN_ARG(l->package_name));
    }
    if (rc < 0)
        return rc;
    struct intact_parsed *p = &t->parsed[t->next++ % PARSED];
    fingerprint_free(&p->f);
    *p = fresh;
    *ret = fresh.f;
    return 0;
}

int intact_check(struct intact *t, const char *packages, const struct s_launch *l,
                 struct error *err)
{
    struct fingerprint *f;
    if (l->fingerprint.n != sizeof l->package.b)
        return 0;
    int rc = find_parsed(t, packages, l, &f, err);
    if (rc < 0)
        return rc;
    char *path = runner_paths_of_hash(packages, &l->package);
    char *entry = mem_printf("files/" SPAN_FMT, SPAN_ARG(l->entry));
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        rc = error_errno(err, errno, "cannot open '%s'", path);
    else
        rc = fingerprint_check(f, folder, entry, FINGERPRINT_AT_ONCE, err);
    if (rc < 0)
        error_prefix(err, "package " SPAN_FMT, SPAN_ARG(l->package_name));
    if (folder >= 0)
        close(folder);
    mem_free(&entry);
    mem_free(&path);
    return rc;
}
