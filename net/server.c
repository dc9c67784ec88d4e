/* server.c - see server.h. What arrives is taken when the socket's descriptor wakes the loop, or by
 * a timer that is due at once when the socket still has something (its descriptor is
 * edge-triggered); messages leave in the prepare hook, right before the loop sleeps, so that those
 * of a turn share frames. */
#include "net/server.h"

#include <errno.h>

#include "common/utf8.h"
#include "net/address.h"
#include "net/peers.h"
#include "net/probe.h"

enum {
    /* then the rest of the loop has its turn; libzmq takes from all peers in rotation */
    FRAMES_A_TURN = 128,
    RESET_EVERY_MS = 1000, /* a connection without a session is told so at most this often */
    RESETS_KEPT = 1024,    /* connections whose last RESET we remember */
    /* an administrator may fix it meanwhile; soon enough if they are watching */
    REFUSED_RETRY_MS = 5000,
    FAREWELL_MS = 200 /* how long the last words have to leave on close */
};

struct reset_told {
    uint32_t route; /* hashed */
    int64_t at;     /* 0: none */
};

struct net_server {
    struct loop *loop;
    struct net_server_calls calls;
    struct net_socket *socket;
    struct zap_keys *allowed;
    struct zap *zap;
    struct peers peers;
    struct loop_timer again; /* the socket had more than a turn takes */
    struct loop_timer timer; /* the first of peers.timers */
    int64_t lease_ms;
    struct buf frame, last;
    struct reset_told told[RESETS_KEPT];
    /* a callback was made in the prepare hook: there may be something to do before a sleep */
    bool called;
    size_t owed_most;
    char (*endpoints)[NET_ENDPOINT_MAX];
    unsigned n_endpoints;
};

/* ---- Out */

static int send_frame(struct net_server *s, struct span route)
{
    return net_socket_send(s->socket, route, buf_span(&s->frame));
}

static void drop(struct net_server *s, struct peer *p, const char *reason)
{
    bool owed = p->announced && !p->gone;
    peers_remove(&s->peers, p);
    if (!owed)
        return;
    s->called = true;
    s->calls.down(s->calls.self, p->handle, reason);
}

/* Its last word, which may get lost: then the peer hears it when it sends something again. */
static void say_last(struct net_server *s, struct span route, uint64_t session, struct span message)
{
    session_last_word(session, message, &s->frame);
    send_frame(s, route);
}

/* A sentence that fits into a field. Errors are cut at a byte: what is left of a character at the
   end goes too. */
static struct span sentence(const char *text, size_t most)
{
    struct span s = {(const uint8_t *)text, strnlen(text, most)};
    size_t good;
    utf8_is_valid(s, &good);
    return span_of(s.p, good);
}

static void say_reset(struct net_server *s, struct span route, uint64_t session, const char *reason)
{
    buf_clear(&s->last);
    m_reset_encode(&(struct m_reset){.reason = sentence(reason, LIMIT_SHORT)}, &s->last);
    say_last(s, route, session, buf_span(&s->last));
}

static void say_refused(struct net_server *s, struct span route, uint64_t session,
                        enum refusal code, const char *text)
{
    struct m_refused refused = {
        .code = code,
        .text = sentence(text && *text ? text : refusal_text(code), LIMIT_TEXT),
        .retry_ms = code == REFUSAL_BUSY ? BUSY_RETRY_MS : REFUSED_RETRY_MS,
    };
    buf_clear(&s->last);
    m_refused_encode(&refused, &s->last);
    say_last(s, route, session, buf_span(&s->last));
}

static struct span route_of(const struct peer *p)
{
    return span_of(p->route, p->route_n);
}

/* Sends what its window takes. False: it must be dropped, and p->doom says why. */
static bool send_waiting(struct net_server *s, struct peer *p, int64_t now)
{
    int rc = 0;
    while (rc == 0 && session_frame(p->session, now, &s->frame))
        rc = send_frame(s, route_of(p));
    if (rc == -EAGAIN)
        p->doom = "send queue full";
    /* One without messages may get lost: the next one says the same. */
    if (rc == 0 && session_idle_frame(p->session, now, &s->frame) &&
        send_frame(s, route_of(p)) == -EHOSTUNREACH)
        rc = -EHOSTUNREACH;
    if (rc == -EHOSTUNREACH)
        p->doom = "its connection is gone";
    return !p->doom;
}

static void flush_peer(struct net_server *s, struct peer *p)
{
    if (!p->doom)
        send_waiting(s, p, loop_now(s->loop));
    if (p->doom) {
        drop(s, p, p->doom);
        return;
    }
    int64_t expiry = session_heard(p->session) + s->lease_ms,
            deadline = session_deadline(p->session);
    heap_change(&s->peers.timers, &p->timer, expiry < deadline ? expiry : deadline);
    if (!session_window_open(p->session)) {
        p->full = true;
    } else if (p->full) {
        p->full = false;
        s->called = true;
        s->calls.window(s->calls.self, p->handle);
    }
}

static void on_timer(struct loop *l, struct loop_timer *t, void *arg);

static void set_timer(struct net_server *s)
{
    const struct heap_node *first = heap_peek(&s->peers.timers);
    if (!first)
        loop_timer_stop(s->loop, &s->timer);
    else if (!loop_timer_is_set(&s->timer) || s->timer.node.key != first->key)
        loop_timer_set(s->loop, &s->timer, "net.peers", first->key, on_timer, s);
}

/* Looks after those whose heartbeat, acknowledgement or end is due. Frames left in the socket count
 * as heard: a broker that was stopped for a while must not take its peers for dead. */
static void on_timer(struct loop *l, struct loop_timer *t, void *arg)
{
    struct net_server *s = arg;
    const int64_t now = loop_now(l);
    const bool unread = net_socket_readable(s->socket);
    struct heap_node *first;
    (void)t;

    while ((first = heap_peek(&s->peers.timers)) && first->key <= now) {
        struct peer *p = heap_entry(first, struct peer, timer);
        int64_t silence = now - session_heard(p->session);
        if (silence >= s->lease_ms && !(unread && silence < 2 * s->lease_ms))
            p->doom = "it has been silent for its whole lease";
        peers_mark(&s->peers, p);
        heap_change(&s->peers.timers, &p->timer, now + 1); /* flush_peer sets the exact time */
    }
}

/* ---- In */

static bool may_tell(struct net_server *s, struct span route)
{
    uint32_t hash = key_hash(route.p, route.n, net_hash_secret);
    struct reset_told *told = &s->told[hash % RESETS_KEPT];
    int64_t now = loop_now(s->loop);
    if (told->at != 0 && told->route == hash && now - told->at < RESET_EVERY_MS)
        return false;
    *told = (struct reset_told){.route = hash, .at = now};
    return true;
}

static void end_session(struct net_server *s, struct peer *p, const char *reason)
{
    say_reset(s, route_of(p), session_id(p->session), reason);
    drop(s, p, reason);
}

/* The messages of one frame of so many bytes, in order, until the session ends. */
static void deliver(struct net_server *s, struct peer *p, struct span messages, size_t frame_bytes)
{
    uint64_t kind;
    size_t size;

    while (messages.n > 0 && !p->gone && wire_peek(messages, &kind, &size, NULL) == 0) {
        if (kind == KIND_M_BYE)
            drop(s, p, "it said goodbye");
        else if (kind == KIND_M_HELLO)
            end_session(s, p, "HELLO in an open session");
        else
            s->calls.message(s->calls.self, p->handle, kind, span_of(messages.p, size));
        messages.p += size;
        messages.n -= size;
    }
    if (!p->gone)
        session_handled(p->session, frame_bytes, loop_now(s->loop));
}

/* Is this the first frame of a session, and its first message a HELLO? */
static bool opens_session(const struct h_frame *head, struct span frame, struct span *ret_hello,
                          size_t *ret_head)
{
    uint64_t kind;
    size_t size;
    if (head->number != 1 || wire_peek(frame, &kind, ret_head, NULL) < 0)
        return false;
    struct span rest = {frame.p + *ret_head, frame.n - *ret_head};
    if (wire_peek(rest, &kind, &size, NULL) < 0 || kind != KIND_M_HELLO)
        return false;
    *ret_hello = span_of(rest.p, size);
    return true;
}

static void open_session(struct net_server *s, const struct net_packet *packet,
                         const struct h_frame *head, struct span hello)
{
    struct error why = {0};
    struct span messages;

    if (!peers_have_room(&s->peers, &packet->key)) {
        say_refused(s, packet->route, head->session, REFUSAL_BUSY, "too many sessions are open");
        return;
    }
    struct peer *p = peers_add(&s->peers, packet, head->session, loop_now(s->loop));
    if (session_take(p->session, packet->body, loop_now(s->loop), &messages, &why) !=
        SESSION_MESSAGES) {
        say_refused(s, packet->route, head->session, REFUSAL_MALFORMED, why.text);
        peers_remove(&s->peers, p);
        return;
    }
    enum refusal code = s->calls.hello(s->calls.self, p->handle, &p->key, p->address, hello, &why);
    if (p->gone)
        return; /* it was closed in the callback, with a word of its own */
    if (code != REFUSAL_NONE) {
        say_refused(s, packet->route, head->session, code, why.text);
        peers_remove(&s->peers, p);
        return;
    }
    p->announced = true;
    messages.p += hello.n;
    messages.n -= hello.n;
    deliver(s, p, messages, packet->body.n);
}

static void take_stray(struct net_server *s, const struct net_packet *packet)
{
    struct h_frame head;
    struct span hello, word;
    struct error why;
    size_t head_size;
    uint64_t session, kind;

    if (!packet->whole || session_peek(packet->body, &head, &why) < 0) {
        if (may_tell(s, packet->route))
            say_refused(s, packet->route, 0, REFUSAL_MALFORMED,
                        packet->whole ? why.text : "a message has several parts");
    } else if (opens_session(&head, packet->body, &hello, &head_size)) {
        open_session(s, packet, &head, hello);
    } else if (!session_is_last_word(packet->body, &session, &kind, &word) &&
               may_tell(s, packet->route)) {
        say_reset(s, packet->route, head.session, "unknown session");
    }
}

static void take_of_peer(struct net_server *s, struct peer *p, const struct net_packet *packet)
{
    struct span messages;
    struct error why = {0};
    uint64_t session, kind;

    if (session_is_last_word(packet->body, &session, &kind, &messages)) {
        if (session == session_id(p->session))
            drop(s, p, "it said goodbye");
        return;
    }
    peers_mark(&s->peers, p);
    switch (session_take(p->session, packet->body, loop_now(s->loop), &messages, &why)) {
    case SESSION_MESSAGES:
        deliver(s, p, messages, packet->body.n);
        break;
    case SESSION_NOTHING:
        break;
    case SESSION_GAP:
        end_session(s, p, "a frame was lost");
        break;
    case SESSION_FOREIGN:
        drop(s, p, "another session was opened on its connection");
        take_stray(s, packet);
        break;
    case SESSION_EXCESS:
    case SESSION_MALFORMED:
        end_session(s, p, why.text);
        break;
    }
}

static void take_packet(struct net_server *s, const struct net_packet *packet)
{
    if (!packet->known)
        return; /* ZAP gives every peer a User-Id; without one, the sender is unknown */
    struct peer *p = peers_at(&s->peers, packet->route);
    if (p && !hash_eq(&p->key, &packet->key)) {
        /* routing ids are claims: this is another peer's connection */
        drop(s, p, "its connection is gone");
        p = NULL;
    }
    if (p && packet->whole)
        take_of_peer(s, p, packet);
    else if (p)
        end_session(s, p, "a message has several parts");
    else
        take_stray(s, packet);
}

static void take_turn(struct net_server *s)
{
    struct net_packet packet;
    loop_timer_stop(s->loop, &s->again);
    for (int i = 0; i < FRAMES_A_TURN && net_socket_take(s->socket, &packet); i++) {
        take_packet(s, &packet);
        net_packet_release(&packet);
    }
}

static void on_fd(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    (void)events;
    take_turn(arg);
}

static void on_again(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    take_turn(arg);
}

static bool on_prepare(struct loop *l, void *arg)
{
    struct net_server *s = arg;
    struct peer *p;

    s->called = false;
    while ((p = peers_next_dirty(&s->peers)))
        flush_peer(s, p);
    peers_sweep(&s->peers);
    set_timer(s);
    bool more = net_socket_readable(s->socket); /* after the sends: they may have eaten the edge */
    if (more)
        loop_timer_set(l, &s->again, "net.again", loop_now(l), on_again, s);
    return more || s->called;
}

/* ---- Opening and closing */

static int bind_all(struct net_server *s, const struct net_server_options *o, struct error *err)
{
    char endpoint[NET_ENDPOINT_MAX];
    int rc;

    s->endpoints = mem_zalloc(o->n_listen, sizeof *s->endpoints);
    for (; s->n_endpoints < o->n_listen; s->n_endpoints++)
        if ((rc = net_endpoint(o->listen[s->n_endpoints], true, endpoint, err)) < 0 ||
            (rc = net_router_bind(s->socket, endpoint, s->endpoints[s->n_endpoints], err)) < 0)
            return rc;
    return 0;
}

int net_server_open(struct net_server **ret, struct loop *loop, const struct net_server_options *o,
                    const struct net_server_calls *calls, struct error *err)
{
    const struct net_keys keys = {.secret = o->secret_transport, .public_key = o->public_transport};
    struct net_server *s = mem_zalloc(1, sizeof *s);
    int rc;

    s->loop = loop;
    s->calls = *calls;
    s->lease_ms = o->lease_ms ? o->lease_ms : LEASE_MS;
    net_hash_begin();
    s->allowed = zap_keys_new();
    if ((rc = zap_open(&s->zap, s->allowed, err)) < 0 ||
        (rc = net_probe(&keys, s->allowed, err)) < 0 ||
        (rc = net_router_open(&s->socket, &keys, err)) < 0 || (rc = bind_all(s, o, err)) < 0 ||
        (rc = loop_add(loop, net_socket_fd(s->socket), EPOLLIN, on_fd, s, err)) < 0) {
        net_server_close(&s);
        return rc;
    }
    loop_on_prepare(loop, on_prepare, s);
    *ret = s;
    return 0;
}

void net_server_close(struct net_server **sp)
{
    struct net_server *s = *sp;
    if (!s)
        return;
    loop_off(s->loop, s);
    loop_timer_stop(s->loop, &s->again);
    loop_timer_stop(s->loop, &s->timer);
    if (s->socket)
        loop_del(s->loop, net_socket_fd(s->socket));
    net_socket_close(&s->socket, FAREWELL_MS);
    zap_close(&s->zap);
    zap_keys_free(&s->allowed);
    peers_free(&s->peers);
    buf_free(&s->frame);
    buf_free(&s->last);
    mem_free(&s->endpoints);
    mem_free(sp);
}

void net_server_allow(struct net_server *s, const struct hash *key, bool allowed)
{
    zap_keys_set(s->allowed, key, allowed);
}

int net_server_send(struct net_server *s, uint64_t peer, struct span message)
{
    struct peer *p = peers_find(&s->peers, peer);
    int rc;

    if (!p || p->doom)
        return -ENOENT;
    if ((rc = session_push(p->session, message)) == -ENOBUFS)
        p->doom = "send queue full";
    if (session_owed(p->session) > s->owed_most)
        s->owed_most = session_owed(p->session);
    peers_mark(&s->peers, p);
    return rc;
}

void net_server_close_peer(struct net_server *s, uint64_t peer, struct span last)
{
    struct peer *p = peers_find(&s->peers, peer);
    if (!p)
        return;
    if (!p->doom && send_waiting(s, p, loop_now(s->loop)) && last.n > 0)
        say_last(s, route_of(p), session_id(p->session), last);
    peers_remove(&s->peers, p);
}

bool net_server_window_open(struct net_server *s, uint64_t peer)
{
    struct peer *p = peers_find(&s->peers, peer);
    if (!p || p->doom)
        return false;
    if (session_window_open(p->session))
        return true;
    p->full = true; /* the caller asked, and will be told */
    return false;
}

void net_server_owed(const struct net_server *s, struct net_server_owed *ret)
{
    *ret = (struct net_server_owed){.most = s->owed_most};
    for (const struct peer *p = s->peers.handles; p; p = p->by_handle.next)
        ret->now += session_owed(p->session);
}

const char *net_server_endpoint(struct net_server *s, unsigned index)
{
    return index < s->n_endpoints ? s->endpoints[index] : NULL;
}
