/* eventjson.c - see eventjson.h. */
#include "broker/events/eventjson.h"

#include <stdlib.h>
#include <string.h>

#include "broker/events/json.h"
#include "broker/events/jsonfit.h"
#include "common/mem.h"

/* ---- Events */
static void server_is(struct feed_event *e, json_t *o, struct span server)
{
    span_copy_str(server, e->server, sizeof e->server);
    json_set_text(o, "server", server);
}

static void attempt_is(json_t *o, uint64_t attempt)
{
    if (attempt)
        json_set_number(o, "attempt", attempt);
}

static void outcome_is(struct feed_event *e, json_t *o, struct span bytes,
                       const struct about *about)
{
    struct d_outcome outcome;
    if (d_outcome_decode(bytes, &outcome, NULL) < 0)
        return;
    e->status = (int)outcome.status;
    json_set_outcome(o, &outcome);
    /* the broker accepted the call then; the outcome knows only when its server got it */
    if (about->begun_at)
        json_set_time(o, "called_at", about->begun_at);
    if (!outcome.ended_at)
        json_set_time(o, "ended_at", e->at);
    if (!about->known)
        json_set_text(o, "job", outcome.job_name);
}

#define AS(low) \
    struct r_##low m; \
    if (r_##low##_decode(record, &m, NULL) < 0) \
        return; \
    e->at = m.at
#define OF_RUN(low) \
    AS(low); \
    e->run = m.run

/* What happens to a run before its end. */
static void fill_way(struct feed_event *e, json_t *o, uint64_t kind, struct span record)
{
    switch (kind) {
    case KIND_R_CALLED: {
        OF_RUN(called);
        e->word = "called";
        break;
    }
    case KIND_R_ASSIGNED: {
        OF_RUN(assigned);
        e->word = "assigned";
        attempt_is(o, m.attempt);
        server_is(e, o, m.server);
        break;
    }
    case KIND_R_STARTED: {
        OF_RUN(started);
        e->word = "started";
        attempt_is(o, m.attempt);
        json_set_text(o, "step", m.step);
        break;
    }
    case KIND_R_RETURNED: {
        OF_RUN(returned);
        e->word = "returned";
        attempt_is(o, m.attempt);
        json_set_text(o, "reason", m.reason);
        break;
    }
    case KIND_R_DECLINED: {
        OF_RUN(declined);
        e->word = "declined";
        attempt_is(o, m.attempt);
        json_set_word(o, "code", refusal_word(m.code));
        json_set_text(o, "reason", m.text);
        break;
    }
    case KIND_R_CANCELLED: {
        OF_RUN(cancelled);
        e->word = "cancel";
        json_set_text(o, "operator", m.by);
        json_set_text(o, "reason", m.reason);
        break;
    }
    case KIND_R_LOST: {
        OF_RUN(lost);
        e->word = "lost";
        attempt_is(o, m.attempt);
        json_set_word(o, "on_lost", on_lost_text(m.then));
        break;
    }
    case KIND_R_HELD: {
        OF_RUN(held);
        e->word = "held";
        json_set_text(o, "reason", span_str("a backup was put back"));
        break;
    }
    case KIND_R_RELEASED: {
        OF_RUN(released);
        e->word = "released";
        json_set_text(o, "operator", m.by);
        json_set_text(o, "how", m.how);
        json_set_text(o, "reason", m.reason);
        break;
    }
    }
}

/* The end of a run, and parents. */
static void fill_end(struct feed_event *e, json_t *o, uint64_t kind, struct span record,
                     const struct about *about)
{
    switch (kind) {
    case KIND_R_ENDED: {
        OF_RUN(ended);
        e->word = "result";
        attempt_is(o, m.attempt);
        server_is(e, o, m.server);
        outcome_is(e, o, m.outcome, about);
        break;
    }
    case KIND_R_EVIDENCE: {
        OF_RUN(evidence);
        e->word = "evidence";
        attempt_is(o, m.attempt);
        server_is(e, o, m.server);
        json_set_text(o, "why", m.why);
        outcome_is(e, o, m.outcome, about);
        e->status = -1; /* evidence does not count as a result */
        break;
    }
    case KIND_R_PARENT_BEGUN: {
        OF_RUN(parent_begun);
        e->word = "parent_begun";
        break;
    }
    case KIND_R_PARENT_DRIVEN: {
        OF_RUN(parent_driven);
        e->word = "parent_driven";
        json_set_text(o, "driver", m.principal);
        json_set_number(o, "epoch", m.epoch);
        break;
    }
    case KIND_R_PARENT_ENDED: {
        OF_RUN(parent_ended);
        e->word = "parent_ended";
        e->status = (int)m.status;
        json_set_word(o, "status", status_text(m.status));
        break;
    }
    }
}

static void fill_certificate(json_t *o, struct span bytes)
{
    struct d_signed s;
    struct d_certificate c;
    if (d_signed_decode(bytes, &s, NULL) < 0 || d_certificate_decode(s.body, &c, NULL) < 0)
        return;
    json_set_text(o, "principal", c.name);
    json_set_text(o, "role", c.role);
    json_set_number(o, "serial", c.serial);
}

static void fill_secret(struct feed_event *e, json_t *o, struct span bytes)
{
    struct d_signed s;
    struct d_secret d;
    if (d_signed_decode(bytes, &s, NULL) < 0 || d_secret_decode(s.body, &d, NULL) < 0)
        return;
    json_set_text(o, "name", d.name);
    json_set_number(o, "version", d.version);
    json_set_text(o, "address", d.address);
    span_copy_str(d.address, e->address, sizeof e->address);
    if (d.remove)
        json_set_flag(o, "remove", true);
}

static void fill_deployment(struct feed_event *e, json_t *o, struct span bytes)
{
    struct d_signed s;
    struct d_deployment d;
    if (d_signed_decode(bytes, &s, NULL) < 0 || d_deployment_decode(s.body, &d, NULL) < 0)
        return;
    json_set_text(o, "name", d.name);
    json_set_text(o, "version", d.version);
    json_set_hash(o, "hash", &d.package);
    json_set_text(o, "address", d.address);
    span_copy_str(d.address, e->address, sizeof e->address);
    if (d.remove)
        json_set_flag(o, "remove", true);
}

static void fill_other(struct feed_event *e, json_t *o, uint64_t kind, struct span record)
{
    switch (kind) {
    case KIND_R_SERVER: {
        AS(server);
        e->word = "server";
        server_is(e, o, m.server);
        json_set_text(o, "state", m.state);
        json_set_text(o, "software", m.software);
        break;
    }
    case KIND_R_OPERATED: {
        AS(operated);
        e->word = "operated";
        json_set_text(o, "verb", m.verb);
        json_set_text(o, "target", m.target);
        json_set_text(o, "reason", m.reason);
        json_set_text(o, "by", m.by);
        span_copy_str(m.target, e->server, sizeof e->server);
        break;
    }
    case KIND_R_DEPLOYED: {
        AS(deployed);
        e->word = "deployed";
        fill_deployment(e, o, m.deployment);
        json_set_text(o, "by", m.by);
        break;
    }
    case KIND_R_SECRET: {
        AS(secret);
        e->word = "secret";
        fill_secret(e, o, m.secret);
        json_set_text(o, "by", m.by);
        break;
    }
    case KIND_R_ENROLLED: {
        AS(enrolled);
        e->word = "enrolled";
        fill_certificate(o, m.certificate);
        json_set_text(o, "by", m.by);
        break;
    }
    case KIND_R_REVOKED: {
        AS(revoked);
        e->word = "revoked";
        json_set_text(o, "by", m.by);
        break;
    }
    case KIND_R_EPOCH: {
        AS(epoch);
        e->word = "broker";
        json_set_number(o, "epoch", m.epoch);
        json_set_text(o, "software", m.software);
        break;
    }
    }
}

static void fill_about(struct feed_event *e, json_t *o, const struct about *about)
{
    span_copy_str(about->principal, e->principal, sizeof e->principal);
    if (about->known && !about->is_parent) {
        e->parent = about->call.parent;
        span_copy_str(about->call.job, e->job, sizeof e->job);
        span_copy_str(about->call.address, e->address, sizeof e->address);
        json_set_call(o, &about->call);
    } else if (about->known) {
        e->parent = about->parent.parent;
        span_copy_str(about->parent.name, e->job, sizeof e->job);
        json_set_parent(o, &about->parent);
    }
    json_set_text(o, "by", about->principal);
}

static void fill(struct feed_event *e, json_t *o, struct span record, const struct about *about)
{
    uint64_t kind = 0;
    size_t size;
    wire_peek(record, &kind, &size, NULL);
    if (about)
        fill_about(e, o, about);
    fill_way(e, o, kind, record);
    fill_end(e, o, kind, record, about ? about : &(struct about){0});
    fill_other(e, o, kind, record);
}

struct feed_event *eventjson_facts(uint64_t seq, struct span record, const struct about *about)
{
    struct feed_event *e = mem_zalloc(1, sizeof *e);
    e->seq = seq;
    e->status = -1;
    e->word = "unknown";
    fill(e, NULL, record, about);
    return e;
}

void eventjson_tell(struct feed_event *e, struct span record, const struct about *about)
{
    json_t *o = json_row();
    json_set_number(o, "seq", e->seq);
    json_set_word(o, "event", e->word);
    fill(e, o, record, about);
    json_set_id(o, "run", &e->run);
    json_set_time(o, "at", e->at);
    e->text = jsonfit_text(o, JSONFIT_MAX);
    e->n = strlen(e->text);
    json_decref(o);
}

struct feed_event *eventjson_make(uint64_t seq, struct span record, const struct about *about)
{
    struct feed_event *e = eventjson_facts(seq, record, about);
    eventjson_tell(e, record, about);
    return e;
}

void eventjson_free(struct feed_event **e)
{
    if (!*e)
        return;
    free((*e)->text);
    mem_free(e);
}
