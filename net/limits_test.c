/* What one principal may cost the broker: real sockets on loopback, with clients made by hand that
 * keep no rules. */
#include "common/testing.h"

#include <czmq.h>
#include <sodium.h>

#include "common/clock.h"
#include "net/server.h"
#include "net/session.h"
#include "net/socket.h"

enum { PATIENCE_MS = 20000, LOG_MAX = 4096, GUESTS = 100 };

struct guest {
    struct net_socket *socket;
    uint64_t session, number;
    /* what it has heard: last words by kind, and messages */
    unsigned refused, resets, pongs, messages;
    uint64_t ack, seen, code; /* seen: the number of the newest frame */
    bool closed;              /* its connection was closed */
};

struct house {
    struct loop *loop;
    struct net_server *server;
    struct budgets *budgets;
    struct hash broker;
    uint8_t secret[32];
    struct hash public_key[2]; /* of two principals */
    uint8_t guest_secret[2][32];
    char endpoint[NET_ENDPOINT_MAX];
    struct guest guests[GUESTS];
    unsigned n;
    /* what the server has told */
    struct hash key[LOG_MAX]; /* of whom the messages were, in the order of handling */
    uint64_t stamp[LOG_MAX];
    unsigned handled, hellos, downs, troubles, windows;
    uint64_t peer;
    char trouble[300], reason[300];
    int64_t burn_us; /* what each message of the first principal costs */
};

/* ---- The broker */

static const char *name_of(void *house, const struct hash *key)
{
    const struct house *h = house;
    return hash_eq(key, &h->public_key[0]) ? "anna" : "bert";
}

static enum refusal on_hello(void *self, uint64_t peer, const struct hash *key, const char *address,
                             struct span hello, struct error *why)
{
    struct house *h = self;
    (void)address, (void)hello, (void)why;
    (void)key;
    h->hellos++;
    h->peer = peer;
    return REFUSAL_NONE;
}

static void on_message(void *self, uint64_t peer, uint64_t kind, struct span message)
{
    struct house *h = self;
    struct m_ping ping;
    struct buf b = {0};
    bool slow = peer % 2; /* anna's come first, by turns: see two_come */
    int64_t end = clock_boot_us() + (slow ? h->burn_us : 0);

    assert_int_equal(kind, KIND_M_PING);
    assert_int_equal(m_ping_decode(message, &ping, NULL), 0);
    assert_true(h->handled < LOG_MAX);
    h->key[h->handled] = h->public_key[!slow];
    h->stamp[h->handled++] = ping.stamp;
    while (clock_boot_us() < end)
        ;
    m_pong_encode(&(struct m_pong){.stamp = ping.stamp}, &b);
    net_server_send(h->server, peer, buf_span(&b));
    buf_free(&b);
}

static void on_down(void *self, uint64_t peer, const char *reason)
{
    struct house *h = self;
    (void)peer;
    h->downs++;
    snprintf(h->reason, sizeof h->reason, "%s", reason);
}

static void on_window(void *self, uint64_t peer)
{
    (void)peer;
    ((struct house *)self)->windows++;
}

static void on_trouble(void *self, const struct hash *key, const char *text)
{
    struct house *h = self;
    assert_true(!key || hash_eq(key, &h->public_key[0]));
    h->troubles++;
    snprintf(h->trouble, sizeof h->trouble, "%s", text);
}

/* ---- The scene */

static int house_open(void **state)
{
    struct house *h = mem_zalloc(1, sizeof *h);
    const char *listen = "127.0.0.1:*";
    struct error err;
    h->loop = loop_new(NULL);
    h->budgets = budgets_new();
    budgets_name_by(h->budgets, name_of, h);
    crypto_box_keypair(h->broker.b, h->secret);
    const struct net_server_options o = {.listen = &listen,
                                         .n_listen = 1,
                                         .secret_transport = h->secret,
                                         .public_transport = h->broker.b,
                                         .quiet_ms = 1500,
                                         .budgets = h->budgets};
    const struct net_server_calls calls = {h, on_hello, on_message, on_down, on_window, on_trouble};
    if (net_server_open(&h->server, h->loop, &o, &calls, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    snprintf(h->endpoint, sizeof h->endpoint, "%s", net_server_endpoint(h->server, 0));
    for (unsigned i = 0; i < 2; i++) {
        crypto_box_keypair(h->public_key[i].b, h->guest_secret[i]);
        net_server_allow(h->server, &h->public_key[i], true);
    }
    *state = h;
    return 0;
}

static int house_close(void **state)
{
    struct house *h = *state;
    for (unsigned i = 0; i < h->n; i++)
        net_socket_close(&h->guests[i].socket, 0);
    net_server_close(&h->server);
    /* all that was taken was given back */
    for (unsigned b = 0; b < BUDGET_COUNT; b++)
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(budgets_used(h->budgets, &h->public_key[i], b), 0);
    budgets_free(&h->budgets);
    loop_destroy(&h->loop);
    mem_free(state);
    return 0;
}

static void listen_to(struct guest *g)
{
    struct net_packet p;
    enum net_news news;
    while (net_socket_take(g->socket, &p)) {
        struct h_frame head;
        struct span word;
        struct m_refused refused;
        uint64_t session, kind;
        assert_int_equal(session_peek(p.body, &head, NULL), 0);
        if (session_is_last_word(p.body, &session, &kind, &word)) {
            g->resets += kind == KIND_M_RESET;
            g->refused += kind == KIND_M_REFUSED;
            if (kind == KIND_M_REFUSED && m_refused_decode(word, &refused, NULL) == 0)
                g->code = refused.code;
        } else {
            g->ack = head.ack;
            g->seen = head.number > g->seen ? head.number : g->seen;
            g->messages += head.number > 0;
        }
        net_packet_release(&p);
    }
    while ((news = net_socket_news(g->socket)) != NET_NEWS_NONE)
        g->closed |= news == NET_NEWS_LOST;
}

#define until(h, condition) \
    do { \
        int64_t end_ = clock_boot_ms() + PATIENCE_MS; \
        while (!(condition)) { \
            loop_set_deadline((h)->loop, clock_boot_ms() + 5); \
            assert_int_equal(loop_turn((h)->loop, end_, NULL), 0); \
            if (clock_boot_ms() >= end_) \
                fail_msg("waited in vain for: %s", #condition); \
        } \
    } while (0)

static bool heard(struct guest *g)
{
    listen_to(g);
    return true;
}

/* Connects as principal 0 or 1, in the background. */
static struct guest *dial(struct house *h, unsigned who)
{
    struct guest *g = &h->guests[h->n++];
    const struct net_keys keys = {.secret = h->guest_secret[who],
                                  .public_key = h->public_key[who].b};
    assert_true(h->n <= GUESTS);
    g->session = h->n;
    assert_int_equal(net_dealer_open(&g->socket, &keys, &h->broker, NULL), 0);
    assert_int_equal(net_socket_watch(g->socket, NULL), 0);
    assert_int_equal(net_dealer_connect(g->socket, h->endpoint, NULL), 0);
    return g;
}

static struct guest *connects(struct house *h, unsigned who)
{
    struct guest *g = dial(h, who);
    until(h, net_socket_writable(g->socket));
    return g;
}

static bool try_to_send(struct guest *g, const struct buf *frame)
{
    return net_socket_send(g->socket, SPAN_NONE, buf_span(frame)) == 0;
}

/* A frame with `pings` PINGs with these stamps; 0: an empty one. */
static void says(struct house *h, struct guest *g, uint64_t stamp, unsigned pings)
{
    struct buf b = {0};
    g->number += pings > 0;
    h_frame_encode(&(struct h_frame){.session = g->session, .number = g->number}, &b);
    for (unsigned i = 0; i < pings; i++)
        m_ping_encode(&(struct m_ping){.stamp = stamp + i}, &b);
    until(h, try_to_send(g, &b));
    buf_free(&b);
}

static void greets(struct house *h, struct guest *g)
{
    struct buf b = {0};
    g->number = 1;
    h_frame_encode(&(struct h_frame){.session = g->session, .number = 1}, &b);
    m_hello_encode(&(struct m_hello){.major = 1}, &b);
    until(h, try_to_send(g, &b));
    buf_free(&b);
}

static struct guest *comes(struct house *h, unsigned who)
{
    struct guest *g = connects(h, who);
    unsigned before = h->hellos;
    greets(h, g);
    until(h, h->hellos == before + 1);
    return g;
}

static struct net_server_counts counts(const struct house *h)
{
    struct net_server_counts c;
    net_server_counts(h->server, &c);
    return c;
}

/* The place in the order of handling, from 1; 0: not yet. */
static unsigned place_of(const struct house *h, uint64_t stamp)
{
    unsigned i = 0;
    while (i < h->handled && h->stamp[i] != stamp)
        i++;
    return i < h->handled ? i + 1 : 0;
}

/* ---- Turns */

static void one_who_asks_for_much_does_not_delay_another(void **state)
{
    enum { FRAMES = 10, PINGS = 30 };
    struct house *h = *state;
    struct guest *anna = comes(h, 0), *bert = comes(h, 1);
    h->burn_us = 1000;
    for (unsigned i = 0; i < FRAMES; i++)
        says(h, anna, i * PINGS, PINGS);
    until(h, h->handled > 0);
    unsigned before = h->handled;
    says(h, bert, 1000000, 1);
    until(h, place_of(h, 1000000));
    assert_true(before < FRAMES * PINGS / 2);
    assert_true(place_of(h, 1000000) < before + 100); /* of 300 that waited before it */
    assert_true(counts(h).full_turns > 0);
    assert_int_equal(counts(h).waiting, 1);
    until(h, h->handled == FRAMES * PINGS + 1);
    assert_int_equal(counts(h).waiting, 0);
    for (unsigned i = 0, last = 0; i < h->handled; i++) /* the order is kept */
        if (h->stamp[i] < 1000000) {
            assert_int_equal(h->stamp[i], last);
            last++;
        }
}

static void more_sessions_do_not_bring_more_turns(void **state)
{
    enum { SESSIONS = 8, PINGS = 40 };
    struct house *h = *state;
    struct guest *anna[SESSIONS], *bert;
    unsigned of_anna = 0, of_bert = 0;
    for (unsigned i = 0; i < SESSIONS; i++) { /* handles: anna's are odd */
        anna[i] = comes(h, 0);
        bert = comes(h, 1);
    }
    h->burn_us = 400;
    for (unsigned i = 0; i < SESSIONS; i++)
        says(h, anna[i], 0, PINGS);
    until(h, h->handled > 10);
    h->handled = 0;
    for (unsigned i = 0; i < 20; i++)
        says(h, bert, 0, 1);
    until(h, (bert->number == 21 && h->handled >= 60) || h->handled >= SESSIONS * PINGS);
    for (unsigned i = 0; i < 60; i++)
        if (hash_eq(&h->key[i], &h->public_key[0]))
            of_anna++;
        else
            of_bert++;
    assert_int_equal(of_bert, 20);
    assert_true(of_anna >= 20);
}

static void a_ping_alone_is_answered_while_messages_wait(void **state)
{
    enum { PINGS = 200 };
    struct house *h = *state;
    struct guest *anna = comes(h, 0);
    h->burn_us = 1000;
    says(h, anna, 0, PINGS);
    until(h, h->handled > 0);
    says(h, anna, 777, 1);
    until(h, place_of(h, 777));
    assert_true(place_of(h, 777) < PINGS / 2);
    until(h, h->handled == PINGS + 1);
    until(h, heard(anna) && anna->ack == 3); /* in order, when all before it was handled */
}

static void frames_are_acknowledged_when_they_have_been_handled(void **state)
{
    enum { PINGS = 100 };
    struct house *h = *state;
    struct guest *anna = comes(h, 0);
    h->burn_us = 2000;
    says(h, anna, 0, PINGS);
    until(h, heard(anna) && anna->messages > 0); /* the first answers */
    assert_true(h->handled < PINGS);
    assert_int_equal(anna->ack, 1);
    until(h, heard(anna) && anna->ack == 2);
    assert_int_equal(h->handled, PINGS);
}

static void a_goodbye_is_heard_behind_what_waits(void **state)
{
    enum { PINGS = 60 };
    struct house *h = *state;
    struct guest *anna = comes(h, 0);
    struct buf bye = {0}, frame = {0};
    h->burn_us = 1000;
    says(h, anna, 0, PINGS);
    m_bye_encode(&(struct m_bye){0}, &bye);
    session_last_word(anna->session, buf_span(&bye), &frame);
    assert_true(try_to_send(anna, &frame));
    until(h, h->downs == 1);
    assert_int_equal(h->handled, PINGS);
    assert_string_equal(h->reason, "it said goodbye");
    buf_free(&bye);
    buf_free(&frame);
}

static void one_who_goes_on_beyond_their_window_loses_the_session(void **state)
{
    struct house *h = *state;
    struct guest *anna = comes(h, 0);
    h->burn_us = 5000;
    for (unsigned i = 0; i < 100 && h->downs == 0; i++)
        says(h, anna, 0, 10);
    until(h, h->downs == 1);
    assert_contains(h->reason, "unacknowledged");
    assert_int_equal(counts(h).beyond_window, 1);
    until(h, heard(anna) && anna->resets > 0);
    until(h, heard(anna) && anna->closed);
}

static void a_flood_of_empty_frames_ends_the_session(void **state)
{
    struct house *h = *state;
    struct guest *anna = comes(h, 0);
    for (unsigned i = 0; i < 100; i++)
        says(h, anna, 0, 0);
    says(h, anna, 5, 1);
    until(h, h->handled == 1);
    assert_int_equal(h->downs, 0); /* a few that were late are no flood */
    for (unsigned i = 0; i < 1000 && h->downs == 0; i++)
        says(h, anna, 0, 0);
    until(h, h->downs == 1);
    assert_contains(h->reason, "bring nothing");
    until(h, heard(anna) && anna->closed);
}

/* ---- Budgets */

static void sessions_beyond_the_budget_are_refused_as_busy(void **state)
{
    struct house *h = *state;
    budgets_set_limit(h->budgets, BUDGET_SESSIONS, 3);
    struct guest *first = comes(h, 0);
    comes(h, 0);
    comes(h, 0);
    struct guest *fourth = connects(h, 0);
    greets(h, fourth);
    until(h, heard(fourth) && fourth->refused == 1);
    assert_int_equal(fourth->code, REFUSAL_BUSY);
    assert_int_equal(h->hellos, 3);
    assert_int_equal(counts(h).over_budget, 1);
    until(h, heard(fourth) && fourth->closed); /* soon */
    comes(h, 1);                               /* another principal has their own */
    net_socket_close(&first->socket, 0);
    first->socket = NULL;
}

static void bytes_that_wait_beyond_the_budget_end_the_session(void **state)
{
    struct house *h = *state;
    budgets_set_limit(h->budgets, BUDGET_BYTES_IN, 20000);
    struct guest *anna = comes(h, 0), *bert = comes(h, 1);
    h->burn_us = 2000;
    says(h, anna, 0, 1000);
    says(h, anna, 0, 3000);
    says(h, anna, 0, 3000);
    until(h, h->downs == 1);
    until(h, heard(anna) && anna->refused == 1);
    assert_int_equal(anna->code, REFUSAL_BUSY);
    assert_int_equal(h->troubles, 1);
    assert_contains(h->trouble, "'anna'");
    assert_int_equal(budgets_used(h->budgets, &h->public_key[0], BUDGET_BYTES_IN), 0);
    h->handled = 0;
    says(h, bert, 0, 1);
    until(h, h->handled == 1);
    assert_int_equal(h->downs, 1);
}

static void bytes_that_nobody_reads_end_the_session_that_is_too_much(void **state)
{
    struct house *h = *state;
    struct buf big = {0};
    uint8_t *bytes = mem_zalloc(1, 60000);
    m_revoked_encode(&(struct m_revoked){.list = span_of(bytes, 60000)}, &big);
    budgets_set_limit(h->budgets, BUDGET_BYTES_OUT, 1 << 20);
    comes(h, 0);
    uint64_t first = h->peer;
    comes(h, 0);
    unsigned sent = 0;
    for (; sent < 10; sent++)
        assert_int_equal(net_server_send(h->server, first, buf_span(&big)), 0);
    while (net_server_send(h->server, h->peer, buf_span(&big)) == 0)
        sent++;
    assert_true(sent >= 16 && sent <= 18); /* of both together */
    until(h, h->downs == 1);
    until(h, heard(&h->guests[1]) && h->guests[1].refused == 1);
    assert_int_equal(h->guests[1].code, REFUSAL_BUSY);
    assert_contains(h->trouble, "'anna'");
    assert_int_equal(net_server_send(h->server, first, buf_span(&big)), 0);
    assert_true(budgets_used(h->budgets, &h->public_key[0], BUDGET_BYTES_OUT) >= 11 * 60000);
    buf_free(&big);
    mem_free(&bytes);
}

static void acknowledges(struct house *h, struct guest *g, uint64_t ack)
{
    struct buf b = {0};
    h_frame_encode(&(struct h_frame){.session = g->session, .number = g->number, .ack = ack}, &b);
    until(h, try_to_send(g, &b));
    buf_free(&b);
}

static void what_can_wait_ends_no_session_and_is_called_when_there_is_room(void **state)
{
    struct house *h = *state;
    struct buf big = {0};
    uint8_t *bytes = mem_zalloc(1, 60000);
    m_revoked_encode(&(struct m_revoked){.list = span_of(bytes, 60000)}, &big);
    budgets_set_limit(h->budgets, BUDGET_BYTES_OUT, 512 << 10);
    struct guest *anna = comes(h, 0);
    uint64_t first = h->peer;
    comes(h, 0);
    while (net_server_has_room(h->server, first))
        assert_int_equal(net_server_send(h->server, first, buf_span(&big)), 0);
    assert_false(net_server_has_room(h->server, h->peer)); /* it owes nothing itself */
    assert_true(net_server_window_open(h->server, first));
    assert_int_equal(net_server_send(h->server, h->peer, buf_span(&big)), 0); /* an answer */
    until(h, heard(anna) && anna->messages >= 5); /* WELCOME is not one of them */
    assert_int_equal(h->windows, 0);
    acknowledges(h, anna, anna->seen);
    until(h, h->windows == 1);
    assert_true(net_server_has_room(h->server, h->peer));
    assert_int_equal(h->downs, 0);
    buf_free(&big);
    mem_free(&bytes);
}

/* ---- Connections */

static void a_connection_without_a_session_is_closed(void **state)
{
    struct house *h = *state;
    struct guest *silent = connects(h, 0), *anna = comes(h, 0);
    assert_int_equal(counts(h).connections, 2);
    until(h, heard(silent) && silent->closed);
    assert_int_equal(counts(h).closed, 1);
    says(h, anna, 0, 1);
    until(h, h->handled == 1);
    assert_int_equal(h->downs, 0);
}

static void a_connection_is_closed_some_time_after_its_session(void **state)
{
    struct house *h = *state;
    struct guest *anna = comes(h, 0);
    net_server_close_peer(h->server, h->peer, SPAN_NONE);
    until(h, heard(anna) && anna->closed);
}

static void a_half_open_handshake_is_closed(void **state)
{
    struct house *h = *state;
    zsock_t *raw = zsock_new(ZMQ_STREAM);
    zmq_connect(zsock_resolve(raw), h->endpoint);
    until(h, counts(h).connections == 1);
    until(h, counts(h).connections == 0);
    zsock_destroy(&raw);
}

static void a_key_has_only_so_many_connections_that_say_nothing(void **state)
{
    enum { MANY = 64 };
    struct house *h = *state;
    struct guest *g[MANY];
    for (unsigned i = 0; i < MANY; i++)
        g[i] = dial(h, 0);
    for (unsigned i = 0; i < MANY; i++)
        until(h, net_socket_writable(g[i]->socket));
    dial(h, 0);
    until(h, counts(h).handshakes_put_off > 0);
    connects(h, 1); /* another key has its own */
}

#define in_house(t) cmocka_unit_test_setup_teardown(t, house_open, house_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_house(one_who_asks_for_much_does_not_delay_another),
        in_house(more_sessions_do_not_bring_more_turns),
        in_house(a_ping_alone_is_answered_while_messages_wait),
        in_house(frames_are_acknowledged_when_they_have_been_handled),
        in_house(a_goodbye_is_heard_behind_what_waits),
        in_house(one_who_goes_on_beyond_their_window_loses_the_session),
        in_house(a_flood_of_empty_frames_ends_the_session),
        in_house(sessions_beyond_the_budget_are_refused_as_busy),
        in_house(bytes_that_wait_beyond_the_budget_end_the_session),
        in_house(bytes_that_nobody_reads_end_the_session_that_is_too_much),
        in_house(what_can_wait_ends_no_session_and_is_called_when_there_is_room),
        in_house(a_connection_without_a_session_is_closed),
        in_house(a_connection_is_closed_some_time_after_its_session),
        in_house(a_half_open_handshake_is_closed),
        in_house(a_key_has_only_so_many_connections_that_say_nothing),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
