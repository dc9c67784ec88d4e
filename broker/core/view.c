/* view.c - see view.h. */
#include "broker/core/view.h"

#include <string.h>

#include "broker/core/inside.h"

static const char *text_or_none(const struct text *t)
{
    return t ? t->s : "";
}

/* ---- Runs */
static bool fill_run(const struct run *r, struct view_run *v)
{
    if (!r)
        return false;
    const struct attempt *a = r->at;
    *v = (struct view_run){.id = r->id,
                           .state = run_state_of(r),
                           .principal = r->principal->s,
                           .job = r->lane->class->job->s,
                           .address = r->lane->class->address->s,
                           .job_hash = r->lane->class->job_hash,
                           .priority = r->priority,
                           .attempt = r->attempt,
                           .on_lost = (enum on_lost)(a ? a->on_lost : r->on_lost),
                           .called_at = r->called_at,
                           .step = "",
                           .text = "",
                           .cancelled = r->cancel != NULL,
                           .cancel_forced = r->cancel && r->cancel->force,
                           .cancelled_by = r->cancel ? r->cancel->by->s : "",
                           .parent = r->lane->group->parent,
                           .call = span_of(r->call, r->call_n),
                           .certificate = span_of(r->certificate->s, r->certificate->n),
                           .called_lsn = r->called_lsn,
                           .lsn = r->lsn};
    if (a) {
        v->assigned_at = a->assigned_at;
        v->started_at = a->started_at;
        v->server = a->server_name->s;
        v->step = text_or_none(a->step);
        v->percent = a->percent;
        v->text = a->progress ? a->progress : "";
    }
    for (const struct follow *f = r->followers; f; f = f->run_next)
        v->followers++;
    return true;
}

bool view_run(const struct bcore *c, const struct id *run, struct view_run *ret)
{
    const struct run *r = run_find(c, *run);
    return r && fill_run(r, ret);
}

static const struct run *run_at(struct order_node *n)
{
    return n ? heap_entry(n, struct run, node) : NULL;
}

bool view_run_after(const struct bcore *c, const struct id *after, struct view_run *ret)
{
    const struct run *r;
    if (id_is_zero(*after)) {
        r = c->oldest;
    } else if ((r = run_find(c, *after))) {
        r = r->newer;
    } else { /* it has ended in the meantime; ids follow the time of acceptance */
        r = run_at(order_after(c->runs_in_order, *after));
    }
    return r && fill_run(r, ret);
}

bool view_run_before(const struct bcore *c, const struct id *before, struct view_run *ret)
{
    const struct run *r;
    if (id_is_zero(*before)) {
        r = c->newest;
    } else if ((r = run_find(c, *before))) {
        r = r->older;
    } else {
        r = run_at(order_before(c->runs_in_order, *before));
    }
    return r && fill_run(r, ret);
}

bool view_ended(const struct bcore *c, const struct id *run)
{
    return kept_by_id(c, *run) != NULL;
}

bool view_owner(const struct bcore *c, const struct id *run, struct view_owner *ret)
{
    const struct run *r = run_find(c, *run);
    if (r)
        *ret = (struct view_owner){r->principal->s, r->lane->class->job->s,
                                   r->lane->class->address->s};
    return r != NULL;
}

/* ---- Servers */
static bool fill_server(const struct server *s, struct view_server *v)
{
    *v = (struct view_server){
        .name = s->name->s,
        .pools = s->pool_names,
        .n_pools = s->n_pools,
        .state = s->ready  ? "up"
                 : s->peer ? "attaching"
                           : "unreachable",
        .draining = s->draining,
        .draining_reason = s->draining_reason ? s->draining_reason : "",
        .address = s->address ? s->address : "",
        .software = text_or_none(s->software),
        .process = s->process ? s->process : "",
        .rival = s->rival.process ? s->rival.process : "",
        .rival_address = s->rival.address ? s->rival.address : "",
        .rival_at = s->rival.process ? s->rival.at : 0,
        .heard_wall = s->heard_wall,
        .up_since = s->peer ? s->up_since : 0,
        .spool = id_is_zero(s->spool) ? s->last_spool : s->spool,
        .boot = id_is_zero(s->boot) ? s->last_boot : s->boot,
        .slots = s->slots,
        .live = s->n_live,
        .running = s->n_started,
        .credit = placement_credit(s, NULL),
        .ended = s->ended,
        .n_jobs = s->n_jobs,
        .n_packages = s->n_packages,
        .n_needs = s->n_needs,
        .facts = s->facts.items,
        .n_facts = s->facts.count,
        .peer = s->peer ? s->peer->handle : 0,
    };
    return true;
}

static const struct server *find(const struct bcore *c, const char *name)
{
    const struct server *s = server_find(c, span_str(name));
    return s && s->enrolled ? s : NULL;
}

bool view_server(const struct bcore *c, const char *name, struct view_server *ret)
{
    const struct server *s = find(c, name);
    return s && fill_server(s, ret);
}

bool view_server_after(const struct bcore *c, const char *after, struct view_server *ret)
{
    for (unsigned i = 0; i < c->n_servers; i++)
        if (c->servers[i]->enrolled && strcmp(c->servers[i]->name->s, after) > 0)
            return fill_server(c->servers[i], ret);
    return false;
}

bool view_server_job(const struct bcore *c, const char *server, unsigned index,
                     struct view_job *ret)
{
    const struct server *s = find(c, server);
    const struct job_version *j = s && index < s->n_jobs ? &s->jobs[index] : NULL;
    if (j)
        *ret = (struct view_job){.name = j->name->s,
                                 .version = j->version->s,
                                 .job_hash = j->hash,
                                 .concurrency = j->concurrency,
                                 .live = j->live,
                                 .idempotent = j->idempotent,
                                 .mean_us = j->mean_us,
                                 .older = j->older,
                                 .attested = j->attested,
                                 .refused = j->refused_until ? j->refused : ""};
    return j != NULL;
}

struct span view_server_package(const struct bcore *c, const char *server, unsigned index)
{
    const struct server *s = find(c, server);
    return s && index < s->n_packages ? s->packages[index] : SPAN_NONE;
}

struct span view_server_need(const struct bcore *c, const char *server, unsigned index)
{
    const struct server *s = find(c, server);
    return s && index < s->n_needs ? s->needs[index] : SPAN_NONE;
}

enum view_address view_address(const struct bcore *c, const char *address)
{
    if (!strcmp(address, "all"))
        return VIEW_ADDRESS_ALL;
    if (find(c, address))
        return VIEW_ADDRESS_SERVER;
    return servers_know_address(c, span_str(address)) ? VIEW_ADDRESS_POOL : VIEW_ADDRESS_UNKNOWN;
}

bool view_in_address(const struct bcore *c, const char *server, const char *address)
{
    const struct server *s = find(c, server);
    const struct text *t = text_find(c, span_str(address));
    return s && (!strcmp(address, "all") || (t && server_in(s, t)));
}

/* ---- Parents */
static bool fill_parent(const struct parent *p, struct view_parent *v)
{
    struct d_signed s;
    struct d_parent d = {0};
    struct error err;
    if (d_signed_decode(buf_span(&p->body), &s, &err) < 0 || d_parent_decode(s.body, &d, &err) < 0)
        return false; /* impossible: apply has decoded it */
    *v = (struct view_parent){.id = p->id,
                              .principal = p->principal->s,
                              .key = d.key,
                              .name = d.name,
                              .begun_at = p->begun_at,
                              .epoch = p->epoch,
                              .driver = p->driver ? p->driver->name->s : "",
                              .driver_peer = p->driver ? p->driver->handle : 0,
                              .parent = buf_span(&p->body),
                              .lsn = p->lsn};
    return true;
}

bool view_parent(const struct bcore *c, const struct id *parent, struct view_parent *ret)
{
    const struct parent *p = parent_find(c, *parent);
    return p && fill_parent(p, ret);
}

bool view_parent_after(const struct bcore *c, const struct id *after, struct view_parent *ret)
{
    struct order_node *n = order_after(c->parents_in_order, *after);
    return n && fill_parent(heap_entry(n, struct parent, node), ret);
}

bool view_parent_before(const struct bcore *c, const struct id *before, struct view_parent *ret)
{
    struct id at = *before;
    if (id_is_zero(at))
        memset(at.b, 0xff, sizeof at.b);
    struct order_node *n = order_before(c->parents_in_order, at);
    return n && fill_parent(heap_entry(n, struct parent, node), ret);
}

/* ---- Administrators' decisions */
bool view_deployment_after(const struct bcore *c, const char *address, const char *name,
                           struct view_deployment *ret)
{
    for (unsigned i = 0; i < c->n_deployments; i++) {
        const struct deployment *d = &c->deployments[i];
        int cmp = strcmp(d->address->s, address);
        struct d_signed s;
        struct d_deployment body;
        struct error err;
        if (cmp < 0 || (cmp == 0 && strcmp(d->name->s, name) <= 0))
            continue;
        if (d_signed_decode(buf_span(&d->bytes), &s, &err) < 0 ||
            d_deployment_decode(s.body, &body, &err) < 0 || body.remove)
            continue;
        *ret = (struct view_deployment){.address = d->address->s,
                                        .name = d->name->s,
                                        .by = d->by->s,
                                        .package = d->package,
                                        .at = d->at,
                                        .size = d->size,
                                        .deployment = buf_span(&d->bytes)};
        return true;
    }
    return false;
}

bool view_secret_after(const struct bcore *c, const char *name, const char *address,
                       struct view_secret *ret)
{
    const struct vault_entry *e = vault_after(c, span_str(name), span_str(address));
    if (e)
        *ret = (struct view_secret){.name = e->name->s,
                                    .address = e->address->s,
                                    .by = e->by->s,
                                    .version = e->version,
                                    .at = e->at,
                                    .secret = buf_span(&e->bytes)};
    return e != NULL;
}

void view_each_in_address(const struct bcore *c, const char *address, view_take_server *take,
                          void *self)
{
    const struct text *t = text_find(c, span_str(address));
    unsigned n = 0;
    struct server *const *v = t ? servers_members(c, t, &n) : NULL;
    for (unsigned i = 0; i < n; i++)
        if (server_in(v[i], t))
            take(self, v[i]->name->s);
}

uint32_t view_desired(const struct bcore *c, const char *server, struct buf *items)
{
    const struct server *s = find(c, server);
    return s ? deploy_desired(c, s, items) : 0;
}

static bool fill_certificate(const struct enrolled *e, struct view_certificate *v)
{
    if (e)
        *v = (struct view_certificate){e->name->s, e->role->s, e->serial, e->at,
                                       buf_span(&e->bytes)};
    return e != NULL;
}

bool view_certificate(const struct bcore *c, const char *name, uint64_t serial,
                      struct view_certificate *ret)
{
    return fill_certificate(enrolled_find(c, span_str(name), serial), ret);
}

bool view_certificate_after(const struct bcore *c, const char *name, uint64_t serial,
                            struct view_certificate *ret)
{
    return fill_certificate(enrolled_after(c, span_str(name), serial), ret);
}

struct span view_revocations(const struct bcore *c, uint64_t *ret_number)
{
    *ret_number = c->revocations_number;
    return buf_span(&c->revocations);
}

bool view_revoked(const struct bcore *c, uint64_t serial)
{
    return registry_is_revoked(c, serial);
}

/* ---- Counts */
void view_counts(const struct bcore *c, struct view_counts *ret)
{
    size_t place = 0;
    uintptr_t item;
    *ret = (struct view_counts){.parents = c->parents.n,
                                .sessions = c->peers.n,
                                .classes = c->classes.n,
                                .kept = c->kept.next - c->kept.first,
                                .principals = c->accounts.n - c->n_gone,
                                .memory = c->memory,
                                .bodies = c->bodies,
                                .epoch = c->epoch,
                                .lsn = c->lsn,
                                .committed = c->committed,
                                .accepted = c->counts.accepted,
                                .ended = c->counts.ended,
                                .refused = c->counts.refused,
                                .returned = c->counts.returned,
                                .lost = c->counts.lost,
                                .evidence = c->counts.evidence,
                                .decisions = c->counts.decisions,
                                .forged = c->counts.forged,
                                .unkept = c->counts.unkept};
    uint64_t queued = 0, held = c->n_runs;
    while ((item = table_next(&c->classes, &place))) {
        const struct class *cl = (const struct class *)item;
        ret->runs[class_parked(cl) ? RUN_PARKED : RUN_WAITING] += cl->waiting;
        queued += cl->waiting;
    }
    for (unsigned i = 0; i < c->n_servers; i++) {
        const struct server *s = c->servers[i];
        ret->servers += s->enrolled;
        ret->servers_up += s->ready;
        for (const struct attempt *a = s->attempts; a; a = a->next) {
            ret->runs[a->run->state]++;
            held--;
        }
    }
    ret->runs[RUN_HELD] = held - queued;
}
