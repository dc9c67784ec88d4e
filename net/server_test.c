/* server and dialer on loopback with real sockets, both on one loop; each test waits for what it
   expects. */
#include "common/testing.h"

#include <czmq.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>
#include <zmq.h>

#include "common/clock.h"
#include "net/dialer.h"
#include "net/server.h"
#include "net/session.h"
#include "net/socket.h"

enum { PATIENCE_MS = 20000 };

struct keys {
    struct hash public_key;
    uint8_t secret[32];
};

/* The broker's side. */
struct test_door {
    struct net_server *server;
    struct keys keys;
    char endpoint[NET_ENDPOINT_MAX];
    uint64_t peer; /* the newest */
    struct hash peer_key;
    unsigned hellos, downs, windows, messages;
    uint64_t stamps; /* of PINGs, added up */
    char reason[200], address[64];
    enum refusal refuse;
    bool welcome, answer, close_on_message;
    bool many;    /* peers besides the newest may speak */
    bool earlier; /* it is of version 1.0, and refuses a HELLO with anything more */
};

/* The other side. */
struct caller {
    struct dialer *dialer;
    struct keys keys;
    unsigned ups, downs, refusals, messages, windows, pongs;
    uint64_t code;
    char reason[300];
    bool close_when_refused, close_on_message;
    const char *process; /* in its HELLO; NULL: none */
};

struct scene {
    struct loop *loop;
    struct test_door door;
    struct caller caller;
};

/* ---- The broker */

static void send_ping(struct scene *s, uint64_t stamp)
{
    struct buf b = {0};
    m_pong_encode(&(struct m_pong){.stamp = stamp}, &b);
    net_server_send(s->door.server, s->door.peer, buf_span(&b));
    buf_free(&b);
}

static enum refusal on_hello(void *self, uint64_t peer, const struct hash *key, const char *address,
                             struct span hello, struct error *ret_text)
{
    struct scene *s = self;
    struct m_hello m;
    struct buf b = {0};

    assert_int_equal(m_hello_decode(hello, &m, NULL), 0);
    assert_true(peer > s->door.peer);
    s->door.hellos++;
    if (s->door.earlier && m.process.n) {
        error_set(ret_text, -EPROTO, "HELLO: 1 unexpected fields");
        return REFUSAL_MALFORMED;
    }
    s->door.peer_key = *key;
    snprintf(s->door.address, sizeof s->door.address, "%s", address);
    if (s->door.refuse) {
        error_set(ret_text, -EACCES, "principal 'nobody' is not welcome");
        return s->door.refuse;
    }
    s->door.peer = peer;
    if (s->door.welcome) {
        m_welcome_encode(&(struct m_welcome){.cluster = span_str("test"), .broker = span_str("b0")},
                         &b);
        assert_int_equal(net_server_send(s->door.server, peer, buf_span(&b)), 0);
        buf_free(&b);
    }
    return REFUSAL_NONE;
}

static void on_message(void *self, uint64_t peer, uint64_t kind, struct span message)
{
    struct scene *s = self;
    struct m_ping ping;

    assert_true(peer == s->door.peer || s->door.many);
    if (kind != KIND_M_PING)
        return;
    assert_int_equal(m_ping_decode(message, &ping, NULL), 0);
    s->door.messages++;
    s->door.stamps += ping.stamp;
    if (s->door.answer)
        send_ping(s, ping.stamp);
    if (s->door.close_on_message) {
        struct buf last = {0};
        m_reset_encode(&(struct m_reset){.reason = span_str("enough")}, &last);
        net_server_close_peer(s->door.server, peer, buf_span(&last));
        buf_free(&last);
    }
}

static void on_down(void *self, uint64_t peer, const char *reason)
{
    struct scene *s = self;
    (void)peer;
    s->door.downs++;
    snprintf(s->door.reason, sizeof s->door.reason, "%s", reason);
}

static void on_window(void *self, uint64_t peer)
{
    struct scene *s = self;
    (void)peer;
    s->door.windows++;
}

static int open_door(struct scene *s, const char *listen, int64_t lease_ms, struct error *err)
{
    const struct net_server_options o = {.listen = &listen,
                                         .n_listen = 1,
                                         .secret_transport = s->door.keys.secret,
                                         .public_transport = s->door.keys.public_key.b,
                                         .lease_ms = lease_ms};
    const struct net_server_calls calls = {
        .self = s, .hello = on_hello, .message = on_message, .down = on_down, .window = on_window};
    int rc = net_server_open(&s->door.server, s->loop, &o, &calls, err);
    if (rc == 0)
        snprintf(s->door.endpoint, sizeof s->door.endpoint, "%s",
                 net_server_endpoint(s->door.server, 0));
    return rc;
}

/* ---- The caller */

static void say_hello(void *self, struct m_hello *ret)
{
    const struct caller *c = self;
    assert_int_equal(ret->major, PROTO_MAJOR);
    assert_true(ret->software.n > 0);
    ret->certificate = span_str("not looked at here");
    ret->process = span_str(c->process);
}

static void when_up(void *self, const struct m_welcome *welcome)
{
    struct caller *c = self;
    assert_true(span_eq_str(welcome->cluster, "test"));
    c->ups++;
}

static void when_message(void *self, uint64_t kind, struct span message)
{
    struct caller *c = self;
    (void)message;
    c->messages++;
    c->pongs += kind == KIND_M_PONG;
    if (c->close_on_message)
        dialer_close(&c->dialer);
}

static void when_down(void *self, const char *reason)
{
    struct caller *c = self;
    c->downs++;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
}

static void when_refused(void *self, const struct m_refused *refused)
{
    struct caller *c = self;
    c->refusals++;
    c->code = refused->code;
    span_copy_str(refused->text, c->reason, sizeof c->reason);
    if (c->close_when_refused)
        dialer_close(&c->dialer);
}

static void when_window(void *self)
{
    struct caller *c = self;
    c->windows++;
}

static void dial_to(struct scene *s, struct caller *c, const char *const *addresses, unsigned n,
                    int64_t lease_ms)
{
    const struct dialer_options o = {.addresses = addresses,
                                     .n_addresses = n,
                                     .broker_key = s->door.keys.public_key,
                                     .secret_transport = c->keys.secret,
                                     .public_transport = c->keys.public_key.b,
                                     .lease_ms = lease_ms};
    const struct dialer_calls calls = {.self = c,
                                       .hello = say_hello,
                                       .up = when_up,
                                       .message = when_message,
                                       .down = when_down,
                                       .refused = when_refused,
                                       .window = when_window};
    assert_int_equal(dialer_open(&c->dialer, s->loop, &o, &calls, NULL), 0);
}

static void dial(struct scene *s, struct caller *c)
{
    const char *address = s->door.endpoint;
    dial_to(s, c, &address, 1, 0);
}

static int caller_sends(struct caller *c, uint64_t stamp)
{
    struct buf b = {0};
    m_ping_encode(&(struct m_ping){.stamp = stamp}, &b);
    int rc = dialer_send(c->dialer, buf_span(&b));
    buf_free(&b);
    return rc;
}

/* ---- The scene */

/* Runs the loop until `condition` holds. */
#define until(s, condition) \
    do { \
        int64_t end_ = clock_boot_ms() + PATIENCE_MS; \
        while (!(condition)) { \
            assert_int_equal(loop_turn((s)->loop, end_, NULL), 0); \
            if (clock_boot_ms() >= end_) \
                fail_msg("waited in vain for: %s", #condition); \
        } \
    } while (0)

static int scene_begin(void **state)
{
    struct scene *s = mem_zalloc(1, sizeof *s);
    s->loop = loop_new(NULL);
    crypto_box_keypair(s->door.keys.public_key.b, s->door.keys.secret);
    crypto_box_keypair(s->caller.keys.public_key.b, s->caller.keys.secret);
    s->door.welcome = true;
    s->door.answer = true;
    *state = s;
    return 0;
}

static int scene_open(void **state)
{
    struct error err;
    scene_begin(state);
    struct scene *s = *state;
    if (open_door(s, "127.0.0.1:*", 0, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    net_server_allow(s->door.server, &s->caller.keys.public_key, true);
    return 0;
}

static int scene_end(void **state)
{
    struct scene *s = *state;
    dialer_close(&s->caller.dialer);
    net_server_close(&s->door.server);
    loop_destroy(&s->loop);
    mem_free(state);
    return 0;
}

/* ---- Tests */

static void a_session_comes_up_and_carries_messages_both_ways(void **state)
{
    struct scene *s = *state;
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    assert_true(dialer_is_up(s->caller.dialer));
    assert_string_equal(dialer_trouble(s->caller.dialer), "");
    assert_true(hash_eq(&s->door.peer_key, &s->caller.keys.public_key));
    assert_contains(s->door.address, "127.0.0.1");
    for (uint64_t i = 1; i <= 50; i++)
        assert_int_equal(caller_sends(&s->caller, i), 0);
    until(s, s->door.messages == 50);
    assert_int_equal(s->door.stamps, 1275);
    until(s, s->caller.messages == 50);
    assert_int_equal(s->caller.downs, 0);
}

static void the_messages_of_a_turn_wait_for_its_end(void **state)
{
    struct scene *s = *state;
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    for (int i = 0; i < 3000; i++) /* far more messages than frames may be in flight */
        assert_int_equal(caller_sends(&s->caller, 1), 0);
    assert_true(dialer_window_open(s->caller.dialer));
    until(s, s->caller.pongs == 3000);
}

static void a_stranger_is_refused_and_told_why(void **state)
{
    struct scene *s = *state;
    net_server_allow(s->door.server, &s->caller.keys.public_key, false);
    dial(s, &s->caller);
    until(s, s->caller.refusals == 1);
    assert_int_equal(s->caller.code, REFUSAL_UNKNOWN_PRINCIPAL);
    assert_contains(s->caller.reason, "does not know our key");
    assert_contains(dialer_trouble(s->caller.dialer), "does not know our key");
    assert_int_equal(s->door.hellos, 0);
    net_server_allow(s->door.server, &s->caller.keys.public_key, true);
    until(s, s->caller.ups == 1); /* it keeps trying */
}

static void a_dialer_may_close_itself_when_it_is_refused(void **state)
{
    struct scene *s = *state;
    s->caller.close_when_refused = true;
    net_server_allow(s->door.server, &s->caller.keys.public_key, false);
    dial(s, &s->caller);
    until(s, s->caller.refusals == 1);
    assert_null(s->caller.dialer);

    net_server_allow(s->door.server, &s->caller.keys.public_key, true);
    s->door.refuse = REFUSAL_REVOKED;
    dial(s, &s->caller);
    until(s, s->caller.refusals == 2);
    assert_null(s->caller.dialer);
}

static void a_broker_of_the_first_version_gets_a_hello_that_it_can_read(void **state)
{
    struct scene *s = *state;
    s->door.earlier = true;
    s->caller.process = "here (process 1)";
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    assert_int_equal(s->door.hellos, 2);
    assert_int_equal(s->caller.refusals, 0);
}

static void a_dialer_does_not_talk_to_a_broker_with_another_key(void **state)
{
    struct scene *s = *state;
    struct keys right = s->door.keys;
    crypto_box_keypair(s->door.keys.public_key.b, s->door.keys.secret);
    dial(s, &s->caller); /* pins a key that the broker lacks */
    until(s, *dialer_trouble(s->caller.dialer));
    assert_contains(dialer_trouble(s->caller.dialer), "pinned");
    assert_int_equal(s->door.hellos, 0);
    s->door.keys = right;
}

/* A peer that speaks ZeroMQ but not CURVE gets nothing through. */
static void knocks_in_vain(struct scene *s, int plain)
{
    zsock_t *sock = zsock_new(ZMQ_DEALER);
    void *zmq = zsock_resolve(sock);
    struct caller other = {.keys = s->caller.keys};
    if (plain) {
        assert_int_equal(zmq_setsockopt(zmq, ZMQ_PLAIN_USERNAME, "anna", 4), 0);
        assert_int_equal(zmq_setsockopt(zmq, ZMQ_PLAIN_PASSWORD, "anna", 4), 0);
    }
    struct buf frame = {0};
    h_frame_encode(&(struct h_frame){.session = 1, .number = 1}, &frame);
    m_hello_encode(&(struct m_hello){.major = 1}, &frame);
    assert_int_equal(zmq_connect(zmq, s->door.endpoint), 0);
    assert_true(zmq_send(zmq, frame.p, frame.n, 0) > 0);
    buf_free(&frame);
    /* A later peer is served: had the first been let in, its HELLO would have come before. */
    for (int i = 1; i <= 2; i++) {
        dial(s, &other);
        until(s, other.ups == (unsigned)i);
        dialer_close(&other.dialer);
    }
    assert_int_equal(s->door.hellos, 2);
    zsock_destroy(&sock);
}

static void a_peer_without_encryption_is_refused(void **state)
{
    knocks_in_vain(*state, 0);
}

static void a_peer_with_a_password_is_refused(void **state)
{
    knocks_in_vain(*state, 1);
}

static void a_refused_hello_says_why_and_is_retried(void **state)
{
    struct scene *s = *state;
    s->door.refuse = REFUSAL_BUSY;
    dial(s, &s->caller);
    until(s, s->caller.refusals == 1);
    assert_int_equal(s->caller.code, REFUSAL_BUSY);
    assert_string_equal(s->caller.reason, "principal 'nobody' is not welcome");
    assert_contains(dialer_trouble(s->caller.dialer), "refused: principal 'nobody'");
    assert_int_equal(s->caller.ups + s->caller.downs + s->door.downs, 0);
    s->door.refuse = REFUSAL_NONE;
    until(s, s->caller.ups == 1);
}

static void a_restarted_broker_is_found_again(void **state)
{
    struct scene *s = *state;
    struct error err;
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    net_server_close(&s->door.server);
    until(s, s->caller.downs == 1);
    assert_false(dialer_is_up(s->caller.dialer));
    assert_int_equal(caller_sends(&s->caller, 1), -ENOTCONN);
    char endpoint[NET_ENDPOINT_MAX];
    snprintf(endpoint, sizeof endpoint, "%s", s->door.endpoint);
    /* libzmq lets go of the port in the background */
    until(s, open_door(s, endpoint, 0, &err) == 0);
    net_server_allow(s->door.server, &s->caller.keys.public_key, true);
    s->door.peer = 0;
    until(s, s->caller.ups == 2);
    assert_int_equal(caller_sends(&s->caller, 7), 0);
    until(s, s->caller.messages == 1);
}

static void a_closed_session_starts_again(void **state)
{
    struct scene *s = *state;
    s->door.close_on_message = true;
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    caller_sends(&s->caller, 1);
    caller_sends(&s->caller, 1); /* in the same frame; its session is gone by then */
    until(s, s->caller.downs == 1);
    assert_contains(s->caller.reason, "enough");
    assert_int_equal(s->door.messages, 1);
    assert_int_equal(s->door.downs, 0);   /* the side that closes is not told */
    assert_int_equal(s->caller.pongs, 1); /* what was queued first left first */
    s->door.close_on_message = false;
    until(s, s->caller.ups == 2);
    assert_int_equal(net_server_send(s->door.server, 1, span_str("x")), -ENOENT);
}

static void goodbye_ends_the_session_at_once(void **state)
{
    struct scene *s = *state;
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    caller_sends(&s->caller, 5);
    dialer_close(&s->caller.dialer);
    until(s, s->door.downs == 1);
    assert_string_equal(s->door.reason, "it said goodbye");
    assert_int_equal(s->door.messages, 1); /* sent first, heard first */
    assert_int_equal(s->caller.downs, 0);
}

static void a_goodbye_among_the_messages_ends_the_session_too(void **state)
{
    struct scene *s = *state;
    struct buf bye = {0};
    m_bye_encode(&(struct m_bye){0}, &bye);
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    dialer_send(s->caller.dialer, buf_span(&bye));
    caller_sends(&s->caller, 1); /* behind it: not heard */
    until(s, s->door.downs == 1);
    assert_string_equal(s->door.reason, "it said goodbye");
    assert_int_equal(s->door.messages, 0);
    buf_free(&bye);
}

static void a_dialer_may_close_itself_between_two_messages(void **state)
{
    struct scene *s = *state;
    s->caller.close_on_message = true;
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    caller_sends(&s->caller, 1);
    caller_sends(&s->caller, 2);
    until(s, s->caller.messages == 1);
    assert_null(s->caller.dialer);
    until(s, s->door.downs == 1);
    assert_int_equal(s->caller.messages, 1);
    assert_int_equal(s->caller.downs, 0);
}

static void the_window_fills_and_opens_again(void **state)
{
    struct scene *s = *state;
    struct buf big = {0};
    struct net_server_owed owed;
    uint8_t *bytes = mem_zalloc(1, 60000);
    unsigned sent = 0;

    m_revoked_encode(&(struct m_revoked){.list = span_of(bytes, 60000)}, &big);
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    for (; net_server_window_open(s->door.server, s->door.peer); sent++)
        assert_int_equal(net_server_send(s->door.server, s->door.peer, buf_span(&big)), 0);
    for (int i = 0; i < 20; i++, sent++) /* it goes on into the queue */
        assert_int_equal(net_server_send(s->door.server, s->door.peer, buf_span(&big)), 0);
    assert_true(sent > 25 && sent < 40);
    net_server_owed(s->door.server, &owed);
    /* and the heads of the frames */
    assert_true(owed.now >= sent * big.n && owed.now < (sent + 1) * big.n);
    assert_int_equal(owed.most, owed.now);
    until(s, s->door.windows == 1);
    until(s, s->caller.messages == sent);
    net_server_owed(s->door.server, &owed);
    assert_true(owed.now < LIMIT_WINDOW); /* acknowledgements come late, but within the window */
    assert_true(owed.most >= sent * big.n);
    assert_true(net_server_window_open(s->door.server, s->door.peer));

    while (net_server_window_open(s->door.server, s->door.peer))
        send_ping(s, 1);
    until(s, s->door.windows == 2); /* each peer asked about is told, although all left at once */

    for (sent = 0; dialer_window_open(s->caller.dialer); sent++)
        assert_int_equal(dialer_send(s->caller.dialer, buf_span(&big)), 0);
    until(s, s->caller.windows == 1);
    buf_free(&big);
    mem_free(&bytes);
}

static void a_peer_with_too_much_queued_is_dropped(void **state)
{
    struct scene *s = *state;
    struct buf big = {0};
    uint8_t *bytes = mem_zalloc(1, 60000);
    size_t sent = 0;

    m_revoked_encode(&(struct m_revoked){.list = span_of(bytes, 60000)}, &big);
    dial(s, &s->caller);
    until(s, s->caller.ups == 1);
    while (net_server_send(s->door.server, s->door.peer, buf_span(&big)) == 0)
        sent += big.n;
    assert_true(sent <= LIMIT_SESSION_QUEUE);
    assert_int_equal(net_server_send(s->door.server, s->door.peer, buf_span(&big)), -ENOENT);
    assert_int_equal(s->door.downs, 0);
    until(s, s->door.downs == 1);
    assert_contains(s->door.reason, "send queue full");
    until(s, s->caller.ups == 2); /* its next frame was answered with a reset */
    assert_contains(s->caller.reason, "unknown session");
    buf_free(&big);
    mem_free(&bytes);
}

/* A peer made by hand, for what a dialer would never do. */
struct bare_client {
    struct net_socket *socket;
    struct net_packet packet;
};

static void hand_connect(struct scene *s, struct bare_client *h)
{
    const struct net_keys keys = {.secret = s->caller.keys.secret,
                                  .public_key = s->caller.keys.public_key.b};
    assert_int_equal(net_dealer_open(&h->socket, &keys, &s->door.keys.public_key, NULL), 0);
    assert_int_equal(net_dealer_connect(h->socket, s->door.endpoint, NULL), 0);
    until(s, (loop_set_deadline(s->loop, clock_boot_ms() + 5), net_socket_writable(h->socket)));
}

static void hand_says(struct bare_client *h, uint64_t session, uint64_t number, bool hello)
{
    struct buf frame = {0};
    h_frame_encode(&(struct h_frame){.session = session, .number = number}, &frame);
    if (hello)
        m_hello_encode(&(struct m_hello){.major = 1}, &frame);
    else
        m_ping_encode(&(struct m_ping){.stamp = 1}, &frame);
    assert_int_equal(net_socket_send(h->socket, SPAN_NONE, buf_span(&frame)), 0);
    buf_free(&frame);
}

/* The kind of the next last word, which is for `session`; others are skipped. */
static uint64_t hand_hears(struct scene *s, struct bare_client *h, uint64_t session)
{
    uint64_t got = 0, kind = 0;
    struct span message;
    for (bool found = false; !found;) {
        until(s, (loop_set_deadline(s->loop, clock_boot_ms() + 5),
                  net_socket_take(h->socket, &h->packet)));
        found = session_is_last_word(h->packet.body, &got, &kind, &message);
        net_packet_release(&h->packet);
    }
    assert_int_equal(got, session);
    return kind;
}

static void a_frame_of_an_unknown_session_is_answered_with_one_reset(void **state)
{
    struct scene *s = *state;
    struct bare_client h;
    hand_connect(s, &h);
    for (int i = 0; i < 100; i++)
        hand_says(&h, 77, (uint64_t)i + 3, false);
    assert_int_equal(hand_hears(s, &h, 77), KIND_M_RESET);
    hand_says(&h, 78, 1, true); /* answered after everything before it */
    until(s, s->door.hellos == 1);
    hand_says(&h, 78, 9, false); /* a gap */
    /* the next word is for session 78: session 77 got only one */
    assert_int_equal(hand_hears(s, &h, 78), KIND_M_RESET);
    assert_int_equal(s->door.downs, 1);
    assert_contains(s->door.reason, "lost");
    net_socket_close(&h.socket, 0);
}

static void bytes_that_are_not_a_frame_are_refused(void **state)
{
    struct scene *s = *state;
    struct bare_client h;
    hand_connect(s, &h);
    assert_int_equal(net_socket_send(h.socket, SPAN_NONE, span_str("hello?")), 0);
    assert_int_equal(hand_hears(s, &h, 0), KIND_M_REFUSED);
    hand_says(&h, 5, 1, true);
    until(s, s->door.hellos == 1);
    assert_int_equal(net_socket_send(h.socket, SPAN_NONE, span_str("garbage")), 0);
    assert_int_equal(hand_hears(s, &h, 5), KIND_M_RESET);
    until(s, s->door.downs == 1);
    net_socket_close(&h.socket, 0);
}

static void a_second_hello_on_a_connection_replaces_the_first(void **state)
{
    struct scene *s = *state;
    struct bare_client h;
    hand_connect(s, &h);
    hand_says(&h, 5, 1, true);
    until(s, s->door.hellos == 1);
    hand_says(&h, 6, 1, true);
    until(s, s->door.hellos == 2);
    assert_int_equal(s->door.downs, 1);
    hand_says(&h, 6, 2, true); /* but not inside the session */
    assert_int_equal(hand_hears(s, &h, 6), KIND_M_RESET);
    assert_int_equal(s->door.downs, 2);
    net_socket_close(&h.socket, 0);
}

static void a_message_of_several_parts_ends_the_session(void **state)
{
    struct scene *s = *state;
    zsock_t *sock = zsock_new(ZMQ_DEALER);
    void *zmq = zsock_resolve(sock);
    struct buf frame = {0};

    zmq_setsockopt(zmq, ZMQ_CURVE_SERVERKEY, s->door.keys.public_key.b, 32);
    zmq_setsockopt(zmq, ZMQ_CURVE_SECRETKEY, s->caller.keys.secret, 32);
    zmq_setsockopt(zmq, ZMQ_CURVE_PUBLICKEY, s->caller.keys.public_key.b, 32);
    assert_int_equal(zmq_connect(zmq, s->door.endpoint), 0);
    h_frame_encode(&(struct h_frame){.session = 9, .number = 1}, &frame);
    m_hello_encode(&(struct m_hello){.major = 1}, &frame);
    assert_true(zmq_send(zmq, frame.p, frame.n, 0) > 0);
    until(s, s->door.hellos == 1);
    assert_true(zmq_send(zmq, frame.p, frame.n, ZMQ_SNDMORE) > 0);
    assert_true(zmq_send(zmq, frame.p, frame.n, 0) > 0);
    until(s, s->door.downs == 1);
    assert_contains(s->door.reason, "several parts");
    buf_free(&frame);
    zsock_destroy(&sock);
}

static int scene_short(void **state)
{
    scene_begin(state);
    struct scene *s = *state;
    if (open_door(s, "127.0.0.1:*", 300, NULL) < 0)
        return -1;
    net_server_allow(s->door.server, &s->caller.keys.public_key, true);
    return 0;
}

static void a_silent_peer_is_down_when_its_lease_ends(void **state)
{
    struct scene *s = *state;
    struct bare_client h;
    hand_connect(s, &h);
    hand_says(&h, 5, 1, true);
    until(s, s->door.hellos == 1);
    int64_t began = clock_boot_ms();
    until(s, s->door.downs == 1);
    assert_contains(s->door.reason, "silent");
    assert_true(clock_boot_ms() - began >= 295);
    net_socket_close(&h.socket, 0);
}

static void a_peer_whose_frames_were_read_late_is_not_taken_for_silent(void **state)
{
    struct scene *s = *state;
    struct bare_client h;
    hand_connect(s, &h);
    hand_says(&h, 5, 1, true);
    until(s, s->door.hellos == 1);
    for (uint64_t number = 2; number < 5; number++) { /* we were stopped meanwhile, it was not */
        int64_t end = clock_boot_ms() + 350;
        hand_says(&h, 5, number, false);
        while (clock_boot_ms() < end)
            net_socket_wait(h.socket, false, 5);
        until(s, s->door.messages == number - 1);
    }
    assert_int_equal(s->door.downs, 0);
    net_socket_close(&h.socket, 0);
}

/* Every connection to the door that this process has dies with a reset when it is closed. */
static void connections_will_be_reset(const struct scene *s)
{
    const struct linger at_once = {.l_onoff = 1};
    const int port = atoi(strrchr(s->door.endpoint, ':') + 1);
    struct sockaddr_in6 peer; /* the port of an IPv4 address is at the same place */
    int found = 0;
    for (int fd = 0; fd < 1024; fd++) {
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
            ntohs(peer.sin6_port) == port) {
            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
            found++;
        }
    }
    assert_true(found > 0);
}

/* libzmq's own heartbeats abort the process in this case: their timer (5 s) finds a connection that
 * was reset while its frames were left unread. */
static void a_peer_that_dies_while_its_frames_are_unread_does_no_harm(void **state)
{
    enum { FRAMES = 60, OVER_A_HEARTBEAT_MS = 6000 };
    struct scene *s = *state;
    struct bare_client h, other;
    s->door.many = true;
    hand_connect(s, &h);
    connections_will_be_reset(s);
    hand_connect(s, &other);
    hand_says(&h, 5, 1, true);
    until(s, s->door.hellos == 1);
    for (uint64_t number = 2; number < FRAMES; number++)
        hand_says(&h, 5, number, false);
    int64_t end = clock_boot_ms() + OVER_A_HEARTBEAT_MS;
    while (clock_boot_ms() < end - OVER_A_HEARTBEAT_MS / 2) /* we are stopped */
        net_socket_wait(other.socket, false, 50);
    net_socket_close(&h.socket, 0);
    while (clock_boot_ms() < end)
        net_socket_wait(other.socket, false, 50);
    hand_says(&other, 6, 1, true);
    until(s, s->door.hellos == 2);
    net_socket_close(&other.socket, 0);
}

static void more_peers_than_a_turn_handles_are_not_taken_for_silent(void **state)
{
    enum { N = 150 };
    struct scene *s = *state;
    static struct bare_client h[N];
    /* longer than the handshakes of all take on a busy machine */
    assert_int_equal(open_door(s, "127.0.0.1:*", 5000, NULL), 0);
    net_server_allow(s->door.server, &s->caller.keys.public_key, true);
    s->door.many = true;
    for (unsigned i = 0; i < N; i++) {
        hand_connect(s, &h[i]);
        hand_says(&h[i], i + 1, 1, true);
        until(s, s->door.hellos == i + 1);
    }
    for (unsigned i = 0; i < N; i++)
        hand_says(&h[i], i + 1, 2, false);
    int64_t end = clock_boot_ms() + 5100;
    while (clock_boot_ms() < end) /* we are stopped for longer than the lease */
        net_socket_wait(h[0].socket, false, 5);
    until(s, s->door.messages == N);
    assert_int_equal(s->door.downs, 0);
    for (unsigned i = 0; i < N; i++)
        net_socket_close(&h[i].socket, 0);
}

/* A broker made by hand: takes the dialer's HELLO and welcomes it; *ret_head names the session. */
static void mute_welcomes(struct scene *s, struct net_socket **ret, struct net_packet *p,
                          struct h_frame *head)
{
    char endpoint[NET_ENDPOINT_MAX];
    const struct net_keys keys = {.secret = s->door.keys.secret,
                                  .public_key = s->door.keys.public_key.b};
    const char *address = endpoint;
    struct buf frame = {0};

    assert_int_equal(net_router_open(ret, &keys, NULL), 0); /* the same ZAP handler decides */
    assert_int_equal(net_router_bind(*ret, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    dial_to(s, &s->caller, &address, 1, 300);
    /* its HELLO */
    until(s, (loop_set_deadline(s->loop, clock_boot_ms() + 5), net_socket_take(*ret, p)));
    assert_int_equal(session_peek(p->body, head, NULL), 0);
    h_frame_encode(&(struct h_frame){.session = head->session, .number = 1, .ack = 1}, &frame);
    m_welcome_encode(&(struct m_welcome){.cluster = span_str("test")}, &frame);
    assert_int_equal(net_socket_send(*ret, p->route, buf_span(&frame)), 0);
    until(s, s->caller.ups == 1);
    buf_free(&frame);
}

static void a_last_word_for_another_session_is_ignored(void **state)
{
    struct scene *s = *state;
    struct net_socket *mute;
    struct net_packet p;
    struct h_frame head;
    struct buf reset = {0}, frame = {0};

    mute_welcomes(s, &mute, &p, &head);
    m_reset_encode(&(struct m_reset){.reason = span_str("theirs")}, &reset);
    session_last_word(head.session + 1, buf_span(&reset), &frame);
    assert_int_equal(net_socket_send(mute, p.route, buf_span(&frame)), 0);
    buf_clear(&reset);
    m_reset_encode(&(struct m_reset){.reason = span_str("ours")}, &reset);
    session_last_word(head.session, buf_span(&reset), &frame);
    assert_int_equal(net_socket_send(mute, p.route, buf_span(&frame)), 0);
    until(s, s->caller.downs == 1);
    assert_contains(s->caller.reason, "ours");
    net_packet_release(&p);
    buf_free(&reset);
    buf_free(&frame);
    net_socket_close(&mute, 0);
}

static void a_dialer_leaves_a_silent_broker(void **state)
{
    struct scene *s = *state;
    struct net_socket *mute;
    struct net_packet p;
    struct h_frame head;
    mute_welcomes(s, &mute, &p, &head);
    until(s, s->caller.downs == 1);
    assert_contains(s->caller.reason, "silent");
    net_packet_release(&p);
    net_socket_close(&mute, 0);
}

static void the_second_address_is_tried_when_the_first_does_not_answer(void **state)
{
    struct scene *s = *state;
    const char *addresses[] = {"127.0.0.1:1", s->door.endpoint};
    dial_to(s, &s->caller, addresses, 2, 0);
    until(s, s->caller.ups == 1);
    assert_string_equal(dialer_address(s->caller.dialer), s->door.endpoint);
}

static void an_absent_broker_is_reported_in_readable_words(void **state)
{
    struct scene *s = *state;
    const char *address = "127.0.0.1:1";
    dial_to(s, &s->caller, &address, 1, 0);
    until(s, *dialer_trouble(s->caller.dialer));
    assert_contains(dialer_trouble(s->caller.dialer), "tcp://127.0.0.1:1: nobody answers");
}

static void an_answered_ping_renews_the_lease(void **state)
{
    struct scene *s = *state;
    dial(s, &s->caller);
    assert_int_equal(dialer_renewed(s->caller.dialer), 0);
    until(s, s->caller.ups == 1);
    int64_t first = dialer_renewed(s->caller.dialer);
    assert_true(first > 0 && first <= clock_boot_ms());
    until(s, dialer_renewed(s->caller.dialer) > first);
    assert_true(dialer_renewed(s->caller.dialer) <= clock_boot_ms());
    assert_int_equal(s->door.messages, 1); /* one for each heartbeat */
    first = dialer_renewed(s->caller.dialer);
    send_ping(s, (uint64_t)clock_boot_ms() + 1000000); /* an answer to a PING that was never sent */
    until(s, s->caller.pongs >= 2);
    assert_true(dialer_renewed(s->caller.dialer) <= clock_boot_ms());
}

static void addresses_and_keys_are_checked_when_a_dialer_opens(void **state)
{
    struct scene *s = *state;
    const char *bad = "wh0:port";
    const struct dialer_options o = {.addresses = &bad,
                                     .n_addresses = 1,
                                     .secret_transport = s->caller.keys.secret,
                                     .public_transport = s->caller.keys.secret};
    const struct dialer_options none = {.secret_transport = s->caller.keys.secret,
                                        .public_transport = s->caller.keys.secret};
    const struct dialer_calls calls = {0};
    struct error err;
    assert_int_equal(dialer_open(&s->caller.dialer, s->loop, &o, &calls, &err), -EINVAL);
    assert_contains(err.text, "wh0:port");
    assert_int_equal(dialer_open(&s->caller.dialer, s->loop, &none, &calls, &err), -EINVAL);
}

static void a_second_server_or_a_bad_endpoint_is_not_opened(void **state)
{
    struct scene *s = *state;
    struct scene other = {.loop = s->loop, .door.keys = s->door.keys};
    struct error err;
    assert_true(open_door(&other, s->door.endpoint, 0, &err) < 0); /* one ZAP handler per process */
    assert_null(other.door.server);
    net_server_close(&s->door.server);
    const char *bad = "nowhere";
    s->door.server = NULL;
    assert_true(open_door(s, "300.1.1.1:80x", 0, &err) == -EINVAL);
    assert_contains(err.text, "300.1.1.1:80x");
    (void)bad;
}

static void the_program_keeps_its_own_signal_handlers(void **state)
{
    struct sigaction term, interrupt;
    (void)state;
    sigaction(SIGTERM, NULL, &term);
    sigaction(SIGINT, NULL, &interrupt);
    assert_true(term.sa_handler == SIG_DFL);
    /* Ignored if a shell started us in the background. */
    assert_true(interrupt.sa_handler == SIG_DFL || interrupt.sa_handler == SIG_IGN);
}

#define in_scene(t)       cmocka_unit_test_setup_teardown(t, scene_open, scene_end)
#define in_short_scene(t) cmocka_unit_test_setup_teardown(t, scene_short, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_scene(a_session_comes_up_and_carries_messages_both_ways),
        in_scene(the_messages_of_a_turn_wait_for_its_end),
        in_scene(a_stranger_is_refused_and_told_why),
        in_scene(a_dialer_may_close_itself_when_it_is_refused),
        in_scene(a_broker_of_the_first_version_gets_a_hello_that_it_can_read),
        in_scene(a_dialer_does_not_talk_to_a_broker_with_another_key),
        in_scene(a_peer_without_encryption_is_refused),
        in_scene(a_peer_with_a_password_is_refused),
        in_scene(a_refused_hello_says_why_and_is_retried),
        in_scene(a_restarted_broker_is_found_again),
        in_scene(a_closed_session_starts_again),
        in_scene(goodbye_ends_the_session_at_once),
        in_scene(a_goodbye_among_the_messages_ends_the_session_too),
        in_scene(a_dialer_may_close_itself_between_two_messages),
        in_scene(the_window_fills_and_opens_again),
        in_scene(a_peer_with_too_much_queued_is_dropped),
        in_scene(a_frame_of_an_unknown_session_is_answered_with_one_reset),
        in_scene(bytes_that_are_not_a_frame_are_refused),
        in_scene(a_second_hello_on_a_connection_replaces_the_first),
        in_scene(a_message_of_several_parts_ends_the_session),
        in_short_scene(a_silent_peer_is_down_when_its_lease_ends),
        in_short_scene(a_peer_whose_frames_were_read_late_is_not_taken_for_silent),
        in_scene(a_peer_that_dies_while_its_frames_are_unread_does_no_harm),
        cmocka_unit_test_setup_teardown(more_peers_than_a_turn_handles_are_not_taken_for_silent,
                                        scene_begin, scene_end),
        in_scene(a_last_word_for_another_session_is_ignored),
        in_scene(a_dialer_leaves_a_silent_broker),
        in_scene(the_second_address_is_tried_when_the_first_does_not_answer),
        in_scene(an_absent_broker_is_reported_in_readable_words),
        in_scene(an_answered_ping_renews_the_lease),
        in_scene(addresses_and_keys_are_checked_when_a_dialer_opens),
        in_scene(a_second_server_or_a_bad_endpoint_is_not_opened),
        in_scene(the_program_keeps_its_own_signal_handlers),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
