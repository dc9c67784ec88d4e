/* lawschildren.c - the laws about children: who executes what, where, how often, and what is said
 * of it. See laws.h. */
#include "tests/sim/lawsinside.h"

#include <inttypes.h>
#include <string.h>

static struct child_fact *child_find(const struct tried *a, struct span step, uint64_t try_no)
{
    for (unsigned i = 0; a && i < a->n_children; i++)
        if (a->children[i].try_no == try_no && span_eq_str(step, a->children[i].step))
            return &a->children[i];
    return NULL;
}

static void judge_alone(struct laws *l, const struct tried *mine)
{
    const struct fact *f = fact_find(l, mine->key.run);
    for (uint64_t k = 1; f && k <= f->attempt + 1; k++) {
        const struct tried *other = k == mine->key.attempt ? NULL : tried_find(l, mine->key.run, k);
        uint64_t older = k < mine->key.attempt ? k : mine->key.attempt;
        bool by_hand = other && older <= f->by_hand && strcmp(other->server, mine->server) != 0;
        if (other && other->live && !by_hand)
            law_break(l, LAW_ONE_LIVE_ATTEMPT,
                      "run %s executes as attempt %" PRIu64 " at %s and as attempt %" PRIu64
                      " at %s",
                      world_short_id(f->run), mine->key.attempt, mine->server, k, other->server);
    }
}

/* A step is tried again only if it failed, and only as often as its job says. (No job here visits a
 * step twice.) */
static struct d_step judge_try(struct laws *l, const struct tried *a, const struct s_step *step)
{
    const struct child_fact *before = child_find(a, step->step, step->try_no - 1);
    struct d_job job;
    struct d_step s = {.attempts = 0};
    struct span item;
    bool found = false;
    if (d_job_decode(step->job, &job, NULL) == 0)
        for (struct wire_iter it = wire_iter(&job.steps); !found && wire_next(&it, &item);)
            found = d_step_decode(item, &s, NULL) == 0 && span_eq(s.name, step->step);
    if (before && (before->vanished || before->package == PACKAGE_SUCCEEDED))
        law_break(l, LAW_NOT_AGAIN_UNASKED,
                  "run %s: step " SPAN_FMT " of attempt %" PRIu64 " is tried again, although it %s",
                  world_short_id(step->run), SPAN_ARG(step->step), step->attempt,
                  before->vanished ? "may have succeeded" : "has succeeded");
    if (found && step->try_no > 1 && step->try_no > s.attempts)
        law_break(l, LAW_NOT_AGAIN_UNASKED,
                  "run %s: try %" PRIu64 " of step " SPAN_FMT " of attempt %" PRIu64
                  " begins; its job says %" PRIu64,
                  world_short_id(step->run), step->try_no, SPAN_ARG(step->step), step->attempt,
                  s.attempts);
    if (before)
        lawswaits_launched(l, a, before, &s);
    return s;
}

void laws_launched(struct laws *l, const char *server, struct id spool, const struct s_step *step)
{
    struct tried *a = tried_get(l, step->run, step->attempt);
    if (!a->assigned || strcmp(a->server, server) != 0 || !id_eq(a->spool, spool))
        law_break(l, LAW_EXECUTED_ONCE,
                  "run %s: attempt %" PRIu64 " executes at %s but was not handed to it",
                  world_short_id(step->run), step->attempt, server);
    if (child_find(a, step->step, step->try_no))
        law_break(l, LAW_EXECUTED_ONCE,
                  "run %s: attempt %" PRIu64 " executes try %" PRIu64 " of step " SPAN_FMT " twice",
                  world_short_id(step->run), step->attempt, step->try_no, SPAN_ARG(step->step));
    if (a->returned)
        law_break(l, LAW_RETURNED_NEVER_RAN,
                  "run %s: attempt %" PRIu64 " was returned but executes at %s",
                  world_short_id(step->run), step->attempt, server);
    const struct d_step s = judge_try(l, a, step);
    a->children = mem_realloc(a->children, a->n_children + 1, sizeof *a->children);
    struct child_fact *c = &a->children[a->n_children++];
    *c = (struct child_fact){.try_no = step->try_no, .live = true, .always = s.always};
    span_copy_str(step->step, c->step, sizeof c->step);
    a->live++;
    l->children++;
    judge_alone(l, a);
}

static struct child_fact *over(struct laws *l, struct id run, uint64_t attempt, struct span step,
                               uint64_t try_no)
{
    struct tried *a = tried_find(l, run, attempt);
    struct child_fact *c = child_find(a, step, try_no);
    if (c && c->live) {
        c->live = false;
        c->over_at = l->w->now;
        a->live--;
        l->children--;
    }
    return c;
}

void laws_child_over(struct laws *l, struct id run, uint64_t attempt, struct span step,
                     uint64_t try_no, enum package_outcome p)
{
    struct child_fact *c = over(l, run, attempt, step, try_no);
    if (!c)
        return;
    c->package = p;
    lawstime_judge_stopped(l, tried_find(l, run, attempt), c);
}

void laws_child_vanished(struct laws *l, struct id run, uint64_t attempt, struct span step,
                         uint64_t try_no)
{
    struct child_fact *c = over(l, run, attempt, step, try_no);
    if (c) {
        c->package = PACKAGE_UNKNOWN;
        c->vanished = true;
    }
}

/* Does the outcome tell the truth about this try? */
static bool is_true(struct laws *l, const struct tried *a, const struct d_step_outcome *o)
{
    const struct child_fact *c = child_find(a, o->name, o->try_no);
    if (o->package == PACKAGE_UNKNOWN && lawstime_was_cut(l, a))
        return true;
    if (!c && o->package == PACKAGE_UNKNOWN && lawstime_was_rebooted(l, a))
        return true;
    if (!c)
        return o->package == PACKAGE_NOT_EXECUTED || o->package == PACKAGE_CANCELLED ||
               o->code != REFUSAL_NONE;
    return !c->live && o->package == (uint64_t)c->package;
}

void laws_finished(struct laws *l, struct id run, uint64_t attempt, struct span outcome)
{
    struct tried *a = tried_get(l, run, attempt);
    struct d_outcome o;
    struct d_step_outcome s;
    struct span item;
    unsigned succeeded = 0;
    if (a->is_finished && lawstime_was_cut(l, a)) { /* that entry is lost */
        buf_free(&a->finished_before);
        a->finished_before = a->finished;
        a->finished = (struct buf){0};
    } else if (a->is_finished) {
        law_break(l, LAW_ONE_RESULT, "run %s: attempt %" PRIu64 " finishes twice",
                  world_short_id(run), attempt);
        return;
    }
    a->is_finished = true;
    a->finished = buf_dup(outcome);
    if (d_outcome_decode(outcome, &o, NULL) < 0) {
        law_break(l, LAW_OUTCOME_IS_TRUE, "run %s: its outcome is malformed", world_short_id(run));
        return;
    }
    for (struct wire_iter it = wire_iter(&o.steps); wire_next(&it, &item);) {
        if (d_step_outcome_decode(item, &s, NULL) < 0 || !is_true(l, a, &s))
            law_break(l, LAW_OUTCOME_IS_TRUE,
                      "run %s: attempt %" PRIu64 " reports try %" PRIu64 " of step " SPAN_FMT
                      " as %s, which is not what happened",
                      world_short_id(run), attempt, s.try_no, SPAN_ARG(s.name),
                      package_outcome_text(s.package));
        succeeded += s.package == PACKAGE_SUCCEEDED;
    }
    if (o.delivery == DELIVERY_CALLED && o.job == JOB_SUCCEEDED && o.package == PACKAGE_SUCCEEDED &&
        !succeeded)
        law_break(l, LAW_OUTCOME_IS_TRUE, "run %s succeeded without a successful step",
                  world_short_id(run));
    if (o.delivery != DELIVERY_CALLED && a->n_children)
        law_break(l, LAW_OUTCOME_IS_TRUE,
                  "run %s: attempt %" PRIu64 " is reported as %s, but one of its steps ran",
                  world_short_id(run), attempt, delivery_text(o.delivery));
    if (a->live)
        law_break(l, LAW_OUTCOME_IS_TRUE,
                  "run %s: attempt %" PRIu64
                  " is reported as ended while one of its children lives",
                  world_short_id(run), attempt);
}

void laws_load(struct laws *l, const char *server, unsigned running, unsigned held, unsigned slots,
               unsigned ahead)
{
    if (running > slots || held > slots + ahead)
        law_break(
            l, LAW_SLOTS,
            "server %s has %u slots and %u places to wait, but %u steps run and %u are requested",
            server, slots, ahead, running, held);
}
