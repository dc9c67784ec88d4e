/* peers.h - for server.c only: the table of the broker's sessions, found by handle, by connection
 * and counted by key. */
#ifndef LB_NET_PEERS_H
#define LB_NET_PEERS_H

#include "net/keyhash.h"

#include "common/heap.h"
#include "net/session.h"
#include "net/socket.h"

enum {
    /* sessions at a time; each has a connection, so LimitNOFILE is near anyway */
    PEERS_MAX = 16384,
    PEERS_OF_A_KEY_MAX = 256 /* of one principal: its programs, started side by side */
};

struct peer {
    uint64_t handle; /* counts up, never reused */
    struct hash key;
    char address[NET_ADDRESS_MAX];
    struct session *session;
    struct heap_node timer; /* key: when it must be looked at; tie: its handle */
    bool announced;         /* hello accepted it: `down` must be called */
    bool full;              /* its window was found shut: `window` must be called */
    bool dirty;             /* in the list of those to flush */
    bool gone;              /* out of the table; freed by peers_sweep */
    const char *doom;       /* a literal: it must be dropped at the next flush */
    struct peer *next;      /* in the list of the dirty, or of the gone */
    UT_hash_handle by_handle, by_route;
    size_t route_n;
    uint8_t route[NET_ROUTE_MAX];
};

struct peer_count {
    struct hash key;
    unsigned sessions;
    UT_hash_handle hh;
};

/* All zero is empty, after net_hash_begin. */
struct peers {
    struct peer *handles, *routes;
    struct peer_count *counts;
    struct heap timers;
    uint64_t last_handle;
    struct peer *dirty, *dirty_last, *gone;
};

struct peer *peers_find(const struct peers *t, uint64_t handle);
struct peer *peers_at(const struct peers *t, struct span route);
bool peers_have_room(const struct peers *t, const struct hash *key);
/* `route` must be free. */
struct peer *peers_add(struct peers *t, const struct net_packet *from, uint64_t session,
                       int64_t now);
/* stays readable, with `gone` set, until peers_sweep */
void peers_remove(struct peers *t, struct peer *p);
void peers_sweep(struct peers *t);
void peers_free(struct peers *t);

void peers_mark(struct peers *t, struct peer *p); /* into the list of the dirty, once */
struct peer *peers_next_dirty(struct peers *t);   /* out of it; NULL: none */

#endif
