/* digest.c - the durable state as one hash: the sum of the hashes of its parts, so that their order
 * does not matter. */
#include <string.h>

#include "broker/core/inside.h"
#include "trust/envelope.h"

struct sum {
    struct hash *ret;
    struct buf part;
};

static void part_begin(struct sum *s, const char *kind)
{
    buf_clear(&s->part);
    buf_add(&s->part, kind, strlen(kind) + 1);
}
static void part_u64(struct sum *s, uint64_t v)
{
    buf_add(&s->part, &v, sizeof v);
}
static void part_bytes(struct sum *s, const void *p, size_t n)
{
    part_u64(s, n);
    buf_add(&s->part, p, n);
}
static void part_text(struct sum *s, const struct text *t)
{
    part_bytes(s, t ? t->s : NULL, t ? t->n : 0);
}
static void part_end(struct sum *s)
{
    struct hash h;
    unsigned carry = 0;
    envelope_hash(buf_span(&s->part), &h);
    for (unsigned i = 0; i < sizeof h.b; i++) {
        carry += s->ret->b[i] + h.b[i];
        s->ret->b[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void run_part(struct sum *s, const struct run *r)
{
    const struct attempt *a = r->at;
    uint64_t state = r->state;
    if (state == RUN_OUT_OF_CONTACT) /* the journal does not have that state */
        state = a->started_at ? RUN_RUNNING : RUN_HANDED_OVER;
    part_begin(s, "run");
    part_bytes(s, r->id.b, sizeof r->id.b);
    part_bytes(s, r->digest.b, sizeof r->digest.b);
    part_u64(s, r->called_lsn);
    part_u64(s, (uint64_t)r->expires);
    part_u64(s, r->start_within_ms);
    part_u64(s, r->lost_after_ms);
    part_u64(s, (uint64_t)r->priority << 8 | r->on_lost);
    part_text(s, r->principal);
    part_text(s, r->certificate);
    part_u64(s, state);
    part_u64(s, r->attempt);
    part_u64(s, (uint64_t)r->called_at);
    part_u64(s, r->lsn);
    part_text(s, r->declined);
    part_u64(s, (uint64_t)r->restored << 2 | (uint64_t)r->started_once << 1 | r->lost_once);
    if (r->cancel) {
        part_text(s, r->cancel->by);
        part_u64(s, r->cancel->force);
        part_bytes(s, r->cancel->reason, strlen(r->cancel->reason));
    }
    if (a) {
        part_text(s, a->server_name);
        part_bytes(s, a->spool.b, sizeof a->spool.b);
        part_bytes(s, a->boot.b, sizeof a->boot.b);
        part_bytes(s, a->incarnation.b, sizeof a->incarnation.b);
        part_bytes(s, a->job_hash.b, sizeof a->job_hash.b);
        part_u64(s, a->on_lost);
        part_u64(s, a->lost_after_ms);
        part_u64(s, (uint64_t)a->assigned_at);
        part_u64(s, (uint64_t)a->started_at);
        part_text(s, a->step);
    }
    part_end(s);
}

static void kept_parts(struct sum *s, const struct kept_ring *k)
{
    for (uint64_t i = k->first; i < k->next; i++) {
        const struct kept *e = &k->v[i & (k->cap - 1)];
        part_begin(s, "kept");
        part_bytes(s, e->id.b, sizeof e->id.b);
        part_bytes(s, e->digest, sizeof e->digest);
        part_u64(s, e->attempt);
        part_u64(s, (uint64_t)e->at);
        part_u64(s, e->flags & (KEPT_REPORTED | KEPT_PARENT));
        part_end(s);
    }
}

static void parent_part(struct sum *s, const struct parent *p)
{
    part_begin(s, "parent");
    part_bytes(s, p->id.b, sizeof p->id.b);
    part_bytes(s, p->digest.b, sizeof p->digest.b);
    part_bytes(s, p->body.p, p->body.n);
    part_text(s, p->principal);
    part_text(s, p->driven_by);
    part_u64(s, p->epoch);
    part_u64(s, (uint64_t)p->begun_at);
    part_end(s);
}

static void server_part(struct sum *s, const struct server *v)
{
    part_begin(s, "server");
    part_text(s, v->name);
    for (unsigned i = 0; i < v->n_pools; i++)
        part_text(s, v->pools[i]);
    part_u64(s, v->draining);
    part_end(s);
}

void bcore_digest(const struct bcore *c, struct hash *ret)
{
    struct sum s = {.ret = ret};
    memset(ret, 0, sizeof *ret);
    for (const struct run *r = c->oldest; r; r = r->newer)
        run_part(&s, r);
    kept_parts(&s, &c->kept);
    uintptr_t item;
    for (size_t place = 0; (item = table_next(&c->parents, &place));)
        parent_part(&s, (const struct parent *)item);
    for (unsigned i = 0; i < c->n_servers; i++)
        if (c->servers[i]->enrolled)
            server_part(&s, c->servers[i]);
    for (unsigned i = 0; i < c->n_enrolled; i++) {
        part_begin(&s, "certificate");
        part_bytes(&s, c->enrolled[i].bytes.p, c->enrolled[i].bytes.n);
        part_end(&s);
    }
    for (unsigned i = 0; i < c->n_deployments; i++) {
        part_begin(&s, "deployment");
        part_bytes(&s, c->deployments[i].bytes.p, c->deployments[i].bytes.n);
        part_u64(&s, c->deployments[i].size);
        part_end(&s);
    }
    for (unsigned i = 0; i < c->vault.n; i++) {
        part_begin(&s, "secret");
        part_bytes(&s, c->vault.v[i].bytes.p, c->vault.v[i].bytes.n);
        part_text(&s, c->vault.v[i].certificate);
        part_u64(&s, (uint64_t)c->vault.v[i].at);
        part_end(&s);
    }
    part_begin(&s, "rest");
    part_bytes(&s, c->revocations.p, c->revocations.n);
    part_u64(&s, c->epoch);
    part_end(&s);
    buf_free(&s.part);
}
