/* follow.c - tells a run's followers its end (level 1), or its states as well (level 2).
 *
 * While a peer's window is full, nothing is sent to it. Each run that it follows is put on its list
 * once. When the window opens again, the peer is told the current state; an end in between is
 * looked up in the history. So a slow peer costs at most one entry for each run that it follows,
 * and never misses an end. */
#include <string.h>

#include "broker/core/inside.h"

uint64_t follow_cost(void)
{
    return sizeof(struct follow) + 16; /* with malloc's overhead */
}

static void follow_free(struct bcore *c, struct follow *f)
{
    f->peer->account->follows--;
    account_release(c, f->peer->account, follow_cost());
    if (f->run) {
        *(f->run_prev ? &f->run_prev->run_next : &f->run->followers) = f->run_next;
        if (f->run_next)
            f->run_next->run_prev = f->run_prev;
    }
    *(f->peer_prev ? &f->peer_prev->peer_next : &f->peer->follows) = f->peer_next;
    if (f->peer_next)
        f->peer_next->peer_prev = f->peer_prev;
    mem_free(&f);
}

static struct follow *find(const struct peer_state *p, const struct run *r)
{
    for (struct follow *f = r->followers; f; f = f->run_next)
        if (f->peer == p)
            return f;
    return NULL;
}

void follow_add(struct bcore *c, struct peer_state *p, struct run *r, uint64_t level)
{
    struct follow *f = find(p, r);
    if (!f) {
        f = mem_zalloc(1, sizeof *f);
        p->account->follows++;
        account_charge(c, p->account, follow_cost());
        f->peer = p;
        f->run = r;
        f->id = r->id;
        f->run_next = r->followers;
        if (f->run_next)
            f->run_next->run_prev = f;
        r->followers = f;
        f->peer_next = p->follows;
        if (f->peer_next)
            f->peer_next->peer_prev = f;
        p->follows = f;
    }
    f->level = (uint8_t)level;
}

/* All runs of a class are parked for the same reason, so one look at the servers is enough for
 * all. */
static const char *parked_reason(const struct bcore *c, const struct run *r)
{
    struct class *cl = r->lane->class;
    char why[1024];
    if (!cl->why || cl->why_eligibility != c->eligibility || c->now - cl->why_at >= WHY_MS) {
        explain_reason(c, r, why, sizeof why);
        mem_free(&cl->why);
        cl->why = mem_strdup(why);
        cl->why_at = c->now;
        cl->why_eligibility = c->eligibility;
    }
    return cl->why;
}

void follow_send_state(struct bcore *c, struct peer_state *p, const struct run *r)
{
    enum run_state state = run_state_of(r);
    const struct attempt *a = r->at;
    struct m_run_state m = {
        .run = r->id, .state = state, .attempt = r->attempt, .at = r->called_at};
    if (state == RUN_PARKED)
        m.text = span_str(parked_reason(c, r));
    else if (state == RUN_HELD)
        m.text = span_str(r->restored
                              ? "it was live in a backup that was restored; lbctl release decides"
                              : "its server was lost; lbctl release decides");
    if (a) {
        m.server = span_of(a->server_name->s, a->server_name->n);
        m.percent = a->percent;
        m.text = span_str(a->progress);
        m.at = a->started_at ? a->started_at : a->assigned_at;
    }
    out_send(c, p->handle, r->lsn, &m_run_state_schema, &m);
}

/* ---- Peers whose window is full, and peers that are catching up */
static void dirty_add(struct follow *f)
{
    struct peer_state *p = f->peer;
    if (f->dirty)
        return;
    f->dirty = true;
    f->dirty_next = NULL;
    *(p->dirty_last ? &p->dirty_last->dirty_next : &p->dirty_first) = f;
    p->dirty_last = f;
}

static struct follow *dirty_pop(struct peer_state *p)
{
    struct follow *f = p->dirty_first;
    if (f) {
        p->dirty_first = f->dirty_next;
        if (!p->dirty_first)
            p->dirty_last = NULL;
        f->dirty = false;
    }
    return f;
}

static void drain_add(struct bcore *c, struct peer_state *p)
{
    if (p->draining)
        return;
    p->draining = true;
    p->drain_next = NULL;
    *(c->drain_last ? &c->drain_last->drain_next : &c->drain_first) = p;
    c->drain_last = p;
}

static void drain_remove(struct bcore *c, struct peer_state *p)
{
    struct peer_state **at = &c->drain_first, *prev = NULL;
    if (!p->draining)
        return;
    while (*at != p) {
        prev = *at;
        at = &(*at)->drain_next;
    }
    *at = p->drain_next;
    if (c->drain_last == p)
        c->drain_last = prev;
    p->draining = false;
}

static bool send_now(const struct follow *f)
{
    return f->peer->window_open && !f->peer->dirty_first;
}

void follow_state(struct bcore *c, struct run *r)
{
    for (struct follow *f = r->followers; f; f = f->run_next) {
        if (f->level < 2)
            continue;
        if (send_now(f))
            follow_send_state(c, f->peer, r);
        else
            dirty_add(f);
    }
}

void follow_progress(struct bcore *c, struct run *r)
{
    follow_state(c, r);
}

void follow_end(struct bcore *c, struct run *r, struct span outcome, struct span signature,
                struct span server)
{
    struct follow *f, *next;
    for (f = r->followers; f; f = next) {
        next = f->run_next;
        if (send_now(f)) {
            SEND(c, f->peer->handle, r->lsn, run_ended, .run = r->id, .attempt = r->attempt,
                 .server = server, .outcome = outcome, .signature = signature);
            f->run = NULL;
            follow_free(c, f);
        } else {
            f->run = NULL;
            f->run_prev = f->run_next = NULL;
            dirty_add(f);
        }
    }
    r->followers = NULL;
}

static void catch_up(struct bcore *c, struct peer_state *p)
{
    struct follow *f;
    for (unsigned i = 0; i < FOLLOW_BATCH && (f = dirty_pop(p)); i++) {
        if (f->run) {
            follow_send_state(c, p, f->run);
        } else {
            const struct kept *k = kept_by_id(c, f->id);
            out_lookup(c, p->handle, 0, f->id, f->level, k ? k->lsn : c->lsn);
            follow_free(c, f);
        }
    }
    if (!p->dirty_first)
        drain_remove(c, p);
}

/* Sends each peer one batch; the rest waits for the next tick. */
void follow_drain(struct bcore *c)
{
    struct peer_state *p = c->drain_first, *next;
    for (; p; p = next) {
        next = p->drain_next;
        catch_up(c, p);
    }
}

void follow_window(struct bcore *c, struct peer_state *p)
{
    p->window_open = c->ev->window_open;
    if (!p->window_open)
        drain_remove(c, p);
    else if (p->dirty_first)
        drain_add(c, p);
}

void follow_peer_down(struct bcore *c, struct peer_state *p)
{
    drain_remove(c, p);
    while (p->follows)
        follow_free(c, p->follows);
    p->dirty_first = p->dirty_last = NULL;
}

void bcore_on_follow(struct bcore *c, struct peer_state *p)
{
    struct m_follow m;
    struct run *r;
    if (!TAKE(c, p, follow, &m))
        return;
    r = run_find(c, m.run);
    if (!m.level) {
        struct follow *f = r ? find(p, r) : NULL;
        if (f && f->dirty)
            f->level = 1; /* it stays on the list until its end has been sent */
        else if (f)
            follow_free(c, f);
        out_done(c, m.req, 0, "");
    } else if (r && !find(p, r) && !account_allows_memory(c, p->account, m.req, follow_cost())) {
        /* it has been told so */
    } else if (r) {
        follow_add(c, p, r, m.level);
        follow_send_state(c, p, r);
    } else {
        const struct kept *k = kept_by_id(c, m.run);
        out_lookup(c, p->handle, m.req, m.run, m.level, k ? k->lsn : c->lsn);
    }
}
