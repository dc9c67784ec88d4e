/* resolve.c - RESOLVE: which version of a job is signed. One question for all calls of a job at an
 * address; its answer serves the calls of the next moments too, so that a parent of thousands asks
 * once. */
#include "client/inner.h"

#include <string.h>

enum {
    FRESH_MS = 5000, /* a redeploy is seen by calls that come later than this */
    RESOLUTIONS_MAX = 1000
};

struct resolution {
    char key[LIMIT_JOB + LIMIT_ADDRESS + 2]; /* job@address */
    struct longboat *lb;
    uint64_t req; /* not 0: asked and not answered */
    int64_t at;
    struct hash job_hash; /* zero: no server has it */
    struct call_list waiting;
    struct loop_timer retry;
    struct buf message;
    UT_hash_handle hh;
};

static bool take_answer(void *self, uint64_t kind, struct span message);

static void ask(struct resolution *r, struct span job, struct span address)
{
    struct m_resolve m = {.req = longboat_req(r->lb), .job = job, .address = address};
    r->req = m.req;
    buf_clear(&r->message);
    m_resolve_encode(&m, &r->message);
    longboat_request(r->lb, r->req, buf_span(&r->message), take_answer, r, NULL);
}

/* Those who wait, taken off first: what they do may bring new ones. */
static struct call_list take_waiting(struct resolution *r)
{
    struct call_list waiting = r->waiting;
    r->waiting = (struct call_list){0};
    r->req = 0;
    return waiting;
}

static void answer_all(struct resolution *r)
{
    struct call_list waiting = take_waiting(r);
    for (struct call *c; (c = call_list_take(&waiting));)
        call_resolved(c, &r->job_hash);
}

static void refuse_all(struct resolution *r, enum refusal code, struct span text)
{
    struct call_list waiting = take_waiting(r);
    char sentence[LIMIT_TEXT + 1];
    span_copy_str(text, sentence, sizeof sentence);
    for (struct call *c; (c = call_list_take(&waiting));)
        call_refused(c, code, sentence);
}

static void on_retry(struct loop *l, struct loop_timer *t, void *arg)
{
    struct resolution *r = arg;
    (void)l;
    (void)t;
    longboat_request(r->lb, r->req, buf_span(&r->message), take_answer, r, NULL);
}

static void take_error(struct resolution *r, const struct m_error *m)
{
    if (m->code == REFUSAL_BUSY)
        loop_timer_set(r->lb->loop, &r->retry, "client.resolve", busy_until(r->lb, m->retry_ms),
                       on_retry, r);
    else
        refuse_all(r, (enum refusal)m->code, m->text);
}

static bool take_answer(void *self, uint64_t kind, struct span message)
{
    struct resolution *r = self;
    struct m_resolved resolved;
    struct d_version version;
    struct m_error error;
    struct span item;

    if (kind == KIND_M_ERROR && inner_decode(r->lb, &m_error_schema, message, &error, NULL) == 0) {
        take_error(r, &error);
    } else if (kind == KIND_M_RESOLVED &&
               inner_decode(r->lb, &m_resolved_schema, message, &resolved, NULL) == 0) {
        struct wire_iter it = wire_iter(&resolved.versions);
        memset(&r->job_hash, 0, sizeof r->job_hash);
        if (wire_next(&it, &item) &&
            inner_decode(r->lb, &d_version_schema, item, &version, NULL) == 0)
            r->job_hash = version.job_hash;
        r->at = loop_now(r->lb->loop);
        answer_all(r);
    } else {
        refuse_all(r, REFUSAL_MALFORMED,
                   span_str("the broker's answer to RESOLVE is not of the protocol's form"));
    }
    return false;
}

static void free_one(struct longboat *lb, struct resolution *r)
{
    HASH_DEL(lb->resolutions, r);
    loop_timer_stop(lb->loop, &r->retry);
    buf_free(&r->message);
    mem_free(&r);
}

static void forget_old(struct longboat *lb)
{
    if (HASH_COUNT(lb->resolutions) < RESOLUTIONS_MAX)
        return;
    for (struct resolution *r = lb->resolutions, *next; r; r = next) {
        next = r->hh.next;
        if (r->req == 0)
            free_one(lb, r);
    }
}

void resolve(struct longboat *lb, struct call *call, struct span job, struct span address)
{
    struct resolution *r;
    char key[sizeof r->key];

    snprintf(key, sizeof key, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(job), SPAN_ARG(address));
    HASH_FIND(hh, lb->resolutions, key, strlen(key), r);
    if (r && r->req == 0 && r->at > 0 && loop_now(lb->loop) - r->at < FRESH_MS) {
        call_resolved(call, &r->job_hash);
        return;
    }
    if (!r) {
        forget_old(lb);
        r = mem_zalloc(1, sizeof *r);
        memcpy(r->key, key, sizeof key);
        r->lb = lb;
        HASH_ADD_KEYPTR(hh, lb->resolutions, r->key, strlen(r->key), r);
    }
    call_list_add(&r->waiting, call);
    if (r->req == 0)
        ask(r, job, address);
}

void resolve_free_all(struct longboat *lb)
{
    while (lb->resolutions)
        free_one(lb, lb->resolutions);
}
