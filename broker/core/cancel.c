/* cancel.c - CANCEL, and the release of held runs.
 *
 * A run that no server has ends at once. For one that a server has the cancel is made durable
 * first: from then on no new attempt starts, whatever happens. STOP goes to the server, and again
 * whenever the server comes back without having obeyed. The server decides whether it came in time:
 * its result counts as reported. */
#include <stdio.h>
#include <string.h>

#include "broker/core/inside.h"

void cancel_send_stop(struct bcore *c, const struct run *r)
{
    const struct peer_state *p = r->at->server->peer;
    if (p && r->cancel)
        SEND(c, p->handle, r->lsn, stop, .run = r->id, .attempt = r->attempt,
             .force = r->cancel->force, .reason = span_str(r->cancel->reason));
}

/* Answers the operator's decision about a run. */
static void done_with_strays(struct bcore *c, uint64_t req, const struct run *r, const char *what)
{
    char servers[512], text[640];
    if (strays_text(c, r, servers, sizeof servers))
        snprintf(text, sizeof text, "%s; what still runs on %s is being stopped", what, servers);
    else
        snprintf(text, sizeof text, "%s", what);
    out_done(c, req, r->lsn, text);
}

void bcore_on_cancel(struct bcore *c, struct peer_state *p)
{
    struct m_cancel m;
    struct run *r;
    char id[ID_TEXT];
    if (!TAKE(c, p, cancel, &m))
        return;
    r = run_find(c, m.run);
    if (!r) {
        const struct kept *k = kept_by_id(c, m.run);
        if (k)
            out_done(c, m.req, k->lsn, "it had already ended");
        else
            out_fail_after(c, c->kept.forgot_lsn, m.req, REFUSAL_UNKNOWN_RUN,
                           "no live run has the id %s (lbctl history lists ended runs)",
                           id_format(m.run, id));
        return;
    }
    if (r->cancel && (r->cancel->force || !m.force)) { /* a repeat */
        out_done(c, m.req, r->lsn, "it is being cancelled");
        return;
    }
    r->lsn = EMIT(c, cancelled, .at = c->wall, .run = r->id, .by = span_str(p->name->s),
                  .force = m.force, .reason = m.reason);
    if (r->at) {
        cancel_send_stop(c, r);
        follow_state(c, r);
        out_done(c, m.req, r->lsn, "its server has been asked to stop it");
        return;
    }
    run_end_by_broker(
        c, r,
        (struct bcore_verdict){DELIVERY_CALLED, JOB_CANCELLED,
                               r->lost_once ? PACKAGE_UNKNOWN : PACKAGE_NOT_EXECUTED, 0},
        r->restored            ? "held since a backup was restored; cancelled by %s: " SPAN_FMT
        : r->state == RUN_HELD ? "held after its server was lost; cancelled by %s: " SPAN_FMT
        : r->lost_once ? "the outcome of an earlier attempt is unknown; cancelled by %s while "
                         "it waited for another: " SPAN_FMT
                       : "cancelled by %s while it waited: " SPAN_FMT,
        p->name->s, SPAN_ARG(m.reason));
    strays_end(c, r, m.force);
    done_with_strays(c, m.req, r, "cancelled");
}

/* The operator's own word that a run has succeeded, signed by them: callers believe no success that
 * nobody has signed. False: they sent none. */
static bool operators_word(const struct m_operate *m, struct span *ret_outcome,
                           struct span *ret_signature)
{
    struct value outcome, signature;
    struct d_outcome o;
    if (!wire_map_get(&m->arguments, "outcome", &outcome) || outcome.type != VALUE_BIN ||
        !wire_map_get(&m->arguments, "signature", &signature) || signature.type != VALUE_BIN ||
        signature.bytes.n > LIMIT_RESULT_SIGNATURE ||
        d_outcome_decode(outcome.bytes, &o, NULL) < 0 || o.delivery != DELIVERY_CALLED ||
        o.job != JOB_SUCCEEDED || o.package != PACKAGE_SUCCEEDED || o.status != STATUS_SUCCEEDED ||
        o.steps.count || o.outputs.count)
        return false;
    *ret_outcome = outcome.bytes;
    *ret_signature = signature.bytes;
    return true;
}

static void release_as(struct bcore *c, struct peer_state *p, struct run *r,
                       const struct m_operate *m, struct span how)
{
    struct span outcome, signature;
    const char *why =
        r->restored ? "it was live in a backup that was restored" : "its server was lost";
    r->lsn = EMIT(c, released, .at = c->wall, .run = r->id, .by = span_str(p->name->s), .how = how,
                  .reason = m->reason);
    if (span_eq_str(how, "rerun")) {
        strays_end(c, r, true); /* before another attempt is handed over */
        queue_add(c, r);
        follow_state(c, r);
        done_with_strays(c, m->req, r, "it is waiting for a server again");
        strays_forget(c, r);
        return;
    }
    bool good = span_eq_str(how, "succeed");
    if (good && operators_word(m, &outcome, &signature))
        run_end(c, r, outcome, signature, SPAN_NONE, false);
    else
        run_end_by_broker(
            c, r,
            good ? (struct bcore_verdict){DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED, 0}
                 : (struct bcore_verdict){DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN, 0},
            "%s; released as %s by %s: " SPAN_FMT, why, good ? "succeeded" : "failed", p->name->s,
            SPAN_ARG(m->reason));
    strays_end(c, r, false);
    done_with_strays(c, m->req, r, good ? "released as succeeded" : "released as failed");
}

void cancel_release(struct bcore *c, struct peer_state *p, const struct m_operate *m)
{
    struct id id;
    struct error err = {0};
    struct value how;
    struct run *r;
    if (id_parse_span(m->target, &id, &err) < 0) {
        out_fail(c, m->req, REFUSAL_BAD_ARGUMENT, "release: %s", err.text);
        return;
    }
    if (!wire_map_get(&m->arguments, "how", &how) || how.type != VALUE_STR ||
        !(span_eq_str(how.bytes, "rerun") || span_eq_str(how.bytes, "fail") ||
          span_eq_str(how.bytes, "succeed"))) {
        out_fail(c, m->req, REFUSAL_BAD_ARGUMENT,
                 "release: the argument `how` must be rerun, fail or succeed");
        return;
    }
    r = run_find(c, id);
    if (!r) {
        const struct kept *k = kept_by_id(c, id);
        if (k && (k->flags & KEPT_RELEASED))
            out_done(c, m->req, k->lsn, "it was already released, and has ended");
        else
            out_fail_after(c, k ? k->lsn : c->kept.forgot_lsn, m->req,
                           k ? REFUSAL_STATE : REFUSAL_UNKNOWN_RUN, "run " SPAN_FMT " %s",
                           SPAN_ARG(m->target), k ? "has ended" : "is not known");
    } else if (r->state != RUN_HELD) {
        out_fail(c, m->req, REFUSAL_STATE,
                 "run " SPAN_FMT " is %s: only a held run can be released", SPAN_ARG(m->target),
                 run_state_text(run_state_of(r)));
    } else if (span_eq_str(how.bytes, "rerun") && r->attempt >= LIMIT_ATTEMPTS) {
        out_fail(c, m->req, REFUSAL_STATE,
                 "run " SPAN_FMT
                 " has had %u attempts, which is the limit: release it with --fail or --succeed, "
                 "and call again under another key",
                 SPAN_ARG(m->target), (unsigned)r->attempt);
    } else {
        release_as(c, p, r, m, how.bytes);
    }
}
