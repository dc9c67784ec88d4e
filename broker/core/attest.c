/* attest.c - what servers can run (ATTEST). */
#include <stdlib.h>
#include <string.h>

#include "broker/core/inside.h"

static void jobs_free(struct bcore *c, struct job_version *jobs, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        text_put(c, &jobs[i].name);
        text_put(c, &jobs[i].version);
        mem_free(&jobs[i].refused);
    }
    mem_free(&jobs);
}

void attest_clear(struct bcore *c, struct server *s)
{
    for (struct attempt *a = s->attempts; a; a = a->next)
        a->job = NULL;
    jobs_free(c, s->jobs, s->n_jobs);
    s->jobs = NULL;
    mem_free(&s->packages);
    mem_free(&s->needs);
    s->n_jobs = s->n_packages = s->n_needs = 0;
    s->facts = (struct wire_list){SPAN_NONE, 0};
    buf_free(&s->attest);
}

/* By name, the current version of each first; else as the server listed them. */
static int by_name(const void *a, const void *b)
{
    const struct job_version *x = a, *y = b;
    int cmp = strcmp(x->name->s, y->name->s);
    if (cmp == 0 && x->older != y->older)
        cmp = x->older < y->older ? -1 : 1;
    return cmp ? cmp : x->attested.p < y->attested.p ? -1 : (x->attested.p > y->attested.p) ? 1 : 0;
}

struct job_version *attest_named(struct job_version *jobs, unsigned n, const struct text *name,
                                 unsigned *ret_n)
{
    unsigned low = 0, high = n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (strcmp(jobs[mid].name->s, name->s) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (high = low; high < n && jobs[high].name == name;)
        high++;
    *ret_n = high - low;
    return jobs + low;
}

static struct job_version *job_of(struct job_version *jobs, unsigned n, const struct text *name,
                                  const struct hash *hash)
{
    unsigned n_named;
    struct job_version *v = attest_named(jobs, n, name, &n_named);
    for (unsigned i = 0; i < n_named; i++)
        if (hash_eq(&v[i].hash, hash))
            return &v[i];
    return NULL;
}

static struct span *spans_of(const struct wire_list *l, unsigned *ret_n)
{
    struct span *v = mem_zalloc(l->count, sizeof *v), item;
    struct wire_iter it = wire_iter(l);
    unsigned n = 0;
    while (wire_next(&it, &item))
        v[n++] = item;
    *ret_n = n;
    return v;
}

/* 1 + the index of the job's first need that does not hold; 0: all hold. */
static unsigned first_unmet(const struct server *s, const struct wire_list *needs)
{
    struct wire_iter it = wire_iter(needs);
    struct span name;
    struct d_need need;
    struct error err;
    for (unsigned at = 1; wire_next(&it, &name); at++) {
        bool holds = false;
        for (unsigned i = 0; i < s->n_needs && !holds; i++)
            holds = d_need_decode(s->needs[i], &need, &err) == 0 && need.holds &&
                    span_eq(need.need, name);
        if (!holds)
            return at;
    }
    return 0;
}

static int check_lists(const struct m_attest *m, struct error *err)
{
    struct wire_iter it = wire_iter(&m->jobs);
    struct span item;
    struct d_attested_job job;
    struct d_attested_package package;
    struct d_need need;
    int rc = 0;
    while (rc == 0 && wire_next(&it, &item))
        rc = d_attested_job_decode(item, &job, err);
    for (it = wire_iter(&m->packages); rc == 0 && wire_next(&it, &item);)
        rc = d_attested_package_decode(item, &package, err);
    for (it = wire_iter(&m->needs); rc == 0 && wire_next(&it, &item);)
        rc = d_need_decode(item, &need, err);
    return rc;
}

static void take_jobs(struct bcore *c, struct server *s, const struct wire_list *list)
{
    struct job_version *old = s->jobs;
    unsigned n_old = s->n_jobs;
    struct wire_iter it = wire_iter(list);
    struct span item;
    struct error err;
    s->jobs = mem_zalloc(list->count, sizeof *s->jobs);
    s->n_jobs = 0;
    while (wire_next(&it, &item)) {
        struct job_version *j = &s->jobs[s->n_jobs];
        struct d_attested_job d;
        if (d_attested_job_decode(item, &d, &err) < 0)
            continue; /* impossible: check_lists has decoded it */
        s->n_jobs++;
        j->name = text_get(c, d.name);
        j->version = text_get(c, d.version);
        j->hash = d.job_hash;
        j->concurrency = d.concurrency;
        j->idempotent = d.idempotent;
        j->older = (uint8_t)d.older;
        j->attested = item;
        j->unmet = first_unmet(s, &d.needs);
        const struct job_version *was = job_of(old, n_old, j->name, &j->hash);
        if (was)
            j->mean_us = was->mean_us;
    }
    qsort(s->jobs, s->n_jobs, sizeof *s->jobs, by_name);
    for (struct attempt *a = s->attempts; a; a = a->next)
        if ((a->job = job_of(s->jobs, s->n_jobs, a->run->lane->class->job, &a->job_hash)))
            a->job->live++;
    jobs_free(c, old, n_old);
}

void bcore_on_attest(struct bcore *c, struct peer_state *p)
{
    struct server *s = p->server;
    struct m_attest m;
    struct error err = {0};
    if (!TAKE(c, p, attest, &m))
        return;
    if (check_lists(&m, &err) < 0) {
        out_refuse(c, p->handle, REFUSAL_MALFORMED, 0, "ATTEST: %s", err.text);
        bcore_peer_forget(c, p);
        return;
    }
    /* the old jobs' spans are no longer read, but their memory is freed last */
    struct buf old = s->attest;
    s->attest = buf_dup(c->ev->message);
    if (m_attest_decode(buf_span(&s->attest), &m, &err) == 0) {
        mem_free(&s->packages);
        mem_free(&s->needs);
        s->packages = spans_of(&m.packages, &s->n_packages);
        s->needs = spans_of(&m.needs, &s->n_needs);
        s->facts = m.facts;
        s->slots = m.slots;
        take_jobs(c, s, &m.jobs);
    }
    buf_free(&old);
    queue_refresh_seats(c, s);
}
