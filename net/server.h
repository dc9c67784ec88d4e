/* server.h - the broker's side of the network: one ROUTER socket with CURVE, its ZAP handler, and a
 * session for each peer.
 *
 * net_server_open starts the ZAP handler, proves on a loopback twin with the same options that an
 * unknown key is refused, and only then binds. If the proof fails it binds nothing: -EPERM. */
#ifndef LB_NET_SERVER_H
#define LB_NET_SERVER_H

#include "common/loop.h"
#include "proto/messages.h"
#include "trust/budget.h"

struct net_server;

struct net_server_options {
    /* "*:7411", "[::1]:7411"; a port of 0 or `*` picks one, see net_server_endpoint */
    const char *const *listen;
    unsigned n_listen;
    const uint8_t *secret_transport, *public_transport; /* 32 bytes each; copied */
    int64_t lease_ms;                                   /* 0: LEASE_MS */
    int64_t quiet_ms; /* how long a connection may have no session; 0: ten seconds */
    /* What each principal may use: BUDGET_SESSIONS, BYTES_IN and BYTES_OUT are judged here.
     * Borrowed; NULL: no limits. */
    struct budgets *budgets;
};

/* Callbacks, from the loop's thread and in order. They may call any function below except
 * net_server_close. The server answers BYE; the caller answers everything else, PING too. `key`:
 * the peer's transport key, from its User-Id and never from its messages. */
struct net_server_calls {
    void *self;
    /* A HELLO of `key` has arrived: open a session? 0: yes, and the caller sends WELCOME. Else
     * the callback returns a REFUSAL_ code and fills ret_text, and the server sends REFUSED.
     * `peer` is a new handle, never reused. */
    enum refusal (*hello)(void *self, uint64_t peer, const struct hash *key, const char *address,
                          struct span hello, struct error *ret_text);
    void (*message)(void *self, uint64_t peer, uint64_t kind, struct span message);
    /* not called for net_server_close_peer */
    void (*down)(void *self, uint64_t peer, const char *reason);
    void (*window)(void *self, uint64_t peer); /* it was full and is open again */
    /* For the operator: a limit was reached. At most once a minute for a principal; `key` NULL: it
     * is about all. May be NULL. */
    void (*trouble)(void *self, const struct hash *key, const char *text);
};

int net_server_open(struct net_server **ret, struct loop *loop, const struct net_server_options *o,
                    const struct net_server_calls *calls, struct error *err);
void net_server_close(struct net_server **s);
/* Allows or forbids a key to finish handshakes, from the next one on. Safe beside the ZAP handler's
 * thread. */
void net_server_allow(struct net_server *s, const struct hash *key, bool allowed);
/* Queues a message for a peer; what was queued in a turn leaves in shared frames before the loop
 * sleeps. -ENOENT: the peer is gone; -ENOBUFS: its send queue is full, or its principal lets more
 * gather than BUDGET_BYTES_OUT, so it is dropped and `down` follows before the loop sleeps;
 * -EMSGSIZE: no frame can hold it. */
int net_server_send(struct net_server *s, uint64_t peer, struct span message);
/* Sends as much of the queue as the window allows, then `last` (REFUSED or RESET; empty: nothing),
 * and drops the session. */
void net_server_close_peer(struct net_server *s, uint64_t peer, struct span last);
/* What was just handled of this peer has made n records for the disk, the last with this number;
 * numbers count up without a gap. The further messages of a principal of whom many wait for the
 * disk are handled once these are there. Peers that are gone are ignored. */
void net_server_made(struct net_server *s, uint64_t peer, uint64_t n, uint64_t last);
/* All records up to this number are on disk, or nothing should wait for them any more. */
void net_server_settled(struct net_server *s, uint64_t last);
bool net_server_window_open(struct net_server *s, uint64_t peer);
/* The same for messages that can wait and that many sessions of one principal get: true only while
 * these have not read less than half of what BUDGET_BYTES_OUT allows. So such messages end no
 * session, and answers find room. After false, `window` is called for one of the principal's
 * sessions as soon as there is room, or `down`. */
bool net_server_has_room(struct net_server *s, uint64_t peer);
/* What the sessions owe their peers: bytes queued, and sent but not acknowledged. */
struct net_server_owed {
    uint64_t now;  /* of all sessions */
    uint64_t most; /* of one session, at any time since the start */
};
void net_server_owed(const struct net_server *s, struct net_server_owed *ret);
/* What was refused or cut short, since the start. */
struct net_server_counts {
    uint64_t over_budget;        /* sessions refused or ended, because of a principal's budget */
    uint64_t beyond_window;      /* sessions ended, because the sender went on beyond its window */
    uint64_t full_turns;         /* turns that ended at their bound, with messages left */
    uint64_t closed;             /* connections closed for having no session, or too many of them */
    uint64_t too_many;           /* and of these, the ones that were too many */
    uint64_t untaken;            /* the ones that had too much in libzmq */
    uint64_t not_accepted;       /* libzmq had no descriptor for a connection */
    uint64_t handshakes_put_off; /* a key had too many connections without a session */
    uint64_t connections;        /* open now */
    uint64_t waiting;            /* principals with messages that wait, now */
};
void net_server_counts(const struct net_server *s, struct net_server_counts *ret);
const char *net_server_endpoint(struct net_server *s, unsigned index);

#endif
