/* attest.c - what servers can run (ATTEST), and the answer to RESOLVE: where a job is. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/inside.h"

enum {
    RESOLVED_MAX = LIMIT_FRAME * 3 / 4
}; /* bytes of versions in one answer; the rest of the frame is for its head and servers' names */

static void jobs_free(struct bcore *c, struct job_version *jobs, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        text_put(c, &jobs[i].name);
        text_put(c, &jobs[i].version);
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

static struct job_version *job_of(struct server *s, const struct text *name,
                                  const struct hash *hash)
{
    for (unsigned i = 0; i < s->n_jobs; i++)
        if (s->jobs[i].name == name && hash_eq(&s->jobs[i].hash, hash))
            return &s->jobs[i];
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
        struct job_version *j = &s->jobs[s->n_jobs++];
        struct d_attested_job d;
        if (d_attested_job_decode(item, &d, &err) < 0)
            continue; /* impossible: check_lists has decoded it */
        j->name = text_get(c, d.name);
        j->version = text_get(c, d.version);
        j->hash = d.job_hash;
        j->concurrency = d.concurrency;
        j->idempotent = d.idempotent;
        j->older = (uint8_t)d.older;
        j->attested = item;
        j->unmet = first_unmet(s, &d.needs);
        for (unsigned i = 0; i < n_old; i++)
            if (old[i].name == j->name && hash_eq(&old[i].hash, &j->hash))
                j->mean_us = old[i].mean_us;
    }
    for (struct attempt *a = s->attempts; a; a = a->next)
        if ((a->job = job_of(s, a->run->lane->class->job, &a->job_hash)))
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

/* ---- RESOLVE */
struct version {
    const struct job_version *job;
    const struct server *example;
    uint64_t servers;
    int64_t deployed;
    unsigned older; /* at the server where it is newest */
};

/* When one of its packages was last deployed; the newest job comes first. */
static int64_t deployed_at(const struct bcore *c, const struct job_version *j)
{
    struct d_attested_job d;
    struct error err;
    struct span item;
    int64_t at = 0;
    if (d_attested_job_decode(j->attested, &d, &err) < 0)
        return 0;
    for (struct wire_iter it = wire_iter(&d.packages); wire_next(&it, &item);)
        for (unsigned i = 0; i < c->n_deployments; i++)
            if (span_eq(item,
                        span_of(c->deployments[i].package.b, sizeof c->deployments[i].package.b)) &&
                c->deployments[i].issued_at > at)
                at = c->deployments[i].issued_at;
    return at;
}

static int newest_first(const void *a, const void *b)
{
    const struct version *x = a, *y = b;
    if (x->older != y->older)
        return x->older < y->older ? -1 : 1;
    if (x->deployed != y->deployed)
        return x->deployed > y->deployed ? -1 : 1;
    if (x->servers != y->servers)
        return x->servers > y->servers ? -1 : 1;
    return memcmp(x->job->hash.b, y->job->hash.b, sizeof x->job->hash.b);
}

static unsigned versions_in(const struct bcore *c, const struct text *address,
                            const struct text *name, struct version *v, struct buf *servers,
                            uint32_t *n_servers)
{
    unsigned n = 0;
    unsigned n_members;
    struct server *const *members = servers_members(c, address, &n_members);
    for (unsigned i = 0; i < n_members; i++) {
        const struct server *s = members[i];
        if (!server_in(s, address))
            continue;
        if (*n_servers < LIMIT_SERVERS) {
            wire_add_str(servers, span_of(s->name->s, s->name->n));
            ++*n_servers;
        }
        for (unsigned k = 0; k < s->n_jobs; k++) {
            unsigned at = 0;
            if (s->jobs[k].name != name)
                continue;
            while (at < n && !hash_eq(&v[at].job->hash, &s->jobs[k].hash))
                at++;
            if (at == n && n == LIMIT_JOBS)
                continue;
            if (at == n)
                v[n++] = (struct version){&s->jobs[k], s, 0, deployed_at(c, &s->jobs[k]), UINT_MAX};
            if (s->jobs[k].older < v[at].older)
                v[at].older = s->jobs[k].older;
            v[at].servers++;
        }
    }
    return n;
}

static void send_resolved(struct bcore *c, uint64_t req, const struct text *address,
                          const struct text *name)
{
    struct version *v = mem_zalloc(LIMIT_JOBS, sizeof *v);
    struct buf servers = {0}, versions = {0}, one = {0};
    uint32_t n_servers = 0, count = 0;
    unsigned n = versions_in(c, address, name, v, &servers, &n_servers);
    qsort(v, n, sizeof *v, newest_first);
    for (unsigned i = 0; i < n; i++) {
        struct d_attested_job d;
        struct error err;
        if (d_attested_job_decode(v[i].job->attested, &d, &err) < 0)
            continue;
        buf_clear(&one);
        d_version_encode(&(struct d_version){.job_hash = v[i].job->hash,
                                             .version = d.version,
                                             .servers = v[i].servers < LIMIT_SERVERS
                                                            ? v[i].servers
                                                            : LIMIT_SERVERS,
                                             .example = span_str(v[i].example->name->s),
                                             .idempotent = d.idempotent,
                                             .parameters = d.parameters},
                         &one);
        if (versions.n + one.n > RESOLVED_MAX)
            break;
        wire_add_bin(&versions, buf_span(&one));
        count++;
    }
    SEND(c, c->ev->peer, 0, resolved, .req = req, .versions = wire_list_from(&versions, count),
         .servers = wire_list_from(&servers, n_servers));
    buf_free(&servers);
    buf_free(&versions);
    buf_free(&one);
    mem_free(&v);
}

void bcore_on_resolve(struct bcore *c, struct peer_state *p)
{
    struct m_resolve m;
    if (!TAKE(c, p, resolve, &m))
        return;
    if (!servers_know_address(c, m.address)) {
        out_fail(c, m.req, REFUSAL_UNKNOWN_ADDRESS,
                 "no server or pool is named '" SPAN_FMT "' (lbctl servers lists them)",
                 SPAN_ARG(m.address));
        return;
    }
    struct text *address = text_get(c, m.address), *job = text_get(c, m.job);
    send_resolved(c, m.req, address, job);
    text_put(c, &address);
    text_put(c, &job);
}
