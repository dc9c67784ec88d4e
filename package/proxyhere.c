/* proxyhere.c - see proxyhere.h. */
#include "package/proxyhere.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/ownfile.h"
#include "package/proxyfile.h"
#include "package/subsystemfile.h"

enum { FILE_BYTES_MAX = 1 << 20 };

struct proxyhere_document {
    struct buf bytes;
    struct proxyhere_document *next;
};

static int read_text(const char *path, uid_t also, struct buf *out, struct error *err)
{
    struct stat st;
    int fd, rc = ownfile_open(path, also, &fd, &st, err);
    if (rc < 0)
        return rc;
    ssize_t n = file_read_all(fd, buf_grow(out, FILE_BYTES_MAX + 1), FILE_BYTES_MAX + 1);
    close(fd);
    if (n < 0)
        return error_errno(err, (int)-n, "cannot read '%s'", path);
    if (n > FILE_BYTES_MAX)
        return error_set(err, -EFBIG, "'%s' is larger than %d bytes", path, (int)FILE_BYTES_MAX);
    out->n += (size_t)n;
    return 0;
}

static int join(const struct problems *ps, struct error *err)
{
    struct buf all = {0};
    for (size_t i = 0; i < ps->n; i++)
        if (!ps->v[i].warning)
            buf_printf(&all, "%s%s", all.n ? "; " : "", ps->v[i].text);
    int rc = error_set(err, -EINVAL, "%s", buf_str(&all));
    buf_free(&all);
    return rc;
}

static int read_here(void *self, const char *kind, const char *path, const char *shown,
                     struct span *ret, struct error *err)
{
    struct proxyhere *h = self;
    struct buf text = {0};
    struct problems ps = {0};
    struct proxyhere_document *d = mem_zalloc(1, sizeof *d);
    const bool is_proxy = strcmp(kind, "proxy") == 0;
    d->next = h->documents;
    h->documents = d;
    int rc = read_text(path, h->server.also, &text, err);
    if (rc == 0) {
        rc = is_proxy ? proxyfile_compile(shown, buf_span(&text), &d->bytes, &ps)
                      : subsystemfile_compile(shown, buf_span(&text), &d->bytes, &ps);
        if (rc < 0)
            rc = join(&ps, err);
    }
    *ret = buf_span(&d->bytes);
    problems_free(&ps);
    buf_free(&text);
    return rc;
}

static void read_builders(struct proxyhere *h, const struct paths *paths)
{
    struct buf text = {0};
    char *path = mem_printf("%s/trust/signers", paths->config);
    if (file_read(path, BUILDERS_BYTES, &text, NULL) == 0)
        builders_parse(buf_span(&text), &h->builders, &h->n_builders);
    mem_free(&path);
    buf_free(&text);
}

static uid_t owner_of(const char *folder, const char *name, uid_t otherwise)
{
    struct stat st;
    char *path = mem_printf("%s/%s", folder, name);
    if (lstat(path, &st) < 0)
        st.st_uid = otherwise;
    mem_free(&path);
    return st.st_uid;
}

void proxyhere_open(struct proxyhere *h, const struct paths *paths)
{
    const uid_t runner = owner_of(paths->run, "runner.sock", geteuid());
    const struct passwd *pw = getpwuid(runner);
    *h = (struct proxyhere){.proxies = mem_printf("%s/" PROXY_FOLDER, paths->config),
                            .subsystems = mem_printf("%s/subsystems.d", paths->config),
                            .user =
                                pw ? mem_strdup(pw->pw_name) : mem_printf("%u", (unsigned)runner)};
    h->server = (struct proxyserver){.proxies = h->proxies,
                                     .subsystems = h->subsystems,
                                     .user = h->user,
                                     .separated = runner == 0,
                                     .also = runner,
                                     .read = read_here,
                                     .self = h};
    if (h->server.separated) { /* folders that belong to its other parts */
        h->server.own.uids[0] = owner_of(paths->run, "worker", 0);
        h->server.own.uids[1] = owner_of(paths->state, "packages", 0);
        h->server.own.n = 2;
    }
    read_builders(h, paths);
}

void proxyhere_close(struct proxyhere *h)
{
    for (struct proxyhere_document *d = h->documents, *next; d; d = next) {
        next = d->next;
        buf_free(&d->bytes);
        mem_free(&d);
    }
    proxyserver_close(&h->server);
    mem_free(&h->proxies);
    mem_free(&h->subsystems);
    mem_free(&h->user);
    mem_free(&h->builders);
    *h = (struct proxyhere){0};
}

int proxyhere_judge_signer(const struct proxyhere *h, const struct proxy_found *found,
                           const struct hash *signer_key, struct error *err)
{
    const struct builder *signer = builders_find(h->builders, h->n_builders, signer_key);
    if (!signer)
        return error_set(err, -EACCES, "the package has no signature of a signer in trust/signers");
    return proxy_judge_signer(&found->proxy, found->file, signer, err);
}
