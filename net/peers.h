/* peers.h - for the files of the server only: the table of the broker's sessions, found by handle
 * and by connection, and of the principals to whom they belong. */
#ifndef LB_NET_PEERS_H
#define LB_NET_PEERS_H

#include "net/keyhash.h"

#include "common/heap.h"
#include "net/session.h"
#include "net/socket.h"
#include "trust/budget.h"

enum { PEERS_MAX = 16384 /* sessions at a time; each has a connection, so LimitNOFILE is near */ };

struct backlog_frame; /* backlog.h */

/* Bytes in libzmq of one principal's connections, as of which look at them; for connections.c. */
struct connections_unread {
    uint64_t bytes, look;
};

/* All sessions of one transport key. */
struct principal {
    struct hash key;
    unsigned sessions;
    unsigned quiet;   /* connections that are still there although their session has ended */
    uint64_t owed;    /* bytes that its sessions have not read */
    uint64_t charged; /* of BUDGET_BYTES_OUT: owed, rounded up */
    bool full;        /* it was found to have no room: `window` must be called */
    struct connections_unread unread;
    int64_t said_at; /* when the last sentence about it was said; 0: never */
    /* backlog.c */
    struct peer *first, *last; /* those with waiting frames, in turn */
    struct principal *next;    /* in the ring of those who wait */
    int64_t deficit_us;        /* of handling: what it may still use before the others' turn */
    uint64_t round;            /* the one to which the deficit belongs */
    /* settle.c */
    uint64_t unsettled, last_lsn; /* records that wait for the disk, and the last of them */
    int64_t window;               /* in which it made `made` records, and `made_before` before */
    uint64_t made, made_before;
    bool held; /* nothing of it is handled: what waits of it is not in the ring */
    struct principal *next_held;
    UT_hash_handle hh;
};

struct peer {
    uint64_t handle; /* counts up, never reused */
    struct principal *of;
    char address[NET_ADDRESS_MAX];
    struct session *session;
    int fd;                 /* of its connection, for connections.h; -1: not known */
    size_t owed;            /* as it stands in of->owed */
    struct heap_node timer; /* key: when it must be looked at; tie: its handle */
    int64_t idle_at;        /* empty frames are paid for up to here (boot ms) */
    bool announced;         /* hello accepted it: `down` must be called */
    bool full;              /* its window was found shut: `window` must be called */
    bool dirty;             /* in the list of those to flush */
    bool gone;              /* out of the table; freed by peers_sweep */
    bool told;              /* it has heard why it is doomed */
    const char *doom;       /* a literal: it must be dropped at the next flush */
    struct peer *next;      /* in the list of the dirty, or of the gone */
    /* backlog.c */
    struct backlog_frame *frames, *frames_last;
    struct peer *next_waiting;
    UT_hash_handle by_handle, by_route;
    size_t route_n;
    uint8_t route[NET_ROUTE_MAX];
};

/* All zero is empty, after net_hash_begin. */
struct peers {
    struct peer *handles, *routes;
    struct principal *principals;
    struct budgets *budgets; /* borrowed; NULL: no limits */
    struct heap timers;
    uint64_t last_handle;
    struct peer *dirty, *dirty_last, *gone;
    /* backlog.c */
    struct principal *waiting, *waiting_last;
    uint64_t round;
    /* settle.c */
    struct principal *held;
    uint64_t settled;
    int64_t light_until; /* so long somebody counts as light who has made a record */
};

struct peer *peers_find(const struct peers *t, uint64_t handle);
struct peer *peers_at(const struct peers *t, struct span route);
/* `route` must be free. NULL: the principal may not open another session, and *err says so. */
struct peer *peers_add(struct peers *t, const struct net_packet *from, uint64_t session,
                       int64_t now, struct error *err);
/* stays readable, with `gone` set, until peers_sweep */
void peers_remove(struct peers *t, struct peer *p);
void peers_sweep(struct peers *t);
void peers_free(struct peers *t);

void peers_mark(struct peers *t, struct peer *p); /* into the list of the dirty, once */
struct peer *peers_next_dirty(struct peers *t);   /* out of it; NULL: none */

struct principal *peers_principal(const struct peers *t, const struct hash *key);
/* What p has not read has changed. -EDQUOT: its principal must not let so much gather. */
int peers_count_owed(struct peers *t, struct peer *p, struct error *err);
/* Is half of what its principal may let gather still free? */
bool peers_has_room(const struct peers *t, const struct principal *who);
/* One connection of a principal more or less that has no session any more. The principal ends with
 * the last of its sessions and connections. */
void peers_count_quiet(struct peers *t, struct principal *who, int change);

#endif
