/* lawsparents.c - the laws about parents: one driver, one end, each child once and only when
 * allowed, and a verdict that the oracle (parent/core/oracle.h) confirms from what is recorded. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/lawsinside.h"
#include "trust/envelope.h"

struct parent_fact *parent_fact_find(const struct laws *l, struct id run)
{
    struct parent_fact *p;
    HASH_FIND(hh, l->parents, &run, sizeof run, p);
    return p;
}

void lawsparents_free(struct laws *l)
{
    struct parent_fact *p, *next;
    HASH_ITER (hh, l->parents, p, next) {
        HASH_DEL(l->parents, p);
        mem_free(&p);
    }
    for (unsigned i = 0; i < l->n_plans; i++)
        mem_free(&l->plans[i]);
}

void laws_plan(struct laws *l, const char *caller, const char *key, struct span body,
               const struct graph *graph)
{
    struct plan_fact *p = l->plans[l->n_plans++] = mem_zalloc(1, sizeof *p);
    snprintf(p->caller, sizeof p->caller, "%s", caller);
    snprintf(p->key, sizeof p->key, "%s", key);
    envelope_hash(body, &p->body);
    p->graph = graph;
}

/* ---- The oracle */

/* `seen`: the delivery to assume for a child that was started but whose end says that it was not
 * called: a driver that heard of the start knows better than one that heard only of the end. */
static bool ask_oracle(const struct laws *l, const struct parent_fact *p, bool seen,
                       struct oracle *ret)
{
    bool doubt = false;
    struct d_outcome o;
    *ret = (struct oracle){.graph = p->plan->graph};
    for (uint32_t t = 0; t < p->plan->graph->n; t++)
        for (uint32_t i = 0; i < p->plan->graph->tasks[t].count; i++) {
            const struct fact *f = fact_find(l, p->children[t][i]);
            struct oracle_known *k = &ret->k[t][i];
            k->asked = f != NULL;
            k->started = f && f->started;
            if (!f || !f->ended || d_outcome_decode(buf_span(&f->outcome), &o, NULL) < 0)
                continue;
            k->ended = true;
            k->fate = (struct oracle_fate){(enum delivery)o.delivery, (enum job_outcome)o.job,
                                           (enum package_outcome)o.package};
            doubt |= k->started && o.delivery != DELIVERY_CALLED;
            k->started &= o.delivery == DELIVERY_CALLED || seen;
        }
    oracle_settle(ret);
    return doubt;
}

static bool may_start_now(const struct laws *l, const struct parent_fact *p, uint32_t task)
{
    struct oracle o;
    bool doubt = ask_oracle(l, p, true, &o);
    if (o.started[task] || !doubt)
        return o.started[task];
    ask_oracle(l, p, false, &o);
    return o.started[task];
}

/* STATUS_COUNT: it cannot have ended yet. */
static enum status verdict_of(const struct oracle *o)
{
    for (uint32_t t = 0; t < o->graph->n; t++) {
        if (!o->started[t] && !o->skipped[t])
            return STATUS_COUNT;
        for (uint32_t i = 0; o->started[t] && i < o->graph->tasks[t].count; i++)
            if (!o->k[t][i].ended)
                return STATUS_COUNT;
    }
    return oracle_verdict(o);
}

static void judge_verdict(struct laws *l, const struct parent_fact *p, enum status status)
{
    struct oracle o;
    bool doubt = ask_oracle(l, p, true, &o);
    enum status is = verdict_of(&o);
    if (status == STATUS_CANCELLED) {
        if (!p->cancel_asked)
            law_break(l, LAW_VERDICT_IS_TRUE,
                      "parent %s ends as cancelled, but nobody cancelled it",
                      world_short_id(p->run));
        return;
    }
    if (is != status && doubt) {
        ask_oracle(l, p, false, &o);
        is = verdict_of(&o);
    }
    if (is == STATUS_COUNT)
        law_break(l, LAW_VERDICT_IS_TRUE, "parent %s ends as %s before all its children have ended",
                  world_short_id(p->run), status_text(status));
    else if (is != status)
        law_break(l, LAW_VERDICT_IS_TRUE,
                  "parent %s ends as %s; the records of its children give %s",
                  world_short_id(p->run), status_text(status), status_text(is));
}

/* ---- Records */
void lawsparents_called(struct laws *l, struct id run, const struct d_call *d)
{
    struct parent_fact *p = parent_fact_find(l, d->parent);
    uint32_t task = 0;
    if (!p || !p->plan)
        return;
    while (task < p->plan->graph->n && !span_eq_str(d->task, p->plan->graph->tasks[task].name))
        task++;
    if (task == p->plan->graph->n || d->index >= p->plan->graph->tasks[task].count) {
        law_break(l, LAW_STARTS_WHEN_IT_MAY,
                  "parent %s calls '" SPAN_FMT "'/%" PRIu64 ", which is not in its plan",
                  world_short_id(p->run), SPAN_ARG(d->task), d->index);
        return;
    }
    if (!id_is_zero(p->children[task][d->index]))
        law_break(l, LAW_ONE_CALL_FOR_AN_INSTANCE,
                  "'" SPAN_FMT "'/%" PRIu64 " of parent %s is called as run %s and as run %s",
                  SPAN_ARG(d->task), d->index, world_short_id(p->run),
                  world_short_id(p->children[task][d->index]), world_short_id(run));
    p->children[task][d->index] = run;
    if (!may_start_now(l, p, task))
        law_break(l, LAW_STARTS_WHEN_IT_MAY,
                  "'" SPAN_FMT "' of parent %s starts, but its constraints do not hold",
                  SPAN_ARG(d->task), world_short_id(p->run));
}

static void saw_begun(struct laws *l, const struct r_parent_begun *r)
{
    struct parent_fact *p = mem_zalloc(1, sizeof *p);
    struct d_signed s;
    struct d_parent d;
    struct hash body;
    p->run = r->run;
    if (d_signed_decode(r->parent, &s, NULL) == 0 && d_parent_decode(s.body, &d, NULL) == 0) {
        envelope_hash(s.body, &body);
        for (unsigned i = 0; i < l->n_plans; i++)
            if (span_eq_str(d.caller, l->plans[i]->caller) &&
                span_eq_str(d.key, l->plans[i]->key) && hash_eq(&body, &l->plans[i]->body))
                p->plan = l->plans[i];
    }
    for (const struct parent_fact *q = l->parents; q; q = q->hh.next)
        if (p->plan && q->plan == p->plan)
            law_break(l, LAW_ONE_RUN_FOR_A_KEY, "key '%s' of %s has the parents %s and %s",
                      p->plan->key, p->plan->caller, world_short_id(q->run),
                      world_short_id(p->run));
    HASH_ADD(hh, l->parents, run, sizeof p->run, p);
    l->w->counts.parents++;
}

static void saw_driven(struct laws *l, struct parent_fact *p, const struct r_parent_driven *r)
{
    if (r->epoch != p->epoch + 1)
        law_break(l, LAW_ONE_DRIVER, "parent %s: epoch %" PRIu64 " follows epoch %" PRIu64,
                  world_short_id(p->run), r->epoch, p->epoch);
    if (p->ended)
        law_break(l, LAW_ONE_PARENT_END, "parent %s is driven after its end",
                  world_short_id(p->run));
    p->epoch = r->epoch;
}

static void saw_parent_ended(struct laws *l, struct parent_fact *p, const struct r_parent_ended *r)
{
    static const enum fault verdicts[] = {[STATUS_SUCCEEDED] = FAULT_PARENT_SUCCEEDED,
                                          [STATUS_FAILED] = FAULT_PARENT_FAILED,
                                          [STATUS_CANCELLED] = FAULT_PARENT_CANCELLED};
    if (p->ended)
        law_break(l, LAW_ONE_PARENT_END, "parent %s ends twice", world_short_id(p->run));
    p->ended = true;
    p->status = (enum status)r->status;
    l->ends++; /* the broker's memory of ends has both kinds */
    if (p->plan)
        judge_verdict(l, p, p->status);
    if (p->status == STATUS_SUCCEEDED || p->status == STATUS_FAILED ||
        p->status == STATUS_CANCELLED)
        world_met(l->w, verdicts[p->status]);
}

bool lawsparents_durable(struct laws *l, const struct journal_record *j)
{
    struct r_parent_begun begun;
    struct r_parent_driven driven;
    struct r_parent_ended ended;
    struct parent_fact *p = parent_fact_find(l, j->run);
    switch (j->kind) {
    case KIND_R_PARENT_BEGUN:
        if (r_parent_begun_decode(j->body, &begun, NULL) == 0)
            saw_begun(l, &begun);
        return true;
    case KIND_R_PARENT_DRIVEN:
        if (p && r_parent_driven_decode(j->body, &driven, NULL) == 0)
            saw_driven(l, p, &driven);
        break;
    case KIND_R_PARENT_ENDED:
        if (p && r_parent_ended_decode(j->body, &ended, NULL) == 0)
            saw_parent_ended(l, p, &ended);
        break;
    default:
        return false;
    }
    if (!p)
        law_break(l, LAW_REPLAY_IS_STATE,
                  "record %" PRIu64 " is about parent %s, which was never begun", j->lsn,
                  world_short_id(j->run));
    return true;
}

/* ---- What the broker sends, and a new broker */
void lawsparents_say(struct laws *l, uint64_t peer, const struct m_driving *m)
{
    struct parent_fact *p = parent_fact_find(l, m->parent);
    if (!p || m->epoch > p->epoch) {
        law_break(l, LAW_SAID_IS_DURABLE,
                  "DRIVING of parent %s with epoch %" PRIu64 " leaves before it is on disk",
                  world_short_id(m->parent), m->epoch);
        return;
    }
    if (m->epoch < p->told_epoch || (m->epoch == p->told_epoch && peer != p->told_peer))
        law_break(l, LAW_ONE_DRIVER,
                  "parent %s: session %" PRIu64 " gets epoch %" PRIu64 ", and session %" PRIu64
                  " has epoch %" PRIu64,
                  world_short_id(p->run), peer, m->epoch, p->told_peer, p->told_epoch);
    p->told_epoch = m->epoch;
    p->told_peer = peer;
}

void lawsparents_begin(struct laws *l, const struct bcore *c)
{
    struct view_parent v;
    for (struct parent_fact *p = l->parents; p; p = p->hh.next) {
        bool live = view_parent(c, &p->run, &v);
        if (p->accepted && !p->ended && !live)
            law_break(
                l, LAW_ACCEPTED_IS_KEPT,
                "parent %s was accepted and has not ended, but the new broker does not know it",
                world_short_id(p->run));
        if (p->ended && live)
            law_break(l, LAW_ONE_PARENT_END, "parent %s has ended but is live in the new broker",
                      world_short_id(p->run));
        /* sessions are numbered from 1 again; drivers must take their leases again */
        p->told_peer = 0;
    }
}

/* ---- What drivers hear */
void laws_parent_accepted(struct laws *l, const char *caller, const char *key, struct id run)
{
    struct parent_fact *p = parent_fact_find(l, run);
    if (!p)
        law_break(l, LAW_ACCEPTED_IS_KEPT, "%s hears ACCEPTED for parent %s, which is not on disk",
                  caller, world_short_id(run));
    else if (!p->plan || strcmp(p->plan->caller, caller) != 0 || strcmp(p->plan->key, key) != 0)
        law_break(l, LAW_ONE_RUN_FOR_A_KEY,
                  "%s begins '%s' but is told of parent %s, which is '%s'", caller, key,
                  world_short_id(run), p->plan ? p->plan->key : "?");
    else
        p->accepted = true;
}

void laws_driving(struct laws *l, struct id parent, uint64_t epoch, const char *process)
{
    const struct parent_fact *p = parent_fact_find(l, parent);
    if (!p || epoch > p->epoch)
        law_break(l, LAW_ONE_DRIVER,
                  "%s drives parent %s with epoch %" PRIu64 ", which is not on disk", process,
                  world_short_id(parent), epoch);
}

void laws_parent_cancel(struct laws *l, struct id parent)
{
    struct parent_fact *p = parent_fact_find(l, parent);
    if (p)
        p->cancel_asked = true;
}

void laws_parent_gone(struct laws *l, struct id parent)
{
    const struct parent_fact *p = parent_fact_find(l, parent);
    if (!p || !p->ended)
        law_break(l, LAW_ACCEPTED_IS_KEPT,
                  "parent %s has not ended, but the broker says that it is not live",
                  world_short_id(parent));
}

void laws_parent_end_heard(struct laws *l, struct id parent, uint64_t epoch, enum status status,
                           bool already)
{
    const struct parent_fact *p = parent_fact_find(l, parent);
    if (!p || !p->ended)
        law_break(l, LAW_ONE_PARENT_END,
                  "a driver hears that the end of parent %s is recorded, but it is not on disk",
                  world_short_id(parent));
    else if (!already && (epoch != p->epoch || status != p->status))
        law_break(l, LAW_ONE_PARENT_END,
                  "the end of parent %s as %s by epoch %" PRIu64
                  " counts; recorded is %s, and epoch %" PRIu64 " drives it",
                  world_short_id(parent), status_text(status), epoch, status_text(p->status),
                  p->epoch);
}

unsigned laws_parents_open(const struct laws *l, struct id *ret_one)
{
    unsigned n = 0;
    for (const struct parent_fact *p = l->parents; p; p = p->hh.next)
        if (p->plan && !p->ended) { /* without a plan: nobody ever drove it */
            *ret_one = p->run;
            n++;
        }
    return n;
}
