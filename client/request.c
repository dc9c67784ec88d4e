/* request.c - requests and their answers: kept until answered, sent again in each new session, sent
 * while the window is open. */
#include "client/inner.h"

#include <errno.h>

#include "proto/request.h"

enum { REQUEST_MAX = LIMIT_FRAME - 64 /* bytes; a frame's head precedes it */ };

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

/* A broker ends the session of a peer that sends a malformed message, and unanswered requests are
 * sent again in the next one: a malformed request would block all others for ever. */
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

int longboat_request(struct longboat *lb, uint64_t req, struct span message, longboat_answer answer,
                     void *self, struct error *err)
{
    int rc;
    if (message.n > REQUEST_MAX)
        return error_set(err, -EMSGSIZE, "a request of %zu bytes; at most %d can be sent",
                         message.n, REQUEST_MAX);
    if (find(lb, req))
        return error_set(err, -EEXIST, "request %llu has not been answered yet",
                         (unsigned long long)req);
    if ((rc = check_form(message, err)) < 0)
        return rc;
    struct client_request *r = mem_zalloc(1, sizeof *r);
    r->req = req;
    r->message = buf_dup(message);
    r->answer = answer;
    r->self = self;
    HASH_ADD(hh, lb->requests, req, sizeof r->req, r);
    if (!lb->unsent)
        lb->unsent = r;
    request_pump(lb);
    return 0;
}

void longboat_forget(struct longboat *lb, uint64_t req)
{
    struct client_request *r = find(lb, req);
    if (!r)
        return;
    if (lb->unsent == r)
        lb->unsent = r->hh.next;
    HASH_DEL(lb->requests, r);
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

bool request_take(struct longboat *lb, uint64_t kind, struct span message)
{
    uint64_t req;
    struct client_request *r;
    if (!request_number(kind, message, lb->newer, &req) || !(r = find(lb, req)))
        return false;
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
