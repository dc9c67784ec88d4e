/* brokerlink.c - the session with the broker. */
#include "worker/worker.h"

#include <errno.h>

#include "client/brokerkey.h"
#include "common/log.h"

/* ---- Packages that this server should have */

static int send_to_broker(void *self, struct span message)
{
    struct worker *w = self;
    return w->dialer ? dialer_send(w->dialer, message) : -ENOTCONN;
}

static bool desired_install(void *self, struct span message)
{
    struct worker *w = self;
    return runnerlink_send(w->runner, message);
}

static bool desired_has(void *self, const struct hash *package)
{
    struct worker *w = self;
    const struct installed_package *p = installed_by_hash(jobs_packages(w->jobs), package);
    return p && !p->trouble;
}

static void desired_changed(void *self)
{
    struct worker *w = self;
    w->reread_at = loop_now(w->loop);
    attest_soon(w, ATTEST_MS);
}

int worker_open_desired(struct worker *w, const char *incoming, struct error *err)
{
    const struct desired_calls calls = {w, send_to_broker, desired_install, desired_has,
                                        desired_changed};
    return desired_open(&w->desired, incoming, &calls, err);
}

/* ---- Secrets of this server */

static void secrets_changed(void *self)
{
    attest_soon(self, ATTEST_MS);
}

int worker_open_secrets(struct worker *w, const char *folder, struct error *err)
{
    const struct secretstore_calls calls = {w, send_to_broker, secrets_changed};
    return secretstore_open(&w->secrets, folder, &w->who.anchors, &w->who.me, &calls, err);
}

/* ---- The session */

static void say_hello(void *self, struct m_hello *m)
{
    struct worker *w = self;
    m->certificate = buf_span(&w->who.me.signed_bytes);
    m->incarnation = spool_nonce(w->spool);
    m->process = span_str(w->process);
    m->spool = spool_id(w->spool);
    m->boot = spool_boot(w->spool);
    m->slots = w->options.slots;
    m->revocations = w->revoked.list.number;
}

static void session_up(void *self, const struct m_welcome *welcome)
{
    struct worker *w = self;
    struct buf b = {0};
    w->welcomed = true;
    w->doubted = false;
    log_info("session with broker " SPAN_FMT " at %s, cluster " SPAN_FMT, SPAN_ARG(welcome->broker),
             dialer_address(w->dialer), SPAN_ARG(welcome->cluster));
    struct error err = {0};
    w->broker_ahead_ms = welcome->now - loop_now_wall(w->loop);
    if (brokerkey_welcome(&w->who, w->dialer, welcome, loop_now_wall(w->loop), &err) < 0)
        log_warn("cannot keep the broker's next key: %s", err.text);
    if (welcome->yours.n &&
        client_config_adopt(&w->who, welcome->yours, loop_now_wall(w->loop), &err) < 0)
        log_warn("cannot use the newer certificate from the broker: %s", err.text);
    /* The welcome renews nothing: only what is answered after HAVE_END does, for the broker says
     * STOP for what is not ours any more before it answers that. Until then the old fence holds,
     * and what waits does not start behind it. */
    w->renewed = dialer_renewed(w->dialer);
    w->renew = true;
    logship_session(w->logs);
    m_welcome_encode(welcome, &b);
    worker_feed_message(w, WCORE_SESSION_UP, buf_span(&b));
    buf_free(&b);
    attest_soon(w, 0);
    desired_again(w->desired, loop_now(w->loop));
    secretstore_again(w->secrets, loop_now(w->loop));
}

static void session_down(void *self, const char *reason)
{
    struct worker *w = self;
    log_warn("session with the broker ended: %s", reason);
    worker_forget_messages(w);
    worker_feed(w, (struct wcore_event){.kind = WCORE_SESSION_DOWN});
}

static void session_refused(void *self, const struct m_refused *refused)
{
    struct worker *w = self;
    const bool again = w->doubted;
    log_error("the broker refuses this server: " SPAN_FMT, SPAN_ARG(refused->text));
    w->doubted = refused->code == REFUSAL_NAME_TAKEN;
    /* It asked us to wait until the other one's time was over, and it is not: the other one lives.
     * Where we were the first, children run here, and we go on asking. */
    if (!w->doubted || !again || w->welcomed)
        return;
    log_error("another lbworker of server %s answers at the broker, so this one ends: stop one of "
              "the two for good. If this home is a copy, make it a server of its own (lbctl invite "
              "--server NAME, then lbworker join in a new home)",
              w->who.me.name);
    loop_stop(w->loop, WORKER_EXIT_TAKEN);
}

static void session_window(void *self)
{
    (void)self; /* the end of the turn sends on */
}

static void take_revoked(struct worker *w, struct span list)
{
    struct error err = {0};
    int rc = revoked_take(&w->revoked, list, &w->who.anchors, &err);
    if (rc < 0)
        log_error("revocations: %s", err.text);
    else if (rc > 0)
        log_info("revocations: list %llu, %zu certificates",
                 (unsigned long long)w->revoked.list.number, w->revoked.list.n);
}

static void take_error(struct worker *w, const struct m_error *m, int64_t now)
{
    if (!secretstore_error(w->secrets, m, now))
        desired_error(w->desired, m, now);
}

#define TAKE(name, call) \
    { \
        struct m_##name m; \
        if (m_##name##_decode(message, &m, &err) == 0) \
            call; \
        else \
            log_error("%s", err.text); \
        break; \
    }

static void session_message(void *self, uint64_t kind, struct span message)
{
    struct worker *w = self;
    struct error err = {0};
    int64_t now = loop_now(w->loop);
    switch (kind) {
    case KIND_M_DESIRED:
        TAKE(desired, desired_set(w->desired, &m, now))
    case KIND_M_CHUNK:
        TAKE(chunk, desired_chunk(w->desired, &m, now))
    case KIND_M_CERTIFICATES:
        TAKE(certificates, desired_certificates(w->desired, &m, now))
    case KIND_M_ERROR:
        TAKE(error, take_error(w, &m, now))
    case KIND_M_SECRETS:
        TAKE(secrets, secretstore_set(w->secrets, &m, now))
    case KIND_M_SECRET:
        TAKE(secret, secretstore_take(w->secrets, &m, now, loop_now_wall(w->loop)))
    case KIND_M_LOG_ACK:
        TAKE(log_ack, logship_acked(w->logs, m.bytes))
    case KIND_M_REVOKED:
        TAKE(revoked, take_revoked(w, m.list))
    case KIND_M_EXECUTE:
    case KIND_M_STOP:
    case KIND_M_RECALL:
    case KIND_M_RECORDED:
        worker_feed_message(w, WCORE_MESSAGE, message);
        break;
    default:
        break; /* PONG, DONE */
    }
}

const struct dialer_calls worker_dialer_calls = {.hello = say_hello,
                                                 .up = session_up,
                                                 .message = session_message,
                                                 .down = session_down,
                                                 .refused = session_refused,
                                                 .window = session_window};
