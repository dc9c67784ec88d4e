/* events.c - follows events in order, each once, across reconnects. The last number seen is kept,
 * and a new session subscribes after it. The broker sends only what it has credit for, so a slow
 * reader costs it nothing. */
#include "client/inner.h"

#include <errno.h>
#include <jansson.h>

enum { CREDIT = 1 << 20 /* bytes of events under way; two frames' worth */ };

struct follower {
    struct longboat *lb;
    uint64_t req, after;
    int64_t since;
    struct wire_list where;
    bool stay, ended;
    uint64_t session, taken; /* bytes of events in this session */
    longboat_event event;
    void *self;
    int rc;
    struct error *err;
};

static void encode_subscribe(const struct follower *f, struct buf *out)
{
    struct m_subscribe m = {.req = f->req,
                            .after = f->after,
                            .since = f->after ? 0 : f->since,
                            .where = f->where,
                            .credit = CREDIT};
    buf_clear(out);
    m_subscribe_encode(&m, out);
}

static int fail(struct follower *f, int code, const char *text)
{
    f->ended = true;
    return f->rc = error_set(f->err, code, "%s", text);
}

/* Reports an event, unless it was seen before. */
static void take_event(struct follower *f, struct span json)
{
    json_error_t why;
    json_t *event = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &why);
    json_int_t seq = json_integer_value(json_object_get(event, "seq"));

    json_decref(event);
    if (seq <= 0)
        fail(f, -EPROTO, "the broker sent an event without its number");
    else if ((uint64_t)seq > f->after) {
        f->after = (uint64_t)seq;
        if (!f->event(f->self, (uint64_t)seq, json))
            f->ended = true;
    }
}

static void give_credit(struct follower *f)
{
    struct m_credit m = {.req = f->req, .bytes = f->taken};
    struct buf b = {0};
    m_credit_encode(&m, &b);
    dialer_send(f->lb->dialer, buf_span(&b)); /* no session: the next one starts with full credit */
    buf_free(&b);
}

static void take_events(struct follower *f, const struct m_events *m)
{
    struct wire_iter it = wire_iter(&m->events);
    struct span json;

    if (f->session != f->lb->session) {
        f->session = f->lb->session;
        f->taken = 0;
    }
    while (!f->ended && wire_next(&it, &json)) {
        f->taken += json.n;
        take_event(f, json);
    }
    if (f->ended)
        return;
    if (m->live && m->to < f->after) { /* a broker of 0.1 says so only in this way */
        f->ended = true;
        f->rc = error_set(f->err, -EINVAL, "no event has the number %llu yet: the newest is %llu",
                          (unsigned long long)f->after, (unsigned long long)m->to);
        return;
    }
    if (m->to > f->after)
        f->after = m->to;
    f->ended = m->live && !f->stay;
    buf_clear(&f->lb->scratch);
    encode_subscribe(f, &f->lb->scratch);
    request_replace(f->lb, f->req, buf_span(&f->lb->scratch));
    give_credit(f);
}

static bool take_answer(void *self, uint64_t kind, struct span message)
{
    struct follower *f = self;
    struct m_events events;
    struct m_error error;

    if (f->ended)
        return true; /* sent before it ended */
    if (kind == KIND_M_EVENTS &&
        longboat_decode(f->lb, &m_events_schema, message, &events, NULL) == 0) {
        take_events(f, &events);
    } else if (kind == KIND_M_ERROR &&
               longboat_decode(f->lb, &m_error_schema, message, &error, NULL) == 0) {
        f->rc = request_error(&error, f->err);
        f->ended = true;
    } else {
        fail(f, -EPROTO, "malformed reply to SUBSCRIBE");
    }
    return true;
}

static bool has_ended(void *self)
{
    return ((struct follower *)self)->ended;
}

int longboat_follow_events(struct longboat *lb, uint64_t after, int64_t since,
                           const struct wire_list *where, bool stay, longboat_event event,
                           void *self, struct error *err)
{
    struct follower f = {.lb = lb,
                         .req = longboat_req(lb),
                         .after = after,
                         .since = since,
                         .stay = stay,
                         .event = event,
                         .self = self,
                         .err = err};
    struct buf message = {0};
    int rc;

    if (where)
        f.where = *where;
    encode_subscribe(&f, &message);
    if ((rc = longboat_request(lb, f.req, buf_span(&message), take_answer, &f, err)) == 0) {
        rc = longboat_wait(lb, has_ended, &f, 0, err);
        longboat_forget(lb, f.req);
        buf_clear(&message);
        m_unsubscribe_encode(&(struct m_unsubscribe){.req = f.req}, &message);
        dialer_send(lb->dialer, buf_span(&message));
    }
    buf_free(&message);
    return rc < 0 ? rc : f.rc;
}
