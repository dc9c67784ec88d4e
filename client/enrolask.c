/* enrolask.c - see enrolask.h. */
#include "client/enrolask.h"

#include <errno.h>
#include <sodium.h>

#include "common/clock.h"
#include "net/dialer.h"
#include "trust/possession.h"

enum { ENROL_REQ = 1, RETRY_MAX_MS = 3600000 };

struct asking {
    const struct token *token;
    const struct key *own;
    struct span certificate;
    struct loop *loop;
    struct dialer *dialer;
    struct key one_time;
    bool as_own; /* connecting with the new identity, to see whether it was accepted */
    bool done;
    struct loop_timer retry;
    struct buf broker;
    int rc;
    struct error *err;
};

static int dial(struct asking *a);

static void fail(struct asking *a, int code, const char *what, struct span text)
{
    a->rc = error_set(a->err, code, "%s: " SPAN_FMT, what, SPAN_ARG(text));
    a->done = true;
}

static void on_hello(void *self, struct m_hello *ret)
{
    const struct asking *a = self;
    if (a->as_own)
        ret->certificate = a->certificate;
}

static void say_enrol(struct asking *a)
{
    uint8_t possession[POSSESSION_SIZE];
    possession_make(a->own, a->certificate, possession);
    struct m_enrol m = {.req = ENROL_REQ,
                        .certificate = a->certificate,
                        .possession = span_of(possession, sizeof possession)};
    struct buf b = {0};
    m_enrol_encode(&m, &b);
    dialer_send(a->dialer, buf_span(&b)); /* no session: the next one sends it */
    buf_free(&b);
}

/* The broker's certificate must be what the token promised. */
static int take_broker(struct asking *a, struct span bytes)
{
    struct certificate c = {0};
    int rc = certificate_verify(bytes, &a->token->anchors, clock_wall_ms(), &c, NULL, a->err);
    if (rc == 0 && (c.role != ROLE_BROKER || !hash_eq(&c.transport_key, &a->token->broker_key)))
        rc = error_set(
            a->err, -EBADMSG,
            "the certificate that the broker shows, of '%s', is not the one of the token", c.name);
    if (rc == 0) {
        buf_clear(&a->broker);
        buf_add(&a->broker, bytes.p, bytes.n);
    }
    certificate_free(&c);
    return rc;
}

static void on_up(void *self, const struct m_welcome *welcome)
{
    struct asking *a = self;
    if ((a->rc = take_broker(a, welcome->certificate)) < 0 || a->as_own)
        a->done = true;
    else
        say_enrol(a);
}

static void on_retry(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    say_enrol(arg);
}

/* As long as the broker asks for; wait_for_broker ends it all. */
static int64_t retry_at(const struct asking *a, uint64_t retry_ms)
{
    const uint32_t least = retry_ms < BUSY_RETRY_MS  ? BUSY_RETRY_MS
                           : retry_ms > RETRY_MAX_MS ? RETRY_MAX_MS
                                                     : (uint32_t)retry_ms;
    return loop_now(a->loop) + least + randombytes_uniform(least / 2);
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct asking *a = self;
    struct m_error error;

    if (kind == KIND_M_DONE) {
        a->done = true;
    } else if (kind == KIND_M_ERROR &&
               wire_decode(&m_error_schema, message, true, &error, NULL) == 0) {
        if (error.code == REFUSAL_BUSY)
            loop_timer_set(a->loop, &a->retry, "enrol", retry_at(a, error.retry_ms), on_retry, a);
        else
            fail(a, -EACCES, "the broker refuses the certificate", error.text);
    }
}

static void on_down(void *self, const char *reason)
{
    (void)self;
    (void)reason; /* the next session sends it again */
}

static void on_refused(void *self, const struct m_refused *refused)
{
    struct asking *a = self;
    if (refused->code == REFUSAL_BUSY)
        return;
    if (a->as_own && a->broker.n > 0 && refused->code != REFUSAL_UNKNOWN_PRINCIPAL) {
        a->done = true; /* it knows us: accepted */
    } else if (!a->as_own && refused->code == REFUSAL_UNKNOWN_PRINCIPAL) {
        dialer_close(
            &a->dialer); /* the one-time key was used, perhaps by us, and the answer got lost */
        a->as_own = true;
        if ((a->rc = dial(a)) < 0)
            a->done = true;
    } else if (refused->code == REFUSAL_UNKNOWN_PRINCIPAL) {
        a->rc =
            error_set(a->err, -EACCES,
                      "the broker at %s does not know this token: it was used, has expired, or is "
                      "for another cluster; ask for a new one (lbctl invite)",
                      a->token->addresses[0]);
        a->done = true;
    } else {
        fail(a, -EACCES, "refused by the broker", refused->text);
    }
}

static int dial(struct asking *a)
{
    const struct key *key = a->as_own ? a->own : &a->one_time;
    const struct dialer_options o = {
        .addresses = (const char *const *)a->token->addresses,
        .n_addresses = (unsigned)a->token->n_addresses,
        .broker_key = a->token->broker_key,
        .secret_transport = key->transport_secret,
        .public_transport = key->transport.b,
    };
    const struct dialer_calls calls = {.self = a,
                                       .hello = on_hello,
                                       .up = on_up,
                                       .message = on_message,
                                       .down = on_down,
                                       .refused = on_refused};
    return dialer_open(&a->dialer, a->loop, &o, &calls, a->err);
}

static int wait_for_broker(struct asking *a, int64_t timeout_ms)
{
    const int64_t until = clock_boot_ms() + timeout_ms;
    int rc;

    while (!a->done) {
        const char *trouble = dialer_trouble(a->dialer);
        if (clock_boot_ms() >= until)
            return error_set(a->err, -ETIMEDOUT, "no answer from the broker at %s within %g s%s%s",
                             dialer_address(a->dialer), (double)timeout_ms / 1000,
                             *trouble ? "; " : "", trouble);
        if ((rc = loop_turn(a->loop, until, a->err)) < 0)
            return rc;
    }
    return a->rc;
}

int enrol_ask(struct loop *loop, const struct token *t, const struct key *own,
              struct span certificate, int64_t timeout_ms, struct buf *ret_broker,
              struct error *err)
{
    struct asking a = {
        .loop = loop, .token = t, .own = own, .certificate = certificate, .err = err};
    int rc;

    key_from_seed(t->one_time_seed, &a.one_time);
    if ((rc = dial(&a)) == 0)
        rc = wait_for_broker(&a, timeout_ms);
    dialer_close(&a.dialer);
    loop_timer_stop(a.loop, &a.retry);
    key_forget(&a.one_time);
    if (rc == 0)
        *ret_broker = a.broker;
    else
        buf_free(&a.broker);
    return rc;
}
