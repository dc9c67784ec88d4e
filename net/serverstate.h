/* serverstate.h - for server.c and intake.c only: what the server holds, and how sessions end. */
#ifndef LB_NET_SERVERSTATE_H
#define LB_NET_SERVERSTATE_H

#include "net/connections.h"
#include "net/server.h"
#include "net/zap.h"

enum { SERVER_RESETS_KEPT = 1024 /* connections whose last RESET we remember */ };

struct reset_told {
    uint32_t route; /* hashed */
    int64_t at;     /* 0: none */
};

struct net_server {
    struct loop *loop;
    struct net_server_calls calls;
    struct net_socket *socket;
    struct zap_keys *allowed;
    struct zap *zap;
    struct peers peers;
    struct connections connections;
    struct loop_timer again; /* something is left for the next turn */
    struct loop_timer timer; /* the first of peers.timers, or of the quiet connections */
    struct loop_timer look;  /* at what connections have in libzmq */
    int64_t lease_ms;
    struct buf frame, last;
    struct reset_told told[SERVER_RESETS_KEPT];
    /* a callback was made in the prepare hook: there may be something to do before a sleep */
    bool called;
    size_t owed_most;
    int64_t turn_us, turn_end_us; /* when this turn began, and when it must end */
    int64_t stamp_us;             /* up to where time is accounted for */
    bool passed;                  /* in this turn somebody was served who had no backlog */
    int64_t full_said_at;         /* when it was said that connections are too many */
    struct net_server_counts counts;
    char (*endpoints)[NET_ENDPOINT_MAX];
    unsigned n_endpoints;
};

/* Ends a session without a word to its peer. `broke`: it broke a rule. */
void server_drop(struct net_server *s, struct peer *p, const char *reason, bool broke);
/* Ends it with RESET, because the peer broke the rules. */
void server_reset(struct net_server *s, struct peer *p, const char *reason);
/* Ends it with REFUSED busy: its principal is over a budget, and `why` says which. */
void server_end_over_budget(struct net_server *s, struct peer *p, const struct error *why);
/* The last word for a connection, which may have no session. */
void server_say_reset(struct net_server *s, struct span route, uint64_t session,
                      const char *reason);
void server_say_refused(struct net_server *s, struct span route, uint64_t session,
                        enum refusal code, const char *text);
/* Says a sentence about a principal, at most once a minute. */
void server_tell(struct net_server *s, struct principal *who, const char *text);
/* Takes note of connections that came and went. */
void server_hear_connections(struct net_server *s);

#endif
