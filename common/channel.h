/* channel.h - whole messages between processes of one machine: a unix stream socket with frames
 * [u32 length, little endian][bytes].
 *
 * No call blocks: the owner of a loop watches channel_fd for reading, and for writing while
 * channel_wants_write. A length is checked before its bytes are read. A peer that does not read
 * shows as a full queue (CHANNEL_QUEUE_MAX). The kernel says who the peer was when it connected
 * (SO_PEERCRED).
 *
 *     do {                                        when channel_fd is readable
 *         int rc = channel_receive(c, &message, &err);
 *         if (rc <= 0) break;                     0: nothing more now; < 0: it is over, close it
 *         take(message);                          lent until the next call on this channel
 *     } while (!channel_is_drained(c));           spares the read that finds nothing */
#ifndef LB_COMMON_CHANNEL_H
#define LB_COMMON_CHANNEL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

enum {
    /* one message: a step with the outputs of a hundred earlier ones */
    CHANNEL_MESSAGE_MAX = 8 << 20,
    CHANNEL_QUEUE_MAX = 64 << 20 /* bytes queued for a peer; channel_send refuses more */
};

struct channel;

/* ---- The listening side */
/* Makes a listening socket at `path`, mode 0600, however long the path is, and replaces the
 * socket of a dead listener. -EADDRINUSE: another process listens there; -EEXIST: the path is
 * not a socket, and is left alone. */
int channel_listen(const char *path, int *ret_fd, struct error *err);
/* Accepts the next peer. -EAGAIN: none is waiting; *err is not set. */
int channel_accept(int listening, struct channel **ret, struct error *err);

/* ---- Either side */
/* Connects to a listener. -ENOENT or -ECONNREFUSED: there is none. */
int channel_connect(const char *path, struct channel **ret, struct error *err);
/* Takes over a connected stream socket, such as one half of a socketpair, and makes it
 * non-blocking. */
int channel_from_fd(int fd, struct channel **ret, struct error *err);
/* Closes it, drops what was not sent, and sets *c to NULL. NULL is fine. */
void channel_close(struct channel **c);

int channel_fd(const struct channel *c);
uid_t channel_peer_uid(const struct channel *c);
pid_t channel_peer_pid(const struct channel *c); /* when it connected; it may have ended since */

/* Queues the message and writes what the socket takes now. -EMSGSIZE: larger than
 * CHANNEL_MESSAGE_MAX; -ENOBUFS: the peer does not read and CHANNEL_QUEUE_MAX would be exceeded;
 * -EPIPE: it has gone. */
int channel_send(struct channel *c, struct span message, struct error *err);
/* Only queues the message, so that many small ones take one write; call channel_flush
 * afterwards. */
int channel_queue(struct channel *c, struct span message, struct error *err);
/* Writes what the socket takes now. 0 also if some is left: see channel_wants_write. */
int channel_flush(struct channel *c, struct error *err);
bool channel_wants_write(const struct channel *c);
size_t channel_waiting(const struct channel *c); /* bytes that are queued */

/* 1: *ret is the next message, lent until the next call on this channel. 0: none is complete yet.
 * -ECONNRESET: the peer has gone; -EPROTO: it went in the middle of a message; -EMSGSIZE: it
 * announced one that is too large. After an error, only channel_close may be called. */
int channel_receive(struct channel *c, struct span *ret, struct error *err);
/* True if the last read took all that the socket had then, and no whole message of it is left. What
 * has come since, and the end of the peer, shows as channel_fd being readable: whoever waits for
 * that need not try another read. Ask only after a channel_receive that returned 1. */
bool channel_is_drained(const struct channel *c);

#endif
