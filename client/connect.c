/* connect.c - the connection of liblongboat: opening it, starting a new session, waiting. */
#include "client/brokerkey.h"
#include "client/inner.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"

/* ---- Reports from the dialer */

static void on_hello(void *self, struct m_hello *ret)
{
    struct longboat *lb = self;
    ret->certificate = buf_span(&lb->config.me.signed_bytes);
}

static void pump(struct longboat *lb)
{
    request_pump(lb);
    call_pump(lb);
}

static void on_up(void *self, const struct m_welcome *welcome)
{
    struct longboat *lb = self;
    lb->newer = welcome->minor > PROTO_MINOR;
    lb->ahead = welcome->now - clock_wall_ms();
    lb->refused = REFUSAL_NONE;
    brokerkey_welcome(&lb->config, lb->dialer, welcome, clock_wall_ms(), NULL);
    /* before anything is signed; on failure we keep the certificate that we have */
    if (welcome->yours.n)
        client_config_adopt(&lb->config, welcome->yours, clock_wall_ms(), NULL);
    lb->session++;
    request_session(lb);
    call_session(lb);
    pump(lb);
}

static void on_window(void *self)
{
    pump(self);
}

/* Servers' certificates are held against the list; an administrator who signs the next one needs
   it as it came. */
static void keep_revocations(struct longboat *lb, struct span message)
{
    struct m_revoked m;
    if (longboat_decode(lb, &m_revoked_schema, message, &m, NULL) < 0)
        return;
    buf_clear(&lb->revocations);
    buf_add(&lb->revocations, m.list.p, m.list.n);
    /* one that does not verify revokes nothing */
    revocations_take(&lb->revoked, m.list, &lb->config.anchors, NULL, NULL);
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct longboat *lb = self;
    switch (kind) {
    case KIND_M_RUN_STATE:
        call_take_state(lb, message);
        break;
    case KIND_M_RUN_ENDED:
        call_take_ended(lb, message);
        break;
    case KIND_M_REVOKED:
        keep_revocations(lb, message);
        break;
    case KIND_M_PONG:
        break;
    default:
        if (!request_take(lb, kind, message) && kind == KIND_M_ERROR)
            call_take_error(lb, message);
    }
}

static void on_down(void *self, const char *reason)
{
    (void)self;
    (void)reason; /* longboat_trouble reports it; unanswered requests are sent again */
}

static void on_refused(void *self, const struct m_refused *refused)
{
    struct longboat *lb = self;
    if (refused->code == REFUSAL_BUSY)
        return;
    lb->refused = (enum refusal)refused->code;
    span_copy_str(refused->text, lb->refused_text, sizeof lb->refused_text);
}

/* Runs before the dialer's hook, which was added later: what is signed here leaves in this turn's
   frames. */
static bool on_prepare(struct loop *l, void *arg)
{
    (void)l;
    return call_sign_waiting(arg);
}

/* ---- Open and close */

static int connect_dialer(struct longboat *lb, struct error *err)
{
    const struct client_config *c = &lb->config;
    const struct dialer_options o = {
        .addresses = (const char *const *)c->addresses,
        .n_addresses = (unsigned)c->n_addresses,
        .broker_key = c->broker.transport_key,
        .next_key = c->broker_next.transport_key,
        .secret_transport = c->key.transport_secret,
        .public_transport = c->key.transport.b,
    };
    const struct dialer_calls calls = {.self = lb,
                                       .hello = on_hello,
                                       .up = on_up,
                                       .message = on_message,
                                       .down = on_down,
                                       .refused = on_refused,
                                       .window = on_window};
    return dialer_open(&lb->dialer, lb->loop, &o, &calls, err);
}

int longboat_open(struct longboat **ret, const char *config_folder, struct loop *loop,
                  struct error *err)
{
    struct longboat *lb = mem_zalloc(1, sizeof *lb);
    int rc;

    net_hash_begin();
    lb->loop = loop;
    if ((rc = client_config_load(&lb->config, config_folder, err)) < 0)
        goto fail;
    if (!loop && !(lb->loop = loop_new(err))) {
        rc = -EMFILE;
        goto fail;
    }
    lb->own_loop = !loop;
    loop_on_prepare(lb->loop, on_prepare, lb);
    if ((rc = connect_dialer(lb, err)) < 0)
        goto fail;
    *ret = lb;
    return 0;
fail:
    longboat_close(&lb);
    return rc;
}

void longboat_close(struct longboat **lbp)
{
    struct longboat *lb = *lbp;
    if (!lb)
        return;
    dialer_close(&lb->dialer);
    request_free_all(lb);
    call_free_all(lb);
    resolve_free_all(lb);
    signers_free_all(lb);
    watch_free(lb);
    if (lb->loop)
        loop_off(lb->loop, lb);
    if (lb->own_loop)
        loop_destroy(&lb->loop);
    client_config_free(&lb->config);
    buf_free(&lb->scratch);
    buf_free(&lb->revocations);
    revocations_free(&lb->revoked);
    mem_free(lbp);
}

const struct certificate *longboat_me(const struct longboat *lb)
{
    return &lb->config.me;
}

const char *longboat_broker(const struct longboat *lb)
{
    struct longboat *own = (struct longboat *)(uintptr_t)lb; /* the text is kept in it */
    const char *name = lb->config.broker.name;
    bool usual = strcmp(name, "broker") == 0; /* the name that `lbctl init` gives */
    snprintf(own->name, sizeof own->name, "%sbroker %s%sat %s", usual ? "the " : "",
             usual ? "" : name, usual ? "" : " ", dialer_address(lb->dialer));
    return lb->name;
}

struct span longboat_revocations(const struct longboat *lb)
{
    return buf_span(&lb->revocations);
}

const struct trust_anchors *longboat_administrators(const struct longboat *lb)
{
    return &lb->config.anchors;
}

struct span longboat_broker_certificate(const struct longboat *lb)
{
    return buf_span(&lb->config.broker.signed_bytes);
}

bool longboat_is_up(const struct longboat *lb)
{
    return dialer_is_up(lb->dialer);
}

int64_t longboat_broker_ahead(const struct longboat *lb)
{
    return lb->ahead;
}

bool longboat_broker_is_newer(const struct longboat *lb)
{
    return lb->newer;
}

const char *longboat_trouble(const struct longboat *lb)
{
    return dialer_trouble(lb->dialer);
}

struct loop *longboat_loop(struct longboat *lb)
{
    return lb->loop;
}

bool inner_send(struct longboat *lb, struct span message)
{
    return dialer_window_open(lb->dialer) && dialer_send(lb->dialer, message) == 0;
}

int longboat_decode(const struct longboat *lb, const struct wire_schema *s, struct span message,
                    void *ret, struct error *err)
{
    return wire_decode(s, message, lb->newer, ret, err);
}

struct wire_list inner_known(const struct longboat *lb, const struct wire_schema *s,
                             const struct wire_list *list, struct buf *items)
{
    _Alignas(max_align_t) uint8_t decoded[INNER_DOCUMENT_MAX];
    struct wire_iter it = wire_iter(list);
    struct buf one = {0};
    struct span item;
    uint32_t n = 0;
    assert(s->size <= sizeof decoded);
    while (wire_next(&it, &item)) {
        if (longboat_decode(lb, s, item, decoded, NULL) < 0)
            continue;
        buf_clear(&one);
        wire_encode(s, decoded, &one);
        wire_add_bin(items, buf_span(&one));
        n++;
    }
    buf_free(&one);
    return wire_list_from(items, n);
}

/* ---- Wait */

static int time_is_over(struct longboat *lb, int64_t timeout_ms, struct error *err)
{
    const char *trouble = longboat_trouble(lb);
    return error_set(err, -ETIMEDOUT, "no answer from %s within %g s%s%s", longboat_broker(lb),
                     (double)timeout_ms / 1000, *trouble ? "; " : "", trouble);
}

int longboat_wait(struct longboat *lb, bool (*done)(void *), void *self, int64_t timeout_ms,
                  struct error *err)
{
    const int64_t until = timeout_ms > 0 ? clock_boot_ms() + timeout_ms : INT64_MAX;
    int rc;

    while (!done(self)) {
        if (lb->refused != REFUSAL_NONE)
            return error_set(err, -EACCES, "refused by %s: %s", longboat_broker(lb),
                             lb->refused_text);
        if (loop_is_stopping(lb->loop))
            return error_set(err, -EINTR, "interrupted");
        if (until != INT64_MAX && clock_boot_ms() >= until)
            return time_is_over(lb, timeout_ms, err);
        if ((rc = loop_turn(lb->loop, until, err)) < 0)
            return rc;
    }
    return 0;
}
