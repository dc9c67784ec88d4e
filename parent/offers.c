/* offers.c - what servers offer: RESOLVE for a job at an address, asked once and remembered for all
   tasks. */
#include "parent/submit.h"

#include <string.h>

#include "common/hashtable.h"
#include "common/mem.h"

struct known {
    char *key; /* job@address */
    struct offers *offers;
    uint64_t req; /* not 0: asked and not answered */
    bool have;    /* `offer` is an answer that stays */
    struct offer offer;
    struct buf parameters;
    char **servers;
    char *text;
    uint32_t *waiting;
    uint32_t n_waiting, cap_waiting;
    struct buf message;
    struct loop_timer again;
    UT_hash_handle hh;
};

struct offers {
    struct longboat *lb;
    offers_take take;
    void *self;
    struct known *all;
    struct loop_timer tell; /* answers that were known already are told from the loop */
};

static void forget_answer(struct known *k)
{
    for (uint32_t i = 0; i < k->offer.n_servers; i++)
        mem_free(&k->servers[i]);
    mem_free(&k->servers);
    mem_free(&k->text);
    buf_free(&k->parameters);
    k->offer = (struct offer){.text = ""};
}

static void tell(struct known *k)
{
    uint32_t *waiting = k->waiting, n = k->n_waiting;
    k->waiting = NULL;
    k->n_waiting = k->cap_waiting = 0;
    for (uint32_t i = 0; i < n; i++) /* may bring new ones, which wait for the next turn */
        k->offers->take(k->offers->self, waiting[i], &k->offer);
    mem_free(&waiting);
}

static bool take_answer(void *self, uint64_t kind, struct span message);

static void ask(struct known *k)
{
    longboat_request(k->offers->lb, k->req, buf_span(&k->message), take_answer, k, NULL);
}

static void on_again(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    ask(arg);
}

static void keep_version(struct known *k, struct span bytes)
{
    struct d_version v;
    struct value one;
    struct span in;
    if (d_version_decode(bytes, &v, NULL) < 0)
        return;
    k->offer.found = true;
    k->offer.job_hash = v.job_hash;
    buf_add(&k->parameters, v.parameters.p, v.parameters.n);
    k->offer.parameters.items = in = buf_span(&k->parameters);
    while (in.n && value_read(&in, &one))
        k->offer.parameters.count++;
}

static void keep_servers(struct known *k, const struct wire_list *servers)
{
    struct wire_iter it = wire_iter(servers);
    struct span name;
    k->servers = mem_zalloc(servers->count, sizeof *k->servers);
    while (wire_next(&it, &name))
        k->servers[k->offer.n_servers++] = span_dup_str(name);
    k->offer.servers = (const char *const *)k->servers;
}

static bool take_answer(void *self, uint64_t kind, struct span message)
{
    struct known *k = self;
    struct m_resolved resolved;
    struct m_error error = {
        .text = span_str("the broker's answer to RESOLVE is not of the protocol's form")};
    struct span version;
    if (kind == KIND_M_ERROR)
        m_error_decode(message, &error, NULL);
    if (error.code == REFUSAL_BUSY) {
        struct loop *l = longboat_loop(k->offers->lb);
        int64_t ms = error.retry_ms < BUSY_RETRY_MS       ? BUSY_RETRY_MS
                     : error.retry_ms > HANDSHAKE_MS * 10 ? HANDSHAKE_MS * 10
                                                          : (int64_t)error.retry_ms;
        loop_timer_set(l, &k->again, "offers.again", loop_now(l) + ms, on_again, k);
        return false;
    }
    k->req = 0;
    forget_answer(k);
    if (kind == KIND_M_RESOLVED && m_resolved_decode(message, &resolved, NULL) == 0) {
        struct wire_iter it = wire_iter(&resolved.versions);
        keep_servers(k, &resolved.servers);
        k->offer.answered = true;
        if (wire_next(&it, &version))
            keep_version(k, version);
    } else {
        k->offer.text = k->text = span_dup_str(error.text);
    }
    k->have = k->offer.found;
    tell(k);
    return false;
}

static void on_tell(struct loop *l, struct loop_timer *t, void *arg)
{
    struct offers *o = arg;
    (void)l;
    (void)t;
    for (struct known *k = o->all; k; k = k->hh.next) /* `take` may bring new ones: at the end */
        if (k->have && k->n_waiting)
            tell(k);
}

struct offers *offers_new(struct longboat *lb, offers_take take, void *self)
{
    struct offers *o = mem_zalloc(1, sizeof *o);
    o->lb = lb;
    o->take = take;
    o->self = self;
    return o;
}

void offers_free(struct offers **op)
{
    struct offers *o = *op;
    struct known *k, *next;
    if (!o)
        return;
    loop_timer_stop(longboat_loop(o->lb), &o->tell);
    HASH_ITER (hh, o->all, k, next) {
        HASH_DEL(o->all, k);
        if (k->req)
            longboat_forget(o->lb, k->req);
        loop_timer_stop(longboat_loop(o->lb), &k->again);
        forget_answer(k);
        buf_free(&k->message);
        mem_free(&k->waiting);
        mem_free(&k->key);
        mem_free(&k);
    }
    mem_free(op);
}

static struct known *known_get(struct offers *o, const char *job, const char *address)
{
    char *key = mem_printf("%s@%s", job, address);
    struct known *k;
    HASH_FIND_STR(o->all, key, k);
    if (k) {
        mem_free(&key);
        return k;
    }
    k = mem_zalloc(1, sizeof *k);
    k->key = key;
    k->offers = o;
    k->offer.text = "";
    HASH_ADD_KEYPTR(hh, o->all, k->key, strlen(k->key), k);
    return k;
}

void offers_ask(struct offers *o, uint32_t task, const char *job, const char *address)
{
    struct known *k = known_get(o, job, address);
    struct loop *l = longboat_loop(o->lb);
    if (k->n_waiting == k->cap_waiting) {
        k->cap_waiting = k->cap_waiting ? 2 * k->cap_waiting : 4;
        k->waiting = mem_realloc(k->waiting, k->cap_waiting, sizeof *k->waiting);
    }
    k->waiting[k->n_waiting++] = task;
    if (k->have) {
        loop_timer_set(l, &o->tell, "offers.tell", loop_now(l), on_tell, o);
    } else if (!k->req) {
        struct m_resolve m = {.req = k->req = longboat_req(o->lb),
                              .job = span_str(job),
                              .address = span_str(address)};
        buf_clear(&k->message);
        m_resolve_encode(&m, &k->message);
        ask(k);
    }
}
