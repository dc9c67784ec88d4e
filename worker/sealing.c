/* sealing.c - signs results with the server's key as they leave for the broker.
 *
 * What waits at the end of a turn leaves together, so it shares a signature: under load one for
 * many results, else one for each. The spool has outcomes without signatures; after a restart
 * they are signed again. */
#include "worker/worker.h"

#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "trust/result.h"

/* The results of one signature. */
struct sealing {
    struct d_result results[RESULT_BATCH_MAX];
    struct buf signatures[RESULT_BATCH_MAX];
    size_t n;
    size_t end; /* of the last message that was looked at, in the queue */
};

/* Is this a RESULT that gets a signature? It gets none if the core has forgotten its attempt, or
 * never knew the call: then no child has begun. */
static bool result_of(const struct worker *w, uint64_t kind, struct span message,
                      struct m_result *ret_message, struct d_result *ret)
{
    struct m_result m;
    if (kind != KIND_M_RESULT || m_result_decode(message, &m, NULL) < 0)
        return false;
    *ret_message = m;
    *ret = (struct d_result){.cluster = span_str(w->who.me.cluster),
                             .server = span_str(w->who.me.name),
                             .run = m.run,
                             .attempt = m.attempt,
                             .outcome = m.outcome};
    return wcore_call_hash(w->core, m.run, m.attempt, &ret->call);
}

static bool next_message(const struct buf *queue, size_t *at, uint64_t *ret_kind,
                         struct span *ret_message)
{
    struct span rest = span_of(queue->p + *at, queue->n - *at);
    size_t size;
    if (rest.n == 0 || wire_peek(rest, ret_kind, &size, NULL) < 0)
        return false;
    *ret_message = span_of(rest.p, size);
    *at += size;
    return true;
}

/* Gathers the next results of the queue from s->end on, and signs them. */
static void sign_next(struct sealing *s, const struct worker *w)
{
    const struct buf *queue = &w->to_broker.bytes;
    struct m_result m;
    struct span message;
    struct error err = {0};
    uint64_t kind;
    for (s->n = 0; s->n < RESULT_BATCH_MAX && next_message(queue, &s->end, &kind, &message);)
        s->n += result_of(w, kind, message, &m, &s->results[s->n]);
    memset(s->signatures, 0, sizeof s->signatures);
    if (s->n && result_sign(&w->who.key, w->who.me.name, w->who.me.serial, s->results, s->n,
                            s->signatures, &err) < 0)
        log_error("results leave without a signature: %s", err.text);
}

/* The same messages once more, the results with their signatures. */
static void write_signed(struct sealing *s, const struct worker *w, size_t from, struct buf *out)
{
    struct m_result m;
    struct d_result ignored;
    struct span message;
    uint64_t kind;
    size_t i = 0;
    while (from < s->end && next_message(&w->to_broker.bytes, &from, &kind, &message)) {
        if (!result_of(w, kind, message, &m, &ignored)) {
            buf_add(out, message.p, message.n);
            continue;
        }
        m.signature = buf_span(&s->signatures[i]);
        m_result_encode(&m, out);
        buf_free(&s->signatures[i++]);
    }
}

void worker_sign_results(struct worker *w)
{
    struct worker_queue *q = &w->to_broker;
    size_t from = q->sealed > q->taken ? q->sealed : q->taken;
    struct buf out = {0};
    if (from == q->bytes.n)
        return;
    struct sealing *s = mem_alloc(sizeof *s);
    const size_t begin = s->end = from;
    for (sign_next(s, w); s->n; sign_next(s, w)) {
        write_signed(s, w, from, &out);
        from = s->end;
    }
    if (out.n) { /* messages behind the last result stay as they are */
        buf_add(&out, q->bytes.p + from, q->bytes.n - from);
        q->bytes.n = begin;
        buf_add(&q->bytes, out.p, out.n);
    }
    q->sealed = q->bytes.n;
    buf_free(&out);
    mem_free(&s);
}
