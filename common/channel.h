/* channel.h - whole messages between processes of one machine: a unix stream socket with frames
 * [u32 length, little endian][bytes].
 *
 * Nothing here blocks and nothing here waits: the owner of a loop watches channel_fd for reading,
 * and for writing while channel_wants_write. A length is judged before its bytes are read; a peer
 * that does not read is noticed by the bytes that gather (CHANNEL_QUEUE_MAX). Who the peer is
 * comes from the kernel (SO_PEERCRED), fixed when it connected.
 *
 *     for (;;) {                                  when channel_fd is readable
 *         int rc = channel_receive(c, &message, &err);
 *         if (rc <= 0) break;                     0: nothing more now; < 0: it is over, close it
 *         take(message);                          lent until the next call on this channel
 *     } */
#ifndef LB_COMMON_CHANNEL_H
#define LB_COMMON_CHANNEL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

enum {
    /* one message: a step with the outputs of a hundred earlier ones */
    CHANNEL_MESSAGE_MAX = 8 << 20,
    CHANNEL_QUEUE_MAX = 64 << 20 /* bytes that wait for a peer; then channel_send refuses */
};

struct channel;

/* ---- The listening side */
/* A listening socket at `path`, mode 0600, however long the path is. A file that a dead listener
 * has left is replaced; -EADDRINUSE: somebody listens there. Never follows or removes anything but
 * a socket (-EEXIST). */
int channel_listen(const char *path, int *ret_fd, struct error *err);
/* The next peer that waits. -EAGAIN: none does (no sentence is made). */
int channel_accept(int listening, struct channel **ret, struct error *err);

/* ---- Either side */
/* -ENOENT or -ECONNREFUSED: nobody listens there. */
int channel_connect(const char *path, struct channel **ret, struct error *err);
/* Takes a connected stream socket as it is, e.g. one half of a socketpair; makes it
   non-blocking. */
int channel_from_fd(int fd, struct channel **ret, struct error *err);
/* drops what was not sent; sets *c to NULL; closing NULL is fine */
void channel_close(struct channel **c);

int channel_fd(const struct channel *c);
uid_t channel_peer_uid(const struct channel *c);
pid_t channel_peer_pid(const struct channel *c); /* when it connected; it may have ended since */

/* Queues the message and writes what the socket takes now. -EMSGSIZE: larger than
 * CHANNEL_MESSAGE_MAX; -ENOBUFS: the peer does not read and CHANNEL_QUEUE_MAX would be exceeded;
 * -EPIPE: it has gone. */
int channel_send(struct channel *c, struct span message, struct error *err);
/* Only queues it, for many small messages in one write: channel_flush follows. */
int channel_queue(struct channel *c, struct span message, struct error *err);
/* Writes what the socket takes now. 0: whether or not all of it went (channel_wants_write). */
int channel_flush(struct channel *c, struct error *err);
bool channel_wants_write(const struct channel *c);
size_t channel_waiting(const struct channel *c); /* bytes that are queued */

/* 1: *ret is the next message, lent until the next call on this channel. 0: none is complete yet.
 * -ECONNRESET: the peer has gone; -EPROTO: it has gone in the middle of a message; -EMSGSIZE: it
 * announced one that is too large. After an error only channel_close is of use. */
int channel_receive(struct channel *c, struct span *ret, struct error *err);

#endif
