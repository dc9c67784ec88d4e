/* socket.c - see socket.h. czmq makes and ends the sockets (its context, its bookkeeping);
 * everything else goes to libzmq through zsock_resolve. */
#include "net/socket.h"

#include <czmq.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <zmq.h>

#include "common/mem.h"
#include "net/zap.h"
#include "proto/limits.h"

/* Refuse rather than accept when no ZAP handler is there to ask. In libzmq since 4.3 but declared
   with its drafts. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

enum {
    /* Never the deciding limit: sessions hold at most LIMIT_WINDOW_FRAMES numbered frames in
     * flight. A pipe's writer learns of room only when its reader has taken half the mark, so the
     * mark is four times the window; the bytes behind it are bounded by the window's bytes. */
    SEND_FRAMES = 4 * LIMIT_WINDOW_FRAMES,
    /* Frames that a client has in memory before its connection is left unread: 8 MiB at worst. The
     * broker has no such mark: where libzmq stops to read, a peer that sends a ZMTP PING and dies
     * makes it abort (docs/transport.md). There connections.h bounds what is unread. */
    RECEIVE_FRAMES = 8,
    UNLIMITED = 0,
    /* The system's buffers of a broker's connection, each way; they would grow to several MiB. A
     * window fits into twice this, which is what the system makes of it. */
    KERNEL_BYTES = LIMIT_WINDOW / 2,
    /* A longer block is given back to the system when it is freed, so that a flood of long frames
     * leaves nothing behind; glibc would raise this by itself with the first one. */
    MAPPED_BYTES = 128 << 10,
    /* Unanswered segments end the connection; the system's default is a quarter of an hour. ZMTP's
     * heartbeats stay off: their timer aborts the process (docs/transport.md). A peer that has
     * vanished is found by our sessions' leases. */
    TCP_MAXRT_MS = 30000,
    BACKLOG = 4096, /* all servers of a cluster come back at once after a restart */
    /* each end draws its own from [least, 3 * least): no storm after a restart */
    RECONNECT_MIN_MS = 500,
    RECONNECT_MAX_MS = 30000 /* doubles up to this while nobody answers */
};

struct net_socket {
    zsock_t *sock;
    void *zmq; /* the same, for libzmq */
    bool routed;
    int fd;
    zsock_t *watch; /* NULL: its connections are not watched */
    int watch_fd;
};

static void begin_once(void)
{
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    zsys_handler_set(NULL); /* the program handles its own signals */
    zsys_init();
}

void net_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin_once);
}

struct number_option {
    const char *text; /* its name, for sentences */
    int name, value;
};
/* clang-format off */
#define OPTION(name, value) {#name, name, value}
/* clang-format on */

static int set_numbers(struct net_socket *s, const struct number_option *options, size_t n,
                       struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (zmq_setsockopt(s->zmq, options[i].name, &options[i].value, sizeof options[i].value) !=
            0)
            return error_set(err, -EIO, "libzmq refuses option %s = %d: %s", options[i].text,
                             options[i].value, zmq_strerror(errno));
    return 0;
}

static int set_bytes(struct net_socket *s, int name, const char *text, const void *p, size_t n,
                     struct error *err)
{
    if (zmq_setsockopt(s->zmq, name, p, n) != 0)
        return error_set(err, -EIO, "libzmq refuses option %s: %s", text, zmq_strerror(errno));
    return 0;
}

/* What both ends have in common. */
static int set_common(struct net_socket *s, const struct net_keys *keys, struct error *err)
{
    const struct number_option options[] = {
        OPTION(ZMQ_LINGER, 0),
        OPTION(ZMQ_SNDHWM, SEND_FRAMES),
        OPTION(ZMQ_RCVHWM, RECEIVE_FRAMES),
        OPTION(ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS),
        OPTION(ZMQ_TCP_MAXRT, TCP_MAXRT_MS),
        OPTION(ZMQ_IPV6, 1),
    };
    const int64_t most = LIMIT_FRAME;
    int rc;

    if ((rc = set_numbers(s, options, sizeof options / sizeof *options, err)) < 0 ||
        (rc = set_bytes(s, ZMQ_MAXMSGSIZE, "ZMQ_MAXMSGSIZE", &most, sizeof most, err)) < 0)
        return rc;
    if ((rc = set_bytes(s, ZMQ_CURVE_SECRETKEY, "ZMQ_CURVE_SECRETKEY", keys->secret, 32, err)) < 0)
        return rc;
    return set_bytes(s, ZMQ_CURVE_PUBLICKEY, "ZMQ_CURVE_PUBLICKEY", keys->public_key, 32, err);
}

static int fd_of(void *zmq, int *ret, struct error *err)
{
    size_t size = sizeof *ret;
    if (zmq_getsockopt(zmq, ZMQ_FD, ret, &size) != 0)
        return error_set(err, -EIO, "libzmq gives no descriptor to poll: %s", zmq_strerror(errno));
    return 0;
}

/* NULL: err says why. */
static struct net_socket *open_socket(int type, const struct net_keys *keys, struct error *err)
{
    net_begin();
    struct net_socket *s = mem_zalloc(1, sizeof *s);

    s->sock = zsock_new(type);
    if (!s->sock) {
        error_set(err, -EIO,
                  "libzmq cannot create a socket: %s (out of file descriptors? see ulimit -n)",
                  zmq_strerror(errno));
        net_socket_close(&s, 0);
        return NULL;
    }
    s->zmq = zsock_resolve(s->sock);
    s->routed = type == ZMQ_ROUTER;
    if (set_common(s, keys, err) < 0 || fd_of(s->zmq, &s->fd, err) < 0)
        net_socket_close(&s, 0);
    return s;
}

int net_router_open(struct net_socket **ret, const struct net_keys *keys, struct error *err)
{
    const struct number_option options[] = {
        OPTION(ZMQ_CURVE_SERVER, 1),      OPTION(ZMQ_ZAP_ENFORCE_DOMAIN, 1),
        OPTION(ZMQ_ROUTER_MANDATORY, 1),  OPTION(ZMQ_BACKLOG, BACKLOG),
        OPTION(ZMQ_RCVBUF, KERNEL_BYTES), OPTION(ZMQ_SNDBUF, KERNEL_BYTES),
        OPTION(ZMQ_RCVHWM, UNLIMITED),
    };
    struct net_socket *s = open_socket(ZMQ_ROUTER, keys, err);
    int rc;

    if (!s)
        return -EIO;
    /* The domain first: enforcing an empty one would skip the handler altogether. */
    if ((rc = set_bytes(s, ZMQ_ZAP_DOMAIN, "ZMQ_ZAP_DOMAIN", ZAP_DOMAIN, strlen(ZAP_DOMAIN), err)) <
            0 ||
        (rc = set_numbers(s, options, sizeof options / sizeof *options, err)) < 0) {
        net_socket_close(&s, 0);
        return rc;
    }
    *ret = s;
    return 0;
}

int net_router_bind(struct net_socket *s, const char *endpoint, char ret[NET_ENDPOINT_MAX],
                    struct error *err)
{
    char text[NET_ENDPOINT_MAX];
    size_t size = sizeof text;

    if (zmq_bind(s->zmq, endpoint) != 0)
        return error_set(err, errno == EADDRINUSE ? -EADDRINUSE : -EINVAL,
                         "cannot listen at '%s': %s", endpoint, zmq_strerror(errno));
    if (zmq_getsockopt(s->zmq, ZMQ_LAST_ENDPOINT, text, &size) != 0)
        return error_set(err, -EIO, "cannot find out where '%s' was bound: %s", endpoint,
                         zmq_strerror(errno));
    if (ret)
        memcpy(ret, text, size);
    return 0;
}

int net_dealer_open(struct net_socket **ret, const struct net_keys *keys,
                    const struct hash *server_key, struct error *err)
{
    const struct number_option options[] = {
        OPTION(ZMQ_IMMEDIATE, 1),
        OPTION(ZMQ_RECONNECT_IVL,
               RECONNECT_MIN_MS + (int)randombytes_uniform(2 * RECONNECT_MIN_MS)),
        OPTION(ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
    };
    struct net_socket *s = open_socket(ZMQ_DEALER, keys, err);
    int rc;

    if (!s)
        return -EIO;
    if ((rc = set_bytes(s, ZMQ_CURVE_SERVERKEY, "ZMQ_CURVE_SERVERKEY", server_key->b, 32, err)) <
            0 ||
        (rc = set_numbers(s, options, sizeof options / sizeof *options, err)) < 0) {
        net_socket_close(&s, 0);
        return rc;
    }
    *ret = s;
    return 0;
}

int net_dealer_connect(struct net_socket *s, const char *endpoint, struct error *err)
{
    if (zmq_connect(s->zmq, endpoint) != 0)
        return error_set(err, -EINVAL, "cannot connect to '%s': %s (write host:port)", endpoint,
                         zmq_strerror(errno));
    return 0;
}

void net_socket_close(struct net_socket **s, int linger_ms)
{
    if (!*s)
        return;
    if ((*s)->watch) {
        zmq_socket_monitor((*s)->zmq, NULL, 0);
        zsock_destroy(&(*s)->watch);
    }
    if ((*s)->sock) {
        zmq_setsockopt((*s)->zmq, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zsock_destroy(&(*s)->sock);
    }
    mem_free(s);
}

int net_socket_fd(const struct net_socket *s)
{
    return s->fd;
}

static bool has_event(void *zmq, int event)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &size) == 0 && (events & event);
}

bool net_socket_readable(struct net_socket *s)
{
    return has_event(s->zmq, ZMQ_POLLIN);
}

bool net_socket_writable(struct net_socket *s)
{
    return has_event(s->zmq, ZMQ_POLLOUT);
}

bool net_socket_wait(struct net_socket *s, bool writable, int timeout_ms)
{
    zmq_pollitem_t items[] = {
        {.socket = s->zmq, .events = (short)(writable ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN)},
        {.socket = s->watch ? zsock_resolve(s->watch) : NULL, .events = ZMQ_POLLIN},
    };
    int rc;
    do
        rc = zmq_poll(items, s->watch ? 2 : 1, timeout_ms);
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

/* ---- News of connections */

const char *net_news_text(enum net_news news)
{
    static const char *const texts[] = {
#define X(n, text) [NET_NEWS_##n] = text,
        NET_NEWS(X)
#undef X
    };
    return texts[news];
}

static int watch(struct net_socket *s, int events, struct error *err)
{
    static atomic_uint number;
    /* libzmq's I/O thread waits for room here, and all connections with it */
    const struct number_option unlimited = OPTION(ZMQ_RCVHWM, 0);
    char endpoint[64];

    snprintf(endpoint, sizeof endpoint, "inproc://longboat-watch-%u", atomic_fetch_add(&number, 1));
    if (zmq_socket_monitor(s->zmq, endpoint, events) != 0)
        return error_set(err, -EIO, "cannot monitor libzmq's connections: %s", zmq_strerror(errno));
    s->watch = zsock_new(ZMQ_PAIR);
    if (!s->watch ||
        zmq_setsockopt(zsock_resolve(s->watch), unlimited.name, &unlimited.value,
                       sizeof unlimited.value) != 0 ||
        zmq_connect(zsock_resolve(s->watch), endpoint) != 0) {
        zmq_socket_monitor(s->zmq, NULL, 0);
        zsock_destroy(&s->watch);
        return error_set(err, -EIO, "cannot receive libzmq's events: %s", zmq_strerror(errno));
    }
    return fd_of(zsock_resolve(s->watch), &s->watch_fd, err);
}

int net_socket_watch(struct net_socket *s, struct error *err)
{
    return watch(s,
                 ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED |
                     ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
                 err);
}

int net_socket_watch_accepted(struct net_socket *s, struct error *err)
{
    return watch(s, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED, err);
}

int net_socket_news_fd(const struct net_socket *s)
{
    return s->watch_fd;
}

bool net_socket_has_news(struct net_socket *s)
{
    return has_event(zsock_resolve(s->watch), ZMQ_POLLIN);
}

static enum net_news news_of(uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_CONNECT_RETRIED:
        return NET_NEWS_UNREACHABLE;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return NET_NEWS_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return NET_NEWS_BROKEN_OFF;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return NET_NEWS_CONNECTED;
    case ZMQ_EVENT_DISCONNECTED:
        return NET_NEWS_LOST;
    default:
        return NET_NEWS_NONE;
    }
}

/* The next event of the monitor. False: no more. */
static bool next_event(struct net_socket *s, uint16_t *ret_event, int *ret_value)
{
    uint8_t event[6]; /* u16 event, u32 value; a second part names the endpoint */
    uint8_t endpoint[NET_ENDPOINT_MAX];
    void *monitor = zsock_resolve(s->watch);

    if (zmq_recv(monitor, event, sizeof event, ZMQ_DONTWAIT) < 0)
        return false;
    memcpy(ret_event, event, sizeof *ret_event);
    memcpy(ret_value, event + sizeof *ret_event, sizeof *ret_value);
    zmq_recv(monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
    return true;
}

enum net_news net_socket_news(struct net_socket *s)
{
    enum net_news news = NET_NEWS_NONE;
    uint16_t event;
    int value;

    while (news == NET_NEWS_NONE && next_event(s, &event, &value))
        news = news_of(event);
    return news;
}

enum net_connection net_socket_connection(struct net_socket *s, int *ret_fd)
{
    uint16_t event;

    while (next_event(s, &event, ret_fd))
        switch (event) {
        case ZMQ_EVENT_ACCEPTED:
            return NET_CONNECTION_OPENED;
        case ZMQ_EVENT_DISCONNECTED:
            return NET_CONNECTION_CLOSED;
        case ZMQ_EVENT_ACCEPT_FAILED:
            return NET_CONNECTION_FAILED;
        default:
            break;
        }
    return NET_CONNECTION_NONE;
}

/* ---- Messages */

static zmq_msg_t *part(struct net_packet *p, unsigned i)
{
    _Static_assert(sizeof p->parts[0] >= sizeof(zmq_msg_t), "a zmq_msg_t fits");
    return (zmq_msg_t *)(void *)p->parts[i];
}

static int receive(struct net_socket *s, zmq_msg_t *m)
{
    int rc;
    do
        rc = zmq_msg_recv(m, s->zmq, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* The identity stands on the last part: libzmq 4.3.4 leaves it off the first after a poll. */
static void read_metadata(struct net_packet *p, zmq_msg_t *last)
{
    const char *user = zmq_msg_gets(last, "User-Id");
    const char *address = zmq_msg_gets(last, "Peer-Address");

    p->known = user && hex_parse(user, p->key.b, sizeof p->key.b) == 0;
    snprintf(p->address, sizeof p->address, "%s", address ? address : "");
}

int net_socket_take(struct net_socket *s, struct net_packet *p)
{
    zmq_msg_t *first = part(p, 0), *last = part(p, 1);
    unsigned parts = 1;

    memset(p, 0, offsetof(struct net_packet, parts));
    zmq_msg_init(first);
    zmq_msg_init(last);
    if (receive(s, s->routed ? first : last) < 0) {
        net_packet_release(p);
        return 0;
    }
    /* All parts of a message are there when its first one is. */
    while (zmq_msg_more(parts == 1 && s->routed ? first : last) && receive(s, last) >= 0)
        parts++;
    p->whole = parts == (s->routed ? 2u : 1u);
    p->route = span_of(zmq_msg_data(first), zmq_msg_size(first));
    p->body = span_of(zmq_msg_data(last), zmq_msg_size(last));
    read_metadata(p, last);
    return 1;
}

void net_packet_release(struct net_packet *p)
{
    zmq_msg_close(part(p, 0));
    zmq_msg_close(part(p, 1));
}

static zmq_msg_t *kept_part(const struct net_kept *k)
{
    _Static_assert(sizeof k->part >= sizeof(zmq_msg_t), "a zmq_msg_t fits");
    return (zmq_msg_t *)(void *)(uintptr_t)k->part;
}

void net_packet_keep(struct net_packet *p, struct net_kept *ret)
{
    zmq_msg_init(kept_part(ret));
    zmq_msg_move(kept_part(ret), part(p, 1));
}

struct span net_kept_body(const struct net_kept *k)
{
    return span_of(zmq_msg_data(kept_part(k)), zmq_msg_size(kept_part(k)));
}

void net_kept_release(struct net_kept *k)
{
    zmq_msg_close(kept_part(k));
}

int net_packet_fd(struct net_packet *p)
{
    return zmq_msg_get(part(p, 1), ZMQ_SRCFD);
}

int net_socket_send(struct net_socket *s, struct span route, struct span body)
{
    if (s->routed && zmq_send(s->zmq, route.p, route.n, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno == EHOSTUNREACH ? -EHOSTUNREACH : -EAGAIN;
    return zmq_send(s->zmq, body.p, body.n, ZMQ_DONTWAIT) < 0 ? -EAGAIN : 0;
}
