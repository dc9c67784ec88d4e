/* evidence.c - what proves how a run ended: the documents as they were signed, for those who may
 * see the run. They may be long, so each is a row or several, and a page goes on inside of one.
 *
 * Who asks verifies all of it with the administrators' keys; the broker only hands out what it
 * received. */
#include <stdio.h>
#include <string.h>

#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "broker/shell/known.h"
#include "broker/shell/rights.h"
#include "common/json.h"
#include "trust/result.h"

enum { PIECE = 90 << 10 /* bytes of a document in one row: 120 KiB of base64url */ };

/* The parts, in the order of their rows; one that there is not is empty. */
struct evidence_parts {
    struct r_called called;
    struct r_ended ended;
    struct span signer_certificate;
};

static void take_records(const struct store_answer *a, struct evidence_parts *ret)
{
    uint64_t kind;
    size_t size;
    for (unsigned i = 0; i < a->n_records; i++) {
        struct span body = a->records[i].body;
        if (wire_peek(body, &kind, &size, NULL) < 0)
            continue;
        if (kind == KIND_R_CALLED)
            r_called_decode(body, &ret->called, NULL);
        else if (kind == KIND_R_ENDED)
            r_ended_decode(body, &ret->ended, NULL);
    }
}

static struct span certificate_of(const struct query *q, struct span signature)
{
    struct span name;
    struct view_certificate v;
    const struct certificate *c;
    char text[LIMIT_NAME + 1];
    uint64_t serial;
    if (!signature.n || result_signer(signature, &name, &serial, NULL) < 0)
        return SPAN_NONE;
    span_copy_str(name, text, sizeof text);
    if (view_certificate(q->shell->core, text, serial, &v))
        return v.certificate;
    c = known_by_serial(q->shell->known, text, serial);
    return c ? buf_span(&c->signed_bytes) : SPAN_NONE;
}

static json_t *head_of(const struct query *q, const struct evidence_parts *p)
{
    json_t *o = json_row();
    json_set_id(o, "run", &q->run);
    json_set_number(o, "attempt", p->ended.attempt);
    json_set_text(o, "server", p->ended.server);
    json_set_flag(o, "ended", p->ended.outcome.n > 0);
    return o;
}

/* False: the page is full, and q->next says where the next one goes on. */
static bool add_part(struct query *q, unsigned number, const char *name, struct span bytes,
                     size_t from)
{
    for (size_t at = from; at < bytes.n; at += PIECE) {
        size_t n = bytes.n - at < PIECE ? bytes.n - at : PIECE;
        char *text = b64_format(span_of(bytes.p + at, n));
        json_t *o = json_row();
        json_set_word(o, "part", name);
        json_set_number(o, "at", at);
        json_set_number(o, "size", bytes.n);
        json_set_word(o, "data", text);
        mem_free(&text);
        if (!query_row(q, o)) {
            snprintf(q->next, sizeof q->next, "%u %zu", number, at);
            return false;
        }
    }
    return true;
}

static void hear_evidence(void *self, const struct store_answer *a)
{
    struct query *q = self;
    struct evidence_parts p = {.called.at = 0};
    struct about about;
    unsigned from_part = 0;
    size_t from = 0;
    if (!query_still_there(q, a))
        return;
    about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
    if (!query_may_see_about(q, &about) || about.is_parent) {
        query_refuse(q, REFUSAL_UNKNOWN_RUN,
                     "no run with this id is live or in the history; a parent has no result of "
                     "its own");
        return;
    }
    if (*q->after && sscanf(q->after, "%u %zu", &from_part, &from) != 2) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
        return;
    }
    take_records(a, &p);
    const struct {
        const char *name;
        struct span bytes;
    } parts[] = {{"call", p.called.call},
                 {"caller_certificate", p.called.certificate},
                 {"outcome", p.ended.outcome},
                 {"signature", p.ended.signature},
                 {"signer_certificate", certificate_of(q, p.ended.signature)},
                 {"checkpoint", auditor_sealed(q->shell->auditor)}};
    if (!*q->after)
        query_row(q, head_of(q, &p));
    for (unsigned i = from_part; i < sizeof parts / sizeof *parts; i++, from = 0)
        if (!add_part(q, i, parts[i].name, parts[i].bytes, from))
            break;
    query_answer(q);
}

void query_evidence(struct query *q)
{
    struct store_question ask = {.what = STORE_RECORDS, .run = q->run, .most = STORE_PAGE_MAX};
    if (id_is_zero(q->run))
        query_refuse(q, REFUSAL_BAD_ARGUMENT, "`where` must name a `run`");
    else
        query_ask(q, &ask, hear_evidence);
}
