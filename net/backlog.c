/* backlog.c - see backlog.h. */
#include "net/backlog.h"

#include "common/mem.h"

/* Nobody is made to wait longer than this for what one message of theirs has cost. */
enum { DEBT_US_MAX = 1000000 };

/* ---- The ring of those who wait */

static void prepend_principal(struct peers *t, struct principal *who)
{
    who->next = t->waiting;
    t->waiting = who;
    if (!who->next)
        t->waiting_last = who;
}

static void append_principal(struct peers *t, struct principal *who)
{
    who->next = NULL;
    if (t->waiting)
        t->waiting_last->next = who;
    else
        t->waiting = who;
    t->waiting_last = who;
}

static void unlink_principal(struct peers *t, struct principal *who)
{
    struct principal **at = &t->waiting, *before = NULL;
    while (*at != who) {
        before = *at;
        at = &(*at)->next;
    }
    *at = who->next;
    if (t->waiting_last == who)
        t->waiting_last = before;
}

static void append_peer(struct principal *who, struct peer *p)
{
    p->next_waiting = NULL;
    if (who->first)
        who->last->next_waiting = p;
    else
        who->first = p;
    who->last = p;
}

static void unlink_peer(struct principal *who, struct peer *p)
{
    struct peer **at = &who->first, *before = NULL;
    while (*at != p) {
        before = *at;
        at = &(*at)->next_waiting;
    }
    *at = p->next_waiting;
    if (who->last == p)
        who->last = before;
}

static void sync_round(const struct peers *t, struct principal *who)
{
    if (who->round == t->round)
        return;
    who->round = t->round;
    who->deficit_us = BACKLOG_QUANTUM_US;
}

/* Who has not had their quantum of this round comes first: the others have begun theirs. */
static void join_ring(struct peers *t, struct principal *who)
{
    sync_round(t, who);
    if (who->deficit_us > 0)
        prepend_principal(t, who);
    else
        append_principal(t, who);
}

static void join(struct peers *t, struct peer *p)
{
    if (!p->of->first && !p->of->held)
        join_ring(t, p->of);
    append_peer(p->of, p);
}

/* ---- Turns */

bool backlog_may_pass(struct peers *t, struct principal *who)
{
    sync_round(t, who);
    return !who->first && !who->held && who->deficit_us > 0;
}

void backlog_spend(struct principal *who, int64_t us)
{
    who->deficit_us -= us;
    if (who->deficit_us < -DEBT_US_MAX)
        who->deficit_us = -DEBT_US_MAX;
}

void backlog_hold(struct peers *t, struct principal *who, bool held)
{
    if (who->held == held)
        return;
    who->held = held;
    if (who->first && held)
        unlink_principal(t, who);
    else if (who->first)
        join_ring(t, who);
}

void backlog_round(struct peers *t)
{
    if (!t->waiting)
        t->round++;
}

/* ---- Frames */

static size_t cost(const struct backlog_frame *f)
{
    return sizeof *f + net_kept_body(&f->message).n;
}

void backlog_free_frame(struct peers *t, const struct hash *key, struct backlog_frame **f)
{
    if (t->budgets)
        budgets_give(t->budgets, key, BUDGET_BYTES_IN, cost(*f));
    net_kept_release(&(*f)->message);
    mem_free(f);
}

int backlog_add(struct peers *t, struct peer *p, struct net_packet *packet, size_t at, bool goodbye,
                struct error *err)
{
    struct backlog_frame *f;
    int rc = 0;
    if (t->budgets)
        rc =
            budgets_take(t->budgets, &p->of->key, BUDGET_BYTES_IN, sizeof *f + packet->body.n, err);
    if (rc < 0)
        return rc;
    f = mem_zalloc(1, sizeof *f);
    f->at = at;
    f->goodbye = goodbye;
    net_packet_keep(packet, &f->message);
    if (p->frames) {
        p->frames_last->next = f;
    } else {
        p->frames = f;
        join(t, p);
    }
    p->frames_last = f;
    return 0;
}

struct peer *backlog_take(struct peers *t, struct backlog_frame **ret)
{
    struct principal *who;
    while ((who = t->waiting) && who->deficit_us <= 0) {
        who->deficit_us += BACKLOG_QUANTUM_US;
        t->waiting = who->next;
        append_principal(t, who);
    }
    if (!who)
        return NULL;
    struct peer *p = who->first;
    *ret = p->frames;
    p->frames = (*ret)->next;
    unlink_peer(who, p);
    if (p->frames)
        append_peer(who, p); /* behind the principal's other sessions */
    else if (!who->first)
        unlink_principal(t, who);
    return p;
}

void backlog_put_back(struct peers *t, struct peer *p, struct backlog_frame *f)
{
    struct principal *who = p->of;
    f->next = p->frames;
    p->frames = f;
    if (f->next)
        return; /* it still waits */
    p->frames_last = f;
    if (!who->first && !who->held)
        prepend_principal(t, who); /* its turn goes on */
    append_peer(who, p);
}

void backlog_drop(struct peers *t, struct peer *p)
{
    if (!p->frames)
        return;
    while (p->frames) {
        struct backlog_frame *f = p->frames;
        p->frames = f->next;
        backlog_free_frame(t, &p->of->key, &f);
    }
    unlink_peer(p->of, p);
    if (!p->of->first && !p->of->held)
        unlink_principal(t, p->of);
}
