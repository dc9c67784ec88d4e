/* deploy.c - deployments by address and package name, and the desired state of each server that
 * follows from them.
 *
 * A deployment replaces the older one of the same name at the same address. A removal stays as a
 * mark, so that a repeat of an older deployment does not bring it back. Where several addresses of
 * a server have the same package, the deployment signed last counts. */
#include <string.h>

#include "broker/core/inside.h"

enum { DESIRED_MAX = LIMIT_FRAME * 7 / 8 };

static int decode_deployment(struct span bytes, struct d_deployment *ret, struct error *err)
{
    struct d_signed s;
    int rc = d_signed_decode(bytes, &s, err);
    return rc < 0 ? rc : d_deployment_decode(s.body, ret, err);
}

static int compare_text(const struct text *t, struct span s)
{
    size_t n = t->n < s.n ? t->n : s.n;
    int cmp = n ? memcmp(t->s, s.p, n) : 0;
    return cmp ? cmp : t->n < s.n ? -1 : t->n > s.n;
}

static unsigned place_of(const struct bcore *c, struct span address, struct span name,
                         bool *ret_there)
{
    unsigned low = 0, high = c->n_deployments;
    *ret_there = false;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        int cmp = compare_text(c->deployments[mid].address, address);
        if (cmp == 0)
            cmp = compare_text(c->deployments[mid].name, name);
        if (cmp == 0)
            *ret_there = true;
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool removes(const struct deployment *d)
{
    struct d_deployment body;
    struct error err;
    return decode_deployment(buf_span(&d->bytes), &body, &err) == 0 && body.remove;
}

int deploy_apply(struct bcore *c, const struct r_deployed *r, struct error *err)
{
    struct d_deployment d;
    struct deployment *at;
    bool there;
    unsigned i;
    int rc = decode_deployment(r->deployment, &d, err);
    if (rc < 0)
        return rc;
    i = place_of(c, d.address, d.name, &there);
    if (!there) {
        if (c->n_deployments == c->cap_deployments) {
            c->cap_deployments = c->cap_deployments ? c->cap_deployments * 2 : 16;
            c->deployments =
                mem_realloc(c->deployments, c->cap_deployments, sizeof *c->deployments);
        }
        memmove(c->deployments + i + 1, c->deployments + i,
                (c->n_deployments - i) * sizeof *c->deployments);
        c->n_deployments++;
        c->deployments[i] =
            (struct deployment){.address = text_get(c, d.address), .name = text_get(c, d.name)};
    }
    at = &c->deployments[i];
    text_put(c, &at->by);
    at->by = text_get(c, r->by);
    at->package = d.package;
    at->at = r->at;
    at->issued_at = d.issued_at;
    at->size = r->size;
    buf_free(&at->bytes);
    at->bytes = buf_dup(r->deployment);
    return 0;
}

/* Does this server have a deployment of this name that was signed later? */
static bool overruled(const struct bcore *c, const struct server *s, const struct deployment *d)
{
    for (unsigned i = 0; i < c->n_deployments; i++) {
        const struct deployment *o = &c->deployments[i];
        if (o != d && o->name == d->name && o->issued_at > d->issued_at &&
            server_in(s, o->address) && !removes(o))
            return true;
    }
    return false;
}

uint32_t deploy_desired(const struct bcore *c, const struct server *s, struct buf *items)
{
    struct buf one = {0};
    uint32_t n = 0;
    for (unsigned i = 0; i < c->n_deployments && n < LIMIT_JOBS; i++) {
        const struct deployment *d = &c->deployments[i];
        if (!server_in(s, d->address) || removes(d) || overruled(c, s, d))
            continue;
        buf_clear(&one);
        d_deployed_encode(&(struct d_deployed){.deployment = buf_span(&d->bytes), .size = d->size},
                          &one);
        if (items->n + one.n > DESIRED_MAX)
            break;
        wire_add_bin(items, buf_span(&one));
        n++;
    }
    buf_free(&one);
    return n;
}

void deploy_send_desired(struct bcore *c, const struct server *s, uint64_t rests_on)
{
    struct buf items = {0};
    uint32_t n = deploy_desired(c, s, &items);
    SEND(c, s->peer->handle, rests_on, desired, .generation = c->epoch << 32 | c->generation,
         .packages = wire_list_from(&items, n));
    buf_free(&items);
}

void bcore_on_deploy(struct bcore *c, struct peer_state *p)
{
    struct m_deploy m;
    struct d_deployment d;
    struct error err = {0};
    bool there;
    unsigned i;
    uint64_t lsn;
    if (!TAKE(c, p, deploy, &m))
        return;
    if (decode_deployment(m.deployment, &d, &err) < 0) {
        out_fail(c, m.req, REFUSAL_MALFORMED, "%s", err.text);
        return;
    }
    if (!servers_know_address(c, d.address)) {
        out_fail(c, m.req, REFUSAL_UNKNOWN_ADDRESS,
                 "no server or pool is named '" SPAN_FMT "' (lbctl servers lists them)",
                 SPAN_ARG(d.address));
        return;
    }
    i = place_of(c, d.address, d.name, &there);
    if (there && span_eq(buf_span(&c->deployments[i].bytes), m.deployment)) {
        out_done(c, m.req, c->lsn, "it was already deployed");
        return;
    }
    if (there && d.issued_at <= c->deployments[i].issued_at) {
        out_fail(c, m.req, REFUSAL_STATE,
                 "a newer deployment of '" SPAN_FMT "' to '" SPAN_FMT "' is in force",
                 SPAN_ARG(d.name), SPAN_ARG(d.address));
        return;
    }
    if (d.remove && (!there || removes(&c->deployments[i]))) {
        out_fail(c, m.req, REFUSAL_NOT_FOUND, "'" SPAN_FMT "' is not deployed to '" SPAN_FMT "'",
                 SPAN_ARG(d.name), SPAN_ARG(d.address));
        return;
    }
    lsn = EMIT(c, deployed, .at = c->wall, .by = span_str(p->name->s), .deployment = m.deployment,
               .size = c->ev->size);
    c->generation++;
    out_done(c, m.req, lsn, "");
    const struct text *address = text_find(c, d.address);
    for (unsigned k = 0; k < c->n_servers; k++)
        if (c->servers[k]->peer && server_in(c->servers[k], address))
            deploy_send_desired(c, c->servers[k], lsn);
}
