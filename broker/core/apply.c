/* apply.c - the one function that changes the durable state. A step applies the records that it
 * emits, a replay those that it reads.
 *
 * A record that the state does not allow is refused with a sentence: either the journal is not ours
 * or there is a bug, and a guess could lose a run. */
#include <errno.h>
#include <string.h>

#include "broker/core/declined.h"

static int no_run(struct id id, const char *what, struct error *err)
{
    char text[ID_TEXT];
    return error_set(err, -EPROTO, "%s: run %s is not live", what, id_format(id, text));
}

static int no_attempt(const struct run *r, uint64_t attempt, const char *what, struct error *err)
{
    char text[ID_TEXT];
    return error_set(err, -EPROTO, "%s: attempt %llu of run %s is not live (the last was %u)", what,
                     (unsigned long long)attempt, id_format(r->id, text), (unsigned)r->attempt);
}

/* The run, if this attempt of it is with a server. */
static struct run *with_attempt(const struct bcore *c, struct id id, uint64_t attempt,
                                const char *what, struct error *err)
{
    struct run *r = run_find(c, id);
    if (!r)
        no_run(id, what, err);
    else if (!r->at || r->attempt != attempt)
        no_attempt(r, attempt, what, err), r = NULL;
    return r;
}

static int apply_called(struct bcore *c, uint64_t lsn, const struct r_called *r, struct error *err)
{
    struct d_signed s;
    struct d_call d;
    struct run *run;
    int rc = d_signed_decode(r->call, &s, err);
    if (rc == 0)
        rc = d_call_decode(s.body, &d, err);
    if (rc < 0)
        return rc;
    if (run_find(c, r->run) || run_by_key(c, key128_of(c, d.caller, d.key, false)))
        return error_set(err, -EPROTO, "called: the run or its key is already live");
    run = run_new(c, r->run, r->call, &d);
    run->digest = r->digest;
    run->certificate = text_get(c, r->certificate);
    run->called_at = r->at;
    run->lsn = run->called_lsn = lsn;
    return 0;
}

/* Earlier versions did not record it; the server's record of its session has it. */
static struct id boot_of(const struct r_assigned *r, const struct server *s)
{
    struct id boot = {{0}};
    if (r->boot.n == sizeof boot.b)
        memcpy(boot.b, r->boot.p, sizeof boot.b);
    else if (id_eq(r->spool, s->last_spool))
        boot = s->last_boot;
    return boot;
}

static int apply_assigned(struct bcore *c, uint64_t lsn, const struct r_assigned *r,
                          struct error *err)
{
    struct run *run = run_find(c, r->run);
    struct attempt *a;
    int rc;
    if (!run)
        return no_run(r->run, "assigned", err);
    if (r->attempt != run->attempt + 1u)
        return no_attempt(run, r->attempt, "assigned", err);
    if ((rc = run_move(run, RUN_EV_ASSIGN, err)) < 0)
        return rc;
    run->attempt = (uint32_t)r->attempt;
    a = attempt_new(c, run, r->server);
    a->spool = r->spool;
    a->boot = boot_of(r, a->server);
    if (r->incarnation.n == sizeof a->incarnation.b)
        memcpy(a->incarnation.b, r->incarnation.p, sizeof a->incarnation.b);
    a->job_hash = r->job_hash;
    a->on_lost = (uint8_t)r->on_lost;
    a->lost_after_ms = r->lost_after_ms;
    a->assigned_at = r->at;
    run->lsn = lsn;
    return 0;
}

static int apply_started(struct bcore *c, uint64_t lsn, const struct r_started *r,
                         struct error *err)
{
    struct run *run = with_attempt(c, r->run, r->attempt, "started", err);
    int rc = run ? run_move(run, RUN_EV_START, err) : -EPROTO;
    if (rc < 0)
        return rc;
    if (!run->at->started_at) {
        run->at->started_at = r->at ? r->at : 1;
        run->at->server->n_started++;
    }
    text_put(c, &run->at->step);
    run->at->step = text_get(c, r->step);
    run->started_once = true;
    run->lsn = lsn;
    return 0;
}

static int apply_returned(struct bcore *c, uint64_t lsn, const struct r_returned *r,
                          struct error *err)
{
    struct run *run = with_attempt(c, r->run, r->attempt, "returned", err);
    int rc = run ? run_move(run, RUN_EV_RETURN, err) : -EPROTO;
    if (rc < 0)
        return rc;
    attempt_free(c, run);
    run->lsn = lsn;
    return 0;
}

static int apply_declined(struct bcore *c, uint64_t lsn, const struct r_declined *r,
                          struct error *err)
{
    struct run *run = with_attempt(c, r->run, r->attempt, "declined", err);
    int rc = run ? run_move(run, RUN_EV_RETURN, err) : -EPROTO;
    if (rc < 0)
        return rc;
    declined_apply(c, run);
    evidence_add(c, r->run, r->attempt, lsn); /* its RESULT is answered so if it comes again */
    run->lsn = lsn;
    return 0;
}

static int apply_cancelled(struct bcore *c, uint64_t lsn, const struct r_cancelled *r,
                           struct error *err)
{
    struct run *run = run_find(c, r->run);
    int rc = 0;
    if (!run)
        return no_run(r->run, "cancelled", err);
    if (run->at && (rc = run_move(run, RUN_EV_CANCEL, err)) < 0)
        return rc; /* a waiting or held run is ended by the next record */
    run_cancel_free(c, run);
    run->cancel = mem_zalloc(1, sizeof *run->cancel);
    run->cancel->by = text_get(c, r->by);
    run->cancel->force = r->force;
    run->cancel->reason = span_dup_str(r->reason);
    run->lsn = lsn;
    return 0;
}

static int apply_lost(struct bcore *c, uint64_t lsn, const struct r_lost *r, struct error *err)
{
    struct run *run = with_attempt(c, r->run, r->attempt, "lost", err);
    int rc = 0;
    if (!run)
        return -EPROTO;
    /* The journal does not record that it was out of contact. */
    if (run->state == RUN_HANDED_OVER || run->state == RUN_RUNNING)
        rc = run_move(run, RUN_EV_SILENCE, err);
    if (rc == 0 && r->then == ON_LOST_RERUN)
        rc = run_move(run, RUN_EV_LOSE_RERUN, err);
    else if (rc == 0 && r->then == ON_LOST_HOLD)
        rc = run_move(run, RUN_EV_LOSE_HOLD, err);
    if (rc < 0)
        return rc;
    if (r->then == ON_LOST_RERUN || r->then == ON_LOST_HOLD)
        attempt_free(c, run); /* else the next record is its end, which names the server */
    run->lost_once = true;
    run->lsn = lsn;
    return 0;
}

static int apply_held(struct bcore *c, uint64_t lsn, const struct r_held *r, struct error *err)
{
    struct run *run = run_find(c, r->run);
    if (!run)
        return no_run(r->run, "held", err);
    if (r->attempt < run->attempt)
        return no_attempt(run, r->attempt, "held", err);
    int rc = run_move(run, RUN_EV_HOLD, err);
    if (rc < 0)
        return rc;
    attempt_free(c, run);
    /* a cancel may be repeated, and ends a held run at once */
    run_cancel_free(c, run);
    run->attempt = (uint32_t)r->attempt;
    run->restored = run->lost_once = true;
    run->lsn = lsn;
    return 0;
}

static int apply_released(struct bcore *c, uint64_t lsn, const struct r_released *r,
                          struct error *err)
{
    struct run *run = run_find(c, r->run);
    int rc = 0;
    if (!run || run->state != RUN_HELD)
        return no_run(r->run, "released", err);
    if (span_eq_str(r->how, "rerun"))
        rc = run_move(run, RUN_EV_RELEASE_RERUN, err);
    run->restored = false;
    run->lsn = lsn;
    return rc;
}

static int apply_ended(struct bcore *c, uint64_t lsn, const struct r_ended *r, struct error *err)
{
    struct run *run = run_find(c, r->run);
    struct kept k = {.id = r->run, .at = r->at, .lsn = lsn, .attempt = (uint32_t)r->attempt};
    int rc;
    if (!run)
        return no_run(r->run, "ended", err);
    if (r->attempt != run->attempt)
        return no_attempt(run, r->attempt, "ended", err);
    if (run->state == RUN_HELD)
        k.flags |= KEPT_RELEASED;
    if ((rc = run_move(run, RUN_EV_END, err)) < 0)
        return rc;
    k.key = run->key;
    memcpy(k.digest, run->digest.b, sizeof k.digest);
    if (r->reported)
        k.flags |= KEPT_REPORTED;
    kept_add(c, &k);
    attempt_free(c, run);
    run->lsn = lsn;
    run_unlink(c, run);
    return 0;
}

static int apply_kept(struct bcore *c, uint64_t lsn, const struct r_kept *r, struct error *err)
{
    struct kept k = {.id = r->run, .at = r->at, .lsn = lsn, .attempt = (uint32_t)r->attempt};
    if (kept_by_id(c, r->run) || run_find(c, r->run) || parent_find(c, r->run))
        return error_set(err, -EPROTO, "kept: the run is already known");
    k.key = key128_of(c, r->principal, r->key, r->parent);
    memcpy(k.digest, r->digest.b, sizeof k.digest);
    k.flags = (uint8_t)((r->reported ? KEPT_REPORTED : 0) | (r->parent ? KEPT_PARENT : 0));
    kept_add(c, &k);
    return 0;
}

/* ---- Parents */
static int apply_parent_begun(struct bcore *c, uint64_t lsn, const struct r_parent_begun *r,
                              struct error *err)
{
    struct d_signed s;
    struct d_parent d;
    struct parent *p;
    struct key128 key;
    int rc = d_signed_decode(r->parent, &s, err);
    if (rc == 0)
        rc = d_parent_decode(s.body, &d, err);
    if (rc < 0)
        return rc;
    key = key128_of(c, d.caller, d.key, true);
    if (parent_find(c, r->run) || table_find(&c->parents_by_key, key.a, &key))
        return error_set(err, -EPROTO, "parent_begun: the parent or its key is already live");
    p = mem_zalloc(1, sizeof *p);
    p->id = r->run;
    p->key = key;
    p->digest = r->digest;
    p->principal = text_get(c, r->principal);
    p->account = account_get(c, p->principal);
    p->account->parents++;
    account_charge(c, p->account, parent_cost(r->parent.n));
    p->body = buf_dup(r->parent);
    p->begun_at = r->at;
    p->tasks = d.tasks;
    p->lsn = lsn;
    p->node.id = p->id;
    p->node.rank = bcore_hash_keyed(c, p->id.b, sizeof p->id.b);
    order_add(&c->parents_in_order, &p->node);
    table_add(&c->parents, (uintptr_t)p);
    table_add(&c->parents_by_key, (uintptr_t)p);
    return 0;
}

static int apply_parent_driven(struct bcore *c, uint64_t lsn, const struct r_parent_driven *r,
                               struct error *err)
{
    struct parent *p = parent_find(c, r->run);
    if (!p)
        return no_run(r->run, "parent_driven", err);
    if (r->epoch != p->epoch + 1)
        return error_set(err, -EPROTO, "parent_driven: epoch %llu follows %llu",
                         (unsigned long long)r->epoch, (unsigned long long)p->epoch);
    p->epoch = r->epoch;
    text_put(c, &p->driven_by);
    p->driven_by = text_get(c, r->principal);
    p->lsn = lsn;
    return 0;
}

static int apply_parent_ended(struct bcore *c, uint64_t lsn, const struct r_parent_ended *r,
                              struct error *err)
{
    struct parent *p = parent_find(c, r->run);
    struct kept k = {.id = r->run, .at = r->at, .lsn = lsn, .flags = KEPT_PARENT};
    if (!p)
        return no_run(r->run, "parent_ended", err);
    k.key = p->key;
    memcpy(k.digest, p->digest.b, sizeof k.digest);
    kept_add(c, &k);
    order_remove(&c->parents_in_order, &p->node);
    table_remove(&c->parents, (uintptr_t)p);
    table_remove(&c->parents_by_key, (uintptr_t)p);
    parent_free(c, &p);
    return 0;
}

/* ---- Servers */
static int apply_server(struct bcore *c, const struct r_server *r)
{
    struct server *s = server_find(c, r->server);
    if (s) { /* for people only; it does not bring a forgotten server back */
        s->last_spool = r->spool;
        s->last_boot = r->boot;
        text_put(c, &s->software);
        s->software = text_get(c, r->software);
    }
    return 0;
}

static int apply_operated(struct bcore *c, const struct r_operated *r, struct error *err)
{
    struct server *s = server_find(c, r->target);
    bool drain = span_eq_str(r->verb, "drain"), undrain = span_eq_str(r->verb, "undrain");
    if (!drain && !undrain && !span_eq_str(r->verb, "forget"))
        return error_set(err, -EPROTO, "operated: the verb '" SPAN_FMT "' is unknown",
                         SPAN_ARG(r->verb));
    if (!s)
        /* it was forgotten later, so the replay may have left its certificate out */
        return 0;
    if (drain || undrain) {
        s->draining = drain;
        mem_free(&s->draining_reason);
        if (drain)
            s->draining_reason = span_dup_str(r->reason);
        return 0;
    }
    if (s->attempts)
        return error_set(err, -EPROTO, "operated: server '" SPAN_FMT "' has attempts",
                         SPAN_ARG(r->target));
    server_remove(c, s); /* its certificates stay valid, and one of them brings it back */
    return 0;
}

#define CASE(UP, low, call) \
    case KIND_R_##UP: { \
        struct r_##low r; \
        rc = r_##low##_decode(body, &r, err); \
        if (rc == 0) \
            rc = call; \
        break; \
    }

static int apply_kind(struct bcore *c, uint64_t lsn, uint64_t kind, struct span body,
                      struct error *err)
{
    int rc;
    switch (kind) {
        CASE(CALLED, called, apply_called(c, lsn, &r, err))
        CASE(ASSIGNED, assigned, apply_assigned(c, lsn, &r, err))
        CASE(STARTED, started, apply_started(c, lsn, &r, err))
        CASE(RETURNED, returned, apply_returned(c, lsn, &r, err))
        CASE(DECLINED, declined, apply_declined(c, lsn, &r, err))
        CASE(CANCELLED, cancelled, apply_cancelled(c, lsn, &r, err))
        CASE(LOST, lost, apply_lost(c, lsn, &r, err))
        CASE(HELD, held, apply_held(c, lsn, &r, err))
        CASE(RELEASED, released, apply_released(c, lsn, &r, err))
        CASE(ENDED, ended, apply_ended(c, lsn, &r, err))
        CASE(EVIDENCE, evidence, (evidence_add(c, r.run, r.attempt, lsn), 0))
        CASE(KEPT, kept, apply_kept(c, lsn, &r, err))
        CASE(PARENT_BEGUN, parent_begun, apply_parent_begun(c, lsn, &r, err))
        CASE(PARENT_DRIVEN, parent_driven, apply_parent_driven(c, lsn, &r, err))
        CASE(PARENT_ENDED, parent_ended, apply_parent_ended(c, lsn, &r, err))
        CASE(SERVER, server, apply_server(c, &r))
        CASE(OPERATED, operated, apply_operated(c, &r, err))
        CASE(DEPLOYED, deployed, deploy_apply(c, &r, err))
        CASE(SECRET, secret, vault_apply(c, &r, err))
        CASE(ENROLLED, enrolled, registry_apply_enrolled(c, lsn, &r, err))
        CASE(REVOKED, revoked, registry_apply_revoked(c, &r, err))
        CASE(EPOCH, epoch, (c->epoch = r.epoch > c->epoch ? r.epoch : c->epoch, 0))
    default:
        rc = error_set(err, -EPROTO, "unknown record kind %llu", (unsigned long long)kind);
    }
    return rc;
}

int apply_record(struct bcore *c, uint64_t lsn, struct span body, struct error *err)
{
    uint64_t kind;
    size_t size;
    int rc = wire_peek(body, &kind, &size, err);
    if (rc == 0)
        rc = apply_kind(c, lsn, kind, body, err);
    if (rc == 0 && lsn > c->lsn)
        c->lsn = lsn;
    return rc;
}
