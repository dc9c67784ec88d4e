/* lookup.c - what the core asks of history: the end of a run that has left its memory, and whether a key was ever
 * used. */
#include <errno.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/eventjson.h"

struct lookup {
    struct broker *b;
    uint64_t peer, req;
    struct id run;
    struct buf message;
};

static void lookup_free(struct lookup *l)
{
    buf_free(&l->message);
    mem_free(&l);
}

static bool may_follow(struct broker *b, const struct peer *p, const struct event_about *about)
{
    char owner[LIMIT_NAME + 1], job[LIMIT_JOB + 1], address[LIMIT_ADDRESS + 1];
    span_copy_str(about->principal, owner, sizeof owner);
    span_copy_str(about->is_parent ? SPAN_NONE : about->call.job, job, sizeof job);
    span_copy_str(about->is_parent ? span_str("all") : about->call.address, address, sizeof address);
    return rights_may_see(b->core, p->certificate, owner, job, address, NULL);
}

static const struct store_record *record_of(const struct store_answer *a, uint64_t kind)
{
    uint64_t k;
    size_t size;
    for (unsigned i = a->n_records; i; i--)
        if (wire_peek(a->records[i - 1].body, &k, &size, NULL) == 0 && k == kind)
            return &a->records[i - 1];
    return NULL;
}

static void hear_run(void *self, const struct store_answer *a)
{
    struct lookup *l = self;
    struct peer *p = a->rc == -ECANCELED ? NULL : broker_peer(l->b, l->peer);
    const struct store_record *end = record_of(a, KIND_R_ENDED);
    struct event_about about;
    struct r_ended m;
    char text[ID_TEXT];
    event_about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
    if (p && p->certificate && end && about.known && r_ended_decode(end->body, &m, NULL) == 0 &&
        (!l->req || may_follow(l->b, p, &about))) {
        struct m_run_ended r = {.run = m.run, .attempt = m.attempt, .server = m.server, .outcome = m.outcome};
        broker_send(l->b, l->peer, &m_run_ended_schema, &r);
    } else if (p && l->req) {
        broker_error(l->b, l->peer, l->req, REFUSAL_UNKNOWN_RUN, "no run %s is live or in the history",
                     id_format(l->run, text));
    }
    lookup_free(l);
}

void lookup_run(struct broker *b, const struct bcore_effect *e)
{
    struct lookup *l = mem_zalloc(1, sizeof *l);
    l->b = b;
    l->peer = e->peer;
    l->req = e->req;
    l->run = e->run;
    store_ask(b->store, &(struct store_question){.what = STORE_RECORDS, .run = e->run, .most = STORE_PAGE_MOST},
              hear_run, l);
}

static void hear_key(void *self, const struct store_answer *a)
{
    struct lookup *l = self;
    struct peer *p = a->rc == -ECANCELED ? NULL : broker_peer(l->b, l->peer);
    if (p && p->certificate) {
        struct bcore_known known = {0};
        if (a->n_rows) {
            known.run = a->rows[0].run;
            known.digest = a->rows[0].digest;
        }
        struct bcore_event ev = {.kind = BCORE_MESSAGE,
                                 .peer = l->peer,
                                 .who = &p->who,
                                 .message = buf_span(&l->message),
                                 .window_open = net_server_window_open(l->b->net, l->peer),
                                 .looked_up = true,
                                 .known = a->n_rows ? &known : NULL};
        broker_step(l->b, &ev);
    }
    lookup_free(l);
}

void lookup_key(struct broker *b, const struct bcore_effect *e)
{
    struct peer *p = broker_peer(b, e->peer);
    if (!p)
        return;
    struct lookup *l = mem_zalloc(1, sizeof *l);
    struct store_question q = {.what = STORE_KEY, .most = 1, .parent = e->parent};
    l->b = b;
    l->peer = e->peer;
    l->message = buf_dup(e->body);
    span_copy_str(e->key, q.key, sizeof q.key);
    span_copy_str(span_str(p->who.name), q.filter.principal, sizeof q.filter.principal);
    store_ask(b->store, &q, hear_key, l);
}
