/* desired.c - see desired.h.
 *
 *   WANTED --chunks--> FETCHED --signer's certificate--> CERTIFIED --S_INSTALL--> INSTALLING
 *   --S_INSTALLED--> here
 *
 * A failure anywhere leads to RESTING, and after a while back to WANTED. Files in var/incoming
 * are not trusted: the runner verifies hash and signature. */
#include "worker/desired.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/id.h"
#include "common/mem.h"

struct desired_wanted {
    enum { WANTED, FETCHED, CERTIFIED, INSTALLING, RESTING } state;
    struct hash package;
    char *name, *version;
    uint64_t size;
    struct buf deployment; /* d_signed */
    struct buf signature;  /* minisign file, came with the chunks */
    struct buf certificate;
    struct buf trouble;
    int64_t again_at;
};

struct desired {
    char *incoming;
    struct desired_calls calls;
    struct desired_wanted *v;
    size_t n;
    uint64_t req; /* of the request without an answer yet; 0: none */
    uint64_t last_req;
    int64_t asked_at;
    struct buf message;
};

int desired_open(struct desired **ret, const char *incoming, const struct desired_calls *calls,
                 struct error *err)
{
    int rc = file_make_dirs(incoming, 0700, err);
    if (rc < 0)
        return rc;
    struct desired *d = mem_zalloc(1, sizeof *d);
    d->incoming = mem_strdup(incoming);
    d->calls = *calls;
    *ret = d;
    return 0;
}

static void wanted_free(struct desired_wanted *w)
{
    mem_free(&w->name);
    mem_free(&w->version);
    buf_free(&w->deployment);
    buf_free(&w->signature);
    buf_free(&w->certificate);
    buf_free(&w->trouble);
}

void desired_close(struct desired **pd)
{
    struct desired *d = *pd;
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++)
        wanted_free(&d->v[i]);
    mem_free(&d->v);
    mem_free(&d->incoming);
    buf_free(&d->message);
    mem_free(pd);
}

static char *path_of(const struct desired *d, const struct desired_wanted *w)
{
    char hex[2 * sizeof w->package.b + 1];
    return mem_printf("%s/%s", d->incoming, hex_format(w->package.b, sizeof w->package.b, hex));
}

/* The one in work: the first that is not resting. */
static struct desired_wanted *current(struct desired *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].state != RESTING)
            return &d->v[i];
    return NULL;
}

static struct desired_wanted *find(struct desired *d, const struct hash *package)
{
    for (size_t i = 0; i < d->n; i++)
        if (hash_eq(&d->v[i].package, package))
            return &d->v[i];
    return NULL;
}

static void rest(struct desired *d, struct desired_wanted *w, int64_t now, struct span why)
{
    w->state = RESTING;
    w->again_at = now + DESIRED_RETRY_MS;
    d->req = 0;
    if (!span_eq(buf_span(&w->trouble), why)) {
        buf_clear(&w->trouble);
        buf_add(&w->trouble, why.p, why.n < LIMIT_TEXT ? why.n : LIMIT_TEXT);
        d->calls.changed(d->calls.self);
    }
}

/* ---- Asking */

static int64_t bytes_here(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static void ask(struct desired *d, int64_t now)
{
    d->asked_at = now;
    if (d->calls.send(d->calls.self, buf_span(&d->message)) < 0)
        d->req = 0; /* the next session, or the next tick, asks again */
}

static void ask_chunk(struct desired *d, struct desired_wanted *w, int64_t now)
{
    char *path = path_of(d, w);
    int64_t offset = bytes_here(path);
    if (!w->signature.n && offset && (uint64_t)offset >= w->size)
        offset =
            /* complete, but an earlier process received the signature: a request for one byte
             * brings it again */
            (int64_t)w->size - 1;
    struct m_get m = {.req = d->req = ++d->last_req,
                      .package = w->package,
                      .offset = (uint64_t)offset,
                      .length = LIMIT_CHUNK};
    buf_clear(&d->message);
    m_get_encode(&m, &d->message);
    mem_free(&path);
    ask(d, now);
}

static void ask_certificate(struct desired *d, struct desired_wanted *w, int64_t now)
{
    struct d_signed s;
    if (d_signed_decode(buf_span(&w->deployment), &s, NULL) < 0) {
        rest(d, w, now, span_str("malformed deployment"));
        return;
    }
    if (s.signer.n == 0) {
        w->state = CERTIFIED; /* signed by a key that needs no certificate */
        return;
    }
    struct m_certificate m = {.req = d->req = ++d->last_req, .name = s.signer, .serial = s.serial};
    buf_clear(&d->message);
    m_certificate_encode(&m, &d->message);
    ask(d, now);
}

static void install(struct desired *d, struct desired_wanted *w)
{
    char *path = path_of(d, w);
    struct s_install s = {.package = w->package,
                          .archive = span_str(path),
                          .signature = buf_span(&w->signature),
                          .deployment = buf_span(&w->deployment),
                          .certificate = buf_span(&w->certificate)};
    buf_clear(&d->message);
    s_install_encode(&s, &d->message);
    if (d->calls.install(d->calls.self, buf_span(&d->message)))
        w->state = INSTALLING;
    mem_free(&path);
}

static void go_on(struct desired *d, int64_t now)
{
    struct desired_wanted *w;
    while (!d->req && (w = current(d)) && w->state != INSTALLING) {
        if (w->state == WANTED) {
            ask_chunk(d, w, now);
            return;
        }
        if (w->state == FETCHED)
            ask_certificate(d, w, now);
        if (w->state == CERTIFIED) {
            install(d, w);
            return;
        }
        if (w->state == FETCHED)
            return;
    }
}

/* ---- Answers */

/* Takes a new list; work on a package that is still wanted goes on. */
void desired_set(struct desired *d, const struct m_desired *m, int64_t now)
{
    struct desired_wanted *old = d->v;
    size_t n_old = d->n, n = 0;
    struct desired_wanted *v = mem_zalloc(m->packages.count, sizeof *v);
    struct span item;
    struct desired_wanted *busy = current(d);
    struct hash busy_with = busy ? busy->package : (struct hash){{0}};
    for (struct wire_iter it = wire_iter(&m->packages); wire_next(&it, &item);) {
        struct d_deployed p;
        struct d_signed s;
        struct d_deployment what;
        if (d_deployed_decode(item, &p, NULL) < 0 || d_signed_decode(p.deployment, &s, NULL) < 0 ||
            d_deployment_decode(s.body, &what, NULL) < 0 || what.remove ||
            d->calls.has(d->calls.self, &what.package))
            continue;
        struct desired_wanted *w = find(d, &what.package);
        if (w) {
            v[n++] = *w;
            *w = (struct desired_wanted){.state = RESTING};
        } else {
            v[n++] = (struct desired_wanted){.package = what.package,
                                             .name = span_dup_str(what.name),
                                             .version = span_dup_str(what.version),
                                             .size = p.size,
                                             .deployment = buf_dup(p.deployment)};
        }
    }
    for (size_t i = 0; i < n_old; i++)
        wanted_free(&old[i]);
    mem_free(&old);
    d->v = v;
    d->n = n;
    busy = current(d);
    if (!busy || !hash_eq(&busy->package, &busy_with))
        d->req = 0;
    d->calls.changed(d->calls.self);
    go_on(d, now);
}

static int append(const char *path, uint64_t offset, struct span data, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot write '%s'", path);
    struct stat st;
    /* where the folder gives it to another group, that of the unpacker, it may read it */
    if (fstat(fd, &st) == 0 && st.st_gid != getegid() && fchmod(fd, 0640) < 0) {
        int why = errno;
        close(fd);
        return error_errno(err, why, "cannot let the unpacker read '%s'", path);
    }
    int rc = lseek(fd, (off_t)offset, SEEK_SET) < 0 ? -errno : file_write_all(fd, data.p, data.n);
    close(fd);
    return rc < 0 ? error_errno(err, -rc, "cannot write '%s'", path) : 0;
}

void desired_chunk(struct desired *d, const struct m_chunk *m, int64_t now)
{
    struct desired_wanted *w = current(d);
    struct error err = {0};
    if (!w || w->state != WANTED || m->req != d->req || !hash_eq(&m->package, &w->package))
        return;
    d->req = 0;
    char *path = path_of(d, w);
    uint64_t here = (uint64_t)bytes_here(path);
    if (m->offset > here || m->data.n == 0 || m->offset + m->data.n > m->size) {
        rest(d, w, now, span_str("the broker sent the wrong piece of the package"));
    } else if (append(path, m->offset, m->data, &err) < 0) {
        rest(d, w, now, span_str(err.text));
    } else {
        w->size = m->size;
        buf_clear(&w->signature);
        buf_add(&w->signature, m->signature.p, m->signature.n);
        if (m->offset + m->data.n == m->size)
            w->state = FETCHED;
    }
    mem_free(&path);
    go_on(d, now);
}

void desired_certificates(struct desired *d, const struct m_certificates *m, int64_t now)
{
    struct desired_wanted *w = current(d);
    struct wire_iter it = wire_iter(&m->certificates);
    struct span item;
    if (!w || w->state != FETCHED || m->req != d->req)
        return;
    d->req = 0;
    if (wire_next(&it, &item)) {
        buf_clear(&w->certificate);
        buf_add(&w->certificate, item.p, item.n);
        w->state = CERTIFIED;
    } else {
        rest(d, w, now, span_str("the broker lacks the certificate of its deployer"));
    }
    go_on(d, now);
}

/* As long as the broker asks for. */
static int64_t busy_ms(uint64_t retry_ms)
{
    return retry_ms < BUSY_RETRY_MS         ? BUSY_RETRY_MS
           : retry_ms > DESIRED_BUSY_MAX_MS ? DESIRED_BUSY_MAX_MS
                                            : (int64_t)retry_ms;
}

void desired_error(struct desired *d, const struct m_error *m, int64_t now)
{
    struct desired_wanted *w = current(d);
    if (!w || !d->req || m->req != d->req)
        return;
    rest(d, w, now, m->text);
    if (m->code == REFUSAL_BUSY)
        w->again_at = now + busy_ms(m->retry_ms);
    go_on(d, now);
}

static void remove_wanted(struct desired *d, struct desired_wanted *w)
{
    size_t at = (size_t)(w - d->v);
    wanted_free(w);
    memmove(w, w + 1, (--d->n - at) * sizeof *w);
}

void desired_installed(struct desired *d, const struct s_installed *s, int64_t now)
{
    struct desired_wanted *w = find(d, &s->package);
    if (!w || w->state != INSTALLING)
        return;
    char *path = path_of(d, w);
    unlink(path); /* it is installed, or it is wrong and will be fetched again */
    mem_free(&path);
    if (s->code == REFUSAL_NONE) {
        remove_wanted(d, w);
        d->calls.changed(d->calls.self);
    } else {
        rest(d, w, now, s->text);
    }
    go_on(d, now);
}

void desired_again(struct desired *d, int64_t now)
{
    d->req = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].state == INSTALLING)
            d->v[i].state = CERTIFIED;
    go_on(d, now);
}

void desired_retry(struct desired *d, int64_t now)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].state == RESTING)
            d->v[i].again_at = now;
    desired_tick(d, now);
}

void desired_tick(struct desired *d, int64_t now)
{
    if (d->req && now >= d->asked_at + DESIRED_SILENCE_MS)
        d->req = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].state == RESTING && now >= d->v[i].again_at)
            d->v[i].state = WANTED;
    go_on(d, now);
}

int64_t desired_deadline(const struct desired *d)
{
    int64_t at = d->req ? d->asked_at + DESIRED_SILENCE_MS : INT64_MAX;
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].state == RESTING && d->v[i].again_at < at)
            at = d->v[i].again_at;
    return at;
}

void desired_troubles(const struct desired *d, struct buf *items, uint32_t *count)
{
    struct buf one = {0};
    for (size_t i = 0; i < d->n && *count < LIMIT_JOBS; i++) {
        const struct desired_wanted *w = &d->v[i];
        struct d_attested_package p = {.name = span_str(w->name),
                                       .version = span_str(w->version),
                                       .package = w->package,
                                       .size = w->size,
                                       .trouble = w->trouble.n ? buf_span(&w->trouble)
                                                               : span_str("on its way")};
        buf_clear(&one);
        d_attested_package_encode(&p, &one);
        wire_add_bin(items, buf_span(&one));
        ++*count;
    }
    buf_free(&one);
}
