/* lawsrecords.c - the laws about records, as they become durable. See laws.h. */
#include "tests/sim/lawsinside.h"

#include <inttypes.h>
#include <string.h>

#include "tests/sim/catalog.h"
#include "trust/envelope.h"

static const struct job_fact *job_fact(const struct laws *l, const struct hash *job)
{
    for (unsigned i = 0; i < l->n_jobs; i++)
        if (hash_eq(&l->jobs[i].hash, job))
            return &l->jobs[i];
    return NULL;
}

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

bool tried_declined(const struct laws *l, struct id run, uint64_t attempts, struct span server)
{
    for (uint64_t i = 1; i <= attempts; i++) {
        const struct tried *a = tried_find(l, run, i);
        if (a && a->declined && span_eq_str(server, a->server))
            return true;
    }
    return false;
}

static void judge_declined(struct laws *l, const struct fact *f, const struct r_assigned *r)
{
    if (tried_declined(l, f->run, r->attempt - 1, r->server))
        law_break(l, LAW_DECLINED_ONCE, "run %s goes back to " SPAN_FMT ", which has refused it",
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
    if (r->incarnation.n == sizeof a->incarnation.b)
        memcpy(a->incarnation.b, r->incarnation.p, sizeof a->incarnation.b);
    a->job = r->job_hash;
    span_copy_str(r->server, a->server, sizeof a->server);
    judge_concurrency(l, r, job);
    judge_place(l, f, r);
    judge_declined(l, f, r);
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

static void saw_declined(struct laws *l, struct fact *f, const struct r_declined *r)
{
    struct tried *a = tried_get(l, r->run, r->attempt);
    moved(l, f, RUN_EV_RETURN);
    a->declined = true;
    f->again = true;
    f->live = false;
    world_met(l->w, FAULT_DECLINED);
    if (a->n_children)
        law_break(l, LAW_DECLINED_ONCE,
                  "run %s: attempt %" PRIu64 " goes on to another server but has run",
                  world_short_id(f->run), r->attempt);
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
        struct r_declined declined;
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
    case KIND_R_DECLINED:
        if (r_declined_decode(j->body, &r.declined, NULL) == 0)
            saw_declined(l, f, &r.declined);
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
