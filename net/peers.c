/* peers.c - see peers.h. */
#include "net/peers.h"

#include <errno.h>

#include "net/backlog.h"
#include "net/settle.h"

/* What is owed changes with every message; the account is asked once for so many bytes. */
enum { CHARGE_STEP = 64 << 10 };

struct peer *peers_find(const struct peers *t, uint64_t handle)
{
    struct peer *p;
    HASH_FIND(by_handle, t->handles, &handle, sizeof handle, p);
    return p;
}

struct peer *peers_at(const struct peers *t, struct span route)
{
    struct peer *p;
    HASH_FIND(by_route, t->routes, route.p, route.n, p);
    return p;
}

/* ---- Principals */

struct principal *peers_principal(const struct peers *t, const struct hash *key)
{
    struct principal *who;
    HASH_FIND(hh, t->principals, key, sizeof *key, who);
    return who;
}

static struct principal *open_principal(struct peers *t, const struct hash *key)
{
    struct principal *who = peers_principal(t, key);
    if (!who) {
        who = mem_zalloc(1, sizeof *who);
        who->key = *key;
        HASH_ADD(hh, t->principals, key, sizeof *key, who);
    }
    return who;
}

static void charge(struct peers *t, struct principal *who, uint64_t bytes)
{
    if (who->charged > bytes)
        budgets_give(t->budgets, &who->key, BUDGET_BYTES_OUT, who->charged - bytes);
    who->charged = bytes;
}

/* After its sessions or connections have become fewer. */
static void settle_principal(struct peers *t, struct principal *who)
{
    if (who->sessions > 0 || who->quiet > 0)
        return;
    if (t->budgets)
        charge(t, who, 0);
    settle_forget(t, who);
    HASH_DEL(t->principals, who);
    mem_free(&who);
}

void peers_count_quiet(struct peers *t, struct principal *who, int change)
{
    who->quiet += (unsigned)change;
    settle_principal(t, who);
}

static void add_owed(struct peer *p)
{
    size_t owed = session_owed(p->session);
    p->of->owed += owed - p->owed;
    p->owed = owed;
}

int peers_count_owed(struct peers *t, struct peer *p, struct error *err)
{
    struct principal *who = p->of;
    const size_t before = p->owed;
    add_owed(p);
    if (!t->budgets || p->owed == before)
        return 0;
    if (who->owed == 0 || who->charged >= who->owed + 2 * CHARGE_STEP)
        charge(t, who, who->owed);
    if (who->owed <= who->charged)
        return 0;
    uint64_t most = budgets_limit(t->budgets, BUDGET_BYTES_OUT), want = who->owed + CHARGE_STEP;
    if (want > most && who->owed <= most)
        want = most;
    int rc = budgets_take(t->budgets, &who->key, BUDGET_BYTES_OUT, want - who->charged, err);
    if (rc == 0)
        who->charged = want;
    return rc;
}

bool peers_has_room(const struct peers *t, const struct principal *who)
{
    return !t->budgets || who->owed < budgets_limit(t->budgets, BUDGET_BYTES_OUT) / 2;
}

/* ---- Sessions */

struct peer *peers_add(struct peers *t, const struct net_packet *from, uint64_t session,
                       int64_t now, struct error *err)
{
    if (HASH_CNT(by_handle, t->handles) >= PEERS_MAX) {
        error_set(err, -EDQUOT, "too many sessions are open");
        return NULL;
    }
    if (t->budgets && budgets_take(t->budgets, &from->key, BUDGET_SESSIONS, 1, err) < 0)
        return NULL;
    struct peer *p = mem_zalloc(1, sizeof *p);
    p->handle = ++t->last_handle;
    p->of = open_principal(t, &from->key);
    p->of->sessions++;
    memcpy(p->address, from->address, sizeof p->address);
    p->session = session_new(session);
    p->fd = -1;
    p->route_n = from->route.n;
    memcpy(p->route, from->route.p, from->route.n);
    HASH_ADD(by_handle, t->handles, handle, sizeof p->handle, p);
    HASH_ADD_KEYPTR(by_route, t->routes, p->route, p->route_n, p);
    heap_insert(&t->timers, &p->timer, now, p->handle);
    peers_mark(t, p);
    return p;
}

/* Its principal may end with it. */
static void leave_principal(struct peers *t, struct peer *p)
{
    struct principal *who = p->of;
    backlog_drop(t, p);
    who->owed -= p->owed;
    p->owed = 0;
    if (t->budgets) {
        if (who->charged > who->owed + CHARGE_STEP)
            charge(t, who, who->owed);
        budgets_give(t->budgets, &who->key, BUDGET_SESSIONS, 1);
    }
    who->sessions--;
    settle_principal(t, who);
}

void peers_remove(struct peers *t, struct peer *p)
{
    if (p->gone)
        return;
    p->gone = true;
    HASH_DELETE(by_handle, t->handles, p);
    HASH_DELETE(by_route, t->routes, p);
    heap_remove(&t->timers, &p->timer);
    leave_principal(t, p);
    if (!p->dirty) { /* one list at a time: a dirty peer comes here when it leaves the other */
        p->next = t->gone;
        t->gone = p;
    }
}

void peers_sweep(struct peers *t)
{
    while (t->gone) {
        struct peer *p = t->gone;
        t->gone = p->next;
        session_free(&p->session);
        mem_free(&p);
    }
}

void peers_free(struct peers *t)
{
    while (peers_next_dirty(t))
        ;
    while (t->handles)
        peers_remove(t, t->handles);
    peers_sweep(t);
    heap_free(&t->timers);
}

void peers_mark(struct peers *t, struct peer *p)
{
    if (p->dirty || p->gone)
        return;
    p->dirty = true;
    p->next = NULL;
    if (t->dirty)
        t->dirty_last->next = p;
    else
        t->dirty = p;
    t->dirty_last = p;
}

struct peer *peers_next_dirty(struct peers *t)
{
    struct peer *p;
    while ((p = t->dirty)) {
        t->dirty = p->next;
        p->dirty = false;
        if (!p->gone)
            return p;
        p->next = t->gone;
        t->gone = p;
    }
    return NULL;
}
