/* results.c - reports of workers about their attempts: STARTED, PROGRESS, RESULT, RETURNED.
 *
 * Only the live attempt of a run counts, and only from the server to which it was handed. The
 * result of another attempt is kept once, as evidence: `superseded` if a newer attempt took its
 * place or it was declared lost, `late` if its run has ended. An attempt ended by its fence gives
 * no result either: it is lost, and the run is run again. Every RESULT is answered by RECORDED when
 * its record is durable; repeats get the same answer. */
#include "broker/core/inside.h"

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

static void not_counted(struct bcore *c, struct peer_state *p, const struct m_result *m)
{
    const struct kept *k = kept_by_id(c, m->run);
    const struct evidence *e = evidence_find(c, m->run, m->attempt);
    const struct run *r = run_find(c, m->run);
    uint64_t lsn;
    stray_over(c, p, m->run, m->attempt);
    if (k && k->attempt == m->attempt && (k->flags & KEPT_REPORTED)) {
        recorded(c, p, m, k->lsn); /* a repeat of the one that counted */
        return;
    }
    if (e) {
        recorded(c, p, m, e->lsn);
        return;
    }
    lsn = EMIT(c, evidence, .at = c->wall, .run = m->run, .attempt = m->attempt,
               .server = span_str(p->server->name->s),
               .why = span_str(r || (k && m->attempt < k->attempt) ? "superseded" : "late"),
               .outcome = m->outcome, .signature = m->signature);
    c->counts.evidence++;
    recorded(c, p, m, lsn);
}

/* Its keeper ended it at the fence while its server could not reach the broker: it is lost,
 * whichever noticed first. */
static bool was_fenced(const struct run *r, const struct d_outcome *o)
{
    return o->job == JOB_LOST && r->at->on_lost == ON_LOST_RERUN && !r->cancel;
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
    if (r && was_fenced(r, &o)) {
        bcore_timer_clear(c, &r->timer);
        attempt_lost(c, r);
        not_counted(c, p, &m);
    } else if (r) {
        measure(r->at->job, &o);
        s->ended++;
        run_end(c, r, m.outcome, m.signature, true);
        recorded(c, p, &m, r->lsn);
    } else if ((r = run_find(c, m.run)) &&
               (m.attempt > r->attempt || (r->at && m.attempt == r->attempt))) {
        out_fail(c, 0, REFUSAL_DENIED, "this attempt was not handed to the worker that reports it");
    } else {
        not_counted(c, p, &m);
    }
}

/* ---- RETURNED */
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
    if (!r->at->recalled) { /* returned unasked: this server gets no runs for a while */
        s->resting = true;
        bcore_timer_set(c, &s->rest, TIMER_REST, c->now + REST_MS);
    }
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
