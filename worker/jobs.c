/* jobs.c - see jobs.h. */
#include "worker/jobs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "package/jobfile.h"
#include "proto/packagejob.h"
#include "trust/secretdoc.h"
#include "worker/older.h"

struct jobs {
    char *files, *packages, *compiled;
    struct installed_store *store;
    struct job_here *v;
    size_t n;
    unsigned troubled;
    bool read_only, must_be_kept;
    struct answers *answers;
    struct buf older; /* of jobs_find */
};

static void free_one(struct job_here *h)
{
    mem_free(&h->refused);
    mem_free(&h->name);
    buf_free(&h->bytes);
    buf_free(&h->attested);
}

static void free_list(struct job_here *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free_one(&v[i]);
    mem_free(&v);
}

int jobs_open(struct jobs **ret, const struct jobs_folders *f, struct error *err)
{
    const char *const folders[] = {f->files, f->packages, f->compiled};
    int rc = 0;
    for (size_t i = 0; rc == 0 && !f->read_only && i < sizeof folders / sizeof *folders; i++)
        rc = file_make_dirs(folders[i], 0755, err);
    if (rc < 0)
        return rc;
    struct jobs *j = mem_zalloc(1, sizeof *j);
    j->files = mem_strdup(f->files);
    j->packages = mem_strdup(f->packages);
    j->compiled = mem_strdup(f->compiled);
    j->read_only = f->read_only;
    j->must_be_kept = f->must_be_kept;
    j->answers = f->answers;
    *ret = j;
    return 0;
}

void jobs_close(struct jobs **pj)
{
    struct jobs *j = *pj;
    if (!j)
        return;
    free_list(j->v, j->n);
    installed_close(&j->store);
    buf_free(&j->older);
    mem_free(&j->files);
    mem_free(&j->packages);
    mem_free(&j->compiled);
    mem_free(pj);
}

/* ---- What is attested of one job */

struct lists {
    struct buf packages, needs, parameters;
    uint32_t n_packages, n_needs;
    bool idempotent;
    bool unknown;  /* the runner has yet to say something of a step */
    char *refused; /* the first step that it would refuse, and why; NULL: none */
};

static bool names_of_list(const struct buf *items, uint32_t count, struct span name)
{
    struct wire_list l = wire_list_from(items, count);
    struct wire_iter it = wire_iter(&l);
    struct span item;
    while (wire_next(&it, &item))
        if (span_eq(item, name))
            return true;
    return false;
}

static bool parameter_is_listed(struct span listed, struct span name)
{
    struct value v;
    struct d_parameter p;
    while (listed.n && value_read(&listed, &v))
        if (d_parameter_decode(v.bytes, &p, NULL) == 0 && span_eq(p.name, name))
            return true;
    return false;
}

/* As the job declares it, without what is for people alone: peers of older versions would not know
 * it. */
static void add_declared(struct lists *l, const struct d_job *job)
{
    struct span rest = job->parameters;
    struct d_parameter p;
    struct value v;
    struct buf one = {0};
    while (rest.n && value_read(&rest, &v))
        if (d_parameter_decode(v.bytes, &p, NULL) == 0) {
            p.description = SPAN_NONE;
            buf_clear(&one);
            d_parameter_encode(&p, &one);
            wire_add_bin(&l->parameters, buf_span(&one));
        }
    buf_free(&one);
}

/* A parameter of the call, declared like the package's parameter to which it is bound. */
static void add_parameter(struct lists *l, const struct d_binding *b, const struct d_runnable *r)
{
    struct d_parameter p = {.type = span_str("string"), .required = true};
    struct buf one = {0};
    struct span item;
    if (b->from != BINDING_CALL || parameter_is_listed(buf_span(&l->parameters), b->source))
        return;
    if (r)
        for (struct wire_iter it = wire_iter(&r->parameters); wire_next(&it, &item);) {
            struct d_parameter declared;
            if (d_parameter_decode(item, &declared, NULL) == 0 && span_eq(declared.name, b->name))
                p = declared;
        }
    p.name = b->source;
    d_parameter_encode(&p, &one);
    wire_add_bin(&l->parameters, buf_span(&one));
    buf_free(&one);
}

/* A need like others: without it the server gets no call of this job. */
static void add_secret(struct lists *l, struct span name)
{
    char *need = mem_printf(SECRETDOC_NEED SPAN_FMT, SPAN_ARG(name));
    if (l->n_needs < LIMIT_NEEDS && !names_of_list(&l->needs, l->n_needs, span_str(need))) {
        wire_add_str(&l->needs, span_str(need));
        l->n_needs++;
    }
    mem_free(&need);
}

static void add_answer(struct lists *l, const struct d_step *s, const struct answers_said *said)
{
    const struct wire_list needs =
        said ? wire_list_from(&said->needs, said->n_needs) : (struct wire_list){.count = 0};
    struct span item;
    struct d_need d;
    l->unknown |= !said;
    if (said && said->refused && !l->refused)
        l->refused = mem_printf("step '" SPAN_FMT "': %s", SPAN_ARG(s->name), said->refused);
    for (struct wire_iter it = wire_iter(&needs); wire_next(&it, &item);)
        if (d_need_decode(item, &d, NULL) == 0 && l->n_needs < LIMIT_NEEDS - 1 &&
            !names_of_list(&l->needs, l->n_needs, d.need)) {
            wire_add_str(&l->needs, d.need);
            l->n_needs++;
        }
}

static void add_step(const struct jobs *j, const struct d_step *s, struct lists *l)
{
    const struct installed_package *p =
        hash_is_zero(&s->package) ? NULL : installed_by_hash(j->store, &s->package);
    struct span item;
    l->idempotent &= p && p->runnable.idempotent;
    if (p) {
        if (!names_of_list(&l->packages, l->n_packages, span_of(p->hash.b, sizeof p->hash.b))) {
            wire_add_bin(&l->packages, span_of(p->hash.b, sizeof p->hash.b));
            l->n_packages++;
        }
    }
    if (j->answers)
        add_answer(l, s, answers_find(j->answers, s));
    for (struct wire_iter it = wire_iter(&s->bindings); wire_next(&it, &item);) {
        struct d_binding b;
        if (d_binding_decode(item, &b, NULL) < 0)
            continue;
        add_parameter(l, &b, p ? &p->runnable : NULL);
        if (b.from == BINDING_SECRET)
            add_secret(l, b.source);
    }
}

/* The need that stands for it: no package can state one of this kind. */
static const char *refusal_need(struct span job, char ret[LIMIT_SHORT + 1])
{
    snprintf(ret, LIMIT_SHORT + 1, "runner:" SPAN_FMT, SPAN_ARG(job));
    return ret;
}

static int attest(const struct jobs *j, struct job_here *h, struct error *err)
{
    struct d_job job;
    struct lists l = {.idempotent = true};
    struct span item;
    int rc = d_job_decode(buf_span(&h->bytes), &job, err);
    if (rc < 0)
        return rc;
    add_declared(&l, &job);
    for (struct wire_iter it = wire_iter(&job.steps); wire_next(&it, &item);) {
        struct d_step s;
        if (d_step_decode(item, &s, NULL) == 0)
            add_step(j, &s, &l);
    }
    if (l.parameters.n > LIMIT_MANIFEST)
        buf_clear(&l.parameters);
    if (l.refused || l.unknown) { /* the first is listed with its reason, the second is not */
        char need[LIMIT_SHORT + 1];
        wire_add_str(&l.needs, span_str(refusal_need(job.name, need)));
        l.n_needs++;
    }
    struct d_attested_job a = {.name = job.name,
                               .job_hash = h->hash,
                               .version = job.version,
                               .concurrency = job.concurrency,
                               .idempotent = l.idempotent,
                               .packages = wire_list_from(&l.packages, l.n_packages),
                               .needs = wire_list_from(&l.needs, l.n_needs),
                               .parameters = buf_span(&l.parameters),
                               .older = h->older};
    buf_clear(&h->attested);
    d_attested_job_encode(&a, &h->attested);
    mem_free(&h->name);
    h->name = span_dup_str(job.name);
    mem_free(&h->refused);
    h->refused = l.refused;
    buf_free(&l.packages);
    buf_free(&l.needs);
    buf_free(&l.parameters);
    return 0;
}

/* ---- Reading all of it */

struct jobs_reading {
    struct jobs *j;
    struct job_here *v;
    size_t n;
    unsigned troubled;
    jobs_uses_fn *uses;
    jobs_trouble_fn *trouble;
    void *self;
    int64_t now;
};

static char *path_of(const struct jobs *j, const struct hash *h)
{
    char hex[2 * sizeof h->b + 1];
    return mem_printf("%s/%s", j->compiled, hex_format(h->b, sizeof h->b, hex));
}

static int keep_compiled(const struct jobs *j, const struct job_here *h, struct error *err)
{
    char *path = path_of(j, &h->hash);
    bool there = access(path, F_OK) == 0;
    int rc = j->must_be_kept && !there ? -EAGAIN
             : j->read_only || there   ? 0
                                       : file_write_atomic(path, buf_span(&h->bytes), 0444, err);
    mem_free(&path);
    return rc;
}

/* Takes ownership of the bytes. */
static int add(struct jobs_reading *r, struct buf *bytes, bool file, unsigned older,
               struct error *err)
{
    struct job_here h = {.bytes = *bytes, .older = older};
    *bytes = (struct buf){0};
    jobfile_hash(buf_span(&h.bytes), &h.hash);
    int rc =
        r->n >= LIMIT_JOBS
            ? error_set(err, -E2BIG, "more than %d jobs and versions; remove some from etc/jobs",
                        LIMIT_JOBS)
            : attest(r->j, &h, err);
    if (rc == 0 && file)
        rc = keep_compiled(r->j, &h, err);
    if (rc < 0) {
        free_one(&h);
        return rc;
    }
    r->v = mem_realloc(r->v, r->n + 1, sizeof *r->v);
    r->v[r->n++] = h;
    return 0;
}

/* Anyone who can write a job file defines what runs here. */
static int judge_writers(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, -EPERM, "'%s' is not a regular file", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return error_set(err, -EPERM,
                         "'%s' belongs to another user (uid %u); root or the worker must own it",
                         path, (unsigned)st.st_uid);
    if (st.st_mode & 022)
        return error_set(err, -EPERM,
                         "'%s' can be written by others (mode %03o); run: chmod go-w %s", path,
                         (unsigned)st.st_mode & 0777, path);
    return 0;
}

/* Several things may be wrong with one file. */
static void tell_problems(struct jobs_reading *r, const char *path, const struct problems *ps)
{
    struct error err;
    for (size_t i = 0; i < ps->n; i++) {
        error_set(&err, -EINVAL, "%s", ps->v[i].text);
        r->trouble(r->self, path, &err);
    }
}

static void read_file(struct jobs_reading *r, const char *name)
{
    size_t n = strlen(name);
    struct error err = {0};
    struct buf bytes = {0};
    struct problems ps = {0};
    if (n < 6 || strcmp(name + n - 5, ".yaml") != 0 || name[0] == '.')
        return;
    char *path = mem_printf("%s/%s", r->j->files, name);
    int rc = judge_writers(path, &err);
    if (rc == 0)
        rc = jobfile_compile(path, installed_find_package, r->j->store, &bytes, &ps);
    if (rc == 0)
        rc = add(r, &bytes, true, 0, &err);
    if (rc < 0 && rc != -EAGAIN) { /* else the runner is not that far, and its folder will change */
        r->troubled++;
        ps.n ? tell_problems(r, path, &ps) : r->trouble(r->self, path, &err);
    }
    problems_free(&ps);
    buf_free(&bytes);
    mem_free(&path);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a folder, sorted, so that two readings give the same. */
static int names_in(const char *folder, bool may_be_missing, char ***ret, size_t *ret_n,
                    struct error *err)
{
    DIR *d = opendir(folder);
    *ret = NULL;
    *ret_n = 0;
    if (!d && errno == ENOENT && may_be_missing)
        return 0;
    if (!d)
        return error_errno(err, errno, "cannot read the folder '%s'", folder);
    for (struct dirent *e; (e = readdir(d));) {
        *ret = mem_realloc(*ret, *ret_n + 1, sizeof **ret);
        (*ret)[(*ret_n)++] = mem_strdup(e->d_name);
    }
    closedir(d);
    if (*ret_n)
        qsort(*ret, *ret_n, sizeof **ret, by_text);
    return 0;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(&names[i]);
    mem_free(&names);
}

static void read_packages(struct jobs_reading *r)
{
    const struct installed_package *p;
    for (size_t i = 0; (p = installed_at(r->j->store, i)); i++) {
        struct error err = {0};
        struct buf bytes = {0};
        if (p->trouble) {
            error_set(&err, -EBADMSG, "%s", p->trouble);
            r->trouble(r->self, p->folder, &err);
        } else if (packagejob_compile(&p->runnable, &bytes, &err) < 0 ||
                   add(r, &bytes, false, 0, &err) < 0) {
            r->trouble(r->self, p->folder, &err);
        }
        buf_free(&bytes);
    }
}

static bool is_current(void *self, const struct hash *h)
{
    const struct jobs_reading *r = self;
    for (size_t i = 0; i < r->n; i++)
        if (hash_eq(&r->v[i].hash, h))
            return true;
    return false;
}

static bool job_is_here(const struct jobs_reading *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->v[i].older && strcmp(r->v[i].name, name) == 0)
            return true;
    return false;
}

static bool packages_are_here(const struct jobs *j, const struct older *o)
{
    struct d_job job;
    struct span item;
    if (d_job_decode(buf_span(&o->bytes), &job, NULL) < 0)
        return false;
    for (struct wire_iter it = wire_iter(&job.steps); wire_next(&it, &item);) {
        struct d_step s;
        if (d_step_decode(item, &s, NULL) < 0 ||
            (!hash_is_zero(&s.package) && !installed_by_hash(j->store, &s.package)))
            return false;
    }
    return true;
}

/* Attests it if it is within the bounds. *room: bytes left. */
static bool attest_older(struct jobs_reading *r, struct older *o, size_t *room)
{
    if (r->now - o->since > JOBS_OLDER_MS || o->rank > JOBS_OLDER || r->n >= LIMIT_JOBS ||
        !job_is_here(r, o->name))
        return false;
    if (!packages_are_here(r->j, o) || add(r, &o->bytes, false, o->rank, NULL) < 0)
        return false;
    struct job_here *h = &r->v[r->n - 1];
    if (h->attested.n > *room) {
        free_one(h);
        r->n--;
        return false;
    }
    *room -= h->attested.n;
    return true;
}

/* Removes the versions that are no longer needed: what is not there cannot be run. */
static int read_older(struct jobs_reading *r, struct error *err)
{
    struct older *v;
    size_t n, room = JOBS_OLDER_BYTES;
    int rc = older_read(r->j->compiled, r->j->read_only, r->now, is_current, r, &v, &n, err);
    for (size_t i = 0; i < n; i++) {
        if (attest_older(r, &v[i], &room) || r->now - v[i].since <= JOBS_GRACE_MS ||
            r->j->read_only || r->uses(r->self, &v[i].hash))
            continue;
        char *path = path_of(r->j, &v[i].hash);
        unlink(path);
        mem_free(&path);
    }
    older_free(&v, n);
    return rc;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same(const struct jobs *j, const struct jobs_reading *r,
                    const struct installed_store *old)
{
    bool same = j->n == r->n && j->troubled == r->troubled && old;
    for (size_t i = 0; same && i < r->n; i++)
        same = span_eq(buf_span(&j->v[i].attested), buf_span(&r->v[i].attested)) &&
               is_same_text(j->v[i].refused, r->v[i].refused);
    for (size_t i = 0; same; i++) {
        const struct installed_package *a = installed_at(old, i), *b = installed_at(j->store, i);
        if (!a || !b)
            return !a && !b;
        same = hash_eq(&a->hash, &b->hash) && !a->trouble == !b->trouble;
    }
    return same;
}

int jobs_refresh(struct jobs *j, int64_t now, jobs_uses_fn *uses, jobs_trouble_fn *trouble,
                 void *self, struct error *err)
{
    struct jobs_reading r = {.j = j, .uses = uses, .trouble = trouble, .self = self, .now = now};
    struct installed_store *store = NULL, *old = j->store;
    char **names;
    size_t n;
    int rc = installed_open(j->packages, &store, err);
    if (rc < 0)
        return rc;
    installed_check_files(store);
    if ((rc = names_in(j->files, j->read_only, &names, &n, err)) < 0) {
        installed_close(&store);
        return rc;
    }
    j->store = store;
    read_packages(&r);
    for (size_t i = 0; i < n; i++)
        read_file(&r, names[i]);
    free_names(names, n);
    rc = read_older(&r, err);
    if (j->answers)
        answers_sweep(j->answers);
    bool same = is_same(j, &r, old);
    installed_close(&old);
    free_list(j->v, j->n);
    j->v = r.v;
    j->n = r.n;
    j->troubled = r.troubled;
    return rc < 0 ? rc : !same;
}

void jobs_attest_again(struct jobs *j)
{
    for (size_t i = 0; i < j->n; i++)
        attest(j, &j->v[i], NULL); /* it was decoded before */
}

/* ---- Asking */

const struct job_here *jobs_at(const struct jobs *j, size_t i)
{
    return i < j->n ? &j->v[i] : NULL;
}

const struct installed_store *jobs_packages(const struct jobs *j)
{
    return j->store;
}

unsigned jobs_troubled(const struct jobs *j)
{
    return j->troubled;
}

int jobs_find(struct jobs *j, struct span name, const struct hash *hash, struct span *ret,
              struct error *err)
{
    bool other = false;
    for (size_t i = 0; i < j->n; i++) {
        if (hash_eq(&j->v[i].hash, hash)) {
            *ret = buf_span(&j->v[i].bytes);
            return 0;
        }
        other |= span_eq_str(name, j->v[i].name);
    }
    char *path = path_of(j, hash);
    buf_clear(&j->older);
    int rc = file_read(path, LIMIT_JOB_BODY, &j->older, err);
    mem_free(&path);
    if (rc == 0) {
        *ret = buf_span(&j->older);
        return 0;
    }
    return error_set(err, -ENOENT,
                     other ? "job '" SPAN_FMT
                             "' is here in another version than was called; submit it again"
                           : "job '" SPAN_FMT "' is not here",
                     SPAN_ARG(name));
}

void jobs_add_refusals(const struct jobs *j, int64_t now, struct buf *items, uint32_t *count)
{
    struct buf one = {0};
    char need[LIMIT_SHORT + 1];
    for (size_t i = 0; i < j->n && *count < LIMIT_NEEDS; i++) {
        if (!j->v[i].refused || j->v[i].older)
            continue;
        struct d_need d = {.need = span_str(refusal_need(span_str(j->v[i].name), need)),
                           .trouble = span_str(j->v[i].refused),
                           .probed_at = now};
        buf_clear(&one);
        d_need_encode(&d, &one);
        wire_add_bin(items, buf_span(&one));
        ++*count;
    }
    buf_free(&one);
}
