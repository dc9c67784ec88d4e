/* explain.c - see explain.h. Uses the same judgements as placement: seat_judge for lasting
 * conditions, the credit for those that change with every attempt. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/declined.h"
#include "common/suggest.h"
#include "common/utf8.h"

const char *explain_condition_text(enum explain_condition c)
{
#define X(n, t) t,
    static const char *const words[] = {EXPLAIN_CONDITIONS(X)};
#undef X
    return (unsigned)c < EXPLAIN_COUNT ? words[c] : "?";
}

/* ---- The text of one condition at one server */
static void text_of_need(const struct server *s, const struct job_version *j,
                         struct explain_unmet *u)
{
    static const char of_runner[] = "runner:"; /* worker/refusals.h */
    struct d_attested_job job;
    struct d_need need;
    struct span name = SPAN_NONE;
    struct error err;
    struct wire_iter it;
    if (!j || d_attested_job_decode(j->attested, &job, &err) < 0)
        return;
    it = wire_iter(&job.needs);
    for (unsigned i = 0; i < j->unmet && wire_next(&it, &name); i++)
        ;
    snprintf(u->text, sizeof u->text, "need '" SPAN_FMT "' has not been probed yet",
             SPAN_ARG(name));
    for (unsigned i = 0; i < s->n_needs; i++)
        if (d_need_decode(s->needs[i], &need, &err) == 0 && span_eq(need.need, name)) {
            int n = (int)(need.trouble.n > 180 ? 180 : need.trouble.n);
            const char *why = n ? (const char *)need.trouble.p : "";
            if (name.n > sizeof of_runner && !memcmp(name.p, of_runner, sizeof of_runner - 1))
                snprintf(u->text, sizeof u->text, "its runner would refuse it: %.*s", n, why);
            else
                snprintf(u->text, sizeof u->text, "need '%.*s' does not hold: %.*s",
                         (int)(name.n > 80 ? 80 : name.n), (const char *)name.p, n > 120 ? 120 : n,
                         why);
        }
    snprintf(u->clears, sizeof u->clears,
             "it is probed again automatically; `lbworker check` on %s shows it now", s->name->s);
}

/* For a server outside the address: the call names a pool without it, another server, or an unknown
 * address. */
static void text_of_address(const struct bcore *c, const char *server, const struct class *cl,
                            struct explain_unmet *u)
{
    const char *address = cl->address->s;
    const struct server *named = server_find(c, span_str(address));
    if (named && named->enrolled) {
        snprintf(u->text, sizeof u->text, "the call is for server '%s'", address);
        snprintf(u->clears, sizeof u->clears, "call %s, or a pool that contains it", server);
    } else if (servers_know_address(c, span_str(address))) {
        snprintf(u->text, sizeof u->text, "not in pool '%s'", address);
        snprintf(u->clears, sizeof u->clears, "have a certificate signed that puts %s in it",
                 server);
    } else {
        snprintf(u->text, sizeof u->text, "no server or pool is named '%s'", address);
        snprintf(u->clears, sizeof u->clears, "call a server or pool that exists");
    }
}

static void text_of_refused(const struct bcore *c, const struct server *s, const struct class *cl,
                            const struct job_version *j, struct explain_unmet *u)
{
    const char *why = j && j->refused ? j->refused : "";
    bool own = declined_has(cl->declined, s->name);
    snprintf(u->text, sizeof u->text, "it has refused %s%s%.180s", own ? "this run" : "the job",
             *why ? ": " : "", why);
    if (own)
        snprintf(u->clears, sizeof u->clears,
                 "nothing for this run; for the next, `lbworker check` on %s names the fault",
                 s->name->s);
    else
        snprintf(u->clears, sizeof u->clears,
                 "mend it on %s (`lbworker check` names it); it is tried again in %lld s",
                 s->name->s, (long long)((j->refused_until - c->now + 999) / 1000));
}

static void text_of(const struct bcore *c, const struct server *s, const struct class *cl,
                    const struct job_version *j, struct explain_unmet *u)
{
    static const char package[] = "package:"; /* the job of a package, not of a job file */
    const char *name = s->name->s;
    u->text[0] = u->clears[0] = 0;
    switch (u->condition) {
    case EXPLAIN_ADDRESS:
        text_of_address(c, name, cl, u);
        break;
    case EXPLAIN_CONTACT:
        if (s->heard_wall)
            snprintf(u->text, sizeof u->text, "it is not connected; last heard %lld s ago",
                     (long long)((c->now - s->heard) / 1000));
        else
            snprintf(u->text, sizeof u->text, "it has not connected since the broker started");
        snprintf(u->clears, sizeof u->clears,
                 "start lbworker on %s, and check that it reaches the broker", name);
        break;
    case EXPLAIN_ATTACHING:
        snprintf(u->text, sizeof u->text, "it is attaching: its inventory is incomplete");
        snprintf(u->clears, sizeof u->clears, "wait a moment");
        break;
    case EXPLAIN_DRAINING:
        snprintf(u->text, sizeof u->text, "it is draining%s%.200s",
                 s->draining_reason && *s->draining_reason ? ": " : "",
                 s->draining_reason ? s->draining_reason : "");
        snprintf(u->clears, sizeof u->clears, "lbctl undrain %s", name);
        break;
    case EXPLAIN_JOB:
        snprintf(u->text, sizeof u->text, "it does not have job '%s'", cl->job->s);
        if (strncmp(cl->job->s, package, sizeof package - 1) == 0)
            snprintf(u->clears, sizeof u->clears, "lbpkg deploy %s to %s",
                     cl->job->s + sizeof package - 1, name);
        else
            snprintf(u->clears, sizeof u->clears, "put a job file into etc/jobs on %s", name);
        break;
    case EXPLAIN_VERSION:
        snprintf(u->text, sizeof u->text, "it has job '%s' in another version than was signed",
                 cl->job->s);
        snprintf(u->clears, sizeof u->clears, "deploy that version to %s, or call again", name);
        break;
    case EXPLAIN_NEED:
        text_of_need(s, j, u);
        break;
    case EXPLAIN_REFUSED:
        text_of_refused(c, s, cl, j, u);
        break;
    case EXPLAIN_CONCURRENCY:
        snprintf(u->text, sizeof u->text, "%llu runs of job '%s' are there, which is its limit",
                 (unsigned long long)(j ? j->live : 0), cl->job->s);
        snprintf(u->clears, sizeof u->clears, "wait until one of them ends");
        break;
    case EXPLAIN_CREDIT:
        snprintf(u->text, sizeof u->text, "its %llu slots are taken (%llu attempts are there)",
                 (unsigned long long)s->slots, (unsigned long long)s->n_live);
        snprintf(u->clears, sizeof u->clears, "wait until one of them ends");
        break;
    case EXPLAIN_RESTING:
        snprintf(u->text, sizeof u->text, "it has just returned a run that it could not start");
        snprintf(u->clears, sizeof u->clears, "wait a second");
        break;
    default:
        break;
    }
    utf8_trim(u->text); /* text of others in it may have been cut within a character */
    utf8_trim(u->clears);
}

/* The lasting conditions and those that change with every attempt. */
static unsigned unmet_of(const struct server *s, const struct class *cl,
                         struct job_version **ret_job)
{
    unsigned unmet = seat_judge(s, cl, ret_job);
    const struct job_version *j = *ret_job;
    if (s->resting)
        unmet |= 1u << EXPLAIN_RESTING;
    if (unmet || placement_credit(s, j))
        return unmet;
    return 1u << (j->concurrency && j->live >= j->concurrency ? EXPLAIN_CONCURRENCY
                                                              : EXPLAIN_CREDIT);
}

static void explain_server(const struct bcore *c, const struct server *s, const struct class *cl,
                           struct explain *e)
{
    struct job_version *job;
    unsigned unmet = unmet_of(s, cl, &job);
    struct explain_server *row = &e->servers[e->n_servers++];
    *row = (struct explain_server){
        .server = s->name->s, .first = e->n_unmet, .credit = unmet ? 0 : placement_credit(s, job)};
    /* the call is not addressed to this server: its other conditions do not matter */
    if (unmet & 1u << EXPLAIN_ADDRESS)
        unmet = 1u << EXPLAIN_ADDRESS;
    for (unsigned i = 0; i < EXPLAIN_COUNT; i++)
        if (unmet & 1u << i) {
            struct explain_unmet *u = &e->unmet[e->n_unmet++];
            u->condition = (enum explain_condition)i;
            text_of(c, s, cl, job, u);
            row->n++;
        }
}

/* ---- The sentence */
static void no_such_address(const struct bcore *c, const struct class *cl, char *out, size_t size)
{
    const char **names = mem_zalloc(c->n_servers * (size_t)(LIMIT_POOLS + 1) + 1, sizeof *names);
    char hint[SUGGEST_TEXT];
    size_t n = 0;
    for (unsigned i = 0; i < c->n_servers; i++) {
        names[n++] = c->servers[i]->name->s;
        for (unsigned k = 0; k < c->servers[i]->n_pools && k < LIMIT_POOLS; k++)
            names[n++] = c->servers[i]->pools[k]->s;
    }
    snprintf(out, size, "no server or pool is named '%s'%s", cl->address->s,
             suggest_hint(cl->address->s, names, hint));
    mem_free(&names);
}

void explain_reason(const struct bcore *c, const struct run *r, char *out, size_t size)
{
    enum { NAMED = 4 }; /* servers in the sentence; lbctl explain lists them all */
    const struct class *cl = r->lane->class;
    struct server *const *members;
    unsigned n, in = 0, can = 0, named = 0;
    struct buf text = {0};
    members = servers_members(c, cl->address, &n);
    for (unsigned i = 0; i < n; i++) {
        const struct server *s = members[i];
        struct job_version *job;
        unsigned unmet;
        if (!server_in(s, cl->address))
            continue;
        in++;
        unmet = seat_judge(s, cl, &job);
        if (!unmet) {
            can++;
        } else if (named++ < NAMED) {
            struct explain_unmet u = {.condition = (enum explain_condition)__builtin_ctz(unmet)};
            text_of(c, s, cl, job, &u);
            buf_printf(&text, "%s %s: %s", text.n ? ";" : "", s->name->s, u.text);
        }
    }
    if (!in)
        no_such_address(c, cl, out, size);
    else if (can)
        snprintf(out, size, "%u of %u servers in '%s' can take it, and all of them are busy", can,
                 in, cl->address->s);
    else
        snprintf(out, size, "none of the %u servers in '%s' can take it:%s%s", in, cl->address->s,
                 buf_str(&text), named > NAMED ? "; ..." : "");
    utf8_trim(out);
    buf_free(&text);
}

static void summary(const struct bcore *c, const struct run *r, struct explain *e)
{
    const struct attempt *a = r->at;
    char why[900], where[256];
    bool there;
    switch (e->state) {
    case RUN_WAITING:
    case RUN_PARKED:
        explain_reason(c, r, why, sizeof why);
        snprintf(e->summary, sizeof e->summary, "%s: %s", run_state_text(e->state), why);
        break;
    case RUN_HELD:
        there = strays_text(c, r, where, sizeof where);
        snprintf(e->summary, sizeof e->summary,
                 "held: %s%s%s; lbctl release --rerun, --fail or --succeed",
                 r->restored ? "it was live in a backup that was restored"
                             : "its server was lost, and its call says hold",
                 there ? "; it still runs at " : "", where);
        break;
    default:
        snprintf(e->summary, sizeof e->summary, "%s: attempt %u at %s%s%s",
                 run_state_text(e->state), (unsigned)r->attempt, a ? a->server_name->s : "?",
                 r->cancel ? "; cancelled by " : "", r->cancel ? r->cancel->by->s : "");
    }
    utf8_trim(e->summary);
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key < b->key || (a->key == b->key && a->tie < b->tie);
}

/* Those of its own principal, and of each other one as many as have their turn by then. */
static uint64_t ahead_of(const struct run *r)
{
    enum { COUNTED = 1000 };
    const struct turns *own = r->lane->turns;
    const struct heap *h = &r->lane->class->ready;
    uint64_t n = 0, all;
    for (size_t i = 0; i < own->ready.n && n < COUNTED; i++)
        n += before(own->ready.v[i], &r->ready);
    all = n;
    for (size_t i = 0; i < h->n && all < COUNTED; i++) {
        const struct turns *t = heap_entry(h->v[i], struct turns, node);
        uint64_t turns = t->priority > own->priority ? COUNTED : n + before(&t->node, &own->node);
        if (t != own && t->priority >= own->priority)
            all += t->ready.n < turns ? t->ready.n : turns;
    }
    return all < COUNTED ? all : COUNTED;
}

int bcore_explain(const struct bcore *c, const struct id *run, struct explain *ret,
                  struct error *err)
{
    const struct run *r = run_find(c, *run);
    char id[ID_TEXT];
    if (!r)
        return error_set(err, -ENOENT, "no live run has the id %s", id_format(*run, id));
    *ret = (struct explain){.state = run_state_of(r)};
    if (heap_holds(&r->ready))
        ret->ahead = ahead_of(r);
    ret->servers = mem_zalloc(c->n_servers, sizeof *ret->servers);
    ret->unmet = mem_zalloc((size_t)c->n_servers * EXPLAIN_COUNT, sizeof *ret->unmet);
    for (unsigned i = 0; i < c->n_servers; i++)
        if (c->servers[i]->enrolled)
            explain_server(c, c->servers[i], r->lane->class, ret);
    summary(c, r, ret);
    return 0;
}

void explain_free(struct explain *e)
{
    mem_free(&e->servers);
    mem_free(&e->unmet);
}
