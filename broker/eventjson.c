/* eventjson.c - see eventjson.h. */
#include "broker/eventjson.h"

#include <stdlib.h>
#include <string.h>

#include "broker/jsonfit.h"
#include "common/clock.h"
#include "common/mem.h"

/* ---- Pieces */
void json_set_text(json_t *o, const char *name, struct span s)
{
    if (s.n)
        json_object_set_new(o, name, json_stringn((const char *)s.p, s.n));
}

static void set_word(json_t *o, const char *name, const char *s)
{
    json_object_set_new(o, name, json_string(s));
}

void json_set_number(json_t *o, const char *name, uint64_t v)
{
    json_object_set_new(o, name, json_integer((json_int_t)v));
}

void json_set_word(json_t *o, const char *name, const char *s)
{
    if (s && *s)
        json_object_set_new(o, name, json_string(s));
}

void json_set_flag(json_t *o, const char *name, bool v)
{
    json_object_set_new(o, name, json_boolean(v));
}

void json_set_time(json_t *o, const char *name, int64_t wall_ms)
{
    char text[CLOCK_TEXT];
    if (wall_ms)
        set_word(o, name, clock_format(wall_ms, text));
}

void json_set_id(json_t *o, const char *name, const struct id *id)
{
    char text[ID_TEXT];
    if (!id_is_zero(*id))
        set_word(o, name, id_format(*id, text));
}

void json_set_hash(json_t *o, const char *name, const struct hash *h)
{
    char text[8 + 65] = "blake2b:";
    if (hash_is_zero(h))
        return;
    hex_format(h->b, sizeof h->b, text + 8);
    set_word(o, name, text);
}

static json_t *value_json(const struct value *v)
{
    struct buf text = {0};
    if (v->type == VALUE_BIN) /* sealed to a server: nobody else's business */
        return json_string("(sealed)");
    value_to_json(v, &text);
    json_t *json = json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    buf_free(&text);
    return json ? json : json_null();
}

void json_set_map(json_t *o, const char *name, const struct wire_list *map)
{
    struct wire_iter it = wire_iter(map);
    struct span key;
    struct value v;
    json_t *members = json_object();
    while (wire_next_pair(&it, &key, &v)) {
        char text[LIMIT_NAME + 1];
        span_copy_str(key, text, sizeof text);
        json_object_set_new(members, text, value_json(&v));
    }
    json_object_set_new(o, name, members);
}

void json_set_call(json_t *o, const struct d_call *c)
{
    json_set_text(o, "job", c->job);
    json_set_hash(o, "job_hash", &c->job_hash);
    json_set_text(o, "address", c->address);
    json_set_text(o, "key", c->key);
    json_set_id(o, "parent", &c->parent);
    json_set_text(o, "parent_name", c->plan);
    json_set_text(o, "task", c->task);
    if (c->task.n) {
        json_set_number(o, "index", c->index);
        json_set_number(o, "try", c->try_no);
    }
    if (c->priority)
        json_set_number(o, "priority", c->priority);
    json_set_text(o, "as_of", c->as_of);
    if (c->parameters.count)
        json_set_map(o, "parameters", &c->parameters);
}

static json_t *state_of(const char *word)
{
    json_t *o = json_object();
    set_word(o, "state", word);
    return o;
}

static json_t *step_package(const struct d_step_outcome *s)
{
    json_t *p = json_object();
    json_set_text(p, "name", s->package_name);
    json_set_text(p, "version", s->package_version);
    json_set_hash(p, "hash", &s->package_hash);
    set_word(p, "state", package_outcome_text(s->package));
    json_set_text(p, "message", s->message);
    json_set_map(p, "outputs", &s->outputs);
    return p;
}

static void set_flags(json_t *o, const struct d_step_outcome *s)
{
    if (s->timed_out)
        json_object_set_new(o, "timed_out", json_true());
    if (s->cancelled)
        json_object_set_new(o, "cancelled", json_true());
    if (s->out_of_memory)
        json_object_set_new(o, "out_of_memory", json_true());
}

static void set_texts(json_t *o, const char *name, const struct wire_list *list)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    json_t *a = json_array();
    while (wire_next(&it, &item))
        json_array_append_new(a, json_stringn((const char *)item.p, item.n));
    json_object_set_new(o, name, a);
}

static json_t *step_json(const struct d_step_outcome *s)
{
    json_t *o = json_object();
    json_set_text(o, "name", s->name);
    json_set_number(o, "tries", s->try_no);
    set_word(o, "action", step_action_text(s->action));
    json_set_text(o, "target", s->target);
    if (s->signal)
        json_set_number(o, "signal", s->signal);
    else
        json_object_set_new(o, "exit_code", json_integer((json_int_t)s->exit_code));
    set_flags(o, s);
    json_set_time(o, "started_at", s->started_at);
    json_set_time(o, "ended_at", s->ended_at);
    json_set_number(o, "user_us", s->user_us);
    json_set_number(o, "system_us", s->system_us);
    json_set_number(o, "max_rss_kib", s->max_rss_kib);
    json_set_number(o, "out_bytes", s->out_bytes);
    json_set_number(o, "err_bytes", s->err_bytes);
    if (s->cut_bytes)
        json_set_number(o, "cut_bytes", s->cut_bytes);
    json_set_text(o, "user", s->user);
    if (s->argv.count)
        set_texts(o, "argv", &s->argv);
    if (s->off.count)
        set_texts(o, "off", &s->off);
    json_object_set_new(o, "package", step_package(s));
    return o;
}

void json_set_outcome(json_t *o, const struct d_outcome *outcome)
{
    struct wire_iter it = wire_iter(&outcome->steps);
    struct d_step_outcome step;
    struct span item;
    json_t *delivery = state_of(delivery_text(outcome->delivery)),
           *job = state_of(job_outcome_text(outcome->job)), *steps = json_array();
    if (outcome->code) {
        set_word(delivery, "reason", refusal_word(outcome->code));
        json_set_number(delivery, "code", outcome->code);
    }
    while (wire_next(&it, &item))
        if (d_step_outcome_decode(item, &step, NULL) == 0)
            json_array_append_new(steps, step_json(&step));
    json_object_set_new(job, "steps", steps);
    json_object_set_new(o, "delivery", delivery);
    json_object_set_new(o, "job_outcome", job);
    json_object_set_new(o, "package", state_of(package_outcome_text(outcome->package)));
    set_word(o, "status", status_text(outcome->status));
    json_set_text(o, "message", outcome->message);
    if (outcome->outputs.count)
        json_set_map(o, "outputs", &outcome->outputs);
    json_set_hash(o, "job_hash", &outcome->job_hash);
    json_set_time(o, "called_at", outcome->called_at);
    json_set_time(o, "started_at", outcome->started_at);
    json_set_time(o, "ended_at", outcome->ended_at);
    if (outcome->off.count)
        set_texts(o, "off", &outcome->off);
}

/* ---- What a run's first record says */
void event_about_of(struct span begin, struct event_about *ret)
{
    uint64_t kind;
    size_t size;
    struct r_called called;
    struct r_parent_begun begun;
    struct d_signed s;
    memset(ret, 0, sizeof *ret);
    if (!begin.n || wire_peek(begin, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_R_CALLED && r_called_decode(begin, &called, NULL) == 0 &&
        d_signed_decode(called.call, &s, NULL) == 0 &&
        d_call_decode(s.body, &ret->call, NULL) == 0) {
        ret->known = true;
        ret->principal = called.principal;
        ret->begun_at = called.at;
    } else if (kind == KIND_R_PARENT_BEGUN && r_parent_begun_decode(begin, &begun, NULL) == 0 &&
               d_signed_decode(begun.parent, &s, NULL) == 0 &&
               d_parent_decode(s.body, &ret->parent, NULL) == 0) {
        ret->known = ret->is_parent = true;
        ret->principal = begun.principal;
        ret->begun_at = begun.at;
    }
}

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
                       const struct event_about *about)
{
    struct d_outcome outcome;
    if (d_outcome_decode(bytes, &outcome, NULL) < 0)
        return;
    e->status = (int)outcome.status;
    json_set_outcome(o, &outcome);
    /* the broker took the call then; the outcome knows only when its server got it */
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

/* What happens on a run's way. */
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
        set_word(o, "on_lost", on_lost_text(m.then));
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

/* Its end, and parents. */
static void fill_end(struct feed_event *e, json_t *o, uint64_t kind, struct span record,
                     const struct event_about *about)
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
        e->status = -1; /* it does not count */
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
        set_word(o, "status", status_text(m.status));
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

static void fill_deployment(struct feed_event *e, json_t *o, struct span bytes)
{
    struct d_signed s;
    struct d_deployment d;
    if (d_signed_decode(bytes, &s, NULL) < 0 || d_deployment_decode(s.body, &d, NULL) < 0)
        return;
    json_set_text(o, "package", d.name);
    json_set_text(o, "version", d.version);
    json_set_hash(o, "hash", &d.package);
    json_set_text(o, "address", d.address);
    span_copy_str(d.address, e->address, sizeof e->address);
    if (d.remove)
        json_object_set_new(o, "remove", json_true());
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

static void fill_about(struct feed_event *e, json_t *o, const struct event_about *about)
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
        json_set_text(o, "plan", about->parent.name);
        json_set_text(o, "key", about->parent.key);
        json_set_text(o, "as_of", about->parent.as_of);
    }
    json_set_text(o, "by", about->principal);
}

struct feed_event *event_make(uint64_t seq, struct span record, const struct event_about *about)
{
    struct feed_event *e = mem_zalloc(1, sizeof *e);
    json_t *o = json_object();
    uint64_t kind = 0;
    size_t size;
    wire_peek(record, &kind, &size, NULL);
    e->seq = seq;
    e->status = -1;
    e->word = "unknown";
    json_set_number(o, "v", 1);
    json_set_number(o, "seq", seq);
    set_word(o, "event", "unknown"); /* its place; what it is follows */
    if (about)
        fill_about(e, o, about);
    fill_way(e, o, kind, record);
    fill_end(e, o, kind, record, about ? about : &(struct event_about){0});
    fill_other(e, o, kind, record);
    set_word(o, "event", e->word);
    json_set_id(o, "run", &e->run);
    json_set_time(o, "at", e->at);
    e->text = json_fit(o, JSONFIT_MAX);
    e->n = strlen(e->text);
    json_decref(o);
    return e;
}

void event_free(struct feed_event **e)
{
    if (!*e)
        return;
    free((*e)->text);
    mem_free(e);
}
