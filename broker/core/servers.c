/* servers.c - servers and the sessions of their workers: HELLO, HAVE, the end of a session.
 *
 * A new session of the same spool takes over. The worker lists what its spool has, and the list is
 * compared with what was handed to that spool. An attempt that is not listed never arrived and goes
 * back to the queue; the worker is told to stop a listed one that no longer counts. Attempts that
 * were handed to another spool of this name are left alone: whether those still run is unknown, so
 * only lost_after ends them.
 *
 * A spool is not synced, so a power cut takes its end. Therefore, after another boot, an attempt
 * that is not listed was perhaps begun: it is lost, and its on_lost decides. Nothing of it runs
 * any more. In the same boot nothing is forgotten, so an attempt that the broker knows to have
 * started is not one that never arrived, whatever the list says: only lost_after ends it. The same
 * holds for one that was handed to another home with this spool (rivals.c). */
#include <stdio.h>
#include <string.h>

#include "broker/core/inside.h"

/* ---- Pools */
struct pool { /* the servers whose certificates name it */
    struct text *name;
    struct server **v; /* by name */
    unsigned n, cap;
};

static uint64_t pool_hash(const void *self, uintptr_t item)
{
    (void)self;
    return ((const struct pool *)item)->name->hash;
}
static bool pool_same(const void *self, uintptr_t item, const void *key)
{
    (void)self;
    return ((const struct pool *)item)->name == key;
}

static struct pool *pool_find(const struct bcore *c, const struct text *name)
{
    return c->pools.hash ? (struct pool *)table_find(&c->pools, name->hash, name) : NULL;
}

static void pool_add(struct bcore *c, struct text *name, struct server *s)
{
    struct pool *p = pool_find(c, name);
    unsigned at = 0;
    if (!p) {
        if (!c->pools.hash)
            c->pools = (struct table){.hash = pool_hash, .same = pool_same};
        p = mem_zalloc(1, sizeof *p);
        p->name = text_ref(name);
        table_add(&c->pools, (uintptr_t)p);
    }
    while (at < p->n && p->v[at] != s && strcmp(p->v[at]->name->s, s->name->s) < 0)
        at++;
    if (at < p->n && p->v[at] == s)
        return; /* the certificate names this pool twice */
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 4;
        p->v = mem_realloc(p->v, p->cap, sizeof(struct server *));
    }
    memmove(p->v + at + 1, p->v + at, (p->n - at) * sizeof(struct server *));
    p->v[at] = s;
    p->n++;
}

static void pool_leave(struct bcore *c, struct text *name, const struct server *s)
{
    struct pool *p = pool_find(c, name);
    unsigned at = 0;
    while (p && at < p->n && p->v[at] != s)
        at++;
    if (!p || at == p->n)
        return;
    memmove(p->v + at, p->v + at + 1, (p->n - at - 1) * sizeof(struct server *));
    if (--p->n)
        return;
    table_remove(&c->pools, (uintptr_t)p);
    text_put(c, &p->name);
    mem_free(&p->v);
    mem_free(&p);
}

static void leave_pools(struct bcore *c, struct server *s)
{
    for (unsigned i = 0; i < s->n_pools; i++) {
        pool_leave(c, s->pools[i], s);
        text_put(c, &s->pools[i]);
    }
    mem_free(&s->pools);
    mem_free(&s->pool_names);
    s->n_pools = 0;
}

void server_set_pools(struct bcore *c, struct server *s, const struct wire_list *pools)
{
    struct wire_iter it = wire_iter(pools);
    struct span pool;
    leave_pools(c, s);
    s->pools = mem_zalloc(pools->count, sizeof(struct text *));
    s->pool_names = mem_zalloc(pools->count, sizeof(char *));
    while (wire_next(&it, &pool)) {
        struct text *name = text_get(c, pool);
        s->pools[s->n_pools] = name;
        s->pool_names[s->n_pools++] = name->s;
        pool_add(c, name, s);
    }
    s->enrolled = true;
}

/* ---- All servers, by name */
static unsigned place_of(const struct bcore *c, struct span name, bool *ret_there)
{
    unsigned low = 0, high = c->n_servers;
    *ret_there = false;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        const struct text *t = c->servers[mid]->name;
        size_t n = t->n < name.n ? t->n : name.n;
        int cmp = n ? memcmp(t->s, name.p, n) : 0;
        if (cmp == 0 && t->n == name.n) {
            *ret_there = true;
            return mid;
        }
        if (cmp < 0 || (cmp == 0 && t->n < name.n))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct server *server_find(const struct bcore *c, struct span name)
{
    bool there;
    unsigned i = place_of(c, name, &there);
    return there ? c->servers[i] : NULL;
}

struct server *server_get(struct bcore *c, struct span name)
{
    bool there;
    unsigned i = place_of(c, name, &there);
    struct server *s;
    if (there)
        return c->servers[i];
    if (c->n_servers == c->cap_servers) {
        c->cap_servers = c->cap_servers ? c->cap_servers * 2 : 16;
        c->servers = mem_realloc(c->servers, c->cap_servers, sizeof(struct server *));
    }
    memmove(c->servers + i + 1, c->servers + i, (c->n_servers - i) * sizeof(struct server *));
    c->servers[i] = s = mem_zalloc(1, sizeof *s);
    s->name = text_get(c, name);
    c->n_servers++;
    return s;
}

void server_free(struct bcore *c, struct server **ps)
{
    struct server *s = *ps;
    attest_clear(c, s);
    leave_pools(c, s);
    text_put(c, &s->name);
    text_put(c, &s->software);
    mem_free(&s->draining_reason);
    mem_free(&s->address);
    mem_free(&s->process);
    rival_forget(s);
    mem_free(ps);
}

/* The server must have no session and no attempts. */
void server_remove(struct bcore *c, struct server *s)
{
    bool there;
    unsigned i = place_of(c, span_of(s->name->s, s->name->n), &there);
    bcore_timer_clear(c, &s->lease);
    bcore_timer_clear(c, &s->rest);
    bcore_timer_clear(c, &s->mend);
    memmove(c->servers + i, c->servers + i + 1, (c->n_servers - i - 1) * sizeof(struct server *));
    c->n_servers--;
    server_free(c, &s);
}

static bool is_all(const struct text *address)
{
    return address->n == 3 && !memcmp(address->s, "all", 3);
}

struct server *const *servers_members(const struct bcore *c, const struct text *address,
                                      unsigned *ret_n)
{
    const struct pool *p = pool_find(c, address);
    bool there;
    unsigned i;
    if (p || is_all(address)) {
        *ret_n = p ? p->n : c->n_servers;
        return p ? p->v : c->servers;
    }
    i = place_of(c, span_of(address->s, address->n), &there);
    *ret_n = there;
    return c->servers + i;
}

const struct server *servers_pool_member(const struct bcore *c, struct span pool)
{
    const struct text *t = text_find(c, pool);
    const struct pool *p = t ? pool_find(c, t) : NULL;
    return p ? p->v[0] : NULL;
}

bool server_in(const struct server *s, const struct text *address)
{
    if (!s->enrolled)
        return false;
    if (s->name == address || is_all(address))
        return true;
    for (unsigned i = 0; i < s->n_pools; i++)
        if (s->pools[i] == address)
            return true;
    return false;
}

bool servers_know_address(const struct bcore *c, struct span address)
{
    const struct text *t = text_find(c, address);
    const struct server *s = server_find(c, address);
    return span_eq_str(address, "all") || (s && s->enrolled) || (t && pool_find(c, t));
}

/* ---- Sessions */
void server_hello(struct bcore *c, struct peer_state *p, struct server *s,
                  const struct m_hello *hello)
{
    struct peer_state *old = s->peer;
    if (old) {
        out_close(
            c, old->handle, &m_reset_schema,
            &(struct m_reset){.reason = span_str("a newer session of this worker has taken over")});
        old->server = NULL;
        bcore_peer_forget(c, old);
    }
    if (rival_is_another(s, hello)) {
        attest_clear(c, s);
        rival_forget(s); /* that one may have come in */
    }
    s->peer = p;
    p->server = s;
    s->spool = hello->spool;
    s->boot = hello->boot;
    s->incarnation = hello->incarnation;
    s->slots = hello->slots;
    s->ready = false;
    s->haves = 0;
    s->up_since = c->wall;
    mem_free(&s->address);
    s->address = mem_strdup(c->ev->who->address ? c->ev->who->address : "");
    mem_free(&s->process);
    s->process = hello->process.n ? span_dup_str(hello->process) : NULL;
    s->leased = true;
    lease_renew(c, s);
    bcore_timer_set(c, &s->lease, TIMER_LEASE, c->now + (int64_t)c->config.lease_ms);
    for (struct attempt *a = s->attempts; a; a = a->next) {
        a->seen = a->recalled = false;
        if (id_eq(a->spool, s->spool))
            bcore_timer_clear(c, &a->run->timer); /* the spool that has it is back */
    }
    /* one that comes and goes all the time is not worth a record each time */
    if (account_rate(c, &s->sessions, 1, RATE_SESSIONS, 60000))
        EMIT(c, server, .at = c->wall, .server = span_of(s->name->s, s->name->n), .spool = s->spool,
             .boot = s->boot, .software = hello->software, .state = span_str("up"));
    queue_refresh_seats(c, s);
}

void server_gone(struct bcore *c, struct server *s)
{
    s->peer = NULL;
    s->ready = false;
    for (struct attempt *a = s->attempts; a; a = a->next)
        a->recalled = false;
    queue_refresh_seats(c, s);
}

/* ---- Its inventory */
static void reattach(struct bcore *c, struct run *r, uint64_t state)
{
    struct error err = {0};
    r->at->seen = true;
    attempt_waits(c, r->at, false); /* if it does, PROGRESS follows */
    if (state == RUN_RUNNING && !r->at->started_at) {
        attempt_settled(c, r->at);
        r->lsn = EMIT(c, started, .at = c->wall, .run = r->id, .attempt = r->attempt);
    } else if (r->state == RUN_OUT_OF_CONTACT) {
        run_move(r, r->at->started_at ? RUN_EV_START : RUN_EV_REATTACH_WAITING, &err);
    }
    if (r->cancel && state != RUN_ENDED)
        cancel_send_stop(c, r);
    follow_state(c, r);
}

void bcore_on_have(struct bcore *c, struct peer_state *p)
{
    struct server *s = p->server;
    struct m_have m;
    struct run *r;
    if (!TAKE(c, p, have, &m))
        return;
    if (s->ready ||
        (m.state != RUN_HANDED_OVER && m.state != RUN_RUNNING && m.state != RUN_ENDED)) {
        out_refuse(c, p->handle, REFUSAL_MALFORMED, 0, "HAVE: %s",
                   s->ready ? "after HAVE_END" : "an attempt is handed_over, running or ended");
        bcore_peer_forget(c, p);
        return;
    }
    s->haves++;
    r = run_find(c, m.run);
    if (r && r->at && r->attempt == m.attempt && r->at->server == s &&
        id_eq(r->at->spool, s->spool))
        reattach(c, r, m.state);
    else if (m.state != RUN_ENDED) /* an ended one's RESULT will be answered */
        stray_met(c, p, m.run, m.attempt);
}

/* It never arrived: back to the queue, or cancelled if that was requested meanwhile. */
static void never_seen(struct bcore *c, struct server *s, struct run *r)
{
    char reason[LIMIT_NAME + 64];
    if (r->cancel) {
        run_end_cancelled(c, r);
        return;
    }
    snprintf(reason, sizeof reason, "server %s has never seen it", s->name->s);
    c->counts.returned++;
    r->lsn = EMIT(c, returned, .at = c->wall, .run = r->id, .attempt = r->attempt,
                  .reason = span_str(reason));
    queue_add(c, r);
    follow_state(c, r);
}

static bool is_of_another_boot(const struct attempt *a)
{
    return !id_is_zero(a->boot) && !id_eq(a->boot, a->server->boot);
}

static void perhaps_begun(struct bcore *c, struct run *r)
{
    char why[LIMIT_NAME + 200];
    snprintf(
        why, sizeof why,
        "server %s was restarted and does not list this attempt%s; whether the job began there "
        "is unknown",
        r->at->server_name->s, r->cancel ? ", which was being cancelled" : "");
    attempt_lost(c, r, why);
}

static void not_listed(struct bcore *c, struct server *s, struct run *r)
{
    r->at->seen = true; /* it is dealt with, also if it stays */
    if (is_of_another_boot(r->at))
        perhaps_begun(c, r);
    else if (r->at->started_at || rival_has(r->at))
        attempt_silent(c, r, c->now);
    else
        never_seen(c, s, r);
}

void bcore_on_have_end(struct bcore *c, struct peer_state *p)
{
    struct server *s = p->server;
    struct m_have_end m;
    struct attempt *a;
    if (!TAKE(c, p, have_end, &m))
        return;
    if (s->ready || m.count != s->haves) {
        out_close(c, p->handle, &m_reset_schema,
                  &(struct m_reset){.reason = span_str(s->ready ? "HAVE_END was sent before"
                                                                : "a HAVE is missing")});
        bcore_peer_forget(c, p);
        return;
    }
    do { /* each return changes the list */
        for (a = s->attempts; a; a = a->next)
            if (!a->seen && id_eq(a->spool, s->spool))
                break;
        if (a)
            not_listed(c, s, a->run);
    } while (a);
    s->ready = true;
    queue_refresh_seats(c, s);
}
