/* probe.c - see probe.h. */
#include "net/probe.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "proto/limits.h"

static const char KNOCK[] = "knock";

struct visitor {
    struct hash public_key;
    uint8_t secret[32];
    struct net_socket *socket;
};

static int visit(struct visitor *v, const struct net_keys *door, const char *endpoint,
                 struct error *err)
{
    const struct net_keys own = {.secret = v->secret, .public_key = v->public_key.b};
    struct hash server;
    int rc;

    memcpy(server.b, door->public_key, sizeof server.b);
    if ((rc = net_dealer_open(&v->socket, &own, &server, err)) < 0)
        return rc;
    return net_dealer_connect(v->socket, endpoint, err);
}

/* The twin's next news of a connection. */
static enum net_news next_news(struct net_socket *twin)
{
    const int64_t until = clock_boot_ms() + HANDSHAKE_MS;
    for (;;) {
        enum net_news news = net_socket_news(twin);
        int64_t left = until - clock_boot_ms();
        if (news != NET_NEWS_NONE || left <= 0)
            return news;
        net_socket_wait(twin, false, (int)left);
    }
}

static int try_stranger(struct net_socket *twin, const struct net_keys *keys, const char *endpoint,
                        struct error *err)
{
    struct visitor stranger = {0};
    crypto_box_keypair(stranger.public_key.b, stranger.secret);
    int rc = visit(&stranger, keys, endpoint, err);
    if (rc == 0) {
        enum net_news news = next_news(twin);
        if (news == NET_NEWS_CONNECTED)
            rc = error_set(
                err, -EPERM,
                "refusing to listen: a stranger's key was let in by a socket with our options");
        else if (news != NET_NEWS_REFUSED)
            rc = error_set(err, -EPERM, "refusing to listen: a stranger's key was not refused (%s)",
                           net_news_text(news));
    }
    net_socket_close(&stranger.socket, 0);
    return rc;
}

/* Waits for the visitor's knock, which must carry its key. */
static int hear_knock(struct net_socket *twin, struct visitor *v, struct error *err)
{
    const int64_t until = clock_boot_ms() + HANDSHAKE_MS;
    struct net_packet p;
    bool sent = false;

    while (!net_socket_take(twin, &p)) {
        if (clock_boot_ms() >= until)
            return error_set(err, -EPERM,
                             "refusing to listen: messages from an allowed key do not arrive");
        if (sent)
            net_socket_wait(twin, false, HANDSHAKE_MS);
        else if (net_socket_wait(v->socket, true, HANDSHAKE_MS))
            sent = net_socket_send(v->socket, SPAN_NONE, span_str(KNOCK)) == 0;
        while (net_socket_news(twin) != NET_NEWS_NONE)
            ; /* the refused one keeps trying until it is closed */
    }
    bool good = p.known && hash_eq(&p.key, &v->public_key) && span_eq_str(p.body, KNOCK);
    net_packet_release(&p);
    if (!good)
        return error_set(err, -EPERM,
                         "refusing to listen: a message arrived without its sender's key");
    return 0;
}

static int try_friend(struct net_socket *twin, const struct net_keys *keys,
                      struct zap_keys *allowed, const char *endpoint, struct error *err)
{
    struct visitor friend = {0};
    crypto_box_keypair(friend.public_key.b, friend.secret);
    zap_keys_set(allowed, &friend.public_key, true);
    int rc = visit(&friend, keys, endpoint, err);
    if (rc == 0)
        rc = hear_knock(twin, &friend, err);
    zap_keys_set(allowed, &friend.public_key, false);
    net_socket_close(&friend.socket, 0);
    sodium_memzero(friend.secret, sizeof friend.secret);
    return rc;
}

int net_probe(const struct net_keys *keys, struct zap_keys *allowed, struct error *err)
{
    struct net_socket *twin = NULL;
    char endpoint[NET_ENDPOINT_MAX];
    int rc;

    if ((rc = net_router_open(&twin, keys, err)) == 0 && (rc = net_socket_watch(twin, err)) == 0 &&
        (rc = net_router_bind(twin, "tcp://127.0.0.1:*", endpoint, err)) == 0 &&
        (rc = try_stranger(twin, keys, endpoint, err)) == 0)
        rc = try_friend(twin, keys, allowed, endpoint, err);
    net_socket_close(&twin, 0);
    return rc;
}
