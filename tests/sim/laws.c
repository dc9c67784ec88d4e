/* laws.c - what the witness remembers, and the laws about records and children. See laws.h;
 * witness.c judges what is said and heard. */
#include "tests/sim/lawsinside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "tests/sim/catalog.h"
#include "trust/envelope.h"

static const struct {
    const char *name, *text;
    unsigned promise;
} table[] = {
#define X(n, p, t) {#n, t, p},
    LAWS(X)
#undef X
};

const char *law_name(enum law l)
{
    return l < LAW_COUNT ? table[l].name : "none";
}
const char *law_text(enum law l)
{
    return l < LAW_COUNT ? table[l].text : "";
}
unsigned law_promise(enum law l)
{
    return l < LAW_COUNT ? table[l].promise : 0;
}

struct laws *laws_new(struct world *w)
{
    struct laws *l = mem_zalloc(1, sizeof *l);
    l->w = w;
    l->broken = LAW_COUNT;
    /* Only restoring a backup holds a run that was not lost, and it happens between two
     * processes. */
    for (unsigned s = 0; s < RUN_STATE_COUNT; s++)
        l->reach[s][s] = true;
    for (unsigned moves = 0; moves < MOVES_A_STEP; moves++) {
        bool next[RUN_STATE_COUNT][RUN_STATE_COUNT];
        memcpy(next, l->reach, sizeof next);
        for (unsigned s = 0; s < RUN_STATE_COUNT; s++)
            for (unsigned t = 0; t < RUN_STATE_COUNT; t++)
                for (unsigned e = 0; l->reach[s][t] && e < RUN_EV_COUNT; e++) {
                    enum run_state to;
                    if (e != RUN_EV_HOLD &&
                        run_state_next((enum run_state)t, (enum run_event)e, &to) == 0)
                        next[s][to] = true;
                }
        memcpy(l->reach, next, sizeof next);
    }
    return l;
}

void laws_free(struct laws **pl)
{
    struct laws *l = *pl;
    struct fact *f, *next_f;
    struct tried *a, *next_a;
    struct keyed *k, *next_k;
    if (!l)
        return;
    lawsothers_free(l);
    HASH_ITER (hh, l->facts, f, next_f) {
        HASH_DEL(l->facts, f);
        buf_free(&f->outcome);
        mem_free(&f);
    }
    HASH_ITER (hh, l->tried, a, next_a) {
        HASH_DEL(l->tried, a);
        buf_free(&a->finished);
        buf_free(&a->finished_before);
        mem_free(&a->children);
        mem_free(&a);
    }
    HASH_ITER (hh, l->keys, k, next_k) {
        HASH_DEL(l->keys, k);
        mem_free(&k);
    }
    laws_forget_views(l);
    lawsparents_free(l);
    lawsseeing_end(l);
    mem_free(&l->jobs);
    mem_free(&l->members);
    mem_free(&l->servers);
    mem_free(pl);
}

void law_break(struct laws *l, enum law law, const char *fmt, ...)
{
    va_list ap;
    if (l->broken != LAW_COUNT)
        return;
    l->broken = law;
    l->w->broken = true;
    va_start(ap, fmt);
    vsnprintf(l->text, sizeof l->text, fmt, ap);
    va_end(ap);
    TRACE(l->w, "LAW", "%s is broken: %s", law_name(law), l->text);
}

enum law laws_broken(const struct laws *l, const char **ret_text)
{
    *ret_text = l->text;
    return l->broken;
}

/* ---- Memory */
struct fact *fact_find(const struct laws *l, struct id run)
{
    struct fact *f;
    HASH_FIND(hh, l->facts, &run, sizeof run, f);
    return f;
}

struct tried *tried_find(const struct laws *l, struct id run, uint64_t attempt)
{
    struct tried_key key = {run, attempt};
    struct tried *a;
    HASH_FIND(hh, l->tried, &key, sizeof key, a);
    return a;
}

static struct tried *tried_get(struct laws *l, struct id run, uint64_t attempt)
{
    struct tried *a = tried_find(l, run, attempt);
    if (!a) {
        a = mem_zalloc(1, sizeof *a);
        a->key.run = run;
        a->key.attempt = attempt;
        HASH_ADD(hh, l->tried, key, sizeof a->key, a);
    }
    return a;
}

void laws_job(struct laws *l, struct hash job, bool idempotent, uint64_t concurrency)
{
    l->jobs = mem_realloc(l->jobs, l->n_jobs + 1, sizeof *l->jobs);
    l->jobs[l->n_jobs++] = (struct job_fact){job, idempotent, concurrency};
}

void laws_member(struct laws *l, const char *server, unsigned pools)
{
    l->members = mem_realloc(l->members, l->n_members + 1, sizeof *l->members);
    struct member_fact *m = &l->members[l->n_members++];
    m->pools = pools;
    snprintf(m->name, sizeof m->name, "%s", server);
}

void laws_kept(struct laws *l, uint64_t most)
{
    l->kept = most;
}

static const struct job_fact *job_fact(const struct laws *l, const struct hash *job)
{
    for (unsigned i = 0; i < l->n_jobs; i++)
        if (hash_eq(&l->jobs[i].hash, job))
            return &l->jobs[i];
    return NULL;
}

/* ---- Records, as they become durable */
static void moved(struct laws *l, struct fact *f, enum run_event ev)
{
    enum run_state to;
    if (run_state_next(f->state, ev, &to) < 0)
        law_break(l, LAW_MOVES, "run %s: the journal moves it from %s by %s",
                  world_short_id(f->run), run_state_text(f->state), run_event_text(ev));
    else
        f->state = to;
}

static void saw_called(struct laws *l, const struct r_called *r)
{
    struct d_signed s;
    struct d_call d;
    struct fact *f = fact_find(l, r->run), *other;
    if (f) {
        law_break(l, LAW_ONE_RUN_FOR_A_KEY, "run %s has two calls in the journal",
                  world_short_id(r->run));
        return;
    }
    f = mem_zalloc(1, sizeof *f);
    f->run = r->run;
    f->state = RUN_WAITING;
    envelope_hash(r->call, &f->call);
    if (d_signed_decode(r->call, &s, NULL) == 0 && d_call_decode(s.body, &d, NULL) == 0) {
        span_copy_str(d.caller, f->caller, sizeof f->caller);
        span_copy_str(d.key, f->key, sizeof f->key);
        span_copy_str(d.address, f->address, sizeof f->address);
        if (!d.pin_latest)
            f->pinned = d.job_hash;
        envelope_hash(s.body, &f->body);
        f->signed_on_lost = (enum on_lost)d.on_lost;
        f->parent = d.parent;
        lawsparents_called(l, r->run, &d);
    }
    for (other = l->facts; other; other = other->hh.next)
        if (!strcmp(other->caller, f->caller) && !strcmp(other->key, f->key))
            law_break(l, LAW_ONE_RUN_FOR_A_KEY, "key '%s' of %s has the runs %s and %s", f->key,
                      f->caller, world_short_id(other->run), world_short_id(f->run));
    HASH_ADD(hh, l->facts, run, sizeof f->run, f);
    l->w->counts.runs++;
}

static void judge_concurrency(struct laws *l, const struct r_assigned *r,
                              const struct job_fact *job)
{
    uint64_t n = 0;
    for (const struct fact *f = l->facts; job && job->concurrency && f; f = f->hh.next) {
        const struct tried *a = f->live ? tried_find(l, f->run, f->attempt) : NULL;
        n += a && hash_eq(&a->job, &r->job_hash) && id_eq(a->spool, r->spool);
    }
    if (job && job->concurrency && n > job->concurrency)
        law_break(l, LAW_CONCURRENCY,
                  "server " SPAN_FMT " holds %" PRIu64 " attempts of a job of concurrency %" PRIu64,
                  SPAN_ARG(r->server), n, job->concurrency);
}

static bool is_in(const struct member_fact *m, const char *address)
{
    if (!strcmp(address, "all") || !strcmp(address, m->name))
        return true;
    for (unsigned i = 0; i < CATALOG_POOLS; i++)
        if (m->pools & 1u << i && !strcmp(address, sim_pools[i]))
            return true;
    return false;
}

static void judge_place(struct laws *l, const struct fact *f, const struct r_assigned *r)
{
    for (unsigned i = 0; i < l->n_members; i++)
        if (span_eq_str(r->server, l->members[i].name) && !is_in(&l->members[i], f->address))
            law_break(l, LAW_HANDED_AS_CALLED,
                      "run %s is for '%s' and goes to %s, which does not have that address",
                      world_short_id(f->run), f->address, l->members[i].name);
    if (!hash_is_zero(&f->pinned) && !hash_eq(&f->pinned, &r->job_hash))
        law_break(l, LAW_HANDED_AS_CALLED,
                  "run %s goes to " SPAN_FMT " in another version than was signed",
                  world_short_id(f->run), SPAN_ARG(r->server));
}

static void saw_assigned(struct laws *l, struct fact *f, const struct r_assigned *r)
{
    struct tried *a = tried_get(l, r->run, r->attempt);
    const struct job_fact *job = job_fact(l, &r->job_hash);
    enum on_lost told = f->signed_on_lost;
    if (told == ON_LOST_DEFAULT)
        told = job && job->idempotent ? ON_LOST_RERUN : ON_LOST_FAIL;
    if (r->attempt != f->attempt + 1 || (r->attempt > 1 && !f->again))
        law_break(l, LAW_NOT_AGAIN_UNASKED,
                  "run %s: attempt %" PRIu64 " follows attempt %" PRIu64 " for no reason",
                  world_short_id(f->run), r->attempt, f->attempt);
    if (r->on_lost != (uint64_t)told)
        law_break(l, LAW_NOT_AGAIN_UNASKED,
                  "run %s was called with on_lost %s and is handed over with %s",
                  world_short_id(f->run), on_lost_text(told), on_lost_text(r->on_lost));
    if (f->cancelled)
        law_break(l, LAW_CANCEL_IS_KEPT, "run %s was cancelled, and attempt %" PRIu64 " begins",
                  world_short_id(f->run), r->attempt);
    moved(l, f, RUN_EV_ASSIGN);
    f->again = false;
    f->live = true;
    f->attempt = r->attempt;
    a->assigned = true;
    a->on_lost = (enum on_lost)r->on_lost;
    a->lost_after_ms = r->lost_after_ms;
    a->spool = r->spool;
    if (r->boot.n == sizeof a->boot.b)
        memcpy(a->boot.b, r->boot.p, sizeof a->boot.b);
    a->job = r->job_hash;
    span_copy_str(r->server, a->server, sizeof a->server);
    judge_concurrency(l, r, job);
    judge_place(l, f, r);
    l->w->counts.attempts++;
}

static void saw_returned(struct laws *l, struct fact *f, const struct r_returned *r)
{
    struct tried *a = tried_get(l, r->run, r->attempt);
    moved(l, f, RUN_EV_RETURN);
    a->returned = true;
    f->again = true;
    f->live = false;
    world_met(l->w, FAULT_RETURNED);
    if (a->n_children || a->started)
        law_break(l, LAW_RETURNED_NEVER_RAN,
                  "run %s: attempt %" PRIu64 " goes back to the queue but has %s",
                  world_short_id(f->run), r->attempt, a->n_children ? "run" : "started");
}

static void saw_lost(struct laws *l, struct fact *f, const struct r_lost *r)
{
    const struct tried *a = tried_get(l, r->run, r->attempt);
    world_met(l->w, FAULT_LOST);
    if (f->state == RUN_HANDED_OVER || f->state == RUN_RUNNING)
        moved(l, f, RUN_EV_SILENCE);
    if (r->then == ON_LOST_RERUN)
        moved(l, f, RUN_EV_LOSE_RERUN);
    else if (r->then == ON_LOST_HOLD)
        moved(l, f, RUN_EV_LOSE_HOLD);
    if ((r->then == ON_LOST_RERUN || r->then == ON_LOST_HOLD) &&
        a->on_lost != (enum on_lost)r->then)
        law_break(l, LAW_NOT_AGAIN_UNASKED,
                  "run %s: its attempt was handed over with on_lost %s and is lost with %s",
                  world_short_id(f->run), on_lost_text(a->on_lost), on_lost_text(r->then));
    if (r->then == ON_LOST_FAIL && !f->cancelled &&
        (a->on_lost == ON_LOST_RERUN || a->on_lost == ON_LOST_HOLD))
        law_break(l, LAW_LOST_AS_ASKED,
                  "run %s: its attempt is lost and ends, although on_lost is %s",
                  world_short_id(f->run), on_lost_text(a->on_lost));
    f->again = r->then == ON_LOST_RERUN;
    f->live = false;
}

static void saw_ended(struct laws *l, struct fact *f, const struct r_ended *r)
{
    const struct tried *a = tried_find(l, r->run, r->attempt);
    struct d_outcome o;
    if (f->ended) {
        law_break(l, LAW_ONE_RESULT, "run %s ends twice", world_short_id(f->run));
        return;
    }
    moved(l, f, RUN_EV_END);
    f->ended = true;
    f->end = ++l->ends;
    f->live = false;
    f->ended_attempt = r->attempt;
    f->outcome = buf_dup(r->outcome);
    if (!r->reported)
        return;
    if (r->attempt != f->attempt || !a || !a->is_finished ||
        (!span_eq(buf_span(&a->finished), r->outcome) &&
         !span_eq(buf_span(&a->finished_before), r->outcome)))
        law_break(l, LAW_COUNTED_IS_REPORTED,
                  "run %s: the outcome counted for attempt %" PRIu64
                  " is not what its server %s reported",
                  world_short_id(f->run), r->attempt, a ? a->server : "?");
    else if ((a->on_lost == ON_LOST_RERUN || a->on_lost == ON_LOST_HOLD) && !f->cancelled &&
             d_outcome_decode(r->outcome, &o, NULL) == 0 && o.job == JOB_LOST)
        law_break(l, LAW_LOST_AS_ASKED,
                  "run %s: its server says that its attempt is lost, and that counts as its end",
                  world_short_id(f->run));
}

static void saw_evidence(struct laws *l, const struct r_evidence *r)
{
    struct tried *a = tried_get(l, r->run, r->attempt);
    const struct fact *f = fact_find(l, r->run);
    world_met(l->w, FAULT_EVIDENCE);
    if (a->evidence_in == l->broker_turn)
        law_break(l, LAW_ONE_RESULT,
                  "run %s: the uncounted result of attempt %" PRIu64 " is recorded twice",
                  world_short_id(r->run), r->attempt);
    bool forgotten = f && l->kept && l->ends - f->end >= l->kept;
    if (f && f->ended && !forgotten && f->ended_attempt == r->attempt &&
        span_eq(buf_span(&f->outcome), r->outcome))
        law_break(l, LAW_ONE_RESULT, "run %s: the counted result is recorded once more, as %.*s",
                  world_short_id(r->run), SPAN_ARG(r->why));
    if (!a->assigned || !span_eq_str(r->server, a->server))
        law_break(l, LAW_EVIDENCE_WAS_HANDED,
                  "run %s: a result of attempt %" PRIu64 " is kept, which %.*s never had",
                  world_short_id(r->run), r->attempt, SPAN_ARG(r->server));
    a->evidence_in = l->broker_turn;
}

static void saw_of_run(struct laws *l, const struct journal_record *j, struct fact *f)
{
    union {
        struct r_assigned assigned;
        struct r_returned returned;
        struct r_lost lost;
        struct r_released released;
        struct r_ended ended;
    } r;
    switch (j->kind) {
    case KIND_R_ASSIGNED:
        if (r_assigned_decode(j->body, &r.assigned, NULL) == 0)
            saw_assigned(l, f, &r.assigned);
        break;
    case KIND_R_STARTED:
        moved(l, f, RUN_EV_START);
        f->started = true;
        tried_get(l, j->run, f->attempt)->started = true;
        break;
    case KIND_R_RETURNED:
        if (r_returned_decode(j->body, &r.returned, NULL) == 0)
            saw_returned(l, f, &r.returned);
        break;
    case KIND_R_CANCELLED:
        f->cancelled = true;
        if (f->live)
            moved(l, f, RUN_EV_CANCEL);
        break;
    case KIND_R_LOST:
        if (r_lost_decode(j->body, &r.lost, NULL) == 0)
            saw_lost(l, f, &r.lost);
        break;
    case KIND_R_RELEASED:
        world_met(l->w, FAULT_RELEASE);
        if (r_released_decode(j->body, &r.released, NULL) == 0 &&
            span_eq_str(r.released.how, "rerun")) {
            moved(l, f, RUN_EV_RELEASE_RERUN);
            f->again = true;
            f->by_hand = f->attempt;
        }
        break;
    case KIND_R_ENDED:
        if (r_ended_decode(j->body, &r.ended, NULL) == 0)
            saw_ended(l, f, &r.ended);
        break;
    }
}

void laws_durable(struct laws *l, const struct journal_record *j)
{
    struct r_called called;
    struct r_evidence evidence;
    struct fact *f;
    lawsseeing_durable(l, j);
    if (lawsparents_durable(l, j))
        return;
    if (j->kind == KIND_R_CALLED && r_called_decode(j->body, &called, NULL) == 0)
        saw_called(l, &called);
    else if (j->kind == KIND_R_EVIDENCE && r_evidence_decode(j->body, &evidence, NULL) == 0)
        saw_evidence(l, &evidence);
    else if (!id_is_zero(j->run) && (f = fact_find(l, j->run)))
        saw_of_run(l, j, f);
    else if (!id_is_zero(j->run))
        law_break(l, LAW_REPLAY_IS_STATE,
                  "record %" PRIu64 " is about run %s, which was never called", j->lsn,
                  world_short_id(j->run));
}

/* ---- Children */
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

unsigned laws_children(const struct laws *l)
{
    return l->children;
}

unsigned laws_runs(const struct laws *l)
{
    return HASH_COUNT(l->facts);
}
