/* handlers.c - from a message to whom it concerns, after its rights have been judged. */
#include <string.h>

#include "broker/broker.h"
#include "broker/depot.h"
#include "broker/events.h"
#include "broker/logs.h"
#include "common/log.h"

/* The request's number: the first field of every request. False: the message is none. */
static bool request_of(uint64_t kind, struct span message, uint64_t *ret_req)
{
    _Alignas(16) uint8_t decoded[1024];
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    if (!s || s->size > sizeof decoded || strcmp(s->fields()[0].name, "req") != 0 ||
        wire_decode(s, message, false, decoded, NULL) < 0)
        return false;
    memcpy(ret_req, decoded + s->fields()[0].offset, sizeof *ret_req);
    return true;
}

/* Kept in `events`, each principal and message at most once in DENIAL_NOTE_MS, with the count of
   those between. */
static void note_denial(struct broker *b, const struct peer *p, uint64_t kind, const char *why)
{
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    const char *name = *p->who.name ? p->who.name : "(one-time key)", *what = s ? s->name : "?";
    int64_t now = loop_now(b->loop);
    struct denial *d = &b->denial[0];
    b->denials++;
    for (unsigned i = 0; i < sizeof b->denial / sizeof *b->denial; i++) {
        if (b->denial[i].kind == kind && strcmp(b->denial[i].name, name) == 0) {
            d = &b->denial[i];
            break;
        }
        if (b->denial[i].noted < d->noted)
            d = &b->denial[i];
    }
    if (d->kind != kind || strcmp(d->name, name) != 0) {
        memset(d, 0, sizeof *d);
        d->kind = kind;
        strcpy(d->name, name);
    }
    d->count++;
    if (d->noted && now - d->noted < DENIAL_NOTE_MS)
        return;
    char *text =
        mem_printf("%s (%llu times, from %s)", why, (unsigned long long)d->count, p->address);
    broker_note(b, name, "denied", what, text);
    log_info("denied: %s to '%s': %s", what, name, text);
    mem_free(&text);
    d->count = 0;
    d->noted = now;
}

static void deny(struct broker *b, struct peer *p, uint64_t kind, struct span message,
                 enum refusal code, const char *why)
{
    uint64_t req;
    note_denial(b, p, kind, why);
    if (request_of(kind, message, &req))
        broker_error(b, p->handle, req, code, "%s", why);
    else
        broker_drop(b, p, code, why); /* it does not speak the protocol of its role */
}

static bool is_cores(uint64_t kind)
{
    switch (kind) {
    case KIND_M_CALL:
    case KIND_M_RESOLVE:
    case KIND_M_FOLLOW:
    case KIND_M_CANCEL:
    case KIND_M_PARENT_END:
    case KIND_M_PARENT_DRIVE:
    case KIND_M_ATTEST:
    case KIND_M_HAVE:
    case KIND_M_HAVE_END:
    case KIND_M_STARTED:
    case KIND_M_PROGRESS:
    case KIND_M_RESULT:
    case KIND_M_RETURNED:
    case KIND_M_PING:
        return true;
    default:
        return false;
    }
}

/* A parent begins only when its plan is here: whoever continues it must find it. */
static void take_begin(struct broker *b, struct peer *p, struct span message)
{
    struct m_parent_begin m;
    struct d_signed s;
    struct d_parent d;
    if (m_parent_begin_decode(message, &m, NULL) == 0 && d_signed_decode(m.parent, &s, NULL) == 0 &&
        d_parent_decode(s.body, &d, NULL) == 0 && d.plan_size &&
        !depot_has(b->depot, &d.plan, NULL))
        broker_error(b, p->handle, m.req, REFUSAL_NOT_FOUND,
                     "the plan is not here; send it first (PARENT_PLAN)");
    else
        broker_step_message(b, p, message);
}

static void take_service(struct broker *b, struct peer *p, uint64_t kind, struct span message)
{
    switch (kind) {
    case KIND_M_QUERY:
        query_take(b, p, message);
        break;
    case KIND_M_OPERATE:
        operate_take(b, p, message);
        break;
    case KIND_M_SUBSCRIBE:
    case KIND_M_CREDIT:
    case KIND_M_UNSUBSCRIBE:
        events_take(b->events, p, kind, message);
        break;
    case KIND_M_LOG_DATA:
    case KIND_M_LOGS:
        logs_take(b->logs, p, kind, message);
        break;
    case KIND_M_PUT:
    case KIND_M_PUT_END:
    case KIND_M_GET:
    case KIND_M_PARENT_PLAN:
        depot_take(b->depot, p, kind, message);
        break;
    case KIND_M_PARENT_BEGIN:
        take_begin(b, p, message);
        break;
    case KIND_M_DEPLOY:
        enrol_deploy(b, p, message);
        break;
    case KIND_M_ENROL:
        enrol_take(b, p, message);
        break;
    case KIND_M_CERTIFICATE:
        enrol_certificates(b, p, message);
        break;
    case KIND_M_PUBLISH:
        enrol_publish(b, p, message);
        break;
    case KIND_M_REVOKE:
        enrol_revoke(b, p, message);
        break;
    default:
        broker_drop(b, p, REFUSAL_MALFORMED, "a message that belongs to no session");
    }
}

void handlers_take(struct broker *b, uint64_t handle, uint64_t kind, struct span message)
{
    struct peer *p = broker_peer(b, handle);
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    const char *text;
    if (!p)
        return;
    b->messages++;
    if ((code = hello_still_good(b, p, &text)) != REFUSAL_NONE) {
        broker_drop(b, p, code, text);
        return;
    }
    struct asker who = {.certificate = p->certificate};
    if (rights_judge(b->core, &who, kind, message, &code, &err) == RIGHTS_DENIED)
        deny(b, p, kind, message, code, err.text);
    else if (is_cores(kind))
        broker_step_message(b, p, message);
    else
        take_service(b, p, kind, message);
}
