/* core.c - the core as a whole: creation, replay, steps, sessions, timers.
 *
 * Where to read next: apply.c changes the durable state. calls.c, cancel.c, results.c, servers.c,
 * strays.c, leases.c, parents.c, registry.c, deploy.c, vault.c and operate.c decide, each for one
 * kind of message. queue.c and placement.c give runs to servers. follow.c tells callers.
 * explain.c, view.c and digest.c only look. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "broker/core/declined.h"

#ifndef LB_VERSION
#error "LB_VERSION: the Makefile says it"
#endif

/* ---- Life */
struct bcore *bcore_new(const struct bcore_config *config)
{
    struct bcore *c = mem_zalloc(1, sizeof *c);
    c->config = *config;
    c->certificate = buf_dup(config->certificate);
    c->next_certificate = buf_dup(config->next);
    c->config.certificate = c->config.next = SPAN_NONE;
    if (!c->config.bodies_budget)
        c->config.bodies_budget = c->config.memory_budget / BODIES_PART;
    if (!c->config.lease_ms)
        c->config.lease_ms = LEASE_MS;
    if (!c->config.lost_after_ms)
        c->config.lost_after_ms = LOST_AFTER_MS;
    if (!c->config.kept_ms)
        c->config.kept_ms = KEPT_MS;
    if (!c->config.kept_max)
        c->config.kept_max = KEPT_MAX;
    if (!c->config.classes_max)
        c->config.classes_max = CLASSES_MAX;
    if (!c->config.evidence_bytes)
        c->config.evidence_bytes = budget_row(BUDGET_EVIDENCE)->limit;
    if (!c->config.runs_percent)
        c->config.runs_percent = budget_row(BUDGET_RUNS)->limit;
    if (!c->config.memory_percent)
        c->config.memory_percent = budget_row(BUDGET_MEMORY)->limit;
    bcore_tables_init(c);
    kept_init(c);
    return c;
}

static void peer_free(struct bcore *c, struct peer_state **p)
{
    (*p)->account->sessions--;
    account_put(c, &(*p)->account);
    text_put(c, &(*p)->name);
    mem_free(p);
}

static void free_peers(struct bcore *c)
{
    size_t place = 0;
    uintptr_t item;
    while ((item = table_next(&c->peers, &place))) {
        struct peer_state *p = (struct peer_state *)item;
        follow_peer_down(c, p);
        parents_peer_down(p);
        peer_free(c, &p);
    }
    table_free(&c->peers);
}

void bcore_free(struct bcore **pc)
{
    struct bcore *c = *pc;
    size_t place = 0;
    uintptr_t item;
    if (!c)
        return;
    while (heap_pop(&c->timers))
        ;
    free_peers(c);
    while (c->oldest)
        run_unlink(c, c->oldest);
    runs_empty_graveyard(c);
    while ((item = table_next(&c->parents, &place))) {
        struct parent *p = (struct parent *)item;
        parent_free(c, &p);
    }
    table_free(&c->parents);
    table_free(&c->parents_by_key);
    table_free(&c->runs);
    table_free(&c->runs_by_key);
    class_free_all(c);
    for (unsigned i = 0; i < c->n_servers; i++)
        server_free(c, &c->servers[i]);
    mem_free(&c->servers);
    table_free(&c->pools);
    registry_free(c);
    kept_free(c);
    mem_free(&c->evidence);
    heap_free(&c->timers);
    buf_free(&c->scratch);
    buf_free(&c->certificate);
    buf_free(&c->next_certificate);
    account_free_gone(c);
    table_free(&c->accounts);
    table_free(&c->texts);
    mem_free(pc);
}

int bcore_replay(struct bcore *c, uint64_t lsn, struct span record, struct error *err)
{
    assert(!c->live);
    int rc = apply_record(c, lsn, record, err);
    runs_empty_graveyard(c);
    if (rc == 0)
        return 0;
    error_prefix(err, "record %llu", (unsigned long long)lsn);
    if (err)
        err->code = -EPROTO;
    return -EPROTO;
}

static void step_begin(struct bcore *c, const struct bcore_event *ev, struct bcore_out *out)
{
    out->n_records = out->n_effects = 0;
    buf_clear(&out->arena);
    c->out = out;
    c->ev = ev;
    c->now = ev->now;
    c->wall = ev->wall;
}

static void step_end(struct bcore *c)
{
    runs_empty_graveyard(c);
    out_finish(c->out);
    c->out = NULL;
    c->ev = NULL;
}

/* After a backup is restored the epoch is the wall time in seconds: no broker starts every second,
 * so the epochs of the lost time are lower. */
static uint64_t next_epoch(const struct bcore *c)
{
    uint64_t seconds = c->ev->restored && c->wall > 0 ? (uint64_t)c->wall / 1000 : 0;
    return seconds > c->epoch ? seconds : c->epoch + 1;
}

/* Runs that are already held, too: they may have been released in the lost time. */
static void hold_all(struct bcore *c)
{
    for (struct run *r = c->oldest; r; r = r->newer) {
        uint64_t attempt = r->attempt + (uint64_t)RESTORED_ATTEMPTS;
        r->lsn = EMIT(c, held, .at = c->wall, .run = r->id,
                      .attempt = attempt < LIMIT_ATTEMPTS ? attempt : LIMIT_ATTEMPTS);
    }
}

void bcore_begin(struct bcore *c, const struct bcore_event *ev, struct bcore_out *out)
{
    step_begin(c, ev, out);
    c->live = true;
    c->begun_at = c->now;
    if (ev->lsn > c->lsn)
        /* the replay may have left out the journal's last records */
        c->lsn = ev->lsn;
    c->committed = c->lsn;
    kept_begin(c);
    EMIT(c, epoch, .at = c->wall, .epoch = next_epoch(c), .software = span_str(LB_VERSION));
    if (ev->restored) {
        c->restored_at = c->wall;
        hold_all(c);
    }
    for (struct run *r = c->oldest, *newer; r; r = newer) {
        newer = r->newer; /* r may end below */
        int64_t age = c->wall > r->called_at ? c->wall - r->called_at : 0;
        r->accepted = age < c->now + INT64_MAX / 4 ? c->now - age : c->now;
        if (r->at)
            /* lost_after starts at zero: when the server was last heard is unknown */
            attempt_silent(c, r, c->now);
        else if (r->state == RUN_WAITING)
            queue_add(c, r);
    }
    leases_look(c); /* the process may be stopped before its first step */
    step_end(c);
}

/* ---- Timers: one heap. The tie holds the order in which timers were set, which decides between
 * equal times, and the kind. */
void bcore_timer_set(struct bcore *c, struct heap_node *node, enum timer_kind kind, int64_t at)
{
    heap_remove(&c->timers, node);
    heap_insert(&c->timers, node, at, ++c->timer_order * TIMER_KINDS + kind);
}

void bcore_timer_clear(struct bcore *c, struct heap_node *node)
{
    heap_remove(&c->timers, node);
}

static void timers_due(struct bcore *c)
{
    struct heap_node *n;
    leases_look(c);
    while ((n = heap_peek(&c->timers)) && n->key <= c->now) {
        heap_pop(&c->timers);
        switch ((enum timer_kind)(n->tie % TIMER_KINDS)) {
        case TIMER_RUN:
            run_timer_due(c, heap_entry(n, struct run, timer));
            break;
        case TIMER_LEASE:
            lease_due(c, heap_entry(n, struct server, lease));
            break;
        case TIMER_REST:
            placement_rest_due(c, heap_entry(n, struct server, rest));
            break;
        case TIMER_MEND:
            declined_due(c, heap_entry(n, struct server, mend));
            break;
        case TIMER_RECALL:
            placement_recall_due(c, heap_entry(n, struct class, recall));
            break;
        case TIMER_LOOK: /* leases_look has set it again */
        case TIMER_KINDS:
            break;
        }
    }
}

int64_t bcore_deadline(const struct bcore *c)
{
    const struct heap_node *n = heap_peek(&c->timers);
    if (c->drain_first)
        return c->now;
    return n ? n->key : INT64_MAX;
}

/* ---- Peers */
void bcore_peer_forget(struct bcore *c, struct peer_state *p)
{
    struct server *s = p->server;
    table_remove(&c->peers, (uintptr_t)p);
    parents_peer_down(p);
    follow_peer_down(c, p);
    if (s && s->peer == p)
        server_gone(c, s);
    peer_free(c, &p);
}

static bool hello_good(struct bcore *c, const struct m_hello *m, struct server *s)
{
    if (m->major != PROTO_MAJOR) {
        out_refuse(c, c->ev->peer, REFUSAL_VERSION, 0,
                   "this broker speaks protocol %d.x, the peer %llu.x: update the older one",
                   PROTO_MAJOR, (unsigned long long)m->major);
        return false;
    }
    return !s || !rival_refused(c, s, m);
}

static struct peer_state *peer_new(struct bcore *c, uint64_t serial)
{
    struct peer_state *p = mem_zalloc(1, sizeof *p);
    p->handle = c->ev->peer;
    p->name = text_get(c, span_str(c->ev->who->name));
    p->account = account_get(c, p->name);
    p->account->sessions++;
    p->serial = serial;
    p->window_open = c->ev->window_open;
    table_add(&c->peers, (uintptr_t)p);
    return p;
}

/* The shell uses the newest certificate of the peer's key, and sends it to a peer whose HELLO had
 * an older one. */
static void welcome(struct bcore *c, struct peer_state *p, const struct m_hello *m)
{
    const struct span newest = c->ev->who->certificate;
    SEND(c, p->handle, 0, welcome, .minor = PROTO_MINOR, .cluster = span_str(c->config.cluster),
         .broker = span_str(c->config.broker), .certificate = buf_span(&c->certificate),
         .epoch = c->epoch, .lease_ms = c->config.lease_ms,
         .lost_after_ms = c->config.lost_after_ms, .now = c->wall,
         .revocations = c->revocations_number,
         .yours = span_eq(newest, m->certificate) ? SPAN_NONE : newest,
         .next = buf_span(&c->next_certificate));
    if (m->revocations < c->revocations_number)
        registry_send_revoked(c, p->handle, 0);
    if (p->server) {
        deploy_send_desired(c, p->server, 0);
        vault_send(c, p->server, 0);
    }
}

static void peer_up(struct bcore *c)
{
    const struct bcore_peer *who = c->ev->who;
    struct m_hello m;
    struct d_certificate d = {0};
    struct error err = {0};
    struct server *s = NULL;
    struct peer_state *p;
    if (m_hello_decode(c->ev->message, &m, &err) < 0) {
        out_refuse(c, c->ev->peer, REFUSAL_MALFORMED, 0, "%s", err.text);
        return;
    }
    bool worker = !strcmp(who->role, "server") && !id_is_zero(m.spool);
    /* A one-time key has no certificate and no role; it may only enrol. */
    if (who->role[0]) {
        if (!registry_meet(c, who->certificate, &err) ||
            registry_decode_certificate(who->certificate, &d, &err) < 0) {
            out_refuse(c, c->ev->peer, REFUSAL_EXISTS, 0, "%s", err.text);
            return;
        }
    }
    if (worker)
        s = server_get(c, span_str(who->name));
    if (!hello_good(c, &m, s))
        return;
    p = peer_new(c, d.serial);
    p->is_server = worker;
    if (worker)
        server_hello(c, p, s, &m);
    welcome(c, p, &m);
}

bool bcore_take(struct bcore *c, struct peer_state *p, const struct wire_schema *s, void *ret)
{
    struct error err = {0};
    if (wire_decode(s, c->ev->message, false, ret, &err) == 0)
        return true;
    out_refuse(c, p->handle, REFUSAL_MALFORMED, 0, "%s", err.text);
    bcore_peer_forget(c, p);
    return false;
}

/* ---- Messages */
static void on_ping(struct bcore *c, struct peer_state *p)
{
    struct m_ping m;
    if (TAKE(c, p, ping, &m))
        SEND(c, p->handle, 0, pong, .stamp = m.stamp);
}
static void on_enrol_message(struct bcore *c, struct peer_state *p)
{
    bcore_on_enrol(c, p, false);
}
static void on_publish(struct bcore *c, struct peer_state *p)
{
    bcore_on_enrol(c, p, true);
}

static const struct handler {
    uint64_t kind;
    bool worker; /* only in the session of a worker */
    void (*handle)(struct bcore *c, struct peer_state *p);
} handlers[] = {
    {KIND_M_PING, false, on_ping},
    {KIND_M_CALL, false, bcore_on_call},
    {KIND_M_RESOLVE, false, bcore_on_resolve},
    {KIND_M_FOLLOW, false, bcore_on_follow},
    {KIND_M_CANCEL, false, bcore_on_cancel},
    {KIND_M_PARENT_BEGIN, false, bcore_on_parent_begin},
    {KIND_M_PARENT_DRIVE, false, bcore_on_parent_drive},
    {KIND_M_PARENT_END, false, bcore_on_parent_end},
    {KIND_M_OPERATE, false, bcore_on_operate},
    {KIND_M_DEPLOY, false, bcore_on_deploy},
    {KIND_M_SECRET_PUT, false, bcore_on_secret_put},
    {KIND_M_SECRET_FOR, false, bcore_on_secret_for},
    {KIND_M_ENROL, false, on_enrol_message},
    {KIND_M_PUBLISH, false, on_publish},
    {KIND_M_REVOKE, false, bcore_on_revoke},
    {KIND_M_SECRET_GET, true, bcore_on_secret_get},
    {KIND_M_ATTEST, true, bcore_on_attest},
    {KIND_M_HAVE, true, bcore_on_have},
    {KIND_M_HAVE_END, true, bcore_on_have_end},
    {KIND_M_STARTED, true, bcore_on_started},
    {KIND_M_PROGRESS, true, bcore_on_progress},
    {KIND_M_RESULT, true, bcore_on_result},
    {KIND_M_RETURNED, true, bcore_on_returned},
};

static void message(struct bcore *c)
{
    struct peer_state *p = bcore_peer_find(c, c->ev->peer);
    struct error err = {0};
    uint64_t kind = 0;
    size_t size;
    if (!p) { /* its session was closed while this message was in transit */
        out_close(c, c->ev->peer, &m_reset_schema,
                  &(struct m_reset){.reason = span_str("this session has ended")});
        return;
    }
    if (p->server)
        lease_renew(c, p->server);
    follow_window(c, p);
    if (wire_peek(c->ev->message, &kind, &size, &err) < 0 || size != c->ev->message.n) {
        out_refuse(c, p->handle, REFUSAL_MALFORMED, 0, "%s",
                   err.code ? err.text : "unexpected bytes after the message");
        bcore_peer_forget(c, p);
        return;
    }
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (handlers[i].kind == kind) {
            if (handlers[i].worker && !p->server) {
                out_refuse(c, p->handle, REFUSAL_WRONG_ROLE, 0,
                           "only a server's worker may send %s",
                           messages_schema_of_kind(kind, NULL)->name);
                bcore_peer_forget(c, p);
            } else {
                handlers[i].handle(c, p);
            }
            return;
        }
    out_refuse(c, p->handle, REFUSAL_WRONG_ROLE, 0, "the broker takes no message of kind %llu",
               (unsigned long long)kind);
    bcore_peer_forget(c, p);
}

void bcore_step(struct bcore *c, const struct bcore_event *ev, struct bcore_out *out)
{
    struct peer_state *p;
    assert(c->live);
    step_begin(c, ev, out);
    switch (ev->kind) {
    case BCORE_PEER_UP:
        peer_up(c);
        break;
    case BCORE_PEER_DOWN:
        if ((p = bcore_peer_find(c, ev->peer)))
            bcore_peer_forget(c, p);
        break;
    case BCORE_MESSAGE:
        message(c);
        break;
    case BCORE_WINDOW:
        if ((p = bcore_peer_find(c, ev->peer)))
            follow_window(c, p);
        break;
    case BCORE_COMMITTED:
        c->committed = ev->lsn;
        bodies_settle(c);
        break;
    case BCORE_STORE_FULL:
    case BCORE_STORE_OK:
        c->store_full = ev->kind == BCORE_STORE_FULL;
        break;
    case BCORE_ENDED_KEYS:
        kept_list(c);
        break;
    case BCORE_TICK:
        break;
    }
    timers_due(c);
    if (ev->kind == BCORE_TICK || ev->kind == BCORE_WINDOW)
        follow_drain(c);
    step_end(c);
}
