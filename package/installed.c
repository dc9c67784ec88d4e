/* installed.c - see installed.h. */
#include "package/installed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/id.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "package/unpack.h"
#include "trust/fingerprint.h"

enum { RUNNABLE_MAX = 4 << 20 };

struct installed_store {
    struct installed_package *v;
    size_t n;
};

static void package_free(struct installed_package *p)
{
    mem_free(&p->folder);
    mem_free(&p->name);
    mem_free(&p->version);
    mem_free(&p->trouble);
    buf_free(&p->bytes);
}

void installed_close(struct installed_store **s)
{
    for (size_t i = 0; *s && i < (*s)->n; i++)
        package_free(&(*s)->v[i]);
    if (*s)
        mem_free(&(*s)->v);
    mem_free(s);
}

static uint64_t size_of(const char *folder)
{
    struct buf json = {0};
    struct manifest m;
    uint64_t size = 0;
    char *path = mem_printf("%s/" PACKAGE_MANIFEST, folder);
    if (file_read(path, LIMIT_MANIFEST, &json, NULL) == 0 &&
        manifest_from_json(buf_span(&json), &m, NULL) == 0) {
        for (size_t i = 0; i < m.n_files; i++)
            size += m.files[i].size;
        manifest_free(&m);
    }
    mem_free(&path);
    buf_free(&json);
    return size;
}

static int read_package(struct installed_package *p, struct error *err)
{
    struct stat st;
    char *path = mem_printf("%s/" UNPACK_RUNNABLE, p->folder);
    int rc = file_read(path, RUNNABLE_MAX, &p->bytes, err);
    mem_free(&path);
    if (rc < 0 || (rc = d_runnable_decode(buf_span(&p->bytes), &p->runnable, err)) < 0)
        return rc;
    if (!hash_eq(&p->runnable.package, &p->hash))
        return error_set(err, -EBADMSG,
                         "'%s' holds a package other than the one that it is named after",
                         p->folder);
    if (stat(p->folder, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", p->folder);
    p->name = span_dup_str(p->runnable.name);
    p->version = span_dup_str(p->runnable.version);
    p->installed_at = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    p->size = size_of(p->folder);
    return 0;
}

static int by_name_and_time(const void *a, const void *b)
{
    const struct installed_package *x = a, *y = b;
    if (!x->trouble != !y->trouble)
        return x->trouble ? 1 : -1;
    if (x->trouble)
        return memcmp(&x->hash, &y->hash, sizeof x->hash);
    int c = strcmp(x->name, y->name);
    if (c == 0)
        c = x->installed_at > y->installed_at ? -1 : x->installed_at < y->installed_at;
    return c ? c : memcmp(&x->hash, &y->hash, sizeof x->hash);
}

int installed_open(const char *folder, struct installed_store **ret, struct error *err)
{
    struct installed_store *s = mem_zalloc(1, sizeof *s);
    struct error why;
    DIR *dir = opendir(folder);
    const struct dirent *e;
    if (!dir && errno != ENOENT) {
        int rc = error_errno(err, errno, "cannot read the packages in '%s'", folder);
        mem_free(&s);
        return rc;
    }
    while (dir && (e = readdir(dir))) {
        struct installed_package p = {0};
        if (hex_parse(e->d_name, p.hash.b, sizeof p.hash.b) < 0)
            continue; /* an unpacker's temporary folder, or not ours */
        p.folder = mem_printf("%s/%s", folder, e->d_name);
        if (read_package(&p, &why) < 0) {
            p.trouble = mem_strdup(why.text);
            p.runnable = (struct d_runnable){0};
        }
        s->v = mem_realloc(s->v, s->n + 1, sizeof *s->v);
        s->v[s->n++] = p;
    }
    if (dir)
        closedir(dir);
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_name_and_time);
    *ret = s;
    return 0;
}

/* A package that was altered would be refused at each step, so it counts as missing and is fetched
 * again. One that an older version has installed has no fingerprint and cannot be judged. */
static int check_whole(const char *folder, struct error *err)
{
    struct fingerprint *f = NULL;
    struct buf bytes = {0};
    char *path = mem_printf("%s/" FINGERPRINT_NAME, folder);
    int rc = file_read(path, FINGERPRINT_MAX, &bytes, err);
    bool missing = rc == -ENOENT;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0)
        rc = fingerprint_parse(buf_span(&bytes), &f, err);
    if (rc == 0)
        rc = fingerprint_check(f, fd, UNPACK_RUNNABLE, SIZE_MAX, err);
    if (fd >= 0)
        close(fd);
    fingerprint_free(&f);
    buf_free(&bytes);
    mem_free(&path);
    return missing ? 0 : rc;
}

void installed_check_files(struct installed_store *s)
{
    struct error why;
    for (size_t i = 0; i < s->n; i++) {
        struct installed_package *p = &s->v[i];
        if (p->trouble || check_whole(p->folder, &why) == 0)
            continue;
        p->trouble = mem_strdup(why.text);
        p->runnable = (struct d_runnable){0};
    }
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_name_and_time);
}

const struct installed_package *installed_at(const struct installed_store *s, size_t i)
{
    return i < s->n ? &s->v[i] : NULL;
}

const struct installed_package *installed_by_hash(const struct installed_store *s,
                                                  const struct hash *h)
{
    for (size_t i = 0; i < s->n; i++)
        if (!s->v[i].trouble && hash_eq(&s->v[i].hash, h))
            return &s->v[i];
    return NULL;
}

/* Is `version` the wanted one, or one of its family? */
static bool version_fits(const char *version, const char *wanted)
{
    size_t n = strlen(wanted);
    return strncmp(version, wanted, n) == 0 && (version[n] == 0 || version[n] == '.');
}

static void refuse(const struct installed_store *s, const char *name, const char *wanted,
                   struct error *err)
{
    struct buf versions = {0};
    const char **names = mem_zalloc(s->n + 1, sizeof *names);
    char hint[SUGGEST_TEXT];
    size_t n = 0;
    for (size_t i = 0; i < s->n && !s->v[i].trouble; i++) {
        names[n++] = s->v[i].name;
        if (strcmp(s->v[i].name, name) == 0)
            buf_printf(&versions, "%s%s", versions.n ? ", " : "", s->v[i].version);
    }
    if (versions.n)
        error_set(err, -ENOENT, "package '%s' is here, but not version %s (there is %.200s)", name,
                  wanted, buf_str(&versions));
    else
        error_set(err, -ENOENT, "package '%.80s' is not installed here%s", name,
                  suggest_hint(name, names, hint));
    mem_free(&names);
    buf_free(&versions);
}

int installed_find(const struct installed_store *s, const char *name_at_version,
                   const struct installed_package **ret, struct error *err)
{
    const char *at = strchr(name_at_version, '@'), *wanted = at ? at + 1 : NULL;
    char *name = span_dup_str(
        span_of(name_at_version, at ? (size_t)(at - name_at_version) : strlen(name_at_version)));
    const struct installed_package *best = NULL;
    for (size_t i = 0; i < s->n && !s->v[i].trouble; i++) {
        const struct installed_package *p = &s->v[i];
        if (strcmp(p->name, name) != 0 || (wanted && !version_fits(p->version, wanted)))
            continue;
        if (!best || (wanted && manifest_version_compare(p->version, best->version) > 0))
            best = p; /* the first of a name is the last installed */
    }
    if (best)
        *ret = best;
    else
        refuse(s, name, wanted, err);
    mem_free(&name);
    return best ? 0 : -ENOENT;
}

int installed_find_package(void *self, const char *name_at_version, struct hash *ret_hash,
                           struct span *ret_runnable, struct error *err)
{
    const struct installed_package *p;
    int rc = installed_find(self, name_at_version, &p, err);
    if (rc == 0) {
        *ret_hash = p->hash;
        *ret_runnable = buf_span(&p->bytes);
    }
    return rc;
}
