/* resolve.c - the answer to RESOLVE: which versions of a job the servers at an address have.
 *
 * One question costs a search at each server and a few versions of each, however many jobs and
 * versions servers attest. A worker keeps at most eight older versions of a job. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/inside.h"

enum {
    /* bytes of versions in one answer; the rest of the frame is for its head and servers' names */
    RESOLVED_MAX = LIMIT_FRAME * 3 / 4,
    VERSIONS_MAX = 256,         /* different ones in one answer */
    VERSIONS_OF_SERVER_MAX = 16 /* as a server lists them: the current one comes first */
};

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
        unsigned n_named;
        struct job_version *jobs = attest_named(s->jobs, s->n_jobs, name, &n_named);
        for (unsigned k = 0; k < n_named && k < VERSIONS_OF_SERVER_MAX; k++) {
            unsigned at = 0;
            while (at < n && !hash_eq(&v[at].job->hash, &jobs[k].hash))
                at++;
            if (at == n && n == VERSIONS_MAX)
                continue;
            if (at == n)
                v[n++] = (struct version){&jobs[k], s, 0, deployed_at(c, &jobs[k]), UINT_MAX};
            if (jobs[k].older < v[at].older)
                v[at].older = jobs[k].older;
            v[at].servers++;
        }
    }
    return n;
}

static void send_resolved(struct bcore *c, uint64_t req, const struct text *address,
                          const struct text *name)
{
    struct version *v = mem_zalloc(VERSIONS_MAX, sizeof *v);
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
