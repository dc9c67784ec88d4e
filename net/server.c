/* server.c - see server.h; intake.h is for what arrives. That is taken when the socket's descriptor
 * wakes the loop, or by a timer that is due at once when something is left (the descriptor is
 * edge-triggered); messages leave in the prepare hook, right before the loop sleeps, so that those
 * of a turn share frames. */
#include "net/server.h"

#include <errno.h>

#include "common/utf8.h"
#include "net/address.h"
#include "net/intake.h"
#include "net/probe.h"
#include "net/serverstate.h"
#include "net/settle.h"

enum {
    /* an administrator may fix it meanwhile; soon enough if they are watching */
    REFUSED_RETRY_MS = 5000,
    FAREWELL_MS = 200, /* how long the last words have to leave on close */
    SAY_EVERY_MS = 60000
};

/* ---- Out */

static int send_frame(struct net_server *s, struct span route)
{
    return net_socket_send(s->socket, route, buf_span(&s->frame));
}

void server_drop(struct net_server *s, struct peer *p, const char *reason, bool broke)
{
    bool owed = p->announced && !p->gone;
    if (!p->gone)
        connections_quiet(&s->connections, p, loop_now(s->loop), broke);
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

void server_say_reset(struct net_server *s, struct span route, uint64_t session, const char *reason)
{
    buf_clear(&s->last);
    m_reset_encode(&(struct m_reset){.reason = sentence(reason, LIMIT_SHORT)}, &s->last);
    say_last(s, route, session, buf_span(&s->last));
}

void server_say_refused(struct net_server *s, struct span route, uint64_t session,
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

void server_reset(struct net_server *s, struct peer *p, const char *reason)
{
    server_say_reset(s, route_of(p), session_id(p->session), reason);
    server_drop(s, p, reason, true);
}

void server_tell(struct net_server *s, struct principal *who, const char *text)
{
    const int64_t now = loop_now(s->loop);
    if (!s->calls.trouble || (who->said_at && now - who->said_at < SAY_EVERY_MS))
        return;
    who->said_at = now;
    s->calls.trouble(s->calls.self, &who->key, text);
}

static void say_over_budget(struct net_server *s, struct peer *p, const struct error *why)
{
    s->counts.over_budget++;
    server_tell(s, p->of, why->text);
    server_say_refused(s, route_of(p), session_id(p->session), REFUSAL_BUSY, why->text);
}

void server_end_over_budget(struct net_server *s, struct peer *p, const struct error *why)
{
    say_over_budget(s, p, why);
    server_drop(s, p, "its principal is over a budget", true);
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

/* What it owes has changed. False: it is doomed. */
static bool count_owed(struct net_server *s, struct peer *p)
{
    struct error why;
    if (peers_count_owed(&s->peers, p, &why) == 0)
        return true;
    say_over_budget(s, p, &why);
    p->told = true;
    p->doom = "its principal does not read what it is sent";
    return false;
}

static void flush_peer(struct net_server *s, struct peer *p)
{
    if (!p->doom && send_waiting(s, p, loop_now(s->loop)))
        count_owed(s, p);
    if (p->doom) {
        server_drop(s, p, p->doom, p->told);
        return;
    }
    int64_t expiry = session_heard(p->session) + s->lease_ms,
            deadline = session_deadline(p->session);
    heap_change(&s->peers.timers, &p->timer, expiry < deadline ? expiry : deadline);
    if (!session_window_open(p->session)) {
        p->full = true;
    } else if (p->full || (p->of->full && peers_has_room(&s->peers, p->of))) {
        p->full = p->of->full = false;
        s->called = true;
        s->calls.window(s->calls.self, p->handle);
    }
}

static void on_timer(struct loop *l, struct loop_timer *t, void *arg);

static void set_timer(struct net_server *s)
{
    const struct heap_node *first = heap_peek(&s->peers.timers);
    const int64_t at =
        loop_earlier(first ? first->key : INT64_MAX, connections_due(&s->connections));
    if (at == INT64_MAX)
        loop_timer_stop(s->loop, &s->timer);
    else if (!loop_timer_is_set(&s->timer) || s->timer.node.key != at)
        loop_timer_set(s->loop, &s->timer, "net.peers", at, on_timer, s);
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
    server_hear_connections(s);
    connections_close_due(&s->connections, now);
}

/* ---- In */

static void on_look(struct loop *l, struct loop_timer *t, void *arg);

void server_hear_connections(struct net_server *s)
{
    enum net_connection what;
    int fd;

    while ((what = net_socket_connection(s->socket, &fd)) != NET_CONNECTION_NONE) {
        if (what == NET_CONNECTION_OPENED)
            connections_opened(&s->connections, fd, loop_now(s->loop));
        else if (what == NET_CONNECTION_CLOSED)
            connections_closed(&s->connections, fd);
        else
            s->counts.not_accepted++;
    }
    if (connections_open(&s->connections) && !loop_timer_is_set(&s->look))
        loop_timer_set(s->loop, &s->look, "net.look", loop_now(s->loop), on_look, s);
}

static void on_look(struct loop *l, struct loop_timer *t, void *arg)
{
    struct net_server *s = arg;
    server_hear_connections(s);
    connections_look(&s->connections, loop_now(l));
    if (connections_open(&s->connections))
        loop_timer_set(l, t, "net.look", loop_now(l) + CONNECTIONS_LOOK_MS, on_look, s);
}

static void on_connections(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    (void)events;
    server_hear_connections(arg);
}

static void on_fd(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    (void)events;
    intake_turn(arg);
}

static void on_again(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    intake_turn(arg);
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
    /* after the sends: they may have eaten the edge */
    bool more = net_socket_readable(s->socket) || s->peers.waiting;
    if (net_socket_has_news(s->socket))
        server_hear_connections(s);
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
    s->peers.budgets = o->budgets;
    connections_begin(&s->connections, &s->peers, o->quiet_ms ? o->quiet_ms : ZAP_SILENT_MS);
    s->allowed = zap_keys_new();
    if ((rc = zap_open(&s->zap, s->allowed, err)) < 0 ||
        (rc = net_probe(&keys, s->allowed, err)) < 0 ||
        (rc = net_router_open(&s->socket, &keys, err)) < 0 ||
        (rc = net_socket_watch_accepted(s->socket, err)) < 0 || (rc = bind_all(s, o, err)) < 0 ||
        (rc = loop_add(loop, net_socket_fd(s->socket), EPOLLIN, on_fd, s, err)) < 0 ||
        (rc = loop_add(loop, net_socket_news_fd(s->socket), EPOLLIN, on_connections, s, err)) < 0) {
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
    loop_timer_stop(s->loop, &s->look);
    if (s->socket) {
        loop_del(s->loop, net_socket_fd(s->socket));
        loop_del(s->loop, net_socket_news_fd(s->socket));
    }
    net_socket_close(&s->socket, FAREWELL_MS);
    zap_close(&s->zap);
    zap_keys_free(&s->allowed);
    connections_end(&s->connections);
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
    else if (rc == 0 && !count_owed(s, p))
        rc = -ENOBUFS;
    if (session_owed(p->session) > s->owed_most)
        s->owed_most = session_owed(p->session);
    peers_mark(&s->peers, p);
    return rc;
}

void net_server_made(struct net_server *s, uint64_t peer, uint64_t n, uint64_t last)
{
    const struct peer *p = peers_find(&s->peers, peer);
    if (p)
        settle_made(&s->peers, p->of, n, last, loop_now(s->loop));
}

void net_server_settled(struct net_server *s, uint64_t last)
{
    settle_done(&s->peers, last, loop_now(s->loop));
}

void net_server_close_peer(struct net_server *s, uint64_t peer, struct span last)
{
    struct peer *p = peers_find(&s->peers, peer);
    if (!p)
        return;
    if (!p->doom && send_waiting(s, p, loop_now(s->loop)) && last.n > 0)
        say_last(s, route_of(p), session_id(p->session), last);
    connections_quiet(&s->connections, p, loop_now(s->loop), false);
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

bool net_server_has_room(struct net_server *s, uint64_t peer)
{
    const struct peer *p = peers_find(&s->peers, peer);
    if (!net_server_window_open(s, peer))
        return false;
    p->of->full = !peers_has_room(&s->peers, p->of);
    return !p->of->full;
}

void net_server_owed(const struct net_server *s, struct net_server_owed *ret)
{
    *ret = (struct net_server_owed){.most = s->owed_most};
    for (const struct peer *p = s->peers.handles; p; p = p->by_handle.next)
        ret->now += session_owed(p->session);
}

void net_server_counts(const struct net_server *s, struct net_server_counts *ret)
{
    *ret = s->counts;
    ret->closed = s->connections.closed;
    ret->too_many = s->connections.too_many;
    ret->untaken = s->connections.untaken;
    ret->connections = connections_open(&s->connections);
    ret->handshakes_put_off = zap_keys_put_off(s->allowed);
    for (const struct principal *who = s->peers.waiting; who; who = who->next)
        ret->waiting++;
}

const char *net_server_endpoint(struct net_server *s, unsigned index)
{
    return index < s->n_endpoints ? s->endpoints[index] : NULL;
}
