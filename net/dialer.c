/* dialer.c - see dialer.h.
 *
 *   RESTING --its time--> DIALING --writable--> GREETING --WELCOME--> UP
 *      ^                     |                     |                   |
 *      +------- nobody there, refused, reset, gap, silence ------------+
 *
 * After a reset or a gap the connection is good and the socket stays; otherwise it is closed and
 * the next address is tried. A callback may close the dialer: each entry from the loop is held
 * between enter and leave, which frees it. */
#include "net/dialer.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/mem.h"
#include "net/address.h"
#include "net/backoff.h"
#include "net/session.h"
#include "net/socket.h"
#include "trust/secret.h"

enum {
    FRAMES_A_TURN = 128,
    /* from connecting to WELCOME; a broker that replays its journal is not there yet */
    DIAL_MS = HANDSHAKE_MS + 2000,
    FAREWELL_MS = 200,
    TROUBLE_MAX = 400
};

enum dialer_state { RESTING, DIALING, GREETING, UP };

struct dialer {
    struct loop *loop;
    struct dialer_calls calls;
    char (*endpoints)[NET_ENDPOINT_MAX];
    unsigned n_endpoints, at;
    struct pinned pinned;
    uint8_t *secret; /* 32 bytes, in memory for secrets */
    uint8_t public_key[32];
    int64_t lease_ms;

    enum dialer_state state;
    struct net_socket *socket;
    struct session *session;
    struct backoff backoff;
    int64_t hello_at, ping_at; /* when the last of each was sent */
    int64_t next_ping;
    int64_t renewed;
    struct loop_timer turn;  /* RESTING: dial; DIALING, GREETING: give up; UP: heartbeat, silence */
    struct loop_timer again; /* the socket may have more */
    char trouble[TROUBLE_MAX];
    struct buf frame, message, fitted;
    uint64_t minor;    /* version of the protocol that the broker speaks */
    bool added, plain; /* HELLO had appended fields; say none: a broker of 1.0 refuses them */
    bool full;         /* its window was found shut: `window` must be called */
    bool closed;
    unsigned depth; /* of entries from the loop */
};

static void rest(struct dialer *d, int64_t ms);

/* ---- Life */

static void enter(struct dialer *d)
{
    d->depth++;
}

static void leave(struct dialer *d)
{
    if (--d->depth > 0 || !d->closed)
        return;
    buf_free(&d->frame);
    buf_free(&d->message);
    buf_free(&d->fitted);
    mem_free(&d->endpoints);
    secret_free(d->secret);
    mem_free(&d);
}

static void close_socket(struct dialer *d, int linger_ms)
{
    session_free(&d->session);
    if (!d->socket)
        return;
    loop_del(d->loop, net_socket_fd(d->socket));
    loop_del(d->loop, net_socket_news_fd(d->socket));
    net_socket_close(&d->socket, linger_ms);
}

/* ---- The session has ended, or never started */

static void say_trouble(struct dialer *d, const char *why)
{
    snprintf(d->trouble, sizeof d->trouble, "%s: %s", d->endpoints[d->at], why);
}

/* `keep`: the connection is good. */
static void end_session(struct dialer *d, bool keep, const char *why)
{
    bool was_up = d->state == UP;

    say_trouble(d, why);
    if (keep)
        session_free(&d->session);
    else
        close_socket(d, 0);
    d->full = false;
    rest(d, backoff_next(&d->backoff));
    if (was_up)
        d->calls.down(d->calls.self, why);
}

/* This address does not work: the next one at once, or a rest after the last. */
static void try_next(struct dialer *d, const char *why)
{
    say_trouble(d, why);
    close_socket(d, 0);
    d->at = (d->at + 1) % d->n_endpoints;
    if (d->at == 0)
        pinned_turn(&d->pinned);
    rest(d, d->at == 0 ? backoff_next(&d->backoff) : 0);
}

/* Before WELCOME nobody knows the other's version. */
static bool say_it_plainly(struct dialer *d, const struct m_refused *refused)
{
    if (d->state != GREETING || refused->code != REFUSAL_MALFORMED || !d->added)
        return false;
    d->plain = true;
    close_socket(d, 0);
    rest(d, 0);
    return true;
}

static void take_refusal(struct dialer *d, const struct m_refused *refused)
{
    bool was_up = d->state == UP;
    int64_t ms = (int64_t)(refused->retry_ms < BACKOFF_MAX_MS ? refused->retry_ms : BACKOFF_MAX_MS);

    snprintf(d->trouble, sizeof d->trouble, "%s: refused: " SPAN_FMT, d->endpoints[d->at],
             SPAN_ARG(refused->text));
    close_socket(d, 0);
    rest(d, ms + backoff_by_chance(BACKOFF_MIN_MS)); /* never before the time that was asked for */
    if (was_up)
        d->calls.down(d->calls.self, "refused");
    if (!d->closed)
        d->calls.refused(d->calls.self, refused);
}

static void handshake_refused(struct dialer *d)
{
    char text[TROUBLE_MAX];
    snprintf(
        text, sizeof text,
        "the broker at %s does not know our key: is the certificate published there, or revoked?",
        d->endpoints[d->at]);
    struct m_refused refused = {.code = REFUSAL_UNKNOWN_PRINCIPAL, .text = span_str(text)};
    unsigned was_at = d->at;
    try_next(d, net_news_text(NET_NEWS_REFUSED));
    snprintf(d->trouble, sizeof d->trouble, "%s: %s", d->endpoints[was_at],
             net_news_text(NET_NEWS_REFUSED));
    d->calls.refused(d->calls.self, &refused);
}

/* ---- Out */

static int send_frame(struct dialer *d)
{
    return net_socket_send(d->socket, SPAN_NONE, buf_span(&d->frame));
}

static void say_hello(struct dialer *d)
{
    struct m_hello hello = {
        .major = PROTO_MAJOR, .minor = PROTO_MINOR, .software = span_str("longboat " LB_VERSION)};
    uint64_t id;

    d->calls.hello(d->calls.self, &hello);
    if (d->closed)
        return;
    buf_clear(&d->message);
    m_hello_encode(&hello, &d->message);
    struct span message = buf_span(&d->message),
                plain = messages_fit(KIND_M_HELLO, 0, message, &d->fitted);
    d->added = !d->plain && plain.n != message.n;
    randombytes_buf(&id, sizeof id);
    d->session = session_new(id);
    session_push(d->session, d->plain ? plain : message);
    d->hello_at = loop_now(d->loop);
    session_frame(d->session, d->hello_at, &d->frame);
    if (send_frame(d) < 0)
        end_session(d, false, "the connection was lost");
    else
        d->state = GREETING;
}

static void on_turn(struct loop *l, struct loop_timer *t, void *arg);

/* Sends what the window takes and sets the time of the next heartbeat. UP only. True: a callback
   was made. */
static bool flush(struct dialer *d)
{
    const int64_t now = loop_now(d->loop);
    while (session_frame(d->session, now, &d->frame))
        if (send_frame(d) < 0) {
            end_session(d, false, "the connection was lost");
            return true;
        }
    if (session_idle_frame(d->session, now, &d->frame))
        send_frame(d); /* may get lost: the next one says the same */
    int64_t at = loop_earlier(loop_earlier(d->next_ping, session_deadline(d->session)),
                              session_heard(d->session) + d->lease_ms);
    if (!loop_timer_is_set(&d->turn) || d->turn.node.key != at)
        loop_timer_set(d->loop, &d->turn, "dialer.turn", at, on_turn, d);
    if (!session_window_open(d->session)) {
        d->full = true;
    } else if (d->full) {
        d->full = false;
        if (d->calls.window)
            d->calls.window(d->calls.self);
        return true;
    }
    return false;
}

static void ping(struct dialer *d, int64_t now)
{
    struct m_ping m = {.stamp = (uint64_t)now};
    buf_clear(&d->message);
    m_ping_encode(&m, &d->message);
    if (session_push(d->session, buf_span(&d->message)) == 0)
        d->ping_at = now;
    d->next_ping = now + HEARTBEAT_MS;
}

/* ---- In */

static void take_welcome(struct dialer *d, struct span message)
{
    struct m_welcome welcome;
    struct error err;

    if (wire_decode(&m_welcome_schema, message, true, &welcome, &err) < 0) {
        end_session(d, true, err.text);
        return;
    }
    d->state = UP;
    d->minor = welcome.minor;
    d->plain = d->plain && welcome.minor == 0; /* it may be upgraded */
    backoff_reset(&d->backoff);
    d->trouble[0] = '\0';
    d->renewed = d->hello_at - 1; /* so that a PING in the same millisecond is seen to renew */
    d->ping_at = d->hello_at;
    d->next_ping = d->hello_at + HEARTBEAT_MS;
    d->calls.up(d->calls.self, &welcome);
}

static void take_pong(struct dialer *d, struct span message)
{
    struct m_pong pong;
    if (m_pong_decode(message, &pong, NULL) == 0 && (int64_t)pong.stamp <= d->ping_at &&
        (int64_t)pong.stamp > d->renewed)
        d->renewed = (int64_t)pong.stamp;
}

/* The messages of a frame of so many bytes. */
static void take_messages(struct dialer *d, struct span messages, size_t frame_bytes)
{
    const struct session *session = d->session;
    uint64_t kind;
    size_t size;

    while (messages.n > 0 && wire_peek(messages, &kind, &size, NULL) == 0) {
        struct span m = {messages.p, size};
        if (d->state == GREETING && kind == KIND_M_WELCOME) {
            take_welcome(d, m);
        } else if (d->state == GREETING || kind == KIND_M_WELCOME) {
            end_session(d, true, "unexpected message from the broker");
        } else {
            if (d->minor > PROTO_MINOR)
                m = messages_fit(kind, PROTO_MINOR, m, &d->fitted);
            if (kind == KIND_M_PONG)
                take_pong(d, m);
            d->calls.message(d->calls.self, kind, m);
        }
        if (d->closed || d->session != session)
            return;
        messages.p += size;
        messages.n -= size;
    }
    session_handled(d->session, frame_bytes, loop_now(d->loop));
}

static void take_last_word(struct dialer *d, uint64_t kind, struct span message)
{
    struct m_refused refused;
    struct m_reset reset;
    char text[LIMIT_SHORT + 32];

    if (kind == KIND_M_REFUSED &&
        wire_decode(&m_refused_schema, message, true, &refused, NULL) == 0) {
        if (!say_it_plainly(d, &refused))
            take_refusal(d, &refused);
    } else if (kind == KIND_M_RESET &&
               wire_decode(&m_reset_schema, message, true, &reset, NULL) == 0) {
        snprintf(text, sizeof text, "reset by the broker: " SPAN_FMT, SPAN_ARG(reset.reason));
        end_session(d, true, text);
    }
}

static void take_frame(struct dialer *d, struct span frame)
{
    struct span messages;
    struct error err = {0};
    uint64_t session, kind;

    if (!d->session)
        return; /* late, from a session that has ended */
    if (session_is_last_word(frame, &session, &kind, &messages)) {
        if (session == session_id(d->session))
            take_last_word(d, kind, messages);
        return;
    }
    switch (session_take(d->session, frame, loop_now(d->loop), &messages, &err)) {
    case SESSION_MESSAGES:
        take_messages(d, messages, frame.n);
        break;
    case SESSION_NOTHING:
    case SESSION_FOREIGN: /* of a session that has ended */
        break;
    case SESSION_GAP:
        end_session(d, true, "a frame was lost");
        break;
    case SESSION_EXCESS:
    case SESSION_MALFORMED:
        end_session(d, true, err.text);
        break;
    }
}

static void take_news(struct dialer *d)
{
    enum net_news news;
    while (!d->closed && d->socket && (news = net_socket_news(d->socket)) != NET_NEWS_NONE) {
        switch (news) {
        case NET_NEWS_UNREACHABLE:
        case NET_NEWS_BROKEN_OFF:
            try_next(d, net_news_text(news));
            break;
        case NET_NEWS_REFUSED:
            handshake_refused(d);
            break;
        case NET_NEWS_LOST:
            end_session(d, false, net_news_text(news));
            break;
        case NET_NEWS_CONNECTED:
        case NET_NEWS_NONE:
            break;
        }
    }
}

/* What arrived before the connection ended counts: news is read only when there is nothing left to
 * take. */
static void take_all(struct dialer *d)
{
    struct net_packet packet;
    int n = 0;

    enter(d);
    loop_timer_stop(d->loop, &d->again);
    for (; n < FRAMES_A_TURN && d->socket && net_socket_take(d->socket, &packet); n++) {
        if (packet.whole)
            take_frame(d, packet.body);
        net_packet_release(&packet);
    }
    if (n < FRAMES_A_TURN)
        take_news(d);
    if (!d->closed && d->state == DIALING && net_socket_writable(d->socket))
        say_hello(d);
    leave(d);
}

static void on_fd(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    (void)events;
    take_all(arg);
}

static void on_again(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    take_all(arg);
}

static bool has_work(struct dialer *d)
{
    return net_socket_readable(d->socket) || net_socket_has_news(d->socket) ||
           (d->state == DIALING && net_socket_writable(d->socket));
}

static bool on_prepare(struct loop *l, void *arg)
{
    struct dialer *d = arg;

    enter(d);
    bool called = d->state == UP && flush(d);
    /* after the sends: they may have eaten an edge */
    bool more = !d->closed && d->socket && has_work(d);
    if (more)
        loop_timer_set(l, &d->again, "dialer.again", loop_now(l), on_again, d);
    leave(d);
    return more || called;
}

/* ---- Time */

static void rest(struct dialer *d, int64_t ms)
{
    d->state = RESTING;
    loop_timer_set(d->loop, &d->turn, "dialer.turn", loop_now(d->loop) + ms, on_turn, d);
}

static int connect_socket(struct dialer *d, struct error *err)
{
    const struct net_keys keys = {.secret = d->secret, .public_key = d->public_key};
    int rc;

    if ((rc = net_dealer_open(&d->socket, &keys, pinned_key(&d->pinned), err)) < 0)
        return rc;
    if ((rc = net_socket_watch(d->socket, err)) < 0 ||
        (rc = net_dealer_connect(d->socket, d->endpoints[d->at], err)) < 0 ||
        (rc = loop_add(d->loop, net_socket_fd(d->socket), EPOLLIN, on_fd, d, err)) < 0 ||
        (rc = loop_add(d->loop, net_socket_news_fd(d->socket), EPOLLIN, on_fd, d, err)) < 0)
        close_socket(d, 0);
    return rc;
}

static void dial(struct dialer *d)
{
    struct error err;

    if (!d->socket && connect_socket(d, &err) < 0) {
        try_next(d, err.text);
        return;
    }
    d->state = DIALING;
    loop_timer_set(d->loop, &d->turn, "dialer.turn", loop_now(d->loop) + DIAL_MS, on_turn, d);
    if (net_socket_writable(d->socket))
        say_hello(d);
}

static void beat(struct dialer *d, int64_t now)
{
    /* Frames left in the socket count as heard, unless that goes on for another lease. */
    int64_t silence = now - session_heard(d->session);
    if (silence >= d->lease_ms && !(net_socket_readable(d->socket) && silence < 2 * d->lease_ms)) {
        end_session(d, false, "the broker has been silent for the whole lease");
        return;
    }
    if (now >= d->next_ping)
        ping(d, now);
}

static void on_turn(struct loop *l, struct loop_timer *t, void *arg)
{
    struct dialer *d = arg;
    (void)t;

    enter(d);
    switch (d->state) {
    case RESTING:
        dial(d);
        break;
    case DIALING:
        try_next(d, "no answer");
        break;
    case GREETING:
        try_next(d, "it answers but does not accept the session");
        break;
    case UP:
        beat(d, loop_now(l));
        break;
    }
    leave(d);
}

/* ---- Open, close, ask */

int dialer_open(struct dialer **ret, struct loop *loop, const struct dialer_options *o,
                const struct dialer_calls *calls, struct error *err)
{
    if (o->n_addresses == 0)
        return error_set(err, -EINVAL, "no broker address is given");
    struct dialer *d = mem_zalloc(1, sizeof *d);
    d->loop = loop;
    d->calls = *calls;
    d->pinned = (struct pinned){.now = o->broker_key, .next = o->next_key};
    d->secret = secret_alloc();
    memcpy(d->secret, o->secret_transport, sizeof d->public_key);
    memcpy(d->public_key, o->public_transport, sizeof d->public_key);
    d->lease_ms = o->lease_ms ? o->lease_ms : LEASE_MS;
    backoff_reset(&d->backoff);
    d->endpoints = mem_zalloc(o->n_addresses, sizeof *d->endpoints);
    for (; d->n_endpoints < o->n_addresses; d->n_endpoints++) {
        int rc =
            net_endpoint(o->addresses[d->n_endpoints], false, d->endpoints[d->n_endpoints], err);
        if (rc < 0) {
            d->closed = true;
            enter(d);
            leave(d);
            return rc;
        }
    }
    loop_on_prepare(loop, on_prepare, d);
    rest(d, 0);
    *ret = d;
    return 0;
}

void dialer_close(struct dialer **dp)
{
    struct dialer *d = *dp;
    if (!d)
        return;
    *dp = NULL;
    enter(d);
    if (d->state == UP) {
        while (session_frame(d->session, loop_now(d->loop), &d->frame) && send_frame(d) == 0)
            ;
        buf_clear(&d->message);
        m_bye_encode(&(struct m_bye){0}, &d->message);
        session_last_word(session_id(d->session), buf_span(&d->message), &d->frame);
        send_frame(d);
    }
    close_socket(d, d->state == UP ? FAREWELL_MS : 0);
    d->state = RESTING;
    loop_timer_stop(d->loop, &d->turn);
    loop_timer_stop(d->loop, &d->again);
    loop_off(d->loop, d);
    d->closed = true;
    leave(d);
}

int dialer_send(struct dialer *d, struct span message)
{
    uint64_t kind;
    size_t size;
    if (d->state != UP)
        return -ENOTCONN;
    if (d->minor < PROTO_MINOR && wire_peek(message, &kind, &size, NULL) == 0)
        message = messages_fit(kind, d->minor, message, &d->message);
    return session_push(d->session, message);
}

bool dialer_is_up(const struct dialer *d)
{
    return d->state == UP;
}

bool dialer_window_open(struct dialer *d)
{
    if (d->state != UP)
        return false;
    if (session_window_open(d->session))
        return true;
    d->full = true;
    return false;
}

void dialer_renew(struct dialer *d)
{
    if (d->state == UP)
        ping(d, loop_now(d->loop));
}

int64_t dialer_renewed(const struct dialer *d)
{
    return d->renewed;
}

struct pinned *dialer_pinned(struct dialer *d)
{
    return &d->pinned;
}

const char *dialer_trouble(const struct dialer *d)
{
    return d->trouble;
}

const char *dialer_address(const struct dialer *d)
{
    return d->endpoints[d->at];
}
