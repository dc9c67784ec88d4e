/* policy.c - see policy.h. */
#include "runner/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/mem.h"
#include "runner/separate.h"

enum {
    CERTIFICATES = 64 /* remembered */
};

/* A file as it was when it was read. */
struct watched {
    char *path;
    struct stat st;
    bool known;
};

struct remembered {
    struct hash bytes;
    struct certificate c;
};

struct policy {
    const struct runner_paths *paths;
    struct watched anchors_file, self_file, revocations_file, signers_file;
    struct trust_anchors anchors;
    struct certificate self;
    struct revocations revocations;
    char *revocations_own; /* the newest list that was ever taken */
    bool recalled;         /* that one has been read */
    uint64_t kept;         /* its number */
    struct builder *signers;
    size_t n_signers;
    struct remembered ring[CERTIFICATES];
    unsigned next;
};

/* True if it has changed, appeared or vanished since it was read. */
static bool changed(struct watched *w)
{
    struct stat st = {0};
    if (stat(w->path, &st) < 0)
        memset(&st, 0, sizeof st);
    if (w->known && st.st_ino == w->st.st_ino && st.st_dev == w->st.st_dev &&
        st.st_size == w->st.st_size &&
        memcmp(&st.st_mtim, &w->st.st_mtim, sizeof st.st_mtim) == 0 &&
        memcmp(&st.st_ctim, &w->st.st_ctim, sizeof st.st_ctim) == 0)
        return false;
    w->st = st;
    return true;
}

struct policy *policy_new(const struct runner_paths *paths)
{
    struct policy *p = mem_zalloc(1, sizeof *p);
    p->paths = paths;
    p->anchors_file.path = mem_printf("%s/administrators", paths->trust);
    p->self_file.path = mem_printf("%s/certificate", paths->trust);
    p->signers_file.path = mem_printf("%s/signers", paths->trust);
    p->revocations_file.path = mem_strdup(paths->revocations);
    p->revocations_own = mem_printf("%s/revocations", paths->own);
    return p;
}

static void forget_certificates(struct policy *p)
{
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        certificate_free(&p->ring[i].c);
        p->ring[i].bytes = (struct hash){{0}};
    }
}

void policy_free(struct policy **pp)
{
    struct policy *p = *pp;
    if (!p)
        return;
    forget_certificates(p);
    anchors_free(&p->anchors);
    certificate_free(&p->self);
    revocations_free(&p->revocations);
    mem_free(&p->signers);
    mem_free(&p->anchors_file.path);
    mem_free(&p->self_file.path);
    mem_free(&p->signers_file.path);
    mem_free(&p->revocations_file.path);
    mem_free(&p->revocations_own);
    mem_free(pp);
}

/* Our certificate contains the name of the cluster, but its signature can be verified only with
 * that name and the anchors. */
static int read_cluster(struct span bytes, char ret[LIMIT_NAME + 1], struct error *err)
{
    struct d_signed s;
    struct d_certificate c;
    int rc = d_signed_decode(bytes, &s, err);
    if (rc == 0)
        rc = d_certificate_decode(s.body, &c, err);
    if (rc == 0)
        span_copy_str(c.cluster, ret, LIMIT_NAME + 1);
    return rc;
}

/* The certificate lies where the worker may renew it. A captured one could put another server's
 * there, which is no secret, and be given that server's work; or an older one of its own, which had
 * more pools. So the name and the highest serial are remembered where only root writes. */
static int check_name(struct policy *p, const struct certificate *self, struct error *err)
{
    struct buf known = {0}, line = {0};
    const size_t n = strlen(self->name);
    if (!p->paths->separated)
        return 0;
    char *path = mem_printf("%s/server", p->paths->own);
    buf_printf(&line, "%s %llu", self->name, (unsigned long long)self->serial);
    int rc = file_read(path, LIMIT_NAME + 32, &known, err);
    const char *text = buf_str(&known);
    const bool same = strncmp(text, self->name, n) == 0 && text[n] == ' ';
    const unsigned long long newest = same ? strtoull(text + n, NULL, 10) : 0;
    if (rc == -ENOENT || (rc == 0 && same && newest < self->serial))
        rc = file_write_atomic(path, buf_span(&line), 0400, err);
    else if (rc == 0 && (!same || newest > self->serial))
        rc = error_set(err, -EPERM,
                       "the certificate is of server '%s' (serial %llu), and so far this one was "
                       "'%s'; if it was really joined anew, remove '%s'",
                       self->name, (unsigned long long)self->serial, text, path);
    buf_free(&known);
    buf_free(&line);
    mem_free(&path);
    return rc;
}

/* What the worker writes is read with its rights: it may be closed to others, or a link to what is
 * none of its business. */
static int as_worker(const struct policy *p, struct error *err)
{
    return p->paths->separated ? privilege_files_as(&p->paths->worker, err) : 0;
}

static int as_ourselves(const struct policy *p, int rc, struct error *err)
{
    int back = p->paths->separated ? privilege_files_as(NULL, rc < 0 ? NULL : err) : 0;
    return rc < 0 ? rc : back;
}

int policy_read_of_worker(const struct policy *p, const char *path, size_t most, struct buf *out,
                          struct error *err)
{
    int rc = as_worker(p, err);
    return rc < 0 ? rc : as_ourselves(p, file_read(path, most, out, err), err);
}

static int load_self(struct policy *p, int64_t now, enum refusal *code, struct error *err)
{
    struct buf bytes = {0};
    struct trust_anchors anchors = {0};
    struct certificate self = {0};
    char cluster[LIMIT_NAME + 1];
    *code = REFUSAL_UNKNOWN_PRINCIPAL;
    struct error why = {0};
    int rc = policy_read_of_worker(p, p->self_file.path, LIMIT_CERTIFICATE, &bytes, err);
    if (rc == 0 && (rc = read_cluster(buf_span(&bytes), cluster, &why)) < 0)
        error_set(err, rc,
                  "'%s' is empty or damaged (%s): join the cluster again with a new token "
                  "(lbctl invite --server NAME, then lbworker join --force)",
                  p->self_file.path, why.text);
    if (rc == 0)
        rc = separate_is_roots(p->paths, p->anchors_file.path, err);
    if (rc == 0)
        rc = anchors_load(p->anchors_file.path, cluster, &anchors, err);
    if (rc == 0)
        rc = certificate_verify(buf_span(&bytes), &anchors, now, &self, code, err);
    if (rc == 0 && self.role != ROLE_SERVER) {
        rc = error_set(err, -EPERM, "'%s' is the certificate of a %s, not of a server",
                       p->self_file.path, role_word(self.role));
        *code = REFUSAL_WRONG_ROLE;
    }
    if (rc == 0)
        rc = check_name(p, &self, err);
    buf_free(&bytes);
    if (rc < 0) {
        anchors_free(&anchors);
        certificate_free(&self);
        return error_prefix(err, "this server has no valid identity (run `lbworker join`)");
    }
    bool other_cluster = strcmp(p->anchors.cluster, anchors.cluster) != 0;
    anchors_free(&p->anchors);
    certificate_free(&p->self);
    forget_certificates(p); /* one of them may rest on a former administrator */
    if (other_cluster) {
        revocations_free(&p->revocations);
        p->recalled = false;
        p->kept = 0;
    }
    p->anchors = anchors;
    p->self = self;
    return 0;
}

/* Without the file no package is trusted. */
static int load_signers(struct policy *p, struct error *err)
{
    struct buf text = {0};
    struct builder *signers = NULL;
    size_t n = 0;
    int rc = separate_is_roots(p->paths, p->signers_file.path, err);
    if (rc == 0)
        rc = file_read(p->signers_file.path, BUILDERS_BYTES, &text, err);
    if (rc == 0)
        builders_parse(buf_span(&text), &signers, &n);
    buf_free(&text);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    mem_free(&p->signers);
    p->signers = signers;
    p->n_signers = n;
    return 0;
}

/* The worker brings the list, and a captured one could take it away or bring an older one before
 * the runner starts again. So the newest is kept where only the runner writes. */
static int load_revocations(struct policy *p, struct error *err)
{
    int rc = 0;
    if (!p->recalled &&
        (rc = revocations_recall(&p->revocations, p->revocations_own, p->anchors.cluster, err)) < 0)
        return rc;
    if (!p->recalled)
        p->kept = p->revocations.number;
    p->recalled = true;
    if ((rc = as_worker(p, err)) == 0)
        rc = as_ourselves(
            p, revocations_load(&p->revocations, p->revocations_file.path, &p->anchors, err), err);
    if (rc == -ESTALE) {
        const struct error why = *err;
        error_set(err, rc, "%s; if the cluster was really made anew, remove '%s'", why.text,
                  p->revocations_own);
    }
    if (rc < 0 || p->revocations.number == p->kept)
        return rc;
    rc = file_write_atomic(p->revocations_own, buf_span(&p->revocations.signed_bytes), 0400, err);
    if (rc == 0)
        p->kept = p->revocations.number;
    return rc;
}

int policy_refresh(struct policy *p, int64_t now, enum refusal *code, struct error *err)
{
    int rc = 0;
    bool anchors = changed(&p->anchors_file), self = changed(&p->self_file);
    p->anchors_file.known = p->self_file.known =
        p->anchors_file.known && p->self_file.known && !anchors && !self;
    if (!p->self_file.known && (rc = load_self(p, now, code, err)) < 0)
        return rc;
    p->anchors_file.known = p->self_file.known = true;
    if (now >= p->self.not_after) {
        *code = REFUSAL_EXPIRED_CERTIFICATE;
        return error_set(
            err, -EPERM,
            "this server's certificate has expired. An administrator can run: lbctl certificates "
            "renew %s",
            p->self.name);
    }
    *code = REFUSAL_INTERNAL;
    p->signers_file.known &= !changed(&p->signers_file);
    if (!p->signers_file.known && (rc = load_signers(p, err)) < 0)
        return rc;
    p->signers_file.known = true;
    p->revocations_file.known &= !changed(&p->revocations_file);
    if (!p->revocations_file.known) {
        rc = load_revocations(p, err);
        if (rc < 0) {
            *code = REFUSAL_REVOKED;
            return error_prefix(
                err, "the list of revocations is not valid, so no certificate is trusted");
        }
    }
    p->revocations_file.known = true;
    return 0;
}

const struct trust_anchors *policy_anchors(const struct policy *p)
{
    return &p->anchors;
}

const struct certificate *policy_self(const struct policy *p)
{
    return &p->self;
}

bool policy_revoked(const struct policy *p, uint64_t serial)
{
    return revocations_contain(&p->revocations, serial);
}

int policy_judge_signer(const struct policy *p, const struct hash *signer_key, struct span name,
                        int64_t now, const struct builder **ret, struct error *err)
{
    *ret = NULL;
    if (p->paths->undeployed) /* the files of the person whose user the child is */
        return 0;
    return builders_judge(p->signers, p->n_signers, signer_key, name, now, ret, err);
}

bool policy_is_addressed(const struct policy *p, struct span address)
{
    if (span_eq_str(address, "all") || span_eq_str(address, p->self.name))
        return true;
    for (size_t i = 0; i < p->self.n_pools; i++)
        if (span_eq_str(address, p->self.pools[i]))
            return true;
    return false;
}

static int find_certificate(struct policy *p, struct span bytes, int64_t now,
                            const struct certificate **ret, enum refusal *code, struct error *err)
{
    struct hash h;
    envelope_hash(bytes, &h);
    for (unsigned i = 0; i < CERTIFICATES; i++)
        if (hash_eq(&p->ring[i].bytes, &h)) {
            *ret = &p->ring[i].c;
            return 0;
        }
    struct certificate c = {0};
    int rc = certificate_verify(bytes, &p->anchors, now, &c, code, err);
    if (rc < 0)
        return rc;
    struct remembered *r = &p->ring[p->next++ % CERTIFICATES];
    certificate_free(&r->c);
    *r = (struct remembered){.bytes = h, .c = c};
    *ret = &r->c;
    return 0;
}

int policy_certificate(struct policy *p, struct span bytes, int64_t now,
                       const struct certificate **ret, enum refusal *code, struct error *err)
{
    int rc = find_certificate(p, bytes, now, ret, code, err);
    if (rc < 0)
        return rc;
    const struct certificate *c = *ret;
    if (now >= c->not_after || now + CLOCK_SKEW_MS < c->not_before) {
        *code = REFUSAL_EXPIRED_CERTIFICATE;
        return error_set(
            err, -EPERM,
            "the certificate of '%s' is not valid at present. An administrator can run: lbctl "
            "certificates renew %s",
            c->name, c->name);
    }
    if (policy_revoked(p, c->serial)) {
        *code = REFUSAL_REVOKED;
        return error_set(err, -EPERM, "the certificate of '%s' (serial %llu) has been revoked",
                         c->name, (unsigned long long)c->serial);
    }
    return 0;
}

int policy_asker(struct policy *p, struct span bytes, int64_t now, const struct certificate **ret,
                 enum refusal *ret_code, struct error *err)
{
    int rc = policy_certificate(p, bytes, now, ret, ret_code, err);
    if (rc < 0 || (*ret)->role == ROLE_CALLER || (*ret)->role == ROLE_ADMINISTRATOR)
        return rc;
    *ret_code = REFUSAL_WRONG_ROLE;
    return error_set(err, -EPERM,
                     "'%s' is a %s; only callers and administrators can ask for something here",
                     (*ret)->name, role_word((*ret)->role));
}
