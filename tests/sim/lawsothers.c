/* lawsothers.c - the laws about principals: what one of them does costs the others nothing.
 *
 * They hold for everybody, and matter where one is hostile (hostilecaller.h). The broker's own
 * accounts tell who holds what; the limits and the queue's order are computed here anew. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/lawsinside.h"

enum {
    STARTS_MAX = 2, /* starts of one principal for which a waiting run of another may wait */
    OTHERS_MAX = 16
};

void laws_room(struct laws *l, uint64_t runs, uint64_t memory)
{
    l->room_runs = runs;
    l->room_memory = memory;
}

void lawsothers_begin(struct laws *l)
{
    l->n_waits = 0;
}

void lawsothers_free(struct laws *l)
{
    mem_free(&l->waits);
}

/* ---- Room */
struct pool_use { /* of one pool */
    uint64_t own, all, most;
};
struct holding {
    const char *who;
    struct pool_use runs, parents, memory;
};

static void hold(struct pool_use *h, uint64_t n, bool own)
{
    h->all += n;
    h->most = n > h->most ? n : h->most;
    if (own)
        h->own = n;
}

static void add_account(void *self, const struct view_account *v)
{
    struct holding *h = self;
    bool own = !strcmp(v->name, h->who);
    hold(&h->runs, v->runs, own);
    hold(&h->parents, v->parents, own);
    hold(&h->memory, v->memory, own);
}

/* Whoever holds most may have three quarters. While all the others together hold less than an
 * eighth, an eighth is free for whoever asks; so it has run out only for one that holds half. */
static bool has_run_out(const struct pool_use *h, uint64_t size)
{
    return (h->all - h->most) * 8 >= size || h->own * 2 >= size;
}

static void judge_busy(struct laws *l, const struct laws_turn *t, const struct m_error *m)
{
    struct holding h = {.who = t->sender};
    view_accounts(t->core, add_account, &h);
    if (has_run_out(&h.runs, l->room_runs) || has_run_out(&h.parents, l->room_runs) ||
        has_run_out(&h.memory, l->room_memory))
        return;
    law_break(l, LAW_ROOM_FOR_OTHERS,
              "%s has %" PRIu64 " runs, %" PRIu64 " parents, %" PRIu64
              " bytes, and is refused: " SPAN_FMT,
              t->sender, h.runs.own, h.parents.own, h.memory.own, SPAN_ARG(m->text));
}

static void judge_share(struct laws *l, const struct laws_turn *t)
{
    struct holding h = {.who = t->sender};
    view_accounts(t->core, add_account, &h);
    if (h.runs.own * 4 > l->room_runs * 3 || h.parents.own * 4 > l->room_runs * 3)
        law_break(l, LAW_SHARES_HOLD,
                  "%s has %" PRIu64 " runs and %" PRIu64 " parents live; there is room for %" PRIu64
                  " of each",
                  t->sender, h.runs.own, h.parents.own, l->room_runs);
}

/* ---- Records under one's own name */
static void judge_child(struct laws *l, const struct laws_turn *t, const struct d_call *d)
{
    struct view_parent v;
    if (!view_parent(t->core, &d->parent, &v) || strcmp(v.principal, t->sender) != 0)
        law_break(l, LAW_OTHERS_UNTOUCHED, "%s adds a child to parent %s, which is not its own",
                  t->sender, world_short_id(d->parent));
}

static void judge_called(struct laws *l, const struct laws_turn *t, const struct r_called *r)
{
    struct d_signed s;
    struct d_call d;
    if (d_signed_decode(r->call, &s, NULL) < 0 || d_call_decode(s.body, &d, NULL) < 0)
        return;
    if (!span_eq_str(d.caller, t->sender) || !span_eq_str(r->principal, t->sender))
        law_break(l, LAW_OTHERS_UNTOUCHED, "%s makes a call in the name of '" SPAN_FMT "'",
                  t->sender, SPAN_ARG(d.caller));
    if (!id_is_zero(d.parent))
        judge_child(l, t, &d);
}

static void judge_owner(struct laws *l, const struct laws_turn *t, struct id run, const char *what)
{
    const struct fact *f = fact_find(l, run);
    if (f && strcmp(f->caller, t->sender) != 0)
        law_break(l, LAW_OTHERS_UNTOUCHED, "%s %s run %s of %s", t->sender, what,
                  world_short_id(run), f->caller);
}

static void judge_record(struct laws *l, const struct laws_turn *t, struct span record)
{
    union {
        struct r_called called;
        struct r_cancelled cancelled;
        struct r_parent_driven driven;
    } r;
    struct view_parent v;
    uint64_t kind = 0;
    size_t size;
    wire_peek(record, &kind, &size, NULL);
    if (kind == KIND_R_CALLED && r_called_decode(record, &r.called, NULL) == 0)
        judge_called(l, t, &r.called);
    else if (kind == KIND_R_CANCELLED && r_cancelled_decode(record, &r.cancelled, NULL) == 0)
        judge_owner(l, t, r.cancelled.run, "cancels");
    else if (kind == KIND_R_PARENT_DRIVEN && r_parent_driven_decode(record, &r.driven, NULL) == 0 &&
             view_parent(t->core, &r.driven.run, &v) && strcmp(v.principal, t->sender) != 0)
        law_break(l, LAW_OTHERS_UNTOUCHED, "%s drives parent %s of %s", t->sender,
                  world_short_id(v.id), v.principal);
    if (kind == KIND_R_CALLED || kind == KIND_R_PARENT_BEGUN)
        judge_share(l, t);
}

/* ---- Turns */
static bool of_one_class(const struct view_run *a, const struct view_run *b)
{
    return a->priority == b->priority && !strcmp(a->job, b->job) &&
           !strcmp(a->address, b->address) && hash_eq(&a->job_hash, &b->job_hash);
}

static struct wait_fact *wait_of(struct laws *l, const struct view_run *first, const char *by)
{
    for (unsigned i = 0; i < l->n_waits; i++)
        if (id_eq(l->waits[i].run, first->id) && !strcmp(l->waits[i].by, by))
            return &l->waits[i];
    l->waits = mem_realloc(l->waits, l->n_waits + 1, sizeof *l->waits);
    struct wait_fact *x = &l->waits[l->n_waits++];
    *x = (struct wait_fact){.run = first->id};
    snprintf(x->by, sizeof x->by, "%s", by);
    return x;
}

/* It is the turn of this one's principal: whatever else it has there waits from now on. */
static void turn_taken(struct laws *l, const struct bcore *c, const struct view_run *served)
{
    struct view_run v;
    unsigned kept = 0;
    for (unsigned i = 0; i < l->n_waits; i++)
        if (view_run(c, &l->waits[i].run, &v) && v.state == RUN_WAITING &&
            (strcmp(v.principal, served->principal) != 0 || !of_one_class(&v, served)))
            l->waits[kept++] = l->waits[i];
    l->n_waits = kept;
}

/* The first run of each other principal that waits where this one is handed over. */
static unsigned others_waiting(const struct laws *l, const struct bcore *c,
                               const struct view_run *served, struct view_run first[OTHERS_MAX])
{
    struct view_run v;
    unsigned n = 0, i;
    for (struct id at = ID_ZERO; view_run_after(c, &at, &v); at = v.id) {
        if (v.state != RUN_WAITING || !of_one_class(&v, served) ||
            !strcmp(v.principal, served->principal) ||
            tried_declined(l, v.id, v.attempt, span_str(served->server)))
            continue;
        for (i = 0; i < n && strcmp(first[i].principal, v.principal) != 0; i++)
            ;
        if (i == n && n < OTHERS_MAX)
            first[n++] = v;
    }
    return n;
}

static void judge_turn(struct laws *l, const struct bcore *c, struct id run)
{
    struct view_run served, first[OTHERS_MAX];
    if (!view_run(c, &run, &served))
        return;
    turn_taken(l, c, &served);
    unsigned n = others_waiting(l, c, &served, first);
    for (unsigned i = 0; i < n; i++) {
        struct wait_fact *x = wait_of(l, &first[i], served.principal);
        if (++x->starts > STARTS_MAX)
            law_break(l, LAW_TURNS, "run %s of %s waits while %u runs of %s are handed over",
                      world_short_id(x->run), first[i].principal, x->starts, served.principal);
    }
}

/* ---- What the broker's core has done */
/* Not what time has brought about, which a step does before it takes a message. */
static bool was_asked_for(struct span record)
{
    uint64_t kind = 0;
    size_t size;
    wire_peek(record, &kind, &size, NULL);
    return kind == KIND_R_CALLED || kind == KIND_R_CANCELLED || kind == KIND_R_RELEASED ||
           kind == KIND_R_OPERATED || kind == KIND_R_PARENT_BEGUN || kind == KIND_R_PARENT_DRIVEN ||
           kind == KIND_R_PARENT_ENDED;
}

static void judge_refused(struct laws *l, const struct laws_turn *t, uint64_t kind,
                          const struct m_error *m)
{
    for (unsigned i = 0; i < t->out->n_records; i++)
        if (was_asked_for(t->out->records[i].body))
            law_break(l, LAW_REFUSED_LEAVES_NOTHING,
                      "%s of %s is refused and leaves a record: " SPAN_FMT, world_kind_name(kind),
                      t->sender, SPAN_ARG(m->text));
    if (m->code == REFUSAL_BUSY && !t->disk_full &&
        (kind == KIND_M_CALL || kind == KIND_M_PARENT_BEGIN) && l->room_runs)
        judge_busy(l, t, m);
}

void laws_stepped(struct laws *l, const struct laws_turn *t)
{
    struct r_assigned assigned;
    struct m_error m;
    uint64_t kind = 0;
    size_t size;
    lawswaits_stepped(l, t);
    if (t->sender)
        wire_peek(t->message, &kind, &size, NULL);
    for (unsigned i = 0; i < t->out->n_records; i++) {
        struct span record = t->out->records[i].body;
        if (t->sender && t->is_caller)
            judge_record(l, t, record);
        if (r_assigned_decode(record, &assigned, NULL) == 0)
            judge_turn(l, t->core, assigned.run);
    }
    for (unsigned i = 0; t->sender && i < t->out->n_effects; i++) {
        const struct bcore_effect *e = &t->out->effects[i];
        if (e->kind == BCORE_FX_SEND && e->peer == t->peer &&
            m_error_decode(e->body, &m, NULL) == 0)
            judge_refused(l, t, kind, &m);
    }
}

void laws_told(struct laws *l, const char *caller, struct span message)
{
    struct m_run_state state;
    struct m_run_ended ended;
    struct id run;
    if (m_run_state_decode(message, &state, NULL) == 0)
        run = state.run;
    else if (m_run_ended_decode(message, &ended, NULL) == 0)
        run = ended.run;
    else
        return;
    const struct fact *f = fact_find(l, run);
    if (f && strcmp(f->caller, caller) != 0)
        law_break(l, LAW_OTHERS_UNTOUCHED, "%s is told of run %s of %s", caller,
                  world_short_id(run), f->caller);
}
