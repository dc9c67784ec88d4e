/* channelloop.h - a channel (channel.h) that a loop (loop.h) watches: flushing and closing, which
 * every owner needs. */
#ifndef LB_COMMON_CHANNELLOOP_H
#define LB_COMMON_CHANNELLOOP_H

#include "common/channel.h"
#include "common/loop.h"

/* Writes as much of the queue as the peer takes now; the loop wakes the owner (EPOLLOUT) for the
 * rest. Negative: the peer is gone, and *err says why; close the channel. */
int channelloop_flush(struct channel *c, struct loop *l, struct error *err);

/* Removes it from the loop and closes it; sets *c to NULL. NULL is fine. */
void channelloop_close(struct channel **c, struct loop *l);

#endif
