/* request.c - requests and their answers: kept until answered, sent again in each new session, sent
 * while the window is open. */
#include "client/inner.h"

#include <errno.h>

#include "proto/request.h"

enum {
    REQUEST_MAX = LIMIT_FRAME - 64, /* bytes; a frame's head precedes it */
    REQUEST_BUSY_MAX = 30           /* then its owner decides */
};

static struct client_request *find(const struct longboat *lb, uint64_t req)
{
    struct client_request *r;
    HASH_FIND(hh, lb->requests, &req, sizeof req, r);
    return r;
}

uint64_t longboat_req(struct longboat *lb)
{
    return ++lb->last_req;
}

void request_pump(struct longboat *lb)
{
    for (; lb->unsent; lb->unsent = lb->unsent->hh.next) {
        if (lb->unsent->resting)
            continue;
        if (!inner_send(lb, buf_span(&lb->unsent->message)))
            return;
        lb->unsent->sent = true;
    }
}

bool request_was_sent(const struct longboat *lb, uint64_t req)
{
    const struct client_request *r = find(lb, req);
    return !r || r->sent;
}

void request_session(struct longboat *lb)
{
    lb->unsent = lb->requests;
}

/* What the broker would refuse as malformed is a bug of this program, and better told here: it may
 * be a frame that ends the session, with all other requests. */
static int check_form(struct span message, struct error *err)
{
    _Alignas(max_align_t) uint8_t decoded[INNER_DOCUMENT_MAX];
    uint64_t kind;
    size_t size;
    int rc = wire_peek(message, &kind, &size, err);
    const struct wire_schema *s = rc == 0 ? messages_schema_of_kind(kind, NULL) : NULL;
    if (s && s->size <= sizeof decoded)
        rc = wire_decode(s, message, false, decoded, err);
    if (rc == 0)
        return 0;
    error_prefix(err, "cannot send a request");
    if (err)
        err->code = -EINVAL;
    return -EINVAL;
}

static void add_last(struct longboat *lb, struct client_request *r)
{
    HASH_ADD(hh, lb->requests, req, sizeof r->req, r);
    if (!lb->unsent)
        lb->unsent = r;
}

static void take_out(struct longboat *lb, struct client_request *r)
{
    if (lb->unsent == r)
        lb->unsent = r->hh.next;
    HASH_DEL(lb->requests, r);
}

static int start(struct longboat *lb, const struct client_request *order, struct span message,
                 struct error *err)
{
    int rc;
    if (message.n > REQUEST_MAX)
        return error_set(err, -EMSGSIZE, "a request of %zu bytes; at most %d can be sent",
                         message.n, REQUEST_MAX);
    if (find(lb, order->req))
        return error_set(err, -EEXIST, "request %llu has not been answered yet",
                         (unsigned long long)order->req);
    if ((rc = check_form(message, err)) < 0)
        return rc;
    struct client_request *r = mem_zalloc(1, sizeof *r);
    *r = *order;
    r->lb = lb;
    r->message = buf_dup(message);
    add_last(lb, r);
    request_pump(lb);
    return 0;
}

int longboat_request(struct longboat *lb, uint64_t req, struct span message, longboat_answer answer,
                     void *self, struct error *err)
{
    const struct client_request order = {.req = req, .answer = answer, .self = self};
    return start(lb, &order, message, err);
}

int request_impatient(struct longboat *lb, uint64_t req, struct span message,
                      longboat_answer answer, void *self, struct error *err)
{
    const struct client_request order = {
        .req = req, .answer = answer, .self = self, .impatient = true};
    return start(lb, &order, message, err);
}

void longboat_forget(struct longboat *lb, uint64_t req)
{
    struct client_request *r = find(lb, req);
    if (!r)
        return;
    loop_timer_stop(lb->loop, &r->again);
    take_out(lb, r);
    buf_free(&r->message);
    mem_free(&r);
}

void request_replace(struct longboat *lb, uint64_t req, struct span message)
{
    struct client_request *r = find(lb, req);
    if (!r)
        return;
    buf_clear(&r->message);
    buf_add(&r->message, message.p, message.n);
}

/* ---- Busy: the same bytes again, not before their time */

static void on_again(struct loop *l, struct loop_timer *t, void *arg)
{
    struct client_request *r = arg;
    struct longboat *lb = r->lb;
    (void)l;
    (void)t;
    r->resting = false;
    take_out(lb, r);
    add_last(lb, r);
    request_pump(lb);
}

/* True: it will be sent again, and its owner hears nothing. */
static bool rest(struct longboat *lb, struct client_request *r, uint64_t kind, struct span message)
{
    struct m_error error;
    if (r->impatient || kind != KIND_M_ERROR ||
        longboat_decode(lb, &m_error_schema, message, &error, NULL) < 0 ||
        error.code != REFUSAL_BUSY) {
        r->n_busy = 0;
        return false;
    }
    if (++r->n_busy >= REQUEST_BUSY_MAX)
        return false;
    r->resting = true;
    loop_timer_set(lb->loop, &r->again, "client.busy", client_busy_until(lb, error.retry_ms),
                   on_again, r);
    return true;
}

bool request_take(struct longboat *lb, uint64_t kind, struct span message)
{
    uint64_t req;
    struct client_request *r;
    if (!request_number(kind, message, lb->newer, &req) || !(r = find(lb, req)))
        return false;
    if (rest(lb, r, kind, message))
        return true;
    if (!r->answer(r->self, kind, message) && find(lb, req) == r)
        longboat_forget(lb, req);
    return true;
}

void request_free_all(struct longboat *lb)
{
    while (lb->requests)
        longboat_forget(lb, lb->requests->req);
}

int request_error(const struct m_error *m, struct error *err)
{
    int code = m->code == REFUSAL_BUSY           ? -EBUSY
               : m->code == REFUSAL_BAD_ARGUMENT ? -EINVAL
                                                 : -EREMOTEIO;
    return error_set(err, code, SPAN_FMT, SPAN_ARG(m->text));
}

/* ---- Waiting for the answer */

struct ask {
    bool done;
    struct buf answer;
    uint64_t kind;
};

static bool take_answer(void *self, uint64_t kind, struct span message)
{
    struct ask *a = self;
    a->done = true;
    a->kind = kind;
    a->answer = buf_dup(message);
    return false;
}

static bool is_done(void *self)
{
    return ((struct ask *)self)->done;
}

int longboat_ask(struct longboat *lb, uint64_t req, struct span message, int64_t timeout_ms,
                 struct buf *ret_answer, enum refusal *ret_refusal, struct error *err)
{
    struct ask a = {0};
    struct m_error refused;
    int rc;

    if (ret_refusal)
        *ret_refusal = REFUSAL_NONE;
    if ((rc = longboat_request(lb, req, message, take_answer, &a, err)) < 0)
        return rc;
    if ((rc = longboat_wait(lb, is_done, &a, timeout_ms, err)) < 0) {
        const struct client_request *r = find(lb, req);
        if (rc == -ETIMEDOUT && r && r->resting) {
            rc = error_set(err, -EBUSY, "%s is busy, and has been for all this time; try later",
                           longboat_broker(lb));
            if (ret_refusal)
                *ret_refusal = REFUSAL_BUSY;
        }
        longboat_forget(lb, req);
        if (rc == -EACCES && ret_refusal)
            *ret_refusal = lb->refused;
        return rc;
    }
    if (a.kind == KIND_M_ERROR &&
        (rc = longboat_decode(lb, &m_error_schema, buf_span(&a.answer), &refused, err)) == 0) {
        rc = request_error(&refused, err);
        if (ret_refusal)
            *ret_refusal = (enum refusal)refused.code;
    }
    if (rc < 0) {
        buf_free(&a.answer);
        return rc;
    }
    *ret_answer = a.answer;
    return 0;
}
