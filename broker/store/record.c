/* record.c - what the store needs to know of a record: its time, its run, which record it replaces,
 * and a note for people. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/inside.h"

const char *record_word(uint64_t kind)
{
    switch (kind) {
#define X(UP, low, k) \
    case KIND_R_##UP: \
        return #low;
        RECORDS(X)
#undef X
    default:
        return "?";
    }
}

static void entity(struct record *r, const char *what, struct span a, struct span b)
{
    int n = snprintf(r->entity, sizeof r->entity, "%s:" SPAN_FMT "%s" SPAN_FMT, what, SPAN_ARG(a),
                     b.n ? ":" : "", SPAN_ARG(b));
    r->entity_n = n < (int)sizeof r->entity ? (size_t)n : sizeof r->entity - 1;
}

static void note(struct record *r, struct span s)
{
    span_copy_str(s, r->note, sizeof r->note);
}

/* A record without a run replaces the earlier one with the same entity, as bcore_replay in core.h
 * allows. */
static void of_operated(struct record *r, const struct r_operated *m)
{
    if (span_eq_str(m->verb, "drain") || span_eq_str(m->verb, "undrain") ||
        span_eq_str(m->verb, "forget"))
        entity(r, "operated", m->target, SPAN_NONE);
    else
        r->passing = true;
    snprintf(r->note, sizeof r->note, SPAN_FMT " " SPAN_FMT " by " SPAN_FMT ": %.*s",
             SPAN_ARG(m->verb), SPAN_ARG(m->target), SPAN_ARG(m->by),
             (int)(m->reason.n < 80 ? m->reason.n : 80),
             m->reason.n ? (const char *)m->reason.p : "");
}

static void of_deployed(struct record *r, const struct r_deployed *m)
{
    struct d_signed envelope;
    struct d_deployment d;
    if (d_signed_decode(m->deployment, &envelope, NULL) < 0 ||
        d_deployment_decode(envelope.body, &d, NULL) < 0)
        return; /* an entity of its own: never replaced */
    entity(r, "deploy", d.address, d.name);
    snprintf(r->note, sizeof r->note, "%s " SPAN_FMT " " SPAN_FMT " at " SPAN_FMT " by " SPAN_FMT,
             d.remove ? "remove" : "deploy", SPAN_ARG(d.name), SPAN_ARG(d.version),
             SPAN_ARG(d.address), SPAN_ARG(m->by));
}

static void of_secret(struct record *r, const struct r_secret *m)
{
    struct d_signed envelope;
    struct d_secret d;
    if (d_signed_decode(m->secret, &envelope, NULL) < 0 ||
        d_secret_decode(envelope.body, &d, NULL) < 0)
        return;
    entity(r, "secret", d.name, d.address);
    snprintf(r->note, sizeof r->note, "%s " SPAN_FMT " version %llu at " SPAN_FMT " by " SPAN_FMT,
             d.remove ? "drop" : "put", SPAN_ARG(d.name), (unsigned long long)d.version,
             SPAN_ARG(d.address), SPAN_ARG(m->by));
}

static void of_enrolled(struct record *r, const struct r_enrolled *m)
{
    struct d_signed envelope;
    struct d_certificate c;
    char serial[24];
    if (d_signed_decode(m->certificate, &envelope, NULL) < 0 ||
        d_certificate_decode(envelope.body, &c, NULL) < 0)
        return;
    snprintf(serial, sizeof serial, "%llu", (unsigned long long)c.serial);
    entity(r, "enrol", c.name, span_str(serial));
    snprintf(r->note, sizeof r->note, SPAN_FMT " " SPAN_FMT " by " SPAN_FMT, SPAN_ARG(c.role),
             SPAN_ARG(c.name), SPAN_ARG(m->by));
}

#define AS(low) \
    struct r_##low m; \
    if ((rc = r_##low##_decode(body, &m, err)) < 0) \
        break; \
    r->at = m.at
#define OF_RUN(low) \
    AS(low); \
    r->run = m.run

static int of_a_parent(struct record *r, struct span body, struct error *err)
{
    int rc = 0;
    switch (r->kind) {
    case KIND_R_PARENT_BEGUN: {
        OF_RUN(parent_begun);
        r->begins = true;
        r->owner = m.principal;
        note(r, m.principal);
        break;
    }
    case KIND_R_PARENT_DRIVEN: {
        OF_RUN(parent_driven);
        note(r, m.principal);
        break;
    }
    case KIND_R_PARENT_ENDED: {
        OF_RUN(parent_ended);
        r->ends = true;
        note(r, span_str(status_text(m.status)));
        break;
    }
    default:
        rc = -ENOENT;
    }
    return rc;
}

static int of_a_run(struct record *r, struct span body, struct error *err)
{
    int rc = 0;
    switch (r->kind) {
    case KIND_R_CALLED: {
        OF_RUN(called);
        r->begins = true;
        r->owner = m.principal;
        note(r, m.principal);
        break;
    }
    case KIND_R_ASSIGNED: {
        OF_RUN(assigned);
        note(r, m.server);
        break;
    }
    case KIND_R_STARTED: {
        OF_RUN(started);
        note(r, m.step);
        break;
    }
    case KIND_R_RETURNED: {
        OF_RUN(returned);
        note(r, m.reason);
        break;
    }
    case KIND_R_DECLINED: {
        OF_RUN(declined);
        note(r, m.text);
        break;
    }
    case KIND_R_CANCELLED: {
        OF_RUN(cancelled);
        note(r, m.by);
        break;
    }
    case KIND_R_LOST: {
        OF_RUN(lost);
        note(r, span_str(on_lost_text(m.then)));
        break;
    }
    case KIND_R_HELD: {
        OF_RUN(held);
        note(r, span_str("a backup was restored"));
        break;
    }
    case KIND_R_RELEASED: {
        OF_RUN(released);
        note(r, m.how);
        break;
    }
    case KIND_R_EVIDENCE: {
        OF_RUN(evidence);
        r->owner = m.server;
        note(r, m.why);
        break;
    }
    case KIND_R_ENDED: {
        OF_RUN(ended);
        struct d_outcome o;
        r->ends = true;
        if (d_outcome_decode(m.outcome, &o, NULL) == 0)
            note(r, span_str(status_text(o.status)));
        break;
    }
    default:
        rc = of_a_parent(r, body, err);
    }
    return rc;
}

static int of_no_run(struct record *r, struct span body, struct error *err)
{
    int rc = 0;
    switch (r->kind) {
    case KIND_R_SERVER: {
        AS(server);
        r->owner = m.server;
        r->passing = true;
        snprintf(r->note, sizeof r->note, SPAN_FMT " " SPAN_FMT, SPAN_ARG(m.server),
                 SPAN_ARG(m.state));
        break;
    }
    case KIND_R_OPERATED: {
        AS(operated);
        r->owner = m.by;
        of_operated(r, &m);
        break;
    }
    case KIND_R_DEPLOYED: {
        AS(deployed);
        r->owner = m.by;
        of_deployed(r, &m);
        break;
    }
    case KIND_R_SECRET: {
        AS(secret);
        r->owner = m.by;
        of_secret(r, &m);
        break;
    }
    case KIND_R_ENROLLED: {
        AS(enrolled);
        r->owner = m.by;
        of_enrolled(r, &m);
        break;
    }
    case KIND_R_REVOKED: {
        AS(revoked);
        r->owner = m.by;
        entity(r, "revoked", SPAN_NONE, SPAN_NONE);
        note(r, m.by);
        break;
    }
    case KIND_R_EPOCH: {
        AS(epoch);
        r->owner = span_str("broker");
        entity(r, "epoch", SPAN_NONE, SPAN_NONE);
        note(r, m.software);
        break;
    }
    default:
        rc = error_set(err, -EPROTO,
                       "record %llu is of kind %llu, which this version of Longboat does not know",
                       (unsigned long long)r->lsn, (unsigned long long)r->kind);
    }
    return rc;
}

int record_read(uint64_t lsn, struct span body, struct record *ret, struct error *err)
{
    size_t size;
    memset(ret, 0, sizeof *ret);
    ret->lsn = lsn;
    ret->body = body;
    int rc = wire_peek(body, &ret->kind, &size, err);
    if (rc == 0)
        rc = of_a_run(ret, body, err);
    if (rc == -ENOENT)
        rc = of_no_run(ret, body, err);
    if (rc < 0)
        return error_prefix(err, "journal record %llu", (unsigned long long)lsn);
    if (id_is_zero(ret->run) && !ret->entity_n)
        ret->entity_n = (size_t)snprintf(ret->entity, sizeof ret->entity, "record:%llu",
                                         (unsigned long long)lsn);
    return 0;
}
