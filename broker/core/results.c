/* results.c - reports of workers about their attempts: STARTED, PROGRESS, RESULT, RETURNED.
 *
 * Only the live attempt of a run counts, and only from the server to which it was handed. The
 * result of another attempt is kept once, as evidence: `superseded` if a newer attempt took its
 * place or it was declared lost, `late` if its run has ended. An attempt ended by its fence gives
 * no result either: it is lost, and the run is run again; nor does a refusal that is the server's
 * fault (declined.c). Every RESULT is answered by RECORDED when its record is durable; repeats get
 * the same answer.
 *
 * A server cannot fill the history with results of attempts that it never had: the store is asked
 * whether it had them, and each server may have only so many bytes kept. What is not kept is
 * answered by RECORDED as well, so that the worker forgets it, and is counted and noted. */
#include <stdio.h>

#include "broker/core/declined.h"
#include "common/utf8.h"

/* The run, if this is its live attempt and the server of this session has it; else NULL. */
static struct run *current(const struct bcore *c, const struct server *s, struct id run,
                           uint64_t attempt)
{
    struct run *r = run_find(c, run);
    return r && r->at && r->attempt == attempt && r->at->server == s &&
                   id_eq(r->at->spool, s->spool)
               ? r
               : NULL;
}

void bcore_on_started(struct bcore *c, struct peer_state *p)
{
    struct m_started m;
    struct run *r;
    if (!TAKE(c, p, started, &m))
        return;
    r = current(c, p->server, m.run, m.attempt);
    if (!r) {
        stray_met(c, p, m.run, m.attempt);
        return;
    }
    r->at->seen = true;
    if (r->at->step && span_eq(span_of(r->at->step->s, r->at->step->n), m.step))
        return;
    if (r->at->steps == STARTED_MAX)
        return; /* more than any job has; what counts is its result */
    r->at->steps++;
    attempt_settled(c, r->at);
    r->lsn = EMIT(c, started, .at = c->wall, .run = r->id, .attempt = r->attempt, .step = m.step);
    follow_state(c, r);
}

void bcore_on_progress(struct bcore *c, struct peer_state *p)
{
    struct m_progress m;
    struct run *r;
    if (!TAKE(c, p, progress, &m))
        return;
    r = current(c, p->server, m.run, m.attempt);
    if (!r)
        return;
    mem_free(&r->at->progress);
    r->at->progress = m.text.n ? span_dup_str(m.text) : NULL;
    r->at->percent = (uint8_t)m.percent;
    attempt_waits(c, r->at, m.waits.n > 0);
    follow_progress(c, r);
}

/* ---- RESULT */
static int outcome_check(struct span bytes, struct d_outcome *ret, struct error *err)
{
    struct d_outcome o = {0};
    struct d_step_outcome step;
    struct span item;
    int rc = d_outcome_decode(bytes, &o, err);
    if (rc < 0)
        return rc;
    if (o.delivery >= DELIVERY_COUNT || o.job >= JOB_COUNT || o.package >= PACKAGE_COUNT ||
        o.status >= STATUS_COUNT)
        return error_set(err, -1, "outcome: a layer has an unknown value");
    if (o.status != outcome_status(o.delivery, o.job, o.package))
        return error_set(err, -1, "outcome: status %s does not follow from its layers",
                         status_text(o.status));
    for (struct wire_iter it = wire_iter(&o.steps); wire_next(&it, &item);)
        if ((rc = d_step_outcome_decode(item, &step, err)) < 0)
            return rc;
    *ret = o;
    return 0;
}

/* The mean run time decides how far ahead jobs are sent. */
static void measure(struct job_version *j, const struct d_outcome *o)
{
    /* clocks count ms; beyond a day the value does not matter */
    enum { SAMPLE_MIN_US = 500, SAMPLE_MAX_MS = 86400000 };
    int64_t us;
    if (!j || o->started_at <= 0 || o->ended_at < o->started_at ||
        o->ended_at - o->started_at > SAMPLE_MAX_MS)
        return;
    us = (o->ended_at - o->started_at) * 1000;
    if (us < SAMPLE_MIN_US)
        us = SAMPLE_MIN_US;
    j->mean_us = j->mean_us ? j->mean_us + (us - j->mean_us) / MEAN_WEIGHT : us;
}

static void recorded(struct bcore *c, struct peer_state *p, const struct m_result *m,
                     uint64_t rests_on)
{
    SEND(c, p->handle, rests_on, recorded, .run = m->run, .attempt = m->attempt);
}

/* ---- Results that do not count */
/* Of a long outcome only the layers are kept, with its message. The rest must fit a record, too. */
static struct span cut_outcome(struct bcore *c, struct span outcome)
{
    struct d_outcome o;
    char text[LIMIT_TEXT + 1];
    if (outcome.n <= EVIDENCE_OUTCOME_MAX || d_outcome_decode(outcome, &o, NULL) < 0)
        return outcome;
    snprintf(text, sizeof text, "%zu bytes of steps and outputs were not kept; " SPAN_FMT,
             outcome.n, SPAN_ARG(o.message));
    o.message = span_str(utf8_trim(text));
    o.steps = o.outputs = o.off = (struct wire_list){SPAN_NONE, 0};
    buf_clear(&c->scratch);
    d_outcome_encode(&o, &c->scratch);
    return buf_span(&c->scratch);
}

static bool server_may_add(const struct bcore *c, struct server *s, uint64_t bytes)
{
    uint64_t hour = 3600000;
    return account_rate(c, &s->evidence, bytes, c->config.evidence_bytes,
                        EVIDENCE_BACK_HOURS * hour);
}

static void never_handed(struct bcore *c, struct peer_state *p, const struct m_result *m)
{
    c->counts.forged++;
    if (!p->server->forged++)
        out_note(c, p, m->run,
                 "it reports a result of an attempt that was never handed to it: refused, as are "
                 "further ones, which are only counted");
    recorded(c, p, m, 0);
}

static void beyond_budget(struct bcore *c, struct peer_state *p, const struct m_result *m)
{
    c->counts.unkept++;
    if (!p->server->unkept++)
        out_note(c, p, m->run,
                 "its results that do not count are more than are kept of one server (setting "
                 "budgets: evidence): further ones are only counted");
    recorded(c, p, m, 0);
}

static void keep_evidence(struct bcore *c, struct peer_state *p, const struct m_result *m)
{
    const struct run *r = run_find(c, m->run);
    const struct kept *k = kept_by_id(c, m->run);
    struct span outcome = cut_outcome(c, m->outcome);
    /* what was cut is not what was signed */
    struct span signature = outcome.n == m->outcome.n ? m->signature : SPAN_NONE;
    if (!server_may_add(c, p->server, outcome.n + signature.n)) {
        beyond_budget(c, p, m);
        return;
    }
    EMIT(c, evidence, .at = c->wall, .run = m->run, .attempt = m->attempt,
         .server = span_str(p->server->name->s),
         .why = span_str(r || (k && m->attempt < k->attempt) ? "superseded" : "late"),
         .outcome = outcome, .signature = signature);
    c->counts.evidence++;
    recorded(c, p, m, c->lsn);
}

/* What happened between a backup and its restoration is unknown; what runs and results say of that
 * time is believed, as far as the server's budget goes. */
static bool of_lost_time(const struct bcore *c, const struct run *r, struct id run)
{
    return (r && r->restored) ||
           (c->restored_at && id_cmp(run, id_make(c->restored_at + 1, (uint8_t[10]){0})) < 0);
}

/* No server can have that attempt, or another has it. */
static bool contradicts(const struct run *r, const struct kept *k, const struct m_result *m)
{
    return r   ? m->attempt > r->attempt || (r->at && m->attempt == r->attempt)
           : k ? m->attempt > k->attempt
               : false;
}

/* known_handed: the core itself knows that this server had it. */
static void not_counted(struct bcore *c, struct peer_state *p, const struct m_result *m,
                        bool known_handed)
{
    const struct kept *k = kept_by_id(c, m->run);
    const struct evidence *e = evidence_find(c, m->run, m->attempt);
    const struct run *r = run_find(c, m->run);
    stray_over(c, p, m->run, m->attempt);
    if (k && k->attempt == m->attempt && (k->flags & KEPT_REPORTED))
        recorded(c, p, m, k->lsn); /* a repeat of the one that counted */
    else if (e)
        recorded(c, p, m, e->lsn);
    else if (known_handed || of_lost_time(c, r, m->run))
        keep_evidence(c, p, m);
    else if (contradicts(r, k, m))
        never_handed(c, p, m);
    else if (c->ev->looked_up && c->ev->known)
        keep_evidence(c, p, m);
    else if (c->ev->looked_up)
        never_handed(c, p, m);
    else if (server_may_add(c, p->server, EVIDENCE_LOOK))
        out_lookup_handed(c, p, m->run, m->attempt);
    else
        beyond_budget(c, p, m);
}

/* Nothing was launched, and the fault is the server's: another may take it. A server that says so
 * of a started attempt is not believed: it may have run. */
static bool was_declined(const struct bcore *c, const struct run *r, const struct d_outcome *o)
{
    return o->delivery == DELIVERY_REFUSED && o->job == JOB_NOT_CALLED &&
           o->package == PACKAGE_NOT_EXECUTED && !o->started_at && !r->at->started_at &&
           !r->cancel && declined_goes_on(c, r, o->code);
}

/* Its keeper ended it at the fence while its server could not reach the broker, or its server was
 * restarted and cannot say how far it came: it is lost, whoever noticed first. */
static bool says_lost(const struct run *r, const struct d_outcome *o)
{
    const uint64_t then = r->at->on_lost;
    return o->job == JOB_LOST && (then == ON_LOST_RERUN || then == ON_LOST_HOLD) && !r->cancel;
}

void bcore_on_result(struct bcore *c, struct peer_state *p)
{
    struct server *s = p->server;
    struct m_result m;
    struct d_outcome o = {0};
    struct error err = {0};
    struct run *r;
    if (!TAKE(c, p, result, &m))
        return;
    if (outcome_check(m.outcome, &o, &err) < 0) {
        SEND(c, p->handle, 0, error, .code = REFUSAL_MALFORMED, .text = span_str(err.text));
        out_refuse(c, p->handle, REFUSAL_MALFORMED, 0, "RESULT: %s", err.text);
        bcore_peer_forget(c, p);
        return;
    }
    r = current(c, s, m.run, m.attempt);
    if (r && says_lost(r, &o)) {
        bcore_timer_clear(c, &r->timer);
        attempt_lost(c, r, NULL);
        not_counted(c, p, &m, true);
    } else if (r && was_declined(c, r, &o)) {
        declined_go(c, r, &o);
        recorded(c, p, &m, r->lsn);
    } else if (r) {
        measure(r->at->job, &o);
        s->ended++;
        s->returns = 0;
        run_end(c, r, m.outcome, m.signature, m.executions, true);
        recorded(c, p, &m, r->lsn);
    } else {
        not_counted(c, p, &m, false);
    }
}

/* ---- RETURNED */
/* Returned unasked: this server gets no runs for a while, and for longer if that goes on. */
static void rest(struct bcore *c, struct server *s)
{
    int64_t ms = REST_MS;
    for (unsigned i = s->slots ? s->returns / (unsigned)s->slots : 0; i && ms < REST_MOST_MS; i--)
        ms *= 2;
    s->returns++;
    s->resting = true;
    bcore_timer_set(c, &s->rest, TIMER_REST, c->now + (ms < REST_MOST_MS ? ms : REST_MOST_MS));
}

void bcore_on_returned(struct bcore *c, struct peer_state *p)
{
    struct server *s = p->server;
    struct m_returned m;
    struct run *r;
    if (!TAKE(c, p, returned, &m))
        return;
    r = current(c, s, m.run, m.attempt);
    if (!r) {
        stray_over(c, p, m.run, m.attempt);
        return;
    }
    if (r->at->started_at) { /* what has started is not unstarted because its server says so */
        attempt_silent(c, r, c->now);
        return;
    }
    if (!r->at->recalled)
        rest(c, s);
    if (r->cancel) {
        run_end_cancelled(c, r);
        return;
    }
    c->counts.returned++;
    r->lsn =
        EMIT(c, returned, .at = c->wall, .run = r->id, .attempt = r->attempt, .reason = m.reason);
    queue_add(c, r);
    follow_state(c, r);
    server_pump(c, s);
}
