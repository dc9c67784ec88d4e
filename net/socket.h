/* socket.h - the only user of czmq and libzmq, besides zap.c, which checks keys, and probe.c, which
 * tests the broker's socket.
 *
 * There are two kinds of socket, both with CURVE only: a ROUTER for the broker and a DEALER for
 * everyone else. The result of each option that is set is checked. A socket belongs to one thread.
 * There is one ZeroMQ context for the life of the process; czmq's signal handlers are off. No
 * process that has opened a socket may fork.
 *
 * A send proves nothing but that libzmq took the bytes: sessions (session.h) know what arrived. */
#ifndef LB_NET_SOCKET_H
#define LB_NET_SOCKET_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "proto/wire.h"

struct net_socket;

enum {
    NET_ROUTE_MAX = 255,    /* bytes of a routing id */
    NET_ENDPOINT_MAX = 256, /* "tcp://[...]:7411" and the NUL */
    NET_ADDRESS_MAX = 64    /* a peer's IP address as text */
};

/* Starts czmq. Call it before opening the first socket; more calls do no harm. */
void net_begin(void);

/* 32 bytes each: the X25519 pair of this end. */
struct net_keys {
    const uint8_t *secret, *public_key;
};

/* A ROUTER with CURVE as server; connections are checked by the ZAP handler of this process (zap.h)
 * and refused while there is none. */
int net_router_open(struct net_socket **ret, const struct net_keys *keys, struct error *err);
/* Binds one more endpoint, "tcp://address:port"; port 0 or `*` picks one. `ret` (may be NULL) is
   what it became. */
int net_router_bind(struct net_socket *s, const char *endpoint, char ret[NET_ENDPOINT_MAX],
                    struct error *err);
/* A DEALER with CURVE as client, for a server that has `server_key`. Nothing is queued for a server
 * that is not there. */
int net_dealer_open(struct net_socket **ret, const struct net_keys *keys,
                    const struct hash *server_key, struct error *err);
/* Connects in the background, and again whenever the connection ends. -EINVAL: not an endpoint. */
int net_dealer_connect(struct net_socket *s, const char *endpoint, struct error *err);
/* Closes the socket and sets *s to NULL. What was sent has `linger_ms` to leave, in the background;
 * 0: it is dropped. */
void net_socket_close(struct net_socket **s, int linger_ms);

/* A descriptor that becomes readable when something may have changed. It is edge triggered: call
 * net_socket_readable each time before sleeping on it, also after sending. */
int net_socket_fd(const struct net_socket *s);
bool net_socket_readable(struct net_socket *s); /* a message can be taken now */
/* DEALER: the handshake is done and there is room */
bool net_socket_writable(struct net_socket *s);

/* What happens to connections, for sentences, for quick failover and for the probe. */
#define NET_NEWS(X) \
    X(NONE, "nothing has happened") \
    X(UNREACHABLE, "nobody answers") \
    X(BROKEN_OFF, \
      "handshake aborted by the other end; is it the broker, and does it still have the pinned " \
      "key? (if it was rotated: lbctl certificates trust)") \
    X(REFUSED, "the other end does not know our key") \
    X(CONNECTED, "the handshake is done") \
    X(LOST, "the connection was lost")
#define X(n, text) NET_NEWS_##n,
enum net_news { NET_NEWS(X) };
#undef X
const char *net_news_text(enum net_news news);
/* before connecting or binding; once */
int net_socket_watch(struct net_socket *s, struct error *err);
/* edge triggered: ask net_socket_has_news before sleeping */
int net_socket_news_fd(const struct net_socket *s);
bool net_socket_has_news(struct net_socket *s);
enum net_news net_socket_news(struct net_socket *s); /* the next one; NONE: no more */

/* What happens to the connections that a ROUTER accepts, by descriptor. `failed`: libzmq could not
 * accept one, because the process has no descriptor left. */
enum net_connection {
    NET_CONNECTION_NONE,
    NET_CONNECTION_OPENED,
    NET_CONNECTION_CLOSED,
    NET_CONNECTION_FAILED
};
/* In place of net_socket_watch; the descriptor and has_news are the same. */
int net_socket_watch_accepted(struct net_socket *s, struct error *err);
enum net_connection net_socket_connection(struct net_socket *s, int *ret_fd);

/* Waits in place until the socket is readable, or writable where asked for, or has news. For the
 * start of a program; loops use the descriptors. False: time is over. */
bool net_socket_wait(struct net_socket *s, bool writable, int timeout_ms);

/* One message as it came. Spans and texts are valid until the packet is released. */
struct net_packet {
    /* ROUTER: whose connection; a claim of the peer, its key is its identity */
    struct span route;
    struct span body;              /* the last part */
    bool whole;                    /* it had exactly the one part that ours have */
    bool known;                    /* ROUTER: it came with a User-Id, which is `key` */
    struct hash key;               /* the peer's transport key as ZAP has checked it */
    char address[NET_ADDRESS_MAX]; /* where it comes from; "" if unknown */
    unsigned char parts[2][64] __attribute__((aligned(16))); /* two zmq_msg_t: only for socket.c */
};

/* 1: *packet is filled, release it; 0: nothing is there. Never blocks. */
int net_socket_take(struct net_socket *s, struct net_packet *packet);
void net_packet_release(struct net_packet *packet);

/* A packet's body that is kept for later: no bytes are copied. */
struct net_kept {
    unsigned char part[64] __attribute__((aligned(16))); /* a zmq_msg_t: only for socket.c */
};
/* Moves it out of the packet, whose spans end with that; the packet must still be released. */
void net_packet_keep(struct net_packet *packet, struct net_kept *ret);
struct span net_kept_body(const struct net_kept *kept);
void net_kept_release(struct net_kept *kept);
/* The descriptor of the connection on which it came. The connection may be closed by now, and
 * the number in use for another. -1: not known. */
int net_packet_fd(struct net_packet *packet);

/* Never blocks, never waits for room. `route`: ROUTER only. -EAGAIN: the pipe to the peer is full
 * (DEALER: or no server is connected); -EHOSTUNREACH: no peer has this route any more. */
int net_socket_send(struct net_socket *s, struct span route, struct span body);

#endif
