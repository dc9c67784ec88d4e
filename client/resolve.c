/* resolve.c - RESOLVE: which version of a job is signed, and which servers there are. The only
 * cache of its answers: callers that need the same job at the same address share one question. Its
 * answer also serves those that come in the next few seconds or, if they ask for that, as long as
 * the connection lasts. */
#include "client/inner.h"

#include <string.h>

enum {
    FRESH_MS = 5000, /* calls that come later than this see a redeploy */
    RESOLUTIONS_MAX = 1000
};

struct resolve_asker {
    longboat_take_offer take;
    void *self;
};

struct resolution {
    char *key; /* job@address */
    struct longboat *lb;
    uint64_t req; /* not 0: asked and not answered */
    int64_t at;   /* of the answer */
    bool kept;    /* a caller wants the first version found to be kept */
    struct longboat_offer offer;
    struct buf parameters; /* the offer points to these three */
    char **servers;
    char *text;
    struct resolve_asker *askers;
    unsigned n_askers, cap_askers;
    struct loop_timer timer; /* asks again, or passes on what is known already */
    struct buf message;
    UT_hash_handle hh;
};

static bool take_answer(void *self, uint64_t kind, struct span message);

static void forget_offer(struct resolution *r)
{
    for (uint32_t i = 0; i < r->offer.n_servers; i++)
        mem_free(&r->servers[i]);
    mem_free(&r->servers);
    mem_free(&r->text);
    buf_free(&r->parameters);
    r->offer = (struct longboat_offer){.text = ""};
}

static bool is_known(const struct resolution *r, bool keep)
{
    if (r->req || !r->at || r->offer.refused != REFUSAL_NONE)
        return false;
    return (keep && r->kept && r->offer.found) || loop_now(r->lb->loop) - r->at < FRESH_MS;
}

/* Answers the waiting callers, taken off the list first: their callbacks may add new ones. */
static void tell(struct resolution *r)
{
    struct resolve_asker *askers = r->askers;
    const unsigned n = r->n_askers;
    r->askers = NULL;
    r->n_askers = r->cap_askers = 0;
    for (unsigned i = 0; i < n; i++)
        askers[i].take(askers[i].self, &r->offer);
    mem_free(&askers);
}

static void ask(struct resolution *r)
{
    request_impatient(r->lb, r->req, buf_span(&r->message), take_answer, r, NULL);
}

static void on_timer(struct loop *l, struct loop_timer *t, void *arg)
{
    struct resolution *r = arg;
    (void)l;
    (void)t;
    if (r->req)
        ask(r);
    else
        tell(r);
}

/* ---- The answer */

static void keep_version(struct resolution *r, struct span bytes)
{
    struct d_version v;
    struct value one;
    if (longboat_decode(r->lb, &d_version_schema, bytes, &v, NULL) < 0)
        return;
    r->offer.found = true;
    r->offer.job_hash = v.job_hash;
    struct wire_list declared = {.items = v.parameters};
    while (v.parameters.n && value_read(&v.parameters, &one))
        declared.count++;
    r->offer.parameters = inner_known(r->lb, &d_parameter_schema, &declared, &r->parameters);
}

static void keep_servers(struct resolution *r, const struct wire_list *servers)
{
    struct wire_iter it = wire_iter(servers);
    struct span name;
    r->servers = mem_zalloc(servers->count, sizeof *r->servers);
    while (wire_next(&it, &name))
        r->servers[r->offer.n_servers++] = span_dup_str(name);
    r->offer.servers = (const char *const *)r->servers;
}

static void keep_refusal(struct resolution *r, enum refusal code, struct span text)
{
    r->offer.refused = code;
    r->offer.text = r->text = span_dup_str(text);
}

static bool take_answer(void *self, uint64_t kind, struct span message)
{
    struct resolution *r = self;
    struct m_resolved resolved;
    struct m_error error = {.code = REFUSAL_MALFORMED,
                            .text = span_str("malformed reply to RESOLVE")};
    struct span version;

    if (kind == KIND_M_ERROR)
        longboat_decode(r->lb, &m_error_schema, message, &error, NULL);
    if (error.code == REFUSAL_BUSY) {
        loop_timer_set(r->lb->loop, &r->timer, "client.resolve",
                       client_busy_until(r->lb, error.retry_ms), on_timer, r);
        return false;
    }
    r->req = 0;
    r->at = loop_now(r->lb->loop);
    forget_offer(r);
    if (kind == KIND_M_RESOLVED &&
        longboat_decode(r->lb, &m_resolved_schema, message, &resolved, NULL) == 0) {
        struct wire_iter it = wire_iter(&resolved.versions);
        keep_servers(r, &resolved.servers);
        signers_expect(r->lb, r->offer.servers, r->offer.n_servers);
        if (wire_next(&it, &version))
            keep_version(r, version);
    } else {
        keep_refusal(r, (enum refusal)error.code, error.text);
    }
    tell(r);
    return false;
}

/* ---- Asking */

static void free_one(struct longboat *lb, struct resolution *r)
{
    HASH_DEL(lb->resolutions, r);
    loop_timer_stop(lb->loop, &r->timer);
    forget_offer(r);
    buf_free(&r->message);
    mem_free(&r->askers);
    mem_free(&r->key);
    mem_free(&r);
}

static void forget_old(struct longboat *lb)
{
    if (HASH_COUNT(lb->resolutions) < RESOLUTIONS_MAX)
        return;
    for (struct resolution *r = lb->resolutions, *next; r; r = next) {
        next = r->hh.next;
        if (r->req == 0 && r->n_askers == 0 && !r->kept)
            free_one(lb, r);
    }
}

static struct resolution *get(struct longboat *lb, struct span job, struct span address)
{
    struct resolution *r;
    char *key = mem_printf(SPAN_FMT "@" SPAN_FMT, SPAN_ARG(job), SPAN_ARG(address));
    HASH_FIND(hh, lb->resolutions, key, strlen(key), r);
    if (r) {
        mem_free(&key);
        return r;
    }
    forget_old(lb);
    r = mem_zalloc(1, sizeof *r);
    r->key = key;
    r->lb = lb;
    r->offer.text = "";
    HASH_ADD_KEYPTR(hh, lb->resolutions, r->key, strlen(r->key), r);
    return r;
}

static void add_asker(struct resolution *r, longboat_take_offer take, void *self)
{
    if (r->n_askers == r->cap_askers) {
        r->cap_askers = r->cap_askers ? 2 * r->cap_askers : 4;
        r->askers = mem_realloc(r->askers, r->cap_askers, sizeof *r->askers);
    }
    r->askers[r->n_askers++] = (struct resolve_asker){take, self};
}

/* Unless the question is under way already. */
static void ask_anew(struct resolution *r, struct span job, struct span address)
{
    if (r->req)
        return;
    struct m_resolve m = {.req = r->req = longboat_req(r->lb), .job = job, .address = address};
    buf_clear(&r->message);
    m_resolve_encode(&m, &r->message);
    ask(r);
}

void longboat_offer(struct longboat *lb, const char *job, const char *address, bool keep,
                    longboat_take_offer take, void *self)
{
    struct resolution *r = get(lb, span_str(job), span_str(address));
    const bool known = is_known(r, keep);
    r->kept |= keep;
    add_asker(r, take, self);
    if (known)
        loop_timer_set(lb->loop, &r->timer, "client.resolve", loop_now(lb->loop), on_timer, r);
    else
        ask_anew(r, span_str(job), span_str(address));
}

static void take_for_call(void *self, const struct longboat_offer *offer)
{
    if (offer->refused != REFUSAL_NONE)
        call_refused(self, offer->refused, offer->text);
    else
        call_resolved(self, &offer->job_hash);
}

void resolve_call(struct longboat *lb, struct call *call, struct span job, struct span address)
{
    struct resolution *r = get(lb, job, address);
    if (is_known(r, false)) {
        take_for_call(call, &r->offer);
        return;
    }
    add_asker(r, take_for_call, call);
    ask_anew(r, job, address);
}

void resolve_free_all(struct longboat *lb)
{
    while (lb->resolutions)
        free_one(lb, lb->resolutions);
}
