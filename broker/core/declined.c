/* declined.c - runs that a server has refused by its own fault: they go on to another server, once
 * for each.
 *
 * A run has the names of the servers that have refused it, sorted, in one text. It waits in a class
 * of runs with the same text, in which those servers have no seat. So a class is still what the
 * same servers can take, and that a run never goes back is no special case of placement.
 *
 * A refusal that every run of the job would meet also bars the server from the job, for REFUSED_MS
 * or until it attests anew. A caller can bring about refusals of its own runs alone, and those bar
 * nobody else. Where no other server is left, the refusal is the run's end. */
#include <stdlib.h>
#include <string.h>

#include "broker/core/declined.h"

enum { BETWEEN = '\n' }; /* two names; no name has one */

bool declined_has(const struct text *declined, const struct text *server)
{
    for (const char *at = declined ? declined->s : NULL; at;) {
        const char *end = strchr(at, BETWEEN);
        size_t n = end ? (size_t)(end - at) : strlen(at);
        if (n == server->n && memcmp(at, server->s, n) == 0)
            return true;
        at = end ? end + 1 : NULL;
    }
    return false;
}

static unsigned count(const struct text *declined)
{
    unsigned n = declined != NULL;
    for (const char *at = declined ? declined->s : ""; (at = strchr(at, BETWEEN)); at++)
        n++;
    return n;
}

/* The names and one more, in order; a reference. */
static struct text *with(struct bcore *c, const struct text *declined, const struct text *server)
{
    struct buf all = {0};
    bool put = false;
    for (const char *at = declined ? declined->s : NULL; at;) {
        const char *end = strchr(at, BETWEEN);
        size_t n = end ? (size_t)(end - at) : strlen(at);
        if (!put && strncmp(server->s, at, n) < 0) {
            buf_printf(&all, "%s%s", all.n ? "\n" : "", server->s);
            put = true;
        }
        buf_printf(&all, "%s%.*s", all.n ? "\n" : "", (int)n, at);
        at = end ? end + 1 : NULL;
    }
    if (!put)
        buf_printf(&all, "%s%s", all.n ? "\n" : "", server->s);
    struct text *t = text_get(c, buf_span(&all));
    buf_free(&all);
    return t;
}

/* May this server take it, now or when what hinders it now is over? */
static bool may_take(const struct server *s, const struct class *cl)
{
    const unsigned never =
        1u << EXPLAIN_ADDRESS | 1u << EXPLAIN_JOB | 1u << EXPLAIN_VERSION | 1u << EXPLAIN_REFUSED;
    struct job_version *job;
    return !(seat_judge(s, cl, &job) & never);
}

bool declined_goes_on(const struct bcore *c, const struct run *r, uint64_t code)
{
    const struct class *cl = r->lane->class;
    unsigned n;
    if (refusal_fault(code) == REFUSAL_OF_CALL || r->attempt >= LIMIT_ATTEMPTS ||
        count(r->declined) >= DECLINED_MAX || c->classes.n - c->n_idle >= c->config.classes_max)
        return false;
    struct server *const *members = servers_members(c, cl->address, &n);
    for (unsigned i = 0; i < n; i++)
        if (members[i] != r->at->server && may_take(members[i], cl))
            return true;
    return false;
}

/* No run of this job goes there for a while. */
static void bar(struct bcore *c, struct server *s, struct job_version *j)
{
    j->refused_until = c->now + REFUSED_MS;
    if (!heap_holds(&s->mend))
        bcore_timer_set(c, &s->mend, TIMER_MEND, j->refused_until);
    queue_refresh_seats(c, s);
}

void declined_go(struct bcore *c, struct run *r, const struct d_outcome *o)
{
    struct server *s = r->at->server;
    struct job_version *job = r->at->job;
    c->counts.returned++;
    r->lsn = EMIT(c, declined, .at = c->wall, .run = r->id, .attempt = r->attempt, .code = o->code,
                  .text = o->message);
    if (job) {
        mem_free(&job->refused);
        job->refused = span_dup_str(o->message);
        if (refusal_fault(o->code) == REFUSAL_OF_JOB)
            bar(c, s, job);
    }
    queue_add(c, r);
    follow_state(c, r);
    server_pump(c, s);
}

void declined_apply(struct bcore *c, struct run *r)
{
    struct text *all = with(c, r->declined, r->at->server_name);
    attempt_free(c, r);
    lane_move(c, r, all);
    text_put(c, &r->declined);
    r->declined = all;
}

void declined_due(struct bcore *c, struct server *s)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < s->n_jobs; i++) {
        struct job_version *j = &s->jobs[i];
        if (j->refused_until && j->refused_until <= c->now)
            j->refused_until = 0;
        else if (j->refused_until && j->refused_until < next)
            next = j->refused_until;
    }
    if (next != INT64_MAX)
        bcore_timer_set(c, &s->mend, TIMER_MEND, next);
    queue_refresh_seats(c, s);
}
