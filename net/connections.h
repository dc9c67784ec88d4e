/* connections.h - for the files of the server only: the TCP connections that libzmq has accepted,
 * by descriptor, and the time that each may have no session.
 *
 * libzmq closes a connection of its own only when the peer does, or does not finish its handshake.
 * We close the others: with shutdown, which libzmq sees as the peer's end. Its descriptor numbers
 * reach us late, so the socket behind a number is known by its cookie, which the kernel never
 * gives twice; the moment between the check and the shutdown is the only one in which a number
 * could change hands, and then its connection is made again. */
#ifndef LB_NET_CONNECTIONS_H
#define LB_NET_CONNECTIONS_H

#include "net/peers.h"

enum {
    CONNECTIONS_ENDED_MS = 50,    /* after a session that broke the rules: time for its last word */
    CONNECTIONS_QUIET_MAX = 4096, /* of all: a cluster's servers come back at once */
    CONNECTIONS_QUIET_OF_A_KEY_MAX = 64, /* whose sessions have ended */
    /* bytes that a connection may have in libzmq, the system's buffer and what we cannot count
     * included. An honest sender has a window there, or one long frame. */
    CONNECTIONS_UNTAKEN_MAX = 2 << 20,
    CONNECTIONS_LOOK_MS = 20 /* how often we look */
};

struct connection {
    int fd;
    uint64_t cookie;
    uint64_t taken;       /* bytes on the wire of the frames that we took from libzmq */
    uint64_t heard;       /* of these, before it had no session */
    int64_t since;        /* when it was opened */
    bool spoke;           /* a session was opened on it before */
    uint64_t peer;        /* its session; 0: none */
    struct principal *of; /* whose quiet connection it is; NULL: not known, or it has a session */
    struct heap_node due; /* when it is closed for having no session */
    UT_hash_handle hh;
};

struct connections {
    struct peers *peers; /* borrowed */
    struct connection *all;
    struct heap quiet;
    int64_t quiet_ms; /* how long a connection may have no session */
    uint64_t look;    /* counts them */
    struct connections_unread of_nobody;
    struct connection *next; /* to look at; NULL: from the first again */
    unsigned most;           /* more are closed at once, so that descriptors are left */
    /* by us; and of these, for being too many, and for holding too much in libzmq */
    uint64_t closed, too_many, untaken;
};

/* `most` from the process's limit of descriptors. */
void connections_begin(struct connections *t, struct peers *peers, int64_t quiet_ms);
unsigned connections_open(const struct connections *t);
void connections_end(struct connections *t);
void connections_opened(struct connections *t, int fd, int64_t now);
void connections_closed(struct connections *t, int fd);
/* We took a frame of so many bytes that came on it. Without a session it may not go on sending. */
void connections_took(struct connections *t, int fd, size_t bytes);
/* Closes those that have too much in libzmq, alone or with the others of their principal, or of
 * nobody (BUDGET_BYTES_IN). It has no mark that would stop it (see RECEIVE_FRAMES), and where it
 * has one, a message of endless parts never reaches it. */
void connections_look(struct connections *t, int64_t now);
/* A session was opened on it. True: its first. */
bool connections_speaks(struct connections *t, int fd, uint64_t peer);
/* p, which is about to leave the table, has ended. `broke`: it broke a rule, and its connection
 * stays only for the last word. */
void connections_quiet(struct connections *t, const struct peer *p, int64_t now, bool broke);
/* A connection without a session is closed at `at`, if that is sooner. */
void connections_hurry(struct connections *t, int fd, int64_t at);
int64_t connections_due(const struct connections *t); /* INT64_MAX: nothing is due ever */
void connections_close_due(struct connections *t, int64_t now);

#endif
