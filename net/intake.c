/* intake.c - see intake.h. */
#include "net/intake.h"

#include <errno.h>

#include "common/clock.h"
#include "net/backlog.h"
#include "net/serverstate.h"

enum {
    /* Then the rest of the loop has its turn, answers leave, and what has arrived meanwhile is
     * taken: so long a request of one principal waits for another's backlog. */
    TURN_US = 500,
    TAKE_US = TURN_US / 2, /* of which taking and handling at once may use so much */
    /* of the backlog, where somebody without one has been served: their answer leaves soon */
    BESIDE_US = TURN_US / 5,
    FRAMES_A_TURN = 128,   /* taken from libzmq, which takes from all connections in rotation */
    RESET_EVERY_MS = 1000, /* a connection without a session is told so at most this often */
    /* frames that bring nothing: a heartbeat each 2 s is honest */
    EMPTY_FRAME_MS = 10,
    EMPTY_BURST_MS = 1280
};

/* ---- Handling */

/* What was done since the last call was done for this principal. */
static void account(struct net_server *s, struct principal *who)
{
    int64_t now = clock_boot_us();
    if (who)
        backlog_spend(who, now - s->stamp_us);
    s->stamp_us = now;
}

static void greet(struct net_server *s, struct peer *p, struct span hello)
{
    struct error why = {0};
    enum refusal code =
        s->calls.hello(s->calls.self, p->handle, &p->of->key, p->address, hello, &why);
    if (p->gone)
        return; /* it was closed in the callback, with a word of its own */
    if (code == REFUSAL_NONE) {
        p->announced = true;
        return;
    }
    server_say_refused(s, span_of(p->route, p->route_n), session_id(p->session), code, why.text);
    server_drop(s, p, "", false);
}

static void handle_message(struct net_server *s, struct peer *p, uint64_t kind, struct span message)
{
    if (!p->announced)
        greet(s, p, message);
    else if (kind == KIND_M_BYE)
        server_drop(s, p, "it said goodbye", false);
    else if (kind == KIND_M_HELLO)
        server_reset(s, p, "HELLO in an open session");
    else
        s->calls.message(s->calls.self, p->handle, kind, message);
}

/* Returns the size of the first message of a run. */
static size_t handle_first(struct net_server *s, struct peer *p, struct span run)
{
    struct error why = {0};
    uint64_t kind;
    size_t size;

    if (wire_peek(run, &kind, &size, &why) < 0) {
        error_prefix(&why, "a message of a frame");
    } else if (kind == KIND_H_FRAME) {
        error_set(&why, -EPROTO, "a message of a frame is another frame head");
    } else {
        handle_message(s, p, kind, span_of(run.p, size));
        return size;
    }
    server_reset(s, p, why.text);
    return run.n;
}

/* Messages in order: at least one, then until the principal's quantum is used or it is held, the
 * turn is over or the session has ended. Returns the bytes of what was handled. */
static size_t handle(struct net_server *s, struct peer *p, struct span run)
{
    const struct hash key = p->of->key;
    const size_t all = run.n;
    size_t size;

    while (run.n > 0) {
        size = handle_first(s, p, run);
        run.p += size;
        run.n -= size;
        account(s, p->gone ? peers_principal(&s->peers, &key) : p->of);
        if (p->gone || p->of->held || p->of->deficit_us <= 0 || s->stamp_us - s->turn_us >= TURN_US)
            break;
    }
    return all - run.n;
}

static void serve_frame(struct net_server *s, struct peer *p, struct backlog_frame *f)
{
    const struct hash key = p->of->key;
    const struct span body = net_kept_body(&f->message);

    if (f->goodbye) {
        server_drop(s, p, "it said goodbye", false);
    } else {
        f->at += handle(s, p, span_of(body.p + f->at, body.n - f->at));
        if (!p->gone && f->at < body.n) {
            backlog_put_back(&s->peers, p, f);
            return;
        }
    }
    if (!p->gone) {
        session_handled(p->session, body.n, loop_now(s->loop));
        peers_mark(&s->peers, p); /* an acknowledgement may be due */
    }
    backlog_free_frame(&s->peers, &key, &f);
}

static void serve_waiting(struct net_server *s)
{
    struct backlog_frame *f;
    struct peer *p;

    while ((p = backlog_take(&s->peers, &f))) {
        serve_frame(s, p, f);
        if (s->peers.waiting && s->stamp_us >= s->turn_end_us) {
            s->counts.full_turns++;
            return;
        }
    }
}

/* ---- Taking */

/* A PING alone in its frame is answered although others wait: it asks whether we are there. */
static bool is_lone_ping(const struct peer *p, struct span messages)
{
    enum { LONGEST = 1 + 1 + 9 };
    uint64_t kind;
    size_t size;
    return p->announced && messages.n <= LONGEST && wire_peek(messages, &kind, &size, NULL) == 0 &&
           kind == KIND_M_PING && size == messages.n;
}

static void keep(struct net_server *s, struct peer *p, struct net_packet *packet, size_t at,
                 bool goodbye)
{
    struct error why;
    if (backlog_add(&s->peers, p, packet, at, goodbye, &why) < 0)
        server_end_over_budget(s, p, &why);
}

static void take_messages(struct net_server *s, struct peer *p, struct net_packet *packet,
                          struct span messages)
{
    const size_t all = packet->body.n;
    size_t at = all - messages.n;

    if (backlog_may_pass(&s->peers, p->of) && s->stamp_us - s->turn_us < TAKE_US) {
        at += handle(s, p, messages);
        s->passed = true;
    } else if (is_lone_ping(p, messages)) {
        s->calls.message(s->calls.self, p->handle, KIND_M_PING, messages);
        at = all; /* it stands in the backlog, so that PINGs have a window, too */
    }
    if (p->gone)
        return;
    if (at < all || p->frames)
        keep(s, p, packet, at, false);
    else
        session_handled(p->session, all, loop_now(s->loop));
}

/* A frame that brings neither messages nor an acknowledgement is paid for with time. */
static void take_empty(struct net_server *s, struct peer *p)
{
    int64_t now = loop_now(s->loop);
    if (p->idle_at < now - EMPTY_BURST_MS)
        p->idle_at = now - EMPTY_BURST_MS;
    p->idle_at += EMPTY_FRAME_MS;
    if (p->idle_at > now)
        server_reset(s, p, "too many frames that bring nothing");
}

/* ---- Sessions that begin */

static bool may_tell(struct net_server *s, struct span route)
{
    uint32_t hash = key_hash(route.p, route.n, net_hash_secret);
    struct reset_told *told = &s->told[hash % SERVER_RESETS_KEPT];
    int64_t now = loop_now(s->loop);
    if (told->at != 0 && told->route == hash && now - told->at < RESET_EVERY_MS)
        return false;
    *told = (struct reset_told){.route = hash, .at = now};
    return true;
}

/* Is this the first frame of a session, and its first message a HELLO? */
static bool opens_session(const struct h_frame *head, struct span frame)
{
    uint64_t kind;
    size_t size;
    if (head->number != 1 || wire_peek(frame, &kind, &size, NULL) < 0)
        return false;
    struct span rest = {frame.p + size, frame.n - size};
    return wire_peek(rest, &kind, &size, NULL) == 0 && kind == KIND_M_HELLO;
}

static void open_session(struct net_server *s, struct net_packet *packet, uint64_t session)
{
    const int64_t now = loop_now(s->loop);
    const int fd = net_packet_fd(packet);
    struct error why = {0};
    struct span messages;

    server_hear_connections(s);
    struct peer *p = peers_add(&s->peers, packet, session, now, &why);
    if (!p) {
        s->counts.over_budget++;
        server_say_refused(s, packet->route, session, REFUSAL_BUSY, why.text);
        connections_hurry(&s->connections, fd, now + CONNECTIONS_ENDED_MS);
        return;
    }
    p->fd = fd;
    if (connections_speaks(&s->connections, fd, p->handle))
        zap_keys_spoke(s->allowed, &packet->key);
    if (session_admit(p->session, packet->body, now, &messages, &why) == SESSION_MESSAGES) {
        take_messages(s, p, packet, messages);
        return;
    }
    server_say_refused(s, packet->route, session, REFUSAL_MALFORMED, why.text);
    server_drop(s, p, "", true);
}

/* A connection without a session that speaks of something else may not do so for long. */
static void hurry(struct net_server *s, struct net_packet *packet)
{
    connections_hurry(&s->connections, net_packet_fd(packet),
                      loop_now(s->loop) + CONNECTIONS_ENDED_MS);
}

static void take_stray(struct net_server *s, struct net_packet *packet)
{
    struct h_frame head;
    struct span word;
    struct error why;
    uint64_t session, kind;

    if (!packet->whole || session_peek(packet->body, &head, &why) < 0) {
        hurry(s, packet);
        if (may_tell(s, packet->route))
            server_say_refused(s, packet->route, 0, REFUSAL_MALFORMED,
                               packet->whole ? why.text : "a message has several parts");
    } else if (opens_session(&head, packet->body)) {
        open_session(s, packet, head.session);
    } else if (!session_is_last_word(packet->body, &session, &kind, &word) &&
               may_tell(s, packet->route)) {
        server_say_reset(s, packet->route, head.session, "unknown session");
    }
}

/* ---- Sessions that go on */

static void take_goodbye(struct net_server *s, struct peer *p, struct net_packet *packet)
{
    if (p->frames)
        keep(s, p, packet, 0, true); /* what was said before is heard first */
    else
        server_drop(s, p, "it said goodbye", false);
}

static void take_of_peer(struct net_server *s, struct peer *p, struct net_packet *packet)
{
    const uint64_t acked = session_acked(p->session);
    struct span messages;
    struct error why = {0};
    uint64_t session, kind;

    if (session_is_last_word(packet->body, &session, &kind, &messages)) {
        if (session == session_id(p->session))
            take_goodbye(s, p, packet);
        return;
    }
    peers_mark(&s->peers, p);
    switch (session_admit(p->session, packet->body, loop_now(s->loop), &messages, &why)) {
    case SESSION_MESSAGES:
        take_messages(s, p, packet, messages);
        break;
    case SESSION_NOTHING:
        if (session_acked(p->session) == acked)
            take_empty(s, p);
        break;
    case SESSION_GAP:
        server_reset(s, p, "a frame was lost");
        break;
    case SESSION_FOREIGN:
        server_drop(s, p, "another session was opened on its connection", false);
        take_stray(s, packet);
        break;
    case SESSION_EXCESS:
        s->counts.beyond_window++;
        server_reset(s, p, why.text);
        break;
    case SESSION_MALFORMED:
        server_reset(s, p, why.text);
        break;
    }
}

static void take_packet(struct net_server *s, struct net_packet *packet)
{
    if (!packet->known)
        return; /* ZAP gives every peer a User-Id; without one, the sender is unknown */
    s->stamp_us = clock_boot_us();
    struct peer *p = peers_at(&s->peers, packet->route);
    if (p && !hash_eq(&p->of->key, &packet->key)) {
        /* routing ids are claims: this is another peer's connection */
        server_drop(s, p, "its connection is gone", false);
        p = NULL;
    }
    connections_took(&s->connections, p ? p->fd : net_packet_fd(packet), packet->body.n);
    if (p && packet->whole)
        take_of_peer(s, p, packet);
    else if (p)
        server_reset(s, p, "a message has several parts");
    else
        take_stray(s, packet);
}

void intake_turn(struct net_server *s)
{
    struct net_packet packet;

    loop_timer_stop(s->loop, &s->again);
    s->turn_us = s->stamp_us = clock_boot_us();
    s->turn_end_us = s->turn_us + TURN_US;
    s->passed = false;
    backlog_round(&s->peers);
    for (int i = 0; i < FRAMES_A_TURN && s->stamp_us - s->turn_us < TAKE_US &&
                    net_socket_take(s->socket, &packet);
         i++) {
        take_packet(s, &packet);
        net_packet_release(&packet);
    }
    if (s->passed && s->stamp_us + BESIDE_US < s->turn_end_us)
        s->turn_end_us = s->stamp_us + BESIDE_US;
    serve_waiting(s);
}
